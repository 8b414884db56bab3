"""Runs the look-up and scan kernels over a block of rows: by tasks, on several threads, each with its own store."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.engine.crossing import Crossing, crossing_of
from sgsim.engine.queries import context_of
from sgsim.engine.stores import Store
from sgsim.flows import FlowBlock
from sgsim.kernels.match_context import Context
from sgsim.tables import RuleTables

__all__ = ["TASK_ROWS", "Job", "Share", "look_up", "scan"]

TASK_ROWS = 250_000  #: a task; fewer rows are not worth a thread


class Job(NamedTuple):
    """A block to be judged and where results go: columns by their names in `match_context`, indexed by `block.row`.

    ACTION, REASON, MATCH_SET, POSSIBLE_SET and UNTRACKED_OUT are zeros to begin with. `peers` are PEER and the
    TRUTH… arrays.
    """

    tables: RuleTables
    block: FlowBlock
    peers: dict[str, npt.NDArray[Any]]
    results: dict[str, npt.NDArray[Any]]

    def context(self) -> Context:
        """A context of its own for one thread."""
        context = context_of(self.tables, self.block)
        context.set("ROWS", len(self.results["ACTION"]))
        for name, value in {**self.peers, **self.results}.items():
            context.set(name, value)
        return context

    def store(self) -> Store:
        """A store that fits the tables."""
        return Store(self.tables.largest_union, self.tables.family(self.block.family).layout.cells)


class Share(NamedTuple):
    """What one thread did: its store, and the rows of the block whose sets are numbered there."""

    store: Store
    rows: list[slice]


def look_up(job: Job, threads: int | None) -> list[Share]:
    """Judge all rows by the look-up tables, several tasks at once, and scan for those that these cannot answer."""
    n = len(job.block)
    tasks = max(1, n // TASK_ROWS)
    starts = [n * task // tasks for task in range(tasks + 1)]
    workers = min(tasks, threads if threads is not None else os.cpu_count() or 1)
    numbers = count()

    def work() -> Share:
        context, share, crossing = job.context(), Share(job.store(), []), crossing_of(job.tables, job.block)
        while (task := next(numbers)) < tasks:
            rows = slice(starts[task], starts[task + 1])
            if len(left := _look_up(job, context, share.store, rows, crossing)):
                _scan(context, share.store, left)
            share.rows.append(rows)
        return share

    if workers == 1:
        return [work()]
    return [future.result() for future in [_pool().submit(work) for _ in range(workers)]]


def scan(job: Job, store: Store) -> Share:
    """Judge all rows by looking at every rule."""
    n = len(job.block)
    _scan(job.context(), store, np.arange(n))
    return Share(store, [slice(0, n)])


def _look_up(job: Job, context: Context, store: Store, rows: slice, crossing: Crossing | None) -> npt.NDArray[np.int64]:
    """Judge some rows; returns the positions of those that only a scan can answer."""
    rest = np.empty(rows.stop - rows.start, np.int64)
    start: dict[str, Any] = {"START": rows.start, "STOP": rows.stop, "REST": rest, "REST_USED": 0, "SAME_TABLE": -1}
    for name, value in start.items():
        context.set(name, value)
    if crossing is None or not crossing.judge(context, store, job.block, rows, job.results):
        _match(context, store, rows)
    return rest[: context["REST_USED"]].copy()


def _match(context: Context, store: Store, rows: slice) -> None:
    """Judge some rows by the tables of all interfaces."""
    from sgsim.kernels.match import match  # takes 0.2 s to load: small traffic never needs it

    def work() -> bool:
        match(context.numbers)
        return _is_done(context, rows.stop)

    store.run(context, work)
    store.looked_up = True


def _scan(context: Context, store: Store, rows: npt.NDArray[np.int64]) -> None:
    from sgsim.kernels.match_scan import scan as scan_kernel

    start: dict[str, Any] = {"START": 0, "STOP": len(rows), "REST": rows}
    for name, value in start.items():
        context.set(name, value)

    def work() -> bool:
        scan_kernel(context.numbers)
        return _is_done(context, len(rows))

    store.run(context, work)
    store.scanned = True


def _is_done(context: Context, stop: int) -> bool:
    if context["START"] < 0:
        raise ValueError("a row of the flow table has an interface, direction or row number that does not exist")
    return context["START"] == stop


@cache
def _pool() -> ThreadPoolExecutor:
    """Threads that live as long as the process: starting them for each call would cost more than a small task."""
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="sgsim")
