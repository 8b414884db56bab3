"""Flows as columns, and how one is proposed: inside a rule of its interface, or from anywhere to any service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.flows import INGRESS
from sgsim.generate.bits import masks
from sgsim.generate.network import GROUP, LIST, Network, random_addresses
from sgsim.generate.targets import AddressBook, Aims, Members
from sgsim.model import TCP, UDP
from sgsim.verdicts import Verdict

__all__ = ["HIGHEST", "PORTS", "Flows", "Proposals"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Words = npt.NDArray[np.uint64]
#: The other end: family, address halves, interface.
Remote = tuple[npt.NDArray[np.uint8], Words, Words, npt.NDArray[np.int32]]

PORTS = 64_499  #: the largest prime of source ports from 1 037 on: every number of rules but its multiples is coprime
HIGHEST = 10_000_000_000  #: flows of one stream
_FIRST_PORT = 65_536 - PORTS
_HOST_BITS = 40  #: how much of an address is counted up; what is left of IPv6 is hashed
_ANYWHERE_V6 = 0.15  #: share of flows past all rules that are IPv6, at interfaces that have it


@dataclass(frozen=True, slots=True)
class Flows:
    """n flows, each aimed at one end: `interface` (number) and `direction` there.

    Addresses are two 64-bit halves, IPv4 in the low one. `remote` is the interface at the other end, NO_INTERFACE if
    it is none. `hit`: whether the path is accepted, at both ends where both are known; `local` and `far` the verdicts
    at the aimed end and the other one, the latter ACCEPT where it is not known.
    """

    family: npt.NDArray[np.uint8]
    src_hi: Words
    src_lo: Words
    dst_hi: Words
    dst_lo: Words
    srcport: npt.NDArray[np.uint16]
    dstport: npt.NDArray[np.uint16]
    protocol: npt.NDArray[np.uint8]
    interface: npt.NDArray[np.int32]
    remote: npt.NDArray[np.int32]
    direction: npt.NDArray[np.uint8]
    hit: npt.NDArray[np.bool_]
    local: npt.NDArray[np.uint8]
    far: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.family)

    def columns(self) -> Sequence[npt.NDArray[Any]]:
        """The columns in order."""
        return [getattr(self, name) for name in _TYPES]

    def at(self, rows: Ints) -> Flows:
        """Some of the flows."""
        return Flows(*(column[rows] for column in self.columns()))

    def put(self, rows: Ints, other: Flows) -> None:
        """Overwrite some of the flows."""
        for column, values in zip(self.columns(), other.columns()):
            column[rows] = values

    @classmethod
    def room(cls, n: int) -> Flows:
        """n flows of zeros."""
        return cls(*(np.zeros(n, kind) for kind in _TYPES.values()))


_TYPES: dict[str, type[np.generic]] = dict(
    zip(
        (field.name for field in fields(Flows)),
        (
            *(np.uint8, np.uint64, np.uint64, np.uint64, np.uint64, np.uint16, np.uint16, np.uint8),
            *(np.int32, np.int32, np.uint8, np.bool_, np.uint8, np.uint8),
        ),
    )
)


def _mixed(values: Words) -> Words:
    """splitmix64's finish: numbers in a row become numbers that look drawn."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


