"""Changes of users, groups, roles, policies, credentials and permission attributes, in the words of AWS's API.

Users, groups, roles and policies are named by ARN: who reads a request knows the account. What AWS would make up (ids,
secrets, salts, times) is part of the change, so that making it anywhere gives the same.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sgsim.model.credentials import Secret
from sgsim.model.images import Image, Permission, VolumeSnapshot
from sgsim.model.origins import BaseChange
from sgsim.model.policies import Policy
from sgsim.model.principals import IamGroup, InlinePolicy, ManagedPolicy, PasswordPolicy, PolicyVersion, Role, User

__all__ = [
    "AddUserToGroup",
    "AttachPolicy",
    "CreateAccessKey",
    "CreateIamGroup",
    "CreateLoginProfile",
    "CreatePolicy",
    "CreatePolicyVersion",
    "CreateRole",
    "CreateUser",
    "DeleteAccessKey",
    "DeleteIamGroup",
    "DeleteInlinePolicy",
    "DeleteLoginProfile",
    "DeletePolicy",
    "DeletePolicyVersion",
    "DeleteRole",
    "DeleteUser",
    "DetachPolicy",
    "DirectoryChange",
    "DirectoryKind",
    "ModifyPermissions",
    "PutInlinePolicy",
    "RemoveUserFromGroup",
    "ResetPermissions",
    "SetBoundary",
    "SetDefaultVersion",
    "SetEntry",
    "SetPasswordPolicy",
    "UpdateAccessKey",
    "UpdateLoginProfile",
    "UpdateTrust",
]


class CreateUser(BaseChange, frozen=True):
    """Add a user with what it has from the start."""

    user: User


class DeleteUser(BaseChange, frozen=True):
    """Remove a user that has nothing left."""

    user_arn: str


class CreateIamGroup(BaseChange, frozen=True):
    """Add a group of users (`CreateGroup` of IAM)."""

    group: IamGroup


class DeleteIamGroup(BaseChange, frozen=True):
    """Remove a group without members and policies."""

    group_arn: str


class CreateRole(BaseChange, frozen=True):
    """Add a role."""

    role: Role


class DeleteRole(BaseChange, frozen=True):
    """Remove a role without policies."""

    role_arn: str


class UpdateTrust(BaseChange, frozen=True):
    """Say anew who may assume a role (`UpdateAssumeRolePolicy`)."""

    role_arn: str
    trust: Policy


class AddUserToGroup(BaseChange, frozen=True):
    """Put a user into a group; no error if it is in it."""

    group_arn: str
    user_arn: str


class RemoveUserFromGroup(BaseChange, frozen=True):
    """Take a user out of a group."""

    group_arn: str
    user_arn: str


class AttachPolicy(BaseChange, frozen=True):
    """Attach a managed policy to a user, group or role; no error if it is."""

    holder_arn: str
    policy_arn: str


class DetachPolicy(BaseChange, frozen=True):
    """Detach a managed policy."""

    holder_arn: str
    policy_arn: str


class PutInlinePolicy(BaseChange, frozen=True):
    """Add an inline policy, or replace the one with its name."""

    holder_arn: str
    inline: InlinePolicy


class DeleteInlinePolicy(BaseChange, frozen=True):
    """Remove an inline policy."""

    holder_arn: str
    name: str


class SetBoundary(BaseChange, frozen=True):
    """Put a permissions boundary on a user or role; None takes it away."""

    holder_arn: str
    policy_arn: str | None


class CreatePolicy(BaseChange, frozen=True):
    """Add a managed policy."""

    policy: ManagedPolicy


class DeletePolicy(BaseChange, frozen=True):
    """Remove a managed policy that nothing uses and that has one version."""

    policy_arn: str


class CreatePolicyVersion(BaseChange, frozen=True):
    """Add a text to a managed policy; `version.version_id` is "" for the next number."""

    policy_arn: str
    version: PolicyVersion
    set_as_default: bool = False


class DeletePolicyVersion(BaseChange, frozen=True):
    """Remove a text that is not the default one."""

    policy_arn: str
    version_id: str


class SetDefaultVersion(BaseChange, frozen=True):
    """Make another text of a managed policy the one that holds."""

    policy_arn: str
    version_id: str


class CreateAccessKey(BaseChange, frozen=True):
    """Give a user a key; its secret is in this value alone, the environment keeps a hash."""

    user_arn: str
    access_key_id: str
    secret: Secret
    created: datetime | None = None


class UpdateAccessKey(BaseChange, frozen=True):
    """Make a key Active or Inactive."""

    user_arn: str
    access_key_id: str
    status: str


class DeleteAccessKey(BaseChange, frozen=True):
    """Remove a key."""

    user_arn: str
    access_key_id: str


class CreateLoginProfile(BaseChange, frozen=True):
    """Give a user a password."""

    user_arn: str
    password: Secret
    salt: bytes
    reset_required: bool = False
    created: datetime | None = None


class UpdateLoginProfile(BaseChange, frozen=True):
    """Give a user another password, or say whether it must be changed; None leaves either as it is."""

    user_arn: str
    password: Secret | None
    salt: bytes
    reset_required: bool | None = None


class DeleteLoginProfile(BaseChange, frozen=True):
    """Take a user's password away."""

    user_arn: str


class SetPasswordPolicy(BaseChange, frozen=True):
    """What passwords of an account must be like; None for AWS's default."""

    account_id: str
    policy: PasswordPolicy | None


class ModifyPermissions(BaseChange, frozen=True):
    """Share an image (`ami-…`) or a snapshot (`snap-…`) with more, or with fewer."""

    resource_id: str
    add: tuple[Permission, ...] = ()
    remove: tuple[Permission, ...] = ()


class ResetPermissions(BaseChange, frozen=True):
    """Share an image or a snapshot with nobody."""

    resource_id: str


DirectoryKind = Literal["users", "groups", "roles", "policies", "images", "volume_snapshots"]


class SetEntry(BaseChange, frozen=True):
    """Have a thing as another environment has it; None takes it away.

    No call of AWS's does this: `difference` and `inverse` alone make it, of what has been accepted.
    """

    kind: DirectoryKind
    key: str
    value: User | IamGroup | Role | ManagedPolicy | Image | VolumeSnapshot | None


DirectoryChange = (
    CreateUser
    | DeleteUser
    | CreateIamGroup
    | DeleteIamGroup
    | CreateRole
    | DeleteRole
    | UpdateTrust
    | AddUserToGroup
    | RemoveUserFromGroup
    | AttachPolicy
    | DetachPolicy
    | PutInlinePolicy
    | DeleteInlinePolicy
    | SetBoundary
    | CreatePolicy
    | DeletePolicy
    | CreatePolicyVersion
    | DeletePolicyVersion
    | SetDefaultVersion
    | CreateAccessKey
    | UpdateAccessKey
    | DeleteAccessKey
    | CreateLoginProfile
    | UpdateLoginProfile
    | DeleteLoginProfile
    | SetPasswordPolicy
    | ModifyPermissions
    | ResetPermissions
    | SetEntry
)
