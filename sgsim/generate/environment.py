"""Network ↔ Environment: columns as frozen values, and the other way round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.generate.network import CIDR, GROUP, LIST, Blocks, Further, Network, Rules
from sgsim.model import (
    TCP,
    UDP,
    Address,
    Cidr,
    CidrPeer,
    Direction,
    Environment,
    GroupPeer,
    NetworkInterface,
    Peer,
    PortRange,
    PrefixList,
    PrefixListPeer,
    SecurityGroup,
    SecurityGroupRule,
    Vpc,
)

__all__ = [
    "ACCOUNT",
    "REGION",
    "environment_of",
    "groups_of",
    "interfaces_of",
    "network_of",
    "prefix_lists_of",
    "vpcs_of",
]

ACCOUNT, REGION, VPC = "123456789012", "eu-central-1", "vpc-00000000000000001"
_SLICE = 1 << 16


def environment_of(network: Network) -> Environment:
    """The network as an Environment of one account; interface i is the i-th of `interfaces`."""
    return Environment(
        groups={group.group_id: group for group in groups_of(network)},
        interfaces={interface.interface_id: interface for interface in interfaces_of(network)},
        prefix_lists={one.prefix_list_id: one for one in prefix_lists_of(network)},
        vpcs={vpc.vpc_id: vpc for vpc in vpcs_of(network)},
        closed=frozenset({(ACCOUNT, REGION)}),
        peerings_described=True,
        gateways_described=True,
    )


def _group_id(number: int) -> str:
    return f"sg-{number:017x}"


def _list_id(number: int) -> str:
    return f"pl-{number:017x}"


def _cidr(family: int, hi: int, lo: int, length: int) -> Cidr:
    return Cidr(family, lo if family == 4 else hi << 64 | lo, length)


def groups_of(network: Network) -> Iterator[SecurityGroup]:
    """The groups one after another; only those of a slice of the rules are in memory."""
    group, offsets = 0, network.offsets
    while group < network.groups:
        until = max(group + 1, int(np.searchsorted(offsets, offsets[group] + _SLICE, "right")) - 1)
        first = int(offsets[group])
        columns = [column[first : int(offsets[until])].tolist() for column in network.rules]
        made = _rules(columns, first, np.repeat(np.arange(group, until), np.diff(offsets[group : until + 1])).tolist())
        for number in range(group, until):
            rules = tuple(made[int(offsets[number]) - first : int(offsets[number + 1]) - first])
            yield SecurityGroup(
                _group_id(number),
                rules,
                name=f"group-{number:06d}",
                description="made by sgsim generate",
                account_id=ACCOUNT,
                region=REGION,
                vpc_id=VPC,
            )
        group = until


def _rules(columns: list[list[int]], first: int, groups: list[int]) -> list[SecurityGroupRule]:
    """The rules of a slice."""
    made = []
    for number, (group, direction, kind, target, family, hi, lo, length, protocol, low, high) in enumerate(
        zip(groups, *columns), first
    ):
        peer: Peer
        if kind == CIDR:
            peer = CidrPeer(_cidr(family, hi, lo, length))
        elif kind == LIST:
            peer = PrefixListPeer(_list_id(target))
        else:
            peer = GroupPeer(_group_id(target), account_id=ACCOUNT)
        made.append(
            SecurityGroupRule(
                f"sgr-{number:017x}",
                _group_id(group),
                Direction(direction),
                None if protocol < 0 else protocol,
                peer,
                PortRange(low, high) if protocol in (TCP, UDP) else None,
            )
        )
    return made


def interfaces_of(network: Network) -> Iterator[NetworkInterface]:
    """The interfaces one after another."""
    has_v6 = network.has_v6.tolist()
    for number, (v4, hi, lo, mac) in enumerate(
        zip(network.v4.tolist(), network.v6_hi.tolist(), network.v6_lo.tolist(), network.macs.tolist())
    ):
        carried = network.carried[network.carried_offsets[number] : network.carried_offsets[number + 1]].tolist()
        addresses = (Address(4, v4), Address(6, hi << 64 | lo)) if has_v6[number] else (Address(4, v4),)
        yield NetworkInterface(
            f"eni-{number:017x}",
            addresses,
            tuple(map(_group_id, carried)),
            mac=mac,
            vpc_id=VPC,
            account_id=ACCOUNT,
            region=REGION,
        )


def prefix_lists_of(network: Network) -> Iterator[PrefixList]:
    """The prefix lists; their maximum is their size, rounded up to a multiple of ten."""
    lists = network.lists
    for number, family in enumerate(lists.family.tolist()):
        part = slice(int(lists.offsets[number]), int(lists.offsets[number + 1]))
        entries = tuple(
            _cidr(family, hi, lo, length)
            for hi, lo, length in zip(lists.hi[part].tolist(), lists.lo[part].tolist(), lists.length[part].tolist())
        )
        most = max(10, -(-len(entries) // 10) * 10)
        yield PrefixList(_list_id(number), entries, f"list-{number:04d}", family, max_entries=most, account_id=ACCOUNT)


def vpcs_of(network: Network) -> Iterator[Vpc]:
    """The VPC that all interfaces are in, with a range of IPv4 for every 65 536 of them."""
    ranges = [Cidr(4, int(first), 16) for first in np.unique(network.v4 >> np.uint64(16) << np.uint64(16)).tolist()]
    if network.has_v6.any():
        ranges.append(Cidr(6, int(network.v6_hi[0]) << 64, 56))
    yield Vpc(VPC, tuple(ranges), account_id=ACCOUNT, region=REGION)


def network_of(environment: Environment) -> Network:
    """What traffic needs to know of any environment: rules, lists, and the addresses of its interfaces.

    A rule that refers to a group or list that is not described has the target -1; group references count by group id
    alone. Groups and interfaces keep the order in which the environment holds them.
    """
    group_numbers = {group_id: number for number, group_id in enumerate(environment.groups)}
    described = [one for one in environment.prefix_lists.values() if one.entries and one.family]
    list_numbers = {one.prefix_list_id: number for number, one in enumerate(described)}
    rows = []
    for group in environment.groups.values():
        for rule in group.rules:
            family, hi, lo, length, kind, target = 4, 0, 0, 0, CIDR, -1
            match rule.peer:
                case CidrPeer(cidr):
                    family, length = cidr.family, cidr.prefix_length
                    hi, lo = cidr.network >> 64, cidr.network & 0xFFFFFFFFFFFFFFFF
                case PrefixListPeer(list_id):
                    kind, target = LIST, list_numbers.get(list_id, -1)
                    family = described[target].family or 4 if target >= 0 else 4
                case GroupPeer(group_id):
                    kind, target = GROUP, group_numbers.get(group_id, -1)
            first, last = rule.ports or (0, 65535)
            protocol = -1 if rule.protocol is None else rule.protocol
            rows.append((int(rule.direction), kind, target, family, hi, lo, length, protocol, first, last))
    types = (np.uint8, np.uint8, np.int32, np.uint8, np.uint64, np.uint64, np.int64, np.int64, np.int64, np.int64)
    columns = zip(*rows) if rows else [()] * len(types)
    sizes = [len(group.rules) for group in environment.groups.values()]
    carried = [
        sorted({group_numbers[group_id] for group_id in one.group_ids if group_id in group_numbers})
        for one in environment.interfaces.values()
    ]
    return Network(
        rules=Rules(*(np.array(column, dtype) for column, dtype in zip(columns, types))),
        offsets=_offsets(sizes),
        lists=_lists(described),
        carried=np.array([number for numbers in carried for number in numbers], np.int64),
        carried_offsets=_offsets([len(numbers) for numbers in carried]),
        further=Further.of(
            [
                (number, *address)
                for number, one in enumerate(environment.interfaces.values())
                for family in (4, 6)
                for address in [address for address in one.addresses if address.family == family][1:]
            ]
        ),
        **_addresses(list(environment.interfaces.values())),
    )


def _offsets(sizes: list[int]) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.array(sizes, np.int64))]).astype(np.int64)


def _lists(described: list[PrefixList]) -> Blocks:
    cidrs = [cidr for one in described for cidr in one.entries or ()]
    return Blocks(
        np.array([one.family for one in described], np.uint8),
        _offsets([len(one.entries or ()) for one in described]),
        np.array([cidr.network >> 64 for cidr in cidrs], np.uint64),
        np.array([cidr.network & 0xFFFFFFFFFFFFFFFF for cidr in cidrs], np.uint64),
        np.array([cidr.prefix_length for cidr in cidrs], np.int64),
    )


def _addresses(interfaces: list[NetworkInterface]) -> dict[str, Any]:
    """The address columns of a Network."""
    four = [next((a.value for a in one.addresses if a.family == 4), None) for one in interfaces]
    six = [next((a.value for a in one.addresses if a.family == 6), None) for one in interfaces]
    return {
        "v4": np.array([value or 0 for value in four], np.uint64),
        "v6_hi": np.array([(value or 0) >> 64 for value in six], np.uint64),
        "v6_lo": np.array([(value or 0) & 0xFFFFFFFFFFFFFFFF for value in six], np.uint64),
        "has_v4": np.array([value is not None for value in four], np.bool_),
        "has_v6": np.array([value is not None for value in six], np.bool_),
        "macs": np.array([one.mac or 0 for one in interfaces], np.uint64),
    }
