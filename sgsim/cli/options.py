"""Values that the user gives on the command line, checked and turned into what the program works with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin

import click
import msgspec

from sgsim.errors import InputError, ModelError
from sgsim.model import Environment, Semantics, parse_cidr
from sgsim.model.quotas import Quotas

__all__ = ["check_interface", "check_vpc", "quota_option", "semantics_option"]

_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def _semantics(_: click.Context, __: click.Parameter, assignments: tuple[str, ...]) -> Semantics:
    """`name=value` texts as a Semantics value."""
    types = {field.name: field.type for field in msgspec.structs.fields(Semantics)}
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in types:
            raise click.BadParameter(f"{assignment!r} is not name=value with one of the names {', '.join(types)}")
        values[name] = _value(name, types[name], text.strip())
    return Semantics(**values)


def _value(name: str, type_: Any, text: str) -> Any:
    if type_ is bool:
        if text.lower() not in _TRUTH:
            raise click.BadParameter(f"{name} is true or false, not {text!r}")
        return _TRUTH[text.lower()]
    if type_ is int:
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise click.BadParameter(f"{name} is a number of seconds, not {text!r}")
        return int(text)
    if get_origin(type_) is Literal:
        if text not in get_args(type_):
            raise click.BadParameter(f"{name} is {' or '.join(get_args(type_))}, not {text!r}")
        return text
    try:
        return tuple(parse_cidr(part.strip()) for part in text.split(",") if part.strip())
    except ModelError as error:
        raise click.BadParameter(f"{name}: {error}") from None


semantics_option = click.option(
    "--semantics",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_semantics,
    help="Decide what AWS leaves undocumented (repeatable): "
    + ", ".join(field.name for field in msgspec.structs.fields(Semantics))
    + ".",
)


def _quotas(_: click.Context, __: click.Parameter, assignments: tuple[str, ...]) -> Quotas:
    """`name=number` texts as a Quotas value."""
    names = Quotas.__struct_fields__
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in names:
            raise click.BadParameter(f"{assignment!r} is not name=number with one of the names {', '.join(names)}")
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise click.BadParameter(f"{name} is a number, not {text!r}")
        values[name] = int(text)
    return msgspec.structs.replace(Quotas(), **values)


quota_option = click.option(
    "--quota",
    "quotas",
    multiple=True,
    metavar="NAME=NUMBER",
    callback=_quotas,
    help=f"A quota of the account that is not AWS's default (repeatable): {', '.join(Quotas.__struct_fields__)}.",
)


def check_interface(environment: Environment, option: str, interface_id: str) -> str:
    """The id, if the environment has such an interface. Raises InputError."""
    if interface_id not in environment.interfaces:
        raise InputError(
            f"{interface_id} is not an interface of the environment",
            source=option,
            advice=_known("interfaces", environment.interfaces),
        )
    return interface_id


def check_vpc(environment: Environment, option: str, vpc_id: str) -> str:
    """The id, if the environment has such a VPC or interfaces in it. Raises InputError."""
    known = {interface.vpc_id for interface in environment.interfaces.values() if interface.vpc_id} | {
        *environment.vpcs
    }
    if vpc_id not in known:
        raise InputError(
            f"{vpc_id} is not a VPC of the environment", source=option, advice=_known("VPCs", sorted(known))
        )
    return vpc_id


def _known(what: str, ids: Iterable[str]) -> str:
    names = sorted(ids)
    if not names:
        return f"it has no {what}"
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"its {what} are {', '.join(names[:5])}{more}"
