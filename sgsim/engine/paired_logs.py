"""The same flow-log records through two sets of rules: read once, judged twice, record by record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import tee
from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.engine.comparison import FlowChanges, Side
from sgsim.engine.interner import Interner, grown
from sgsim.engine.live import OpenConnections
from sgsim.engine.live_logs import LogConnections
from sgsim.engine.logs import LogOptions, LogReplay, LogVerdicts, replay_logs
from sgsim.engine.snapshot import Snapshot
from sgsim.kernels.tracking_layout import KEY_WORDS
from sgsim.verdicts import Verdict, Verdicts

__all__ = ["PairedLogs", "PairedLogsSummary"]

_OUTPUT = 1 << 16  #: rows in one batch of output, but for flows that have more of them
_FIELDS = (
    "family", "src_hi", "src_lo", "dst_hi", "dst_lo", "srcport", "dstport", "protocol", "icmp_type", "icmp_code",
    "fragment", "direction",
)  # fmt: skip
_HALF = np.uint64(32)


@dataclass(slots=True)
class PairedLogsSummary:
    """What is counted beside the changes: of records, by their verdict before and after (int64[3, 3]), packets and
    bytes, and how many they are; `late` as in LogSummary. `first` and `last` are seconds, None without records.
    """

    packets: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((3, 3), np.int64))
    bytes: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((3, 3), np.int64))
    records: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((3, 3), np.int64))
    flows: int = 0
    late: int = 0
    first: int | None = None
    last: int | None = None


class PairedLogs:
    """Batches of FlowChanges, whose paths are single ends: that is what a record shows. To be iterated once.

    `summary` and `live` are complete then; `at` (seconds) is the moment whose open connections are kept, None for the
    end.
    """

    def __init__(
        self,
        before: Snapshot,
        after: Snapshot,
        scan: Iterable[Any],
        options: LogOptions | None = None,
        *,
        at: int | None = None,
    ) -> None:
        self.before, self.after = before, after
        self.summary = PairedLogsSummary()
        one, other = tee(scan)
        self._old, self._new = replay_logs(before, one, options), replay_logs(after, other, options)
        self.live: OpenConnections | None = None  #: None where there was no record
        self._at, self._connections = at, LogConnections()
        self._rows = Interner()
        self._counts: npt.NDArray[np.int64] = np.empty((0, 4), np.int64)
        self._headers: list[dict[str, npt.NDArray[Any]]] = []

    def __iter__(self) -> Iterator[FlowChanges]:
        for old, new in zip(self._old, self._new, strict=True):
            assert np.array_equal(old.order, new.order), "the same records, in the same order"
            self._compare(old, new)
        summary, told = self.summary, self._old.summary
        summary.flows, summary.late = told.flows, told.late
        now = summary.last if self._at is None else self._at
        if now is not None:
            self.live = self._connections.open(self.before, self.after, now)
        yield from self._changes()

    def _compare(self, old: LogVerdicts, new: LogVerdicts) -> None:
        before, after, summary = old.verdicts, new.verdicts, self.summary
        pair = 3 * before.action.astype(np.int64) + after.action
        for name, weights in (("packets", before.packets), ("bytes", before.bytes), ("records", None)):
            getattr(summary, name).ravel()[:] += np.bincount(pair, weights, minlength=9).astype(np.int64)
        first, last = int(before.start.min()), int(before.end.max())
        summary.first = first if summary.first is None else min(summary.first, first)
        summary.last = last if summary.last is None else max(summary.last, last)
        self._connections.add(old, self._at)
        rows = np.flatnonzero(before.action != after.action)
        if len(rows):
            self._add(before, after, rows, old.recorded[rows] == Verdict.REJECT)

    def _add(
        self, before: Verdicts, after: Verdicts, rows: npt.NDArray[np.int64], refused: npt.NDArray[np.bool_]
    ) -> None:
        keys = np.zeros((len(rows), KEY_WORDS), np.uint64)
        keys[:, 0] = before.flow_id[rows]
        keys[:, 1] = _packed(before.interface[rows], after.interface[rows])
        keys[:, 2] = _packed(before.deciding_rule[rows], after.deciding_rule[rows])
        keys[:, 3] = _packed(before.match_set[rows], before.possible_set[rows])
        keys[:, 4] = _packed(after.match_set[rows], after.possible_set[rows])
        keys[:, 5] = _packed(_answer(before, rows), _answer(after, rows))
        keys[:, 6] = refused | (before.direction[rows].astype(np.uint64) << np.uint64(1))
        known = self._rows.count
        found = self._rows.intern(keys)
        self._counts = grown(self._counts, self._rows.count)
        new = self._counts[known : self._rows.count]
        new[:, :2], new[:, 2], new[:, 3] = 0, np.iinfo(np.int64).max, np.iinfo(np.int64).min
        np.add.at(self._counts[:, 0], found, before.packets[rows])
        np.add.at(self._counts[:, 1], found, before.bytes[rows])
        np.minimum.at(self._counts[:, 2], found, before.start[rows])
        np.maximum.at(self._counts[:, 3], found, before.end[rows])
        if len(new):
            first = rows[np.unique(found, return_index=True)[1][-len(new) :]]
            self._headers.append({name: getattr(before, name)[first] for name in _FIELDS})

    def _changes(self) -> Iterator[FlowChanges]:
        if not self._rows.count:
            return
        columns = {name: np.concatenate([part[name] for part in self._headers]) for name in _FIELDS}
        keys = self._rows.keys[: self._rows.count]
        order = np.argsort(keys[:, 0], kind="stable")
        flow_id, start = keys[order, 0].astype(np.int64), 0
        while start < len(order):
            stop = min(start + _OUTPUT, len(order))
            stop = int(np.searchsorted(flow_id, flow_id[stop - 1], side="right"))
            rows = order[start:stop]
            yield self._batch(keys[rows], self._counts[rows], {name: values[rows] for name, values in columns.items()})
            start = stop

    def _batch(
        self, keys: npt.NDArray[np.uint64], counts: npt.NDArray[np.int64], columns: dict[str, npt.NDArray[Any]]
    ) -> FlowChanges:
        flow_id = keys[:, 0].astype(np.int64)
        before, after = (_side(replay, keys, number) for number, replay in enumerate((self._old, self._new)))
        return FlowChanges(
            **columns,
            path_before=before.action,
            path_after=after.action,
            packets=counts[:, 0],
            bytes=counts[:, 1],
            first=counts[:, 2],
            last=counts[:, 3],
            flow_id=flow_id,
            connection=flow_id,
            connection_packets=counts[:, 0],
            connection_bytes=counts[:, 1],
            refused=(keys[:, 6] & np.uint64(1)).astype(np.bool_),
            before=before,
            after=after,
        )


def _answer(verdicts: Verdicts, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Action, reason and initiative in one number."""
    action, reason = verdicts.action[rows].astype(np.int64), verdicts.reason[rows].astype(np.int64)
    answer: npt.NDArray[np.int64] = action | reason << 2 | verdicts.initiating[rows].astype(np.int64) << 6
    return answer


def _packed(low: npt.NDArray[Any], high: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """Two 32-bit numbers in one."""
    halves = [half.astype(np.int32).view(np.uint32).astype(np.uint64) for half in (low, high)]
    packed: npt.NDArray[np.uint64] = halves[0] | halves[1] << _HALF
    return packed


def _halves(word: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
    return np.ascontiguousarray(word).view(np.int32).reshape(-1, 2)


def _side(replay: LogReplay, keys: npt.NDArray[np.uint64], number: int) -> Side:
    """The answers of one side (0 before, 1 after)."""
    answer, sets = _halves(keys[:, 5])[:, number], _halves(keys[:, 3 + number])
    return Side(
        judged=np.ones(len(keys), np.bool_),
        interface=_halves(keys[:, 1])[:, number],
        action=(answer & 3).astype(np.uint8),
        reason=(answer >> 2 & 15).astype(np.uint8),
        match_set=sets[:, 0],
        possible_set=sets[:, 1],
        deciding_rule=_halves(keys[:, 2])[:, number],
        initiating=(answer >> 6 & 1).astype(np.bool_),
        sets=replay.summary.sets,
    )
