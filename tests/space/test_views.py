"""What the rules of an interface accept, against the twin: verdicts of packets at every edge of the space."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest

from sgsim.analysis.space import EVERYTHING, NOTHING, Space, Views, service_point
from sgsim.model import Direction, Environment
from sgsim.reference import judge
from sgsim.verdicts import Reason, Verdict
from tests.space.support import edge_addresses, edge_services, local_address, packet_at, verdict_table
from tests.strategies import random_dense_environment, random_environment, random_semantics


def compare(environment: Environment, seed: int, addresses: int, services: int) -> Counter[str]:
    """Judge packets at the edges with the twin; returns the verdicts met."""
    rng, semantics = Random(seed), random_semantics(seed)
    views = Views(environment, semantics)
    met: Counter[str] = Counter()
    for name in sorted(environment.interfaces):
        for direction in Direction:
            view = views.of(name, direction)
            points = np.array(edge_services(rng, view, services), np.int64)
            for family in (4, 6):
                remotes = edge_addresses(rng, environment, view, family, addresses)
                table = verdict_table(view, family, remotes, points)
                local = local_address(environment, name, family).value
                for row, remote in enumerate(remotes):
                    for column, point in enumerate(points.tolist()):
                        packet = packet_at(point, family, local, remote, direction)
                        answer = judge(environment, semantics, name, direction, packet)
                        if answer.reason is not Reason.EXEMPT:
                            assert answer.action == table[row, column], f"seed {seed}, {name} {direction!r} {packet}"
                            met[answer.action.name] += 1
    return met


def test_views_are_the_twins_verdicts() -> None:
    """§1, §9.5 to §9.7: accepted, possible and neither are ACCEPT, UNKNOWN and REJECT."""
    met: Counter[str] = Counter()
    for seed in range(150):
        met += compare(random_environment(seed), seed, addresses=4, services=5)
    assert min(met[verdict.name] for verdict in Verdict) > 3000, met


def test_dense_groups() -> None:
    """Nested blocks, long lists, port ranges that cross: the sweep keeps count of what is open."""
    for seed in range(3):
        compare(random_dense_environment(seed, 120), seed, addresses=8, services=8)


def test_parts_make_up_the_space() -> None:
    """Either way of writing a space down is disjoint and makes it up again."""
    for seed in range(60):
        environment = random_environment(seed)
        views = Views(environment)
        for name in sorted(environment.interfaces)[:4]:
            space = views.of(name, Direction.INGRESS).accepted
            for parts in (space.parts(), space.by_address(4) + space.by_service(6)):
                assert Space.of(parts) == space
                for one, part in enumerate(parts):
                    assert part.addresses and part.services
                    for other in parts[:one]:
                        if other.family == part.family:
                            assert not (other.addresses & part.addresses) or not (other.services & part.services)


@pytest.mark.parametrize("space", [EVERYTHING, NOTHING])
def test_whole_and_empty(space: Space) -> None:
    point = service_point(6, dstport=443)
    assert space.contains(4, 0, point) is space.contains(6, (1 << 128) - 1, point) is bool(space)
    assert space | space == space & space == space
    assert space - space == NOTHING
