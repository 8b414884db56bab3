"""IP headers: what an IPv4 or IPv6 header says, and what follows its options or extension headers."""

from __future__ import annotations

from sgsim.kernels import decode_codes as c
from sgsim.kernels._jit import helper
from sgsim.kernels.decode_bytes import be16, be32, byte

__all__ = ["extension_chain", "has_identifier", "is_icmp_error"]

_MOST_EXTENSIONS = 64  #: more than any sane chain; a bound on the work a hostile packet can ask for


@helper
def extension_chain(at: int, end: int, protocol: int) -> tuple[int, int, int, int, int]:
    """Walk IPv6 extension headers from `at`: (address of what follows, its protocol, fragment, id, cause).

    `fragment` one of FRAGMENT_* (0 whole or atomic, 1 first, 2 later), `id` the fragment identification. The chain
    of a later fragment ends at its fragment header: what follows is the middle of something. `cause` is DECODED,
    SHORT_EXTENSION or BAD_EXTENSIONS. AH (51) and ESP (50) are protocols, not extensions.
    """
    fragment, identification = 0, 0
    for _ in range(_MOST_EXTENSIONS):
        if protocol == 44:
            if at + 8 > end:
                return at, protocol, fragment, identification, c.SHORT_EXTENSION
            protocol = byte(at)
            offset_and_more = be16(at + 2)
            identification = be32(at + 4)
            at += 8
            if offset_and_more >= 8:
                return at, protocol, 2, identification, c.DECODED
            if offset_and_more & 1:
                fragment = 1
        elif (
            protocol == 0  # hop-by-hop options
            or protocol == 43  # routing
            or protocol == 60  # destination options
            or protocol == 135  # mobility
            or protocol == 139  # HIP
            or protocol == 140  # shim6
        ):
            if at + 8 > end:
                return at, protocol, fragment, identification, c.SHORT_EXTENSION
            protocol, length = byte(at), 8 + 8 * byte(at + 1)
            if at + length > end:
                return at, protocol, fragment, identification, c.SHORT_EXTENSION
            at += length
        else:
            return at, protocol, fragment, identification, c.DECODED
    return at, protocol, fragment, identification, c.BAD_EXTENSIONS


@helper(inline=True)
def is_icmp_error(protocol: int, icmp_type: int) -> bool:
    """Whether an ICMP message quotes the packet that caused it."""
    if protocol == 1:
        return icmp_type == 3 or icmp_type == 4 or icmp_type == 5 or icmp_type == 11 or icmp_type == 12
    return protocol == 58 and 1 <= icmp_type <= 4


@helper(inline=True)
def has_identifier(protocol: int, icmp_type: int) -> bool:
    """Whether an ICMP message is a query or its answer: echo, time stamp, information, address mask."""
    if protocol == 1:
        return icmp_type == 0 or icmp_type == 8 or 13 <= icmp_type <= 18
    return icmp_type == 128 or icmp_type == 129
