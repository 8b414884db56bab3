"""The calls that could make packets of a question pass, whoever makes them.

Nothing but these kinds of calls can help, since rules only allow: more rules on a group of one end, another body for
one of its rules, more addresses in a list that one refers to, other groups on an interface (for their rules, or for
the rules of the other end that refer to them), and a new interface at an address that nobody has. A `Call` is one or
several ways to spell what IAM asks the same about; the first that AWS takes and that helps is meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from sgsim.analysis.helpful_rules import entries_for, launch_addresses, overlapping, peers_for, rules_for
from sgsim.analysis.passing import Passing
from sgsim.analysis.space_algebra import Part, Space
from sgsim.analysis.space_views import ViewKey
from sgsim.intervals import Intervals, union_of
from sgsim.model import (
    Address,
    Direction,
    GroupPeer,
    NetworkInterface,
    PrefixListPeer,
    SecurityGroup,
    SecurityGroupRule,
)
from sgsim.model.changes import (
    AddInterface,
    Authorize,
    Change,
    ChangeOrigin,
    ModifyRule,
    RunInstances,
    SetEntries,
    SetGroups,
)

__all__ = ["KINDS", "Call", "helpful_calls", "launched_by"]

#: Kinds of calls in the order in which they are reported.
KINDS = {
    "authorize": "add a rule to a group",
    "modify": "modify a rule",
    "prefix-list": "add to a prefix list",
    "attach": "put other groups on an interface",
    "launch": "launch an instance into a group",
    "interface": "make an interface with a group",
}
_ENDS = (Direction.EGRESS, Direction.INGRESS)


class Call(NamedTuple):
    """One call; `changes` are its spellings, best first."""

    kind: str
    changes: tuple[Change, ...]


def launched_by(change: Change) -> tuple[NetworkInterface, ...]:
    """The interfaces that a change makes."""
    if isinstance(change, RunInstances):
        return change.interfaces
    return (change.interface,) if isinstance(change, AddInterface) else ()


def helpful_calls(before: Passing) -> Iterator[Call]:
    """The calls that may help; whether one does is seen by making it."""
    finder = _Finder(before)
    for make in (finder.authorize, finder.modify, finder.lists, finder.attach, finder.launch):
        seen: set[object] = set()
        for call in make():
            key = (call.kind, call.changes[0])
            if key not in seen:
                seen.add(key)
                yield call


class _Finder:
    def __init__(self, before: Passing) -> None:
        self._before, self._environment = before, before.environment
        self._asked = before.question.services
        self._accepting: dict[tuple[str | None, Direction], list[str]] = {}

    # -- the ends ------------------------------------------------------------------------------------------------------

    def _names(self, direction: Direction) -> list[str]:
        """The interfaces at one end."""
        source = direction is Direction.EGRESS
        return sorted({name for family in self._before.families for name in self._before.side(family, source) if name})

    def _far(self, direction: Direction) -> dict[int, Intervals]:
        """The addresses at the other end of a direction."""
        source = direction is Direction.EGRESS
        return {family: union_of(self._before.side(family, not source).values()) for family in self._before.families}

    def _closed(self, direction: Direction) -> list[str]:
        """The interfaces at an end where some packet of the question does not pass."""
        far, asked = self._far(direction), []
        for family, remotes in far.items():
            asked.append(Part(family, remotes, self._before.question.services_of(family)))
        wanted = Space.of(asked)
        return [name for name in self._names(direction) if wanted - self._before.end(name, direction)]

    def _groups(self, names: Iterable[str]) -> list[SecurityGroup]:
        """The groups that these interfaces carry."""
        ids = {one for name in names for one in self._environment.interfaces[name].group_ids}
        return [self._environment.groups[one] for one in sorted(ids) if one in self._environment.groups]

    def _rules(self, direction: Direction) -> Iterator[tuple[SecurityGroup, SecurityGroupRule]]:
        """The rules that decide at the closed interfaces of an end."""
        for group in self._groups(self._closed(direction)):
            yield from ((group, rule) for rule in group.rules if rule.direction is direction)

    # -- rules and lists -----------------------------------------------------------------------------------------------

    def authorize(self) -> Iterator[Call]:
        for direction in _ENDS:
            for group in self._groups(self._closed(direction)):
                spelled = rules_for(group, direction, self._far(direction), self._asked)
                changes = tuple(Authorize(group.group_id, rules) for rules in spelled)
                if changes:
                    yield Call("authorize", changes)

    def modify(self) -> Iterator[Call]:
        for direction in _ENDS:
            far = self._far(direction)
            members = self._groups(self._names(_other(direction)))
            for group, rule in self._rules(direction):
                bodies = peers_for(rule, far, self._asked, members, self._environment.prefix_lists)
                for _, spelled in bodies:
                    yield Call("modify", tuple(ModifyRule(group.group_id, rule.rule_id, one) for one in spelled))

    def lists(self) -> Iterator[Call]:
        for direction in _ENDS:
            for _, rule in self._rules(direction):
                if isinstance(rule.peer, PrefixListPeer) and overlapping(rule, self._asked):
                    prefix_list = self._environment.prefix_lists.get(rule.peer.prefix_list_id)
                    if prefix_list is not None and prefix_list.entries is not None:
                        chosen = entries_for(prefix_list, self._far(direction))
                        changes = tuple(SetEntries(prefix_list.prefix_list_id, added) for added in chosen)
                        if changes:
                            yield Call("prefix-list", changes)

    # -- groups on interfaces ------------------------------------------------------------------------------------------

    def attach(self) -> Iterator[Call]:
        for direction in _ENDS:
            for name in self._names(direction):
                interface = self._environment.interfaces[name]
                for groups in self._chosen(interface, direction):
                    yield Call("attach", (SetGroups(name, groups),))
                    if interface.instance_id is not None:
                        origin = ChangeOrigin(event="ModifyInstanceAttribute")
                        yield Call("attach", (SetGroups(name, groups, origin=origin),))

    def _chosen(self, interface: NetworkInterface, direction: Direction) -> Iterator[tuple[str, ...]]:
        """Groups for an interface: one more, one more that counts at the other end as well, then as few as may do."""
        here = tuple(interface.group_ids)
        accepting = self._accepted_by(interface.vpc_id, direction)
        members = self._referenced(direction)
        for group_id in (*accepting, *members):
            if group_id not in here:
                yield (*here, group_id)
        for one in accepting:
            for other in members:
                if one != other and one not in here and other not in here:
                    yield (*here, one, other)
        for one in (*accepting, *members):
            yield (one,)
        for one in accepting:
            yield from ((one, other) for other in members if one != other)

    def _accepted_by(self, vpc_id: str | None, direction: Direction) -> list[str]:
        """The groups that can be in a VPC whose own rules let something of the question pass."""
        far, views = self._far(direction), self._before.views
        wanted = Space.of(Part(family, far[family], self._before.question.services_of(family)) for family in far)
        key = (vpc_id, direction)
        if key not in self._accepting:
            self._accepting[key] = [
                group.group_id
                for group in self._environment.groups.values()
                if _fits(group, vpc_id)
                and any(rule.direction is direction for rule in group.rules)
                and views.at(ViewKey((group.group_id,), vpc_id), direction).accepted & wanted
            ]
        return self._accepting[key]

    def _referenced(self, direction: Direction) -> list[str]:
        """The groups to which rules of the other end refer."""
        other = _other(direction)
        found = {
            rule.peer.group_id
            for group in self._groups(self._names(other))
            for rule in group.rules
            if rule.direction is other and isinstance(rule.peer, GroupPeer) and overlapping(rule, self._asked)
        }
        return sorted(found)

    # -- new interfaces ------------------------------------------------------------------------------------------------

    def launch(self) -> Iterator[Call]:
        """New interfaces at addresses that nobody has, with a group to which rules of the other end refer."""
        images = [None, *self._environment.images]
        for direction in _ENDS:
            members = self._referenced(direction)
            for family in self._before.families if members else ():
                others = self._before.side(family, direction is Direction.EGRESS).get("")
                if others is None:
                    continue
                for subnet_id, address in launch_addresses(self._environment, family, others):
                    for interface in self._interfaces(subnet_id, address, direction, members):
                        for image_id in images:
                            yield self._launched(interface, image_id)

    def _interfaces(
        self, subnet_id: str, address: Address, direction: Direction, members: Sequence[str]
    ) -> Iterator[NetworkInterface]:
        subnet = self._environment.subnets[subnet_id]
        vpc = self._environment.vpcs.get(subnet.vpc_id or "")
        place = NetworkInterface(
            f"{subnet_id}/{address}",
            (address,),
            vpc_id=subnet.vpc_id,
            subnet_id=subnet_id,
            account_id=vpc.account_id if vpc is not None else None,
            region=subnet.region or (vpc.region if vpc is not None else None),
        )
        accepting = self._accepted_by(subnet.vpc_id, direction)
        for one in members:
            yield msgspec.structs.replace(place, group_ids=(one,))
            yield from (msgspec.structs.replace(place, group_ids=(one, other)) for other in accepting if one != other)

    def _launched(self, interface: NetworkInterface, image_id: str | None) -> Call:
        if image_id is None:
            return Call("interface", (AddInterface(interface),))
        named = msgspec.structs.replace(interface, instance_id=f"i-{interface.interface_id}")
        return Call("launch", (RunInstances(image_id=image_id, interfaces=(named,)),))


def _other(direction: Direction) -> Direction:
    return Direction.INGRESS if direction is Direction.EGRESS else Direction.EGRESS


def _fits(group: SecurityGroup, vpc_id: str | None) -> bool:
    places = {group.vpc_id, *group.associated_vpc_ids}
    return vpc_id is None or None in places or vpc_id in places
