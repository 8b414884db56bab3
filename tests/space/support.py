"""Packets at the edges of a packet space, and what spaces and the engine say of them."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import numpy as np
import numpy.typing as npt

from sgsim.analysis.space import Space, SpaceChange, View
from sgsim.engine import Snapshot, evaluate
from sgsim.flows import FlowBlock, FlowTable
from sgsim.model import ICMP, ICMPV6, Address, Direction, Environment
from sgsim.reference import Packet
from sgsim.verdicts import Reason, Verdict

LOW = (1 << 64) - 1
REJECT, ACCEPT, UNKNOWN = Verdict.REJECT, Verdict.ACCEPT, Verdict.UNKNOWN
#: Parts of SpaceChange and the verdicts before and after that they stand for.
PARTS = {
    "opened": (REJECT, ACCEPT),
    "closed": (ACCEPT, REJECT),
    "confirmed": (UNKNOWN, ACCEPT),
    "refuted": (UNKNOWN, REJECT),
    "may_open": (REJECT, UNKNOWN),
    "may_close": (ACCEPT, UNKNOWN),
}


def edge_addresses(rng: Random, environment: Environment, spaces: Iterable[Space], family: int, n: int) -> list[int]:
    """Addresses around the steps of spaces and of everything that the environment describes."""
    end = 1 << (32 if family == 4 else 128)
    edges = {start for space in spaces for start, _ in space.steps(family)}
    for interface in environment.interfaces.values():
        edges.update(address.value for address in interface.addresses if address.family == family)
        edges.update(prefix.last for prefix in interface.prefixes if prefix.family == family)
    found = sorted({min(max(edge + step, 0), end - 1) for edge in edges for step in (-1, 0, 1)})
    return rng.sample(found, min(n, len(found))) or [end // 2]


def edge_services(rng: Random, spaces: Iterable[Space], n: int) -> list[int]:
    """Points around the bounds of all services of spaces."""
    bounds = {
        bound
        for space in spaces
        for family in (4, 6)
        for _, services in space.steps(family)
        for bound in services.bounds
    }
    found = sorted({min(max(bound + step, 0), (1 << 24) - 1) for bound in bounds for step in (-1, 0, 1)})
    return rng.sample(found, min(n, len(found))) or [6 << 16]


def packet_at(service: int, family: int, local: int, remote: int, direction: Direction, srcport: int = 0) -> Packet:
    """The packet at a point of the space of an interface with a local address."""
    protocol, low = service >> 16, service & 65535
    source, destination = (remote, local) if direction is Direction.INGRESS else (local, remote)
    if protocol in (ICMP, ICMPV6):
        return Packet(family, source, destination, protocol, icmp_type=low >> 8, icmp_code=low & 255)
    return Packet(family, source, destination, protocol, srcport, low)


def verdict_table(view: View, family: int, addresses: list[int], services: npt.NDArray[np.int64]) -> np.ndarray:
    """What a view says of every address × service: uint8[addresses, services]."""
    table = np.zeros((len(addresses), len(services)), np.uint8)
    for row, address in enumerate(addresses):
        table[row, view.accepted.services_at(family, address).contain(services)] = ACCEPT
        maybe = view.possible.services_at(family, address).contain(services)
        assert not (maybe & (table[row] == ACCEPT)).any(), "what may pass does not surely pass"
        table[row, maybe] = UNKNOWN
    return table


def part_table(
    change: SpaceChange, family: int, addresses: list[int], services: npt.NDArray[np.int64]
) -> tuple[np.ndarray, np.ndarray]:
    """The verdicts before and after of every address × service that a change names; 255 for all others."""
    before = np.full((len(addresses), len(services)), 255, np.uint8)
    after = before.copy()
    for name, (old, new) in PARTS.items():
        space: Space = getattr(change, name)
        for row, address in enumerate(addresses):
            inside = space.services_at(family, address).contain(services)
            assert (before[row, inside] == 255).all(), "the parts are disjoint"
            before[row, inside], after[row, inside] = old, new
    return before, after


def engine_verdicts(
    snapshot: Snapshot,
    family: int,
    interface_ids: list[str],
    directions: npt.NDArray[np.uint8],
    local: list[int],
    remote: list[int],
    services: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """(action, exempt) of n packets by `evaluate`, one at each interface."""
    index = {name: number for number, name in enumerate(snapshot.tables.interface_ids)}
    ingress = directions == Direction.INGRESS.value
    here, there = _column(family, local), _column(family, remote)
    side = ingress if family == 4 else ingress[:, None]
    protocol, low = services >> 16, services & 65535
    icmp = (protocol == ICMP) | (protocol == ICMPV6)
    block = FlowBlock.from_columns(
        family,
        np.where(side, there, here),
        np.where(side, here, there),
        protocol=protocol,
        interface=[index[name] for name in interface_ids],
        direction=directions,
        srcport=np.full(len(local), 40000),
        dstport=np.where(icmp, 0, low),
        icmp_type=np.where(icmp, low >> 8, -1),
        icmp_code=np.where(icmp, low & 255, -1),
    )
    verdicts = evaluate(snapshot, FlowTable.of(block))
    return verdicts.action, verdicts.reason == Reason.EXEMPT


def local_address(environment: Environment, interface_id: str, family: int) -> Address:
    """An address of the interface; one that nobody has if it has none of the family."""
    interface = environment.interfaces[interface_id]
    own = [address for address in interface.addresses if address.family == family]
    return own[0] if own else Address(family, 0x09090909)


def _column(family: int, values: list[int]) -> np.ndarray:
    if family == 4:
        return np.array(values, np.uint32)
    return np.array([(value >> 64, value & LOW) for value in values], np.uint64).reshape(-1, 2)
