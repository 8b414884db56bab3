"""Runs and their times, the yardstick between them."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.bench.results import Figure
from sgsim.generate import Shape, Traffic, TrafficStream, random_network

__all__ = ["Clock", "constant", "cpu_seconds", "rate", "seconds_of", "wall_seconds", "yardstick"]

Clock = Callable[[], float]

cpu_seconds: Clock = time.process_time
wall_seconds: Clock = time.perf_counter

_RULES, _FLOWS = 100, 250_000
#: A figure takes no longer than this, as long as it has had this many runs.
_PATIENCE_SECONDS, _FEWEST_RUNS = 10.0, 3
#: What takes less time is called several times a run.
_SHORTEST_SECONDS, _MOST_TIMES = 0.03, 1000


@cache
def _yardstick_arrays() -> tuple[npt.NDArray[Any], ...]:
    """A hundred rules of one group and flows for it, in the narrowest types."""
    shape = Shape(
        rules=_RULES, groups=1, interfaces=1, references=0, prefix_lists=0, ipv6=0, locked=0, default_egress=False
    )
    network = random_network(shape, seed=1)
    flows = next(iter(TrafficStream(network, Traffic(flows=_FLOWS, egress=0), seed=1)))
    rules = network.rules
    return (
        flows.src_lo.astype(np.uint32),
        flows.dstport,
        flows.protocol,
        rules.lo.astype(np.uint32),
        (0xFFFFFFFF << (32 - rules.length) & 0xFFFFFFFF).astype(np.uint32),
        rules.protocol.astype(np.int16),
        rules.first.astype(np.uint16),
        rules.last.astype(np.uint16),
        np.empty(len(flows), np.int32),
    )


def yardstick() -> float:
    """M flows/s of a plain numba scan of a hundred rules, by the thread's CPU clock."""
    from sgsim.kernels.yardstick import scan_in_turn

    arrays = _yardstick_arrays()
    begin = time.thread_time()
    scan_in_turn(*arrays)
    return len(arrays[0]) / max(time.thread_time() - begin, 1e-9) / 1e6


def _samples(work: Callable[[], Any], runs: int, clock: Clock) -> list[tuple[float, float]]:
    """(seconds of a call, yardstick around it) of each run; two calls beforehand are not counted."""
    yardstick()
    work()
    begin = wall_seconds()
    work()
    times = int(np.clip(_SHORTEST_SECONDS / max(wall_seconds() - begin, 1e-9), 1, _MOST_TIMES))
    found: list[tuple[float, float]] = []
    started = time.monotonic()
    with _without_garbage_collection():
        while len(found) < runs:
            before = yardstick()
            begin = clock()
            for _ in range(times):
                work()
            taken = (clock() - begin) / times
            found.append((max(taken, 1e-9), (before + yardstick()) / 2))
            if len(found) >= _FEWEST_RUNS and time.monotonic() - started > _PATIENCE_SECONDS:
                break
    return found


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """A collection in the middle of a run would look at a million rules."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def seconds_of(
    name: str, work: Callable[[], Any], runs: int, *, unit: str = "s", each: int = 1, clock: Clock = cpu_seconds
) -> Figure:
    """How long one of the `each` things takes that a call does; `unit` s or ms."""
    scale = {"s": 1.0, "ms": 1e3}[unit] / each
    samples = [(taken * scale, stick) for taken, stick in _samples(work, runs, clock)]
    return _figure(name, samples, [value * stick for value, stick in samples], unit, "lower", clock)


def rate(
    name: str, work: Callable[[], Any], count: float, runs: int, *, unit: str, clock: Clock = cpu_seconds
) -> Figure:
    """How many millions of the `count` things a call handles go into a second."""
    samples = [(count / taken / 1e6, stick) for taken, stick in _samples(work, runs, clock)]
    return _figure(name, samples, [value / stick for value, stick in samples], unit, "higher", clock)


def _figure(
    name: str, samples: list[tuple[float, float]], relative: list[float], unit: str, better: str, clock: Clock
) -> Figure:
    values = [value for value, _ in samples]
    return Figure(
        name=name,
        value=statistics.median(values),
        low=min(values),
        high=max(values),
        unit=unit,
        better=better,
        runs=len(values),
        yardstick=statistics.median(stick for _, stick in samples),
        relative=statistics.median(relative),
        clock="wall" if clock is wall_seconds else "cpu",
    )


def constant(name: str, value: float, unit: str) -> Figure:
    """A size, the same in every run."""
    return Figure(name=name, value=value, low=value, high=value, unit=unit, better="lower", runs=1)
