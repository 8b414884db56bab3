"""Rows of flows → verdicts, through the tables of every group on each row's interface.

What costs is waiting for memory and mispredicted branches. So a block of rows goes through one step before the next
begins, each step prefetches the cache lines of the next (fleet of 10 000 groups: four times as fast as one fused
loop), and rows that a step has nothing for drop out of the lists.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel
from sgsim.kernels._memory import (
    Number,
    address_of,
    count_below,
    get_i16,
    get_i32,
    get_i64,
    get_u8,
    get_u16,
    get_u32,
    get_u64,
    prefetch,
    put_i32,
    put_i64,
    put_u8,
    put_u32,
    put_u64,
    trailing_zeros,
)
from sgsim.kernels.exempt import is_exempt
from sgsim.kernels.match_context import (
    ACTION,
    ADDRESS_AT,
    ANSWER,
    BLOCK,
    CELLS,
    COVERED,
    DECIDING,
    DIRECTION,
    DIRECTORY,
    DST,
    DSTPORT,
    EXEMPT,
    FAMILY,
    GROUP_OFFSETS,
    GROUPS,
    HI,
    ICMP_CODE,
    ICMP_TYPE,
    INFO,
    INTERFACE,
    KEYS_HI,
    KEYS_LO,
    LATER,
    LINES,
    LIST_HI,
    LIST_LENGTH,
    LIST_LO,
    LIST_OFFSETS,
    LIST_UNRESOLVED,
    LO,
    LOW,
    MATCH_SET,
    MOST_SLOTS,
    NODE,
    NODE_ROW,
    NODE_TABLE,
    NODES,
    NODES_USED,
    PAGE_AT,
    PAGE_ROW,
    PAGE_RULES,
    PAGES_AT,
    PAGES_USED,
    PAIR_ROW,
    PAIR_TABLE,
    PAIRS,
    PAIRS_USED,
    PEER,
    PROTOCOL,
    REASON,
    RECORDS,
    REGIONS,
    REST,
    REST_USED,
    ROW,
    SAME_TABLE,
    SERVICE,
    SERVICE_AT,
    SLOTS,
    SRC,
    START,
    STATE,
    STOP,
    SUBJECT,
    SUBJECT_FIRST,
    SUBJECT_LAST,
    SUBJECT_OFFSETS,
    SUBJECT_ROW,
    SUBJECT_TABLE,
    SUBJECTS_USED,
    TARGET,
    TRUTH_OFFSETS,
    TRUTH_REFERENCES,
    TRUTHS,
    UNTRACKED,
    UNTRACKED_OUT,
    WORD,
)
from sgsim.kernels.match_store import (
    EVERYONE,
    NO_ROOM,
    OF_JOIN,
    OF_PAGE,
    find,
    join,
    mix,
    page_answer,
    part_answer,
    subject_answer,
)

__all__ = ["match"]

_KIND, _HAS_SUBJECTS = 3, 4
_PAGE, _REGIONS = 1, 2
_TCP, _UDP, _ICMP, _ICMPV6 = 6, 17, 1, 58
_UNKNOWN, _ACCEPT = 2, 1
_UNFILTERED, _EXEMPT, _NO_INTERFACE, _AMBIGUOUS = 3, 4, 5, 6

#: STATE of a row: answered, left to the scan, left to the scan unless a rule surely matches.
_DONE, _LEFT, _MAYBE = 1, 2, 4


@kernel
def match(context: npt.NDArray[np.int64]) -> None:
    """Judge rows START to STOP; START tells how far it came, short of STOP if the store is full."""
    c = address_of(context)
    while get_i64(c, START) < get_i64(c, STOP):
        end = read_rows(c)
        if is_dense(c):
            find_cells(c)
        else:
            find_tables(c)
            find_nodes(c)
        if get_i64(c, NODES_USED) > 0 and not walk(c):
            return
        if get_i64(c, PAGES_USED) > 0:
            find_masks(c)
            match_services(c)
            if not add_pages(c):
                return
        if get_i64(c, SUBJECTS_USED) > 0 and not add_subjects(c):
            return
        write_rows(c, end)
        put_i64(c, START, end)


@helper
def read_rows(c: Number) -> Number:
    """Remote address and service of each row of a block, its (row, table) pairs; returns the block's end."""
    start = get_i64(c, START)
    end = min(get_i64(c, STOP), start + BLOCK)
    read_fields(c, start, end)
    if read_alike(c, start, end):
        return end
    records, groups, directory = get_i64(c, RECORDS), get_i64(c, GROUPS), get_i64(c, DIRECTORY)
    interfaces, directions, state = get_i64(c, INTERFACE), get_i64(c, DIRECTION), get_i64(c, STATE)
    pair_row, pair_table = get_i64(c, PAIR_ROW), get_i64(c, PAIR_TABLE)
    for i in range(end - start):
        prefetch(groups + 4 * get_u32(records, 8 * max(0, get_i32(interfaces, start + i))))
    look_for_exempt = get_i64(c, EXEMPT) != 0
    pairs, same_table = 0, get_i64(c, SAME_TABLE)
    for i in range(end - start):
        at = get_i32(interfaces, start + i)
        if at < 0:
            answer_at_once(c, i, start, _UNKNOWN, _NO_INTERFACE if at == -1 else _AMBIGUOUS)
            continue
        flags, direction = get_u32(records, 8 * at + 1), get_u8(directions, start + i)
        if look_for_exempt and may_be_exempt(c, i, records + 32 * at, flags) and is_exempt(c, start + i):
            answer_at_once(c, i, start, _ACCEPT, _EXEMPT)
            continue
        if flags >> (18 + direction) & 1 != 0:
            answer_at_once(c, i, start, _ACCEPT, _UNFILTERED)
            continue
        if flags >> 16 & 1 != 0:
            put_u8(state, i, get_u8(state, i) | _MAYBE)
        if get_u8(state, i) & _LEFT != 0:
            continue
        count = flags & 0xFFFF
        if pairs + count > PAIRS:
            if pairs > 0:
                end = start + i
                break
            put_u8(state, i, _LEFT)
            continue
        first = get_u32(records, 8 * at)
        for group in range(first, first + count):
            table = 2 * get_i32(groups, group) + direction
            prefetch(directory + 64 * table)
            put_i32(pair_row, pairs, i)
            put_i32(pair_table, pairs, table)
            if table != same_table:
                same_table = table if pairs == 0 else -1
            pairs += 1
    put_i64(c, PAIRS_USED, pairs)
    put_i64(c, SAME_TABLE, same_table)
    return end


