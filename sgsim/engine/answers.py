"""Rule answers, interned for the length of a replay: flows and connections refer to them by row."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sgsim.engine.interner import Interner
from sgsim.kernels.tracking_layout import (
    ACTION_MASK,
    CODE_UNTRACKED_SHIFT,
    INITIATING_SHIFT,
    KEY_WORDS,
    NO_ANSWER,
    REASON_MASK,
    REASON_SHIFT,
    RULES_SHIFT,
)
from sgsim.verdicts import MatchSets, Reason, RuleVerdicts, Verdict

if TYPE_CHECKING:
    from sgsim.engine.stores import Store
    from sgsim.engine.views import View

__all__ = ["Answers", "NumberedAnswers", "RuleAnswers"]

#: Match sets that are told apart in Python: less than the kernel takes to load, and it is not compiled for a few.
_FEW = 1 << 10


class RuleAnswers:
    """Distinct (action, reason, match set, possible set, deciding rule, untracked), and the match sets themselves.

    Match sets of different `evaluate` calls are numbered anew here, set 0 being the empty one. Row 0 is REJECT,
    NO_RULE. `codes` (uint8) is what the tracking kernel reads of each row.
    """

    def __init__(self) -> None:
        self._sets: dict[bytes, int] = {b"": 0}
        self._many: Store | None = None  # takes the place of `_sets` when that has become large
        self._set_count = 1
        self._rows = Interner()
        self._match_sets: MatchSets | None = None
        self.codes: npt.NDArray[np.uint8] = np.empty(0, np.uint8)
        self._intern_rows(np.array([[Verdict.REJECT, Reason.NO_RULE, 0, 0, -1, 0, 0, 0]], np.int64))

    def intern(self, verdicts: RuleVerdicts) -> npt.NDArray[np.int32]:
        """The row of each verdict."""
        sets = self._intern_sets(verdicts.sets)
        rows = np.zeros((len(verdicts), KEY_WORDS), np.int64)
        rows[:, 0], rows[:, 1] = verdicts.action, verdicts.reason
        rows[:, 2], rows[:, 3] = sets[verdicts.match_set], sets[verdicts.possible_set]
        rows[:, 4], rows[:, 5] = verdicts.deciding_rule, verdicts.untracked
        return self._intern_rows(rows)

    @property
    def table(self) -> npt.NDArray[np.int64]:
        """int64[rows, 8]: action, reason, match set, possible set, deciding rule, untracked, two zeros."""
        return self._rows.keys[: self._rows.count].view(np.int64)

    @property
    def sets(self) -> MatchSets:
        """All match sets so far."""
        if self._match_sets is None or len(self._match_sets) != self._set_count:
            self._match_sets = self._few_sets() if self._many is None else self._many.match_sets()
        return self._match_sets

    def _few_sets(self) -> MatchSets:
        lengths = np.fromiter((len(key) // 4 for key in self._sets), np.int64, len(self._sets))
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return MatchSets(offsets, np.frombuffer(b"".join(self._sets), np.int32))

    def _intern_sets(self, sets: MatchSets) -> npt.NDArray[np.int64]:
        """The number here of each set of one call."""
        if self._many is None and len(self._sets) >= _FEW:
            from sgsim.engine.stores import Store

            self._many = Store(largest=1)
            self._many.add(self._few_sets())  # which are distinct, and keep their numbers
        if self._many is None:
            numbers = self._numbers_of_few(sets)
        else:
            numbers = self._many.add(sets).astype(np.int64)
        self._set_count = max(self._set_count, int(numbers.max(initial=0)) + 1)
        return numbers

    def _numbers_of_few(self, sets: MatchSets) -> npt.NDArray[np.int64]:
        content = np.ascontiguousarray(sets.members, np.int32).tobytes()
        bounds = (4 * sets.offsets).tolist()
        known = self._sets
        numbers = [known.setdefault(content[start:stop], len(known)) for start, stop in pairwise(bounds)]
        return np.array(numbers, np.int64)

    def _intern_rows(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        before = self._rows.count
        numbers = self._rows.intern(rows.view(np.uint64))
        new = self.table[before:]
        if len(new):
            codes = new[:, 0] | (new[:, 1] << REASON_SHIFT) | (new[:, 5] << CODE_UNTRACKED_SHIFT)
            self.codes = np.concatenate([self.codes, codes.astype(np.uint8)])
        return numbers


class NumberedAnswers(RuleAnswers):
    """Rule answers of several snapshots, their rules by the numbers of `view`."""

    def __init__(self, view: View) -> None:
        super().__init__()
        self.view = view
        self.doubts: npt.NDArray[np.int32] = np.empty(0, np.int32)  #: rows that `doubtful` gave

    def intern(self, verdicts: RuleVerdicts) -> npt.NDArray[np.int32]:
        return super().intern(self.view.named(verdicts))

    def doubtful(self, rows: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """The rows of answers that are UNKNOWN, and for which the rules of other answers may be the reason."""
        n, table = len(rows), self.table[rows]
        may = np.where(table[:, 2] != 0, table[:, 2], table[:, 3]).astype(np.int32)
        zeros = np.zeros(n, np.int32)
        unknown, why = np.full(n, Verdict.UNKNOWN, np.uint8), np.full(n, Reason.UNRESOLVED, np.uint8)
        made = super().intern(RuleVerdicts(unknown, why, zeros, may, zeros - 1, np.zeros(n, np.bool_), self.sets))
        self.doubts = np.union1d(self.doubts, made).astype(np.int32)
        return made


class Answers:
    """Answers of packets or records as columns, read out of their 32-bit words.

    All arrays have the shape of `words`; where `judged` is False the others mean nothing. `match_set` and
    `possible_set` index `RuleAnswers.sets`.
    """

    def __init__(self, words: npt.NDArray[Any], rules: RuleAnswers) -> None:
        self.judged = words != NO_ANSWER
        self.action = (words & ACTION_MASK).astype(np.uint8)
        self.reason = ((words >> REASON_SHIFT) & REASON_MASK).astype(np.uint8)
        self.initiating = ((words >> INITIATING_SHIFT) & 1).astype(np.bool_)
        row = np.where(self.judged, words >> RULES_SHIFT, 0)
        table = rules.table
        match_set, possible_set, deciding = table[row, 2], table[row, 3], table[row, 4]
        # What passes only because of a maybe connection may match the rules that opened it, and surely none (§9.2).
        maybe = (self.action == Verdict.UNKNOWN) & (table[row, 0] == Verdict.ACCEPT)
        self.match_set = np.where(maybe, 0, match_set).astype(np.int32)
        self.possible_set = np.where(maybe, match_set, possible_set).astype(np.int32)
        self.deciding_rule = np.where(maybe, -1, deciding).astype(np.int32)
        self.sets = rules.sets
