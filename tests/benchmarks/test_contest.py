"""How contenders are compared: a wrong answer ends a run before anything is timed, who is not there is named."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchmarks.aims import outcomes
from benchmarks.contest import Bench, Contender, Question, Timing, UnavailableError, WrongAnswerError, hold
from benchmarks.document import write_documents
from benchmarks.programs import compile_c
from benchmarks.results import changes, keep, kept, machine, ratio


@dataclass
class Case:
    name: str
    clock: str = "cpu"
    facts: dict[str, Any] = field(default_factory=dict)


class Entry:
    """Answers `value`, takes `seconds`; breaks down in run number `breaks`."""

    def __init__(self, name: str, value: int = 1, seconds: float = 1.0, breaks: int | None = None) -> None:
        self.name, self.items, self.facts = name, 10, {"build_s": 0.5}
        self.value, self.seconds, self.breaks = value, seconds, breaks
        self.runs, self.closed = 0, 0

    def answer(self) -> int:
        return self.value

    def run(self) -> Timing:
        if self.runs == self.breaks:
            raise UnavailableError("it broke")
        self.runs += 1
        return Timing(self.seconds, 2 * self.seconds)

    def close(self) -> None:
        self.closed += 1


def check(case: Case, answers: Sequence[tuple[str, int]]) -> None:
    for name, answer in answers:
        if answer != 1:
            raise WrongAnswerError(f"{case.name}: {name} says {answer}")


def question(*entries: Entry | UnavailableError) -> Question:
    def contender(entry: Entry | UnavailableError) -> Contender:
        def enter(case: Case, bench: Bench) -> Iterator[Entry]:
            if isinstance(entry, UnavailableError):
                raise entry
            yield entry

        return Contender(entry.name if isinstance(entry, Entry) else "missing", enter)

    def cases(bench: Bench) -> Iterator[Case]:
        for name in ("small case", "large case"):
            if bench.wants(name):
                yield Case(name)

    return Question("match", "Title", "flows", "sgsim", cases, [contender(entry) for entry in entries], check)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def bench(tmp_path: Path, said: list[str]) -> Bench:
    return Bench("small", tmp_path, "large", said.append)


def test_wrong_answer_ends_the_run_before_timing(bench: Bench) -> None:
    ours, wrong = Entry("sgsim"), Entry("other", value=2)
    with pytest.raises(WrongAnswerError, match="large case: other says 2"):
        hold(question(ours, wrong), bench, 3)
    assert (ours.runs, wrong.runs) == (0, 0)
    assert (ours.closed, wrong.closed) == (1, 1)


def test_who_is_not_there_is_named(bench: Bench, said: list[str]) -> None:
    found = hold(question(Entry("sgsim"), UnavailableError("no compiler")), bench, 3)
    assert found["absent"] == {"missing": "no compiler"}
    assert list(found["cases"]["large case"]["entries"]) == ["sgsim"]
    assert "missing takes no part: no compiler" in "\n".join(said)


def test_who_breaks_down_leaves(bench: Bench) -> None:
    broken = Entry("other", breaks=2)
    found = hold(question(Entry("sgsim"), broken), bench, 3)
    assert found["absent"] == {"other, large case": "it broke"}
    assert list(found["cases"]["large case"]["entries"]) == ["sgsim"]
    assert broken.closed == 1


def test_ours_that_breaks_down_ends_the_run(bench: Bench) -> None:
    with pytest.raises(UnavailableError):
        hold(question(Entry("sgsim", breaks=1), Entry("other")), bench, 3)


def test_all_take_turns_and_ratios_are_of_one_round(bench: Bench) -> None:
    ours, other = Entry("sgsim"), Entry("other", seconds=4.0)
    found = hold(question(ours, other), bench, 5)["cases"]["large case"]
    assert (ours.runs, other.runs) == (6, 6), "one run more than is measured"
    assert ratio(found, "sgsim", "other") == (4.0, 4.0, 4.0)


def test_c_that_does_not_compile_is_unavailable(tmp_path: Path) -> None:
    source = tmp_path / "broken.c"
    source.write_text("int main(void) { return nothing; }")
    with pytest.raises(UnavailableError, match=r"broken\.c does not compile"):
        compile_c(source, Bench("small", tmp_path))
    with pytest.raises(UnavailableError, match="libnobody"):
        compile_c(source, Bench("small", tmp_path), package="libnobodyhasthis")


def results(bench: Bench, seconds: float = 1.0) -> dict[str, Any]:
    found = hold(question(Entry("sgsim", seconds=seconds), Entry("other", seconds=4.0)), bench._replace(only=""), 3)
    return {"format": 1, "scale": "small", "machine": machine(), "questions": {"match": found}}


def test_change_against_what_is_kept(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    assert kept(path, "small") is None
    keep(path, results(bench))
    before = kept(path, "small")
    assert before is not None
    slower = [(row.case, row.speed, row.against_others) for row in changes(results(bench, 2.0), before)]
    assert slower == [("small case", 0.5, 0.5), ("large case", 0.5, 0.5)]
    assert kept(path, "full") is None


def test_documents_are_made_of_results(bench: Bench, tmp_path: Path) -> None:
    found = json.loads(json.dumps(results(bench)))
    write_documents(found, tmp_path)
    page = (tmp_path / "performance.md").read_text()
    assert "| sgsim | 10.0 |" in page and "4.00 (4.00–4.00)" in page
    plots = list((tmp_path / "performance").iterdir())
    assert plots and all(plot.name in page for plot in plots)
    for plot in plots:
        assert ElementTree.fromstring(plot.read_text()).tag.endswith("svg")
    assert outcomes(found) == []
