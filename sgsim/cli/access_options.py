"""Options of the verbs that ask IAM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from sgsim.cli.manners import Manners

if TYPE_CHECKING:
    from sgsim.access.enforcement import Authorized
    from sgsim.model import Environment
    from sgsim.model.changes import ChangeSet
    from sgsim.model.quotas import Quotas

__all__ = ["as_option", "context_option", "made_as", "show_authorization"]


def _context(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    """`key=value` texts; a key that is given several times has several values."""
    found: dict[str, tuple[str, ...]] = {}
    for assignment in given:
        key, equals, value = assignment.partition("=")
        if not equals or ":" not in key:
            raise click.BadParameter(f"{assignment!r} is not KEY=VALUE with a key such as aws:SourceIp")
        found[key] = (*found.get(key, ()), value)
    return found


context_option = click.option(
    "--context",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_context,
    help="A condition key of the request (repeatable; a key given twice has two values).",
)

as_option = click.option(
    "--as",
    "principal",
    metavar="PRINCIPAL",
    help="Refuse what this user, role or root user may not do: an ARN, or a name as 'sgsim can' takes it.",
)


def made_as(
    environment: Environment,
    changes: ChangeSet,
    principal: str,
    context: Mapping[str, tuple[str, ...]],
    quotas: Quotas,
) -> Authorized:
    """The changes, made by a principal as far as it may. Raises NotationError for a name that nobody has."""
    from sgsim.access.enforcement import apply_as
    from sgsim.access.question import find_principal

    arn = find_principal(environment, principal)
    return apply_as(environment, changes, arn, context=context, quotas=quotas)


def show_authorization(answer: Authorized, manners: Manners, format_: str, dry_run: bool) -> None:
    """Write what IAM said of every call to stdout."""
    from sgsim.report.authorization import authorization_json, authorization_text
    from sgsim.report.output import open_output
    from sgsim.report.style import Style

    with open_output(None) as stream:
        if format_ == "json":
            stream.write(authorization_json(answer, dry_run))
        else:
            text = authorization_text(answer, dry_run, Style(manners.colored_output(None)))
            stream.write(text.encode("utf-8", "backslashreplace"))
