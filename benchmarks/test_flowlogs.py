"""How fast do flow logs become columns? `pytest benchmarks/test_flowlogs.py --benchmark-only -s`

Contender: pyarrow.csv fed by isal, merely reading the same columns of the same file: numbers as int64, the rest as
text, without telling addresses, ids and kinds of lines apart. Runs alternate, since only ratios of one run count
(CPU seconds of the whole process; the median of the pairs). Answers are compared before anything is timed.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from isal import igzip
from pyarrow import csv

from sgsim.traffic.flowlogs import DEFAULT_FIELDS, FIELD_VERSIONS, scan_flow_logs
from sgsim.traffic.flowlogs.generate import random_records
from sgsim.traffic.flowlogs.write import write_log, write_parquet

ROWS = 500_000
PAIRS = 5
FIELDS = {
    "v2": DEFAULT_FIELDS,
    "v5": tuple(name for name, version in FIELD_VERSIONS.items() if version <= 5),
}
READ = {
    *DEFAULT_FIELDS[1:],
    *("vpc-id", "subnet-id", "instance-id", "tcp-flags", "type", "pkt-srcaddr", "pkt-dstaddr", "flow-direction"),
}
NUMBERS = ("srcport", "dstport", "protocol", "packets", "bytes", "start", "end", "tcp-flags")

Answer = tuple[int, int]


@pytest.fixture(scope="module", params=sorted(FIELDS))
def logs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, pa.Table, Path]:
    """(version, records, gzip text): half a million records of 2 000 interfaces."""
    records = random_records(1, ROWS, FIELDS[request.param], interfaces=2000, silent=0.002)
    return request.param, records, write_log(records, tmp_path_factory.mktemp("flowlogs") / "a.log.gz")


def read_csv(path: Path, fields: tuple[str, ...], read: Collection[str] = READ) -> Answer:
    """pyarrow.csv + isal: (rows, sum of bytes)."""
    chosen = [name for name in fields if name in read]
    options = csv.ConvertOptions(
        include_columns=chosen,
        null_values=["-"],
        strings_can_be_null=True,
        column_types={name: pa.int64() if name in NUMBERS else pa.string() for name in chosen},
    )
    rows, total = 0, 0
    with igzip.open(path) as file:
        reader = csv.open_csv(
            file,
            read_options=csv.ReadOptions(block_size=4 << 20),
            parse_options=csv.ParseOptions(delimiter=" ", quote_char=False),
            convert_options=options,
        )
        for batch in reader:
            rows += batch.num_rows
            total += pc.sum(batch["bytes"]).as_py()
    return rows, total


def read_flow_logs(path: Path) -> Answer:
    """sgsim: (records and silences, sum of bytes)."""
    rows, total = 0, 0
    for batch in scan_flow_logs([path]):
        rows += len(batch) + len(batch.silences)
        total += int(batch.bytes.sum())
    return rows, total


def cpu_seconds(run: Callable[[], Answer]) -> float:
    begin = time.process_time()
    run()
    return time.process_time() - begin


def compare(ours: Callable[[], Answer], theirs: Callable[[], Answer]) -> tuple[float, float]:
    """(M rows per CPU second, times the contender's), after comparing the answers."""
    answer = ours()
    assert answer == theirs()
    pairs = [(cpu_seconds(ours), cpu_seconds(theirs)) for _ in range(PAIRS)]
    return answer[0] / statistics.median(a for a, _ in pairs) / 1e6, statistics.median(b / a for a, b in pairs)


def report(benchmark: Any, question: str, speed: float, ratio: float) -> None:
    benchmark.extra_info.update(million_rows_per_cpu_second=round(speed, 2), ratio=round(ratio, 2))
    print(f"\n{question}: {speed:.2f} M records per CPU second, {ratio:.2f} times the contender")


def test_gzip_text(benchmark: Any, logs: tuple[str, pa.Table, Path]) -> None:
    """Is text read at half of the contender's speed, at least?"""
    version, _, text = logs
    speed, ratio = compare(lambda: read_flow_logs(text), lambda: read_csv(text, FIELDS[version]))
    report(benchmark, f"{version} gzip text against pyarrow.csv + isal", speed, ratio)
    benchmark.pedantic(read_flow_logs, (text,), rounds=3)
    assert ratio >= 0.5


@pytest.mark.parametrize("codec", ["gzip", "zstd", "snappy"])
def test_parquet(benchmark: Any, logs: tuple[str, pa.Table, Path], codec: str) -> None:
    """How much faster is Parquet than the same records in text? AWS writes it with gzip."""
    version, records, text = logs
    parquet = write_parquet(records, text.with_suffix(f".{codec}.parquet"), compression=codec)
    speed, ratio = compare(lambda: read_flow_logs(parquet), lambda: read_flow_logs(text))
    report(benchmark, f"{version} Parquet with {codec} against gzip text", speed, ratio)
    benchmark.pedantic(read_flow_logs, (parquet,), rounds=3)
    assert ratio > 0.5
