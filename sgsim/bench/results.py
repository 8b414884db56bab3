"""Figures as values: what is printed, written as JSON, plotted and compared."""

from __future__ import annotations

import msgspec

__all__ = ["SCHEMA", "Figure", "Point", "QuotaLine", "Results", "Size", "Sweep"]

SCHEMA = "sgsim.bench/1"  #: the number goes up when a reader of the old one would misread the new one


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured: how much of everything, and how it came about."""

    rules: int
    groups: int
    interfaces: int
    flows: int
    accepted: float  #: share of the flows
    mean_matches: float  #: rules that match an accepted flow, on average
    source: str  #: the environment's path, or `generated`
    traffic: str  #: `captures`, `flow logs` or `generated`
    seed: int | None = None


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement: the median of `runs`, the lowest and highest of them.

    `yardstick`: M flows/s of the plain scan, the median of those run between the runs; None for what is no speed.
    `relative`: the median of value × yardstick for times, value / yardstick for rates: what a slower machine leaves
    alone. `better`: whether `lower` or `higher` values are. `clock`: `cpu` or `wall`, None for what is no speed.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str
    better: str
    runs: int
    yardstick: float | None = None
    relative: float | None = None
    clock: str | None = None


class QuotaLine(msgspec.Struct, frozen=True, kw_only=True):
    """How groups or interfaces use one quota: the middle one, the fullest one and its id, and how many exceed it."""

    of: str
    bucket: str
    median: float
    highest: int
    subject: str
    limit: int
    over: int


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """The figures at one size."""

    at: int
    size: Size
    figures: tuple[Figure, ...]


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """Figures by number of `by`: rules, groups, interfaces or flows."""

    by: str
    points: tuple[Point, ...]


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the benchmark."""

    schema: str = SCHEMA
    machine: dict[str, str | int]
    size: Size
    figures: tuple[Figure, ...]
    quotas: tuple[QuotaLine, ...]
    sweeps: tuple[Sweep, ...] = ()
