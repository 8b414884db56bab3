"""softflowd: flows of a capture, none forgotten before the end."""

from __future__ import annotations

import re
from collections.abc import Iterator

from benchmarks.capture.answers import Answer
from benchmarks.capture.cases import Case
from benchmarks.contest import Bench, Contender, Needs, UnavailableError
from benchmarks.programs import Program, find_program

__all__ = ["CONTENDER"]


def _enter(case: Case, bench: Bench) -> Iterator[Program]:
    if case.kind != "flows":
        return
    path = case.capture.path

    def read(text: str) -> Answer:
        found = re.search(r"Packets processed: (\d+)", text), re.search(r"Flows expired: (\d+)", text)
        if not all(found):
            raise UnavailableError("softflowd prints no statistics")
        packets, flows = (int(each[1]) for each in found if each)
        case.facts["flows by softflowd"] = flows
        return Answer(path, packets)

    command = [find_program("softflowd", "softflowd"), "-r", path, "-d", "-6", "-m", str(2 * case.facts["flows"])]
    # With a control socket it hangs now and then: it accepts on it without having asked whether anybody is there.
    command += ["-p", bench.directory / "softflowd.pid", "-c", "none"]
    yield Program("softflowd", case.capture.packets, command, read)


CONTENDER = Contender("softflowd", _enter, Needs(debian=("softflowd",)))
