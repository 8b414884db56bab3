"""From indexed records to columns: the decoder of captures.

One call decodes the records of one index, in order, into rows of the columns; a record that gives no row adds one to
the tally of its cause. Rows and tally together always equal the records.

Helpers with several results are inlined by force: left to itself LLVM calls them through memory, 5 ns each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sgsim.kernels import decode_codes as c
from sgsim.kernels._jit import helper, kernel
from sgsim.kernels.decode_bytes import address_of, be16, be32, be64, byte, put8, put16, put32, put64
from sgsim.kernels.decode_ip import extension_chain, has_identifier, is_icmp_error
from sgsim.kernels.decode_link import IP, IPV4, IPV6, link_layer, payload_of

__all__ = ["decode"]

_VXLAN, _GENEVE = 4789, 6081
_CAN_UNWRAP_VXLAN, _CAN_UNWRAP_GENEVE = 1, 2


@helper(inline=True)
def _header(at: int, end: int, wire_end: int, announced: int) -> tuple[int, int, int, int, int, int, int, int]:
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
    after, protocol, fragment, identification, cause = extension_chain(at + 40, min(end, limit), byte(at + 6))
    return cause, 6, protocol, fragment, identification, length, after, limit


@helper(inline=True)
def _addresses(at: int, family: int) -> tuple[Any, Any, Any, Any]:
    """Source and destination as 64-bit halves."""
    if family == 4:
        return np.uint64(0), np.uint64(be32(at + 12)), np.uint64(0), np.uint64(be32(at + 16))
    return be64(at + 8), be64(at + 16), be64(at + 24), be64(at + 32)


@helper
def _quote(at: int, end: int, family: int, row: int, q: int, block: int) -> int:
    """Write what an ICMP error at `at` quotes as row q; returns the next free row."""
    start = at + 8
    announced = IPV4 if family == 4 else IPV6
    cause, _, protocol, fragment, _, _, after, _ = _header(start, end, end, announced)
    if cause != c.DECODED:
        return q
    srcport, dstport, icmp_type, icmp_id = 0, 0, -1, -1
    if fragment != 2:
        if (protocol == 6 or protocol == 17) and after + 4 <= end:
            srcport, dstport = be16(after), be16(after + 2)
        elif (protocol == 1 or protocol == 58) and after < end:
            icmp_type = byte(after)
            if after + 6 <= end and has_identifier(protocol, icmp_type):
                icmp_id = be16(after + 4)
    src_hi, src_lo, dst_hi, dst_lo = _addresses(start, family)
    put64(block + 8 * q + c.Q_PACKET_AT, row)
    put64(block + 8 * q + c.Q_SRC_HI_AT, src_hi)
    put64(block + 8 * q + c.Q_SRC_LO_AT, src_lo)
    put64(block + 8 * q + c.Q_DST_HI_AT, dst_hi)
    put64(block + 8 * q + c.Q_DST_LO_AT, dst_lo)
    put32(block + 4 * q + c.Q_ICMP_ID_AT, icmp_id)
    put16(block + 2 * q + c.Q_SRCPORT_AT, srcport)
    put16(block + 2 * q + c.Q_DSTPORT_AT, dstport)
    put16(block + 2 * q + c.Q_ICMP_TYPE_AT, icmp_type)
    put8(block + q + c.Q_PROTOCOL_AT, protocol)
    return q + 1


@helper(inline=True)
def _mix(value: Any, word: Any) -> Any:
    """One step of the fingerprint: the multiply-and-xor-shift of MurmurHash3's finaliser over a running value."""
    value = (value ^ word) * np.uint64(0xFF51AFD7ED558CCD)
    return (value ^ (value >> np.uint64(32))) * np.uint64(0xC4CEB9FE1A85EC53)


