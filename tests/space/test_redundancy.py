"""Redundant rules, against brute force: take the rule away and see whether a verdict changes."""

from __future__ import annotations

from itertools import product
from random import Random

import msgspec
import pytest

from sgsim.analysis.redundancy import RedundantRule, redundant_rules
from sgsim.analysis.space import ViewKey, Views
from sgsim.analysis.space_services import service_range
from sgsim.model import (
    ALL_PORTS,
    TCP,
    UDP,
    Address,
    CidrPeer,
    Direction,
    Environment,
    GroupPeer,
    NetworkInterface,
    Peer,
    PortRange,
    PrefixList,
    PrefixListPeer,
    SecurityGroup,
    SecurityGroupRule,
    Semantics,
    parse_cidr,
)
from sgsim.reference.comparison import Comparison
from tests.space.support import packet_at
from tests.strategies import random_environment, random_semantics

CLOSED = frozenset({("1", None)})


def replaced(environment: Environment, **parts: object) -> Environment:
    kept = {name: getattr(environment, name) for name in Environment.__slots__ if name not in parts}
    return Environment(**kept, **parts)  # type: ignore[arg-type]


def without(environment: Environment, rule_ids: set[str]) -> Environment:
    groups = {
        name: msgspec.structs.replace(group, rules=tuple(r for r in group.rules if r.rule_id not in rule_ids))
        for name, group in environment.groups.items()
    }
    return replaced(environment, groups=groups)


def places(environment: Environment, group: SecurityGroup) -> list[str | None]:
    """The VPCs where the group is in use."""
    carrying = [one.vpc_id for one in environment.interfaces.values() if group.group_id in one.group_ids]
    return sorted(set(carrying), key=str) or [group.vpc_id]


def answers(environment: Environment, semantics: Semantics, group: SecurityGroup, vpc_ids: list[str | None]) -> list:
    """What interfaces with this group alone accept, wherever it is in use."""
    views = Views(environment, semantics)
    return [views.at(ViewKey((group.group_id,), vpc_id), way) for vpc_id in vpc_ids for way in Direction]


def test_taking_rules_away_one_by_one_and_together() -> None:
    """Redundant now: the exact space stays; needed: it changes. All that can go together can."""
    needed = redundant = 0
    for seed in range(60):
        environment, semantics = random_environment(seed), random_semantics(seed)
        found = {each.rule_id: each for each in redundant_rules(environment, semantics)}
        for group in environment.groups.values():
            if group.classic:
                continue
            vpc_ids = places(environment, group)
            whole = answers(environment, semantics, group, vpc_ids)
            for rule in group.rules:
                less = answers(without(environment, {rule.rule_id}), semantics, group, vpc_ids)
                is_redundant = rule.rule_id in found and found[rule.rule_id].now
                assert (less == whole) is is_redundant, f"seed {seed}, {rule}"
                redundant, needed = redundant + is_redundant, needed + (not is_redundant)
            together = {rule.rule_id for rule in group.rules if rule.rule_id in found and found[rule.rule_id].together}
            assert answers(without(environment, together), semantics, group, vpc_ids) == whole
            for rule in group.rules:
                if rule.rule_id in found and found[rule.rule_id].now:
                    kept = {*found[rule.rule_id].covered_by, rule.rule_id}
                    others = {other.rule_id for other in group.rules} - kept
                    alone = without(environment, others)
                    assert answers(alone, semantics, group, vpc_ids) == answers(
                        without(alone, {rule.rule_id}), semantics, group, vpc_ids
                    ), "what covers it suffices"
    assert redundant > 150 and needed > 500


