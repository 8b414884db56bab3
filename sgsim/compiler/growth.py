"""What all versions that come from one full compile share: arrays that grow, and numbers given once for good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, chain, count
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.compiler.addresses import mirrored
from sgsim.compiler.placing import LayoutPools
from sgsim.compiler.ranks import Ranks
from sgsim.compiler.rules import Subjects
from sgsim.model import Environment, SecurityGroupRule
from sgsim.tables import RuleTables
from sgsim.tables.slots import Pool

__all__ = ["Growth", "NoRoomError", "Numbers", "Pools"]

#: Garbage that is never worth a full compile, in bytes.
_NEGLIGIBLE = 16 << 20


class NoRoomError(Exception):
    """No rank is left for a new rule's id: everything has to be compiled."""


class Numbers(dict[Any, int]):
    """Numbers of names, in the order in which they were first met; asked for a new name, it gives the next one.

    What is gone keeps its number.
    """

    def __init__(self, numbers: Mapping[Any, int], names: Sequence[str]) -> None:
        super().__init__(numbers)
        self.names = list(names)

    def __missing__(self, name: str) -> int:
        number = self[name] = len(self.names)
        self.names.append(name)
        return number


class Pools:
    """The arrays of RuleTables."""

    def __init__(self, tables: RuleTables) -> None:
        families = {4: tables.v4, 6: tables.v6}
        self.rows = {family: _pools(part.rows) for family, part in families.items()}
        self.layouts = {family: LayoutPools(family, part.layout) for family, part in families.items()}
        self.specials = {family: _pools(part.specials) for family, part in families.items()}
        self.lists = {family: _pools(part.prefix_lists[1:4]) for family, part in families.items()}
        self.subjects = _pools(tables.subject_rows)
        self.rank = Pool(tables.rank)
        self.carried = Pool(tables.interfaces.groups)
        cards = tables.interfaces
        self.cards = _pools((cards.vpc, cards.tracked, tables.v4.records, tables.v6.records))
        named = tables.references
        self.references = _pools((named.target, named.vpc, named.status, named.open))

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        several = (*self.rows.values(), *self.specials.values(), *self.lists.values())
        pools = chain(*several, self.subjects, self.cards, self.references, (self.rank, self.carried))
        return sum(pool.nbytes for pool in pools) + sum(layout.nbytes for layout in self.layouts.values())


def _pools(arrays: Sequence[npt.NDArray[Any]]) -> list[Pool]:
    return [Pool(array) for array in arrays]


class Growth:
    """Of one full compile and all versions that come from it. One thread at a time changes it, under `lock`.

    Nothing that a version refers to is ever changed, so that versions may branch, and those before stay as they are.
    """

    def __init__(
        self,
        group_numbers: dict[str, int],
        vpc_numbers: dict[str | None, int],
        subjects: Subjects,
        sizes: npt.NDArray[np.int64],
        rule_counts: Sequence[int],
    ) -> None:
        self.lock = Lock()
        self.subjects = subjects
        self.pools: Pools | None = None
        self._group_numbers, self._vpc_numbers = group_numbers, vpc_numbers
        self._peaks = dict(enumerate(sizes.tolist()))
        self._rule_starts = [0, *accumulate(rule_counts)]
        self._rules: dict[int, dict[tuple[str, int], int]] = {}
        self._cells: dict[tuple[int, int], tuple[int, int]] = {}
        self._vnis: dict[str, list[int]] | None = None

    def started(self, tables: RuleTables) -> Pools:
        """The arrays; made from the tables of the full compile when the first change comes."""
        if self.pools is None:
            self.interfaces = Numbers(dict(zip(tables.interface_ids, count())), tables.interface_ids)
            self.groups = Numbers(self._group_numbers, tables.group_ids)
            self.vpcs = Numbers(self._vpc_numbers, tables.vpc_ids)
            self.rule_ids = list(tables.rule_ids)
            self.largest_union = tables.largest_union
            self._ranks = Ranks(tables.rule_ids, tables.rank)
            self.pools = Pools(tables)
            self._enough = 2 * self.pools.nbytes + _NEGLIGIBLE
        return self.pools

    def vnis(self, environment: Environment) -> dict[str, list[int]]:
        """The VXLAN network identifiers of each interface; mirror sessions are the same in all versions."""
        if self._vnis is None:
            self._vnis = mirrored(environment)
        return self._vnis

    def is_wasteful(self) -> bool:
        """Whether more than half of the arrays is what changes have left behind."""
        return self.pools is not None and self.pools.nbytes > self._enough

    def number_rules(self, group: int, rules: Sequence[SecurityGroupRule]) -> list[int]:
        """Indexes of a group's rules, which stand in a stable order; a rule that keeps its id keeps its index."""
        known = self._rules.get(group)
        if known is None:
            first, end = self._rule_starts[group : group + 2] if group + 1 < len(self._rule_starts) else (0, 0)
            known = self._rules[group] = {}
            for number in range(first, end):
                known[_occurrence(known, self.rule_ids[number])] = number
        numbers: dict[tuple[str, int], int] = {}
        for rule in rules:
            key = _occurrence(numbers, rule.rule_id)
            if key not in known:
                known[key] = self._new_rule(rule.rule_id)
            numbers[key] = known[key]
        return list(numbers.values())

    def _new_rule(self, rule_id: str) -> int:
        assert self.pools is not None
        rank = self._ranks.add(rule_id)
        if rank is None:
            raise NoRoomError
        self.pools.rank.add(np.array([rank]))
        self.rule_ids.append(rule_id)
        return len(self.rule_ids) - 1

    def resize(self, group: int, size: int) -> None:
        """Note how many rules a group has in its busier direction: a bound of unions follows the largest sizes."""
        peak = self._peaks.get(group, 0)
        if size > peak:
            self._peaks[group] = size
            self.largest_union += size - peak

    def carry(self, groups: Sequence[int]) -> None:
        """Note which groups an interface carries."""
        self.largest_union = max(self.largest_union, sum(self._peaks.get(group, 0) for group in groups))

    def place_cells(self, family: int, group: int, cells: int) -> int:
        """Where a group's dense cells are: where they were if they fit, as no two versions share cells."""
        assert self.pools is not None
        if not cells:
            return 0
        first, room = self._cells.get((family, group), (0, 0))
        if cells > room:
            layout = self.pools.layouts[family]
            first, room = layout.cells, cells + cells // 4
            layout.cells += room
            self._cells[family, group] = first, room
        return first


def _occurrence(known: Mapping[tuple[str, int], Any], rule_id: str) -> tuple[str, int]:
    """The key of one more rule with an id: ids of a group differ, but nothing depends on it."""
    number = 0
    while (rule_id, number) in known:
        number += 1
    return rule_id, number
