"""The first step of `match`: what is asked of the rules, row by row of a block."""

from __future__ import annotations

import numpy as np

from sgsim.kernels._jit import helper
from sgsim.kernels._memory import (
    Number,
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
)
from sgsim.kernels.exempt import is_exempt
from sgsim.kernels.match_context import (
    ANSWER,
    BLOCK,
    DIRECTION,
    DIRECTORY,
    DST,
    DSTPORT,
    EXEMPT,
    FAMILY,
    GROUPS,
    HI,
    ICMP_CODE,
    ICMP_TYPE,
    INTERFACE,
    INTERFACE_CHUNKS,
    LATER,
    LO,
    LOW,
    PAIR_ROW,
    PAIR_TABLE,
    PAIRS,
    PAIRS_USED,
    PROTOCOL,
    RECORD,
    RECORDS,
    SAME_TABLE,
    SERVICE,
    SRC,
    START,
    STATE,
    STOP,
    TABLE_CHUNKS,
)
from sgsim.kernels.match_slots import record_of, slot_of, table_slot
from sgsim.kernels.match_verdicts import (
    ACCEPT,
    BY_EXEMPTION,
    ICMP,
    ICMPV6,
    SEVERAL,
    TCP,
    UDP,
    UNKNOWN,
    UNSEEN,
    leads_outside,
    put_unasked,
    put_verdict,
)

__all__ = ["DONE", "LEFT", "MAYBE", "read_rows"]

#: STATE of a row: answered, left to the scan, left to the scan unless a rule surely matches.
DONE, LEFT, MAYBE = 1, 2, 4


@helper
def read_rows(c: Number) -> Number:
    """Remote address and service of each row of a block, its (row, table) pairs; returns the block's end.

    Returns -1 if a row leads outside.
    """
    start = get_i64(c, START)
    end = min(get_i64(c, STOP), start + BLOCK)
    outside = 0
    for row in range(start, end):
        outside |= leads_outside(c, row)
    if outside != 0:
        return -1
    read_fields(c, start, end)
    if read_alike(c, start, end):
        return end
    records, groups, directory = get_i64(c, RECORDS), get_i64(c, GROUPS), get_i64(c, DIRECTORY)
    interfaces, directions, state = get_i64(c, INTERFACE), get_i64(c, DIRECTION), get_i64(c, STATE)
    pair_row, pair_table, slots = get_i64(c, PAIR_ROW), get_i64(c, PAIR_TABLE), get_i64(c, RECORD)
    interface_chunks, table_chunks = get_i64(c, INTERFACE_CHUNKS), get_i64(c, TABLE_CHUNKS)
    for i in range(end - start):
        slot = slot_of(interface_chunks, max(0, get_i32(interfaces, start + i)))
        prefetch(records + 32 * slot)
        put_i32(slots, i, slot)
    for i in range(end - start):
        prefetch(groups + 4 * get_u32(records, 8 * get_i32(slots, i)))
    look_for_exempt = get_i64(c, EXEMPT) != 0
    pairs, same_table = 0, get_i64(c, SAME_TABLE)
    for i in range(end - start):
        interface = get_i32(interfaces, start + i)
        if interface < 0:
            put_verdict(c, start + i, UNKNOWN, UNSEEN if interface == -1 else SEVERAL)
            put_u8(state, i, DONE)
            continue
        at = get_i32(slots, i)
        flags, direction = get_u32(records, 8 * at + 1), get_u8(directions, start + i)
        if look_for_exempt and may_be_exempt(c, i, records + 32 * at, flags) and is_exempt(c, start + i):
            put_verdict(c, start + i, ACCEPT, BY_EXEMPTION)
            put_u8(state, i, DONE)
            continue
        if flags >> (18 + direction) & 1 != 0:
            put_unasked(c, start + i, flags)
            put_u8(state, i, DONE)
            continue
        if flags >> 16 & 1 != 0:
            put_u8(state, i, get_u8(state, i) | MAYBE)
        if get_u8(state, i) & LEFT != 0:
            continue
        count = flags & 0xFFFF
        if pairs + count > PAIRS:
            if pairs > 0:
                end = start + i
                break
            put_u8(state, i, LEFT)
            continue
        first = get_u32(records, 8 * at)
        for group in range(first, first + count):
            table = slot_of(table_chunks, 2 * get_i32(groups, group) + direction)
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
def read_fields(c: Number, start: Number, end: Number) -> None:
    """LOW, HI, LO, SERVICE, STATE, ANSWER of each row."""
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
    for i in range(end - start):
        row = start + i
        protocol = get_u8(protocols, row)
        number, left = 0, 0
        if protocol in (TCP, UDP):
            number = get_u16(ports, row)
            left = get_u8(later, row)
        elif protocol in (ICMP, ICMPV6):
            icmp_type, code = get_i16(types, row), get_i16(codes, row)
            number = 257 * icmp_type + code
            left = 1 if get_u8(later, row) != 0 or icmp_type < 0 or code < 0 else 0
        put_u32(service, i, protocol << 17 | number)
        put_u8(state, i, left * LEFT)
        put_i32(answer, i, 0)


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
        different |= (get_u8(directions, start + i) ^ direction) | (get_u8(state, i) & LEFT)
    if different != 0:
        return False
    record = record_of(c, interface)
    flags = get_u32(record, 1)
    if flags & 0x1FFFF != 1 or flags >> (18 + direction) & 1 != 0:
        return False
    if get_i64(c, EXEMPT) != 0:
        special = False
        for i in range(end - start):
            special |= may_be_exempt(c, i, record, flags)
        if special:
            return False
    table = table_slot(c, 2 * get_i32(get_i64(c, GROUPS), get_u32(record, 0)) + direction)
    pair_row, pair_table = get_i64(c, PAIR_ROW), get_i64(c, PAIR_TABLE)
    for i in range(end - start):
        put_i32(pair_row, i, i)
        put_i32(pair_table, i, table)
    put_i64(c, PAIRS_USED, end - start)
    put_i64(c, SAME_TABLE, table)
    return True


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
    dhcp = (service >> 17 == UDP) & ((service & 0xFFFE == 546) | (service & 0xFFFF == 67) | (service & 0xFFFF == 68))
    return special | dhcp
