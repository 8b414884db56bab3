"""Records as values, as batches of the reader, and as a capture's replay would log them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from sgsim.engine import Snapshot
from sgsim.engine.logs import LogOptions, LogReplay, replay_logs
from sgsim.flows import AMBIGUOUS, NO_INTERFACE
from sgsim.model import ICMP, ICMPV6, TCP, Direction, Environment, Semantics
from sgsim.reference import Packet, Tracker
from sgsim.reference.exempt import holds
from sgsim.reference.flowlog import LogAnswer, LogRecord
from sgsim.traffic.flowlogs import FlowLogBatch, Ids, Silences
from sgsim.verdicts import Evidence, Reason, Verdict

SECOND = 1_000_000_000
SYN_ACK = 18
LOW = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Logged:
    """A record of a capture's replay and its verdict there."""

    record: LogRecord
    action: Verdict


def batch_of(records: Sequence[LogRecord], recorded: Sequence[int] | None = None) -> FlowLogBatch:
    """The batch that the reader would make of a log with these records."""
    n = len(records)

    def ids(names: Sequence[str | None]) -> Ids:
        known = sorted({name for name in names if name is not None})
        return Ids(np.array([known.index(name) if name is not None else -1 for name in names], np.int32), known)

    def numbers(values: Iterable[Any], dtype: Any) -> Any:
        return np.array(list(values), dtype)

    columns: dict[str, Any] = {}
    for end, plain, own in (("src", "plain_src", "srcaddr"), ("dst", "plain_dst", "dstaddr")):
        for prefix, attribute in (("", plain), ("pkt_", own)):
            values = [getattr(record, attribute) for record in records]
            families = [record.family if value is not None else 0 for record, value in zip(records, values)]
            columns[f"{prefix}{end}_family"] = numbers(families, np.uint8)
            columns[f"{prefix}{end}_hi"] = numbers(((value or 0) >> 64 for value in values), np.uint64)
            columns[f"{prefix}{end}_lo"] = numbers(((value or 0) & LOW for value in values), np.uint64)
    none = Ids(np.full(n, -1, np.int32), [])
    empty = Ids(np.empty(0, np.int32), [])
    no_time, no_status = np.empty(0, np.int64), np.empty(0, np.uint8)
    return FlowLogBatch(
        fields=frozenset(),
        **columns,
        srcport=numbers((record.srcport for record in records), np.uint16),
        dstport=numbers((record.dstport for record in records), np.uint16),
        protocol=numbers((record.protocol for record in records), np.uint8),
        packets=numbers((-1 if record.packets is None else record.packets for record in records), np.int64),
        bytes=numbers((-1 if record.bytes is None else record.bytes for record in records), np.int64),
        start=numbers((record.start for record in records), np.int64),
        end=numbers((record.end for record in records), np.int64),
        tcp_flags=numbers((-1 if r.tcp_flags is None else r.tcp_flags for r in records), np.int16),
        action=np.full(n, 255, np.uint8) if recorded is None else numbers(recorded, np.uint8),
        log_status=np.zeros(n, np.uint8),
        flow_direction=numbers((-1 if r.direction is None else int(r.direction) for r in records), np.int8),
        account_id=none,
        interface_id=ids([record.interface_id for record in records]),
        vpc_id=ids([record.vpc_id for record in records]),
        subnet_id=none,
        instance_id=none,
        reject_reason=none,
        source=np.zeros(n, np.int32),
        line=np.arange(1, n + 1, dtype=np.int64),
        silences=Silences(empty, empty, no_time, no_time, no_status, np.empty(0, np.int32)),
    )


def answers_of(replay: LogReplay) -> list[LogAnswer]:
    """The answers in the order of the input, as the twin gives them."""
    rule_ids, interface_ids = replay.snapshot.tables.rule_ids, replay.snapshot.tables.interface_ids
    found: dict[int, LogAnswer] = {}
    for batch in replay:
        verdicts = batch.verdicts
        for row, order in enumerate(batch.order.tolist()):
            interface, direction = int(verdicts.interface[row]), int(verdicts.direction[row])
            deciding = int(verdicts.deciding_rule[row])
            found[order] = LogAnswer(
                interface_ids[interface] if interface >= 0 else None,
                Direction(direction) if direction < 2 and interface != NO_INTERFACE else None,
                Verdict(int(verdicts.action[row])),
                Reason(int(verdicts.reason[row])),
                frozenset(rule_ids[rule] for rule in verdicts.sets[int(verdicts.match_set[row])]),
                frozenset(rule_ids[rule] for rule in verdicts.sets[int(verdicts.possible_set[row])]),
                rule_ids[deciding] if deciding >= 0 else None,
                bool(verdicts.initiating[row]),
                Evidence(int(batch.evidence[row])),
                bool(batch.anew[row]),
            )
    return [found[order] for order in sorted(found)]


