"""`sgsim apply`: make changes to a description of an account."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from sgsim.cli.access_options import as_option, context_option, made_as, show_authorization
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
@as_option
@context_option
@click.option(
    "--dry-run", is_flag=True, help="With --as: say whether it would be allowed, call by call, and stop there."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Of what IAM says (--as).",
)
@quota_option
@manners_options
@click.pass_obj
def apply_command(
    manners: Manners,
    /,
    environment: Path,
    changes: Path,
    output: Path | None,
    principal: str | None,
    context: Mapping[str, tuple[str, ...]],
    dry_run: bool,
    format_: str,
    quotas: Quotas,
) -> int:
    """Make the changes in CHANGES to the environment in ENV, all of them or none.

    CHANGES is a request to the API of EC2 or IAM or a list of them, as `aws … --cli-input-json` takes them with the
    name of the call under "Action"; CloudTrail's records; or a second environment. What AWS would refuse is refused
    with its error code. With -o, new access keys are printed with their secrets, this once.

    With --as every call has to be allowed by IAM, in the environment that the calls before it have left; a refusal
    makes none of them and is explained on stdout.
    """
    from sgsim.importers import read_environment
    from sgsim.importers.changes import read_changes
    from sgsim.importers.write import write_environment
    from sgsim.model.apply import apply
    from sgsim.report.access_keys import new_keys_json
    from sgsim.report.changes import changes_text
    from sgsim.report.output import open_output
    from sgsim.report.style import Style

    if principal is None and (dry_run or context or format_ != "text"):
        raise click.UsageError("--dry-run, --context and --format need --as")
    if dry_run and output is not None:
        raise click.UsageError("--dry-run writes nothing: leave out --output")
    if output is not None and environment.is_dir() and environment.resolve() in output.resolve().parents:
        raise OutputError(f"{output}: lies inside {environment}, which would then describe everything twice")
    before = read_environment(environment)
    asked = read_changes(changes, before)
    for remark in asked.notes:
        note(remark)
    if principal is None:
        after = apply(before, asked, quotas=quotas)
    else:
        answer = made_as(before, asked, principal, context, quotas)
        if dry_run or answer.error is not None or format_ == "json":
            show_authorization(answer, manners, format_, dry_run)
        if answer.error is not None:
            raise answer.error
        if dry_run:
            return 0
        after = answer.environment
    if output is not None:
        write_environment(after, output)
        with open_output(None) as stream:
            stream.write(new_keys_json(asked, after))
        return 0
    if format_ == "json":
        return 0
    with open_output(None) as stream:
        text = changes_text(before, after, Style(manners.colored_output(None)))
        stream.write(text.encode("utf-8", "backslashreplace"))
    return 0
