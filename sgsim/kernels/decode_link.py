"""From the first byte of a captured frame to its outermost IP header: link layers, tags, labels, PPP.

Every function takes the address to start at and that of the end of the captured part, and reads below `end` only.
"""

from __future__ import annotations

from sgsim.kernels import decode_codes as c
from sgsim.kernels._jit import helper
from sgsim.kernels.decode_bytes import be16, be32, byte, load32
from sgsim.kernels.decode_ip import IP, IPV4, IPV6

__all__ = ["link_layer", "payload_of"]


@helper
def _labels(at: int, end: int) -> tuple[int, int]:
    """MPLS: what follows the label at the bottom of the stack is told by its first four bits."""
    while True:
        if at + 4 > end:
            return at, c.SHORT_LINK
        bottom = byte(at + 2) & 1
        at += 4
        if bottom:
            break
    if at >= end:
        return at, c.SHORT_LINK
    version = byte(at) >> 4
    return at, IP if version == 4 or version == 6 else c.NOT_IP_MPLS


@helper
def _ppp(at: int, end: int) -> tuple[int, int]:
    """A PPP protocol field (one byte if odd) and what follows."""
    if at >= end:
        return at, c.SHORT_LINK
    protocol = byte(at)
    if protocol & 1:
        at += 1
    else:
        if at + 2 > end:
            return at, c.SHORT_LINK
        protocol = be16(at)
        at += 2
    if protocol == 0x0021:
        return at, IPV4
    if protocol == 0x0057:
        return at, IPV6
    if protocol == 0x0281 or protocol == 0x0283:
        return _labels(at, end)
    return at, c.NOT_IP_PPP


@helper
def payload_of(at: int, end: int, ethertype: int) -> tuple[int, int]:
    """Walk from the payload of `ethertype` to an IP header: (its address, IP…) or (…, cause)."""
    while True:
        if ethertype == 0x0800:
            return at, IPV4
        if ethertype == 0x86DD:
            return at, IPV6
        if (
            ethertype == 0x8100  # 802.1Q
            or ethertype == 0x88A8  # 802.1ad
            or ethertype == 0x9100  # its forerunners
            or ethertype == 0x9200
        ):
            if at + 4 > end:
                return at, c.SHORT_LINK
            ethertype = be16(at + 2)
            at += 4
        elif ethertype == 0x8847 or ethertype == 0x8848:
            return _labels(at, end)
        elif ethertype == 0x8864:  # PPPoE session
            if at + 6 > end:
                return at, c.SHORT_LINK
            return _ppp(at + 6, end)
        elif ethertype <= 1500:  # a length: IEEE 802.3 with LLC
            if at + 3 > end:
                return at, c.SHORT_LINK
            access = be16(at)
            if access == 0x0606:
                return at + 3, IPV4
            if access != 0xAAAA or byte(at + 2) != 3:
                return at, c.NOT_IP_LLC
            if at + 8 > end:
                return at, c.SHORT_LINK
            ethertype = be16(at + 6)
            if be32(at + 2) & 0xFFFFFF or ethertype <= 1500:
                return at, c.NOT_IP_LLC
            at += 8
        else:
            return at, c.ETHERTYPE + ethertype


@helper(inline=True)
def link_layer(at: int, end: int, link: int) -> tuple[int, int, int, int]:
    """The outermost IP header of a frame: (address, IP… or cause, source MAC, destination MAC), MACs 0 if none."""
    if link == c.LINK_ETHERNET:
        if at + 14 > end:
            return at, c.SHORT_LINK, 0, 0
        destination = (be32(at) << 16) | be16(at + 4)
        source = (be16(at + 6) << 32) | be32(at + 8)
        ethertype = be16(at + 12)
        if ethertype == 0x0800:
            return at + 14, IPV4, source, destination
        found, cause = payload_of(at + 14, end, ethertype)
        return found, cause, source, destination
    if link == c.LINK_RAW:
        return at, IP, 0, 0
    if link == c.LINK_IPV6:
        return at, IPV6, 0, 0
    if link == c.LINK_IPV4:
        return at, IPV4, 0, 0
    if link == c.LINK_LOOPBACK:
        if at + 4 > end:
            return at, c.SHORT_LINK, 0, 0
        family = min(load32(at), be32(at))  # in the byte order of whoever captured; families are small numbers
        # IPv6 is 10 on Linux, 24 on NetBSD and OpenBSD, 28 on FreeBSD, 30 on macOS.
        if family == 2:
            return at + 4, IPV4, 0, 0
        if family == 10 or family == 24 or family == 28 or family == 30:
            return at + 4, IPV6, 0, 0
        return at, c.NOT_IP_LOOPBACK, 0, 0
    if link == c.LINK_COOKED:
        if at + 16 > end:
            return at, c.SHORT_LINK, 0, 0
        ethernet = be16(at + 4) == 6
        source = (be16(at + 6) << 32) | be32(at + 8)
        found, cause = payload_of(at + 16, end, be16(at + 14))
        return found, cause, source if ethernet else 0, 0
    if at + 20 > end:  # LINK_COOKED2
        return at, c.SHORT_LINK, 0, 0
    ethernet = byte(at + 11) == 6
    source = (be16(at + 12) << 32) | be32(at + 14)
    found, cause = payload_of(at + 20, end, be16(at))
    return found, cause, source if ethernet else 0, 0
