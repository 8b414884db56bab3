"""Flow-log records to log flows, and log flows in time: who opened a connection, and what is surely said of a record.

`sgsim.reference.flowlog` says the same in plain Python; the two are tested against each other record by record.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel
from sgsim.kernels._memory import address_of, get_i32, get_i64, prefetch, put_i32
from sgsim.kernels.joining_layout import (
    AFTER_CLOSE,
    ANEW,
    BIT_CODE,
    BIT_COUNTED,
    BIT_FRAGMENT,
    BIT_KIND,
    BIT_MAY_CLOSE,
    BIT_OPENS,
    BIT_PASSES,
    BIT_PORTS,
    BIT_POSSIBLE,
    BIT_REVERSE_OPENS,
    BIT_UNPLACED,
    BY_NOTHING,
    BY_ORDER,
    BY_PORTS,
    BY_RULES,
    BY_SYN,
    BY_SYN_ACK,
    FLOW_BITS,
    FLOW_REVERSE,
    FLOW_RULES,
    FLOW_WORDS,
    JOIN_CLOSE_FROM,
    JOIN_CLOSE_TO,
    JOIN_CLOSED,
    JOIN_ENDED,
    JOIN_ESTABLISHED,
    JOIN_EVIDENCE,
    JOIN_INTERFACE,
    JOIN_KIND,
    JOIN_LAST,
    JOIN_MURKY,
    JOIN_OPENER,
    JOIN_OPENER_OPENS,
    JOIN_OPENER_RULES,
    JOIN_WORDS,
    KIND_ICMP,
    KIND_TCP,
    LARGEST_HEADERS,
    LATEST,
    LIMIT_CLOSING,
    LIMIT_HALF_OPEN,
    LIMIT_LEAST,
    LIMIT_MOST,
    NEVER,
    OPEN_QUESTION,
    OPTION_LIKELY,
    OPTION_MIDSTREAM,
    OPTION_RELATED,
    SIDE_DATA,
    SIDE_END,
    SIDE_FIN,
    SIDE_FIRST,
    SIDE_OPENED,
    SIDE_START,
    SIDE_WORDS,
    TIE_COUNT,
    TIE_FLAGS,
    TIE_TIME,
    TIE_UNTOLD,
    JoinState,
    Records,
)
from sgsim.kernels.tracking_layout import (
    INITIATING_SHIFT,
    REASON_SHIFT,
    RULES_SHIFT,
    Number,
)

_FIN, _SYN, _RST, _SYN_ACK = 1, 2, 4, 18
_REJECT, _ACCEPT, _UNKNOWN = 0, 1, 2
_RULE, _TRACKED, _UNRESOLVED = 1, 2, 7
_DEAD, _UNSURE, _ALIVE = 0, 1, 2
_NOT_TOLD, _NO_FLAGS = -1, -2  # flags that the log does not tell; of a protocol that has none
_AHEAD = 8  #: records whose connections are fetched before they are needed
_ANSWER_BITS = 63  # action and reason of a rule answer's code


@helper
def _first(here: Number, there: Number) -> Number:
    """1 if the packets with the flags `here` came first, -1 those with `there`, 0 if flags (< 0: none) do not say."""
    if here < 0 or there < 0:
        return 0
    here_syn, there_syn = here & _SYN_ACK == _SYN, there & _SYN_ACK == _SYN
    if here_syn and (there & _SYN_ACK == _SYN_ACK or (there & _RST and not there & _SYN)):
        return 1
    if there_syn and (here & _SYN_ACK == _SYN_ACK or (here & _RST and not here & _SYN)):
        return -1
    return 0


@helper
def _clear(connection: Number) -> None:
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
def _kind(bits: Number) -> Number:
    return bits >> BIT_KIND & 3


@helper
def _limits_of(connection: Number, limits: Number) -> Number:
    """The address of the limits of a connection."""
    return limits + 32 * (4 * get_i32(connection, JOIN_INTERFACE) + get_i32(connection, JOIN_KIND))


@helper
def _quiet_since(connection: Number) -> Number:
    """The end of a connection's last record, -1 if there is none."""
    return max(get_i32(connection, SIDE_END), get_i32(connection, SIDE_WORDS + SIDE_END))


