"""Whether a network does what is expected of it, for every packet of a set at once.

An expectation names hosts on both sides and services. It speaks of every packet from a host of the one side to a host
of the other, at every known interface that is an end of it: ACCEPT means that no end rejects or is in doubt, REJECT
that for each packet some end surely rejects it. Since what the sender's rules say depends on the destination alone,
and what the receiver's say on the source alone, both are decided on whole sets (`space`), and exactly:

    accept   every destination passes every sender's egress, every source every receiver's ingress
    reject   for no sender and receiver do some service and some addresses pass both

Left out is what groups never see (docs/semantics.md §3), where an expectation also speaks of other packets. A
counterexample is one packet, judged by the twin; the source port is any.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sgsim.analysis.expectation_file import parse_expectations, read_expectations
from sgsim.analysis.expectation_hosts import HostFinder, Hosts
from sgsim.analysis.expectation_text import Expectation, parse_expectation
from sgsim.analysis.notation import Flow, format_flow
from sgsim.analysis.space_algebra import ADDRESSES_END, NOTHING, Part, Space
from sgsim.analysis.space_exempt import exempt_egress, exempt_ingress
from sgsim.analysis.space_references import address_ranges
from sgsim.analysis.space_services import ALL_SERVICES
from sgsim.analysis.space_views import View, ViewKey, Views, view_key
from sgsim.intervals import EMPTY, Intervals, union_of
from sgsim.model import ICMP, ICMPV6, TCP, UDP, Address, Direction, Environment, Semantics
from sgsim.reference import Packet, judge
from sgsim.verdicts import Verdict, conjunction

__all__ = [
    "Counterexample",
    "Expectation",
    "Outcome",
    "decide",
    "parse_expectation",
    "parse_expectations",
    "read_expectations",
]

_EVERYWHERE = Intervals((0, 1 << 128))


@dataclass(frozen=True, slots=True)
class Counterexample:
    """One packet that goes against an expectation.

    `flow` is its notation, without a source port. `action` is the verdict of both ends together; `egress` and
    `ingress` are the sender's and the receiver's (interface id, verdict, ids of the rules that match), None where
    that end is not a known interface.
    """

    flow: str
    action: str
    egress: tuple[str, str, tuple[str, ...]] | None
    ingress: tuple[str, str, tuple[str, ...]] | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether an expectation holds; `note` says what is particular about it, in words, or is ""."""

    expectation: Expectation
    holds: bool
    counterexample: Counterexample | None = None
    note: str = ""


class _Kind(NamedTuple):
    """What decides an interface's answers: the key of its view, and the subnet, which decides what is exempt."""

    key: ViewKey
    subnet_id: str | None


class _Side(NamedTuple):
    """One side in one family: kind → interface id → addresses; None stands for what is no known interface."""

    kinds: dict[_Kind | None, dict[str, Intervals]]

    def addresses(self, kind: _Kind | None) -> Intervals:
        """All addresses of a kind."""
        return union_of(self.kinds[kind].values())

    @property
    def everything(self) -> Intervals:
        """All addresses of the side."""
        return union_of(addresses for members in self.kinds.values() for addresses in members.values())


class _Witness(NamedTuple):
    """A packet: interfaces ("" for none), addresses and a point on the service axis."""

    sender: str
    source: int
    receiver: str
    destination: int
    service: int


def decide(
    environment: Environment,
    expectations: Iterable[Expectation],
    semantics: Semantics | None = None,
    *,
    vpc_id: str | None = None,
) -> Iterator[Outcome]:
    """Decide expectations in order.

    `vpc_id` restricts the interfaces that an address can mean; else, where several interfaces have an address, the
    expectation must hold of all of them. Raises InputError, with line and column, for names that the environment does
    not hold and for expectations about no known interface.
    """
    decider = _Decider(environment, Semantics() if semantics is None else semantics, vpc_id)
    return (decider.outcome(expectation) for expectation in expectations)


