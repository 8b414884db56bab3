"""Rules that name groups or prefix lists: those that hold a row's service are looked at one by one."""

from __future__ import annotations

import numpy as np

from sgsim.kernels._jit import helper
from sgsim.kernels._memory import (
    Number,
    get_i16,
    get_i32,
    get_i64,
    get_u8,
    get_u32,
    get_u64,
    held_by,
    prefetch,
    put_i32,
    put_u8,
    trailing_zeros,
)
from sgsim.kernels.exempt import remote_hi, remote_lo
from sgsim.kernels.match_context import (
    ANSWER,
    DIRECTORY,
    GROUPS,
    INTERFACE_CHUNKS,
    LIST_BOUNDS,
    LIST_HI,
    LIST_LENGTH,
    LIST_LO,
    LIST_UNRESOLVED,
    NODE,
    PAGE_AT,
    PAGE_ROW,
    PAIRS,
    PEER,
    RECORDS,
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
from sgsim.kernels.match_slots import record_of, slot_of
from sgsim.kernels.match_store import NO_ROOM, join, subject_answer

__all__ = ["add_subjects", "longest_entry", "reference_truth"]

_LANES = 16


@helper
def add_subjects(c: Number) -> Number:
    """Rules that name groups or prefix lists, of all (row, table) pairs that have such. False if the store is full.

    Most hold other services: those are put aside sixteen at once.
    """
    directory, firsts, lasts = get_i64(c, DIRECTORY), get_i64(c, SUBJECT_FIRST), get_i64(c, SUBJECT_LAST)
    rows, tables, services = get_i64(c, SUBJECT_ROW), get_i64(c, SUBJECT_TABLE), get_i64(c, SERVICE)
    asked_row, asked, used = get_i64(c, PAGE_ROW), get_i64(c, PAGE_AT), get_i64(c, SUBJECTS_USED)
    for i in range(used):
        first = 4 * get_i32(directory + 64 * get_i32(tables, i), 3)
        prefetch(firsts + first)
        prefetch(lasts + first)
    kept = 0
    for i in range(used):
        row, header = get_i32(rows, i), directory + 64 * get_i32(tables, i)
        service, end = get_u32(services, row), get_i32(header, 4)
        for s in range(get_i32(header, 3), end, _LANES):
            held = held_by(firsts + 4 * s, lasts + 4 * s, min(_LANES, end - s), service)
            while held != np.uint64(0):
                put_i32(asked_row, kept, row)
                put_i32(asked, kept, s + trailing_zeros(held))
                held &= held - np.uint64(1)
                kept += 1
            if kept > PAIRS - _LANES:
                if not ask(c, kept):
                    return False
                kept = 0
    return ask(c, kept)


@helper
def ask(c: Number, used: Number) -> Number:
    """The rules PAGE_AT of the rows PAGE_ROW, whose services they hold, one by one. False if the store is full."""
    subjects, answers, state = get_i64(c, SUBJECT), get_i64(c, ANSWER), get_i64(c, STATE)
    start, peers, records, groups = get_i64(c, START), get_i64(c, PEER), get_i64(c, RECORDS), get_i64(c, GROUPS)
    rows, rules, slots = get_i64(c, PAGE_ROW), get_i64(c, PAGE_AT), get_i64(c, NODE)
    kept = 0
    for i in range(used):  # references whose remote address is nobody's are out
        row, s = get_i32(rows, i), get_i32(rules, i)
        slot: Number = -1
        out: Number = 0
        if get_i32(subjects, s) >= 0:
            peer = get_i32(peers, start + row)
            out = np.int64(peer == -1)
            if peer >= 0:
                slot = slot_of(get_i64(c, INTERFACE_CHUNKS), peer)
                prefetch(records + 32 * slot)
        put_i32(rows, kept, row)
        put_i32(rules, kept, s)
        put_i32(slots, kept, slot)
        kept += 1 - out
    for i in range(kept):
        slot = get_i32(slots, i)
        if slot >= 0:
            prefetch(groups + 4 * get_u32(records, 8 * slot))
    for i in range(kept):
        row, s = get_i32(rows, i), get_i32(rules, i)
        subject, length = get_i32(subjects, s), -1
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
    at = get_i64(bounds, 2 * number)
    left = get_i64(bounds, 2 * number + 1) - at
    while left > 1:  # without branches, as `match_tables.rank_pairs`
        half = left >> 1
        key = get_u64(list_hi, at + half)
        at += half & -(np.int64(key < hi) | (np.int64(key == hi) & np.int64(get_u64(list_lo, at + half) <= lo)))
        left -= half
    return get_i16(get_i64(c, LIST_LENGTH), at)
