"""How fast do flow logs become columns? Gzip text in, addresses, ids, ports and counts out."""

from __future__ import annotations

from benchmarks.contest import Question
from benchmarks.flowlog import pyarrow_csv, sgsim, with_duckdb, with_pandas
from benchmarks.flowlog.cases import cases, check

__all__ = ["QUESTION"]

QUESTION = Question(
    name="flowlog",
    title="Flow logs read",
    unit="lines",
    ours=sgsim.NAME,
    cases=cases,
    contenders=(sgsim.CONTENDER, pyarrow_csv.CONTENDER, with_duckdb.CONTENDER, with_pandas.CONTENDER),
    check=check,
)
