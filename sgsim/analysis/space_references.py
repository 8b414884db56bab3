"""The addresses that a group reference matches, as whole sets (docs/semantics.md §1.4, §9.5).

The twin asks of one address whether a member has it; here the same questions are asked of all addresses at once:
those that members have, less those that an earlier place answers, with the ones that several interfaces have decided
one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

from sgsim.analysis.space_algebra import ADDRESSES_END
from sgsim.intervals import EMPTY, Intervals, union_of
from sgsim.model import Direction, Environment, GroupPeer, NetworkInterface, Semantics, parse_cidr

__all__ = ["Reach", "References", "address_ranges"]

_FAMILIES = (4, 6)
_RFC1918 = tuple(parse_cidr(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_SURE, _MAYBE = 2, 1

#: VPC → whether references surely reach it (_SURE) or may (_MAYBE).
Place = Mapping[str | None, int]


class Reach(NamedTuple):
    """The addresses that surely match and those that may, each for (IPv4, IPv6); the two are disjoint."""

    sure: tuple[Intervals, Intervals]
    possible: tuple[Intervals, Intervals]


class Holding(NamedTuple):
    """Addresses [first, end) of an interface; `addressed` is False for a delegated prefix."""

    first: int
    end: int
    interface_id: str
    addressed: bool


class Contested(NamedTuple):
    """Addresses [first, end) that several interfaces have; `holders` by id, True for an address of one's own."""

    first: int
    end: int
    holders: Mapping[str, bool]


def address_ranges(interface: NetworkInterface, family: int, *, prefixes: bool = True) -> list[tuple[int, int]]:
    """The private addresses of an interface, and those of its delegated prefixes, as [first, end)."""
    ranges = [(address.value, address.value + 1) for address in interface.addresses if address.family == family]
    if prefixes:
        ranges += [(prefix.network, prefix.last + 1) for prefix in interface.prefixes if prefix.family == family]
    return ranges


