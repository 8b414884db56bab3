"""What flows can be aimed at: the rules of each interface, and who is a member of what."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.flows import EGRESS, INGRESS, NO_INTERFACE
from sgsim.generate.network import CIDR, GROUP, LIST, Network
from sgsim.model import TCP, UDP

__all__ = ["AddressBook", "Aims", "Members", "aims", "members", "open_egress", "usable"]

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Aims(NamedTuple):
    """Rules of one direction that a flow can be made for: group g's are `rule[offsets[g]:offsets[g + 1]]`.

    `room[g]`: how many different (address, port) pairs they have together; `sizes[i]`, `rooms[i]` the sums over the
    groups of interface i.
    """

    rule: Ints
    offsets: Ints
    sizes: Ints
    rooms: Floats


class Members(NamedTuple):
    """Interfaces by group: those of group g are `interface[offsets[g]:offsets[g + 1]]`."""

    interface: Ints
    offsets: Ints


def usable(network: Network) -> Bools:
    """Interfaces that flows can be made for: with groups, and an address that no other interface has."""
    _, place, count = np.unique(network.v4, return_inverse=True, return_counts=True)
    able: Bools = network.has_v4 & (count[place] == 1) & (np.diff(network.carried_offsets) > 0)
    return able


def open_egress(network: Network, family: int) -> Bools:
    """Interfaces with a rule that lets everything of the family out."""
    rules = network.rules
    every = (rules.direction == EGRESS) & (rules.kind == CIDR) & (rules.protocol < 0)
    every &= (rules.length == 0) & (rules.family == family)
    free: Bools = _by_interface(network, _by_group(network, every)) > 0
    return free


def members(network: Network, wanted: Bools) -> Members:
    """The interfaces of each group, of those that are wanted."""
    interface = np.repeat(np.arange(network.interfaces), np.diff(network.carried_offsets))
    keep = wanted[interface]
    group, interface = network.carried[keep], interface[keep]
    order = np.argsort(group, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=network.groups))])
    return Members(interface[order], offsets.astype(np.int64))


def aims(network: Network, direction: int, reachable: Members) -> Aims:
    """Rules of a direction that flows can be aimed at: TCP, UDP or all protocols, for a peer that is described.

    Who sends to a group reference must be let out: `reachable` holds the interfaces that are. Egress to a reference
    is never aimed at: the other end would have to let it in.
    """
    rules = network.rules
    fits = (rules.direction == direction) & np.isin(rules.protocol, (-1, TCP, UDP))
    referring = rules.kind == GROUP
    known = rules.target[referring]
    fits[referring] &= (direction == INGRESS) & (known >= 0)
    fits[referring] &= np.diff(reachable.offsets)[known] > 0 if network.groups else False
    fits[rules.kind == LIST] &= rules.target[rules.kind == LIST] >= 0
    width = np.where(rules.family == 4, 32, 128)
    hosts = np.where(rules.kind == CIDR, 2.0 ** np.minimum(width - rules.length, 20), 1)
    room = np.where(fits, hosts * (rules.last - rules.first + 1), 0)
    group_sizes = _by_group(network, fits)
    return Aims(
        np.flatnonzero(fits),
        np.concatenate([[0], np.cumsum(group_sizes)]).astype(np.int64),
        _by_interface(network, group_sizes).astype(np.int64),
        _by_interface(network, _by_group(network, room)),
    )


class AddressBook:
    """Who has which private address; delegated prefixes are not looked at."""

    def __init__(self, network: Network) -> None:
        self._books = [_Book(network, 4), _Book(network, 6)]

    def find(
        self, family: npt.NDArray[np.uint8], hi: npt.NDArray[np.uint64], lo: npt.NDArray[np.uint64]
    ) -> npt.NDArray[np.int32]:
        """Which interface has each address; NO_INTERFACE for none."""
        found = np.full(len(lo), NO_INTERFACE, np.int32)
        for book in self._books:
            book.find(family, hi, lo, found)
        return found


class _Book:
    """The addresses of a family by their low halves, in order."""

    def __init__(self, network: Network, family: int) -> None:
        has, hi, lo = (
            (network.has_v4, np.zeros_like(network.v4), network.v4)
            if family == 4
            else (network.has_v6, network.v6_hi, network.v6_lo)
        )
        first, more = np.flatnonzero(has), np.flatnonzero(network.further.family == family)
        owner = np.concatenate([first, network.further.interface[more]])
        both = (
            np.concatenate([half[first], others[more]])
            for half, others in ((hi, network.further.hi), (lo, network.further.lo))
        )
        self._hi, self._lo = both
        order = np.lexsort((self._hi, self._lo))
        self._owner, self._hi, self._lo, self._family = owner[order], self._hi[order], self._lo[order], family

    def find(
        self,
        family: npt.NDArray[np.uint8],
        hi: npt.NDArray[np.uint64],
        lo: npt.NDArray[np.uint64],
        found: npt.NDArray[np.int32],
    ) -> None:
        """Fill in the interfaces of addresses of this family."""
        if not len(self._lo):
            return
        near = np.flatnonzero((family == self._family) & (lo >= self._lo[0]) & (lo <= self._lo[-1]))
        place = np.searchsorted(self._lo, lo[near])
        while len(near):  # one turn, but for those whose low half several addresses share
            same = (self._lo[place] == lo[near]) & (self._hi[place] == hi[near])
            found[near[same]] = self._owner[place[same]]
            place += 1
            going_on = ~same & (place < len(self._lo))
            near, place = near[going_on], place[going_on]
            still = self._lo[place] == lo[near]
            near, place = near[still], place[still]


def _by_group(network: Network, values: npt.NDArray[Any]) -> Floats:
    """Sums over the rules of each group."""
    return _sums(values, network.offsets)


def _by_interface(network: Network, of_group: npt.NDArray[Any]) -> Floats:
    """Sums over the groups of each interface."""
    return _sums(of_group[network.carried], network.carried_offsets)


def _sums(values: npt.NDArray[Any], offsets: Ints) -> Floats:
    totals = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    sums: Floats = totals[offsets[1:]] - totals[offsets[:-1]]
    return sums
