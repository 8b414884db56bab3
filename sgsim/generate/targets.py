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
    """Who has which first address."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._four = np.flatnonzero(network.has_v4)[np.argsort(network.v4[network.has_v4])]
        self._six = np.flatnonzero(network.has_v6)[np.argsort(network.v6_lo[network.has_v6])]
        self._keys = (network.v4[self._four], network.v6_lo[self._six])

    def find(
        self, family: npt.NDArray[np.uint8], hi: npt.NDArray[np.uint64], lo: npt.NDArray[np.uint64]
    ) -> npt.NDArray[np.int32]:
        """Which interface has each address; NO_INTERFACE for none."""
        found = np.full(len(lo), NO_INTERFACE, np.int32)
        for version, order, keys in ((4, self._four, self._keys[0]), (6, self._six, self._keys[1])):
            if len(keys):
                near = np.flatnonzero((family == version) & (lo >= keys[0]) & (lo <= keys[-1]))
                place = np.minimum(np.searchsorted(keys, lo[near]), len(keys) - 1)
                same = keys[place] == lo[near]
                if version == 6:
                    same &= self._network.v6_hi[order[place]] == hi[near]
                found[near[same]] = order[place[same]]
        return found


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
