"""Which packets of a question pass, before and after a change, decided for the whole set.

A question is a set of packets, source × destination × services, as `sgsim test` writes it. Its hosts are those of the
environment in which it is asked; what is launched later under an address of them is that host from then on. A packet
passes if every end that the environment knows surely accepts it, or never sees it (docs/semantics.md §3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from sgsim.analysis.expectation_hosts import HostFinder, Hosts
from sgsim.analysis.expectation_text import Expectation, parse_expectation
from sgsim.analysis.space_algebra import EVERYTHING, Part, Space
from sgsim.analysis.space_exempt import exempt_egress, exempt_ingress
from sgsim.analysis.space_references import address_ranges
from sgsim.analysis.space_services import ALL_SERVICES
from sgsim.analysis.space_views import ViewKey, Views, view_key
from sgsim.errors import InputError, NotationError
from sgsim.intervals import EMPTY, Intervals, union_of
from sgsim.model import ICMP, ICMPV6, TCP, UDP, Direction, Environment, NetworkInterface, Semantics
from sgsim.verdicts import Verdict

__all__ = ["Passing", "Question", "Witness", "ask"]

_FAMILIES = (4, 6)
_FOREIGN = {4: ICMPV6, 6: ICMP}


@dataclass(frozen=True, slots=True)
class Question:
    """A set of packets; `text` as it was written."""

    text: str
    source: Hosts
    destination: Hosts
    services: Intervals

    def services_of(self, family: int) -> Intervals:
        """The services that packets of a family can have."""
        foreign = _FOREIGN[family] << 16
        return self.services - Intervals((foreign, foreign + 65536))


class Witness(NamedTuple):
    """A packet: interfaces ("" for none that is known), addresses, and a point on the service axis."""

    family: int
    sender: str
    source: int
    receiver: str
    destination: int
    service: int


class _Kind(NamedTuple):
    """What decides an interface's answers."""

    key: ViewKey
    subnet_id: str | None


def ask(environment: Environment, text: str, vpc_id: str | None = None) -> Question:
    """Read a question, such as `tcp internet > sg-database:5432`.

    Raises NotationError with the column, also for names that the environment does not hold and for packets that no
    group decides.
    """
    try:
        expectation: Expectation = parse_expectation(Verdict.ACCEPT, text)
        finder = HostFinder(environment, vpc_id)
        source = finder.find(expectation.source, expectation.place)
        destination = finder.find(expectation.destination, expectation.place)
    except InputError as error:
        raise NotationError(error.problem, where=error.where.removeprefix("line 1, "), advice=error.advice) from None
    if not source.held and not destination.held:
        problem = "no group decides: neither side has an interface with groups"
        raise NotationError(problem, where="column 1", advice="name hosts of the environment")
    question = Question(text, source, destination, expectation.services)
    if not any(question.services_of(one) and _any(source, one) and _any(destination, one) for one in _FAMILIES):
        problem = "the two sides have no addresses of one family that carry these services"
        raise NotationError(problem, where="column 1", advice="this speaks of no packet")
    return question


def _any(hosts: Hosts, family: int) -> bool:
    return bool(hosts.others[family == 6]) or any(both[family == 6] for both in hosts.held.values())


