"""Descriptions of one thing by several calls, files or accounts become one, or an error that names both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgsim.errors import EnvironmentInputError
from sgsim.importers.documents import Origin
from sgsim.importers.problems import printable

__all__ = ["Views", "contradiction"]


class Views:
    """Things of one kind by id, each the union of what its descriptions tell.

    `decisive` names the fields in which descriptions must agree; in others the first one holds. Tuples are compared as
    sets, since AWS lists things in no particular order.
    """

    def __init__(self, noun: str, decisive: frozenset[str]) -> None:
        self._noun, self._decisive = noun, decisive
        self.fields: dict[str, dict[str, Any]] = {}
        self.origins: dict[str, Origin] = {}

    def add(self, identifier: str, fields: Mapping[str, Any], origin: Origin) -> None:
        """Merge one more description. Raises EnvironmentInputError where it contradicts an earlier one."""
        known = self.fields.get(identifier)
        if known is None:
            self.fields[identifier], self.origins[identifier] = dict(fields), origin
            return
        for name, value in fields.items():
            if name not in known:
                known[name] = value
            elif name in self._decisive and not _same(known[name], value):
                raise contradiction(self._noun, identifier, name, self.origins[identifier], origin)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return set(one) == set(other)
    return bool(one == other)


def contradiction(noun: str, identifier: str, field: str, first: Origin, second: Origin) -> EnvironmentInputError:
    """The error for one id with two contents; `field` is the model's name of what differs."""
    return EnvironmentInputError(
        f"{noun} {printable(identifier)} is described twice with different content ({field.replace('_', ' ')}), "
        f"first in {first}",
        source=second.source,
        where=second.where,
        advice="keep the files of one moment in time, each account and Region once",
    )
