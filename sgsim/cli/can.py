"""`sgsim can`: may a principal do something, and by which statement?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sgsim.cli.access_options import context_option
from sgsim.cli.manners import Manners, manners_options
from sgsim.errors import InputError, PolicyError

if TYPE_CHECKING:
    from sgsim.model.policies import Policy

__all__ = ["can_command"]


@click.command("can", short_help="Say whether IAM lets a principal make a call, and by which statement.")
@click.argument("environment", metavar="ENV", type=click.Path(path_type=Path))
@click.argument("principal", metavar="PRINCIPAL")
@click.argument("action", metavar="ACTION")
@click.argument("resource", metavar="RESOURCE")
@context_option
@click.option(
    "--session-policy",
    "session_files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A policy passed when the role was assumed (repeatable).",
)
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write there instead of stdout; the file appears whole or not at all.",
)
@click.option("--exit-code", is_flag=True, help="End with 2 if it is not allowed.")
@manners_options
@click.pass_obj
def can_command(
    manners: Manners,
    /,
    environment: Path,
    principal: str,
    action: str,
    resource: str,
    context: Mapping[str, tuple[str, ...]],
    session_files: tuple[Path, ...],
    format_: str,
    output: Path | None,
    exit_code: bool,
) -> int:
    """Say whether IAM lets PRINCIPAL do ACTION to RESOURCE, by the policies in ENV.

    PRINCIPAL is an ARN or the name of a user or role, ACTION such as ec2:AuthorizeSecurityGroupIngress, RESOURCE an
    ARN, '*', or the id or name of something that ENV describes, whose condition keys are then known: sg-0123, role/ci.
    """
    from sgsim.access.question import can
    from sgsim.importers import read_environment
    from sgsim.report.decision import decision_json, decision_text
    from sgsim.report.output import open_output
    from sgsim.report.style import Style

    passed = [_session_policy(path) for path in session_files]
    answer = can(read_environment(environment), principal, action, resource, context, passed)
    with open_output(output) as stream:
        if format_ == "json":
            stream.write(decision_json(answer))
        else:
            text = decision_text(answer, Style(manners.colored_output(output)))
            stream.write(text.encode("utf-8", "backslashreplace"))
    return 2 if exit_code and not answer.allowed else 0


def _session_policy(path: Path) -> Policy:
    """A policy from a file of its own. Raises PolicyError with the file's name."""
    from sgsim.model.policies import PolicyKind, parse_policy

    try:
        return parse_policy(path.read_bytes(), PolicyKind.IDENTITY)
    except OSError as error:
        raise InputError(error.strerror or "cannot be read", source=str(path)) from None
    except PolicyError as error:
        raise error.of("session policy", str(path)) from None
