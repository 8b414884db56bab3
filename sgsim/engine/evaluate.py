"""What the rules alone say of each row of a FlowTable: pure, in any order, on any machine."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.engine.peers import PeerEntries
from sgsim.engine.queries import endpoints, queries
from sgsim.engine.sets import GrowingSets
from sgsim.engine.snapshot import Snapshot
from sgsim.flows import AMBIGUOUS, NO_INTERFACE, FlowBlock, FlowTable
from sgsim.kernels.exempt import exempt
from sgsim.kernels.match_scan import Answers, PeerTruths, Queries, scan
from sgsim.model import TCP, UDP
from sgsim.tables import RuleTables
from sgsim.tables.lookup import address_keys
from sgsim.verdicts import Reason, RuleVerdicts, Verdict

__all__ = ["evaluate"]

_NO, _MAYBE, _SURE = 0, 1, 2


class _Columns(NamedTuple):
    """The arrays of RuleVerdicts."""

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
            np.full(n, -1, np.int32),
            np.zeros(n, np.bool_),
        )


def evaluate(snapshot: Snapshot, flows: FlowTable, *, threads: int | None = None) -> RuleVerdicts:
    """Judge every row by the rules of its interface and direction, without time and without connections.

    Answers are in the order of the table; sets are interned for this call. `threads` limits the threads used, None
    leaves the choice to sgsim.
    """
    sets = GrowingSets()
    result = _Columns.of(len(flows))
    for block in (flows.v4, flows.v6):
        if len(block):
            answers = _judge(snapshot.tables, block, sets)
            for whole, part in zip(result, answers):
                whole[block.row] = part
    return RuleVerdicts(*result, sets=sets.match_sets())


def _judge(tables: RuleTables, block: FlowBlock, sets: GrowingSets) -> _Columns:
    """The answers for one block, in its own order of rows."""
    out = _Columns.of(len(block))
    interfaces = tables.interfaces
    _set(out, block.interface < 0, Verdict.UNKNOWN, Reason.NO_INTERFACE)
    _set(out, block.interface == AMBIGUOUS, Verdict.UNKNOWN, Reason.AMBIGUOUS_INTERFACE)
    rows = np.flatnonzero(block.interface >= 0)
    if not len(rows):
        return out
    ends = endpoints(block)
    if tables.exempt:
        part = tables.family(block.family)
        never_seen = np.zeros(len(block), np.bool_)
        exempt(block.family, rows, ends, part.specials, part.services, never_seen)
        _set(out, never_seen, Verdict.ACCEPT, Reason.EXEMPT)
        rows = rows[~never_seen[rows]]
    unfiltered = (interfaces.unfiltered[block.interface[rows]] >> block.direction[rows] & 1) != 0
    _set(out, rows[unfiltered], Verdict.ACCEPT, Reason.UNFILTERED)
    rows = rows[~unfiltered]
    entries = PeerEntries()
    asked = queries(tables, block, ends, rows, entries)
    answers = _scan(tables, block.family, rows, asked, entries, sets)
    _fill(tables, block, rows, asked, answers, out)
    return out


def _set(out: _Columns, rows: npt.NDArray[Any], action: Verdict, reason: Reason) -> None:
    out.action[rows], out.reason[rows] = action, reason


def _scan(
    tables: RuleTables,
    family: int,
    rows: npt.NDArray[np.int64],
    asked: Queries,
    entries: PeerEntries,
    sets: GrowingSets,
) -> Answers:
    """Look at every rule for every row."""
    n, part = len(asked.interface), tables.family(family)
    answers = Answers(np.zeros(n, np.uint8), np.zeros(n, np.int32), np.full(n, -1, np.int32), np.zeros(n, np.bool_))
    room = tables.largest_union
    sure, maybe = np.empty(room, np.int32), np.empty(room, np.int32)
    truths, extra_bits = PeerTruths(*entries.columns()), 96 if family == 4 else 0
    sets.run(
        lambda start, store: scan(
            start,
            rows,
            asked,
            extra_bits,
            tables.interfaces,
            part.rows,
            tables.subject_rows,
            part.prefix_lists,
            tables.references.target,
            truths,
            sure,
            maybe,
            store,
            answers,
        ),
        len(rows),
        room,
    )
    return answers


def _fill(
    tables: RuleTables,
    block: FlowBlock,
    rows: npt.NDArray[np.int64],
    asked: Queries,
    answers: Answers,
    out: _Columns,
) -> None:
    """From what matches to verdicts (docs/semantics.md §9.5, §9.6, §2.1)."""
    truth = answers.truth[rows]
    unresolved = (truth == _MAYBE) | ((truth == _NO) & tables.interfaces.unresolved[block.interface[rows]])
    _set(out, rows[truth == _SURE], Verdict.ACCEPT, Reason.RULE)
    _set(out, rows[unresolved], Verdict.UNKNOWN, Reason.UNRESOLVED)
    sure, maybe = rows[truth == _SURE], rows[truth == _MAYBE]
    out.match_set[sure] = answers.match_set[sure]
    out.possible_set[maybe] = answers.match_set[maybe]
    out.deciding_rule[sure] = answers.deciding[sure]
    if tables.untracked_flows:
        candidates = sure[answers.everyone[sure] & np.isin(block.protocol[sure], (TCP, UDP))]
        out.untracked[candidates] = _untracked(tables, block, candidates, asked)


def _untracked(
    tables: RuleTables, block: FlowBlock, rows: npt.NDArray[np.int64], asked: Queries
) -> npt.NDArray[np.bool_]:
    """Whether connections that a rule for all addresses lets through are not tracked (docs/semantics.md §2.1)."""
    interface, interfaces = block.interface[rows], tables.interfaces
    other = 1 - block.direction[rows]
    bit = other << 2 | (block.family == 6) << 1 | (block.protocol[rows] == UDP)
    result: npt.NDArray[np.bool_] = (interfaces.wide[interface] >> bit & 1 != 0) & ~interfaces.tracked[interface]
    tracked_remotes = tables.family(block.family).auto_tracked
    if len(tracked_remotes.points) or len(tracked_remotes.starts):
        keys = address_keys(block.family, asked.hi[rows], asked.lo[rows])
        result &= tracked_remotes.find(keys, interfaces.vpc[interface]) == NO_INTERFACE
    return result
