"""`sgsim who-can`: who could make packets pass, and by which calls?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from sgsim.cli.access_options import context_option
from sgsim.cli.manners import Manners, manners_options
from sgsim.cli.options import check_vpc, quota_option, semantics_option
from sgsim.model import Semantics
from sgsim.model.quotas import Quotas

__all__ = ["who_can_command"]

FOUND = 2


@click.command("who-can", short_help="Say who could make packets pass, and by which calls.")
@click.argument("environment", metavar="ENV", type=click.Path(path_type=Path))
@click.argument("packets", metavar="PACKETS")
@context_option
@click.option("--vpc", metavar="VPC", help="The VPC that addresses belong to, where VPCs overlap.")
@click.option("--format", "format_", type=click.Choice(["text", "json", "sarif"]), default="text", show_default=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write there instead of stdout; the file appears whole or not at all.",
)
@click.option("--exit-code", is_flag=True, help="End with 2 if a user or role can.")
@quota_option
@semantics_option
@manners_options
@click.pass_obj
def who_can_command(
    manners: Manners,
    /,
    environment: Path,
    packets: str,
    context: Mapping[str, tuple[str, ...]],
    vpc: str | None,
    format_: str,
    output: Path | None,
    exit_code: bool,
    quotas: Quotas,
    semantics: Semantics,
) -> int:
    """Say which users and roles of ENV could make PACKETS pass, and by which calls.

    PACKETS is a set such as 'tcp internet > sg-database:5432', as 'sgsim test' takes it. Calls are those of EC2 that
    open something: a rule more, another body for a rule, an address in a prefix list, other groups on an interface, a
    launch into a group; by the principal itself or by a role that it can take. Each is made to a copy of the
    environment, and the engine is asked again.
    """
    from sgsim.analysis.whocan import who_can
    from sgsim.errors import InputError
    from sgsim.importers import read_environment
    from sgsim.report.output import open_output
    from sgsim.report.style import Style
    from sgsim.report.whocan import WhoCanReport

    described = read_environment(environment)
    scope = None if vpc is None else check_vpc(described, "--vpc", vpc)
    try:
        answer = who_can(described, packets, semantics, vpc_id=scope, context=context, quotas=quotas)
    except InputError as error:
        if error.source or error.where:
            raise
        raise InputError(error.problem, source=str(environment), advice=error.advice) from None
    report = WhoCanReport(answer, described, semantics, str(environment))
    with open_output(output) as stream:
        if format_ == "json":
            stream.write(report.json())
        elif format_ == "sarif":
            from sgsim import __version__

            stream.write(report.sarif(__version__))
        else:
            stream.write(report.text(Style(manners.colored_output(output))).encode("utf-8", "backslashreplace"))
    return FOUND if exit_code and answer.ways else 0
