"""One sweep over the rectangles of two environments: where the answer changes, and from what to what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from sgsim.analysis.space_algebra import ADDRESSES_END, Steps, steps_of
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
    pieces: list[tuple[int, _Six]] = []
    open_here: dict[_Open, int] = {}
    last = len(events) - 1
    for index, (start, step, key) in enumerate(events):
        count = open_here.get(key, 0) + step
        if count:
            open_here[key] = count
        else:
            del open_here[key]
        if index == last or events[index + 1][0] != start:
            differs = any(side for _, _, side in open_here)
            pieces.append((start, _six(frozenset(open_here)) if differs else _NONE))
    end = ADDRESSES_END[family]
    return [steps_of([(start, six[part]) for start, six in pieces], end) for part in range(6)]


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
