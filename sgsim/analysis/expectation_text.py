"""Expectations as people write them: `tcp 10.0.1.5 > sg-database:5432`, `internet > any:22`.

    line      = [protocols] hosts ">" hosts [":" ports] [types]
    protocols = tcp | udp | icmp | icmpv6 | 0 … 255 | all, several with commas
    hosts     = one or more with commas, no blanks: 10.0.1.5 | 10.0.0.0/8 | [2001:db8::1] | 2001:db8::/32 | sg-… |
                pl-… | eni-… | i-… | vpc-… | internet | any | a group's name ("in quotes" if it has blanks or commas)
    ports     = 443 | 8000-8999, several with commas; destination ports of tcp and udp
    types     = 8 | 8/0, several with commas; for icmp and icmpv6

Without protocols it is tcp and udp if there are ports, else all of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from sgsim.analysis.space_services import ALL_SERVICES
from sgsim.errors import InputError
from sgsim.intervals import Intervals
from sgsim.model import ICMP, ICMPV6, TCP, UDP
from sgsim.verdicts import Verdict

__all__ = ["Expectation", "Place", "Term", "parse_expectation"]

_PROTOCOLS = {"tcp": TCP, "udp": UDP, "icmp": ICMP, "icmpv6": ICMPV6}
_WORD = re.compile(r'\s*(>|(?:"[^"]*"|[^\s>"])+|")')
_ITEM = re.compile(r'(?:"[^"]*"|\[[^\]]*\]|[^,"\[])+|[\["]')
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
_TYPE = re.compile(r"(\d{1,3})(?:/(\d{1,3}|\*))?", re.ASCII)
_EXAMPLE = "write it like 'tcp 10.0.1.5 > sg-database:5432'"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text begins in a file: line and column from 1; `source` is the file's name, "" for none."""

    source: str = ""
    line: int = 1
    column: int = 1

    def fail(self, problem: str, offset: int = 0, advice: str = _EXAMPLE) -> NoReturn:
        """Raise InputError for what is wrong `offset` characters from here."""
        where = f"line {self.line}, column {self.column + offset}"
        raise InputError(problem, source=self.source, where=where, advice=advice)


@dataclass(frozen=True, slots=True)
class Term:
    """One host or set of hosts as written, without quotes and brackets; `quoted` is a name and nothing else."""

    text: str
    offset: int
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Expectation:
    """What should happen to every packet of a set: source × destination × services.

    `expected` is ACCEPT or REJECT. `services` lie on the axis of `space_services`. `text` is the line as written,
    `name` what the file calls it, or "".
    """

    expected: Verdict
    source: tuple[Term, ...]
    destination: tuple[Term, ...]
    services: Intervals
    text: str
    place: Place = Place()
    name: str = ""


class _Word(Term):
    """A word of the line and where it begins."""


def parse_expectation(expected: Verdict, text: str, place: Place | None = None, name: str = "") -> Expectation:
    """Read one line. Raises InputError with line and column."""
    at = Place() if place is None else place
    words = [_Word(match.group(1), match.start(1)) for match in _WORD.finditer(text)]
    arrows = [index for index, word in enumerate(words) if word.text == ">"]
    if len(arrows) != 1:
        at.fail(
            "'>' is missing" if not arrows else "there is more than one '>'", words[arrows[1]].offset if arrows else 0
        )
    before, after = words[: arrows[0]], words[arrows[0] + 1 :]
    if not before or not after:
        at.fail(f"the {'destination' if before else 'source'} is missing", words[arrows[0]].offset)
    for extra in (*before[2:], *after[2:]):
        at.fail(f"{extra.text!r} is too much", extra.offset)
    protocols = _protocols(before[0], at) if len(before) == 2 else None
    source, unwanted = _hosts(before[-1], at)
    if unwanted:
        at.fail("rules never look at the source port", unwanted[0].offset, "leave it out")
    destination, ports = _hosts(after[0], at)
    services = _services(protocols, _ports(ports, at), after[1] if len(after) == 2 else None, after[0], at)
    return Expectation(expected, source, destination, services, text, at, name)