@helper
def _fingerprint(at: int, family: int, end: int, vni: int) -> Any:
    """64 bits of the IP header without TTL (hop limit) and checksum, of the next 64 bytes, and of the VNI."""
    header = (byte(at) & 15) * 4 if family == 4 else 40
    value = _mix(np.uint64(family), np.uint64(vni + 1))
    if family == 4:
        value = _mix(value, be64(at))
        value = _mix(value, np.uint64(byte(at + 9)))
        value = _mix(value, be64(at + 12))
        done = at + 20
    else:
        value = _mix(value, np.uint64((be32(at) << 24) | (be16(at + 4) << 8) | byte(at + 6)))
        for word in range(at + 8, at + 40, 8):
            value = _mix(value, be64(word))
        done = at + 40
    last = min(end, at + header + 64)
    value = _mix(value, np.uint64(max(last - done, 0)))
    while done + 8 <= last:
        value = _mix(value, be64(done))
        done += 8
    while done < last:
        value = _mix(value, np.uint64(byte(done)))
        done += 1
    return value ^ (value >> np.uint64(29))


@helper(inline=True)
def _tunnel(port: int) -> int:
    """What a UDP destination port says about the payload."""
    return _CAN_UNWRAP_VXLAN if port == _VXLAN else _CAN_UNWRAP_GENEVE if port == _GENEVE else 0


@helper
def _unwrap(at: int, end: int, port: int) -> tuple[int, int, int, int, int]:
    """Look into a tunnel at `at`, behind the UDP header: (cause, address, source and destination MAC, VNI).

    The cause may be IP…; 0 means that the payload is no such tunnel and the packet stands for itself.
    """
    if at + 8 > end:
        return 0, at, 0, 0, -1
    if port == _VXLAN:
        if byte(at) & 0x08 == 0:
            return 0, at, 0, 0, -1
        vni = be32(at + 4) >> 8
        found, cause, source, destination = link_layer(at + 8, end, c.LINK_ETHERNET)
        return cause, found, source, destination, vni
    if byte(at) >> 6:
        return 0, at, 0, 0, -1
    inner = at + 8 + (byte(at) & 0x3F) * 4
    if inner > end:
        return c.SHORT_LINK, at, 0, 0, -1
    protocol = be16(at + 2)
    if protocol == 0x6558:
        found, cause, source, destination = link_layer(inner, end, c.LINK_ETHERNET)
        return cause, found, source, destination, -1
    if protocol <= 1500:
        return c.NOT_IP_INNER, at, 0, 0, -1
    found, cause = payload_of(inner, end, protocol)
    return cause, found, 0, 0, -1


@helper(inline=True)
def _transport(at: int, end: int, protocol: int) -> tuple[int, int, int, int, int, int, int]:
    """A transport header: (cause, source port, destination port, ICMP type, code and identifier, TCP flags)."""
    if protocol == 6:
        if at + 14 > end:
            return c.SHORT_TRANSPORT, 0, 0, -1, -1, -1, 0
        return c.DECODED, be16(at), be16(at + 2), -1, -1, -1, byte(at + 13)
    if protocol == 17:
        if at + 4 > end:
            return c.SHORT_TRANSPORT, 0, 0, -1, -1, -1, 0
        return c.DECODED, be16(at), be16(at + 2), -1, -1, -1, 0
    if protocol == 1 or protocol == 58:
        if at + 2 > end:
            return c.SHORT_TRANSPORT, 0, 0, -1, -1, -1, 0
        identifier = be16(at + 4) if at + 6 <= end and has_identifier(protocol, byte(at)) else -1
        return c.DECODED, 0, 0, byte(at), byte(at + 1), identifier, 0
    return c.DECODED, 0, 0, -1, -1, -1, 0


