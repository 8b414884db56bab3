"""What every kernel of the matching kind writes."""

from __future__ import annotations

import numpy as np

from sgsim.kernels._jit import helper
from sgsim.kernels._memory import Number, get_i32, get_i64, get_u8, get_u32, put_i32, put_u8
from sgsim.kernels.match_context import (
    ACTION,
    DECIDING,
    DIRECTION,
    FAMILY,
    INTERFACE,
    INTERFACES,
    PROTOCOL,
    REASON,
    RECORDS,
    ROW,
    ROWS,
    UNTRACKED,
    UNTRACKED_OUT,
)

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
        wide = get_u32(get_i64(c, RECORDS), 8 * get_i32(get_i64(c, INTERFACE), row) + 6)
        udp = 1 if protocol == UDP else 0
        six = 2 if get_i64(c, FAMILY) == 6 else 0
        other = 4 * (1 - get_u8(get_i64(c, DIRECTION), row))
        put_u8(get_i64(c, UNTRACKED_OUT), at, wide >> (other | six | udp) & 1)
