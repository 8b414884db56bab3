"""Flow logs under rules that change: judged by the version of their time, never the contrary of the capture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
import numpy as np
import pytest

from sgsim.engine.logs import LogOptions, replay_logs
from sgsim.engine.logs.timed import LogTime
from sgsim.engine.timeline import Timeline
from sgsim.model import TCP, Direction, Environment, Semantics
from sgsim.model.changes import Authorize, Change, ChangeOrigin, ChangeSet, Revoke
from sgsim.model.history import History
from sgsim.reference.flowlog import LogRecord
from sgsim.verdicts import TimedVerdicts, Verdict
from tests.changes.support import account, distinct, rule
from tests.changes.test_laws import possible_changes
from tests.generators.packets import random_packets
from tests.logs.support import SECOND, SYN_ACK, batch_of, logged
from tests.logs.test_law import SYN, orderly, semantics_of

NINE = 1_772_442_000  #: 2026-03-02 09:00:00 UTC


def timed(environment: Environment, semantics: Semantics, changes: list[tuple[int, Change]]) -> Timeline:
    """The history from an environment that is older than all changes, which are (second, change)."""
    told = [
        msgspec.structs.replace(change, origin=ChangeOrigin(datetime.fromtimestamp(second, UTC), place="trail.json"))
        for second, change in changes
    ]
    first = datetime.fromtimestamp(changes[0][0] if changes else 0, UTC) - timedelta(days=1)
    return Timeline(History.of(environment, ChangeSet(tuple(told), accepted=True), first), semantics)


def answers(timeline: Timeline, records: list[LogRecord], *, size: int = 10**6) -> list[tuple[Verdict, int, int, bool]]:
    """Verdict, snapshot, deciding change and open question of each record."""
    time = LogTime(timeline)
    batches = [batch_of(records[start : start + size]) for start in range(0, len(records), size)]
    found = {}
    for batch in replay_logs(time.snapshot, batches, LogOptions(join_window=1 << 30), time=time):
        verdicts = batch.verdicts
        assert isinstance(verdicts, TimedVerdicts)
        columns = (verdicts.action, verdicts.snapshot, verdicts.change, batch.open_question)
        for order, action, *rest in zip(batch.order.tolist(), *(column.tolist() for column in columns)):
            found[order] = (Verdict(action), *rest)
    return [found[order] for order in range(len(records))]


def environment_at(timeline: Timeline) -> Callable[[int], Environment]:
    versions = timeline.history.versions
    return lambda time: versions[int(timeline.at(np.array([time]))[0])].environment


@pytest.mark.parametrize("flags", [False, True])
def test_never_the_contrary_of_the_capture(flags: bool) -> None:
    """The verdict that the capture's replay gave under the rules of each packet's time, or UNKNOWN."""
    outcomes: Counter[str] = Counter()
    for seed in range(25):
        environment, semantics, rng = distinct(seed), semantics_of(seed), Random(seed)
        packets = [step.packet for step in random_packets(environment, seed, 300) if step.packet.protocol in (TCP, 17)]
        if flags:
            packets = list(orderly(packets, seed))
        made = possible_changes(environment, rng, 12)[0].changes
        moments = sorted(rng.choice(packets).time_ns // SECOND for _ in made)
        timeline = timed(environment, semantics, list(zip(moments, made)))
        records = logged(environment, semantics, packets, flags=flags, at=environment_at(timeline))
        for one, (action, *_) in zip(records, answers(timeline, [one.record for one in records]), strict=True):
            if action is Verdict.UNKNOWN:
                outcomes["UNKNOWN"] += 1
            else:
                assert action is one.action, (seed, one, action)
                outcomes[one.action.name] += 1
    assert outcomes["ACCEPT"] > 500 and outcomes["REJECT"] > 150, outcomes


def test_no_changes_no_difference() -> None:
    """With an empty history the answers are those of a replay without one."""
    for seed in range(10):
        environment, semantics = distinct(seed), semantics_of(seed)
        packets = [step.packet for step in random_packets(environment, seed, 200)]
        records = [one.record for one in logged(environment, semantics, packets, flags=True)]
        timeline = timed(environment, semantics, [])
        plain = {}
        for batch in replay_logs(timeline.present, [batch_of(records)], LogOptions(join_window=1 << 30)):
            plain |= zip(batch.order.tolist(), batch.verdicts.action.tolist())
        assert [int(one[0]) for one in answers(timeline, records)] == [plain[n] for n in range(len(records))]


def to_web(port: int, start: int, end: int, *, direction: Direction = Direction.INGRESS, flags: int = SYN) -> LogRecord:
    """A record of 203.0.113.5:40000 > 10.0.0.9:port at eni-web, or of its answers."""
    client, server = (0xCB007105, 40000), (0x0A000009, port)
    (src, sport), (dst, dport) = (client, server) if direction is Direction.INGRESS else (server, client)
    return LogRecord(4, src, dst, TCP, sport, dport, NINE + start, NINE + end, "eni-web", direction, tcp_flags=flags)


def small(narrow: bool) -> Timeline:
    """At second 100 the rule for port 8080 goes: for everybody (untracked, with all let out), or for the client."""
    peer = "203.0.113.0/24" if narrow else "0.0.0.0/0"
    web = account()
    new = rule(f"in tcp 8080 {peer}", "sg-web", "sgr-new")
    web = replace(
        web,
        groups={
            **web.groups,
            "sg-web": msgspec.structs.replace(web.groups["sg-web"], rules=(*web.groups["sg-web"].rules, new)),
        },
    )
    return timed(
        web, Semantics(), [(NINE + 100, Revoke("sg-web", ("sgr-new",))), (NINE + 200, Authorize("sg-web", (new,)))]
    )


def test_a_tracked_connection_may_outlive_its_rule() -> None:
    """Its opener's records are UNKNOWN, an open question; answers are let through; others are rejected."""
    records = [
        to_web(8080, 10, 20),
        to_web(8080, 11, 20, direction=Direction.EGRESS, flags=SYN_ACK),
        to_web(8080, 110, 120, flags=0),
        to_web(8080, 210, 220),
    ]
    found = answers(small(narrow=True), records)
    assert [one[:2] for one in found] == [
        (Verdict.ACCEPT, 0), (Verdict.ACCEPT, 0), (Verdict.UNKNOWN, 1), (Verdict.ACCEPT, 2)
    ]  # fmt: skip
    assert [one[2] for one in found] == [0, 0, 1, 2] and found[2][3]
    assert [one[0] for one in answers(small(narrow=True), [to_web(8080, 110, 120)])] == [Verdict.REJECT]


