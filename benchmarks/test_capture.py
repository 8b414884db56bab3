"""How fast are captures read? Small checks of what `python -m benchmarks capture` measures.

    pytest benchmarks/test_capture.py --benchmark-only      (SGSIM_BENCHMARK_MEGABYTES sets the size, 1000 by default)

Every contender that is there reads a generated capture, or a prefix of it; before anything is timed all must agree on
its packets and on a sum over their five-tuples.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.capture import QUESTION
from benchmarks.capture.answers import tuples_of
from benchmarks.capture.cases import Capture, Case
from benchmarks.capture.generate import generate
from benchmarks.contest import Bench, Contender, UnavailableError
from benchmarks.programs import compile_c, run_whole
from sgsim.traffic import scan_packets

MEGABYTES = int(os.environ.get("SGSIM_BENCHMARK_MEGABYTES", "1000"))
LIBPCAP_LOOP = Path(__file__).parent / "capture" / "libpcap_loop.c"


def count(path: Path) -> int:
    return sum(len(batch) for batch in scan_packets([path], background=False))


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("capture") / "large.pcap"
    generate(path, megabytes=MEGABYTES, flows=100 * MEGABYTES)
    return path


@pytest.fixture(scope="module")
def case(capture: Path) -> Case:
    return Case("five-tuples", "five-tuples", Capture(capture, count(capture)), "cpu")


@pytest.fixture(scope="module")
def libpcap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The libpcap loop, compiled."""
    try:
        return compile_c(LIBPCAP_LOOP, Bench("small", tmp_path_factory.mktemp("libpcap")), libraries=["-lpcap"])
    except UnavailableError as problem:
        pytest.skip(str(problem))


def run_libpcap(program: Path, path: Path) -> tuple[int, int, float]:
    """(packets, sum, CPU seconds of the loop)."""
    packets, total, seconds = run_whole([program, path])[1].split()
    return int(packets), int(total), float(seconds)


@pytest.mark.parametrize("contender", QUESTION.contenders, ids=lambda contender: contender.name)
def test_contender(benchmark: Any, case: Case, contender: Contender, tmp_path: Path) -> None:
    try:
        entries = list(contender.enter(case, Bench("small", tmp_path)))
    except UnavailableError as problem:
        pytest.skip(str(problem))
    if not entries:
        pytest.skip("this is no contender for five-tuples")
    ours = [tuples_of(each.path) for each in (case.capture, *case.prefixes.values())]
    QUESTION.check(case, [("sgsim", ours), *((entry.name, entry.answer()) for entry in entries)])
    seconds: dict[str, list[float]] = {entry.name: [] for entry in entries}

    def run() -> None:
        for entry in entries:
            seconds[entry.name].append(entry.run().cpu)

    benchmark.pedantic(run, rounds=3, warmup_rounds=1)
    for entry in entries:
        benchmark.extra_info[f"{entry.name}, packets per second"] = entry.items / statistics.median(seconds[entry.name])


def test_against_libpcap(benchmark: Any, capture: Path, libpcap: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The ratio of CPU times in alternating pairs, which noise from neighbours moves least."""
    packets = count(capture)
    ratios, rates = [], []

    def pair() -> None:
        begin = time.process_time()
        count(capture)
        ours = time.process_time() - begin
        ratios.append(run_libpcap(libpcap, capture)[2] / ours)
        rates.append(packets / ours)

    benchmark.pedantic(pair, rounds=9)
    benchmark.extra_info["times libpcap"] = statistics.median(ratios)
    with capsys.disabled():
        print(f"\nscan_packets: {statistics.median(rates) / 1e6:.1f} M packets/s,", end=" ")
        print(f"{statistics.median(ratios):.2f} times a libpcap loop in C ({min(ratios):.2f} to {max(ratios):.2f})")
