"""From indexed records to columns: the decoder of captures.

One call decodes the records of one index, in order, into rows of the columns; a record that gives no row adds one to
the tally of its cause. Rows and tally together always equal the records.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sgsim.kernels import decode_codes as c
from sgsim.kernels._jit import helper, kernel
from sgsim.kernels.decode_bytes import be16, be32, be64, byte
from sgsim.kernels.decode_ip import extension_chain, has_identifier, is_icmp_error
from sgsim.kernels.decode_link import IP, IPV4, IPV6, link_layer, payload_of

__all__ = ["decode"]

_VXLAN, _GENEVE = 4789, 6081
_CAN_UNWRAP_VXLAN, _CAN_UNWRAP_GENEVE = 1, 2


@helper
def _header(
    buffer: Any, at: int, end: int, wire_end: int, announced: int
) -> tuple[int, int, int, int, int, int, int, int]:
    """An IP header: (cause, family, protocol, fragment, id, IP length, position of what follows, where it ends).

    The last is where the packet says that it ends: padding or a snap length put it before or after `end`. A length
    of 0 is what segmentation offload leaves: the packet then ends with the frame.
    """
    if at >= end:
        return c.SHORT_NETWORK, 0, 0, 0, 0, 0, at, wire_end
    version = byte(buffer, at) >> 4
    if (version != 4 and version != 6) or (announced != IP and announced != -version):
        return c.BAD_VERSION, 0, 0, 0, 0, 0, at, wire_end
    if version == 4:
        if at + 20 > end:
            return c.SHORT_NETWORK, 0, 0, 0, 0, 0, at, wire_end
        header = (byte(buffer, at) & 15) * 4
        if header < 20:
            return c.BAD_HEADER_LENGTH, 0, 0, 0, 0, 0, at, wire_end
        length = be16(buffer, at + 2)
        if length == 0:
            length = wire_end - at
        if length < header:
            return c.BAD_TOTAL_LENGTH, 0, 0, 0, 0, 0, at, wire_end
        if at + header > end:
            return c.SHORT_NETWORK, 0, 0, 0, 0, 0, at, wire_end
        flags = be16(buffer, at + 6)
        fragment = 2 if flags & 0x1FFF else (1 if flags & 0x2000 else 0)
        return c.DECODED, 4, byte(buffer, at + 9), fragment, be16(buffer, at + 4), length, at + header, at + length
    if at + 40 > end:
        return c.SHORT_NETWORK, 0, 0, 0, 0, 0, at, wire_end
    length = be16(buffer, at + 4) + 40
    if length == 40 and byte(buffer, at + 6) != 59:
        length = wire_end - at
    limit = at + length
    after, protocol, fragment, identification, cause = extension_chain(
        buffer, at + 40, min(end, limit), byte(buffer, at + 6)
    )
    return cause, 6, protocol, fragment, identification, length, after, limit


@helper
def _addresses(buffer: Any, at: int, family: int) -> tuple[Any, Any, Any, Any]:
    """Source and destination as 64-bit halves."""
    if family == 4:
        return np.uint64(0), np.uint64(be32(buffer, at + 12)), np.uint64(0), np.uint64(be32(buffer, at + 16))
    return be64(buffer, at + 8), be64(buffer, at + 16), be64(buffer, at + 24), be64(buffer, at + 32)


@helper
def _quote(
    buffer: Any, at: int, end: int, family: int, row: int, q: int, q64: Any, q16: Any, q_protocol: Any, q_id: Any
) -> int:
    """Write what an ICMP error at `at` quotes as row q; returns the next free row."""
    start = at + 8
    announced = IPV4 if family == 4 else IPV6
    cause, _, protocol, fragment, _, _, after, _ = _header(buffer, start, end, end, announced)
    if cause != c.DECODED:
        return q
    q64[c.Q_PACKET, q] = row
    q64[c.Q_SRC_HI, q], q64[c.Q_SRC_LO, q], q64[c.Q_DST_HI, q], q64[c.Q_DST_LO, q] = _addresses(buffer, start, family)
    srcport, dstport, icmp_type, icmp_id = 0, 0, -1, -1
    if fragment != 2:
        if (protocol == 6 or protocol == 17) and after + 4 <= end:
            srcport, dstport = be16(buffer, after), be16(buffer, after + 2)
        elif (protocol == 1 or protocol == 58) and after < end:
            icmp_type = byte(buffer, after)
            if after + 6 <= end and has_identifier(protocol, icmp_type):
                icmp_id = be16(buffer, after + 4)
    q16[c.Q_SRCPORT, q], q16[c.Q_DSTPORT, q], q16[c.Q_ICMP_TYPE, q] = srcport, dstport, icmp_type
    q_protocol[q], q_id[q] = protocol, icmp_id
    return q + 1


@helper
def _mix(value: Any, word: Any) -> Any:
    """One step of the fingerprint: the multiply-and-xor-shift of MurmurHash3's finaliser over a running value."""
    value = (value ^ word) * np.uint64(0xFF51AFD7ED558CCD)
    return (value ^ (value >> np.uint64(32))) * np.uint64(0xC4CEB9FE1A85EC53)


