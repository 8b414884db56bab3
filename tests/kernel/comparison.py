"""What Linux saw against what a tracker of sgsim says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sgsim.model import Direction, Semantics
from sgsim.reference import Packet, Tracker
from sgsim.verdicts import Reason, Verdict
from tests.kernel.wire import Crossing, Scene


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
