"""Log flows and connections that a log brings: their rows are made, described, numbered and forgotten."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel
from sgsim.kernels._memory import address_of, prefetch
from sgsim.kernels.joining_layout import (
    ANSWER_CODE,
    ANSWER_OPENS,
    ANSWER_PASSES,
    ANSWER_POSSIBLE,
    ANSWER_SHARED,
    BIT_CODE,
    BIT_DIRECTION,
    BIT_FRAGMENT,
    BIT_KIND,
    BIT_MAY_CLOSE,
    BIT_OPENS,
    BIT_PASSES,
    BIT_PORTS,
    BIT_POSSIBLE,
    BIT_REVERSE_OPENS,
    FLOW_BITS,
    FLOW_ID,
    FLOW_REVERSE,
    FLOW_RULES,
    FLOW_WORDS,
    JOIN_INTERFACE,
    JOIN_KIND,
    JOIN_WORDS,
    KIND_ICMP,
    KIND_OTHER,
    KIND_TCP,
    KIND_UDP,
    UNPLACED,
)
from sgsim.kernels.joining_memory import new_connection
from sgsim.kernels.tracking_layout import DSTPORT_SHIFT, PROTOCOL_SHIFT, Number

_U = np.uint64
_PORT, _BYTE = _U(0xFFFF), _U(0xFF)
_EGRESS = 1
_ACCEPT = 1
_AHEAD = 16  #: rows that are fetched before they are needed
_ICMP, _TCP, _UDP, _ICMPV6 = 1, 6, 17, 58


@kernel
def log_flows(
    rows: npt.NDArray[np.int32],
    side: npt.NDArray[np.uint8],
    flows: npt.NDArray[np.int32],
    out: npt.NDArray[np.int32],
    new: npt.NDArray[np.int32],
) -> Any:
    """The log flow of each record into `out`, those that nobody asked about yet into `new`; returns how many."""
    count = 0
    for i in range(len(rows)):
        flow = 2 * rows[i] + side[i]
        out[i] = flow
        if flows[flow, FLOW_RULES] == -1:
            flows[flow, FLOW_RULES] = -2
            new[count] = flow
            count += 1
    return count


@helper
def kind_of(protocol: Number) -> Number:
    """Which limits hold for a protocol."""
    if protocol == _TCP:
        return KIND_TCP
    if protocol == _UDP:
        return KIND_UDP
    return KIND_ICMP if protocol in (_ICMP, _ICMPV6) else KIND_OTHER


@kernel
def introduce(
    keys: npt.NDArray[np.uint64],
    connections: npt.NDArray[np.int32],
    flows: npt.NDArray[np.int32],
    start: int,
    stop: int,
    named: npt.NDArray[np.int32],
) -> None:
    """Make the connections `start` … `stop` and their log flows such that nothing is known but interface and kind.

    `named` has the interface of those that are UNPLACED, by number.
    """
    base = address_of(connections)
    for row in range(start, stop):
        new_connection(base + 4 * JOIN_WORDS * row)
        for flow in range(2 * row, 2 * row + 2):
            flows[flow, FLOW_RULES] = flows[flow, FLOW_REVERSE] = flows[flow, FLOW_ID] = -1
            flows[flow, FLOW_BITS] = 0
        word = keys[row, 5]
        if word & _U(UNPLACED):
            connections[row, JOIN_INTERFACE] = named[np.int64(word & ~_U(UNPLACED))]
        else:
            connections[row, JOIN_INTERFACE] = np.int64(word)
        connections[row, JOIN_KIND] = kind_of((keys[row, 4] >> _U(PROTOCOL_SHIFT)) & _BYTE)


@helper
def _ports_say(protocol: Number, srcport: Number, dstport: Number) -> Number:
    """1 if the ports look like a client's packet, -1 like a server's, 0 if they do not tell."""
    if protocol not in (_TCP, _UDP):
        return 0
    src = 0 if srcport < 1024 else 1 if srcport < 32768 else 2
    dst = 0 if dstport < 1024 else 1 if dstport < 32768 else 2
    return (1 if src > dst else 0) - (1 if src < dst else 0)


@kernel
def describe_flows(
    keys: npt.NDArray[np.uint64],
    flow: npt.NDArray[np.int32],
    asked: npt.NDArray[np.int32],
    rows: npt.NDArray[np.int32],
    answers: npt.NDArray[np.uint8],
    other_closes: bool,
    flows: npt.NDArray[np.int32],
    open_: npt.NDArray[np.int32],
    shared: npt.NDArray[np.int32],
) -> Any:
    """Write what rules say into new log flows. `rows`, `answers`: of the questions that `asked` numbers.

    Flows that the rules of their own direction do not accept go to `open_`, those whose other end may be a known
    interface to `shared`; returns how many of both.
    """
    opens, both = 0, 0
    ahead, ahead_flows = address_of(keys), address_of(flows)
    for i in range(len(flow)):
        if i + _AHEAD < len(flow):
            prefetch(ahead + 64 * np.int64(flow[i + _AHEAD] >> 1))
            prefetch(ahead_flows + 4 * FLOW_WORDS * np.int64(flow[i + _AHEAD]))
        number, question = flow[i], asked[i]
        services, outward = keys[number >> 1, 4], number & 1 == _EGRESS
        near, far = np.int64(services & _PORT), np.int64((services >> _U(DSTPORT_SHIFT)) & _PORT)
        protocol = np.int64((services >> _U(PROTOCOL_SHIFT)) & _BYTE)
        kind = kind_of(protocol)
        ports = _ports_say(protocol, near if outward else far, far if outward else near)
        fragment = near == 0 and far == 0 and protocol in (_TCP, _UDP)
        code = np.int64(answers[question, ANSWER_CODE])
        flows[number, FLOW_RULES] = rows[question]
        flows[number, FLOW_BITS] = (
            np.int64(answers[question, ANSWER_PASSES]) << BIT_PASSES
            | np.int64(answers[question, ANSWER_OPENS]) << BIT_OPENS
            | (1 if fragment else 0) << BIT_FRAGMENT
            | kind << BIT_KIND
            | (1 if other_closes and kind == KIND_OTHER else 0) << BIT_MAY_CLOSE
            | (ports + 1) << BIT_PORTS
            | np.int64(answers[question, ANSWER_POSSIBLE]) << BIT_POSSIBLE
            | code << BIT_CODE
            | np.int64(number & 1) << BIT_DIRECTION
        )
        if code & 3 != _ACCEPT:
            open_[opens] = number
            opens += 1
        if answers[question, ANSWER_SHARED]:
            shared[both] = number
            both += 1
    return opens, both


@kernel
def describe_reverse(
    flow: npt.NDArray[np.int32],
    asked: npt.NDArray[np.int32],
    rows: npt.NDArray[np.int32],
    answers: npt.NDArray[np.uint8],
    flows: npt.NDArray[np.int32],
) -> None:
    """Write what rules say of the other direction into log flows."""
    for i in range(len(flow)):
        flows[flow[i], FLOW_REVERSE] = rows[asked[i]]
        flows[flow[i], FLOW_BITS] |= np.int64(answers[asked[i], ANSWER_OPENS]) << BIT_REVERSE_OPENS


@kernel
def number_flows(flow: npt.NDArray[np.int32], flows: npt.NDArray[np.int32], next_id: int) -> Any:
    """Give flows without a number the next ones; returns the one after."""
    for i in range(len(flow)):
        if flows[flow[i], FLOW_ID] < 0:
            flows[flow[i], FLOW_ID] = next_id
            next_id += 1
    return next_id


@kernel
def keep_rows(keys: npt.NDArray[np.uint64], kept: npt.NDArray[np.bool_], moved: npt.NDArray[np.int32]) -> Any:
    """Move the keys that are kept to the front; `moved` says where each went, -1 for the others."""
    count = 0
    for row in range(len(kept)):
        moved[row] = -1
        if kept[row]:
            for word in range(keys.shape[1]):
                keys[count, word] = keys[row, word]
            moved[row] = count
            count += 1
    return count


@kernel
def keep_connections(
    flows: npt.NDArray[np.int32], connections: npt.NDArray[np.int32], moved: npt.NDArray[np.int32]
) -> None:
    """Move what is known of connections to where their keys went, which is never further back."""
    for row in range(len(moved)):
        to = moved[row]
        if to >= 0:
            for word in range(JOIN_WORDS):
                connections[to, word] = connections[row, word]
            for side in range(2):
                for word in range(FLOW_WORDS):
                    flows[2 * to + side, word] = flows[2 * row + side, word]
