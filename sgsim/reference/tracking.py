"""Packets in time: both ends, connections, fragments (docs/semantics.md §2, §9.1 to §9.3, §9.10 to §9.15)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sgsim.flows import AMBIGUOUS
from sgsim.model import TCP, Direction, Environment, Semantics
from sgsim.packets import FRAGMENT_FIRST
from sgsim.reference.connections import (
    SECOND,
    Connection,
    Phase,
    connection_key,
    is_alive,
    is_syn,
    opens_connection,
    quoted_key,
)
from sgsim.reference.packet import Packet, RuleAnswer, judge
from sgsim.verdicts import Reason, Verdict

__all__ = ["End", "EndAnswer", "Tracker"]

#: An interface id, None where no interface is known, AMBIGUOUS where several could be meant.
End = str | int | None

REJECTED = RuleAnswer(Verdict.REJECT, Reason.NO_RULE)


class EndAnswer(NamedTuple):
    """What happens to one packet at one end.

    `initiating`: it is no reply to a connection that is remembered (§9.3). Interface and direction are None where
    neither end is known; the interface alone is None where several could be meant.
    """

    interface_id: str | None
    direction: Direction | None
    action: Verdict
    reason: Reason
    rule_ids: frozenset[str] = frozenset()
    possible_rule_ids: frozenset[str] = frozenset()
    deciding_rule_id: str | None = None
    initiating: bool = True


@dataclass(slots=True)
class Sight:
    """One end's answer to one packet, and what the end will remember if the packet is rejected nowhere.

    `rules` is what the rules alone say; `key` names the connection, None for a packet that touches no state;
    `connection` is the live one that the packet belongs to.
    """

    answer: EndAnswer
    rules: RuleAnswer | None = None
    key: tuple[object, ...] | None = None
    connection: Connection | None = None


class Tracker:
    """Judges packets one after the other, in time order, remembering connections per interface."""

    def __init__(self, environment: Environment, semantics: Semantics | None = None) -> None:
        self.environment = environment
        self.semantics = semantics if semantics is not None else Semantics()
        self._connections: dict[tuple[object, ...], Connection] = {}
        self._first_fragments: dict[tuple[object, ...], tuple[int, EndAnswer]] = {}

    def swap(self, environment: Environment) -> None:
        """Go on under another environment; what is remembered is kept (§2.2)."""
        self.environment = environment

    def step(self, packet: Packet, egress: End, ingress: End) -> list[EndAnswer]:
        """Judge one packet at the sender's interface, then at the receiver's.

        Returns one answer for each end that is known or ambiguous, the sender's first; only the sender's if that
        rejects (§9.1); one NO_INTERFACE answer if neither end is known.
        """
        if egress is None and ingress is None:
            return [EndAnswer(None, None, Verdict.UNKNOWN, Reason.NO_INTERFACE)]
        sights: list[Sight] = []
        for end, direction in ((egress, Direction.EGRESS), (ingress, Direction.INGRESS)):
            if end is None:
                continue
            sights.append(self._look(packet, end, direction))
            if sights[-1].answer.action is Verdict.REJECT:
                break
        actions = {sight.answer.action for sight in sights}
        if Verdict.REJECT not in actions:
            for sight in sights:
                self._remember(packet, sight, maybe=Verdict.UNKNOWN in actions)
        return [sight.answer for sight in sights]

    # -- one end ---------------------------------------------------------------------------------------------------

    def _look(self, packet: Packet, end: End, direction: Direction) -> Sight:
        """The answer of one end; nothing is remembered yet but first fragments, whatever becomes of them."""
        if end == AMBIGUOUS:
            return Sight(EndAnswer(None, direction, Verdict.UNKNOWN, Reason.AMBIGUOUS_INTERFACE))
        assert isinstance(end, str)
        memory = (end, direction, packet.family, packet.srcaddr, packet.dstaddr, packet.protocol, packet.ip_id)
        if packet.later_fragment:
            return self._look_at_later_fragment(packet, end, direction, memory)
        sight = self._look_at_whole(packet, end, direction)
        if packet.fragment == FRAGMENT_FIRST:
            self._first_fragments[memory] = (packet.time_ns, sight.answer)
        return sight

    def _look_at_later_fragment(
        self, packet: Packet, end: str, direction: Direction, memory: tuple[object, ...]
    ) -> Sight:
        """The first fragment's answer if it was seen, else the rules alone (§9.15)."""
        if self.semantics.fragments == "first" and memory in self._first_fragments:
            seen_ns, answer = self._first_fragments[memory]
            if packet.time_ns - seen_ns <= self.semantics.fragment_timeout * SECOND:
                return Sight(answer)
        return Sight(by_rules(end, direction, self._judge(packet, end, direction)))

    def _look_at_whole(self, packet: Packet, end: str, direction: Direction) -> Sight:
        rules = self._judge(packet, end, direction)
        if rules.reason is Reason.EXEMPT or (rules.reason is Reason.UNFILTERED and not self._carries_groups(end)):
            return Sight(by_rules(end, direction, rules))
        key = connection_key(packet, direction)
        if key is None:
            return self._look_at_stateless_icmp(packet, end, direction, rules)
        key = (end, *key)
        connection = self._live(key, packet.time_ns, end)
        if connection is not None and connection.phase is Phase.CLOSING and is_syn(packet):
            connection = None  # a new connection on the ports of one that is ending (§9.12)
        if connection is None:
            if packet.protocol == TCP and not is_syn(packet) and self.semantics.tcp_midstream == "reject":
                rules = rules if rules.reason is Reason.UNFILTERED else REJECTED
            return Sight(by_rules(end, direction, rules), rules, key)
        return Sight(on_connection(end, direction, rules, connection), rules, key, connection)

    def _look_at_stateless_icmp(self, packet: Packet, end: str, direction: Direction, rules: RuleAnswer) -> Sight:
        """ICMP that is no query: by rules, or as part of the connection that an error quotes (§9.13)."""
        key = quoted_key(packet, direction)
        if self.semantics.icmp_errors == "related" and key is not None and rules.reason is not Reason.UNFILTERED:
            connection = self._live((end, *key), packet.time_ns, end)
            if connection is not None and not connection.untracked:
                return Sight(as_reply(end, direction, rules, connection))
        return Sight(by_rules(end, direction, rules))

    def _judge(self, packet: Packet, end: str, direction: Direction) -> RuleAnswer:
        return judge(self.environment, self.semantics, end, direction, packet)

    def _carries_groups(self, end: str) -> bool:
        return bool(self.environment.interfaces[end].group_ids)

    def _live(self, key: tuple[object, ...], now_ns: int, end: str) -> Connection | None:
        connection = self._connections.get(key)
        if connection is None or not is_alive(connection, now_ns, self.semantics, self.environment.interfaces[end]):
            return None
        return connection

    # -- memory ----------------------------------------------------------------------------------------------------

    def _remember(self, packet: Packet, sight: Sight, *, maybe: bool) -> None:
        """Open, refresh or close state at one end, for a packet that was rejected at neither (§9.1)."""
        if sight.key is None or sight.rules is None:
            return
        direction = sight.answer.direction
        assert direction is not None
        rules, connection = sight.rules, sight.connection
        if connection is None:
            if opens_connection(packet):
                self._connections[sight.key] = Connection.opened_by(packet, direction, rules, maybe=maybe)
            return
        if is_syn(packet) and connection.phase is Phase.ESTABLISHED:
            return  # changes nothing (§9.12)
        accepted = rules.action is Verdict.ACCEPT
        if direction is connection.initiator:
            if accepted and (connection.untracked or (connection.maybe and not maybe)):
                connection.resting_on(rules, maybe=maybe)
        elif accepted and not maybe and connection.reopens(packet):
            self._connections[sight.key] = Connection.opened_by(packet, direction, rules, maybe=False)
            return
        connection.advance(packet, direction)