@helper
def read_alike(c: Number, start: Number, end: Number) -> Number:
    """The pairs of a block whose rows are all judged at one interface with one group, in one direction.

    False if the block is not such, or any row is out of the ordinary: then each row is looked at.
    """
    interfaces, directions, state = get_i64(c, INTERFACE), get_i64(c, DIRECTION), get_i64(c, STATE)
    interface, direction = get_i32(interfaces, start), get_u8(directions, start)
    different = np.int64(interface < 0)
    for i in range(end - start):
        different |= get_i32(interfaces, start + i) ^ interface
        different |= (get_u8(directions, start + i) ^ direction) | (get_u8(state, i) & _LEFT)
    if different != 0:
        return False
    record = get_i64(c, RECORDS) + 32 * interface
    flags = get_u32(record, 1)
    if flags & 0x1FFFF != 1 or flags >> (18 + direction) & 1 != 0:
        return False
    if get_i64(c, EXEMPT) != 0:
        special = False
        for i in range(end - start):
            special |= may_be_exempt(c, i, record, flags)
        if special:
            return False
    table = 2 * get_i32(get_i64(c, GROUPS), get_u32(record, 0)) + direction
    pair_row, pair_table = get_i64(c, PAIR_ROW), get_i64(c, PAIR_TABLE)
    for i in range(end - start):
        put_i32(pair_row, i, i)
        put_i32(pair_table, i, table)
    put_i64(c, PAIRS_USED, end - start)
    put_i64(c, SAME_TABLE, table)
    return True


