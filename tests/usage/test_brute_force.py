"""What is said of a rule, against the twin: take the rule away, and look what becomes of every packet (§9.3).

docs/usage.md: *unused*: taking it away changes nothing. *redundant-here*: no accepted packet is lost. *needed*: exactly
its sole flows are lost.
"""

from __future__ import annotations

import pytest

from sgsim.analysis.findings import Redundant
from sgsim.analysis.usage import Status, removal, without_rules
from sgsim.analysis.usage_counts import NEVER
from tests.generators.packets import SECOND
from tests.usage.support import allowed, answers, generated, measured, plain_use

SEEDS = 220
USED = (Status.NEEDED, Status.REDUNDANT)
UNUSED = (Status.UNUSED, Status.UNOBSERVED, Status.UNATTACHED)


@pytest.mark.parametrize("start", range(0, SEEDS, 20))
def test_taking_a_rule_away_does_what_its_status_says(start: int) -> None:
    for seed in range(start, start + 20):
        case = generated(seed)
        usage = measured(case)
        answered = answers(case, case.environment)
        use, openers = plain_use(case, answered)
        for n, rule in enumerate(usage.rules):
            without = without_rules(case.environment, [rule.rule_id])
            own = {
                end: packet
                for end, packet in openers.items()
                if rule.group_id in case.environment.interfaces[str(end[0])].group_ids and end[1] == rule.direction
            }
            lost = {end for end, packet in own.items() if not allowed(case, without, end, packet)}
            status, flows = usage.status[n], use[rule.rule_id].flows if rule.rule_id in use else set()
            assert bool(lost) == (status is Status.NEEDED), (seed, rule)
            assert lost <= flows, (seed, rule)
            assert status in (Status.NEEDED, Status.REDUNDANT, Status.POSSIBLE) if flows else status not in USED
            if not any(end[-1] for end in flows):  # later fragments of several flows share an end
                assert (usage.use.sole[n], usage.use.flows[n]) == (len(lost), len(flows)), (seed, rule)


def test_unused_rules_change_nothing_in_time() -> None:
    """All unused rules away at once: every packet has the same verdict at every end, replies and fragments too."""
    seen = 0
    for seed in range(SEEDS):
        case = generated(seed)
        usage = measured(case)
        unused = [rule.rule_id for rule, status in zip(usage.rules, usage.status) if status in UNUSED]
        before, after = (
            answers(case, environment) for environment in (case.environment, without_rules(case.environment, unused))
        )
        assert [[answer.action for answer in both] for both in before] == [
            [answer.action for answer in both] for both in after
        ], seed
        seen += len(unused)
    assert seen > 1000


def test_redundant_rules_are_not_needed() -> None:
    """What is redundant without looking at traffic is no single flow's only rule."""
    redundant = 0
    for seed in range(100):
        usage = measured(generated(seed))
        status = dict(zip(usage.snapshot.tables.rule_ids, usage.status))
        subjects = [finding.subject for finding in usage.findings if isinstance(finding, Redundant)]
        assert not [subject for subject in subjects if status[subject] is Status.NEEDED], seed
        redundant += len(subjects)
    assert redundant > 500


def test_sums_equal_a_loop_over_packets() -> None:
    """Packets, bytes, first and last time, different peers of every rule."""
    for seed in range(60):
        case = generated(seed)
        usage = measured(case)
        use, _ = plain_use(case, answers(case, case.environment))
        for n, rule in enumerate(usage.rules):
            columns, mine = usage.use, use.get(rule.rule_id)
            if mine is None:
                assert (columns.packets[n], columns.first[n], columns.last[n]) == (0, NEVER, -1)
                assert n not in columns.peers
                continue
            assert mine.first is not None and mine.peers is not None
            assert (columns.packets[n], columns.bytes[n]) == (mine.packets, mine.bytes), (seed, rule)
            assert (columns.first[n], columns.last[n]) == (mine.first // SECOND, mine.last // SECOND), (seed, rule)
            peers = columns.peers[n]
            assert peers.exact and peers.count == len(mine.peers), (seed, rule)
            assert {(cidr.family, cidr.network) for cidr in peers.cidrs()} == mine.peers, (seed, rule)


def test_what_can_go_together_can_and_nothing_more() -> None:
    """The rules removed leave every verdict as it was; no single further rule can go without losing a flow."""
    removed = 0
    for seed in range(SEEDS):
        case = generated(seed)
        usage = measured(case)
        answer = removal(usage)
        without = without_rules(case.environment, answer.removed)
        before, after = answers(case, case.environment), answers(case, without)
        assert [[one.action for one in both] for both in before] == [[one.action for one in both] for both in after], (
            seed
        )
        assert answer.smallest
        _, openers = plain_use(case, before)
        for rule_id in set(answer.asked) - set(answer.removed) - set(answer.maybe):
            further = without_rules(without, [rule_id])
            assert not all(allowed(case, further, end, packet) for end, packet in openers.items()), (seed, rule_id)
        removed += len(answer.removed)
    assert removed > 1000
