"""Packet spaces in words and as JSON."""

from __future__ import annotations

from sgsim.analysis.space import Part, Space, SpaceChange
from sgsim.analysis.space_services import ALL_SERVICES
from sgsim.intervals import Intervals
from sgsim.model import TCP, UDP, Direction, parse_cidr
from sgsim.report.space import change_json, space_json, space_lines


def space(protocol: int, first: int, last: int, *blocks: str) -> Space:
    services = Intervals.of([((protocol << 16) + first, (protocol << 16) + last)])
    cidrs = [parse_cidr(text) for text in blocks]
    return Space.of([Part(one.family, Intervals.of([(one.network, one.last)]), services) for one in cidrs])


def test_lines_are_few() -> None:
    """Equal services of several blocks and equal blocks of several services stand together."""
    wide = space(TCP, 80, 80, "0.0.0.0/0") | space(TCP, 443, 443, "10.0.0.0/8", "11.0.0.0/8")
    assert list(space_lines(wide, Direction.INGRESS)) == ["tcp 80 from 0.0.0.0/0", "tcp 443 from 10.0.0.0/7"]
    hosts = space(TCP, 22, 25, "10.0.0.1/32", "2001:db8::1/128") | space(UDP, 53, 53, "10.0.0.1/32")
    assert list(space_lines(hosts, Direction.EGRESS)) == [
        "tcp 22-25; udp 53 to 10.0.0.1/32",
        "tcp 22-25 to 2001:db8::1/128",
    ]
    many = space(TCP, 22, 22, *(f"10.{n}.0.0/17" for n in range(9)))
    (line,) = space_lines(many, Direction.INGRESS, most=2)
    assert line == "tcp 22 from 10.0.0.0/17, 10.1.0.0/17, 7 more blocks"
    assert list(space_lines(Space(), Direction.INGRESS)) == []


def test_what_is_missing_from_nearly_all() -> None:
    """A few blocks or ports that a rule before opened already do not tear the rest to pieces."""
    every = Space.of([Part(4, Intervals((0, 1 << 32)), ALL_SERVICES), Part(6, Intervals((0, 1 << 128)), ALL_SERVICES)])
    left = every - space(TCP, 22, 22, "0.0.0.0/0") - space(UDP, 53, 53, "0.0.0.0/0")
    assert list(space_lines(left, Direction.INGRESS)) == ["all but tcp 22; udp 53 from 0.0.0.0/0", "all from ::/0"]
    port = space(TCP, 22, 22, "0.0.0.0/0", "::/0") - space(
        TCP, 22, 22, "203.0.113.0/24", "10.0.0.1/32", "2001:db8::/32"
    )
    assert list(space_lines(port, Direction.EGRESS)) == [
        "tcp 22 to 0.0.0.0/0 but 10.0.0.1/32, 203.0.113.0/24",
        "tcp 22 to ::/0 but 2001:db8::/32",
    ]
    (half,) = space_lines(space(TCP, 22, 22, "128.0.0.0/1"), Direction.INGRESS)
    assert half == "tcp 22 from 128.0.0.0/1"
    assert len(space_json(port)[0]["addresses"]) > 30  # type: ignore[arg-type]


def test_json() -> None:
    opened = space(TCP, 22, 22, "10.0.0.0/8")
    assert space_json(opened) == [{"family": 4, "services": ["tcp 22"], "addresses": ["10.0.0.0/8"]}]
    assert change_json(SpaceChange(opened=opened)) == {"opened": space_json(opened)}
    assert change_json(SpaceChange()) == {}