class _Decider:
    def __init__(self, environment: Environment, semantics: Semantics, vpc_id: str | None) -> None:
        self._environment, self._semantics = environment, semantics
        self._views = Views(environment, semantics)
        self._finder = HostFinder(environment, vpc_id)
        self._exempt: dict[tuple[_Kind, Direction], Space] = {}

    def outcome(self, expectation: Expectation) -> Outcome:
        place = expectation.place
        source = self._finder.find(expectation.source, place)
        destination = self._finder.find(expectation.destination, place)
        if not source.held and not destination.held and any(source.others) and any(destination.others):
            place.fail(
                "no group decides: neither side has an interface with groups", advice="name hosts of the environment"
            )
        pairs = False
        judged = False
        for family in (4, 6):
            services = expectation.services - _foreign(family)
            one, other = self._side(source, family), self._side(destination, family)
            if not services or not one.kinds or not other.kinds or one.kinds.keys() | other.kinds.keys() == {None}:
                continue
            pairs = True
            if expectation.expected is Verdict.ACCEPT:
                witness, judged_here = self._not_accepted(family, one, other, services), True
            else:
                witness, judged_here = self._not_rejected(family, one, other, services)
            judged |= judged_here
            if witness is not None:
                return Outcome(expectation, False, self._counterexample(family, witness))
        rejects = expectation.expected is Verdict.REJECT
        if not pairs:
            return Outcome(expectation, rejects, note=_empty(source, destination))
        if not judged:
            return Outcome(expectation, False, note="security groups never see this traffic, so nothing rejects it")
        return Outcome(expectation, True)

    def _side(self, hosts: Hosts, family: int) -> _Side:
        kinds: dict[_Kind | None, dict[str, Intervals]] = {}
        for name, both in hosts.held.items():
            addresses = both[family == 6]
            if addresses:
                interface = self._environment.interfaces[name]
                kinds.setdefault(_Kind(view_key(interface), interface.subnet_id), {})[name] = addresses
        if hosts.others[family == 6]:
            kinds[None] = {"": hosts.others[family == 6]}
        return _Side(kinds)

    # -- accept --------------------------------------------------------------------------------------------------------

    def _not_accepted(self, family: int, source: _Side, destination: _Side, services: Intervals) -> _Witness | None:
        """A packet that some end does not accept."""
        for direction, near, far in (
            (Direction.EGRESS, source, destination),
            (Direction.INGRESS, destination, source),
        ):
            everything = far.everything
            for kind, members in near.kinds.items():
                if kind is None:
                    continue
                # Only addresses that every interface of this kind has are never seen by any of them (§9.8).
                remotes = everything - self._shared(members, family)
                missing = Space.of([Part(family, remotes, services)])
                missing = missing - self._view(kind, direction).accepted - self._never_seen(kind, direction)
                for remote, _, unaccepted in missing.segments(family):
                    return self._witness(family, direction, members, far, remote, unaccepted.first)
        return None

    def _shared(self, members: dict[str, Intervals], family: int) -> Intervals:
        """The addresses that all of these interfaces have."""
        shared = _EVERYWHERE
        for name in members:
            shared &= self._own(name, family)
        return shared

    def _own(self, name: str, family: int) -> Intervals:
        if not name or not self._semantics.exempt:
            return EMPTY
        return Intervals.half_open(address_ranges(self._environment.interfaces[name], family))

    def _witness(
        self, family: int, direction: Direction, members: dict[str, Intervals], far: _Side, remote: int, service: int
    ) -> _Witness:
        near = next(name for name in members if remote not in self._own(name, family))
        other = next(name for group in far.kinds.values() for name, held in group.items() if remote in held)
        local = members[near].first
        if direction is Direction.EGRESS:
            return _Witness(near, local, other, remote, service)
        return _Witness(other, remote, near, local, service)

    # -- reject --------------------------------------------------------------------------------------------------------

    def _not_rejected(
        self, family: int, source: _Side, destination: _Side, services: Intervals
    ) -> tuple[_Witness | None, bool]:
        """A packet that no end surely rejects; and whether there is any packet that groups see."""
        judged = False
        for from_kind, senders in source.kinds.items():
            for to_kind, receivers in destination.kinds.items():
                if from_kind is None and to_kind is None:
                    continue
                far, near = destination.addresses(to_kind), source.addresses(from_kind)
                if self._semantics.exempt and len(senders) == 1 and senders.keys() == receivers.keys():
                    continue  # an interface to itself
                if not self._seen(family, from_kind, Direction.EGRESS, far, services):
                    continue
                if not self._seen(family, to_kind, Direction.INGRESS, near, services):
                    continue
                judged = True
                out = self._passing(family, from_kind, Direction.EGRESS, far, services)
                into = self._passing(family, to_kind, Direction.INGRESS, near, services)
                both = _all_services(out, family) & _all_services(into, family)
                for service in _representatives(both, out, into, family):
                    witness = self._pair(family, senders, receivers, out, into, service)
                    if witness is not None:
                        return witness, True
        return None, judged

    def _passing(
        self, family: int, kind: _Kind | None, direction: Direction, remotes: Intervals, services: Intervals
    ) -> Space:
        """What may pass one end, of the packets with these remotes that groups see there."""
        asked = Space.of([Part(family, remotes, services)])
        if kind is None:
            return asked
        view = self._view(kind, direction)
        return (asked & (view.accepted | view.possible)) - self._never_seen(kind, direction)

    def _seen(
        self, family: int, kind: _Kind | None, direction: Direction, remotes: Intervals, services: Intervals
    ) -> bool:
        """Whether groups see any packet with these remotes at one end."""
        asked = Space.of([Part(family, remotes, services)])
        return bool(asked if kind is None else asked - self._never_seen(kind, direction))

    def _pair(
        self,
        family: int,
        senders: dict[str, Intervals],
        receivers: dict[str, Intervals],
        out: Space,
        into: Space,
        service: int,
    ) -> _Witness | None:
        """Two ends, not one and the same, between which a packet of the service passes."""
        point = Intervals((service, service + 1))
        destinations, sources = out.addresses_of(family, point), into.addresses_of(family, point)
        for sender, from_addresses in senders.items():
            local = from_addresses & sources
            if not local:
                continue
            own = self._own(sender, family)
            for receiver, to_addresses in receivers.items():
                remote = (to_addresses & destinations) - own
                near = local - self._own(receiver, family)
                if near and remote:
                    return _Witness(sender, near.first, receiver, remote.first, service)
        return None

    # -- answers -------------------------------------------------------------------------------------------------------

    def _view(self, kind: _Kind, direction: Direction) -> View:
        return self._views.at(kind.key, direction)

    def _never_seen(self, kind: _Kind, direction: Direction) -> Space:
        """What groups never see at interfaces of a kind, whatever the source port; less their own addresses."""
        if not self._semantics.exempt:
            return NOTHING
        found = self._exempt.get((kind, direction))
        if found is None:
            make = exempt_egress if direction is Direction.EGRESS else exempt_ingress
            found = self._exempt[kind, direction] = make(
                self._environment, kind.key.vpc_id, kind.subnet_id, kind.key.group_ids
            )
        return found

    def _counterexample(self, family: int, witness: _Witness) -> Counterexample:
        """The packet in words, and what the twin says of it."""
        protocol, low = witness.service >> 16, witness.service & 65535
        icmp_type, icmp_code = (low >> 8, low & 255) if protocol in (ICMP, ICMPV6) else (None, None)
        port = low if protocol in (TCP, UDP) else None
        packet = Packet(family, witness.source, witness.destination, protocol, 40000 if port is not None else 0,
                        port or 0, icmp_type, icmp_code)  # fmt: skip
        source, destination = Address(family, witness.source), Address(family, witness.destination)
        flow = Flow(protocol, source, destination, None, port, icmp_type, icmp_code)
        ends: list[tuple[str, str, tuple[str, ...]] | None] = []
        verdicts = []
        for name, direction in ((witness.sender, Direction.EGRESS), (witness.receiver, Direction.INGRESS)):
            if not name:
                ends.append(None)
                continue
            answer = judge(self._environment, self._semantics, name, direction, packet)
            verdicts.append(answer.action)
            ends.append((name, answer.action.name, tuple(sorted(answer.rule_ids or answer.possible_rule_ids))))
        action = conjunction(verdicts[0], verdicts[-1])
        return Counterexample(format_flow(flow), action.name, ends[0], ends[1])


def _foreign(family: int) -> Intervals:
    """ICMP of the other family, which no packet of this one carries."""
    protocol = ICMPV6 if family == 4 else ICMP
    return Intervals((protocol << 16, (protocol + 1) << 16))


def _all_services(space: Space, family: int) -> Intervals:
    return space.services_within(family, Intervals((0, ADDRESSES_END[family]))) & ALL_SERVICES


def _representatives(services: Intervals, out: Space, into: Space, family: int) -> Iterator[int]:
    """A point of each stretch of services over which nothing changes, tcp and udp first."""
    bounds = {first for first, _ in services}
    for space in (out, into):
        bounds.update(bound for _, here in space.steps(family) for bound in here.bounds if bound in services)
    return iter(sorted(bounds, key=lambda point: (point >> 16 not in (TCP, UDP), point)))


def _empty(source: Hosts, destination: Hosts) -> str:
    """Why there is no packet that an expectation could speak of."""
    for side, hosts in (("source", source), ("destination", destination)):
        if not hosts.held and not any(hosts.others):
            return f"no interface is meant by the {side}: this speaks of no packet"
    return "the two sides have no address family in common: this speaks of no packet"
