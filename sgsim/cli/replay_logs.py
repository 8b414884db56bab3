"""`sgsim replay` of flow logs: judge their records, and compare the verdicts with the actions that they recorded."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from sgsim.cli.manners import Manners, note
from sgsim.cli.options import check_interface, check_vpc
from sgsim.cli.traffic_options import JOIN_WINDOW
from sgsim.errors import UnknownVerdictError
from sgsim.model import Direction, Environment
from sgsim.verdicts import Reason, Verdict

if TYPE_CHECKING:
    from sgsim.analysis.agreement import Agreement
    from sgsim.cli.replay import Request
    from sgsim.cli.time_travel import TimeTravel
    from sgsim.engine import Snapshot
    from sgsim.engine.logs import LogOptions, LogReplay
    from sgsim.engine.logs.timed import LogTime
    from sgsim.report.columns import Names
    from sgsim.report.replay import ReplayReport
    from sgsim.report.tally import Tally
    from sgsim.report.timeline import Turns
    from sgsim.traffic.flowlogs import FlowLogScan

TOO_LITTLE = 2  #: exit code: less than --min-agreement agrees
MOST_NOTES = 5


@dataclass
class LogFlowsSummary:
    """What a report on captures says beside the records; of logs there are only flows."""

    flows: int
    packets: int = 0
    neighbour_discovery: int = 0
    backwards: int = 0
    disagreements: int = 0
    paths: dict[Verdict, int] = field(default_factory=dict)
    public_addresses: dict[str, int] = field(default_factory=dict)


class LogRun:
    """One replay of flow logs, from files to output."""

    def __init__(self, request: Request, manners: Manners) -> None:
        self.request, self.manners = request, manners
        self.travel: TimeTravel | None = None
        self.time: LogTime | None = None
        if request.vantage or request.decapsulate or request.aggregation != "600":
            name = "--vantage" if request.vantage else "--decapsulate" if request.decapsulate else "--aggregation"
            raise click.UsageError(f"{name} is for captures; these are flow logs")
        if request.min_agreement is not None and not request.exit_code:
            raise click.UsageError("--min-agreement needs --exit-code")

    def run(self) -> int:
        """The exit code. Raises SgsimError."""
        from sgsim.analysis.agreement import Agreement
        from sgsim.engine import Snapshot
        from sgsim.engine.logs import REPLAYED_FIELDS
        from sgsim.importers import read_environment
        from sgsim.report.output import open_output
        from sgsim.report.tally import Tally
        from sgsim.traffic.flowlogs import scan_flow_logs

        environment = read_environment(self.request.environment)
        self.travel = self.request.travel(environment)
        if self.travel is None:
            options = self.options(environment)
            snapshot = Snapshot.of(environment, semantics=self.request.semantics)
        else:
            options = self.options(self.travel.timeline.history.told)
            self.time = self.travel.log_time()
            snapshot = self.time.snapshot
        tally, agreement = Tally(), Agreement(snapshot)
        with open_output(self.request.output) as output:
            scan = scan_flow_logs(self.request.traffic, log_format=self.request.log_format, columns=REPLAYED_FIELDS)
            if self.request.format in ("text", "json"):
                self.write_report(output, snapshot, scan, options, tally, agreement)
            else:
                self.write_records(output, snapshot, scan, options, tally, agreement)
        self.judge_strictly(scan, tally)
        return self.judge_agreement(agreement)

    def options(self, environment: Environment) -> LogOptions:
        """What the engine is told; every id that the user gave is in the environment."""
        from sgsim.engine.logs import LogOptions

        asked = self.request
        return LogOptions(
            join_window=JOIN_WINDOW if asked.join_window is None else asked.join_window,
            likely=asked.likely,
            vpc_id=asked.vpc and check_vpc(environment, "--vpc", asked.vpc),
            interfaces=frozenset(check_interface(environment, "--interface", name) for name in asked.interfaces)
            or None,
            direction=Direction[asked.direction.upper()] if asked.direction else None,
        )

    def described(self, options: LogOptions) -> dict[str, Any]:
        """The options that change verdicts or records, for the report."""
        chosen = {key: value for key, value in self.request.described().items() if key != "aggregation"}
        return {"join_window": options.join_window, **({"likely": True} if options.likely else {}), **chosen}

    def replayed(self, snapshot: Snapshot, scan: FlowLogScan, options: LogOptions) -> LogReplay:
        from sgsim.cli.progress import followed
        from sgsim.engine.logs import replay_logs

        return replay_logs(snapshot, followed(scan, color=self.manners.colored(sys.stderr)), options, time=self.time)

    def write_report(
        self,
        output: BinaryIO,
        snapshot: Snapshot,
        scan: FlowLogScan,
        options: LogOptions,
        tally: Tally,
        agreement: Agreement,
    ) -> None:
        """Text or the JSON summary: everything is counted first, then written."""
        from sgsim.report.replay_json import replay_json
        from sgsim.report.replay_text import replay_text
        from sgsim.report.style import Style
        from sgsim.report.timeline import Turns
        from sgsim.verdicts import TimedVerdicts

        replayed, turns = self.replayed(snapshot, scan, options), Turns()
        for batch in replayed:
            tally.add(batch.verdicts)
            agreement.add(batch)
            if isinstance(batch.verdicts, TimedVerdicts):
                turns.add(batch.verdicts)
        report = self.report(snapshot, scan, replayed, tally, agreement, turns)
        if self.request.format == "json":
            output.write(replay_json(report))
        else:
            style = Style(self.manners.colored_output(self.request.output))
            output.write(replay_text(report, style).encode("utf-8", "backslashreplace"))

    def write_records(
        self,
        output: BinaryIO,
        snapshot: Snapshot,
        scan: FlowLogScan,
        options: LogOptions,
        tally: Tally,
        agreement: Agreement,
    ) -> None:
        """Records as they come; what they cannot say goes to stderr."""
        from sgsim.report.logs import LogNames
        from sgsim.report.records import record_writer

        replayed = self.replayed(snapshot, scan, options)
        names: Names = LogNames(self.told(snapshot), replayed.interface_ids, replayed.rule_ids)
        if self.travel is not None:
            names = self.travel.names(names)
        writer = record_writer(self.request.format, output, names)
        for batch in replayed:
            tally.add_totals(batch.verdicts)
            agreement.add(batch)
            writer.write(batch)
        lacks = [*writer.finish(), *(self.travel.lacks() if self.travel else ())]
        for message in [*_notes(snapshot.environment, scan, agreement), *_strangers(tally), *lacks]:
            note(message)

    def told(self, snapshot: Snapshot) -> Environment:
        """What names in records come from."""
        return snapshot.environment if self.travel is None else self.travel.timeline.history.told

    def report(
        self,
        snapshot: Snapshot,
        scan: FlowLogScan,
        replayed: LogReplay,
        tally: Tally,
        agreement: Agreement,
        turns: Turns,
    ) -> ReplayReport:
        from sgsim.cli.nearest import NearestRules
        from sgsim.report.labels import Labels
        from sgsim.report.logs import LogPart
        from sgsim.report.replay import ReplayReport
        from sgsim.report.tally import rule_hits

        rule_ids, summary, travel = replayed.rule_ids, replayed.summary, self.travel
        labels = Labels(self.told(snapshot), replayed.interface_ids, rule_ids)
        return ReplayReport(
            source=str(self.request.environment),
            labels=labels,
            files=(),
            tally=tally,
            hits=rule_hits(summary.hits, summary.sets, len(rule_ids)),
            summary=LogFlowsSummary(summary.flows),
            options=self.described(replayed.options),
            nearest=travel.nearest(snapshot.semantics, labels)
            if travel
            else NearestRules(snapshot.environment, snapshot.semantics, labels),
            time=travel.part(turns, self.time.spanning if self.time else None) if travel else None,
            log=LogPart(
                files=scan.counts,
                notes=[*scan.notes, *_strangers(tally)],
                records=summary.records,
                late=summary.late,
                forgotten=summary.forgotten,
                evidence=summary.evidence,
                agreement=agreement,
                interface_names=replayed.interface_names,
                refusals=replayed.refusals,
                likely=replayed.options.likely,
            ),
        )

    def judge_strictly(self, scan: FlowLogScan, tally: Tally) -> None:
        """Under --strict, raise UnknownVerdictError if anything is not known; the output is complete by then."""
        malformed = sum(file.malformed for file in scan.counts)
        if self.request.strict and (tally.unknown or malformed):
            raise UnknownVerdictError(
                f"--strict: {_counted(tally.unknown, 'record is', 'records are')} UNKNOWN and "
                f"{_counted(malformed, 'line', 'lines')} could not be read; the text report says why"
            )

    def judge_agreement(self, agreement: Agreement) -> int:
        """2 if asked for and too little agrees, or nothing could be compared."""
        if not self.request.exit_code:
            return 0
        least = 100.0 if self.request.min_agreement is None else self.request.min_agreement
        if agreement.rate is None:
            note("nothing could be compared with the log's actions")
            return TOO_LITTLE
        if 100 * agreement.rate < least:
            from sgsim.report.logs_text import share

            note(f"{share(agreement)} of the verdicts agree with the log; --min-agreement is {least:g} %")
            return TOO_LITTLE
        return 0


def _strangers(tally: Tally) -> Iterable[str]:
    """What to think of where no record is of the environment."""
    nowhere = tally.totals.get((Verdict.UNKNOWN, Reason.NO_INTERFACE))
    if nowhere is not None and nowhere.records == tally.records:
        yield "the environment has none of the log's interfaces: are they of another account or Region?"


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _notes(environment: Environment, scan: FlowLogScan, agreement: Agreement) -> Iterable[str]:
    """What the user of a machine format should know: warnings, lines that gave no record, agreement."""
    from sgsim.report.logs_text import share
    from sgsim.report.replay import environment_warnings

    warnings = environment_warnings(environment)
    yield from warnings[:MOST_NOTES]
    if len(warnings) > MOST_NOTES:
        yield f"{len(warnings) - MOST_NOTES} more warnings; --format text has all"
    yield from scan.notes
    for file in scan.counts:
        if file.malformed:
            causes = "; ".join(f"{lines} {cause}" for cause, lines in sorted(file.causes.items()))
            yield f"{file.source}: {file.malformed} of {file.lines} lines not used: {causes}"
        yield from (f"{file.source}: {remark}" for remark in file.notes)
    if agreement.compared:
        rate = f" ({share(agreement)})" if agreement.rate is not None else ""
        decided = agreement.agreeing + agreement.contrary
        yield f"{agreement.agreeing} of {decided} verdicts agree with the log{rate}; {agreement.undecided} undecided"