@helper
def _is_gone(connection: Number, limits: Number, now: Number) -> Number:
    """Whether nothing that came before can matter."""
    quiet = _quiet_since(connection)
    if quiet < 0:
        return get_i32(connection, JOIN_MURKY) == 0
    if now > quiet + 1 + get_i64(limits, LIMIT_MOST):
        return True
    return get_i32(connection, JOIN_CLOSED) != 0 and now > quiet + 1 + get_i64(limits, LIMIT_CLOSING)


@helper
def _life(connection: Number, limits: Number, opener: Number, now: Number, flags: Number) -> Number:
    """Whether what `opener` opened lets replies in at the second `now`; `flags`: TCP's, _NO_FLAGS for others."""
    side = connection + 4 * SIDE_WORDS * opener
    opened = get_i32(side, SIDE_OPENED)
    if opened == 0:
        return _UNSURE if get_i32(connection, JOIN_MURKY) else _DEAD
    end = get_i32(side, SIDE_END)
    seen = end if end < now else get_i32(side, SIDE_START)
    answered = get_i32(connection, (1 - opener) * SIDE_WORDS + SIDE_FIRST)
    established = get_i32(connection, JOIN_ESTABLISHED) != 0 or -1 < answered < seen
    established = established or (get_i32(side, SIDE_DATA) != 0 and -1 < answered <= seen)
    least = get_i64(limits, LIMIT_LEAST if established else LIMIT_HALF_OPEN)
    # A SYN on a connection that is closing asks for a new one, and where flags are not told any packet may be one.
    may_ask = flags == _NOT_TOLD or (flags >= 0 and flags & _SYN != 0)
    closing = 0 if may_ask else get_i64(limits, LIMIT_CLOSING)
    if opened == 2 and now + 1 <= get_i32(connection, JOIN_CLOSE_FROM) + closing and now + 1 - seen <= least:
        return _ALIVE
    return _UNSURE


@helper
def _opener(connection: Number, pair: Number) -> Number:
    """Who opened a connection whose first records come in this second: side (-1: nobody knows), evidence, whether by
    a record of that side. `pair` is the address of its two log flows."""
    here, there = get_i32(connection, TIE_COUNT), get_i32(connection, TIE_COUNT + 1)
    if here == 0 and there == 0:
        return -1, BY_NOTHING, False
    told = get_i32(connection, TIE_UNTOLD) + get_i32(connection, TIE_UNTOLD + 1) == 0
    if here and there:
        first = 0
        if told:
            first = _first(get_i32(connection, TIE_FLAGS), get_i32(connection, TIE_FLAGS + 1))
        evidence = BY_SYN if first else BY_PORTS
        if first == 0:
            first = (get_i32(pair, FLOW_BITS) >> BIT_PORTS & 3) - 1
        if first == 0:
            return -1, BY_NOTHING, False
        return 0 if first == 1 else 1, evidence, True
    side = 0 if here else 1
    flags = get_i32(connection, TIE_FLAGS + side)
    if told and flags & _SYN_ACK == _SYN_ACK:
        return 1 - side, BY_SYN_ACK, False
    return side, BY_SYN if told and flags & _SYN_ACK == _SYN else BY_ORDER, True


@helper
def _own(flow: Number, initiating: Number) -> Number:
    """The answer of a record's own rules."""
    code = get_i32(flow, FLOW_BITS) >> BIT_CODE & _ANSWER_BITS
    return code | initiating << INITIATING_SHIFT | get_i32(flow, FLOW_RULES) << RULES_SHIFT


