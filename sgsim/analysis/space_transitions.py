"""One sweep over the rectangles of two environments: where the answer changes, and from what to what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from sgsim.analysis.space_algebra import ADDRESSES_END, Steps
from sgsim.analysis.space_views import MAYBE, SURE, Box
from sgsim.intervals import EMPTY, Intervals

__all__ = ["AFTER", "BEFORE", "BOTH", "transitions"]

#: The side that a rectangle is on.
BOTH, BEFORE, AFTER = 0, 1, 2

#: A range of services, SURE or MAYBE, and the side.
_Open = tuple[tuple[int, int], int, int]
_Six = tuple[Intervals, Intervals, Intervals, Intervals, Intervals, Intervals]
_NONE: _Six = (EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, EMPTY)


def transitions(boxes: Sequence[tuple[Box, int]], family: int) -> list[Steps]:
    """The step functions of the six parts of SpaceChange, in its order."""
    if not boxes:
        return [()] * 6
    events: list[tuple[int, int, _Open]] = []
    for (first, end, service, truth), side in boxes:
        events.append((first, 1, (service, truth, side)))
        events.append((end, -1, (service, truth, side)))
    events.sort()
    found: list[list[tuple[int, Intervals]]] = [[] for _ in _NONE]
    now = _NONE
    open_here: dict[_Open, int] = {}
    differing = 0  # how many of those that are open are on one side only
    last = len(events) - 1
    for index, (start, step, key) in enumerate(events):
        count = open_here.get(key, 0) + step
        if count:
            open_here[key] = count
        else:
            del open_here[key]
        if key[2] != BOTH:
            differing += step
        if index != last and events[index + 1][0] == start:
            continue
        six = _six(frozenset(open_here)) if differing else _NONE
        if six is not now:
            for steps, old, new in zip(found, now, six):
                if old is not new and old != new:
                    steps.append((start, new))
            now = six
    end = ADDRESSES_END[family]
    return [tuple(steps[:-1] if steps and steps[-1][0] == end else steps) for steps in found]


@lru_cache(1 << 15)
def _six(open_here: frozenset[_Open]) -> _Six:
    """The services of each part of SpaceChange where these rectangles are open."""
    yes_before, maybe_before = _services(open_here, BEFORE)
    yes_after, maybe_after = _services(open_here, AFTER)
    return (
        yes_after - yes_before - maybe_before,
        yes_before - yes_after - maybe_after,
        yes_after & maybe_before,
        maybe_before - yes_after - maybe_after,
        maybe_after - yes_before - maybe_before,
        yes_before & maybe_after,
    )


def _services(open_here: Iterable[_Open], side: int) -> tuple[Intervals, Intervals]:
    """What is open on one side: surely, and only perhaps."""
    mine = [(service, truth) for service, truth, where in open_here if where in (BOTH, side)]
    yes = Intervals.half_open([service for service, truth in mine if truth == SURE])
    return yes, Intervals.half_open([service for service, truth in mine if truth == MAYBE]) - yes
