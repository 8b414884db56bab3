"""Captured packets through the rules, in time: a stream of packet batches to a stream of records.

Memory follows the flows of an interval and the open connections: what neither has is forgotten now and then. A flow
that comes back after that is a new one, with a new flow id.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from sgsim.engine.flowstore import Arrivals
from sgsim.engine.records import RecordTable
from sgsim.engine.snapshot import Snapshot
from sgsim.engine.spans import Span, windows
from sgsim.engine.timeline import Deciding, Timeline, Views
from sgsim.engine.tracking import Tracker
from sgsim.engine.views import View
from sgsim.errors import ModelError
from sgsim.kernels.tracking_layout import ABOUT_PUBLIC, TOTALS_PATH, TOTALS_UNSEEN, Packets
from sgsim.model import Direction
from sgsim.packets import PacketBatch
from sgsim.traffic.ahead import ahead
from sgsim.verdicts import MatchSets, Reason, Verdict, Verdicts

__all__ = ["Replay", "ReplayOptions", "ReplaySummary", "replay"]

#: Packets whose new flows are judged in one go: with few, the calls cost more than the work.
_WINDOW = 1 << 17
#: Packets that are tracked and recorded in one go: what one step touched is in the cache for the next.
_SPAN = 1 << 14
#: Micro-flows that are remembered before anything is forgotten; some 300 bytes each.
_REMEMBERED = 1 << 19
#: Times what was left after forgetting, before it is done again: its cost stays a constant share of the work.
_GROWTH = 2


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What the user asked of a replay.

    `aggregation` is the length of a record's interval in seconds, None for one record a flow; `vantage` the interface
    at which the capture was taken, the only one that is judged; `vpc_id` the VPC that addresses belong to. Records
    of other `interfaces` than these (ids) or of the other `direction` are judged but not given out. `threads` limits
    those that judge flows. With `apart`, a record also ends where reason, rules or initiative change.
    """

    aggregation: int | None = 600
    vantage: str | None = None
    vpc_id: str | None = None
    interfaces: frozenset[str] | None = None
    direction: Direction | None = None
    threads: int | None = None
    apart: bool = False


@dataclass(slots=True)
class ReplaySummary:
    """What is counted beside the records.

    `answers` counts packets by (reason, verdict) at each end, `paths` by the conjunction of both ends.
    `public_addresses` counts packets whose source or destination is the public or Elastic address of an interface,
    which shows untranslated traffic (docs/semantics.md §9.14). `neighbour_discovery` packets give no record. Under a
    vantage, `disagreements` counts packets that it cannot have received under these rules. `backwards` counts packets
    earlier than the one before. `flows` counts flow ids. `hits[i]` counts the ends of flows that open connections
    which the rules of match set `sets[i]` accept, each once.
    """

    packets: int = 0
    neighbour_discovery: int = 0
    backwards: int = 0
    flows: int = 0
    disagreements: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    answers: dict[tuple[Reason, Verdict], int] = field(default_factory=dict)
    paths: dict[Verdict, int] = field(default_factory=dict)
    public_addresses: dict[str, int] = field(default_factory=dict)
    hits: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    sets: MatchSets = field(default_factory=lambda: MatchSets.of([[]]))


