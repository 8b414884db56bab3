"""Law: compiled tables say of groups with very many overlapping rules what the plain loop says."""

import pytest

from sgsim.engine import Snapshot, evaluate
from sgsim.model import Semantics
from sgsim.reference import RuleAnswer, judge
from sgsim.verdicts import Reason, Verdict
from tests.strategies import flow_table, random_dense_environment, random_dense_rows


@pytest.mark.parametrize(("rules", "rows"), [(40, 1500), (300, 500), (1_000, 200), (4_000, 60)])
@pytest.mark.parametrize("seed", [1, 2])
def test_dense_groups(seed, rules, rows):
    environment, semantics = random_dense_environment(seed, rules), Semantics()
    asked = list(random_dense_rows(environment, seed, rows))
    snapshot = Snapshot.of(environment, semantics)
    ids = snapshot.tables.rule_ids
    verdicts = evaluate(snapshot, flow_table(asked, snapshot.tables.interface_ids))
    sizes = []
    for row, (packet, end, direction) in enumerate(asked):
        deciding = int(verdicts.deciding_rule[row])
        answer = RuleAnswer(
            Verdict(verdicts.action[row]),
            Reason(verdicts.reason[row]),
            frozenset(ids[rule] for rule in verdicts.sets[int(verdicts.match_set[row])]),
            frozenset(ids[rule] for rule in verdicts.sets[int(verdicts.possible_set[row])]),
            None if deciding < 0 else ids[deciding],
            bool(verdicts.untracked[row]),
        )
        assert answer == judge(environment, semantics, end, direction, packet), f"row {row}: {end} {direction} {packet}"
        sizes.append(len(answer.rule_ids))
    assert sum(sizes) / rows > rules / 200, "rules overlap"
