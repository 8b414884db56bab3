"""Whether an owner lets an account use an image or a snapshot: the permission attributes (docs/iam.md C)."""

from __future__ import annotations

from typing import NamedTuple

from sgsim.model.environment import Environment
from sgsim.model.images import EVERYONE, Image, Permission, PermissionKind

__all__ = ["Shared", "image_permissions", "shared_with"]


class Shared(NamedTuple):
    """`allowed` is None where the input does not tell; `why` says it in words."""

    allowed: bool | None
    why: str


def image_permissions(image: Image) -> frozenset[Permission] | None:
    """With whom an image is shared; where only `describe-images` was given, that a public one is so."""
    if image.permissions is None and image.public:
        return frozenset({EVERYONE})
    return image.permissions


def shared_with(
    environment: Environment,
    account_id: str,
    owner_id: str | None,
    permissions: frozenset[Permission] | None,
    call: str,
) -> Shared:
    """Whether an account may use what `owner_id` shares; `call` prints with whom, for advice."""
    if owner_id == account_id:
        return Shared(True, f"{account_id} is the owner")
    for permission in sorted(permissions or (), key=str):
        reason = _reached(environment, account_id, permission)
        if reason:
            return Shared(True, reason)
    if permissions is None or owner_id is None:
        return Shared(None, f"the input does not tell with whom it is shared; add the output of '{call}'")
    unknown = [one for one in permissions if _organization_unknown(environment, one)]
    if unknown:
        why = f"it is shared with {unknown[0].value}, and the input does not tell which accounts that is"
        return Shared(None, why)
    return Shared(False, f"its owner {owner_id} does not share it with {account_id}")


def _reached(environment: Environment, account_id: str, permission: Permission) -> str:
    """Why an item means the account, "" if it does not."""
    if permission == EVERYONE:
        return "it is public"
    if permission.kind is PermissionKind.ACCOUNT:
        return f"it is shared with {account_id}" if permission.value == account_id else ""
    organization = environment.directory.organization
    if organization is None or account_id not in organization.accounts:
        return ""
    if permission.kind is PermissionKind.ORGANIZATION:
        same = permission.value == organization.arn
        return f"it is shared with the organization {organization.organization_id}" if same else ""
    for unit_id in organization.path(account_id):
        unit = organization.units.get(unit_id)
        if unit is not None and unit.arn == permission.value:
            return f"it is shared with the organizational unit {unit.name or unit_id}, in which the account is"
    return ""


def _organization_unknown(environment: Environment, permission: Permission) -> bool:
    """Whether an item means an organization of which nothing is described."""
    if permission.kind not in (PermissionKind.ORGANIZATION, PermissionKind.UNIT):
        return False
    organization = environment.directory.organization
    return organization is None or f"/{organization.organization_id}" not in permission.value
