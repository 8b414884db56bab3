"""How long does the packet-space difference of two large environments take? (`--benchmark-only -s`)

10 000 groups of 60 rules, each on an interface, in one VPC; references to other groups among the rules. The second
environment shares nothing with the first in memory, as if it were read from files. The answer is compared on a sample
with the difference of whole spaces before anything is timed.
"""

from __future__ import annotations

import pickle
from dataclasses import replace
from random import Random
from typing import Any

import msgspec
import pytest

from sgsim.analysis.space import SpaceChange, Views, change_between, difference
from sgsim.model import (
    ICMP,
    TCP,
    UDP,
    Address,
    Cidr,
    CidrPeer,
    Direction,
    Environment,
    GroupPeer,
    IcmpType,
    NetworkInterface,
    Peer,
    PortRange,
    SecurityGroup,
    SecurityGroupRule,
)

GROUPS, RULES = 10_000, 60


def make_rule(rng: Random, rule_id: str, group_id: str) -> SecurityGroupRule:
    """Mostly a block and a port; a few for everyone, 15 % references."""
    peer: Peer
    kind = rng.random()
    if kind < 0.15:
        peer = GroupPeer(f"sg-{rng.randrange(GROUPS)}")
    elif kind < 0.18:
        peer = CidrPeer(Cidr(4, 0, 0))
    elif kind < 0.9:
        length = rng.choice((16, 24, 24, 28, 32, 32))
        peer = CidrPeer(Cidr(4, rng.getrandbits(length) << (32 - length), length))
    else:
        peer = CidrPeer(Cidr(6, (0x2600 << 112) | (rng.getrandbits(48) << 64), 64))
    protocol = rng.choice((TCP, TCP, TCP, UDP, None, ICMP))
    first = rng.choice((22, 80, 443, 5432, rng.randint(1, 60000)))
    ports = PortRange(first, first + rng.choice((0, 0, 0, 10, 1000))) if protocol in (TCP, UDP) else None
    icmp = IcmpType(8, None) if protocol == ICMP else None
    direction = Direction.INGRESS if rng.random() < 0.7 else Direction.EGRESS
    return SecurityGroupRule(rule_id, group_id, direction, protocol, peer, ports, icmp)


@pytest.fixture(scope="module")
def environment() -> Environment:
    rng = Random(1)
    names = [f"sg-{n}" for n in range(GROUPS)]
    return Environment(
        groups={
            name: SecurityGroup(
                name,
                tuple(make_rule(rng, f"sgr-{name}-{n}", name) for n in range(RULES)),
                account_id="1",
                vpc_id="vpc-1",
            )
            for name in names
        },
        interfaces={
            f"eni-{n}": NetworkInterface(f"eni-{n}", (Address(4, 0x0A000000 + n),), (name,), vpc_id="vpc-1")
            for n, name in enumerate(names)
        },
        closed=frozenset({("1", None)}),
        peerings_described=True,
    )


@pytest.mark.parametrize("changed", [100, GROUPS])
def test_one_rule_changed_in_some_groups(benchmark: Any, environment: Environment, changed: int) -> None:
    rng = Random(changed)
    groups = dict(environment.groups)
    for name in rng.sample(sorted(groups), changed):
        rules = list(groups[name].rules)
        rules[rng.randrange(RULES)] = make_rule(rng, f"sgr-{name}-new", name)
        groups[name] = msgspec.structs.replace(groups[name], rules=tuple(rules))
    after = pickle.loads(pickle.dumps(replace(environment, groups=groups)))
    found = {
        (name, each.direction): each.change for each in difference(environment, after) for name in each.interface_ids
    }
    views = Views(environment), Views(after)
    for name in rng.sample(sorted(environment.interfaces), 30):
        for direction in Direction:
            whole = change_between(*(each.of(name, direction) for each in views))
            assert whole == found.get((name, direction), SpaceChange())
    benchmark.pedantic(difference, (environment, after), rounds=3)