@helper
def _reply(row: Number) -> Number:
    return _ACCEPT | _TRACKED << REASON_SHIFT | row << RULES_SHIFT


@helper
def _open_question(flow: Number, bits: Number) -> Number:
    """UNKNOWN; the rules that may match are its own, or those that may have let the other direction in."""
    row = get_i32(flow, FLOW_RULES if bits >> BIT_POSSIBLE & 1 else FLOW_REVERSE)
    return _unknown(max(row, 0), bits)


@helper
def _unknown(row: Number, bits: Number) -> Number:
    """UNKNOWN with rules that may match; it does not open a connection if its ports look like a server's."""
    initiating = 1 if bits >> BIT_PORTS & 3 else 0
    return _UNKNOWN | _UNRESOLVED << REASON_SHIFT | initiating << INITIATING_SHIFT | row << RULES_SHIFT


@helper
def _accepted(
    connection: Number, pair: Number, direction: Number, flags: Number, now: Number, limits: Number, options: Number
) -> Number:
    """The answer where the rules accept the record whoever began."""
    flow = pair + 4 * FLOW_WORDS * direction
    bits = get_i32(flow, FLOW_BITS)
    fragment = bits >> BIT_FRAGMENT & 1
    midstream = options & OPTION_MIDSTREAM and _kind(bits) == KIND_TCP and (flags < 0 or flags & _SYN_ACK != _SYN)
    if (bits >> BIT_CODE >> REASON_SHIFT) & 15 != _RULE or (fragment and not midstream):
        return _own(flow, 1), BY_RULES
    if _kind(bits) == KIND_ICMP and options & OPTION_RELATED:
        return _own(flow, 1), BY_NOTHING  # an error would pass with its connection
    opener, evidence = get_i32(connection, JOIN_OPENER), get_i32(connection, JOIN_EVIDENCE)
    rules, opens = get_i32(connection, JOIN_OPENER_RULES), get_i32(connection, JOIN_OPENER_OPENS)
    if opener < 0 and get_i32(connection, TIE_TIME) == now:
        opener, evidence, by_record = _opener(connection, pair)
        rules = opens = -1
        if by_record:
            rules = get_i32(pair, FLOW_WORDS * opener + FLOW_RULES)
            opens = get_i32(pair, FLOW_WORDS * opener + FLOW_BITS) >> BIT_OPENS & 3
    if midstream:
        surely = now >= 0 and (
            _life(connection, limits, 1 - direction, now, flags) == _ALIVE
            or _life(connection, limits, direction, now, flags) == _ALIVE
        )
        if fragment or not surely:
            return _unknown(get_i32(flow, FLOW_RULES), bits), BY_NOTHING | OPEN_QUESTION
    if opener < 0 or opener == direction:
        return _own(flow, 1), evidence
    if opens == 2 and rules >= 0:
        return _reply(rules), evidence
    return _own(flow, 0), evidence


@helper
def _tied(connection: Number, flow: Number, direction: Number, flags: Number, life: Number, options: Number) -> Number:
    """The answer where both directions begin in the same second."""
    back, bits = 1 - direction, get_i32(flow, FLOW_BITS)
    there = get_i32(connection, TIE_FLAGS + back) if get_i32(connection, TIE_UNTOLD + back) == 0 else -1
    first, surely = _first(flags, there), (bits >> BIT_REVERSE_OPENS & 3) == 2
    if first == -1 and surely:
        return _reply(get_i32(flow, FLOW_REVERSE)), BY_SYN
    if first == 1 and life == _DEAD:
        return _own(flow, 1), BY_SYN
    if options & OPTION_LIKELY and first == 0:
        ports = (bits >> BIT_PORTS & 3) - 1
        if ports == 1 and life == _DEAD:
            return _own(flow, 1), BY_PORTS
        if surely:
            return _reply(get_i32(flow, FLOW_REVERSE)), BY_PORTS if ports else BY_NOTHING
    return _open_question(flow, bits), BY_NOTHING | OPEN_QUESTION


