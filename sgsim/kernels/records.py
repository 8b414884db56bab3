"""Packets with answers to records of one aggregation interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel
from sgsim.kernels._prefetch import prefetch
from sgsim.kernels.tracking_layout import (
    ACTION_MASK,
    HOT_END,
    HOT_RECORD,
    HOT_WORDS,
    NO_ANSWER,
    REASON_MASK,
    REASON_SHIFT,
    RECORD_ANSWER,
    RECORD_BYTES,
    RECORD_END,
    RECORD_FLAGS,
    RECORD_FLOW,
    RECORD_LAST,
    RECORD_PACKETS,
    RECORD_PATH_SHIFT,
    RECORD_START,
    RECORD_WORDS,
    TOTALS_PATH,
    Number,
    Packets,
)

_BLOCK = 256


@helper
def _path(egress: Number, ingress: Number) -> Number:
    """The conjunction of the two ends' actions: REJECT (0) beats UNKNOWN (2) beats ACCEPT (1); -1 for no answer."""
    if egress == NO_ANSWER and ingress == NO_ANSWER:
        return np.int64(-1)
    first = np.int64(1 if egress == NO_ANSWER else egress & ACTION_MASK)
    second = np.int64(1 if ingress == NO_ANSWER else ingress & ACTION_MASK)
    return first * second if first * second == 0 else max(first, second)


@kernel
def aggregate(
    packets: Packets,
    answers: npt.NDArray[np.int32],
    hot: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
    records: npt.NDArray[np.int64],
    count: int,
    first: int,
    interval: npt.NDArray[np.int64],
    totals: npt.NDArray[np.int64],
) -> Any:
    """Add packets `first` … to their records, up to the first packet outside the interval.

    `interval` is its bounds in nanoseconds, the upper one excluded. `ends` holds, for each flow end and action, the
    row of its open record or -1. `totals[reason, action]` counts answers, `totals[TOTALS_PATH, action]` packets by
    the conjunction of their ends. Returns (packets consumed, open records); `records` has room for two more a packet.

    The micro-flow remembers the row of its last record. It is right nearly always, and saves the look at the end.
    """
    flow, time, length, flags_of = packets.flow, packets.time, packets.length, packets.tcp_flags
    n = flow.shape[0]
    low, high = interval[0], interval[1]
    for at in range(first, n, _BLOCK):
        stop = min(at + _BLOCK, n)
        for i in range(at, stop):
            prefetch(hot, np.int64(flow[i]) * HOT_WORDS)
        for i in range(at, stop):
            for end in range(2):
                row = np.int64(hot[flow[i], HOT_RECORD + end])
                if row >= 0 and answers[i, end] != NO_ANSWER:
                    prefetch(records, row * RECORD_WORDS)
        for i in range(at, stop):
            of, now = np.int64(flow[i]), time[i]
            if now < low or now >= high:
                return i, count
            flags = np.int64(flags_of[i])
            logged = (flags & 7) | (16 if flags & 18 == 18 else 0)  # SYN-ACK; an ACK alone is not logged
            path = _path(answers[i, 0], answers[i, 1])
            if path >= 0:
                totals[TOTALS_PATH, path] += 1
            for end in range(2):
                answer = np.int64(answers[i, end])
                if answer == NO_ANSWER:
                    continue
                action = answer & ACTION_MASK
                totals[(answer >> REASON_SHIFT) & REASON_MASK, action] += 1
                place = np.int64(hot[of, HOT_END + end])
                row = np.int64(hot[of, HOT_RECORD + end])
                right = 0 <= row < count
                right = (
                    right and records[row, RECORD_END] == place and records[row, RECORD_ANSWER] & ACTION_MASK == action
                )
                if not right:
                    row = np.int64(ends[place, action])
                    if row < 0:
                        row = np.int64(count)
                        count += 1
                        ends[place, action] = row
                        records[row, RECORD_PACKETS] = 0
                        records[row, RECORD_BYTES] = 0
                        records[row, RECORD_START] = now
                        records[row, RECORD_LAST] = now
                        records[row, RECORD_FLAGS] = 0
                        records[row, RECORD_ANSWER] = answer | (path << RECORD_PATH_SHIFT)
                        records[row, RECORD_END] = place
                        records[row, RECORD_FLOW] = of
                    hot[of, HOT_RECORD + end] = row
                records[row, RECORD_PACKETS] += 1
                records[row, RECORD_BYTES] += length[i]
                records[row, RECORD_START] = min(records[row, RECORD_START], now)
                records[row, RECORD_LAST] = max(records[row, RECORD_LAST], now)
                records[row, RECORD_FLAGS] |= logged
    return n, count
