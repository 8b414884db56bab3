"""Flow logs that readers are asked about: gzip text, version 2 and all fields up to version 5, of 2 000 interfaces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.contest import Bench, WrongAnswerError
from sgsim.traffic.flowlogs import DEFAULT_FIELDS, FIELD_VERSIONS
from sgsim.traffic.flowlogs.generate import random_records
from sgsim.traffic.flowlogs.write import write_log

__all__ = ["NUMBERS", "Answer", "Case", "cases", "check"]

_READ = {
    *DEFAULT_FIELDS[1:],
    *("vpc-id", "subnet-id", "instance-id", "tcp-flags", "type", "pkt-srcaddr", "pkt-dstaddr", "flow-direction"),
}
#: Columns that become integers; all others are text.
NUMBERS = ("srcport", "dstport", "protocol", "packets", "bytes", "start", "end", "tcp-flags")


class Answer(NamedTuple):
    """Lines, and the sums of some columns."""

    lines: int
    bytes: int
    packets: int
    dstport: int


@dataclass
class Case:
    """`columns`: those to be read, in the file's order."""

    name: str
    path: Path
    lines: int
    columns: tuple[str, ...]
    clock: str = "cpu"
    facts: dict[str, Any] = field(default_factory=dict)


def cases(bench: Bench) -> Iterator[Case]:
    """Both versions."""
    lines = bench.choose(50_000, 2_000_000)
    every = tuple(name for name, version in FIELD_VERSIONS.items() if version <= 5)
    for version, fields in (("version 2", DEFAULT_FIELDS), ("version 5", every)):
        path, name = bench.directory / "flows.log.gz", f"{version}, gzip"
        if not bench.wants(name):
            continue
        n = lines if version == "version 2" else lines // 4
        write_log(random_records(1, n, fields, interfaces=2_000, silent=0.002), path)
        columns = tuple(name for name in fields if name in _READ)
        facts = {"lines": n, "columns": len(columns), "bytes": path.stat().st_size}
        yield Case(name, path, n, columns, facts=facts)
        path.unlink()


def check(case: Case, answers: Sequence[tuple[str, Answer]]) -> None:
    """Raise WrongAnswerError unless all agree."""
    (first, expected), *others = answers
    for name, answer in others:
        if answer != expected:
            raise WrongAnswerError(f"{case.name}: {name} reads {answer}, {first} {expected}")
