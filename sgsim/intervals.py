"""Sets of integers as sorted disjoint ranges: addresses, ports, services.

    one  = Intervals.of([(80, 80), (443, 443)])          both ends included, in any order, overlapping or not
    more = one | Intervals.of([(81, 442)])
    more == Intervals.of([(80, 443)])                     True: neighbours are joined

There is one form for every set, so `==` and `hash` are those of the set. Integers may be of any size (IPv6 addresses
are); `of_arrays` and `contain` work on numpy columns for what fits 64 bits.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["EMPTY", "Intervals", "union_of"]


@dataclass(frozen=True, slots=True)
class Intervals:
    """A set of integers.

    `bounds` are strictly increasing and even in number: the set is [b0, b1) ∪ [b2, b3) ∪ …, its ranges neither
    overlap nor touch. Law: two values are equal, and hash alike, exactly if they hold the same integers; every
    operation keeps this form.
    """

    bounds: tuple[int, ...] = ()

    @classmethod
    def of(cls, ranges: Iterable[tuple[int, int]]) -> Intervals:
        """The union of ranges (first, last), both included, in any order."""
        return cls.half_open([(first, last + 1) for first, last in ranges])

    @classmethod
    def half_open(cls, ranges: Iterable[tuple[int, int]]) -> Intervals:
        """The union of ranges [first, end), in any order; empty ones are allowed."""
        bounds: list[int] = []
        for first, end in sorted(ranges):
            if first >= end:
                continue
            if bounds and first <= bounds[-1]:
                if end > bounds[-1]:
                    bounds[-1] = end
            else:
                bounds += (first, end)
        return cls(tuple(bounds))

    @classmethod
    def of_arrays(cls, first: npt.NDArray[Any], last: npt.NDArray[Any]) -> Intervals:
        """The union of n ranges given as integer columns, both ends included and below 2**63: 0.2 µs a range."""
        if not len(first):
            return EMPTY
        order = np.argsort(first, kind="stable")
        starts = np.asarray(first, np.int64)[order]
        ends = np.maximum.accumulate(np.asarray(last, np.int64)[order]) + 1
        heads = np.flatnonzero(np.concatenate(([True], starts[1:] > ends[:-1])))
        tails = np.concatenate((heads[1:] - 1, [len(starts) - 1]))
        return cls(tuple(np.stack((starts[heads], ends[tails]), axis=1).ravel().tolist()))

    # -- questions -------------------------------------------------------------------------------------------------

    def __bool__(self) -> bool:
        return bool(self.bounds)

    def __len__(self) -> int:
        """How many ranges there are; `size` counts the integers."""
        return len(self.bounds) // 2

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """The ranges (first, last), ascending, both ends included."""
        bounds = iter(self.bounds)
        return ((first, end - 1) for first, end in zip(bounds, bounds))

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int) and bisect_right(self.bounds, value) % 2 == 1

    def contain(self, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Which of n integers (below 2**63) the set holds."""
        inside: npt.NDArray[np.bool_] = np.searchsorted(np.array(self.bounds, np.int64), values, "right") % 2 == 1
        return inside

    @property
    def size(self) -> int:
        """How many integers the set holds."""
        return sum(self.bounds[1::2]) - sum(self.bounds[::2])

    @property
    def first(self) -> int:
        """The smallest integer of a set that is not empty."""
        return self.bounds[0]

    def __le__(self, other: Intervals) -> bool:
        """Whether every integer of this set is in the other."""
        return not (self - other)

    def overlaps(self, first: int, end: int) -> bool:
        """Whether some integer of [first, end) is in the set."""
        place = bisect_right(self.bounds, first)
        return place % 2 == 1 or (place < len(self.bounds) and self.bounds[place] < end)

    # -- algebra ---------------------------------------------------------------------------------------------------

    def __or__(self, other: Intervals) -> Intervals:
        if not other.bounds or self.bounds == other.bounds:
            return self
        if not self.bounds:
            return other
        return union_of((self, other))

    def __and__(self, other: Intervals) -> Intervals:
        a, b = self.bounds, other.bounds
        if not a or not b or a[-1] <= b[0] or b[-1] <= a[0]:
            return EMPTY
        if len(b) == 2:
            return self.clip(*b)
        bounds: list[int] = []
        i = j = 0
        while i < len(a) and j < len(b):
            first, end = max(a[i], b[j]), min(a[i + 1], b[j + 1])
            if first < end:
                bounds += (first, end)
            if a[i + 1] < b[j + 1]:
                i += 2
            else:
                j += 2
        return Intervals(tuple(bounds))

    def __sub__(self, other: Intervals) -> Intervals:
        a, b = self.bounds, other.bounds
        if not a or not b or a[-1] <= b[0] or b[-1] <= a[0]:
            return self
        bounds: list[int] = []
        j = 0
        for i in range(0, len(a), 2):
            first, end = a[i], a[i + 1]
            while j < len(b) and b[j + 1] <= first:
                j += 2
            k = j
            while k < len(b) and b[k] < end:
                if first < b[k]:
                    bounds += (first, b[k])
                first = b[k + 1]
                k += 2
            if first < end:
                bounds += (first, end)
        return Intervals(tuple(bounds))

    def complement(self, end: int) -> Intervals:
        """The integers of [0, end) that the set does not hold."""
        return Intervals((0, end)) - self if end > 0 else EMPTY

    def clip(self, first: int, end: int) -> Intervals:
        """The part of the set inside [first, end)."""
        if first >= end:
            return EMPTY
        low, high = bisect_right(self.bounds, first), bisect_left(self.bounds, end)
        begins = (first,) if low % 2 else ()
        ends = (end,) if high % 2 else ()
        return Intervals((*begins, *self.bounds[low:high], *ends))

    # -- blocks ----------------------------------------------------------------------------------------------------

    def blocks(self, width: int) -> Iterator[tuple[int, int]]:
        """The fewest CIDR blocks (network, prefix length) that make up the set, ascending; `width` is 32 or 128."""
        for first, last in self:
            while first <= last:
                size = (last - first + 1).bit_length() - 1
                if first:
                    size = min(size, (first & -first).bit_length() - 1)
                yield first, width - size
                first += 1 << size


EMPTY = Intervals()


def union_of(sets: Iterable[Intervals]) -> Intervals:
    """The union of many sets."""
    ranges: list[tuple[int, int]] = []
    for each in sets:
        bounds = iter(each.bounds)
        ranges.extend(zip(bounds, bounds))
    return Intervals.half_open(ranges)
