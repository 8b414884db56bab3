"""What a decision needs and what it says: who asks, by which policies, for what, and the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum, IntEnum
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from sgsim.model.policies import Policy, Statement

__all__ = ["AccessRequest", "AttachedPolicy", "DecidingStatement", "Decision", "Layer", "Outcome", "PolicySet"]


class Outcome(IntEnum):
    """The answer; zero means closed."""

    IMPLICIT_DENY = 0
    ALLOWED = 1
    EXPLICIT_DENY = 2


class Layer(Enum):
    """Where in the order of evaluation something was decided (docs/iam.md A1); the order here is that order."""

    SERVICE_CONTROL = "service control policy"
    RESOURCE = "resource policy"
    IDENTITY = "identity policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    ROOT = "root user"
    ANYBODY = "needs no permission"


class AttachedPolicy(NamedTuple):
    """A policy where it is attached; `name` is what a reader recognises: an ARN, `inline policy p of group g`."""

    policy: Policy
    name: str
    layer: Layer


@dataclass(frozen=True, kw_only=True)
class PolicySet:
    """A principal and everything that bears on what it may do.

    `principal` is the ARN of a user, of a role, or of an account's root; with `session_name` it is a session of the
    role, and `session` holds the policies that were passed when it was assumed (None: none were). `unique_id` is AWS's
    `AIDA…` or `AROA…`. `service_control` has one tuple for each level, from the organization's root down to the
    account; () means that there is no organization. `management_account` says that the account manages it, so that
    those policies do not bind it; `organization_path` is `o-…/r-…/ou-…/` down to the account's unit.
    """

    principal: str
    account_id: str
    identity: tuple[AttachedPolicy, ...] = ()
    boundary: AttachedPolicy | None = None
    session: tuple[AttachedPolicy, ...] | None = None
    service_control: tuple[tuple[AttachedPolicy, ...], ...] = ()
    is_root: bool = False
    management_account: bool = False
    session_name: str | None = None
    unique_id: str = ""
    organization_id: str = ""
    organization_path: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def session_arn(self) -> str | None:
        """The ARN of the role's session, None for anything else."""
        if self.session_name is None:
            return None
        partition = self.principal.split(":")[1]
        role = self.principal.rsplit("/", 1)[1]
        return f"arn:{partition}:sts::{self.account_id}:assumed-role/{role}/{self.session_name}"

    @property
    def service_linked(self) -> bool:
        """Whether this is a role that a service made for itself, which service control policies do not bind."""
        return ":role/aws-service-role/" in self.principal

    @cached_property
    def keys(self) -> Mapping[str, tuple[str, ...]]:
        """The condition keys that tell of the principal, in lower case (docs/iam.md A2.16)."""
        role = ":role/" in self.principal
        known = {
            "aws:principalarn": self.principal,
            "aws:principalaccount": self.account_id,
            "aws:principaltype": "Account" if self.is_root else "AssumedRole" if role else "User",
            "aws:principalorgid": self.organization_id,
            "aws:principalorgpaths": self.organization_path,
            "aws:principalisawsservice": "false",
            "aws:viaawsservice": "false",
            "aws:username": "" if self.is_root or role else self.principal.rsplit("/", 1)[-1],
            "aws:userid": self._user_id(role),
        }
        known.update({f"aws:principaltag/{tag.lower()}": value for tag, value in self.tags.items()})
        return {key: (value,) for key, value in known.items() if value or "tag/" in key}

    @cached_property
    def plans(self) -> dict[str, Any]:
        """What `sgsim.access.plans` keeps for each action."""
        return {}

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: what is kept for speed cannot travel to another process."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def _user_id(self, role: bool) -> str:
        if self.is_root:
            return self.account_id
        if role:
            return f"{self.unique_id}:{self.session_name}" if self.unique_id and self.session_name else ""
        return self.unique_id


class AccessRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One action on one resource.

    `context` holds condition keys with their values; what it says of the principal wins over the policy set.
    `resource_account` is the account of a resource that has a policy of its own (or could have one) in another account;
    None means the principal's. `resource_policy` is that policy: for sts:AssumeRole the role's trust policy.
    """

    action: str
    resource: str = "*"
    context: Mapping[str, tuple[str, ...]] = {}
    resource_account: str | None = None
    resource_policy: AttachedPolicy | None = None


class DecidingStatement(NamedTuple):
    """A statement that decided, with the policy that it is in; `place` is its place there, from 0."""

    attached: AttachedPolicy
    place: int
    statement: Statement

    def __str__(self) -> str:
        sid = f' "{self.statement.sid}"' if self.statement.sid else ""
        return f"statement {self.place + 1}{sid} of {self.attached.name} ({self.attached.layer.value})"


class Decision(msgspec.Struct, frozen=True):
    """The answer to a request.

    `layer` is where it was decided: what denies, what is silent first, or what grants. `statements` are those that
    deny, or those that allow, of every layer that was asked; () if none speaks. `silent` are all layers that would have
    to allow and do not. `missing_keys` are condition keys, spelt as in the policies, which statements on this action
    and resource ask for and the request lacks.
    """

    outcome: Outcome
    layer: Layer
    statements: tuple[DecidingStatement, ...] = ()
    silent: tuple[Layer, ...] = ()
    missing_keys: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        return self.outcome is Outcome.ALLOWED
