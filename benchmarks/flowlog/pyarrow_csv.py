"""pyarrow.csv, fed by isal: the same columns, numbers as int64 and the rest as text."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from isal import igzip
from pyarrow import csv

from benchmarks.contest import Bench, Call, Contender
from benchmarks.flowlog.cases import NUMBERS, Answer, Case

__all__ = ["CONTENDER", "read_csv"]


def read_csv(path: Path, columns: Collection[str]) -> Answer:
    """Read some columns of a gzip file with a header line."""
    options = csv.ConvertOptions(
        include_columns=list(columns),
        null_values=["-"],
        strings_can_be_null=True,
        column_types={name: pa.int64() if name in NUMBERS else pa.string() for name in columns},
    )
    lines, sums = 0, [0, 0, 0]
    with igzip.open(path) as file:
        reader = csv.open_csv(
            file,
            read_options=csv.ReadOptions(block_size=4 << 20),
            parse_options=csv.ParseOptions(delimiter=" ", quote_char=False),
            convert_options=options,
        )
        for batch in reader:
            lines += batch.num_rows
            for number, name in enumerate(Answer._fields[1:]):
                sums[number] += pc.sum(batch[name]).as_py() or 0
    return Answer(lines, *sums)


def _enter(case: Case, bench: Bench) -> Iterator[Call]:
    yield Call(
        "pyarrow.csv + isal",
        case.lines,
        lambda: read_csv(case.path, case.columns),
        lambda: read_csv(case.path, case.columns),
    )


CONTENDER = Contender("pyarrow.csv + isal", _enter)
