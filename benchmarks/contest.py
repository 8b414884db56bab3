"""How contenders are compared: answers first, then times taken in turn.

A *question* has cases; a *contender* that can be had enters a case with one or more *entries*. Before anything is timed
the question compares the entries' answers, and one wrong answer ends the run. Then every entry runs once unmeasured and
`rounds` times measured, in turn, so that whatever slows the machine down slows all of them; ratios are those of one
round. Nothing is kept from one run of an entry to the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

__all__ = [
    "Bench",
    "Call",
    "Contender",
    "Entry",
    "Needs",
    "Question",
    "Timing",
    "UnavailableError",
    "WrongAnswerError",
    "hold",
]

T = TypeVar("T")

_PATIENCE, _FEWEST_ROUNDS = 40, 3  #: seconds after which a case has no further round, if it has had so many


class UnavailableError(Exception):
    """Why a contender takes no part: not installed, does not build, breaks down. It is named, and skipped."""


class WrongAnswerError(Exception):
    """A contender's answer is not that of the others: nothing is timed."""


class Timing(NamedTuple):
    """Seconds of one run: of CPU, all threads and processes together, and on the clock."""

    cpu: float
    wall: float


class Entry(Protocol):
    """A contender, set up for one case.

    `items`: flows, packets, rows or changes that one run handles. `facts`: what else is worth knowing, by name with
    its unit (`build_s`, `table_bytes`). `ours`: the entry that all others of a case are compared with.
    """

    name: str
    items: int
    facts: dict[str, Any]

    def answer(self) -> Any:
        """What the question compares."""

    def run(self) -> Timing:
        """Do the work once more, from the beginning."""

    def close(self) -> None:
        """Free memory, end processes."""


class Needs(NamedTuple):
    """What a contender needs that sgsim does not: Debian packages and PyPI projects."""

    debian: tuple[str, ...] = ()
    pypi: tuple[str, ...] = ()


class Bench(NamedTuple):
    """Where and how large: `scale` is "small" (are answers right? seconds) or "full" (figures; minutes).

    Only cases run whose names hold `only`. `say` takes lines about what goes on.
    """

    scale: str
    directory: Path
    only: str = ""
    say: Callable[[str], None] = print

    def wants(self, name: str) -> bool:
        """Whether a case is to run; those that are not need not be made."""
        return self.only in name

    def choose(self, small: int, full: int) -> int:
        """A size by scale."""
        return small if self.scale == "small" else full


class Contender(NamedTuple):
    """One way to answer a question. `enter` raises UnavailableError, also for a single case that it cannot hold."""

    name: str
    enter: Callable[[Any, Bench], Iterable[Entry]]
    needs: Needs = Needs()


class Question(NamedTuple):
    """`cases` yields what the contenders take, if the bench wants it, with `name`, `clock` ("cpu" or "wall"), `facts`.

    `check` compares the answers, each with its entry's name, and raises WrongAnswerError; `ours` is the entry that
    ratios are about.
    """

    name: str
    title: str
    unit: str
    ours: str
    cases: Callable[[Bench], Iterator[Any]]
    contenders: Sequence[Contender]
    check: Callable[[Any, Sequence[tuple[str, Any]]], None]


@dataclass
class Call:
    """An entry that is a function of this process."""

    name: str
    items: int
    work: Callable[[], Any]
    answered: Callable[[], Any]
    facts: dict[str, Any] = field(default_factory=dict)

    def answer(self) -> Any:
        return self.answered()

    def run(self) -> Timing:
        wall, cpu = time.perf_counter(), time.process_time()
        self.work()
        return Timing(time.process_time() - cpu, time.perf_counter() - wall)

    def close(self) -> None:
        pass


def hold(question: Question, bench: Bench, rounds: int) -> dict[str, Any]:
    """Run all cases of a question; returns its part of the results."""
    absent: dict[str, str] = {}
    cases = {}
    for case in question.cases(bench):
        bench.say(f"{question.name}: {case.name}")
        with _Entries(question, case, absent, bench) as entries:
            entries.enter()
            cases[case.name] = _hold_case(question, case, entries, rounds)
    return {"title": question.title, "unit": question.unit, "ours": question.ours, "cases": cases, "absent": absent}


def _hold_case(question: Question, case: Any, entries: _Entries, rounds: int) -> dict[str, Any]:
    question.check(case, entries.each(lambda entry: entry.answer()))
    entries.each(lambda entry: entry.run())
    timings: dict[str, list[Timing]] = {}
    begin = time.perf_counter()
    for first in range(rounds):
        if first >= _FEWEST_ROUNDS and time.perf_counter() - begin > _PATIENCE:
            break
        for name, timing in entries.each(lambda entry: entry.run(), first):
            timings.setdefault(name, []).append(timing)
    told = {
        entry.name: {
            "items": entry.items,
            "cpu": [round(timing.cpu, 6) for timing in timings[entry.name]],
            "wall": [round(timing.wall, 6) for timing in timings[entry.name]],
            "facts": entry.facts,
        }
        for entry in entries.present
    }
    return {"clock": case.clock, "facts": case.facts, "entries": told}


class _Entries(AbstractContextManager["_Entries"]):
    """The entries of one case. Who breaks down leaves, and is named; if it is ours that ends the run."""

    def __init__(self, question: Question, case: Any, absent: dict[str, str], bench: Bench) -> None:
        self.present: list[Entry] = []
        self._question, self._case, self._absent, self._bench = question, case, absent, bench

    def __exit__(self, *_: object) -> None:
        for entry in self.present:
            entry.close()

    def enter(self) -> None:
        """Set up every contender that can be had."""
        for contender in self._question.contenders:
            if contender.name in self._absent:
                continue
            try:
                self.present.extend(contender.enter(self._case, self._bench))
            except UnavailableError as problem:
                self._note(contender.name, problem)

    def each(self, step: Callable[[Entry], T], first: int = 0) -> list[tuple[str, T]]:
        """What a step gives for each entry, by name; in turn, beginning with the `first`."""
        found = []
        turn = first % max(1, len(self.present))
        for entry in self.present[turn:] + self.present[:turn]:
            try:
                found.append((entry.name, step(entry)))
            except UnavailableError as problem:
                self.present.remove(entry)
                entry.close()
                self._note(f"{entry.name}, {self._case.name}", problem)
        return found

    def _note(self, who: str, problem: UnavailableError) -> None:
        if who.split(",")[0] == self._question.ours:
            raise problem
        self._absent[who] = str(problem)
        self._bench.say(f"  {who} takes no part: {problem}")