class Passing:
    """What of a question passes in one environment; `launched` are interfaces that it did not know when asked.

    With `maybe` what only may pass, for want of input, counts as passing.
    """

    def __init__(
        self,
        environment: Environment,
        semantics: Semantics,
        question: Question,
        launched: Iterable[NetworkInterface] = (),
        *,
        maybe: bool = False,
    ) -> None:
        self._maybe = maybe
        self.environment, self.question = environment, question
        self._semantics, self._launched = semantics, tuple(launched)
        self.views = Views(environment, semantics)
        self._ends: dict[tuple[_Kind | None, Direction], Space] = {}
        self._sides: dict[tuple[int, bool], dict[str, Intervals]] = {}

    @cached_property
    def families(self) -> tuple[int, ...]:
        """The families of which there are packets."""
        return tuple(
            family
            for family in _FAMILIES
            if self.question.services_of(family) and self.side(family, True) and self.side(family, False)
        )

    @property
    def two_ends(self) -> bool:
        """Whether groups may decide at both ends of a packet."""
        return all(any(name for family in self.families for name in self.side(family, end)) for end in (True, False))

    def side(self, family: int, source: bool) -> dict[str, Intervals]:
        """The addresses of one side by interface; "" holds those that no interface has."""
        found = self._sides.get((family, source))
        if found is None:
            hosts = self.question.source if source else self.question.destination
            others = hosts.others[family == 6]
            found = {name: both[family == 6] for name, both in hosts.held.items() if both[family == 6]}
            for interface in self._launched:
                own = Intervals.half_open(address_ranges(interface, family)) & others
                if own:
                    found[interface.interface_id], others = own, others - own
            if others:
                found[""] = others
            self._sides[family, source] = found
        return found

    def end(self, name: str, direction: Direction) -> Space:
        """What passes at an interface; everything where there is none."""
        interface = self.environment.interfaces.get(name)
        kind = None if interface is None else _Kind(view_key(interface), interface.subnet_id)
        found = self._ends.get((kind, direction))
        if found is None:
            found = self._ends[kind, direction] = EVERYTHING if kind is None else self._space(kind, direction)
        return found

    def _space(self, kind: _Kind, direction: Direction) -> Space:
        view = self.views.at(kind.key, direction)
        accepted = view.accepted | view.possible if self._maybe else view.accepted
        if not self._semantics.exempt:
            return accepted
        make = exempt_egress if direction is Direction.EGRESS else exempt_ingress
        return accepted | make(self.environment, kind.key.vpc_id, kind.subnet_id, kind.key.group_ids)

    # -- packets that pass ---------------------------------------------------------------------------------------------

    def some(self) -> Witness | None:
        """A packet that passes."""
        return next(self._found(None), None)

    def newly(self, before: Passing) -> Witness | None:
        """A packet that passes here and did not before."""
        return next(self._found(before), None)

    def gains(self, before: Passing, direction: Direction) -> bool:
        """Whether more of the question's packets pass one end, whatever the other one says."""
        source = direction is Direction.EGRESS
        for family in self.families:
            far, services = union_of(self.side(family, not source).values()), self.question.services_of(family)
            asked = Space.of([Part(family, far, services)])
            for name in self.side(family, source):
                if (self.end(name, direction) - before.end(name, direction)) & asked:
                    return True
        return False

    def _found(self, before: Passing | None) -> Iterator[Witness]:
        for family in self.families:
            senders = self._grouped(self.side(family, True), Direction.EGRESS, before)
            receivers = self._grouped(self.side(family, False), Direction.INGRESS, before)
            for (out, new_out), from_names in senders.items():
                for (into, new_into), to_names in receivers.items():
                    for one, other in ((new_out, into), (out, new_into)) if before is not None else ((out, into),):
                        if one and other:
                            yield from self._pairs(family, from_names, to_names, one, other)

    def _grouped(
        self, side: Mapping[str, Intervals], direction: Direction, before: Passing | None
    ) -> dict[tuple[Space, Space], dict[str, Intervals]]:
        """The interfaces of a side by (what passes, what of it is new)."""
        made: dict[tuple[int, int], tuple[Space, Space]] = {}
        groups: dict[tuple[Space, Space], dict[str, Intervals]] = {}
        for name, addresses in side.items():
            here = self.end(name, direction)
            was = here if before is None else before.end(name, direction)
            if (id(here), id(was)) not in made:
                made[id(here), id(was)] = (here, here - was)
            groups.setdefault(made[id(here), id(was)], {})[name] = addresses
        return groups

    def _pairs(
        self, family: int, senders: Mapping[str, Intervals], receivers: Mapping[str, Intervals], out: Space, into: Space
    ) -> Iterator[Witness]:
        """Packets between two different ends that one space lets out and the other in; one for each service at most."""
        to, origin = union_of(receivers.values()), union_of(senders.values())
        asked = self.question.services_of(family)
        both = asked & out.services_within(family, to) & into.services_within(family, origin)
        for service in _representatives(both, out, into, family):
            point = Intervals((service, service + 1))
            let_out, let_in = out.addresses_of(family, point) & to, into.addresses_of(family, point) & origin
            if not let_out or not let_in:
                continue
            for sender, from_addresses in senders.items():
                local, own = from_addresses & let_in, self._own(sender, family)
                for receiver, to_addresses in receivers.items() if local else ():
                    if sender == receiver:
                        continue
                    remote, near = (to_addresses & let_out) - own, local - self._own(receiver, family)
                    if remote and near:
                        yield Witness(family, sender, near.first, receiver, remote.first, service)
                        return

    def _own(self, name: str, family: int) -> Intervals:
        """The addresses of an interface, whose traffic with itself no group sees."""
        interface = self.environment.interfaces.get(name)
        if interface is None or not self._semantics.exempt:
            return EMPTY
        return Intervals.half_open(address_ranges(interface, family))

    def whole(self) -> bool:
        """Whether every packet of the question passes."""
        return all(self._end_passes(family, direction) for family in self.families for direction in Direction)

    def _end_passes(self, family: int, direction: Direction) -> bool:
        source = direction is Direction.EGRESS
        far = union_of(self.side(family, not source).values())
        for name in self.side(family, source):
            remotes = far - self._own(name, family)
            asked = Space.of([Part(family, remotes, self.question.services_of(family))])
            if name and asked - self.end(name, direction):
                return False
        return True


def _representatives(services: Intervals, out: Space, into: Space, family: int) -> Iterator[int]:
    """A point of each stretch of services over which nothing changes, tcp and udp first."""
    bounds = {first for first, _ in services & ALL_SERVICES}
    for space in (out, into):
        bounds.update(bound for _, here in space.steps(family) for bound in here.bounds if bound in services)
    return iter(sorted(bounds, key=lambda point: (point >> 16 not in (TCP, UDP), point)))
