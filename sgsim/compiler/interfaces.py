"""Interfaces → columns: the groups they carry, what leaves them unfiltered or undecided, addresses special to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

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
    SecurityGroup,
    Semantics,
    parse_address,
    parse_cidr,
)
from sgsim.model.facts import AUTO_TRACKED_INTERFACE_TYPES
from sgsim.tables.columns import PORT_UNKNOWN, SERVICE_BITS, AddressRows, Interfaces, SubjectRows
from sgsim.tables.exempt import OWN, RESOLVER, ROUTER, Services, Specials
from sgsim.tables.lookup import split_addresses

__all__ = ["interface_columns", "interface_records", "services", "specials"]

_CLASSIC_DNS = Cidr(*parse_address("172.16.0.23"), 32)
_WIDTH = {4: 32, 6: 128}
_IPV6_ROUTER = Cidr(*parse_address("fe80:ec2::1"), 128)


def interface_columns(
    interfaces: Sequence[NetworkInterface],
    groups: Sequence[SecurityGroup | None],
    group_numbers: Mapping[str, int],
    vpc_numbers: Mapping[str | None, int],
    wide: npt.NDArray[np.uint8],
    subjects: SubjectRows,
    semantics: Semantics,
) -> Interfaces:
    """The columns; `wide` is that of each group (see `wide_groups`)."""
    carried = [sorted({group_numbers[group_id] for group_id in interface.group_ids}) for interface in interfaces]
    sizes = np.array([len(numbers) for numbers in carried], np.int64)
    offsets = np.zeros(len(interfaces) + 1, np.int32)
    np.cumsum(sizes, out=offsets[1:])
    flat = np.array([number for numbers in carried for number in numbers], np.int32)
    undefined = np.array([group is None for group in groups], np.bool_)
    classic = np.array([group is not None and group.classic for group in groups], np.bool_)
    gateway = np.array([interface.interface_type in UNFILTERED_INTERFACE_TYPES for interface in interfaces], np.bool_)
    bare = sizes == 0
    open_egress = _any_of(classic, flat, sizes) & semantics.exempt
    unfiltered = np.where(bare & gateway, 3, np.where(open_egress, 1 << Direction.EGRESS, 0))
    return Interfaces(
        offsets=offsets,
        groups=flat,
        vpc=np.array([vpc_numbers[interface.vpc_id] for interface in interfaces], np.int32),
        unfiltered=unfiltered.astype(np.uint8),
        unresolved=(bare & ~gateway) | _any_of(undefined, flat, sizes),
        wide=_bits_of(wide, flat, sizes),
        references=_bits_of(_direction_bits(subjects, len(groups)), flat, sizes),
        tracked=np.array(
            [interface.interface_type in AUTO_TRACKED_INTERFACE_TYPES for interface in interfaces], np.bool_
        ),
    )


def interface_records(interfaces: Interfaces, special: Specials) -> npt.NDArray[np.uint32]:
    """What rows need of their interface at once (see `FamilyTables.records`); 32 bytes an interface.

    Bits of the second number: 0-15 the number of groups, 16 `unresolved`, 17 addresses that the record cannot hold,
    18 and 19 `unfiltered`.
    """
    n = len(interfaces.vpc)
    padded = np.zeros((n + 1, 8), np.uint32)  # so that the first record can be read even where there is none
    records = padded[:n]
    records[:, 0] = interfaces.offsets[:-1]
    owner = np.repeat(np.arange(n), np.diff(special.offsets))
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
    flags = interfaces.unresolved.astype(np.uint32) << 16 | several.astype(np.uint32) << 17
    records[:, 1] = np.diff(interfaces.offsets) | flags | interfaces.unfiltered.astype(np.uint32) << 18
    records[:, 6] = interfaces.wide
    return padded.ravel()


def _bits_of(
    bits: npt.NDArray[np.uint8], carried: npt.NDArray[np.int32], sizes: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """Per interface the disjunction of its groups' bits."""
    result = np.zeros(len(sizes), np.uint8)
    np.bitwise_or.at(result, np.repeat(np.arange(len(sizes)), sizes), bits[carried])
    return result


def _any_of(
    flags: npt.NDArray[np.bool_], carried: npt.NDArray[np.int32], sizes: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    return _bits_of(flags.astype(np.uint8), carried, sizes).astype(np.bool_)


def _direction_bits(rows: SubjectRows, groups: int) -> npt.NDArray[np.uint8]:
    """Per group: bit `direction` set where a rule refers to a group."""
    tables = np.repeat(np.arange(2 * groups), np.diff(rows.offsets))
    refers = np.bincount(tables[rows.subject >= 0], minlength=2 * groups).reshape(groups, 2) > 0
    return (refers[:, 0] | refers[:, 1] << 1).astype(np.uint8)


def wide_groups(rows: Mapping[int, AddressRows], groups: int) -> npt.NDArray[np.uint8]:
    """Per group: bit `direction << 2 | (family == 6) << 1 | udp` set for a rule for all addresses and all ports."""
    bits = np.zeros(groups, np.uint8)
    for family, part in rows.items():
        table = np.repeat(np.arange(2 * groups), np.diff(part.offsets))
        for udp, protocol in enumerate((TCP, UDP)):
            base = protocol << SERVICE_BITS
            all_ports = (part.first <= base) & (part.last >= base + PORT_UNKNOWN)
            wide = table[(part.length == 0) & all_ports]
            shift = (wide & 1) << 2 | (family == 6) << 1 | udp
            np.bitwise_or.at(bits, wide >> 1, (1 << shift).astype(np.uint8))
    return bits


def specials(interfaces: Sequence[NetworkInterface], environment: Environment) -> dict[int, Specials]:
    """The ranges that are special to each interface, by family."""
    classic = {group_id for group_id, group in environment.groups.items() if group.classic}
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
        family: Specials(
            np.array(offsets[family], np.int64),
            *split_addresses([block.network for block in blocks[family]]),
            *split_addresses([block.last for block in blocks[family]]),
            np.array(kinds[family], np.uint8),
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
