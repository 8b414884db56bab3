"""Rows and words that the joining of flow-log records shares; plain constants, so that importing them is instant.

A *connection* is what both directions of a flow share at one interface. Its key has eight 64-bit words:

    word 0 … 3   the interface's side of it, high and low half, then the other end (IPv4 in the low half)
    word 4       port here | port there << 16 | protocol << 32 | IPv6 << 40
    word 5       index of the interface; of records that have no place a number and UNPLACED
    word 6, 7    0

A *log flow* is one direction of a connection, numbered `2 * connection + direction`; what rules say of it is in one
row of `FLOW_*`. Times are seconds since a base that lies well before the log, so that 32 bits hold them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy.typing as npt

UNPLACED = 1 << 62

#: Records that are placed by hand: their key, for the length of a batch. Words 0 … 3 source and destination, word 4 as
#: above, word 5 number of the interface's name + 1 | (flow direction + 1) << 32 | (number of the VPC + 1) << 34, words
#: 6 and 7 the addresses that the log shows in place of the packets' own, PLAIN set; 0 where that is no matter.
DIRECTION_SHIFT, VPC_SHIFT = 32, 34
PLAIN = 1 << 63

#: `connection_keys`: this record is to be placed by hand.
BY_HAND = 2

# A log flow, four 32-bit numbers: rows of rule answers of its own direction (-1: not asked yet) and of the other one
# (-1: no matter), bits, and the number of the flow, which its other end shares.
FLOW_WORDS = 4
FLOW_RULES, FLOW_REVERSE, FLOW_BITS, FLOW_ID = 0, 1, 2, 3

# FLOW_BITS. Verdicts are REJECT 0, ACCEPT 1, UNKNOWN 2; whether a connection is opened: 0 no, 1 maybe, 2 surely.
BIT_PASSES = 0  # 2 bits: the verdict of both ends by rules alone
BIT_OPENS = 2  # 2 bits
BIT_REVERSE_OPENS = 4  # 2 bits
BIT_FRAGMENT, BIT_KIND, BIT_MAY_CLOSE = 6, 7, 9  # BIT_KIND: 2 bits, one of KIND_*
BIT_PORTS = 10  # 2 bits: 1 + what the ports say
BIT_POSSIBLE = 12  # the rules of its own direction name rules that may match
BIT_UNPLACED = 13  # interface or direction is not known: there is nothing to join
BIT_COUNTED = 14  # it is a hit of its rules, and counted as one
BIT_CODE = 16  # 6 bits: action | reason << 2 of its own rules' answer
BIT_DIRECTION = 22  # 2 bits: the direction that is reported, 2 where it is not known

# What rules say to one question, bytes: code as in BIT_CODE, verdict of both ends, whether connections are opened,
# whether rules are named that may match, whether the other end may be a known interface.
ANSWER_WORDS = 5
ANSWER_CODE, ANSWER_PASSES, ANSWER_OPENS, ANSWER_POSSIBLE, ANSWER_SHARED = range(5)

# A connection, 32-bit numbers. Those of a side come twice, ingress first.
SIDE_WORDS = 6
SIDE_OPENED, SIDE_FIRST, SIDE_START, SIDE_END, SIDE_FIN, SIDE_DATA = range(6)
JOIN_CLOSE_FROM, JOIN_CLOSE_TO, JOIN_CLOSED, JOIN_ESTABLISHED = 12, 13, 14, 15
JOIN_OPENER, JOIN_OPENER_RULES, JOIN_OPENER_OPENS, JOIN_EVIDENCE = 16, 17, 18, 19
JOIN_LAST, JOIN_MURKY = 20, 21
JOIN_ENDED = 22  # when a FIN or RST was last seen, -1 for never since the last SYN
JOIN_INTERFACE, JOIN_KIND = 23, 24  # JOIN_INTERFACE may be NO_INTERFACE or AMBIGUOUS
TIE_TIME, TIE_COUNT, TIE_FLAGS, TIE_UNTOLD = 25, 26, 28, 30  # all but the time: one for each side
JOIN_WORDS = 32

# TCP flags as flow logs have them, and what may be said in their place.
FIN, SYN, RST, SYN_ACK = 1, 2, 4, 18
NOT_TOLD, NO_FLAGS = -1, -2  # flags that the log does not tell; of a protocol that has none
# Verdicts and reasons as in sgsim.verdicts; whether a connection lets replies in.
REJECT, ACCEPT, UNKNOWN = 0, 1, 2
RULE, TRACKED, UNRESOLVED = 1, 2, 7
DEAD, UNSURE, ALIVE = 0, 1, 2

NEVER = 1 << 30
LATEST = 1 << 29  #: times are cut off here, 17 years after the base

LARGEST_HEADERS = 100  #: bytes: IPv6 and TCP with all options; a larger packet carries data


# Kinds of limits, and the limits of each in seconds.
KIND_TCP, KIND_UDP, KIND_ICMP, KIND_OTHER = 0, 1, 2, 3
LIMIT_HALF_OPEN, LIMIT_LEAST, LIMIT_MOST, LIMIT_CLOSING = 0, 1, 2, 3

# Options of the kernel, bits.
OPTION_LIKELY, OPTION_RELATED, OPTION_MIDSTREAM = 1, 2, 4

# Evidence as in sgsim.verdicts.
BY_NOTHING, BY_PORTS, BY_ORDER, BY_SYN_ACK, BY_SYN, BY_RULES = range(6)


#: What is told of a record beside its answer: evidence, and three bits.
EVIDENCE_MASK, ANEW, OPEN_QUESTION, AFTER_CLOSE = 7, 32, 64, 128


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


class Owners(NamedTuple):
    """Which interface has which address, exactly: an open-addressing table.

    `rows`: int64[n, 4], interface, high half, low half, 1 for IPv6. A slot (int32) is a row plus one, 0 when free.
    `delegated[interface]`: it has addresses beside these, by prefixes.
    """

    slots: npt.NDArray[Any]
    rows: npt.NDArray[Any]
    delegated: npt.NDArray[Any]


class Classes(NamedTuple):
    """What nothing in an environment tells apart: uint16[65536] classes of source and destination ports; IPv4 addresses
    by where their classes begin (`bounds`, int64, ascending).

    `first` (int32) says for consecutive blocks which bound is the first from their begin on: for the 65 536 /16 (and
    one more), then for the 256 /24 of those /16 that have many bounds, then for the addresses of such /24. `finer`
    (int32) is where the finer blocks of a block begin in `first`, 0 for none.

        10.1.2.3   /16 no. 2561 ─finer─▶ /24 no. 2 ─finer─▶ address no. 3: first 4711, next 4712: one bound to look at
    """

    source_port: npt.NDArray[Any]
    target_port: npt.NDArray[Any]
    bounds: npt.NDArray[Any]
    first: npt.NDArray[Any]
    finer: npt.NDArray[Any]


class LogFields(NamedTuple):
    """What keys say of n log flows, as columns: source and destination as the records have them."""

    family: npt.NDArray[Any]
    src_hi: npt.NDArray[Any]
    src_lo: npt.NDArray[Any]
    dst_hi: npt.NDArray[Any]
    dst_lo: npt.NDArray[Any]
    srcport: npt.NDArray[Any]
    dstport: npt.NDArray[Any]
    protocol: npt.NDArray[Any]


class Records(NamedTuple):
    """n records in the order of their start: log flow (int64), seconds (int64), TCP flags (int16, -1 not told).

    `packets` and `bytes` int64, -1 not told.
    """

    flow: npt.NDArray[Any]
    start: npt.NDArray[Any]
    end: npt.NDArray[Any]
    tcp_flags: npt.NDArray[Any]
    packets: npt.NDArray[Any]
    bytes: npt.NDArray[Any]


class JoinState(NamedTuple):
    """What joining remembers. `flows`: int32[2 * connections, FLOW_WORDS]; `connections`: int32[connections,
    JOIN_WORDS]; `limits`: int64[interfaces, 4, 4]; `base` (int64[1]): second 0."""

    flows: npt.NDArray[Any]
    connections: npt.NDArray[Any]
    limits: npt.NDArray[Any]
    base: npt.NDArray[Any]
