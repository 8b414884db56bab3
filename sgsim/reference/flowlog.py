"""Flow-log records in time: which way connections were opened, and what a capture's replay would say of each record.

A record is one direction of a connection during some interval: it tells when its first and its last packet came, to
the second, and which TCP flags were among them, nothing else. What follows surely from that is answered; everything
else is UNKNOWN, never a guess (docs/flow-logs.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from sgsim.model import ICMP, ICMPV6, TCP, UDP, Address, Direction, Environment, NetworkInterface, Semantics
from sgsim.model.facts import is_nitro_v6
from sgsim.reference.exempt import holds
from sgsim.reference.flowlog_records import (
    FIN,
    NEVER,
    RST,
    SYN,
    SYN_ACK,
    Life,
    Limits,
    LogAnswer,
    LogConnection,
    LogRecord,
    Placed,
    all_rules,
    by_reverse,
    by_rules,
    carries_data,
    direction_at,
    first_by_flags,
    flags_of,
    is_fragment,
    may_close,
    maybe,
    opener_of,
    opposite,
    packet_of,
    ports_of,
    pure_syn,
    unknown,
)
from sgsim.reference.packet import Packet, RuleAnswer, judge
from sgsim.verdicts import Evidence, Reason, Verdict, conjunction

__all__ = ["LogAnswer", "LogRecord", "judge_records"]


def judge_records(
    environment: Environment, semantics: Semantics, records: Sequence[LogRecord], *, likely: bool = False
) -> list[LogAnswer]:
    """One answer a record, in the given order; the records are looked at in the order of their start.

    `likely`: where records leave it open who began or whether a connection was still open, say what is likely.
    """
    twin = _LogTracker(environment, semantics, likely)
    order = sorted(range(len(records)), key=lambda n: records[n].start)
    answers: dict[int, LogAnswer] = {}
    for _, second in groupby(order, key=lambda n: records[n].start):
        numbers = list(second)
        answers.update(zip(numbers, twin.second([records[n] for n in numbers])))
    return [answers[n] for n in range(len(records))]


class _LogTracker:
    def __init__(self, environment: Environment, semantics: Semantics, likely: bool) -> None:
        self.environment, self.semantics, self.likely = environment, semantics, likely
        self.connections: dict[tuple[object, ...], LogConnection] = {}

    def second(self, records: Iterable[LogRecord]) -> list[LogAnswer]:
        """All records that start in one second: they do not tell in which order their packets came."""
        placed = [self.place(record) for record in records]
        ties: dict[tuple[object, ...], list[Placed]] = {}
        for one in placed:
            if isinstance(one, Placed) and one.passes is not Verdict.REJECT and not is_fragment(one.record):
                ties.setdefault(one.key, []).append(one)
        answers = [one if isinstance(one, LogAnswer) else self.answer(one, ties.get(one.key, [])) for one in placed]
        for key in ties:
            self.settle(key, ties[key])
        passed = [
            (one, answer)
            for one, answer in zip(placed, answers)
            if isinstance(one, Placed) and answer.action is not Verdict.REJECT and not is_fragment(one.record)
        ]
        for one, _ in passed:
            if one.opens:
                self.renew(one)
        for one, answer in passed:
            self.remember(one, answer)
        return [
            replace(answer, anew=True) if isinstance(one, Placed) and self.is_anew(one) else answer
            for one, answer in zip(placed, answers)
        ]

    def is_anew(self, one: Placed) -> bool:
        """Whether the connection may have closed, or idled away during the record, before its last known packet."""
        connection, limits, record = self.connections[one.key], self.limits(one), one.record
        ended = connection.close_from != NEVER and connection.quiet_since + 1 > connection.close_from + limits.closing
        return record.protocol == TCP and (ended or record.end + 1 - record.start > limits.least)

    # -- where -----------------------------------------------------------------------------------------------------

    def place(self, record: LogRecord) -> Placed | LogAnswer:
        """The interface and the direction; an answer where they are not known."""
        interface: NetworkInterface | None
        direction = record.direction
        if record.interface_id is not None:
            interface = self.environment.interfaces.get(record.interface_id)
            if interface is None:
                return LogAnswer(None, None, Verdict.UNKNOWN, Reason.NO_INTERFACE)
            if direction is None:
                direction = direction_at(interface, record)
            if direction is None:
                return LogAnswer(interface.interface_id, None, Verdict.UNKNOWN, Reason.UNRESOLVED)
            return self.placed(record, interface, direction)
        sender = self.holders(record, record.srcaddr, record.plain_src)
        receiver = self.holders(record, record.dstaddr, record.plain_dst)
        if direction is None:
            if sender and receiver:
                return LogAnswer(None, None, Verdict.UNKNOWN, Reason.AMBIGUOUS_INTERFACE)
            direction = Direction.EGRESS if sender else Direction.INGRESS
        found = sender if direction is Direction.EGRESS else receiver
        if len(found) != 1:
            reason = Reason.AMBIGUOUS_INTERFACE if found else Reason.NO_INTERFACE
            return LogAnswer(None, direction if found else None, Verdict.UNKNOWN, reason)
        return self.placed(record, found[0], direction)

    def holders(self, record: LogRecord, value: int, plain: int | None) -> list[NetworkInterface]:
        """Interfaces that have the packet's address, else the one that the log shows in its place."""
        for one in (value, plain):
            if one is None:
                continue
            address = Address(record.family, one)
            found = [i for i in self.environment.interfaces.values() if holds(i, address)]
            if record.vpc_id is not None:
                found = [i for i in found if i.vpc_id == record.vpc_id]
            if found:
                return found
        return []

    def placed(self, record: LogRecord, interface: NetworkInterface, direction: Direction) -> Placed:
        """What the rules say of the record and of the other direction, at this end and at the other one."""
        back = opposite(direction)
        there, answer = packet_of(record), packet_of(record, reversed_=True)
        rules = self.judge(interface, direction, there)
        reverse = self.judge(interface, back, answer)
        remote = there.remote(direction)
        passes = conjunction(rules.action, self.other_end(interface, remote, back, there))
        returns = conjunction(reverse.action, self.other_end(interface, remote, direction, answer))
        opens = self.opening(interface, record, rules, passes)
        reverse_opens = self.opening(interface, record, reverse, returns)
        return Placed(record, interface, direction, rules, reverse, passes, opens, reverse_opens)

    def judge(self, interface: NetworkInterface, direction: Direction, packet: Packet) -> RuleAnswer:
        return judge(self.environment, self.semantics, interface.interface_id, direction, packet)

    def other_end(self, interface: NetworkInterface, remote: Address, direction: Direction, packet: Packet) -> Verdict:
        """What the rules of the interface at the other end say; ACCEPT where none is known there."""
        holders = [i for i in self.environment.interfaces.values() if holds(i, remote)]
        near = [i for i in holders if i.vpc_id == interface.vpc_id] if interface.vpc_id is not None else []
        found = near or holders
        if not found:
            return Verdict.ACCEPT
        return Verdict.UNKNOWN if len(found) > 1 else self.judge(found[0], direction, packet).action

    def opening(self, interface: NetworkInterface, record: LogRecord, rules: RuleAnswer, passes: Verdict) -> Verdict:
        """Whether packets open a connection that lets replies in: ACCEPT surely, UNKNOWN maybe."""
        stateless = rules.reason is Reason.EXEMPT or (rules.reason is Reason.UNFILTERED and not interface.group_ids)
        if stateless or rules.untracked or passes is Verdict.REJECT or is_fragment(record):
            return Verdict.REJECT
        # A record does not say of which type ICMP is, and only requests open a connection.
        return Verdict.UNKNOWN if record.protocol in (ICMP, ICMPV6) else passes

    # -- what ------------------------------------------------------------------------------------------------------

    def answer(self, one: Placed, ties: list[Placed]) -> LogAnswer:
        connection = self.live(one)
        if one.rules.action is Verdict.ACCEPT:
            return self.answer_accepted(one, connection, ties)
        if is_fragment(one.record):
            return unknown(one, one.rules.rule_ids | one.rules.possible_rule_ids)
        icmp = one.record.protocol in (ICMP, ICMPV6)
        if icmp and self.semantics.icmp_errors == "related":
            return unknown(one, one.rules.possible_rule_ids or all_rules(one.reverse))
        if one.reverse_opens is Verdict.REJECT:
            return by_rules(one, Evidence.RULES)
        life = self.life(one, connection)
        if life is Life.ALIVE:
            return by_reverse(one, connection.evidence)
        back = [other for other in ties if other.direction is not one.direction]
        if back:
            return self.answer_tie(one, life, back)
        return self.answer_alone(one, life)

    def answer_tie(self, one: Placed, life: Life, back: list[Placed]) -> LogAnswer:
        """Both directions begin in the same second, and which came first decides."""
        first = first_by_flags(flags_of(one), [flags_of(other) for other in back])
        if first == -1 and one.reverse_opens is Verdict.ACCEPT:
            return by_reverse(one, Evidence.SYN)
        if first == 1 and life is Life.DEAD:
            return by_rules(one, Evidence.SYN)
        if self.likely and first == 0:
            if ports_of(one) == 1 and life is Life.DEAD:
                return by_rules(one, Evidence.PORTS)
            if one.reverse_opens is Verdict.ACCEPT:
                return by_reverse(one, Evidence.PORTS if ports_of(one) else Evidence.NONE)
        return unknown(one, one.rules.possible_rule_ids or all_rules(one.reverse))

    def answer_alone(self, one: Placed, life: Life) -> LogAnswer:
        """No record of the other direction begins in the same second, and none before surely let this one in."""
        flags = flags_of(one)
        if life is Life.DEAD:
            if flags is not None and pure_syn(flags):
                return by_rules(one, Evidence.SYN)
            if flags is None and ports_of(one) == 1:
                return by_rules(one, Evidence.PORTS)
        if self.likely and one.reverse_opens is Verdict.ACCEPT:
            answers = flags is not None and flags & SYN_ACK == SYN_ACK
            if life is Life.UNSURE or answers or ports_of(one) == -1:
                return by_reverse(one, Evidence.SYN_ACK if answers else Evidence.PORTS)
        if self.likely and one.record.protocol not in (ICMP, ICMPV6):
            return by_rules(one, Evidence.NONE)
        return unknown(one, one.rules.possible_rule_ids or all_rules(one.reverse))

    def answer_accepted(self, one: Placed, connection: LogConnection, ties: list[Placed]) -> LogAnswer:
        """The rules accept it whoever began; that only says which rules are named."""
        if one.rules.reason is not Reason.RULE or (is_fragment(one.record) and not self.is_midstream(one)):
            return by_rules(one, Evidence.RULES)
        if is_fragment(one.record):
            return unknown(one, one.rules.rule_ids)
        if one.record.protocol in (ICMP, ICMPV6) and self.semantics.icmp_errors == "related":
            return by_rules(one, Evidence.NONE)  # an error would pass with its connection
        opener, evidence, rules = connection.opener, connection.evidence, connection.opener_rules
        if opener is None:
            opener, evidence, rules = opener_of(ties)
        if self.is_midstream(one) and not self.surely_open(one, connection):
            return unknown(one, one.rules.rule_ids)
        if opener is None or opener == one.direction:
            return by_rules(one, evidence)
        sure = one.reverse_opens is Verdict.ACCEPT and rules is not None
        if sure:
            return by_reverse(one, evidence)
        return by_rules(one, evidence, initiating=False)

    def is_midstream(self, one: Placed) -> bool:
        """A TCP record without SYN, under semantics where such packets need a connection."""
        return (
            self.semantics.tcp_midstream == "reject"
            and one.record.protocol == TCP
            and not pure_syn(one.record.tcp_flags)
        )

    def surely_open(self, one: Placed, connection: LogConnection) -> bool:
        return Life.ALIVE in (
            self.life(one, connection),
            self.life(one, connection, opener=one.direction),
        )

    # -- memory ----------------------------------------------------------------------------------------------------

    def live(self, one: Placed) -> LogConnection:
        """What is remembered of the connection; one that is surely gone is a new one."""
        connection = self.connections.get(one.key)
        if connection is None or self.is_gone(one, connection):
            connection = self.connections[one.key] = LogConnection()
        return connection

    def is_gone(self, one: Placed, connection: LogConnection) -> bool:
        quiet, limits, now = connection.quiet_since, self.limits(one), one.record.start
        if quiet < 0:
            return True
        return now > quiet + 1 + limits.most or (connection.closed and now > quiet + 1 + limits.closing)

    def life(self, one: Placed, connection: LogConnection, opener: Direction | None = None) -> Life:
        """Whether replies are let in at the second in which the record begins."""
        opener = opposite(one.direction) if opener is None else opener
        side, limits, now = connection.sides[opener], self.limits(one), one.record.start
        if not side.opened:
            return Life.DEAD
        seen = side.last_end if side.last_end < now else side.last_start
        answered = connection.sides[opposite(opener)].first_start
        established = connection.established or -1 < answered < seen or (side.data and -1 < answered <= seen)
        least = limits.least if established else limits.half_open
        # A SYN on a connection that is closing asks for a new one, and where flags are not told any packet may be one.
        may_ask = one.record.protocol == TCP and (one.record.tcp_flags is None or one.record.tcp_flags & SYN)
        closing = 0 if may_ask else limits.closing
        sure = side.opened == 2 and now + 1 <= connection.close_from + closing and now + 1 - seen <= least
        return Life.ALIVE if sure else Life.UNSURE

    def settle(self, key: tuple[object, ...], ties: list[Placed]) -> None:
        """Note who began, once for a connection."""
        connection = self.connections[key]
        if connection.opener is None:
            connection.opener, connection.evidence, connection.opener_rules = opener_of(ties)

    def renew(self, one: Placed) -> None:
        """A record that opens connections: what was known of one that may have ended before holds no more."""
        connection, record, limits = self.connections[one.key], one.record, self.limits(one)
        if -1 < connection.close_to < record.start - limits.closing - 1:
            connection.close_from, connection.close_to, connection.closed = NEVER, -1, False
            for side in connection.sides:
                side.fin = -1
        if self.life(one, connection, one.direction) is not Life.ALIVE:
            connection.established = False
            for side in connection.sides:
                side.first_start, side.data = -1, False
        told = record.protocol == TCP and record.tcp_flags is not None
        if told and not (record.tcp_flags or 0) & SYN and connection.quiet_since < 0:
            connection.established = True

    def remember(self, one: Placed, answer: LogAnswer) -> None:
        """Take note of a record that was not rejected. The order of those of one second makes no difference."""
        connection, record = self.connections[one.key], one.record
        side = connection.sides[one.direction]
        opens = one.opens
        if self.is_midstream(one) and answer.action is not Verdict.ACCEPT:
            opens = maybe(opens)
        # Once it rests on a maybe it stays so: order within a second must not matter.
        if opens is Verdict.UNKNOWN or (opens is Verdict.ACCEPT and side.opened == 0):
            side.opened = 1 if opens is Verdict.UNKNOWN else 2
        side.last_start, side.last_end = record.start, max(side.last_end, record.end)
        if side.first_start < 0:
            side.first_start = record.start
        side.data |= carries_data(record)
        self.note_closing(connection, one, answer)

    def note_closing(self, connection: LogConnection, one: Placed, answer: LogAnswer) -> None:
        """RST, or FIN of both directions; where nobody tells of flags, any record may have closed it."""
        record, side = one.record, connection.sides[one.direction]
        sure = answer.action is Verdict.ACCEPT
        if record.protocol == TCP:
            flags = record.tcp_flags
            if flags is None or flags & RST or (flags & FIN and not sure):
                may_close(connection, record.start, record.end)
                connection.closed |= bool(flags and flags & RST and sure)
            elif flags & FIN and side.fin < 0:
                side.fin = record.start
            if all(each.fin >= 0 for each in connection.sides):
                may_close(connection, max(each.fin for each in connection.sides), connection.quiet_since)
                connection.closed = True
        elif record.protocol not in (UDP, ICMP, ICMPV6) and not self.semantics.other_protocol_refresh:
            may_close(connection, record.start, record.end)

    def limits(self, one: Placed) -> Limits:
        """Idle times of this kind of connection at this interface (§2.3)."""
        semantics, timeouts = self.semantics, one.interface.timeouts
        if one.record.protocol == TCP:
            nitro = is_nitro_v6(one.interface.instance_type)
            default = semantics.tcp_established_timeout_nitro_v6 if nitro else semantics.tcp_established_timeout
            idle = default if timeouts.tcp_established is None else timeouts.tcp_established
            half_open = semantics.tcp_half_open_timeout
            return Limits(min(half_open, idle), idle, max(half_open, idle), semantics.tcp_closing_timeout)
        if one.record.protocol == UDP:
            single = semantics.udp_timeout if timeouts.udp is None else timeouts.udp
            stream = semantics.udp_stream_timeout if timeouts.udp_stream is None else timeouts.udp_stream
            return Limits(min(single, stream), min(single, stream), max(single, stream), 0)
        if one.record.protocol in (ICMP, ICMPV6):
            idle = semantics.icmp_timeout
            return Limits(idle, idle, idle, 0)
        idle = semantics.other_protocol_timeout
        return Limits(idle, idle, idle, idle)
