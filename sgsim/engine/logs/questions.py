"""What rules say of log flows, asked once for all that nothing tells apart (`sgsim.engine.logs.classes`)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sgsim.engine.answers import RuleAnswers
from sgsim.engine.evaluate import evaluate
from sgsim.engine.interner import grown
from sgsim.engine.logs.classes import classes_of
from sgsim.engine.logs.placing import Finder
from sgsim.engine.logs.table import KeyTable
from sgsim.engine.snapshot import Snapshot
from sgsim.flows import AMBIGUOUS, EGRESS, NO_INTERFACE, FlowBlock, FlowTable
from sgsim.kernels.joining_layout import (
    ANSWER_CODE,
    ANSWER_OPENS,
    ANSWER_PASSES,
    ANSWER_POSSIBLE,
    ANSWER_SHARED,
    ANSWER_WORDS,
    LogFields,
)
from sgsim.kernels.tracking_layout import KEY_WORDS
from sgsim.model import ICMP, ICMPV6, TCP, UDP
from sgsim.verdicts import Reason, RuleVerdicts, Verdict

__all__ = ["Questions", "log_fields_of", "said"]

_REMEMBERED = 1 << 19  #: questions; some 100 bytes each
_ROOM = 1 << 20  #: of memory at first: what is not touched costs nothing
_TYPES = {"family": np.uint8, "srcport": np.uint16, "dstport": np.uint16, "protocol": np.uint8}
_REJECT, _UNKNOWN = int(Verdict.REJECT), int(Verdict.UNKNOWN)


class Questions:
    """Answers for one snapshot, interned in `rules`."""

    def __init__(self, snapshot: Snapshot, rules: RuleAnswers, finder: Finder, threads: int | None) -> None:
        self._snapshot, self._rules, self._finder, self._threads = snapshot, rules, finder, threads
        self._classes = classes_of(snapshot.environment, snapshot.semantics)
        self._carries_groups = finder.carries_groups
        self._table = KeyTable(_ROOM)
        self.rows: npt.NDArray[np.int32] = np.empty(_ROOM, np.int32)
        self.answers: npt.NDArray[np.uint8] = np.empty((_ROOM, ANSWER_WORDS), np.uint8)

    def ask(self, keys: npt.NDArray[np.uint64], flow: npt.NDArray[np.int32], *, swapped: bool) -> npt.NDArray[np.int32]:
        """Ask about log flows (or, `swapped`, their other direction): rows of `rows`, rows of RuleAnswers, and of
        `answers`, as the layout describes them. They hold until the next call."""
        from sgsim.kernels.joining_questions import first_rows, question_keys

        if self._table.count > _REMEMBERED:
            self._table.clear()
        wanted = np.empty((len(flow), KEY_WORDS), np.uint64)
        question_keys(keys, flow, swapped, self._classes, wanted)
        before = self._table.count
        asked = self._table.rows(wanted)
        new = self._table.count - before
        if new:
            first = np.empty(new, np.int64)
            first_rows(asked, before, first)
            self.rows, self.answers = grown(self.rows, before + new), grown(self.answers, before + new)
            self._answer(keys, flow[first], slice(before, before + new), swapped=swapped)
        return asked

    def _answer(
        self, keys: npt.NDArray[np.uint64], flow: npt.NDArray[np.int32], place: slice, *, swapped: bool
    ) -> None:
        """Answer new questions, one flow for each."""
        turned = flow ^ 1 if swapped else flow
        fields = log_fields_of(keys, turned)
        interface, direction = keys[flow >> 1, 5].astype(np.int32), (turned & 1).astype(np.uint8)
        rows = np.arange(len(flow))
        row = self._judge(fields, rows, interface, direction)
        own = self._rules.table[row]
        action, reason = own[:, 0], own[:, 1]
        passes, shared = self._both(fields, interface, direction, action)
        icmp = (fields.protocol == ICMP) | (fields.protocol == ICMPV6)
        stateless = (reason == Reason.EXEMPT) | ((reason == Reason.UNFILTERED) & ~self._carries_groups[interface])
        never = stateless | (own[:, 5] != 0) | (passes == _REJECT) | _portless(fields, rows)
        answers = self.answers[place]
        answers[:, ANSWER_CODE] = self._rules.codes[row] & 63
        answers[:, ANSWER_PASSES] = passes
        answers[:, ANSWER_OPENS] = np.where(never, 0, np.where(icmp | (passes == _UNKNOWN), 1, 2))
        answers[:, ANSWER_POSSIBLE] = own[:, 3] != 0
        answers[:, ANSWER_SHARED] = shared
        self.rows[place] = row

    def _both(
        self,
        fields: LogFields,
        interface: npt.NDArray[np.int32],
        direction: npt.NDArray[np.uint8],
        action: npt.NDArray[np.int64],
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """The verdict of both ends by rules alone, and whether the other end may be a known interface: only then does
        it count. Nobody looks for it where this end rejects."""
        result, shared = action.copy(), action == _REJECT
        asked = np.flatnonzero(~shared)
        if not len(asked):
            return result, shared
        outward = direction[asked] == EGRESS
        hi = np.where(outward, fields.dst_hi[asked], fields.src_hi[asked])
        lo = np.where(outward, fields.dst_lo[asked], fields.src_lo[asked])
        partner = self._finder.near(interface[asked], fields.family[asked], hi, lo)
        result[asked[partner == AMBIGUOUS]] = _UNKNOWN
        shared[asked] = partner != NO_INTERFACE
        known = np.flatnonzero(partner >= 0)
        if len(known):
            at = asked[known]
            row = self._judge(fields, at, partner[known], (1 - direction[at]).astype(np.uint8))
            there = self._rules.table[row, 0]
            joined = np.where((result[at] == _UNKNOWN) | (there == _UNKNOWN), _UNKNOWN, int(Verdict.ACCEPT))
            result[at] = np.where(there == _REJECT, _REJECT, joined)
        return result, shared

    def _judge(
        self,
        fields: LogFields,
        rows: npt.NDArray[np.int64],
        interface: npt.NDArray[np.int32],
        direction: npt.NDArray[np.uint8],
    ) -> npt.NDArray[np.int32]:
        """What rules of interfaces say of flows (`rows` of `fields`), as rows of RuleAnswers."""
        return self._rules.intern(said(self._snapshot, fields, rows, interface, direction, self._threads))


def said(
    snapshot: Snapshot,
    fields: LogFields,
    rows: npt.NDArray[np.int64],
    interface: npt.NDArray[np.int32],
    direction: npt.NDArray[np.uint8],
    threads: int | None,
) -> RuleVerdicts:
    """What the rules of a snapshot say of flows (`rows` of `fields`), each at an interface and in a direction."""
    blocks = []
    for family in (4, 6):
        row = np.flatnonzero(fields.family[rows] == family)
        if not len(row):
            continue
        of = rows[row]
        if family == 4:
            src, dst = fields.src_lo[of].astype(np.uint32), fields.dst_lo[of].astype(np.uint32)
        else:
            src = np.stack([fields.src_hi[of], fields.src_lo[of]], axis=1)
            dst = np.stack([fields.dst_hi[of], fields.dst_lo[of]], axis=1)
        blocks.append(
            FlowBlock.from_columns(
                family,
                src,
                dst,
                protocol=fields.protocol[of],
                interface=interface[row],
                direction=direction[row],
                srcport=fields.srcport[of],
                dstport=fields.dstport[of],
                later_fragment=_portless(fields, of),
                row=row,
            )
        )
    return evaluate(snapshot, FlowTable.of(*blocks), threads=threads)


def log_fields_of(keys: npt.NDArray[np.uint64], flow: npt.NDArray[np.int32]) -> LogFields:
    """The fields of log flows as columns."""
    from sgsim.kernels.joining_keys import log_fields

    fields = LogFields(*(np.empty(len(flow), _TYPES.get(name, np.uint64)) for name in LogFields._fields))
    log_fields(keys, flow, fields)
    return fields


def _portless(fields: LogFields, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """TCP and UDP without ports: later fragments."""
    protocol = fields.protocol[rows]
    ports = (protocol == TCP) | (protocol == UDP)
    result: npt.NDArray[np.bool_] = ports & (fields.srcport[rows] == 0) & (fields.dstport[rows] == 0)
    return result
