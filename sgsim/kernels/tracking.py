"""Connections in time: every packet's answer at both ends (docs/semantics.md §9.1 to §9.3, §9.10 to §9.15).

The micro-flow of a packet holds the rows of its connections, so that a packet costs no second hash look-up. A row
exists as long as a micro-flow refers to it; whether a connection is alive in it is a matter of its flags and deadline.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel
from sgsim.kernels._prefetch import prefetch
from sgsim.kernels.tracking_layout import (
    ACTION_MASK,
    BY_EGRESS,
    CLOSING,
    CODE_UNTRACKED_SHIFT,
    CONNECTION_DEADLINE,
    CONNECTION_FLAGS,
    CONNECTION_LIMITS,
    CONNECTION_RULES,
    CONNECTION_WORDS,
    FIN_IN,
    FIN_OUT,
    FRAGMENT_ANSWER,
    FRAGMENT_TIME,
    HALF_OPEN,
    HOT_CONNECTION,
    HOT_KIND,
    HOT_RULES,
    HOT_WORDS,
    INITIATING_SHIFT,
    KIND_LATER,
    KIND_OTHER,
    KIND_REPLY,
    KIND_TCP,
    KIND_UDP,
    KIND_UNSEEN,
    LIMIT_CLOSING,
    LIMIT_FRAGMENT,
    LIMIT_HALF_OPEN,
    LIMIT_ICMP,
    LIMIT_OTHER,
    LIMIT_TCP,
    LIMIT_UDP,
    LIMIT_UDP_STREAM,
    MAYBE,
    NO_ANSWER,
    OPEN,
    OPTION_OTHER_REFRESH,
    OPTION_REJECT_MIDSTREAM,
    REASON_MASK,
    REASON_SHIFT,
    REPLIED,
    RULES_SHIFT,
    STREAM,
    UNTRACKED,
    Number,
    Packets,
    TrackingState,
)

_BLOCK = 256
_REJECT, _ACCEPT, _UNKNOWN = 0, 1, 2  # Verdict
_TRACKED, _UNFILTERED, _EXEMPT, _UNRESOLVED = 2, 3, 4, 7  # Reason
_FIRST_FRAGMENT = 1
_FIN, _SYN, _RST, _SYN_ALONE = 1, 2, 4, 23  # a SYN that opens has none of the other bits of 23: FIN, RST, ACK


@helper
def _by_rules(state: TrackingState, rules: Number, initiating: Number) -> Number:
    """The answer where the rules of the packet's own direction decide."""
    code = np.int64(state.codes[rules]) & ((1 << CODE_UNTRACKED_SHIFT) - 1)
    return code | (initiating << INITIATING_SHIFT) | (np.int64(rules) << RULES_SHIFT)


@helper
def _by_state(state: TrackingState, connection: Number, initiating: Number) -> Number:
    """The answer where the connection lets the packet through, surely or maybe."""
    flags = state.connections[connection, CONNECTION_FLAGS]
    verdict = (_UNKNOWN | (_UNRESOLVED << REASON_SHIFT)) if flags & MAYBE else (_ACCEPT | (_TRACKED << REASON_SHIFT))
    rules = state.connections[connection, CONNECTION_RULES]
    return verdict | (initiating << INITIATING_SHIFT) | (rules << RULES_SHIFT)


@helper
def _as_reply(state: TrackingState, rules: Number, connection: Number) -> Number:
    """A reply: let through by the connection, or, where that is only a maybe, by its own rules if they can (§9.2)."""
    maybe = state.connections[connection, CONNECTION_FLAGS] & MAYBE
    if maybe and state.codes[rules] & ACTION_MASK == _ACCEPT:
        return _by_rules(state, rules, 1)
    return _by_state(state, connection, 0)


@helper
def _on_connection(state: TrackingState, rules: Number, connection: Number, egress: Number) -> Number:
    """The answer to a packet of a live connection (§9.3)."""
    flags = state.connections[connection, CONNECTION_FLAGS]
    code = state.codes[rules]
    initiating = np.int64(((flags & BY_EGRESS) != 0) == egress)
    if flags & UNTRACKED or (code >> REASON_SHIFT) & REASON_MASK == _UNFILTERED:
        return _by_rules(state, rules, initiating)
    if not initiating:
        return _as_reply(state, rules, connection)
    action = code & ACTION_MASK
    if action == _ACCEPT or (action == _UNKNOWN and flags & MAYBE):
        return _by_rules(state, rules, 1)
    return _by_state(state, connection, 1)


