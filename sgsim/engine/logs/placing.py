"""Which interface and direction a flow-log record belongs to, where the log does not simply say so."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.engine.logs.names import LastingNames
from sgsim.engine.snapshot import Snapshot
from sgsim.flows import AMBIGUOUS, EGRESS, INGRESS, NO_INTERFACE
from sgsim.kernels.joining_layout import DIRECTION_SHIFT, PLAIN, VPC_SHIFT, Owners
from sgsim.model import NetworkInterface

__all__ = ["NO_DIRECTION", "Finder", "Placer", "owners_of"]

NO_DIRECTION = 2  #: `Verdicts.direction` of a record: neither the log nor its addresses tell
_WORD = np.uint64(0xFFFFFFFF)
_LOW = np.uint64(PLAIN - 1)
_IPV6 = np.uint64(1 << 40)


class Finder:
    """Looks addresses up in one snapshot; interfaces as in `FlowBlock.interface`."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._tables = snapshot.tables
        self.interfaces = snapshot.interfaces()
        self.carries_groups = np.array([bool(one.group_ids) for one in self.interfaces], np.bool_)
        self._vpcs = sorted({one.vpc_id for one in self.interfaces if one.vpc_id is not None})
        numbers = {name: number for number, name in enumerate(self._vpcs)}
        self._vpc_of = np.array([numbers.get(one.vpc_id or "", -1) for one in self.interfaces], np.int64)

    def find(
        self,
        family: npt.NDArray[np.uint8],
        hi: npt.NDArray[np.uint64],
        lo: npt.NDArray[np.uint64],
        vpc_id: str | None,
    ) -> npt.NDArray[np.int32]:
        """Who has each private address, in one VPC or in any."""
        found = np.full(len(family), NO_INTERFACE, np.int32)
        for value in (4, 6):
            rows = np.flatnonzero(family == value)
            if len(rows):
                found[rows] = self._tables.find_address(value, hi[rows], lo[rows], vpc_id)
        return found

    def near(
        self,
        interface: npt.NDArray[np.int32],
        family: npt.NDArray[np.uint8],
        hi: npt.NDArray[np.uint64],
        lo: npt.NDArray[np.uint64],
    ) -> npt.NDArray[np.int32]:
        """Who has each address: where several do, the one in the VPC of the given interface."""
        found = self.find(family, hi, lo, None)
        several = np.flatnonzero(found == AMBIGUOUS)
        vpcs = self._vpc_of[interface[several]]
        for number in np.unique(vpcs).tolist():
            rows = several[vpcs == number]
            if number >= 0:
                here = self.find(family[rows], hi[rows], lo[rows], self._vpcs[number])
                found[rows] = np.where(here == NO_INTERFACE, AMBIGUOUS, here)
        return found

    def holds(
        self,
        interface: npt.NDArray[np.int32],
        family: npt.NDArray[np.uint8],
        hi: npt.NDArray[np.uint64],
        lo: npt.NDArray[np.uint64],
    ) -> npt.NDArray[np.bool_]:
        """Whether each interface has each address."""
        found = self.near(interface, family, hi, lo)
        held: npt.NDArray[np.bool_] = found == interface
        for row in np.flatnonzero(found == AMBIGUOUS).tolist():
            value = int(hi[row]) << 64 | int(lo[row])
            held[row] = _has(self.interfaces[interface[row]], int(family[row]), value)
        return held


