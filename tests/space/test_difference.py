"""Laws of the difference of two environments: it is the difference of the verdicts, its parts are disjoint, and
before + opened − closed = after."""

from __future__ import annotations

import pickle
from random import Random

import msgspec
import numpy as np
import pytest

from sgsim.analysis.space import NOTHING, SpaceChange, View, Views, change_between, difference
from sgsim.engine import Snapshot
from sgsim.model import Direction, Environment, Semantics
from sgsim.reference import judge
from sgsim.verdicts import Reason
from tests.space.support import (
    edge_addresses,
    edge_services,
    engine_verdicts,
    local_address,
    packet_at,
    part_table,
)
from tests.strategies import random_change, random_dense_environment, random_environment, random_semantics

PAIRS, PACKETS = 100, 10_000  # 1 000 000 packets, each judged before and after


def pair_of(seed: int) -> tuple[Environment, Environment, Semantics]:
    """An environment and another: after a few edits, or with nothing in common but names."""
    before = random_environment(seed)
    if seed % 4 == 0:
        return before, random_environment(seed + 1_000_000), random_semantics(seed)
    after = before
    for step in range(1 + seed % 3):
        after = random_change(after, seed * 7 + step)
    return before, after, random_semantics(seed)


def by_end(before: Environment, after: Environment, semantics: Semantics) -> dict[tuple[str, Direction], SpaceChange]:
    """The change of each interface and direction that has one."""
    found = {}
    for each in difference(before, after, semantics):
        for name in each.interface_ids:
            assert (name, each.direction) not in found, "each interface is named once a direction"
            assert each.change
            kinds = {(True, True): "changed", (True, False): "removed", (False, True): "added"}
            assert each.situation == kinds[name in before.interfaces, name in after.interfaces]
            found[name, each.direction] = each.change
    return found


def test_it_is_the_change_between_whole_views() -> None:
    """Working only where rules differ gives what comparing whole spaces gives; and what was, more and less, is."""
    changed = 0
    for seed in range(160):
        before, after, semantics = pair_of(seed)
        old, new = Views(before, semantics), Views(after, semantics)
        found = by_end(before, after, semantics)
        for name in before.interfaces.keys() | after.interfaces.keys():
            for direction in Direction:
                b = old.of(name, direction) if name in before.interfaces else View(NOTHING, NOTHING)
                a = new.of(name, direction) if name in after.interfaces else View(NOTHING, NOTHING)
                change = found.pop((name, direction), SpaceChange())
                assert change == change_between(b, a), f"seed {seed}, {name} {direction!r}"
                assert (b.accepted | change.now_accepted) - change.no_longer_accepted == a.accepted
                gained, lost = change.may_open | change.may_close, change.confirmed | change.refuted
                assert (b.possible | gained) - lost == a.possible
                assert not change.now_accepted & change.no_longer_accepted
                changed += bool(change)
        assert not found
    assert changed > 800


