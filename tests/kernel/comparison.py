"""What Linux saw against what a tracker of sgsim says."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from sgsim.engine import Snapshot
from sgsim.engine.tracking import Tracker as KernelTracker
from sgsim.model import Direction, Semantics
from sgsim.packets import PacketBatch
from sgsim.reference import Packet, Tracker
from sgsim.traffic import scan_packets
from sgsim.verdicts import Reason, Verdict
from tests.kernel.frames import ip_packet
from tests.kernel.wire import Act, Crossing, Scene

SECOND = 1_000_000_000
PCAP_NANOSECONDS, LINKTYPE_RAW = 0xA1B23C4D, 101


class Answer(NamedTuple):
    """What must be equal at one end; `rule_ids` is only told where the rules decided."""

    interface_id: str | None
    direction: Direction | None
    action: Verdict
    reason: Reason
    initiating: bool
    rule_ids: frozenset[str]


#: What sgsim says of the packets of one act, in order; one list of answers per packet, egress end first.
Said = list[list[Answer]]


def by_twin(scene: Scene, semantics: Semantics) -> Iterator[Said]:
    """The answers of the slow twin, act by act; its rules change between the acts as Linux's did."""
    tracker = Tracker(scene[0].environment, semantics)
    for act in scene:
        tracker.swap(act.environment)
        yield [_twin_step(tracker, crossing) for crossing in act.crossings]


def _twin_step(tracker: Tracker, crossing: Crossing) -> list[Answer]:
    return [
        Answer(
            end.interface_id,
            end.direction,
            end.action,
            end.reason,
            end.initiating,
            end.rule_ids if end.reason is Reason.RULE else frozenset(),
        )
        for end in tracker.step(crossing.packet, crossing.egress, crossing.ingress)
    ]


def by_kernels(scene: Scene, semantics: Semantics, capture: Path) -> Iterator[Said]:
    """The answers of reader, compiled rules and tracking kernel to captures of each act, written to that path.

    The tracker's snapshot is replaced between the acts as Linux's rules were.
    """
    tracker = KernelTracker(Snapshot.of(scene[0].environment, semantics))
    for number, act in enumerate(scene):
        if number:
            tracker.swap(Snapshot.of(act.environment, semantics))
        write_capture(act, capture)
        scan = scan_packets([capture])
        yield [answer for batch in scan for answer in _kernel_step(tracker, batch)]
        assert scan.counts[0].decoded == scan.counts[0].total == len(act.crossings), scan.counts


def write_capture(act: Act, path: Path) -> None:
    """The packets of an act as a capture without link layer, byte by byte as Linux saw them."""
    with path.open("wb") as file:
        file.write(struct.pack("=IHHiIII", PCAP_NANOSECONDS, 2, 4, 0, 0, 65535, LINKTYPE_RAW))
        for number, crossing in enumerate(act.crossings):
            data = ip_packet(crossing.packet, number & 0xFFFF)
            file.write(struct.pack("=IIII", *divmod(crossing.packet.time_ns, SECOND), len(data), len(data)) + data)


def _kernel_step(tracker: KernelTracker, batch: PacketBatch) -> list[list[Answer]]:
    """Answers of a batch; columns 0 are the egress end's."""
    tracked = tracker.step(batch)
    columns, rule_ids = tracker.answers(tracked.words), tracker.rule_ids
    names = [frozenset(rule_ids[rule] for rule in columns.sets[n]) for n in range(len(columns.sets))]
    interfaces = [tracker.store.interfaces(tracked.flow, end) for end in (0, 1)]

    def answer(row: int, end: int) -> Answer:
        reason = Reason(columns.reason[row, end])
        return Answer(
            tracker.interface_ids[interfaces[end][row]],
            (Direction.EGRESS, Direction.INGRESS)[end],
            Verdict(columns.action[row, end]),
            reason,
            bool(columns.initiating[row, end]),
            names[columns.match_set[row, end]] if reason is Reason.RULE else frozenset(),
        )

    return [[answer(row, end) for end in (0, 1) if columns.judged[row, end]] for row in range(len(batch))]


def differences(scene: Scene, said: Iterable[Said]) -> list[str]:
    """One paragraph for each packet, and each rule's counter, about which Linux and sgsim differ."""
    found: list[str] = []
    for number, (act, of_act) in enumerate(zip(scene, said, strict=True)):
        hits = {interface_id: Counter[str]() for interface_id in act.environment.interfaces}
        for crossing, answers in zip(act.crossings, of_act, strict=True):
            linux = [(a.interface_id, a.direction, a.action, a.reason, a.initiating) for a in crossing.answers]
            if linux != [tuple(answer[:5]) for answer in answers]:
                found.append(_story(scene, number, crossing, answers))
            for answer in answers:
                if answer.interface_id is not None:
                    hits[answer.interface_id].update(answer.rule_ids)
        for interface_id, counter in hits.items():
            if counter != (linux_counter := act.hits[interface_id]):
                found.append(
                    f"act {number}: rules of {interface_id} matched so many packets: "
                    f"Linux {dict(linux_counter - counter)} more, sgsim {dict(counter - linux_counter)} more"
                )
    return found


def _story(scene: Scene, number: int, crossing: Crossing, answers: list[Answer]) -> str:
    """A difference, and what went before between the same ends."""
    lines = [f"act {number}: {crossing.packet}"]
    lines += [f"    Linux: {end.interface_id} {end.direction.name} {end.mark!r}" for end in crossing.answers]
    lines += [f"    sgsim: {answer}" for answer in answers]
    for earlier in range(number + 1):
        for other in scene[earlier].crossings:
            if other is crossing:
                break
            if _ends(other.packet) == _ends(crossing.packet):
                marks = [end.mark.name if end.mark else "dropped" for end in other.answers]
                lines.append(f"      before, act {earlier}: {_brief(other.packet)} {' '.join(marks)}")
    return "\n".join(lines)


def _ends(packet: Packet) -> tuple[object, ...]:
    here, there = (packet.srcaddr, packet.srcport), (packet.dstaddr, packet.dstport)
    return packet.family, packet.protocol, packet.icmp_id, frozenset((here, there))


def _brief(packet: Packet) -> str:
    text = f"{packet.source}:{packet.srcport} > {packet.destination}:{packet.dstport} flags {packet.tcp_flags}"
    return text if packet.icmp_type is None else f"{text} icmp {packet.icmp_type}/{packet.icmp_code}"
