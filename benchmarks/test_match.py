"""How fast are flows matched against rules? Columns in, match sets and deciding rules out, grouping included.

    pytest benchmarks/test_match.py --benchmark-only      (SGSIM_BENCHMARK_FLOWS sets the flows, 10 million)

One group of 100, 1 000 and 10 000 rules, and a fleet of 10 000 different groups of 60 rules on 100 000 interfaces
that carry 1 to 5 of them; half of the flows match, two rules or more on average. Before anything is timed a sample of
the answers is compared, set by set, with every rule looked at in plain Python. Times are of the thread's CPU:
machines are shared. Figures scale with the machine: on a quiet one the numba linear scan at 100 rules made 35 M/s.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from benchmarks.match import contenders
from benchmarks.match.networks import Rules, fleet, flows, one_group, random_rules, security_group
from sgsim.engine import Snapshot, evaluate
from sgsim.flows import FlowTable
from sgsim.model import Environment, format_address
from sgsim.verdicts import RuleVerdicts

FLOWS = int(os.environ.get("SGSIM_BENCHMARK_FLOWS", "10000000"))
SLOW = {"ipaddress": 300, "pytricia": 50_000, "numpy": 20_000, "linear": 1_000_000}
SIZES = (100, 1_000, 10_000)

#: (case, contender) → flows a second, printed at the end.
RATES: dict[tuple[str, str], float] = {}


class Case(NamedTuple):
    """Rules and traffic. `groups`: those of each interface, by number; rule r of group g is `rules[g * size + r]`."""

    name: str
    environment: Environment
    snapshot: Snapshot
    rules: Rules
    size: int
    groups: list[list[int]]
    table: FlowTable


def columns(table: FlowTable, n: int) -> contenders.Flows:
    """The first n flows as contenders take them."""
    block = table.v4
    return block.srcaddr[:n], block.dstport[:n], block.protocol[:n]


def check(case: Case, verdicts: RuleVerdicts, sample: int = 2_000) -> None:
    """Compare a sample's match sets with every rule of every group looked at."""
    block, ids = case.table.v4, case.snapshot.tables.rule_ids
    rules = [column.tolist() for column in case.rules]
    for row in np.linspace(0, len(block) - 1, sample).astype(int).tolist():
        src, port, protocol = int(block.srcaddr[row]), int(block.dstport[row]), int(block.protocol[row])
        expected = {
            f"sgr-{group:08x}{number - group * case.size:06x}"
            for group in case.groups[int(block.interface[row])]
            for number in range(group * case.size, (group + 1) * case.size)
            if src >> (shift := 32 - rules[1][number]) == rules[0][number] >> shift
            and contenders.holds(protocol, port, (rules[2][number], rules[3][number], rules[4][number]))
        }
        assert {ids[rule] for rule in verdicts.sets[int(verdicts.match_set[row])]} == expected, row
        assert (verdicts.action[row] == 1) == bool(expected)
    matched = verdicts.action == 1
    sizes = np.diff(verdicts.sets.offsets)[verdicts.match_set[matched]]
    assert 0.45 < matched.mean() < 0.65, "about half of the flows match"
    assert sizes.mean() >= 2, "a mean of two rules or more"


@pytest.fixture(scope="module", params=SIZES)
def group_case(request: pytest.FixtureRequest) -> Case:
    size: int = request.param
    environment, rules = one_group(size)
    rng = np.random.default_rng(5)
    table = flows(rng, FLOWS, rules, rng.integers(0, size, FLOWS), np.zeros(FLOWS, np.int64))
    return Case(f"{size:,} rules", environment, Snapshot.of(environment), rules, size, [[0]], table)


@pytest.fixture(scope="module")
def fleet_case() -> Case:
    environment, rules, carried = fleet()
    rng = np.random.default_rng(5)
    interface = rng.integers(0, len(carried), FLOWS)
    sizes = np.array([len(groups) for groups in carried])
    flat = np.concatenate(carried)
    group = flat[(np.cumsum(sizes) - sizes)[interface] + rng.integers(0, 1 << 30, FLOWS) % sizes[interface]]
    table = flows(rng, FLOWS, rules, group * 60 + rng.integers(0, 60, FLOWS), interface)
    return Case("fleet", environment, Snapshot.of(environment), rules, 60, carried, table)


