"""Use of rules by flow logs: as with captures, and with what a log does not show.

A log does not always show who opened a connection, and hardly ever whether one that was quiet still lives.

    told by a SYN                      like a captured packet
    told by the order of records,      use of its rules; of a reply, the rules of its own direction are in doubt, since
    by port numbers or a SYN-ACK       it may have opened a connection of its own
    told by a reply whose request is   no use; the rules that would have let in the request are in doubt too
    on no record (a SYN-ACK, `likely`)
    not told                           no use; its own rules and those that would have opened the other way are in doubt
    the connection may have ended      and either side may have opened another: a use, and the rules of both directions
    before the record did              are in doubt

so that no rule is called unused on a guess, and of rules in doubt one stays when others go. What the log itself
recorded as REJECT is no use, whatever the rules say.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sgsim.analysis.usage_counts import RuleUse, UseCounter
from sgsim.engine import Snapshot, evaluate
from sgsim.engine.logs import LogVerdicts
from sgsim.flows import EGRESS, NO_INTERFACE, FlowBlock, FlowTable
from sgsim.model import TCP
from sgsim.verdicts import Evidence, Reason, Verdict, Verdicts

__all__ = ["LogUse"]

_REJECTED = 0  #: `LogVerdicts.recorded`


class LogUse:
    """Adds up batches of LogVerdicts. With `likely`, what is said to be a reply is one."""

    def __init__(self, snapshot: Snapshot, *, likely: bool = False) -> None:
        self._snapshot, self._likely = snapshot, likely
        self._counter = UseCounter(len(snapshot.tables.rule_ids), len(snapshot.tables.interface_ids))
        self.rejected = 0  #: records that rules accept and the log rejected
        self.guessed = 0  #: accepted records whose opener port numbers tell
        self.untold = 0  #: records whose opener nothing tells
        self.flagless = 0  #: those of TCP whose flags the log does not tell
        self.strangers = 0  #: records at no interface of the environment

    def add(self, batch: LogVerdicts) -> None:
        """Count a batch."""
        verdicts, evidence = batch.verdicts, batch.evidence
        passed = batch.recorded != _REJECTED
        accepted = verdicts.action == Verdict.ACCEPT
        by_rules = accepted & (verdicts.reason == Reason.RULE)
        told = by_rules & (evidence != Evidence.NONE)
        untold = passed & ((by_rules & ~told & verdicts.initiating) | batch.open_question)
        self._counter.add(verdicts, counts=passed & ~untold)
        guessed = passed & accepted & (evidence == Evidence.PORTS)
        replies = passed & accepted & ~verdicts.initiating & (evidence < Evidence.SYN)
        anew = passed & accepted & batch.anew
        unopened = passed & accepted & ~verdicts.initiating & (evidence == Evidence.SYN_ACK)
        if self._likely:
            replies = anew = np.zeros_like(replies)
            supposed = (evidence == Evidence.NONE) | (evidence == Evidence.PORTS)
            unopened |= passed & accepted & (verdicts.reason == Reason.TRACKED) & supposed
        self._add_doubtful(_table(verdicts, untold | replies | anew, reverse=False))
        self._add_doubtful(_table(verdicts, untold | anew | unopened, reverse=True))
        self.rejected += int(np.count_nonzero(~passed & accepted))
        self.guessed += int(np.count_nonzero(guessed))
        self.untold += int(np.count_nonzero(untold))
        self.flagless += int(np.count_nonzero(untold & (verdicts.protocol == TCP) & (batch.tcp_flags < 0)))
        self.strangers += int(np.count_nonzero(verdicts.interface == NO_INTERFACE))

    def observe(self, start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> None:
        """Intervals that were observed and had no traffic (NODATA)."""
        self._counter.observe(start, end)

    def use(self) -> RuleUse:
        """Everything so far, by rule."""
        return self._counter.use()

    def _add_doubtful(self, flows: FlowTable) -> None:
        """What the rules say of flows that may have opened their connections, or not."""
        if len(flows):
            judged = evaluate(self._snapshot, flows)
            self._counter.add_doubtful(judged.sets, judged.match_set[judged.match_set != 0])
            self._counter.add_possible(judged.sets, judged.possible_set[judged.possible_set != 0])


def _table(verdicts: Verdicts, rows: npt.NDArray[np.bool_], *, reverse: bool) -> FlowTable:
    """The different flows of some records, or the flows that they would be replies to, at the same interfaces."""
    known = np.flatnonzero(rows & (verdicts.interface >= 0) & (verdicts.direction <= EGRESS))
    ends = 2 * verdicts.flow_id[known] + verdicts.direction[known]
    known = known[np.unique(ends, return_index=True)[1]]
    src, dst = ("dst", "src") if reverse else ("src", "dst")
    direction = verdicts.direction[known]
    blocks, start = [], 0
    for family in (4, 6):
        chosen = verdicts.family[known] == family
        mine = known[chosen]
        addresses = [_addresses(verdicts, end, mine, family) for end in (src, dst)]
        blocks.append(
            FlowBlock.from_columns(
                family,
                *addresses,
                protocol=verdicts.protocol[mine],
                interface=verdicts.interface[mine],
                direction=EGRESS - direction[chosen] if reverse else direction[chosen],
                srcport=getattr(verdicts, f"{src}port")[mine],
                dstport=getattr(verdicts, f"{dst}port")[mine],
                row=np.arange(start, start + len(mine)),
            )
        )
        start += len(mine)
    return FlowTable.of(*blocks)


def _addresses(
    verdicts: Verdicts, end: str, rows: npt.NDArray[np.int64], family: int
) -> npt.NDArray[np.uint32] | npt.NDArray[np.uint64]:
    hi, lo = getattr(verdicts, f"{end}_hi")[rows], getattr(verdicts, f"{end}_lo")[rows]
    if family == 4:
        narrow: npt.NDArray[np.uint32] = lo.astype(np.uint32)
        return narrow
    return np.stack([hi, lo], axis=1)
