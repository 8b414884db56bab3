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


def packet_columns(block: npt.NDArray[np.uint8], n: int, source: int, quotes: Quotes, *, fingerprints: bool) -> Decoded:
    """The first n rows of a block of COLUMN_BYTES as a batch of the file `source`, without copying."""

    def column(start: int, dtype: Any) -> npt.NDArray[Any]:
        return np.ndarray(n, dtype, block.data, start)

    sources = column(c.SOURCE_AT, np.int32)
    sources[:] = source
    packets = PacketBatch(
        time=column(c.TIME_AT, np.int64),
        family=column(c.FAMILY_AT, np.uint8),
        src_hi=column(c.SRC_HI_AT, np.uint64),
        src_lo=column(c.SRC_LO_AT, np.uint64),
        dst_hi=column(c.DST_HI_AT, np.uint64),
        dst_lo=column(c.DST_LO_AT, np.uint64),
        protocol=column(c.PROTOCOL_AT, np.uint8),
        srcport=column(c.SRCPORT_AT, np.uint16),
        dstport=column(c.DSTPORT_AT, np.uint16),
        icmp_type=column(c.ICMP_TYPE_AT, np.int16),
        icmp_code=column(c.ICMP_CODE_AT, np.int16),
        icmp_id=column(c.ICMP_ID_AT, np.int32),
        tcp_flags=column(c.TCP_FLAGS_AT, np.uint8),
        fragment=column(c.FRAGMENT_AT, np.uint8),
        ip_id=column(c.IP_ID_AT, np.uint32),
        length=column(c.LENGTH_AT, np.int32),
        src_mac=column(c.SRC_MAC_AT, np.uint64),
        dst_mac=column(c.DST_MAC_AT, np.uint64),
        vni=column(c.VNI_AT, np.int32),
        source=sources,
        record=column(c.RECORD_AT, np.int64),
        quotes=quotes,
    )
    if not fingerprints:
        return Decoded(packets, None, None)
    return Decoded(packets, column(c.FINGERPRINT_AT, np.uint64), column(c.SEEN_AT_AT, np.uint32))


def quote_columns(block: npt.NDArray[np.uint8], n: int) -> Quotes:
    """The first n rows of a block of QUOTE_BYTES, copied: the block is used again, quotes are few."""

    def column(start: int, dtype: Any) -> npt.NDArray[Any]:
        return np.ndarray(n, dtype, block.data, start).copy()

    return Quotes(
        packet=column(c.Q_PACKET_AT, np.int64),
        src_hi=column(c.Q_SRC_HI_AT, np.uint64),
        src_lo=column(c.Q_SRC_LO_AT, np.uint64),
        dst_hi=column(c.Q_DST_HI_AT, np.uint64),
        dst_lo=column(c.Q_DST_LO_AT, np.uint64),
        protocol=column(c.Q_PROTOCOL_AT, np.uint8),
        srcport=column(c.Q_SRCPORT_AT, np.uint16),
        dstport=column(c.Q_DSTPORT_AT, np.uint16),
        icmp_type=column(c.Q_ICMP_TYPE_AT, np.int16),
        icmp_id=column(c.Q_ICMP_ID_AT, np.int32),
    )
