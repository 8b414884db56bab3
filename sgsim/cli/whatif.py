"""`sgsim whatif`: what a change would do, before anyone makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from sgsim.cli.access_options import as_option, context_option, made_as, show_authorization
from sgsim.cli.manners import Manners, manners_options, note
from sgsim.cli.options import check_interface, check_vpc, quota_option, semantics_option
from sgsim.model import Environment, Semantics
from sgsim.model.quotas import Quotas

if TYPE_CHECKING:
    from sgsim.report.whatif import WhatIfReport

__all__ = ["FAIL_ON", "whatif_command"]

FORMATS = ("text", "markdown", "json", "jsonl", "sarif", "junit")
CHANGED = 2  #: exit code
_LATEST = 253_402_300_799  #: the last second of the year 9999

#: What --fail-on takes; the order of `sgsim.analysis.whatif.KINDS`, which is not imported for `--help`.
FAIL_ON = (
    "newly-rejected", "newly-accepted", "perhaps-rejected", "perhaps-accepted", "surely-rejected", "surely-accepted",
    "cut", "undetermined", "survives", "fails-on-reconnect", "opens-internet", "opened", "closed", "quota",
)  # fmt: skip
WITHOUT_TRAFFIC = FAIL_ON[-4:]  #: those that no traffic is needed for


@dataclass(frozen=True)
class Request:
    """What the user asked for."""

    environment: Path
    changes: Path
    traffic: tuple[str, ...]
    at: int | None
    direct: bool
    format: str
    output: Path | None
    exit_code: bool
    fail_on: tuple[str, ...]
    internet: tuple[int, int]
    vpc: str | None
    vantage: str | None
    decapsulate: bool
    log_format: str | None
    join_window: int | None
    likely: bool
    principal: str | None
    context: Mapping[str, tuple[str, ...]]
    dry_run: bool
    quotas: Quotas
    semantics: Semantics

    @property
    def failing(self) -> tuple[str, ...]:
        """The kinds that make the exit code 2."""
        return FAIL_ON if self.exit_code and not self.fail_on else self.fail_on

    def described(self) -> dict[str, Any]:
        """The options that change what is found, for the report."""
        chosen = {
            "vpc": self.vpc,
            "vantage": self.vantage,
            "decapsulate": self.decapsulate or None,
            "likely": self.likely or None,
            "direct": self.direct or None,
            "as": self.principal,
            "internet": list(self.internet) if self.internet != (8, 16) else None,
        }
        return {name: value for name, value in chosen.items() if value is not None}


def _kinds(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    kinds = [kind.strip() for text in texts for kind in text.split(",") if kind.strip()]
    for kind in kinds:
        if kind not in FAIL_ON:
            raise click.BadParameter(f"{kind!r} is none of {', '.join(FAIL_ON)}")
    return tuple(dict.fromkeys(kinds))


def _moment(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    """A time as ns since the epoch: ISO 8601 (UTC where it has no zone) or seconds."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            raise click.BadParameter(f"{text!r} is no time such as 2026-03-02T09:05:00Z or 1772442300") from None
        seconds = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    if not 0 <= seconds <= _LATEST:
        raise click.BadParameter(f"{text!r} is outside the years 1970 to 9999")
    return int(seconds * 1_000_000) * 1_000


def _blocks(_: click.Context, __: click.Parameter, text: str) -> tuple[int, int]:
    """Two prefix lengths."""
    first, comma, second = text.partition(",")
    lengths = [part.strip().lstrip("/") for part in ((first, second) if comma else (first, "16"))]
    if not all(part.isascii() and part.isdigit() and len(part) < 4 for part in lengths):
        raise click.BadParameter(f"{text!r} is not two prefix lengths such as 8,16")
    v4, v6 = map(int, lengths)
    if v4 > 32 or v6 > 128:
        raise click.BadParameter(f"{text!r}: a prefix length of IPv4 is at most 32, of IPv6 128")
    return v4, v6


