"""`sgsim test`: whether a network does what is expected of it."""

from __future__ import annotations

from pathlib import Path

import click

from sgsim.cli.manners import Manners, manners_options, note
from sgsim.cli.options import check_vpc, semantics_option
from sgsim.model import Semantics

__all__ = ["test_command"]

FAILED = 2


@click.command("test", short_help="Check that groups do what is expected of them, for every packet.")
@click.argument("environment", metavar="ENV", type=click.Path(path_type=Path))
@click.argument("expectations", metavar="EXPECTATIONS", type=click.Path(path_type=Path))
@click.option(
    "--changes",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Make these changes to the environment first (as 'sgsim apply' takes them).",
)
@click.option("--vpc", metavar="VPC", help="The VPC that addresses belong to, where VPCs overlap.")
@click.option("--format", "format_", type=click.Choice(["text", "json", "junit"]), default="text", show_default=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write there instead of stdout; the file appears whole or not at all.",
)
@semantics_option
@manners_options
@click.pass_obj
def test_command(
    manners: Manners,
    /,
    environment: Path,
    expectations: Path,
    changes: Path | None,
    vpc: str | None,
    format_: str,
    output: Path | None,
    semantics: Semantics,
) -> int:
    """Check the EXPECTATIONS, a YAML file, of the security groups in ENV. Exit code 2 if one fails.

    An entry is 'accept: tcp 10.0.1.5 > sg-database:5432' or 'reject: internet > any:22'. Both sides are sets of hosts:
    addresses, blocks, groups, interfaces, instances, VPCs, prefix lists, internet, any. Every packet of the set is
    decided, without traffic; a failure shows one that goes against it.
    """
    from sgsim.analysis.expectations import decide, read_expectations
    from sgsim.importers import read_environment
    from sgsim.report.labels import Labels
    from sgsim.report.output import open_output
    from sgsim.report.space_expectations import expectations_json, expectations_junit, expectations_text
    from sgsim.report.style import Style

    expected = read_expectations(expectations)
    described = read_environment(environment)
    if changes is not None:
        from sgsim.importers.changes import read_changes
        from sgsim.model.apply import apply

        asked = read_changes(changes, described)
        for remark in asked.notes:
            note(remark)
        described = apply(described, asked)
    scope = None if vpc is None else check_vpc(described, "--vpc", vpc)
    outcomes = list(decide(described, expected, semantics, vpc_id=scope))
    with open_output(output) as stream:
        if format_ == "json":
            stream.write(expectations_json(outcomes))
        elif format_ == "junit":
            stream.write(expectations_junit(outcomes))
        else:
            style = Style(manners.colored_output(output))
            text = expectations_text(outcomes, Labels(described, (), ()), style)
            stream.write(text.encode("utf-8", "backslashreplace"))
    return 0 if all(outcome.holds for outcome in outcomes) else FAILED
