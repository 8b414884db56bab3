"""Loops in C: over libpcap, and over read(2) into one small buffer, which is the ceiling."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.capture.answers import Answer
from benchmarks.capture.cases import Capture, Case
from benchmarks.contest import Bench, Contender, Needs, Timing
from benchmarks.programs import compile_c, run_whole

__all__ = ["LIBPCAP", "READ"]


class _Loop:
    """A program that prints packets, their sum, and the CPU seconds of its loop."""

    def __init__(self, name: str, command: list[Path | str], capture: Capture, *, sums: bool = True) -> None:
        self.name, self.items = name, capture.packets
        self.facts: dict[str, Any] = {}
        self._command, self._path, self._sums = [*command, capture.path], capture.path, sums

    def answer(self) -> Answer:
        packets, total, _ = run_whole(self._command)[1].split()
        return Answer(self._path, int(packets), int(total) if self._sums else None)

    def run(self) -> Timing:
        begin = time.perf_counter()
        seconds = float(run_whole(self._command)[1].split()[2])
        return Timing(seconds, time.perf_counter() - begin)

    def close(self) -> None:
        pass


def _libpcap(case: Case, bench: Bench) -> Iterator[_Loop]:
    if case.kind == "five-tuples":
        program = compile_c(Path(__file__).with_name("libpcap_loop.c"), bench, libraries=["-lpcap"])
        yield _Loop("libpcap loop in C", [program], case.capture)


def _read(case: Case, bench: Bench) -> Iterator[_Loop]:
    if case.kind == "five-tuples":
        program = compile_c(Path(__file__).with_name("read_loop.c"), bench)
        yield _Loop("read(2) loop in C", [program, "tuples"], case.capture)
        yield _Loop("read(2) loop in C, headers only", [program, "headers"], case.capture, sums=False)


LIBPCAP = Contender("libpcap loop in C", _libpcap, Needs(debian=("libpcap-dev", "gcc", "libc6-dev")))
READ = Contender("read(2) loop in C", _read, Needs(debian=("gcc", "libc6-dev")))
