"""Flow-log records, connections and answers as the plain twin of their joining has them (`sgsim.reference.flowlog`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from sgsim.model import TCP, UDP, Address, Direction, NetworkInterface
from sgsim.packets import FRAGMENT_LATER, FRAGMENT_NONE
from sgsim.reference.exempt import holds
from sgsim.reference.packet import Packet, RuleAnswer
from sgsim.verdicts import Evidence, Reason, Verdict

FIN, SYN, RST, SYN_ACK = 1, 2, 4, 18
NEVER = 1 << 60
LARGEST_HEADERS = 100  # bytes: IPv6 and TCP with all options


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record; addresses as integers, None where the log does not say.

    `srcaddr` and `dstaddr` are the packets' own addresses (`pkt-…` where the log has them), `plain_src` and
    `plain_dst` what the log has without `pkt-`. Times are seconds.
    """

    family: int
    srcaddr: int
    dstaddr: int
    protocol: int
    srcport: int
    dstport: int
    start: int
    end: int
    interface_id: str | None = None
    direction: Direction | None = None
    tcp_flags: int | None = None
    vpc_id: str | None = None
    plain_src: int | None = None
    plain_dst: int | None = None
    packets: int | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class LogAnswer:
    """What is said of one record; interface and direction None where they are not known.

    `anew`: its TCP connection may have ended before a packet that is known, so that either side may have opened
    another.
    """

    interface_id: str | None
    direction: Direction | None
    action: Verdict
    reason: Reason
    rule_ids: frozenset[str] = frozenset()
    possible_rule_ids: frozenset[str] = frozenset()
    deciding_rule_id: str | None = None
    initiating: bool = True
    evidence: Evidence = Evidence.NONE
    anew: bool = False


