"""What records leave behind in their connection: who began, when it may have closed, what else they show."""

from __future__ import annotations

from sgsim.kernels._jit import helper
from sgsim.kernels._memory import get_i32, get_i64, put_i32
from sgsim.kernels.joining_layout import (
    ALIVE,
    ANEW,
    BIT_FRAGMENT,
    BIT_MAY_CLOSE,
    BIT_OPENS,
    BIT_PASSES,
    FIN,
    FLOW_BITS,
    FLOW_RULES,
    FLOW_WORDS,
    JOIN_CLOSE_FROM,
    JOIN_CLOSE_TO,
    JOIN_CLOSED,
    JOIN_ENDED,
    JOIN_ESTABLISHED,
    JOIN_EVIDENCE,
    JOIN_KIND,
    JOIN_LAST,
    JOIN_MURKY,
    JOIN_OPENER,
    JOIN_OPENER_OPENS,
    JOIN_OPENER_RULES,
    KIND_TCP,
    LIMIT_CLOSING,
    LIMIT_LEAST,
    NEVER,
    NO_FLAGS,
    OPTION_MIDSTREAM,
    REJECT,
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
    TIE_TIME,
    TIE_UNTOLD,
)
from sgsim.kernels.joining_life import clear, is_gone, kind_in, life_of, opener_of, quiet_since
from sgsim.kernels.tracking_layout import Number


@helper
def _note_tie(connection: Number, direction: Number, flags: Number, now: Number) -> None:
    """A record that is not rejected begins in this second."""
    if get_i32(connection, TIE_TIME) != now:
        put_i32(connection, TIE_TIME, now)
        for word in (TIE_COUNT, TIE_FLAGS, TIE_UNTOLD):
            put_i32(connection, word, 0)
            put_i32(connection, word + 1, 0)
    put_i32(connection, TIE_COUNT + direction, get_i32(connection, TIE_COUNT + direction) + 1)
    if flags < 0:
        put_i32(connection, TIE_UNTOLD + direction, get_i32(connection, TIE_UNTOLD + direction) + 1)
    else:
        put_i32(connection, TIE_FLAGS + direction, get_i32(connection, TIE_FLAGS + direction) | flags)


@helper
def _renew(connection: Number, direction: Number, flags: Number, start: Number, limits: Number) -> None:
    """A record that opens connections: what was known of one that may have ended before holds no more."""
    tcp = get_i32(connection, JOIN_KIND) == KIND_TCP
    if -1 < get_i32(connection, JOIN_CLOSE_TO) < start - get_i64(limits, LIMIT_CLOSING) - 1:
        put_i32(connection, JOIN_CLOSE_FROM, NEVER)
        put_i32(connection, JOIN_CLOSE_TO, -1)
        put_i32(connection, JOIN_CLOSED, 0)
        put_i32(connection, SIDE_FIN, -1)
        put_i32(connection, SIDE_WORDS + SIDE_FIN, -1)
    if life_of(connection, limits, direction, start, flags if tcp else NO_FLAGS) != ALIVE:
        put_i32(connection, JOIN_ESTABLISHED, 0)
        for side in range(2):
            put_i32(connection, side * SIDE_WORDS + SIDE_FIRST, -1)
            put_i32(connection, side * SIDE_WORDS + SIDE_DATA, 0)
    if tcp and flags >= 0 and not flags & SYN and quiet_since(connection) < 0:
        put_i32(connection, JOIN_ESTABLISHED, 1)


@helper
def remember(
    connection: Number, direction: Number, bits: Number, flags: Number, start: Number, end: Number, accepted: Number,
    opens: Number,
) -> None:  # fmt: skip
    """Take note of a record that was not rejected. The order of those of one second makes no difference."""
    side = connection + 4 * SIDE_WORDS * direction
    # Once it rests on a maybe it stays so: order within a second must not matter.
    if opens == 1 or (opens == 2 and get_i32(side, SIDE_OPENED) == 0):
        put_i32(side, SIDE_OPENED, opens)
    put_i32(side, SIDE_START, start)
    put_i32(side, SIDE_END, max(get_i32(side, SIDE_END), end))
    if get_i32(side, SIDE_FIRST) < 0:
        put_i32(side, SIDE_FIRST, start)
    if kind_in(bits) == KIND_TCP:
        _note_closing(connection, side, flags, start, end, accepted)
    elif bits >> BIT_MAY_CLOSE & 1:
        _may_close(connection, start, end)


