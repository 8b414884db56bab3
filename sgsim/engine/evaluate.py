"""What the rules alone say of each row of a FlowTable: pure, in any order, on any machine."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.engine.matching import Job, Share, look_up, scan
from sgsim.engine.queries import peers_of, remotes
from sgsim.engine.snapshot import Snapshot
from sgsim.engine.stores import Store
from sgsim.flows import NO_INTERFACE, FlowBlock, FlowTable
from sgsim.tables import RuleTables
from sgsim.tables.lookup import address_keys
from sgsim.tables.slots import slots_of
from sgsim.verdicts import MatchSets, RuleVerdicts

__all__ = ["evaluate"]

#: A scan costs about as much as it looks at rules, and 100 ns a row; the look-up kernel takes 0.2 s to load.
_SCAN_NS_PER_ROW, _SCAN_NS_PER_RULE, _LOADING_NS = 100, 1, 200_000_000


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

    def job(self, tables: RuleTables, block: FlowBlock) -> Job:
        results: dict[str, npt.NDArray[Any]] = {
            "ACTION": self.action,
            "REASON": self.reason,
            "MATCH_SET": self.match_set,
            "POSSIBLE_SET": self.possible_set,
            "DECIDING": self.deciding_rule,
            "UNTRACKED_OUT": self.untracked,
        }
        return Job(tables, block, peers_of(tables, block), results)


class _Effort:
    """Scanning done so far, in estimated ns: once it exceeds the cost of loading the look-up kernel, that is used."""

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
    parts: list[_Part] = []
    scanned = Store(tables.largest_union)
    for block in (flows.v4, flows.v6):
        if len(block):
            job = out.job(tables, block)
            shares = [scan(job, scanned)] if scan_only else look_up(job, threads)
            parts.extend(_Part(block, share) for share in shares)
            if tables.untracked_flows:
                _keep_auto_tracked(tables, block, out.untracked)
    return RuleVerdicts(*out, sets=_together(parts, out))


class _Part(NamedTuple):
    """Rows of a block that one thread judged."""

    block: FlowBlock
    share: Share


def _together(parts: list[_Part], out: _Columns) -> MatchSets:
    """The sets of all parts, interned as one; rows renumbered."""
    stores = list({id(part.share.store): part.share.store for part in parts}.values())
    if not stores:
        return MatchSets.of([[]])
    if len(stores) == 1 and not stores[0].repeated:
        return stores[0].match_sets()
    together = Store(max(int(np.diff(store.match_sets().offsets).max()) for store in stores))
    for store in stores:
        numbers = together.add(store.match_sets())
        if (numbers == np.arange(len(numbers))).all():
            continue
        for block, share in parts:
            if share.store is store:
                for rows in share.rows:
                    to = block.row[rows]
                    out.match_set[to] = numbers[out.match_set[to]]
                    out.possible_set[to] = numbers[out.possible_set[to]]
    return together.match_sets()


def _keep_auto_tracked(tables: RuleTables, block: FlowBlock, untracked: npt.NDArray[np.bool_]) -> None:
    """Connections whose type of interface, at either end, says so are tracked after all (docs/semantics.md §2.1)."""
    index = tables.family(block.family).auto_tracked
    if not len(index.points) and not index.delegates:
        return
    rows = np.flatnonzero(untracked[block.row])
    interface = block.interface[rows]
    keys = address_keys(block.family, *remotes(block, rows))
    carriers = tables.interfaces
    far = index.find(keys, carriers.vpcs(interface)) != NO_INTERFACE
    untracked[block.row[rows[far | carriers.tracked[slots_of(carriers.chunks, interface)]]]] = False
