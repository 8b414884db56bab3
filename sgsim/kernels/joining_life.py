"""What is known of a connection: who opened it, and whether it still lets replies in.

Connections, log flows and limits are addresses, of rows as in `joining_layout`.
"""

from __future__ import annotations

from sgsim.kernels._jit import helper
from sgsim.kernels._memory import get_i32, get_i64, put_i32
from sgsim.kernels.joining_layout import (
    ALIVE,
    BIT_KIND,
    BIT_PORTS,
    BY_NOTHING,
    BY_ORDER,
    BY_PORTS,
    BY_SYN,
    BY_SYN_ACK,
    DEAD,
    FLOW_BITS,
    JOIN_CLOSE_FROM,
    JOIN_CLOSE_TO,
    JOIN_CLOSED,
    JOIN_ESTABLISHED,
    JOIN_EVIDENCE,
    JOIN_INTERFACE,
    JOIN_KIND,
    JOIN_MURKY,
    JOIN_OPENER,
    JOIN_OPENER_OPENS,
    JOIN_OPENER_RULES,
    LATEST,
    LIMIT_CLOSING,
    LIMIT_HALF_OPEN,
    LIMIT_LEAST,
    LIMIT_MOST,
    NEVER,
    NOT_TOLD,
    RST,
    SIDE_DATA,
    SIDE_END,
    SIDE_FIN,
    SIDE_FIRST,
    SIDE_OPENED,
    SIDE_START,
    SIDE_WORDS,
    SYN,
    SYN_ACK,
    TIE_COUNT,
    TIE_FLAGS,
    TIE_UNTOLD,
    UNSURE,
)
from sgsim.kernels.tracking_layout import Number


@helper
def first_by_flags(here: Number, there: Number) -> Number:
    """1 if the packets with the flags `here` came first, -1 those with `there`, 0 if flags (< 0: none) do not say."""
    if here < 0 or there < 0:
        return 0
    here_syn, there_syn = here & SYN_ACK == SYN, there & SYN_ACK == SYN
    if here_syn and (there & SYN_ACK == SYN_ACK or (there & RST and not there & SYN)):
        return 1
    if there_syn and (here & SYN_ACK == SYN_ACK or (here & RST and not here & SYN)):
        return -1
    return 0


@helper
def clear(connection: Number) -> None:
    """A connection of which nothing is known."""
    for side in range(2):
        at = side * SIDE_WORDS
        put_i32(connection, at + SIDE_OPENED, 0)
        for word in (SIDE_FIRST, SIDE_START, SIDE_END, SIDE_FIN):
            put_i32(connection, at + word, -1)
        put_i32(connection, at + SIDE_DATA, 0)
    put_i32(connection, JOIN_CLOSE_FROM, NEVER)
    for word in (JOIN_CLOSE_TO, JOIN_OPENER, JOIN_OPENER_RULES):
        put_i32(connection, word, -1)
    for word in (JOIN_CLOSED, JOIN_ESTABLISHED, JOIN_OPENER_OPENS, JOIN_EVIDENCE, JOIN_MURKY):
        put_i32(connection, word, 0)


@helper
def kind_in(bits: Number) -> Number:
    return bits >> BIT_KIND & 3


@helper
def limits_of(connection: Number, limits: Number) -> Number:
    """The address of the limits of a connection."""
    return limits + 32 * (4 * get_i32(connection, JOIN_INTERFACE) + get_i32(connection, JOIN_KIND))


@helper
def quiet_since(connection: Number) -> Number:
    """The end of a connection's last record, -1 if there is none."""
    return max(get_i32(connection, SIDE_END), get_i32(connection, SIDE_WORDS + SIDE_END))


@helper
def is_gone(connection: Number, limits: Number, now: Number) -> Number:
    """Whether nothing that came before can matter."""
    quiet = quiet_since(connection)
    if quiet < 0:
        return get_i32(connection, JOIN_MURKY) == 0
    if now > quiet + 1 + get_i64(limits, LIMIT_MOST):
        return True
    return get_i32(connection, JOIN_CLOSED) != 0 and now > quiet + 1 + get_i64(limits, LIMIT_CLOSING)


@helper
def life_of(connection: Number, limits: Number, opener: Number, now: Number, flags: Number) -> Number:
    """Whether what `opener` opened lets replies in at the second `now`; `flags`: TCP's, NO_FLAGS for others."""
    side = connection + 4 * SIDE_WORDS * opener
    opened = get_i32(side, SIDE_OPENED)
    if opened == 0:
        return UNSURE if get_i32(connection, JOIN_MURKY) else DEAD
    end = get_i32(side, SIDE_END)
    seen = end if end < now else get_i32(side, SIDE_START)
    answered = get_i32(connection, (1 - opener) * SIDE_WORDS + SIDE_FIRST)
    established = get_i32(connection, JOIN_ESTABLISHED) != 0 or -1 < answered < seen
    established = established or (get_i32(side, SIDE_DATA) != 0 and -1 < answered <= seen)
    least = get_i64(limits, LIMIT_LEAST if established else LIMIT_HALF_OPEN)
    # A SYN on a connection that is closing asks for a new one, and where flags are not told any packet may be one.
    may_ask = flags == NOT_TOLD or (flags >= 0 and flags & SYN != 0)
    closing = 0 if may_ask else get_i64(limits, LIMIT_CLOSING)
    if opened == 2 and now + 1 <= get_i32(connection, JOIN_CLOSE_FROM) + closing and now + 1 - seen <= least:
        return ALIVE
    return UNSURE


@helper
def opener_of(connection: Number, pair: Number) -> Number:
    """Who opened a connection whose first records come in this second: side (-1: nobody knows), evidence, whether by
    a record of that side. `pair` is the address of its two log flows."""
    here, there = get_i32(connection, TIE_COUNT), get_i32(connection, TIE_COUNT + 1)
    if here == 0 and there == 0:
        return -1, BY_NOTHING, False
    told = get_i32(connection, TIE_UNTOLD) + get_i32(connection, TIE_UNTOLD + 1) == 0
    if here and there:
        first = 0
        if told:
            first = first_by_flags(get_i32(connection, TIE_FLAGS), get_i32(connection, TIE_FLAGS + 1))
        evidence = BY_SYN if first else BY_PORTS
        if first == 0:
            first = (get_i32(pair, FLOW_BITS) >> BIT_PORTS & 3) - 1
        if first == 0:
            return -1, BY_NOTHING, False
        return 0 if first == 1 else 1, evidence, True
    side = 0 if here else 1
    flags = get_i32(connection, TIE_FLAGS + side)
    if told and flags & SYN_ACK == SYN_ACK:
        return 1 - side, BY_SYN_ACK, False
    return side, BY_SYN if told and flags & SYN_ACK == SYN else BY_ORDER, True


@helper
def seconds_since(base: Number, seconds: Number) -> Number:
    """Seconds since the base, within what 32 bits hold with room for limits."""
    return min(max(seconds - base, 1), LATEST)
