"""Rejected and unknown records, put together the way a person looks at them.

A situation is one interface, direction and reason; its lines are services. Ports that the same single address tried
are one line: a scan is one thing to see, not hundreds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from sgsim.model import ICMP, ICMPV6, TCP, UDP, protocol_name
from sgsim.report.tally import MANY, Count, Group, GroupKey, Sample
from sgsim.verdicts import Verdict

__all__ = ["Line", "Situation", "service_text", "situations"]

SCAN = 4  #: ports that one address must have tried to be shown together


@dataclass(frozen=True, slots=True)
class Line:
    """One service, or several that the same address tried. `key` is that of the first; `services` all, ascending."""

    key: GroupKey
    services: tuple[int, ...]
    count: Count
    start: int
    end: int
    peers: Counter[tuple[int, int]]
    more_peers: bool
    possible_rules: frozenset[int]
    sample: Sample


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything of one verdict and reason at one interface in one direction, most records first."""

    action: int
    reason: int
    interface: int
    direction: int
    lines: tuple[Line, ...]

    @property
    def count(self) -> Count:
        total = Count()
        for line in self.lines:
            total.add(line.count.records, line.count.packets, line.count.bytes)
        return total


def situations(groups: Iterable[Group], action: Verdict) -> list[Situation]:
    """The situations of one verdict, most records first."""

    def place(group: Group) -> tuple[int, int, int]:
        return group.key.interface, group.key.direction, group.key.reason

    chosen = sorted((group for group in groups if group.key.action == action), key=lambda group: group.key)
    found = [
        Situation(action, reason, interface, direction, tuple(_lines(list(members))))
        for (interface, direction, reason), members in groupby(sorted(chosen, key=place), place)
    ]
    found.sort(key=lambda situation: -situation.count.records)  # stable: ties stay in the order of interfaces
    return found


def _lines(groups: list[Group]) -> list[Line]:
    lines = [line for members in _scans(groups) for line in _joined(members)]
    lines.sort(key=lambda line: -line.count.records)
    return lines


def _scans(groups: list[Group]) -> list[list[Group]]:
    """Groups of ports that one address tried together, every other group by itself."""

    def alike(group: Group) -> tuple[object, ...]:
        key = group.key
        single = next(iter(group.peers)) if len(group.peers) == 1 and not group.more_peers else None
        if single is None or key.protocol not in (TCP, UDP):
            return (key,)
        return (key.family, key.protocol, key.answer, key.fragment, single, group.possible_rules)

    together: dict[tuple[object, ...], list[Group]] = {}
    for group in groups:
        together.setdefault(alike(group), []).append(group)
    return list(together.values())


def _joined(members: list[Group]) -> list[Line]:
    if len(members) < SCAN:
        return [_line([group]) for group in members]
    return [_line(members)]


def _line(members: list[Group]) -> Line:
    count, peers = Count(), Counter[tuple[int, int]]()
    for group in members:
        count.add(group.count.records, group.count.packets, group.count.bytes)
        peers.update(group.peers)
    first = members[0]
    return Line(
        key=first.key,
        services=tuple(sorted(group.key.service for group in members)),
        count=count,
        start=min(group.start for group in members),
        end=max(group.end for group in members),
        peers=peers,
        more_peers=any(group.more_peers for group in members),
        possible_rules=first.possible_rules,
        sample=first.sample,
    )


def service_text(line: Line) -> str:
    """The service in words: `tcp 443`, `tcp 14 ports (21, 22, 23, 80 …)`, `answers from tcp 80`, `icmp 8/0`, `50`."""
    key, name = line.key, protocol_name(line.key.protocol)
    if key.fragment and key.service == 0:
        text = f"{name} later fragments"
    elif key.protocol in (ICMP, ICMPV6):
        text = name if key.service == 0xFFFF else f"{name} {key.service >> 8}/{key.service & 0xFF}"
    elif key.protocol not in (TCP, UDP):
        text = f"protocol {name}"
    elif line.services == (MANY,):
        text = f"{name} any port"
    elif len(line.services) == 1:
        text = f"{name} {key.service}"
    else:
        shown = ", ".join(map(str, line.services[:4]))
        text = f"{name} {len(line.services)} ports ({shown} …)"
    return f"answers from {text}" if key.answer else text
