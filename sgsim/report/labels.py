"""What people call things: interfaces, groups and rules with their names beside their ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property

from sgsim.flows import AMBIGUOUS, NO_INTERFACE
from sgsim.model import (
    CidrPeer,
    Direction,
    Environment,
    GroupPeer,
    Peer,
    SecurityGroup,
    SecurityGroupRule,
    format_address,
)
from sgsim.report.style import clean

__all__ = ["Labels"]


class Labels:
    """Names for what records refer to by number; everything is safe to print."""

    def __init__(self, environment: Environment, interface_ids: Sequence[str], rule_ids: Sequence[str]) -> None:
        self.environment = environment
        self.interface_ids = interface_ids
        self.rule_ids = rule_ids

    @cached_property
    def rules(self) -> dict[str, tuple[SecurityGroupRule, SecurityGroup]]:
        """Rule id → the rule and its group."""
        return {rule.rule_id: (rule, group) for group in self.environment.groups.values() for rule in group.rules}

    @cached_property
    def used_groups(self) -> frozenset[str]:
        """Groups that some interface carries."""
        return frozenset(name for interface in self.environment.interfaces.values() for name in interface.group_ids)

    def groups_on(self, interface_id: str) -> frozenset[str]:
        """Groups that the interface carries."""
        interface = self.environment.interfaces.get(interface_id)
        return frozenset(interface.group_ids if interface else ())

    def interface(self, index: int) -> str:
        """`eni-… (10.20.0.10, i-…)`, or words for no interface and for several."""
        if index == NO_INTERFACE:
            return "no known interface"
        if index == AMBIGUOUS:
            return "one of several interfaces"
        return self.interface_named(self.interface_ids[index])

    def interface_named(self, interface_id: str) -> str:
        """`eni-… (10.20.0.10, web-1)`: primary address, and name, instance, description or kind, the first there is."""
        interface = self.environment.interfaces.get(interface_id)
        if interface is None:
            return clean(interface_id)
        kind = "" if interface.interface_type == "interface" else interface.interface_type
        about = interface.name or interface.instance_id or interface.description or kind
        known = [*map(str, interface.addresses[:1]), *([about] if about else [])]
        return clean(f"{interface_id} ({', '.join(known)})" if known else interface_id)

    @cached_property
    def _names(self) -> Counter[str]:
        """How many groups and prefix lists have a name: one that several share does not tell them apart."""
        environment = self.environment
        return Counter(
            [group.name for group in environment.groups.values()]
            + [prefix_list.name for prefix_list in environment.prefix_lists.values()]
        )

    def _named(self, identifier: str, name: str) -> str:
        if not name:
            return clean(identifier)
        return clean(name if self._names[name] == 1 else f"{name} ({identifier})")

    def group(self, group_id: str) -> str:
        """The group's name if no other has it, else `name (sg-…)`; the id where there is no name."""
        group = self.environment.groups.get(group_id)
        return self._named(group_id, group.name if group else "")

    def groups_of(self, index: int) -> list[str]:
        """The groups of an interface."""
        if index < 0:
            return []
        interface = self.environment.interfaces.get(self.interface_ids[index])
        return [self.group(group_id) for group_id in interface.group_ids] if interface else []

    def peer(self, peer: Peer) -> str:
        """`10.0.0.0/8`, a group's or a prefix list's name, `444455556666/sg-…`."""
        if isinstance(peer, CidrPeer):
            return str(peer.cidr)
        if isinstance(peer, GroupPeer):
            if peer.group_id in self.environment.groups or peer.account_id is None:
                return self.group(peer.group_id)
            return clean(f"{peer.account_id}/{peer.group_id}")
        prefix_list = self.environment.prefix_lists.get(peer.prefix_list_id)
        return self._named(peer.prefix_list_id, prefix_list.name if prefix_list else "")

    def rule(self, rule_id: str) -> str:
        """`sgr-… tcp 443 from 0.0.0.0/0 in shop-alb`."""
        found = self.rules.get(rule_id)
        if found is None:
            return clean(rule_id)
        rule, group = found
        return f"{clean(rule_id)} {self.what(rule)} in {self.group(group.group_id)}"

    def what(self, rule: SecurityGroupRule) -> str:
        """`tcp 443 from 0.0.0.0/0`."""
        preposition = "from" if rule.direction is Direction.INGRESS else "to"
        return f"{rule.service} {preposition} {self.peer(rule.peer)}"

    @staticmethod
    def address(peer: tuple[int, int]) -> str:
        """The text of a (family, address) pair."""
        return format_address(*peer)
