"""Rules against rows by looking at every rule of every group on the interface, in three values.

Slow (a microsecond per thousand rules) and complete: it also judges rows that lack a field, and finds rules that
*may* match. It shares the store with `match` and nothing else.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel
from sgsim.kernels._memory import (
    Number,
    address_of,
    get_i16,
    get_i32,
    get_i64,
    get_u8,
    get_u16,
    get_u32,
    get_u64,
    put_i32,
    put_i64,
    put_u8,
)
from sgsim.kernels.exempt import is_exempt, remote_hi, remote_lo
from sgsim.kernels.match_context import (
    ACTION,
    DECIDING,
    DIRECTION,
    DSTPORT,
    EXEMPT,
    FAMILY,
    GROUPS,
    ICMP_CODE,
    ICMP_TYPE,
    INTERFACE,
    LARGEST,
    LATER,
    LIST_UNRESOLVED,
    MATCH_SET,
    MAYBES,
    MEMBERS,
    PEER,
    POSSIBLE_SET,
    PROTOCOL,
    REASON,
    REST,
    ROW,
    RULE,
    RULE_FIRST,
    RULE_HI,
    RULE_LAST,
    RULE_LENGTH,
    RULE_LO,
    RULE_ORDER,
    START,
    STOP,
    SUBJECT,
    SUBJECT_FIRST,
    SUBJECT_LAST,
    SUBJECT_ORDER,
    SUBJECT_RULE,
    USED_MEMBERS,
)
from sgsim.kernels.match_slots import header_of, record_of
from sgsim.kernels.match_store import content_answer, has_room, is_before
from sgsim.kernels.match_subjects import longest_entry, reference_truth
from sgsim.kernels.match_verdicts import (
    ACCEPT,
    BY_EXEMPTION,
    BY_RULE,
    ICMP,
    ICMPV6,
    SEVERAL,
    TCP,
    UDP,
    UNKNOWN,
    UNRESOLVED,
    UNSEEN,
    leads_outside,
    mark_untracked,
    put_unasked,
    put_verdict,
)

__all__ = ["scan"]

NO, MAYBE, SURE = 0, 1, 2

_WORST = np.uint64(0xFFFFFFFFFFFFFFFF)
_ALL_BITS = 128
_UNDEFINED = 8  # a bit of a header's kind


@kernel
def scan(context: npt.NDArray[np.int64]) -> None:
    """Judge the rows REST[START:STOP]; START tells how far it came, short of STOP if the store is full.

    START becomes -1 if a row leads outside the tables or the results.
    """
    c = address_of(context)
    while get_i64(c, START) < get_i64(c, STOP):
        row = get_i64(get_i64(c, REST), get_i64(c, START))
        if leads_outside(c, row) != 0:
            put_i64(c, START, -1)
            return
        if not is_decided(c, row):
            if not has_room(c, get_i64(c, LARGEST)):
                return
            judge(c, row)
        put_i64(c, START, get_i64(c, START) + 1)


@helper
def is_decided(c: Number, row: Number) -> Number:
    """Answer a row if no rule is to be asked about it."""
    interface = get_i32(get_i64(c, INTERFACE), row)
    if interface < 0:
        put_verdict(c, row, UNKNOWN, UNSEEN if interface == -1 else SEVERAL)
        return True
    if get_i64(c, EXEMPT) != 0 and is_exempt(c, row):
        put_verdict(c, row, ACCEPT, BY_EXEMPTION)
        return True
    flags, direction = get_u32(record_of(c, interface), 1), get_u8(get_i64(c, DIRECTION), row)
    if flags >> (18 + direction) & 1 != 0:
        put_unasked(c, row, flags)
        return True
    return False


@helper
def judge(c: Number, row: Number) -> None:
    """Look at every rule of every group of a row's interface, in ascending order of rules."""
    first = first_service(c, row)
    last = first + unknown_services(c, row)
    hi, lo = remote_hi(c, row), remote_lo(c, row)
    rules, subject_rules = get_i64(c, RULE), get_i64(c, SUBJECT_RULE)
    orders, lengths = get_i64(c, RULE_ORDER), get_i64(c, RULE_LENGTH)
    sure, maybe = get_i64(c, MEMBERS) + 4 * get_i64(c, USED_MEMBERS), get_i64(c, MAYBES)
    record = record_of(c, get_i32(get_i64(c, INTERFACE), row))
    carried = get_i64(c, GROUPS) + 4 * get_u32(record, 0)
    unresolved = get_u32(record, 1) >> 16 & 1
    sures, maybes, best, deciding, everyone = 0, 0, _WORST, -1, 0
    for group in range(get_u32(record, 1) & 0xFFFF):
        header = header_of(c, 2 * get_i32(carried, group) + get_u8(get_i64(c, DIRECTION), row))
        unresolved |= get_i32(header, 0) & _UNDEFINED
        a, a_end = get_i32(header, 1), get_i32(header, 2)
        s, s_end = get_i32(header, 3), get_i32(header, 4)
        while a < a_end or s < s_end:
            if s == s_end or (a < a_end and get_i32(rules, a) < get_i32(subject_rules, s)):
                rule, order = get_i32(rules, a), get_u64(orders, a)
                truth = block_truth(c, a, first, last, hi, lo)
                if truth == SURE and get_u8(lengths, a) == 0:
                    everyone = 1
                a += 1
            else:
                rule = get_i32(subject_rules, s)
                length = matched_length(c, s, hi, lo)
                truth = subject_truth(c, s, first, last, row, length)
                order = get_u64(get_i64(c, SUBJECT_ORDER), s)
                if length >= 0:
                    order |= np.uint64(_ALL_BITS - length) << np.uint64(56)
                s += 1
            if truth == SURE:
                put_i32(sure, sures, rule)
                sures += 1
                if is_before(c, order, rule, best, deciding):
                    best, deciding = order, rule
            elif truth == MAYBE:
                put_i32(maybe, maybes, rule)
                maybes += 1
    write_verdict(c, row, sures, maybes, deciding, everyone, unresolved)


