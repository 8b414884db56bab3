"""The tracker against its slow twin, packet by packet and end by end (docs/semantics.md §2, §9)."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings

from sgsim.model import ICMPV6, Semantics
from sgsim.reference import Packet
from tests.engine.tracking_cases import (
    batch_of,
    first_difference,
    kernel_answers,
    twin_answers,
)
from tests.generators.packets import SECOND, START, Step
from tests.strategies import random_environment, random_packets, random_semantics, seeds

SEEDS = 110
PACKETS = 1_000


@pytest.mark.parametrize("start", range(0, SEEDS, 10))
def test_equals_twin(start: int) -> None:
    """110 000 packets in 110 environments under as many semantics: no difference in any part of any answer."""
    for seed in range(start, start + 10):
        environment, semantics = random_environment(seed), random_semantics(seed)
        steps = list(random_packets(environment, seed, PACKETS))
        got = kernel_answers(environment, semantics, steps, Random(seed))
        assert not (difference := first_difference(steps, got, twin_answers(environment, semantics, steps), seed)), (
            difference
        )


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seeds)
def test_batch_splits_are_irrelevant(seed: int) -> None:
    environment, semantics = random_environment(seed), random_semantics(seed)
    steps = list(random_packets(environment, seed, 400))
    first, second = (kernel_answers(environment, semantics, steps, Random(part)) for part in (seed, ~seed))
    assert first == second


def test_forgetting_changes_no_answer() -> None:
    """What is dropped after every batch could not matter any more: memory that is bounded is still right."""
    for seed in range(1000, 1020):
        environment, semantics = random_environment(seed), random_semantics(seed)
        steps = list(random_packets(environment, seed, 500))
        got = kernel_answers(environment, semantics, steps, Random(seed), forget=True)
        assert not (difference := first_difference(steps, got, twin_answers(environment, semantics, steps), seed)), (
            difference
        )


def test_time_that_runs_backwards_equals_twin() -> None:
    """Captures of several queues are not quite in order; an earlier packet is judged like any other."""
    for seed in range(2000, 2010):
        environment, semantics, rng = random_environment(seed), random_semantics(seed), Random(seed)
        steps = [
            step._replace(packet=replace(step.packet, time_ns=step.packet.time_ns - rng.randint(0, 70 * SECOND)))
            for step in random_packets(environment, seed, 500)
        ]
        got = kernel_answers(environment, semantics, steps, Random(seed))
        assert not (difference := first_difference(steps, got, twin_answers(environment, semantics, steps), seed)), (
            difference
        )


def test_neighbour_discovery_has_no_answer() -> None:
    """§9.8: ICMPv6 133 to 137 are counted, nothing else."""
    environment = random_environment(1)
    interface = next(iter(environment.interfaces))
    steps = [
        Step(Packet(6, 1, 2, ICMPV6, icmp_type=icmp_type, icmp_code=0, time_ns=START), interface, None)
        for icmp_type in (132, 133, 135, 137, 138)
    ]
    answers = kernel_answers(environment, Semantics(), steps, Random(1))
    assert [len(answer) for answer in answers] == [1, 0, 0, 0, 1]


def test_empty_batch() -> None:
    environment = random_environment(1)
    assert kernel_answers(environment, Semantics(), [], Random(1)) == []
    assert len(batch_of([], sorted(environment.interfaces))) == 0
