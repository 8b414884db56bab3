"""Counts, hits and situations."""

from __future__ import annotations

import numpy as np
import pytest

from sgsim.report import tally as module
from sgsim.report.situations import service_text, situations
from sgsim.report.tally import Tally, rule_hits
from sgsim.verdicts import Reason, Verdict
from tests.report.made import SETS, batch, nowhere, rejected, row, unknown

ACCEPT, REJECT, UNKNOWN = Verdict.ACCEPT, Verdict.REJECT, Verdict.UNKNOWN


def tallied(*rows: dict[str, object], batches: int = 1) -> Tally:
    tally = Tally()
    for _ in range(batches):
        tally.add(batch(*rows))
    return tally


def services(tally: Tally, verdict: Verdict) -> list[tuple[str, int]]:
    return [
        (service_text(line), line.count.records)
        for situation in situations(tally.groups.values(), verdict)
        for line in situation.lines
    ]


def test_totals_by_verdict_and_reason() -> None:
    tally = tallied(row(), row(bytes=1 << 60), rejected(), unknown(), nowhere(), batches=2)
    assert {kind: (c.records, c.packets, c.bytes) for kind, c in tally.totals.items()} == {
        (ACCEPT, Reason.RULE): (4, 40, 2 * (1000 + (1 << 60))),  # exact beyond what a float holds
        (REJECT, Reason.NO_RULE): (2, 2, 88),
        (UNKNOWN, Reason.UNRESOLVED): (2, 20, 2000),
        (UNKNOWN, Reason.NO_INTERFACE): (2, 20, 2000),
    }
    assert (tally.unknown, tally.records, tally.start, tally.end) == (4, 10, 1_772_442_000, 1_772_442_060)


def test_sole_hits_are_those_of_sets_with_one_rule() -> None:
    hits = rule_hits(np.array([9, 5, 2, 0]), SETS, 3)  # the empty set, {0}, {0, 1}, {2}
    assert (hits.hits.tolist(), hits.sole.tolist()) == ([7, 2, 0], [5, 0, 0])


def test_a_scan_is_one_line_and_a_busy_port_stays_by_itself() -> None:
    ports = [rejected(dstport=port) for port in (21, 22, 23, 25, 80)]
    tally = tallied(*ports, rejected("203.0.113.9", dstport=22), rejected(dstport=9))
    assert services(tally, REJECT) == [("tcp 5 ports (9, 21, 23, 25 …)", 5), ("tcp 22", 2)]


def test_few_ports_of_one_address_stay_apart() -> None:
    assert services(tallied(*(rejected(dstport=port) for port in (21, 22, 23))), REJECT) == [
        ("tcp 21", 1),
        ("tcp 22", 1),
        ("tcp 23", 1),
    ]


def test_services_in_words() -> None:
    tally = tallied(
        rejected(dstport=0, srcport=0, protocol=1, icmp_type=8, icmp_code=0),
        rejected(dstport=0, srcport=0, protocol=47),
        rejected(dstport=50000, srcport=80, initiating=False),
        rejected(dstport=50001, srcport=80, tcp_flags=18),
        rejected(dstport=0, srcport=0, protocol=17, fragment=True),
        rejected("2001:db8::1", "2001:db8::2", dstport=53, protocol=17),
    )
    assert sorted(services(tally, REJECT)) == [
        ("answers from tcp 80", 2),
        ("icmp 8/0", 1),
        ("protocol 47", 1),
        ("udp 53", 1),
        ("udp later fragments", 1),
    ]


def test_situations_are_by_interface_direction_and_reason_most_records_first() -> None:
    tally = tallied(unknown(), nowhere(), nowhere(), rejected())
    found = situations(tally.groups.values(), UNKNOWN)
    assert [(s.interface, s.reason, s.count.records) for s in found] == [
        (-1, Reason.NO_INTERFACE, 2),
        (1, Reason.UNRESOLVED, 1),
    ]
    assert found[1].lines[0].possible_rules == {2}


def test_peers_are_counted_over_batches() -> None:
    tally = tallied(rejected("203.0.113.1"), rejected("203.0.113.1"), rejected("203.0.113.2"), batches=2)
    (group,) = tally.groups.values()
    assert sorted(group.peers.values()) == [2, 4]
    assert not group.more_peers


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past MAX_GROUPS ports are not told apart, past MAX_PEERS addresses are not remembered; counts stay exact."""
    monkeypatch.setattr(module, "MAX_GROUPS", 3)
    monkeypatch.setattr(module, "MAX_PEERS", 2)
    tally = Tally()
    for port in range(20):
        tally.add(batch(*(rejected(f"203.0.113.{n}", dstport=port) for n in range(5))))
    assert len(tally.groups) == 4
    assert sum(group.count.records for group in tally.groups.values()) == 100
    assert all(len(group.peers) == 2 and group.more_peers for group in tally.groups.values())
    assert "tcp any port" in [text for text, _ in services(tally, REJECT)]


def test_many_peers_of_all_groups_leave_few_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MANY_PEERS", 4)
    monkeypatch.setattr(module, "FEW_PEERS", 1)
    tally = Tally()
    for port in (22, 23, 24):
        tally.add(batch(*(rejected(f"203.0.113.{n}", dstport=port) for n in range(3))))
    found = [(len(group.peers), group.more_peers) for group in tally.groups.values()]
    assert found == [(3, False), (1, True), (1, True)]
