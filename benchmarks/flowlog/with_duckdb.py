"""duckdb: `read_csv` of the same columns into an Arrow table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.contest import Bench, Call, Contender, Needs, UnavailableError
from benchmarks.flowlog.cases import NUMBERS, Answer, Case

__all__ = ["CONTENDER"]


def _read(duckdb: Any, case: Case) -> Answer:
    types = {name: "BIGINT" for name in case.columns if name in NUMBERS}
    chosen = ", ".join(f'"{name}"' for name in case.columns)
    query = (
        f"SELECT {chosen} FROM read_csv(?, delim=' ', header=true, quote='', escape='', nullstr='-', "
        f"all_varchar=true, types={types})"
    )
    with duckdb.connect() as connection:
        table: pa.Table = connection.sql(query, params=[str(case.path)]).to_arrow_table()
    return Answer(table.num_rows, *(pc.sum(table[name]).as_py() or 0 for name in Answer._fields[1:]))


def _enter(case: Case, bench: Bench) -> Iterator[Call]:
    try:
        import duckdb
    except ImportError as problem:
        raise UnavailableError("duckdb is not installed (PyPI: duckdb)") from problem
    yield Call("duckdb", case.lines, lambda: _read(duckdb, case), lambda: _read(duckdb, case))


CONTENDER = Contender("duckdb", _enter, Needs(pypi=("duckdb",)))
