"""Traffic of either kind under the rules before and after a change."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
import numpy as np
import numpy.typing as npt

from sgsim.analysis.whatif import TrafficPart
from sgsim.analysis.whatif_live import live_forecast
from sgsim.analysis.whatif_traffic import FlowTally
from sgsim.cli.manners import Manners
from sgsim.report.usage import Source

if TYPE_CHECKING:
    from sgsim.engine import Snapshot

__all__ = ["Observed", "WhatIfTraffic"]


@dataclass(frozen=True)
class Observed:
    """What became of the traffic, where it came from, and what is to be said of it."""

    part: TrafficPart
    sources: list[Source]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class WhatIfTraffic:
    """What the user named as traffic, and how to read it; `at` in ns."""

    names: tuple[str, ...]
    at: int | None = None
    direct: bool = False
    vpc: str | None = None
    vantage: str | None = None
    decapsulate: bool = False
    log_format: str | None = None
    join_window: int | None = None
    likely: bool = False

    def observed(self, before: Snapshot, after: Snapshot, manners: Manners) -> Observed:
        """Run the traffic through both. Raises SgsimError, and UsageError for options of the other kind of traffic."""
        from sgsim.traffic.kinds import TrafficKind, kind_of_traffic

        logs = self.log_format is not None or kind_of_traffic(self.names) is TrafficKind.FLOW_LOGS
        captures_only = (
            ("--vantage", self.vantage),
            ("--decapsulate", self.decapsulate or None),
        )
        logs_only = (("--join-window", self.join_window), ("--likely", self.likely or None))
        for name, value in captures_only if logs else logs_only:
            if value is not None:
                here, there = ("flow logs", "captures") if logs else ("captures", "flow logs")
                raise click.UsageError(f"{name} is for {there}; these are {here}")
        return self._logs(before, after, manners) if logs else self._captures(before, after, manners)

    def _captures(self, before: Snapshot, after: Snapshot, manners: Manners) -> Observed:
        from sgsim.cli.progress import followed
        from sgsim.engine.paired import PairedOptions, PairedReplay
        from sgsim.traffic import scan_packets

        scan = scan_packets(self.names, decapsulate=self.decapsulate)
        options = PairedOptions(vantage=self.vantage, vpc_id=self.vpc, at=self.at)
        run = PairedReplay(before, after, followed(scan, color=manners.colored(sys.stderr)), options)
        tally = FlowTally()
        for changes in run:
            tally.add(changes)
        summary, live = run.summary, run.live
        sources = [Source(file.source, "packet", file.total, file.decoded, dict(file.causes)) for file in scan.counts]
        notes = [f"{file.source}: {note}" for file in scan.counts for note in file.notes]
        if summary.public_packets:
            notes.append(
                f"{summary.public_packets:,} packets show a public address of an interface: the capture was taken "
                "where addresses are translated, and that end is not judged"
            )
        part = TrafficPart(
            tally=tally,
            changes=tuple(tally.changes(_ids(before), _ids(after))),
            packets=_rows(summary.packets),
            bytes=_rows(summary.bytes),
            flows=summary.flows,
            first=None if summary.first_ns is None else summary.first_ns // 1_000_000_000,
            last=None if summary.last_ns is None else summary.last_ns // 1_000_000_000,
            live=None if live is None else live_forecast(live, before, after, direct=self.direct),
        )
        return Observed(part, sources, (*notes, *_unused(sources)))

    def _logs(self, before: Snapshot, after: Snapshot, manners: Manners) -> Observed:
        from sgsim.cli.progress import followed
        from sgsim.engine.logs import REPLAYED_FIELDS, LogOptions
        from sgsim.engine.paired_logs import PairedLogs
        from sgsim.traffic.flowlogs import scan_flow_logs

        scan = scan_flow_logs(self.names, log_format=self.log_format, columns=REPLAYED_FIELDS)
        waiting = 900 if self.join_window is None else self.join_window
        options = LogOptions(join_window=waiting, likely=self.likely, vpc_id=self.vpc)
        at = None if self.at is None else self.at // 1_000_000_000
        run = PairedLogs(before, after, followed(scan, color=manners.colored(sys.stderr)), options, at=at)
        tally = FlowTally()
        for changes in run:
            tally.add(changes)
        summary, live = run.summary, run.live
        sources = [Source(file.source, "line", file.lines, file.ok, dict(file.causes)) for file in scan.counts]
        notes = [*scan.notes, "a flow log shows only roughly which connections are open: from their last records"]
        if summary.late:
            notes.append(f"{summary.late:,} records came later than the join window; --join-window makes it longer")
        part = TrafficPart(
            tally=tally,
            changes=tuple(tally.changes(_ids(before), _ids(after))),
            packets=_rows(summary.packets),
            bytes=_rows(summary.bytes),
            flows=summary.flows,
            first=summary.first,
            last=summary.last,
            live=None if live is None else live_forecast(live, before, after, direct=self.direct),
        )
        return Observed(part, sources, (*notes, *_unused(sources)))


def _ids(snapshot: Snapshot) -> tuple[list[str], list[str]]:
    return snapshot.tables.interface_ids, snapshot.tables.rule_ids


def _rows(counts: npt.NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    return tuple(map(tuple, counts.tolist()))


def _unused(sources: list[Source]) -> Iterator[str]:
    for source in sources:
        if source.others:
            causes = "; ".join(f"{count:,} {cause}" for cause, count in sorted(source.others.items()))
            yield f"{source.name}: {source.total - source.used:,} of {source.total:,} {source.unit}s not used: {causes}"