@helper
def read_fields(c: Number, start: Number, end: Number) -> None:
    """LOW, HI, LO, SERVICE, STATE, ANSWER of each row; prefetches the records of interfaces."""
    family, directions = get_i64(c, FAMILY), get_i64(c, DIRECTION)
    src, dst = get_i64(c, SRC), get_i64(c, DST)
    low, hi, lo = get_i64(c, LOW), get_i64(c, HI), get_i64(c, LO)
    if family == 4:
        for i in range(end - start):
            address = src if get_u8(directions, start + i) == 0 else dst
            put_u32(low, i, get_u32(address, start + i))
    else:
        for i in range(end - start):
            address = src if get_u8(directions, start + i) == 0 else dst
            put_u64(hi, i, get_u64(address, 2 * (start + i)))
            put_u64(lo, i, get_u64(address, 2 * (start + i) + 1))
            put_u32(low, i, get_u32(address, 4 * (start + i) + 2))
    protocols, ports, later = get_i64(c, PROTOCOL), get_i64(c, DSTPORT), get_i64(c, LATER)
    types, codes = get_i64(c, ICMP_TYPE), get_i64(c, ICMP_CODE)
    service, state, answer = get_i64(c, SERVICE), get_i64(c, STATE), get_i64(c, ANSWER)
    records, interfaces = get_i64(c, RECORDS), get_i64(c, INTERFACE)
    for i in range(end - start):
        row = start + i
        prefetch(records + 32 * get_i32(interfaces, row))
        protocol = get_u8(protocols, row)
        number, left = 0, 0
        if protocol in (_TCP, _UDP):
            number = get_u16(ports, row)
            left = get_u8(later, row)
        elif protocol in (_ICMP, _ICMPV6):
            icmp_type, code = get_i16(types, row), get_i16(codes, row)
            number = 257 * icmp_type + code
            left = 1 if get_u8(later, row) != 0 or icmp_type < 0 or code < 0 else 0
        put_u32(service, i, protocol << 17 | number)
        put_u8(state, i, left * _LEFT)
        put_i32(answer, i, 0)


@helper(inline=True)
def may_be_exempt(c: Number, i: Number, record: Number, flags: Number) -> Number:
    """A test that every exempt row passes and few others."""
    low = get_u32(get_i64(c, LOW), i)
    own = (low - get_u32(record, 2)) & 0xFFFFFFFF <= get_u32(record, 3)
    special = own | (low == get_u32(record, 4)) | (low == get_u32(record, 5)) | (flags >> 17 & 1 != 0)
    if get_i64(c, FAMILY) == 4:
        special |= (low >> 16 == 0xA9FE) | (low == 0xFFFFFFFF)
    else:
        hi = get_u64(get_i64(c, HI), i)
        special |= (hi >> np.uint64(54) == np.uint64(0x3FA)) | (hi == np.uint64(0xFD000EC200000000))
    service = get_u32(get_i64(c, SERVICE), i)
    dhcp = (service >> 17 == _UDP) & ((service & 0xFFFE == 546) | (service & 0xFFFF == 67) | (service & 0xFFFF == 68))
    return special | dhcp


@helper
def answer_at_once(c: Number, i: Number, start: Number, action: Number, reason: Number) -> None:
    """Answer a row that no rule is asked about."""
    row = get_i64(get_i64(c, ROW), start + i)
    put_u8(get_i64(c, ACTION), row, action)
    put_u8(get_i64(c, REASON), row, reason)
    put_i32(get_i64(c, DECIDING), row, -1)
    put_u8(get_i64(c, STATE), i, _DONE)


@helper(inline=True)
def rank(lines: Number, base: Number, depth: Number, value: Number) -> Number:
    """How many keys of a search tree are below a value (see `sgsim.compiler.trees`)."""
    node, inner = 0, 0
    for _ in range(depth - 1):
        node = 17 * node + 1 + count_below(lines, base + node, value)
        inner = 17 * inner + 1
    return 16 * (node - inner) + count_below(lines, base + node, value)


@helper
def rank_pairs(c: Number, first: Number, count: Number, i: Number) -> Number:
    """How many of some sorted 128-bit keys are below the address of a row."""
    keys_hi, keys_lo = get_i64(c, KEYS_HI), get_i64(c, KEYS_LO)
    hi, lo = get_u64(get_i64(c, HI), i), get_u64(get_i64(c, LO), i)
    low, high = 0, count
    while low < high:
        middle = (low + high) >> 1
        key_hi = get_u64(keys_hi, first + middle)
        if key_hi < hi or (key_hi == hi and get_u64(keys_lo, first + middle) < lo):
            low = middle + 1
        else:
            high = middle
    return low


