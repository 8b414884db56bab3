"""Law: large groups that change by many rules at once answer as a full compile and the twin do, while others evaluate.

Groups grow from none to hundreds of rules and back, so that tables pass through every layout at their real sizes; what
readers saw of any version, they saw of exactly that version.
"""

from __future__ import annotations

import sys
from random import Random
from threading import Event, Thread
from typing import Any

import pytest

from sgsim.engine import Engine, Snapshot, crossing, evaluate
from sgsim.errors import ChangeError
from sgsim.flows import FlowTable
from sgsim.model import Address, Environment, NetworkInterface, SecurityGroupRule
from sgsim.model.changes import (
    AddInterface,
    Authorize,
    Change,
    ChangeSet,
    CreateGroup,
    DeleteGroup,
    ModifyRule,
    RemoveInterface,
    Revoke,
    SetEntries,
    SetGroups,
)
from sgsim.model.identity import same_content
from sgsim.reference import judge
from sgsim.verdicts import RuleVerdicts
from tests.engine.test_evaluate_twin import answer_of
from tests.generators.dense import SEEDS, dense_rule, near_block, random_dense_environment, random_dense_rows
from tests.strategies import flow_table

Rows = list[tuple[Any, str, Any]]


def new_rules(rng: Random, group_id: str, known: tuple[SecurityGroupRule, ...], count: int) -> list[SecurityGroupRule]:
    """Rules with ids before, between and behind those that are there."""
    made: list[SecurityGroupRule] = []
    for n in range(count):
        stem = rng.choice(("sgr-", "sgr-7fff", "sgr-zz", "a"))
        one = dense_rule(rng, f"{stem}{rng.getrandbits(48):x}-{n}", group_id)
        if not any(same_content(one, other) for other in (*known, *made)):
            made.append(one)
    return made


def change_of(rng: Random, first: Environment, now: Environment) -> tuple[Change, ...]:
    """Something large, or something that was and comes back."""
    group_id = rng.choice(sorted(first.groups))
    group = now.groups.get(group_id)
    if group is None:
        return (CreateGroup(first.groups[group_id]),)
    name = rng.choice(sorted(first.interfaces))
    match rng.randrange(9):
        case 0 | 1:
            return (Authorize(group_id, tuple(new_rules(rng, group_id, group.rules, rng.choice((1, 30, 200))))),)
        case 2 | 3:
            gone = rng.sample(group.rules, len(group.rules) * rng.choice((1, 9)) // 10)
            return (Revoke(group_id, tuple(rule.rule_id for rule in gone)),)
        case 4:
            some = rng.sample(group.rules, min(5, len(group.rules)))
            return tuple(ModifyRule(group_id, one.rule_id, dense_rule(rng, "", group_id)) for one in some)
        case 5:
            return (DeleteGroup(group_id),) if rng.random() < 0.5 else (DeleteGroup(group_id), CreateGroup(group))
        case 6:
            return (SetGroups(name, tuple(rng.sample(sorted(first.groups), rng.randint(1, 4)))),)
        case 7:
            like = first.interfaces[rng.choice(sorted(first.interfaces))]
            moved = NetworkInterface(
                name, (Address(4, SEEDS[4][0] + rng.randrange(8)), like.addresses[1]), like.group_ids, vpc_id="vpc-a"
            )
            return (*([RemoveInterface(name)] if name in now.interfaces else []), AddInterface(moved))
    entries = now.prefix_lists["pl-4"].entries or ()
    return (SetEntries("pl-4", tuple({near_block(rng, 4) for _ in range(20)} - {*entries}), entries[:10]),)


def next_version(rng: Random, first: Environment, engine: Engine) -> bool:
    """One to three of them as one change, published; False if some could not be made, and then none was."""
    changes: list[Change] = []
    for _ in range(rng.randint(1, 3)):
        changes += change_of(rng, first, engine.snapshot.environment)
    before = engine.snapshot
    try:
        after = engine.apply(ChangeSet(tuple(changes), accepted=True))
    except ChangeError:
        assert engine.snapshot is before
        return False
    assert engine.snapshot is after and after.version == before.version + 1
    return True


def table_of(snapshot: Snapshot, rows: Rows) -> FlowTable:
    return flow_table([row for row in rows if row[1] in snapshot.environment.interfaces], snapshot.tables.interface_ids)


def answers(snapshot: Snapshot, verdicts: RuleVerdicts) -> list[Any]:
    return [answer_of(verdicts, row, snapshot.tables) for row in range(len(verdicts.action))]


@pytest.mark.parametrize(("rules", "seed"), [(20, 1), (90, 2), (400, 3)])
@pytest.mark.parametrize("least_rows", [1, 1 << 21])
def test_while_others_evaluate(monkeypatch: pytest.MonkeyPatch, rules: int, seed: int, least_rows: int) -> None:
    monkeypatch.setattr(crossing, "LEAST_ROWS", least_rows)
    rng = Random(seed)
    engine = Engine(Snapshot.of(random_dense_environment(seed, rules)))
    first = engine.snapshot.environment
    rows: Rows = list(random_dense_rows(first, seed, 500))
    evaluate(engine.snapshot, table_of(engine.snapshot, rows), scan_only=False)  # kernels are compiled before the race
    done = Event()
    seen: list[list[tuple[Snapshot, RuleVerdicts]]] = [[], []]

    def read(number: int) -> None:
        while not done.is_set():
            snapshot = engine.snapshot
            verdicts = evaluate(snapshot, table_of(snapshot, rows), threads=1, scan_only=False)
            if not seen[number] or seen[number][-1][0] is not snapshot:
                seen[number].append((snapshot, verdicts))

    readers = [Thread(target=read, args=(number,)) for number in (0, 1)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-3)
    versions = [engine.snapshot]
    try:
        for reader in readers:
            reader.start()
        while len(versions) < 40:
            if next_version(rng, first, engine):
                versions.append(engine.snapshot)
    finally:
        done.set()
        for reader in readers:
            reader.join()
        sys.setswitchinterval(interval)
    assert len(versions) == 40 and min(map(len, seen)) > 5
    expected: dict[int, list[Any]] = {}
    for snapshot in versions[::3]:
        fresh = Snapshot.of(snapshot.environment)
        expected[id(snapshot)] = answers(fresh, evaluate(fresh, table_of(fresh, rows), scan_only=False))
        found = evaluate(snapshot, table_of(snapshot, rows), scan_only=False)  # long after its successors were made
        assert answers(snapshot, found) == expected[id(snapshot)], snapshot.version
    for snapshot, verdicts in (*seen[0], *seen[1]):
        if id(snapshot) in expected:
            assert answers(snapshot, verdicts) == expected[id(snapshot)], snapshot.version
    last = versions[-1]
    asked = [row for row in rows if row[1] in last.environment.interfaces][:60]
    found = answers(last, evaluate(last, table_of(last, asked), scan_only=False))
    for (packet, name, direction), answer in zip(asked, found, strict=True):
        assert answer == judge(last.environment, last.semantics, name, direction, packet), (name, packet)
