"""Connections that are open at one moment, and what would happen to them next under other rules.

Of each: the verdict of its next packet, either way, and of the first packet of a new connection in its place, under
the rules as they are and under the others. State goes over from one to the other, as in AWS (docs/semantics.md §2.2):
a tracked connection lets its packets through whatever the rules say now, an untracked one leaves that to the rules.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.engine.keys import flow_fields
from sgsim.engine.tracking import Tracker
from sgsim.flows import NO_INTERFACE
from sgsim.kernels.tracking_layout import (
    BY_EGRESS,
    CLOSING,
    CONNECTION_DEADLINE,
    CONNECTION_FLAGS,
    CONNECTION_RULES,
    HOT_CONNECTION,
    MAYBE,
    UNTRACKED,
    FlowFields,
)
from sgsim.model import ICMP, ICMPV6, TCP
from sgsim.verdicts import MatchSets, Reason, Verdict

__all__ = ["HEADER", "Next", "OpenConnections", "State", "next_verdicts", "open_connections", "renamed"]

_REJECT, _ACCEPT, _UNKNOWN = int(Verdict.REJECT), int(Verdict.ACCEPT), int(Verdict.UNKNOWN)
#: The answer to each ICMP query (§9.13).
_REPLIES = {ICMP: {8: 0, 13: 14, 15: 16, 17: 18}, ICMPV6: {128: 129}}


class Next(NamedTuple):
    """Verdicts (uint8[n, 2], the initiator's end first) under one set of rules, 255 where an end is not judged.

    `onward` and `back` are of the connection's next packets, from the initiator and to it; `anew` of the first packet
    of a new connection, by `rules`: sets of it in `sets` (int32[n, 2]), -1 where there are none.
    """

    onward: npt.NDArray[np.uint8]
    back: npt.NDArray[np.uint8]
    anew: npt.NDArray[np.uint8]
    rules: npt.NDArray[np.int32]
    sets: MatchSets


@dataclass(frozen=True, slots=True)
class OpenConnections:
    """n connections, as their initiator sees them: addresses, ports and ICMP type of its packets.

    All pairs (…[n, 2]) have the initiator's end first. `interface` and `interface_after` index the interfaces before
    and after, NO_INTERFACE where an end is not known. `live`: the end remembers the connection, with `untracked`,
    `maybe` (it is not sure that it is open) and `closing` (a FIN or RST has been seen), up to `deadline` (ns, if no
    further packet comes). `opened_by` are sets in `before.sets`: the rules that it rests on. `packets` and `bytes`
    count what it has had so far, both ways. `now` is the moment, in ns.
    """

    now: int
    family: npt.NDArray[np.uint8]
    src_hi: npt.NDArray[np.uint64]
    src_lo: npt.NDArray[np.uint64]
    dst_hi: npt.NDArray[np.uint64]
    dst_lo: npt.NDArray[np.uint64]
    srcport: npt.NDArray[np.uint16]
    dstport: npt.NDArray[np.uint16]
    protocol: npt.NDArray[np.uint8]
    icmp_type: npt.NDArray[np.int16]
    icmp_code: npt.NDArray[np.int16]
    interface: npt.NDArray[np.int32]
    interface_after: npt.NDArray[np.int32]
    live: npt.NDArray[np.bool_]
    untracked: npt.NDArray[np.bool_]
    maybe: npt.NDArray[np.bool_]
    closing: npt.NDArray[np.bool_]
    deadline: npt.NDArray[np.int64]
    opened_by: npt.NDArray[np.int32]
    packets: npt.NDArray[np.int64]
    bytes: npt.NDArray[np.int64]
    before: Next
    after: Next

    def __len__(self) -> int:
        return len(self.family)


class State(NamedTuple):
    """Both ends of n connections, the initiator's first: flags, whether they are live."""

    flags: npt.NDArray[np.int64]
    live: npt.NDArray[np.bool_]


def open_connections(before: Tracker, after: Tracker, traffic: npt.NDArray[np.int64], now: int) -> OpenConnections:
    """The connections of one tracker that are open at `now` (ns), and what they meet with under the other's rules.

    `traffic` (int64[flows, 2]) counts packets and bytes of each micro-flow.
    """
    store = before.store
    flow, turned, connection = _initiating(before, now)
    header = _turned(flow_fields(store.flows.keys[flow]), turned)
    known = np.maximum(connection, 0)
    live = store.live(now)[known] & (connection >= 0) if len(store.live(now)) else np.zeros(connection.shape, np.bool_)
    rows = store.connections[known] if len(flow) else np.zeros((0, 2, 4), np.int64)
    flags = rows[..., CONNECTION_FLAGS]
    interface = np.stack([store.interfaces(flow, side) for side in (0, 1)], axis=1)
    interface[turned] = interface[turned, ::-1]
    names = renamed(before, after)
    interface_after = np.where(interface >= 0, names[np.maximum(interface, 0)], interface).astype(np.int32)
    state = State(flags, live)
    table = store.rules.table
    packets = _counted(before, traffic, connection)
    return OpenConnections(
        now=now,
        **{name: getattr(header, name) for name in HEADER},
        interface=interface,
        interface_after=interface_after,
        live=live,
        untracked=live & (flags & UNTRACKED != 0),
        maybe=live & (flags & MAYBE != 0),
        closing=live & (flags & CLOSING != 0),
        deadline=np.where(live, rows[..., CONNECTION_DEADLINE], -1),
        opened_by=np.where(live, table[rows[..., CONNECTION_RULES], 2], 0).astype(np.int32),
        packets=packets[:, 0],
        bytes=packets[:, 1],
        before=next_verdicts(before, header, interface, state),
        after=next_verdicts(after, header, interface_after, state),
    )


HEADER = [
    field.name
    for field in fields(OpenConnections)
    if field.name in FlowFields._fields
]  # fmt: skip


def _initiating(
    tracker: Tracker, now: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """One micro-flow for each open connection, whether it goes to the initiator, and the rows (int64[n, 2], the
    initiator's end first) of the connection at both ends, -1 for none.
    """
    store = tracker.store
    rows = store.halves[: store.flows.count, HOT_CONNECTION : HOT_CONNECTION + 2].astype(np.int64)
    live = np.append(store.live(now), False)  # row -1: there is none
    flow = np.flatnonzero(live[rows].any(axis=1))
    ends = rows[flow]
    side = np.where(live[ends[:, 0]], 0, 1)
    opened_out = store.connections[ends[np.arange(len(flow)), side], CONNECTION_FLAGS] & BY_EGRESS != 0
    turned = opened_out != (side == 0)
    ends[turned] = ends[turned, ::-1]
    # Of the flows of one connection, one from the initiator if there is any, and the first of these.
    order = np.lexsort((flow, turned, ends[:, 1], ends[:, 0]))
    sorted_ends = ends[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = (sorted_ends[1:] != sorted_ends[:-1]).any(axis=1)
    chosen = order[first]
    # Networks that overlap show an end with several others: what is known of both ends goes first, nothing twice.
    chosen = chosen[np.argsort(~live[ends[chosen]].all(axis=1), kind="stable")]
    cells = np.where(live[ends[chosen]], ends[chosen], -1)
    firsts = np.zeros(cells.size, np.bool_)
    firsts[np.unique(cells, return_index=True)[1]] = True
    chosen = np.sort(chosen[(firsts.reshape(-1, 2) & (cells >= 0)).any(axis=1)])
    return flow[chosen], turned[chosen], ends[chosen]


def _turned(header: FlowFields, turned: npt.NDArray[np.bool_]) -> FlowFields:
    """Headers with those that are marked as their answers have them."""
    swapped = {}
    for one, other in (("src_hi", "dst_hi"), ("src_lo", "dst_lo"), ("srcport", "dstport"), ("src_mac", "dst_mac")):
        here, there = getattr(header, one), getattr(header, other)
        swapped[one], swapped[other] = np.where(turned, there, here), np.where(turned, here, there)
    icmp_type = header.icmp_type.copy()
    for protocol, pairs in _REPLIES.items():
        for request, reply in pairs.items():
            of = turned & (header.protocol == protocol)
            icmp_type[of & (header.icmp_type == request)] = reply
            icmp_type[of & (header.icmp_type == reply)] = request
    return header._replace(**swapped, icmp_type=icmp_type)


def renamed(before: Tracker, after: Tracker) -> npt.NDArray[np.int32]:
    """Of each interface before, its index after, NO_INTERFACE where it is gone."""
    index = {name: n for n, name in enumerate(after.snapshot.tables.interface_ids)}
    names = before.snapshot.tables.interface_ids
    return np.array([index.get(name, NO_INTERFACE) for name in names] or [NO_INTERFACE], np.int32)


def _counted(
    tracker: Tracker, traffic: npt.NDArray[np.int64], connection: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """int64[n, 2]: packets and bytes of connections (rows at both ends), both ways."""
    store = tracker.store
    flows, count = store.flows.count, store.connection_keys.count
    totals = np.zeros((count + 1, 2), np.int64)
    for side in (0, 1):
        rows = store.halves[:flows, HOT_CONNECTION + side]
        for column in (0, 1):
            # Row -1, where there is no connection, is the last one, which nobody asks for.
            weights = traffic[:flows, column]
            sums = np.bincount(np.where(rows < 0, count, rows), weights, minlength=count + 1)
            totals[:, column] += sums.astype(np.int64)
    asked = np.where(connection[:, 0] >= 0, connection[:, 0], connection[:, 1])
    return totals[asked]


def next_verdicts(tracker: Tracker, header: FlowFields, interface: npt.NDArray[np.int32], state: State) -> Next:
    """What connections meet with next under a tracker's rules."""
    n = len(header.family)
    carries = tracker.snapshot.environment.interfaces
    ids = tracker.snapshot.tables.interface_ids
    groups = np.array([bool(carries[name].group_ids) for name in ids] or [False], np.bool_)
    midstream = tracker.snapshot.semantics.tcp_midstream == "reject"
    back = _turned(header, np.ones(n, np.bool_))
    verdicts = {"onward": np.full((n, 2), 255, np.uint8), "back": np.full((n, 2), 255, np.uint8)}
    anew, rules = np.full((n, 2), 255, np.uint8), np.full((n, 2), -1, np.int32)
    for end in (0, 1):
        rows = np.flatnonzero(interface[:, end] >= 0)
        if not len(rows):
            continue
        at, flags, live = interface[rows, end], state.flags[rows, end], state.live[rows, end]
        tcp = header.protocol[rows] == TCP
        for name, fields_, side in (("onward", header, end), ("back", back, 1 - end)):
            judged = tracker.store.judge(fields_, rows, np.full(len(rows), side), at)
            unconditional = (judged.reason == Reason.EXEMPT) | ((judged.reason == Reason.UNFILTERED) & ~groups[at])
            initiating = ((flags & BY_EGRESS) != 0) == (side == 0)
            stays = live & ~unconditional & (flags & UNTRACKED == 0) & (judged.reason != Reason.UNFILTERED)
            action = judged.action.copy()
            maybe = flags & MAYBE != 0
            own = (action == _ACCEPT) & (initiating | maybe) | (action == _UNKNOWN) & initiating & maybe
            action[stays & ~own] = np.where(maybe, _UNKNOWN, _ACCEPT)[stays & ~own]
            if midstream:
                action[~live & tcp & (judged.reason != Reason.EXEMPT) & (judged.reason != Reason.UNFILTERED)] = _REJECT
            verdicts[name][rows, end] = action
            if name == "onward":
                anew[rows, end] = judged.action
                known = tracker.store.rules.intern(judged)
                rules[rows, end] = tracker.store.rules.table[known, 2]
    return Next(verdicts["onward"], verdicts["back"], anew, rules, tracker.store.rules.sets)
