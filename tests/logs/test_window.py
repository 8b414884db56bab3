"""Records wait for earlier ones during the join window; what comes later still is counted and never guessed."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from sgsim.engine import Snapshot
from sgsim.engine.logs import LogOptions, replay_logs
from sgsim.engine.logs.flows import LogFlows
from sgsim.model import (
    Address,
    Cidr,
    CidrPeer,
    Direction,
    Environment,
    NetworkInterface,
    PortRange,
    SecurityGroup,
    SecurityGroupRule,
    Semantics,
)
from sgsim.reference.flowlog import LogRecord
from sgsim.verdicts import Evidence, Reason, Verdict
from tests.generators.environments import random_environment
from tests.generators.packets import random_packets
from tests.logs.support import answers_of, batch_of, logged, replayed

NEAR, FAR = 10 << 24 | 5, 8 << 24 | 8
IN, OUT = Direction.INGRESS, Direction.EGRESS


def client_only() -> Environment:
    """One interface that may call tcp and udp ports below 1024 anywhere, tracked, and is called by nobody."""
    rules = tuple(
        SecurityGroupRule(f"sgr-{protocol}", "sg-1", OUT, protocol, CidrPeer(Cidr(4, 0, 1)), PortRange(1, 1023))
        for protocol in (6, 17)
    )
    group = SecurityGroup("sg-1", rules)
    interface = NetworkInterface("eni-1", (Address(4, NEAR),), ("sg-1",))
    return Environment({"sg-1": group}, {"eni-1": interface}, closed=frozenset({(None, None)}))


def out(start: int, end: int, flags: int | None = None, protocol: int = 6) -> LogRecord:
    return LogRecord(4, NEAR, FAR, protocol, 40000, 443, start, end, "eni-1", OUT, flags)


def back(start: int, end: int, flags: int | None = None, protocol: int = 6) -> LogRecord:
    return LogRecord(4, FAR, NEAR, protocol, 443, 40000, start, end, "eni-1", IN, flags)


ACCEPT, REJECT, UNKNOWN = Verdict.ACCEPT, Verdict.REJECT, Verdict.UNKNOWN

CASES: dict[str, tuple[list[LogRecord], list[Verdict]]] = {
    "SYN and SYN-ACK in one second": ([out(100, 105, 3), back(100, 105, 19)], [ACCEPT, ACCEPT]),
    "a reset answers a SYN": ([out(100, 100, 2), back(100, 100, 4)], [ACCEPT, ACCEPT]),
    "a SYN from outside": ([back(100, 100, 2)], [REJECT]),
    "a SYN from outside that was answered when the rules were others": (
        [back(100, 105, 3), out(100, 105, 19)],
        [REJECT, ACCEPT],
    ),
    "a SYN-ACK whose SYN is on no record": ([back(100, 100, 18)], [UNKNOWN]),
    "in the middle of a connection whose begin is on no record": ([back(100, 160, 0)], [UNKNOWN]),
    "the next interval of a connection": ([out(100, 159, 2), back(100, 159, 18), back(160, 200, 0)], [ACCEPT] * 3),
    "the answers go on while a late FIN is out": (
        [out(100, 159, 2), back(100, 159, 18), out(160, 170, 1), back(160, 170, 1)],
        [ACCEPT] * 4,
    ),
    "long after both sides closed": (
        [out(100, 105, 3), back(100, 105, 19), back(140, 140, 0)],
        [ACCEPT, ACCEPT, UNKNOWN],
    ),
    "TCP without flags may have been closed at any time": ([out(100, 105), back(101, 105)], [ACCEPT, UNKNOWN]),
    "a client that sent data had its connection": (
        [replace(out(100, 100, 2), packets=4, bytes=800), back(100, 100, 18), out(190, 190, 0), back(190, 190, 0)],
        [ACCEPT] * 4,
    ),
    "a client that sent none may have had no answer in time": (
        [replace(out(100, 100, 2), packets=4, bytes=240), back(100, 100, 18), out(190, 190, 0), back(190, 190, 0)],
        [ACCEPT, ACCEPT, ACCEPT, UNKNOWN],
    ),
    "version 2: the same second": ([out(100, 105), back(100, 105)], [ACCEPT, UNKNOWN]),
    "version 2: an answer whose question is on no record": ([back(100, 105)], [UNKNOWN]),
    "UDP: an answer within 30 seconds": ([out(100, 100, 0, 17), back(129, 129, 0, 17)], [ACCEPT, ACCEPT]),
    "UDP: an answer at the limit, to the second": ([out(100, 100, 0, 17), back(130, 130, 0, 17)], [ACCEPT, UNKNOWN]),
    "UDP: after the longest timeout": ([out(100, 100, 0, 17), back(282, 282, 0, 17)], [ACCEPT, UNKNOWN]),
    "ESP from outside may answer": ([LogRecord(4, FAR, NEAR, 50, 0, 0, 1, 1, "eni-1", IN)], [REJECT]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_cases(case: str) -> None:
    records, expected = CASES[case]
    assert [answer.action for answer in replayed(client_only(), Semantics(), records)] == expected


def test_a_reply_names_the_rule_that_opened_its_connection() -> None:
    answer = replayed(client_only(), Semantics(), [out(100, 105, 3), back(100, 105, 19)])[1]
    assert (answer.reason, answer.rule_ids, answer.initiating) == (Reason.TRACKED, frozenset({"sgr-6"}), False)
    assert answer.evidence is Evidence.SYN


def test_likely_answers_what_is_not_shown() -> None:
    """--likely: ports decide ties, and a connection without flags counts as open."""
    for case in ("version 2: the same second", "version 2: an answer whose question is on no record"):
        answer = replayed(client_only(), Semantics(), CASES[case][0], likely=True)[-1]
        assert (answer.action, answer.evidence) == (ACCEPT, Evidence.PORTS)


def test_cutting_a_log_into_batches_changes_nothing() -> None:
    for seed in range(25):
        environment = random_environment(seed)
        packets = (step.packet for step in random_packets(environment, seed, 300))
        records = [one.record for one in logged(environment, Semantics(), packets, flags=bool(seed % 2))]
        whole = replayed(environment, Semantics(), records, join_window=1 << 30)
        assert replayed(environment, Semantics(), records, join_window=1 << 30, sizes=(1, 7, 3)) == whole


def test_order_within_the_window_does_not_matter() -> None:
    """Whatever comes at most a window late is answered as if it had come in time."""
    for seed in range(25):
        environment, rng = random_environment(seed), Random(seed)
        packets = (step.packet for step in random_packets(environment, seed, 300))
        records = [one.record for one in logged(environment, Semantics(), packets, flags=True)]
        records.sort(key=lambda record: record.start)
        shuffled = sorted(records, key=lambda record: record.start + rng.randrange(900))
        expected = dict(zip(records, replayed(environment, Semantics(), records)))
        replay = replay_logs(Snapshot.of(environment), [batch_of([record]) for record in shuffled], LogOptions())
        answers = answers_of(replay)
        assert replay.summary.late == 0
        for record, answer in zip(shuffled, answers, strict=True):
            same = (answer.action, answer.reason, answer.rule_ids, answer.initiating)
            other = expected[record]
            assert same == (other.action, other.reason, other.rule_ids, other.initiating), (seed, record)


def test_late_records_are_counted_and_never_guessed() -> None:
    """An earlier record of a connection that was answered already: what depends on it is UNKNOWN from then on."""
    first, second = back(5000, 5000, 2), out(7000, 7000, 2)
    late = [out(4000, 4000, 0), back(4500, 4500, 0), back(4600, 4600, 2)]
    after = back(9000, 9000, 2)
    batches = [batch_of([record]) for record in (first, second, *late, after)]
    replay = replay_logs(Snapshot.of(client_only()), batches, LogOptions(join_window=1000))
    actions = [answer.action for answer in answers_of(replay)]
    assert replay.summary.late == 3
    assert actions == [REJECT, ACCEPT, ACCEPT, UNKNOWN, UNKNOWN, UNKNOWN]


def test_a_copy_that_begins_anew_is_no_late_log() -> None:
    """Two accounts one after the other: time jumps back, connections of other interfaces are not late."""
    first, second = client_only(), out(100, 105, 3)
    batches = [batch_of([out(90000, 90005, 3), back(90000, 90005, 19)]), batch_of([second, back(100, 105, 19)])]
    replay = replay_logs(Snapshot.of(first), batches, LogOptions())
    actions = [answer.action for answer in answers_of(replay)]
    assert actions[:2] == [ACCEPT, ACCEPT]
    assert replay.summary.late == 2  # the same connection: its records cannot be put in order any more


def test_options_choose_what_is_given_out() -> None:
    records = [out(100, 105, 3), back(100, 105, 19)]
    replay = replay_logs(Snapshot.of(client_only()), [batch_of(records)], LogOptions(direction=IN))
    assert [answer.direction for answer in answers_of(replay)] == [IN]
    nobody = LogOptions(interfaces=frozenset({"eni-2"}))
    assert answers_of(replay_logs(Snapshot.of(client_only()), [batch_of(records)], nobody)) == []


def test_forgetting_changes_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is gone for good is forgotten, and only that: with hardly any memory the answers are the same."""
    forgotten = 0
    for seed in range(20):
        environment = random_environment(seed)
        packets = (step.packet for step in random_packets(environment, seed, 400))
        records = [one.record for one in logged(environment, Semantics(), packets, flags=bool(seed % 2))]
        records.sort(key=lambda record: record.start)
        expected = replayed(environment, Semantics(), records, sizes=(20,), join_window=900)
        with monkeypatch.context() as patched:
            patched.setattr("sgsim.engine.logs.replay._REMEMBERED", 1)
            patched.setattr("sgsim.engine.logs.window._LEAST", 1)
            patched.setattr("sgsim.engine.logs.flows._PLACES", 1)
            patched.setattr("sgsim.engine.logs.questions._REMEMBERED", 1)
            kept: list[int] = []
            keep = LogFlows.keep

            def noted(self: LogFlows, rows: Any, kept: list[int] = kept, keep: Any = keep) -> Any:
                kept.append(int(len(rows) - rows.sum()))
                return keep(self, rows)

            patched.setattr(LogFlows, "keep", noted)
            assert replayed(environment, Semantics(), records, sizes=(20,), join_window=900) == expected
        forgotten += sum(kept)
    assert forgotten > 100


def test_too_many_open_connections_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the room there is, the quietest connections are dropped, and the summary says how many."""
    monkeypatch.setattr("sgsim.engine.logs.replay._REMEMBERED", 1)
    monkeypatch.setattr("sgsim.engine.logs.replay._CONNECTIONS", 4)
    monkeypatch.setattr("sgsim.engine.logs.window._LEAST", 1)
    records = [replace(out(100 + n, 100 + n, 2), srcport=40000 + n) for n in range(20)]
    batches = [batch_of([record]) for record in records]
    replay = replay_logs(Snapshot.of(client_only()), batches, LogOptions(join_window=0))
    assert [answer.action for answer in answers_of(replay)] == [ACCEPT] * 20
    assert replay.summary.forgotten > 10
