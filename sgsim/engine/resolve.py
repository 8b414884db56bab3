"""Which interface is meant: the two ends of a flow, from where it was captured and what its headers say.

In this order: the vantage; the mirror session that a VXLAN network identifier names; the Ethernet addresses (source =
egress, destination = ingress); an address that exactly one interface or delegated prefix has. Several candidates are
AMBIGUOUS, never the first. Public and Elastic addresses identify no interface (docs/semantics.md §9.14).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from sgsim.flows import NO_INTERFACE
from sgsim.kernels.tracking_layout import Addresses
from sgsim.model import NetworkInterface
from sgsim.tables.layers import AddressLayers

if TYPE_CHECKING:
    from sgsim.engine.snapshot import Snapshot

__all__ = ["Ends", "FindsEnds", "Headers", "Resolver"]

LookUp = Callable[..., npt.NDArray[np.int32]]

_GROUP_BIT = np.uint64(1 << 40)  # the lowest bit of a MAC address's first byte: broadcast and multicast


class Headers(NamedTuple):
    """What identifies the ends of n flows, as columns; addresses are two 64-bit halves."""

    family: npt.NDArray[np.uint8]
    src_hi: npt.NDArray[np.uint64]
    src_lo: npt.NDArray[np.uint64]
    dst_hi: npt.NDArray[np.uint64]
    dst_lo: npt.NDArray[np.uint64]
    src_mac: npt.NDArray[np.uint64]
    dst_mac: npt.NDArray[np.uint64]
    vni: npt.NDArray[np.int32]

    def at(self, rows: npt.NDArray[Any]) -> Headers:
        """Some of the rows."""
        return Headers(*(column[rows] for column in self))


class Ends(NamedTuple):
    """Interfaces of n flows, int32 as `FlowBlock.interface`.

    `egress` is the sender's, `ingress` the receiver's; NO_INTERFACE also where an end is not judged because the
    packet was captured at the other one, which `observed` (bool) marks. `public_src` and `public_dst` are the
    interfaces whose public or Elastic address the flow shows.
    """

    egress: npt.NDArray[np.int32]
    ingress: npt.NDArray[np.int32]
    observed: npt.NDArray[np.bool_]
    public_src: npt.NDArray[np.int32]
    public_dst: npt.NDArray[np.int32]


class FindsEnds(Protocol):
    """What tracking asks of a resolver."""

    def resolve(self, headers: Headers) -> Ends:
        """The ends of every row."""
        ...


class Resolver:
    """Finds the ends of flows in one snapshot's environment.

    `vantage` is the interface id at which everything was captured (if there is none in this snapshot, nothing is
    judged), `vpc_id` the VPC to whose interfaces addresses belong; None where the user did not say.
    """

    def __init__(self, snapshot: Snapshot, vantage: str | None = None, vpc_id: str | None = None) -> None:
        self._tables = snapshot.tables
        self._interfaces = snapshot.environment.interfaces
        tables = snapshot.tables
        indexes = {family: tables.family(family).addresses for family in (4, 6)}
        self._private = _AddressBook(
            _points(indexes),
            lambda family, hi, lo: tables.find_address(family, hi, lo, vpc_id),
            complete=not any(index.delegates for index in indexes.values()),
        )
        self._public = _AddressBook(
            _points({family: tables.family(family).public_addresses for family in (4, 6)}),
            lambda family, hi, lo: tables.find_public_address(family, hi, lo, vpc_id),
        )
        self._macs = _AddressBook(_mac_columns(tables.macs.points), lambda _, __, lo: tables.find_mac(lo))
        self._absent = vantage is not None and vantage not in self._interfaces
        self._vantage = None if vantage is None or self._absent else self._tables.interface_ids.index(vantage)

    def resolve(self, headers: Headers) -> Ends:
        """The ends of every row."""
        n = len(headers.family)
        egress, ingress = np.full(n, NO_INTERFACE, np.int32), np.full(n, NO_INTERFACE, np.int32)
        if self._absent:
            return Ends(egress, ingress, np.ones(n, np.bool_), egress, ingress)
        observer = self._observers(headers)
        for index in np.unique(observer[observer >= 0]).tolist():
            rows = np.flatnonzero(observer == index)
            interface = self._interfaces[self._tables.interface_ids[index]]
            sent, received = _own_ends(interface, headers.at(rows))
            egress[rows[sent]] = index
            ingress[rows[received]] = index
        src = Addresses(headers.family, headers.src_hi, headers.src_lo)
        dst = Addresses(headers.family, headers.dst_hi, headers.dst_lo)
        unobserved = observer < 0
        if np.any(unobserved):
            egress = np.where(unobserved, self._from_headers(headers.src_mac, src), egress)
            ingress = np.where(unobserved, self._from_headers(headers.dst_mac, dst), ingress)
        return Ends(egress, ingress, observer >= 0, self._public.find(src), self._public.find(dst))

    def _observers(self, headers: Headers) -> npt.NDArray[np.int32]:
        """The interface at which each row was captured, NO_INTERFACE where nothing tells."""
        n = len(headers.family)
        if self._vantage is not None:
            return np.full(n, self._vantage, np.int32)
        observer = np.full(n, NO_INTERFACE, np.int32)
        mirrored = np.flatnonzero(headers.vni >= 0)
        if len(mirrored):
            # A number that several sessions share names no interface; the inner headers may still do.
            observer[mirrored] = np.maximum(self._tables.find_vni(headers.vni[mirrored]), NO_INTERFACE)
        return observer

    def _from_headers(self, mac: npt.NDArray[np.uint64], address: Addresses) -> npt.NDArray[np.int32]:
        """Ends by Ethernet address, else by private address."""
        by_address = self._private.find(address)
        by_mac = self._macs.find(_mac_columns(mac))
        return np.where(by_mac >= 0, by_mac, by_address).astype(np.int32)


class _AddressBook:
    """Who has an address: the answers of `look_up` for all addresses of the environment, in a hash table.

    `look_up` (`RuleTables.find_…`) bisects, at 100 ns an address; this takes 15. It is asked about addresses outside
    the book only if that is not `complete`, as where there are delegated prefixes.
    """

    def __init__(self, known: Addresses, look_up: LookUp, *, complete: bool = True) -> None:
        self._known, self._look_up, self._complete = known, look_up, complete
        self._owners = np.append(self._asked(known), np.int32(NO_INTERFACE))  # row -1: not in the book
        self._slots: npt.NDArray[np.int32] | None = None

    def find(self, wanted: Addresses) -> npt.NDArray[np.int32]:
        """The interface of each address, NO_INTERFACE or AMBIGUOUS."""
        from sgsim.kernels.tracking_admission import find_addresses, index_addresses

        found = np.full(len(wanted.lo), NO_INTERFACE, np.int32)
        if len(self._known.lo):
            if self._slots is None:
                self._slots = np.zeros(1 << (2 * len(self._known.lo) - 1).bit_length(), np.int32)
                index_addresses(self._known, self._slots)
            rows = np.empty(len(found), np.int32)
            find_addresses(wanted, self._known, self._slots, rows)
            found = self._owners[rows]
        if not self._complete:
            others = np.flatnonzero(found == NO_INTERFACE)
            found[others] = self._asked(Addresses(*(column[others] for column in wanted)))
        return found

    def _asked(self, addresses: Addresses) -> npt.NDArray[np.int32]:
        found = np.full(len(addresses.lo), NO_INTERFACE, np.int32)
        for family in np.unique(addresses.family).tolist():
            rows = np.flatnonzero(addresses.family == family)
            found[rows] = self._look_up(family, addresses.hi[rows], addresses.lo[rows])
        return found


def _points(indexes: dict[int, AddressLayers]) -> Addresses:
    """The addresses in the index of each family, as columns."""
    halves = [
        np.stack([np.zeros(len(points), np.uint64), points], axis=1)
        if family == 4
        else points.view(">u8").reshape(-1, 2)
        for family, points in ((family, index.points) for family, index in indexes.items())
    ]
    family = np.repeat(np.array(list(indexes), np.uint8), [len(part) for part in halves])
    both = np.concatenate(halves).astype(np.uint64)
    return Addresses(family, np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1]))


def _mac_columns(macs: npt.NDArray[np.uint64]) -> Addresses:
    """Ethernet addresses, as addresses of a family of their own."""
    return Addresses(np.zeros(len(macs), np.uint8), np.zeros(len(macs), np.uint64), macs)


def _own_ends(interface: NetworkInterface, headers: Headers) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Whether the interface sent each row, and whether it received it (both: a host that talks to itself).

    Ethernet decides where it can: a router's interface sends packets whose source address is another host's. A
    frame to a broadcast or multicast address that this interface saw and did not send, it received.
    """
    src = _has_address(interface, headers.family, headers.src_hi, headers.src_lo)
    dst = _has_address(interface, headers.family, headers.dst_hi, headers.dst_lo)
    if interface.mac is None:
        return src, dst
    mac = np.uint64(interface.mac)
    from_mac, to_mac = headers.src_mac == mac, headers.dst_mac == mac
    to_all = (headers.dst_mac & _GROUP_BIT != 0) & ~from_mac & ~src
    known = from_mac | to_mac
    return np.where(known, from_mac, src), np.where(known, to_mac, dst) | to_all


def _has_address(
    interface: NetworkInterface,
    family: npt.NDArray[np.uint8],
    hi: npt.NDArray[np.uint64],
    lo: npt.NDArray[np.uint64],
) -> npt.NDArray[np.bool_]:
    """Whether each address is one of the interface's private addresses or inside its delegated prefixes."""
    found = np.zeros(len(family), np.bool_)
    for address in interface.addresses:
        found |= (family == address.family) & _equals(hi, lo, address.value, (1 << 128) - 1)
    for cidr in interface.prefixes:
        host_bits = (32 if cidr.family == 4 else 128) - cidr.prefix_length
        mask = (1 << 128) - (1 << host_bits)
        found |= (family == cidr.family) & _equals(hi, lo, cidr.network, mask)
    return found


def _equals(hi: npt.NDArray[np.uint64], lo: npt.NDArray[np.uint64], value: int, mask: int) -> npt.NDArray[np.bool_]:
    """Whether the address equals `value` in the bits of `mask`."""
    low = (1 << 64) - 1
    same_hi = (hi & np.uint64(mask >> 64)) == np.uint64(value >> 64)
    result: npt.NDArray[np.bool_] = same_hi & ((lo & np.uint64(mask & low)) == np.uint64(value & low))
    return result
