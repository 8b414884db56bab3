"""The hosts that an expectation names, as interfaces and as addresses that no interface has."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from sgsim.analysis.expectation_text import Place, Term
from sgsim.analysis.space_algebra import ADDRESSES_END
from sgsim.analysis.space_internet import internet
from sgsim.analysis.space_references import address_ranges
from sgsim.analysis.space_views import view_key
from sgsim.errors import ModelError
from sgsim.intervals import EMPTY, Intervals
from sgsim.model import Cidr, Environment, NetworkInterface, parse_address, parse_cidr

__all__ = ["HostFinder", "Hosts"]

_FAMILIES = (4, 6)
Ranges = dict[int, list[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class Hosts:
    """One side of an expectation.

    `held`: interface id → its addresses that are meant, for (IPv4, IPv6). `others`: addresses that are meant and that
    no known interface has.
    """

    held: dict[str, tuple[Intervals, Intervals]] = field(default_factory=dict)
    others: tuple[Intervals, Intervals] = (EMPTY, EMPTY)


class HostFinder:
    """Finds hosts in one environment; `vpc_id` restricts the interfaces that an address can mean.

    Gateways and the like, which no groups filter (docs/semantics.md §5.3), have no say in anything: they are hosts like
    those outside the environment, unless they are named by id.
    """

    def __init__(self, environment: Environment, vpc_id: str | None = None) -> None:
        self._environment = environment
        self._internet = internet(environment)
        interfaces = environment.interfaces.values()
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for group in environment.groups.values():
            self._by_name[group.name].append(group.group_id)
        self._carriers: dict[str, list[NetworkInterface]] = defaultdict(list)
        self._instances: dict[str, list[NetworkInterface]] = defaultdict(list)
        self._vpcs: dict[str, list[NetworkInterface]] = defaultdict(list)
        for interface in interfaces:
            for group_id in set(interface.group_ids):
                self._carriers[group_id].append(interface)
            if interface.instance_id is not None:
                self._instances[interface.instance_id].append(interface)
            if interface.vpc_id is not None and not view_key(interface).unfiltered:
                self._vpcs[interface.vpc_id].append(interface)
        in_scope = (one for one in interfaces if vpc_id is None or one.vpc_id == vpc_id)
        chosen = [one for one in in_scope if not view_key(one).unfiltered]
        self._found_by_address = {family: _Holdings(chosen, family) for family in _FAMILIES}

    def find(self, terms: Iterable[Term], place: Place) -> Hosts:
        """All hosts that the terms of one side mean. Raises InputError for names that the environment does not hold."""
        held: dict[str, Ranges] = defaultdict(lambda: {4: [], 6: []})
        others: Ranges = {4: [], 6: []}
        for term in terms:
            self._add(term, place, held, others)
        return Hosts(
            {name: _sets(ranges) for name, ranges in sorted(held.items())},
            _sets(others),
        )

    def _add(self, term: Term, place: Place, held: dict[str, Ranges], others: Ranges) -> None:
        text = term.text
        if not term.quoted:
            if text.lower() == "any":
                return self._add_addresses(tuple(Intervals((0, ADDRESSES_END[f])) for f in _FAMILIES), held, others)
            if text.lower() == "internet":
                return self._add_addresses(self._internet, held, others)
            if text[:1].isdigit() or ":" in text:
                return self._add_addresses(self._block(term, place), held, others)
            if text.startswith("pl-"):
                return self._add_addresses(self._entries(term, place), held, others)
            if text.startswith("vpc-"):
                return self._add_vpc(term, place, held, others)
        for interface in self._interfaces(term, place):
            for family in _FAMILIES:
                held[interface.interface_id][family] += address_ranges(interface, family)
        return None

    def _add_addresses(self, ranges: tuple[Intervals, ...], held: dict[str, Ranges], others: Ranges) -> None:
        """Addresses, at the interfaces that have them; several may have the same, and then all of them count."""
        for family, wanted in zip(_FAMILIES, ranges):
            holdings = self._found_by_address[family]
            for name, first, end in holdings.within(wanted):
                held[name][family].append((first, end))
            others[family] += ((first, last + 1) for first, last in wanted - holdings.all)

    def _block(self, term: Term, place: Place) -> tuple[Intervals, Intervals]:
        """An address or a block of either family."""
        try:
            if "/" in term.text:
                return _of_cidrs([parse_cidr(term.text)])
            address = parse_address(term.text)
        except ModelError as error:
            place.fail(str(error), term.offset)
        width = 32 if address.family == 4 else 128
        return _of_cidrs([Cidr(address.family, address.value, width)])

    def _entries(self, term: Term, place: Place) -> tuple[Intervals, Intervals]:
        prefix_list = self._environment.prefix_lists.get(term.text)
        if prefix_list is None or prefix_list.entries is None:
            what = "is no prefix list of the environment" if prefix_list is None else "has no entries in the input"
            place.fail(f"{term.text} {what}", term.offset, "add the output of get-managed-prefix-list-entries")
        return _of_cidrs(prefix_list.entries)

    def _add_vpc(self, term: Term, place: Place, held: dict[str, Ranges], others: Ranges) -> None:
        """The interfaces of a VPC, and the addresses of its ranges that none of them has."""
        vpc = self._environment.vpcs.get(term.text)
        interfaces = self._vpcs.get(term.text, [])
        if vpc is None and not interfaces:
            place.fail(f"{term.text} is not a VPC of the environment", term.offset, "is it spelled rightly?")
        for family, wanted in zip(_FAMILIES, _of_cidrs(vpc.cidrs if vpc else ())):
            own: list[tuple[int, int]] = []
            for interface in interfaces:
                ranges = address_ranges(interface, family)
                held[interface.interface_id][family] += ranges
                own += ranges
            others[family] += ((first, last + 1) for first, last in wanted - Intervals.half_open(own))

    def _interfaces(self, term: Term, place: Place) -> list[NetworkInterface]:
        """The interfaces that an id or a group's name means."""
        text, environment = term.text, self._environment
        if not term.quoted:
            if text in environment.interfaces:
                return [environment.interfaces[text]]
            if text in self._instances:
                return self._instances[text]
            if text in environment.groups or text in self._carriers:
                return self._carriers.get(text, [])
        named = self._by_name.get(text, []) if text else []
        if len(named) > 1:
            place.fail(
                f"{len(named)} groups have the name {text!r}", term.offset, f"write one of {', '.join(named[:5])}"
            )
        if not named:
            place.fail(
                f"{text!r} is no interface, instance, group or name of a group in the environment",
                term.offset,
                "hosts are addresses, blocks, sg-…, eni-…, i-…, vpc-…, pl-…, names of groups, internet and any",
            )
        return self._carriers.get(named[0], [])


