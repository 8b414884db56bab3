"""Who may be asked for: users, groups, roles and their policies, credentials, and the organization above accounts.

Everything is named by its ARN and belongs to the account in it. Values are frozen; what a group or policy is attached
to is said by the ARNs of the holder, so that a change replaces one value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache

import msgspec

from sgsim.model.arns import parse_arn
from sgsim.model.credentials import PasswordHash, SecretHash
from sgsim.model.managed_policies import shipped_policies
from sgsim.model.organizations import Organization
from sgsim.model.overlay import Overlay
from sgsim.model.policies import Policy

__all__ = [
    "AccessKey",
    "Directory",
    "Holder",
    "IamGroup",
    "InlinePolicy",
    "LoginProfile",
    "ManagedPolicy",
    "PasswordPolicy",
    "PolicyVersion",
    "Role",
    "User",
]

Tags = tuple[tuple[str, str], ...]


class InlinePolicy(msgspec.Struct, frozen=True):
    """A policy that is part of its user, group or role."""

    name: str
    policy: Policy


class PolicyVersion(msgspec.Struct, frozen=True):
    """One of up to five texts of a managed policy."""

    version_id: str
    policy: Policy
    created: datetime | None = None


class ManagedPolicy(msgspec.Struct, frozen=True):
    """A policy with a name of its own, that users, groups and roles share; the default version holds."""

    arn: str
    versions: tuple[PolicyVersion, ...]
    default_version_id: str
    policy_id: str = ""
    description: str = ""
    created: datetime | None = None
    origin: str = ""

    @property
    def policy(self) -> Policy:
        """The default version."""
        return next(one.policy for one in self.versions if one.version_id == self.default_version_id)

    @property
    def name(self) -> str:
        return parse_arn(self.arn).name

    @property
    def account_id(self) -> str:
        return parse_arn(self.arn).account_id


class AccessKey(msgspec.Struct, frozen=True):
    """A long-term key of a user; without `secret_hash` (exports have none) nobody can be authenticated by it."""

    access_key_id: str
    status: str = "Active"
    created: datetime | None = None
    secret_hash: SecretHash | None = None


class LoginProfile(msgspec.Struct, frozen=True):
    """That a user may sign in with a password; `previous` are hashes that may not be used again."""

    created: datetime | None = None
    reset_required: bool = False
    password: PasswordHash | None = None
    previous: tuple[PasswordHash, ...] = ()


class PasswordPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What an account asks of passwords. The fields' defaults are those of UpdateAccountPasswordPolicy."""

    minimum_length: int = 6
    require_symbols: bool = False
    require_numbers: bool = False
    require_uppercase: bool = False
    require_lowercase: bool = False
    users_may_change: bool = False
    max_age: int | None = None
    reuse_prevention: int | None = None
    hard_expiry: bool | None = None


class Holder(msgspec.Struct, frozen=True):
    """What users, groups and roles have in common: policies. `unique_id` is AWS's `AIDA…`, `AGPA…`, `AROA…`."""

    arn: str
    unique_id: str = ""
    created: datetime | None = None
    attached: tuple[str, ...] = ()
    inline: tuple[InlinePolicy, ...] = ()
    origin: str = ""

    @property
    def name(self) -> str:
        return parse_arn(self.arn).name

    @property
    def path(self) -> str:
        return parse_arn(self.arn).path

    @property
    def account_id(self) -> str:
        return parse_arn(self.arn).account_id


class IamGroup(Holder, frozen=True):
    """A group of users; no principal, and not nested."""


class User(Holder, frozen=True):
    """A user; `groups` are ARNs, `boundary` the ARN of a managed policy."""

    groups: tuple[str, ...] = ()
    boundary: str | None = None
    tags: Tags = ()
    access_keys: tuple[AccessKey, ...] = ()
    login: LoginProfile | None = None


class Role(Holder, frozen=True, kw_only=True):
    """A role; `trust` says who may assume it. Service-linked ones are AWS's own."""

    trust: Policy
    boundary: str | None = None
    tags: Tags = ()
    description: str = ""
    max_session_duration: int | None = None

    @property
    def service_linked(self) -> bool:
        return self.path.startswith("/aws-service-role/")


@dataclass(frozen=True, slots=True)
class Directory:
    """Everybody, and what policies there are, by ARN; password policies by account. Never changed, only replaced.

    `policies` are those of the input; the ones of AWS that ship with sgsim are found by `managed_policy`, too.
    An account without password policy has AWS's default one.
    """

    users: Mapping[str, User] = field(default_factory=dict)
    groups: Mapping[str, IamGroup] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=dict)
    policies: Mapping[str, ManagedPolicy] = field(default_factory=dict)
    password_policies: Mapping[str, PasswordPolicy] = field(default_factory=dict)
    organization: Organization | None = None

    def managed_policy(self, arn: str) -> ManagedPolicy | None:
        """The managed policy with this name, of the input or shipped; None if there is none."""
        return self.policies.get(arn) or _shipped(arn)

    def holder(self, arn: str) -> User | IamGroup | Role | None:
        """The user, group or role with this name."""
        return self.users.get(arn) or self.groups.get(arn) or self.roles.get(arn)

    def account_ids(self) -> frozenset[str]:
        """The accounts that have users, groups, roles or policies here, or are in the organization."""
        held = (*self.users.values(), *self.groups.values(), *self.roles.values())
        members = self.organization.accounts if self.organization is not None else ()
        owners = (one.account_id for one in self.policies.values() if one.account_id != "aws")
        return frozenset({*(one.account_id for one in held), *owners, *self.password_policies, *members})

    def named(self, kind: str, account_id: str, name: str) -> User | IamGroup | Role | ManagedPolicy | None:
        """The thing of an account (`kind`: users, groups, roles or policies) with this name, whose case is ignored."""
        found: Iterator[User | IamGroup | Role | ManagedPolicy]
        found = Overlay.of(getattr(self, kind)).having(_names, (account_id, name.casefold()))
        return next(found, None)

    def members(self, group_arn: str) -> Iterator[User]:
        """The users in a group."""
        return Overlay.of(self.users).having(_groups, group_arn)

    def holders(self, policy_arn: str) -> Iterator[User | IamGroup | Role]:
        """The users, groups and roles to which a policy is attached or whose boundary it is."""
        yield from Overlay.of(self.users).having(_policies, policy_arn)
        yield from Overlay.of(self.groups).having(_policies, policy_arn)
        yield from Overlay.of(self.roles).having(_policies, policy_arn)


@cache
def _shipped(arn: str) -> ManagedPolicy | None:
    one = shipped_policies().get(arn)
    if one is None:
        return None
    version = PolicyVersion(one.version_id, one.policy, one.created)
    return ManagedPolicy(arn, (version,), one.version_id, created=one.created, origin="shipped with sgsim")


def _names(one: Holder | ManagedPolicy) -> tuple[tuple[str, str], ...]:
    return ((one.account_id, one.name.casefold()),)


def _groups(user: User) -> tuple[str, ...]:
    return user.groups


def _policies(holder: User | IamGroup | Role) -> tuple[str, ...]:
    boundary = getattr(holder, "boundary", None)
    return (*holder.attached, boundary) if boundary else holder.attached