@click.command("whatif", short_help="Say what a change of rules would do, before anyone makes it.")
@click.argument("environment", metavar="ENV", type=click.Path(path_type=Path))
@click.argument("changes", metavar="CHANGES", type=click.Path(path_type=Path))
@click.option(
    "--traffic",
    multiple=True,
    metavar="FILE",
    help="Captures or flow logs to judge before and after (repeatable; several at once where the shell expands them).",
)
@click.argument("more_traffic", metavar="[TRAFFIC...]", nargs=-1)
@click.option(
    "--at",
    metavar="TIME",
    callback=_moment,
    help="The moment of the change: connections open then are looked at. ISO 8601 or seconds.  [default: the end]",
)
@click.option(
    "--direct",
    is_flag=True,
    help="No connection passes a NAT gateway, Network Load Balancer or the like: untracked ones are cut for certain.",
)
@click.option(
    "--format",
    "format",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="text is for people, markdown for pull requests; json has everything, jsonl one finding a row.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write there instead of stdout; the file appears whole or not at all.",
)
@click.option(
    "--exit-code",
    is_flag=True,
    help="Exit with 2 if a verdict changes or a quota is exceeded (of the kinds of --fail-on, if given).",
)
@click.option(
    "--fail-on",
    multiple=True,
    metavar="KIND,...",
    callback=_kinds,
    help=f"Exit with 2 if there is any of these: {', '.join(FAIL_ON)}.",
)
@click.option(
    "--internet",
    default="8,16",
    show_default=True,
    metavar="V4,V6",
    callback=_blocks,
    help="How much of the internet counts as open: a block of these prefix lengths, or as many addresses.",
)
@click.option("--vpc", metavar="VPC", help="The VPC that the traffic's addresses belong to, where VPCs overlap.")
@click.option("--vantage", metavar="ENI", help="The interface at which the capture was taken: only it is judged.")
@click.option("--decapsulate", is_flag=True, help="Judge what VXLAN (traffic mirroring) and Geneve carry.")
@click.option("--log-format", metavar="FORMAT", help="Fields of flow logs without a header line: '${version} ${…} …'.")
@click.option(
    "--join-window",
    type=click.IntRange(0, 86_400),
    metavar="SECONDS",
    help="Flow logs: how long a record may come after later ones.  [default: 900]",
)
@click.option("--likely", is_flag=True, help="Where a flow log does not show who began, go by what is likely.")
@as_option
@context_option
@click.option(
    "--dry-run", is_flag=True, help="With --as: say whether it would be allowed, call by call, and stop there."
)
@quota_option
@semantics_option
@manners_options
@click.pass_obj
def whatif_command(manners: Manners, /, more_traffic: tuple[str, ...], **arguments: Any) -> int:
    """Say what the changes in CHANGES would do to the account in ENV; nothing is changed.

    Which flows of the traffic are newly rejected or accepted, what becomes of connections that are open, which part of
    the packet space opens or closes whatever the traffic, and what the change takes of AWS's quotas. CHANGES is what
    `sgsim apply` takes: requests to EC2's API, CloudTrail's records, or a second environment.
    """
    traffic = (*arguments.pop("traffic"), *more_traffic)
    return Run(Request(traffic=traffic, **arguments), manners).run()