@helper
def write_verdict(
    c: Number, row: Number, sures: Number, maybes: Number, deciding: Number, everyone: Number, unresolved: Number
) -> None:
    """From the rules that match, or else those that may, to a verdict (docs/semantics.md §9.5, §9.6)."""
    at = get_i64(get_i64(c, ROW), row)
    members = get_i64(c, MEMBERS) + 4 * get_i64(c, USED_MEMBERS)
    if sures > 0:
        sort_rules(members, sures)
        put_u8(get_i64(c, ACTION), at, ACCEPT)
        put_u8(get_i64(c, REASON), at, BY_RULE)
        put_i32(get_i64(c, DECIDING), at, deciding)
        put_i32(get_i64(c, MATCH_SET), at, content_answer(c, sures, _WORST, deciding, 0))
        if everyone != 0:
            mark_untracked(c, row, at)
        return
    if maybes > 0 or unresolved != 0:
        put_verdict(c, row, UNKNOWN, UNRESOLVED)
        maybe = get_i64(c, MAYBES)
        for i in range(maybes):
            put_i32(members, i, get_i32(maybe, i))
        sort_rules(members, maybes)
        put_i32(get_i64(c, POSSIBLE_SET), at, content_answer(c, maybes, _WORST, -1, 0))
    else:
        put_verdict(c, row, 0, 0)


