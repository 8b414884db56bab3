"""DPDK's librte_acl: every algorithm that the CPU has, on keys packed beforehand; packing them from columns by itself.

The peer that is to be beaten. It finds one rule, the one with the highest priority: priorities are in deciding order.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contest import Bench, Contender, Needs, Timing, UnavailableError
from benchmarks.match.cases import Case
from benchmarks.match.rules import Answers, Flows, Rules
from benchmarks.programs import Server, compile_c

__all__ = ["CONTENDER"]

ALGORITHMS = ("scalar", "sse", "avx2", "avx512x16", "avx512x32")
_RULE = np.dtype(
    [("hi", "u8"), ("lo", "u8")]
    + [(name, "i4") for name in ("length", "protocol", "first", "last", "priority", "unused")]
)


def _write_case(path: Path, rules: Rules, flows: Flows) -> None:
    records = np.zeros(len(rules.ids), _RULE)
    for name in ("hi", "lo", "length", "protocol", "first", "last"):
        records[name] = getattr(rules, name)
    records["priority"] = len(rules.ids) - rules.place
    with path.open("wb") as file:
        file.write(np.array([rules.family, len(rules.ids), len(flows.port)], np.uint32).tobytes())
        for column in (records, flows.protocol, flows.port, flows.address):
            file.write(np.ascontiguousarray(column).data)


class _Algorithm:
    """An entry: one algorithm of a process that serves all of them."""

    def __init__(self, server: Server, algorithm: str, items: int, answers: Path, facts: dict[str, Any]) -> None:
        self.name = f"librte_acl {algorithm}"
        self.items, self.facts = items, facts
        self._server, self._algorithm, self._answers = server, algorithm, answers

    def answer(self) -> Answers:
        self._server.ask(f"answer {self._algorithm}")
        return Answers(deciding=np.fromfile(self._answers, np.uint32).astype(np.int64) - 1)

    def run(self) -> Timing:
        return self._server.timed(f"time {self._algorithm}")

    def close(self) -> None:
        self._server.close()


class _Packing(_Algorithm):
    """Columns → keys."""

    def __init__(self, server: Server, items: int, answers: Path) -> None:
        super().__init__(server, "", items, answers, {})
        self.name = "packing of keys alone"

    def answer(self) -> Answers:
        return Answers()

    def run(self) -> Timing:
        return self._server.timed("pack")


def _enter(case: Case, bench: Bench) -> Iterator[_Algorithm]:
    if case.rules is None:
        return
    program = compile_c(Path(__file__).with_suffix(".c"), bench, package="libdpdk")
    written, answers = bench.directory / "librte_acl.case", bench.directory / "librte_acl.answers"
    items = len(case.table)
    _write_case(written, case.rules, Flows.of(case.block, items))
    server = Server([program, written, answers])
    written.unlink()
    seconds, table_bytes, peak = server.first.split()
    facts = {"build_s": float(seconds), "table_bytes": int(table_bytes), "build_peak_bytes": int(peak)}
    supported = [name for name in ALGORITHMS if server.ask(f"time {name}") != "unsupported"]
    if not supported:
        server.close()
        raise UnavailableError("no algorithm for this CPU")
    for name in supported:
        yield _Algorithm(server, name, items, answers, facts)
    yield _Packing(server, items, answers)


CONTENDER = Contender("librte_acl", _enter, Needs(debian=("libdpdk-dev", "pkg-config", "gcc", "libc6-dev")))
