"""Connections as one interface remembers them: keys, life cycles, timeouts (docs/semantics.md §2, §9.10 to §9.13)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from sgsim.model import ICMP, ICMPV6, TCP, UDP, Direction, NetworkInterface, Semantics
from sgsim.model.facts import is_nitro_v6
from sgsim.reference.packet import Packet, RuleAnswer

__all__ = ["Connection", "Phase", "connection_key", "is_alive", "is_syn", "opens_connection", "quoted_key"]

FIN, SYN, RST, ACK = 1, 2, 4, 16
SECOND = 1_000_000_000

#: ICMP query messages: request → reply (§9.13).
QUERY_PAIRS = {ICMP: {8: 0, 13: 14, 15: 16, 17: 18}, ICMPV6: {128: 129}}


class Phase(Enum):
    """Where a TCP connection is in its life (§9.12)."""

    HALF_OPEN = "half-open"
    ESTABLISHED = "established"
    CLOSING = "closing"


@dataclass(slots=True)
class Connection:
    """What one interface remembers of one connection.

    `initiator` is the direction of the packet that opened it. `maybe`: it exists only if an UNKNOWN packet passed.
    `untracked`: only the direction is remembered, its replies are judged by rules. `rule_ids` and `deciding_rule_id`
    let the opening packet through, `possible_rule_ids` may have. Times are nanoseconds.
    """

    protocol: int
    initiator: Direction
    opened_ns: int
    last_ns: int
    maybe: bool
    untracked: bool
    rule_ids: frozenset[str]
    possible_rule_ids: frozenset[str]
    deciding_rule_id: str | None
    phase: Phase = Phase.ESTABLISHED
    closed_ns: int = 0
    replied: bool = False
    stream: bool = False
    fins: set[Direction] = field(default_factory=set)

    @classmethod
    def opened_by(cls, packet: Packet, direction: Direction, answer: RuleAnswer, *, maybe: bool) -> Connection:
        """A new connection; `answer` is what the rules of this end say of the packet that opens it."""
        connection = cls(
            protocol=packet.protocol,
            initiator=direction,
            opened_ns=packet.time_ns,
            last_ns=packet.time_ns,
            maybe=maybe,
            untracked=answer.untracked,
            rule_ids=answer.rule_ids,
            possible_rule_ids=answer.possible_rule_ids,
            deciding_rule_id=answer.deciding_rule_id,
        )
        if packet.protocol == TCP:
            connection.phase = Phase.HALF_OPEN if is_syn(packet) else Phase.ESTABLISHED
            connection.note_closing(packet, direction)
        return connection

    def resting_on(self, answer: RuleAnswer, *, maybe: bool) -> None:
        """Let the connection rest on another packet's rules; its life cycle goes on."""
        self.maybe, self.untracked = maybe, answer.untracked
        self.rule_ids, self.possible_rule_ids = answer.rule_ids, answer.possible_rule_ids
        self.deciding_rule_id = answer.deciding_rule_id

    def reopens(self, packet: Packet) -> bool:
        """Whether a reply that its own rules accept opens a sure connection in place of this one (§9.2)."""
        return self.maybe and not self.untracked and self.phase is not Phase.CLOSING and opens_connection(packet)

    def advance(self, packet: Packet, direction: Direction) -> None:
        """Take note of a packet that was rejected at neither end and belongs to this connection."""
        self.last_ns = packet.time_ns
        if self.protocol == TCP:
            self.note_closing(packet, direction)
        if direction is not self.initiator:
            self.replied = True
        elif self.replied:
            self.stream = True
            if self.phase is Phase.HALF_OPEN:
                self.phase = Phase.ESTABLISHED

    def note_closing(self, packet: Packet, direction: Direction) -> None:
        """The first RST, or the second direction's FIN, starts the closing time; later ones do not prolong it."""
        if packet.tcp_flags & FIN:
            self.fins.add(direction)
        if self.phase is not Phase.CLOSING and (packet.tcp_flags & RST or len(self.fins) == 2):
            self.phase, self.closed_ns = Phase.CLOSING, packet.time_ns


