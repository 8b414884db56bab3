"""Answers before times: what is measured must be right."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sgsim.bench.subject import Subject
from sgsim.engine import evaluate
from sgsim.errors import SgsimError
from sgsim.flows import FlowBlock, FlowTable
from sgsim.model import Direction
from sgsim.packets import FRAGMENT_LATER, FRAGMENT_NONE
from sgsim.reference import Packet, judge
from sgsim.verdicts import RuleVerdicts

__all__ = ["WrongAnswerError", "check_matches", "head"]

_SCANNED = 100_000  #: flows that are compared with a look at every rule
_TWIN_INTERFACES = 200_000  #: interfaces that the twin looks at in all, some for every flow


class WrongAnswerError(SgsimError):
    """Two ways to the same answer differ: a defect, and nothing is timed."""


def check_matches(subject: Subject, verdicts: RuleVerdicts) -> None:
    """Compare the verdicts of the subject's flows with a scan of every rule, and some with the slow twin.

    Raises WrongAnswerError.
    """
    first = head(subject.table, _SCANNED)
    scanned = evaluate(subject.snapshot, first, scan_only=True)
    _compare(subject, verdicts, scanned, len(first))
    interfaces = max(len(subject.environment.interfaces), 1)
    sample = int(np.clip(_TWIN_INTERFACES // interfaces, 10, 100))
    for row in np.linspace(0, len(first) - 1, min(sample, len(first))).astype(int).tolist():
        _ask_twin(subject, first, row, verdicts)


def head(table: FlowTable, n: int) -> FlowTable:
    """The first n flows of a table."""
    blocks = []
    for block in (table.v4, table.v6):
        rows = np.flatnonzero(block.row < n)
        columns = {name: np.ascontiguousarray(getattr(block, name)[rows]) for name in FlowBlock.__slots__[1:]}
        blocks.append(FlowBlock(block.family, **columns))
    return FlowTable.of(*blocks)


def _compare(subject: Subject, verdicts: RuleVerdicts, scanned: RuleVerdicts, n: int) -> None:
    for name in ("action", "reason", "deciding_rule", "untracked"):
        wrong = np.flatnonzero(getattr(verdicts, name)[:n] != getattr(scanned, name))
        if len(wrong):
            raise _wrong(subject, int(wrong[0]), f"{name} is not what a scan of all rules says")
    pairs = np.unique(np.stack([verdicts.match_set[:n], scanned.match_set], axis=1), axis=0)
    for found, expected in pairs.tolist():
        if verdicts.sets[found] != scanned.sets[expected]:
            row = np.flatnonzero((verdicts.match_set[:n] == found) & (scanned.match_set == expected))[0]
            raise _wrong(subject, int(row), "the rules that match are not those that a scan of all rules finds")


def _ask_twin(subject: Subject, table: FlowTable, row: int, verdicts: RuleVerdicts) -> None:
    """One flow, with plain loops."""
    block = table.v4 if (table.v4.row == row).any() else table.v6
    at = int(np.flatnonzero(block.row == row)[0])
    packet = Packet(
        family=block.family,
        srcaddr=_value(block.srcaddr[at]),
        dstaddr=_value(block.dstaddr[at]),
        protocol=int(block.protocol[at]),
        srcport=int(block.srcport[at]),
        dstport=int(block.dstport[at]),
        icmp_type=_told(block.icmp_type[at]),
        icmp_code=_told(block.icmp_code[at]),
        fragment=FRAGMENT_LATER if block.later_fragment[at] else FRAGMENT_NONE,
    )
    snapshot = subject.snapshot
    interface_id = snapshot.tables.interface_ids[int(block.interface[at])]
    direction = Direction(int(block.direction[at]))
    answer = judge(subject.environment, snapshot.semantics, interface_id, direction, packet)
    ids = {snapshot.tables.rule_ids[rule] for rule in verdicts.sets[int(verdicts.match_set[row])]}
    if answer.action != verdicts.action[row] or answer.rule_ids != ids:
        raise _wrong(subject, row, "the slow twin says otherwise")


def _value(address: npt.NDArray[np.uint64] | np.uint32) -> int:
    parts = np.atleast_1d(address).tolist()
    return int(parts[0]) if len(parts) == 1 else int(parts[0]) << 64 | int(parts[1])


def _told(value: np.int16) -> int | None:
    return None if value < 0 else int(value)


def _wrong(subject: Subject, row: int, what: str) -> WrongAnswerError:
    return WrongAnswerError(f"flow {row} of {subject.source}: {what}; a defect in sgsim, nothing was timed")
