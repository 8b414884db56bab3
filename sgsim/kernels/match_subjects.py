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
    put_u64,
    trailing_zeros,
)
from sgsim.kernels.match_context import (
    ADDRESS_AT,
    ANSWER,
    DIRECTORY,
    FAMILY,
    GROUPS,
    HI,
    INTERFACE_CHUNKS,
    LIST_BOUNDS,
    LIST_HI,
    LIST_LENGTH,
    LIST_LO,
    LIST_UNRESOLVED,
    LO,
    LOW,
    NODE,
    NODE_ROW,
    NODE_TABLE,
    PAGE_AT,
    PAGE_ROW,
    PAIRS,
    PEER,
    RECORDS,
    SERVICE,
    SERVICE_AT,
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
    WORD,
)
from sgsim.kernels.match_rows import MAYBE
from sgsim.kernels.match_slots import record_of, slot_of
from sgsim.kernels.match_store import NO_ROOM, join, subject_answer

__all__ = ["add_subjects", "longest_entry", "reference_truth"]

_LANES = 16
_NOT_FOUND = -2  # instead of the length of an entry, or -1 for a reference


@helper
def add_subjects(c: Number) -> Number:
    """Rules that name groups or prefix lists, of all (row, table) pairs that have such. False if the store is full.

    Most hold other services: those are put aside sixteen at once.
    """
    directory, firsts, lasts = get_i64(c, DIRECTORY), get_i64(c, SUBJECT_FIRST), get_i64(c, SUBJECT_LAST)
    rows, tables, services = get_i64(c, SUBJECT_ROW), get_i64(c, SUBJECT_TABLE), get_i64(c, SERVICE)
    held_row, held_at, held = get_i64(c, NODE_ROW), get_i64(c, NODE_TABLE), get_i64(c, WORD)
    subjects, used = get_i64(c, SUBJECT), get_i64(c, SUBJECTS_USED)
    for i in range(used):
        first = 4 * get_i32(directory + 64 * get_i32(tables, i), 3)
        prefetch(firsts + first)
        prefetch(lasts + first)
        prefetch(subjects + first)
    kept: Number = 0
    for i in range(used):
        row, header = get_i32(rows, i), directory + 64 * get_i32(tables, i)
        service, end = get_u32(services, row), get_i32(header, 4)
        for s in range(get_i32(header, 3), end, _LANES):
            which = held_by(firsts + 4 * s, lasts + 4 * s, min(_LANES, end - s), service)
            put_i32(held_row, kept, row)
            put_i32(held_at, kept, s)
            put_u64(held, kept, which)
            kept += np.int64(which != np.uint64(0))
            if kept == PAIRS // _LANES:
                if not ask(c, list_rules(c, kept)):
                    return False
                kept = 0
    return ask(c, list_rules(c, kept))


@helper
def list_rules(c: Number, used: Number) -> Number:
    """Rows (in PAGE_ROW) and rules (in PAGE_AT): for row NODE_ROW those from NODE_TABLE on that the bits of WORD name.

    Returns how many. Nothing branches here and in `ask`, since nothing can be foreseen.
    """
    held_row, held_at, held = get_i64(c, NODE_ROW), get_i64(c, NODE_TABLE), get_i64(c, WORD)
    rows, rules = get_i64(c, PAGE_ROW), get_i64(c, PAGE_AT)
    put_u64(held, used, np.uint64(0))
    which = get_u64(held, 0)
    i: Number = 0
    found = 0
    while i < used:
        put_i32(rows, found, get_i32(held_row, i))
        put_i32(rules, found, get_i32(held_at, i) + trailing_zeros(which))
        found += 1
        which &= which - np.uint64(1)
        done = np.int64(which == np.uint64(0))
        i += done
        which |= get_u64(held, i) & np.uint64(-done)
    return found


