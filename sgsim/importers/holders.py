"""Items of `aws iam get-account-authorization-details` → fields of users, groups, roles and managed policies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sgsim.errors import ModelError
from sgsim.importers.directory_json import (
    GroupItem,
    HolderItem,
    InlinePolicyItem,
    PasswordPolicyItem,
    PolicyItem,
    RoleItem,
    TagItem,
    UserItem,
)
from sgsim.importers.policies import moment, policy_in
from sgsim.importers.problems import BadFieldError
from sgsim.model.arns import parse_arn
from sgsim.model.policies import PolicyKind
from sgsim.model.principals import InlinePolicy, PasswordPolicy, PolicyVersion

__all__ = ["group_fields", "managed_policy_fields", "password_policy", "role_fields", "tags_of", "user_fields"]


def user_fields(item: UserItem) -> dict[str, Any]:
    """Fields of a User; `group_names` are not ARNs yet. Raises BadFieldError."""
    name = f"user {item.user_name}"
    return _holder_fields(item, "user", item.user_name) | {
        "unique_id": item.user_id,
        "inline": _inline(item.user_policy_list, "UserPolicyList", name),
        "boundary": item.permissions_boundary.permissions_boundary_arn if item.permissions_boundary else None,
        "tags": tags_of(item.tags),
        "group_names": item.group_list,
    }


def group_fields(item: GroupItem) -> dict[str, Any]:
    """Fields of an IamGroup. Raises BadFieldError."""
    return _holder_fields(item, "group", item.group_name) | {
        "unique_id": item.group_id,
        "inline": _inline(item.group_policy_list, "GroupPolicyList", f"group {item.group_name}"),
    }


def role_fields(item: RoleItem) -> dict[str, Any]:
    """Fields of a Role. Raises BadFieldError."""
    name = f"role {item.role_name}"
    trust = policy_in(
        item.assume_role_policy_document, PolicyKind.TRUST, f"trust policy of {name}", "AssumeRolePolicyDocument"
    )
    return _holder_fields(item, "role", item.role_name) | {
        "unique_id": item.role_id,
        "trust": trust,
        "inline": _inline(item.role_policy_list, "RolePolicyList", name),
        "boundary": item.permissions_boundary.permissions_boundary_arn if item.permissions_boundary else None,
        "tags": tags_of(item.tags),
        "description": item.description,
        "max_session_duration": item.max_session_duration,
    }


def managed_policy_fields(item: PolicyItem) -> dict[str, Any]:
    """Fields of a ManagedPolicy. Raises BadFieldError."""
    _check_arn(item.arn, "policy", "Arn")
    versions = tuple(
        PolicyVersion(
            one.version_id,
            policy_in(
                one.document,
                PolicyKind.IDENTITY,
                f"policy {item.arn} {one.version_id}",
                f"PolicyVersionList[{index}].Document",
            ),
            moment(one.create_date, f"PolicyVersionList[{index}].CreateDate"),
        )
        for index, one in enumerate(item.policy_version_list)
    )
    if all(one.version_id != item.default_version_id for one in versions):
        raise BadFieldError("DefaultVersionId", f"policy {item.arn} has no version {item.default_version_id}")
    return {
        "arn": item.arn,
        "versions": tuple(sorted(versions, key=lambda one: (len(one.version_id), one.version_id))),
        "default_version_id": item.default_version_id,
        "policy_id": item.policy_id,
        "description": item.description,
        "created": moment(item.create_date, "CreateDate"),
    }


def password_policy(item: PasswordPolicyItem) -> PasswordPolicy:
    """What `get-account-password-policy` prints."""
    return PasswordPolicy(
        minimum_length=item.minimum_password_length,
        require_symbols=item.require_symbols,
        require_numbers=item.require_numbers,
        require_uppercase=item.require_uppercase_characters,
        require_lowercase=item.require_lowercase_characters,
        users_may_change=item.allow_users_to_change_password,
        max_age=item.max_password_age,
        reuse_prevention=item.password_reuse_prevention,
        hard_expiry=item.hard_expiry,
    )


def tags_of(items: Iterable[TagItem]) -> tuple[tuple[str, str], ...]:
    """Tags as pairs, in the order of their keys."""
    return tuple(sorted((one.key, one.value) for one in items))


def _holder_fields(item: HolderItem, kind: str, name: str) -> dict[str, Any]:
    arn = _check_arn(item.arn, kind, "Arn")
    if arn != name:
        raise BadFieldError("Arn", f"{item.arn} is not the ARN of {kind} {name}")
    for index, one in enumerate(item.attached_managed_policies):
        _check_arn(one.policy_arn, "policy", f"AttachedManagedPolicies[{index}].PolicyArn")
    return {
        "arn": item.arn,
        "created": moment(item.create_date, "CreateDate"),
        "attached": tuple(dict.fromkeys(one.policy_arn for one in item.attached_managed_policies)),
    }


def _inline(items: Iterable[InlinePolicyItem], path: str, holder: str) -> tuple[InlinePolicy, ...]:
    return tuple(
        InlinePolicy(
            one.policy_name,
            policy_in(
                one.policy_document,
                PolicyKind.IDENTITY,
                f"inline policy {one.policy_name} of {holder}",
                f"{path}[{index}].PolicyDocument",
            ),
        )
        for index, one in enumerate(items)
    )


def _check_arn(text: str, kind: str, path: str) -> str:
    """The name in the ARN of a user, group, role or policy. Raises BadFieldError."""
    try:
        arn = parse_arn(text)
    except ModelError as error:
        raise BadFieldError(path, str(error)) from None
    if arn.service != "iam" or arn.kind != kind or not arn.account_id or not arn.name:
        raise BadFieldError(path, f"{text} is not the ARN of a {kind}")
    return arn.name
