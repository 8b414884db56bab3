"""Changes of an environment as values, in the words of AWS's API; `sgsim.model.apply` makes them.

A change carries what it needs to be made anywhere: whole rules, groups and interfaces. Rules that AWS has not named
yet have the id "" and get one from their content (`identity.content_id`).
"""

from __future__ import annotations

import msgspec

from sgsim.model.addresses import Cidr
from sgsim.model.directory_changes import DirectoryChange
from sgsim.model.network import NetworkInterface, SecurityGroup
from sgsim.model.origins import BaseChange, ChangeOrigin
from sgsim.model.rules import Direction, SecurityGroupRule

__all__ = [
    "AddInterface",
    "Authorize",
    "Change",
    "ChangeOrigin",
    "ChangeSet",
    "CreateGroup",
    "DeleteGroup",
    "DescribeRule",
    "ModifyRule",
    "RemoveInterface",
    "Revoke",
    "RunInstances",
    "SetEntries",
    "SetGroups",
]


class Authorize(BaseChange, frozen=True):
    """Add rules to a group, of either direction. All are added or none."""

    group_id: str
    rules: tuple[SecurityGroupRule, ...]


class Revoke(BaseChange, frozen=True):
    """Take rules from a group, by their ids and by properties.

    A rule given by properties matches one with the same content; its description only if it is not "". If it also has
    an id (as in CloudTrail's answers), the rule with this id goes, or else the one with this content. Ids name rules of
    `direction` alone, where it is told.
    """

    group_id: str
    rule_ids: tuple[str, ...] = ()
    rules: tuple[SecurityGroupRule, ...] = ()
    direction: Direction | None = None


class ModifyRule(BaseChange, frozen=True):
    """Give a rule another content and description; the id stays, and so does the kind of its peer."""

    group_id: str
    rule_id: str
    rule: SecurityGroupRule


class DescribeRule(BaseChange, frozen=True):
    """Change the description of a rule, named by `rule_id` (of `direction`, where that is told) or, where that is "",
    by the content of `rule`.
    """

    group_id: str
    description: str
    rule_id: str = ""
    rule: SecurityGroupRule | None = None
    direction: Direction | None = None


class CreateGroup(BaseChange, frozen=True):
    """Add a group with the rules that it has from the start."""

    group: SecurityGroup


class DeleteGroup(BaseChange, frozen=True):
    """Remove a group."""

    group_id: str


class SetGroups(BaseChange, frozen=True):
    """Give an interface these groups instead of those that it has."""

    interface_id: str
    group_ids: tuple[str, ...]


class AddInterface(BaseChange, frozen=True):
    """Add a network interface."""

    interface: NetworkInterface


class RemoveInterface(BaseChange, frozen=True):
    """Remove a network interface."""

    interface_id: str


class RunInstances(BaseChange, frozen=True, kw_only=True):
    """Launch an image: every interface is new and carries its instance's id.

    `role_arn` is the role that the instances get, "" for none. `tags` are those of new things: (kind, key, value) with
    kinds such as `instance`. `account_id` is the account that launches, None if it is not told.
    """

    image_id: str
    interfaces: tuple[NetworkInterface, ...]
    instance_type: str | None = None
    key_name: str | None = None
    role_arn: str = ""
    snapshot_ids: tuple[str, ...] = ()
    tags: tuple[tuple[str, str, str], ...] = ()
    account_id: str | None = None


class SetEntries(BaseChange, frozen=True):
    """Add entries to a prefix list and remove others; what is added already and present stays as it is."""

    prefix_list_id: str
    add: tuple[Cidr, ...] = ()
    remove: tuple[Cidr, ...] = ()


Change = (
    Authorize
    | Revoke
    | ModifyRule
    | DescribeRule
    | CreateGroup
    | DeleteGroup
    | SetGroups
    | AddInterface
    | RemoveInterface
    | RunInstances
    | SetEntries
    | DirectoryChange
)


class ChangeSet(msgspec.Struct, frozen=True):
    """Changes in the order in which they are made.

    `notes` are one-line remarks for people: what of the input was left out, and why. `accepted` says that AWS has made
    these changes already (a recording, or the difference of two exports), so that nobody asks whether it would.
    """

    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    accepted: bool = False

    def __len__(self) -> int:
        return len(self.changes)