def measure(benchmark: Any, case: Case, contender: str, n: int, work: Callable[[], Any], rounds: int = 3) -> Any:
    """Time some calls by the thread's CPU clock; keeps the best rate."""
    best = float("inf")

    def timed() -> Any:
        nonlocal best
        start = time.thread_time()
        answer = work()
        best = min(best, time.thread_time() - start)
        return answer

    answer = benchmark.pedantic(timed, rounds=rounds, warmup_rounds=0)
    RATES[case.name, contender] = n / best
    benchmark.extra_info["flows_per_cpu_second"] = n / best
    return answer


def evaluated(case: Case, threads: int = 1) -> RuleVerdicts:
    return evaluate(case.snapshot, case.table, threads=threads, scan_only=False)


def test_sgsim(benchmark: Any, group_case: Case) -> None:
    check(group_case, evaluated(group_case))
    measure(benchmark, group_case, "sgsim", FLOWS, lambda: evaluated(group_case))


def test_numba_linear(benchmark: Any, group_case: Case) -> None:
    n = SLOW["linear"]
    chosen, rules = columns(group_case.table, n), contenders.linear_columns(group_case.rules)
    found = contenders.numba_linear(chosen, rules)
    assert ((found > 0) == (evaluated(group_case).action[:n] == 1)).all()
    measure(benchmark, group_case, "numba linear", n, lambda: contenders.numba_linear(chosen, rules))


def test_numpy_broadcast(benchmark: Any, group_case: Case) -> None:
    n = SLOW["numpy"]
    chosen, verdicts = columns(group_case.table, n), evaluated(group_case)
    sizes = np.diff(verdicts.sets.offsets)[verdicts.match_set[:n]]
    assert (contenders.numpy_broadcast(chosen, group_case.rules) == sizes).all()
    measure(
        benchmark, group_case, "numpy broadcast", n, lambda: contenders.numpy_broadcast(chosen, group_case.rules), 1
    )


def test_pytricia(benchmark: Any, group_case: Case) -> None:
    n = SLOW["pytricia"]
    chosen, tree = columns(group_case.table, n), contenders.pytricia_tree(group_case.rules)
    texts = [format_address(4, address) for address in chosen[0].tolist()]
    answers = contenders.pytricia_match(chosen, tree, texts)
    verdicts = evaluated(group_case)
    assert all(answers[row] == verdicts.sets[int(verdicts.match_set[row])] for row in range(n))
    measure(benchmark, group_case, "pytricia", n, lambda: contenders.pytricia_match(chosen, tree, texts))


def test_ipaddress(benchmark: Any, group_case: Case) -> None:
    n = SLOW["ipaddress"]
    chosen = columns(group_case.table, n)
    answers, verdicts = contenders.ipaddress_loop(chosen, group_case.rules), evaluated(group_case)
    assert all(answers[row] == verdicts.sets[int(verdicts.match_set[row])] for row in range(n))
    measure(benchmark, group_case, "ipaddress", n, lambda: contenders.ipaddress_loop(chosen, group_case.rules), 1)


def test_fleet(benchmark: Any, fleet_case: Case) -> None:
    check(fleet_case, evaluated(fleet_case))
    measure(benchmark, fleet_case, "sgsim", FLOWS, lambda: evaluated(fleet_case))


@pytest.mark.parametrize(("groups", "size"), [(1, 100), (1, 10_000), (10_000, 60), (20_000, 50)])
def test_compile(benchmark: Any, groups: int, size: int) -> None:
    """Environment → Snapshot; the last one is a million rules."""
    rng = np.random.default_rng(1)
    every = random_rules(rng, size, groups)
    made = {
        f"sg-{number:08x}": security_group(
            f"sg-{number:08x}", Rules(*(column[number * size : (number + 1) * size] for column in every))
        )
        for number in range(groups)
    }
    environment = Environment(groups=made)
    start = time.thread_time()
    snapshot = benchmark.pedantic(lambda: Snapshot.of(environment), rounds=1)
    seconds = time.thread_time() - start
    a_rule = snapshot.tables.nbytes / (groups * size)
    benchmark.extra_info["bytes_per_rule"] = a_rule
    RATES[f"compile {groups:,} × {size:,}", f"{a_rule:.0f} bytes a rule, rules/s"] = groups * size / seconds
    assert a_rule < 200


@pytest.fixture(scope="module", autouse=True)
def summary(request: pytest.FixtureRequest) -> Iterator[None]:
    """Print rates and ratios when all is done."""
    yield
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print()
        for (case, contender), rate in RATES.items():
            ours = RATES.get((case, "sgsim"), rate)
            print(f"{case:>22} {contender:<34} {rate / 1e6:12.4f} M/s {ours / rate:12.1f} ×")