class Proposals:
    """Draws flows for a network; `reachable` are the interfaces that group references lead to, by group."""

    def __init__(self, network: Network, reachable: Members, seed: int) -> None:
        self._network, self._reachable = network, reachable
        self._book = AddressBook(network)
        self._let_out = np.zeros(network.interfaces, np.bool_)
        self._let_out[reachable.interface] = True
        self._salt = np.uint64(seed * 0x9E3779B97F4A7C15 % (1 << 64))

    def draw(
        self,
        rng: np.random.Generator,
        aim: Aims,
        hit: bool,
        direction: int,
        interface: Ints,
        serial: Ints,
        attempt: int,
    ) -> tuple[Flows, Bools]:
        """(flows, which of them are as wanted as far as can be told here).

        `serial` counts the flows of each interface: it names the source port, and at the first attempt the rule.
        """
        srcport = _FIRST_PORT + (serial + interface * 7919) % PORTS
        sizes = np.maximum(aim.sizes[interface], 1)
        turn = serial % sizes if attempt == 0 else (rng.random(len(serial)) * sizes).astype(np.int64)
        seeds = _mixed(
            self._salt
            ^ _mixed((interface << 20 | srcport).astype(np.uint64))
            ^ _mixed((turn << 8 | attempt).astype(np.uint64))
        )
        rule = self._rules(aim, interface, turn)
        epoch = (serial // sizes // PORTS).astype(np.uint64)
        if hit:
            remote, service, good = self._inside(interface, rule, seeds, epoch)
        else:
            remote, service, good = self._outside(rng, aim, interface, rule, seeds)
        family, hi, lo, known = remote
        good &= ~_reserved(family, hi, lo) & (known != interface)
        if hit:
            good &= (known < 0) | (self._let_out[known] if direction == INGRESS else False)
        good &= np.where(family == 4, True, self._network.has_v6[interface])
        return self._flows(direction, interface, remote, srcport, service, hit), good

    def _flows(
        self,
        direction: int,
        interface: Ints,
        remote: Remote,
        srcport: Ints,
        service: tuple[Ints, Ints],
        hit: bool,
    ) -> Flows:
        family, hi, lo, known = remote
        network, n = self._network, len(interface)
        own_hi = np.where(family == 4, np.uint64(0), network.v6_hi[interface])
        own_lo = np.where(family == 4, network.v4[interface], network.v6_lo[interface])
        inward = direction == INGRESS
        port, protocol = service
        return Flows(
            family.astype(np.uint8),
            hi if inward else own_hi,
            lo if inward else own_lo,
            own_hi if inward else hi,
            own_lo if inward else lo,
            srcport.astype(np.uint16),
            port.astype(np.uint16),
            protocol.astype(np.uint8),
            interface.astype(np.int32),
            known,
            np.full(n, direction, np.uint8),
            np.full(n, hit),
            np.full(n, Verdict.ACCEPT if hit else Verdict.REJECT, np.uint8),
            np.full(n, Verdict.ACCEPT, np.uint8),
        )

    def _rules(self, aim: Aims, interface: Ints, turn: Ints) -> Ints:
        """The turn-th of the rules that flows of each interface can be aimed at; any rule where there is none."""
        network = self._network
        place, left = network.carried_offsets[interface], turn.copy()
        end = network.carried_offsets[interface + 1]
        chosen = np.zeros(len(interface), np.int64)
        searching = np.flatnonzero(aim.sizes[interface] > 0)
        while len(searching):
            group = network.carried[place[searching]]
            size = aim.offsets[group + 1] - aim.offsets[group]
            here = left[searching] < size
            found = searching[here]
            chosen[found] = aim.rule[aim.offsets[group[here]] + left[found]]
            left[searching] -= size
            place[searching] += 1
            searching = searching[~here & (place[searching] < end[searching])]
        return chosen

    def _inside(
        self, interface: Ints, rule: Ints, seeds: Words, epoch: Words
    ) -> tuple[Remote, tuple[Ints, Ints], Bools]:
        """The other end and the service inside each rule: (family, hi, lo, interface), (port, protocol), good."""
        rules, lists, network = self._network.rules, self._network.lists, self._network
        family, kind = rules.family[rule].copy(), rules.kind[rule]
        hi, lo, length = rules.hi[rule].copy(), rules.lo[rule].copy(), rules.length[rule].copy()
        listed, grouped = np.flatnonzero(kind == LIST), np.flatnonzero(kind == GROUP)
        target = rules.target[rule]
        picks = (seeds >> np.uint64(20)).astype(np.int64)
        entry = _pick(lists.offsets, target[listed], picks[listed])
        hi[listed], lo[listed], length[listed] = lists.hi[entry], lists.lo[entry], lists.length[entry]
        member = _pick(self._reachable.offsets, target[grouped], picks[grouped])
        other = self._reachable.interface[member]
        lo[grouped], length[grouped] = network.v4[other], 32
        every = rules.protocol[rule] < 0
        first = np.where(every, 1, rules.first[rule])
        ports = (rules.last[rule] - first + 1).astype(np.uint64)
        hosts = np.uint64(1) << np.minimum(np.where(family == 4, 32, 128) - length, _HOST_BITS).astype(np.uint64)
        place = (seeds + epoch) % (hosts * ports)
        mask_hi, mask_lo = masks(family, length)
        six = family == 6
        extra = _mixed(seeds + np.uint64(1))
        low = np.uint64((1 << _HOST_BITS) - 1)
        hi |= np.where(six, _mixed(extra) & ~mask_hi, np.uint64(0))
        lo |= np.where(six, extra & ~mask_lo & ~low, np.uint64(0)) | place % hosts
        known = self._book.find(family, hi, lo)
        service = first + (place // hosts).astype(np.int64), np.where(every, _protocols(seeds), rules.protocol[rule])
        return (family, hi, lo, known), service, epoch < hosts * ports

    def _outside(
        self, rng: np.random.Generator, aim: Aims, interface: Ints, rule: Ints, seeds: Words
    ) -> tuple[Remote, tuple[Ints, Ints], Bools]:
        """Another end from anywhere, to a service of one of the rules in half of the cases, else to any port."""
        n, rules = len(interface), self._network.rules
        six = self._network.has_v6[interface] & (rng.random(n) < _ANYWHERE_V6)
        family = np.where(six, 6, 4).astype(np.uint8)
        hi, lo = random_addresses(rng, family)
        port, protocol = rng.integers(1, 65536, n), _protocols(seeds)
        if len(rules.kind):
            offered = (aim.sizes[interface] > 0) & (rules.protocol[rule] > 0) & (rng.random(n) < 0.5)
            width = rules.last[rule] - rules.first[rule] + 1
            port = np.where(offered, rules.first[rule] + port % width, port)
            protocol = np.where(offered, rules.protocol[rule], protocol)
        return (family, hi, lo, self._book.find(family, hi, lo)), (port, protocol), np.ones(n, np.bool_)


def _pick(offsets: Ints, which: npt.NDArray[np.int32], picks: Ints) -> Ints:
    """One element of each list."""
    sizes = offsets[which + 1] - offsets[which]
    chosen: Ints = offsets[which] + picks % np.maximum(sizes, 1)
    return chosen


def _protocols(seeds: Words) -> Ints:
    """TCP in three of four cases, else UDP."""
    return np.where(seeds >> np.uint64(62) < 3, TCP, UDP)


def _reserved(family: npt.NDArray[np.uint8], hi: Words, lo: Words) -> Bools:
    """Addresses that no traffic comes from, or that security groups never see."""
    first = lo >> np.uint64(24)
    four = (first == 0) | (first == 127) | (first >= 224) | (lo >> np.uint64(16) == 0xA9FE)
    top = hi >> np.uint64(48)
    six = (top >= 0xFE80) | (top == 0) | ((top == 0xFD00) & (hi >> np.uint64(32) & np.uint64(0xFFFF) == 0x0EC2))
    reserved: Bools = np.where(family == 4, four, six)
    return reserved
