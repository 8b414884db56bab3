"""Text to addresses and back (docs/semantics.md §1.3)."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgsim.errors import ModelError
from sgsim.model import Cidr, format_address, parse_address, parse_cidr


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("100.68.0.18/18", "100.68.0.0/18"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8:0::1/64", "2001:db8::/64"),
        ("::/0", "::/0"),
        ("::ffff:10.0.0.1/128", "::ffff:10.0.0.1/128"),
    ],
)
def test_host_bits_are_masked_and_text_is_canonical(text: str, canonical: str) -> None:
    assert str(parse_cidr(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.0",
        "10.0.0.0/33",
        "::/129",
        "10.0.0.0/",
        "10.0.0.0/+8",
        "10.0/8",
        "010.0.0.1/8",
        "a/8",
        "",
        "10.0.0.0/٣",
        "10.0.0.0/" + "9" * 5000,
        "10.0.0.0/8/8",
        "10.0.0.0\x00/8",
        "fe80::1%eth0/64",
    ],
)
def test_what_is_no_block_is_refused(text: str) -> None:
    with pytest.raises(ModelError):
        parse_cidr(text)


@given(st.ip_addresses())
def test_addresses_agree_with_the_standard_library(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    parsed = parse_address(str(address))
    assert (parsed.family, parsed.value) == (address.version, int(address))
    assert ipaddress.ip_address(format_address(*parsed)) == address


@given(st.ip_addresses(), st.data())
def test_blocks_hold_what_the_standard_library_says(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, data: st.DataObject
) -> None:
    length = data.draw(st.integers(0, address.max_prefixlen))
    network = ipaddress.ip_network(f"{address}/{length}", strict=False)
    cidr = parse_cidr(f"{address}/{length}")
    assert cidr == Cidr(network.version, int(network.network_address), length)
    assert cidr.last == int(network.broadcast_address)
    assert cidr.contains(parse_address(str(address)))
