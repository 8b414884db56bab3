"""Laws that hold for every environment and every packet."""

from random import Random

import msgspec
import pytest
from hypothesis import given, settings

from sgsim.flows import AMBIGUOUS
from sgsim.model import Direction, Environment, NetworkInterface, Semantics
from sgsim.reference import RuleAnswer, Tracker, judge
from sgsim.verdicts import Reason, Verdict
from tests.generators.environments import OUTSIDERS
from tests.strategies import random_environment, random_packets, random_rows, random_rule, seeds

DEFAULT = Semantics()
laws = settings(derandomize=True, max_examples=60, deadline=None)


def answers(environment: Environment, seed: int, n: int = 25) -> list[tuple[object, str, Direction, RuleAnswer]]:
    """What the rules say of random packets at the interfaces of an environment."""
    return [
        (packet, end, direction, judge(environment, DEFAULT, end, direction, packet))
        for packet, end, direction in random_rows(environment, seed, n)
        if isinstance(end, str)
    ]


def with_groups(environment: Environment, groups: dict[str, object]) -> Environment:
    return changed(environment, groups=groups)


def changed(environment: Environment, **fields: object) -> Environment:
    """The environment with some fields replaced."""
    return Environment(**{name: fields.get(name, getattr(environment, name)) for name in Environment.__slots__})


@laws
@given(seeds)
def test_adding_a_rule_never_closes(seed):
    """ACCEPT stays ACCEPT and UNKNOWN never becomes REJECT; rules that matched still do."""
    environment, rng = random_environment(seed), Random(seed)
    if not environment.groups:
        return
    group = environment.groups[rng.choice(sorted(environment.groups))]
    extra = random_rule(rng, "sgr-extra", group.group_id, sorted(environment.groups), OUTSIDERS)
    if group.classic and extra.direction is Direction.EGRESS:
        return
    wider = msgspec.structs.replace(group, rules=(*group.rules, extra))
    after = with_groups(environment, {**environment.groups, group.group_id: wider})
    for packet, end, direction, before in answers(environment, seed):
        now = judge(after, DEFAULT, end, direction, packet)
        if before.action is Verdict.ACCEPT:
            assert now.action is Verdict.ACCEPT
        if before.action is Verdict.UNKNOWN:
            assert now.action is not Verdict.REJECT
        assert before.rule_ids <= now.rule_ids <= before.rule_ids | {"sgr-extra"}


@laws
@given(seeds)
def test_order_of_rules_groups_and_everything_else_is_irrelevant(seed):
    environment, rng = random_environment(seed), Random(seed)

    def shuffled(values):
        return tuple(rng.sample(values, len(values)))

    def mixed(mapping):
        return {key: mapping[key] for key in shuffled(sorted(mapping))}

    def turned(interface: NetworkInterface) -> NetworkInterface:
        return msgspec.structs.replace(
            interface, group_ids=shuffled(interface.group_ids), addresses=shuffled(interface.addresses)
        )

    after = changed(
        environment,
        groups={
            name: msgspec.structs.replace(group, rules=shuffled(group.rules))
            for name, group in mixed(environment.groups).items()
        },
        interfaces={name: turned(interface) for name, interface in mixed(environment.interfaces).items()},
        peerings=mixed(environment.peerings),
        gateway_attachments=mixed(environment.gateway_attachments),
    )
    for packet, end, direction, before in answers(environment, seed):
        assert judge(after, DEFAULT, end, direction, packet) == before


@laws
@given(seeds)
def test_a_copy_of_a_rule_changes_no_verdict(seed):
    """A redundant rule joins the match set and changes nothing else; removing it restores every answer."""
    environment, rng = random_environment(seed), Random(seed)
    groups = [group for group in environment.groups.values() if group.rules]
    if not groups:
        return
    group = rng.choice(groups)
    twin = msgspec.structs.replace(rng.choice(group.rules), rule_id="sgr-zzz")
    doubled = msgspec.structs.replace(group, rules=(*group.rules, twin))
    after = with_groups(environment, {**environment.groups, group.group_id: doubled})
    for packet, end, direction, before in answers(environment, seed):
        now = judge(after, DEFAULT, end, direction, packet)
        assert now._replace(rule_ids=now.rule_ids - {"sgr-zzz"}, possible_rule_ids=frozenset()) == before._replace(
            possible_rule_ids=frozenset()
        )


