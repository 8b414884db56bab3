"""sgsim: `scan_packets`, which decodes every column; and `sgsim replay`, a process from start to end."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.capture.answers import Answer, tuples_of
from benchmarks.capture.cases import Case
from benchmarks.contest import Bench, Call, Contender
from benchmarks.programs import Program
from sgsim.traffic import scan_packets

__all__ = ["CONTENDER", "NAME"]

NAME = "sgsim"


def _enter(case: Case, bench: Bench) -> Iterator[Any]:
    capture = case.capture
    if case.kind == "five-tuples":

        def answers() -> list[Answer]:
            return [tuples_of(each.path) for each in (capture, *case.prefixes.values())]

        def count() -> int:
            return sum(len(batch) for batch in scan_packets([capture.path], background=False))

        yield Call(NAME, capture.packets, count, answers)
        return
    assert case.environment is not None
    command = [sys.executable, "-m", "sgsim.cli", "replay", str(case.environment), str(capture.path)]

    def read(text: str) -> Answer:
        return Answer(capture.path, json.loads(text)["packets"]["judged"])

    yield Program(NAME, capture.packets, [*command, "--format", "json"], read)


CONTENDER = Contender(NAME, _enter)
