"""How fast does a capture become records with verdicts? Bytes of a generated capture in, records out.

    pytest benchmarks/test_replay.py --benchmark-only      (SGSIM_BENCHMARK_MEGABYTES sets the size, 1000 by default)

16 384 interfaces with two of 100 groups of 60 rules each; one end of nearly every flow is one of them. Contender: a
libpcap loop in C that only reads five-tuples. Before anything is timed the totals must equal those of the slow twin on
the first packets. `test_memory` replays 4 GB with 200 000 flows.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.capture.cases import servers
from benchmarks.capture.generate import generate
from benchmarks.test_capture import libpcap, run_libpcap  # noqa: F401
from sgsim.engine import Replay, Snapshot, replay
from sgsim.engine.spans import windows
from sgsim.packets import NO_VALUE, PacketBatch
from sgsim.reference import Packet, Tracker
from sgsim.traffic import scan_packets

SMALL = os.environ.get("SGSIM_BENCH_SCALE") == "small"
MEGABYTES = int(os.environ.get("SGSIM_BENCHMARK_MEGABYTES", "20" if SMALL else "1000"))
LARGE = 40 if SMALL else 4000  #: megabytes of the memory test
TWIN_PACKETS = 2_000


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return Snapshot.of(servers())


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("replay") / "large.pcap"
    generate(path, megabytes=MEGABYTES, flows=100 * MEGABYTES)
    return path


def replayed(snapshot: Snapshot, path: Path, *, background: bool) -> Replay:
    """A replay that has run to its end."""
    run = replay(snapshot, scan_packets([path], background=background))
    for _ in run:
        pass
    return run


def packets_of(batch: PacketBatch, n: int) -> list[Packet]:
    """The first n packets as the twin takes them."""

    def optional(value: Any) -> int | None:
        return None if value == NO_VALUE else int(value)

    return [
        Packet(
            int(batch.family[i]),
            int(batch.src_hi[i]) << 64 | int(batch.src_lo[i]),
            int(batch.dst_hi[i]) << 64 | int(batch.dst_lo[i]),
            int(batch.protocol[i]),
            int(batch.srcport[i]),
            int(batch.dstport[i]),
            optional(batch.icmp_type[i]),
            optional(batch.icmp_code[i]),
            optional(batch.icmp_id[i]),
            int(batch.tcp_flags[i]),
            int(batch.fragment[i]),
            int(batch.ip_id[i]),
            int(batch.time[i]),
        )
        for i in range(n)
    ]


def check_against_twin(capture: Path) -> None:
    """Packets by reason and verdict at both ends, on the first packets and a fleet that loops can bear."""
    environment = servers(256)
    window = next(windows(scan_packets([capture], background=False), TWIN_PACKETS, TWIN_PACKETS))
    batch, start, stop = window[0]
    head = packets_of(batch, stop - start)
    owner = {address: name for name, each in environment.interfaces.items() for address in each.addresses}
    twin = Tracker(environment)
    expected = Counter(
        (answer.reason, answer.action)
        for packet in head
        for answer in twin.step(packet, owner.get(packet.source), owner.get(packet.destination))
    )
    cut = PacketBatch(
        **{name: getattr(batch, name)[:stop] for name in PacketBatch.__slots__ if name != "quotes"},
        quotes=batch.quotes,
    )
    run = replay(Snapshot.of(environment), [cut])
    assert sum(len(verdicts) for verdicts in run) > 0
    assert run.summary.answers == dict(expected)
    assert start == 0


@pytest.mark.parametrize("background", [False, True], ids=["one thread", "decoding ahead"])
def test_replay(benchmark: Any, snapshot: Snapshot, capture: Path, background: bool) -> None:
    check_against_twin(capture)
    packets = replayed(snapshot, capture, background=background).summary.packets
    benchmark.pedantic(
        replayed, (snapshot, capture), {"background": background}, rounds=1 if SMALL else 5, warmup_rounds=1
    )
    if benchmark.stats:
        benchmark.extra_info["packets per second"] = packets / benchmark.stats.stats.min


def test_against_libpcap(
    benchmark: Any,
    snapshot: Snapshot,
    capture: Path,
    libpcap: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ratios of a libpcap five-tuple loop's time to ours in alternating pairs: CPU time, and time on the clock."""
    packets = replayed(snapshot, capture, background=True).summary.packets
    by_cpu, by_clock, rates = [], [], []

    def pair() -> None:
        theirs = run_libpcap(libpcap, capture)[2]
        begin = time.process_time()
        replayed(snapshot, capture, background=False)
        by_cpu.append(theirs / (time.process_time() - begin))
        begin = time.perf_counter()
        replayed(snapshot, capture, background=True)
        ours = time.perf_counter() - begin
        by_clock.append(theirs / ours)
        rates.append(packets / ours)

    benchmark.pedantic(pair, rounds=1 if SMALL else 7)
    benchmark.extra_info["times libpcap, one thread"] = statistics.median(by_cpu)
    benchmark.extra_info["times libpcap, decoding ahead"] = statistics.median(by_clock)
    with capsys.disabled():
        print(f"\nreplay: {statistics.median(rates) / 1e6:.2f} M packets/s;", end=" ")
        print(f"times a libpcap five-tuple loop in C: {statistics.median(by_cpu):.2f} in one thread,", end=" ")
        print(f"{statistics.median(by_clock):.2f} decoding ahead")


def test_memory(benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The peak of a process of its own on 4 GB with 200 000 flows (both ways) stays under 1 GB."""
    path = tmp_path / "huge.pcap"
    generate(path, megabytes=LARGE, flows=50 * LARGE)
    peak: list[float] = []

    def run() -> None:
        command = [sys.executable, "-m", "benchmarks.test_replay", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
        peak.append(float(done.stdout))

    benchmark.pedantic(run, rounds=1)
    path.unlink()
    benchmark.extra_info["peak MB"] = peak[0]
    with capsys.disabled():
        print(f"\npeak memory of a replay of {LARGE} MB with {50 * LARGE:,} flows: {peak[0]:.0f} MB")
    assert peak[0] < 1000


if __name__ == "__main__":
    replayed(Snapshot.of(servers()), Path(sys.argv[1]), background=True)
    # Not ru_maxrss, which starts with the memory of the process that started this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(int(status["VmHWM"].split()[0]) / 1024)
