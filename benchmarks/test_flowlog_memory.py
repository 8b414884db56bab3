"""Does the memory of a replay of flow logs depend on their length?

    pytest benchmarks/test_flowlog_memory.py --benchmark-only      (SGSIM_BENCHMARK_RECORDS: millions, 10,40 by default)

`sgsim replay ENV -` as a process of its own, fed through a pipe with the conversations of one interval of ten minutes
after another. A quarter of the connections come again; all are over after some minutes, so that one join window of
records and the open connections are the same for any length.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.test_flowlog_replay import environment_of
from benchmarks.test_flowlogs import FIELDS
from sgsim.cli.main import run
from sgsim.importers.write import write_environment
from sgsim.traffic.flowlogs.generate import random_conversations
from sgsim.traffic.flowlogs.write import to_text

MILLIONS = [int(text) for text in os.environ.get("SGSIM_BENCHMARK_RECORDS", "10,40").split(",")]
INTERVAL = 1_000_000  #: records of ten minutes, about
DIFFERENT = 4  #: intervals before the first comes again
BEGIN, SECONDS = 1_700_000_400, 600
NEEDED = ("interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes", "start", "end",
          "action", "tcp-flags", "flow-direction")  # fmt: skip


class Interval:
    """The text of an interval, whose times can be moved."""

    def __init__(self, seed: int) -> None:
        records = conversations(seed, INTERVAL).select(NEEDED)
        self.times = {name: records[name].to_numpy() for name in ("start", "end")}
        for name in self.times:
            place = records.column_names.index(name)
            records = records.set_column(place, name, [[BEGIN] * len(records)])
        self.text = np.frombuffer(to_text(records, header=False), np.uint8).copy()
        spaces = np.flatnonzero(self.text == ord(" ")).reshape(len(records), -1)
        self.places = {name: spaces[:, NEEDED.index(name) - 1] + 1 for name in self.times}
        self.records = len(records)

    def at(self, begin: int) -> bytes:
        """The same, beginning at another time."""
        for name, place in self.places.items():
            rest = self.times[name] + begin
            for digit in range(9, -1, -1):
                rest, value = np.divmod(rest, 10)
                self.text[place + digit] = value + ord("0")
        return self.text.tobytes()


def log(intervals: list[Interval], millions: int) -> Iterator[bytes]:
    """A log of so many records; records of the last intervals may be fewer."""
    yield " ".join(NEEDED).encode() + b"\n"
    sent = number = 0
    while sent < millions * 1_000_000:
        interval = intervals[number % len(intervals)]
        yield interval.at(BEGIN + SECONDS * number)
        sent, number = sent + interval.records, number + 1


def conversations(seed: int, n: int) -> pa.Table:
    return random_conversations(seed, n, FIELDS["v5"], interfaces=2000, begin=0, seconds=SECONDS)


def replay_peak(environment: Path, pieces: Iterator[bytes], report: Path) -> float:
    """The most memory that the replay of a log had, MB."""
    command = [sys.executable, "-m", "benchmarks.test_flowlog_memory", str(environment), str(report)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]
    ) as replay:
        assert replay.stdin is not None and replay.stdout is not None
        for piece in pieces:
            replay.stdin.write(piece)
        replay.stdin.close()
        return float(replay.stdout.read())


def test_memory(benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A log that is several times as long takes hardly more memory."""
    write_environment(environment_of(conversations(0, 400_000)), tmp_path / "environment")
    intervals = [Interval(seed) for seed in range(DIFFERENT)]
    peaks = {}
    for millions in MILLIONS:
        begin = time.monotonic()
        report = tmp_path / f"{millions}.json"
        peaks[millions] = replay_peak(tmp_path / "environment", log(intervals, millions), report)
        counts = json.loads(report.read_text())["log"]
        assert counts["records"] >= 900_000 * millions and counts["late"] == counts["forgotten"] == 0
        with capsys.disabled():
            print(f"\n{counts['records']:,} records: {peaks[millions]:.0f} MB, {time.monotonic() - begin:.0f} s")
    benchmark.extra_info["peak MB"] = peaks
    benchmark.pedantic(lambda: None, rounds=1)
    assert peaks[MILLIONS[-1]] <= 1.15 * peaks[MILLIONS[0]]


if __name__ == "__main__":
    assert run(["replay", sys.argv[1], "-", "--format", "json", "-o", sys.argv[2]]) == 0
    # Not ru_maxrss, which starts with the memory of the process that started this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(int(status["VmHWM"].split()[0]) / 1024)
