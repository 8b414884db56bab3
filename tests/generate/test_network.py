"""Generated environments: what was asked for is there, nothing that AWS would refuse, and the same each time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sgsim.errors import ModelError
from sgsim.generate import Network, Shape, environment_of, network_of, random_network
from sgsim.model import CidrPeer, Direction, Environment, GroupPeer, PrefixListPeer, check_rule
from sgsim.model.identity import rule_content

SHAPE = Shape(rules=3_000, groups=60, interfaces=400)


@pytest.fixture(scope="module")
def network() -> Network:
    return random_network(SHAPE, seed=3)


@pytest.fixture(scope="module")
def environment(network: Network) -> Environment:
    return environment_of(network)


def test_it_is_as_large_as_asked(environment: Environment) -> None:
    configured = [
        rule
        for group in environment.groups.values()
        for rule in group.rules
        if (rule.direction, rule.protocol, str(rule.peer)[-2:]) != (Direction.EGRESS, None, "/0")
    ]
    assert len(configured) == 3_000
    assert (len(environment.groups), len(environment.interfaces)) == (60, 400)
    assert {group_id for one in environment.interfaces.values() for group_id in one.group_ids} == {*environment.groups}
    assert {len(one.group_ids) for one in environment.interfaces.values()} == {1, 2, 3, 4, 5}


def test_shares_are_near_what_was_asked(environment: Environment) -> None:
    rules = [rule for group in environment.groups.values() for rule in group.rules]
    peers = [rule.peer for rule in rules]
    assert 0.07 < sum(isinstance(peer, GroupPeer) for peer in peers) / 3_000 < 0.13
    assert 0.03 < sum(isinstance(peer, PrefixListPeer) for peer in peers) / 3_000 < 0.07
    blocks = [peer.cidr for peer in peers if isinstance(peer, CidrPeer)]
    assert 0.1 < sum(cidr.family == 6 for cidr in blocks) / len(blocks) < 0.2


def test_every_rule_can_exist_once(environment: Environment) -> None:
    """AWS refuses a rule that repeats another of its group (docs/semantics.md §1.6)."""
    for group in environment.groups.values():
        assert len({rule_content(check_rule(rule)) for rule in group.rules}) == len(group.rules)
        for rule in group.rules:
            match rule.peer:
                case GroupPeer(group_id):
                    assert group_id in environment.groups
                case PrefixListPeer(list_id):
                    assert environment.prefix_lists[list_id].entries
                case CidrPeer(cidr):
                    assert cidr.last >> (0 if cidr.family == 6 else 32) == 0 or cidr.family == 6
    for one in environment.prefix_lists.values():
        assert one.entries is not None and one.max_entries is not None
        assert len(set(one.entries)) == len(one.entries) <= one.max_entries


def test_a_seed_gives_one_network(network: Network) -> None:
    again, other = random_network(SHAPE, seed=3), random_network(SHAPE, seed=4)
    assert all((a == b).all() for a, b in zip(network.rules, again.rules))
    assert (network.rules.lo[:100] != other.rules.lo[:100]).any()


def test_an_environment_tells_its_network(network: Network, environment: Environment) -> None:
    back = network_of(environment)
    assert all((a == b).all() for a, b in zip(network.rules, back.rules))
    assert all((a == b).all() for a, b in zip(network.lists, back.lists))
    for name in ("offsets", "carried", "carried_offsets", "v4", "v6_hi", "v6_lo", "has_v4", "has_v6", "macs"):
        assert (getattr(network, name) == getattr(back, name)).all()


def test_sizes_of_groups() -> None:
    equal = random_network(Shape(rules=601, groups=10, interfaces=1, spread=0, default_egress=False))
    assert sorted(np.diff(equal.offsets).tolist()) == [60] * 9 + [61]
    unequal = np.diff(random_network(Shape(rules=6_000, groups=100, interfaces=1, default_egress=False)).offsets)
    assert unequal.sum() == 6_000 and unequal.min() < 40 and unequal.max() > 100


def test_levels_of_blocks_lie_inside_each_other() -> None:
    """With eight levels of blocks a rule of the last is inside seven others."""
    alone: dict[str, Any] = {"references": 0, "prefix_lists": 0, "ipv6": 0, "locked": 0, "default_egress": False}
    shape = Shape(rules=900, groups=1, interfaces=1, depth=8, nested=8 / 9, **alone)
    rules = random_network(shape).rules
    network, mask = rules.lo[:, None], (0xFFFFFFFF << (32 - rules.length)).astype(np.uint64)
    around = ((network & mask) == rules.lo) & (rules.length[:, None] >= rules.length)
    around &= (rules.protocol[:, None] == rules.protocol) & (rules.first[:, None] >= rules.first)
    around &= rules.last[:, None] <= rules.last
    assert around[800:].sum(axis=1).mean() > 7


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"rules": 5, "groups": 6}, "5 rules cannot fill 6 groups"),
        ({"interfaces": 0}, "interfaces: 0 is less than 1"),
        ({"interfaces": 5_000_000}, "do not fit into 100.64.0.0/10"),
        ({"references": 0.7, "prefix_lists": 0.7}, "more than all rules"),
        ({"ipv6": 1.5}, "ipv6: 1.5 is not a share"),
        ({"most_groups": 6}, "most groups: 6 is more than 5"),
        ({"spread": -1.0}, "spread: -1 is not between"),
    ],
)
def test_impossible_shapes_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        Shape(**wrong)
