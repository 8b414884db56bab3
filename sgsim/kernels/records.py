"""Packets with answers to records of one aggregation interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel
from sgsim.kernels._prefetch import prefetch
from sgsim.kernels.tracking_layout import (
    ACTION_MASK,
    END_WORDS,
    HOT_END,
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
    first = 1 if egress == NO_ANSWER else egress & ACTION_MASK
    second = 1 if ingress == NO_ANSWER else ingress & ACTION_MASK
    return np.int64(0 if first == 0 or second == 0 else max(first, second))


@kernel
def aggregate(
    packets: Packets,
    answers: npt.NDArray[np.int32],
    hot: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
    records: npt.NDArray[np.int64],
    count: Number,
    first: Number,
    interval: npt.NDArray[np.int64],
    totals: npt.NDArray[np.int64],
) -> Any:
    """Add packets `first` … to their records, up to the first packet outside the interval.

    `interval` is its bounds in nanoseconds, the upper one excluded. `ends` holds, for each flow end and action, the
    row of its open record or -1. `totals[reason, action]` counts answers, `totals[TOTALS_PATH, action]` packets by the
    conjunction of their ends. Returns (packets consumed, open records);
    `records` has room for two more a packet.
    """
    flow = packets.flow
    n = flow.shape[0]
    low, high = interval[0], interval[1]
    for at in range(first, n, _BLOCK):
        stop = min(at + _BLOCK, n)
        for i in range(at, stop):
            prefetch(hot, np.int64(flow[i]) * HOT_WORDS)
        for i in range(at, stop):
            for end in range(2):
                if answers[i, end] != NO_ANSWER:
                    prefetch(ends, np.int64(hot[flow[i], HOT_END + end]) * END_WORDS)
        for i in range(at, stop):
            for end in range(2):
                if answers[i, end] != NO_ANSWER:
                    row = ends[hot[flow[i], HOT_END + end], answers[i, end] & ACTION_MASK]
                    if row >= 0:
                        prefetch(records, np.int64(row) * RECORD_WORDS)
        for i in range(at, stop):
            now = packets.time[i]
            if now < low or now >= high:
                return i, count
            flags = packets.tcp_flags[i]
            logged = np.int64(flags & 7)
            if flags & 18 == 18:  # SYN-ACK; an ACK alone is not logged
                logged |= 16
            path = _path(answers[i, 0], answers[i, 1])
            if path >= 0:
                totals[TOTALS_PATH, path] += 1
            for end in range(2):
                answer = answers[i, end]
                if answer == NO_ANSWER:
                    continue
                action = answer & ACTION_MASK
                totals[(answer >> REASON_SHIFT) & REASON_MASK, action] += 1
                place = hot[flow[i], HOT_END + end]
                row = ends[place, action]
                if row < 0:
                    row = count
                    count += 1
                    ends[place, action] = row
                    records[row, RECORD_PACKETS] = 0
                    records[row, RECORD_BYTES] = 0
                    records[row, RECORD_START] = now
                    records[row, RECORD_LAST] = now
                    records[row, RECORD_FLAGS] = 0
                    records[row, RECORD_ANSWER] = np.int64(answer) | (path << RECORD_PATH_SHIFT)
                    records[row, RECORD_END] = place
                    records[row, RECORD_FLOW] = flow[i]
                records[row, RECORD_PACKETS] += 1
                records[row, RECORD_BYTES] += packets.length[i]
                records[row, RECORD_START] = min(records[row, RECORD_START], now)
                records[row, RECORD_LAST] = max(records[row, RECORD_LAST], now)
                records[row, RECORD_FLAGS] |= logged
    return n, count