@helper
def sort_rules(rules: Number, count: Number) -> None:
    """Put rules in ascending order: those of a group are, but changes give new rules to groups of lower numbers."""
    gap = count
    while gap > 1:
        gap = max(1, 10 * gap // 23)
        for i in range(gap, count):
            rule, j = get_i32(rules, i), i
            while j >= gap and get_i32(rules, j - gap) > rule:
                put_i32(rules, j, get_i32(rules, j - gap))
                j -= gap
            put_i32(rules, j, rule)


@helper
def first_service(c: Number, row: Number) -> Number:
    """The lowest service that a row may have (see `tables.columns`)."""
    protocol = get_u8(get_i64(c, PROTOCOL), row)
    service = protocol << 17
    if get_u8(get_i64(c, LATER), row) != 0:
        return service
    if protocol in (TCP, UDP):
        service += get_u16(get_i64(c, DSTPORT), row)
    elif protocol in (ICMP, ICMPV6):
        icmp_type, code = get_i16(get_i64(c, ICMP_TYPE), row), get_i16(get_i64(c, ICMP_CODE), row)
        if icmp_type >= 0:
            service += 257 * icmp_type + max(0, code)
    return service


@helper
def unknown_services(c: Number, row: Number) -> Number:
    """How many more services the row may have, for want of its port, or ICMP type or code."""
    protocol, later = get_u8(get_i64(c, PROTOCOL), row), get_u8(get_i64(c, LATER), row) != 0
    if protocol in (TCP, UDP):
        return 65536 if later else 0
    if protocol in (ICMP, ICMPV6):
        if later or get_i16(get_i64(c, ICMP_TYPE), row) < 0:
            return 256 * 257
        return 256 if get_i16(get_i64(c, ICMP_CODE), row) < 0 else 0
    return 0


@helper
def service_truth(first: Number, last: Number, rule_first: Number, rule_last: Number) -> Number:
    """A rule surely matches if it holds all services that the row may have, and may match if it holds some."""
    if rule_last < first or last < rule_first:
        return NO
    return SURE if rule_first <= first and last <= rule_last else MAYBE


@helper
def block_truth(c: Number, a: Number, first: Number, last: Number, hi: Number, lo: Number) -> Number:
    """Whether a rule for a CIDR block matches."""
    truth = service_truth(first, last, get_u32(get_i64(c, RULE_FIRST), a), get_u32(get_i64(c, RULE_LAST), a))
    length = get_u8(get_i64(c, RULE_LENGTH), a)
    if truth == NO or length == 0:
        return truth
    if get_i64(c, FAMILY) == 4:
        length += 96  # an IPv4 address is in the low half, below zeros
    other_hi, other_lo = hi ^ get_u64(get_i64(c, RULE_HI), a), lo ^ get_u64(get_i64(c, RULE_LO), a)
    if length <= 64:
        return truth if other_hi >> np.uint64(64 - length) == np.uint64(0) else NO
    return truth if other_hi == np.uint64(0) and other_lo >> np.uint64(_ALL_BITS - length) == np.uint64(0) else NO


@helper
def matched_length(c: Number, s: Number, hi: Number, lo: Number) -> Number:
    """For a rule that names a prefix list with entries, the length of the longest that has the address; else -1."""
    subject = get_i32(get_i64(c, SUBJECT), s)
    if subject >= 0 or get_u8(get_i64(c, LIST_UNRESOLVED), -1 - subject) != 0:
        return -1
    return longest_entry(c, -1 - subject, hi, lo)


@helper
def subject_truth(c: Number, s: Number, first: Number, last: Number, row: Number, length: Number) -> Number:
    """Whether a rule that names a group or a prefix list matches; `length` as from `matched_length`."""
    truth = service_truth(first, last, get_u32(get_i64(c, SUBJECT_FIRST), s), get_u32(get_i64(c, SUBJECT_LAST), s))
    if truth == NO:
        return NO
    subject = get_i32(get_i64(c, SUBJECT), s)
    if subject >= 0:
        return min(truth, reference_truth(c, subject, get_i32(get_i64(c, PEER), row)))
    if get_u8(get_i64(c, LIST_UNRESOLVED), -1 - subject) != 0:
        return MAYBE
    return truth if length >= 0 else NO