@helper
def find_tables(c: Number) -> None:
    """From (row, table) pairs to lists of pages, nodes and subjects."""
    family, directory, lines = get_i64(c, FAMILY), get_i64(c, DIRECTORY), get_i64(c, LINES)
    pair_row, pair_table, low = get_i64(c, PAIR_ROW), get_i64(c, PAIR_TABLE), get_i64(c, LOW)
    page_row, page_at = get_i64(c, PAGE_ROW), get_i64(c, PAGE_AT)
    node_row, node_table, node = get_i64(c, NODE_ROW), get_i64(c, NODE_TABLE), get_i64(c, NODE)
    subject_row, subject_table = get_i64(c, SUBJECT_ROW), get_i64(c, SUBJECT_TABLE)
    regions, pages_at = get_i64(c, REGIONS), get_i64(c, PAGES_AT)
    pages, nodes, subjects = 0, 0, 0
    for i in range(get_i64(c, PAIRS_USED)):
        row, table = get_i32(pair_row, i), get_i32(pair_table, i)
        header = directory + 64 * table
        kind = get_i32(header, 0)
        if kind & _HAS_SUBJECTS != 0:
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
                region = rank(lines, get_i32(header, 1), get_i32(header, 2), get_u32(low, row))
            else:
                region = rank_pairs(c, get_i32(header, 1), get_i32(header, 2), row)
            region += get_i32(header, 3)
            page, inner = get_i32(regions, 2 * region), get_i32(regions, 2 * region + 1)
            if inner >= 0:
                put_i32(node_row, nodes, row)
                put_i32(node_table, nodes, table)
                put_i32(node, nodes, inner)
                nodes += 1
            if page >= 0:
                put_i32(page_row, pages, row)
                put_i32(page_at, pages, pages_at + 8 * page)
                pages += 1
    put_i64(c, PAGES_USED, pages)
    put_i64(c, NODES_USED, nodes)
    put_i64(c, SUBJECTS_USED, subjects)


@helper
def is_dense(c: Number) -> Number:
    """Whether all pairs of the block belong to one table, which is dense and has no subjects."""
    table = get_i64(c, SAME_TABLE)
    header = get_i64(c, DIRECTORY) + 64 * table
    return table >= 0 and get_i32(header, 0) == _REGIONS and get_i32(header, 7) > 0


@helper
def find_cells(c: Number) -> None:
    """`find_tables` and `find_nodes` where all pairs belong to one dense table: nothing is looked up per row."""
    header = get_i64(c, DIRECTORY) + 64 * get_i64(c, SAME_TABLE)
    lines, low, services, cells = get_i64(c, LINES), get_i64(c, LOW), get_i64(c, SERVICE), get_i64(c, CELLS)
    regions = get_i64(c, REGIONS) + 8 * get_i32(header, 3)
    first, depth, six = get_i32(header, 1), get_i32(header, 2), get_i64(c, FAMILY) == 6
    service_first, service_depth = get_i32(header, 5), get_i32(header, 6)
    classes = get_i32(header, 7)
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
    if get_i32(header, 8) > 0:
        pages_at = get_i64(c, PAGES_AT)
        page_row, page_at = get_i64(c, PAGE_ROW), get_i64(c, PAGE_AT)
        for i in range(used):
            page = get_i32(regions, 2 * get_i32(place, i))
            put_i32(page_row, pages, get_i32(rows, i))
            put_i32(page_at, pages, pages_at + 8 * page)
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
        classes = get_i32(header, 7)
        cell = -1
        if classes > 0:
            service = get_u32(services, get_i32(node_row, i))
            cell = rank(lines, get_i32(header, 5), get_i32(header, 6), service)
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
            found = climb(c, get_i32(directory + 64 * table, 4), get_i32(node_of, i), row)
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