class Run:
    """One question, from files to output and exit code."""

    def __init__(self, request: Request, manners: Manners) -> None:
        self.request, self.manners = request, manners

    def run(self) -> int:
        """Raises SgsimError."""
        if self.request.principal is None and (self.request.dry_run or self.request.context):
            raise click.UsageError("--dry-run and --context need --as")
        if not self.request.traffic:
            self.without_traffic()
            return self.answer()
        from sgsim.engine.warm import warming

        with warming():
            return self.answer()

    def without_traffic(self) -> None:
        """Raise UsageError for options that are about traffic."""
        asked = self.request
        for name, value in (
            ("--at", asked.at),
            ("--direct", asked.direct or None),
            ("--vpc", asked.vpc),
            ("--vantage", asked.vantage),
            ("--decapsulate", asked.decapsulate or None),
            ("--log-format", asked.log_format),
            ("--join-window", asked.join_window),
            ("--likely", asked.likely or None),
        ):
            if value is not None:
                raise click.UsageError(f"{name} needs --traffic")
        if asked.fail_on and not set(asked.fail_on) & set(WITHOUT_TRAFFIC):
            raise click.UsageError(f"--fail-on {','.join(asked.fail_on)} can never fail without --traffic")

    def answer(self) -> int:
        """Read, work out, write; the exit code."""
        from sgsim.importers import read_environment
        from sgsim.importers.changes import read_changes
        from sgsim.model.apply import apply
        from sgsim.report.output import open_output

        asked = self.request
        before = read_environment(asked.environment)
        changes = read_changes(asked.changes, before)
        if asked.principal is None:
            after = apply(before, changes, quotas=asked.quotas)
        else:
            answer = made_as(before, changes, asked.principal, asked.context, asked.quotas)
            if asked.dry_run or answer.error is not None:
                show_authorization(answer, self.manners, "json" if asked.format == "json" else "text", asked.dry_run)
            if answer.error is not None:
                raise answer.error
            if asked.dry_run:
                return 0
            after = answer.environment
        self.check(before, after)
        with open_output(asked.output) as output:
            report = self.report(before, after, changes)
            self.write(report, output)
        return CHANGED if report.answer.kinds.intersection(asked.failing) else 0

    def check(self, before: Environment, after: Environment) -> None:
        """Every id that the user gave is in the environment, before and after."""
        for environment in (before, after):
            if self.request.vantage:
                check_interface(environment, "--vantage", self.request.vantage)
            if self.request.vpc:
                check_vpc(environment, "--vpc", self.request.vpc)

    def report(self, before: Environment, after: Environment, changes: Any) -> WhatIfReport:
        from sgsim.analysis.space import Threshold
        from sgsim.analysis.whatif import WhatIf, quota_changes, space_changes
        from sgsim.cli.whatif_traffic import Observed, WhatIfTraffic
        from sgsim.report.replay import environment_warnings
        from sgsim.report.whatif import WhatIfReport

        asked = self.request
        observed: Observed | None = None
        if asked.traffic:
            from sgsim.engine import Snapshot

            old, new = (Snapshot.of(each, semantics=asked.semantics) for each in (before, after))
            traffic = WhatIfTraffic(
                asked.traffic,
                asked.at,
                asked.direct,
                asked.vpc,
                asked.vantage,
                asked.decapsulate,
                asked.log_format,
                asked.join_window,
                asked.likely,
            )
            observed = traffic.observed(old, new, self.manners)
        answer = WhatIf(
            before=before,
            after=after,
            changes=changes,
            traffic=observed.part if observed else None,
            space=space_changes(before, after, asked.semantics, Threshold(*asked.internet)),
            quota=quota_changes(before, after, asked.quotas),
        )
        return WhatIfReport(
            source=str(asked.environment),
            asked=str(asked.changes),
            answer=answer,
            sources=observed.sources if observed else (),
            options=asked.described(),
            notes=(*changes.notes, *environment_warnings(before), *(observed.notes if observed else ())),
        )

    def write(self, report: WhatIfReport, output: BinaryIO) -> None:
        format_ = self.request.format
        if format_ == "text":
            from sgsim.report.style import Style
            from sgsim.report.whatif_text import whatif_text

            style = Style(self.manners.colored_output(self.request.output))
            output.write(whatif_text(report, style).encode("utf-8", "backslashreplace"))
            return
        if format_ == "markdown":
            from sgsim.report.whatif_markdown import whatif_markdown

            output.write(whatif_markdown(report).encode("utf-8", "backslashreplace"))
            return
        if format_ == "json":
            from sgsim.report.whatif_json import whatif_json

            output.write(whatif_json(report))
            return
        if format_ == "jsonl":
            from sgsim.report.whatif_json import whatif_rows

            output.write(whatif_rows(report))
        elif format_ == "sarif":
            from sgsim import __version__
            from sgsim.report.whatif_ci import whatif_sarif

            output.write(whatif_sarif(report, __version__))
        else:
            from sgsim.report.whatif_ci import whatif_junit

            output.write(whatif_junit(report, self.request.failing or FAIL_ON))
        for remark in report.notes:
            note(remark)
