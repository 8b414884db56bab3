"""From (row, table) pairs to pages, and to the answers of nodes (see `tables.layout`)."""

from __future__ import annotations

import numpy as np

from sgsim.kernels._jit import helper
from sgsim.kernels._memory import (
    Number,
    count_below,
    get_i32,
    get_i64,
    get_u8,
    get_u32,
    get_u64,
    prefetch,
    put_i32,
    put_i64,
    put_u8,
)
from sgsim.kernels.match_context import (
    ADDRESS_AT,
    ANSWER,
    CELLS,
    COVERED,
    DIRECTORY,
    FAMILY,
    HI,
    KEYS_HI,
    KEYS_LO,
    LINES,
    LO,
    LOW,
    NODE,
    NODE_ROW,
    NODE_TABLE,
    NODES,
    NODES_USED,
    PAGE_AT,
    PAGE_ROW,
    PAGES_USED,
    PAIR_ROW,
    PAIR_TABLE,
    PAIRS_USED,
    REGIONS,
    SAME_TABLE,
    SERVICE,
    SERVICE_AT,
    STATE,
    SUBJECT_ROW,
    SUBJECT_TABLE,
    SUBJECTS_USED,
)
from sgsim.kernels.match_rows import MAYBE
from sgsim.kernels.match_store import NO_ROOM, join, part_answer

__all__ = ["find_cells", "find_nodes", "find_tables", "is_dense", "rank", "rank_pairs", "walk"]

_KIND, _HAS_SUBJECTS, _UNDEFINED = 3, 4, 8
_PAGE, _REGIONS = 1, 2


@helper(inline=True)
def rank(lines: Number, base: Number, depth: Number, value: Number) -> Number:
    """How many keys of a search tree are below a value (see `sgsim.compiler.trees`).

    Written out for three levels, which hold 4 624 keys: a loop over all of them took 3 ns more a row at 1 000 rules.
    """
    node, inner = 0, 0
    if depth > 1:
        node, inner = 1 + count_below(lines, base, value), 1
    if depth > 2:
        node, inner = 17 * node + 1 + count_below(lines, base + node, value), 18
    for _ in range(depth - 3):
        node, inner = 17 * node + 1 + count_below(lines, base + node, value), 17 * inner + 1
    return 16 * (node - inner) + count_below(lines, base + node, value)


@helper
def rank_pairs(c: Number, first: Number, count: Number, i: Number) -> Number:
    """How many of some sorted 128-bit keys are below the address of a row.

    Bisected without branches, so that the processor has several rows under way at once.
    """
    keys_hi, keys_lo = get_i64(c, KEYS_HI), get_i64(c, KEYS_LO)
    hi, lo = get_u64(get_i64(c, HI), i), get_u64(get_i64(c, LO), i)
    at, left = first, count
    while left > 1:
        half = left >> 1
        at += half & -is_below(keys_hi, keys_lo, at + half - 1, hi, lo)
        left -= half
    return at - first + (is_below(keys_hi, keys_lo, at, hi, lo) if left > 0 else 0)


@helper(inline=True)
def is_below(keys_hi: Number, keys_lo: Number, at: Number, hi: Number, lo: Number) -> Number:
    """1 where a 128-bit key is below a value, else 0."""
    key = get_u64(keys_hi, at)
    return np.int64(key < hi) | (np.int64(key == hi) & np.int64(get_u64(keys_lo, at) < lo))


@helper
def find_tables(c: Number) -> None:
    """From (row, table) pairs to lists of pages, nodes and subjects."""
    family, directory, lines = get_i64(c, FAMILY), get_i64(c, DIRECTORY), get_i64(c, LINES)
    pair_row, pair_table, low = get_i64(c, PAIR_ROW), get_i64(c, PAIR_TABLE), get_i64(c, LOW)
    page_row, page_at = get_i64(c, PAGE_ROW), get_i64(c, PAGE_AT)
    node_row, node_table, node = get_i64(c, NODE_ROW), get_i64(c, NODE_TABLE), get_i64(c, NODE)
    subject_row, subject_table = get_i64(c, SUBJECT_ROW), get_i64(c, SUBJECT_TABLE)
    regions, state = get_i64(c, REGIONS), get_i64(c, STATE)
    pages, nodes, subjects = 0, 0, 0
    for i in range(get_i64(c, PAIRS_USED)):
        row, table = get_i32(pair_row, i), get_i32(pair_table, i)
        header = directory + 64 * table
        kind = get_i32(header, 0)
        if kind & (_HAS_SUBJECTS | _UNDEFINED) != 0:
            if kind & _UNDEFINED != 0:
                put_u8(state, row, get_u8(state, row) | MAYBE)
            put_i32(subject_row, subjects, row)
            put_i32(subject_table, subjects, table)
            subjects += 1
        kind &= _KIND
        if kind == _PAGE:
            put_i32(page_row, pages, row)
            put_i32(page_at, pages, 16 * table + 8)
            pages += 1
            if family == 4:
                prefetch(lines + 64 * get_i32(header, 8))
        elif kind == _REGIONS:
            if family == 4:
                region = rank(lines, get_i32(header, 8), get_i32(header, 9), get_u32(low, row))
            else:
                region = rank_pairs(c, get_i32(header, 8), get_i32(header, 9), row)
            region += get_i32(header, 10)
            page, inner = get_i32(regions, 2 * region), get_i32(regions, 2 * region + 1)
            if inner >= 0:
                put_i32(node_row, nodes, row)
                put_i32(node_table, nodes, table)
                put_i32(node, nodes, inner)
                nodes += 1
            if page >= 0:
                put_i32(page_row, pages, row)
                put_i32(page_at, pages, 8 * page)
                pages += 1
    put_i64(c, PAGES_USED, pages)
    put_i64(c, NODES_USED, nodes)
    put_i64(c, SUBJECTS_USED, subjects)


