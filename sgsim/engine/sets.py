"""The growing store of interned match sets behind one call of `evaluate`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from sgsim.kernels.match_sets import SetStore, merge
from sgsim.verdicts import MatchSets

__all__ = ["GrowingSets"]

_FIRST_SETS, _FIRST_MEMBERS = 1 << 12, 1 << 14


class GrowingSets:
    """Lends its store to kernels and enlarges it when they say that it is full."""

    def __init__(self) -> None:
        self._store = _empty(_FIRST_SETS, _FIRST_MEMBERS)

    def run(self, kernel: Callable[[int, SetStore], int], rows: int, room: int) -> None:
        """Call `kernel(start, store)` until it has done all rows; `room` is the largest set that it may add."""
        done = 0
        while done < rows:
            self._reserve(room)
            done = kernel(done, self._store)

    def add(self, sets: MatchSets) -> npt.NDArray[np.int32]:
        """Intern foreign sets (which may hold equal ones); returns the number of each here."""
        numbers = np.zeros(len(sets), np.int32)
        largest = int(np.diff(sets.offsets).max(initial=0)) + 1
        buffer = np.empty(largest, np.int32)
        self.run(
            lambda start, store: merge(start, sets.offsets, sets.members, buffer, store, numbers), len(sets), largest
        )
        return numbers

    def match_sets(self) -> MatchSets:
        """The sets interned so far."""
        sets, members = self._store.counts.tolist()
        return MatchSets(self._store.offsets[: sets + 1].copy(), self._store.members[:members].copy())

    def _reserve(self, room: int) -> None:
        """Make room for at least one more set; what is nearly full is doubled."""
        old = self._store
        sets, members = old.counts.tolist()
        capacity, size = len(old.hashes), len(old.members)
        if sets < capacity - 1 and members + room <= size:
            return
        new = _empty(2 * capacity if sets >= capacity - 1 else capacity, max(2 * size, members + 2 * room))
        new.hashes[:sets] = old.hashes[:sets]
        new.offsets[: sets + 1] = old.offsets[: sets + 1]
        new.members[:members] = old.members[:members]
        new.counts[:] = old.counts
        _place(new, sets)
        self._store = new


def _empty(capacity: int, members: int) -> SetStore:
    return SetStore(
        slots=np.full(4 * capacity, -1, np.int32),
        hashes=np.zeros(capacity, np.uint64),
        offsets=np.zeros(capacity + 1, np.int64),
        members=np.empty(members, np.int32),
        counts=np.array([1, 0], np.int64),
    )


def _place(store: SetStore, sets: int) -> None:
    """Put sets 1 … into the slots by their hashes, as the kernel would: linear probing, all at once.

    Sets whose slot is taken try the next one in the next round; a slot goes to the lowest of those that want it.
    """
    mask = np.uint64(len(store.slots) - 1)
    waiting = np.arange(1, sets, dtype=np.int64)
    wanted = store.hashes[1:sets] & mask
    while len(waiting):
        free = store.slots[wanted] < 0
        winners, first = np.unique(wanted[free], return_index=True)
        placed = np.flatnonzero(free)[first]
        store.slots[winners] = waiting[placed]
        left = np.ones(len(waiting), np.bool_)
        left[placed] = False
        waiting, wanted = waiting[left], (wanted[left] + np.uint64(1)) & mask
