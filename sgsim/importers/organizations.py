"""What Organizations prints → the tree of units and accounts, and the policies on it.

`list-organizational-units-for-parent` and `list-accounts` tell a `Path`; where it is missing, the parent is a key
`ParentId` beside the listing or an id in the file's name. `list-targets-for-policy` needs the policy's id likewise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sgsim.errors import EnvironmentInputError
from sgsim.importers.directory_documents import without_id
from sgsim.importers.directory_json import AccountItem, OrganizationItem, ScpItem, TargetItem, UnitItem
from sgsim.importers.listing import Listing, convert_all
from sgsim.importers.merge import Views
from sgsim.importers.policies import policy_in
from sgsim.importers.problems import BadFieldError, printable
from sgsim.model.arns import is_account_id
from sgsim.model.organizations import Organization, OrganizationAccount, OrganizationUnit, ServiceControlPolicy
from sgsim.model.policies import PolicyKind

__all__ = ["OrganizationReader"]

_KIND = "SERVICE_CONTROL_POLICY"


class OrganizationReader:
    """Collects descriptions. Methods raise EnvironmentInputError."""

    def __init__(self) -> None:
        self._organizations = Views("organization", frozenset({"arn", "management_account_id"}))
        self._units = Views("organizational unit", frozenset({"arn", "parent_id"}))
        self._accounts = Views("account", frozenset({"arn", "parent_id"}))
        self._policies = Views("service control policy", frozenset({"policy"}))
        self._targets: dict[str, set[str]] = {}
        self.warnings: list[str] = []

    def add(self, listing: Listing) -> None:
        """Take a listing of Organizations; others are ignored."""
        readers: dict[str, Callable[[Any, Listing, int], None]] = {
            "Organization": self._organization,
            "Roots": self._root,
            "OrganizationalUnits": self._unit,
            "Accounts": self._account,
            "Policy": self._scp,
        }
        if listing.key == "Targets":
            self._add_targets(listing)
        elif listing.key in readers:
            convert_all(listing, lambda item, index: readers[listing.key](item, listing, index))

    def _organization(self, item: OrganizationItem, listing: Listing, index: int) -> None:
        fields = {"arn": item.arn, "management_account_id": item.master_account_id}
        self._organizations.add(item.id, fields, listing.origin(index))

    def _root(self, item: UnitItem, listing: Listing, index: int) -> None:
        self._units.add(item.id, {"arn": item.arn, "name": item.name, "parent_id": None}, listing.origin(index))

    def _unit(self, item: UnitItem, listing: Listing, index: int) -> None:
        fields: dict[str, Any] = {"arn": item.arn, "name": item.name}
        parent = _parent(item.path, item.id) or listing.about
        if parent:
            fields["parent_id"] = parent
        self._units.add(item.id, fields, listing.origin(index))

    def _account(self, item: AccountItem, listing: Listing, index: int) -> None:
        if not is_account_id(item.id):
            raise BadFieldError("Id", f"{item.id[:40]!r} is not an account")
        fields: dict[str, Any] = {"arn": item.arn, "name": item.name}
        parent = _parent(item.paths[0] if item.paths else None, item.id) or listing.about
        if parent:
            fields["parent_id"] = parent
        self._accounts.add(item.id, fields, listing.origin(index))

    def _scp(self, item: ScpItem, listing: Listing, index: int) -> None:
        summary = item.policy_summary
        if summary.type != _KIND:
            self.warnings.append(
                f"{listing.source}: {summary.type} {summary.id} is left out; of an organization's policies, "
                "service control policies are read"
            )
            return
        name = f"service control policy {summary.name or summary.id}"
        policy = policy_in(item.content, PolicyKind.SERVICE_CONTROL, name, "Content")
        fields = {
            "arn": summary.arn,
            "name": summary.name,
            "policy": policy,
            "aws_managed": summary.aws_managed,
            "description": summary.description,
        }
        self._policies.add(summary.id, fields, listing.origin(index))

    def _add_targets(self, listing: Listing) -> None:
        if not listing.about:
            raise without_id(listing).under(listing.label).located(listing.source)

        def read(item: TargetItem, _: int) -> None:
            self._targets.setdefault(listing.about, set()).add(item.target_id)

        convert_all(listing, read)

    def build(self) -> Organization | None:
        """The organization, None if none is described."""
        if not self._organizations.fields:
            if self._units.fields or self._accounts.fields or self._policies.fields:
                self.warnings.append(
                    "an organization's units, accounts or policies are described, but not the organization, so they "
                    "bind nobody; add the output of 'aws organizations describe-organization'"
                )
            return None
        if len(self._organizations.fields) > 1:
            first, second = list(self._organizations.origins.values())[:2]
            raise EnvironmentInputError(
                f"a second organization; the first is in {first}",
                source=second.source,
                where=second.where,
                advice="describe the accounts of one organization",
            )
        ((organization_id, fields),) = self._organizations.fields.items()
        organization = Organization(
            organization_id,
            fields["arn"],
            fields["management_account_id"],
            {
                key: OrganizationUnit(key, **told, origin=str(self._units.origins[key]))
                for key, told in self._units.fields.items()
            },
            {
                key: OrganizationAccount(key, **told, origin=str(self._accounts.origins[key]))
                for key, told in self._accounts.fields.items()
            },
            self._scps(),
        )
        self._check_tree(organization)
        return organization

    def _scps(self) -> dict[str, ServiceControlPolicy]:
        unknown = sorted(self._targets.keys() - self._policies.fields.keys())
        if unknown:
            self.warnings.append(
                f"policy {unknown[0]} of the organization is attached, but its content is not in the input; add the "
                "output of 'aws organizations describe-policy'"
            )
        return {
            key: ServiceControlPolicy(
                key,
                **told,
                targets=frozenset(self._targets.get(key, ())),
                origin=str(self._policies.origins[key]),
            )
            for key, told in self._policies.fields.items()
        }

    def _check_tree(self, organization: Organization) -> None:
        """Every unit and account hangs on the root, so that what binds it is known."""
        for views, noun in ((self._units, "organizational unit"), (self._accounts, "account")):
            for key in views.fields:
                path = [key]
                while (parent := self._parent_of(path[-1])) is not None and parent not in path:
                    path.append(parent)
                if not path[-1].startswith("r-") or parent in path:
                    origin = views.origins[key]
                    raise EnvironmentInputError(
                        printable(
                            f"{noun} {key} does not hang on a root of the organization (its parents: "
                            f"{', '.join(path[1:]) or 'not told'})"
                        ),
                        source=origin.source,
                        where=origin.where,
                        advice="add Roots, OrganizationalUnits and Accounts with their Path or a ParentId beside them",
                    )
        bare = sorted(one for one in (*organization.units, *organization.accounts) if not organization.attached(one))
        if organization.policies and bare:
            self.warnings.append(
                f"no service control policy is attached to {', '.join(bare[:3])}{', …' if bare[3:] else ''}, so "
                "nothing is allowed below; add the outputs of 'aws organizations describe-policy' and "
                "list-targets-for-policy"
            )
        elif not organization.policies:
            self.warnings.append(
                "an organization without service control policies: they bind nobody; add the outputs of "
                "'aws organizations describe-policy' and list-targets-for-policy"
            )

    def _parent_of(self, key: str) -> str | None:
        told = self._units.fields.get(key) or self._accounts.fields.get(key) or {}
        parent: str | None = told.get("parent_id")
        return parent


def _parent(path: str | None, own_id: str) -> str:
    """The last root or unit before the thing itself in `o-…/r-…/ou-…/`."""
    parts = [one for one in (path or "").split("/") if one.startswith(("r-", "ou-")) and one != own_id]
    return parts[-1] if parts else ""
