"""Rules that name groups or prefix lists, looked at one by one."""

from __future__ import annotations

from sgsim.kernels._jit import helper
from sgsim.kernels._memory import Number, get_i16, get_i32, get_i64, get_u8, get_u32, get_u64, put_i32, put_u8
from sgsim.kernels.exempt import remote_hi, remote_lo
from sgsim.kernels.match_context import (
    ANSWER,
    DIRECTORY,
    GROUPS,
    LIST_BOUNDS,
    LIST_HI,
    LIST_LENGTH,
    LIST_LO,
    LIST_UNRESOLVED,
    PEER,
    SERVICE,
    START,
    STATE,
    SUBJECT,
    SUBJECT_FIRST,
    SUBJECT_LAST,
    SUBJECT_ROW,
    SUBJECT_TABLE,
    SUBJECTS_USED,
    TARGET,
    TRUTH_OFFSETS,
    TRUTH_REFERENCES,
    TRUTHS,
)
from sgsim.kernels.match_rows import MAYBE
from sgsim.kernels.match_slots import record_of
from sgsim.kernels.match_store import NO_ROOM, join, subject_answer

__all__ = ["add_subjects", "longest_entry", "reference_truth"]


@helper
def add_subjects(c: Number) -> Number:
    """Rules that name groups or prefix lists, one by one. False if the store is full."""
    directory, subjects, start = get_i64(c, DIRECTORY), get_i64(c, SUBJECT), get_i64(c, START)
    firsts, lasts = get_i64(c, SUBJECT_FIRST), get_i64(c, SUBJECT_LAST)
    services, answers, state = get_i64(c, SERVICE), get_i64(c, ANSWER), get_i64(c, STATE)
    rows, tables, peers = get_i64(c, SUBJECT_ROW), get_i64(c, SUBJECT_TABLE), get_i64(c, PEER)
    for i in range(get_i64(c, SUBJECTS_USED)):
        row, header = get_i32(rows, i), directory + 64 * get_i32(tables, i)
        service = get_u32(services, row)
        for s in range(get_i32(header, 3), get_i32(header, 4)):
            if service < get_u32(firsts, s) or get_u32(lasts, s) < service:
                continue
            subject = get_i32(subjects, s)
            length = -1
            if subject >= 0:
                truth = reference_truth(c, subject, get_i32(peers, start + row))
            elif get_u8(get_i64(c, LIST_UNRESOLVED), -1 - subject) != 0:
                truth = 1
            else:
                length = longest_entry(c, -1 - subject, remote_hi(c, start + row), remote_lo(c, start + row))
                truth = 0 if length < 0 else 2
            if truth == 1:
                put_u8(state, row, get_u8(state, row) | MAYBE)
            elif truth == 2:
                found = subject_answer(c, s, length)
                if found != NO_ROOM:
                    found = join(c, get_i32(answers, row), found)
                if found == NO_ROOM:
                    return False
                put_i32(answers, row, found)
    return True


@helper
def reference_truth(c: Number, reference: Number, peer: Number) -> Number:
    """0, 1 or 2: whether the remote address is a member's of the group that a reference names (see `match_context`)."""
    if peer == -1:
        return 0
    if peer >= 0:
        groups, record = get_i64(c, GROUPS), record_of(c, peer)
        wanted = get_i32(get_i64(c, TARGET), reference)
        for i in range(get_u32(record, 0), get_u32(record, 0) + (get_u32(record, 1) & 0xFFFF)):
            if get_i32(groups, i) == wanted:
                return 2
        return 0
    references, offsets = get_i64(c, TRUTH_REFERENCES), get_i64(c, TRUTH_OFFSETS)
    for i in range(get_i64(offsets, -2 - peer), get_i64(offsets, -1 - peer)):
        if get_i32(references, i) == reference:
            return get_u8(get_i64(c, TRUTHS), i)
    return 0


@helper
def longest_entry(c: Number, number: Number, hi: Number, lo: Number) -> Number:
    """The prefix length of the longest entry of a list that has an address, -1 if none."""
    bounds, list_hi, list_lo = get_i64(c, LIST_BOUNDS), get_i64(c, LIST_HI), get_i64(c, LIST_LO)
    low, high = get_i64(bounds, 2 * number), get_i64(bounds, 2 * number + 1)
    while high - low > 1:
        middle = (low + high) >> 1
        at_hi = get_u64(list_hi, middle)
        if at_hi < hi or (at_hi == hi and get_u64(list_lo, middle) <= lo):
            low = middle
        else:
            high = middle
    return get_i16(get_i64(c, LIST_LENGTH), low)