@helper
def is_dense(c: Number) -> Number:
    """Whether all pairs of the block belong to one table, which is dense and has no subjects."""
    table = get_i64(c, SAME_TABLE)
    header = get_i64(c, DIRECTORY) + 64 * table
    return table >= 0 and get_i32(header, 0) & (_KIND | _HAS_SUBJECTS) == _REGIONS and get_i32(header, 14) > 0


@helper
def find_cells(c: Number) -> None:
    """`find_tables` and `find_nodes` where all pairs belong to one dense table: nothing is looked up per row."""
    header = get_i64(c, DIRECTORY) + 64 * get_i64(c, SAME_TABLE)
    lines, low, services, cells = get_i64(c, LINES), get_i64(c, LOW), get_i64(c, SERVICE), get_i64(c, CELLS)
    regions = get_i64(c, REGIONS) + 8 * get_i32(header, 10)
    first, depth, six = get_i32(header, 8), get_i32(header, 9), get_i64(c, FAMILY) == 6
    service_first, service_depth = get_i32(header, 12), get_i32(header, 13)
    classes = get_i32(header, 14)
    first_cell = get_i32(header, 15) + classes
    rows, node, place = get_i64(c, PAIR_ROW), get_i64(c, NODE), get_i64(c, ADDRESS_AT)
    node_row, wanted, used = get_i64(c, NODE_ROW), get_i64(c, SERVICE_AT), get_i64(c, PAIRS_USED)
    for i in range(used):
        row = get_i32(rows, i)
        region = rank_pairs(c, first, depth, row) if six else rank(lines, first, depth, get_u32(low, row))
        inner = get_i32(regions, 2 * region + 1)
        cell = first_cell + classes * inner + rank(lines, service_first, service_depth, get_u32(services, row))
        prefetch(cells + 4 * cell)
        put_i32(place, i, region)
        put_i32(node_row, i, row)
        put_i32(node, i, inner)
        put_i32(wanted, i, cell)
    pages: Number = 0
    if get_i32(header, 5) > 0:
        page_row, page_at = get_i64(c, PAGE_ROW), get_i64(c, PAGE_AT)
        for i in range(used):
            page = get_i32(regions, 2 * get_i32(place, i))
            put_i32(page_row, pages, get_i32(rows, i))
            put_i32(page_at, pages, 8 * page)
            pages += np.int64(page >= 0)
    put_i64(c, PAGES_USED, pages)
    put_i64(c, NODES_USED, used)
    put_i64(c, SUBJECTS_USED, 0)


@helper
def find_nodes(c: Number) -> None:
    """The dense cell of each node and service in SERVICE_AT, -1 where the table has none."""
    directory, lines, cells = get_i64(c, DIRECTORY), get_i64(c, LINES), get_i64(c, CELLS)
    node_row, node_table, node_of = get_i64(c, NODE_ROW), get_i64(c, NODE_TABLE), get_i64(c, NODE)
    services, wanted = get_i64(c, SERVICE), get_i64(c, SERVICE_AT)
    for i in range(get_i64(c, NODES_USED)):
        header = directory + 64 * get_i32(node_table, i)
        classes = get_i32(header, 14)
        cell = -1
        if classes > 0:
            service = get_u32(services, get_i32(node_row, i))
            cell = rank(lines, get_i32(header, 12), get_i32(header, 13), service)
            cell += get_i32(header, 15) + classes * (get_i32(node_of, i) + 1)
            prefetch(cells + 4 * cell)
        put_i32(wanted, i, cell)


@helper
def walk(c: Number) -> Number:
    """Nodes: the rules of each and of those above it, by dense cell where there is one. False if the store is full."""
    directory, cells, answers = get_i64(c, DIRECTORY), get_i64(c, CELLS), get_i64(c, ANSWER)
    node_row, node_table, node_of = get_i64(c, NODE_ROW), get_i64(c, NODE_TABLE), get_i64(c, NODE)
    wanted, same_table = get_i64(c, SERVICE_AT), get_i64(c, SAME_TABLE)
    for i in range(get_i64(c, NODES_USED)):
        row, cell = get_i32(node_row, i), get_i32(wanted, i)
        found = get_i32(cells, cell) - 1 if cell >= 0 else -1
        if found < 0:
            table = same_table if same_table >= 0 else get_i32(node_table, i)
            found = climb(c, get_i32(directory + 64 * table, 11), get_i32(node_of, i), row)
            if found == NO_ROOM:
                return False
            if cell >= 0:
                put_i32(cells, cell, found + 1)
        before = get_i32(answers, row)
        if before > 0:
            found = join(c, before, found)
            if found == NO_ROOM:
                return False
        put_i32(answers, row, found)
    return True


@helper
def climb(c: Number, first_node: Number, inner: Number, row: Number) -> Number:
    """The rules of a node and of those above it that hold a row's service."""
    nodes, lines, covered = get_i64(c, NODES), get_i64(c, LINES), get_i64(c, COVERED)
    service = get_u32(get_i64(c, SERVICE), row)
    found = 0
    while inner >= 0:
        node = nodes + 32 * (first_node + inner)
        part = get_i32(node, 3) + rank(lines, get_i32(node, 1), get_i32(node, 2), service)
        if get_u8(covered, part) != 0:
            own = part_answer(c, first_node + inner, part, service)
            if own == NO_ROOM:
                return NO_ROOM
            found = join(c, found, own)
            if found == NO_ROOM:
                return NO_ROOM
        inner = get_i32(node, 0)
    return found
