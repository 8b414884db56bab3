"""Accounts of micro-flows to records of one aggregation interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import kernel
from sgsim.kernels.tracking import path_of
from sgsim.kernels.tracking_layout import (
    ABOUT_END,
    ACCOUNT_FLOW,
    ACTION_MASK,
    HEAD_FLAGS_SHIFT,
    HEAD_PACKETS_SHIFT,
    HOT_ANSWER,
    HOT_BYTES,
    HOT_HEAD,
    HOT_LAST,
    HOT_START,
    NO_ANSWER,
    RECORD_ANSWER,
    RECORD_BYTES,
    RECORD_END,
    RECORD_FLAGS,
    RECORD_FLOW,
    RECORD_LAST,
    RECORD_PACKETS,
    RECORD_PATH_SHIFT,
    RECORD_START,
)


@kernel
def make_records(
    accounts: npt.NDArray[np.int64],
    halves: npt.NDArray[np.int32],
    about: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
    records: npt.NDArray[np.int64],
    same: int,
) -> Any:
    """Merge accounts, in order of their first packets, into one record per flow end and action (§9.4).

    A record also ends where the answers differ in one of the bits `same`, which hold those of the action.

    `halves` is the memory of `accounts` as 32-bit numbers; `ends` has -1 for every end and action, and is left with the
    rows of the records. `records` has room for two an account. Returns how many records there are.
    """
    count = 0
    for i in range(accounts.shape[0]):
        flow, head = accounts[i, ACCOUNT_FLOW], accounts[i, HOT_HEAD]
        path = path_of(np.int64(halves[i, HOT_ANSWER]), np.int64(halves[i, HOT_ANSWER + 1]))
        for end in range(2):
            answer = np.int64(halves[i, HOT_ANSWER + end])
            if answer == NO_ANSWER:
                continue
            place, action = about[flow, ABOUT_END + end], answer & ACTION_MASK
            row = np.int64(ends[place, action])
            if row < 0 or (records[row, RECORD_ANSWER] ^ answer) & same:
                row = np.int64(count)
                count += 1
                ends[place, action] = row
                records[row, RECORD_PACKETS] = 0
                records[row, RECORD_BYTES] = 0
                records[row, RECORD_START] = accounts[i, HOT_START]
                records[row, RECORD_LAST] = accounts[i, HOT_LAST]
                records[row, RECORD_FLAGS] = 0
                records[row, RECORD_ANSWER] = answer | (path << RECORD_PATH_SHIFT)
                records[row, RECORD_END] = place
                records[row, RECORD_FLOW] = flow
            records[row, RECORD_PACKETS] += head >> HEAD_PACKETS_SHIFT
            records[row, RECORD_BYTES] += accounts[i, HOT_BYTES]
            records[row, RECORD_START] = min(records[row, RECORD_START], accounts[i, HOT_START])
            records[row, RECORD_LAST] = max(records[row, RECORD_LAST], accounts[i, HOT_LAST])
            records[row, RECORD_FLAGS] |= (head >> HEAD_FLAGS_SHIFT) & 0xFF
    return count
