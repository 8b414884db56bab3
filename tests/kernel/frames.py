"""Packets as bytes, with what the Linux kernel needs to forward and track them."""

from __future__ import annotations

import struct

from sgsim.model import ICMP, ICMPV6, TCP, UDP
from sgsim.reference import Packet

GRE = 47


def ip_packet(packet: Packet, marker: int) -> bytes:
    """The IP packet; `marker` (16 bits) goes where forwarding leaves it alone: IPv4 identification, IPv6 flow label."""
    payload = _payload(packet)
    if packet.family == 6:
        head = struct.pack("!IHBB", 6 << 28 | marker, len(payload), packet.protocol, 64)
        return head + packet.srcaddr.to_bytes(16) + packet.dstaddr.to_bytes(16) + payload
    head = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(payload), marker, 0, 64, packet.protocol)
    addresses = packet.srcaddr.to_bytes(4) + packet.dstaddr.to_bytes(4)
    total = sum(struct.unpack("!10H", head + b"\0\0" + addresses))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    return head + checksum.to_bytes(2) + addresses + payload


def _payload(packet: Packet) -> bytes:
    """Transport header without checksums: conntrack is told not to verify them, and forwarding never does."""
    if packet.protocol == TCP:
        # Each end sends one sequence number for ever, and acknowledges the other's: conntrack is told to be liberal
        # with windows, but a RST below the highest acknowledgement would be invalid to it.
        low = (packet.srcaddr, packet.srcport) < (packet.dstaddr, packet.dstport)
        numbers = (1000, 2000) if low else (2000, 1000)
        return struct.pack("!HHIIBBHHH", packet.srcport, packet.dstport, *numbers, 5 << 4, packet.tcp_flags, 8192, 0, 0)
    if packet.protocol == UDP:
        return struct.pack("!HHHH", packet.srcport, packet.dstport, 8, 0)
    if packet.protocol in (ICMP, ICMPV6):
        quote = b"" if packet.quote is None else ip_packet(packet.quote, 0)
        return struct.pack("!BBHHH", packet.icmp_type, packet.icmp_code, 0, packet.icmp_id or 0, 0) + quote
    if packet.protocol == GRE:
        return struct.pack("!HH", 0, 0x0800) + bytes(20)  # version 0, no key
    return bytes(20)
