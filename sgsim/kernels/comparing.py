"""The same packets judged twice: which verdicts differ, added up by flow and answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel
from sgsim.kernels.tracking import path_of
from sgsim.kernels.tracking_layout import ACTION_MASK, NO_ANSWER, Number

# What is known of one (flow, answers), 64-bit numbers: packets, bytes, and the first and last packet's time in ns.
LEDGER_WORDS = 4
LEDGER_PACKETS, LEDGER_BYTES, LEDGER_FIRST, LEDGER_LAST = range(4)

# Its key, the first two of eight words: the micro-flow | what kind of difference it is << 32, and the answers before
# and after at the end that decides, the latter << 32. The kind is: the end (0 egress, 1 ingress) | the path's verdict
# before << 1 | after << 3.
KIND_SHIFT, AFTER_SHIFT = 32, 32
PATH_BEFORE_SHIFT, PATH_AFTER_SHIFT = 1, 3

_BADNESS = (2, 0, 1)  # of REJECT, ACCEPT, UNKNOWN


@helper
def _deciding_end(egress: Number, ingress: Number, path: Number) -> Number:
    """The end that gives the path its verdict; of two, the sender's."""
    if egress != NO_ANSWER and egress & ACTION_MASK == path:
        return 0
    return 1 if ingress != NO_ANSWER and ingress & ACTION_MASK == path else 0


@kernel
def compare_answers(
    flow: npt.NDArray[np.int32],
    length: npt.NDArray[np.int32],
    before: npt.NDArray[np.int32],
    after: npt.NDArray[np.int32],
    traffic: npt.NDArray[np.int64],
    totals: npt.NDArray[np.int64],
    keys: npt.NDArray[np.uint64],
    changed: npt.NDArray[np.int64],
) -> Any:
    """Find the packets whose path has another verdict; returns how many are in `changed` (their rows) and `keys`.

    `before` and `after` (int32[n, 2]) are answers as the tracking kernel gives them. `traffic` (int64[flows, 2]) counts
    packets and bytes of each micro-flow, `totals` (int64[3, 3, 2]) those of each pair of path verdicts. What has no
    answer on either side (neighbour discovery) is in neither.
    """
    count = 0
    for i in range(flow.shape[0]):
        old_out, old_in = np.int64(before[i, 0]), np.int64(before[i, 1])
        new_out, new_in = np.int64(after[i, 0]), np.int64(after[i, 1])
        if old_out == NO_ANSWER and old_in == NO_ANSWER and new_out == NO_ANSWER and new_in == NO_ANSWER:
            continue
        old, new = path_of(old_out, old_in), path_of(new_out, new_in)
        totals[old, new, 0] += 1
        totals[old, new, 1] += length[i]
        traffic[flow[i], 0] += 1
        traffic[flow[i], 1] += length[i]
        if old == new:
            continue
        if _BADNESS[new] > _BADNESS[old]:
            end = _deciding_end(new_out, new_in, new)
        else:
            end = _deciding_end(old_out, old_in, old)
        kind = end | (old << PATH_BEFORE_SHIFT) | (new << PATH_AFTER_SHIFT)
        word_before = old_in if end else old_out
        word_after = new_in if end else new_out
        for word in range(2, keys.shape[1]):
            keys[count, word] = 0
        keys[count, 0] = np.uint64(flow[i]) | np.uint64(kind << KIND_SHIFT)
        keys[count, 1] = np.uint64((word_before & 0xFFFFFFFF) | ((word_after & 0xFFFFFFFF) << AFTER_SHIFT))
        changed[count] = i
        count += 1
    return count


@kernel
def add_up(
    rows: npt.NDArray[np.int32],
    packets: npt.NDArray[np.int64],
    length: npt.NDArray[np.int32],
    time: npt.NDArray[np.int64],
    ledger: npt.NDArray[np.int64],
) -> None:
    """Add packets (their numbers) to rows of the ledger; a row without packets is new."""
    for at in range(rows.shape[0]):
        row, i = rows[at], packets[at]
        if ledger[row, LEDGER_PACKETS] == 0:
            ledger[row, LEDGER_FIRST] = time[i]
            ledger[row, LEDGER_LAST] = time[i]
        ledger[row, LEDGER_PACKETS] += 1
        ledger[row, LEDGER_BYTES] += length[i]
        ledger[row, LEDGER_FIRST] = min(ledger[row, LEDGER_FIRST], time[i])
        ledger[row, LEDGER_LAST] = max(ledger[row, LEDGER_LAST], time[i])
