"""sgsim compiled for a CPU without AVX-512 (x86-64-v3): a process that is asked like librte_acl's.

Run by itself, `python -m benchmarks.match.sgsim_avx2 CASE ANSWERS` serves a pickled (environment, flows).
"""

from __future__ import annotations

import pickle
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contest import Bench, Contender, Timing, UnavailableError
from benchmarks.match.cases import Case
from benchmarks.match.rules import Answers
from benchmarks.programs import Server

__all__ = ["CONTENDER"]

_NAME = "sgsim without AVX-512"
_CPU = {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": ""}


class _Entry:
    def __init__(self, server: Server, case: Case, answers: Path) -> None:
        self.name, self.items = _NAME, len(case.table)
        self.facts: dict[str, Any] = {"cpu": _CPU["NUMBA_CPU_NAME"]}
        self._server, self._case, self._answers = server, case, answers

    def answer(self) -> Answers:
        self._server.ask("answer")
        ids: list[str]
        ids, deciding, counts = pickle.loads(self._answers.read_bytes())
        assert self._case.rules
        position = {rule_id: number for number, rule_id in enumerate(self._case.rules.ids)}
        numbers = np.array([position[rule_id] for rule_id in ids] + [-1], np.int64)
        return Answers(numbers[deciding], counts)

    def run(self) -> Timing:
        return self._server.timed("time")

    def close(self) -> None:
        self._server.close()


def _enter(case: Case, bench: Bench) -> Iterator[_Entry]:
    if not case.name.startswith("SG-shaped"):
        return
    written, answers = bench.directory / "sgsim.case", bench.directory / "sgsim.answers"
    written.write_bytes(pickle.dumps((case.environment, case.table)))
    kernels = {"NUMBA_CACHE_DIR": str(bench.directory / "kernels")}
    server = Server([sys.executable, "-m", "benchmarks.match.sgsim_avx2", written, answers], {**_CPU, **kernels})
    if server.first != "ready":
        raise UnavailableError(server.first)
    yield _Entry(server, case, answers)


def _serve(case: Path, answers: Path) -> None:
    from sgsim.engine import Snapshot, evaluate
    from sgsim.kernels.match import match

    environment, table = pickle.loads(case.read_bytes())
    case.unlink()
    snapshot = Snapshot.of(environment)
    verdicts = evaluate(snapshot, table, threads=1, scan_only=False)
    compiled: Any = match
    try:
        wide = any("zmm" in text for text in compiled.inspect_asm().values())
    except (RuntimeError, ValueError):  # from the cache, where the first of these processes has put it
        wide = False
    print("its kernels use AVX-512 all the same" if wide else "ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "time":
            begin = time.process_time()
            evaluate(snapshot, table, threads=1, scan_only=False)
            print(time.process_time() - begin, flush=True)
        else:
            counts = np.diff(verdicts.sets.offsets)[verdicts.match_set]
            answers.write_bytes(pickle.dumps((snapshot.tables.rule_ids, verdicts.deciding_rule, counts)))
            print(0, flush=True)


CONTENDER = Contender(_NAME, _enter)

if __name__ == "__main__":
    _serve(Path(sys.argv[1]), Path(sys.argv[2]))