@helper
def _fingerprint(buffer: Any, at: int, family: int, end: int, vni: int) -> Any:
    """64 bits of the IP header without TTL (hop limit) and checksum, of the next 64 bytes, and of the VNI."""
    header = (byte(buffer, at) & 15) * 4 if family == 4 else 40
    value = _mix(np.uint64(family), np.uint64(vni + 1))
    if family == 4:
        value = _mix(value, be64(buffer, at))
        value = _mix(value, np.uint64(byte(buffer, at + 9)))
        value = _mix(value, be64(buffer, at + 12))
        done = at + 20
    else:
        value = _mix(value, np.uint64((be32(buffer, at) << 24) | (be16(buffer, at + 4) << 8) | byte(buffer, at + 6)))
        for word in range(at + 8, at + 40, 8):
            value = _mix(value, be64(buffer, word))
        done = at + 40
    last = min(end, at + header + 64)
    value = _mix(value, np.uint64(max(last - done, 0)))
    while done + 8 <= last:
        value = _mix(value, be64(buffer, done))
        done += 8
    while done < last:
        value = _mix(value, np.uint64(byte(buffer, done)))
        done += 1
    return value ^ (value >> np.uint64(29))


@helper
def _unwrap(buffer: Any, at: int, end: int, port: int, ethertypes: Any) -> tuple[int, int, int, int, int, int]:
    """Look into a tunnel at `at`, behind the UDP header: (cause, position, source and destination MAC, VNI, kind).

    The cause may be IP…; 0 means that the payload is no such tunnel and the packet stands for itself.
    """
    if at + 8 > end:
        return 0, at, 0, 0, -1, 0
    if port == _VXLAN:
        if byte(buffer, at) & 0x08 == 0:
            return 0, at, 0, 0, -1, 0
        vni = be32(buffer, at + 4) >> 8
        found, cause, source, destination = link_layer(buffer, at + 8, end, c.LINK_ETHERNET, ethertypes)
        return cause, found, source, destination, vni, _CAN_UNWRAP_VXLAN
    if byte(buffer, at) >> 6:
        return 0, at, 0, 0, -1, 0
    inner = at + 8 + (byte(buffer, at) & 0x3F) * 4
    if inner > end:
        return c.SHORT_LINK, at, 0, 0, -1, _CAN_UNWRAP_GENEVE
    protocol = be16(buffer, at + 2)
    if protocol == 0x6558:
        found, cause, source, destination = link_layer(buffer, inner, end, c.LINK_ETHERNET, ethertypes)
        return cause, found, source, destination, -1, _CAN_UNWRAP_GENEVE
    if protocol <= 1500:
        return c.NOT_IP_INNER, at, 0, 0, -1, _CAN_UNWRAP_GENEVE
    found, cause = payload_of(buffer, inner, end, protocol, ethertypes)
    return cause, found, 0, 0, -1, _CAN_UNWRAP_GENEVE


