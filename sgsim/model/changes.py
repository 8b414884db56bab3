"""Changes of an environment as values, in the words of AWS's API; `sgsim.model.apply` makes them.

A change carries what it needs to be made anywhere: whole rules, groups and interfaces. Rules that AWS has not named
yet have the id "" and get one from their content (`identity.content_id`).
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from sgsim.model.addresses import Cidr
from sgsim.model.network import NetworkInterface, SecurityGroup
from sgsim.model.rules import SecurityGroupRule

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
    "SetEntries",
    "SetGroups",
]


class ChangeOrigin(msgspec.Struct, frozen=True):
    """Who asked for a change, when and through what, as far as the input tells.

    `time` is aware. `principal` is an ARN or a service; `source` an IP address or a service; `event` CloudTrail's
    name of the event with its id; `place` the file and the path inside it, for messages.
    """

    time: datetime | None = None
    principal: str = ""
    source: str = ""
    event: str = ""
    place: str = ""


class _Change(msgspec.Struct, frozen=True, kw_only=True):
    """Base: where a change comes from, None if it was made up here."""

    origin: ChangeOrigin | None = None


class Authorize(_Change, frozen=True):
    """Add rules to a group, of either direction. All are added or none."""

    group_id: str
    rules: tuple[SecurityGroupRule, ...]


class Revoke(_Change, frozen=True):
    """Take rules from a group, by their ids and by properties.

    A rule given by properties matches one with the same content; its description only if it is not "". If it also has
    an id (as in CloudTrail's answers), the rule with this id goes, or else the one with this content.
    """

    group_id: str
    rule_ids: tuple[str, ...] = ()
    rules: tuple[SecurityGroupRule, ...] = ()


class ModifyRule(_Change, frozen=True):
    """Give a rule another content and description; the id stays, and so does the kind of its peer."""

    group_id: str
    rule_id: str
    rule: SecurityGroupRule


class DescribeRule(_Change, frozen=True):
    """Change the description of a rule, named by `rule_id` or, where that is "", by the content of `rule`."""

    group_id: str
    description: str
    rule_id: str = ""
    rule: SecurityGroupRule | None = None


class CreateGroup(_Change, frozen=True):
    """Add a group with the rules that it has from the start."""

    group: SecurityGroup


class DeleteGroup(_Change, frozen=True):
    """Remove a group."""

    group_id: str


class SetGroups(_Change, frozen=True):
    """Give an interface these groups instead of those that it has."""

    interface_id: str
    group_ids: tuple[str, ...]


class AddInterface(_Change, frozen=True):
    """Add a network interface."""

    interface: NetworkInterface


class RemoveInterface(_Change, frozen=True):
    """Remove a network interface."""

    interface_id: str


class SetEntries(_Change, frozen=True):
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
    | SetEntries
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
