"""Decoded packets as columns: what a capture reader yields and connection tracking consumes.

Both address families share one layout (an IPv4 address sits in the low half): tracking hashes addresses, it never
compares prefixes, so splitting families would only cost a merge by time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["FRAGMENT_FIRST", "FRAGMENT_LATER", "FRAGMENT_NONE", "NO_VALUE", "PacketBatch", "Quotes"]

FRAGMENT_NONE, FRAGMENT_FIRST, FRAGMENT_LATER = 0, 1, 2

NO_VALUE = -1  #: ICMP fields, VNI: the packet has none


@dataclass(frozen=True, slots=True)
class Quotes:
    """What ICMP error messages quote: the head of the packet that caused the error; q rows, usually none.

    `packet` (int64) is the row of the error in its batch; the other columns are as in PacketBatch. Ports are 0
    where the quote is too short or the protocol has none; `icmp_id` is NO_VALUE where there is none.
    """

    packet: npt.NDArray[np.int64]
    src_hi: npt.NDArray[np.uint64]
    src_lo: npt.NDArray[np.uint64]
    dst_hi: npt.NDArray[np.uint64]
    dst_lo: npt.NDArray[np.uint64]
    protocol: npt.NDArray[np.uint8]
    srcport: npt.NDArray[np.uint16]
    dstport: npt.NDArray[np.uint16]
    icmp_type: npt.NDArray[np.int16]
    icmp_id: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class PacketBatch:
    """n decoded packets in time order (as far as the capture is); all columns have n rows.

    `time` nanoseconds since the epoch. `family` 4 or 6. `src_*`, `dst_*` the outermost (or, decapsulated, the inner)
    address pair as two 64-bit halves, IPv4 in the low one. `protocol` the IANA number; for IPv6 that after the
    extension headers (AH 51 and ESP 50 are protocols, not extensions). `srcport`, `dstport` 0 but for TCP and UDP.
    `icmp_type`, `icmp_code` NO_VALUE but for ICMP and ICMPv6; `icmp_id` the identifier of query messages, else
    NO_VALUE. `tcp_flags` the low eight bits (FIN 1, SYN 2, RST 4, ACK 16). `fragment` one of FRAGMENT_*, `ip_id` the
    fragment identification (IPv4 16 bits, IPv6 32). `length` the IP length from the header, in bytes.
    `src_mac`, `dst_mac` 48-bit integers, 0 where the link layer has none. `vni` the VXLAN network identifier that
    the packet came out of, NO_VALUE if none. `source` the index of the file, `record` the packet's 1-based number
    in it.
    """

    time: npt.NDArray[np.int64]
    family: npt.NDArray[np.uint8]
    src_hi: npt.NDArray[np.uint64]
    src_lo: npt.NDArray[np.uint64]
    dst_hi: npt.NDArray[np.uint64]
    dst_lo: npt.NDArray[np.uint64]
    protocol: npt.NDArray[np.uint8]
    srcport: npt.NDArray[np.uint16]
    dstport: npt.NDArray[np.uint16]
    icmp_type: npt.NDArray[np.int16]
    icmp_code: npt.NDArray[np.int16]
    icmp_id: npt.NDArray[np.int32]
    tcp_flags: npt.NDArray[np.uint8]
    fragment: npt.NDArray[np.uint8]
    ip_id: npt.NDArray[np.uint32]
    length: npt.NDArray[np.int32]
    src_mac: npt.NDArray[np.uint64]
    dst_mac: npt.NDArray[np.uint64]
    vni: npt.NDArray[np.int32]
    source: npt.NDArray[np.int32]
    record: npt.NDArray[np.int64]
    quotes: Quotes

    def __len__(self) -> int:
        return len(self.time)