class References:
    """Answers for the group references of one environment; indexes are built when the first one is asked for."""

    def __init__(self, environment: Environment, semantics: Semantics) -> None:
        self._environment, self._semantics = environment, semantics
        self._reaches: dict[tuple[object, ...], Reach] = {}
        self._carriers: dict[str, list[NetworkInterface]] | None = None
        self._by_vpc: dict[str | None, list[NetworkInterface]] = {}
        self._held: dict[tuple[int, frozenset[str | None]], Intervals] = {}
        self._contested: dict[tuple[int, frozenset[str | None]], list[Contested]] = {}
        self._places: dict[tuple[object, ...], tuple[Place, Place, Place]] = {}
        lost = semantics.behind_middlebox
        self._lost = tuple(
            Intervals.of([(block.network, block.last) for block in lost if block.family == family])
            for family in _FAMILIES
        )

    def reach(
        self, own_vpc: str | None, direction: Direction, peer: GroupPeer, account_id: str | None, region: str | None
    ) -> Reach:
        """What a reference matches at interfaces of a VPC; account and Region are those of the rule's own group."""
        key = (own_vpc, direction, peer.group_id, peer.account_id, peer.vpc_id, peer.peering_status, account_id, region)
        found = self._reaches.get(key)
        if found is None:
            owner = account_id if peer.account_id is None else peer.account_id
            unseen = not self._environment.is_closed(owner, region)
            found = self._reaches[key] = self._worked_out(own_vpc, direction, peer, unseen)
        return found

    def members(self, group_id: str) -> list[NetworkInterface]:
        """The known interfaces that carry a group."""
        if self._carriers is None:
            self._build()
        assert self._carriers is not None
        return self._carriers.get(group_id, [])

    def _build(self) -> None:
        carriers: dict[str, list[NetworkInterface]] = defaultdict(list)
        by_vpc: dict[str | None, list[NetworkInterface]] = defaultdict(list)
        for interface in self._environment.interfaces.values():
            by_vpc[interface.vpc_id].append(interface)
            for group_id in set(interface.group_ids):
                carriers[group_id].append(interface)
        self._by_vpc, self._carriers = dict(by_vpc), dict(carriers)

    def _worked_out(self, own_vpc: str | None, direction: Direction, peer: GroupPeer, unseen: bool) -> Reach:
        members = self.members(peer.group_id)
        reached = self._reached(own_vpc, direction, peer)
        places: tuple[Place, ...] = ({own_vpc: _SURE}, *reached)
        if not unseen:  # nothing beyond the last place with a member can match
            homes = {member.vpc_id for member in members}
            while places and homes.isdisjoint(places[-1]):
                places = places[:-1]
        sure, possible = [], []
        for family, lost in zip(_FAMILIES, self._lost):
            yes, maybe = self._known(family, members, peer.group_id, places)
            if unseen:
                maybe |= self._unseen(family, own_vpc, direction, peer, reached)
            sure.append(yes - lost)
            possible.append(maybe - lost)
        return Reach((sure[0], sure[1]), (possible[0], possible[1]))

    # -- where references reach --------------------------------------------------------------------------------------

    def _reached(self, own_vpc: str | None, direction: Direction, peer: GroupPeer) -> tuple[Place, Place, Place]:
        """Other VPCs with interfaces: over peerings, through transit gateways, and by a way that is not known."""
        key = (own_vpc, direction, peer.vpc_id, peer.peering_status)
        found = self._places.get(key)
        if found is None:
            others = [vpc_id for vpc_id in self._by_vpc if vpc_id != own_vpc]
            unlisted = _MAYBE if self._way_unlisted(peer) else 0
            ways: list[Place] = [
                {vpc_id: _SURE for vpc_id in others if self._peered(own_vpc, vpc_id, peer)},
                {vpc_id: way for vpc_id in others if (way := self._gateway(own_vpc, vpc_id, direction))},
                {vpc_id: unlisted for vpc_id in others if unlisted},
            ]
            found = self._places[key] = (ways[0], ways[1], ways[2])
        return found

    def _peered(self, own_vpc: str | None, other_vpc: str | None, peer: GroupPeer) -> bool:
        if peer.peering_status == "active" and peer.vpc_id in (None, other_vpc):
            return True
        return any(
            peering.status == "active"
            and {peering.requester_vpc_id, peering.accepter_vpc_id} == {own_vpc, other_vpc}
            and len({peering.requester_region, peering.accepter_region} - {None}) <= 1
            for peering in self._environment.peerings.values()
        )

    def _gateway(self, own_vpc: str | None, other_vpc: str | None, direction: Direction) -> int:
        if direction is Direction.EGRESS:
            return 0
        attachments = self._environment.gateway_attachments.values()
        best = 0
        for here in attachments:
            if here.vpc_id != own_vpc or here.references is False:
                continue
            for there in attachments:
                if (there.vpc_id, there.transit_gateway_id) != (other_vpc, here.transit_gateway_id):
                    continue
                if there.references is not False:
                    best = max(best, _MAYBE if None in (here.references, there.references) else _SURE)
        return best

    def _way_unlisted(self, peer: GroupPeer) -> bool:
        return not self._environment.peerings_described and peer.peering_status is None

    # -- who has which address ---------------------------------------------------------------------------------------

    def _known(
        self, family: int, members: Iterable[NetworkInterface], group_id: str, places: Iterable[Place]
    ) -> tuple[Intervals, Intervals]:
        """What members in these places have, surely and perhaps; the first place with any holder answers."""
        prefixes_too = self._semantics.delegated_prefixes_are_members
        sure: list[Intervals] = []
        possible: list[Intervals] = []
        answered = EMPTY
        for place in places:
            ranges: dict[int, list[tuple[int, int]]] = {_SURE: [], _MAYBE: []}
            for member in members:
                way = place.get(member.vpc_id)
                if way:
                    ranges[way] += address_ranges(member, family, prefixes=prefixes_too)
            yes, maybe = (Intervals.half_open(ranges[way]) for way in (_SURE, _MAYBE))
            if yes or maybe:
                yes, maybe = self._settled(family, place, group_id, yes, maybe)
                sure.append(yes - answered)
                possible.append(maybe - answered)
            answered |= self._holders(family, frozenset(place))
        return union_of(sure), union_of(possible)

    def _settled(
        self, family: int, place: Place, group_id: str, yes: Intervals, maybe: Intervals
    ) -> tuple[Intervals, Intervals]:
        """The same with the addresses that several interfaces of the place have decided by all of these."""
        agreed: list[tuple[int, int]] = []
        disputed: list[tuple[int, int]] = []
        contested = self._contests(family, frozenset(place))
        if not contested:
            return yes, maybe
        for first, end, holders in contested:
            ways = [way for holder, addressed in holders.items()
                    if (way := self._membership(holder, group_id, place, addressed))]  # fmt: skip
            if ways:
                (agreed if len(ways) == len(holders) and _MAYBE not in ways else disputed).append((first, end))
        several = Intervals.half_open([(first, end) for first, end, _ in contested])
        return (
            (yes - several) | Intervals.half_open(agreed),
            (maybe - several) | Intervals.half_open(disputed),
        )

    def _membership(self, interface_id: str, group_id: str, place: Place, addressed: bool) -> int:
        interface = self._environment.interfaces[interface_id]
        if group_id not in interface.group_ids:
            return 0
        if not addressed and not self._semantics.delegated_prefixes_are_members:
            return 0
        return place[interface.vpc_id]

    def _holdings(self, family: int, vpc_ids: frozenset[str | None]) -> list[Holding]:
        """Every address and prefix of every interface of some VPCs, ascending."""
        found: list[Holding] = []
        for vpc_id in vpc_ids:
            for interface in self._by_vpc.get(vpc_id, ()):
                name = interface.interface_id
                own = [address.value for address in interface.addresses if address.family == family]
                found.extend(Holding(value, value + 1, name, True) for value in own)
                delegated = [prefix for prefix in interface.prefixes if prefix.family == family]
                found.extend(Holding(prefix.network, prefix.last + 1, name, False) for prefix in delegated)
        found.sort()
        return found

    def _holders(self, family: int, vpc_ids: frozenset[str | None]) -> Intervals:
        """Every address that some interface of the VPCs has."""
        key = (family, vpc_ids)
        found = self._held.get(key)
        if found is None:
            holdings = self._holdings(family, vpc_ids)
            found = self._held[key] = Intervals.half_open([(first, end) for first, end, _, _ in holdings])
        return found

    def _contests(self, family: int, vpc_ids: frozenset[str | None]) -> list[Contested]:
        """Where several interfaces of the VPCs have the same addresses, in ranges with the same holders."""
        key = (family, vpc_ids)
        found = self._contested.get(key)
        if found is None:
            holdings = self._holdings(family, vpc_ids)
            found = self._contested[key] = _contested(holdings) if _any_overlap(holdings) else []
        return found

    # -- members that the input does not show ------------------------------------------------------------------------

    def _unseen(
        self,
        family: int,
        own_vpc: str | None,
        direction: Direction,
        peer: GroupPeer,
        reached: tuple[Place, Place, Place],
    ) -> Intervals:
        """The addresses that an interface outside the input could have, where the reference is not stale."""
        if not self._may_reach_unseen(own_vpc, direction, peer):
            return EMPTY
        if family == 6:
            private = Intervals((0, ADDRESSES_END[6]))
        else:
            ranges = [cidr for vpc in self._environment.vpcs.values() for cidr in vpc.cidrs if cidr.family == 4]
            private = Intervals.of([(block.network, block.last) for block in (*_RFC1918, *ranges)])
        in_reach = frozenset((own_vpc, *(vpc_id for place in reached for vpc_id in place)))
        return private - self._holders(family, in_reach)

    def _may_reach_unseen(self, own_vpc: str | None, direction: Direction, peer: GroupPeer) -> bool:
        if peer.vpc_id is None:
            return peer.peering_status in (None, "active")
        if peer.vpc_id == own_vpc or self._way_unlisted(peer) or self._peered(own_vpc, peer.vpc_id, peer):
            return True
        return bool(self._gateway(own_vpc, peer.vpc_id, direction))


def _any_overlap(holdings: list[Holding]) -> bool:
    highest = -1
    for first, end, _, _ in holdings:
        if first < highest:
            return True
        highest = end
    return False


def _contested(holdings: list[Holding]) -> list[Contested]:
    """Sweep over the bounds of all holdings."""
    opening: dict[int, list[Holding]] = defaultdict(list)
    closing: dict[int, list[Holding]] = defaultdict(list)
    for holding in holdings:
        opening[holding.first].append(holding)
        closing[holding.end].append(holding)
    bounds = sorted({*opening, *closing})
    inside: list[Holding] = []
    found = []
    for first, end in pairwise(bounds):
        gone = closing.get(first, ())
        inside = [holding for holding in inside if holding not in gone] + opening.get(first, [])
        holders: dict[str, bool] = {}
        for holding in inside:
            holders[holding.interface_id] = holding.addressed or holders.get(holding.interface_id, False)
        if len(holders) > 1:
            found.append(Contested(first, end, holders))
    return found
