"""pandas: `read_csv` of the same columns with its parser in C."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.contest import Bench, Call, Contender, Needs, UnavailableError
from benchmarks.flowlog.cases import NUMBERS, Answer, Case

__all__ = ["CONTENDER"]


def _read(pandas: Any, case: Case) -> Answer:
    frame = pandas.read_csv(
        case.path,
        sep=" ",
        usecols=list(case.columns),
        dtype={name: "Int64" if name in NUMBERS else "object" for name in case.columns},
        na_values=["-"],
        keep_default_na=False,
        quoting=3,
        engine="c",
        compression="gzip",
    )
    return Answer(len(frame), *(int(frame[name].sum()) for name in Answer._fields[1:]))


def _enter(case: Case, bench: Bench) -> Iterator[Call]:
    try:
        import pandas
    except ImportError as problem:
        raise UnavailableError("pandas is not installed (PyPI: pandas)") from problem
    yield Call("pandas", case.lines, lambda: _read(pandas, case), lambda: _read(pandas, case))


CONTENDER = Contender("pandas", _enter, Needs(pypi=("pandas",)))