@helper
def _note_closing(
    connection: Number, side: Number, flags: Number, start: Number, end: Number, accepted: Number
) -> None:
    """RST, or FIN of both directions; where nobody tells of flags, any record may have closed it."""
    if flags < 0 or flags & RST or (flags & FIN and not accepted):
        _may_close(connection, start, end)
        if flags >= 0 and flags & RST and accepted:
            put_i32(connection, JOIN_CLOSED, 1)
    elif flags & FIN and get_i32(side, SIDE_FIN) < 0:
        put_i32(side, SIDE_FIN, start)
    here, there = get_i32(connection, SIDE_FIN), get_i32(connection, SIDE_WORDS + SIDE_FIN)
    if here >= 0 and there >= 0:
        _may_close(connection, max(here, there), quiet_since(connection))
        put_i32(connection, JOIN_CLOSED, 1)


@helper
def opens_of(bits: Number, flags: Number, accepted: Number, options: Number) -> Number:
    """Whether a record opens a connection that lets replies in: 0 no, 1 maybe, 2 surely."""
    opens = bits >> BIT_OPENS & 3
    midstream = options & OPTION_MIDSTREAM and kind_in(bits) == KIND_TCP and (flags < 0 or flags & SYN_ACK != SYN)
    return min(opens, 1) if midstream and not accepted else opens


@helper
def _may_close(connection: Number, start: Number, end: Number) -> None:
    put_i32(connection, JOIN_CLOSE_FROM, min(get_i32(connection, JOIN_CLOSE_FROM), start))
    put_i32(connection, JOIN_CLOSE_TO, max(get_i32(connection, JOIN_CLOSE_TO), end))


@helper
def anew_of(connection: Number, limits: Number, length: Number) -> Number:
    """ANEW if a TCP connection may have ended before the last packet that is known of it, or idled away during a
    record of so many seconds: then either side may have opened another."""
    closed = get_i32(connection, JOIN_CLOSE_FROM)
    ended = closed != NEVER and quiet_since(connection) + 1 > closed + get_i64(limits, LIMIT_CLOSING)
    return ANEW if ended or length + 1 > get_i64(limits, LIMIT_LEAST) else 0


@helper
def _settle(connection: Number, pair: Number, now: Number) -> None:
    """Note who began, once for a connection."""
    if get_i32(connection, TIE_TIME) != now or get_i32(connection, JOIN_OPENER) >= 0:
        return
    opener, evidence, by_record = opener_of(connection, pair)
    put_i32(connection, JOIN_OPENER, opener)
    put_i32(connection, JOIN_EVIDENCE, evidence)
    if by_record:
        flow = pair + 4 * FLOW_WORDS * opener
        put_i32(connection, JOIN_OPENER_RULES, get_i32(flow, FLOW_RULES))
        put_i32(connection, JOIN_OPENER_OPENS, get_i32(flow, FLOW_BITS) >> BIT_OPENS & 3)


@helper
def look_at(connection: Number, bits: Number, direction: Number, flags: Number, now: Number, limits: Number) -> None:
    """A record, before any of its second is answered."""
    if is_gone(connection, limits, now):
        clear(connection)
    passes = bits >> BIT_PASSES & 3 != REJECT and not bits >> BIT_FRAGMENT & 1
    if passes and now >= get_i32(connection, JOIN_LAST):
        _note_tie(connection, direction, flags if kind_in(bits) == KIND_TCP else NO_FLAGS, now)


@helper
def go_on(
    connection: Number, pair: Number, direction: Number, flags: Number, now: Number, end: Number, action: Number,
    limits: Number,
) -> Number:  # fmt: skip
    """A record, after all of its second are answered; returns 1 for a late one."""
    bits = get_i32(pair, FLOW_WORDS * direction + FLOW_BITS)
    if now < get_i32(connection, JOIN_LAST):
        put_i32(connection, JOIN_MURKY, 1)
        return 1
    put_i32(connection, JOIN_LAST, now)
    if flags >= 0 and kind_in(bits) == KIND_TCP:
        if flags & (FIN | RST):
            put_i32(connection, JOIN_ENDED, end)
        elif flags & SYN and get_i32(connection, JOIN_ENDED) < now:  # not the SYN-ACK beside the end of its own second
            put_i32(connection, JOIN_ENDED, -1)
    _settle(connection, pair, now)
    if bits >> BIT_OPENS & 3 and action != REJECT and not bits >> BIT_FRAGMENT & 1:
        _renew(connection, direction, flags, now, limits)
    return 0


@helper
def new_connection(connection: Number) -> None:
    """A connection that was not there before, at an address."""
    clear(connection)
    put_i32(connection, JOIN_LAST, -1)
    put_i32(connection, TIE_TIME, -2)
    put_i32(connection, JOIN_ENDED, -1)
