"""When traffic was observed: from when to when, on which days, and where nothing was seen for long."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["LONG", "Coverage", "Gap", "Window"]

SLOT = 600  #: seconds; the longest aggregation interval of flow logs
LONG = 3600  #: seconds without a record that make a gap
DAY = 86_400
_MOST_SLOTS = 1 << 18  #: five years of slots


@dataclass(frozen=True, slots=True)
class Gap:
    """No record from `start` to `end` (seconds since the epoch), to about ten minutes: a pause, or no traffic."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Window:
    """When records were seen. `days` are calendar days (UTC) from the first to the last record, `days_seen` those
    that have records. Times are seconds since the epoch, None without any record."""

    records: int = 0
    start: int | None = None
    end: int | None = None
    days: int = 0
    days_seen: int = 0
    gaps: tuple[Gap, ...] = ()

    @property
    def seconds(self) -> int:
        """From the first to the last record."""
        return 0 if self.start is None or self.end is None else self.end - self.start


class Coverage:
    """Collects the times of records. Memory is bounded: slots are made longer when there are too many."""

    def __init__(self) -> None:
        self._records = 0
        self._start: int | None = None
        self._end: int | None = None
        self._slot = SLOT
        self._slots: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._days: npt.NDArray[np.int64] = np.empty(0, np.int64)

    def add(self, start: npt.NDArray[np.int64], end: npt.NDArray[np.int64], *, records: bool = True) -> None:
        """Records with these first and last seconds (or, unless `records`, what shows that somebody looked).

        A record is evidence of these two moments only.
        """
        if not len(start):
            return
        self._records += len(start) * records
        first, last = int(start.min()), int(end.max())
        self._start = first if self._start is None else min(self._start, first)
        self._end = last if self._end is None else max(self._end, last)
        self._slots = np.union1d(self._slots, np.union1d(start // self._slot, end // self._slot))
        if len(self._days) < _MOST_SLOTS:  # beyond it times are not times
            self._days = np.union1d(self._days, np.union1d(start // DAY, end // DAY))[:_MOST_SLOTS]
        while len(self._slots) > _MOST_SLOTS:
            self._slot *= 2
            self._slots = np.unique(self._slots // 2)

    def window(self) -> Window:
        """What was seen so far."""
        if self._start is None or self._end is None:
            return Window()
        empty = (np.diff(self._slots) - 1) * self._slot
        long = np.flatnonzero(empty >= max(LONG, self._slot))
        gaps = tuple(
            Gap(int(self._slots[n] + 1) * self._slot, int(self._slots[n + 1]) * self._slot) for n in long.tolist()
        )
        days = self._end // DAY - self._start // DAY + 1
        return Window(self._records, self._start, self._end, days, len(self._days), gaps)
