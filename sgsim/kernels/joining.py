"""Log flows in time: who opened a connection, and what is surely said of a record.

`sgsim.reference.flowlog` says the same in plain Python; the two are tested against each other record by record.

    records by start ─▶ one second: look at all ─▶ answer all ─▶ remember all
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import kernel
from sgsim.kernels._memory import address_of, get_i32, prefetch, put_i32
from sgsim.kernels.joining_answers import answer_of, own_answer
from sgsim.kernels.joining_layout import (
    ACCEPT,
    AFTER_CLOSE,
    BIT_COUNTED,
    BIT_FRAGMENT,
    BIT_UNPLACED,
    BY_NOTHING,
    FLOW_BITS,
    FLOW_WORDS,
    JOIN_ENDED,
    JOIN_INTERFACE,
    JOIN_KIND,
    JOIN_LAST,
    JOIN_WORDS,
    KIND_TCP,
    LARGEST_HEADERS,
    REJECT,
    RULE,
    SIDE_DATA,
    SIDE_WORDS,
    SYN,
    UNKNOWN,
    JoinState,
    Records,
)
from sgsim.kernels.joining_life import is_gone, kind_in, limits_of, seconds_since
from sgsim.kernels.joining_memory import anew_of, go_on, look_at, opens_of, remember
from sgsim.kernels.tracking_layout import INITIATING_SHIFT, REASON_SHIFT, RULES_SHIFT

_AHEAD = 8  #: records whose connections are fetched before they are needed


@kernel
def join(
    records: Records,
    state: JoinState,
    options: int,
    words: npt.NDArray[np.int32],
    evidence: npt.NDArray[np.uint8],
) -> Any:
    """Answer records in the order of their start; returns how many were late. `evidence` gets the bits of the layout.

    Records of one second do not tell which came first, so that all are looked at before any is answered, and all are
    answered before any is remembered. A late record begins before one of its connection that was answered earlier: it
    is answered by what holds at any time, and leaves the connection murky.
    """
    flow, starts, ends, tcp_flags = records.flow, records.start, records.end, records.tcp_flags
    packets, octets, base = records.packets, records.bytes, state.base[0]
    flows, connections, limits = address_of(state.flows), address_of(state.connections), address_of(state.limits)
    n, at, late = len(flow), 0, 0
    while at < n:
        stop = at + 1
        while stop < n and starts[stop] == starts[at]:
            stop += 1
        now = seconds_since(base, starts[at])
        for i in range(at, min(at + _AHEAD, n)):
            prefetch(connections + 4 * JOIN_WORDS * np.int64(flow[i] >> 1))
        for i in range(at, stop):
            if i + _AHEAD < n:
                ahead = np.int64(flow[i + _AHEAD] >> 1)
                prefetch(connections + 4 * JOIN_WORDS * ahead)
                prefetch(connections + 4 * JOIN_WORDS * ahead + 64)
                prefetch(flows + 8 * FLOW_WORDS * ahead)
            number = np.int64(flow[i])
            bits, connection = (
                get_i32(flows, FLOW_WORDS * number + FLOW_BITS),
                connections + 4 * JOIN_WORDS * (number >> 1),
            )
            if not bits >> BIT_UNPLACED & 1:
                look_at(connection, bits, number & 1, np.int64(tcp_flags[i]), now, limits_of(connection, limits))
        for i in range(at, stop):
            number, flags = np.int64(flow[i]), np.int64(tcp_flags[i])
            pair, connection = flows + 8 * FLOW_WORDS * (number >> 1), connections + 4 * JOIN_WORDS * (number >> 1)
            if get_i32(pair, FLOW_WORDS * (number & 1) + FLOW_BITS) >> BIT_UNPLACED & 1:
                words[i], evidence[i] = own_answer(pair + 4 * FLOW_WORDS * (number & 1), 1), BY_NOTHING
                continue
            found = limits_of(connection, limits)
            word, why = answer_of(connection, pair, number & 1, flags, now, found, options)
            if get_i32(connection, JOIN_ENDED) >= 0 and not flags & SYN:
                why |= AFTER_CLOSE
            words[i], evidence[i] = word, why
        for i in range(at, stop):
            number, flags = np.int64(flow[i]), np.int64(tcp_flags[i])
            pair, connection = flows + 8 * FLOW_WORDS * (number >> 1), connections + 4 * JOIN_WORDS * (number >> 1)
            if not get_i32(pair, FLOW_WORDS * (number & 1) + FLOW_BITS) >> BIT_UNPLACED & 1:
                found, end = limits_of(connection, limits), seconds_since(base, ends[i])
                late += go_on(connection, pair, number & 1, flags, now, end, np.int64(words[i]) & 3, found)
        for i in range(at, stop):
            number, flags, action = np.int64(flow[i]), np.int64(tcp_flags[i]), np.int64(words[i]) & 3
            bits, connection = (
                get_i32(flows, FLOW_WORDS * number + FLOW_BITS),
                connections + 4 * JOIN_WORDS * (number >> 1),
            )
            passed = action != REJECT and not bits >> BIT_FRAGMENT & 1
            if bits >> BIT_UNPLACED & 1 or not passed or now < get_i32(connection, JOIN_LAST):
                continue
            accepted, end = action == ACCEPT, seconds_since(base, ends[i])
            opens = opens_of(bits, flags, accepted, options)
            remember(connection, number & 1, bits, flags, now, end, accepted, opens)
            told = packets[i] >= 0 and kind_in(bits) == KIND_TCP
            if told and octets[i] > LARGEST_HEADERS * packets[i]:
                put_i32(connection, (number & 1) * SIDE_WORDS + SIDE_DATA, 1)
        for i in range(at, stop):
            connection = connections + 4 * JOIN_WORDS * np.int64(flow[i] >> 1)
            if get_i32(connection, JOIN_KIND) == KIND_TCP and get_i32(connection, JOIN_INTERFACE) >= 0:
                evidence[i] |= anew_of(connection, limits_of(connection, limits), seconds_since(base, ends[i]) - now)
        at = stop
    return late


@kernel
def gone(
    connections: npt.NDArray[np.int32], limits: npt.NDArray[np.int64], now: int, base: int, out: npt.NDArray[np.bool_]
) -> None:
    """Which connections cannot matter any more at the second `now`."""
    rows, all_limits, since = address_of(connections), address_of(limits), seconds_since(base, now)
    for row in range(len(out)):
        connection = rows + 4 * JOIN_WORDS * row
        unplaced = get_i32(connection, JOIN_INTERFACE) < 0
        out[row] = unplaced or is_gone(connection, limits_of(connection, all_limits), since)


@kernel
def answer_columns(
    words: npt.NDArray[np.int32],
    table: npt.NDArray[np.int64],
    action: npt.NDArray[np.uint8],
    reason: npt.NDArray[np.uint8],
    initiating: npt.NDArray[np.bool_],
    match_set: npt.NDArray[np.int32],
    possible_set: npt.NDArray[np.int32],
    deciding: npt.NDArray[np.int32],
) -> None:
    """Answers out of their words; `table` is that of RuleAnswers.

    What is UNKNOWN by rules that surely match something else may match them, and surely none.
    """
    for i in range(len(words)):
        word = np.int64(words[i])
        row = word >> RULES_SHIFT
        action[i], reason[i] = word & 3, (word >> REASON_SHIFT) & 15
        initiating[i] = (word >> INITIATING_SHIFT) & 1
        maybe = word & 3 == UNKNOWN and table[row, 0] == ACCEPT
        match_set[i] = 0 if maybe else table[row, 2]
        possible_set[i] = table[row, 2] if maybe else table[row, 3]
        deciding[i] = -1 if maybe else table[row, 4]


@kernel
def count_hits(
    flow: npt.NDArray[np.int32],
    words: npt.NDArray[np.int32],
    flows: npt.NDArray[np.int32],
    table: npt.NDArray[np.int64],
    hits: npt.NDArray[np.int64],
) -> None:
    """Count log flows that open a connection by rules, once each, by match set."""
    for i in range(len(words)):
        word = np.int64(words[i])
        by_rules = word & 3 == ACCEPT and (word >> REASON_SHIFT) & 15 == RULE and (word >> INITIATING_SHIFT) & 1
        if by_rules and not flows[flow[i], FLOW_BITS] >> BIT_COUNTED & 1:
            flows[flow[i], FLOW_BITS] |= 1 << BIT_COUNTED
            hits[table[word >> RULES_SHIFT, 2]] += 1