@helper
def add_subjects(c: Number) -> Number:
    """Rules that name groups or prefix lists, one by one. False if the store is full."""
    offsets, subjects, start = get_i64(c, SUBJECT_OFFSETS), get_i64(c, SUBJECT), get_i64(c, START)
    firsts, lasts = get_i64(c, SUBJECT_FIRST), get_i64(c, SUBJECT_LAST)
    services, answers, state = get_i64(c, SERVICE), get_i64(c, ANSWER), get_i64(c, STATE)
    rows, tables, peers = get_i64(c, SUBJECT_ROW), get_i64(c, SUBJECT_TABLE), get_i64(c, PEER)
    for i in range(get_i64(c, SUBJECTS_USED)):
        row, table = get_i32(rows, i), get_i32(tables, i)
        service = get_u32(services, row)
        for s in range(get_i64(offsets, table), get_i64(offsets, table + 1)):
            if service < get_u32(firsts, s) or get_u32(lasts, s) < service:
                continue
            subject = get_i32(subjects, s)
            length = -1
            if subject >= 0:
                truth = reference_truth(c, subject, get_i32(peers, start + row))
            elif get_u8(get_i64(c, LIST_UNRESOLVED), -1 - subject) != 0:
                truth = 1
            else:
                length = longest_entry(c, -1 - subject, row)
                truth = 0 if length < 0 else 2
            if truth == 1:
                put_u8(state, row, get_u8(state, row) | _MAYBE)
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
    """0, 1 or 2: whether the remote address is a member's of the group that a reference names (see match_scan)."""
    if peer == -1:
        return 0
    if peer >= 0:
        groups, offsets = get_i64(c, GROUPS), get_i64(c, GROUP_OFFSETS)
        wanted = get_i32(get_i64(c, TARGET), reference)
        for i in range(get_i32(offsets, peer), get_i32(offsets, peer + 1)):
            if get_i32(groups, i) == wanted:
                return 2
        return 0
    references, offsets = get_i64(c, TRUTH_REFERENCES), get_i64(c, TRUTH_OFFSETS)
    for i in range(get_i64(offsets, -2 - peer), get_i64(offsets, -1 - peer)):
        if get_i32(references, i) == reference:
            return get_u8(get_i64(c, TRUTHS), i)
    return 0


@helper
def longest_entry(c: Number, number: Number, row: Number) -> Number:
    """The prefix length of the longest entry of a list that has the row's remote address, -1 if none."""
    offsets, list_hi, list_lo = get_i64(c, LIST_OFFSETS), get_i64(c, LIST_HI), get_i64(c, LIST_LO)
    if get_i64(c, FAMILY) == 4:
        hi, lo = np.uint64(0), np.uint64(get_u32(get_i64(c, LOW), row))
    else:
        hi, lo = get_u64(get_i64(c, HI), row), get_u64(get_i64(c, LO), row)
    low, high = get_i64(offsets, number), get_i64(offsets, number + 1)
    while high - low > 1:
        middle = (low + high) >> 1
        at_hi = get_u64(list_hi, middle)
        if at_hi < hi or (at_hi == hi and get_u64(list_lo, middle) <= lo):
            low = middle
        else:
            high = middle
    return get_i16(get_i64(c, LIST_LENGTH), low)


@helper
def write_rows(c: Number, end: Number) -> None:
    """Verdicts from answers; rows with no sure match where something may match are left to the scan."""
    start, info, answers, state = get_i64(c, START), get_i64(c, INFO), get_i64(c, ANSWER), get_i64(c, STATE)
    action, reason, match_set = get_i64(c, ACTION), get_i64(c, REASON), get_i64(c, MATCH_SET)
    deciding, rest, to = get_i64(c, DECIDING), get_i64(c, REST), get_i64(c, ROW)
    protocols, untracked = get_i64(c, PROTOCOL), get_i64(c, UNTRACKED)
    left = get_i64(c, REST_USED)
    for i in range(end - start):
        prefetch(info + 16 * get_i32(answers, i))
    for i in range(end - start):
        found, kind = get_i32(answers, i), get_u8(state, i)
        if kind != 0:
            if kind & _DONE != 0:
                continue
            if kind & _LEFT != 0 or found == 0:
                put_i64(rest, left, start + i)
                left += 1
                continue
        at = get_i64(to, start + i)
        accept = np.int64(found > 0)
        put_u8(action, at, accept)
        put_u8(reason, at, accept)
        put_i32(match_set, at, found)
        put_i32(deciding, at, get_i32(info, 4 * found + 1))
        protocol = get_u8(protocols, start + i)
        if untracked != 0 and get_i32(info, 4 * found) & EVERYONE != 0 and (protocol in (_TCP, _UDP)):
            mark_untracked(c, start + i, protocol, at)
    put_i64(c, REST_USED, left)


@helper
def mark_untracked(c: Number, row: Number, protocol: Number, at: Number) -> None:
    """A rule for all addresses lets the row in: it is untracked if the other direction is wide open."""
    wide = get_u32(get_i64(c, RECORDS), 8 * get_i32(get_i64(c, INTERFACE), row) + 6)
    udp = 1 if protocol == _UDP else 0
    six = 2 if get_i64(c, FAMILY) == 6 else 0
    other = 4 * (1 - get_u8(get_i64(c, DIRECTION), row))
    put_u8(get_i64(c, UNTRACKED_OUT), at, wide >> (other | six | udp) & 1)