@pytest.mark.slow
def test_a_million_packets() -> None:
    """The parts of the difference are the transitions between the engine's verdicts, packet by packet."""
    total = differing = 0
    for seed in range(PAIRS):
        before, after, semantics = pair_of(seed)
        rng, random = Random(seed), np.random.default_rng(seed)
        found = by_end(before, after, semantics)
        snapshots = Snapshot.of(before, semantics), Snapshot.of(after, semantics)
        names = sorted(before.interfaces.keys() & after.interfaces.keys())
        spaces = [getattr(change, name) for change in found.values() for name in ("opened", "closed", "may_open")]
        points = np.array(edge_services(rng, spaces, 120), np.int64)
        for family in (4, 6):
            remotes = edge_addresses(rng, before, spaces, family, 120)
            ends = [(name, direction) for name in names for direction in Direction]
            tables = [part_table(found.get(end, SpaceChange()), family, remotes, points) for end in ends]
            parts = np.array(tables).reshape(len(ends), 2, len(remotes), len(points))
            end, row, column = (
                random.integers(0, size, PACKETS // 2) for size in (len(ends), len(remotes), len(points))
            )
            chosen = [ends[number] for number in end.tolist()]
            arguments = (
                family,
                [name for name, _ in chosen],
                np.array([direction.value for _, direction in chosen], np.uint8),
                [local_address(before, name, family).value for name, _ in chosen],
                [remotes[number] for number in row.tolist()],
                points[column],
            )
            (old, exempt), (new, exempt_after) = (engine_verdicts(snapshot, *arguments) for snapshot in snapshots)
            judged = ~exempt & ~exempt_after
            named = parts[end, 0, row, column] != 255
            assert (parts[end, 0, row, column] == old)[named & judged].all(), f"seed {seed}"
            assert (parts[end, 1, row, column] == new)[named & judged].all(), f"seed {seed}"
            assert (old == new)[~named & judged].all(), f"seed {seed}"
            total += len(old)
            differing += int((named & judged).sum())
    assert total >= 1_000_000
    assert differing > 20_000


def test_against_the_twin() -> None:
    """The same packet by packet with the plain-loop twin."""
    for seed in range(40):
        before, after, semantics = pair_of(seed)
        rng = Random(seed)
        for (name, direction), change in by_end(before, after, semantics).items():
            if name not in before.interfaces or name not in after.interfaces:
                continue
            spaces = [getattr(change, part) for part in SpaceChange.__slots__]
            points = np.array(edge_services(rng, spaces, 4), np.int64)
            for family in (4, 6):
                remotes = edge_addresses(rng, before, spaces, family, 4)
                old, new = part_table(change, family, remotes, points)
                local = local_address(before, name, family).value
                for row, remote in enumerate(remotes):
                    for column, point in enumerate(points.tolist()):
                        packet = packet_at(point, family, local, remote, direction)
                        was, becomes = (judge(env, semantics, name, direction, packet) for env in (before, after))
                        if Reason.EXEMPT in (was.reason, becomes.reason):
                            continue
                        if old[row, column] == 255:
                            assert was.action == becomes.action
                        else:
                            assert (was.action, becomes.action) == (old[row, column], new[row, column])


def test_dense_groups() -> None:
    """A few rules of hundreds changed, with many unchanged ones over them."""
    for seed in range(4):
        before = random_dense_environment(seed, 150)
        other = random_dense_environment(seed + 50, 150)
        groups = dict(before.groups)
        for name, group in other.groups.items():
            mixed = (*groups[name].rules[:70], *group.rules[:4], *groups[name].rules[73:])
            groups[name] = msgspec.structs.replace(groups[name], rules=mixed)
        after = Environment(
            **{name: getattr(before, name) for name in Environment.__slots__ if name != "groups"}, groups=groups
        )
        old, new = Views(before), Views(after)
        found = by_end(before, after, Semantics())
        for name in before.interfaces:
            for direction in Direction:
                change = found.get((name, direction), SpaceChange())
                assert change == change_between(old.of(name, direction), new.of(name, direction))


def test_nothing_changes() -> None:
    """No difference to itself, to a copy, or where only ids, descriptions and the order of rules differ."""
    for seed in range(30):
        environment = random_environment(seed)
        assert difference(environment, environment) == []
        assert difference(environment, pickle.loads(pickle.dumps(environment))) == []
        groups = {
            name: msgspec.structs.replace(
                group,
                rules=tuple(
                    msgspec.structs.replace(rule, rule_id=f"{rule.rule_id}x", description="other")
                    for rule in reversed(group.rules)
                ),
            )
            for name, group in environment.groups.items()
        }
        after = Environment(
            **{name: getattr(environment, name) for name in Environment.__slots__ if name != "groups"}, groups=groups
        )
        assert difference(environment, after) == []


def test_interfaces_may_be_chosen() -> None:
    before, after, semantics = pair_of(5)
    everything = difference(before, after, semantics)
    name = everything[0].interface_ids[0]
    chosen = difference(before, after, semantics, interface_ids={name})
    assert {each.interface_ids for each in chosen} == {(name,)}
