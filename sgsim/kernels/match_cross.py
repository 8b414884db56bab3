"""Rows of one interface → verdicts, through the tables of `tables.cross`.

Most steps are those of `cross_steps`. What is out of the ordinary is looked at row by row, by addresses as in `match`:
cells that traffic meets for the first time, protocols without ports, rows that may be exempt.
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
    get_u32,
    prefetch,
    put_i32,
    put_i64,
    put_u32,
)
from sgsim.kernels.cross_answers import class_answer
from sgsim.kernels.cross_steps import (
    bits_of,
    choose_remote,
    dhcp_ports,
    find_columns,
    gather,
    in_order,
    look_up_wide,
    same,
    special_addresses,
    widen,
    write_actions,
    write_sets,
)
from sgsim.kernels.exempt import is_exempt
from sgsim.kernels.match_context import (
    CROSS_DEPTH,
    CROSS_FOR_ALL,
    CROSS_KEY_COLUMNS,
    CROSS_KEYS,
    CROSS_LINE_NODES,
    CROSS_LINE_OF,
    CROSS_LINES,
    CROSS_NARROW,
    CROSS_NODES,
    CROSS_NUMBERS,
    CROSS_RANKS,
    CROSS_REMOTE,
    CROSS_SERVICE,
    CROSS_SHAPE,
    CROSS_TREE,
    CROSS_WIDE,
    EXEMPT,
    ICMP_CODE,
    ICMP_TYPE,
    INFO,
    LATER,
    MATCH_SET,
    MOST_SLOTS,
    REST,
    REST_USED,
    ROW,
    SLOTS,
)
from sgsim.kernels.match_store import EVERYONE, NO_ROOM, OF_JOIN, join_by_content, mix
from sgsim.kernels.match_verdicts import ACCEPT, BY_EXEMPTION, ICMP, ICMPV6, TCP, UDP, mark_untracked, put_verdict

__all__ = ["CROSS_BLOCK", "CROSS_SCRATCH", "is_alike", "match_cross"]

CROSS_BLOCK = 512  #: rows that take each step together
CROSS_SCRATCH = 8  #: columns of `numbers`

#: Columns of `numbers`, int32[8, 512].
_PROTOCOL, _PORT, _DIRECTION, _COLUMN, _FIRST_CELL, _PLACE, _ANSWER, _OTHER = range(8)

_SERVICE_BITS = 17


@kernel
def is_alike(interface: npt.NDArray[np.int32], row: npt.NDArray[np.int64], direction: npt.NDArray[np.uint8]) -> bool:
    """Whether all rows are of one interface and stand in the results as they stand here."""
    alike: bool = same(interface) and in_order(row) and bits_of(direction) <= 1
    return alike


@kernel
def match_cross(
    context: npt.NDArray[np.int64],
    root: npt.NDArray[np.int32],
    chunks: npt.NDArray[np.int32],
    services: npt.NDArray[np.int32],
    places: npt.NDArray[np.uint32],
    wide: npt.NDArray[np.int32],
    narrow: npt.NDArray[np.int32],
    info: npt.NDArray[np.int32],
    numbers: npt.NDArray[np.int32],
    remote: npt.NDArray[np.uint32],
    service: npt.NDArray[np.uint32],
    srcaddr: npt.NDArray[np.uint32],
    dstaddr: npt.NDArray[np.uint32],
    dstport: npt.NDArray[np.uint16],
    protocol: npt.NDArray[np.uint8],
    later: npt.NDArray[np.uint8],
    direction: npt.NDArray[np.uint8],
    action: npt.NDArray[np.uint8],
    reason: npt.NDArray[np.uint8],
    match_set: npt.NDArray[np.int32],
    deciding: npt.NDArray[np.int32],
    offset: int,
    begin: int,
) -> int:
    """Judge rows `begin` and following; returns how far it came, short of the end if the store is full.

    The context has the block and what is looked at row by row; here are the columns of some rows, from row `offset`
    of the block on, with their results. `root`, `chunks`, `services`: see `tables.cross`. `wide`, `narrow`: answer + 1
    of each cell, 0 where it is not known yet. `info` is INFO, flat. `places`: the lowest of the interface's own
    addresses and the distance to the highest, Amazon's resolver, the VPC router. `numbers`, `remote`, `service`:
    scratch.
    """
    c = address_of(context)
    rows = len(protocol)
    for start in range(begin, rows, CROSS_BLOCK):
        end = min(rows, start + CROSS_BLOCK)
        size, first = end - start, offset + start
        widen(protocol[start:end], numbers[_PROTOCOL])
        widen(dstport[start:end], numbers[_PORT])
        widen(direction[start:end], numbers[_DIRECTION])
        far = srcaddr[start:end]
        if bits_of(direction[start:end]) != 0:
            far = remote[:size]
            choose_remote(srcaddr[start:end], dstaddr[start:end], numbers[_DIRECTION], far)
        put_i64(c, CROSS_REMOTE, address_of(far))
        others = find_columns(
            numbers[_PROTOCOL][:size], numbers[_PORT], numbers[_DIRECTION], services, numbers[_COLUMN], service
        )
        if others:
            read_others(c, first, size)
        known = look_up_wide(
            far, numbers[_DIRECTION], root, chunks, numbers[_COLUMN], wide, numbers[_FIRST_CELL],
            numbers[_ANSWER],
        )  # fmt: skip
        if not known and not fill_wide(c, size):
            return start
        if get_i64(c, CROSS_DEPTH) > 0:
            find_lines(c, size)
            known = gather(numbers[_PLACE][:size], narrow, numbers[_OTHER])
            if not known and not fill_narrow(c, size):
                return start
            if not join_narrow(c, size):
                return start
        write_sets(numbers[_ANSWER], info, match_set[start:end], deciding[start:end])
        write_actions(numbers[_ANSWER], action[start:end], reason[start:end])
        special = special_addresses(far, places[0], places[1], places[2], places[3])
        if get_i64(c, EXEMPT) != 0 and (special or dhcp_ports(numbers[_PORT][:size])):
            write_exempt(c, first, size)
        if others or bits_of(later[start:end]) != 0:
            leave_rows(c, first, size)
        if get_i64(c, CROSS_FOR_ALL) != 0:
            mark_rows(c, first, size)
    return rows


@helper
def column_of(c: Number, number: Number) -> Number:
    """The address of a column of `numbers`."""
    return get_i64(c, CROSS_NUMBERS) + 4 * CROSS_BLOCK * number


@helper
def read_others(c: Number, first: Number, rows: Number) -> None:
    """The service and column of rows of other protocols."""
    protocols, types, codes = column_of(c, _PROTOCOL), get_i64(c, ICMP_TYPE), get_i64(c, ICMP_CODE)
    services, columns, directions = get_i64(c, CROSS_SERVICE), column_of(c, _COLUMN), column_of(c, _DIRECTION)
    for i in range(rows):
        protocol = get_i32(protocols, i)
        if protocol not in (TCP, UDP):
            number = 0
            if protocol in (ICMP, ICMPV6):
                number = max(0, 257 * get_i16(types, first + i) + get_i16(codes, first + i))
            service = protocol << _SERVICE_BITS | number
            put_u32(services, i, service)
            put_i32(columns, i, find_column(c, get_i32(directions, i), service))


@helper
def find_column(c: Number, direction: Number, service: Number) -> Number:
    """The column of a service of any protocol."""
    keys, shape = get_i64(c, CROSS_KEYS), get_i64(c, CROSS_SHAPE) + 48 * direction
    begin = get_i64(shape, 3)
    low, high = begin, begin + get_i64(shape, 4)
    while low < high:
        middle = (low + high) >> 1
        if get_u32(keys, middle) < service:
            low = middle + 1
        else:
            high = middle
    return get_i32(get_i64(c, CROSS_KEY_COLUMNS), get_i64(shape, 5) + low - begin)


@helper
def fill_wide(c: Number, rows: Number) -> Number:
    """Cells that are met for the first time. False if the store is full."""
    answers, firsts, columns = column_of(c, _ANSWER), column_of(c, _FIRST_CELL), column_of(c, _COLUMN)
    cells, nodes, services = get_i64(c, CROSS_WIDE), get_i64(c, CROSS_NODES), get_i64(c, CROSS_SERVICE)
    for i in range(rows):
        if get_i32(answers, i) == 0:
            first_cell = get_i32(firsts, i)
            cell = first_cell + get_i32(columns, i)
            if get_i32(cells, cell) == 0:
                shape = get_i64(c, CROSS_SHAPE) + 48 * get_i32(column_of(c, _DIRECTION), i)
                node = get_i64(shape, 2) + (first_cell - get_i64(shape, 0)) // get_i64(shape, 1)
                answer = class_answer(c, nodes, node, get_u32(services, i))
                if answer == NO_ROOM:
                    return False
                put_i32(cells, cell, answer + 1)
            put_i32(answers, i, get_i32(cells, cell))
    return True


@helper
def find_lines(c: Number, rows: Number) -> None:
    """The narrow cell of each row in _PLACE: 16 * line + how many of its keys are below the service."""
    tree, line_of, lines = get_i64(c, CROSS_TREE), get_i64(c, CROSS_LINE_OF), get_i64(c, CROSS_LINES)
    places, directions = column_of(c, _PLACE), column_of(c, _DIRECTION)
    remotes, services = get_i64(c, CROSS_REMOTE), get_i64(c, CROSS_SERVICE)
    ranks, inner = get_i64(c, CROSS_RANKS), 0
    for i in range(rows):
        put_i32(places, i, 0)
    for _ in range(get_i64(c, CROSS_DEPTH) - 1):
        for i in range(rows):
            node = get_i32(places, i)
            node = 17 * node + 1 + count_below(tree, node, get_u32(remotes, i))
            prefetch(tree + 64 * node)
            put_i32(places, i, node)
        inner = 17 * inner + 1
    for i in range(rows):
        node = get_i32(places, i)
        rank = 16 * (node - inner) + count_below(tree, node, get_u32(remotes, i)) + ranks * get_i32(directions, i)
        prefetch(line_of + 4 * rank)
        put_i32(places, i, rank)
    for i in range(rows):
        entry = get_i32(line_of, get_i32(places, i))
        prefetch(lines + 64 * (entry >> 1))
        put_i32(places, i, entry)
    cells, deep = get_i64(c, CROSS_NARROW), 0
    for i in range(rows):
        entry = get_i32(places, i)
        line = entry >> 1
        below = count_below(lines, line, get_u32(services, i))
        place = 16 * line + below
        if entry & 1 != 0:
            line += 1 + below
            place, deep = -1 - line, 1
            prefetch(lines + 64 * line)
        else:
            prefetch(cells + 4 * place)
        put_i32(places, i, place)
    if deep != 0:
        find_leaves(c, rows)


@helper
def find_leaves(c: Number, rows: Number) -> None:
    """The narrow cells of rows whose _PLACE is -1 - a line: the second level of deep classes."""
    lines, places, services = get_i64(c, CROSS_LINES), column_of(c, _PLACE), get_i64(c, CROSS_SERVICE)
    for i in range(rows):
        line = -1 - get_i32(places, i)
        if line >= 0:
            put_i32(places, i, 16 * line + count_below(lines, line, get_u32(services, i)))


@helper
def fill_narrow(c: Number, rows: Number) -> Number:
    """Narrow cells that are met for the first time. False if the store is full."""
    places, found, cells = column_of(c, _PLACE), column_of(c, _OTHER), get_i64(c, CROSS_NARROW)
    nodes, services = get_i64(c, CROSS_LINE_NODES), get_i64(c, CROSS_SERVICE)
    for i in range(rows):
        if get_i32(found, i) == 0:
            cell = get_i32(places, i)
            if get_i32(cells, cell) == 0:
                answer = class_answer(c, nodes, cell >> 4, get_u32(services, i))
                if answer == NO_ROOM:
                    return False
                put_i32(cells, cell, answer + 1)
            put_i32(found, i, get_i32(cells, cell))
    return True


@helper
def join_narrow(c: Number, rows: Number) -> Number:
    """Join what wide and narrow rules answer. False if the store is full."""
    answers, others, kept = column_of(c, _ANSWER), column_of(c, _OTHER), column_of(c, _PLACE)
    several: Number = 0
    for i in range(rows):
        one, other = get_i32(answers, i), get_i32(others, i)
        put_i32(answers, i, max(one, other))
        put_i32(kept, several, i)
        put_i32(others, several, min(one, other))
        several += np.int64(min(one, other) > 1)
    slots, limit = get_i64(c, SLOTS), np.uint64(get_i64(c, MOST_SLOTS) - 1)
    for k in range(several):
        one = np.uint64(OF_JOIN | (get_i32(answers, get_i32(kept, k)) - 1))
        prefetch(slots + 16 * np.int64(mix(one, np.uint64(get_i32(others, k) - 1)) & limit))
    for k in range(several):
        i = get_i32(kept, k)
        found = join_by_content(c, get_i32(answers, i) - 1, get_i32(others, k) - 1)
        if found == NO_ROOM:
            return False
        put_i32(answers, i, found + 1)
    return True


@helper
def mark_rows(c: Number, first: Number, rows: Number) -> None:
    """Rows that a rule for all addresses lets in may be untracked."""
    info, answers = get_i64(c, INFO), column_of(c, _ANSWER)
    for i in range(rows):
        if get_i32(info, 4 * (get_i32(answers, i) - 1)) & EVERYONE != 0:
            mark_untracked(c, first + i, get_i64(get_i64(c, ROW), first + i))


@helper
def write_exempt(c: Number, first: Number, rows: Number) -> None:
    """Exempt rows are accepted, whatever the rules."""
    for i in range(rows):
        if is_exempt(c, first + i):
            take_back(c, first, i)
            put_verdict(c, first + i, ACCEPT, BY_EXEMPTION)


@helper
def leave_rows(c: Number, first: Number, rows: Number) -> None:
    """Rows that lack a port or an ICMP type are left to the scan."""
    rest, left, protocols = get_i64(c, REST), get_i64(c, REST_USED), column_of(c, _PROTOCOL)
    types, codes, later = get_i64(c, ICMP_TYPE), get_i64(c, ICMP_CODE), get_i64(c, LATER)
    for i in range(rows):
        protocol, row = get_i32(protocols, i), first + i
        icmp = protocol in (ICMP, ICMPV6)
        lacks = get_u8(later, row) != 0 and (icmp or protocol in (TCP, UDP))
        if lacks or (icmp and (get_i16(types, row) < 0 or get_i16(codes, row) < 0)):
            take_back(c, first, i)
            put_i64(rest, left, row)
            left += 1
    put_i64(c, REST_USED, left)


@helper
def take_back(c: Number, first: Number, i: Number) -> None:
    """As if the row had not been judged."""
    put_verdict(c, first + i, 0, 0)
    put_i32(get_i64(c, MATCH_SET), get_i64(get_i64(c, ROW), first + i), 0)
    put_i32(column_of(c, _ANSWER), i, 1)
