"""What is open to the internet, decided on the union of rules."""

from __future__ import annotations

import pytest

from sgsim.analysis.space import (
    EVERYTHING,
    NOTHING,
    Part,
    Space,
    Threshold,
    exposure,
    format_services,
    internet,
)
from sgsim.intervals import Intervals
from sgsim.model import TCP, UDP, Environment, Vpc, parse_cidr

SSH, DNS = Intervals.of([((TCP << 16) + 22, (TCP << 16) + 22)]), Intervals.of([((UDP << 16) + 53, (UDP << 16) + 53)])
EMPTY_ENVIRONMENT = Environment()


def space(services: Intervals, *blocks: str) -> Space:
    parts = []
    for text in blocks:
        cidr = parse_cidr(text)
        parts.append(Part(cidr.family, Intervals.of([(cidr.network, cidr.last)]), services))
    return Space.of(parts)


@pytest.mark.parametrize(
    ("blocks", "is_open"),
    [
        (["0.0.0.0/0"], True),
        (["::/0"], True),
        (["0.0.0.0/1", "128.0.0.0/1"], True),
        (["54.0.0.0/8"], True),
        (["54.0.0.0/9"], False),
        (["54.0.0.0/9", "60.0.0.0/9"], True),
        ([f"{n}.{m}.0.0/15" for n in range(20, 84) for m in (0, 2)], True),
        ([f"{n}.0.0.0/15" for n in range(20, 90)], False),
        (["10.0.0.0/8", "192.168.0.0/16", "172.16.0.0/12", "100.64.0.0/10", "224.0.0.0/3"], False),
        (["2600::/16"], True),
        (["2600::/17"], False),
        (["fc00::/7", "fe80::/10", "2001:db8::/32"], False),
        ([], False),
    ],
)
def test_open(blocks: list[str], is_open: bool) -> None:
    """A /8's worth of IPv4, a /16's worth of 2000::/3; splitting does not hide it, private ranges do not count."""
    found = exposure(space(SSH, *blocks), internet(EMPTY_ENVIRONMENT))
    assert found.open is is_open
    assert format_services(found.v4 | found.v6) == ("tcp 22" if is_open else "nothing")


def test_services_apart() -> None:
    """Services that share the worth of a block are open as a whole, none of them alone."""
    found = exposure(space(SSH, "54.0.0.0/9") | space(DNS, "60.0.0.0/9"), internet(EMPTY_ENVIRONMENT))
    assert found.open and not found.v4
    assert found.addresses == (1 << 24, 0)


def test_own_ranges_and_threshold() -> None:
    """The VPCs' own ranges are not the internet; the threshold is an option."""
    own = Environment(vpcs={"vpc-1": Vpc("vpc-1", (parse_cidr("54.0.0.0/9"), parse_cidr("2600::/17")))})
    assert not exposure(space(SSH, "54.0.0.0/8", "2600::/16"), internet(own)).open
    assert exposure(space(SSH, "54.0.0.0/8"), internet(own), Threshold(v4=9)).open
    assert exposure(space(SSH, "54.0.0.1/32"), internet(EMPTY_ENVIRONMENT), Threshold(v4=32)).open


def test_everything_and_nothing() -> None:
    assert not exposure(NOTHING, internet(EMPTY_ENVIRONMENT)).open
    assert format_services(exposure(EVERYTHING, internet(EMPTY_ENVIRONMENT)).v6) == "all"


@pytest.mark.parametrize(
    ("ranges", "text"),
    [
        ([], "nothing"),
        ([(0, (1 << 24) - 1)], "all"),
        ([(0, (6 << 16) + 442), ((6 << 16) + 444, (1 << 24) - 1)],
         "all but tcp 443"),
        ([(7 << 16, (60 << 16) + 65535)], "protocols 7-60"),
        ([((6 << 16) + 22, (6 << 16) + 22), ((6 << 16) + 80, (6 << 16) + 90)], "tcp 22,80-90"),
        ([(6 << 16, (6 << 16) + 65535), ((17 << 16) + 53, (17 << 16) + 53)], "tcp all ports; udp 53"),
        ([((1 << 16) + 768, (1 << 16) + 1023), ((58 << 16) + 32768, (58 << 16) + 32768)], "icmp 3/*; icmpv6 128/0"),
        ([(1 << 16, (1 << 16) + 65535), (50 << 16, (51 << 16) + 65535)], "icmp; 50; 51"),
        ([((6 << 16) + 65535, (6 << 16) + 65535), (7 << 16, (7 << 16) + 65535)], "tcp 65535; 7"),
    ],
)  # fmt: skip
def test_words(ranges: list[tuple[int, int]], text: str) -> None:
    """Services in words, by protocol, in the words of rules."""
    assert format_services(Intervals.of(ranges)) == text