@kernel
def decode(
    buffer: Any,
    index: Any,
    n: int,
    first_record: int,
    flags: int,
    columns: Any,
    row: int,
    quotes: Any,
    q: int,
    tally: Any,
) -> tuple[int, int]:
    """Decode the n records of `index` from `buffer` into the columns from `row` on; (next free row, free quote row).

    `buffer` uint8; `index` int64[INDEX_ROWS, ≥ n]; `columns` uint8[COLUMN_BYTES] and `quotes` uint8[QUOTE_BYTES] laid
    out as decode_codes says: one array each, not 23, since a call pays for every argument.
    `tally` int64[TALLY]: packets by cause, then those of NOT_IP_ETHERTYPE by ethertype. `flags` DECAPSULATE and
    FINGERPRINTS. The columns SOURCE and, without FINGERPRINTS, SEEN_AT and FINGERPRINT are left as they are.
    """
    memory, block, quote_block = address_of(buffer), address_of(columns), address_of(quotes)
    n = min(n, c.BATCH - row)
    for i in range(n):
        link = index[c.LINK, i]
        if link < 0 or link >= c.LINK_DECIDED:
            tally[link - c.LINK_DECIDED if link > 0 else c.UNSUPPORTED_LINK] += 1
            continue
        start = memory + index[c.OFFSET, i]
        end = captured_end = start + index[c.CAPTURED, i]
        wire_end = max(captured_end, start + index[c.WIRE, i])
        at, cause, source, destination = link_layer(start, end, link)
        vni = -1
        may_unwrap = _CAN_UNWRAP_VXLAN | _CAN_UNWRAP_GENEVE if flags & c.DECAPSULATE else 0
        while cause < 0:  # an IP header at `at`: the outermost, then one for each tunnel that is unwrapped
            cause, family, protocol, fragment, identification, length, after, limit = _header(at, end, wire_end, cause)
            wire_end = min(wire_end, limit)
            if cause != c.DECODED:
                break
            stop = min(end, limit)
            transport = protocol if fragment != 2 else 255  # a later fragment begins amid its payload
            cause, srcport, dstport, icmp_type, icmp_code, icmp_id, tcp_flags = _transport(after, stop, transport)
            if cause != c.DECODED:
                break
            if may_unwrap and transport == 17 and fragment == 0:
                tunnel = may_unwrap & _tunnel(dstport)
                if tunnel:
                    inner, inner_at, inner_source, inner_destination, inner_vni = _unwrap(after + 8, stop, dstport)
                    if inner != 0:
                        # A mirror's VXLAN may hold a load balancer's Geneve; what is in that is a user's own.
                        may_unwrap = _CAN_UNWRAP_GENEVE if tunnel == _CAN_UNWRAP_VXLAN else 0
                        at, cause, source, destination = inner_at, inner, inner_source, inner_destination
                        vni = max(vni, inner_vni)
                        end = stop
                        continue
            if is_icmp_error(transport, icmp_type):
                q = _quote(after, stop, family, row, q, quote_block)
            src_hi, src_lo, dst_hi, dst_lo = _addresses(at, family)
            in64, in32, in16, in8 = block + 8 * row, block + 4 * row, block + 2 * row, block + row
            put64(in64 + c.TIME_AT, index[c.TIME, i])
            put64(in64 + c.SRC_HI_AT, src_hi)
            put64(in64 + c.SRC_LO_AT, src_lo)
            put64(in64 + c.DST_HI_AT, dst_hi)
            put64(in64 + c.DST_LO_AT, dst_lo)
            put64(in64 + c.SRC_MAC_AT, source)
            put64(in64 + c.DST_MAC_AT, destination)
            put64(in64 + c.RECORD_AT, first_record + i)
            put32(in32 + c.ICMP_ID_AT, icmp_id)
            put32(in32 + c.IP_ID_AT, identification)
            put32(in32 + c.LENGTH_AT, length)
            put32(in32 + c.VNI_AT, vni)
            put16(in16 + c.SRCPORT_AT, srcport)
            put16(in16 + c.DSTPORT_AT, dstport)
            put16(in16 + c.ICMP_TYPE_AT, icmp_type)
            put16(in16 + c.ICMP_CODE_AT, icmp_code)
            put8(in8 + c.FAMILY_AT, family)
            put8(in8 + c.PROTOCOL_AT, protocol)
            put8(in8 + c.TCP_FLAGS_AT, tcp_flags)
            put8(in8 + c.FRAGMENT_AT, fragment)
            if flags & c.FINGERPRINTS:
                put64(in64 + c.FINGERPRINT_AT, _fingerprint(at, family, stop, vni))
                put32(in32 + c.SEEN_AT_AT, index[c.INTERFACE, i])
            row += 1
        # Short because the capture kept a head only, or because the packet contradicts itself?
        if c.SHORT_LINK <= cause <= c.SHORT_TRANSPORT and captured_end < wire_end:
            cause += c.CUT
        if cause >= c.ETHERTYPE:
            tally[c.CAUSES + cause - c.ETHERTYPE] += 1
            cause = c.NOT_IP_ETHERTYPE
        tally[cause] += 1
    return row, q
