"""Interfaces → columns: the groups they carry, what leaves them unfiltered or undecided, addresses special to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.model import (
    TCP,
    UDP,
    UNFILTERED_INTERFACE_TYPES,
    Cidr,
    Direction,
    Environment,
    NetworkInterface,
    Semantics,
    parse_address,
    parse_cidr,
)
from sgsim.model.facts import AUTO_TRACKED_INTERFACE_TYPES
from sgsim.tables.exempt import OWN, RESOLVER, ROUTER, Services, Specials
from sgsim.tables.lookup import split_addresses

__all__ = ["GONE", "Cards", "compile_interfaces", "services"]

_CLASSIC_DNS = Cidr(*parse_address("172.16.0.23"), 32)
_WIDTH = {4: 32, 6: 128}
_IPV6_ROUTER = Cidr(*parse_address("fe80:ec2::1"), 128)

#: The record of an interface that does not exist.
GONE = np.array([0, 1 << 20 | 3 << 18, 0, 0, 0, 0, 0, 0], np.uint32)


class Cards(NamedTuple):
    """Some interfaces, compiled: `groups`, `vpc` and `tracked` as in `tables.Interfaces`, but by position.

    By family, `records` as in `FamilyTables` (first group and first special range count from 0) and `specials`.
    """

    groups: npt.NDArray[np.int32]
    vpc: npt.NDArray[np.int32]
    tracked: npt.NDArray[np.bool_]
    records: dict[int, npt.NDArray[np.uint32]]
    specials: dict[int, Specials]


def compile_interfaces(
    interfaces: Sequence[NetworkInterface],
    environment: Environment,
    group_numbers: Mapping[str, int],
    vpc_numbers: Mapping[str | None, int],
    classic: Set[str],
    semantics: Semantics,
) -> Cards:
    """Compile interfaces of an environment; `classic` are the EC2-Classic groups."""
    carried = [sorted({group_numbers[group_id] for group_id in interface.group_ids}) for interface in interfaces]
    sizes = np.array([len(numbers) for numbers in carried], np.int64)
    gateway = np.array([interface.interface_type in UNFILTERED_INTERFACE_TYPES for interface in interfaces], np.bool_)
    bare = sizes == 0
    unfiltered = np.where(bare & gateway, 3, 0)
    if classic and semantics.exempt:
        unfiltered |= np.where(
            [not classic.isdisjoint(interface.group_ids) for interface in interfaces], 1 << Direction.EGRESS, 0
        )
    flags = (sizes | (bare & ~gateway) << 16 | unfiltered << 18).astype(np.uint32)
    special = _specials(interfaces, environment, classic)
    return Cards(
        groups=np.array([number for numbers in carried for number in numbers], np.int32),
        vpc=np.array([vpc_numbers[interface.vpc_id] for interface in interfaces], np.int32),
        tracked=np.array(
            [interface.interface_type in AUTO_TRACKED_INTERFACE_TYPES for interface in interfaces], np.bool_
        ),
        records={family: _records(flags, ranges, offsets) for family, (ranges, offsets) in special.items()},
        specials={family: ranges for family, (ranges, _) in special.items()},
    )


def _records(
    flags: npt.NDArray[np.uint32], special: Specials, offsets: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint32]:
    """What rows need of their interface at once (see `FamilyTables.records`)."""
    n = len(flags)
    records = np.zeros((n, 8), np.uint32)
    sizes = flags & 0xFFFF
    records[:, 0] = np.cumsum(sizes) - sizes
    owner = np.repeat(np.arange(n), np.diff(offsets))
    low, high = (half & np.uint64(0xFFFFFFFF) for half in (special.lo, special.last_lo))
    spans = (special.hi != special.last_hi) | (special.lo >> np.uint64(32) != special.last_lo >> np.uint64(32))
    low, high = np.where(spans, np.uint64(0), low), np.where(spans, np.uint64(0xFFFFFFFF), high)
    own = special.kind == OWN
    lowest, highest = np.full(n, 0xFFFFFFFF, np.uint64), np.zeros(n, np.uint64)
    np.minimum.at(lowest, owner[own], low[own])
    np.maximum.at(highest, owner[own], high[own])
    lowest = np.minimum(lowest, highest)
    records[:, 2], records[:, 3] = lowest, highest - lowest
    several = np.zeros(n, np.bool_)
    for column, kind in ((4, RESOLVER), (5, ROUTER)):
        # The IPv6 router at fe80:ec2::1 is everyone's: link-local addresses are looked at anyway.
        chosen = (special.kind == kind) & (special.hi != _IPV6_ROUTER.network >> 64)
        records[owner[chosen], column] = low[chosen]
        several |= np.bincount(owner[chosen], minlength=n) > 1
    records[:, 1] = flags | several.astype(np.uint32) << np.uint32(17)
    records[:, 6], records[:, 7] = offsets[:-1], offsets[1:]
    return records


def _specials(
    interfaces: Sequence[NetworkInterface], environment: Environment, classic: Set[str]
) -> dict[int, tuple[Specials, npt.NDArray[np.int64]]]:
    """The ranges that are special to each interface, by family, and where those of each interface are."""
    offsets: dict[int, list[int]] = {4: [0], 6: [0]}
    blocks: dict[int, list[Cidr]] = {4: [], 6: []}
    kinds: dict[int, list[int]] = {4: [], 6: []}
    for interface in interfaces:
        for block, kind in _special_blocks(interface, environment, classic):
            blocks[block.family].append(block)
            kinds[block.family].append(kind)
        for family in (4, 6):
            offsets[family].append(len(kinds[family]))
    return {
        family: (
            Specials(
                *split_addresses([block.network for block in blocks[family]]),
                *split_addresses([block.last for block in blocks[family]]),
                np.array(kinds[family], np.uint8),
            ),
            np.array(offsets[family], np.int64),
        )
        for family in (4, 6)
    }


def _special_blocks(
    interface: NetworkInterface, environment: Environment, classic: Set[str]
) -> Iterator[tuple[Cidr, int]]:
    for family, value in interface.addresses:
        yield Cidr(family, value, _WIDTH[family]), OWN
    for prefix in interface.prefixes:
        yield prefix, OWN
    subnet = None if interface.subnet_id is None else environment.subnets.get(interface.subnet_id)
    for cidr in () if subnet is None else subnet.cidrs:
        yield Cidr(cidr.family, cidr.network + 1, _WIDTH[cidr.family]), ROUTER
    vpc = None if interface.vpc_id is None else environment.vpcs.get(interface.vpc_id)
    if vpc is not None and vpc.cidrs and vpc.cidrs[0].family == 4:
        yield Cidr(4, vpc.cidrs[0].network + 2, 32), RESOLVER
    if classic and not classic.isdisjoint(interface.group_ids):
        yield _CLASSIC_DNS, RESOLVER
    yield _IPV6_ROUTER, ROUTER


def services(family: int) -> Services:
    """Exempt services at fixed addresses (docs/semantics.md §3, §9.8)."""
    listed = [
        (parse_address(text), protocol, port)
        for texts, protocols, port in (
            ("169.254.169.253 fd00:ec2::253", (TCP, UDP), 53),
            ("169.254.169.123 fd00:ec2::123", (UDP,), 123),
            ("169.254.169.254 fd00:ec2::254", (TCP,), 80),
            ("169.254.170.2", (TCP,), 80),
            ("169.254.169.250 169.254.169.251", (TCP,), 1688),
        )
        for text in texts.split()
        for protocol in protocols
    ]
    chosen = [(address.value, protocol, port) for address, protocol, port in listed if address.family == family]
    link_local = parse_cidr("169.254.0.0/16" if family == 4 else "fe80::/10")
    shift = 0 if family == 4 else 64
    return Services(
        *split_addresses([value for value, _, _ in chosen]),
        np.array([protocol for _, protocol, _ in chosen], np.uint8),
        np.array([port for _, _, port in chosen], np.uint16),
        np.array([link_local.network >> shift, link_local.last >> shift], np.uint64),
        np.array((67, 68) if family == 4 else (546, 547), np.uint16),
    )
