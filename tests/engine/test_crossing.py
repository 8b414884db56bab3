"""Law: large jobs at one interface get the twin's answers from tables of their own, whatever their rules' shape."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from sgsim.compiler import cross
from sgsim.engine import Snapshot, crossing, evaluate
from sgsim.model import CidrPeer, Environment
from sgsim.reference import judge
from sgsim.verdicts import Reason
from tests.engine.test_evaluate_twin import answer_of
from tests.strategies import flow_table, random_environment, random_rows, random_semantics


def without_references(environment: Environment) -> Environment:
    """Only the rules with CIDR peers."""
    groups = {
        group_id: structs.replace(group, rules=tuple(rule for rule in group.rules if isinstance(rule.peer, CidrPeer)))
        for group_id, group in environment.groups.items()
    }
    return replace(environment, groups=groups)


@pytest.mark.parametrize(
    ("all_wide", "narrow", "line_keys", "tree_keys"),
    [
        pytest.param(True, 16, 15, 255, id="all rules wide"),
        pytest.param(False, 0, 15, 255, id="as many narrow rules as fit"),
        pytest.param(False, 0, 1, 255, id="two levels wherever there are two keys"),
        pytest.param(False, 8, 2, 2, id="lines soon full"),
    ],
)
def test_tables_of_one_interface(
    monkeypatch: pytest.MonkeyPatch, all_wide: bool, narrow: int, line_keys: int, tree_keys: int
) -> None:
    """All rules wide or some narrow, both directions, exempt rows, fragments, protocols without ports."""
    attempts: list[cross.Cross | None] = []

    def build(*arguments: Any) -> cross.Cross | None:
        """The first attempt, to make all rules wide, fails where it is to fail."""
        attempts.append(original(*arguments) if all_wide or len(attempts) % 2 else None)
        return attempts[-1]

    original = cross._build
    monkeypatch.setattr(cross, "_build", build)
    monkeypatch.setattr(crossing, "LEAST_ROWS", 1)
    monkeypatch.setattr(cross, "_NARROW", ((narrow, tree_keys),))
    monkeypatch.setattr(cross, "_LINE_KEYS", line_keys)
    reasons = Counter[int]()
    untracked = 0
    for seed in range(3000, 3060):
        environment, semantics = without_references(random_environment(seed)), random_semantics(seed)
        rows = [row for row in random_rows(environment, seed=seed, n=600) if row[1] in environment.interfaces]
        snapshot = Snapshot.of(environment, semantics)
        for end, _ in Counter(row[1] for row in rows).most_common(3):
            mine = [row for row in rows if row[1] == end]
            verdicts = evaluate(snapshot, flow_table(mine, snapshot.tables.interface_ids), scan_only=False)
            for number, (packet, _, direction) in enumerate(mine):
                answer = answer_of(verdicts, number, snapshot.tables)
                assert answer == judge(environment, semantics, end, direction, packet), f"seed {seed}, {end}, {packet}"
            assert len({verdicts.sets[i] for i in range(len(verdicts.sets))}) == len(verdicts.sets)
            reasons.update(verdicts.reason.tolist())
            untracked += int(verdicts.untracked.sum())
    built = [made for made in attempts if made is not None]
    assert len(built) > 50
    assert all_wide or sum(made.depth > 0 for made in built) > 50
    assert all(reasons[reason] > 100 for reason in (Reason.NO_RULE, Reason.RULE, Reason.EXEMPT))
    assert untracked > 10
