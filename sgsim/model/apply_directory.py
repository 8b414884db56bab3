"""How users, groups, roles and managed policies change; part of `apply`.

Each step takes the environment, the change and the quotas (None for what AWS has accepted) and gives the environment
after it, or raises ChangeError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from sgsim.errors import ChangeError
from sgsim.model import directory_refusals as refusals
from sgsim.model.arns import parse_arn
from sgsim.model.directory_changes import (
    AddUserToGroup,
    AttachPolicy,
    CreateIamGroup,
    CreatePolicy,
    CreatePolicyVersion,
    CreateRole,
    CreateUser,
    DeleteIamGroup,
    DeleteInlinePolicy,
    DeletePolicy,
    DeletePolicyVersion,
    DeleteRole,
    DeleteUser,
    DetachPolicy,
    PutInlinePolicy,
    RemoveUserFromGroup,
    SetBoundary,
    SetDefaultVersion,
    SetEntry,
    UpdateTrust,
)
from sgsim.model.environment import Environment
from sgsim.model.overlay import Overlay
from sgsim.model.policies import rename_principals
from sgsim.model.policy_sizes import check_inline_size, check_managed_size, check_trust_size
from sgsim.model.principals import Holder, IamGroup, ManagedPolicy, Role, User
from sgsim.model.quotas import Quotas

__all__ = ["DIRECTORY_STEPS", "find_user", "with_entries"]

_KINDS = {"user": "users", "group": "groups", "role": "roles", "policy": "policies"}


def with_entries(
    environment: Environment, kind: str, put: Mapping[str, Any], remove: Iterable[str] = ()
) -> Environment:
    """The environment with other entries of its directory; nothing that did not change is copied."""
    entries = Overlay.of(getattr(environment.directory, kind)).changed(put, remove)
    return replace(environment, directory=replace(environment.directory, **{kind: entries}))  # type: ignore[arg-type]


def find_user(environment: Environment, arn: str) -> User:
    """The user. Raises ChangeError."""
    user = environment.directory.users.get(arn)
    if user is None:
        raise refusals.missing("user", _name(arn))
    return user


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]


def _group(environment: Environment, arn: str) -> IamGroup:
    group = environment.directory.groups.get(arn)
    if group is None:
        raise refusals.missing("group", _name(arn))
    return group


def _role(environment: Environment, arn: str) -> Role:
    role = environment.directory.roles.get(arn)
    if role is None:
        raise refusals.missing("role", _name(arn))
    return role


def _policy(environment: Environment, arn: str) -> ManagedPolicy:
    policy = environment.directory.policies.get(arn)
    if policy is None or policy.account_id == "aws":
        if environment.directory.managed_policy(arn) is not None:
            raise ChangeError("AccessDenied", "A policy that AWS manages cannot be changed", arn)
        raise ChangeError("NoSuchEntity", f"Policy {arn} was not found.", arn)
    return policy


def _holder(environment: Environment, arn: str) -> User | IamGroup | Role:
    holder = environment.directory.holder(arn)
    if holder is None:
        kind = parse_arn(arn).kind
        raise refusals.missing(kind, _name(arn))
    return holder


def _put(environment: Environment, thing: Holder | ManagedPolicy) -> Environment:
    return with_entries(environment, _KINDS[refusals.noun(thing)], {thing.arn: thing})


def _create(
    environment: Environment, thing: User | IamGroup | Role | ManagedPolicy, quotas: Quotas | None
) -> Environment:
    """Add what has a name that is not taken. Its boundary and policies exist."""
    kind = refusals.noun(thing)
    directory = environment.directory
    if directory.named(_KINDS[kind], thing.account_id, thing.name) is not None:
        raise refusals.taken(kind, thing.name)
    if quotas is not None:
        refusals.check_name(kind, thing.name)
        if isinstance(thing, (User, Role)):
            refusals.check_tags(thing)
            if thing.boundary is not None:
                _check_boundary(environment, thing, thing.boundary)
    return _put(environment, thing)


def _create_user(environment: Environment, change: CreateUser, quotas: Quotas | None) -> Environment:
    return _create(environment, change.user, quotas)


def _create_group(environment: Environment, change: CreateIamGroup, quotas: Quotas | None) -> Environment:
    return _create(environment, change.group, quotas)


def _create_role(environment: Environment, change: CreateRole, quotas: Quotas | None) -> Environment:
    if quotas is not None:
        refusals.check_session(change.role)
        refusals.check_trust(environment.directory, change.role)
        check_trust_size(change.role, quotas)
    return _create(environment, change.role, quotas)


def _create_policy(environment: Environment, change: CreatePolicy, quotas: Quotas | None) -> Environment:
    if quotas is not None:
        check_managed_size(change.policy)
    return _create(environment, change.policy, quotas)


def _delete(environment: Environment, holder: User | IamGroup | Role, quotas: Quotas | None) -> Environment:
    if quotas is not None:
        refusals.check_deletable(environment.directory, holder)
    after = with_entries(environment, _KINDS[refusals.noun(holder)], {}, (holder.arn,))
    if isinstance(holder, IamGroup) or not holder.unique_id:
        return after
    return _orphaned(after, holder)


def _orphaned(environment: Environment, gone: User | Role) -> Environment:
    """Trust in who is gone names its unique id from now on: a namesake made later is not meant (docs/iam.md A2)."""
    names = {gone.arn: gone.unique_id}
    changed = {}
    for arn, role in environment.directory.roles.items():
        if gone.arn in role.trust.document:
            trust = rename_principals(role.trust, names)
            if trust is not role.trust:
                changed[arn] = msgspec.structs.replace(role, trust=trust)
    return with_entries(environment, "roles", changed) if changed else environment


def _delete_user(environment: Environment, change: DeleteUser, quotas: Quotas | None) -> Environment:
    return _delete(environment, find_user(environment, change.user_arn), quotas)


def _delete_group(environment: Environment, change: DeleteIamGroup, quotas: Quotas | None) -> Environment:
    return _delete(environment, _group(environment, change.group_arn), quotas)


def _delete_role(environment: Environment, change: DeleteRole, quotas: Quotas | None) -> Environment:
    return _delete(environment, _role(environment, change.role_arn), quotas)


def _update_trust(environment: Environment, change: UpdateTrust, quotas: Quotas | None) -> Environment:
    role = _role(environment, change.role_arn)
    if quotas is not None and role.service_linked:
        raise ChangeError("UnmodifiableEntity", "A service-linked role cannot be modified", role.arn)
    trusting = msgspec.structs.replace(role, trust=change.trust)
    if quotas is not None:
        refusals.check_trust(environment.directory, trusting)
        check_trust_size(trusting, quotas)
    return _put(environment, trusting)


def _add_to_group(environment: Environment, change: AddUserToGroup, quotas: Quotas | None) -> Environment:
    group, user = _group(environment, change.group_arn), find_user(environment, change.user_arn)
    if group.arn in user.groups:
        return environment
    if quotas is not None:
        refusals.check_group_quota(user, quotas)
    return _put(environment, msgspec.structs.replace(user, groups=(*user.groups, group.arn)))


def _remove_from_group(environment: Environment, change: RemoveUserFromGroup, _: Quotas | None) -> Environment:
    group, user = _group(environment, change.group_arn), find_user(environment, change.user_arn)
    left = tuple(one for one in user.groups if one != group.arn)
    return environment if left == user.groups else _put(environment, msgspec.structs.replace(user, groups=left))


def _attach(environment: Environment, change: AttachPolicy, quotas: Quotas | None) -> Environment:
    holder = _holder(environment, change.holder_arn)
    refusals.check_attachable(environment.directory, holder, change.policy_arn)
    if change.policy_arn in holder.attached:
        return environment
    if quotas is not None:
        _check_modifiable(holder)
        refusals.check_policy_quota(holder, quotas)
    return _put(environment, msgspec.structs.replace(holder, attached=(*holder.attached, change.policy_arn)))


def _check_modifiable(holder: Holder) -> None:
    if isinstance(holder, Role) and holder.service_linked:
        raise ChangeError("UnmodifiableEntity", "A service-linked role cannot be modified", holder.arn)


def _detach(environment: Environment, change: DetachPolicy, _: Quotas | None) -> Environment:
    holder = _holder(environment, change.holder_arn)
    if change.policy_arn not in holder.attached:
        raise ChangeError("NoSuchEntity", f"Policy {change.policy_arn} was not found.", holder.arn)
    left = tuple(one for one in holder.attached if one != change.policy_arn)
    return _put(environment, msgspec.structs.replace(holder, attached=left))


def _put_inline(environment: Environment, change: PutInlinePolicy, quotas: Quotas | None) -> Environment:
    holder = _holder(environment, change.holder_arn)
    if quotas is not None:
        _check_modifiable(holder)
        refusals.check_name("policy", change.inline.name)
    names = [one.name for one in holder.inline]
    inline = list(holder.inline)
    if change.inline.name in names:
        inline[names.index(change.inline.name)] = change.inline
    else:
        inline.append(change.inline)
    holding = msgspec.structs.replace(holder, inline=tuple(inline))
    if quotas is not None:
        check_inline_size(holding)
    return _put(environment, holding)


def _delete_inline(environment: Environment, change: DeleteInlinePolicy, _: Quotas | None) -> Environment:
    holder = _holder(environment, change.holder_arn)
    left = tuple(one for one in holder.inline if one.name != change.name)
    if len(left) == len(holder.inline):
        problem = f"The {refusals.noun(holder)} policy with name {change.name} cannot be found."
        raise ChangeError("NoSuchEntity", problem, holder.arn)
    return _put(environment, msgspec.structs.replace(holder, inline=left))


def _check_boundary(environment: Environment, holder: User | Role, arn: str) -> None:
    policy = environment.directory.managed_policy(arn)
    if policy is None or policy.account_id not in ("aws", holder.account_id):
        raise ChangeError("NoSuchEntity", f"Scope ARN: {arn} does not exist or is not attachable.", holder.arn)


def _set_boundary(environment: Environment, change: SetBoundary, quotas: Quotas | None) -> Environment:
    holder = _holder(environment, change.holder_arn)
    if isinstance(holder, IamGroup):
        raise ChangeError("InvalidInput", "A group has no permissions boundary", holder.arn)
    if quotas is not None:
        _check_modifiable(holder)
    if change.policy_arn is not None:
        _check_boundary(environment, holder, change.policy_arn)
    elif holder.boundary is None and quotas is not None:
        problem = f"{refusals.noun(holder).capitalize()} {holder.name} does not have a permissions boundary."
        raise ChangeError("NoSuchEntity", problem, holder.arn)
    return _put(environment, msgspec.structs.replace(holder, boundary=change.policy_arn))


def _delete_policy(environment: Environment, change: DeletePolicy, quotas: Quotas | None) -> Environment:
    policy = _policy(environment, change.policy_arn)
    if quotas is not None:
        user = next(environment.directory.holders(policy.arn), None)
        if user is not None:
            problem = "Cannot delete a policy attached to entities."
            raise ChangeError("DeleteConflict", problem, f"{policy.arn} is on {user.arn}")
        if len(policy.versions) > 1:
            problem = "This policy has more than one version. Before you delete a policy, you must delete the policy's"
            raise ChangeError("DeleteConflict", f"{problem} versions.", policy.arn)
    return with_entries(environment, "policies", {}, (policy.arn,))


def _create_version(environment: Environment, change: CreatePolicyVersion, quotas: Quotas | None) -> Environment:
    policy, version = _policy(environment, change.policy_arn), change.version
    if quotas is not None and len(policy.versions) >= quotas.versions_per_policy:
        problem = (
            f"A managed policy can have up to {quotas.versions_per_policy} versions. Before you create a new version, "
            "you must delete an existing version."
        )
        raise ChangeError("LimitExceeded", problem, policy.arn)
    if not version.version_id:
        numbers = [int(text) for one in policy.versions if (text := one.version_id.removeprefix("v")).isdigit()]
        version = msgspec.structs.replace(version, version_id=f"v{max(numbers, default=0) + 1}")
    default = version.version_id if change.set_as_default else policy.default_version_id
    changed = msgspec.structs.replace(policy, versions=(*policy.versions, version), default_version_id=default)
    if quotas is not None:
        check_managed_size(changed)
    return _put(environment, changed)


def _check_version(policy: ManagedPolicy, version_id: str) -> None:
    if all(one.version_id != version_id for one in policy.versions):
        problem = f"Policy {policy.arn} version {version_id} does not exist or is not attachable."
        raise ChangeError("NoSuchEntity", problem, policy.arn)


def _delete_version(environment: Environment, change: DeletePolicyVersion, _: Quotas | None) -> Environment:
    policy = _policy(environment, change.policy_arn)
    _check_version(policy, change.version_id)
    if change.version_id == policy.default_version_id:
        raise ChangeError("DeleteConflict", "Cannot delete the default version of a policy.", policy.arn)
    left = tuple(one for one in policy.versions if one.version_id != change.version_id)
    return _put(environment, msgspec.structs.replace(policy, versions=left))


def _set_version(environment: Environment, change: SetDefaultVersion, _: Quotas | None) -> Environment:
    policy = _policy(environment, change.policy_arn)
    _check_version(policy, change.version_id)
    return _put(environment, msgspec.structs.replace(policy, default_version_id=change.version_id))


def _set_entry(environment: Environment, change: SetEntry, _: Quotas | None) -> Environment:
    put = {} if change.value is None else {change.key: change.value}
    remove = (change.key,) if change.value is None else ()
    if change.kind in ("images", "volume_snapshots"):
        entries = Overlay.of(getattr(environment, change.kind)).changed(put, remove)
        return replace(environment, **{change.kind: entries})  # type: ignore[arg-type]
    return with_entries(environment, change.kind, put, remove)


DIRECTORY_STEPS: dict[type, Callable[[Environment, Any, Quotas | None], Environment]] = {
    CreateUser: _create_user,
    DeleteUser: _delete_user,
    CreateIamGroup: _create_group,
    DeleteIamGroup: _delete_group,
    CreateRole: _create_role,
    DeleteRole: _delete_role,
    UpdateTrust: _update_trust,
    AddUserToGroup: _add_to_group,
    RemoveUserFromGroup: _remove_from_group,
    AttachPolicy: _attach,
    DetachPolicy: _detach,
    PutInlinePolicy: _put_inline,
    DeleteInlinePolicy: _delete_inline,
    SetBoundary: _set_boundary,
    CreatePolicy: _create_policy,
    DeletePolicy: _delete_policy,
    CreatePolicyVersion: _create_version,
    DeletePolicyVersion: _delete_version,
    SetDefaultVersion: _set_version,
    SetEntry: _set_entry,
}
