"""The parameters of IAM's API calls, and of those of EC2 that share images and snapshots; see `requests`."""

from __future__ import annotations

from typing import Any

import msgspec

from sgsim.importers.directory_json import PermissionItem
from sgsim.importers.requests import Request

__all__ = [
    "DIRECTORY_REQUESTS",
    "AccessKeyRequest",
    "AccountRequest",
    "AssumePolicyRequest",
    "AttachRequest",
    "AttributeRequest",
    "BoundaryRequest",
    "CreateHolderRequest",
    "CreatePolicyRequest",
    "IamRequest",
    "ImageRequest",
    "LoginRequest",
    "MembershipRequest",
    "NameRequest",
    "PasswordPolicyRequest",
    "PermissionLists",
    "PolicyRequest",
    "PutPolicyRequest",
    "SnapshotRequest",
    "Tag",
    "UpdateKeyRequest",
    "VersionRequest",
]


class Wire(msgspec.Struct, rename="pascal", forbid_unknown_fields=True):
    """Base: keys in AWS's PascalCase, and no others."""


class Tag(Wire):
    key: str
    value: str = ""


class IamRequest(Wire, kw_only=True):
    """Base of IAM's requests. `AccountId` is not AWS's: it says whose call this is where there are several accounts."""

    account_id: str | None = None


class NameRequest(IamRequest, kw_only=True):
    """A user, group or role by its name; which of them the call says."""

    user_name: str | None = None
    group_name: str | None = None
    role_name: str | None = None


class CreateHolderRequest(NameRequest, kw_only=True):
    path: str = "/"
    permissions_boundary: str | None = None
    tags: tuple[Tag, ...] = ()
    assume_role_policy_document: str | None = None
    description: str | None = None
    max_session_duration: int | None = None


class MembershipRequest(IamRequest, kw_only=True):
    group_name: str
    user_name: str


class AttachRequest(NameRequest, kw_only=True):
    policy_arn: str


class PutPolicyRequest(NameRequest, kw_only=True):
    """Also of the calls that delete an inline policy, which have no document."""

    policy_name: str
    policy_document: str | None = None


class BoundaryRequest(NameRequest, kw_only=True):
    permissions_boundary: str | None = None


class AssumePolicyRequest(IamRequest, kw_only=True):
    role_name: str
    policy_document: str


class CreatePolicyRequest(IamRequest, kw_only=True):
    policy_name: str
    policy_document: str
    path: str = "/"
    description: str | None = None
    tags: Any = None


class PolicyRequest(IamRequest, kw_only=True):
    policy_arn: str


class VersionRequest(IamRequest, kw_only=True):
    """A new text of a policy, or one by its id."""

    policy_arn: str
    policy_document: str | None = None
    set_as_default: bool | None = None
    version_id: str | None = None


class AccessKeyRequest(IamRequest, kw_only=True):
    user_name: str | None = None


class UpdateKeyRequest(IamRequest, kw_only=True):
    access_key_id: str
    user_name: str | None = None
    status: str | None = None


class LoginRequest(IamRequest, kw_only=True):
    user_name: str
    password: str | None = None
    password_reset_required: bool | None = None


class PasswordPolicyRequest(IamRequest, kw_only=True):
    minimum_password_length: int = 6
    require_symbols: bool = False
    require_numbers: bool = False
    require_uppercase_characters: bool = False
    require_lowercase_characters: bool = False
    allow_users_to_change_password: bool = False
    max_password_age: int | None = None
    password_reuse_prevention: int | None = None
    hard_expiry: bool | None = None


class AccountRequest(IamRequest, kw_only=True):
    pass


class PermissionLists(Wire):
    add: tuple[PermissionItem, ...] = ()
    remove: tuple[PermissionItem, ...] = ()


class AttributeRequest(Request, kw_only=True):
    """What both calls take: the items as lists to add and remove, or an operation and its operands."""

    attribute: str | None = None
    operation_type: str | None = None
    user_ids: tuple[str, ...] = ()


class ImageRequest(AttributeRequest, kw_only=True):
    """Of ResetImageAttribute, too. Other attributes than the launch permission decide nothing here."""

    image_id: str
    launch_permission: PermissionLists | None = None
    user_groups: tuple[str, ...] = ()
    organization_arns: tuple[str, ...] = ()
    organizational_unit_arns: tuple[str, ...] = ()
    description: Any = None
    value: Any = None
    imds_support: Any = None
    product_codes: Any = None


class SnapshotRequest(AttributeRequest, kw_only=True):
    """Of ResetSnapshotAttribute, too."""

    snapshot_id: str
    create_volume_permission: PermissionLists | None = None
    group_names: tuple[str, ...] = ()


_HOLDERS = ("User", "Group", "Role")

#: Action → the shape of its parameters.
DIRECTORY_REQUESTS: dict[str, type[IamRequest] | type[AttributeRequest]] = {
    **{f"Create{holder}": CreateHolderRequest for holder in _HOLDERS},
    **{f"Delete{holder}": NameRequest for holder in _HOLDERS},
    "AddUserToGroup": MembershipRequest,
    "RemoveUserFromGroup": MembershipRequest,
    **{f"Attach{holder}Policy": AttachRequest for holder in _HOLDERS},
    **{f"Detach{holder}Policy": AttachRequest for holder in _HOLDERS},
    **{f"Put{holder}Policy": PutPolicyRequest for holder in _HOLDERS},
    **{f"Delete{holder}Policy": PutPolicyRequest for holder in _HOLDERS},
    "PutUserPermissionsBoundary": BoundaryRequest,
    "PutRolePermissionsBoundary": BoundaryRequest,
    "DeleteUserPermissionsBoundary": BoundaryRequest,
    "DeleteRolePermissionsBoundary": BoundaryRequest,
    "UpdateAssumeRolePolicy": AssumePolicyRequest,
    "CreatePolicy": CreatePolicyRequest,
    "DeletePolicy": PolicyRequest,
    "CreatePolicyVersion": VersionRequest,
    "DeletePolicyVersion": VersionRequest,
    "SetDefaultPolicyVersion": VersionRequest,
    "CreateAccessKey": AccessKeyRequest,
    "UpdateAccessKey": UpdateKeyRequest,
    "DeleteAccessKey": UpdateKeyRequest,
    "CreateLoginProfile": LoginRequest,
    "UpdateLoginProfile": LoginRequest,
    "DeleteLoginProfile": LoginRequest,
    "UpdateAccountPasswordPolicy": PasswordPolicyRequest,
    "DeleteAccountPasswordPolicy": AccountRequest,
    "ModifyImageAttribute": ImageRequest,
    "ResetImageAttribute": ImageRequest,
    "ModifySnapshotAttribute": SnapshotRequest,
    "ResetSnapshotAttribute": SnapshotRequest,
}
