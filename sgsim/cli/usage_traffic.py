"""Traffic of either kind, run through the rules and counted."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sgsim.cli.manners import Manners
from sgsim.cli.traffic_options import JOIN_WINDOW
from sgsim.report.style import counted, number
from sgsim.report.usage import Source

if TYPE_CHECKING:
    from sgsim.analysis.usage_counts import RuleUse
    from sgsim.analysis.usage_digest import VerdictDigest
    from sgsim.engine import Snapshot
    from sgsim.traffic.flowlogs import FlowLogBatch, FlowLogCounts

__all__ = ["Measured", "Traffic"]


@dataclass(frozen=True)
class Measured:
    """One run over the traffic; `notes` say what of it could not be used as it is."""

    use: RuleUse
    digest: VerdictDigest
    sources: list[Source]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Traffic:
    """What the user named as traffic, and how to read it."""

    names: tuple[str, ...]
    vpc: str | None = None
    vantage: str | None = None
    decapsulate: bool = False
    log_format: str | None = None
    join_window: int | None = None
    likely: bool = False

    @property
    def again(self) -> bool:
        """Whether it can be read a second time."""
        return all(name != "-" and (name.startswith("s3://") or not _is_pipe(name)) for name in self.names)

    def measured(self, snapshot: Snapshot, manners: Manners) -> Measured:
        """Run the traffic through the rules and count. Raises SgsimError."""
        from sgsim.traffic.kinds import TrafficKind, kind_of_traffic

        logs = self.log_format is not None or kind_of_traffic(self.names) is TrafficKind.FLOW_LOGS
        self._check(logs)
        return self._logs(snapshot, manners) if logs else self._captures(snapshot, manners)

    def _check(self, logs: bool) -> None:
        """Raise UsageError for options that are about the other kind of traffic."""
        captures_only = (("--vantage", self.vantage), ("--decapsulate", self.decapsulate or None))
        logs_only = (("--join-window", self.join_window), ("--likely", self.likely or None))
        for name, value in captures_only if logs else logs_only:
            if value is not None:
                here, there = ("flow logs", "captures") if logs else ("captures", "flow logs")
                raise click.UsageError(f"{name} is for {there}; these are {here}")

    def _captures(self, snapshot: Snapshot, manners: Manners) -> Measured:
        from sgsim.analysis.usage_counts import UseCounter
        from sgsim.analysis.usage_digest import VerdictDigest
        from sgsim.cli.progress import followed
        from sgsim.engine.replay import ReplayOptions, replay
        from sgsim.traffic import scan_packets

        scan = scan_packets(self.names, decapsulate=self.decapsulate)
        options = ReplayOptions(vantage=self.vantage, vpc_id=self.vpc, apart=True)
        counter = UseCounter(len(snapshot.tables.rule_ids), len(snapshot.tables.interface_ids))
        digest = VerdictDigest()
        for verdicts in replay(snapshot, followed(scan, color=manners.colored(sys.stderr)), options):
            counter.add(verdicts)
            digest.add(verdicts)
        sources = [Source(file.source, "packet", file.total, file.decoded, dict(file.causes)) for file in scan.counts]
        return Measured(counter.use(), digest, sources)

    def _logs(self, snapshot: Snapshot, manners: Manners) -> Measured:
        from sgsim.analysis.usage_digest import VerdictDigest
        from sgsim.analysis.usage_logs import LogUse
        from sgsim.cli.progress import followed
        from sgsim.engine.logs import REPLAYED_FIELDS, LogOptions, replay_logs
        from sgsim.traffic.flowlogs import scan_flow_logs

        scan = scan_flow_logs(self.names, log_format=self.log_format, columns=REPLAYED_FIELDS)
        use, digest = LogUse(snapshot, likely=self.likely), VerdictDigest()
        silences = _Silences(use)
        batches = silences.noted(followed(scan, color=manners.colored(sys.stderr)))
        waiting = JOIN_WINDOW if self.join_window is None else self.join_window
        options = LogOptions(join_window=waiting, likely=self.likely, vpc_id=self.vpc)
        replayed = replay_logs(snapshot, batches, options)
        for batch in replayed:
            use.add(batch)
            digest.add(batch.verdicts)
        sources = [Source(file.source, "line", file.lines, file.ok, _unused(file)) for file in scan.counts]
        notes = [*scan.notes, *_log_notes(use, silences.lost, replayed.summary.late)]
        return Measured(use.use(), digest, sources, tuple(notes))


class _Silences:
    """Takes note of intervals without traffic, and counts those whose records were lost."""

    def __init__(self, use: Any) -> None:
        self._use = use
        self.lost = 0

    def noted(self, batches: Iterable[FlowLogBatch]) -> Iterator[FlowLogBatch]:
        from sgsim.traffic.flowlogs import NODATA, SKIPDATA

        for batch in batches:
            silences = batch.silences
            if len(silences):
                quiet = silences.status == NODATA
                self._use.observe(silences.start[quiet], silences.end[quiet])
                self.lost += int((silences.status == SKIPDATA).sum())
            yield batch


def _unused(file: FlowLogCounts) -> dict[str, int]:
    """Lines that are no records of traffic, by what they are."""
    words = {
        "nodata": "NODATA", "skipdata": "SKIPDATA", "transit_gateway": "of a transit gateway", "efa": "EFA",
        "incomplete": "without an address or time", "header": "header", "blank": "blank",
    }  # fmt: skip
    known = {text: getattr(file, name) for name, text in words.items()}
    return {**{text: count for text, count in known.items() if count}, **file.causes}


def _log_notes(use: Any, lost: int, late: int) -> Iterator[str]:
    if use.strangers:
        are = "record is" if use.strangers == 1 else "records are"
        yield f"{number(use.strangers)} {are} of interfaces that the environment does not have"
    if use.rejected:
        were = "record that the rules accept was" if use.rejected == 1 else "records that the rules accept were"
        yield f"{number(use.rejected)} {were} rejected by something else: no use of a rule"
    if use.untold:
        show = "record does" if use.untold == 1 else "records do"
        hint = " (tcp-flags in the log's format tell it of TCP)" if use.flagless else ""
        yield (
            f"{number(use.untold)} {show} not show who opened the connection: no rule that may have let it in is "
            f"called unused{hint}"
        )
    if use.guessed:
        yield f"of {counted(use.guessed, 'record')} only port numbers tell who opened the connection"
    if lost:
        yield f"{counted(lost, 'interval')} with records that AWS lost (SKIPDATA): rules may have been used there"
    if late:
        yield f"{counted(late, 'record')} came later than the join window; --join-window makes it longer"


def _is_pipe(name: str) -> bool:
    path = Path(name)
    return path.exists() and not (path.is_file() or path.is_dir())
