"""What every kernel of the matching kind writes."""

from __future__ import annotations

import numpy as np

from sgsim.kernels._jit import helper
from sgsim.kernels._memory import Number, get_i32, get_i64, get_u8, get_u32, put_i32, put_u8
from sgsim.kernels.match_context import (
    ACTION,
    DECIDING,
    DIRECTION,
    GROUPS,
    INTERFACE,
    INTERFACES,
    PROTOCOL,
    REASON,
    ROW,
    ROWS,
    UNTRACKED,
    UNTRACKED_OUT,
)
from sgsim.kernels.match_slots import header_of, record_of

__all__ = [
    "ACCEPT",
    "BY_EXEMPTION",
    "BY_RULE",
    "ICMP",
    "ICMPV6",
    "SEVERAL",
    "TCP",
    "UDP",
    "UNFILTERED",
    "UNKNOWN",
    "UNRESOLVED",
    "UNSEEN",
    "leads_outside",
    "mark_untracked",
    "put_unasked",
    "put_verdict",
]

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58

#: Verdict and Reason by number.
ACCEPT, UNKNOWN = 1, 2
BY_RULE, UNFILTERED, BY_EXEMPTION, UNSEEN, SEVERAL, UNRESOLVED = 1, 3, 4, 5, 6, 7


@helper
def put_verdict(c: Number, row: Number, action: Number, reason: Number) -> None:
    """Answer a row that no rule is asked about, or that none surely matches."""
    at = get_i64(get_i64(c, ROW), row)
    put_u8(get_i64(c, ACTION), at, action)
    put_u8(get_i64(c, REASON), at, reason)
    put_i32(get_i64(c, DECIDING), at, -1)


@helper
def put_unasked(c: Number, row: Number, flags: Number) -> None:
    """Answer a row at an interface that nothing filters, or that does not exist any more; `flags` of its record."""
    if flags >> 20 & 1 != 0:
        put_verdict(c, row, UNKNOWN, UNSEEN)
    else:
        put_verdict(c, row, ACCEPT, UNFILTERED)


@helper(inline=True)
def leads_outside(c: Number, row: Number) -> Number:
    """Not 0 if a row names an interface, a direction or a place for its answer that does not exist."""
    interface, to = get_i32(get_i64(c, INTERFACE), row), get_i64(get_i64(c, ROW), row)
    outside = np.int64(interface >= get_i64(c, INTERFACES)) | np.int64(get_u8(get_i64(c, DIRECTION), row) > 1)
    return outside | np.int64(to < 0) | np.int64(to >= get_i64(c, ROWS))


@helper
def mark_untracked(c: Number, row: Number, at: Number) -> None:
    """A rule for all addresses lets the row in: TCP and UDP are untracked if the other direction is wide open."""
    protocol = get_u8(get_i64(c, PROTOCOL), row)
    if get_i64(c, UNTRACKED) != 0 and protocol in (TCP, UDP):
        record, groups, direction = (
            record_of(c, get_i32(get_i64(c, INTERFACE), row)),
            get_i64(c, GROUPS),
            get_u8(get_i64(c, DIRECTION), row),
        )
        bit = 8 + 2 * (1 - direction) + (1 if protocol == UDP else 0)
        wide = 0
        for group in range(get_u32(record, 0), get_u32(record, 0) + (get_u32(record, 1) & 0xFFFF)):
            wide |= get_i32(header_of(c, 2 * get_i32(groups, group) + direction), 0) >> bit & 1
        put_u8(get_i64(c, UNTRACKED_OUT), at, wide)
