"""Which interface is meant: the order of vantage, mirror session, Ethernet address, private address (§9.14)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sgsim.engine.resolve import Headers, Resolver
from sgsim.engine.snapshot import Snapshot
from sgsim.flows import AMBIGUOUS, NO_INTERFACE
from sgsim.model import MirrorSession, parse_address
from tests.engine.networks import interface, small_network

A, B, C, D = range(4)  #: eni-a 10.0.0.1, eni-b 10.0.0.2, eni-c 10.0.0.2 in another VPC, eni-d with a prefix
MAC_A, MAC_B = 0x020000000001, 0x020000000002
BROADCAST = 0xFFFFFFFFFFFF
NOBODY, MANY = NO_INTERFACE, AMBIGUOUS

NETWORK = small_network(
    interface("eni-c", "10.0.0.2", vpc_id="vpc-b"),
    interface("eni-d", "10.0.1.1", prefixes=("10.0.2.0/28", "2001:db8:0:2::/80")),
    sessions=(
        MirrorSession("tms-1", "eni-a", 7),
        MirrorSession("tms-2", "eni-a", 8),
        MirrorSession("tms-3", "eni-b", 8),
    ),
)


def headers(src: str, dst: str, *, src_mac: int = 0, dst_mac: int = 0, vni: int = -1) -> Headers:
    """One flow."""
    source, destination = parse_address(src), parse_address(dst)
    low = (1 << 64) - 1

    def column(value: int, dtype: Any = np.uint64) -> np.ndarray:
        return np.array([value], dtype)

    return Headers(
        column(source.family, np.uint8),
        column(source.value >> 64),
        column(source.value & low),
        column(destination.value >> 64),
        column(destination.value & low),
        column(src_mac),
        column(dst_mac),
        column(vni, np.int32),
    )


def ends(flow: Headers, **options: str) -> tuple[int, int]:
    """Egress and ingress interface of one flow."""
    found = Resolver(Snapshot.of(NETWORK), **options).resolve(flow)
    return int(found.egress[0]), int(found.ingress[0])


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        # an address that exactly one interface or delegated prefix has
        (headers("10.0.0.1", "203.0.113.1"), (A, NOBODY)),
        (headers("203.0.113.1", "10.0.0.1"), (NOBODY, A)),
        (headers("10.0.0.1", "10.0.1.1"), (A, D)),
        (headers("10.0.2.3", "10.0.2.16"), (D, NOBODY)),
        (headers("2001:db8:0:2::77", "2001:db8::1"), (D, A)),
        # several candidates: never the first
        (headers("10.0.0.1", "10.0.0.2"), (A, MANY)),
        # Ethernet: source is egress, destination is ingress, before any address
        (headers("10.0.0.1", "10.0.0.2", dst_mac=MAC_B), (A, B)),
        (headers("10.0.0.2", "10.0.0.1", src_mac=MAC_B, dst_mac=MAC_A), (B, A)),
        (headers("203.0.113.1", "203.0.113.2", src_mac=MAC_A, dst_mac=MAC_B), (A, B)),
        # a router's Ethernet address says nothing, the address still does
        (headers("10.0.0.1", "10.0.1.1", src_mac=0x0E0000000001, dst_mac=0x0E0000000001), (A, D)),
        # a public address identifies no interface
        (headers("198.51.100.2", "10.0.0.1"), (NOBODY, A)),
        # a mirror session names the one interface that is judged; the other end was not seen there
        (headers("10.0.0.1", "10.0.1.1", vni=7), (A, NOBODY)),
        (headers("10.0.1.1", "10.0.0.1", vni=7), (NOBODY, A)),
        (headers("10.0.1.1", "10.0.2.1", vni=7), (NOBODY, NOBODY)),
        # a number that two sessions share, or none has, leaves it to what is inside
        (headers("10.0.0.1", "10.0.1.1", vni=8), (A, D)),
        (headers("10.0.0.1", "10.0.1.1", vni=9), (A, D)),
    ],
)
def test_order(flow: Headers, expected: tuple[int, int]) -> None:
    assert ends(flow) == expected


def test_vpc_makes_an_address_unique() -> None:
    flow = headers("10.0.0.1", "10.0.0.2")
    assert ends(flow, vpc_id="vpc-a") == (A, B)
    assert ends(flow, vpc_id="vpc-b") == (NOBODY, C)


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        (headers("10.0.0.1", "10.0.0.2"), (NOBODY, B)),
        (headers("10.0.0.2", "10.0.0.1"), (B, NOBODY)),
        (headers("10.0.0.1", "10.0.1.1"), (NOBODY, NOBODY)),
        # a router's interface sends other hosts' packets
        (headers("10.0.9.9", "10.0.9.8", src_mac=MAC_B), (B, NOBODY)),
        (headers("10.0.9.9", "10.0.9.8", dst_mac=MAC_B), (NOBODY, B)),
        # what is for everyone, and comes from elsewhere, was received
        (headers("0.0.0.0", "255.255.255.255", src_mac=MAC_A, dst_mac=BROADCAST), (NOBODY, B)),
        (headers("0.0.0.0", "255.255.255.255", src_mac=MAC_B, dst_mac=BROADCAST), (B, NOBODY)),
        # the host talks to itself
        (headers("10.0.0.2", "10.0.0.2"), (B, B)),
        # the session's number does not matter
        (headers("10.0.0.1", "10.0.0.2", vni=7), (NOBODY, B)),
    ],
)
def test_vantage(flow: Headers, expected: tuple[int, int]) -> None:
    """Only the interface at which the capture was taken is judged, in the direction that Ethernet or IP tells."""
    assert ends(flow, vantage="eni-b") == expected


def test_vantage_inside_a_delegated_prefix() -> None:
    assert ends(headers("10.0.2.15", "10.0.0.1"), vantage="eni-d") == (D, NOBODY)
    assert ends(headers("2001:db8:0:2::1", "2001:db8:0:3::1"), vantage="eni-d") == (D, NOBODY)


def test_observed_and_public() -> None:
    resolver = Resolver(Snapshot.of(NETWORK))
    plain, mirrored = (resolver.resolve(headers("198.51.100.2", "10.0.0.1", vni=vni)) for vni in (-1, 7))
    assert (plain.observed[0], mirrored.observed[0]) == (False, True)
    assert (plain.public_src[0], plain.public_dst[0]) == (B, NO_INTERFACE)
