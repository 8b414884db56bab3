"""`sgsim apply`: make changes to a description of an account."""

from __future__ import annotations

from pathlib import Path

import click

from sgsim.cli.manners import Manners, manners_options, note
from sgsim.cli.options import quota_option
from sgsim.errors import OutputError
from sgsim.model.quotas import Quotas

__all__ = ["apply_command"]


@click.command("apply", short_help="Make changes to an environment, as AWS would.")
@click.argument("environment", metavar="ENV", type=click.Path(path_type=Path))
@click.argument("changes", metavar="CHANGES", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="New directory for the new environment; it appears whole or not at all. Without it, the difference is shown.",
)
@quota_option
@manners_options
@click.pass_obj
def apply_command(manners: Manners, /, environment: Path, changes: Path, output: Path | None, quotas: Quotas) -> None:
    """Make the changes in CHANGES to the environment in ENV, all of them or none.

    CHANGES is a request to the API of EC2 or IAM or a list of them, as `aws … --cli-input-json` takes them with the
    name of the call under "Action"; CloudTrail's records; or a second environment. What AWS would refuse is refused
    with its error code. With -o, new access keys are printed with their secrets, this once.
    """
    from sgsim.importers import read_environment
    from sgsim.importers.changes import read_changes
    from sgsim.importers.write import write_environment
    from sgsim.model.apply import apply
    from sgsim.report.access_keys import new_keys_json
    from sgsim.report.changes import changes_text
    from sgsim.report.output import open_output
    from sgsim.report.style import Style

    if output is not None and environment.is_dir() and environment.resolve() in output.resolve().parents:
        raise OutputError(f"{output}: lies inside {environment}, which would then describe everything twice")
    before = read_environment(environment)
    asked = read_changes(changes, before)
    for remark in asked.notes:
        note(remark)
    after = apply(before, asked, quotas=quotas)
    if output is not None:
        write_environment(after, output)
        with open_output(None) as stream:
            stream.write(new_keys_json(asked, after))
        return
    with open_output(None) as stream:
        text = changes_text(before, after, Style(manners.colored_output(None)))
        stream.write(text.encode("utf-8", "backslashreplace"))
