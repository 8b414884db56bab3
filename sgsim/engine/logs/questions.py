"""What rules say of log flows, asked once for all that no rule can tell apart.

Rules never look at a packet's source port, and at its destination port only by their ranges: between two bounds that
any rule of the environment names, all ports are the same to them. So a server's ten thousand clients' ports are one
question. Where a bound could matter beyond rules (DNS, time, metadata, DHCP: traffic that groups never see) it is one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.engine.answers import RuleAnswers
from sgsim.engine.evaluate import evaluate
from sgsim.engine.logs.placing import Finder
from sgsim.engine.logs.table import KeyTable, enlarged
from sgsim.engine.snapshot import Snapshot
from sgsim.flows import AMBIGUOUS, EGRESS, NO_INTERFACE, FlowBlock, FlowTable
from sgsim.kernels.joining_layout import LogFields
from sgsim.kernels.tracking_layout import KEY_WORDS
from sgsim.model import ICMP, ICMPV6, TCP, UDP, Environment
from sgsim.verdicts import Reason, Verdict

__all__ = ["Asked", "Questions"]

_SERVICES = (53, 67, 68, 80, 123, 546, 547, 1688)  #: ports of traffic that groups never see (docs/semantics.md §3)
_REMEMBERED = 1 << 19  #: questions; some 100 bytes each
_REJECT, _UNKNOWN = int(Verdict.REJECT), int(Verdict.UNKNOWN)


class Asked(NamedTuple):
    """What rules say of n flows. `row` int32: of RuleAnswers; the others uint8.

    `action` is the verdict of the flow's own end, `passes` that of both ends, `opens` whether such packets open a
    connection that lets replies in (0 no, 1 maybe, 2 surely); `possible` 1 where rules are named that may match;
    `shared` 1 where the other end may be a known interface too.
    """

    row: npt.NDArray[np.int32]
    action: npt.NDArray[np.uint8]
    passes: npt.NDArray[np.uint8]
    opens: npt.NDArray[np.uint8]
    possible: npt.NDArray[np.uint8]
    shared: npt.NDArray[np.uint8]


class Questions:
    """Answers for one snapshot, interned in `rules`."""

    def __init__(self, snapshot: Snapshot, rules: RuleAnswers, finder: Finder, threads: int | None) -> None:
        self._snapshot, self._rules, self._finder, self._threads = snapshot, rules, finder, threads
        self._source_class, self._target_class = port_classes(snapshot.environment)
        self._carries_groups = finder.carries_groups
        self._table = KeyTable()
        self._rows: npt.NDArray[np.int32] = np.empty(0, np.int32)
        self._answers: npt.NDArray[np.uint8] = np.empty((0, 5), np.uint8)

    def ask(
        self,
        fields: LogFields,
        rows: npt.NDArray[np.int64],
        interface: npt.NDArray[np.int32],
        direction: npt.NDArray[np.uint8],
        *,
        swapped: bool,
    ) -> Asked:
        """What the rules of interfaces say of flows (`rows` of `fields`), or of their other direction."""
        from sgsim.kernels.joining_keys import first_rows, question_keys

        if self._table.count > _REMEMBERED:
            self._table.clear()
        keys = np.empty((len(rows), KEY_WORDS), np.uint64)
        question_keys(fields, rows, interface, direction, swapped, self._source_class, self._target_class, keys)
        before = self._table.count
        asked = self._table.rows(keys)
        new = self._table.count - before
        if new:
            first = np.empty(new, np.int64)
            first_rows(asked, before, first)
            self._rows, self._answers = enlarged(self._rows, self._table.count), enlarged(self._answers, before + new)
            answered = self._answer(fields, rows[first], interface[first], direction[first], swapped=swapped)
            self._rows[before : before + new] = answered.row
            self._answers[before : before + new] = np.stack(answered[1:], axis=1)
        answers = self._answers[asked]
        return Asked(self._rows[asked], answers[:, 0], answers[:, 1], answers[:, 2], answers[:, 3], answers[:, 4])

    def _answer(
        self,
        fields: LogFields,
        rows: npt.NDArray[np.int64],
        interface: npt.NDArray[np.int32],
        direction: npt.NDArray[np.uint8],
        *,
        swapped: bool,
    ) -> Asked:
        row = self._judge(fields, rows, interface, direction, swapped=swapped)
        own = self._rules.table[row]
        action, reason = own[:, 0], own[:, 1]
        passes, shared = self._both(fields, rows, interface, direction, action, swapped=swapped)
        protocol = fields.protocol[rows]
        icmp = (protocol == ICMP) | (protocol == ICMPV6)
        stateless = (reason == Reason.EXEMPT) | ((reason == Reason.UNFILTERED) & ~self._carries_groups[interface])
        never = stateless | (own[:, 5] != 0) | (passes == _REJECT) | _portless(fields, rows)
        opens = np.where(never, 0, np.where(icmp | (passes == _UNKNOWN), 1, 2))
        small = (column.astype(np.uint8) for column in (action, passes, opens, own[:, 3] != 0, shared))
        return Asked(row, *small)

    def _both(
        self,
        fields: LogFields,
        rows: npt.NDArray[np.int64],
        interface: npt.NDArray[np.int32],
        direction: npt.NDArray[np.uint8],
        action: npt.NDArray[np.int64],
        *,
        swapped: bool,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """The verdict of both ends by rules alone, and whether the other end may be a known interface: only then does
        it count. Nobody looks for it where this end rejects."""
        result, shared = action.copy(), action == _REJECT
        asked = np.flatnonzero(~shared)
        if not len(asked):
            return result, shared
        of = rows[asked]
        to_destination = (direction[asked] == EGRESS) != swapped
        hi = np.where(to_destination, fields.dst_hi[of], fields.src_hi[of])
        lo = np.where(to_destination, fields.dst_lo[of], fields.src_lo[of])
        partner = self._finder.near(interface[asked], fields.family[of], hi, lo)
        result[asked[partner == AMBIGUOUS]] = _UNKNOWN
        shared[asked] = partner != NO_INTERFACE
        known = np.flatnonzero(partner >= 0)
        if len(known):
            at = asked[known]
            back = (1 - direction[at]).astype(np.uint8)
            row = self._judge(fields, rows[at], partner[known], back, swapped=swapped)
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
        *,
        swapped: bool,
    ) -> npt.NDArray[np.int32]:
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
            srcport, dstport = fields.srcport[of], fields.dstport[of]
            if swapped:
                src, dst, srcport, dstport = dst, src, dstport, srcport
            blocks.append(
                FlowBlock.from_columns(
                    family,
                    src,
                    dst,
                    protocol=fields.protocol[of],
                    interface=interface[row],
                    direction=direction[row],
                    srcport=srcport,
                    dstport=dstport,
                    later_fragment=_portless(fields, of),
                    row=row,
                )
            )
        return self._rules.intern(evaluate(self._snapshot, FlowTable.of(*blocks), threads=self._threads))


def _portless(fields: LogFields, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """TCP and UDP without ports: later fragments."""
    protocol = fields.protocol[rows]
    ports = (protocol == TCP) | (protocol == UDP)
    result: npt.NDArray[np.bool_] = ports & (fields.srcport[rows] == 0) & (fields.dstport[rows] == 0)
    return result


def port_classes(environment: Environment) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16]]:
    """The class of each source and of each destination port: uint16[65536] both."""
    services = {bound for port in _SERVICES for bound in (port, port + 1)}
    ranges = {rule.ports for group in environment.groups.values() for rule in group.rules if rule.ports is not None}
    bounds = services | {bound for first, last in ranges for bound in (first, last + 1)}
    return _classes(services), _classes(bounds)


def _classes(bounds: set[int]) -> npt.NDArray[np.uint16]:
    starts = np.zeros(65536, np.int64)
    starts[sorted(bound for bound in bounds if 0 < bound < 65536)] = 1
    return np.cumsum(starts).astype(np.uint16)
