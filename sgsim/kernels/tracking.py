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
    ACCOUNT_FLOW,
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
    HEAD_FLAGS_SHIFT,
    HEAD_KIND,
    HEAD_PACKETS_SHIFT,
    HOT_ANSWER,
    HOT_BYTES,
    HOT_CONNECTION,
    HOT_FIRST,
    HOT_HEAD,
    HOT_LAST,
    HOT_RULES,
    HOT_START,
    HOT_WORDS,
    INITIATING_SHIFT,
    KIND_LATER,
    KIND_OTHER,
    KIND_REPLY,
    KIND_TCP,
    KIND_UDP,
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
    TOTALS_PATH,
    TOTALS_UNSEEN,
    UNTRACKED,
    Accounts,
    Number,
    Packets,
    TrackingState,
)

_BLOCK = 64  # with 256, what is prefetched last drives out of the L1 cache what is needed first: a third slower
_REJECT, _ACCEPT, _UNKNOWN = 0, 1, 2  # Verdict
_TRACKED, _UNFILTERED, _EXEMPT, _UNRESOLVED = 2, 3, 4, 7  # Reason
_FIRST_FRAGMENT = 1
_SURER = MAYBE | UNTRACKED | CLOSING
_FIN, _SYN, _RST, _SYN_ALONE = 1, 2, 4, 23  # a SYN that opens has none of the other bits of 23: FIN, RST, ACK


@helper
def _by_rules(code: Number, rules: Number, initiating: Number) -> Number:
    """The answer where the rules of the packet's own direction decide; `code` is `codes[rules]`."""
    return (code & ((1 << CODE_UNTRACKED_SHIFT) - 1)) | (initiating << INITIATING_SHIFT) | (rules << RULES_SHIFT)


@helper
def _by_state(flags: Number, rests_on: Number, initiating: Number) -> Number:
    """The answer where the connection lets the packet through, surely or maybe."""
    verdict = (_UNKNOWN | (_UNRESOLVED << REASON_SHIFT)) if flags & MAYBE else (_ACCEPT | (_TRACKED << REASON_SHIFT))
    return verdict | (initiating << INITIATING_SHIFT) | (rests_on << RULES_SHIFT)


@helper
def _as_reply(code: Number, rules: Number, flags: Number, rests_on: Number) -> Number:
    """A reply: let through by the connection, or, where that is only a maybe, by its own rules if they can (§9.2)."""
    if flags & MAYBE and code & ACTION_MASK == _ACCEPT:
        return _by_rules(code, rules, 1)
    return _by_state(flags, rests_on, 0)


@helper
def _on_connection(code: Number, rules: Number, flags: Number, rests_on: Number, egress: Number) -> Number:
    """The answer to a packet of a live connection (§9.3)."""
    initiating = 1 if ((flags & BY_EGRESS) != 0) == egress else 0
    if flags & UNTRACKED or (code >> REASON_SHIFT) & REASON_MASK == _UNFILTERED:
        return _by_rules(code, rules, initiating)
    if not initiating:
        return _as_reply(code, rules, flags, rests_on)
    action = code & ACTION_MASK
    if action == _ACCEPT or (action == _UNKNOWN and flags & MAYBE):
        return _by_rules(code, rules, 1)
    return _by_state(flags, rests_on, 1)


@helper
def _is_unconditional(code: Number) -> Number:
    """Whether neither rules nor connections matter to the packet: EXEMPT or UNFILTERED."""
    reason = (code >> REASON_SHIFT) & REASON_MASK
    return _UNFILTERED <= reason <= _EXEMPT


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
def _opened(kind: Number, code: Number, tcp_flags: Number, egress: Number, maybe: Number) -> Number:
    """The flags of a new connection."""
    flags = np.int64(OPEN)
    if egress:
        flags |= BY_EGRESS
    if maybe:
        flags |= MAYBE
    if code >> CODE_UNTRACKED_SHIFT:
        flags |= UNTRACKED
    if kind == KIND_TCP:
        if tcp_flags & _SYN_ALONE == _SYN:
            flags |= HALF_OPEN
        flags = _after_tcp(flags, tcp_flags, egress)
    return flags


@helper
def _advanced(kind: Number, flags: Number, tcp_flags: Number, egress: Number) -> Number:
    """The flags of a connection after one more of its packets."""
    if kind == KIND_TCP:
        flags = _after_tcp(flags, tcp_flags, egress)
    if ((flags & BY_EGRESS) != 0) != egress:
        flags |= REPLIED
    elif flags & REPLIED:
        flags |= STREAM
        flags &= ~HALF_OPEN
    return flags


