"""What a change of the environment does to the packet space of each interface, whatever the traffic.

Only rules that differ, and references and lists whose addresses differ, can change an answer, and only inside their
own rectangles. So the sweep goes over these rectangles and the unchanged ones that overlap them: interfaces without
a change cost nothing but a look at their groups, and a new rule for one host costs that host, not the whole space.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from sgsim.analysis.space_algebra import ADDRESSES_END, NOTHING, Space
from sgsim.analysis.space_services import SERVICES_END, service_range
from sgsim.analysis.space_transitions import AFTER, BEFORE, BOTH, transitions
from sgsim.analysis.space_views import MAYBE, SURE, Box, View, ViewKey, Views, view_key
from sgsim.intervals import Intervals
from sgsim.model import CidrPeer, Direction, Environment, PrefixListPeer, SecurityGroup, SecurityGroupRule, Semantics

__all__ = ["InterfaceChange", "SpaceChange", "change_between", "difference", "without_garbage_collection"]

_WIDTH = {4: 32, 6: 128}


@dataclass(frozen=True, slots=True)
class SpaceChange:
    """Packets whose verdict by the rules changes, by what it was and what it becomes; the six are disjoint.

    Laws: accepted before, more `now_accepted`, less `no_longer_accepted`, is accepted after; what only may pass
    before, more (`may_open` and `may_close`), less (`confirmed` and `refuted`), is what only may pass after.
    """

    opened: Space = NOTHING  #: REJECT → ACCEPT
    closed: Space = NOTHING  #: ACCEPT → REJECT
    confirmed: Space = NOTHING  #: UNKNOWN → ACCEPT
    refuted: Space = NOTHING  #: UNKNOWN → REJECT
    may_open: Space = NOTHING  #: REJECT → UNKNOWN
    may_close: Space = NOTHING  #: ACCEPT → UNKNOWN

    def __bool__(self) -> bool:
        return self != _UNCHANGED

    @property
    def now_accepted(self) -> Space:
        """Accepted after, not (or not surely) before."""
        return self.opened | self.confirmed

    @property
    def no_longer_accepted(self) -> Space:
        """Accepted before, not (or not surely) after."""
        return self.closed | self.may_close


_UNCHANGED = SpaceChange()


@dataclass(frozen=True, slots=True)
class InterfaceChange:
    """The same change at several interfaces in one direction.

    `situation` is `changed`, or `added` or `removed` for interfaces that only one environment has: nothing passes
    where they are not.
    """

    interface_ids: tuple[str, ...]
    direction: Direction
    situation: str
    change: SpaceChange


def change_between(before: View, after: View) -> SpaceChange:
    """The change from one whole answer to another."""
    return SpaceChange(
        opened=after.accepted - before.accepted - before.possible,
        closed=before.accepted - after.accepted - after.possible,
        confirmed=after.accepted & before.possible,
        refuted=before.possible - after.accepted - after.possible,
        may_open=after.possible - before.accepted - before.possible,
        may_close=before.accepted & after.possible,
    )


def difference(
    before: Environment,
    after: Environment,
    semantics: Semantics | None = None,
    *,
    interface_ids: Set[str] | None = None,
) -> list[InterfaceChange]:
    """Every change of the packet space from one environment to another, equal ones of several interfaces together.

    `interface_ids` restricts the interfaces. The order is that of the first interface's id, ingress first.
    """
    with without_garbage_collection():
        return _Comparison(Views(before, semantics), Views(after, semantics)).run(interface_ids)


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Where no cycles are made, a million new objects would set off many collections that find nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Rules(NamedTuple):
    """The rules of one interface in one direction, each with its group: on both sides, before only, after only."""

    both: list[tuple[SecurityGroupRule, SecurityGroup]]
    gone: list[tuple[SecurityGroupRule, SecurityGroup]]
    added: list[tuple[SecurityGroupRule, SecurityGroup]]


class _Comparison:
    def __init__(self, before: Views, after: Views) -> None:
        self._before, self._after = before, after
        self._pairs: dict[str, tuple[list[SecurityGroupRule], list[SecurityGroupRule], list[SecurityGroupRule]]] = {}
        self._indirect: dict[tuple[str, str | None], bool] = {}
        self._reaches: dict[tuple[object, ...], bool] = {}
        self._surroundings_differ = _surroundings(before.environment) != _surroundings(after.environment)

    def run(self, interface_ids: Set[str] | None) -> list[InterfaceChange]:
        same: dict[tuple[ViewKey | None, ViewKey | None], list[str]] = defaultdict(list)
        for name, old, new in self._interfaces():
            if interface_ids is None or name in interface_ids:
                same[old, new].append(name)
        grouped: dict[tuple[Direction, str, SpaceChange], list[str]] = defaultdict(list)
        for (old, new), names in same.items():
            situation = "changed" if old and new else "added" if new else "removed"
            for direction in Direction:
                change = self._change(old, new, direction)
                if change:
                    grouped[direction, situation, change].extend(names)
        changes = [
            InterfaceChange(tuple(sorted(names)), direction, situation, change)
            for (direction, situation, change), names in grouped.items()
        ]
        return sorted(changes, key=lambda each: (each.interface_ids, each.direction, each.situation))

    def _interfaces(self) -> Iterator[tuple[str, ViewKey | None, ViewKey | None]]:
        """Every interface and its keys on both sides; notes whether the addresses behind references may differ."""
        before, after = self._before.environment.interfaces, self._after.environment.interfaces
        for name, old in before.items():
            new = old if before is after else after.get(name)
            if new is old:
                key = view_key(old)
                yield name, key, key
                continue
            if new is None or _placed(old) != _placed(new):
                self._surroundings_differ = True
            yield name, view_key(old), None if new is None else view_key(new)
        if before is not after:
            for name, new in after.items():
                if name not in before:
                    self._surroundings_differ = True
                    yield name, None, view_key(new)

    # -- one answer ------------------------------------------------------------------------------------------------

    def _change(self, old: ViewKey | None, new: ViewKey | None, direction: Direction) -> SpaceChange:
        if old is not None and old == new and not any(self._may_differ(name, old.vpc_id) for name in old.group_ids):
            return _UNCHANGED
        fixed_before = self._before.fixed(old, direction) if old else None
        fixed_after = self._after.fixed(new, direction) if new else None
        if fixed_before or fixed_after:
            nothing = View(NOTHING, NOTHING)
            return change_between(
                self._before.at(old, direction) if old else nothing, self._after.at(new, direction) if new else nothing
            )
        rules = self._rules(old, new, direction)
        swept = [transitions(list(self._boxes(rules, old, new, family)), family) for family in (4, 6)]
        return SpaceChange(*(Space(v4, v6) for v4, v6 in zip(*swept)))

    def _may_differ(self, group_id: str, vpc_id: str | None) -> bool:
        """Whether a group's answer at interfaces of a VPC can differ between the two sides."""
        gone_or_added = self._pair(group_id)[1:]
        if any(gone_or_added):
            return True
        key = (group_id, vpc_id)
        if key not in self._indirect:
            old = self._before.environment.groups.get(group_id)
            new = self._after.environment.groups.get(group_id)
            differs = _owner(old) != _owner(new)
            if old is not None and new is not None and not differs:
                differs = any(self._resolves_differently(rule, new, vpc_id) for rule in new.rules)
            self._indirect[key] = differs
        return self._indirect[key]

    def _resolves_differently(self, rule: SecurityGroupRule, group: SecurityGroup, vpc_id: str | None) -> bool:
        """Whether a rule on both sides stands for other addresses, the group's owner and the VPC being the same."""
        peer = rule.peer
        if isinstance(peer, CidrPeer):
            return False
        if isinstance(peer, PrefixListPeer):
            key: tuple[object, ...] = (peer.prefix_list_id,)
        elif not self._surroundings_differ:
            return False
        else:
            key = (vpc_id, rule.direction, peer, group.account_id, group.region)
        if key not in self._reaches:
            self._reaches[key] = any(
                self._before.peer_addresses(rule, group, vpc_id, family)
                != self._after.peer_addresses(rule, group, vpc_id, family)
                for family in (4, 6)
            )
        return self._reaches[key]

    def _pair(self, group_id: str) -> tuple[list[SecurityGroupRule], list[SecurityGroupRule], list[SecurityGroupRule]]:
        """The rules of a group on both sides, before only and after only."""
        found = self._pairs.get(group_id)
        if found is None:
            old = self._before.environment.groups.get(group_id)
            new = self._after.environment.groups.get(group_id)
            found = self._pairs[group_id] = _compared(old.rules if old else (), new.rules if new else ())
        return found

    def _rules(self, old: ViewKey | None, new: ViewKey | None, direction: Direction) -> _Rules:
        """Sort the rules of one interface; what is on both sides but may stand for other addresses is on each."""
        rules = _Rules([], [], [])
        before, after = (set(key.group_ids) if key else set() for key in (old, new))
        for group_id in sorted(before | after):
            one = self._before.environment.groups.get(group_id) if group_id in before else None
            other = self._after.environment.groups.get(group_id) if group_id in after else None
            if one is not None and other is not None:
                both, gone, added = self._pair(group_id)
                assert old is not None and new is not None
                stable = old.vpc_id == new.vpc_id and _owner(one) == _owner(other)
                for rule in both:
                    if rule.direction != direction:
                        continue
                    if isinstance(rule.peer, CidrPeer) or (
                        stable and not self._resolves_differently(rule, other, new.vpc_id)
                    ):
                        rules.both.append((rule, other))
                    else:
                        rules.gone.append((rule, one))
                        rules.added.append((rule, other))
            else:
                gone = list(one.rules) if one else []
                added = list(other.rules) if other else []
            rules.gone.extend((rule, one) for rule in gone if rule.direction == direction and one)
            rules.added.extend((rule, other) for rule in added if rule.direction == direction and other)
        return rules

    def _boxes(self, rules: _Rules, old: ViewKey | None, new: ViewKey | None, family: int) -> Iterator[tuple[Box, int]]:
        """Rectangles with the side that they are on, of those that differ and those that overlap them."""
        sides = {BEFORE: (self._before, rules.gone, old), AFTER: (self._after, rules.added, new)}
        boxes: dict[int, set[Box]] = {BEFORE: set(), AFTER: set()}
        for side, (views, changed, key) in sides.items():
            if key is None:
                continue
            for rule, group in changed:
                boxes[side].update(views.rule_boxes(rule, group, key.vpc_id, family))
            if any(group_id not in views.environment.groups for group_id in key.group_ids):
                boxes[side].add(Box(0, ADDRESSES_END[family], (0, SERVICES_END), MAYBE))
        both = boxes[BEFORE] & boxes[AFTER]
        boxes[BEFORE] -= both
        boxes[AFTER] -= both
        region = Intervals.half_open([(box.first, box.end) for side in boxes.values() for box in side])
        if not region:
            return
        for side, found in boxes.items():
            yield from ((box, side) for box in found)
        yield from ((box, BOTH) for box in both if region.overlaps(box.first, box.end))
        if new is not None:
            for box in self._overlapping(rules.both, new, family, region):
                yield box, BOTH

    def _overlapping(
        self,
        rules: Iterable[tuple[SecurityGroupRule, SecurityGroup]],
        key: ViewKey,
        family: int,
        region: Intervals,
    ) -> Iterator[Box]:
        """The rectangles of unchanged rules that overlap the region; most are dismissed by their bounds."""
        lowest, highest, width = region.bounds[0], region.bounds[-1], _WIDTH[family]
        for rule, group in rules:
            peer = rule.peer
            if isinstance(peer, CidrPeer):
                cidr = peer.cidr
                if cidr.family != family or cidr.network >= highest:
                    continue
                end = cidr.network + (1 << (width - cidr.prefix_length))
                if end > lowest and region.overlaps(cidr.network, end):
                    yield Box(cidr.network, end, service_range(rule), SURE)
                continue
            for truth, addresses in zip((SURE, MAYBE), self._after.peer_addresses(rule, group, key.vpc_id, family)):
                for first, last in addresses & region:
                    yield Box(first, last + 1, service_range(rule), truth)