@kernel
def decode(
    buffer: Any,
    index: Any,
    n: int,
    first_record: int,
    flags: int,
    u64: Any,
    u32: Any,
    u16: Any,
    u8: Any,
    row: int,
    q64: Any,
    q16: Any,
    q_protocol: Any,
    q_id: Any,
    q: int,
    tally: Any,
    ethertypes: Any,
) -> tuple[int, int]:
    """Decode the n records of `index` from `buffer` into the columns from `row` on; (next free row, free quote row).

    `buffer` uint8; `index` int64[INDEX_ROWS, ≥ n]; `u64`, `u32`, `u16`, `u8` the columns by width, rows as in
    decode_codes; the q… arrays those of quotes; `tally` int64[CAUSES]; `ethertypes` int64[65536] counts the
    ethertypes of what is not IP. `flags` DECAPSULATE and FINGERPRINTS. SOURCE and SEEN_AT are left to the caller.
    """
    for i in range(n):
        link = index[c.LINK, i]
        if link < 0 or link >= c.LINK_DECIDED:
            tally[link - c.LINK_DECIDED if link > 0 else c.UNSUPPORTED_LINK] += 1
            continue
        start = index[c.OFFSET, i]
        end = captured_end = start + index[c.CAPTURED, i]
        wire_end = max(captured_end, start + index[c.WIRE, i])
        at, cause, source, destination = link_layer(buffer, start, end, link, ethertypes)
        vni = -1
        may_unwrap = _CAN_UNWRAP_VXLAN | _CAN_UNWRAP_GENEVE if flags & c.DECAPSULATE else 0
        while True:  # once, and once more for each tunnel that is unwrapped
            if cause >= 0:
                break
            cause, family, protocol, fragment, identification, length, after, limit = _header(
                buffer, at, end, wire_end, cause
            )
            wire_end = min(wire_end, limit)
            if cause != c.DECODED:
                break
            stop = min(end, limit)
            srcport, dstport, icmp_type, icmp_code, icmp_id, tcp_flags = 0, 0, -1, -1, -1, 0
            if fragment != 2:
                if protocol == 6:
                    if after + 14 > stop:
                        cause = c.SHORT_TRANSPORT
                        break
                    srcport, dstport = be16(buffer, after), be16(buffer, after + 2)
                    tcp_flags = byte(buffer, after + 13)
                elif protocol == 17:
                    if after + 4 > stop:
                        cause = c.SHORT_TRANSPORT
                        break
                    srcport, dstport = be16(buffer, after), be16(buffer, after + 2)
                    if may_unwrap and fragment == 0:
                        kind = 0
                        if dstport == _VXLAN:
                            kind = may_unwrap & _CAN_UNWRAP_VXLAN
                        elif dstport == _GENEVE:
                            kind = may_unwrap & _CAN_UNWRAP_GENEVE
                        if kind:
                            inner, position, inner_source, inner_destination, inner_vni, used = _unwrap(
                                buffer, after + 8, stop, dstport, ethertypes
                            )
                            if inner != 0:
                                # A mirror's VXLAN may hold a load balancer's Geneve; what Geneve holds is a user's.
                                may_unwrap = _CAN_UNWRAP_GENEVE if used == _CAN_UNWRAP_VXLAN else 0
                                at, cause, source, destination = position, inner, inner_source, inner_destination
                                vni = max(vni, inner_vni)
                                end = stop
                                continue
                elif protocol == 1 or protocol == 58:
                    if after + 2 > stop:
                        cause = c.SHORT_TRANSPORT
                        break
                    icmp_type, icmp_code = byte(buffer, after), byte(buffer, after + 1)
                    if after + 6 <= stop and has_identifier(protocol, icmp_type):
                        icmp_id = be16(buffer, after + 4)
                    elif is_icmp_error(protocol, icmp_type):
                        q = _quote(buffer, after, stop, family, row, q, q64, q16, q_protocol, q_id)
            u64[c.TIME_U64, row], u64[c.RECORD, row] = index[c.TIME, i], first_record + i
            u64[c.SRC_HI, row], u64[c.SRC_LO, row], u64[c.DST_HI, row], u64[c.DST_LO, row] = _addresses(
                buffer, at, family
            )
            u64[c.SRC_MAC, row], u64[c.DST_MAC, row] = source, destination
            u32[c.ICMP_ID, row], u32[c.IP_ID, row] = icmp_id, identification
            u32[c.LENGTH, row], u32[c.VNI, row] = length, vni
            u16[c.SRCPORT, row], u16[c.DSTPORT, row] = srcport, dstport
            u16[c.ICMP_TYPE, row], u16[c.ICMP_CODE, row] = icmp_type, icmp_code
            u8[c.FAMILY, row], u8[c.PROTOCOL, row] = family, protocol
            u8[c.TCP_FLAGS, row], u8[c.FRAGMENT, row] = tcp_flags, fragment
            if flags & c.FINGERPRINTS:
                u64[c.FINGERPRINT, row] = _fingerprint(buffer, at, family, stop, vni)
                u32[c.SEEN_AT, row] = index[c.INTERFACE, i]
            row += 1
            break
        # Short because the capture kept a head only, or because the packet contradicts itself?
        if c.SHORT_LINK <= cause <= c.SHORT_TRANSPORT and captured_end < wire_end:
            cause += c.CUT
        tally[cause] += 1
    return row, q
