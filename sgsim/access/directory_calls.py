"""The calls behind changes of users, groups, roles, policies, credentials and permission attributes."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from sgsim.access.things import Facts, Thing, holder_thing, image_thing, policy_thing, snapshot_thing
from sgsim.model import Environment
from sgsim.model.arns import parse_arn
from sgsim.model.changes import Change
from sgsim.model.directory_changes import (
    AddUserToGroup,
    AttachPolicy,
    CreateAccessKey,
    CreateIamGroup,
    CreateLoginProfile,
    CreatePolicy,
    CreatePolicyVersion,
    CreateRole,
    CreateUser,
    DeleteAccessKey,
    DeleteIamGroup,
    DeleteInlinePolicy,
    DeleteLoginProfile,
    DeletePolicy,
    DeletePolicyVersion,
    DeleteRole,
    DeleteUser,
    DetachPolicy,
    ModifyPermissions,
    PutInlinePolicy,
    RemoveUserFromGroup,
    ResetPermissions,
    SetBoundary,
    SetDefaultVersion,
    SetPasswordPolicy,
    UpdateAccessKey,
    UpdateLoginProfile,
    UpdateTrust,
)
from sgsim.model.images import Image, Permission, PermissionKind, VolumeSnapshot

__all__ = ["Call", "directory_call"]

_NAMES: dict[type[msgspec.Struct], str] = {
    CreateUser: "CreateUser",
    DeleteUser: "DeleteUser",
    CreateIamGroup: "CreateGroup",
    DeleteIamGroup: "DeleteGroup",
    CreateRole: "CreateRole",
    DeleteRole: "DeleteRole",
    UpdateTrust: "UpdateAssumeRolePolicy",
    AddUserToGroup: "AddUserToGroup",
    RemoveUserFromGroup: "RemoveUserFromGroup",
    AttachPolicy: "Attach{}Policy",
    DetachPolicy: "Detach{}Policy",
    PutInlinePolicy: "Put{}Policy",
    DeleteInlinePolicy: "Delete{}Policy",
    CreatePolicy: "CreatePolicy",
    DeletePolicy: "DeletePolicy",
    CreatePolicyVersion: "CreatePolicyVersion",
    DeletePolicyVersion: "DeletePolicyVersion",
    SetDefaultVersion: "SetDefaultPolicyVersion",
    CreateAccessKey: "CreateAccessKey",
    UpdateAccessKey: "UpdateAccessKey",
    DeleteAccessKey: "DeleteAccessKey",
    CreateLoginProfile: "CreateLoginProfile",
    UpdateLoginProfile: "UpdateLoginProfile",
    DeleteLoginProfile: "DeleteLoginProfile",
}
_KINDS = {PermissionKind.ACCOUNT: "userId", PermissionKind.GROUP: "group"}


class Call(NamedTuple):
    """An action, what it touches, what every request of it tells, and whose it is where it touches no thing."""

    action: str
    things: tuple[Thing, ...]
    facts: Facts
    owner: str | None = None


def directory_call(environment: Environment, change: Change, account_id: str) -> Call | None:
    """The call of an account that makes a change; None if none of AWS's does."""
    match change:
        case CreateUser(user=made) | CreateIamGroup(group=made) | CreateRole(role=made):
            boundary = holder_thing(made).facts.get("iam:PermissionsBoundary")
            facts = {"iam:PermissionsBoundary": boundary} if boundary else {}
            facts |= _request_tags(getattr(made, "tags", ()))
            return Call(f"iam:{_NAMES[type(change)]}", (holder_thing(made)._replace(facts={}),), facts)
        case CreatePolicy(policy=policy):
            return Call("iam:CreatePolicy", (policy_thing(policy),), {})
        case SetBoundary(holder_arn=arn, policy_arn=boundary_arn):
            holder = _thing(environment, arn)
            verb = "Put" if boundary_arn is not None else "Delete"
            told = (
                holder.facts if boundary_arn is None else {**holder.facts, "iam:PermissionsBoundary": (boundary_arn,)}
            )
            return Call(f"iam:{verb}{holder.kind.title()}PermissionsBoundary", (holder._replace(facts=told),), {})
        case SetPasswordPolicy(account_id=owner, policy=given):
            return Call(f"iam:{'Delete' if given is None else 'Update'}AccountPasswordPolicy", (), {}, owner)
        case ModifyPermissions() | ResetPermissions():
            return _sharing(environment, change, account_id)
    named = _NAMES.get(type(change))
    if named is None:
        return None
    arn = next(getattr(change, name) for name in _TARGETS if hasattr(change, name))
    thing = _thing(environment, arn)
    facts = {"iam:PolicyARN": (change.policy_arn,)} if isinstance(change, AttachPolicy | DetachPolicy) else {}
    return Call(f"iam:{named.format(thing.kind.title())}", (thing,), facts)


#: Where a change says what it is about: the group of a membership, not its user.
_TARGETS = ("holder_arn", "group_arn", "role_arn", "user_arn", "policy_arn")


def _thing(environment: Environment, arn: str) -> Thing:
    """A user, group, role or policy; of one that is not described only the ARN is known."""
    holder = environment.directory.holder(arn)
    if holder is not None:
        return holder_thing(holder)
    named = parse_arn(arn)
    return Thing(named.kind, arn, {}, named.account_id)


def _request_tags(tags: tuple[tuple[str, str], ...]) -> dict[str, tuple[str, ...]]:
    facts = {f"aws:RequestTag/{key}": (value,) for key, value in tags}
    return facts | ({"aws:TagKeys": tuple(key for key, _ in tags)} if tags else {})


def _sharing(environment: Environment, change: ModifyPermissions | ResetPermissions, account_id: str) -> Call:
    verb = "Modify" if isinstance(change, ModifyPermissions) else "Reset"
    if change.resource_id.startswith("snap-"):
        snapshot = environment.volume_snapshots.get(change.resource_id) or VolumeSnapshot(change.resource_id)
        facts = {}
        if isinstance(change, ModifyPermissions):
            facts = _items("Add", change.add) | _items("Remove", change.remove)
        thing = snapshot_thing(snapshot, account_id)
        return Call(f"ec2:{verb}SnapshotAttribute", (thing._replace(facts={**thing.facts, **facts}),), {})
    image = environment.images.get(change.resource_id) or Image(change.resource_id)
    return Call(f"ec2:{verb}ImageAttribute", (image_thing(image, account_id),), {})


def _items(verb: str, items: tuple[Permission, ...]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for item in items:
        key = f"ec2:{verb}/{_KINDS.get(item.kind, item.kind.value)}"
        found[key] = (*found.get(key, ()), item.value)
    return found