@helper
def _is_live(state: TrackingState, connection: Number, now: Number) -> Number:
    """Whether the row holds a connection that is still remembered; at the limit it is (§9.11)."""
    return bool(
        state.connections[connection, CONNECTION_FLAGS] & OPEN
        and now <= state.connections[connection, CONNECTION_DEADLINE]
    )


@helper
def _is_unconditional(state: TrackingState, rules: Number) -> Number:
    """Whether neither rules nor connections matter to the packet: EXEMPT or UNFILTERED."""
    reason = (state.codes[rules] >> REASON_SHIFT) & REASON_MASK
    return reason in (_UNFILTERED, _EXEMPT)


@helper
def _look(
    state: TrackingState,
    kind: Number,
    rules: Number,
    connection: Number,
    quoted: Number,
    now: Number,
    tcp_flags: Number,
    egress: Number,
    options: Number,
) -> Any:
    """One end's answer, and the live connection that the packet belongs to (-1 for none). Changes nothing."""
    if connection >= 0:
        live = _is_live(state, connection, now)
        syn = kind == KIND_TCP and tcp_flags & _SYN_ALONE == _SYN
        if live and syn and state.connections[connection, CONNECTION_FLAGS] & CLOSING:
            live = False  # a new connection on the ports of one that is ending (§9.12)
        if live:
            return _on_connection(state, rules, connection, egress), connection
        refused = kind == KIND_TCP and not syn and options & OPTION_REJECT_MIDSTREAM
        if refused and not _is_unconditional(state, rules):
            return _by_rules(state, 0, 1), np.int64(-1)
    elif quoted >= 0 and not _is_unconditional(state, rules):
        related = _is_live(state, quoted, now) and not state.connections[quoted, CONNECTION_FLAGS] & UNTRACKED
        if related:
            return _as_reply(state, rules, quoted), np.int64(-1)
    return _by_rules(state, rules, 1), np.int64(-1)


@helper
def _after_tcp(flags: Number, tcp_flags: Number, egress: Number) -> Number:
    """The first RST, or the second direction's FIN, starts the closing time (§9.12)."""
    if tcp_flags & _FIN:
        flags |= FIN_OUT if egress else FIN_IN
    if tcp_flags & _RST or flags & (FIN_IN | FIN_OUT) == (FIN_IN | FIN_OUT):
        flags |= CLOSING
    return flags


@helper
def _limit(kind: Number, flags: Number) -> Number:
    """Which timeout holds for a connection in this state."""
    if kind == KIND_TCP:
        return LIMIT_CLOSING if flags & CLOSING else LIMIT_HALF_OPEN if flags & HALF_OPEN else LIMIT_TCP
    if kind == KIND_UDP:
        return LIMIT_UDP_STREAM if flags & STREAM else LIMIT_UDP
    return LIMIT_OTHER if kind == KIND_OTHER else LIMIT_ICMP


@helper
def _open(
    state: TrackingState,
    kind: Number,
    rules: Number,
    connection: Number,
    now: Number,
    tcp_flags: Number,
    egress: Number,
    maybe: Number,
) -> None:
    """Put a new connection into the row."""
    flags = OPEN
    if egress:
        flags |= BY_EGRESS
    if maybe:
        flags |= MAYBE
    if state.codes[rules] >> CODE_UNTRACKED_SHIFT:
        flags |= UNTRACKED
    if kind == KIND_TCP:
        if tcp_flags & _SYN_ALONE == _SYN:
            flags |= HALF_OPEN
        flags = _after_tcp(flags, tcp_flags, egress)
    row = state.connections[connection]
    row[CONNECTION_FLAGS] = flags
    row[CONNECTION_RULES] = rules
    row[CONNECTION_DEADLINE] = now + state.limits[row[CONNECTION_LIMITS], _limit(kind, flags)]


