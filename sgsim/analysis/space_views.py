"""What the rules of an interface accept, as packet space.

Interfaces with the same groups in the same VPC share one answer (`ViewKey`). Every rule is a few rectangles, address
range × service range, and one sweep over the addresses turns the rectangles of all groups into step functions: for
each stretch of addresses between two bounds the rules that are open there, as a set, whose union of services is
looked up. That is n log n in the rules, as long as few of them lie over one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from sgsim.analysis.space_algebra import ADDRESSES_END, EVERYTHING, NOTHING, Space, Steps, steps_of
from sgsim.analysis.space_references import References
from sgsim.analysis.space_services import ALL_SERVICES, SERVICES_END, service_range
from sgsim.intervals import EMPTY, Intervals
from sgsim.model import (
    UNFILTERED_INTERFACE_TYPES,
    CidrPeer,
    Direction,
    Environment,
    NetworkInterface,
    Peer,
    PrefixListPeer,
    SecurityGroup,
    SecurityGroupRule,
    Semantics,
)

__all__ = ["MAYBE", "SURE", "Box", "View", "ViewKey", "Views", "sweep", "view_key"]

SURE, MAYBE = 2, 1


class View(NamedTuple):
    """The packets that surely pass the rules (ACCEPT), and those that only may (UNKNOWN); the two are disjoint.

    Traffic that groups never see (docs/semantics.md §3) is in neither because of that.
    """

    accepted: Space
    possible: Space


class ViewKey(NamedTuple):
    """What decides the answer of an interface: its groups (sorted), its VPC, and whether its type is unfiltered."""

    group_ids: tuple[str, ...]
    vpc_id: str | None
    unfiltered: bool = False


class Box(NamedTuple):
    """A rectangle of the packet space of one family: addresses [first, end), a range of services, and SURE or MAYBE."""

    first: int
    end: int
    service: tuple[int, int]
    truth: int


def view_key(interface: NetworkInterface) -> ViewKey:
    """The key of an interface."""
    group_ids = interface.group_ids
    if len(group_ids) > 1:
        group_ids = tuple(sorted(set(group_ids)))
    unfiltered = not group_ids and interface.interface_type in UNFILTERED_INTERFACE_TYPES
    return ViewKey(group_ids, interface.vpc_id, unfiltered)


class Views:
    """The answers of one environment, each worked out once."""

    def __init__(self, environment: Environment, semantics: Semantics | None = None) -> None:
        self.environment = environment
        self.semantics = Semantics() if semantics is None else semantics
        self.references = References(environment, self.semantics)
        self._views: dict[tuple[ViewKey, Direction], View] = {}
        self._lists: dict[tuple[str, int], tuple[Intervals, Intervals]] = {}

    def of(self, interface_id: str, direction: Direction) -> View:
        """What the rules of an interface accept. Raises KeyError if the environment does not hold it."""
        return self.at(view_key(self.environment.interfaces[interface_id]), direction)

    def at(self, key: ViewKey, direction: Direction) -> View:
        """What the rules of every interface with the key accept."""
        found = self._views.get((key, direction))
        if found is None:
            found = self._views[key, direction] = self._worked_out(key, direction)
        return found

    def _worked_out(self, key: ViewKey, direction: Direction) -> View:
        fixed = self.fixed(key, direction)
        if fixed is not None:
            return fixed
        accepted, possible = zip(*(sweep(self.boxes(key, direction, family), family) for family in (4, 6)))
        return View(Space(*accepted), Space(*possible))

    def fixed(self, key: ViewKey, direction: Direction) -> View | None:
        """The answer where no rule is asked: interfaces without groups (§5.3), EC2-Classic egress (§9.17)."""
        if not key.group_ids:
            return View(EVERYTHING, NOTHING) if key.unfiltered else View(NOTHING, EVERYTHING)
        if direction is Direction.EGRESS and self.semantics.exempt:
            groups = (self.environment.groups.get(group_id) for group_id in key.group_ids)
            if any(group is not None and group.classic for group in groups):
                return View(EVERYTHING, NOTHING)
        return None

    def boxes(self, key: ViewKey, direction: Direction, family: int) -> list[Box]:
        """The rectangles of all rules of all groups; one for everything where a group is undefined (§9.6)."""
        found: list[Box] = []
        for group_id in key.group_ids:
            group = self.environment.groups.get(group_id)
            if group is None:
                found.append(Box(0, ADDRESSES_END[family], (0, SERVICES_END), MAYBE))
                continue
            for rule in group.rules:
                if rule.direction == direction:
                    found += self.rule_boxes(rule, group, key.vpc_id, family)
        return found

    def rule_boxes(
        self, rule: SecurityGroupRule, group: SecurityGroup, vpc_id: str | None, family: int
    ) -> Iterable[Box]:
        """The rectangles of one rule of a group at interfaces of a VPC."""
        peer = rule.peer
        if isinstance(peer, CidrPeer):
            cidr = peer.cidr
            if cidr.family != family:
                return ()
            return (Box(cidr.network, cidr.last + 1, service_range(rule), SURE),)
        return self._many_boxes(rule, group, vpc_id, family)

    def _many_boxes(
        self, rule: SecurityGroupRule, group: SecurityGroup, vpc_id: str | None, family: int
    ) -> Iterator[Box]:
        service = service_range(rule)
        for truth, addresses in zip((SURE, MAYBE), self.peer_addresses(rule, group, vpc_id, family)):
            for first, last in addresses:
                yield Box(first, last + 1, service, truth)

    def peer_addresses(
        self, rule: SecurityGroupRule, group: SecurityGroup, vpc_id: str | None, family: int
    ) -> tuple[Intervals, Intervals]:
        """The addresses that a list or a group has, surely and perhaps."""
        peer: Peer = rule.peer
        if isinstance(peer, PrefixListPeer):
            name = (peer.prefix_list_id, family)
            if name not in self._lists:
                self._lists[name] = self._list_addresses(*name)
            return self._lists[name]
        assert not isinstance(peer, CidrPeer)
        reach = self.references.reach(vpc_id, rule.direction, peer, group.account_id, group.region)
        return reach.sure[family == 6], reach.possible[family == 6]

    def _list_addresses(self, prefix_list_id: str, family: int) -> tuple[Intervals, Intervals]:
        """Entries, or everything of the list's family as a maybe where they are not in the input (§9.7)."""
        prefix_list = self.environment.prefix_lists.get(prefix_list_id)
        if prefix_list is not None and prefix_list.entries is not None:
            entries = prefix_list.entries
            return Intervals.of([(cidr.network, cidr.last) for cidr in entries if cidr.family == family]), EMPTY
        if prefix_list is not None and prefix_list.family not in (None, family):
            return EMPTY, EMPTY
        return EMPTY, Intervals((0, ADDRESSES_END[family]))


