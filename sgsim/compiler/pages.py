"""Pages of at most 64 rules: two lists of intervals with masks, for all pages at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.compiler.trees import KEYS, Trees, ragged, sizes_of

__all__ = ["PAGE_ROWS", "Cuts", "cut", "interval_masks", "numbered_keys", "side_by_side"]

PAGE_ROWS = 64


class Cuts(NamedTuple):
    """Where owners' ranges begin and end: owner i's keys are `keys[offsets[i]:offsets[i + 1]]`, ascending.

    A key is the last value of an interval; the last interval of an owner has none, so it has one more than keys.
    `first` and `last` are the numbers of the first and last interval that each range covers.
    """

    keys: npt.NDArray[Any]
    offsets: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]


def numbered_keys(owner: npt.NDArray[np.int64], keys: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(owner, key) as one sortable column: uint64 for keys below 2**32, 24 bytes for IPv6 keys."""
    if keys.dtype.kind == "S":
        pairs = np.zeros((len(keys), 24), np.uint8)
        pairs[:, :8] = owner.astype(">u8").view(np.uint8).reshape(-1, 8)
        pairs[:, 8:] = keys.view(np.uint8).reshape(-1, 16)
        return pairs.view("S24").reshape(len(keys))
    return owner.astype(np.uint64) << np.uint64(32) | keys.astype(np.uint64)


def cut(
    owners: int,
    owner: npt.NDArray[np.int64],
    first: npt.NDArray[Any],
    before: npt.NDArray[Any],
    last: npt.NDArray[Any],
    *,
    from_start: npt.NDArray[np.bool_],
    to_end: npt.NDArray[np.bool_],
) -> Cuts:
    """Cut each owner's values where its ranges begin and end.

    Ranges run from `first` to `last`, inclusive; `before` is the value before `first`. `from_start` and `to_end` mark
    ranges that begin at the lowest value and end at the highest, where nothing is to be cut.
    """
    begins, ends = ~from_start, ~to_end
    number = np.concatenate((owner[begins], owner[ends]))
    keys = np.concatenate((before[begins], last[ends]))
    sorted_keys, index = np.unique(numbered_keys(number, keys), return_index=True)
    offsets = np.zeros(owners + 1, np.int64)
    np.cumsum(np.bincount(number[index], minlength=owners), out=offsets[1:])
    return Cuts(
        keys[index],
        offsets,
        np.searchsorted(sorted_keys, numbered_keys(owner, first)) - offsets[owner],
        np.searchsorted(sorted_keys, numbered_keys(owner, last)) - offsets[owner],
    )


def interval_masks(
    cuts: Cuts, owner: npt.NDArray[np.int64], bit: npt.NDArray[np.uint64]
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """(the sum of the bits of the ranges that cover each interval, where each owner's intervals begin).

    Each owner has one more mask than intervals, so that running sums return to zero between owners; where the bits
    of an owner differ the sums are disjunctions, where they are all 1 they count.
    """
    base = cuts.offsets[:-1] + 2 * np.arange(len(cuts.offsets) - 1)
    change = np.zeros(int(cuts.offsets[-1]) + 2 * (len(cuts.offsets) - 1), np.uint64)
    np.add.at(change, base[owner] + cuts.first, bit)
    np.subtract.at(change, base[owner] + cuts.last + 1, bit)
    return np.cumsum(change, dtype=np.uint64), base


def side_by_side(
    trees: Sequence[Trees],
    masks: Sequence[tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]],
    cuts: Sequence[Cuts],
) -> tuple[npt.NDArray[np.uint32], list[npt.NDArray[np.int64]], list[npt.NDArray[np.int64]]]:
    """Put each owner's trees and masks (from `interval_masks`, of the cuts) next to each other.

    Returns the lines, for each kind of tree the line where each owner's begins, and for each kind of mask the place
    of each owner's first one, in 8 bytes.
    """
    tree_sizes = [sizes_of(np.append(tree.base, len(tree.lines) // KEYS)) for tree in trees]
    mask_sizes = [sizes_of(kind.offsets) + 1 for kind in cuts]
    mask_lines = -(-np.sum(mask_sizes, axis=0) * 8 // (4 * KEYS))
    sizes: npt.NDArray[np.int64] = np.sum([*tree_sizes, mask_lines], axis=0)
    place = np.cumsum(sizes) - sizes
    lines = np.zeros((int(sizes.sum()), KEYS), np.uint32)
    tree_base, mask_base = [], []
    for tree, size in zip(trees, tree_sizes):
        owner, number = ragged(size)
        lines[place[owner] + number] = tree.lines.reshape(-1, KEYS)
        tree_base.append(place)
        place = place + size
    flat = lines.reshape(-1).view(np.uint64)
    place = place * (KEYS // 2)
    for (values, base), size in zip(masks, mask_sizes):
        owner, number = ragged(size)
        flat[place[owner] + number] = values[base[owner] + number]
        mask_base.append(place)
        place = place + size
    return lines.reshape(-1), tree_base, mask_base
