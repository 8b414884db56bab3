"""How fast do flow logs become verdicts? Gzip text on disk in, a verdict and rule ids for every record out.

    pytest benchmarks/test_flowlog_replay.py --benchmark-only -s

2 000 interfaces with two of 100 groups of 60 rules each, two million records of half an hour, both directions of most
connections. Contender: pyarrow.csv fed by isal, merely reading the same columns of the same file. Runs alternate, since
only ratios of one run count (CPU seconds of the whole process; the median of the pairs). Before anything is timed the
slow twin must give the same answers to the first records.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from benchmarks.capture.cases import servers as fleet
from benchmarks.test_flowlogs import FIELDS, READ, Answer, compare, read_csv, report
from sgsim.engine import Snapshot
from sgsim.engine.logs import REPLAYED_FIELDS, LogVerdicts, replay_logs
from sgsim.model import Direction, Environment, Semantics, parse_address
from sgsim.reference.flowlog import LogAnswer, LogRecord, judge_records
from sgsim.traffic.flowlogs import scan_flow_logs
from sgsim.traffic.flowlogs.fields import OPTIONAL_FIELDS
from sgsim.traffic.flowlogs.generate import random_conversations
from sgsim.traffic.flowlogs.write import write_log

ROWS = 2_000_000
INTERFACES = 2000
COLUMNS = READ - (OPTIONAL_FIELDS - REPLAYED_FIELDS)  #: that a replay reads
SECONDS = 1  #: of the log that the twin judges


def environment_of(records: pa.Table) -> Environment:
    """The groups of `fleet` at the interfaces that the records name, with the addresses that they show there."""
    sent = records.filter(pc.equal(records["flow-direction"], "egress")).select(["interface-id", "srcaddr"])
    addresses: dict[str, set[str]] = {}
    for row in sent.group_by(["interface-id", "srcaddr"]).aggregate([]).to_pylist():
        addresses.setdefault(row["interface-id"], set()).add(row["srcaddr"])
    cards = fleet(len(addresses))
    interfaces = {
        name: msgspec.structs.replace(
            card,
            interface_id=name,
            addresses=tuple(sorted(map(parse_address, texts), key=lambda address: address.family)),
            group_ids=tuple(dict.fromkeys(card.group_ids)),
        )
        for (name, texts), card in zip(sorted(addresses.items()), cards.interfaces.values(), strict=True)
    }
    return replace(cards, interfaces=interfaces)


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return Snapshot.of(environment_of(table("v5")))


@pytest.fixture(scope="module", params=sorted(FIELDS))
def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """(version, gzip text)."""
    return request.param, write_log(table(request.param), tmp_path_factory.mktemp("logs") / "a.log.gz")


def table(version: str) -> pa.Table:
    return random_conversations(1, ROWS, FIELDS[version], interfaces=INTERFACES, seconds=1800)


def judge_log(snapshot: Snapshot, path: Path) -> Answer:
    """sgsim: (records and silences, sum of bytes)."""
    scan = scan_flow_logs([path], columns=REPLAYED_FIELDS)
    total = sum(int(batch.verdicts.bytes.sum()) for batch in replay_logs(snapshot, scan))
    return sum(counts.ok + counts.nodata + counts.skipdata for counts in scan.counts), total


def twin_records(records: pa.Table) -> list[LogRecord]:
    """The records of the first seconds."""
    begin = pc.min(records["start"]).as_py()
    first = records.filter(pc.and_(pc.equal(records["log-status"], "OK"), pc.less(records["start"], begin + SECONDS)))
    return [twin_record(row) for row in first.to_pylist()]


def twin_record(row: dict[str, Any]) -> LogRecord:
    source, destination = parse_address(row["srcaddr"]), parse_address(row["dstaddr"])
    direction = row.get("flow-direction")
    own = {"plain_src": source.value, "plain_dst": destination.value} if source.family == 4 else {}
    return LogRecord(
        source.family, source.value, destination.value, row["protocol"], row["srcport"], row["dstport"],
        row["start"], row["end"], row["interface-id"], Direction[direction.upper()] if direction else None,
        row.get("tcp-flags"), row.get("vpc-id"), packets=row["packets"], bytes=row["bytes"], **own,
    )  # fmt: skip


def told(batch: LogVerdicts, rule_ids: list[str], row: int) -> tuple[Any, ...]:
    """What is said of one record."""
    verdicts = batch.verdicts
    rules, possible = (verdicts.sets[int(column[row])] for column in (verdicts.match_set, verdicts.possible_set))
    deciding = int(verdicts.deciding_rule[row])
    return (
        int(verdicts.direction[row]),
        int(verdicts.action[row]),
        int(verdicts.reason[row]),
        frozenset(rule_ids[rule] for rule in rules),
        frozenset(rule_ids[rule] for rule in possible),
        rule_ids[deciding] if deciding >= 0 else None,
        bool(verdicts.initiating[row]),
        int(batch.evidence[row]),
    )


def told_by_twin(answer: LogAnswer) -> tuple[Any, ...]:
    return (
        2 if answer.direction is None else int(answer.direction), int(answer.action), int(answer.reason),
        answer.rule_ids, answer.possible_rule_ids, answer.deciding_rule_id, answer.initiating, int(answer.evidence),
    )  # fmt: skip


def assert_like_twin(snapshot: Snapshot, path: Path, records: pa.Table) -> None:
    """The first second's records, which come first, have the twin's answers."""
    expected = judge_records(snapshot.environment, Semantics(), twin_records(records))
    found: dict[int, tuple[Any, ...]] = {}
    for batch in replay_logs(snapshot, scan_flow_logs([path], columns=REPLAYED_FIELDS)):
        for row in range(min(len(batch), len(expected) - len(found))):
            found[int(batch.order[row])] = told(batch, snapshot.tables.rule_ids, row)
    assert len(expected) > 500
    assert [found[order] for order in sorted(found)] == [told_by_twin(answer) for answer in expected]


def test_gzip_text_to_verdicts(benchmark: Any, snapshot: Snapshot, log: tuple[str, Path]) -> None:
    """Does judging take at most two and a half times what merely reading takes?"""
    version, path = log
    assert_like_twin(snapshot, path, table(version))
    speed, ratio = compare(lambda: judge_log(snapshot, path), lambda: read_csv(path, FIELDS[version], COLUMNS))
    report(benchmark, f"{version} gzip text to verdicts, against pyarrow.csv + isal reading", speed, ratio)
    benchmark.pedantic(judge_log, (snapshot, path), rounds=1)
    assert ratio >= 0.4
