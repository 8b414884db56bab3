"""Bodies of rules, entries of lists and addresses that suit a set of packets: exactly, or wider if that takes less."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from sgsim.analysis.space_services import service_range
from sgsim.intervals import Intervals
from sgsim.model import (
    ALL_PORTS,
    ICMP,
    ICMPV6,
    TCP,
    UDP,
    Address,
    Cidr,
    CidrPeer,
    Direction,
    Environment,
    GroupPeer,
    IcmpType,
    Peer,
    PortRange,
    PrefixList,
    PrefixListPeer,
    SecurityGroup,
    SecurityGroupRule,
)
from sgsim.model.identity import same_content

__all__ = ["entries_for", "launch_addresses", "overlapping", "peers_for", "rules_for"]

_WIDTH = {4: 32, 6: 128}
_MOST = 4  #: blocks or services that are named one by one; what needs more is named by one that holds them all
_EVERYTHING = {family: Cidr(family, 0, 0) for family in (4, 6)}


def rules_for(
    group: SecurityGroup, direction: Direction, far: Mapping[int, Intervals], services: Intervals
) -> Iterator[tuple[SecurityGroupRule, ...]]:
    """New rules of a group: all that are needed, those of one family, then one for everything."""
    blocks = {family: blocks_of(family, addresses) for family, addresses in far.items() if addresses}
    exact = [cidr for listed in blocks.values() for cidr in listed]
    for chosen in (exact, *([cidr for cidr in exact if cidr.family == family] for family in blocks)):
        yield from _new(group, direction, [CidrPeer(cidr) for cidr in chosen], _bodies(services))
    for family in blocks:
        yield from _new(group, direction, [CidrPeer(_EVERYTHING[family])], [(None, None, None)])


_Body = tuple[int | None, PortRange | None, IcmpType | None]


def _new(
    group: SecurityGroup, direction: Direction, peers: Iterable[CidrPeer], bodies: Sequence[_Body]
) -> Iterator[tuple[SecurityGroupRule, ...]]:
    """The rules that the group does not have yet."""
    made = [
        SecurityGroupRule("", group.group_id, direction, protocol, peer, ports, icmp)
        for peer in peers
        for protocol, ports, icmp in bodies
        if protocol != (ICMPV6 if peer.cidr.family == 4 else ICMP)
    ]
    new = tuple(one for one in made if not any(same_content(one, known) for known in group.rules))
    if new:
        yield new


def peers_for(
    rule: SecurityGroupRule,
    far: Mapping[int, Intervals],
    services: Intervals,
    members: Sequence[SecurityGroup],
    lists: Mapping[str, PrefixList],
) -> Iterator[tuple[str, tuple[SecurityGroupRule, ...]]]:
    """Other bodies for a rule, whose peer keeps its kind, under the name of what IAM is asked about as well."""
    bodies = _bodies(services)
    if isinstance(rule.peer, CidrPeer):
        family = rule.peer.cidr.family
        if far.get(family):
            exact: list[Peer] = [CidrPeer(cidr) for cidr in blocks_of(family, far[family])]
            yield "", _spelled(rule, [*exact, CidrPeer(_EVERYTHING[family])], bodies)
    elif isinstance(rule.peer, GroupPeer):
        named = [GroupPeer(group.group_id, group.account_id) for group in members]
        if named:
            yield "", _spelled(rule, named, bodies)
    else:
        for list_id, prefix_list in sorted(lists.items()):
            entries = Intervals.half_open(
                [(one.network, one.last + 1) for one in prefix_list.entries or () if one.family in far]
            )
            if entries:
                yield list_id, _spelled(rule, [PrefixListPeer(list_id)], bodies)


def _spelled(rule: SecurityGroupRule, peers: Sequence[Peer], bodies: Sequence[_Body]) -> tuple[SecurityGroupRule, ...]:
    """The rule with each peer: for each of the services, then for everything."""
    return tuple(
        msgspec.structs.replace(rule, protocol=protocol, ports=ports, icmp=icmp, peer=peer)
        for protocol, ports, icmp in (*bodies, (None, None, None))
        for peer in peers
    )


def entries_for(prefix_list: PrefixList, far: Mapping[int, Intervals]) -> Iterator[tuple[Cidr, ...]]:
    """Entries that a list lacks, family by family: those needed, or one for everything."""
    for family, addresses in far.items():
        if prefix_list.family not in (None, family) or not addresses:
            continue
        known = frozenset(prefix_list.entries or ())
        for chosen in (blocks_of(family, addresses), [_EVERYTHING[family]]):
            missing = tuple(cidr for cidr in chosen if cidr not in known)
            if missing:
                yield missing


def overlapping(rule: SecurityGroupRule, services: Intervals) -> bool:
    """Whether a rule admits one of the services."""
    return services.overlaps(*service_range(rule))


def blocks_of(family: int, addresses: Intervals) -> list[Cidr]:
    """The blocks of a set of addresses; one that holds all of them where they would be many."""
    width = _WIDTH[family]
    found = []
    for network, length in addresses.blocks(width):
        found.append(Cidr(family, network, length))
        if len(found) > _MOST:
            first, last = addresses.first, addresses.bounds[-1] - 1
            free = (first ^ last).bit_length()
            return [Cidr(family, first >> free << free, width - free)]
    return found


def _bodies(services: Intervals) -> list[_Body]:
    """Protocol, ports and types of rules that admit exactly these services; of one for all where they would be many."""
    found: list[_Body] = []
    for first, last in services:
        if (first >> 16) != (last >> 16):
            return [(None, None, None)]
        found += _body(first >> 16, first & 65535, last & 65535)
    return found if len(found) <= _MOST else [(None, None, None)]


def _body(protocol: int, low: int, high: int) -> Iterator[_Body]:
    if protocol in (TCP, UDP):
        yield protocol, ALL_PORTS if (low, high) == ALL_PORTS else PortRange(low, high), None
    elif protocol in (ICMP, ICMPV6):
        if (low, high) == (0, 65535):
            yield protocol, None, IcmpType(None, None)
        elif low & 255 == 0 and high - low == 255:
            yield protocol, None, IcmpType(low >> 8, None)
        else:
            yield from ((protocol, None, IcmpType(one >> 8, one & 255)) for one in range(low, min(high, low + 8) + 1))
    else:
        yield protocol, None, None


def launch_addresses(environment: Environment, family: int, others: Intervals) -> Iterator[tuple[str, Address]]:
    """The lowest of some addresses in each subnet, without those that AWS keeps for itself."""
    for subnet_id, subnet in sorted(environment.subnets.items()):
        for cidr in subnet.cidrs:
            if cidr.family == family:
                free = others.clip(cidr.network + 4, cidr.last)
                if free:
                    yield subnet_id, Address(family, free.first)
                    break
