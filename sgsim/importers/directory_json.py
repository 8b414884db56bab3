"""The shapes of what IAM and Organizations print, and EC2 of images and snapshots; see `aws_json`.

Keys such as `Policies`, `Accounts` or `Images` are used by other services, too. They stay as they are (`Raw`) until
their first item shows whose they are.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

__all__ = [
    "CREDENTIALS_KEY",
    "DIRECTORY_KEYS",
    "IMAGE_KEYS",
    "SHAPES",
    "AccessKeyItem",
    "AccountItem",
    "AttachedPolicyItem",
    "CredentialItem",
    "DirectoryKeys",
    "GroupItem",
    "HolderItem",
    "ImageItem",
    "InlinePolicyItem",
    "LoginItem",
    "OrganizationItem",
    "PasswordPolicyItem",
    "PermissionItem",
    "PolicyItem",
    "RoleItem",
    "ScpItem",
    "ScpSummary",
    "SnapshotItem",
    "TargetItem",
    "UnitItem",
    "UserItem",
]

CREDENTIALS_KEY = "SgsimCredentials"


class Wire(msgspec.Struct, rename="pascal", gc=False):
    """Base: keys in AWS's PascalCase."""


class DirectoryKeys(Wire):
    """The part of a document that is about principals, images and snapshots."""

    user_detail_list: Raw = Raw()
    group_detail_list: Raw = Raw()
    role_detail_list: Raw = Raw()
    policies: Raw = Raw()
    access_key_metadata: Raw = Raw()
    login_profile: Raw = Raw()
    password_policy: Raw = Raw()
    organization: Raw = Raw()
    roots: Raw = Raw()
    organizational_units: Raw = Raw()
    accounts: Raw = Raw()
    policy: Raw = Raw()
    targets: Raw = Raw()
    images: Raw = Raw()
    launch_permissions: Raw = Raw()
    snapshots: Raw = Raw()
    create_volume_permissions: Raw = Raw()
    sgsim_credentials: Raw = Raw()
    image_id: Any = None
    snapshot_id: Any = None
    policy_id: Any = None
    parent_id: Any = None
    account_id: Any = None
    is_truncated: Any = None


#: Keys whose values are listings, in the order in which a directory is put together.
DIRECTORY_KEYS: tuple[str, ...] = DirectoryKeys.__struct_encode_fields__[:18]

#: Those of them that are about images and snapshots.
IMAGE_KEYS = frozenset({"Images", "LaunchPermissions", "Snapshots", "CreateVolumePermissions"})


class TagItem(Wire):
    key: str
    value: str = ""


class AttachedPolicyItem(Wire):
    policy_arn: str
    policy_name: str | None = None


class InlinePolicyItem(Wire):
    """`policy_document` is an object, as the AWS CLI prints it, or URL-encoded text, as the API gives it."""

    policy_name: str
    policy_document: Any


class BoundaryItem(Wire):
    permissions_boundary_arn: str


class HolderItem(Wire, kw_only=True):
    arn: str
    create_date: str | None = None
    attached_managed_policies: tuple[AttachedPolicyItem, ...] = ()


class UserItem(HolderItem, kw_only=True):
    user_name: str
    user_id: str = ""
    group_list: tuple[str, ...] = ()
    user_policy_list: tuple[InlinePolicyItem, ...] = ()
    permissions_boundary: BoundaryItem | None = None
    tags: tuple[TagItem, ...] = ()


class GroupItem(HolderItem, kw_only=True):
    group_name: str
    group_id: str = ""
    group_policy_list: tuple[InlinePolicyItem, ...] = ()


class RoleItem(HolderItem, kw_only=True):
    role_name: str
    role_id: str = ""
    assume_role_policy_document: Any
    role_policy_list: tuple[InlinePolicyItem, ...] = ()
    permissions_boundary: BoundaryItem | None = None
    tags: tuple[TagItem, ...] = ()
    description: str = ""
    max_session_duration: int | None = None


class VersionItem(Wire):
    document: Any
    version_id: str
    create_date: str | None = None


class PolicyItem(Wire):
    arn: str
    policy_version_list: tuple[VersionItem, ...]
    default_version_id: str
    policy_id: str = ""
    description: str = ""
    create_date: str | None = None