# -- which rules differ -----------------------------------------------------------------------------------------------


def _compared(
    old: tuple[SecurityGroupRule, ...], new: tuple[SecurityGroupRule, ...]
) -> tuple[list[SecurityGroupRule], list[SecurityGroupRule], list[SecurityGroupRule]]:
    """Rules on both sides, before only, after only; ids, descriptions and order do not matter.

    What both begin and end with is set aside first, so that content is compared only around an edit.
    """
    if old is new:
        return list(new), [], []
    head, most = 0, min(len(old), len(new))
    while head < most and _same(old[head], new[head]):
        head += 1
    tail = 0
    while tail < most - head and _same(old[-1 - tail], new[-1 - tail]):
        tail += 1
    both = [*new[:head], *new[len(new) - tail :]]
    gone = {_content(rule): rule for rule in old[head : len(old) - tail]}
    added = {}
    for rule in new[head : len(new) - tail]:
        if gone.pop(_content(rule), None) is None:
            added[_content(rule)] = rule
        else:
            both.append(rule)
    return both, list(gone.values()), list(added.values())


def _same(one: SecurityGroupRule, other: SecurityGroupRule) -> bool:
    return one is other or (
        one.peer == other.peer
        and one.ports == other.ports
        and one.protocol == other.protocol
        and one.direction == other.direction
        and one.icmp == other.icmp
    )


def _content(rule: SecurityGroupRule) -> tuple[object, ...]:
    return rule.direction, rule.protocol, rule.ports, rule.icmp, rule.peer


def _owner(group: SecurityGroup | None) -> tuple[object, ...] | None:
    """What of a group decides answers beside its rules."""
    return None if group is None else (group.account_id, group.region, group.classic)


def _placed(interface: object) -> tuple[object, ...]:
    """What of an interface group references see."""
    return tuple(getattr(interface, name) for name in ("addresses", "prefixes", "group_ids", "vpc_id"))


def _surroundings(environment: Environment) -> tuple[object, ...]:
    """What of an environment group references see, beside interfaces."""
    peerings = {
        (frozenset((one.requester_vpc_id, one.accepter_vpc_id)), one.requester_region, one.accepter_region)
        for one in environment.peerings.values()
        if one.status == "active"
    }
    attachments = {(one.transit_gateway_id, one.vpc_id, one.references)
                   for one in environment.gateway_attachments.values()}  # fmt: skip
    ranges = {cidr for vpc in environment.vpcs.values() for cidr in vpc.cidrs}
    return peerings, attachments, ranges, environment.closed, environment.peerings_described