class _Holdings:
    """The addresses of interfaces, to be found by address."""

    def __init__(self, interfaces: Iterable[NetworkInterface], family: int) -> None:
        points: list[tuple[int, str]] = []
        self._prefixes: list[tuple[int, int, str]] = []
        for interface in interfaces:
            name = interface.interface_id
            points += ((address.value, name) for address in interface.addresses if address.family == family)
            delegated = [prefix for prefix in interface.prefixes if prefix.family == family]
            self._prefixes += ((prefix.network, prefix.last + 1, name) for prefix in delegated)
        points.sort()
        self._values = [value for value, _ in points]
        self._names = [name for _, name in points]
        ranges = [(first, end) for first, end, _ in self._prefixes]
        self.all = Intervals.half_open([*((value, value + 1) for value in self._values), *ranges])

    def within(self, wanted: Intervals) -> Iterable[tuple[str, int, int]]:
        """(interface, first, end) of everything that lies in a set of addresses."""
        for first, last in wanted:
            for index in range(bisect_left(self._values, first), bisect_right(self._values, last)):
                yield self._names[index], self._values[index], self._values[index] + 1
        for first, end, name in self._prefixes:
            for low, high in wanted.clip(first, end):
                yield name, low, high + 1


def _sets(ranges: Ranges) -> tuple[Intervals, Intervals]:
    return Intervals.half_open(ranges[4]), Intervals.half_open(ranges[6])


def _of_cidrs(cidrs: Iterable[Cidr]) -> tuple[Intervals, Intervals]:
    ranges: Ranges = {4: [], 6: []}
    for cidr in cidrs:
        ranges[cidr.family].append((cidr.network, cidr.last + 1))
    return _sets(ranges)
