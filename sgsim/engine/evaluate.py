"""What the rules alone say of each row of a FlowTable: pure, in any order, on any machine."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.engine.peers import PeerEntries
from sgsim.engine.queries import context_of, peers_of, queries, remotes
from sgsim.engine.sets import GrowingSets
from sgsim.engine.snapshot import Snapshot
from sgsim.flows import AMBIGUOUS, NO_INTERFACE, FlowBlock, FlowTable
from sgsim.kernels.exempt import exempt
from sgsim.kernels.match_scan import Answers, PeerTruths, scan
from sgsim.model import TCP, UDP
from sgsim.tables import RuleTables
from sgsim.tables.lookup import address_keys
from sgsim.verdicts import MatchSets, Reason, RuleVerdicts, Verdict

__all__ = ["evaluate"]

_NO, _MAYBE, _SURE = 0, 1, 2

#: A scan costs about as much as it looks at rules, and 300 ns a row; the look-up kernel takes 0.2 s to load.
_SCAN_NS_PER_ROW, _SCAN_NS_PER_RULE, _LOADING_NS = 300, 1, 200_000_000


class _Columns(NamedTuple):
    """The arrays of RuleVerdicts, as zeros: REJECT, NO_RULE; deciding_rule is set for every row."""

    action: npt.NDArray[np.uint8]
    reason: npt.NDArray[np.uint8]
    match_set: npt.NDArray[np.int32]
    possible_set: npt.NDArray[np.int32]
    deciding_rule: npt.NDArray[np.int32]
    untracked: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, n: int) -> _Columns:
        return cls(
            np.zeros(n, np.uint8),
            np.zeros(n, np.uint8),
            np.zeros(n, np.int32),
            np.zeros(n, np.int32),
            np.empty(n, np.int32),
            np.zeros(n, np.bool_),
        )


class _Effort:
    """Scanning done so far, in estimated ns: once it exceeds the cost of loading `match`, that is used instead."""

    spent = 0

    @classmethod
    def prefers_scan(cls, tables: RuleTables, rows: int) -> bool:
        cls.spent += rows * (_SCAN_NS_PER_ROW + _SCAN_NS_PER_RULE * tables.mean_union)
        return cls.spent < _LOADING_NS


def evaluate(
    snapshot: Snapshot, flows: FlowTable, *, threads: int | None = None, scan_only: bool | None = None
) -> RuleVerdicts:
    """Judge every row by the rules of its interface and direction, without time and without connections.

    Answers are in the order of the table; sets are interned for this call. `threads` limits the threads used, None
    leaves the choice to sgsim. `scan_only` says whether to look at every rule instead of using the look-up tables,
    which gives the same answers; None chooses what takes less time.
    """
    tables = snapshot.tables
    out = _Columns.of(len(flows))
    if scan_only is None:
        scan_only = _Effort.prefers_scan(tables, len(flows))
    calls = [_Call(tables, block, out, scan_only, threads) for block in (flows.v4, flows.v6) if len(block)]
    return RuleVerdicts(*out, sets=_together(calls, out))


def _together(calls: list[_Call], out: _Columns) -> MatchSets:
    """The sets of all parts, interned as one; rows renumbered."""
    parts = [part for call in calls for part in call.parts]
    if len(parts) == 1 and not parts[0].repeated:
        return parts[0].sets
    sets = GrowingSets()
    for part in parts:
        numbers = sets.add(part.sets)
        if (numbers == np.arange(len(numbers))).all():
            continue
        for rows in part.rows:
            out.match_set[rows] = numbers[out.match_set[rows]]
            out.possible_set[rows] = numbers[out.possible_set[rows]]
    return sets.match_sets()


class _Part(NamedTuple):
    """Sets and the rows (positions in the table) whose numbers refer to them; whether some sets may be equal."""

    sets: MatchSets
    rows: list[npt.NDArray[np.int64]]
    repeated: bool


class _Call:
    """The evaluation of one block; answers go to their rows of `out`, with numbers of the sets of `parts`."""

    def __init__(
        self, tables: RuleTables, block: FlowBlock, out: _Columns, scan_only: bool, threads: int | None
    ) -> None:
        self.tables, self.block, self.out = tables, block, out
        self.parts: list[_Part] = []
        entries = PeerEntries()
        self.peer = peers_of(tables, block, entries)
        self.truths = PeerTruths(*entries.columns())
        left = np.arange(len(block)) if scan_only else self._match(threads)
        if len(left):
            self._scan(self._sort_out(left))
        if tables.untracked_flows:
            self._keep_auto_tracked()

    def _match(self, threads: int | None) -> npt.NDArray[np.int64]:
        """Look the rows up; returns those that only a scan can answer."""
        from sgsim.engine.matching import match_rows

        results: dict[str, npt.NDArray[Any]] = {
            "ACTION": self.out.action,
            "REASON": self.out.reason,
            "MATCH_SET": self.out.match_set,
            "DECIDING": self.out.deciding_rule,
            "UNTRACKED_OUT": self.out.untracked,
        }
        parts, left = match_rows(self.tables, self.block, self.peer, self.truths, results, threads)
        for part in parts:
            rows = [self.block.row[start:stop] for start, stop in part.ranges]
            self.parts.append(_Part(part.sets, rows, part.repeated))
        return left

    def _sort_out(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Of some rows, answer those that no rule is asked about; returns the others."""
        tables, block, out = self.tables, self.block, self.out
        out.deciding_rule[block.row[rows]] = -1
        interface = block.interface[rows]
        self._set(rows[interface == NO_INTERFACE], Verdict.UNKNOWN, Reason.NO_INTERFACE)
        self._set(rows[interface == AMBIGUOUS], Verdict.UNKNOWN, Reason.AMBIGUOUS_INTERFACE)
        rows = rows[interface >= 0]
        if tables.exempt:
            never_seen: npt.NDArray[np.bool_] = np.zeros(len(rows), np.bool_)
            exempt(context_of(tables, block).numbers, rows, never_seen)
            self._set(rows[never_seen], Verdict.ACCEPT, Reason.EXEMPT)
            rows = rows[~never_seen]
        unfiltered = (tables.interfaces.unfiltered[block.interface[rows]] >> block.direction[rows] & 1) != 0
        self._set(rows[unfiltered], Verdict.ACCEPT, Reason.UNFILTERED)
        asked: npt.NDArray[np.int64] = rows[~unfiltered]
        return asked

    def _set(self, rows: npt.NDArray[Any], action: Verdict, reason: Reason) -> None:
        to = self.block.row[rows]
        self.out.action[to], self.out.reason[to] = action, reason

    def _scan(self, rows: npt.NDArray[np.int64]) -> None:
        """Look at every rule for some rows, and turn what matches into verdicts (docs/semantics.md §9.5, §9.6)."""
        tables, block, out = self.tables, self.block, self.out
        n, part = len(rows), tables.family(block.family)
        answers = Answers(np.zeros(n, np.uint8), np.zeros(n, np.int32), np.zeros(n, np.int32), np.zeros(n, np.bool_))
        asked = queries(block, rows, self.peer)
        room = tables.largest_union
        sure, maybe = np.empty(room, np.int32), np.empty(room, np.int32)
        sets = GrowingSets()
        sets.run(
            lambda start, store: scan(
                start,
                asked,
                96 if block.family == 4 else 0,
                tables.interfaces,
                part.rows,
                tables.subject_rows,
                part.prefix_lists,
                tables.references.target,
                self.truths,
                sure,
                maybe,
                store,
                answers,
            ),
            n,
            room,
        )
        to, truth = block.row[rows], answers.truth
        sures, maybes = truth == _SURE, truth == _MAYBE
        unresolved = maybes | ((truth == _NO) & tables.interfaces.unresolved[block.interface[rows]])
        self._set(rows[sures], Verdict.ACCEPT, Reason.RULE)
        self._set(rows[unresolved], Verdict.UNKNOWN, Reason.UNRESOLVED)
        out.match_set[to] = np.where(sures, answers.match_set, 0)
        out.possible_set[to] = np.where(maybes, answers.match_set, 0)
        out.deciding_rule[to] = answers.deciding
        if tables.untracked_flows:
            out.untracked[to] = sures & answers.everyone & self._open_behind(rows)
        self._take_over(to, sets.match_sets())

    def _take_over(self, rows: npt.NDArray[np.int64], sets: MatchSets) -> None:
        """Rows that a scan has answered no longer belong to the parts that left them."""
        if len(sets) == 1:
            return
        if self.parts:
            scanned = np.zeros(len(self.out.action), np.bool_)
            scanned[rows] = True
            self.parts = [part._replace(rows=[kept[~scanned[kept]] for kept in part.rows]) for part in self.parts]
        self.parts.append(_Part(sets, [rows], False))

    def _open_behind(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether the other direction is wide open, so that TCP and UDP need no tracking (docs/semantics.md §2.1)."""
        block, interfaces = self.block, self.tables.interfaces
        protocol, interface = block.protocol[rows], block.interface[rows]
        bit = (1 - block.direction[rows]) << 2 | (block.family == 6) << 1 | (protocol == UDP)
        result: npt.NDArray[np.bool_] = (interfaces.wide[interface] >> bit & 1 != 0) & np.isin(protocol, (TCP, UDP))
        return result

    def _keep_auto_tracked(self) -> None:
        """Connections whose type of interface, at either end, says so are tracked after all."""
        tables, block, untracked = self.tables, self.block, self.out.untracked
        index = tables.family(block.family).auto_tracked
        if not len(index.points) and not len(index.starts):
            return
        rows = np.flatnonzero(untracked[block.row])
        interface = block.interface[rows]
        keys = address_keys(block.family, *remotes(block, rows))
        far = index.find(keys, tables.interfaces.vpc[interface]) != NO_INTERFACE
        untracked[block.row[rows[far | tables.interfaces.tracked[interface]]]] = False
