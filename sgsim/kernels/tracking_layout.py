"""Rows and words that grouping, tracking and aggregation share; plain constants, so that importing them is instant.

Every key that is ever looked up (micro-flows, connections, flows, flow ends, fragments) has the same shape, eight
64-bit words = one cache line, so that one kernel serves them all. A *micro-flow* is what of a packet's headers can
change its answer:

    word 0 … 3   source high, source low, destination high, destination low address (IPv4 in the low one)
    word 4       srcport | dstport << 16 | protocol << 32 | IPv6 << 40 | later fragment << 41
    word 5       (ICMP type + 1) | (code + 1) << 9 | (identifier + 1) << 18 | (VNI + 1) << 35
    word 6, 7    source, destination Ethernet address

What tracking reads and writes of it for every packet is again one cache line (`HOT_*`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy.typing as npt

#: An integer or truth value inside a kernel, where numba infers the width.
Number = Any

KEY_WORDS = 8

DSTPORT_SHIFT, PROTOCOL_SHIFT, IPV6_SHIFT, LATER_SHIFT = 16, 32, 40, 41
CODE_SHIFT, ID_SHIFT, VNI_SHIFT = 9, 18, 35

# Seen as eight 64-bit numbers, the hot row of a micro-flow is
#     HEAD     kind | tcp_flags of the account below << 8 | its packets << 16
#     1, 2, 6  pairs of 32-bit numbers, egress and ingress, see HOT_RULES, HOT_CONNECTION, HOT_ANSWER
#     BYTES, START, LAST, FIRST  of the account: times in ns, and the number of its first packet in the whole input
# The account is what the open interval has of the flow while its packets have the same verdicts at both ends; without
# packets, there is none. Seen as 16 32-bit numbers (little-endian), the pairs are at
HOT_WORDS = 8
HOT_HEAD, HOT_BYTES, HOT_START, HOT_LAST, HOT_FIRST = 0, 3, 4, 5, 7
HEAD_KIND, HEAD_FLAGS_SHIFT, HEAD_PACKETS_SHIFT = 0xFF, 8, 16
HALF_WORDS = 16
HOT_RULES = 2  # 2, 3: rule answer at the egress and at the ingress end, -1 where the end is not judged
HOT_CONNECTION = 4  # 4, 5: row of the connection that the flow belongs to at that end, -1 if it can have none
HOT_ANSWER = 12  # 12, 13: answers to the first packet of the account

# What else is known of a micro-flow, 32-bit numbers.
ABOUT_WORDS = 8
ABOUT_END = 0  # 0, 1: row of the flow end that records are kept by, -1 where the end is not judged
ABOUT_FLOW_ID = 2
ABOUT_OBSERVED = 3  # 1 where the packets were captured at the one end that is judged
ABOUT_PUBLIC = 4  # 4, 5: interface whose public address is the source, the destination; -1 for none

# Where an account lies in a list of them (`Accounts`): the hot row, with the micro-flow in word 1.
ACCOUNT_FLOW = 1

# KIND_LATER: a fragment without ports; KIND_STATELESS: ICMP that is no query; KIND_UNSEEN: neighbour discovery. From
# KIND_STATELESS on a flow has no connections.
KIND_TCP, KIND_UDP, KIND_REQUEST, KIND_REPLY, KIND_OTHER, KIND_STATELESS, KIND_LATER, KIND_UNSEEN = range(8)

# A connection at one interface: four 64-bit numbers. It is remembered up to and including CONNECTION_DEADLINE (ns);
# CONNECTION_RULES is the rule answer that it rests on, CONNECTION_LIMITS the row of its interface's timeouts.
CONNECTION_WORDS = 4
CONNECTION_DEADLINE, CONNECTION_FLAGS, CONNECTION_RULES, CONNECTION_LIMITS = 0, 1, 2, 3
OPEN, BY_EGRESS, MAYBE, UNTRACKED, REPLIED, STREAM, HALF_OPEN, CLOSING, FIN_IN, FIN_OUT = (
    1 << bit for bit in range(10)
)

# Timeouts in ns, one row an interface, one column each.
LIMIT_TCP, LIMIT_HALF_OPEN, LIMIT_CLOSING, LIMIT_UDP, LIMIT_UDP_STREAM, LIMIT_ICMP, LIMIT_OTHER, LIMIT_FRAGMENT = range(
    8
)
LIMITS = 8

# Options of the tracking kernel, bits.
OPTION_OTHER_REFRESH, OPTION_REJECT_MIDSTREAM = 1, 2

# A first fragment at one end: when it was seen, and its answer.
FRAGMENT_TIME, FRAGMENT_ANSWER = 0, 1

# Rule answers as tracking needs them, one byte each: action | reason << 2 | untracked << 6. Row 0 is REJECT, NO_RULE.
CODE_UNTRACKED_SHIFT = 6

# An answer for one packet at one end, in one 32-bit number: action | reason << 2 | initiating << 6 | rules << 7, where
# `rules` is the row of the rule answer whose rules it names. NO_ANSWER where the end was not judged.
NO_ANSWER = -1
ACTION_MASK, REASON_SHIFT, REASON_MASK, INITIATING_SHIFT, RULES_SHIFT = 3, 2, 15, 6, 7
WHOLE_ANSWER = (1 << 31) - 1


# A flow end, eight 32-bit numbers: the row of its record for each action while records are made (-1 for none), whether
# its hit was counted, what it is the end of, and the flow that it was first seen with: its other end (row, -1 for
# none) and id.
END_WORDS = 8
END_COUNTED, END_INTERFACE, END_SIDE, END_PARTNER, END_FLOW_ID = 3, 4, 5, 6, 7
NO_PARTNER_YET = -2

# A record of the open interval: eight 64-bit numbers, one cache line. RECORD_ANSWER and RECORD_PATH are those of the
# first packet, RECORD_FLOW its micro-flow, times are nanoseconds.
RECORD_WORDS = 8
RECORD_PACKETS, RECORD_BYTES, RECORD_START, RECORD_LAST, RECORD_FLAGS = 0, 1, 2, 3, 4
RECORD_ANSWER, RECORD_END, RECORD_FLOW = 5, 6, 7  # RECORD_ANSWER | path action << RECORD_PATH_SHIFT
RECORD_PATH_SHIFT = 32

# Rows of packet totals after those of the nine reasons: by path, and (first column) packets of KIND_UNSEEN.
TOTALS_PATH, TOTALS_UNSEEN = 9, 10


class PacketColumns(NamedTuple):
    """The columns of PacketBatch that tell micro-flows apart."""

    family: npt.NDArray[Any]
    src_hi: npt.NDArray[Any]
    src_lo: npt.NDArray[Any]
    dst_hi: npt.NDArray[Any]
    dst_lo: npt.NDArray[Any]
    protocol: npt.NDArray[Any]
    srcport: npt.NDArray[Any]
    dstport: npt.NDArray[Any]
    icmp_type: npt.NDArray[Any]
    icmp_code: npt.NDArray[Any]
    icmp_id: npt.NDArray[Any]
    fragment: npt.NDArray[Any]
    src_mac: npt.NDArray[Any]
    dst_mac: npt.NDArray[Any]
    vni: npt.NDArray[Any]


class Packets(NamedTuple):
    """What tracking and aggregation read of n packets; `flow` is the micro-flow of each."""

    flow: npt.NDArray[Any]
    time: npt.NDArray[Any]
    length: npt.NDArray[Any]
    tcp_flags: npt.NDArray[Any]
    fragment: npt.NDArray[Any]


class Addresses(NamedTuple):
    """Addresses as columns: family (uint8) and two 64-bit halves."""

    family: npt.NDArray[Any]
    hi: npt.NDArray[Any]
    lo: npt.NDArray[Any]


class FlowFields(NamedTuple):
    """The fields of micro-flows as columns; `later` (bool) marks fragments without ports, `kind` is one of KIND_*."""

    family: npt.NDArray[Any]
    src_hi: npt.NDArray[Any]
    src_lo: npt.NDArray[Any]
    dst_hi: npt.NDArray[Any]
    dst_lo: npt.NDArray[Any]
    protocol: npt.NDArray[Any]
    srcport: npt.NDArray[Any]
    dstport: npt.NDArray[Any]
    icmp_type: npt.NDArray[Any]
    icmp_code: npt.NDArray[Any]
    later: npt.NDArray[Any]
    src_mac: npt.NDArray[Any]
    dst_mac: npt.NDArray[Any]
    vni: npt.NDArray[Any]
    kind: npt.NDArray[Any]


class TrackingState(NamedTuple):
    """What tracking remembers. `hot`: int64[flows, HOT_WORDS], and `halves` the same memory as int32[flows,
    HALF_WORDS]; `connections`: int64[connections, CONNECTION_WORDS]; `fragments`: int64[fragments, 2]; `codes`: uint8,
    one a rule answer; `limits`: int64[interfaces, 8]."""

    hot: npt.NDArray[Any]
    halves: npt.NDArray[Any]
    connections: npt.NDArray[Any]
    fragments: npt.NDArray[Any]
    codes: npt.NDArray[Any]
    limits: npt.NDArray[Any]


class Accounts(NamedTuple):
    """The accounts of the open interval. `active`: micro-flows that have one, int32; `closed`: int64[:, HOT_WORDS],
    accounts of flows whose verdicts have changed since; `counts`: how many of each there are, and the number of the
    next packet; `interval`: its bounds in ns, the upper one excluded, and the bits of answers in which the packets of
    an account agree; `totals`: int64[11, 3], packets by reason and action at each end, by path, and unseen ones."""

    active: npt.NDArray[Any]
    closed: npt.NDArray[Any]
    counts: npt.NDArray[Any]
    interval: npt.NDArray[Any]
    totals: npt.NDArray[Any]
