"""The kernels answer every record as the plain loops do, however the log is cut into batches."""

from __future__ import annotations

from random import Random

import pytest

from sgsim.reference.flowlog import LogRecord, judge_records
from tests.generators.environments import random_environment, random_semantics
from tests.generators.packets import random_packets
from tests.logs.support import blurred, logged, replayed

SEEDS = range(30)


def records_of(seed: int, *, flags: bool) -> list[LogRecord]:
    """What generated traffic looks like in a log, records of all intervals in AWS's order of files."""
    environment, semantics = random_environment(seed), random_semantics(seed)
    packets = [step.packet for step in random_packets(environment, seed, 400)]
    rng = Random(seed)
    return [blurred(rng, one.record) for one in logged(environment, semantics, packets, flags=flags)]


@pytest.mark.parametrize("likely", [False, True])
@pytest.mark.parametrize("flags", [False, True])
def test_kernel_equals_twin(flags: bool, likely: bool) -> None:
    judged = 0
    for seed in SEEDS:
        environment, semantics = random_environment(seed), random_semantics(seed)
        records = records_of(seed, flags=flags)
        expected = judge_records(environment, semantics, records, likely=likely)
        found = replayed(environment, semantics, records, likely=likely, join_window=1 << 30)
        for record, twin, kernel in zip(records, expected, found, strict=True):
            assert kernel == twin, (seed, record)
        judged += len(records)
    assert judged > 3000
