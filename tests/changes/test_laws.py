"""Laws of changes: what is done can be undone, differences lead from one environment to the other, order."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import msgspec
from hypothesis import given, settings

from sgsim.errors import ChangeError
from sgsim.model import Address, Cidr, Environment, NetworkInterface, SecurityGroup
from sgsim.model.apply import apply
from sgsim.model.changes import (
    AddInterface,
    Authorize,
    Change,
    ChangeSet,
    CreateGroup,
    DeleteGroup,
    DescribeRule,
    ModifyRule,
    RemoveInterface,
    Revoke,
    SetEntries,
    SetGroups,
)
from sgsim.model.difference import difference, inverse
from tests.changes.support import bare, distinct
from tests.generators.environments import OUTSIDERS, random_rule
from tests.strategies import seeds

laws = settings(max_examples=100, derandomize=True, deadline=None)


def random_change(environment: Environment, rng: Random) -> Change:
    """A change of any kind, often one that can be made."""
    group_ids, interface_ids = sorted(environment.groups), sorted(environment.interfaces)
    group = environment.groups[rng.choice(group_ids)] if group_ids else SecurityGroup("sg-none")
    group_id, rules = group.group_id, group.rules
    some = rng.choice(rules) if rules else random_rule(rng, "sgr-x", group_id, group_ids or ["sg-0"], OUTSIDERS)
    new = random_rule(rng, "", group_id, group_ids or ["sg-0"], OUTSIDERS)
    interface_id = rng.choice(interface_ids) if interface_ids else "eni-none"
    name = f"n{rng.randrange(10**6)}"
    carried = tuple(rng.sample(group_ids, min(len(group_ids), rng.randint(1, 3))))
    cidr = Cidr(4, rng.randrange(256) << 24, 8)
    match rng.randrange(13):
        case 0 | 1:
            return Authorize(group_id, (new,))
        case 2:
            return Revoke(group_id, (some.rule_id,))
        case 3:
            return Revoke(group_id, (), (msgspec.structs.replace(some, rule_id=""),))
        case 4:
            return ModifyRule(group_id, some.rule_id, new)
        case 5:
            return DescribeRule(group_id, name, some.rule_id)
        case 6:
            return DescribeRule(group_id, name, "", some)
        case 7:
            return CreateGroup(SecurityGroup(f"sg-{name}", (new,), name, "made", vpc_id="vpc-a"))
        case 8:
            return DeleteGroup(group_id)
        case 9:
            return SetGroups(interface_id, carried)
        case 10:
            address = Address(4, 0x0A000000 + rng.randrange(200))
            return AddInterface(NetworkInterface(f"eni-{name}", (address,), carried, vpc_id="vpc-a"))
        case 11:
            return RemoveInterface(interface_id)
    return SetEntries(rng.choice(("pl-4", "pl-hidden")), (cidr,), (Cidr(4, 0x0A000000, 16),))


def possible_changes(environment: Environment, rng: Random, count: int) -> tuple[ChangeSet, Environment]:
    """Changes that can be made one after the other, and where they lead."""
    made: list[Change] = []
    while len(made) < count:
        change = random_change(environment, rng)
        try:
            environment = apply(environment, ChangeSet((change,), accepted=True))
        except ChangeError:
            continue
        made.append(change)
    return ChangeSet(tuple(made), accepted=True), environment


@laws
@given(seeds)
def test_inverse_restores(seed: int) -> None:
    """Apply, then the inverse: the very environment, ids and all."""
    rng, before = Random(seed), distinct(seed)
    changes, after = possible_changes(before, rng, rng.randint(1, 12))
    assert apply(before, changes) == after
    assert apply(after, inverse(before, changes)) == before


@laws
@given(seeds)
def test_difference_leads_there(seed: int) -> None:
    """Between an environment and one changed, and between any two: equal up to ids of rules."""
    rng, before = Random(seed), distinct(seed)
    after = possible_changes(before, rng, rng.randint(0, 12))[1]
    other = distinct(seed + 1)
    other = replace(other, prefix_lists=before.prefix_lists)
    for one, two in ((before, after), (after, before), (before, other), (other, after)):
        changes = difference(one, two)
        assert bare(apply(one, changes)) == bare(two)
        assert difference(apply(one, changes), two).changes == ()
        assert not any(isinstance(change, ModifyRule) for change in changes.changes)
    assert difference(before, before) == ChangeSet(accepted=True)


@laws
@given(seeds)
def test_ids_of_rules_make_no_difference(seed: int) -> None:
    before = distinct(seed)
    renamed = {
        key: msgspec.structs.replace(
            one, rules=tuple(msgspec.structs.replace(each, rule_id=f"x{n}") for n, each in enumerate(one.rules))
        )
        for key, one in before.groups.items()
    }
    assert difference(before, replace(before, groups=renamed)) == ChangeSet(accepted=True)


@laws
@given(seeds)
def test_order_of_independent_changes_is_irrelevant(seed: int) -> None:
    """Authorizing different rules, revoking others, changing different interfaces."""
    rng, before = Random(seed), distinct(seed)
    changes: list[Change] = []
    for group in before.groups.values():
        half = len(group.rules) // 2
        changes += [Revoke(group.group_id, (one.rule_id,)) for one in group.rules[:half]]
        changes += [DescribeRule(group.group_id, f"d{n}", one.rule_id) for n, one in enumerate(group.rules[half:])]
        new = [random_rule(rng, f"sgr-new{n}", group.group_id, [*before.groups], OUTSIDERS) for n in range(3)]
        after = apply(before, ChangeSet(tuple(changes), accepted=True)).groups[group.group_id]
        for one in new:
            try:
                apply(Environment(groups={after.group_id: after}), ChangeSet((Authorize(after.group_id, (one,)),)))
                apply(before, ChangeSet((Authorize(after.group_id, (one,)),), accepted=True))
            except ChangeError:
                continue
            if all(one.rule_id != other.rule_id for other in after.rules) and one is new[0]:
                changes.append(Authorize(after.group_id, (one,)))
    changes += [SetGroups(name, tuple(sorted(before.groups)[:n])) for n, name in enumerate(before.interfaces)]
    expected = apply(before, ChangeSet(tuple(changes), accepted=True))
    rng.shuffle(changes)
    assert apply(before, ChangeSet(tuple(changes), accepted=True)) == expected


@laws
@given(seeds)
def test_a_failed_change_set_leaves_everything(seed: int) -> None:
    """All or nothing: the environment is the same object with the same content."""
    rng, environment = Random(seed), distinct(seed)
    changes, _ = possible_changes(environment, rng, rng.randint(1, 6))
    parts = [environment.groups, environment.interfaces, environment.prefix_lists]
    broken = ChangeSet((*changes.changes, DeleteGroup("sg-never")), accepted=True)
    try:
        apply(environment, broken)
    except ChangeError as error:
        assert error.code == "InvalidGroup.NotFound" and error.place
    else:
        raise AssertionError("applied")
    assert environment == distinct(seed)
    assert [environment.groups, environment.interfaces, environment.prefix_lists] == parts
    assert parts[0] is environment.groups


@laws
@given(seeds)
def test_what_aws_allows_can_also_be_recorded(seed: int) -> None:
    """A change that AWS would not refuse has the same effect when it is accepted already."""
    rng, environment = Random(seed), distinct(seed)
    for _ in range(8):
        change = random_change(environment, rng)
        try:
            after = apply(environment, change)
        except ChangeError:
            continue
        assert apply(environment, ChangeSet((change,), accepted=True)) == after
