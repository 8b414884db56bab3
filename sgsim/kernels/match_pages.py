"""Pages: the rules that hold a row's address, those that hold its service, and the answers that they make."""

from __future__ import annotations

import numpy as np

from sgsim.kernels._jit import helper
from sgsim.kernels._memory import (
    Number,
    count_below,
    get_i32,
    get_i64,
    get_u32,
    get_u64,
    prefetch,
    put_i32,
    put_i64,
    put_u64,
    trailing_zeros,
)
from sgsim.kernels.match_context import (
    ADDRESS_AT,
    ANSWER,
    DIRECTORY,
    FAMILY,
    LINES,
    LOW,
    MOST_SLOTS,
    PAGE_AT,
    PAGE_ROW,
    PAGE_RULES,
    PAGES_USED,
    SERVICE,
    SERVICE_AT,
    SLOTS,
    WORD,
)
from sgsim.kernels.match_store import NO_ROOM, OF_JOIN, OF_PAGE, find, join, mix, page_answer
from sgsim.kernels.match_tables import rank_pairs

__all__ = ["add_pages", "find_masks", "match_services"]


@helper
def find_masks(c: Number) -> None:
    """Pages: keep those of which some rule has the address, with the mask of these rules in WORD."""
    family, directory, lines = get_i64(c, FAMILY), get_i64(c, DIRECTORY), get_i64(c, LINES)
    page_row, page_at, word = get_i64(c, PAGE_ROW), get_i64(c, PAGE_AT), get_i64(c, WORD)
    place, low, used = get_i64(c, ADDRESS_AT), get_i64(c, LOW), get_i64(c, PAGES_USED)
    if family == 4:
        for i in range(used):  # the leaf
            page = directory + 4 * get_i32(page_at, i)
            leaf = get_i32(page, 0)
            if get_i32(page, 1) > 1:
                leaf += 1 + count_below(lines, leaf, get_u32(low, get_i32(page_row, i)))
                prefetch(lines + 64 * leaf)
            put_i32(place, i, leaf)
    for i in range(used):  # the interval
        page, row = directory + 4 * get_i32(page_at, i), get_i32(page_row, i)
        if family == 4:
            leaf = get_i32(place, i)
            inner = np.int64(get_i32(page, 1) > 1)
            interval = 16 * (leaf - get_i32(page, 0) - inner) + count_below(lines, leaf, get_u32(low, row))
        else:
            interval = rank_pairs(c, get_i32(page, 0), get_i32(page, 1), row)
        mask = get_i32(page, 2) + interval
        prefetch(lines + 8 * mask)
        put_i32(place, i, mask)
    kept: Number = 0
    for i in range(used):
        mask, at = get_u64(lines, get_i32(place, i)), get_i32(page_at, i)
        put_i32(page_row, kept, get_i32(page_row, i))
        put_i32(page_at, kept, at)
        put_u64(word, kept, mask)
        kept += np.int64(mask != np.uint64(0))
    put_i64(c, PAGES_USED, kept)


@helper
def match_services(c: Number) -> None:
    """Pages: keep those of which some rule matches, with the mask of these rules in WORD.

    PAGE_AT becomes the page's number and ADDRESS_AT its first row.
    """
    directory, lines, slots = get_i64(c, DIRECTORY), get_i64(c, LINES), get_i64(c, SLOTS)
    page_row, page_at, word = get_i64(c, PAGE_ROW), get_i64(c, PAGE_AT), get_i64(c, WORD)
    first_row, place = get_i64(c, ADDRESS_AT), get_i64(c, SERVICE_AT)
    service, used = get_i64(c, SERVICE), get_i64(c, PAGES_USED)
    for i in range(used):
        prefetch(lines + 64 * get_i32(directory + 4 * get_i32(page_at, i), 3))
    for i in range(used):  # the leaf
        page = directory + 4 * get_i32(page_at, i)
        leaf = get_i32(page, 3)
        if get_i32(page, 4) > 1:
            leaf += 1 + count_below(lines, leaf, get_u32(service, get_i32(page_row, i)))
            prefetch(lines + 64 * leaf)
        put_i32(place, i, leaf)
    for i in range(used):  # the interval
        page, leaf = directory + 4 * get_i32(page_at, i), get_i32(place, i)
        inner = np.int64(get_i32(page, 4) > 1)
        interval = 16 * (leaf - get_i32(page, 3) - inner)
        interval += count_below(lines, leaf, get_u32(service, get_i32(page_row, i)))
        mask = get_i32(page, 5) + interval
        prefetch(lines + 8 * mask)
        put_i32(place, i, mask)
    limit = np.uint64(get_i64(c, MOST_SLOTS) - 1)
    kept = 0
    for i in range(used):
        mask = get_u64(word, i) & get_u64(lines, get_i32(place, i))
        page = directory + 4 * get_i32(page_at, i)
        number = get_i32(page, 6)
        put_i32(page_row, kept, get_i32(page_row, i))
        put_i32(page_at, kept, number)
        put_i32(first_row, kept, get_i32(page, 7))
        put_u64(word, kept, mask)
        if mask != np.uint64(0):
            prefetch(slots + 16 * np.int64(mix(np.uint64(OF_PAGE | number), mask) & limit))
            kept += 1
    put_i64(c, PAGES_USED, kept)


@helper
def add_pages(c: Number) -> Number:
    """From pages with masks to answers, joined to those of their rows. False if the store is full."""
    page_row, page_at, first_row = get_i64(c, PAGE_ROW), get_i64(c, PAGE_AT), get_i64(c, ADDRESS_AT)
    word, answers, rules, slots = get_i64(c, WORD), get_i64(c, ANSWER), get_i64(c, PAGE_RULES), get_i64(c, SLOTS)
    known = get_i64(c, SERVICE_AT)
    limit = np.uint64(get_i64(c, MOST_SLOTS) - 1)
    used = get_i64(c, PAGES_USED)
    for i in range(used):
        mask = get_u64(word, i)
        answer = find(c, np.uint64(OF_PAGE | get_i32(page_at, i)), mask)
        put_i32(known, i, answer)
        if answer == 0:
            prefetch(rules + 16 * (get_i32(first_row, i) + trailing_zeros(mask)))
    several = 0
    for i in range(used):
        row, answer = get_i32(page_row, i), get_i32(known, i)
        if answer == 0:
            answer = page_answer(c, get_i32(page_at, i), get_i32(first_row, i), get_u64(word, i))
            if answer == NO_ROOM:
                return False
        before = get_i32(answers, row)
        if before == 0:
            put_i32(answers, row, answer)
        else:
            prefetch(slots + 16 * np.int64(mix(np.uint64(OF_JOIN | before), np.uint64(answer)) & limit))
            put_i32(page_row, several, row)
            put_i32(page_at, several, answer)
            several += 1
    for i in range(several):
        row = get_i32(page_row, i)
        answer = join(c, get_i32(answers, row), get_i32(page_at, i))
        if answer == NO_ROOM:
            return False
        put_i32(answers, row, answer)
    return True