def is_alive(connection: Connection, now_ns: int, semantics: Semantics, interface: NetworkInterface) -> bool:
    """Whether the connection is still remembered; a packet exactly at the limit is (§9.11)."""
    timeouts = interface.timeouts
    since, seconds = connection.last_ns, semantics.other_protocol_timeout
    if connection.protocol == TCP:
        if connection.phase is Phase.CLOSING:
            since, seconds = connection.closed_ns, semantics.tcp_closing_timeout
        elif connection.phase is Phase.HALF_OPEN:
            seconds = semantics.tcp_half_open_timeout
        elif timeouts.tcp_established is not None:
            seconds = timeouts.tcp_established
        elif is_nitro_v6(interface.instance_type):
            seconds = semantics.tcp_established_timeout_nitro_v6
        else:
            seconds = semantics.tcp_established_timeout
    elif connection.protocol == UDP:
        if connection.stream:
            seconds = semantics.udp_stream_timeout if timeouts.udp_stream is None else timeouts.udp_stream
        else:
            seconds = semantics.udp_timeout if timeouts.udp is None else timeouts.udp
    elif connection.protocol in QUERY_PAIRS:
        seconds = semantics.icmp_timeout
    elif not semantics.other_protocol_refresh:
        since = connection.opened_ns
    return now_ns - since <= seconds * SECOND


def is_syn(packet: Packet) -> bool:
    """Whether a TCP packet asks for a new connection: SYN without ACK, RST or FIN (§9.12)."""
    return packet.protocol == TCP and packet.tcp_flags & (FIN | SYN | RST | ACK) == SYN


def opens_connection(packet: Packet) -> bool:
    """Whether a packet without a connection opens one: all but ICMP that is no request (§9.13)."""
    return packet.protocol not in QUERY_PAIRS or packet.icmp_type in QUERY_PAIRS[packet.protocol]


def connection_key(packet: Packet, direction: Direction) -> tuple[object, ...] | None:
    """What makes packets at one interface one connection (§2.1, §9.10, §9.13); None for ICMP that is no query.

    TCP and UDP: both addresses and ports. ICMP: addresses, identifier, query pair and the request's direction.
    Other protocols: addresses and protocol number.
    """
    local, remote = packet.dstaddr, packet.srcaddr
    local_port, remote_port = packet.dstport, packet.srcport
    if direction is Direction.EGRESS:
        local, remote, local_port, remote_port = remote, local, remote_port, local_port
    head = (packet.family, packet.protocol, local, remote)
    if packet.protocol in (TCP, UDP):
        return (*head, local_port, remote_port)
    if packet.protocol not in QUERY_PAIRS:
        return head
    for request, reply in QUERY_PAIRS[packet.protocol].items():
        if packet.icmp_type == request:
            return (*head, packet.icmp_id, request, direction)
        if packet.icmp_type == reply:
            return (*head, packet.icmp_id, request, opposite(direction))
    return None


def quoted_key(packet: Packet, direction: Direction) -> tuple[object, ...] | None:
    """The key of the connection that an ICMP error is about, at the interface where the error is seen (§9.13).

    The quoted packet went the other way, and the error goes to its sender; None where that is not so.
    """
    if packet.quote is None or not is_icmp_error(packet):
        return None
    quote = packet.quote
    if quote.family != packet.family or quote.srcaddr != packet.dstaddr:
        return None
    return connection_key(quote, opposite(direction))


def is_icmp_error(packet: Packet) -> bool:
    """Destination unreachable, source quench, redirect, time exceeded, parameter problem; ICMPv6 types 1 to 4."""
    if packet.protocol == ICMP:
        return packet.icmp_type in (3, 4, 5, 11, 12)
    return packet.protocol == ICMPV6 and packet.icmp_type in (1, 2, 3, 4)


def opposite(direction: Direction) -> Direction:
    """The other direction."""
    return Direction.EGRESS if direction is Direction.INGRESS else Direction.INGRESS
