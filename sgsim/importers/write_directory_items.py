"""Principals, images and snapshots → the JSON that AWS prints of them, as items of listings.

Hashes of secrets are in one listing of their own, which no listing of AWS's has: who may read it must be able to
verify secrets, and nobody else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sgsim.model import Environment
from sgsim.model.images import Image, Permission, VolumeSnapshot
from sgsim.model.organizations import Organization, ServiceControlPolicy
from sgsim.model.policies import Policy
from sgsim.model.principals import (
    Directory,
    Holder,
    IamGroup,
    InlinePolicy,
    LoginProfile,
    ManagedPolicy,
    PasswordPolicy,
    Role,
    User,
)

__all__ = [
    "account_items",
    "authorization_details",
    "credential_items",
    "image_item",
    "key_items",
    "login_item",
    "organization_item",
    "password_policy_item",
    "permission_item",
    "scp_item",
    "snapshot_item",
    "unit_items",
]

Json = dict[str, Any]


def _told(**fields: Any) -> Json:
    return {key: value for key, value in fields.items() if value is not None and value != "" and value != []}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _document(policy: Policy) -> Any:
    return json.loads(policy.document)


def _inline(policies: tuple[InlinePolicy, ...]) -> list[Json]:
    return [{"PolicyName": one.name, "PolicyDocument": _document(one.policy)} for one in policies]


def _tags(tags: tuple[tuple[str, str], ...]) -> list[Json]:
    return [{"Key": key, "Value": value} for key, value in tags]


def _boundary(arn: str | None) -> Json | None:
    if arn is None:
        return None
    return {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}


def _holder(holder: Holder, noun: str) -> Json:
    attached = [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in holder.attached]
    return {
        "Path": holder.path,
        f"{noun}Name": holder.name,
        f"{noun}Id": holder.unique_id,
        "Arn": holder.arn,
        **_told(CreateDate=_time(holder.created)),
        "AttachedManagedPolicies": attached,
    }


def _user(user: User) -> Json:
    return _holder(user, "User") | _told(
        UserPolicyList=_inline(user.inline),
        GroupList=[arn.rpartition("/")[2] for arn in user.groups],
        PermissionsBoundary=_boundary(user.boundary),
        Tags=_tags(user.tags),
    )


def _group(group: IamGroup) -> Json:
    return _holder(group, "Group") | {"GroupPolicyList": _inline(group.inline)}


def _role(role: Role) -> Json:
    return (
        _holder(role, "Role")
        | {"AssumeRolePolicyDocument": _document(role.trust), "RolePolicyList": _inline(role.inline)}
        | _told(
            PermissionsBoundary=_boundary(role.boundary),
            Tags=_tags(role.tags),
            Description=role.description,
            MaxSessionDuration=role.max_session_duration,
        )
    )


def _policy(policy: ManagedPolicy) -> Json:
    return _told(
        PolicyName=policy.name,
        PolicyId=policy.policy_id,
        Arn=policy.arn,
        Description=policy.description,
        DefaultVersionId=policy.default_version_id,
        CreateDate=_time(policy.created),
        PolicyVersionList=[
            {
                "Document": _document(one.policy),
                "VersionId": one.version_id,
                "IsDefaultVersion": one.version_id == policy.default_version_id,
                **_told(CreateDate=_time(one.created)),
            }
            for one in policy.versions
        ],
    )


def authorization_details(directory: Directory, account_id: str) -> dict[str, list[Json]]:
    """The lists of `get-account-authorization-details` of an account; policies of AWS stand under "aws"."""
    return {
        "UserDetailList": [_user(one) for one in directory.users.values() if one.account_id == account_id],
        "GroupDetailList": [_group(one) for one in directory.groups.values() if one.account_id == account_id],
        "RoleDetailList": [_role(one) for one in directory.roles.values() if one.account_id == account_id],
        "Policies": [_policy(one) for one in directory.policies.values() if one.account_id == account_id],
    }


def key_items(user: User) -> Iterator[Json]:
    """Items of `list-access-keys`."""
    for key in user.access_keys:
        yield {
            "UserName": user.name,
            "AccessKeyId": key.access_key_id,
            "Status": key.status,
            **_told(CreateDate=_time(key.created)),
        }


def login_item(user: User, login: LoginProfile) -> Json:
    """What `get-login-profile` prints."""
    return {
        "UserName": user.name,
        **_told(CreateDate=_time(login.created)),
        "PasswordResetRequired": login.reset_required,
    }


def credential_items(environment: Environment) -> Iterator[Json]:
    """The hashes of secrets and passwords, which are all that is kept of them."""
    for user in environment.directory.users.values():
        for key in user.access_keys:
            if key.secret_hash is not None:
                yield {"UserArn": user.arn, "AccessKeyId": key.access_key_id, "Hash": key.secret_hash.stored()}
        if user.login is not None and user.login.password is not None:
            previous = [one.stored() for one in user.login.previous]
            yield {"UserArn": user.arn, "Hash": user.login.password.stored(), **_told(Previous=previous)}


def password_policy_item(policy: PasswordPolicy) -> Json:
    """What `get-account-password-policy` prints."""
    return {
        "MinimumPasswordLength": policy.minimum_length,
        "RequireSymbols": policy.require_symbols,
        "RequireNumbers": policy.require_numbers,
        "RequireUppercaseCharacters": policy.require_uppercase,
        "RequireLowercaseCharacters": policy.require_lowercase,
        "AllowUsersToChangePassword": policy.users_may_change,
        "ExpirePasswords": policy.max_age is not None,
        **_told(
            MaxPasswordAge=policy.max_age,
            PasswordReusePrevention=policy.reuse_prevention,
            HardExpiry=policy.hard_expiry,
        ),
    }


def organization_item(organization: Organization) -> Json:
    """What `describe-organization` prints."""
    return {
        "Id": organization.organization_id,
        "Arn": organization.arn,
        "MasterAccountId": organization.management_account_id,
    }


def unit_items(organization: Organization) -> tuple[list[Json], list[Json]]:
    """Items of `list-roots` and of `list-organizational-units-for-parent`, the latter with their path."""
    roots, units = [], []
    for unit in organization.units.values():
        item = {"Id": unit.unit_id, "Arn": unit.arn, "Name": unit.name}
        if unit.parent_id is None:
            roots.append({**item, "PolicyTypes": [{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}]})
        else:
            units.append({**item, "Path": organization.place(unit.unit_id)})
    return roots, units


def account_items(organization: Organization) -> list[Json]:
    """Items of `list-accounts`, with their path."""
    return [
        {"Id": one.account_id, "Arn": one.arn, "Name": one.name, "Paths": [organization.place(one.account_id)]}
        for one in organization.accounts.values()
    ]


def scp_item(policy: ServiceControlPolicy) -> Json:
    """What `describe-policy` prints."""
    summary = _told(
        Id=policy.policy_id,
        Arn=policy.arn,
        Name=policy.name,
        Description=policy.description,
        Type="SERVICE_CONTROL_POLICY",
        AwsManaged=policy.aws_managed,
    )
    return {"PolicySummary": summary, "Content": policy.policy.document}


def permission_item(permission: Permission) -> Json:
    """An item of a permission attribute."""
    return {permission.kind.value: permission.value}


def image_item(image: Image) -> Json:
    """An item of `describe-images`; whether a volume is encrypted is said of the first."""
    devices = [{"Ebs": {"SnapshotId": one}} for one in image.snapshot_ids]
    if image.encrypted is not None:
        first: Json = devices[0]["Ebs"] if devices else {}
        first["Encrypted"] = image.encrypted
        devices = devices or ([{"Ebs": first}] if image.encrypted else [])
    told = _told(
        ImageId=image.image_id,
        OwnerId=image.owner_id,
        Public=image.public,
        Name=image.name,
        ProductCodes=[{"ProductCodeId": one, "ProductCodeType": "marketplace"} for one in image.product_codes],
        Tags=_tags(image.tags),
    )
    return told if image.encrypted is None else told | {"BlockDeviceMappings": devices}


def snapshot_item(snapshot: VolumeSnapshot) -> Json:
    """An item of `describe-snapshots`."""
    return _told(
        SnapshotId=snapshot.snapshot_id,
        OwnerId=snapshot.owner_id,
        Encrypted=snapshot.encrypted,
        KmsKeyId=snapshot.kms_key_id,
        VolumeId=snapshot.volume_id,
        VolumeSize=snapshot.volume_size,
        Tags=_tags(snapshot.tags),
    )
