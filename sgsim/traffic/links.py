"""Link types: the numbers of https://www.tcpdump.org/linktypes.html and what the decoder calls them."""

from __future__ import annotations

from sgsim.kernels import decode_codes as c

__all__ = ["link_of", "link_type_of"]

_LINKS = {
    0: c.LINK_LOOPBACK,  # NULL: the address family in the byte order of the capturing machine
    1: c.LINK_ETHERNET,
    12: c.LINK_RAW,  # RAW, as BSD numbers it
    14: c.LINK_RAW,  # RAW, as OpenBSD does
    101: c.LINK_RAW,
    108: c.LINK_LOOPBACK,  # LOOP: in network byte order
    113: c.LINK_COOKED,
    228: c.LINK_RAW,  # IPV4; as in Wireshark the packet's own version holds
    229: c.LINK_IPV6,
    276: c.LINK_COOKED2,
}


def link_of(link_type: int) -> int:
    """The decoder's number of a link type: LINK_* of decode_codes, or -1 - link_type if only scapy may know it."""
    return _LINKS.get(link_type, -1 - link_type)


def link_type_of(link: int) -> int:
    """The inverse of `link_of` for what it gave below 0."""
    return -1 - link
