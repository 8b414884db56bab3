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
from sgsim.kernels.decode_ip import IPV4, IPV6, has_identifier, ip_header, is_icmp_error
from sgsim.kernels.decode_link import link_layer

__all__ = ["decode"]


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
    cause, _, protocol, fragment, _, _, after, _ = ip_header(start, end, end, announced)
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
    tunnels: bool,
    columns: Any,
    row: int,
    quotes: Any,
    q: int,
    tally: Any,
) -> tuple[int, int]:
    """Decode the n records of `index` from `buffer` into the columns from `row` on; (next free row, free quote row).

    `buffer` uint8; `index` int64[INDEX_ROWS, ≥ n]; `columns` uint8[COLUMN_BYTES] and `quotes` uint8[QUOTE_BYTES] laid
    out as decode_codes says: one array each, not 23, since a call pays for every argument.
    `tally` int64[TALLY]: packets by cause, then those of NOT_IP_ETHERTYPE by ethertype. `tunnels` says that `unwrap`
    has seen the index, so that TUNNEL holds the VNIs. The column SOURCE is left as it is.
    """
    memory, block, quote_block = address_of(buffer), address_of(columns), address_of(quotes)
    n = min(n, c.BATCH - row)
    for i in range(n):
        link = index[c.LINK, i]
        if link < 0:
            tally[c.UNSUPPORTED_LINK] += 1
            continue
        start = memory + index[c.OFFSET, i]
        end = start + index[c.CAPTURED, i]
        wire_end = max(end, start + index[c.WIRE, i])
        if link >= c.LINK_DECIDED:
            at, cause, source, destination = start, link - c.LINK_DECIDED, 0, 0
        else:
            at, cause, source, destination = link_layer(start, end, link)
        if cause < 0:
            cause, family, protocol, fragment, identification, length, after, limit = ip_header(
                at, end, wire_end, cause
            )
            wire_end, stop = min(wire_end, limit), min(end, limit)
        if cause == c.DECODED:
            transport = protocol if fragment != 2 else 255  # a later fragment begins amid its payload
            cause, srcport, dstport, icmp_type, icmp_code, icmp_id, tcp_flags = _transport(after, stop, transport)
        if cause == c.DECODED:
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
            put32(in32 + c.VNI_AT, index[c.TUNNEL, i] if tunnels else -1)
            put16(in16 + c.SRCPORT_AT, srcport)
            put16(in16 + c.DSTPORT_AT, dstport)
            put16(in16 + c.ICMP_TYPE_AT, icmp_type)
            put16(in16 + c.ICMP_CODE_AT, icmp_code)
            put8(in8 + c.FAMILY_AT, family)
            put8(in8 + c.PROTOCOL_AT, protocol)
            put8(in8 + c.TCP_FLAGS_AT, tcp_flags)
            put8(in8 + c.FRAGMENT_AT, fragment)
            put64(in64 + c.PLACE_AT, (at - memory) | (stop - at) << 32)
            put32(in32 + c.SEEN_AT_AT, index[c.INTERFACE, i])
            row += 1
        # Short because the capture kept a head only, or because the packet contradicts itself?
        if c.SHORT_LINK <= cause <= c.SHORT_TRANSPORT and end < wire_end:
            cause += c.CUT
        if cause >= c.ETHERTYPE:
            tally[c.CAUSES + cause - c.ETHERTYPE] += 1
            cause = c.NOT_IP_ETHERTYPE
        tally[cause] += 1
    return row, q
