"""sgsim: `scan_flow_logs`, which also tells addresses, ids and kinds of lines apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.contest import Bench, Call, Contender
from benchmarks.flowlog.cases import Answer, Case
from sgsim.traffic.flowlogs import scan_flow_logs

__all__ = ["CONTENDER", "NAME"]

NAME = "sgsim"


def _read(path: Path) -> Answer:
    lines = size = packets = ports = 0
    for batch in scan_flow_logs([path]):
        lines += len(batch) + len(batch.silences)
        size += int(batch.bytes.sum())
        packets += int(batch.packets.sum())
        ports += int(batch.dstport.sum())
    return Answer(lines, size, packets, ports)


def _enter(case: Case, bench: Bench) -> Iterator[Call]:
    yield Call(NAME, case.lines, lambda: _read(case.path), lambda: _read(case.path))


CONTENDER = Contender(NAME, _enter)