@helper
def _alone(flow: Number, flags: Number, life: Number, options: Number) -> Number:
    """The answer where nothing surely lets the record in and the other direction does not begin in its second."""
    bits = get_i32(flow, FLOW_BITS)
    ports = (bits >> BIT_PORTS & 3) - 1
    if life == _DEAD:
        if flags >= 0 and flags & _SYN_ACK == _SYN:
            return _own(flow, 1), BY_SYN
        if flags < 0 and ports == 1:
            return _own(flow, 1), BY_PORTS
    if options & OPTION_LIKELY:
        answers = flags >= 0 and flags & _SYN_ACK == _SYN_ACK
        if (bits >> BIT_REVERSE_OPENS & 3) == 2 and (life == _UNSURE or answers or ports == -1):
            return _reply(get_i32(flow, FLOW_REVERSE)), BY_SYN_ACK if answers else BY_PORTS
        if _kind(bits) != KIND_ICMP:
            return _own(flow, 1), BY_NOTHING
    return _open_question(flow, bits), BY_NOTHING | OPEN_QUESTION


@helper
def _answer(
    connection: Number, pair: Number, direction: Number, flags: Number, now: Number, limits: Number, options: Number
) -> Number:
    """The answer of one record whose interface and direction are known: word and evidence."""
    flow, late = pair + 4 * FLOW_WORDS * direction, now < get_i32(connection, JOIN_LAST)
    bits = get_i32(flow, FLOW_BITS)
    if bits >> BIT_CODE & 3 == _ACCEPT:
        return _accepted(connection, pair, direction, flags, -1 if late else now, limits, options)
    if bits >> BIT_FRAGMENT & 1:
        return _unknown(get_i32(flow, FLOW_RULES), bits), BY_NOTHING
    if _kind(bits) == KIND_ICMP and options & OPTION_RELATED:
        return _open_question(flow, bits), BY_NOTHING | OPEN_QUESTION
    if bits >> BIT_REVERSE_OPENS & 3 == 0:
        return _own(flow, 1), BY_RULES
    if late:
        return _open_question(flow, bits), BY_NOTHING | OPEN_QUESTION
    told = flags if _kind(bits) == KIND_TCP else _NO_FLAGS
    life = _life(connection, limits, 1 - direction, now, told)
    if life == _ALIVE:
        return _reply(get_i32(flow, FLOW_REVERSE)), get_i32(connection, JOIN_EVIDENCE)
    if get_i32(connection, TIE_TIME) == now and get_i32(connection, TIE_COUNT + 1 - direction) > 0:
        return _tied(connection, flow, direction, told, life, options)
    return _alone(flow, told, life, options)


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
    if _life(connection, limits, direction, start, flags if tcp else _NO_FLAGS) != _ALIVE:
        put_i32(connection, JOIN_ESTABLISHED, 0)
        for side in range(2):
            put_i32(connection, side * SIDE_WORDS + SIDE_FIRST, -1)
            put_i32(connection, side * SIDE_WORDS + SIDE_DATA, 0)
    if tcp and flags >= 0 and not flags & _SYN and _quiet_since(connection) < 0:
        put_i32(connection, JOIN_ESTABLISHED, 1)


