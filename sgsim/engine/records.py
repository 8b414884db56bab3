"""Answers of packets to records, as a flow log has them: one per flow end, action and interval (§9.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.engine.flowstore import FlowStore
from sgsim.engine.interner import grown
from sgsim.engine.keys import flow_fields
from sgsim.engine.tracking import Tracked, Tracker
from sgsim.flows import EGRESS, INGRESS, NO_INTERFACE
from sgsim.kernels.tracking_layout import (
    END_COUNTED,
    END_INTERFACE,
    END_SIDE,
    HOT_FLOW_ID,
    HOT_OBSERVED,
    RECORD_ANSWER,
    RECORD_BYTES,
    RECORD_END,
    RECORD_FLAGS,
    RECORD_FLOW,
    RECORD_LAST,
    RECORD_PACKETS,
    RECORD_PATH_SHIFT,
    RECORD_START,
    RECORD_WORDS,
    TOTALS_PATH,
)
from sgsim.model import Direction
from sgsim.verdicts import Reason, Verdict, Verdicts

__all__ = ["RecordTable"]

_SECOND = 1_000_000_000
_BATCH = 1 << 16  #: records in one batch of output at most
_EVER = np.array([np.iinfo(np.int64).min, np.iinfo(np.int64).max], np.int64)


class RecordTable:
    """The records of the open interval, given out when a packet of another interval comes.

    `aggregation` is the interval's length in seconds, aligned to the epoch, None for one interval that never ends.
    Time that runs backwards over a boundary opens the earlier interval again: its late packets make records of
    their own, as a flow log's do. Of the records, those of `interfaces` (indexes) and `direction` are given out.
    """

    def __init__(
        self,
        tracker: Tracker,
        aggregation: int | None,
        interfaces: frozenset[int] | None = None,
        direction: Direction | None = None,
    ) -> None:
        self._tracker, self._store = tracker, tracker.store
        self._length = None if aggregation is None else aggregation * _SECOND
        self._interval = _EVER if aggregation is None else np.zeros(2, np.int64)
        self._interfaces = None if interfaces is None else np.array(sorted(interfaces), np.int32)
        self._direction = direction
        self._records: npt.NDArray[np.int64] = np.empty((0, RECORD_WORDS), np.int64)
        self._count = 0
        self.totals: npt.NDArray[np.int64] = np.zeros((TOTALS_PATH + 1, len(Verdict)), np.int64)
        self.hits: npt.NDArray[np.int64] = np.zeros(1, np.int64)
        self.disagreements = 0

    def add(self, tracked: Tracked) -> Iterator[Verdicts]:
        """Add judged packets; gives out the intervals that they end."""
        from sgsim.kernels.records import aggregate

        packets, words = tracked
        n, at = len(packets.flow), 0
        while True:
            self._records = grown(self._records, self._count + 2 * (n - at))
            at, self._count = aggregate(
                packets, words, self._store.hot, self._store.ends, self._records, self._count, at, self._interval,
                self.totals,
            )  # fmt: skip
            if at == n:
                return
            yield from self.flush()
            assert self._length is not None
            start = int(packets.time[at]) // self._length * self._length
            self._interval = np.array([start, start + self._length], np.int64)

    def flush(self) -> Iterator[Verdicts]:
        """Give out all open records, by flow, the sender's end first, in batches."""
        records = self._records[: self._count]
        if not self._count:
            return
        store = self._store
        actions = records[:, RECORD_ANSWER] & 3
        store.ends[records[:, RECORD_END], actions] = -1
        flow_id = store.hot[records[:, RECORD_FLOW], HOT_FLOW_ID].astype(np.int64)
        order = np.argsort(2 * flow_id + store.ends[records[:, RECORD_END], END_SIDE], kind="stable")
        order = order[self._asked(records[order])]
        self._count = 0
        for start in range(0, len(order), _BATCH):
            yield self._verdicts(records[order[start : start + _BATCH]])

    def moved(self, flows: npt.NDArray[np.int32], ends: npt.NDArray[np.int32]) -> None:
        """Follow rows of the store to where `FlowStore.forget` put them."""
        records = self._records[: self._count]
        records[:, RECORD_FLOW] = flows[records[:, RECORD_FLOW]]
        records[:, RECORD_END] = ends[records[:, RECORD_END]]

    def _asked(self, records: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which records the user wants to see."""
        wanted = np.ones(len(records), np.bool_)
        if self._interfaces is not None:
            wanted &= np.isin(self._interface(records), self._interfaces)
        if self._direction is not None:
            known = self._interface(records) != NO_INTERFACE
            wanted &= known & (self._directions(records) == int(self._direction))
        return wanted

    def _interface(self, records: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        found: npt.NDArray[np.int32] = self._store.ends[records[:, RECORD_END], END_INTERFACE]
        return found

    def _directions(self, records: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        side = self._store.ends[records[:, RECORD_END], END_SIDE]
        return np.where(side == 0, EGRESS, INGRESS).astype(np.uint8)

    def _verdicts(self, records: npt.NDArray[np.int64]) -> Verdicts:
        """Records as columns; hits and disagreements are counted on the way."""
        store: FlowStore = self._store
        words = records[:, RECORD_ANSWER]
        answers = self._tracker.answers((words & 0xFFFFFFFF).astype(np.uint32).view(np.int32))
        hot = store.hot[records[:, RECORD_FLOW]]
        columns = flow_fields(store.flows.keys[records[:, RECORD_FLOW]])
        direction = self._directions(records)
        hit = (answers.reason == Reason.RULE) & (answers.action == Verdict.ACCEPT) & answers.initiating
        self._count_hits(records[hit, RECORD_END], answers.match_set[hit], len(answers.sets))
        against = (answers.action == Verdict.REJECT) & (direction == INGRESS) & (hot[:, HOT_OBSERVED] == 1)
        self.disagreements += int(records[against, RECORD_PACKETS].sum())
        return Verdicts(
            interface=self._interface(records),
            direction=direction,
            family=columns.family,
            src_hi=columns.src_hi,
            src_lo=columns.src_lo,
            dst_hi=columns.dst_hi,
            dst_lo=columns.dst_lo,
            srcport=columns.srcport,
            dstport=columns.dstport,
            protocol=columns.protocol,
            icmp_type=columns.icmp_type,
            icmp_code=columns.icmp_code,
            fragment=columns.later,
            packets=records[:, RECORD_PACKETS].copy(),
            bytes=records[:, RECORD_BYTES].copy(),
            start=records[:, RECORD_START] // _SECOND,
            end=records[:, RECORD_LAST] // _SECOND,
            tcp_flags=records[:, RECORD_FLAGS].astype(np.uint8),
            action=answers.action,
            reason=answers.reason,
            match_set=answers.match_set,
            possible_set=answers.possible_set,
            deciding_rule=answers.deciding_rule,
            initiating=answers.initiating,
            flow_id=hot[:, HOT_FLOW_ID].astype(np.int64),
            path_action=(words >> RECORD_PATH_SHIFT).astype(np.uint8),
            sets=answers.sets,
        )

    def _count_hits(self, ends: npt.NDArray[Any], match_sets: npt.NDArray[np.int32], sets: int) -> None:
        """Count flow ends that no earlier interval has counted."""
        if len(self.hits) < sets:
            self.hits = np.concatenate([self.hits, np.zeros(sets - len(self.hits), np.int64)])
        new = self._store.ends[ends, END_COUNTED] == 0
        self._store.ends[ends[new], END_COUNTED] = 1
        self.hits += np.bincount(match_sets[new], minlength=len(self.hits))
