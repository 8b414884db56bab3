"""Law: `evaluate` says of every row what the plain-loop twin says of its packet, to the last rule."""

from __future__ import annotations

import pytest

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


def compare(seed: int, n: int) -> list[Reason]:
    """Compare n rows of one generated environment; returns the reasons met."""
    environment, semantics = random_environment(seed), random_semantics(seed)
    rows = list(random_rows(environment, seed=seed, n=n))
    snapshot = Snapshot.of(environment, semantics)
    verdicts = evaluate(snapshot, flow_table(rows, snapshot.tables.interface_ids))
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
    met = [reason for seed in range(ENVIRONMENTS) for reason in compare(seed, ROWS)]
    assert len(met) >= 100_000
    for reason in (Reason.NO_RULE, Reason.RULE, Reason.UNFILTERED, Reason.EXEMPT, Reason.UNRESOLVED):
        assert met.count(reason) >= 1000, reason.name
