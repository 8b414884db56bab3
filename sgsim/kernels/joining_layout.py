"""Rows and words that the joining of flow-log records shares; plain constants, so that importing them is instant.

What tells records of different flows apart is a key of eight 64-bit words, as for packets:

    word 0 … 3   source high, source low, destination high, destination low address (IPv4 in the low one)
    word 4       srcport | dstport << 16 | protocol << 32 | IPv6 << 40 (as for packets)
    word 5       number of the interface's name + 1 | (flow direction + 1) << 32 | (number of the VPC + 1) << 34
    word 6, 7    the addresses that the log shows in place of the packets' own, PLAIN set; 0 where that is no matter

A *log flow* is what such records share: their place and what rules say (`FLOW_*`). A connection at one interface is
two log flows, one for each direction.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy.typing as npt

DIRECTION_SHIFT, VPC_SHIFT = 32, 34
PLAIN = 1 << 63

# A log flow, eight 32-bit numbers; FLOW_CONNECTION is -1 where interface or direction is not known.
FLOW_WORDS = 8
FLOW_CONNECTION, FLOW_RULES, FLOW_REVERSE, FLOW_BITS, FLOW_LIMITS = 0, 1, 2, 3, 4
FLOW_INTERFACE, FLOW_DIRECTION, FLOW_ID = 5, 6, 7

# FLOW_BITS. Verdicts are REJECT 0, ACCEPT 1, UNKNOWN 2; whether a connection is opened: 0 no, 1 maybe, 2 surely.
BIT_PASSES = 0  # 2 bits: the verdict of both ends by rules alone
BIT_OPENS = 2  # 2 bits
BIT_REVERSE_OPENS = 4  # 2 bits
BIT_FRAGMENT, BIT_KIND, BIT_MAY_CLOSE = 6, 7, 9  # BIT_KIND: 2 bits, one of KIND_*
BIT_PORTS = 10  # 2 bits: 1 + what the ports say
BIT_POSSIBLE = 12  # the rules of its own direction name rules that may match

# A connection at one interface, 64-bit numbers. Those of a side come twice, ingress first.
SIDE_WORDS = 6
SIDE_OPENED, SIDE_FIRST, SIDE_START, SIDE_END, SIDE_FIN, SIDE_DATA = range(6)
JOIN_CLOSE_FROM, JOIN_CLOSE_TO, JOIN_CLOSED, JOIN_ESTABLISHED = 12, 13, 14, 15
JOIN_OPENER, JOIN_OPENER_RULES, JOIN_OPENER_OPENS, JOIN_EVIDENCE = 16, 17, 18, 19
JOIN_LAST, JOIN_MURKY, JOIN_LIMITS = 20, 21, 22  # JOIN_LIMITS: row of limits << 2 | kind
JOIN_ENDED = 23  # when a FIN or RST was last seen, -1 for never since the last SYN
TIE_TIME, TIE_COUNT, TIE_FLAGS, TIE_UNTOLD, TIE_FLOW = 24, 25, 27, 29, 31  # all but the time: one for each side
JOIN_WORDS = 33

LARGEST_HEADERS = 100  #: bytes: IPv6 and TCP with all options; a larger packet carries data

NEVER = 1 << 60

# Kinds of limits, and the limits of each in seconds.
KIND_TCP, KIND_UDP, KIND_ICMP, KIND_OTHER = 0, 1, 2, 3
LIMIT_HALF_OPEN, LIMIT_LEAST, LIMIT_MOST, LIMIT_CLOSING = 0, 1, 2, 3

# Options of the kernel, bits.
OPTION_LIKELY, OPTION_RELATED, OPTION_MIDSTREAM = 1, 2, 4

# Evidence as in sgsim.verdicts.
BY_NOTHING, BY_PORTS, BY_ORDER, BY_SYN_ACK, BY_SYN, BY_RULES = range(6)


#: What is told of a record beside its answer: evidence, and two bits.
EVIDENCE_MASK, OPEN_QUESTION, AFTER_CLOSE = 7, 64, 128


class RecordColumns(NamedTuple):
    """What of n flow-log records tells their flows apart."""

    src_family: npt.NDArray[Any]
    src_hi: npt.NDArray[Any]
    src_lo: npt.NDArray[Any]
    dst_family: npt.NDArray[Any]
    dst_hi: npt.NDArray[Any]
    dst_lo: npt.NDArray[Any]
    pkt_src_family: npt.NDArray[Any]
    pkt_src_hi: npt.NDArray[Any]
    pkt_src_lo: npt.NDArray[Any]
    pkt_dst_family: npt.NDArray[Any]
    pkt_dst_hi: npt.NDArray[Any]
    pkt_dst_lo: npt.NDArray[Any]
    srcport: npt.NDArray[Any]
    dstport: npt.NDArray[Any]
    protocol: npt.NDArray[Any]
    flow_direction: npt.NDArray[Any]


class Records(NamedTuple):
    """n records in the order of their start: log flow (int32), seconds (int64), TCP flags (int16, -1 not told).

    `packets` and `bytes` int64, -1 not told.
    """

    flow: npt.NDArray[Any]
    start: npt.NDArray[Any]
    end: npt.NDArray[Any]
    tcp_flags: npt.NDArray[Any]
    packets: npt.NDArray[Any]
    bytes: npt.NDArray[Any]


class JoinState(NamedTuple):
    """What joining remembers. `flows`: int32[flows, FLOW_WORDS]; `connections`: int64[connections, JOIN_WORDS];
    `codes`: uint8, one a rule answer; `limits`: int64[interfaces, 4, 4]."""

    flows: npt.NDArray[Any]
    connections: npt.NDArray[Any]
    codes: npt.NDArray[Any]
    limits: npt.NDArray[Any]