@helper
def _remember(
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
    if _kind(bits) == KIND_TCP:
        _note_closing(connection, side, flags, start, end, accepted)
    elif bits >> BIT_MAY_CLOSE & 1:
        _may_close(connection, start, end)


@helper
def _note_closing(
    connection: Number, side: Number, flags: Number, start: Number, end: Number, accepted: Number
) -> None:
    """RST, or FIN of both directions; where nobody tells of flags, any record may have closed it."""
    if flags < 0 or flags & _RST or (flags & _FIN and not accepted):
        _may_close(connection, start, end)
        if flags >= 0 and flags & _RST and accepted:
            put_i32(connection, JOIN_CLOSED, 1)
    elif flags & _FIN and get_i32(side, SIDE_FIN) < 0:
        put_i32(side, SIDE_FIN, start)
    here, there = get_i32(connection, SIDE_FIN), get_i32(connection, SIDE_WORDS + SIDE_FIN)
    if here >= 0 and there >= 0:
        _may_close(connection, max(here, there), _quiet_since(connection))
        put_i32(connection, JOIN_CLOSED, 1)


@helper
def _opens(bits: Number, flags: Number, accepted: Number, options: Number) -> Number:
    """Whether a record opens a connection that lets replies in: 0 no, 1 maybe, 2 surely."""
    opens = bits >> BIT_OPENS & 3
    midstream = options & OPTION_MIDSTREAM and _kind(bits) == KIND_TCP and (flags < 0 or flags & _SYN_ACK != _SYN)
    return min(opens, 1) if midstream and not accepted else opens


@helper
def _may_close(connection: Number, start: Number, end: Number) -> None:
    put_i32(connection, JOIN_CLOSE_FROM, min(get_i32(connection, JOIN_CLOSE_FROM), start))
    put_i32(connection, JOIN_CLOSE_TO, max(get_i32(connection, JOIN_CLOSE_TO), end))


@helper
def _anew(connection: Number, limits: Number, length: Number) -> Number:
    """ANEW if a TCP connection may have ended before the last packet that is known of it, or idled away during a
    record of so many seconds: then either side may have opened another."""
    closed = get_i32(connection, JOIN_CLOSE_FROM)
    ended = closed != NEVER and _quiet_since(connection) + 1 > closed + get_i64(limits, LIMIT_CLOSING)
    return ANEW if ended or length + 1 > get_i64(limits, LIMIT_LEAST) else 0


@helper
def _settle(connection: Number, pair: Number, now: Number) -> None:
    """Note who began, once for a connection."""
    if get_i32(connection, TIE_TIME) != now or get_i32(connection, JOIN_OPENER) >= 0:
        return
    opener, evidence, by_record = _opener(connection, pair)
    put_i32(connection, JOIN_OPENER, opener)
    put_i32(connection, JOIN_EVIDENCE, evidence)
    if by_record:
        flow = pair + 4 * FLOW_WORDS * opener
        put_i32(connection, JOIN_OPENER_RULES, get_i32(flow, FLOW_RULES))
        put_i32(connection, JOIN_OPENER_OPENS, get_i32(flow, FLOW_BITS) >> BIT_OPENS & 3)


@helper
def _since(base: Number, seconds: Number) -> Number:
    """Seconds since the base, within what 32 bits hold with room for limits."""
    return min(max(seconds - base, 1), LATEST)


@helper
def _look(connection: Number, bits: Number, direction: Number, flags: Number, now: Number, limits: Number) -> None:
    """A record, before any of its second is answered."""
    if _is_gone(connection, limits, now):
        _clear(connection)
    passes = bits >> BIT_PASSES & 3 != _REJECT and not bits >> BIT_FRAGMENT & 1
    if passes and now >= get_i32(connection, JOIN_LAST):
        _note_tie(connection, direction, flags if _kind(bits) == KIND_TCP else _NO_FLAGS, now)


@helper
def _go_on(
    connection: Number, pair: Number, direction: Number, flags: Number, now: Number, end: Number, action: Number,
    limits: Number,
) -> Number:  # fmt: skip
    """A record, after all of its second are answered; returns 1 for a late one."""
    bits = get_i32(pair, FLOW_WORDS * direction + FLOW_BITS)
    if now < get_i32(connection, JOIN_LAST):
        put_i32(connection, JOIN_MURKY, 1)
        return 1
    put_i32(connection, JOIN_LAST, now)
    if flags >= 0 and _kind(bits) == KIND_TCP:
        if flags & (_FIN | _RST):
            put_i32(connection, JOIN_ENDED, end)
        elif flags & _SYN:
            put_i32(connection, JOIN_ENDED, -1)
    _settle(connection, pair, now)
    if bits >> BIT_OPENS & 3 and action != _REJECT and not bits >> BIT_FRAGMENT & 1:
        _renew(connection, direction, flags, now, limits)
    return 0


@kernel
def join(
    records: Records,
    state: JoinState,
    options: int,
    words: npt.NDArray[np.int32],
    evidence: npt.NDArray[np.uint8],
) -> Any:
    """Answer records in the order of their start; returns how many were late. `evidence` gets the bits of the layout.

    Records of one second do not tell which came first, so that all are looked at before any is answered, and all are
    answered before any is remembered. A late record begins before one of its connection that was answered earlier: it
    is answered by what holds at any time, and leaves the connection murky.
    """
    flow, starts, ends, tcp_flags = records.flow, records.start, records.end, records.tcp_flags
    packets, octets, base = records.packets, records.bytes, state.base[0]
    flows, connections, limits = address_of(state.flows), address_of(state.connections), address_of(state.limits)
    n, at, late = len(flow), 0, 0
    while at < n:
        stop = at + 1
        while stop < n and starts[stop] == starts[at]:
            stop += 1
        now = _since(base, starts[at])
        for i in range(at, min(at + _AHEAD, n)):
            prefetch(connections + 4 * JOIN_WORDS * np.int64(flow[i] >> 1))
        for i in range(at, stop):
            if i + _AHEAD < n:
                ahead = np.int64(flow[i + _AHEAD] >> 1)
                prefetch(connections + 4 * JOIN_WORDS * ahead)
                prefetch(connections + 4 * JOIN_WORDS * ahead + 64)
                prefetch(flows + 8 * FLOW_WORDS * ahead)
            number = np.int64(flow[i])
            bits, connection = (
                get_i32(flows, FLOW_WORDS * number + FLOW_BITS),
                connections + 4 * JOIN_WORDS * (number >> 1),
            )
            if not bits >> BIT_UNPLACED & 1:
                _look(connection, bits, number & 1, np.int64(tcp_flags[i]), now, _limits_of(connection, limits))
        for i in range(at, stop):
            number, flags = np.int64(flow[i]), np.int64(tcp_flags[i])
            pair, connection = flows + 8 * FLOW_WORDS * (number >> 1), connections + 4 * JOIN_WORDS * (number >> 1)
            if get_i32(pair, FLOW_WORDS * (number & 1) + FLOW_BITS) >> BIT_UNPLACED & 1:
                words[i], evidence[i] = _own(pair + 4 * FLOW_WORDS * (number & 1), 1), BY_NOTHING
                continue
            found = _limits_of(connection, limits)
            word, why = _answer(connection, pair, number & 1, flags, now, found, options)
            if get_i32(connection, JOIN_ENDED) >= 0 and not flags & _SYN:
                why |= AFTER_CLOSE
            words[i], evidence[i] = word, why
        for i in range(at, stop):
            number, flags = np.int64(flow[i]), np.int64(tcp_flags[i])
            pair, connection = flows + 8 * FLOW_WORDS * (number >> 1), connections + 4 * JOIN_WORDS * (number >> 1)
            if not get_i32(pair, FLOW_WORDS * (number & 1) + FLOW_BITS) >> BIT_UNPLACED & 1:
                found, end = _limits_of(connection, limits), _since(base, ends[i])
                late += _go_on(connection, pair, number & 1, flags, now, end, np.int64(words[i]) & 3, found)
        for i in range(at, stop):
            number, flags, action = np.int64(flow[i]), np.int64(tcp_flags[i]), np.int64(words[i]) & 3
            bits, connection = (
                get_i32(flows, FLOW_WORDS * number + FLOW_BITS),
                connections + 4 * JOIN_WORDS * (number >> 1),
            )
            passed = action != _REJECT and not bits >> BIT_FRAGMENT & 1
            if bits >> BIT_UNPLACED & 1 or not passed or now < get_i32(connection, JOIN_LAST):
                continue
            accepted, end = action == _ACCEPT, _since(base, ends[i])
            opens = _opens(bits, flags, accepted, options)
            _remember(connection, number & 1, bits, flags, now, end, accepted, opens)
            told = packets[i] >= 0 and _kind(bits) == KIND_TCP
            if told and octets[i] > LARGEST_HEADERS * packets[i]:
                put_i32(connection, (number & 1) * SIDE_WORDS + SIDE_DATA, 1)
        for i in range(at, stop):
            connection = connections + 4 * JOIN_WORDS * np.int64(flow[i] >> 1)
            if get_i32(connection, JOIN_KIND) == KIND_TCP and get_i32(connection, JOIN_INTERFACE) >= 0:
                evidence[i] |= _anew(connection, _limits_of(connection, limits), _since(base, ends[i]) - now)
        at = stop
    return late


@helper
def new_connection(connection: Number) -> None:
    """A connection that was not there before, at an address."""
    _clear(connection)
    put_i32(connection, JOIN_LAST, -1)
    put_i32(connection, TIE_TIME, -2)
    put_i32(connection, JOIN_ENDED, -1)


@kernel
def gone(
    connections: npt.NDArray[np.int32], limits: npt.NDArray[np.int64], now: int, base: int, out: npt.NDArray[np.bool_]
) -> None:
    """Which connections cannot matter any more at the second `now`."""
    rows, all_limits, since = address_of(connections), address_of(limits), _since(base, now)
    for row in range(len(out)):
        connection = rows + 4 * JOIN_WORDS * row
        unplaced = get_i32(connection, JOIN_INTERFACE) < 0
        out[row] = unplaced or _is_gone(connection, _limits_of(connection, all_limits), since)


@kernel
def answer_columns(
    words: npt.NDArray[np.int32],
    table: npt.NDArray[np.int64],
    action: npt.NDArray[np.uint8],
    reason: npt.NDArray[np.uint8],
    initiating: npt.NDArray[np.bool_],
    match_set: npt.NDArray[np.int32],
    possible_set: npt.NDArray[np.int32],
    deciding: npt.NDArray[np.int32],
) -> None:
    """Answers out of their words; `table` is that of RuleAnswers.

    What is UNKNOWN by rules that surely match something else may match them, and surely none.
    """
    for i in range(len(words)):
        word = np.int64(words[i])
        row = word >> RULES_SHIFT
        action[i], reason[i] = word & 3, (word >> REASON_SHIFT) & 15
        initiating[i] = (word >> INITIATING_SHIFT) & 1
        maybe = word & 3 == _UNKNOWN and table[row, 0] == _ACCEPT
        match_set[i] = 0 if maybe else table[row, 2]
        possible_set[i] = table[row, 2] if maybe else table[row, 3]
        deciding[i] = -1 if maybe else table[row, 4]


@kernel
def count_hits(
    flow: npt.NDArray[np.int32],
    words: npt.NDArray[np.int32],
    flows: npt.NDArray[np.int32],
    table: npt.NDArray[np.int64],
    hits: npt.NDArray[np.int64],
) -> None:
    """Count log flows that open a connection by rules, once each, by match set."""
    for i in range(len(words)):
        word = np.int64(words[i])
        by_rules = word & 3 == _ACCEPT and (word >> REASON_SHIFT) & 15 == _RULE and (word >> INITIATING_SHIFT) & 1
        if by_rules and not flows[flow[i], FLOW_BITS] >> BIT_COUNTED & 1:
            flows[flow[i], FLOW_BITS] |= 1 << BIT_COUNTED
            hits[table[word >> RULES_SHIFT, 2]] += 1
