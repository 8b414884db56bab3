"""The actions that sgsim simulates: their resources and condition keys, by AWS's service authorization reference.

The table, `actions.json`, is made by `tools/action_table.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec

__all__ = ["Action", "ActionTable", "ResourceUse", "action_table", "find_action"]


class ResourceUse(msgspec.Struct, frozen=True):
    """How an action concerns a kind of resource; `keys` are condition keys that only its requests have."""

    required: bool
    keys: tuple[str, ...]


class Action(msgspec.Struct, frozen=True):
    """An action: its access level, the condition keys of every request, resources by kind, and what else it may need.

    Without resources, `Resource` of a policy has to be `*`.
    """

    access: str
    keys: tuple[str, ...]
    also: tuple[str, ...]
    resources: Mapping[str, ResourceUse]


class ActionTable(msgspec.Struct, frozen=True, rename="pascal"):
    """`resources` are patterns of ARNs by `service:kind`, `keys` the type of each condition key."""

    source: str
    actions: Mapping[str, Action]
    resources: Mapping[str, str]
    keys: Mapping[str, str]


@cache
def action_table() -> ActionTable:
    """The table, read once."""
    return msgspec.json.decode((files("sgsim.access") / "actions.json").read_bytes(), type=ActionTable)


def find_action(name: str) -> tuple[str, Action] | None:
    """An action and its name in AWS's spelling, whatever the case of `name`; None if sgsim does not simulate it."""
    found = _spellings().get(name.lower())
    return None if found is None else (found, action_table().actions[found])


@cache
def _spellings() -> Mapping[str, str]:
    return {name.lower(): name for name in action_table().actions}
