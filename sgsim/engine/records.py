"""Answers of packets to records, as a flow log has them: one per flow end, action and interval (§9.4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.engine.flowstore import FlowStore
from sgsim.engine.interner import grown
from sgsim.engine.keys import flow_fields
from sgsim.engine.timeline import Deciding
from sgsim.engine.tracking import Prepared, Tracker
from sgsim.engine.views import View
from sgsim.flows import EGRESS, INGRESS, NO_INTERFACE
from sgsim.kernels.tracking_layout import (
    ABOUT_FLOW_ID,
    ABOUT_OBSERVED,
    ACCOUNT_FLOW,
    ACTION_MASK,
    END_COUNTED,
    END_INTERFACE,
    END_SIDE,
    HEAD_KIND,
    HOT_FIRST,
    HOT_HEAD,
    HOT_RULES,
    HOT_WORDS,
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
    TOTALS_UNSEEN,
    WHOLE_ANSWER,
    Accounts,
)
from sgsim.model import Direction
from sgsim.verdicts import Reason, TimedVerdicts, Verdict, Verdicts

__all__ = ["RecordTable"]

_SECOND = 1_000_000_000
_BATCH = 1 << 16  #: records in one batch of output at most
_NO_WORDS = np.empty((0, 2), np.int32)
_NOTHING_DECIDED = np.empty((0, 3), np.int32)
_EVER = np.iinfo(np.int64).min, np.iinfo(np.int64).max


class RecordTable:
    """The records of the open interval, given out when a packet of another interval comes.

    `aggregation` is the interval's length in seconds, aligned to the epoch, None for one interval that never ends.
    Time that runs backwards over a boundary opens the earlier interval again: its late packets make records of
    their own, as a flow log's do. Of the records, those of `interfaces` (ids) and `direction` are given out.
    With `apart`, a record also ends where reason, rules or initiative change: they are then those of all its packets.

    While an interval is open its packets are counted in the accounts of their micro-flows (see
    `sgsim.kernels.tracking_layout`), where tracking has to look anyway; records are made of them at its end.
    """

    def __init__(
        self,
        tracker: Tracker,
        aggregation: int | None,
        interfaces: frozenset[str] | None = None,
        direction: Direction | None = None,
        *,
        apart: bool = False,
    ) -> None:
        self._same = WHOLE_ANSWER if apart else ACTION_MASK
        self._tracker, self._store = tracker, tracker.store
        self._length = None if aggregation is None else aggregation * _SECOND
        self._interfaces = interfaces
        self._direction = direction
        self.version = 0  #: of the configuration that the packets of the open interval are judged under
        self.deciding: Deciding | None = None  #: set where there are several
        #: By flow end, whole packets and later fragments apart: the last version that judged it, and what decided that.
        self._decided = _NOTHING_DECIDED
        self._active: npt.NDArray[np.int32] = np.empty(0, np.int32)
        self._closed: npt.NDArray[np.int64] = np.empty((0, HOT_WORDS), np.int64)
        self._counts = np.zeros(3, np.int64)
        self._interval = np.array([*(_EVER if aggregation is None else (0, 0)), self._same], np.int64)
        self.totals: npt.NDArray[np.int64] = np.zeros((TOTALS_UNSEEN + 1, len(Verdict)), np.int64)
        self.hits: npt.NDArray[np.int64] = np.zeros(1, np.int64)
        self.disagreements = 0

    def add(self, prepared: Prepared) -> Iterator[Verdicts]:
        """Judge packets and add them to their records; gives out the intervals that they end."""
        time = prepared.packets.time
        n, at = len(time), 0
        while True:
            self._active = grown(self._active, int(self._counts[0]) + n - at)
            self._closed = grown(self._closed, int(self._counts[1]) + n - at)
            accounts = Accounts(self._active, self._closed, self._counts, self._interval, self.totals)
            at = self._tracker.run(prepared, at, _NO_WORDS, accounts)
            if at == n:
                return
            yield from self.flush()
            assert self._length is not None
            start = int(time[at]) // self._length * self._length
            self._interval = np.array([start, start + self._length, self._same], np.int64)

    def flush(self) -> Iterator[Verdicts]:
        """Give out all open records, by flow, the sender's end first, in batches."""
        records = self._records()
        store = self._store
        flow_id = store.about[records[:, RECORD_FLOW], ABOUT_FLOW_ID].astype(np.int64)
        order = np.argsort(2 * flow_id + store.ends[records[:, RECORD_END], END_SIDE], kind="stable")
        order = order[self._asked(records[order])]
        for start in range(0, len(order), _BATCH):
            yield self._verdicts(records[order[start : start + _BATCH]])

    def moved(self, flows: npt.NDArray[np.int32]) -> None:
        """Follow micro-flows to where `FlowStore.forget` put them."""
        self._decided = _NOTHING_DECIDED
        active, closed = self._active[: self._counts[0]], self._closed[: self._counts[1]]
        active[:] = flows[active]
        closed[:, ACCOUNT_FLOW] = flows[closed[:, ACCOUNT_FLOW]]

    def _records(self) -> npt.NDArray[np.int64]:
        """Make the records of all accounts, and close these."""
        from sgsim.kernels.records import make_records

        store, active = self._store, self._active[: self._counts[0]]
        accounts = store.hot[active]
        accounts[:, ACCOUNT_FLOW] = active
        store.hot[active, HOT_HEAD] &= HEAD_KIND
        if self._counts[1]:
            accounts = np.concatenate([self._closed[: self._counts[1]], accounts])
            accounts = accounts[np.argsort(accounts[:, HOT_FIRST], kind="stable")]
        self._counts[:2] = 0
        records = np.empty((2 * len(accounts), RECORD_WORDS), np.int64)
        count = make_records(accounts, accounts.view(np.int32), store.about, store.ends, records, self._same)
        records = records[:count]
        store.ends[records[:, RECORD_END], records[:, RECORD_ANSWER] & ACTION_MASK] = -1
        return records

    def _asked(self, records: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which records the user wants to see."""
        wanted = np.ones(len(records), np.bool_)
        if self._interfaces is not None:
            ids = self._tracker.interface_ids
            wanted &= np.isin(self._interface(records), [n for n, name in enumerate(ids) if name in self._interfaces])
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
        about = store.about[records[:, RECORD_FLOW]]
        columns = flow_fields(store.flows.keys[records[:, RECORD_FLOW]])
        direction = self._directions(records)
        hit = (answers.reason == Reason.RULE) & (answers.action == Verdict.ACCEPT) & answers.initiating
        self._count_hits(records[hit, RECORD_END], answers.match_set[hit], len(answers.sets))
        against = (answers.action == Verdict.REJECT) & (direction == INGRESS) & (about[:, ABOUT_OBSERVED] == 1)
        self.disagreements += int(records[against, RECORD_PACKETS].sum())
        made = Verdicts(
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
            flow_id=about[:, ABOUT_FLOW_ID].astype(np.int64),
            path_action=(words >> RECORD_PATH_SHIFT).astype(np.uint8),
            sets=answers.sets,
        )
        return made if self.deciding is None else self._timed(made, records, self.deciding)

    def _timed(self, made: Verdicts, records: npt.NDArray[np.int64], deciding: Deciding) -> TimedVerdicts:
        """The records with their version, and the change behind what rules say of them now."""
        store, flow, end = self._store, records[:, RECORD_FLOW], records[:, RECORD_END]
        side = store.ends[end, END_SIDE]
        # Of a reply that a connection lets through, rules decide nothing.
        asked = (made.interface >= 0) & ~((made.reason == Reason.TRACKED) & ~made.initiating)
        place = 2 * end + made.fragment
        if len(self._decided) < 2 * store.end_keys.count:
            more = np.zeros((4 * store.end_keys.count - len(self._decided), 3), np.int32)
            self._decided = np.concatenate([self._decided, more])
        first = np.unique(place[asked], return_index=True)[1]
        rows = np.flatnonzero(asked)[first]
        known = self._decided[place[rows]]
        known[known[:, 0] > self.version] = 0  # time ran backwards
        rules = store.halves[flow[rows], HOT_RULES + side[rows]]
        action = store.rules.table[rules, 0].astype(np.uint8)

        def judged(view: View, which: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
            at = rows[which]
            return store.actions(view, flow[at], side[at], made.interface[at])

        change, before = deciding.of(self.version, made.interface[rows], action, judged, known[:, 0])
        new = np.stack([np.full(len(rows), self.version), change, before], axis=1).astype(np.int32)
        new[change == 0, 1:] = known[change == 0, 1:]
        self._decided[place[rows]] = new
        told = np.where(asked[:, None], self._decided[place], 0)
        columns = {field.name: getattr(made, field.name) for field in fields(made)}
        version = np.full(len(made), self.version, np.int32)
        return TimedVerdicts(
            **columns, snapshot=version, change=told[:, 1].astype(np.int32), before=told[:, 2].astype(np.uint8)
        )

    def _count_hits(self, ends: npt.NDArray[Any], match_sets: npt.NDArray[np.int32], sets: int) -> None:
        """Count flow ends that no earlier interval has counted."""
        if len(self.hits) < sets:
            self.hits = np.concatenate([self.hits, np.zeros(sets - len(self.hits), np.int64)])
        new = self._store.ends[ends, END_COUNTED] == 0
        self._store.ends[ends[new], END_COUNTED] = 1
        self.hits += np.bincount(match_sets[new], minlength=len(self.hits))