def test_taking_rules_away_from_interfaces() -> None:
    """Covered on an interface: its exact space stays without the rule."""
    for seed in range(40):
        environment, semantics = random_environment(seed), random_semantics(seed)
        found = {each.rule_id: each for each in redundant_rules(environment, semantics)}
        before = Views(environment, semantics)
        for group in environment.groups.values():
            carrying = [name for name, one in environment.interfaces.items() if group.group_id in one.group_ids]
            for rule in group.rules:
                after = Views(without(environment, {rule.rule_id}), semantics)
                same = [name for name in carrying if before.of(name, rule.direction) == after.of(name, rule.direction)]
                each = found.get(rule.rule_id)
                assert len(same) == (each.covered_interfaces if each else 0), f"seed {seed}, {rule}"
                assert each is None or each.interfaces == len(carrying)


def test_against_the_twin() -> None:
    """The same by the twin's comparison of every rule with a packet of every cell."""
    for seed in range(200, 212):
        environment, semantics = random_environment(seed), random_semantics(seed)
        found = {each.rule_id for each in redundant_rules(environment, semantics) if each.now}
        views = Views(environment, semantics)
        for group, direction in product(list(environment.groups.values())[:4], Direction):
            rules = [rule for rule in group.rules if rule.direction == direction]
            if group.classic or not rules:
                continue
            points = sorted({bound for rule in rules for bound in service_range(rule)} - {1 << 24})
            needed: set[str] = set()
            for vpc_id, family in product(places(environment, group), (4, 6)):
                boxes = [box for rule in rules for box in views.rule_boxes(rule, group, vpc_id, family)]
                interface = NetworkInterface("eni-probe", (), (group.group_id,), vpc_id=vpc_id)
                end = 1 << (32 if family == 4 else 128)
                for remote in sorted({bound for box in boxes for bound in (box.first, box.end)} - {end}):
                    for point in points:
                        packet = packet_at(point, family, 1, remote, direction)
                        truths = {
                            rule.rule_id: Comparison.of(environment, semantics, interface, rule, packet).truth
                            for rule in rules
                        }
                        best = max(truths.values())
                        best_rules = [rule_id for rule_id, truth in truths.items() if truth is best]
                        if best and len(best_rules) == 1:
                            needed.update(best_rules)
            for rule in rules:
                assert (rule.rule_id in found) is (rule.rule_id not in needed), f"seed {seed}, {rule}"


# -- whatever the members are ------------------------------------------------------------------------------------------

BLOCKS = ("0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/8", "::/0", "::/1", "8000::/1")
PROBES = (Address(4, 1), Address(4, 0x0A000001), Address(4, 0xC0000001), Address(6, 1), Address(6, (1 << 128) - 1))


def small_group(rng: Random) -> SecurityGroup:
    """Inbound rules that often cover one another: halves, whole families, two references, a list."""
    rules = []
    for n in range(rng.randint(2, 9)):
        peer: Peer = CidrPeer(parse_cidr(rng.choice(BLOCKS)))
        if rng.random() < 0.4:
            peer = rng.choice((GroupPeer("sg-x"), GroupPeer("sg-x"), GroupPeer("sg-y"), PrefixListPeer("pl-4")))
        protocol = rng.choice((TCP, TCP, None))
        first = rng.choice((0, 80, 443))
        ports = rng.choice((ALL_PORTS, PortRange(first, rng.choice((443, 65535))))) if protocol else None
        rules.append(SecurityGroupRule(f"sgr-{n}", "sg-1", Direction.INGRESS, protocol, peer, ports))
    return SecurityGroup("sg-1", tuple(rules), account_id="1", vpc_id="vpc-a")


def world(group: SecurityGroup, members: dict[str, Address], entry: str | None) -> Environment:
    """The group on an interface, groups of at most one member, a list of at most one entry."""
    interfaces = {"eni-1": NetworkInterface("eni-1", (Address(4, 77),), ("sg-1",), vpc_id="vpc-a")}
    for name, address in members.items():
        interfaces[f"eni-{name}"] = NetworkInterface(f"eni-{name}", (address,), (name,), vpc_id="vpc-a")
    groups = {"sg-1": group, "sg-x": SecurityGroup("sg-x"), "sg-y": SecurityGroup("sg-y")}
    lists = {"pl-4": PrefixList("pl-4", (parse_cidr(entry),) if entry else (), family=4)}
    return Environment(groups, interfaces, lists, closed=CLOSED, peerings_described=True)


