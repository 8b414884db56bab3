"""Organizations: the tree of units above accounts, and the service control policies on it (docs/iam.md A1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from sgsim.model.policies import Policy

__all__ = ["Organization", "OrganizationAccount", "OrganizationUnit", "ServiceControlPolicy"]


class OrganizationUnit(msgspec.Struct, frozen=True):
    """A root (`parent_id` None) or an organizational unit."""

    unit_id: str
    arn: str
    name: str = ""
    parent_id: str | None = None
    origin: str = ""


class OrganizationAccount(msgspec.Struct, frozen=True):
    """A member account, or the management account."""

    account_id: str
    arn: str
    name: str = ""
    parent_id: str | None = None
    origin: str = ""


class ServiceControlPolicy(msgspec.Struct, frozen=True):
    """A service control policy and the ids of the roots, units and accounts to which it is attached."""

    policy_id: str
    arn: str
    name: str
    policy: Policy
    targets: frozenset[str] = frozenset()
    aws_managed: bool = False
    description: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Organization:
    """An organization; units, accounts and policies by their ids. `management_account_id` is bound by no policy."""

    organization_id: str
    arn: str
    management_account_id: str
    units: Mapping[str, OrganizationUnit] = field(default_factory=dict)
    accounts: Mapping[str, OrganizationAccount] = field(default_factory=dict)
    policies: Mapping[str, ServiceControlPolicy] = field(default_factory=dict)

    def path(self, account_id: str) -> tuple[str, ...]:
        """The ids from the root down to the account, all of them; () for an account that is no member."""
        account = self.accounts.get(account_id)
        return () if account is None else (*self._down_to(account.parent_id), account_id)

    def place(self, identifier: str) -> str:
        """`o-…/r-…/ou-…/` down to a unit, or to what an account is in: AWS's `Path`."""
        unit = identifier if identifier in self.units else self.accounts[identifier].parent_id
        return "/".join((self.organization_id, *self._down_to(unit), ""))

    def _down_to(self, unit_id: str | None) -> tuple[str, ...]:
        """The ids from the root down to a unit."""
        path: list[str] = []
        while unit_id is not None and unit_id not in path:
            path.append(unit_id)
            unit = self.units.get(unit_id)
            unit_id = None if unit is None else unit.parent_id
        return tuple(reversed(path))

    def attached(self, target_id: str) -> tuple[ServiceControlPolicy, ...]:
        """The policies on a root, unit or account, in the order of their ids."""
        return tuple(one for _, one in sorted(self.policies.items()) if target_id in one.targets)