class Placer:
    """Places records that `hand_keys` describes; interface and VPC ids are numbers of `names` and `vpcs`."""

    def __init__(self, finder: Finder, interface_ids: list[str], vpc_id: str | None) -> None:
        self._finder, self._vpc_id = finder, vpc_id
        self._index = {name: n for n, name in enumerate(interface_ids)}
        self.names = LastingNames()
        self.vpcs = LastingNames()
        self._by_name: npt.NDArray[np.int32] = np.empty(0, np.int32)

    def by_name(self) -> npt.NDArray[np.int32]:
        """The interface of each of `names`, NO_INTERFACE where the environment has none."""
        if len(self._by_name) < len(self.names.texts):
            new = [self._index.get(text, NO_INTERFACE) for text in self.names.texts[len(self._by_name) :]]
            self._by_name = np.concatenate([self._by_name, np.array(new, np.int32)])
        return self._by_name

    def place(self, keys: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
        """Interface and direction: by the interface id that the log names, else by address."""
        name = (keys[:, 5] & _WORD).astype(np.int64) - 1
        direction = ((keys[:, 5] >> np.uint64(DIRECTION_SHIFT)) & np.uint64(3)).astype(np.int64) - 1
        interface = np.full(len(keys), NO_INTERFACE, np.int32)
        named = name >= 0
        interface[named] = self.by_name()[name[named]]
        rows = np.flatnonzero(named & (interface >= 0) & (direction < 0))
        if len(rows):
            direction[rows] = self._direction_at(interface[rows], keys[rows])
        rows = np.flatnonzero(~named)
        if len(rows):
            interface[rows], direction[rows] = self._by_address(keys[rows], direction[rows])
        return interface, np.where(direction < 0, NO_DIRECTION, direction).astype(np.uint8)

    def _direction_at(self, interface: npt.NDArray[np.int32], keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Which way flows go, from whose addresses their interface has: those that the log shows, then `pkt-…`."""
        direction = np.full(len(keys), -1, np.int64)
        to_itself = np.zeros(len(keys), np.bool_)
        for shown in (True, False):
            which = np.flatnonzero((keys[:, 6] | keys[:, 7]) & np.uint64(PLAIN)) if shown else np.arange(len(keys))
            if not len(which):
                continue
            sent, received = (
                known & self._finder.holds(interface[which], _family(keys[which]), hi, lo)
                for known, hi, lo in _addresses(keys[which], shown=shown)
            )
            open_ = direction[which] < 0
            told = open_ & (sent != received)
            direction[which[told]] = np.where(sent[told], EGRESS, INGRESS)
            to_itself[which] |= open_ & sent & received
        return np.where((direction < 0) & to_itself, EGRESS, direction)

    def _by_address(
        self, keys: npt.NDArray[np.uint64], direction: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """The one interface that has the sender's address (egress) or the receiver's (ingress)."""
        vpc = (keys[:, 5] >> np.uint64(VPC_SHIFT)).astype(np.int64) - 1
        family = _family(keys)
        ends = []
        for (_, hi, lo), (shown, _, instead) in zip(_addresses(keys, shown=False), _addresses(keys, shown=True)):
            found = self._find_in(vpc, family, hi, lo)
            rows = np.flatnonzero(shown & (found == NO_INTERFACE))
            nothing = np.zeros(len(rows), np.uint64)
            found[rows] = self._find_in(vpc[rows], family[rows], nothing, instead[rows])
            ends.append(found)
        sender, receiver = ends
        known, both = sender != NO_INTERFACE, (sender != NO_INTERFACE) & (receiver != NO_INTERFACE)
        chosen = np.where(direction >= 0, direction, np.where(known, EGRESS, INGRESS))
        interface = np.where(chosen == EGRESS, sender, receiver)
        open_ = (direction < 0) & both
        interface[open_], chosen[open_] = AMBIGUOUS, -1
        return interface.astype(np.int32), chosen

    def _find_in(
        self,
        vpc: npt.NDArray[np.int64],
        family: npt.NDArray[np.uint8],
        hi: npt.NDArray[np.uint64],
        lo: npt.NDArray[np.uint64],
    ) -> npt.NDArray[np.int32]:
        found = np.full(len(vpc), NO_INTERFACE, np.int32)
        for number in np.unique(vpc).tolist():
            rows = np.flatnonzero(vpc == number)
            vpc_id = self.vpcs.texts[number] if number >= 0 else self._vpc_id
            found[rows] = self._finder.find(family[rows], hi[rows], lo[rows], vpc_id)
        return found


def owners_of(interfaces: list[NetworkInterface]) -> Owners:
    """The exact private addresses of all interfaces."""
    from sgsim.kernels.joining_keys import place_owners

    low = (1 << 64) - 1
    rows = [
        (n, one.value >> 64, one.value & low, one.family == 6)
        for n, card in enumerate(interfaces)
        for one in card.addresses
    ]
    owners = Owners(
        slots=np.zeros(1 << max(2 * len(rows), 8).bit_length(), np.int32),
        rows=np.array(rows, np.uint64).reshape(-1, 4).view(np.int64),
        delegated=np.array([bool(card.prefixes) for card in interfaces] or [False], np.bool_),
    )
    place_owners(owners)
    return owners


def _family(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    return np.where(keys[:, 4] & _IPV6, 6, 4).astype(np.uint8)


def _addresses(keys: npt.NDArray[np.uint64], *, shown: bool) -> list[tuple[Any, Any, Any]]:
    """Source and destination as (known, high, low): those that the log shows in their place, or the packets' own."""
    if not shown:
        known = np.ones(len(keys), np.bool_)
        return [(known, keys[:, 0], keys[:, 1]), (known, keys[:, 2], keys[:, 3])]
    nothing = np.zeros(len(keys), np.uint64)
    return [((keys[:, word] & np.uint64(PLAIN)) != 0, nothing, keys[:, word] & _LOW) for word in (6, 7)]


def _has(interface: NetworkInterface, family: int, value: int) -> bool:
    """Whether a private address or a delegated prefix of the interface has the address."""
    return any(one.family == family and one.value == value for one in interface.addresses) or any(
        one.family == family and one.network <= value <= one.last for one in interface.prefixes
    )
