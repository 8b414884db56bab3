"""Interning of match sets: equal sets of rules get one number, in the order in which they first occur.

A store is plain arrays. `slots` int32 is an open-addressing table of set numbers, -1 where empty, of a power-of-two
length; `hashes` uint64 one a set; set `i` is `members[offsets[i]:offsets[i + 1]]`. `counts` int64 is
[sets, members]. A kernel that runs out of room stops between two rows, and its caller gives it a larger store.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel

__all__ = ["SetStore", "has_room", "intern", "merge"]


class SetStore(NamedTuple):
    """Interned sets; set 0 is the empty one."""

    slots: npt.NDArray[np.int32]
    hashes: npt.NDArray[np.uint64]
    offsets: npt.NDArray[np.int64]
    members: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]


@helper
def has_room(store: SetStore, members: int) -> bool:
    """Whether one more set of up to `members` rules fits; the table is kept at most half full."""
    sets = store.counts[0]
    return bool(
        2 * (sets + 1) <= len(store.slots)
        and sets < len(store.hashes)
        and store.counts[1] + members <= len(store.members)
    )


@helper
def intern(store: SetStore, buffer: npt.NDArray[np.int32], size: int) -> int:
    """The number of the set in `buffer[:size]` (ascending rule indexes); the store must have room."""
    if size == 0:
        return 0
    code = np.uint64(size)
    for i in range(size):
        code = (code ^ np.uint64(buffer[i])) * np.uint64(0x9E3779B97F4A7C15)
        code ^= code >> np.uint64(29)
    mask = np.uint64(len(store.slots) - 1)
    slot = code & mask
    while True:
        found = store.slots[slot]
        if found < 0:
            break
        if store.hashes[found] == code and equal(store, found, buffer, size):
            return int(found)
        slot = (slot + np.uint64(1)) & mask
    sets, start = store.counts[0], store.counts[1]
    store.slots[slot] = sets
    store.hashes[sets] = code
    for i in range(size):
        store.members[start + i] = buffer[i]
    store.offsets[sets + 1] = start + size
    store.counts[0] = sets + 1
    store.counts[1] = start + size
    return int(sets)


@helper
def equal(store: SetStore, number: int, buffer: npt.NDArray[np.int32], size: int) -> bool:
    """Whether set `number` is `buffer[:size]`."""
    start = store.offsets[number]
    if store.offsets[number + 1] - start != size:
        return False
    same = True
    for i in range(size):
        same &= store.members[start + i] == buffer[i]
    return same


@kernel
def merge(
    start: int,
    offsets: npt.NDArray[np.int64],
    members: npt.NDArray[np.int32],
    buffer: npt.NDArray[np.int32],
    store: SetStore,
    numbers: npt.NDArray[np.int32],
) -> int:
    """Put foreign sets from `start` on into a store; `numbers[i]` is what set i becomes.

    `buffer` is as long as the largest set. Returns how far it came, short of the end if the store is full.
    """
    for number in range(start, len(offsets) - 1):
        if not has_room(store, len(buffer)):
            return number
        size = offsets[number + 1] - offsets[number]
        for i in range(size):
            buffer[i] = members[offsets[number] + i]
        numbers[number] = intern(store, buffer, size)
    return len(offsets) - 1
