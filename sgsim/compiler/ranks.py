"""Ranks of rule ids: numbers in the order of the ids, with gaps in which new ones find room."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sgsim.compiler.rules import ranks

__all__ = ["Ranks", "first_ranks"]

_END = 1 << 62
_WIDEST = 1 << 40
_SOME, _CLOSE = 4, 12


def first_ranks(rule_ids: Sequence[str]) -> npt.NDArray[np.int64]:
    """Ranks of all rules, as far apart as there is room, but no more than 2**40."""
    return (ranks(rule_ids) + 1) * min(_WIDEST, _END // (len(rule_ids) + 2))


class Ranks:
    """Gives ranks to new ids, between those of their neighbours.

    Ids mostly come in order, each next to the last one: after a few such ones the next is put close to the last, so
    that a hundred thousand fit.
    """

    def __init__(self, rule_ids: Sequence[str], rank: npt.NDArray[np.int64]) -> None:
        self._first_ids, self._first_ranks = rule_ids, rank
        self._order = np.argsort(rank)
        self._ids: list[str] = []
        self._ranks: list[int] = []
        self._last, self._way, self._run = -1, 0, 0

    def add(self, rule_id: str) -> int | None:
        """The rank of a new id; None if there is none left between its neighbours."""
        low, high = self._around(rule_id)
        if high - low < 2:
            return None
        room = (high - low) // 2
        way = (self._last == low) - (self._last == high)
        self._run = self._run + 1 if way and way == self._way else 0
        self._way = way
        if self._run > _SOME:
            room = max(1, room >> _CLOSE)
        rank = high - room if way < 0 else low + room
        position = bisect_left(self._ids, rule_id)
        self._ids.insert(position, rule_id)
        self._ranks.insert(position, rank)
        self._last = rank
        return rank

    def _around(self, rule_id: str) -> tuple[int, int]:
        """The ranks of the ids before and after a new one."""
        first, ids = self._first_ranks, self._first_ids
        at = bisect_left(self._order, rule_id, key=lambda number: ids[number])
        near = bisect_left(self._ids, rule_id)
        low = max(
            int(first[self._order[at - 1]]) if at else 0,
            self._ranks[near - 1] if near else 0,
        )
        high = min(
            int(first[self._order[at]]) if at < len(self._order) else _END,
            self._ranks[near] if near < len(self._ids) else _END,
        )
        return low, high
