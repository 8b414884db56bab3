"""How the permission attributes of images and snapshots change; part of `apply` (docs/iam.md C)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import msgspec

from sgsim.errors import ChangeError, ModelError
from sgsim.model.arns import is_account_id, parse_arn
from sgsim.model.directory_changes import ModifyPermissions, ResetPermissions
from sgsim.model.environment import Environment
from sgsim.model.images import EVERYONE, Image, Permission, PermissionKind, VolumeSnapshot
from sgsim.model.overlay import Overlay
from sgsim.model.quotas import Quotas

__all__ = ["MOST_ITEMS", "PERMISSION_STEPS", "check_permission", "image_missing", "known_accounts", "snapshot_missing"]

#: Items that one call may add or remove.
MOST_ITEMS: Final = 500

_RESOURCES = {PermissionKind.ORGANIZATION: "organization/", PermissionKind.UNIT: "ou/"}
_IMAGE_ID, _SNAPSHOT_ID = re.compile(r"ami-[0-9a-f]+"), re.compile(r"snap-[0-9a-f]+")


def image_missing(image_id: str) -> ChangeError:
    """The error for an image that is not there."""
    if not _IMAGE_ID.fullmatch(image_id):
        return ChangeError("InvalidAMIID.Malformed", f'Invalid id: "{image_id}" (expecting "ami-...")', image_id)
    return ChangeError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist", image_id)


def snapshot_missing(snapshot_id: str) -> ChangeError:
    """The error for a snapshot that is not there, or that the caller may not see."""
    if not _SNAPSHOT_ID.fullmatch(snapshot_id):
        problem = f'Invalid id: "{snapshot_id}" (expecting "snap-...")'
        return ChangeError("InvalidSnapshotID.Malformed", problem, snapshot_id)
    return ChangeError("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.", snapshot_id)


def check_permission(permission: Permission) -> None:
    """Accounts have 12 digits, the group is `all`, organizations and units are full ARNs. Raises ChangeError."""
    kind, value = permission.kind, permission.value
    if kind is PermissionKind.ACCOUNT:
        good, word = is_account_id(value), "userId"
    elif kind is PermissionKind.GROUP:
        good, word = value == "all", "group"
    else:
        good, word = _is_organization_arn(value, _RESOURCES[kind]), kind.value[0].lower() + kind.value[1:]
    if not good:
        problem = f'Invalid attribute item value "{value}" for {word} item type.'
        raise ChangeError("InvalidAMIAttributeItemValue", problem, value)


def _is_organization_arn(text: str, resource: str) -> bool:
    try:
        arn = parse_arn(text)
    except ModelError:
        return False
    return arn.service == "organizations" and bool(arn.account_id) and arn.resource.startswith(resource)


def known_accounts(environment: Environment) -> frozenset[str]:
    """The accounts of which the environment describes anything; owners of images are not among them."""
    groups = {one.account_id for one in environment.groups.values() if one.account_id is not None}
    return frozenset(groups) | environment.directory.account_ids()


def _modify(environment: Environment, change: ModifyPermissions, quotas: Quotas | None) -> Environment:
    if change.resource_id.startswith("snap-"):
        return _modify_snapshot(environment, change, quotas)
    image = environment.images.get(change.resource_id)
    if image is None:
        raise image_missing(change.resource_id)
    if quotas is not None:
        _check_owner(environment, image, change)
        _check_items(change)
        if EVERYONE in change.add:
            _check_public_image(environment, image)
    permissions = _changed(image.permissions, change)
    public = image.public if permissions is None else EVERYONE in permissions
    if permissions is None and EVERYONE in (*change.add, *change.remove):
        public = EVERYONE in change.add
    return _with(environment, "images", image.image_id, permissions=permissions, public=public)


def _modify_snapshot(environment: Environment, change: ModifyPermissions, quotas: Quotas | None) -> Environment:
    snapshot = environment.volume_snapshots.get(change.resource_id)
    if snapshot is None:
        raise snapshot_missing(change.resource_id)
    if quotas is not None:
        _check_owner(environment, snapshot, change)
        _check_items(change)
        for permission in (*change.add, *change.remove):
            if permission.kind in _RESOURCES:
                problem = "A snapshot is shared with accounts or with everyone, not with organizations"
                raise ChangeError("InvalidParameterValue", problem, snapshot.snapshot_id)
        if change.add and snapshot.default_key:
            problem = "A snapshot that AWS's default key encrypts cannot be shared"
            raise ChangeError("OperationNotPermitted", problem, snapshot.snapshot_id)
        if EVERYONE in change.add and snapshot.encrypted:
            raise ChangeError("OperationNotPermitted", "Encrypted snapshots cannot be public", snapshot.snapshot_id)
    permissions = _changed(snapshot.permissions, change)
    return _with(environment, "volume_snapshots", snapshot.snapshot_id, permissions=permissions)


def _changed(known: frozenset[Permission] | None, change: ModifyPermissions) -> frozenset[Permission] | None:
    """What is shared already and shared again, or neither, is no error. What is not told stays so."""
    return None if known is None else (known - set(change.remove)) | set(change.add)


def _check_owner(environment: Environment, thing: Image | VolumeSnapshot, change: ModifyPermissions) -> None:
    """Only the owner shares; the caller is of the account that asks, or of one that the environment describes."""
    if thing.owner_id is None:
        return
    callers = known_accounts(environment)
    if change.origin is not None and change.origin.principal.startswith("arn:"):
        callers = frozenset({parse_arn(change.origin.principal).account_id})
    if callers and thing.owner_id not in callers:
        kind = "image" if isinstance(thing, Image) else "snapshot"
        raise ChangeError(
            "AuthFailure",
            f"Not authorized for {kind}:{change.resource_id}",
            f"its owner is {thing.owner_id}",
        )


def _check_items(change: ModifyPermissions) -> None:
    if not change.add and not change.remove:
        raise ChangeError("MissingParameter", "The request must contain items to add or to remove", change.resource_id)
    if change.add and change.remove and change.resource_id.startswith("snap-"):
        problem = "One call adds or removes, not both"
        raise ChangeError("InvalidParameterCombination", problem, change.resource_id)
    if len(change.add) + len(change.remove) > MOST_ITEMS:
        problem = f"At most {MOST_ITEMS} items can be added or removed in one call"
        raise ChangeError("InvalidParameterValue", problem, change.resource_id)
    for permission in (*change.add, *change.remove):
        check_permission(permission)


def _check_public_image(environment: Environment, image: Image) -> None:
    snapshots = [environment.volume_snapshots.get(one) for one in image.snapshot_ids]
    if image.encrypted or any(one is not None and one.encrypted for one in snapshots):
        raise ChangeError("OperationNotPermitted", "An image with encrypted volumes cannot be public", image.image_id)
    if image.product_codes:
        raise ChangeError("OperationNotPermitted", "An image with product codes cannot be public", image.image_id)


def _reset(environment: Environment, change: ResetPermissions, quotas: Quotas | None) -> Environment:
    kind = "volume_snapshots" if change.resource_id.startswith("snap-") else "images"
    thing = getattr(environment, kind).get(change.resource_id)
    if thing is None:
        raise (image_missing if kind == "images" else snapshot_missing)(change.resource_id)
    if quotas is not None:
        _check_owner(environment, thing, ModifyPermissions(change.resource_id, origin=change.origin))
    public = {"public": False} if kind == "images" else {}
    return _with(environment, kind, change.resource_id, permissions=frozenset(), **public)


def _with(environment: Environment, kind: str, identifier: str, **changed: Any) -> Environment:
    entries = Overlay.of(getattr(environment, kind))
    thing = msgspec.structs.replace(entries[identifier], **changed)
    return replace(environment, **{kind: entries.changed({identifier: thing})})  # type: ignore[arg-type]


PERMISSION_STEPS: dict[type, Callable[[Environment, Any, Quotas | None], Environment]] = {
    ModifyPermissions: _modify,
    ResetPermissions: _reset,
}
