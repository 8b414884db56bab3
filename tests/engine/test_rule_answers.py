"""Rule answers are numbered by content, the same by the dictionary for few sets and by the kernel for many."""

from __future__ import annotations

import numpy as np
import pytest

from sgsim.engine import answers
from sgsim.verdicts import MatchSets, RuleVerdicts


def verdicts(sets: list[list[int]]) -> RuleVerdicts:
    """One accepted row for each set."""
    n = len(sets)
    number = np.arange(1, n + 1, dtype=np.int32)
    zeros = np.zeros(n, np.int32)
    ones = np.ones(n, np.uint8)
    return RuleVerdicts(ones, ones, number, zeros, zeros, np.zeros(n, np.bool_), sets=MatchSets.of([[], *sets]))


CALLS = [[[1], [2, 3]], [[2, 3], [4]], [[5, 6, 7], [1], [2]], [[4]], [[8]]]


@pytest.mark.parametrize("few", [0, 3, 1000])
def test_numbers_do_not_depend_on_how_many_sets_there_are(monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(answers, "_FEW", few)
    rules = answers.RuleAnswers()
    rows = [rules.intern(verdicts(sets)).tolist() for sets in CALLS]
    assert rows == [[1, 2], [2, 3], [4, 1, 5], [3], [6]]
    assert rules.table[:, 2].tolist() == [0, 1, 2, 3, 4, 5, 6]
    sets = rules.sets
    found = [sets.members[start:stop].tolist() for start, stop in zip(sets.offsets, sets.offsets[1:])]
    assert found == [[], [1], [2, 3], [4], [5, 6, 7], [2], [8]]
    assert rules.sets is sets