@laws
@given(seeds)
def test_an_answer_is_consistent_with_itself(seed):
    """§9.3: action, reason and rules say the same."""
    environment = random_environment(seed)
    for _, end, direction, answer in answers(environment, seed):
        known = {
            rule.rule_id
            for group_id in environment.interfaces[end].group_ids
            if group_id in environment.groups
            for rule in environment.groups[group_id].rules
            if rule.direction is direction
        }
        assert answer.rule_ids | answer.possible_rule_ids <= known
        assert (answer.reason is Reason.RULE) == bool(answer.rule_ids)
        assert (answer.reason is Reason.RULE) == (answer.deciding_rule_id is not None)
        assert answer.deciding_rule_id is None or answer.deciding_rule_id in answer.rule_ids
        assert (answer.action is Verdict.REJECT) == (answer.reason is Reason.NO_RULE)
        assert (answer.action is Verdict.UNKNOWN) == (answer.reason is Reason.UNRESOLVED)
        assert not answer.possible_rule_ids or answer.action is Verdict.UNKNOWN
        assert not answer.untracked or answer.reason is Reason.RULE


@laws
@given(seeds)
def test_state_lets_more_through_never_less(seed):
    """What the rules of a packet's own direction accept, tracking accepts (where mid-stream TCP is not rejected)."""
    environment = random_environment(seed)
    tracker = Tracker(environment, DEFAULT)
    for packet, egress, ingress in random_packets(environment, seed, 60):
        for answer in tracker.step(packet, egress, ingress):
            if answer.interface_id is None or packet.later_fragment:
                continue
            alone = judge(environment, DEFAULT, answer.interface_id, answer.direction, packet)
            if alone.action is Verdict.ACCEPT:
                assert answer.action is Verdict.ACCEPT
            if alone.action is Verdict.UNKNOWN:
                assert answer.action is not Verdict.REJECT


@laws
@given(seeds)
def test_swapping_to_an_equal_environment_changes_nothing(seed):
    environment = random_environment(seed)
    steady, swapped = Tracker(environment), Tracker(environment)
    for number, step in enumerate(random_packets(environment, seed, 60)):
        if number % 7 == 0:
            swapped.swap(random_environment(seed))
        assert steady.step(*step) == swapped.step(*step)


@laws
@given(seeds)
def test_the_receiver_is_judged_unless_the_sender_rejects(seed):
    """§9.1."""
    environment = random_environment(seed)
    tracker = Tracker(environment)
    for packet, egress, ingress in random_packets(environment, seed, 60):
        found = tracker.step(packet, egress, ingress)
        ways = [answer.direction for answer in found]
        if egress is None and ingress is None:
            assert ways == [None]
        elif egress is None:
            assert ways == [Direction.INGRESS]
        elif ingress is None or found[0].action is Verdict.REJECT:
            assert ways == [Direction.EGRESS]
        else:
            assert ways == [Direction.EGRESS, Direction.INGRESS]


@pytest.mark.parametrize("seed", range(5))
def test_connections_of_other_interfaces_do_not_matter(seed):
    """Each interface keeps its own state: packets that share neither end with it change nothing there."""
    environment = random_environment(seed)
    steps = list(random_packets(environment, seed, 400))
    name = next(iter(environment.interfaces))
    related = {name}
    while True:  # everything that ever exchanged packets with it, directly or not
        met = {end for step in steps if related & {step.egress, step.ingress} for end in step[1:]}
        if met <= related | {None, AMBIGUOUS}:
            break
        related |= met - {None, AMBIGUOUS}
    alone, together = Tracker(environment), Tracker(environment)
    for step in steps:
        said = together.step(*step)
        if related & {step.egress, step.ingress}:
            assert alone.step(*step) == said
