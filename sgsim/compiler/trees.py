"""Static search trees: 16 sorted uint32 keys a line of 64 bytes, 17 children a node, no pointers.

The nodes of a tree of depth d stand in breadth-first order, so that the children of node i are 17 i + 1 … 17 i + 17;
the leaves, its last level, hold all keys in order, and the inner levels are complete, filled up with 2**32 - 1:

    depth 1      keys ≤ 16          one leaf
    depth 2      keys ≤ 272         one node, ≤ 17 leaves
    depth 3      keys ≤ 4 624       18 nodes, ≤ 289 leaves …

Key s of an inner node is the largest key below child s, so that counting the keys below a value gives the child to go
to, and at a leaf the value's rank: the number of all keys below it. A key is left out where nothing follows it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["KEYS", "Trees", "build_trees", "inner_nodes", "ragged", "sizes_of"]

KEYS, CHILDREN = 16, 17
_NOTHING = np.uint32(0xFFFFFFFF)


class Trees(NamedTuple):
    """`lines` uint32, 16 a line; tree i begins at line `base[i]` and has `depth[i]` levels (both int64)."""

    lines: npt.NDArray[np.uint32]
    base: npt.NDArray[np.int64]
    depth: npt.NDArray[np.int64]


def inner_nodes(depth: int) -> int:
    """Nodes above the leaves of a tree: 0, 1, 18, 307 …"""
    return int((CHILDREN ** (depth - 1) - 1) // (CHILDREN - 1))


def sizes_of(offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many items each owner has; a tenth of the time of `np.diff` where there are few."""
    sizes: npt.NDArray[np.int64] = offsets[1:] - offsets[:-1]
    return sizes


def ragged(counts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each owner i its `counts[i]` items: (owner, number of the item from 0) of every item."""
    owner = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    return owner, np.arange(len(owner)) - starts[owner]


def build_trees(keys: npt.NDArray[np.uint32], offsets: npt.NDArray[np.int64]) -> Trees:
    """One tree for each of the sorted runs `keys[offsets[i]:offsets[i + 1]]`, all at once."""
    counts = sizes_of(offsets)
    leaves = np.maximum(1, -(-counts // KEYS))
    depth = np.ones(len(counts), np.int64)
    inner = np.zeros(len(counts), np.int64)
    level = 1
    while len(deeper := np.flatnonzero(leaves > CHILDREN ** (level - 1))):
        level += 1
        depth[deeper], inner[deeper] = level, inner_nodes(level)
    sizes = inner + leaves
    base = np.cumsum(sizes) - sizes
    lines = np.full(KEYS * int(sizes.sum()), _NOTHING, np.uint32)
    owner, number = ragged(counts)
    lines[KEYS * (base + inner)[owner] + number] = keys
    for tree_depth in range(2, level + 1):
        trees = np.flatnonzero(depth == tree_depth)
        for row in range(tree_depth - 1):
            _fill_level(lines, keys, offsets[trees], counts[trees], base[trees], tree_depth, row)
    return Trees(lines, base, depth)


def _fill_level(
    lines: npt.NDArray[np.uint32],
    keys: npt.NDArray[np.uint32],
    offsets: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    base: npt.NDArray[np.int64],
    depth: int,
    row: int,
) -> None:
    """Set the keys of one inner level of trees of one depth."""
    below = KEYS * CHILDREN ** (depth - 2 - row)  # keys under one child
    owner, child = ragged((counts - 1) // below)
    separates = child % CHILDREN != KEYS  # a node's last child needs no key
    owner, child = owner[separates], child[separates]
    node = base[owner] + inner_nodes(row + 1) + child // CHILDREN
    lines[KEYS * node + child % CHILDREN] = keys[offsets[owner] + (child + 1) * below - 1]
