"""IP headers: what an IPv4 or IPv6 header says, and what follows its options or extension headers."""

from __future__ import annotations

from sgsim.kernels import decode_codes as c
from sgsim.kernels._jit import helper
from sgsim.kernels.decode_bytes import be16, be32, byte

__all__ = ["IP", "IPV4", "IPV6", "has_identifier", "ip_header", "is_icmp_error"]

IP = -1  #: instead of a cause: the address is that of an IP header of either version …
IPV4, IPV6 = -4, -6  #: … or of the version that the layer below announced

_MOST_EXTENSIONS = 64  #: more than any sane chain; a bound on the work a hostile packet can ask for


@helper
def _extensions(at: int, end: int, protocol: int) -> tuple[int, int, int, int, int]:
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
def ip_header(at: int, end: int, wire_end: int, announced: int) -> tuple[int, int, int, int, int, int, int, int]:
    """An IP header: (cause, family, protocol, fragment, id, IP length, address of what follows, where it ends).

    The last is where the packet says that it ends: padding or a snap length put it before or after `end`. A length
    of 0 is what segmentation offload leaves: the packet then ends with the frame.
    """
    if at >= end:
        return c.SHORT_NETWORK, 0, 0, 0, 0, 0, at, wire_end
    version = byte(at) >> 4
    if (version != 4 and version != 6) or (announced != IP and announced != -version):
        return c.BAD_VERSION, 0, 0, 0, 0, 0, at, wire_end
    if version == 4:
        if at + 20 > end:
            return c.SHORT_NETWORK, 0, 0, 0, 0, 0, at, wire_end
        header = (byte(at) & 15) * 4
        if header < 20:
            return c.BAD_HEADER_LENGTH, 0, 0, 0, 0, 0, at, wire_end
        length = be16(at + 2)
        if length == 0:
            length = wire_end - at
        if length < header:
            return c.BAD_TOTAL_LENGTH, 0, 0, 0, 0, 0, at, wire_end
        if at + header > end:
            return c.SHORT_NETWORK, 0, 0, 0, 0, 0, at, wire_end
        flags = be16(at + 6)
        fragment = 2 if flags & 0x1FFF else (1 if flags & 0x2000 else 0)
        return c.DECODED, 4, byte(at + 9), fragment, be16(at + 4), length, at + header, at + length
    if at + 40 > end:
        return c.SHORT_NETWORK, 0, 0, 0, 0, 0, at, wire_end
    length = be16(at + 4) + 40
    if length == 40 and byte(at + 6) != 59:
        length = wire_end - at
    limit = at + length
    after, protocol, fragment, identification, cause = _extensions(at + 40, min(end, limit), byte(at + 6))
    return cause, 6, protocol, fragment, identification, length, after, limit


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
