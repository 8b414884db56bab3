"""Rows of flows → verdicts, through the tables of every group on each row's interface.

What costs is waiting for memory and mispredicted branches. So a block of rows goes through one step before the next
begins, each step prefetches the cache lines of the next (fleet of 10 000 groups: four times as fast as one fused
loop), and rows that a step has nothing for drop out of the lists.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel
from sgsim.kernels._memory import Number, address_of, get_i32, get_i64, get_u8, prefetch, put_i32, put_i64, put_u8
from sgsim.kernels.match_context import (
    ACTION,
    ANSWER,
    DECIDING,
    INFO,
    MATCH_SET,
    NODES_USED,
    PAGES_USED,
    REASON,
    REST,
    REST_USED,
    ROW,
    START,
    STATE,
    STOP,
    SUBJECTS_USED,
)
from sgsim.kernels.match_pages import add_pages, find_masks, match_services
from sgsim.kernels.match_rows import DONE, LEFT, read_rows
from sgsim.kernels.match_store import EVERYONE
from sgsim.kernels.match_subjects import add_subjects
from sgsim.kernels.match_tables import find_cells, find_nodes, find_tables, is_dense, walk
from sgsim.kernels.match_verdicts import mark_untracked

__all__ = ["match"]


@kernel
def match(context: npt.NDArray[np.int64]) -> None:
    """Judge rows START to STOP; START tells how far it came, short of STOP if the store is full.

    START becomes -1 if a row leads outside the tables or the results.
    """
    c = address_of(context)
    while get_i64(c, START) < get_i64(c, STOP):
        end = read_rows(c)
        if end < 0:
            put_i64(c, START, end)
            return
        if is_dense(c):
            find_cells(c)
        else:
            find_tables(c)
            find_nodes(c)
        if get_i64(c, NODES_USED) > 0 and not walk(c):
            return
        if get_i64(c, PAGES_USED) > 0:
            find_masks(c)
            match_services(c)
            if not add_pages(c):
                return
        if get_i64(c, SUBJECTS_USED) > 0 and not add_subjects(c):
            return
        write_rows(c, end)
        put_i64(c, START, end)


@helper
def write_rows(c: Number, end: Number) -> None:
    """Verdicts from answers; rows with no sure match where something may match are left to the scan."""
    start, info, answers, state = get_i64(c, START), get_i64(c, INFO), get_i64(c, ANSWER), get_i64(c, STATE)
    action, reason, match_set = get_i64(c, ACTION), get_i64(c, REASON), get_i64(c, MATCH_SET)
    deciding, rest, to = get_i64(c, DECIDING), get_i64(c, REST), get_i64(c, ROW)
    left = get_i64(c, REST_USED)
    for i in range(end - start):
        prefetch(info + 16 * get_i32(answers, i))
    for i in range(end - start):
        found, kind = get_i32(answers, i), get_u8(state, i)
        if kind != 0:
            if kind & DONE != 0:
                continue
            if kind & LEFT != 0 or found == 0:
                put_i64(rest, left, start + i)
                left += 1
                continue
        at = get_i64(to, start + i)
        accept = np.int64(found > 0)
        put_u8(action, at, accept)
        put_u8(reason, at, accept)
        put_i32(match_set, at, found)
        put_i32(deciding, at, get_i32(info, 4 * found + 1))
        if get_i32(info, 4 * found) & EVERYONE != 0:
            mark_untracked(c, start + i, at)
    put_i64(c, REST_USED, left)
