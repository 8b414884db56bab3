"""Micro-flows and what is known of each: its ends, what the rules say, its connections, where its records are kept.

A micro-flow is judged once, when its first packet comes; every later packet only looks its row up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.engine.answers import RuleAnswers
from sgsim.engine.evaluate import evaluate
from sgsim.engine.interner import Interner, grown
from sgsim.engine.keys import flow_fields
from sgsim.engine.resolve import Ends, Headers
from sgsim.engine.spans import Span
from sgsim.engine.views import View
from sgsim.flows import EGRESS, INGRESS, NO_INTERFACE, FlowBlock, FlowTable
from sgsim.kernels.tracking_layout import (
    ABOUT_END,
    ABOUT_FLOW_ID,
    ABOUT_OBSERVED,
    ABOUT_PUBLIC,
    ABOUT_WORDS,
    CLOSING,
    CONNECTION_DEADLINE,
    CONNECTION_FLAGS,
    CONNECTION_LIMITS,
    CONNECTION_WORDS,
    END_COUNTED,
    END_INTERFACE,
    END_PARTNER,
    END_SIDE,
    END_WORDS,
    HALF_OPEN,
    HEAD_PACKETS_SHIFT,
    HOT_CONNECTION,
    HOT_HEAD,
    HOT_RULES,
    HOT_WORDS,
    KEY_WORDS,
    LIMIT_CLOSING,
    LIMIT_HALF_OPEN,
    LIMIT_OTHER,
    LIMIT_TCP,
    LIMIT_UDP,
    LIMIT_UDP_STREAM,
    NO_PARTNER_YET,
    OPEN,
    PROTOCOL_SHIFT,
    STREAM,
    FlowFields,
    PacketColumns,
)
from sgsim.model import TCP, UDP
from sgsim.verdicts import RuleVerdicts

__all__ = ["Arrivals", "FlowStore"]

_BLOCK = 1 << 12  #: micro-flows whose keys are made together, in memory that stays in the cache

_NO_ROWS = np.empty(0, np.int32)

#: No open record for any action, hit not counted; interface, side and flow are filled in.
_NEW_END = np.array([-1, -1, -1, 0, NO_INTERFACE, 0, NO_PARTNER_YET, -1], np.int32)


class _Judged(NamedTuple):
    """Micro-flows, judged: keys and kinds, ends found; and, one row for each end that is judged, the key that its
    records are kept by, where it is (twice the flow plus the side, 0 egress, 1 ingress), interface and verdicts."""

    keys: npt.NDArray[np.uint64]
    kind: npt.NDArray[np.uint8]
    found: Ends
    ends: npt.NDArray[np.uint64]
    place: npt.NDArray[np.int64]
    interface: npt.NDArray[np.int32]
    verdicts: RuleVerdicts | None


class Arrivals(NamedTuple):
    """Packets whose micro-flows are known: `rows` (of `FlowStore.hot`) by span; `before` … `after` - 1 are new.

    `again` are rows of older ones that were judged anew, in another view than the one before.
    """

    spans: Sequence[Span]
    rows: list[npt.NDArray[np.int32]]
    before: int
    after: int
    new: _Judged | None
    view: View
    again: npt.NDArray[np.int32]
    judged_again: _Judged | None


class FlowStore:
    """All micro-flows, connections, flow ends and flow ids that are remembered.

    What rules say of a micro-flow holds for one view; in another one it is judged anew when its next packet comes.
    `hot` and `about` (one row a micro-flow), `ends` and `connections` are the arrays that the kernels work on; their
    rows are described in `sgsim.kernels.tracking_layout`. Only the first `flows.count`, `end_keys.count` and
    `connection_keys.count` rows mean anything.
    """

    def __init__(self, view: View, *, threads: int | None = None) -> None:
        self._view, self._threads = view, threads
        self._judged_in: npt.NDArray[np.int32] | None = None  # the view of each micro-flow, once there are several
        self.rules = RuleAnswers()
        self.flows, self.end_keys, self.connection_keys = Interner(), Interner(), Interner()
        self.hot: npt.NDArray[np.int64] = np.empty((0, HOT_WORDS), np.int64)
        self.about: npt.NDArray[np.int32] = np.empty((0, ABOUT_WORDS), np.int32)
        self.ends: npt.NDArray[np.int32] = np.empty((0, END_WORDS), np.int32)
        self.connections: npt.NDArray[np.int64] = np.empty((0, CONNECTION_WORDS), np.int64)
        self.flow_count = 0  #: how many flow ids were given out
        self.shows_public_addresses = False  #: whether any micro-flow so far shows a known public address
        self._wanted = np.empty((2 * _BLOCK, KEY_WORDS), np.uint64)
        self._more_flows: dict[tuple[int, int], int] = {}

    @property
    def halves(self) -> npt.NDArray[np.int32]:
        """The memory of `hot` as 32-bit numbers."""
        return self.hot.view(np.int32)

    def look(self, view: View) -> None:
        """Judge in another view from the next call of `group` on."""
        if self._judged_in is None:
            self._judged_in = np.full(self.flows.count, self._view.number, np.int32)
        self._view = view

    def group(self, spans: Sequence[Span]) -> Arrivals:
        """Find the micro-flow of every packet, and judge the new ones of all spans in one go.

        Reads and writes `flows` and the view alone, so that it can be ahead of `admit` in another thread.
        """
        before = self.flows.count
        rows = [
            self.flows.group(
                PacketColumns(*(getattr(span.batch, name)[span.start : span.stop] for name in PacketColumns._fields))
            )
            for span in spans
        ]
        count = self.flows.count
        new = self._judged(self.flows.keys[before:count]) if count > before else None
        again = self._outdated(rows, before)
        judged_again = self._judged(self.flows.keys[again]) if len(again) else None
        return Arrivals(spans, rows, before, count, new, self._view, again, judged_again)

    def share_flows(self, other: FlowStore) -> None:
        """Know micro-flows by the rows of another store, which groups packets for both (`judge_too`)."""
        self.flows = other.flows

    def judge_too(self, arrivals: Arrivals) -> Arrivals:
        """Packets that another store has grouped, their new micro-flows judged by this one's rules."""
        new = self.flows.keys[arrivals.before : arrivals.after]
        return arrivals._replace(new=self._judged(new) if len(new) else None, view=self._view)

    def admit(self, arrivals: Arrivals) -> None:
        """Give the new micro-flows of `arrivals` their rows; to be called once for each, in order.

        Where the view is another one than before, no micro-flow may have an account.
        """
        carries_groups = arrivals.view.carries_groups
        if arrivals.judged_again is not None:
            self._renew(arrivals.again, arrivals.judged_again, carries_groups)
        if arrivals.new is not None:
            self._enter(arrivals.before, arrivals.after, arrivals.new, carries_groups)

    def connection_rows(self, keys: npt.NDArray[np.uint64], interface: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        """The row of each connection, an empty one where it is new."""
        before = self.connection_keys.count
        rows = self.connection_keys.intern(keys)
        self.connections = grown(self.connections, self.connection_keys.count)
        self.connections[before : self.connection_keys.count] = 0
        self.connections[rows, CONNECTION_LIMITS] = interface
        return rows

    def interfaces(self, flow: npt.NDArray[Any], side: int) -> npt.NDArray[np.int32]:
        """The interface at a side (0 egress, 1 ingress) of micro-flows; NO_INTERFACE where it is not judged."""
        row = self.about[flow, ABOUT_END + side]
        if not len(self.ends):
            return np.full(len(row), NO_INTERFACE, np.int32)
        found: npt.NDArray[np.int32] = np.where(row >= 0, self.ends[row, END_INTERFACE], np.int32(NO_INTERFACE))
        return found

    def retime(self, old: npt.NDArray[np.int64], new: npt.NDArray[np.int64], interfaces: npt.NDArray[Any]) -> None:
        """Move the deadlines of connections at some interfaces from old timeouts to new ones (`View.limits`).

        What decides which timeout a connection has is its protocol and its state, as in the kernel.
        """
        connections = self.connections[: self.connection_keys.count]
        rows = np.flatnonzero(np.isin(connections[:, CONNECTION_LIMITS], interfaces))
        flags, interface = connections[rows, CONNECTION_FLAGS], connections[rows, CONNECTION_LIMITS]
        protocol = (self.connection_keys.keys[rows, 4] >> np.uint64(PROTOCOL_SHIFT)) & np.uint64(0xFF)
        tcp = np.where(flags & CLOSING, LIMIT_CLOSING, np.where(flags & HALF_OPEN, LIMIT_HALF_OPEN, LIMIT_TCP))
        udp = np.where(flags & STREAM, LIMIT_UDP_STREAM, LIMIT_UDP)
        which = np.where(protocol == TCP, tcp, np.where(protocol == UDP, udp, LIMIT_OTHER))
        connections[rows, CONNECTION_DEADLINE] += new[interface, which] - old[interface, which]

    def forget(self, now: int) -> npt.NDArray[np.int32]:
        """Drop micro-flows without an account and without a connection that is live at `now` (ns).

        What only they referred to goes with them. Returns where each micro-flow went, -1 if dropped.
        """
        kept = self.needed(now)
        self.keep(kept, now)
        return self.flows.keep(kept)

    def live(self, now: int) -> npt.NDArray[np.bool_]:
        """Which connections are live at `now` (ns)."""
        rows = self.connections[: self.connection_keys.count]
        alive: npt.NDArray[np.bool_] = (rows[:, CONNECTION_FLAGS] & OPEN != 0) & (rows[:, CONNECTION_DEADLINE] >= now)
        return alive

    def needed(self, now: int) -> npt.NDArray[np.bool_]:
        """Which micro-flows have an account, or a connection that is live at `now` (ns)."""
        count, live = self.flows.count, self.live(now)
        kept: npt.NDArray[np.bool_] = self.hot[:count, HOT_HEAD] >> HEAD_PACKETS_SHIFT > 0
        for side in (0, 1):
            connection = self.halves[:count, HOT_CONNECTION + side]
            refers = np.flatnonzero(connection >= 0)
            kept[refers] |= live[connection[refers]]
        return kept

    def keep(self, kept: npt.NDArray[np.bool_], now: int) -> None:
        """Drop the rows of micro-flows that are not marked, and what only they referred to; not their keys."""
        count, live, connections = len(kept), self.live(now), self.connections[: self.connection_keys.count]
        self.hot, self.about = self.hot[:count][kept], self.about[:count][kept]
        if self._judged_in is not None:
            self._judged_in = self._judged_in[:count][kept]
        references = self.halves[:, HOT_CONNECTION : HOT_CONNECTION + 2]
        # In another view a flow may have no connection, and have it again in the next.
        self.connections, _ = _compact(self.connection_keys, connections, references, live)
        references = self.about[:, ABOUT_END : ABOUT_END + 2]
        ends = self.ends[: self.end_keys.count]
        self.ends, moved = _compact(self.end_keys, ends, references, np.zeros(len(ends), np.bool_))
        # A partner that is gone may come back: then it is a new flow.
        partner = self.ends[:, END_PARTNER]
        partner[partner >= 0] = moved[partner[partner >= 0]]
        self._more_flows.clear()

    # -- new micro-flows -------------------------------------------------------------------------------------------

    def _outdated(self, rows: list[npt.NDArray[np.int32]], before: int) -> npt.NDArray[np.int32]:
        """Of the micro-flows in `rows`, those below `before` that were last judged in another view."""
        if self._judged_in is None:
            return _NO_ROWS
        self._judged_in = grown(self._judged_in, self.flows.count)
        self._judged_in[before : self.flows.count] = self._view.number
        known = np.unique(np.concatenate(rows)) if rows else _NO_ROWS
        known = known[known < before]
        again: npt.NDArray[np.int32] = known[self._judged_in[known] != self._view.number]
        self._judged_in[again] = self._view.number
        return again

    def _judged(self, keys: npt.NDArray[np.uint64]) -> _Judged:
        """Resolve and judge micro-flows, and say which ends their records are kept by (§9.4)."""
        from sgsim.kernels.tracking_admission import end_keys

        fields = flow_fields(keys)
        found = self._view.resolve(Headers(*(getattr(fields, name) for name in Headers._fields)))
        wanted, place = np.empty((2 * len(keys), KEY_WORDS), np.uint64), np.empty(2 * len(keys), np.int64)
        used = end_keys(keys, fields.kind, found.egress, found.ingress, wanted, place)
        wanted, place = wanted[:used], place[:used]
        interface = wanted[:, 6].astype(np.uint32).view(np.int32)
        verdicts = self.judge(fields, place >> 1, place & 1, interface) if used else None
        return _Judged(keys, fields.kind, found, wanted, place, interface, verdicts)

    def _enter(self, before: int, count: int, given: _Judged, carries_groups: npt.NDArray[np.bool_]) -> None:
        """Fill the rows of micro-flows `before` …"""
        self.hot, self.about = grown(self.hot, count), grown(self.about, count)
        new = slice(before, count)
        self.hot[new, HOT_HEAD] = given.kind
        self._fill(self.halves[new], self.about[new], given, carries_groups)

    def _renew(self, rows: npt.NDArray[np.int32], given: _Judged, carries_groups: npt.NDArray[np.bool_]) -> None:
        """Correct the rows of micro-flows that another view judges; a hit of other rules counts again."""
        halves, about = self.halves[rows], self.about[rows]
        rules = halves[:, HOT_RULES : HOT_RULES + 2].copy()
        self._fill(halves, about, given, carries_groups)
        self.halves[rows], self.about[rows] = halves, about
        end = about[:, ABOUT_END : ABOUT_END + 2]
        self.ends[end[(halves[:, HOT_RULES : HOT_RULES + 2] != rules) & (end >= 0)], END_COUNTED] = 0

    def _fill(
        self,
        halves: npt.NDArray[np.int32],
        about: npt.NDArray[np.int32],
        given: _Judged,
        carries_groups: npt.NDArray[np.bool_],
    ) -> None:
        """Write what is known of micro-flows into their rows, all but the account."""
        found = given.found
        halves[:, HOT_RULES : HOT_RULES + 2] = -1
        halves[:, HOT_CONNECTION : HOT_CONNECTION + 2] = -1
        about[:, ABOUT_END : ABOUT_END + 2] = -1
        about[:, ABOUT_OBSERVED] = found.observed
        about[:, ABOUT_PUBLIC], about[:, ABOUT_PUBLIC + 1] = found.public_src, found.public_dst
        self.shows_public_addresses |= bool(np.any(found.public_src >= 0) or np.any(found.public_dst >= 0))
        flow, side = given.place >> 1, given.place & 1
        about[flow, ABOUT_END + side] = self._end_rows(given, side)
        self._number(about)
        if given.verdicts is not None:
            halves[flow, HOT_RULES + side] = self.rules.intern(given.verdicts)
            self._connect(given, halves, about, carries_groups)

    def _end_rows(self, given: _Judged, side: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """The rows of flow ends."""
        before = self.end_keys.count
        rows = self.end_keys.intern(given.ends)
        self.ends = grown(self.ends, self.end_keys.count)
        new, made = self.ends[before : self.end_keys.count], self.end_keys.keys[before : self.end_keys.count]
        new[:] = _NEW_END
        new[:, END_INTERFACE], new[:, END_SIDE] = made[:, 6].astype(np.uint32).view(np.int32), made[:, 7]
        return rows

    def _number(self, about: npt.NDArray[np.int32]) -> None:
        """Give flow ids."""
        from sgsim.kernels.tracking_admission import number_flows

        at, self.flow_count = number_flows(about, self.ends, 0, self.flow_count)
        while at < len(about):  # one end with several partners: overlapping networks, told apart by Ethernet addresses
            both = int(about[at, ABOUT_END]), int(about[at, ABOUT_END + 1])
            if both not in self._more_flows:
                self._more_flows[both] = self.flow_count
                self.flow_count += 1
            about[at, ABOUT_FLOW_ID] = self._more_flows[both]
            at, self.flow_count = number_flows(about, self.ends, at + 1, self.flow_count)

    def judge(
        self,
        fields: FlowFields,
        flow: npt.NDArray[np.int64],
        side: npt.NDArray[np.int64],
        interface: npt.NDArray[np.int32],
    ) -> RuleVerdicts:
        """What the rules say at ends: of flows `flow` (rows of `fields`), each at a side and an interface."""
        return self._view.named(self._evaluated(self._view, fields, flow, side, interface))

    def actions(
        self, view: View, flow: npt.NDArray[Any], side: npt.NDArray[Any], interface: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.uint8]:
        """What the rules of any view say of micro-flows, each at a side and an interface: Verdict only."""
        fields = flow_fields(self.flows.keys[flow])
        return self._evaluated(view, fields, np.arange(len(flow)), side, interface).action

    def _evaluated(
        self,
        view: View,
        fields: FlowFields,
        flow: npt.NDArray[np.int64],
        side: npt.NDArray[Any],
        interface: npt.NDArray[np.int32],
    ) -> RuleVerdicts:
        direction = np.where(side == 0, EGRESS, INGRESS)
        blocks = []
        for family in (4, 6):
            row = np.flatnonzero(fields.family[flow] == family)
            if not len(row):
                continue
            of = flow[row]
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
                    interface=view.indexes_of(interface[row]),
                    direction=direction[row],
                    srcport=fields.srcport[of],
                    dstport=fields.dstport[of],
                    icmp_type=fields.icmp_type[of],
                    icmp_code=fields.icmp_code[of],
                    later_fragment=fields.later[of],
                    flow_id=of,
                    row=row,
                )
            )
        return evaluate(view.snapshot, FlowTable.of(*blocks), threads=self._threads)

    def _connect(
        self,
        given: _Judged,
        halves: npt.NDArray[np.int32],
        about: npt.NDArray[np.int32],
        carries_groups: npt.NDArray[np.bool_],
    ) -> None:
        """Give each end of a flow that can have a connection the row of it."""
        from sgsim.kernels.tracking_admission import connection_keys

        keys, kind = given.keys, given.kind
        place, interface = np.empty(2 * _BLOCK, np.int64), np.empty(2 * _BLOCK, np.int32)
        for start in range(0, len(keys), _BLOCK):
            part = slice(start, start + _BLOCK)
            count = connection_keys(
                keys[part],
                kind[part],
                halves[part],
                about[part],
                self.ends,
                self.rules.codes,
                carries_groups,
                self._wanted,
                place,
                interface,
            )
            rows = self.connection_rows(self._wanted[:count], interface[:count])
            halves[part].reshape(-1)[place[:count]] = rows


def _compact(
    keys: Interner, rows: npt.NDArray[Any], references: npt.NDArray[np.int32], used: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int32]]:
    """Keep the rows that are `used` or referred to, and correct the references. Returns rows, and where they went."""
    used[references[references >= 0]] = True
    moved = keys.keep(used)
    references[references >= 0] = moved[references[references >= 0]]
    return rows[used], moved