def _protocols(word: Term, at: Place) -> list[int] | None:
    """Protocol numbers; None for `all`."""
    numbers = []
    for item, offset in _items(word):
        lower = item.lower()
        if lower == "all":
            return None
        if lower not in _PROTOCOLS and not (item.isascii() and item.isdigit() and int(item) < 256):
            at.fail(f"{item!r} is not a protocol: tcp, udp, icmp, icmpv6, all or a number", offset)
        numbers.append(_PROTOCOLS[lower] if lower in _PROTOCOLS else int(item))
    return numbers


def _items(word: Term) -> list[tuple[str, int]]:
    """The parts between commas, and where each begins."""
    return [(match.group(), word.offset + match.start()) for match in _ITEM.finditer(word.text)]


def _hosts(word: Term, at: Place) -> tuple[tuple[Term, ...], list[Term]]:
    """The hosts of one side and the texts of its ports: what follows the first ':' that is not part of an address."""
    if word.text.startswith(",") or word.text.endswith(",") or ",," in word.text:
        at.fail(f"something is missing in {word.text!r}", word.offset)
    hosts: list[Term] = []
    ports: list[Term] = []
    for item, offset in _items(word):
        if ports:
            ports.append(Term(item, offset))
            continue
        host, port = _split(item, offset, at)
        hosts.append(host)
        if port is not None:
            ports.append(port)
    return tuple(hosts), ports


def _split(item: str, offset: int, at: Place) -> tuple[Term, Term | None]:
    """One host and the port text after it."""
    if item[0] in '"[':
        closing = item.find('"' if item[0] == '"' else "]", 1)
        if closing < 0:
            at.fail(f"{item!r} has no end", offset)
        host, rest = Term(item[1:closing], offset + 1, item[0] == '"'), item[closing + 1 :]
        if rest and not rest.startswith(":"):
            at.fail(f"{rest!r} does not belong here", offset + closing + 1)
        return host, Term(rest[1:], offset + closing + 2) if rest else None
    if item.count(":") > 1:  # an IPv6 address or block
        return Term(item, offset), None
    text, colon, port = item.partition(":")
    if not text:
        at.fail("the host before the port is missing", offset)
    return Term(text, offset), Term(port, offset + len(text) + 1) if colon else None


def _ports(terms: list[Term], at: Place) -> list[tuple[int, int]]:
    ranges = []
    for term in terms:
        match = _PORTS.fullmatch(term.text)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last <= 65535:
            at.fail(f"{term.text!r} is not a port or a range of ports from 0 to 65535", term.offset)
        ranges.append((first, last))
    return ranges


def _services(
    protocols: list[int] | None, ports: list[tuple[int, int]], types: Term | None, destination: Term, at: Place
) -> Intervals:
    """The part of the service axis that a line is about."""
    if ports:
        for protocol in protocols or ():
            if protocol not in (TCP, UDP):
                at.fail(
                    "ports belong to tcp and udp alone",
                    destination.offset,
                    "put other protocols on a line of their own",
                )
        chosen = protocols or [TCP, UDP]
        if types is not None:
            at.fail(f"{types.text!r} is too much", types.offset)
        return Intervals.of([((p << 16) + first, (p << 16) + last) for p in chosen for first, last in ports])
    if types is not None:
        if protocols not in ([ICMP], [ICMPV6]):
            at.fail(f"{types.text!r} is too much: types belong to icmp or icmpv6", types.offset)
        assert protocols is not None
        return Intervals.of([_type_range(item, offset, protocols[0] << 16, at) for item, offset in _items(types)])
    if protocols is None:
        return ALL_SERVICES
    return Intervals.of([(protocol << 16, (protocol << 16) + 65535) for protocol in protocols])


def _type_range(item: str, offset: int, base: int, at: Place) -> tuple[int, int]:
    match = _TYPE.fullmatch(item)
    if not match or int(match[1]) > 255 or (match[2] not in (None, "*") and int(match[2]) > 255):
        at.fail(f"{item!r} is not an ICMP type and code, each 0 to 255", offset)
    first = base + int(match[1]) * 256
    if match[2] in (None, "*"):
        return first, first + 255
    return first + int(match[2]), first + int(match[2])
