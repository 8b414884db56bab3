"""A run against a kept one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from sgsim.bench.results import SCHEMA, Figure, Results
from sgsim.errors import InputError

__all__ = ["Change", "compare", "read_baseline", "slower"]


class Change(NamedTuple):
    """How a figure changed. `worse`: 0.1 where it takes a tenth more of time or memory than the baseline, by the
    yardstick of each run where there is one; negative where it takes less."""

    name: str
    before: Figure
    after: Figure
    worse: float


def read_baseline(path: Path) -> Results:
    """Results that `--format json` wrote. Raises InputError."""
    try:
        results = msgspec.json.decode(path.read_bytes(), type=Results)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", source=str(path)) from None
    except msgspec.DecodeError as error:
        advice = "give what 'sgsim bench --format json' wrote"
        raise InputError(f"is no result of sgsim bench ({error})", source=str(path), advice=advice) from None
    if results.schema != SCHEMA:
        raise InputError(f"has the schema {results.schema}, not {SCHEMA}", source=str(path), advice="measure it again")
    return results


def compare(before: Results, after: Results, source: str) -> list[Change]:
    """The change of every figure that both have. Raises InputError if they measured different things."""
    for name in ("rules", "groups", "interfaces", "flows", "traffic"):
        one, other = getattr(before.size, name), getattr(after.size, name)
        if one != other:
            advice = "compare runs with the same options"
            raise InputError(f"was measured with {one} {name}, this run with {other}", source=source, advice=advice)
    known = dict(_named(before))
    return [
        Change(name, known[name], figure, _worse(known[name], figure))
        for name, figure in _named(after)
        if name in known
    ]


def _named(results: Results) -> Iterator[tuple[str, Figure]]:
    for figure in results.figures:
        yield figure.name, figure
    for sweep in results.sweeps:
        for point in sweep.points:
            for figure in point.figures:
                yield f"{figure.name} ({point.at:,} {sweep.by})", figure


def _worse(before: Figure, after: Figure) -> float:
    pair = (before.relative, after.relative) if before.relative and after.relative else (before.value, after.value)
    one, other = (float(value or 0) for value in pair)
    if before.better == "higher":
        one, other = other, one
    return other / one - 1 if one else 0.0


def slower(changes: list[Change], limit: float) -> list[Change]:
    """The figures that are worse by more than the limit (0.1: a tenth), and in every run than the baseline in any.

    What is measured by the clock on the wall is never among them: that others use the machine is no regression.
    """
    return [
        change
        for change in changes
        if change.worse > limit and change.after.clock != "wall" and _apart(change.before, change.after)
    ]


def _apart(before: Figure, after: Figure) -> bool:
    """Whether the best run of `after` is worse than the worst of `before`, by the yardstick."""
    if after.better == "lower":
        return after.low * _scale(after) > before.high * _scale(before)
    return after.high * _scale(after) < before.low * _scale(before)


def _scale(figure: Figure) -> float:
    return figure.relative / figure.value if figure.relative and figure.value else 1.0
