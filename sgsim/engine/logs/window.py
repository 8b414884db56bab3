"""Records put into the order of their start: held until no file can bring an earlier one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Held", "JoinWindow"]

_LEAST = 1 << 16  #: records that are looked through, and given out, in one go: about so many


@dataclass(frozen=True, slots=True)
class Held:
    """n records, as narrow columns. `flow` is the log flow; `order` the number of the record in the whole input;
    `refusal` the number of the log's reject reason, -1 for none.

    Times are seconds; `tcp_flags` and `packets`, `bytes` -1 where not told; `recorded` as `FlowLogBatch.action`.
    """

    flow: npt.NDArray[np.int32]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    tcp_flags: npt.NDArray[np.int16]
    recorded: npt.NDArray[np.uint8]
    packets: npt.NDArray[np.int64]
    bytes: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]
    refusal: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.flow)

    def at(self, rows: Any) -> Held:
        """Some of the records."""
        return Held(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def joined(cls, parts: list[Held]) -> Held:
        """All records of several parts, in order."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


class JoinWindow:
    """Holds records back for `seconds`: what a later file brings may have begun before what an earlier one brought.

    Files that begin anew at an earlier time (another account, another copy) end the wait: everything held is given
    out first. Memory is one window of records, and a quarter more.
    """

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._parts: list[Held] = []
        self._latest = -1
        self._new = self._kept = 0

    def add(self, records: Held) -> Iterator[Held]:
        """Take records; gives out those that are due, by start, equal ones in the order of the input.

        They come in parts that cut no second in two. What is held is looked through each time, so that this waits
        until as much has come as a quarter of it.
        """
        if not len(records):
            return
        if int(records.start.max()) < self._latest - self._seconds:
            yield from self.flush()
        self._latest = max(self._latest, int(records.start.max()))
        self._parts.append(records)
        self._new += len(records)
        if self._new >= max(_LEAST, self._kept // 4):
            yield from self._release(self._latest - self._seconds)

    def flush(self) -> Iterator[Held]:
        """Give out everything."""
        yield from self._release(self._latest)
        self._latest = -1

    def flows(self) -> Iterator[npt.NDArray[np.int32]]:
        """The log flows that held records belong to."""
        return (part.flow for part in self._parts)

    def moved(self, connections: npt.NDArray[np.int32]) -> None:
        """Follow log flows to where their connections went."""
        parts = self._parts
        self._parts = [replace(part, flow=2 * connections[part.flow >> 1] + (part.flow & 1)) for part in parts]

    def _release(self, until: int) -> Iterator[Held]:
        """Give out what starts at `until` or before. What a batch brought began at about one time, so that most
        batches go or stay as a whole."""
        due, kept = [], []
        for part in self._parts:
            early = part.start <= until
            if early.all():
                due.append(part)
            elif early.any():
                due.append(part.at(early))
                kept.append(part.at(~early))
            else:
                kept.append(part)
        self._parts = kept
        self._new, self._kept = 0, sum(map(len, kept))
        if due:
            records = Held.joined(due) if len(due) > 1 else due[0]
            due.clear()
            yield from _by_start(records)


def _by_start(records: Held) -> Iterator[Held]:
    """The records in order of their start, in parts of about _LEAST that cut no second in two."""
    order = _order(records.start)
    start, at = records.start[order], 0
    while at < len(order):
        stop = int(np.searchsorted(start, start[min(at + _LEAST, len(order)) - 1], side="right"))
        yield records.at(order[at:stop])
        at = stop


def _order(start: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A stable order by start; 16 bits are sorted by radix, many times faster than 64."""
    base = int(start.min())
    span = int(start.max()) - base
    keys = (start - base).astype(np.uint16) if span < 1 << 16 else start
    order: npt.NDArray[np.int64] = np.argsort(keys, kind="stable")
    return order
