"""Interfaces' addresses and prefix lists' entries → sorted columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from sgsim.model import Address, Cidr, Environment, NetworkInterface, PrefixList
from sgsim.model.facts import AUTO_TRACKED_INTERFACE_TYPES
from sgsim.tables.columns import PrefixLists
from sgsim.tables.lookup import AddressIndex, NumberIndex, address_keys, split_addresses

__all__ = ["Holder", "Holding", "address_index", "holdings", "mirrored", "prefix_lists"]

#: The addresses that an interface has in one respect, and the prefixes.
Holding = tuple[Sequence[Address], Sequence[Cidr]]


class Holder(NamedTuple):
    """An interface, the number of its network and what it has there."""

    interface: int
    network: int
    addresses: Sequence[Address]
    prefixes: Sequence[Cidr]


def holdings(interface: NetworkInterface, vnis: Iterable[int]) -> dict[str, Holding]:
    """What an interface is to be found by, under the names of the indexes; numbers are indexed like IPv4 addresses.

    `vnis` are those of its mirror sessions.
    """
    held: dict[str, Holding] = {"addresses": (interface.addresses, interface.prefixes)}
    if interface.public_addresses:
        held["public_addresses"] = (interface.public_addresses, ())
    if interface.interface_type in AUTO_TRACKED_INTERFACE_TYPES:
        held["auto_tracked"] = held["addresses"]
    if interface.mac is not None:
        held["macs"] = ((Address(4, interface.mac),), ())
    if vnis:
        held["vnis"] = (tuple(Address(4, vni) for vni in vnis), ())
    return held


def mirrored(environment: Environment) -> dict[str, list[int]]:
    """The VXLAN network identifiers of each interface's mirror sessions."""
    vnis: dict[str, list[int]] = {}
    for session in environment.mirror_sessions.values():
        vnis.setdefault(session.interface_id, []).append(session.vni)
    return vnis


def address_index(family: int, holders: Iterable[Holder]) -> AddressIndex:
    """Index the addresses and prefixes of one family."""
    values: list[int] = []
    owners: list[tuple[int, int]] = []
    blocks: list[tuple[int, int, tuple[int, int]]] = []
    for interface, network, addresses, prefixes in holders:
        for address in addresses:
            if address.family == family:
                values.append(address.value)
                owners.append((network, interface))
        owner = (network, interface)
        blocks.extend((cidr.network, cidr.last, owner) for cidr in prefixes if cidr.family == family)
    points, numbers = np.unique(address_keys(family, *split_addresses(values)), return_inverse=True)
    starts, covered = _intervals(blocks, 1 << (32 if family == 4 else 128))
    point_owners, point_owners_by_network = _owner_indexes(list(zip(numbers.tolist(), owners)))
    interval_owners, interval_owners_by_network = _owner_indexes(covered)
    return AddressIndex(
        points,
        address_keys(family, *split_addresses(starts)),
        point_owners,
        interval_owners,
        point_owners_by_network,
        interval_owners_by_network,
    )


def _intervals(
    blocks: Sequence[tuple[int, int, tuple[int, int]]], end: int
) -> tuple[list[int], list[tuple[int, tuple[int, int]]]]:
    """Cut the space below `end` where blocks begin and end: (starts, [(interval, owner) inside each block])."""
    starts = sorted({edge for start, last, _ in blocks for edge in (start, last + 1) if edge < end})
    position = {start: index for index, start in enumerate(starts)} | {end: len(starts)}
    covered = [
        (interval, owner) for start, last, owner in blocks for interval in range(position[start], position[last + 1])
    ]
    return starts, covered


def _owner_indexes(pairs: Sequence[tuple[int, tuple[int, int]]]) -> tuple[NumberIndex, NumberIndex]:
    """Owners by number alone and by (network, number), from (number, (network, interface))."""
    numbers = np.array([number for number, _ in pairs], np.uint64)
    networks = np.array([network for _, (network, _) in pairs], np.uint64)
    owners = np.array([interface for _, (_, interface) in pairs], np.int32)
    return NumberIndex.of(numbers, owners), NumberIndex.of(networks << np.uint64(32) | numbers, owners)


def prefix_lists(family: int, ids: Iterable[str], described: Mapping[str, PrefixList]) -> PrefixLists:
    """The entries of the lists of these ids in one family (docs/semantics.md §9.7 where they are missing)."""
    offsets, starts, lengths, unresolved = [0], [], [], []
    for prefix_list_id in ids:
        prefix_list = described.get(prefix_list_id)
        entries = None if prefix_list is None else prefix_list.entries
        told = None if prefix_list is None else prefix_list.family
        unresolved.append(entries is None and told in (None, family))
        for start, length in longest_matches(family, entries or ()):
            starts.append(start)
            lengths.append(length)
        offsets.append(len(starts))
    hi, lo = split_addresses(starts)
    bounds = np.stack((offsets[:-1], offsets[1:]), axis=1).astype(np.int64)
    return PrefixLists(bounds, hi, lo, np.array(lengths, np.int16), np.array(unresolved, np.bool_))


def longest_matches(family: int, entries: Iterable[Cidr]) -> list[tuple[int, int]]:
    """Where the longest matching entry changes: (first address, its prefix length or -1), from address 0 on."""
    width = 32 if family == 4 else 128
    result = [(0, -1)]
    open_blocks: list[tuple[int, int]] = [((1 << width) - 1, -1)]

    def change(start: int, length: int) -> None:
        if result[-1][0] == start:
            result.pop()
        result.append((start, length))

    def close_before(start: int) -> None:
        while len(open_blocks) > 1 and open_blocks[-1][0] < start:
            last, _ = open_blocks.pop()
            if last < open_blocks[-1][0]:
                change(last + 1, open_blocks[-1][1])

    for cidr in sorted({entry for entry in entries if entry.family == family}):
        close_before(cidr.network)
        change(cidr.network, cidr.prefix_length)
        open_blocks.append((cidr.last, cidr.prefix_length))
    close_before(1 << width)
    return result