class Life(IntEnum):
    """Whether a connection that the other direction opened still lets replies in."""

    DEAD = 0
    UNSURE = 1
    ALIVE = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds after which a quiet connection surely may be gone (`least`, half-open), surely is (`most`)."""

    half_open: int
    least: int
    most: int
    closing: int


@dataclass(slots=True)
class Side:
    """What one direction of a connection has shown so far: records that were not rejected."""

    opened: int = 0
    first_start: int = -1
    last_start: int = -1
    last_end: int = -1
    fin: int = -1
    data: bool = False


@dataclass(slots=True)
class LogConnection:
    """What is known of a connection at one interface; `close_from` … `close_to` is when it may have been closed."""

    sides: tuple[Side, Side] = field(default_factory=lambda: (Side(), Side()))
    close_from: int = NEVER
    close_to: int = -1
    closed: bool = False
    established: bool = False
    opener: int | None = None
    opener_rules: RuleAnswer | None = None
    evidence: Evidence = Evidence.NONE

    @property
    def quiet_since(self) -> int:
        """The end of the last record, -1 if there is none."""
        return max(side.last_end for side in self.sides)


@dataclass(frozen=True, slots=True)
class Placed:
    """A record at its interface, with what rules say: of itself, and of the other direction.

    `passes`: what becomes of packets like these at both ends by rules alone; `opens`: whether they open a connection
    that lets replies in (REJECT no, UNKNOWN maybe, ACCEPT surely); `reply_opens` the same for the other direction.
    """

    record: LogRecord
    interface: NetworkInterface
    direction: Direction
    rules: RuleAnswer
    reverse: RuleAnswer
    passes: Verdict
    opens: Verdict
    reverse_opens: Verdict

    @property
    def key(self) -> tuple[object, ...]:
        """What both directions of a connection share at the interface."""
        r = self.record
        near, far = (r.srcaddr, r.srcport), (r.dstaddr, r.dstport)
        if self.direction is Direction.INGRESS:
            near, far = far, near
        return (self.interface.interface_id, r.family, r.protocol, near, far)


def ports_say(protocol: int, srcport: int, dstport: int) -> int:
    """1 if the ports look like a client's packet, -1 like a server's, 0 if they do not tell.

    A service has a port below 1024, or one below 32768 where the other's is above.
    """
    if protocol not in (TCP, UDP):
        return 0
    rank = [0 if port < 1024 else 1 if port < 32768 else 2 for port in (srcport, dstport)]
    return (rank[0] > rank[1]) - (rank[0] < rank[1])


def direction_at(interface: NetworkInterface, record: LogRecord) -> Direction | None:
    """Which way a record goes, from whose addresses the interface has: what the log shows first, then `pkt-…`."""
    pairs = ((record.plain_src, record.plain_dst), (record.srcaddr, record.dstaddr))
    to_itself = False
    for source, destination in pairs:
        sent = source is not None and holds(interface, Address(record.family, source))
        received = destination is not None and holds(interface, Address(record.family, destination))
        if sent != received:
            return Direction.EGRESS if sent else Direction.INGRESS
        to_itself |= sent
    return Direction.EGRESS if to_itself else None


def packet_of(record: LogRecord, *, reversed_: bool = False) -> Packet:
    """A packet of the record, or of the other direction. TCP and UDP without ports is a later fragment."""
    ends = [(record.srcaddr, record.srcport), (record.dstaddr, record.dstport)]
    (srcaddr, srcport), (dstaddr, dstport) = reversed(ends) if reversed_ else ends
    fragment = FRAGMENT_LATER if is_fragment(record) else FRAGMENT_NONE
    return Packet(record.family, srcaddr, dstaddr, record.protocol, srcport, dstport, fragment=fragment)


def is_fragment(record: LogRecord) -> bool:
    return record.protocol in (TCP, UDP) and record.srcport == record.dstport == 0


def carries_data(record: LogRecord) -> bool:
    """Whether TCP segments with data are among the packets: more than headers, with all options, would take."""
    known = record.protocol == TCP and record.packets is not None and record.bytes is not None
    return known and (record.bytes or 0) > LARGEST_HEADERS * max(record.packets or 0, 0)


def pure_syn(flags: int | None) -> bool:
    """SYN and no SYN-ACK: this side asked for the connection."""
    return flags is not None and flags & SYN_ACK == SYN


def first_by_flags(here: int | None, back: Sequence[int | None]) -> int:
    """1 if this record's packets came first, -1 if the other direction's did, 0 if the flags do not tell.

    A SYN comes before the SYN-ACK or the RST that answers it.
    """
    if here is None or None in back:
        return 0
    there = 0
    for flags in back:
        there |= flags or 0
    if pure_syn(here) and (there & SYN_ACK == SYN_ACK or (there & RST and not there & SYN)):
        return 1
    if pure_syn(there) and (here & SYN_ACK == SYN_ACK or (here & RST and not here & SYN)):
        return -1
    return 0


def opener_of(ties: list[Placed]) -> tuple[int | None, Evidence, RuleAnswer | None]:
    """Who opened a connection that was not known before: direction, why, and the rules that let it in.

    None where both directions begin in one second and neither flags nor ports tell.
    """
    if not ties:
        return None, Evidence.NONE, None
    one = ties[0]
    same = [other for other in ties if other.direction is one.direction]
    back = [other for other in ties if other.direction is not one.direction]
    known = one.record.protocol == TCP and all(each.record.tcp_flags is not None for each in ties)
    if back:
        here = 0
        for each in same:
            here |= each.record.tcp_flags or 0
        first = first_by_flags(here, [each.record.tcp_flags for each in back]) if known else 0
        evidence = Evidence.SYN if first else Evidence.PORTS
        first = first or ports_of(one)
        if first == 0:
            return None, Evidence.NONE, None
        by = same if first == 1 else back
        return int(by[0].direction), evidence, by[0].rules
    flags = 0
    for each in same:
        flags |= each.record.tcp_flags or 0
    if known and flags & SYN_ACK == SYN_ACK:
        return int(opposite(one.direction)), Evidence.SYN_ACK, None
    return int(one.direction), Evidence.SYN if known and pure_syn(flags) else Evidence.ORDER, one.rules


def flags_of(one: Placed) -> int | None:
    """The TCP flags; None where the log does not tell or the protocol has none."""
    return one.record.tcp_flags if one.record.protocol == TCP else None


def ports_of(one: Placed) -> int:
    return ports_say(one.record.protocol, one.record.srcport, one.record.dstport)


def may_close(connection: LogConnection, start: int, end: int) -> None:
    connection.close_from = min(connection.close_from, start)
    connection.close_to = max(connection.close_to, end)


def maybe(verdict: Verdict) -> Verdict:
    return Verdict.REJECT if verdict is Verdict.REJECT else Verdict.UNKNOWN


def all_rules(rules: RuleAnswer) -> frozenset[str]:
    return rules.rule_ids | rules.possible_rule_ids


def by_rules(one: Placed, evidence: Evidence, *, initiating: bool = True) -> LogAnswer:
    """The rules of the record's own direction decide."""
    return LogAnswer(one.interface.interface_id, one.direction, *one.rules[:5], initiating, evidence)


def by_reverse(one: Placed, evidence: Evidence) -> LogAnswer:
    """A reply: the rules that let the other direction open the connection let it through."""
    rules = one.reverse
    return LogAnswer(
        one.interface.interface_id,
        one.direction,
        Verdict.ACCEPT,
        Reason.TRACKED,
        rules.rule_ids,
        frozenset(),
        rules.deciding_rule_id,
        False,
        evidence,
    )


def unknown(one: Placed, possible: frozenset[str]) -> LogAnswer:
    """It depends on what the log does not tell."""
    return LogAnswer(
        one.interface.interface_id,
        one.direction,
        Verdict.UNKNOWN,
        Reason.UNRESOLVED,
        possible_rule_ids=possible,
        initiating=ports_of(one) >= 0,
    )


def opposite(direction: Direction) -> Direction:
    return Direction.EGRESS if direction is Direction.INGRESS else Direction.INGRESS