class AccessKeyItem(Wire):
    user_name: str
    access_key_id: str
    status: str = "Active"
    create_date: str | None = None


class LoginItem(Wire):
    user_name: str
    create_date: str | None = None
    password_reset_required: bool = False


class PasswordPolicyItem(Wire):
    minimum_password_length: int = 6
    require_symbols: bool = False
    require_numbers: bool = False
    require_uppercase_characters: bool = False
    require_lowercase_characters: bool = False
    allow_users_to_change_password: bool = False
    max_password_age: int | None = None
    password_reuse_prevention: int | None = None
    hard_expiry: bool | None = None


class OrganizationItem(Wire):
    id: str
    arn: str
    master_account_id: str


class UnitItem(Wire):
    """A root or a unit; `path` is `o-…/r-…/ou-…/`."""

    id: str
    arn: str
    name: str = ""
    path: str | None = None


class AccountItem(Wire):
    id: str
    arn: str
    name: str = ""
    paths: tuple[str, ...] = ()


class ScpSummary(Wire):
    id: str
    arn: str
    name: str = ""
    type: str = "SERVICE_CONTROL_POLICY"
    aws_managed: bool = False
    description: str = ""


class ScpItem(Wire):
    policy_summary: ScpSummary
    content: str


class TargetItem(Wire):
    target_id: str


class EbsItem(Wire):
    snapshot_id: str | None = None
    encrypted: bool | None = None


class DeviceItem(Wire):
    ebs: EbsItem | None = None


class ProductCodeItem(Wire):
    product_code_id: str


class ImageItem(Wire):
    image_id: str
    owner_id: str | None = None
    public: bool | None = None
    block_device_mappings: tuple[DeviceItem, ...] | None = None
    product_codes: tuple[ProductCodeItem, ...] = ()
    name: str = ""
    tags: tuple[TagItem, ...] = ()


class SnapshotItem(Wire):
    snapshot_id: str
    owner_id: str | None = None
    encrypted: bool | None = None
    kms_key_id: str = ""
    volume_id: str = ""
    volume_size: int | None = None
    tags: tuple[TagItem, ...] = ()


class PermissionItem(Wire):
    user_id: str | None = None
    group: str | None = None
    organization_arn: str | None = None
    organizational_unit_arn: str | None = None


class CredentialItem(Wire):
    """Hashes that `sgsim apply` keeps: of an access key's secret, or of a password and those before it."""

    user_arn: str
    access_key_id: str | None = None
    hash: str = ""
    previous: tuple[str, ...] = ()


#: Key → the shape of an item, whether it stands alone, and the keys that an item must have to be meant.
SHAPES: dict[str, tuple[type[Wire], bool, frozenset[str]]] = {
    "UserDetailList": (UserItem, False, frozenset()),
    "GroupDetailList": (GroupItem, False, frozenset()),
    "RoleDetailList": (RoleItem, False, frozenset()),
    "Policies": (PolicyItem, False, frozenset({"PolicyVersionList"})),
    "AccessKeyMetadata": (AccessKeyItem, False, frozenset()),
    "LoginProfile": (LoginItem, True, frozenset({"UserName"})),
    "PasswordPolicy": (PasswordPolicyItem, True, frozenset({"AllowUsersToChangePassword"})),
    "Organization": (OrganizationItem, True, frozenset({"MasterAccountId"})),
    "Roots": (UnitItem, False, frozenset({"Id", "PolicyTypes"})),
    "OrganizationalUnits": (UnitItem, False, frozenset({"Id", "Arn"})),
    "Accounts": (AccountItem, False, frozenset({"Id", "Arn"})),
    "Policy": (ScpItem, True, frozenset({"PolicySummary", "Content"})),
    "Targets": (TargetItem, False, frozenset({"TargetId"})),
    "Images": (ImageItem, False, frozenset({"ImageId"})),
    "LaunchPermissions": (PermissionItem, False, frozenset()),
    "Snapshots": (SnapshotItem, False, frozenset({"SnapshotId"})),
    "CreateVolumePermissions": (PermissionItem, False, frozenset()),
    CREDENTIALS_KEY: (CredentialItem, False, frozenset()),
}
