"""Micro-flows and what is known of each: its ends, what the rules say, its connections, where its records are kept.

A micro-flow is judged once, when its first packet comes; every later packet only looks its row up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.engine.answers import RuleAnswers
from sgsim.engine.evaluate import evaluate
from sgsim.engine.interner import Interner, grown
from sgsim.engine.keys import FlowColumns, connection_keys, flow_kinds, record_keys, unsigned
from sgsim.engine.resolve import Ends, FindsEnds
from sgsim.engine.snapshot import Snapshot
from sgsim.engine.spans import Span
from sgsim.flows import EGRESS, INGRESS, NO_INTERFACE, FlowBlock, FlowTable
from sgsim.kernels.tracking_layout import (
    CONNECTION_DEADLINE,
    CONNECTION_FLAGS,
    CONNECTION_LIMITS,
    CONNECTION_WORDS,
    END_COUNTED,
    END_WORDS,
    HOT_CONNECTION,
    HOT_END,
    HOT_KIND,
    HOT_OBSERVED,
    HOT_PAIR,
    HOT_PUBLIC,
    HOT_RULES,
    HOT_WORDS,
    KIND_LATER,
    KIND_STATELESS,
    KIND_UNSEEN,
    OPEN,
    PacketColumns,
)
from sgsim.verdicts import Reason

__all__ = ["FlowStore"]


class FlowStore:
    """All micro-flows, connections, flow ends and flow ids that are remembered, for one snapshot.

    `hot`, `ends` and `connections` are the arrays that the kernels work on (rows as `sgsim.kernels.tracking_layout`
    describes them); only the first `flows.count`, `end_keys.count`, `connection_keys.count` rows mean anything.
    """

    def __init__(self, snapshot: Snapshot, resolver: FindsEnds, *, threads: int | None = None) -> None:
        self._snapshot, self._resolver, self._threads = snapshot, resolver, threads
        self.rules = RuleAnswers()
        self.flows, self.pairs, self.end_keys, self.connection_keys = Interner(), Interner(), Interner(), Interner()
        self.hot: npt.NDArray[np.int32] = np.empty((0, HOT_WORDS), np.int32)
        self.ends: npt.NDArray[np.int32] = np.empty((0, END_WORDS), np.int32)
        self.connections: npt.NDArray[np.int64] = np.empty((0, CONNECTION_WORDS), np.int64)
        self.flow_ids: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self.flow_count = 0  #: how many flow ids were given out
        self.shows_public_addresses = False  #: whether any micro-flow so far shows a known public address
        self.shows_neighbour_discovery = False  #: whether any is neighbour discovery
        interfaces = [snapshot.environment.interfaces[i] for i in snapshot.tables.interface_ids]
        self._has_groups = np.array([bool(interface.group_ids) for interface in interfaces], np.bool_)

    def group(self, spans: Sequence[Span]) -> list[npt.NDArray[np.int32]]:
        """The micro-flow (row of `hot`) of every packet; the new ones of all spans are judged in one go."""
        before = self.flows.count
        rows = [
            self.flows.group(
                PacketColumns(*(getattr(span.batch, name)[span.start : span.stop] for name in PacketColumns._fields))
            )
            for span in spans
        ]
        if self.flows.count > before:
            self._admit(before)
        return rows

    def connection_rows(self, keys: npt.NDArray[np.uint64], interface: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        """The row of each connection, an empty one where it is new."""
        before = self.connection_keys.count
        rows = self.connection_keys.intern(keys)
        self.connections = grown(self.connections, self.connection_keys.count)
        self.connections[before : self.connection_keys.count] = 0
        self.connections[rows, CONNECTION_LIMITS] = interface
        return rows

    def interfaces(self, flow: npt.NDArray[Any], end: int) -> npt.NDArray[np.int32]:
        """The interface at an end (0 egress, 1 ingress) of micro-flows; NO_INTERFACE where it is not judged."""
        row = self.hot[flow, HOT_END + end]
        interface = self.end_keys.keys[np.maximum(row, 0), 6].astype(np.uint32).view(np.int32)
        found: npt.NDArray[np.int32] = np.where(row >= 0, interface, NO_INTERFACE).astype(np.int32)
        return found

    def forget(self, now: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Drop micro-flows without an open record and without a connection that is live at `now` (ns).

        What only they referred to goes with them. Returns where each micro-flow and each flow end went, -1 if
        dropped.
        """
        hot, ends = self.hot[: self.flows.count], self.ends[: self.end_keys.count]
        connections = self.connections[: self.connection_keys.count]
        recording = np.any(ends[:, :END_COUNTED] >= 0, axis=1)
        live = (connections[:, CONNECTION_FLAGS] & OPEN != 0) & (connections[:, CONNECTION_DEADLINE] >= now)
        kept = np.zeros(len(hot), np.bool_)
        for end in (0, 1):
            for column, wanted in ((HOT_END + end, recording), (HOT_CONNECTION + end, live)):
                refers = np.flatnonzero(hot[:, column] >= 0)
                kept[refers] |= wanted[hot[refers, column]]
        moved_flows = self.flows.keep(kept)
        self.hot = hot[kept]
        self.connections, _ = self._compact(self.connection_keys, connections, HOT_CONNECTION, 2)
        self.ends, moved_ends = self._compact(self.end_keys, ends, HOT_END, 2)
        self.flow_ids, _ = self._compact(self.pairs, self.flow_ids[: self.pairs.count], HOT_PAIR, 1)
        return moved_flows, moved_ends

    def _compact(
        self, keys: Interner, rows: npt.NDArray[Any], column: int, columns: int
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.int32]]:
        """Keep the rows that columns of `hot` refer to, and correct the references. Gives rows and where they went."""
        references = self.hot[:, column : column + columns]
        used = np.zeros(len(rows), np.bool_)
        used[references[references >= 0]] = True
        moved = keys.keep(used)
        references[references >= 0] = moved[references[references >= 0]]
        return rows[used], moved

    # -- new micro-flows -------------------------------------------------------------------------------------------

    def _admit(self, before: int) -> None:
        """Resolve and judge the micro-flows from row `before` on."""
        keys = self.flows.keys[before : self.flows.count]
        columns = FlowColumns(keys)
        ends = self._resolver.resolve(columns.headers)
        self.hot = grown(self.hot, self.flows.count)
        hot = self.hot[before : self.flows.count]
        hot[:] = -1
        kind = hot[:, HOT_KIND] = flow_kinds(columns.family, columns.protocol, columns.icmp_type, columns.later)
        hot[:, HOT_OBSERVED] = ends.observed
        hot[:, HOT_PUBLIC], hot[:, HOT_PUBLIC + 1] = ends.public_src, ends.public_dst
        self.shows_public_addresses |= bool(np.any(ends.public_src >= 0) or np.any(ends.public_dst >= 0))
        seen = kind != KIND_UNSEEN
        self.shows_neighbour_discovery |= not np.all(seen)
        nowhere = (ends.egress == NO_INTERFACE) & (ends.ingress == NO_INTERFACE)
        judged = ((ends.egress != NO_INTERFACE) | nowhere) & seen, (ends.ingress != NO_INTERFACE) & seen
        flow = np.concatenate([np.flatnonzero(judged[0]), np.flatnonzero(judged[1])])
        end = np.repeat([0, 1], [np.count_nonzero(judged[0]), np.count_nonzero(judged[1])])
        interface = np.where(end == 0, ends.egress[flow], ends.ingress[flow])
        if len(flow):
            hot[flow, HOT_RULES + end] = self._judge(columns, flow, end, interface)
            self._connect(keys, columns, hot, flow, end, interface)
            self._number(keys, hot, ends, seen)
            self._keep_records(keys, hot, flow, end, interface)

    def _judge(
        self, columns: FlowColumns, flow: npt.NDArray[Any], end: npt.NDArray[Any], interface: npt.NDArray[Any]
    ) -> npt.NDArray[np.int32]:
        """What the rules say at each end; rows of `rules`."""
        direction = np.where(end == 0, EGRESS, INGRESS)
        blocks = []
        for family in (4, 6):
            row = np.flatnonzero(columns.family[flow] == family)
            of = flow[row]
            if family == 4:
                src, dst = columns.src_lo[of].astype(np.uint32), columns.dst_lo[of].astype(np.uint32)
            else:
                src = np.stack([columns.src_hi[of], columns.src_lo[of]], axis=1)
                dst = np.stack([columns.dst_hi[of], columns.dst_lo[of]], axis=1)
            blocks.append(
                FlowBlock.from_columns(
                    family,
                    src,
                    dst,
                    protocol=columns.protocol[of],
                    interface=interface[row],
                    direction=direction[row],
                    srcport=columns.srcport[of],
                    dstport=columns.dstport[of],
                    icmp_type=columns.icmp_type[of],
                    icmp_code=columns.icmp_code[of],
                    later_fragment=columns.later[of],
                    flow_id=of,
                    row=row,
                )
            )
        return self.rules.intern(evaluate(self._snapshot, FlowTable.of(*blocks), threads=self._threads))

    def _connect(
        self,
        keys: npt.NDArray[np.uint64],
        columns: FlowColumns,
        hot: npt.NDArray[np.int32],
        flow: npt.NDArray[Any],
        end: npt.NDArray[Any],
        interface: npt.NDArray[Any],
    ) -> None:
        """Give each end of a flow that can have a connection the row of it."""
        kind = hot[flow, HOT_KIND]
        reason = self.rules.table[hot[flow, HOT_RULES + end], 1]
        groups = np.zeros(len(flow), np.bool_)
        groups[interface >= 0] = self._has_groups[interface[interface >= 0]]
        stateful = (kind != KIND_STATELESS) & (kind != KIND_LATER) & (interface >= 0)
        stateful &= (reason != Reason.EXEMPT) & ((reason != Reason.UNFILTERED) | groups)
        which = np.flatnonzero(stateful)
        of = flow[which]
        wanted = connection_keys(keys[of], columns.icmp_type[of], kind[which], end[which], interface[which])
        hot[of, HOT_CONNECTION + end[which]] = self.connection_rows(wanted, interface[which])

    def _number(
        self, keys: npt.NDArray[np.uint64], hot: npt.NDArray[np.int32], ends: Ends, seen: npt.NDArray[np.bool_]
    ) -> None:
        """Give flow ids by first appearance: one for each (five-tuple, ICMP type and code, both ends)."""
        wanted = record_keys(keys[seen])
        egress, ingress = (unsigned(interface[seen]) for interface in (ends.egress, ends.ingress))
        wanted[:, 6] = egress | (ingress << np.uint64(32))
        before = self.pairs.count
        hot[seen, HOT_PAIR] = self.pairs.intern(wanted)
        added = self.pairs.count - before
        self.flow_ids = grown(self.flow_ids, self.pairs.count)
        self.flow_ids[before : self.pairs.count] = np.arange(self.flow_count, self.flow_count + added)
        self.flow_count += added

    def _keep_records(
        self,
        keys: npt.NDArray[np.uint64],
        hot: npt.NDArray[np.int32],
        flow: npt.NDArray[Any],
        end: npt.NDArray[Any],
        interface: npt.NDArray[Any],
    ) -> None:
        """Give each end the row that its records are kept by (§9.4): interface, direction, five-tuple, ICMP."""
        wanted = record_keys(keys[flow])
        wanted[:, 6] = unsigned(interface)
        wanted[:, 7] = end
        before = self.end_keys.count
        hot[flow, HOT_END + end] = self.end_keys.intern(wanted)
        self.ends = grown(self.ends, self.end_keys.count)
        self.ends[before : self.end_keys.count] = -1
        self.ends[before : self.end_keys.count, END_COUNTED] = 0
