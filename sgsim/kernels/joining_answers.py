"""What is surely said of one record, by its rules and by its connection: an answer word, evidence and bits."""

from __future__ import annotations

from sgsim.kernels._jit import helper
from sgsim.kernels._memory import get_i32
from sgsim.kernels.joining_layout import (
    ACCEPT,
    ALIVE,
    BIT_CODE,
    BIT_FRAGMENT,
    BIT_OPENS,
    BIT_PORTS,
    BIT_POSSIBLE,
    BIT_REVERSE_OPENS,
    BY_NOTHING,
    BY_PORTS,
    BY_RULES,
    BY_SYN,
    BY_SYN_ACK,
    DEAD,
    FLOW_BITS,
    FLOW_REVERSE,
    FLOW_RULES,
    FLOW_WORDS,
    JOIN_EVIDENCE,
    JOIN_LAST,
    JOIN_OPENER,
    JOIN_OPENER_OPENS,
    JOIN_OPENER_RULES,
    KIND_ICMP,
    KIND_TCP,
    NO_FLAGS,
    OPEN_QUESTION,
    OPTION_LIKELY,
    OPTION_MIDSTREAM,
    OPTION_RELATED,
    RULE,
    SYN,
    SYN_ACK,
    TIE_COUNT,
    TIE_FLAGS,
    TIE_TIME,
    TIE_UNTOLD,
    TRACKED,
    UNKNOWN,
    UNRESOLVED,
    UNSURE,
)
from sgsim.kernels.joining_life import first_by_flags, kind_in, life_of, opener_of
from sgsim.kernels.tracking_layout import INITIATING_SHIFT, REASON_SHIFT, RULES_SHIFT, Number

_ANSWER_BITS = 63  # action and reason of a rule answer's code


@helper
def own_answer(flow: Number, initiating: Number) -> Number:
    """The answer of a record's own rules."""
    code = get_i32(flow, FLOW_BITS) >> BIT_CODE & _ANSWER_BITS
    return code | initiating << INITIATING_SHIFT | get_i32(flow, FLOW_RULES) << RULES_SHIFT


@helper
def _reply(row: Number) -> Number:
    return ACCEPT | TRACKED << REASON_SHIFT | row << RULES_SHIFT


@helper
def _open_question(flow: Number, bits: Number) -> Number:
    """UNKNOWN; the rules that may match are its own, or those that may have let the other direction in."""
    row = get_i32(flow, FLOW_RULES if bits >> BIT_POSSIBLE & 1 else FLOW_REVERSE)
    return _unknown(max(row, 0), bits)


@helper
def _unknown(row: Number, bits: Number) -> Number:
    """UNKNOWN with rules that may match; it does not open a connection if its ports look like a server's."""
    initiating = 1 if bits >> BIT_PORTS & 3 else 0
    return UNKNOWN | UNRESOLVED << REASON_SHIFT | initiating << INITIATING_SHIFT | row << RULES_SHIFT


@helper
def _accepted(
    connection: Number, pair: Number, direction: Number, flags: Number, now: Number, limits: Number, options: Number
) -> Number:
    """The answer where the rules accept the record whoever began."""
    flow = pair + 4 * FLOW_WORDS * direction
    bits = get_i32(flow, FLOW_BITS)
    fragment = bits >> BIT_FRAGMENT & 1
    midstream = options & OPTION_MIDSTREAM and kind_in(bits) == KIND_TCP and (flags < 0 or flags & SYN_ACK != SYN)
    if (bits >> BIT_CODE >> REASON_SHIFT) & 15 != RULE or (fragment and not midstream):
        return own_answer(flow, 1), BY_RULES
    if kind_in(bits) == KIND_ICMP and options & OPTION_RELATED:
        return own_answer(flow, 1), BY_NOTHING  # an error would pass with its connection
    opener, evidence = get_i32(connection, JOIN_OPENER), get_i32(connection, JOIN_EVIDENCE)
    rules, opens = get_i32(connection, JOIN_OPENER_RULES), get_i32(connection, JOIN_OPENER_OPENS)
    if opener < 0 and get_i32(connection, TIE_TIME) == now:
        opener, evidence, by_record = opener_of(connection, pair)
        rules = opens = -1
        if by_record:
            rules = get_i32(pair, FLOW_WORDS * opener + FLOW_RULES)
            opens = get_i32(pair, FLOW_WORDS * opener + FLOW_BITS) >> BIT_OPENS & 3
    if midstream:
        surely = now >= 0 and (
            life_of(connection, limits, 1 - direction, now, flags) == ALIVE
            or life_of(connection, limits, direction, now, flags) == ALIVE
        )
        if fragment or not surely:
            return _unknown(get_i32(flow, FLOW_RULES), bits), BY_NOTHING | OPEN_QUESTION
    if opener < 0 or opener == direction:
        return own_answer(flow, 1), evidence
    if opens == 2 and rules >= 0:
        return _reply(rules), evidence
    return own_answer(flow, 0), evidence