def test_always_is_now_in_every_world() -> None:
    """Always redundant exactly if redundant with every choice of a member and of an entry."""
    worlds: list[tuple[dict[str, Address], str | None]] = [({}, None)]
    worlds += [({name: address}, None) for name in ("sg-x", "sg-y") for address in PROBES]
    worlds += [({}, f"{address}/32") for address in PROBES[:3]]
    seen = {True: 0, False: 0}
    for seed in range(150):
        group = small_group(Random(seed))
        always = {each.rule_id for each in redundant_rules(world(group, {}, None)) if each.always}
        in_all = {rule.rule_id for rule in group.rules}
        for members, entry in worlds:
            found = redundant_rules(world(group, members, entry))
            in_all &= {each.rule_id for each in found if each.now}
            assert {each.rule_id for each in found if each.always} == always, "membership does not matter"
        assert in_all == always, f"seed {seed}"
        for rule in group.rules:
            seen[rule.rule_id in always] += 1
        together = {each.rule_id for each in redundant_rules(world(group, {}, None)) if each.always and each.together}
        for members, entry in worlds:
            one = world(group, members, entry)
            assert answers(one, Semantics(), group, ["vpc-a"]) == answers(
                without(one, together), Semantics(), group, ["vpc-a"]
            )
    assert min(seen.values()) > 200


def of(*rules: SecurityGroupRule) -> dict[str, RedundantRule]:
    group = SecurityGroup("sg-1", rules, account_id="1", vpc_id="vpc-a")
    return {each.rule_id: each for each in redundant_rules(world(group, {}, None))}


def rule(rule_id: str, peer: str, first: int = 443, last: int = 443, protocol: int | None = TCP,
         direction: Direction = Direction.INGRESS) -> SecurityGroupRule:  # fmt: skip
    ports = PortRange(first, last) if protocol in (TCP, UDP) else None
    return SecurityGroupRule(rule_id, "sg-1", direction, protocol, CidrPeer(parse_cidr(peer)), ports)


def test_by_the_union_of_several() -> None:
    """Two halves, and two ranges of ports, cover what neither does alone."""
    found = of(rule("a", "10.0.0.0/8"), rule("b", "10.0.0.0/9", 0, 1000), rule("c", "10.128.0.0/9", 443, 500))
    assert set(found) == {"a"}
    assert found["a"].always and found["a"].together and found["a"].covered_by == ("b", "c")
    assert of(rule("a", "10.0.0.0/8"), rule("b", "10.0.0.0/9"))["b"].covered_by == ("a",)


def test_duplicates_are_each_redundant_but_not_both() -> None:
    found = of(rule("a", "10.0.0.0/8"), rule("b", "10.0.0.0/8"))
    assert found["a"].covered_by == ("b",) and found["b"].covered_by == ("a",)
    assert [each.together for each in found.values()].count(True) == 1


@pytest.mark.parametrize(
    ("others", "may"),
    [
        ([rule("b", "0.0.0.0/1", 0, 65535), rule("c", "128.0.0.0/1", 0, 65535)], True),
        ([rule("b", "0.0.0.0/0", 0, 65535)], False),
        ([rule("b", "0.0.0.0/0", protocol=None)], False),
    ],
)
def test_tracking(others: list[SecurityGroupRule], may: bool) -> None:
    """§2.1: only a rule for /0 leaves flows untracked; two /1 rules do not take its place."""
    assert of(rule("a", "0.0.0.0/0"), *others)["a"].may_change_tracking is may


def test_all_ports_in_one_rule() -> None:
    """§2.1: the other direction needs one rule for all ports; two ranges do not take its place."""
    found = of(rule("a", "::/0", 0, 65535), rule("b", "::/0", 0, 99), rule("c", "::/0", 100, 65535))
    assert found["a"].may_change_tracking and not found["b"].may_change_tracking
