"""A part of the packet space: which services from, or to, which addresses.

A packet at one interface and direction is a point (family, remote address, service); see `space_services` for the
service axis. For each family a space is a step function over the addresses, from each address to the set of its
services:

    0.0.0.0 ─ tcp 80 ─ 10.0.0.0 ─ tcp 80,443 ─ 11.0.0.0 ─ tcp 80 ─ end

Neighbouring steps differ, so there is one form for every space, and `==` and `hash` are those of the set of packets.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from sgsim.analysis.space_services import ALL_SERVICES
from sgsim.intervals import EMPTY, Intervals, union_of

__all__ = ["ADDRESSES_END", "EVERYTHING", "NOTHING", "Part", "Space", "Steps", "combine_steps", "steps_of"]

#: One past the highest address of a family.
ADDRESSES_END = {4: 1 << 32, 6: 1 << 128}

#: (first address, services from there to the next step), ascending; before the first and after a last step without
#: services there is nothing.
Steps = tuple[tuple[int, Intervals], ...]

Operation = Callable[[Intervals, Intervals], Intervals]


class Part(NamedTuple):
    """A product: every service of `services` from (or to) every address of `addresses`, of one family."""

    family: int
    addresses: Intervals
    services: Intervals


@lru_cache(1 << 14)
def _union(one: Intervals, other: Intervals) -> Intervals:
    return one | other


@lru_cache(1 << 14)
def _intersection(one: Intervals, other: Intervals) -> Intervals:
    return one & other


@lru_cache(1 << 14)
def _difference(one: Intervals, other: Intervals) -> Intervals:
    return one - other


def steps_of(pieces: Iterable[tuple[int, Intervals]], end: int) -> Steps:
    """The one form of a step function given as ascending pieces, which may repeat services or start with none."""
    steps: list[tuple[int, Intervals]] = []
    services = EMPTY
    for start, here in pieces:
        if here is not services and here != services and start < end:
            steps.append((start, here))
            services = here
    return tuple(steps)


def combine_steps(one: Steps, other: Steps, operation: Operation, end: int) -> Steps:
    """The step function of `operation` applied at every address."""

    def pieces() -> Iterator[tuple[int, Intervals]]:
        i = j = 0
        a = b = EMPTY
        while i < len(one) or j < len(other):
            start = min(one[i][0] if i < len(one) else end, other[j][0] if j < len(other) else end)
            if i < len(one) and one[i][0] == start:
                a, i = one[i][1], i + 1
            if j < len(other) and other[j][0] == start:
                b, j = other[j][1], j + 1
            yield start, operation(a, b)

    return steps_of(pieces(), end)


@dataclass(frozen=True, slots=True)
class Space:
    """A set of packets at one interface and direction, both families; equal exactly if the packets are."""

    v4: Steps = ()
    v6: Steps = ()

    @classmethod
    def of(cls, parts: Iterable[Part]) -> Space:
        """The union of products."""
        spaces = {4: (), 6: ()}  # type: dict[int, Steps]
        for family, addresses, services in parts:
            pieces = [step for first, last in addresses for step in ((first, services), (last + 1, EMPTY))]
            made = steps_of(pieces, ADDRESSES_END[family])
            spaces[family] = combine_steps(spaces[family], made, _union, ADDRESSES_END[family])
        return cls(spaces[4], spaces[6])

    def steps(self, family: int) -> Steps:
        """The step function of a family."""
        return self.v4 if family == 4 else self.v6

    def __bool__(self) -> bool:
        return bool(self.v4 or self.v6)

    def contains(self, family: int, address: int, service: int) -> bool:
        """Whether a packet is in the set; `service` as from `service_point`."""
        return service in self.services_at(family, address)

    def services_at(self, family: int, address: int) -> Intervals:
        """The services from (or to) one address."""
        steps = self.steps(family)
        place = bisect_right(steps, address, key=_start)
        return steps[place - 1][1] if place else EMPTY

    def __or__(self, other: Space) -> Space:
        return self._combined(other, _union)

    def __and__(self, other: Space) -> Space:
        return self._combined(other, _intersection)

    def __sub__(self, other: Space) -> Space:
        return self._combined(other, _difference)

    def _combined(self, other: Space, operation: Operation) -> Space:
        return Space(
            combine_steps(self.v4, other.v4, operation, ADDRESSES_END[4]),
            combine_steps(self.v6, other.v6, operation, ADDRESSES_END[6]),
        )

    def segments(self, family: int) -> Iterator[tuple[int, int, Intervals]]:
        """(first address, end, services) of every step that has services, ascending."""
        steps = self.steps(family)
        for (start, services), (end, _) in zip(steps, (*steps[1:], (ADDRESSES_END[family], EMPTY))):
            if services:
                yield start, end, services

    def addresses(self, family: int) -> Intervals:
        """The addresses from (or to) which some service is in the set."""
        return Intervals.half_open([(first, end) for first, end, _ in self.segments(family)])

    def services_within(self, family: int, addresses: Intervals) -> Intervals:
        """The services that are in the set for at least one of the addresses."""
        found = {services for first, end, services in self.segments(family) if addresses.overlaps(first, end)}
        return union_of(found)

    def addresses_of(self, family: int, services: Intervals) -> Intervals:
        """The addresses for which at least one of the services is in the set."""
        return Intervals.half_open(
            [(first, end) for first, end, here in self.segments(family) if _intersection(here, services)]
        )

    # -- for people ------------------------------------------------------------------------------------------------

    def by_address(self, family: int) -> list[Part]:
        """Disjoint products, one for each distinct set of services: where each address appears once."""
        ranges: dict[Intervals, list[tuple[int, int]]] = {}
        for first, end, services in self.segments(family):
            ranges.setdefault(services, []).append((first, end))
        parts = [Part(family, Intervals.half_open(found), services) for services, found in ranges.items()]
        return sorted(parts, key=lambda part: part.addresses.bounds)

    def by_service(self, family: int) -> list[Part]:
        """Disjoint products, one for each distinct set of addresses: where each service appears once."""
        columns = self.by_address(family)
        events: dict[int, int] = {}  # where on the service axis which columns begin or end, as bits
        for index, part in enumerate(columns):
            for bound in part.services.bounds:
                events[bound] = events.get(bound, 0) ^ (1 << index)
        ranges: dict[int, list[tuple[int, int]]] = {}
        inside, begin = 0, 0
        for bound in sorted(events):
            if inside:
                ranges.setdefault(inside, []).append((begin, bound))
            inside, begin = inside ^ events[bound], bound
        parts = [
            Part(family, union_of(columns[index].addresses for index in _bits(mask)), Intervals.half_open(found))
            for mask, found in ranges.items()
        ]
        return sorted(parts, key=lambda part: part.services.bounds)

    def parts(self) -> list[Part]:
        """Disjoint products that make up the set, both families, as few blocks and services as either way gives.

        `tcp 80 from 0.0.0.0/0, tcp 443 from 10.0.0.0/8` is shorter by service, `tcp 80, 443 from 10.0.0.0/8` and
        nothing else is the same either way; the choice follows from the set alone.
        """
        chosen: list[Part] = []
        for family in (4, 6):
            by_service, by_address = self.by_service(family), self.by_address(family)
            chosen += by_address if _length(by_address) < _length(by_service) else by_service
        return chosen


#: Every packet, and none.
EVERYTHING = Space(((0, ALL_SERVICES),), ((0, ALL_SERVICES),))
NOTHING = Space()


def _start(step: tuple[int, Intervals]) -> int:
    return step[0]


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _length(parts: list[Part]) -> int:
    """How much there is to read: blocks and ranges of services."""
    width = {4: 32, 6: 128}
    return sum(2 + sum(1 for _ in part.addresses.blocks(width[part.family])) + len(part.services) for part in parts)