def replayed(
    environment: Environment,
    semantics: Semantics,
    records: Sequence[LogRecord],
    *,
    sizes: Sequence[int] = (1000,),
    **options: Any,
) -> list[LogAnswer]:
    """The engine's answers, for records in batches of the given sizes (repeated)."""
    batches, at, turn = [], 0, 0
    while at < len(records):
        size = sizes[turn % len(sizes)]
        batches.append(batch_of(records[at : at + size]))
        at, turn = at + size, turn + 1
    return answers_of(replay_logs(Snapshot.of(environment, semantics), batches, LogOptions(**options)))


def logged(
    environment: Environment,
    semantics: Semantics,
    packets: Iterable[Packet],
    *,
    interval: int = 600,
    flags: bool,
    at: Callable[[int], Environment] | None = None,
) -> list[Logged]:
    """What a replay of a capture logs: one record an interface, direction, flow, action and interval (§9.4).

    Ends are found by address. UNKNOWN and what has no interface is left out, as by `--format flowlog`. `at` gives the
    environment of each time (ns), where it changes.
    """
    tracker = Tracker(environment, semantics)
    open_: dict[tuple[Any, ...], list[int]] = {}
    for packet in packets:
        if at is not None:
            environment = at(packet.time_ns)
            tracker.swap(environment)
        ends = holder(environment, packet, source=True), holder(environment, packet, source=False)
        for answer in tracker.step(packet, *ends):
            if answer.interface_id is None or answer.action is Verdict.UNKNOWN:
                continue
            seconds = packet.time_ns // SECOND
            tuple_ = (packet.family, packet.srcaddr, packet.dstaddr, packet.protocol, packet.srcport, packet.dstport)
            kind = (packet.icmp_type, packet.icmp_code)
            key = (answer.interface_id, answer.direction, tuple_, kind, answer.action, seconds // interval)
            record = open_.setdefault(key, [seconds, seconds, 0])
            record[1] = seconds
            record[2] |= logged_flags(packet)
    found = []
    for (interface_id, direction, tuple_, _, action, _), (start, end, seen) in open_.items():
        family, srcaddr, dstaddr, protocol, srcport, dstport = tuple_
        record = LogRecord(
            family, srcaddr, dstaddr, protocol, srcport, dstport, start, end, interface_id, direction,
            tcp_flags=(seen if protocol == TCP else 0) if flags else None,
        )  # fmt: skip
        found.append(Logged(record, action))
    return sorted(found, key=lambda one: (one.record.end // 300, one.record.interface_id or ""))


def logged_flags(packet: Packet) -> int:
    """FIN, SYN, RST and SYN-ACK as flow logs have them (§5.6)."""
    flags = packet.tcp_flags
    return flags & 7 | (SYN_ACK if flags & SYN_ACK == SYN_ACK else 0)


def holder(environment: Environment, packet: Packet, *, source: bool) -> str | int | None:
    """The interface that has an address of the packet; AMBIGUOUS if several have."""
    address = packet.source if source else packet.destination
    found = [one.interface_id for one in environment.interfaces.values() if holds(one, address)]
    return found[0] if len(found) == 1 else AMBIGUOUS if found else None


def blurred(rng: Random, record: LogRecord) -> LogRecord:
    """The record as a log with fewer or other fields would have it."""
    from dataclasses import replace

    kind = rng.random()
    if kind < 0.25:
        record = replace(record, direction=None)
    if 0.1 < kind < 0.2:
        record = replace(record, interface_id=None, vpc_id=rng.choice((None, "vpc-a", "vpc-b", "vpc-x")))
    if 0.2 < kind < 0.22:
        record = replace(record, interface_id="eni-unknown")
    if rng.random() < 0.1:
        record = replace(record, tcp_flags=rng.choice((None, 0, 1, 2, 3, 4, 18, 19)))
    if rng.random() < 0.1 and record.family == 4:
        record = replace(record, packets=rng.randint(1, 9), bytes=rng.randint(40, 2000))
    if rng.random() < 0.1 and record.family == 4:
        record = replace(record, plain_src=record.srcaddr, plain_dst=record.dstaddr ^ rng.choice((0, 1, 3)))
    return record


def is_icmp(record: LogRecord) -> bool:
    return record.protocol in (ICMP, ICMPV6)
