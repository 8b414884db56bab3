"""The same captured packets through two sets of rules: decoded and grouped once, judged and tracked twice.

Each side is what a replay of its own would be; no record is made, only what differs is kept (`FlowChanges`). Memory
follows the flows of open connections, on either side, and the flows that differ until they are forgotten.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sgsim.engine.comparison import FlowChanges, Side
from sgsim.engine.flowstore import Arrivals
from sgsim.engine.interner import Interner, grown
from sgsim.engine.keys import flow_fields
from sgsim.engine.live import OpenConnections, open_connections
from sgsim.engine.snapshot import Snapshot
from sgsim.engine.spans import Span, windows
from sgsim.engine.tracking import Prepared, Tracker
from sgsim.errors import ModelError
from sgsim.flows import EGRESS, INGRESS
from sgsim.kernels.tracking_layout import (
    ABOUT_FLOW_ID,
    ABOUT_PUBLIC,
    HOT_CONNECTION,
    KEY_WORDS,
)
from sgsim.packets import PacketBatch
from sgsim.traffic.ahead import ahead

__all__ = ["PairedOptions", "PairedReplay", "PairedSummary"]

_SECOND = 1_000_000_000
_WINDOW, _SPAN = 1 << 17, 1 << 14  #: packets whose new flows are judged, and that are tracked, in one go
_REMEMBERED, _GROWTH = 1 << 19, 2  #: micro-flows before anything is forgotten, and when it is done again
_OUTPUT = 1 << 16  #: rows in one batch of output, but for flows that have more of them
_FLOW_BITS = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class PairedOptions:
    """As in ReplayOptions; `at` (ns) is the moment whose open connections are kept, None for the end."""

    vantage: str | None = None
    vpc_id: str | None = None
    threads: int | None = None
    at: int | None = None


@dataclass(slots=True)
class PairedSummary:
    """What is counted beside the changes. `packets` and `bytes` are int64[3, 3]: by the path's verdict before, after.

    `public_packets` counts packets that show a public address of an interface, which is no end of a flow.
    """

    packets: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((3, 3), np.int64))
    bytes: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((3, 3), np.int64))
    flows: int = 0
    public_packets: int = 0
    first_ns: int | None = None
    last_ns: int | None = None


class PairedReplay:
    """Batches of FlowChanges. To be iterated once; `summary` and `live` are complete then."""

    def __init__(
        self, before: Snapshot, after: Snapshot, scan: Iterable[PacketBatch], options: PairedOptions | None = None
    ) -> None:
        self.before, self.after = before, after
        self.options = PairedOptions() if options is None else options
        self.summary = PairedSummary()
        self.live: OpenConnections | None = None  #: None where there was no packet
        for snapshot in (before, after):
            if self.options.vantage and self.options.vantage not in snapshot.environment.interfaces:
                raise ModelError(f"interface {self.options.vantage} is not in the environment")
        asked = self.options
        old, new = (
            Tracker(one, vantage=asked.vantage, vpc_id=asked.vpc_id, threads=asked.threads) for one in (before, after)
        )
        self._trackers = old, new
        self._trackers[1].store.share_flows(self._trackers[0].store)
        self._scan = scan
        self._traffic: npt.NDArray[np.int64] = np.empty((0, 2), np.int64)
        self._totals = np.zeros((3, 3, 2), np.int64)
        self._ledger = _Ledger()
        self._forget_at = _REMEMBERED
        self._forgotten = threading.Semaphore(0)

    def __iter__(self) -> Iterator[FlowChanges]:
        arrivals: Iterator[tuple[Arrivals, Arrivals, bool]] = self._arrivals()
        if self.options.threads != 1 and (os.cpu_count() or 1) > 1:
            arrivals = ahead(arrivals)
        try:
            for old, new, full in arrivals:
                self._window(old, new)
                if full:
                    yield from self._forget(int(old.spans[-1].batch.time[old.spans[-1].stop - 1]))
        finally:
            self._forgotten.release()
        self._complete()
        yield from self._changes(np.ones(self._ledger.count, np.bool_))

    def _arrivals(self) -> Iterator[tuple[Arrivals, Arrivals, bool]]:
        """Packets with their micro-flows as judged by both sides; not ahead of a window that makes some forgotten."""
        for window in windows(self._scan, _WINDOW, _SPAN):
            old = self._trackers[0].group(list(self._cut(window)))
            new = self._trackers[1].store.judge_too(old)
            full = old.after >= self._forget_at
            yield old, new, full
            if full:
                self._forgotten.acquire()

    def _cut(self, window: list[Span]) -> Iterator[Span]:
        """The spans, cut at the first packet after the chosen moment."""
        at = self.options.at
        for batch, start, stop in window:
            cut = stop
            if at is not None and len(late := np.flatnonzero(batch.time[start:stop] > at)):
                cut = start + int(late[0])
            if start < cut < stop:
                yield Span(batch, start, cut)
                yield Span(batch, cut, stop)
            else:
                yield Span(batch, start, stop)

    def _window(self, old: Arrivals, new: Arrivals) -> None:
        self._traffic = grown(self._traffic, old.after)
        self._traffic[old.before : old.after] = 0
        for pair in zip(self._trackers[0].prepare(old), self._trackers[1].prepare(new), strict=True):
            packets = pair[0].packets
            if self.live is None and self.options.at is not None and packets.time[0] > self.options.at:
                self.live = self._open(self.options.at)
            summary = self.summary
            first, last = int(packets.time.min()), int(packets.time.max())
            summary.first_ns = first if summary.first_ns is None else min(summary.first_ns, first)
            summary.last_ns = last if summary.last_ns is None else max(summary.last_ns, last)
            self._count_public(packets.flow)
            self._compare(pair)

    def _compare(self, pair: tuple[Prepared, Prepared]) -> None:
        from sgsim.kernels.comparing import compare_answers

        packets = pair[0].packets
        n = len(packets.flow)
        words = [tracker.words(prepared) for tracker, prepared in zip(self._trackers, pair)]
        keys, changed = np.empty((n, KEY_WORDS), np.uint64), np.empty(n, np.int64)
        count = compare_answers(
            packets.flow, packets.length, words[0], words[1], self._traffic, self._totals, keys, changed
        )
        if count:
            self._ledger.add(keys[:count], changed[:count], packets.length, packets.time)

    def _count_public(self, flow: npt.NDArray[np.int32]) -> None:
        store = self._trackers[0].store
        if store.shows_public_addresses:
            shown = store.about[flow, ABOUT_PUBLIC : ABOUT_PUBLIC + 2]
            self.summary.public_packets += int((shown >= 0).any(axis=1).sum())

    def _open(self, now: int) -> OpenConnections:
        return open_connections(self._trackers[0], self._trackers[1], self._traffic, now)

    # -- what differs ----------------------------------------------------------------------------------------------

    def _forget(self, now: int) -> Iterator[FlowChanges]:
        """Keep what is remembered in bounds; what differs of flows that are dropped is given out."""
        one, other = (tracker.store for tracker in self._trackers)
        kept = one.needed(now) | other.needed(now)
        flow = self._ledger.flows()
        yield from self._changes(~kept[flow])
        self._ledger.keep(kept[flow])
        for tracker in self._trackers:
            tracker.forget_fragments(now)
            tracker.store.keep(kept, now)
        self._traffic = self._traffic[: len(kept)][kept]
        self._ledger.moved(one.flows.keep(kept))
        self._forget_at = max(_REMEMBERED, _GROWTH * one.flows.count)
        self._forgotten.release()

    def _changes(self, wanted: npt.NDArray[np.bool_]) -> Iterator[FlowChanges]:
        """Rows of the ledger, those of one flow in one batch."""
        rows = np.flatnonzero(wanted)
        if not len(rows):
            return
        store = self._trackers[0].store
        flow_id = store.about[self._ledger.flows()[rows], ABOUT_FLOW_ID]
        order = np.argsort(flow_id, kind="stable")
        rows, flow_id = rows[order], flow_id[order]
        totals = self._connection_totals()
        start = 0
        while start < len(rows):
            stop = min(start + _OUTPUT, len(rows))
            stop = int(np.searchsorted(flow_id, flow_id[stop - 1], side="right"))
            yield self._batch(rows[start:stop], totals)
            start = stop

    def _connection_totals(self) -> npt.NDArray[np.int64]:
        """int64[connections, 2]: packets and bytes of each connection of the first side, both ways."""
        store = self._trackers[0].store
        count, flows = store.connection_keys.count, store.flows.count
        totals = np.zeros((count, 2), np.int64)
        for side in (0, 1):
            connection = store.halves[:flows, HOT_CONNECTION + side]
            has = np.flatnonzero(connection >= 0)
            for column in (0, 1):
                weights = self._traffic[has, column]
                totals[:, column] += np.bincount(connection[has], weights, minlength=count).astype(np.int64)
        return totals

    def _batch(self, rows: npt.NDArray[np.int64], totals: npt.NDArray[np.int64]) -> FlowChanges:
        from sgsim.kernels import comparing as kernel

        ledger, store = self._ledger, self._trackers[0].store
        flow, kind = ledger.flows()[rows], ledger.kinds()[rows]
        end, counts = kind & 1, ledger.counts[rows]
        fields = flow_fields(store.flows.keys[flow])
        connection = store.halves[flow, HOT_CONNECTION + end].astype(np.int64)
        whole = self._traffic[flow]
        has = connection >= 0
        whole[has] = totals[connection[has]]
        words = ledger.words()[rows]
        return FlowChanges(
            family=fields.family,
            src_hi=fields.src_hi,
            src_lo=fields.src_lo,
            dst_hi=fields.dst_hi,
            dst_lo=fields.dst_lo,
            srcport=fields.srcport,
            dstport=fields.dstport,
            protocol=fields.protocol,
            icmp_type=fields.icmp_type,
            icmp_code=fields.icmp_code,
            fragment=fields.later,
            direction=np.where(end == 0, EGRESS, INGRESS).astype(np.uint8),
            path_before=(kind >> kernel.PATH_BEFORE_SHIFT & 3).astype(np.uint8),
            path_after=(kind >> kernel.PATH_AFTER_SHIFT & 3).astype(np.uint8),
            packets=counts[:, kernel.LEDGER_PACKETS],
            bytes=counts[:, kernel.LEDGER_BYTES],
            first=counts[:, kernel.LEDGER_FIRST] // _SECOND,
            last=counts[:, kernel.LEDGER_LAST] // _SECOND,
            flow_id=store.about[flow, ABOUT_FLOW_ID].astype(np.int64),
            connection=np.where(has, connection, -1 - flow.astype(np.int64)),
            connection_packets=whole[:, 0],
            connection_bytes=whole[:, 1],
            refused=np.zeros(len(rows), np.bool_),
            before=self._side(0, flow, end, words[:, 0]),
            after=self._side(1, flow, end, words[:, 1]),
        )

    def _side(
        self, number: int, flow: npt.NDArray[np.int64], end: npt.NDArray[np.int64], words: npt.NDArray[np.int32]
    ) -> Side:
        tracker = self._trackers[number]
        answers = tracker.answers(words)
        ends = [tracker.store.interfaces(flow, each) for each in (0, 1)]
        return Side(
            judged=answers.judged,
            interface=np.where(end == 0, *ends).astype(np.int32),
            action=answers.action,
            reason=answers.reason,
            match_set=answers.match_set,
            possible_set=answers.possible_set,
            deciding_rule=answers.deciding_rule,
            initiating=answers.initiating,
            sets=answers.sets,
        )

    def _complete(self) -> None:
        summary = self.summary
        summary.packets, summary.bytes = self._totals[:, :, 0].copy(), self._totals[:, :, 1].copy()
        summary.flows = self._trackers[0].store.flow_count
        if self.live is None and summary.last_ns is not None:
            self.live = self._open(summary.last_ns if self.options.at is None else self.options.at)


class _Ledger:
    """Flows that differ, by flow, kind of difference and answers."""

    def __init__(self) -> None:
        self._rows = Interner()
        self.counts: npt.NDArray[np.int64] = np.empty((0, 4), np.int64)

    @property
    def count(self) -> int:
        return self._rows.count

    def add(
        self,
        keys: npt.NDArray[np.uint64],
        packets: npt.NDArray[np.int64],
        length: npt.NDArray[np.int32],
        time: npt.NDArray[np.int64],
    ) -> None:
        """Add packets: of each the key, and its number in the columns."""
        from sgsim.kernels.comparing import add_up

        before = self.count
        rows = self._rows.intern(keys)
        self.counts = grown(self.counts, self.count)
        self.counts[before : self.count] = 0
        add_up(rows, packets, length, time, self.counts)

    def flows(self) -> npt.NDArray[np.int64]:
        """The micro-flow of each row."""
        return (self._rows.keys[: self.count, 0] & _FLOW_BITS).astype(np.int64)

    def kinds(self) -> npt.NDArray[np.int64]:
        """What kind of difference each row is."""
        from sgsim.kernels.comparing import KIND_SHIFT

        return (self._rows.keys[: self.count, 0] >> np.uint64(KIND_SHIFT)).astype(np.int64)

    def words(self) -> npt.NDArray[np.int32]:
        """int32[rows, 2]: the answers before and after."""
        return np.ascontiguousarray(self._rows.keys[: self.count, 1]).view(np.int32).reshape(-1, 2)

    def keep(self, kept: npt.NDArray[np.bool_]) -> None:
        """Drop the rows that are not marked."""
        self.counts = self.counts[: self.count][kept]
        self._rows.keep(kept)

    def moved(self, flows: npt.NDArray[np.int32]) -> None:
        """Follow micro-flows to where they went; all of them are still there."""
        keys = self._rows.keys[: self.count].copy()
        keys[:, 0] = keys[:, 0] & ~_FLOW_BITS | flows[self.flows()].astype(np.uint64)
        self._rows = Interner()
        self._rows.intern(keys)
