"""What differs between two environments in principals, images and snapshots, as changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import msgspec

from sgsim.model.directory_changes import DirectoryChange, DirectoryKind, SetEntry, SetPasswordPolicy
from sgsim.model.environment import Environment
from sgsim.model.organizations import Organization
from sgsim.model.overlay import changed_keys

__all__ = ["directory_changes", "entries_of", "plain_organization"]

_PLACE = {"origin": ""}


def entries_of(environment: Environment, kind: DirectoryKind) -> Any:
    """The mapping of one kind."""
    where = environment if kind in ("images", "volume_snapshots") else environment.directory
    return getattr(where, kind)


def directory_changes(before: Environment, after: Environment) -> Iterator[DirectoryChange]:
    """The changes that make the one's principals, images and snapshots into the other's; cheap where both share."""
    for kind in get_args(DirectoryKind):
        old, new = entries_of(before, kind), entries_of(after, kind)
        for key in changed_keys(old, new):
            value = new.get(key)
            if not _same(old.get(key), value):
                yield SetEntry(kind, key, value)
    old_policies, new_policies = before.directory.password_policies, after.directory.password_policies
    for account_id in changed_keys(old_policies, new_policies):
        yield SetPasswordPolicy(account_id, new_policies.get(account_id))


def _same(old: Any, new: Any) -> bool:
    """Where a thing was described is not part of it."""
    if old is None or new is None:
        return old is new
    return bool(msgspec.structs.replace(old, **_PLACE) == msgspec.structs.replace(new, **_PLACE))


def plain_organization(environment: Environment) -> Organization | None:
    """The organization but for where its parts were described, which no change expresses."""
    organization = environment.directory.organization
    if organization is None:
        return None
    plain: dict[str, Any] = {
        name: {key: msgspec.structs.replace(one, **_PLACE) for key, one in getattr(organization, name).items()}
        for name in ("units", "accounts", "policies")
    }
    return replace(organization, **plain)