def by_rules(end: str, direction: Direction, rules: RuleAnswer, *, initiating: bool = True) -> EndAnswer:
    """The answer where the rules of the packet's own direction decide."""
    return EndAnswer(end, direction, *rules[:5], initiating)


def on_connection(end: str, direction: Direction, rules: RuleAnswer, connection: Connection) -> EndAnswer:
    """The answer to a packet of a live connection (§9.3)."""
    initiating = direction is connection.initiator
    if connection.untracked or rules.reason is Reason.UNFILTERED:
        return by_rules(end, direction, rules, initiating=initiating)
    if not initiating:
        return as_reply(end, direction, rules, connection)
    if rules.action is Verdict.ACCEPT or (rules.action is Verdict.UNKNOWN and connection.maybe):
        return by_rules(end, direction, rules)
    return by_state(end, direction, connection, initiating=True)


def as_reply(end: str, direction: Direction, rules: RuleAnswer, connection: Connection) -> EndAnswer:
    """A reply: let through by the connection, or, where that is only a maybe, by its own rules if they can (§9.2)."""
    if connection.maybe and rules.action is Verdict.ACCEPT:
        return by_rules(end, direction, rules)
    return by_state(end, direction, connection, initiating=False)


def by_state(end: str, direction: Direction, connection: Connection, *, initiating: bool) -> EndAnswer:
    """The answer where the connection lets the packet through, surely or maybe."""
    if connection.maybe:
        possible = connection.rule_ids | connection.possible_rule_ids
        return EndAnswer(end, direction, Verdict.UNKNOWN, Reason.UNRESOLVED, frozenset(), possible, None, initiating)
    return EndAnswer(
        end,
        direction,
        Verdict.ACCEPT,
        Reason.TRACKED,
        connection.rule_ids,
        frozenset(),
        connection.deciding_rule_id,
        initiating,
    )