@helper
def _rest_anew(flags: Number, code: Number, maybe: Number) -> Number:
    """The flags of a connection that rests on another packet's rules from now on."""
    flags &= ~(MAYBE | UNTRACKED)
    return flags | (MAYBE if maybe else 0) | (UNTRACKED if code >> CODE_UNTRACKED_SHIFT else 0)


@helper
def path_of(egress: Number, ingress: Number) -> Number:
    """The conjunction of the two ends' actions: REJECT (0) beats UNKNOWN (2) beats ACCEPT (1)."""
    first = np.int64(1 if egress == NO_ANSWER else egress & ACTION_MASK)
    second = np.int64(1 if ingress == NO_ANSWER else ingress & ACTION_MASK)
    return first * second if first * second == 0 else max(first, second)


@kernel
def track(
    packets: Packets,
    state: TrackingState,
    fragment_rows: npt.NDArray[np.int32],
    quoted_rows: npt.NDArray[np.int32],
    options: int,
    first: int,
    answers: npt.NDArray[np.int32],
    accounts: Accounts,
) -> Any:
    """Answer packets `first` …, in order, at both of their ends.

    Into `answers` (int32[n, 2]: egress, ingress); or, if that is empty, into the accounts of their micro-flows, up to
    the first packet outside the interval. Returns how many packets are done; `accounts` has room for one more each.
    `fragment_rows` (int32[n, 2]) are rows of `state.fragments` for packets that are fragments, and may be empty if
    none is; `quoted_rows` (int32[n, 2]) the connections that ICMP errors quote, -1 for none, and may be empty.

    Helpers take and return numbers only: with arrays as arguments, let alone tuples of them, reference counting
    made this loop four times slower.
    """
    flow, time, flags_of, fragment_of = packets.flow, packets.time, packets.tcp_flags, packets.fragment
    hot, halves, connections, fragments = state.hot, state.halves, state.connections, state.fragments
    codes, limits, length = state.codes, state.limits, packets.length
    active, closed, counts, totals = accounts.active, accounts.closed, accounts.counts, accounts.totals
    low, high, same = accounts.interval[0], accounts.interval[1], accounts.interval[2]
    active_count, closed_count, number = counts[0], counts[1], counts[2]
    n = flow.shape[0]
    any_quoted, accounting = quoted_rows.shape[0] > 0, answers.shape[0] == 0
    done = n
    for at in range(first, n, _BLOCK):
        stop = min(at + _BLOCK, n)
        for i in range(at, stop):
            prefetch(hot, np.int64(flow[i]) * HOT_WORDS)
        for i in range(at, stop):
            for end in range(2):
                row = np.int64(halves[flow[i], HOT_CONNECTION + end])
                if row >= 0:
                    prefetch(connections, row * CONNECTION_WORDS)
        for i in range(at, stop):
            of, now = np.int64(flow[i]), time[i]
            if accounting and (now < low or now >= high):
                done = i
                break
            head = hot[of, HOT_HEAD]
            kind = head & HEAD_KIND
            number += 1
            at_egress = at_ingress = np.int64(NO_ANSWER)
            tcp_flags = np.int64(flags_of[i])
            syn = kind == KIND_TCP and tcp_flags & _SYN_ALONE == _SYN
            refused = kind == KIND_TCP and not syn and options & OPTION_REJECT_MIDSTREAM != 0
            fragment = fragment_of[i]
            live_at_egress = live_at_ingress = False
            rejected = maybe = False
            for end in range(2):
                rules = np.int64(halves[of, HOT_RULES + end])
                if rules < 0 or rejected:
                    continue
                egress = end == 0
                code = np.int64(codes[rules])
                connection = np.int64(halves[of, HOT_CONNECTION + end])
                quoted = np.int64(quoted_rows[i, end]) if any_quoted else np.int64(-1)
                answer = _by_rules(code, rules, 1)
                if connection >= 0:
                    flags = connections[connection, CONNECTION_FLAGS]
                    live = flags & OPEN != 0 and now <= connections[connection, CONNECTION_DEADLINE]
                    if syn and flags & CLOSING:
                        live = False  # a new connection on the ports of one that is ending (§9.12)
                    if live:
                        answer = _on_connection(code, rules, flags, connections[connection, CONNECTION_RULES], egress)
                        if egress:
                            live_at_egress = True
                        else:
                            live_at_ingress = True
                    elif refused and not _is_unconditional(code):
                        answer = _by_rules(np.int64(codes[0]), 0, 1)
                elif kind == KIND_LATER:
                    row = np.int64(fragment_rows[i, end])
                    if row >= 0 and now - fragments[row, FRAGMENT_TIME] <= limits[0, LIMIT_FRAGMENT]:
                        answer = fragments[row, FRAGMENT_ANSWER]
                elif quoted >= 0 and not _is_unconditional(code):
                    flags = connections[quoted, CONNECTION_FLAGS]
                    live = flags & OPEN != 0 and now <= connections[quoted, CONNECTION_DEADLINE]
                    if live and not flags & UNTRACKED:
                        answer = _as_reply(code, rules, flags, connections[quoted, CONNECTION_RULES])
                if fragment == _FIRST_FRAGMENT:
                    row = np.int64(fragment_rows[i, end])
                    if row >= 0:
                        fragments[row, FRAGMENT_TIME] = now
                        fragments[row, FRAGMENT_ANSWER] = answer
                if egress:
                    at_egress = answer
                else:
                    at_ingress = answer
                rejected = answer & ACTION_MASK == _REJECT
                maybe |= answer & ACTION_MASK == _UNKNOWN

            if not accounting:
                answers[i, 0], answers[i, 1] = at_egress, at_ingress
            elif at_egress == NO_ANSWER and at_ingress == NO_ANSWER:
                totals[TOTALS_UNSEEN, 0] += 1
            else:
                for answer in (at_egress, at_ingress):
                    if answer != NO_ANSWER:
                        totals[(answer >> REASON_SHIFT) & REASON_MASK, answer & ACTION_MASK] += 1
                totals[TOTALS_PATH, path_of(at_egress, at_ingress)] += 1
                logged = (tcp_flags & 7) | (16 if tcp_flags & 18 == 18 else 0)  # SYN-ACK; ACK alone is not logged
                fresh = head >> HEAD_PACKETS_SHIFT == 0
                if fresh:
                    active[active_count] = of
                    active_count += 1
                elif (halves[of, HOT_ANSWER] ^ at_egress) & same or (halves[of, HOT_ANSWER + 1] ^ at_ingress) & same:
                    for word in range(HOT_WORDS):
                        closed[closed_count, word] = hot[of, word]
                    closed[closed_count, ACCOUNT_FLOW] = of
                    closed_count += 1
                    fresh = True
                if fresh:
                    hot[of, HOT_HEAD] = kind | (logged << HEAD_FLAGS_SHIFT) | (1 << HEAD_PACKETS_SHIFT)
                    hot[of, HOT_BYTES] = length[i]
                    hot[of, HOT_START] = now
                    hot[of, HOT_LAST] = now
                    hot[of, HOT_FIRST] = number
                    halves[of, HOT_ANSWER] = at_egress
                    halves[of, HOT_ANSWER + 1] = at_ingress
                else:
                    hot[of, HOT_HEAD] = (head | (logged << HEAD_FLAGS_SHIFT)) + (1 << HEAD_PACKETS_SHIFT)
                    hot[of, HOT_BYTES] += length[i]
                    hot[of, HOT_START] = min(hot[of, HOT_START], now)
                    hot[of, HOT_LAST] = max(hot[of, HOT_LAST], now)

            if rejected:
                continue  # a packet rejected at either end opens, refreshes and closes state at neither (§9.1)
            for end in range(2):
                connection = np.int64(halves[of, HOT_CONNECTION + end])
                if connection < 0:
                    continue
                egress = end == 0
                rules = np.int64(halves[of, HOT_RULES + end])
                code = np.int64(codes[rules])
                flags = connections[connection, CONNECTION_FLAGS]
                accepted = code & ACTION_MASK == _ACCEPT
                opens = not (live_at_egress if egress else live_at_ingress)
                if opens:
                    if kind == KIND_REPLY:
                        continue
                    flags = _opened(kind, code, tcp_flags, egress, maybe)
                elif syn and not flags & (HALF_OPEN | CLOSING):
                    continue  # a SYN on an established connection changes nothing (§9.12)
                elif ((flags & BY_EGRESS) != 0) == egress:
                    if accepted and (flags & UNTRACKED or (flags & MAYBE and not maybe)):
                        flags = _rest_anew(flags, code, maybe)
                        connections[connection, CONNECTION_RULES] = rules
                elif accepted and not maybe and flags & _SURER == MAYBE and kind != KIND_REPLY:
                    opens = True  # an answer that its own rules accept opens a sure connection (§9.2)
                    flags = _opened(kind, code, tcp_flags, egress, False)
                fixed = False  # whether the deadline was set by an earlier packet for good
                if opens:
                    connections[connection, CONNECTION_RULES] = rules
                else:
                    fixed = flags & CLOSING or (kind == KIND_OTHER and not options & OPTION_OTHER_REFRESH)
                    flags = _advanced(kind, flags, tcp_flags, egress)
                connections[connection, CONNECTION_FLAGS] = flags
                if not fixed:
                    row = connections[connection, CONNECTION_LIMITS]
                    connections[connection, CONNECTION_DEADLINE] = now + limits[row, _limit(kind, flags)]
        if done < n:
            break
    counts[0], counts[1], counts[2] = active_count, closed_count, number
    return done
