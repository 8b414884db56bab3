"""sgsim: `evaluate`, from columns to verdicts, match sets and deciding rules; one thread unless the name says two."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.contest import Bench, Call, Contender
from benchmarks.match.cases import Case
from sgsim.engine import Snapshot, evaluate
from sgsim.engine.crossing import crossing_of
from sgsim.verdicts import RuleVerdicts

__all__ = ["CONTENDER", "NAME", "entry", "judged"]

NAME = "sgsim"


def judged(snapshot: Snapshot, case: Case, threads: int = 1) -> RuleVerdicts:
    """One call, from nothing."""
    return evaluate(snapshot, case.table, threads=threads, scan_only=False)


def _bytes(value: Any) -> int:
    """Of all arrays in something, each counted once."""
    seen: dict[int, int] = {}

    def look(found: Any) -> None:
        if isinstance(found, np.ndarray):
            seen[found.ctypes.data] = max(found.nbytes, seen.get(found.ctypes.data, 0))
        elif isinstance(found, dict):
            look(tuple(found.values()))
        elif isinstance(found, (tuple, list)):
            for each in found:
                look(each)

    look(value)
    return sum(seen.values())


def entry(case: Case, name: str, threads: int) -> Call:
    """An entry of this process."""
    begin = time.process_time()
    snapshot = Snapshot.of(case.environment)
    crossing = crossing_of(snapshot.tables, case.block)  # what the first large call would make
    seconds = time.process_time() - begin
    verdicts = judged(snapshot, case, threads)
    sets = verdicts.sets
    sizes = np.diff(sets.offsets)[verdicts.match_set]
    case.facts["mean_matches"] = round(float(sizes.mean()), 2)
    case.facts["matched"] = round(float((sizes > 0).mean()), 3)
    facts = {
        "build_s": seconds,
        "table_bytes": snapshot.tables.nbytes + _bytes(vars(crossing) if crossing else ()),
        "sets": len(sets),
        "set_bytes": sets.offsets.nbytes + sets.members.nbytes,
    }
    return Call(name, len(case.table), lambda: judged(snapshot, case, threads), lambda: (snapshot, verdicts), facts)


def _enter(case: Case, bench: Bench) -> Iterator[Call]:
    yield entry(case, NAME, 1)
    if case.clock == "wall":
        yield entry(case, "sgsim, two threads", 2)


CONTENDER = Contender(NAME, _enter)
