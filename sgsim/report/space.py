"""Packet spaces and their changes in words: `tcp 443 from 10.0.0.0/8, 192.0.2.0/24`."""

from __future__ import annotations

from collections.abc import Iterator

from sgsim.analysis.space import Part, Space, SpaceChange, format_services, service_words
from sgsim.intervals import Intervals
from sgsim.model import Cidr, Direction
from sgsim.report.style import number

__all__ = ["CHANGE_WORDS", "change_json", "part_text", "space_json", "space_lines"]

_WIDTH = {4: 32, 6: 128}

#: What the parts of SpaceChange are called for people.
CHANGE_WORDS = {
    "opened": "opened",
    "closed": "closed",
    "confirmed": "surely open, only perhaps before",
    "refuted": "surely closed, perhaps open before",
    "may_open": "perhaps open, closed before",
    "may_close": "perhaps closed, open before",
}


def part_text(part: Part, direction: Direction, most: int | None = None) -> str:
    """One product of services and addresses; at most so many blocks, and how many more there are.

    Of nearly all services or addresses, where that is shorter, what is missing: `tcp 22 from 0.0.0.0/0 but 10.0.0.0/8`.
    """
    width = _WIDTH[part.family]
    blocks, missing = _blocks(part), _cidrs(part.family, part.addresses.complement(1 << width))
    everything = f"{Cidr(part.family, 0, 0)} but " if missing and len(missing) < len(blocks) else ""
    if everything:
        blocks = missing
    if most is not None and len(blocks) > most + 1:
        blocks = [*blocks[:most], f"{number(len(blocks) - most)} more blocks"]
    preposition = "from" if direction is Direction.INGRESS else "to"
    return f"{format_services(part.services)} {preposition} {everything}{', '.join(blocks)}"


def space_lines(space: Space, direction: Direction, most: int | None = None) -> Iterator[str]:
    """A line for each product that makes up a space, IPv4 first; none for an empty space."""
    return (part_text(part, direction, most) for part in space.parts())


def space_json(space: Space) -> list[dict[str, object]]:
    """`[{"family": 4, "services": ["tcp 443"], "addresses": ["10.0.0.0/8"]}]`, disjoint."""
    return [
        {"family": part.family, "services": list(service_words(part.services)), "addresses": _blocks(part)}
        for part in space.parts()
    ]


def change_json(change: SpaceChange) -> dict[str, list[dict[str, object]]]:
    """The parts of a change that are not empty, by name."""
    spaces: dict[str, Space] = {name: getattr(change, name) for name in CHANGE_WORDS}
    return {name: space_json(space) for name, space in spaces.items() if space}


def _blocks(part: Part) -> list[str]:
    return _cidrs(part.family, part.addresses)


def _cidrs(family: int, addresses: Intervals) -> list[str]:
    return [str(Cidr(family, network, length)) for network, length in addresses.blocks(_WIDTH[family])]
