"""`sgsim replay`: judge captured traffic by the security groups of an account."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from sgsim.cli.manners import Manners, manners_options, note
from sgsim.cli.options import check_interface, check_vpc, semantics_option
from sgsim.cli.time_travel import TimeTravel, time_travel_options
from sgsim.cli.traffic_options import output_option, traffic_options
from sgsim.errors import UnknownVerdictError
from sgsim.model import Direction, Environment, Semantics

if TYPE_CHECKING:
    from sgsim.engine import Snapshot
    from sgsim.engine.replay import Replay, ReplayOptions
    from sgsim.report.replay import ReplayReport
    from sgsim.report.tally import Tally
    from sgsim.report.timeline import Turns
    from sgsim.traffic import PacketScan

FORMATS = ("text", "flowlog", "json", "jsonl", "csv", "parquet")
MOST_NOTES = 5


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    environment: Path
    traffic: tuple[str, ...]
    format: str
    output: Path | None
    strict: bool
    direction: str | None
    interfaces: tuple[str, ...]
    vpc: str | None
    vantage: str | None
    decapsulate: bool
    aggregation: str
    semantics: Semantics
    log_format: str | None = None
    join_window: int | None = None
    likely: bool = False
    exit_code: bool = False
    min_agreement: float | None = None
    changes: Path | None = None
    env_time: datetime | None = None

    def travel(self, environment: Environment) -> TimeTravel | None:
        """The history around the environment, if there are changes. Raises ChangeInputError, ChangeError."""
        if self.changes is None:
            return None
        return TimeTravel(environment, self.changes, self.env_time, self.semantics)

    def described(self) -> dict[str, Any]:
        """The options that change verdicts or records, for the report."""
        chosen: dict[str, Any] = {"aggregation": None if self.aggregation == "none" else int(self.aggregation)}
        if self.direction:
            chosen["direction"] = self.direction
        if self.interfaces:
            chosen["interfaces"] = list(self.interfaces)
        if self.vpc:
            chosen["vpc"] = self.vpc
        if self.vantage:
            chosen["vantage"] = self.vantage
        if self.decapsulate:
            chosen["decapsulate"] = True
        if self.changes:
            chosen["changes"] = str(self.changes)
        if self.env_time:
            chosen["env_time"] = self.env_time.isoformat()
        default = Semantics()
        changed = {
            name: value
            for name in Semantics.__struct_fields__
            if (value := getattr(self.semantics, name)) != getattr(default, name)
        }
        if changed:
            chosen["semantics"] = {name: _plain(value) for name, value in changed.items()}
        return chosen


def _plain(value: Any) -> Any:
    return [str(cidr) for cidr in value] if isinstance(value, tuple) else value


@click.command("replay", short_help="Judge captured traffic by the security groups of an account.")
@click.argument("environment", metavar="ENV", type=click.Path(path_type=Path))
@click.argument("traffic", metavar="TRAFFIC...", nargs=-1, required=True)
@click.option(
    "--format",
    "format",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="text is for people; json is a summary; the others hold one record a row.",
)
@output_option
@click.option(
    "--strict",
    is_flag=True,
    help="Exit with 1, after the output, if a verdict is UNKNOWN or a packet could not be decoded.",
)
@click.option("--direction", type=click.Choice(["ingress", "egress"]), help="Only records of this direction.")
@click.option(
    "--interface", "interfaces", multiple=True, metavar="ENI", help="Only records of this interface (repeatable)."
)
@traffic_options
@click.option(
    "--aggregation",
    type=click.Choice(["600", "60", "none"]),
    default="600",
    show_default=True,
    help="Seconds of a record's interval; none: one record per flow.",
)
@click.option(
    "--exit-code",
    is_flag=True,
    help="Flow logs: exit with 2 if less than --min-agreement agrees with the log's actions.",
)
@click.option(
    "--min-agreement",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="Flow logs, with --exit-code: how much must agree.  [default: 100]",
)
@time_travel_options
@semantics_option
@manners_options
@click.pass_obj
def replay_command(manners: Manners, /, **arguments: Any) -> int:
    """Judge the packets or records of TRAFFIC by the security groups in ENV.

    TRAFFIC is captures (pcap, pcapng; gzip, zstd), or VPC flow logs (text, gzip, Parquet, CloudWatch JSON; files,
    directories, globs, s3://); - is stdin. ENV is a file or a directory of what `aws ec2 describe-…` prints, or what
    `sgsim collect` wrote. With --changes, each packet or record is judged by what ENV was at its time.
    """
    if arguments["env_time"] is not None and arguments["changes"] is None:
        raise click.UsageError("--env-time needs --changes")
    return Run(Request(**arguments), manners).run()


class Run:
    """One replay, from files to output."""

    def __init__(self, request: Request, manners: Manners) -> None:
        self.request, self.manners = request, manners
        self.travel: TimeTravel | None = None

    def run(self) -> int:
        """The exit code. Raises SgsimError."""
        from sgsim.engine.warm import warming
        from sgsim.traffic.kinds import TrafficKind, kind_of_traffic

        with warming():
            if self.request.log_format or kind_of_traffic(self.request.traffic) is TrafficKind.FLOW_LOGS:
                from sgsim.cli.replay_logs import LogRun

                return LogRun(self.request, self.manners).run()
            self.check_captures()
            self.replay()
        return 0

    def check_captures(self) -> None:
        """Raise UsageError for options that are about flow logs only."""
        asked = self.request
        for name, value in (
            ("--join-window", asked.join_window),
            ("--likely", asked.likely or None),
            ("--exit-code", asked.exit_code or None),
            ("--min-agreement", asked.min_agreement),
        ):
            if value is not None:
                raise click.UsageError(f"{name} is for flow logs; these are captures")

    def replay(self) -> None:
        from sgsim.engine import Snapshot
        from sgsim.importers import read_environment
        from sgsim.report.output import open_output
        from sgsim.report.tally import Tally
        from sgsim.traffic import scan_packets

        environment = read_environment(self.request.environment)
        self.travel = self.request.travel(environment)
        if self.travel is None:
            options = self.options(environment)
            snapshot = Snapshot.of(environment, semantics=self.request.semantics)
        else:
            options = self.options(self.travel.timeline.history.told)
            snapshot = self.travel.timeline.present
        tally = Tally()
        with open_output(self.request.output) as output:
            scan = scan_packets(self.request.traffic, decapsulate=self.request.decapsulate)
            if self.request.format in ("text", "json"):
                self.write_report(output, snapshot, scan, options, tally)
            else:
                self.write_records(output, snapshot, scan, options, tally)
        self.judge_strictly(scan, tally)

    def options(self, environment: Environment) -> ReplayOptions:
        """What the engine is told; every id that the user gave is in the environment."""
        from sgsim.engine.replay import ReplayOptions

        asked = self.request
        return ReplayOptions(
            aggregation=None if asked.aggregation == "none" else int(asked.aggregation),
            vantage=asked.vantage and check_interface(environment, "--vantage", asked.vantage),
            vpc_id=asked.vpc and check_vpc(environment, "--vpc", asked.vpc),
            interfaces=frozenset(check_interface(environment, "--interface", name) for name in asked.interfaces)
            or None,
            direction=Direction[asked.direction.upper()] if asked.direction else None,
        )

    def replayed(self, snapshot: Snapshot, scan: PacketScan, options: ReplayOptions) -> Replay:
        from sgsim.cli.progress import followed
        from sgsim.engine.replay import replay

        timeline = self.travel.timeline if self.travel else None
        return replay(snapshot, followed(scan, color=self.manners.colored(sys.stderr)), options, timeline=timeline)

    def write_report(
        self, output: BinaryIO, snapshot: Snapshot, scan: PacketScan, options: ReplayOptions, tally: Tally
    ) -> None:
        """Text or the JSON summary: everything is counted first, then written."""
        from sgsim.report.replay_json import replay_json
        from sgsim.report.replay_text import replay_text
        from sgsim.report.style import Style
        from sgsim.report.timeline import Turns
        from sgsim.verdicts import TimedVerdicts

        replayed, turns = self.replayed(snapshot, scan, options), Turns()
        for verdicts in replayed:
            tally.add(verdicts)
            if isinstance(verdicts, TimedVerdicts):
                turns.add(verdicts)
        report = self.report(snapshot, scan, replayed, tally, turns)
        if self.request.format == "json":
            output.write(replay_json(report))
        else:
            style = Style(self.manners.colored_output(self.request.output))
            output.write(replay_text(report, style).encode("utf-8", "backslashreplace"))

    def write_records(
        self, output: BinaryIO, snapshot: Snapshot, scan: PacketScan, options: ReplayOptions, tally: Tally
    ) -> None:
        """Records as they come; what they cannot say goes to stderr."""
        from sgsim.report.columns import Names
        from sgsim.report.records import record_writer

        replayed = self.replayed(snapshot, scan, options)
        names = Names(self.told(snapshot), replayed.interface_ids, replayed.rule_ids)
        if self.travel is not None:
            names = self.travel.names(names)
        writer = record_writer(self.request.format, output, names)
        for verdicts in replayed:
            tally.add_totals(verdicts)
            writer.write(verdicts)
        lacks = writer.finish()
        if self.travel is not None:
            lacks += self.travel.lacks()
        for message in [*_notes(snapshot.environment, scan), *lacks]:
            note(message)

    def told(self, snapshot: Snapshot) -> Environment:
        """What names in records come from."""
        return snapshot.environment if self.travel is None else self.travel.timeline.history.told

    def report(
        self, snapshot: Snapshot, scan: PacketScan, replayed: Replay, tally: Tally, turns: Turns
    ) -> ReplayReport:
        from sgsim.cli.nearest import NearestRules
        from sgsim.report.labels import Labels
        from sgsim.report.replay import ReplayReport
        from sgsim.report.tally import rule_hits

        rule_ids, summary, travel = replayed.rule_ids, replayed.summary, self.travel
        labels = Labels(self.told(snapshot), replayed.interface_ids, rule_ids)
        return ReplayReport(
            source=str(self.request.environment),
            labels=labels,
            files=scan.counts,
            tally=tally,
            hits=rule_hits(summary.hits, summary.sets, len(rule_ids)),
            summary=summary,
            options=self.request.described(),
            vantage=self.request.vantage,
            nearest=travel.nearest(snapshot.semantics, labels)
            if travel
            else NearestRules(snapshot.environment, snapshot.semantics, labels),
            time=travel.part(turns) if travel else None,
        )

    def judge_strictly(self, scan: PacketScan, tally: Tally) -> None:
        """Under --strict, raise UnknownVerdictError if anything is not known; the output is complete by then."""
        undecodable = sum(file.truncated + file.damaged + file.unsupported for file in scan.counts)
        if self.request.strict and (tally.unknown or undecodable):
            raise UnknownVerdictError(
                f"--strict: {_counted(tally.unknown, 'record is', 'records are')} UNKNOWN and "
                f"{_counted(undecodable, 'packet', 'packets')} could not be decoded; the text report says why"
            )


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _notes(environment: Environment, scan: PacketScan) -> Iterable[str]:
    """What the user of a machine format should know: warnings, and packets that gave no record."""
    from sgsim.report.replay import environment_warnings

    warnings = environment_warnings(environment)
    yield from warnings[:MOST_NOTES]
    if len(warnings) > MOST_NOTES:
        yield f"{len(warnings) - MOST_NOTES} more warnings; --format text has all"
    for file in scan.counts:
        if file.total != file.decoded:
            causes = "; ".join(f"{packets} {cause}" for cause, packets in sorted(file.causes.items()))
            yield f"{file.source}: {file.total - file.decoded} of {file.total} packets not used: {causes}"
        yield from (f"{file.source}: {remark}" for remark in file.notes)