class Replay:
    """Records by interval, flow id, the sender's end first. To be iterated once; `summary` is complete then.

    Interfaces and rules in records are numbers of `interface_ids` and `rule_ids`, which are those of `snapshot`; with
    a timeline, followed by what other versions have. Records are then TimedVerdicts, and end where the version does.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        scan: Iterable[PacketBatch],
        options: ReplayOptions,
        timeline: Timeline | None = None,
    ) -> None:
        self.snapshot, self.options = snapshot, options
        self.summary = ReplaySummary()
        self._scan, self._timeline = scan, timeline
        ids = snapshot.tables.interface_ids
        known = [snapshot.environment]
        if timeline is not None:
            known = [version.environment for version in timeline.history.versions]
        for asked in {options.vantage, *(options.interfaces or ())} - {None}:
            if not any(asked in environment.interfaces for environment in known):
                raise ModelError(f"interface {asked} is not in the environment")
        self._tracker = Tracker(snapshot, vantage=options.vantage, vpc_id=options.vpc_id, threads=options.threads)
        self._records = RecordTable(
            self._tracker, options.aggregation, options.interfaces, options.direction, apart=options.apart
        )
        self._public = np.zeros(len(ids), np.int64)
        self._forget_at = _REMEMBERED
        self._forgotten = threading.Semaphore(0)
        self._previous: int | None = None
        self._view = self._tracker.view  #: of the packets that were tracked last
        self._views: Views | None = None
        if timeline is not None:
            self._views = Views(timeline, self._view, self._tracker.view_of)
            self._records.deciding = Deciding(timeline, self._views)
            self._records.version = timeline.history.present

    @property
    def interface_ids(self) -> list[str]:
        """What the numbers of interfaces in records mean, so far."""
        return self._tracker.interface_ids

    @property
    def rule_ids(self) -> list[str]:
        """What the numbers of rules in records mean, so far."""
        return self._tracker.rule_ids

    def __iter__(self) -> Iterator[Verdicts]:
        arrivals: Iterator[tuple[Arrivals, bool]] = self._arrivals()
        if self.options.threads != 1 and (os.cpu_count() or 1) > 1:
            arrivals = ahead(arrivals)
        try:
            for arrived, full in arrivals:
                yield from self._window(arrived)
                if full:
                    self._forget(int(arrived.spans[-1].batch.time[arrived.spans[-1].stop - 1]))
        finally:
            self._forgotten.release()  # whoever waits for more room need not wait any longer
        yield from self._records.flush()
        self._complete()

    def _arrivals(self) -> Iterator[tuple[Arrivals, bool]]:
        """Packets with their micro-flows, a window at a time, and whether some must be forgotten after it.

        Runs ahead of what is done with them, but not past a window after which something is forgotten.
        """
        for window in windows(self._scan, _WINDOW, _SPAN):
            parts = self._by_version(window)
            for number, (view, part) in enumerate(parts, 1):
                if view is not self._tracker.view:
                    self._tracker.look(view)
                arrived = self._tracker.group(part)
                full = number == len(parts) and arrived.after >= self._forget_at
                yield arrived, full
                if full:
                    self._forgotten.acquire()

    def _by_version(self, window: list[Span]) -> list[tuple[View, list[Span]]]:
        """A window in parts that one version judges each, in the order of its packets."""
        if self._views is None or self._timeline is None:
            return [(self._tracker.view, window)]
        parts: list[tuple[View, list[Span]]] = []
        for batch, start, stop in window:
            versions = self._timeline.at(batch.time[start:stop])
            cuts = [0, *(np.flatnonzero(versions[1:] != versions[:-1]) + 1).tolist(), stop - start]
            for first, last in pairwise(cuts):
                view = self._views[int(versions[first])]
                if not parts or parts[-1][0] is not view:
                    parts.append((view, []))
                parts[-1][1].append(Span(batch, start + first, start + last))
        return parts

    def _window(self, arrived: Arrivals) -> Iterator[Verdicts]:
        if self._views is not None and arrived.view is not self._view:
            yield from self._records.flush()
            self._view, self._records.version = arrived.view, self._views.version(arrived.view)
        for prepared in self._tracker.prepare(arrived):
            self._observe(prepared.packets)
            yield from self._records.add(prepared)

    def _observe(self, packets: Packets) -> None:
        """Count what gives no record."""
        time = packets.time
        summary, store = self.summary, self._tracker.store
        summary.packets += len(time)
        if self._previous is not None:
            summary.backwards += int(time[0] < self._previous)
        summary.backwards += int(np.count_nonzero(time[1:] < time[:-1]))
        self._previous = int(time[-1])
        first, last = int(time.min()), int(time.max())
        summary.first_ns = first if summary.first_ns is None else min(summary.first_ns, first)
        summary.last_ns = last if summary.last_ns is None else max(summary.last_ns, last)
        if store.shows_public_addresses:
            for column in (ABOUT_PUBLIC, ABOUT_PUBLIC + 1):
                shown = store.about[packets.flow, column]
                self._public = _sum(self._public, np.bincount(shown[shown >= 0], minlength=len(self._public)))

    def _forget(self, now: int) -> None:
        """Keep what is remembered in bounds."""
        self._records.moved(self._tracker.forget(now))
        self._forget_at = max(_REMEMBERED, _GROWTH * self._tracker.store.flows.count)
        self._forgotten.release()

    def _complete(self) -> None:
        summary, records, store = self.summary, self._records, self._tracker.store
        ids = self.interface_ids
        summary.flows = store.flow_count
        summary.disagreements = records.disagreements
        summary.neighbour_discovery = int(records.totals[TOTALS_UNSEEN, 0])
        summary.public_addresses = {ids[n]: int(self._public[n]) for n in np.flatnonzero(self._public).tolist()}
        for reason in Reason:
            for verdict in Verdict:
                if count := int(records.totals[reason, verdict]):
                    summary.answers[reason, verdict] = count
        summary.paths = {verdict: int(records.totals[TOTALS_PATH, verdict]) for verdict in Verdict}
        summary.sets = store.rules.sets
        hits = records.hits
        summary.hits = np.concatenate([hits, np.zeros(len(summary.sets) - len(hits), np.int64)])


def _sum(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The sum of counts, of which the other one may go further."""
    longer = other.copy()
    longer[: len(one)] += one
    return longer


def replay(
    snapshot: Snapshot,
    scan: Iterable[PacketBatch],
    options: ReplayOptions | None = None,
    *,
    timeline: Timeline | None = None,
) -> Replay:
    """Judge captured packets by the rules of a snapshot; nothing is read before the result is iterated.

    With a timeline, whose `present` the snapshot is, each packet is judged by the version that held at its time.
    Raises ModelError if an interface of the options is not in the environment.
    """
    return Replay(snapshot, scan, ReplayOptions() if options is None else options, timeline)
