"""`sgsim usage`: which rules does this traffic need?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sgsim.analysis.findings import KINDS
from sgsim.cli.manners import Manners, manners_options, note
from sgsim.cli.options import check_interface, check_vpc, semantics_option
from sgsim.cli.traffic_options import output_option, traffic_options
from sgsim.cli.usage_traffic import Measured, Traffic
from sgsim.errors import InputError
from sgsim.model import Environment, Semantics
from sgsim.report.style import counted

if TYPE_CHECKING:
    from sgsim.analysis.suppressions import Judged
    from sgsim.analysis.usage import Removal, Usage
    from sgsim.engine import Snapshot
    from sgsim.report.usage import UsageReport

FORMATS = ("text", "json", "jsonl", "csv", "parquet", "sarif", "junit")
FINDINGS = 2  #: exit code


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    environment: Path
    traffic: tuple[str, ...]
    format: str
    output: Path | None
    vpc: str | None
    vantage: str | None
    decapsulate: bool
    log_format: str | None
    join_window: int | None
    likely: bool
    together: tuple[str, ...]
    suppressions: Path | None
    exit_code: bool
    fail_on: tuple[str, ...]
    semantics: Semantics

    @property
    def failing(self) -> tuple[str, ...]:
        """The kinds of findings that make the exit code 2."""
        return tuple(KINDS) if self.exit_code and not self.fail_on else self.fail_on

    @property
    def traffic_options(self) -> Traffic:
        """What is read, and how."""
        options = (
            self.vpc,
            self.vantage,
            self.decapsulate,
            self.log_format,
            self.join_window,
            self.likely,
        )
        return Traffic(self.traffic, *options)

    def described(self) -> dict[str, Any]:
        """The options that change what is counted, for the report."""
        chosen = {
            "vpc": self.vpc,
            "vantage": self.vantage,
            "decapsulate": self.decapsulate or None,
            "likely": self.likely or None,
        }
        return {name: value for name, value in chosen.items() if value is not None}


def _kinds(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    kinds = [kind.strip() for text in texts for kind in text.split(",") if kind.strip()]
    for kind in kinds:
        if kind not in KINDS:
            raise click.BadParameter(f"{kind!r} is none of {', '.join(KINDS)}")
    return tuple(dict.fromkeys(kinds))


@click.command("usage", short_help="Say which rules the traffic needs, and which could go.")
@click.argument("environment", metavar="ENV", type=click.Path(path_type=Path))
@click.argument("traffic", metavar="TRAFFIC...", nargs=-1, required=True)
@click.option(
    "--format",
    "format",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="text is for people; json has everything; jsonl, csv, parquet one rule a row; sarif, junit the findings.",
)
@output_option
@traffic_options
@click.option(
    "--together",
    multiple=True,
    metavar="RULE",
    help="Ask whether these rules can all go together (repeatable); without it, as many of all rules as can.",
)
@click.option(
    "--suppressions",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML file of findings that are accepted, each with a reason and a date.",
)
@click.option("--exit-code", is_flag=True, help="Exit with 2 if there are findings (of the kinds of --fail-on).")
@click.option(
    "--fail-on",
    multiple=True,
    metavar="KIND,...",
    callback=_kinds,
    help=f"Exit with 2 if there are findings of these kinds: {', '.join(KINDS)}.",
)
@semantics_option
@manners_options
@click.pass_obj
def usage_command(manners: Manners, /, **arguments: Any) -> int:
    """Say for each security-group rule in ENV what TRAFFIC used it for, and which rules could go.

    TRAFFIC is captures (pcap, pcapng; gzip, zstd; - for stdin) or VPC flow logs (text, gzip, Parquet; files,
    directories, s3://…). ENV is a file or a directory of what
    `aws ec2 describe-…` prints, or what `sgsim collect` wrote.
    """
    return Run(Request(**arguments), manners).run()


class Run:
    """One question, from files to output and exit code."""

    def __init__(self, request: Request, manners: Manners) -> None:
        self.request, self.manners = request, manners

    def run(self) -> int:
        """Raises SgsimError."""
        from sgsim.engine.warm import warming

        with warming():
            return self.answer()

    def answer(self) -> int:
        """Read, measure, write; the exit code."""
        from sgsim.engine import Snapshot
        from sgsim.importers import read_environment
        from sgsim.report.output import open_output

        environment = read_environment(self.request.environment)
        self.check(environment)
        judge = self.judge_findings()
        snapshot = Snapshot.of(environment, semantics=self.request.semantics)
        with open_output(self.request.output) as output:
            report = self.report(snapshot, judge)
            self.write(report, output)
        failing = self.request.failing
        return FINDINGS if any(finding.kind in failing for finding in report.judged.open) else 0

    def check(self, environment: Environment) -> None:
        """Every id that the user gave is in the environment."""
        asked = self.request
        if asked.vantage:
            check_interface(environment, "--vantage", asked.vantage)
        if asked.vpc:
            check_vpc(environment, "--vpc", asked.vpc)
        known = {rule.rule_id for group in environment.groups.values() for rule in group.rules}
        for rule_id in asked.together:
            if rule_id not in known:
                raise InputError(f"{rule_id} is not a rule of the environment", source="--together")

    def judge_findings(self) -> Callable[[Usage], Judged]:
        """Read the suppressions first: what is wrong with them should not be said after an hour."""
        from sgsim.analysis.suppressions import judge_findings, read_suppressions

        entries = read_suppressions(self.request.suppressions) if self.request.suppressions else []
        return lambda usage: judge_findings(usage.findings, entries, datetime.now(UTC).date())

    def report(self, snapshot: Snapshot, judge: Callable[[Usage], Judged]) -> UsageReport:
        from sgsim.analysis.usage import Usage, removal
        from sgsim.report.labels import Labels
        from sgsim.report.usage import UsageReport

        measured = self.measured(snapshot)
        usage = Usage.of(snapshot, measured.use)
        answer = removal(usage, self.request.together or None)
        return UsageReport(
            source=str(self.request.environment),
            labels=Labels(snapshot.environment, snapshot.tables.interface_ids, snapshot.tables.rule_ids),
            sources=measured.sources,
            usage=usage,
            judged=judge(usage),
            removal=answer,
            verified=self.verified(snapshot, answer, measured),
            options=self.request.described(),
            notes=(*measured.notes, *_notes(usage)),
        )

    def measured(self, snapshot: Snapshot) -> Measured:
        """Run the traffic through the rules and count."""
        return self.request.traffic_options.measured(snapshot, self.manners)

    def verified(self, snapshot: Snapshot, answer: Removal, before: Measured) -> str:
        """How it was checked that the rules can go: the same traffic again, without them. "" if it does not hold.

        What can be read only once is not there any more; then flows of every match set are evaluated again.
        """
        from sgsim.analysis.usage import without_rules
        from sgsim.engine import Snapshot, evaluate
        from sgsim.verdicts import Verdict

        if not answer.removed:
            return ""
        reduced = Snapshot.of(without_rules(snapshot.environment, answer.removed), semantics=snapshot.semantics)
        if not self.request.traffic_options.again:
            samples = before.use.samples
            fine = bool((evaluate(reduced, samples).action == Verdict.ACCEPT).all())
            return f"{len(samples)} flows, some of every set of rules that allow one, evaluated again" if fine else ""
        if self.measured(reduced).digest != before.digest:
            return ""
        each = "packet" if all(source.unit == "packet" for source in before.sources) else "record"
        return f"the same traffic again without them, and every {each} has the same verdict"

    def write(self, report: UsageReport, output: Any) -> None:
        format_ = self.request.format
        if format_ == "text":
            from sgsim.report.style import Style
            from sgsim.report.usage_text import usage_text

            style = Style(self.manners.colored_output(self.request.output))
            output.write(usage_text(report, style).encode("utf-8", "backslashreplace"))
            return
        if format_ == "json":
            from sgsim.report.usage_json import usage_json

            output.write(usage_json(report))
            return
        if format_ == "sarif":
            from sgsim import __version__
            from sgsim.report.sarif import sarif

            output.write(sarif(report, __version__))
        elif format_ == "junit":
            from sgsim.report.junit import junit

            output.write(junit(report, self.request.failing or tuple(KINDS)))
        else:
            from sgsim.report.usage_json import write_rows

            write_rows(format_, output, report)
        for message in _unsaid(report):
            note(message)


def _notes(usage: Usage) -> Iterable[str]:
    use = usage.use
    if use.ambiguous:
        yield (
            f"{counted(use.ambiguous, 'record')} could belong to several interfaces: no use of any rule here; "
            "say which VPC is meant with --vpc, or where a capture was taken with --vantage"
        )


def _unsaid(report: UsageReport) -> Iterable[str]:
    """What formats of findings or rules cannot say."""
    yield from report.notes
    for entry in report.judged.expired:
        yield f"suppression of {entry.target} expired on {entry.until}: {entry.reason}"
    for entry in report.judged.unknown:
        yield f"suppression of {entry.target} fits no finding"
