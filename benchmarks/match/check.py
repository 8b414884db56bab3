"""The answers of all matchers are compared: with sgsim's, and sgsim's with the plain loops of `sgsim.reference`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.contest import WrongAnswerError
from benchmarks.match.cases import Case
from benchmarks.match.rules import Answers
from sgsim.engine import Snapshot
from sgsim.model import Direction, Semantics
from sgsim.reference import Packet, judge
from sgsim.verdicts import RuleVerdicts

__all__ = ["check"]

_COMPARISONS = 300_000


def check(case: Case, answers: Sequence[tuple[str, Any]]) -> None:
    """Raise WrongAnswerError if any two disagree on a flow that both have judged."""
    ours: tuple[Snapshot, RuleVerdicts] | None = None
    expected = None
    for name, answer in answers:
        if isinstance(answer, Answers):
            assert expected is not None, "sgsim comes first"
            problem = _difference(expected, answer)
        elif ours is None:
            ours, problem = answer, _against_twin(case, *answer)
            expected = _Expected(case, *answer)
        else:
            problem = _against_ours(ours, answer)
        if problem:
            raise WrongAnswerError(f"{case.name}: {name}: {problem}")


class _Expected:
    """sgsim's answers, rules by their positions in the case's group."""

    def __init__(self, case: Case, snapshot: Snapshot, verdicts: RuleVerdicts) -> None:
        position = {rule_id: number for number, rule_id in enumerate(case.rules.ids)} if case.rules else {}
        ids = snapshot.tables.rule_ids
        self.numbers = np.array([position.get(rule_id, -1) for rule_id in ids] + [-1], np.int64)
        self.verdicts = verdicts
        self.deciding = self.numbers[verdicts.deciding_rule]
        self.counts = np.diff(verdicts.sets.offsets)[verdicts.match_set]

    def set_of(self, row: int) -> tuple[int, ...]:
        chosen = self.verdicts.sets[int(self.verdicts.match_set[row])]
        return tuple(sorted(self.numbers[list(chosen)].tolist()))


def _difference(expected: _Expected, answer: Answers) -> str | None:
    for name, column in (("deciding rule", answer.deciding), ("number of rules", answer.counts)):
        if column is not None:
            wanted = expected.deciding if name == "deciding rule" else expected.counts
            wrong = np.flatnonzero(column != wanted[: len(column)])
            if len(wrong):
                row = int(wrong[0])
                return f"flow {row}: {name} {column[row]}, sgsim says {wanted[row]} ({len(wrong)} flows differ)"
    for row, found in enumerate(answer.sets or ()):
        if found != expected.set_of(row):
            return f"flow {row}: rules {found}, sgsim says {expected.set_of(row)}"
    return None


def _against_ours(ours: tuple[Snapshot, RuleVerdicts], other: tuple[Snapshot, RuleVerdicts]) -> str | None:
    """Another run of sgsim may number its sets differently."""
    first, second = ours[1], other[1]
    if not np.array_equal(first.deciding_rule, second.deciding_rule):
        return "deciding rules differ from those of one thread"
    pairs = np.unique(np.stack((first.match_set, second.match_set)), axis=1)
    if any(first.sets[one] != second.sets[other] for one, other in pairs.T.tolist()):
        return "match sets differ from those of one thread"
    return None


def _against_twin(case: Case, snapshot: Snapshot, verdicts: RuleVerdicts) -> str | None:
    """Some rows, judged by the slow twin."""
    block, tables = case.block, snapshot.tables
    sample = max(50, min(2_000, _COMPARISONS // max(1, tables.mean_union)))
    rows = np.linspace(0, len(block) - 1, min(len(block), sample)).astype(int)
    for row in rows.tolist():
        packet = Packet(
            block.family,
            _integer(block.srcaddr[row]),
            _integer(block.dstaddr[row]),
            int(block.protocol[row]),
            int(block.srcport[row]),
            int(block.dstport[row]),
        )
        interface = tables.interface_ids[int(block.interface[row])]
        twin = judge(case.environment, Semantics(), interface, Direction(int(block.direction[row])), packet)
        found = {tables.rule_ids[rule] for rule in verdicts.sets[int(verdicts.match_set[row])]}
        if found != twin.rule_ids or verdicts.action[row] != twin.action:
            return f"flow {row}: rules {sorted(found)}, the twin says {sorted(twin.rule_ids)}"
        deciding = int(verdicts.deciding_rule[row])
        if (tables.rule_ids[deciding] if deciding >= 0 else None) != twin.deciding_rule_id:
            return f"flow {row}: another deciding rule than the twin's, {twin.deciding_rule_id}"
    return None


def _integer(address: npt.NDArray[Any] | np.integer[Any]) -> int:
    if isinstance(address, np.ndarray):
        return int(address[0]) << 64 | int(address[1])
    return int(address)
