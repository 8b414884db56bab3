"""Which rows are traffic that security groups never see (docs/semantics.md §3, §9.8)."""

from __future__ import annotations

import numpy as np

from sgsim.kernels._jit import helper
from sgsim.kernels._memory import Number, get_i32, get_i64, get_u8, get_u16, get_u32, get_u64
from sgsim.kernels.match_context import (
    DHCP,
    DIRECTION,
    DST,
    DSTPORT,
    FAMILY,
    INTERFACE,
    LINK_LOCAL,
    PROTOCOL,
    SERVICES_HI,
    SERVICES_LO,
    SERVICES_PORT,
    SERVICES_PROTOCOL,
    SERVICES_USED,
    SPECIAL_HI,
    SPECIAL_KIND,
    SPECIAL_LAST_HI,
    SPECIAL_LAST_LO,
    SPECIAL_LO,
    SRC,
    SRCPORT,
)
from sgsim.kernels.match_slots import record_of

__all__ = ["is_exempt", "remote_hi", "remote_lo"]

_OWN, _ROUTER, _RESOLVER = 1, 2, 4
_TCP, _UDP, _DNS = 6, 17, 53
_BROADCAST = np.uint64(0xFFFFFFFF)


@helper
def is_exempt(c: Number, row: Number) -> Number:
    """Whether a row is traffic that security groups never see at its interface; nothing is where that is gone."""
    if get_u32(record_of(c, get_i32(get_i64(c, INTERFACE), row)), 1) >> 20 & 1 != 0:
        return False
    src_kinds, dst_kinds = kinds(c, SRC, row), kinds(c, DST, row)
    if src_kinds & dst_kinds & _OWN != 0:
        return True
    ingress = get_u8(get_i64(c, DIRECTION), row) == 0
    remote_kinds = src_kinds if ingress else dst_kinds
    if remote_kinds & _ROUTER != 0:
        return True
    srcport, dstport = get_u16(get_i64(c, SRCPORT), row), get_u16(get_i64(c, DSTPORT), row)
    protocol = get_u8(get_i64(c, PROTOCOL), row)
    port = srcport if ingress else dstport
    if remote_kinds & _RESOLVER != 0 and port == _DNS and protocol in (_TCP, _UDP):
        return True
    if is_service(c, SRC if ingress else DST, row, protocol, port):
        return True
    one, other = get_u16(get_i64(c, DHCP), 0), get_u16(get_i64(c, DHCP), 1)
    if protocol != _UDP or not ((srcport == one and dstport == other) or (srcport == other and dstport == one)):
        return False
    return (src_kinds | dst_kinds) & _ROUTER != 0 or is_local(c, SRC, row) or is_local(c, DST, row)


@helper
def upper(c: Number, column: Number, row: Number) -> Number:
    """The high half of an address."""
    return np.uint64(0) if get_i64(c, FAMILY) == 4 else get_u64(get_i64(c, column), 2 * row)


@helper
def lower(c: Number, column: Number, row: Number) -> Number:
    """The low half of an address."""
    if get_i64(c, FAMILY) == 4:
        return np.uint64(get_u32(get_i64(c, column), row))
    return get_u64(get_i64(c, column), 2 * row + 1)


@helper
def remote_hi(c: Number, row: Number) -> Number:
    """The high half of a row's remote address: source of ingress, destination of egress."""
    return upper(c, SRC if get_u8(get_i64(c, DIRECTION), row) == 0 else DST, row)


@helper
def remote_lo(c: Number, row: Number) -> Number:
    """The low half of a row's remote address."""
    return lower(c, SRC if get_u8(get_i64(c, DIRECTION), row) == 0 else DST, row)


@helper
def kinds(c: Number, column: Number, row: Number) -> Number:
    """What an address is to the row's interface: the disjunction of the kinds of the ranges that have it."""
    hi, lo = upper(c, column, row), lower(c, column, row)
    first_hi, first_lo = get_i64(c, SPECIAL_HI), get_i64(c, SPECIAL_LO)
    last_hi, last_lo = get_i64(c, SPECIAL_LAST_HI), get_i64(c, SPECIAL_LAST_LO)
    record = record_of(c, get_i32(get_i64(c, INTERFACE), row))
    found = 0
    for i in range(get_u32(record, 6), get_u32(record, 7)):
        low, high = get_u64(first_hi, i), get_u64(last_hi, i)
        after_first = hi > low or (hi == low and lo >= get_u64(first_lo, i))
        before_last = hi < high or (hi == high and lo <= get_u64(last_lo, i))
        if after_first and before_last:
            found |= get_u8(get_i64(c, SPECIAL_KIND), i)
    return found


@helper
def is_service(c: Number, column: Number, row: Number, protocol: Number, port: Number) -> Number:
    """Whether the address, protocol and port are those of a service at a fixed address."""
    for i in range(get_i64(c, SERVICES_USED)):
        same = get_u16(get_i64(c, SERVICES_PORT), i) == port and get_u8(get_i64(c, SERVICES_PROTOCOL), i) == protocol
        same = same and get_u64(get_i64(c, SERVICES_LO), i) == lower(c, column, row)
        if same and get_u64(get_i64(c, SERVICES_HI), i) == upper(c, column, row):
            return True
    return False


@helper
def is_local(c: Number, column: Number, row: Number) -> Number:
    """Broadcast (IPv4) or link-local."""
    four = get_i64(c, FAMILY) == 4
    lo = lower(c, column, row)
    key = lo if four else upper(c, column, row)
    block = get_i64(c, LINK_LOCAL)
    return (four and lo == _BROADCAST) or (get_u64(block, 0) <= key and key <= get_u64(block, 1))
