"""The memory of a batch: one block that the decoder fills, and the named columns that are views of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.kernels import decode_codes as c
from sgsim.packets import PacketBatch, Quotes

__all__ = ["Decoded", "packet_columns", "quote_columns"]


class Decoded(NamedTuple):
    """A batch and what tells duplicates: uint64 fingerprints and uint32 numbers of the capture interface in the file.

    Both are None while the file has one interface and is the only one.
    """

    packets: PacketBatch
    fingerprint: npt.NDArray[np.uint64] | None
    seen_at: npt.NDArray[np.uint32] | None


def _rows(block: npt.NDArray[np.uint8], start: int, stop: int | None, dtype: Any, n: int) -> npt.NDArray[Any]:
    """The first n entries of each column of one width."""
    rows: npt.NDArray[Any] = block[start:stop].view(dtype).reshape((-1, c.BATCH))
    return rows[:, :n]


def packet_columns(block: npt.NDArray[np.uint8], n: int, source: int, quotes: Quotes, *, fingerprints: bool) -> Decoded:
    """The first n rows of a block of COLUMN_BYTES as a batch of the file `source`, without copying."""
    u64 = _rows(block, 0, c.U32_AT, np.uint64, n)
    u32 = _rows(block, c.U32_AT, c.U16_AT, np.uint32, n)
    u16 = _rows(block, c.U16_AT, c.U8_AT, np.uint16, n)
    u8 = _rows(block, c.U8_AT, None, np.uint8, n)
    i32, i16 = u32.view(np.int32), u16.view(np.int16)
    i32[c.SOURCE] = source
    packets = PacketBatch(
        time=u64[c.TIME_U64].view(np.int64),
        family=u8[c.FAMILY],
        src_hi=u64[c.SRC_HI],
        src_lo=u64[c.SRC_LO],
        dst_hi=u64[c.DST_HI],
        dst_lo=u64[c.DST_LO],
        protocol=u8[c.PROTOCOL],
        srcport=u16[c.SRCPORT],
        dstport=u16[c.DSTPORT],
        icmp_type=i16[c.ICMP_TYPE],
        icmp_code=i16[c.ICMP_CODE],
        icmp_id=i32[c.ICMP_ID],
        tcp_flags=u8[c.TCP_FLAGS],
        fragment=u8[c.FRAGMENT],
        ip_id=u32[c.IP_ID],
        length=i32[c.LENGTH],
        src_mac=u64[c.SRC_MAC],
        dst_mac=u64[c.DST_MAC],
        vni=i32[c.VNI],
        source=i32[c.SOURCE],
        record=u64[c.RECORD].view(np.int64),
        quotes=quotes,
    )
    return Decoded(packets, u64[c.FINGERPRINT], u32[c.SEEN_AT]) if fingerprints else Decoded(packets, None, None)


def quote_columns(block: npt.NDArray[np.uint8], n: int) -> Quotes:
    """The first n rows of a block of QUOTE_BYTES, copied: the block is used again, quotes are few."""
    u64 = _rows(block, 0, c.Q_U32_AT, np.uint64, n).copy()
    i32 = _rows(block, c.Q_U32_AT, c.Q_U16_AT, np.int32, n).copy()
    u16 = _rows(block, c.Q_U16_AT, c.Q_U8_AT, np.uint16, n).copy()
    u8 = _rows(block, c.Q_U8_AT, None, np.uint8, n).copy()
    return Quotes(
        packet=u64[c.Q_PACKET].view(np.int64),
        src_hi=u64[c.Q_SRC_HI],
        src_lo=u64[c.Q_SRC_LO],
        dst_hi=u64[c.Q_DST_HI],
        dst_lo=u64[c.Q_DST_LO],
        protocol=u8[c.Q_PROTOCOL],
        srcport=u16[c.Q_SRCPORT],
        dstport=u16[c.Q_DSTPORT],
        icmp_type=u16[c.Q_ICMP_TYPE].view(np.int16),
        icmp_id=i32[c.Q_ICMP_ID],
    )