def sweep(boxes: Iterable[Box], family: int) -> tuple[Steps, Steps]:
    """The step functions of what the rectangles surely and only possibly hold."""
    events: list[tuple[int, int, tuple[tuple[int, int], int]]] = []
    for first, end, service, truth in boxes:
        events.append((first, 1, (service, truth)))
        events.append((end, -1, (service, truth)))
    events.sort()
    sure: list[tuple[int, Intervals]] = []
    possible: list[tuple[int, Intervals]] = []
    for start, open_here in _states(events):
        yes, maybe = _services(open_here)
        sure.append((start, yes))
        possible.append((start, maybe))
    end = ADDRESSES_END[family]
    return steps_of(sure, end), steps_of(possible, end)


Open = frozenset[tuple[tuple[int, int], int]]


def _states(events: list[tuple[int, int, tuple[tuple[int, int], int]]]) -> Iterator[tuple[int, Open]]:
    """(address, what is open from there on), at every address where that changes."""
    open_here: dict[tuple[tuple[int, int], int], int] = {}
    last = len(events) - 1
    for index, (start, step, key) in enumerate(events):
        count = open_here.get(key, 0) + step
        if count:
            open_here[key] = count
        else:
            del open_here[key]
        if index == last or events[index + 1][0] != start:
            yield start, frozenset(open_here)


@lru_cache(1 << 16)
def _services(open_here: Open) -> tuple[Intervals, Intervals]:
    """The services that some of the rectangles surely hold, and those that others may."""
    if not open_here:
        return EMPTY, EMPTY
    if ((0, SERVICES_END), SURE) in open_here:
        return ALL_SERVICES, EMPTY
    yes = Intervals.half_open([service for service, truth in open_here if truth == SURE])
    maybe = [service for service, truth in open_here if truth == MAYBE]
    return yes, Intervals.half_open(maybe) - yes if maybe else EMPTY
