"""Laws of `evaluate` that need no oracle (docs/semantics.md §0, §1.1): what must not matter, and what may only help."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest

from sgsim.engine import Engine, Snapshot, evaluate, matching, stores
from sgsim.flows import AMBIGUOUS, NO_INTERFACE, FlowBlock, FlowTable
from sgsim.model import (
    CidrPeer,
    Direction,
    Environment,
    NetworkInterface,
    PortRange,
    SecurityGroup,
    SecurityGroupRule,
    Semantics,
    parse_address,
    parse_cidr,
)
from sgsim.reference import RuleAnswer
from sgsim.verdicts import Reason, Verdict
from tests.engine.test_evaluate_twin import answer_of
from tests.strategies import flow_table, random_environment, random_rows, random_semantics

SEEDS = range(3000, 3030)
Rows = list[Any]


def answers(snapshot: Snapshot, rows: Rows, **options: Any) -> list[RuleAnswer]:
    """The answer to every row, in words."""
    verdicts = evaluate(snapshot, flow_table(rows, snapshot.tables.interface_ids), **{"scan_only": False, **options})
    return [answer_of(verdicts, row, snapshot.tables) for row in range(len(rows))]


def cases(n: int = 300) -> Iterable[tuple[Environment, Semantics, Rows]]:
    for seed in SEEDS:
        environment = random_environment(seed)
        yield environment, random_semantics(seed), list(random_rows(environment, seed=seed, n=n))


def test_batch_splits_do_not_matter() -> None:
    """Also the short cut for rows that are all judged at one interface."""
    for environment, semantics, rows in cases():
        snapshot = Snapshot.of(environment, semantics)
        by_end = sorted(range(len(rows)), key=lambda row: (str(rows[row][1]), rows[row][2], rows[row][0].family))
        whole = answers(snapshot, rows)
        for _, numbers in groupby(by_end, key=lambda row: (rows[row][1], rows[row][2])):
            chosen = list(numbers)
            assert answers(snapshot, [rows[row] for row in chosen]) == [whole[row] for row in chosen]


def test_threads_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "TASK_ROWS", 40)
    for environment, semantics, rows in cases():
        snapshot = Snapshot.of(environment, semantics)
        assert answers(snapshot, rows, threads=3) == answers(snapshot, rows, threads=1, scan_only=True)


def test_stores_that_grow_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("_FIRST_ANSWERS", 2), ("_FIRST_MEMBERS", 1), ("_FIRST_SLOTS", 4)):
        monkeypatch.setattr(stores, name, size)
    for environment, semantics, rows in cases():
        snapshot = Snapshot.of(environment, semantics)
        assert answers(snapshot, rows) == answers(snapshot, rows, scan_only=True)


def test_order_of_rules_and_groups_does_not_matter() -> None:
    for environment, semantics, rows in cases():
        shuffled = Random(len(rows))
        groups = list(environment.groups.values())
        shuffled.shuffle(groups)
        turned = replace(
            environment,
            groups={
                group.group_id: msgspec.structs.replace(
                    group, rules=tuple(shuffled.sample(group.rules, len(group.rules)))
                )
                for group in groups
            },
            interfaces={
                name: msgspec.structs.replace(interface, group_ids=interface.group_ids[::-1])
                for name, interface in environment.interfaces.items()
            },
        )
        assert answers(Snapshot.of(turned, semantics), rows) == answers(Snapshot.of(environment, semantics), rows)


def test_adding_a_rule_never_turns_accept_into_reject() -> None:
    for environment, semantics, rows in cases():
        before = answers(Snapshot.of(environment, semantics), rows)
        group = next(iter(environment.groups.values()))
        rule = SecurityGroupRule("sgr-new", group.group_id, Direction.INGRESS, None, CidrPeer(parse_cidr("10.0.0.0/9")))
        more = msgspec.structs.replace(group, rules=(*group.rules, rule))
        after = answers(
            Snapshot.of(replace(environment, groups={**environment.groups, group.group_id: more}), semantics), rows
        )
        for one, other in zip(before, after):
            assert one.rule_ids <= other.rule_ids
            assert not (one.action is Verdict.ACCEPT and other.action is not Verdict.ACCEPT)


def test_a_snapshot_survives_pickling() -> None:
    for environment, semantics, rows in list(cases(100))[:5]:
        snapshot = Snapshot.of(environment, semantics, version=7)
        copy: Snapshot = pickle.loads(pickle.dumps(snapshot))
        assert copy.version == 7
        assert answers(copy, rows) == answers(snapshot, rows)


def test_swapping_back_restores_every_verdict() -> None:
    for environment, semantics, rows in list(cases(100))[:5]:
        first, second = Snapshot.of(environment, semantics), Snapshot.of(Environment(), semantics, version=1)
        engine = Engine(first)
        before = answers(engine.snapshot, rows)
        assert engine.swap(second) is first
        assert engine.snapshot is second
        engine.swap(first)
        assert answers(engine.snapshot, rows) == before


@pytest.mark.parametrize("scan_only", [True, False])
def test_nothing_described(scan_only: bool) -> None:
    """No interface, no rule, and no row at all."""
    snapshot = Snapshot.of(Environment())
    block = FlowBlock.from_columns(
        4, [1, 2], [3, 4], protocol=[6, 17], interface=[NO_INTERFACE, AMBIGUOUS], direction=[0, 1]
    )
    verdicts = evaluate(snapshot, FlowTable.of(block), scan_only=scan_only)
    assert verdicts.action.tolist() == [Verdict.UNKNOWN, Verdict.UNKNOWN]
    assert verdicts.reason.tolist() == [Reason.NO_INTERFACE, Reason.AMBIGUOUS_INTERFACE]
    assert verdicts.deciding_rule.tolist() == [-1, -1]
    assert len(evaluate(snapshot, FlowTable.of(), scan_only=scan_only)) == 0


def test_thousands_of_overlapping_port_ranges_stay_linear() -> None:
    """3 000 ranges on one block, each overlapping all others: tables must not hold every combination."""
    count = 3_000
    rules = tuple(
        SecurityGroupRule(
            f"sgr-{number:05}",
            "sg-1",
            Direction.INGRESS,
            6,
            CidrPeer(parse_cidr(f"10.{number % 7}.0.0/{12 + number % 5}")),
            PortRange(number, 65_000 - number),
        )
        for number in range(count)
    )
    environment = Environment(
        groups={"sg-1": SecurityGroup("sg-1", rules)},
        interfaces={"eni-1": NetworkInterface("eni-1", (parse_address("192.168.0.1"),), ("sg-1",))},
    )
    snapshot = Snapshot.of(environment)
    assert snapshot.tables.nbytes < 200 * count + 4 * snapshot.tables.v4.layout.cells
    ports = np.array([0, 1, 1_499, 2_999, 30_000, 62_001, 64_999, 65_000, 65_001])
    source = parse_address("10.0.0.1").value
    block = FlowBlock.from_columns(
        4,
        np.full(len(ports), source),
        np.zeros(len(ports)),
        protocol=np.full(len(ports), 6),
        interface=np.zeros(len(ports)),
        direction=np.zeros(len(ports)),
        dstport=ports,
    )
    verdicts = evaluate(snapshot, FlowTable.of(block), scan_only=False)
    for row, port in enumerate(ports.tolist()):
        expected = tuple(
            number
            for number, rule in enumerate(rules)
            if rule.ports.first <= port <= rule.ports.last and rule.peer.cidr.contains(parse_address("10.0.0.1"))
        )
        assert verdicts.sets[int(verdicts.match_set[row])] == expected


@pytest.mark.parametrize("scan_only", [True, False])
@pytest.mark.parametrize(("column", "value"), [("interface", 99), ("direction", 2), ("row", 7), ("row", -1)])
def test_rows_that_lead_outside_are_refused(column: str, value: int, scan_only: bool) -> None:
    """Kernels use raw addresses: a wrong index must not reach memory."""
    environment = random_environment(1)
    columns: dict[str, Any] = {"interface": [0, 0], "direction": [0, 0], "row": [0, 1]}
    columns[column] = [columns[column][0], value]
    block = FlowBlock.from_columns(4, [1, 2], [3, 4], protocol=[6, 17], **columns)
    with pytest.raises((ValueError, IndexError)):
        evaluate(Snapshot.of(environment), FlowTable.of(block), scan_only=scan_only)