@helper
def _tied(connection: Number, flow: Number, direction: Number, flags: Number, life: Number, options: Number) -> Number:
    """The answer where both directions begin in the same second."""
    back, bits = 1 - direction, get_i32(flow, FLOW_BITS)
    there = get_i32(connection, TIE_FLAGS + back) if get_i32(connection, TIE_UNTOLD + back) == 0 else -1
    first, surely = first_by_flags(flags, there), (bits >> BIT_REVERSE_OPENS & 3) == 2
    if first == -1 and surely:
        return _reply(get_i32(flow, FLOW_REVERSE)), BY_SYN
    if first == 1 and life == DEAD:
        return own_answer(flow, 1), BY_SYN
    if options & OPTION_LIKELY and first == 0:
        ports = (bits >> BIT_PORTS & 3) - 1
        if ports == 1 and life == DEAD:
            return own_answer(flow, 1), BY_PORTS
        if surely:
            return _reply(get_i32(flow, FLOW_REVERSE)), BY_PORTS if ports else BY_NOTHING
    return _open_question(flow, bits), BY_NOTHING | OPEN_QUESTION


@helper
def _alone(flow: Number, flags: Number, life: Number, options: Number) -> Number:
    """The answer where nothing surely lets the record in and the other direction does not begin in its second."""
    bits = get_i32(flow, FLOW_BITS)
    ports = (bits >> BIT_PORTS & 3) - 1
    if life == DEAD:
        if flags >= 0 and flags & SYN_ACK == SYN:
            return own_answer(flow, 1), BY_SYN
        if flags < 0 and ports == 1:
            return own_answer(flow, 1), BY_PORTS
    if options & OPTION_LIKELY:
        answers = flags >= 0 and flags & SYN_ACK == SYN_ACK
        if (bits >> BIT_REVERSE_OPENS & 3) == 2 and (life == UNSURE or answers or ports == -1):
            return _reply(get_i32(flow, FLOW_REVERSE)), BY_SYN_ACK if answers else BY_PORTS
        if kind_in(bits) != KIND_ICMP:
            return own_answer(flow, 1), BY_NOTHING
    return _open_question(flow, bits), BY_NOTHING | OPEN_QUESTION


@helper
def answer_of(
    connection: Number, pair: Number, direction: Number, flags: Number, now: Number, limits: Number, options: Number
) -> Number:
    """The answer of one record whose interface and direction are known: word and evidence."""
    flow, late = pair + 4 * FLOW_WORDS * direction, now < get_i32(connection, JOIN_LAST)
    bits = get_i32(flow, FLOW_BITS)
    if bits >> BIT_CODE & 3 == ACCEPT:
        return _accepted(connection, pair, direction, flags, -1 if late else now, limits, options)
    if bits >> BIT_FRAGMENT & 1:
        return _unknown(get_i32(flow, FLOW_RULES), bits), BY_NOTHING
    if kind_in(bits) == KIND_ICMP and options & OPTION_RELATED:
        return _open_question(flow, bits), BY_NOTHING | OPEN_QUESTION
    if bits >> BIT_REVERSE_OPENS & 3 == 0:
        return own_answer(flow, 1), BY_RULES
    if late:
        return _open_question(flow, bits), BY_NOTHING | OPEN_QUESTION
    told = flags if kind_in(bits) == KIND_TCP else NO_FLAGS
    life = life_of(connection, limits, 1 - direction, now, told)
    if life == ALIVE:
        return _reply(get_i32(flow, FLOW_REVERSE)), get_i32(connection, JOIN_EVIDENCE)
    if get_i32(connection, TIE_TIME) == now and get_i32(connection, TIE_COUNT + 1 - direction) > 0:
        return _tied(connection, flow, direction, told, life, options)
    return _alone(flow, told, life, options)
