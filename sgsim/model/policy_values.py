"""The values of conditions, from text: numbers, moments, addresses, truth, bytes (docs/iam.md A2).

Each reader gives None for text that is no such value: a policy with one is refused, a request with one fits nothing.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from ipaddress import ip_network

__all__ = ["arn_parts", "binary", "moment", "network", "number", "truth", "variables"]

_NUMBER = re.compile(r"[+-]?[0-9]{1,100}(\.[0-9]{1,100})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_EPOCH = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)
_MOMENT = re.compile(
    r"([0-9]{4})-([0-9]{2})(?:-([0-9]{2})"
    r"(?:[Tt]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(\.[0-9]{1,18})?)?(?:([Zz])|([+-])([0-9]{2}):?([0-9]{2}))?)?)?",
    re.ASCII,
)
_NETWORK = re.compile(r"[0-9A-Fa-f.:]+(/[0-9]{1,3})?", re.ASCII)
_START = datetime(1970, 1, 1, tzinfo=UTC)
_VARIABLE = re.compile(r"\$\{(?:(?P<escape>[*?$])|(?P<key>[^{}',]+)(?:, '(?P<default>[^'{}]*)')?)\}")


def number(text: str) -> Decimal | None:
    """An integer or a decimal number."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def moment(text: str) -> Decimal | None:
    """Seconds since 1970, from a date of ISO 8601 as W3C has it, or from seconds; without a zone it is UTC."""
    if _EPOCH.fullmatch(text):
        return Decimal(text)
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, _, sign, zone_hours, zone_minutes = match.groups()
    zone = timedelta(hours=int(zone_hours or 0), minutes=int(zone_minutes or 0))
    try:
        instant = datetime(
            int(year),
            int(month),
            int(day or 1),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            tzinfo=timezone(-zone if sign == "-" else zone),
        )
    except ValueError:
        return None
    span = instant - _START
    return Decimal(span.days * 86400 + span.seconds) + Decimal(fraction or 0)


def truth(text: str) -> bool | None:
    """True or false, in any case."""
    return {"true": True, "false": False}.get(text.lower())


def network(text: str) -> tuple[int, int, int] | None:
    """A range of addresses as its family (4 or 6), its first and its last address; a bare address is a range of one."""
    if not _NETWORK.fullmatch(text):  # Python's reader also takes masks and zones, which AWS's language does not have
        return None
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        return None
    return found.version, int(found.network_address), int(found.broadcast_address)


def binary(text: str) -> bytes | None:
    """The bytes behind base64 text."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def arn_parts(text: str) -> list[str] | None:
    """The six parts of an ARN, or of a pattern of one; colons after the fifth belong to the last part."""
    parts = text.split(":", 5)
    return parts if len(parts) == 6 else None


def variables(text: str) -> list[str | re.Match[str]] | None:
    """Text cut at its variables: plain pieces and matches with the groups `escape`, `key` and `default`, in order.

    None if a `${` begins no variable.
    """
    pieces: list[str | re.Match[str]] = []
    at = 0
    for match in _VARIABLE.finditer(text):
        pieces += [text[at : match.start()], match]
        at = match.end()
    pieces.append(text[at:])
    if any(isinstance(piece, str) and "${" in piece for piece in pieces):
        return None
    return pieces