@helper
def ask(c: Number, used: Number) -> Number:
    """Join the rules of `list_rules` that have the rows' remote addresses, in order. False if the store is full."""
    subjects, start, peers = get_i64(c, SUBJECT), get_i64(c, START), get_i64(c, PEER)
    rows, rules, found = get_i64(c, PAGE_ROW), get_i64(c, PAGE_AT), get_i64(c, NODE)
    lists, references = get_i64(c, ADDRESS_AT), get_i64(c, SERVICE_AT)
    used_lists: Number = 0
    used_references: Number = 0
    for i in range(used):
        put_i32(found, i, _NOT_FOUND)
        is_list = np.int64(get_i32(subjects, get_i32(rules, i)) < 0)
        peer = get_i32(peers, start + get_i32(rows, i)) if peers != 0 else -1
        put_i32(lists, used_lists, i)
        put_i32(references, used_references, i)
        used_lists += is_list
        used_references += (1 - is_list) & np.int64(peer != -1)
    find_entries(c, used_lists)
    find_members(c, used_references)
    kept: Number = 0
    for i in range(used):
        length = get_i32(found, i)
        put_i32(rows, kept, get_i32(rows, i))
        put_i32(rules, kept, get_i32(rules, i))
        put_i32(found, kept, length)
        kept += np.int64(length != _NOT_FOUND)
    answers = get_i64(c, ANSWER)
    for i in range(kept):
        row = get_i32(rows, i)
        answer = subject_answer(c, get_i32(rules, i), get_i32(found, i))
        if answer != NO_ROOM:
            answer = join(c, get_i32(answers, row), answer)
        if answer == NO_ROOM:
            return False
        put_i32(answers, row, answer)
    return True


@helper
def find_entries(c: Number, used: Number) -> None:
    """Set NODE to the length of the longest entry, where the prefix list of a rule has the remote address."""
    subjects, state, unresolved = get_i64(c, SUBJECT), get_i64(c, STATE), get_i64(c, LIST_UNRESOLVED)
    rows, rules, found, lists = get_i64(c, PAGE_ROW), get_i64(c, PAGE_AT), get_i64(c, NODE), get_i64(c, ADDRESS_AT)
    low, hi, lo, four = get_i64(c, LOW), get_i64(c, HI), get_i64(c, LO), get_i64(c, FAMILY) == 4
    for k in range(used):
        i = get_i32(lists, k)
        row, number = get_i32(rows, i), -1 - get_i32(subjects, get_i32(rules, i))
        if get_u8(unresolved, number) != 0:
            put_u8(state, row, get_u8(state, row) | MAYBE)
        elif four:
            put_i32(found, i, entry_or_none(longest_entry(c, number, np.uint64(0), np.uint64(get_u32(low, row)))))
        else:
            put_i32(found, i, entry_or_none(longest_entry(c, number, get_u64(hi, row), get_u64(lo, row))))


@helper(inline=True)
def entry_or_none(length: Number) -> Number:
    return length if length >= 0 else _NOT_FOUND


@helper
def find_members(c: Number, used: Number) -> None:
    """Set NODE to -1, where the group that a rule refers to has the remote address."""
    subjects, state, start, peers = get_i64(c, SUBJECT), get_i64(c, STATE), get_i64(c, START), get_i64(c, PEER)
    rows, rules, found = get_i64(c, PAGE_ROW), get_i64(c, PAGE_AT), get_i64(c, NODE)
    references, chunks = get_i64(c, SERVICE_AT), get_i64(c, INTERFACE_CHUNKS)
    records, groups = get_i64(c, RECORDS), get_i64(c, GROUPS)
    for k in range(used):
        peer = get_i32(peers, start + get_i32(rows, get_i32(references, k)))
        prefetch(records + 32 * slot_of(chunks, max(0, peer)))
    for k in range(used):
        peer = get_i32(peers, start + get_i32(rows, get_i32(references, k)))
        prefetch(groups + 4 * get_u32(records, 8 * slot_of(chunks, max(0, peer))))
    for k in range(used):
        i = get_i32(references, k)
        row = get_i32(rows, i)
        truth = reference_truth(c, get_i32(subjects, get_i32(rules, i)), get_i32(peers, start + row))
        if truth == 1:
            put_u8(state, row, get_u8(state, row) | MAYBE)
        elif truth == 2:
            put_i32(found, i, -1)


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
