"""The wire between the interfaces of an account, played by Linux: one packet through both of its ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sgsim.model import Direction, Environment
from sgsim.reference import Packet
from sgsim.verdicts import Reason, Verdict
from tests.kernel.accounts import Account
from tests.kernel.lab import Host
from tests.kernel.nftables import Mark, ruleset

#: Between packets: the longest scene must end before the shortest timer, 10 s after a TCP connection began to close.
TICK_NS = 1_000_000

REASONS = {
    None: Reason.NO_RULE,
    Mark.OPENS: Reason.RULE,
    Mark.AGAIN: Reason.RULE,
    Mark.UNTRACKABLE: Reason.RULE,
    Mark.REPLY: Reason.TRACKED,
    Mark.RELATED: Reason.TRACKED,
    Mark.OUTLIVES: Reason.TRACKED,
}


class LinuxAnswer(NamedTuple):
    """What Linux did with a packet at one end; `mark` None means dropped."""

    interface_id: str
    direction: Direction
    mark: Mark | None

    @property
    def action(self) -> Verdict:
        """REJECT or ACCEPT."""
        return Verdict.REJECT if self.mark is None else Verdict.ACCEPT

    @property
    def reason(self) -> Reason:
        """RULE, TRACKED or NO_RULE."""
        return REASONS[self.mark]

    @property
    def initiating(self) -> bool:
        """Whether it is no reply to a live connection, and no error about one."""
        return self.mark not in (Mark.REPLY, Mark.RELATED)


class Crossing(NamedTuple):
    """A packet, its ends (None where nobody known has the address) and what Linux did with it, egress end first."""

    packet: Packet
    egress: str | None
    ingress: str | None
    answers: tuple[LinuxAnswer, ...]

    @property
    def delivered(self) -> bool:
        """Whether it passed both ends."""
        return all(answer.mark is not None for answer in self.answers)


@dataclass
class Act:
    """Traffic under one version of the rules as Linux saw it; `hits` counts, per interface, what each rule matched."""

    environment: Environment
    crossings: list[Crossing] = field(default_factory=list)
    hits: Mapping[str, Counter[str]] = field(default_factory=dict)


Scene = list[Act]
"""Acts of one account; connections live on from one act into the next."""


class Wire:
    """Carries packets between the interfaces of an account, one at a time, and notes what became of them."""

    def __init__(self, account: Account, hosts: Sequence[Host]) -> None:
        self.account = account
        self.packets = 0
        self._scene: Scene = []
        self._hosts = dict(zip(account.environment.interfaces, hosts))
        for host in self._hosts.values():
            host.forget()
        self._begin_act()

    def change(self, account: Account) -> None:
        """Replace the rules of all interfaces; connections stay."""
        self._end_act()
        self.account = account
        self._begin_act()

    def finish(self) -> Scene:
        """All that was seen."""
        self._end_act()
        return self._scene

    def _begin_act(self) -> None:
        self._scene.append(Act(self.account.environment))
        for interface_id, host in self._hosts.items():
            host.load(ruleset(self.account.environment, interface_id))

    def _end_act(self) -> None:
        self._scene[-1].hits = {interface_id: host.counters() for interface_id, host in self._hosts.items()}

    def send(self, packet: Packet) -> bool:
        """Send a packet through its ends; whether it was delivered.

        A packet that the receiver rejects leaves no state at the sender (design of sgsim: what is rejected at either
        end counts at neither). Linux cannot know that, so the wire tells the sender's namespace to forget.
        """
        owner = self.account.owner
        egress, ingress = owner(packet.source), owner(packet.destination)
        answers = []
        if egress is not None:
            answers.append(LinuxAnswer(egress, Direction.EGRESS, _mark(self._hosts[egress].leave(packet))))
        if ingress is not None and all(answer.mark is not None for answer in answers):
            answers.append(LinuxAnswer(ingress, Direction.INGRESS, _mark(self._hosts[ingress].arrive(packet))))
        crossing = Crossing(packet, egress, ingress, tuple(answers))
        if egress is not None and not crossing.delivered and answers[0].mark is Mark.OPENS:
            self._hosts[egress].forget(packet)
        self._scene[-1].crossings.append(crossing)
        self.packets += 1
        return crossing.delivered


def _mark(dscp: int | None) -> Mark | None:
    return None if dscp is None else Mark(dscp)
