"""Generated networks and traffic, counted; and the same by plain loops over the twin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sgsim.analysis.usage import Usage
from sgsim.analysis.usage_counts import RuleUse, UseCounter
from sgsim.engine import Snapshot, replay
from sgsim.engine.replay import ReplayOptions
from sgsim.flows import AMBIGUOUS
from sgsim.model import Address, Direction, Environment, Semantics
from sgsim.packets import FRAGMENT_LATER, PacketBatch
from sgsim.reference import Packet, Tracker, judge
from sgsim.reference.exempt import holds
from sgsim.reference.tracking import EndAnswer
from sgsim.verdicts import Reason, Verdict
from tests.strategies import packet_batch, random_environment, random_packets, random_semantics

#: A flow at one end: interface, direction, family, addresses, protocol, ports, ICMP type and code (§9.4).
FlowEnd = tuple[object, ...]


@dataclass(frozen=True)
class Case:
    """A network, its traffic, and what both ends of every packet are."""

    environment: Environment
    semantics: Semantics
    packets: list[Packet]
    ends: list[tuple[object, object]]
    batch: PacketBatch


def generated(seed: int, n: int = 250) -> Case:
    """Traffic whose ends are found by address alone, as in a capture without Ethernet addresses."""
    environment, semantics = random_environment(seed), random_semantics(seed)
    packets = [step.packet for step in random_packets(environment, seed, n)]
    batch = packet_batch(packets)
    batch.length[:] = np.random.default_rng(seed).integers(20, 1500, len(batch))
    ends = [(holder(environment, packet.source), holder(environment, packet.destination)) for packet in packets]
    return Case(environment, semantics, packets, ends, batch)


def holder(environment: Environment, address: Address) -> object:
    """The one interface that has the address as a private one or in a prefix, None, or AMBIGUOUS."""
    found = [name for name, interface in environment.interfaces.items() if holds(interface, address)]
    return AMBIGUOUS if len(found) > 1 else found[0] if found else None


def counted(case: Case, **options: object) -> tuple[Snapshot, RuleUse]:
    """Use of rules by the engine."""
    snapshot = Snapshot.of(case.environment, case.semantics)
    counter = UseCounter(len(snapshot.tables.rule_ids), len(snapshot.tables.interface_ids))
    for verdicts in replay(snapshot, [case.batch], ReplayOptions(apart=True, **options)):  # type: ignore[arg-type]
        counter.add(verdicts)
    return snapshot, counter.use()


def measured(case: Case) -> Usage:
    return Usage.of(*counted(case))


def answers(case: Case, environment: Environment) -> list[list[EndAnswer]]:
    """What the twin says of every packet under an environment, by plain loops."""
    tracker = Tracker(environment, case.semantics)
    return [tracker.step(packet, *ends) for packet, ends in zip(case.packets, case.ends)]  # type: ignore[arg-type]


@dataclass
class PlainUse:
    """Use of one rule, counted packet by packet."""

    flows: set[FlowEnd]
    packets: int = 0
    bytes: int = 0
    first: int | None = None
    last: int = 0
    peers: set[tuple[int, int]] | None = None


def plain_use(case: Case, answered: list[list[EndAnswer]]) -> tuple[dict[str, PlainUse], dict[FlowEnd, Packet]]:
    """Rule id → use; and a packet of every flow end that a rule let open its connection."""
    use: dict[str, PlainUse] = {}
    openers: dict[FlowEnd, Packet] = {}
    for n, (packet, both) in enumerate(zip(case.packets, answered)):
        for answer in both:
            if answer.action is not Verdict.ACCEPT or answer.reason is not Reason.RULE or not answer.initiating:
                continue
            assert answer.direction is not None
            end = flow_end(packet, answer)
            if end not in openers and allowed(case, case.environment, end, packet):
                openers[end] = packet  # not a later fragment that only its first one's answer lets in (§9.15)
            remote = packet.remote(answer.direction)
            for rule_id in answer.rule_ids:
                mine = use.setdefault(rule_id, PlainUse(set(), peers=set()))
                mine.flows.add(end)
                mine.packets += 1
                mine.bytes += int(case.batch.length[n])
                mine.first = packet.time_ns if mine.first is None else min(mine.first, packet.time_ns)
                mine.last = max(mine.last, packet.time_ns)
                assert mine.peers is not None
                mine.peers.add((remote.family, remote.value))
    return use, openers


def flow_end(packet: Packet, answer: EndAnswer) -> FlowEnd:
    return (
        answer.interface_id, answer.direction, packet.family, packet.srcaddr, packet.dstaddr, packet.protocol,
        packet.srcport, packet.dstport, packet.icmp_type, packet.icmp_code, packet.fragment == FRAGMENT_LATER,
    )  # fmt: skip


def allowed(case: Case, environment: Environment, end: FlowEnd, packet: Packet) -> bool:
    """Whether the rules of an environment alone accept the packet at that end."""
    interface_id, direction = end[:2]
    assert isinstance(interface_id, str) and isinstance(direction, Direction)
    return judge(environment, case.semantics, interface_id, direction, packet).action is Verdict.ACCEPT
