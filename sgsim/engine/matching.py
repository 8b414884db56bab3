"""Runs the `match` kernel over a block of rows: growing stores, threads."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.compiler.pages import PAGE_ROWS
from sgsim.engine.queries import context_of
from sgsim.flows import FlowBlock
from sgsim.kernels.match import match
from sgsim.kernels.match_scan import PeerTruths
from sgsim.kernels.match_store import BY_LIST, rehash
from sgsim.tables import RuleTables
from sgsim.verdicts import MatchSets

__all__ = ["TASK_ROWS", "Matched", "match_rows"]

TASK_ROWS = 250_000  #: a task; fewer rows are not worth a thread

_FIRST_ANSWERS, _FIRST_MEMBERS, _FIRST_SLOTS = 1 << 12, 1 << 15, 1 << 14


class Matched(NamedTuple):
    """What one thread did: its sets, whether some may be equal, and the rows (start, stop) with their numbers."""

    sets: MatchSets
    repeated: bool
    ranges: list[tuple[int, int]]


def match_rows(
    tables: RuleTables,
    block: FlowBlock,
    peer: npt.NDArray[np.int32],
    truths: PeerTruths,
    results: dict[str, npt.NDArray[Any]],
    threads: int | None,
) -> tuple[list[Matched], npt.NDArray[np.int64]]:
    """Judge all rows, several tasks at once; (what each thread did, positions left to the scan).

    `results` are the columns ACTION, REASON, MATCH_SET (zeros), DECIDING and UNTRACKED_OUT (zeros), indexed by
    `block.row`; MATCH_SET holds numbers of the sets of the thread that did the row.
    """
    n = len(block)
    tasks = max(1, n // TASK_ROWS)
    starts = [n * task // tasks for task in range(tasks + 1)]
    workers = min(tasks, threads if threads is not None else os.cpu_count() or 1)
    numbers = count()

    def work() -> tuple[Matched, list[npt.NDArray[np.int64]]]:
        worker = _Worker(tables, block, peer, truths, results)
        while (task := next(numbers)) < tasks:
            worker.do(starts[task], starts[task + 1])
        return worker.matched(), worker.left

    if workers == 1:
        done = [work()]
    else:
        done = [future.result() for future in [_pool().submit(work) for _ in range(workers)]]
    left = [rows for _, positions in done for rows in positions]
    return [matched for matched, _ in done], np.sort(np.concatenate(left)) if left else np.empty(0, np.int64)


@cache
def _pool() -> ThreadPoolExecutor:
    """Threads that live as long as the process: starting them for each call would cost more than a small task."""
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="sgsim")


class _Worker:
    """One thread's share: a store of its own, so that nothing is locked."""

    def __init__(
        self,
        tables: RuleTables,
        block: FlowBlock,
        peer: npt.NDArray[np.int32],
        truths: PeerTruths,
        results: dict[str, npt.NDArray[Any]],
    ) -> None:
        self.left: list[npt.NDArray[np.int64]] = []
        self._ranges: list[tuple[int, int]] = []
        self._context = context_of(tables, block)
        self._set(results, PEER=peer, SAME_TABLE=-1)
        self._largest = max(PAGE_ROWS, tables.largest_union)
        self._store = _first_store(tables.family(block.family).layout.cells, self._largest)
        self._set(self._store, USED_ANSWERS=1, USED_MEMBERS=0, USED_SLOTS=0)
        self._set(
            {"TRUTH_OFFSETS": truths.offsets, "TRUTH_REFERENCES": truths.references, "TRUTHS": truths.truths},
            **self._room(),
        )

    def do(self, start: int, stop: int) -> None:
        """Judge some rows."""
        self._ranges.append((start, stop))
        rest = np.empty(stop - start, np.int64)
        self._set({}, START=start, STOP=stop, REST=rest, REST_USED=0)
        while True:
            match(self._context.numbers)
            if self._context["START"] == stop:
                break
            self._grow()
        if left := self._context["REST_USED"]:
            self.left.append(rest[:left].copy())

    def matched(self) -> Matched:
        """The sets of all rows done."""
        answers, members = self._context["USED_ANSWERS"], self._context["USED_MEMBERS"]
        sets = MatchSets(self._store["OFFSETS"][: answers + 1], self._store["MEMBERS"][:members])
        return Matched(sets, bool((self._store["INFO"][:answers, 0] & BY_LIST).any()), self._ranges)

    def _set(self, values: dict[str, Any], **more: Any) -> None:
        for name, value in {**values, **more}.items():
            self._context.set(name, value)

    def _room(self) -> dict[str, int]:
        store = self._store
        return {
            "MOST_SLOTS": len(store["SLOTS"]) // 2,
            "MOST_ANSWERS": len(store["INFO"]),
            "MOST_MEMBERS": len(store["MEMBERS"]),
        }

    def _grow(self) -> None:
        """Give the store four times the room wherever it is short, so that one more answer surely fits."""
        store, context = self._store, self._context
        if 2 * context["USED_ANSWERS"] >= len(store["INFO"]):
            capacity = 4 * len(store["INFO"])
            for name in ("INFO", "ORDER"):
                store[name] = _extended(store[name], capacity)
            store["OFFSETS"] = _extended(store["OFFSETS"], capacity + 1)
        if context["USED_MEMBERS"] + 2 * self._largest > len(store["MEMBERS"]):
            store["MEMBERS"] = _extended(store["MEMBERS"], 4 * len(store["MEMBERS"]) + 2 * self._largest)
        if 4 * (context["USED_SLOTS"] + 2) >= len(store["SLOTS"]) // 2:
            slots = np.zeros(4 * len(store["SLOTS"]), np.uint64)
            rehash(store["SLOTS"], slots)
            store["SLOTS"] = slots
        self._set(store, **self._room())


def _first_store(cells: int, largest: int) -> dict[str, npt.NDArray[Any]]:
    info = np.zeros((_FIRST_ANSWERS, 4), np.int32)
    info[0, 1] = -1
    return {
        "SLOTS": np.zeros(2 * _FIRST_SLOTS, np.uint64),
        "INFO": info,
        "ORDER": np.zeros(_FIRST_ANSWERS, np.uint64),
        "OFFSETS": np.zeros(_FIRST_ANSWERS + 1, np.int64),
        "MEMBERS": np.empty(max(_FIRST_MEMBERS, largest), np.int32),
        "CELLS": np.zeros(cells, np.int32),
    }


def _extended(values: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    longer = np.zeros((length, *values.shape[1:]), values.dtype)
    longer[: len(values)] = values
    return longer
