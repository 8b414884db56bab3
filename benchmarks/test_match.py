"""How fast are flows matched against rules? Small checks of what `python -m benchmarks match` measures.

    pytest benchmarks/test_match.py --benchmark-only      (SGSIM_BENCHMARK_FLOWS sets the flows, 10 million)

Every contender that is there judges groups of 100, 1 000 and 10 000 rules; sgsim also judges a fleet of 10 000
different groups of 60 rules on 100 000 interfaces that carry 1 to 5 of them. Before anything is timed answers are
compared, with the slow twin's among them.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.contest import Bench, Contender, Entry, UnavailableError
from benchmarks.match import QUESTION, sgsim
from benchmarks.match.cases import Case, fleet, one_group_case
from benchmarks.results import number
from sgsim.engine import Snapshot
from sgsim.generate import Shape, environment_of, random_network

SMALL = os.environ.get("SGSIM_BENCH_SCALE") == "small"
FLOWS = int(os.environ.get("SGSIM_BENCHMARK_FLOWS", "10000000"))
SIZES = (100, 1_000, 10_000)

#: (case, entry) → flows a second, printed at the end.
RATES: dict[tuple[str, str], float] = {}


@pytest.fixture(scope="module", params=SIZES)
def group_case(request: pytest.FixtureRequest) -> Case:
    return one_group_case(request.param, FLOWS)


@pytest.fixture(scope="module")
def fleet_case() -> Case:
    return fleet(10_000, 100_000, FLOWS)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench("small" if SMALL else "full", tmp_path_factory.mktemp("match"))


def measure(benchmark: Any, case: Case, entries: list[Entry], rounds: int) -> None:
    """Times of each entry's own clock."""
    seconds: dict[str, list[float]] = {entry.name: [] for entry in entries}

    def run() -> None:
        for entry in entries:
            seconds[entry.name].append(entry.run().cpu)

    benchmark.pedantic(run, rounds=rounds, warmup_rounds=1)
    for entry in entries:
        RATES[case.name, entry.name] = entry.items / statistics.median(seconds[entry.name])
        benchmark.extra_info[entry.name] = RATES[case.name, entry.name]


@pytest.mark.parametrize("contender", QUESTION.contenders, ids=lambda contender: contender.name)
def test_contender(benchmark: Any, group_case: Case, contender: Contender, bench: Bench) -> None:
    ours = sgsim.entry(group_case, sgsim.NAME, 1)
    try:
        entries = list(contender.enter(group_case, bench))
    except UnavailableError as problem:
        pytest.skip(str(problem))
    try:
        QUESTION.check(group_case, [(entry.name, entry.answer()) for entry in (ours, *entries)])
        measure(benchmark, group_case, entries, 3)
    finally:
        for entry in entries:
            entry.close()


def test_fleet(benchmark: Any, fleet_case: Case) -> None:
    ours = sgsim.entry(fleet_case, sgsim.NAME, 1)
    QUESTION.check(fleet_case, [(ours.name, ours.answer())])
    measure(benchmark, fleet_case, [ours], 3)


@pytest.mark.parametrize(("groups", "size"), [(1, 100), (1, 10_000), (10_000, 60), (20_000, 50)])
def test_compile(benchmark: Any, groups: int, size: int) -> None:
    """Environment → Snapshot; the last one is a million rules."""
    shape = Shape(
        rules=groups * size, groups=groups, interfaces=1, spread=0, ipv6=0, references=0, prefix_lists=0, locked=0
    )
    environment = environment_of(random_network(shape))
    start = time.thread_time()
    snapshot = benchmark.pedantic(lambda: Snapshot.of(environment), rounds=1)
    seconds = time.thread_time() - start
    a_rule = snapshot.tables.nbytes / (groups * size)
    benchmark.extra_info["bytes_per_rule"] = a_rule
    RATES[f"compile {groups:,} × {size:,}", f"{a_rule:.0f} bytes a rule, rules/s"] = groups * size / seconds
    assert snapshot.tables.nbytes < 200 * groups * size + 16_384  # some kilobytes whatever the rules


@pytest.fixture(scope="module", autouse=True)
def summary(request: pytest.FixtureRequest) -> Iterator[None]:
    """Print rates and ratios when all is done."""
    yield
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print()
        for (case, entry), rate in RATES.items():
            ours = RATES.get((case, sgsim.NAME), rate)
            print(f"{case:>22} {entry:<34} {number(rate / 1e6):>10} M/s {number(ours / rate):>10} ×")