def test_an_untracked_connection_is_cut() -> None:
    found = answers(small(narrow=False), [to_web(8080, 10, 20), to_web(8080, 110, 120), to_web(8080, 210, 220)])
    assert [one[0] for one in found] == [Verdict.ACCEPT, Verdict.REJECT, Verdict.ACCEPT]


def test_a_record_during_which_the_rules_changed() -> None:
    """UNKNOWN if the versions differ, an open question; else what all of them say."""
    records = [to_web(8080, 90, 110), to_web(443, 90, 310), to_web(22, 90, 310), to_web(8080, 100, 150)]
    found = answers(small(narrow=False), records)
    assert [one[0] for one in found] == [Verdict.UNKNOWN, Verdict.ACCEPT, Verdict.REJECT, Verdict.REJECT]
    assert [one[3] for one in found] == [True, False, False, False]


def test_batches_are_irrelevant() -> None:
    for seed in range(6):
        environment, semantics, rng = distinct(seed), semantics_of(seed), Random(seed)
        packets = [step.packet for step in random_packets(environment, seed, 200)]
        made = possible_changes(environment, rng, 6)[0].changes
        moments = sorted(rng.choice(packets).time_ns // SECOND for _ in made)
        timeline = timed(environment, semantics, list(zip(moments, made)))
        records = [one.record for one in logged(environment, semantics, packets, flags=True)]
        assert answers(timeline, records) == answers(timeline, records, size=17)
