"""Law: `evaluate` says of every row what the plain-loop twin says of its packet, to the last rule."""

from __future__ import annotations

import pytest

from sgsim.compiler import layout
from sgsim.engine import Snapshot, evaluate
from sgsim.flows import AMBIGUOUS
from sgsim.reference import RuleAnswer, judge
from sgsim.tables import RuleTables
from sgsim.verdicts import Reason, RuleVerdicts, Verdict
from tests.strategies import flow_table, random_environment, random_rows, random_semantics

ENVIRONMENTS, ROWS = 260, 400  # 104 000 rows


def answer_of(verdicts: RuleVerdicts, row: int, tables: RuleTables) -> RuleAnswer:
    """A row of the columns as the twin puts it."""

    def ids(number: int) -> frozenset[str]:
        return frozenset(tables.rule_ids[rule] for rule in verdicts.sets[number])

    deciding = int(verdicts.deciding_rule[row])
    return RuleAnswer(
        Verdict(verdicts.action[row]),
        Reason(verdicts.reason[row]),
        ids(int(verdicts.match_set[row])),
        ids(int(verdicts.possible_set[row])),
        None if deciding < 0 else tables.rule_ids[deciding],
        bool(verdicts.untracked[row]),
    )


def compare(seed: int, n: int, *, scan_only: bool) -> list[Reason]:
    """Compare n rows of one generated environment; returns the reasons met."""
    environment, semantics = random_environment(seed), random_semantics(seed)
    rows = list(random_rows(environment, seed=seed, n=n))
    snapshot = Snapshot.of(environment, semantics)
    verdicts = evaluate(snapshot, flow_table(rows, snapshot.tables.interface_ids), scan_only=scan_only)
    for row, (packet, end, direction) in enumerate(rows):
        answer = answer_of(verdicts, row, snapshot.tables)
        if end is None:
            expected = RuleAnswer(Verdict.UNKNOWN, Reason.NO_INTERFACE)
        elif end == AMBIGUOUS:
            expected = RuleAnswer(Verdict.UNKNOWN, Reason.AMBIGUOUS_INTERFACE)
        else:
            expected = judge(environment, semantics, end, direction, packet)
        assert answer == expected, f"seed {seed}, row {row}, {end} {direction!r} {packet}"
    distinct = {verdicts.sets[number] for number in range(len(verdicts.sets))}
    assert len(distinct) == len(verdicts.sets), "no two interned sets are equal"
    return [Reason(reason) for reason in verdicts.reason]


@pytest.mark.slow
def test_generated_environments() -> None:
    met = [reason for seed in range(ENVIRONMENTS) for reason in compare(seed, ROWS, scan_only=False)]
    assert len(met) >= 100_000
    for reason in (Reason.NO_RULE, Reason.RULE, Reason.UNFILTERED, Reason.EXEMPT, Reason.UNRESOLVED):
        assert met.count(reason) >= 1000, reason.name


def test_scanning_every_rule() -> None:
    for seed in range(1000, 1060):
        compare(seed, ROWS, scan_only=True)


@pytest.mark.parametrize(
    ("page_rows", "cells"),
    [
        pytest.param(2, 1 << 20, id="every block a node, dense"),
        pytest.param(2, 0, id="regions with pages of two rules, nodes walked"),
        pytest.param(0, 0, id="every block a node, walked"),
        pytest.param(5, 60, id="dense as far as there is room"),
    ],
)
def test_tables_too_large_for_a_page(monkeypatch: pytest.MonkeyPatch, page_rows: int, cells: int) -> None:
    """Pages and dense tables made small, so that small environments have tables of every layout."""
    monkeypatch.setattr(layout, "PAGE_ROWS", page_rows)
    monkeypatch.setattr(layout, "GROUP_CELLS", {4: cells, 6: cells})
    for seed in range(2000, 2060):
        compare(seed, ROWS, scan_only=False)