@helper
def _remember(
    state: TrackingState,
    kind: Number,
    rules: Number,
    connection: Number,
    live: Number,
    now: Number,
    tcp_flags: Number,
    egress: Number,
    maybe: Number,
    options: Number,
) -> None:
    """Open, refresh or close state at one end, for a packet that was rejected at neither (§9.1)."""
    if live < 0:
        if kind != KIND_REPLY:
            _open(state, kind, rules, connection, now, tcp_flags, egress, maybe)
        return
    row = state.connections[live]
    flags = row[CONNECTION_FLAGS]
    if kind == KIND_TCP and tcp_flags & _SYN_ALONE == _SYN and not flags & (HALF_OPEN | CLOSING):
        return  # a SYN on an established connection changes nothing (§9.12)
    accepted = state.codes[rules] & ACTION_MASK == _ACCEPT
    initiating = ((flags & BY_EGRESS) != 0) == egress
    if initiating:
        if accepted and (flags & UNTRACKED or (flags & MAYBE and not maybe)):
            flags &= ~(MAYBE | UNTRACKED)
            flags |= MAYBE if maybe else 0
            flags |= UNTRACKED if state.codes[rules] >> CODE_UNTRACKED_SHIFT else 0
            row[CONNECTION_RULES] = rules
    elif accepted and flags & MAYBE and not (maybe or flags & UNTRACKED or flags & CLOSING or kind == KIND_REPLY):
        _open(state, kind, rules, connection, now, tcp_flags, egress, False)
        return
    closing = flags & CLOSING
    if kind == KIND_TCP:
        flags = _after_tcp(flags, tcp_flags, egress)
    if not initiating:
        flags |= REPLIED
    elif flags & REPLIED:
        flags |= STREAM
        flags &= ~HALF_OPEN
    row[CONNECTION_FLAGS] = flags
    if not closing and (kind != KIND_OTHER or options & OPTION_OTHER_REFRESH):
        row[CONNECTION_DEADLINE] = now + state.limits[row[CONNECTION_LIMITS], _limit(kind, flags)]


@kernel
def track(
    packets: Packets,
    state: TrackingState,
    fragment_rows: npt.NDArray[np.int32],
    quoted_rows: npt.NDArray[np.int32],
    options: Number,
    answers: npt.NDArray[np.int32],
) -> None:
    """Answer every packet, in order, at both of its ends, into `answers` (int32[n, 2]: egress, ingress).

    `fragment_rows` (int32[n, 2]) are rows of `state.fragments` for packets that are fragments, and may be empty if
    none is; `quoted_rows` (int32[n, 2]) the connections that ICMP errors quote, -1 for none, and may be empty.
    """
    n = packets.flow.shape[0]
    hot, connections = state.hot, state.connections
    any_quoted = quoted_rows.shape[0] > 0
    for at in range(0, n, _BLOCK):
        stop = min(at + _BLOCK, n)
        for i in range(at, stop):
            prefetch(hot, np.int64(packets.flow[i]) * HOT_WORDS)
        for i in range(at, stop):
            for end in range(2):
                row = np.int64(hot[packets.flow[i], HOT_CONNECTION + end])
                if row >= 0:
                    prefetch(connections, row * CONNECTION_WORDS)
        for i in range(at, stop):
            flow = hot[packets.flow[i]]
            kind = flow[HOT_KIND]
            answers[i, 0] = answers[i, 1] = NO_ANSWER
            if kind == KIND_UNSEEN:
                continue
            now = packets.time[i]
            tcp_flags = np.int64(packets.tcp_flags[i])
            fragment = packets.fragment[i]
            live_egress = live_ingress = np.int64(-1)
            rejected = maybe = False
            for end in range(2):
                rules = np.int64(flow[HOT_RULES + end])
                if rules < 0 or rejected:
                    continue
                if kind == KIND_LATER:
                    answer, live = _by_rules(state, rules, 1), np.int64(-1)
                    row = np.int64(fragment_rows[i, end])
                    if row >= 0 and now - state.fragments[row, FRAGMENT_TIME] <= state.limits[0, LIMIT_FRAGMENT]:
                        answer = state.fragments[row, FRAGMENT_ANSWER]
                else:
                    connection = np.int64(flow[HOT_CONNECTION + end])
                    quoted = np.int64(quoted_rows[i, end]) if any_quoted else np.int64(-1)
                    answer, live = _look(state, kind, rules, connection, quoted, now, tcp_flags, end == 0, options)
                    if fragment == _FIRST_FRAGMENT:
                        row = np.int64(fragment_rows[i, end])
                        if row >= 0:
                            state.fragments[row, FRAGMENT_TIME] = now
                            state.fragments[row, FRAGMENT_ANSWER] = answer
                answers[i, end] = answer
                rejected = answer & ACTION_MASK == _REJECT
                maybe |= answer & ACTION_MASK == _UNKNOWN
                if end == 0:
                    live_egress = live
                else:
                    live_ingress = live
            if rejected or kind == KIND_LATER:
                continue
            for end in range(2):
                connection = np.int64(flow[HOT_CONNECTION + end])
                if connection >= 0:
                    live = live_egress if end == 0 else live_ingress
                    rules = np.int64(flow[HOT_RULES + end])
                    _remember(state, kind, rules, connection, live, now, tcp_flags, end == 0, maybe, options)
