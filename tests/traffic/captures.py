"""Helpers of these tests: captures written from bytes, batches read back as plain dictionaries."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any

from sgsim.packets import PacketBatch

COLUMNS = [field.name for field in fields(PacketBatch) if field.name != "quotes"]
QUOTE_COLUMNS = [
    "src_hi", "src_lo", "dst_hi", "dst_lo", "protocol", "srcport", "dstport", "icmp_type", "icmp_id",
]  # fmt: skip


def rows_of(batches: Iterable[PacketBatch]) -> Iterator[dict[str, Any]]:
    """One dictionary a packet: the columns, `src` and `dst` as integers, `quote` the quoted packet or None."""
    for batch in batches:
        columns = {name: getattr(batch, name).tolist() for name in COLUMNS}
        quotes = {}
        quoted = {name: getattr(batch.quotes, name).tolist() for name in ["packet", *QUOTE_COLUMNS]}
        for q, row in enumerate(quoted["packet"]):
            quote = {name: quoted[name][q] for name in QUOTE_COLUMNS}
            quote["src"], quote["dst"] = _pair(quote)
            quotes[row] = quote
        for row in range(len(batch)):
            packet = {name: values[row] for name, values in columns.items()}
            packet["src"], packet["dst"] = _pair(packet)
            packet["quote"] = quotes.get(row)
            yield packet


def _pair(packet: dict[str, Any]) -> tuple[int, int]:
    return (packet["src_hi"] << 64 | packet["src_lo"]), (packet["dst_hi"] << 64 | packet["dst_lo"])


def pcap(
    frames: Iterable[bytes | tuple[int, bytes] | tuple[int, bytes, int]],
    *,
    link_type: int = 1,
    order: str = "<",
    nanoseconds: bool = False,
    snaplen: int = 262144,
    version: tuple[int, int] = (2, 4),
) -> bytes:
    """A pcap file of frames: bytes, (time in ns, bytes) or (time in ns, bytes, length on the wire)."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    parts = [struct.pack(order + "IHHiIII", magic, *version, 0, 0, snaplen, link_type)]
    for number, frame in enumerate(frames):
        time, data, *wire = (number * 1_000_000, frame) if isinstance(frame, bytes) else frame
        seconds, rest = divmod(time, 10**9)
        fraction = rest if nanoseconds else rest // 1000
        parts.append(struct.pack(order + "IIII", seconds, fraction, len(data), *(wire or [len(data)])) + data)
    return b"".join(parts)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """A pcapng block."""
    body += b"\0" * (-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def section(order: str = "<") -> bytes:
    """A pcapng section header."""
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(
    link_type: int = 1, *, snaplen: int = 0, resolution: int | None = None, offset: int | None = None, order: str = "<"
) -> bytes:
    """A pcapng interface description."""
    body = struct.pack(order + "HHI", link_type, 0, snaplen)
    if resolution is not None:
        body += struct.pack(order + "HHB3x", 9, 1, resolution)
    if offset is not None:
        body += struct.pack(order + "HHq", 14, 8, offset)
    return block(1, body + struct.pack(order + "HH", 0, 0), order)


def enhanced(data: bytes, stamp: int = 0, *, at: int = 0, wire: int | None = None, order: str = "<") -> bytes:
    """A pcapng enhanced packet block; `stamp` in units of its interface `at`."""
    head = struct.pack(
        order + "IIIII", at, stamp >> 32, stamp & 0xFFFFFFFF, len(data), len(data) if wire is None else wire
    )
    return block(6, head + data, order)


def simple(data: bytes, *, wire: int | None = None, order: str = "<") -> bytes:
    """A pcapng simple packet block."""
    return block(3, struct.pack(order + "I", len(data) if wire is None else wire) + data, order)


def obsolete(data: bytes, stamp: int = 0, *, at: int = 0, order: str = "<") -> bytes:
    """A pcapng packet block, superseded by the enhanced one."""
    head = struct.pack(order + "HHIIII", at, 0, stamp >> 32, stamp & 0xFFFFFFFF, len(data), len(data))
    return block(2, head + data, order)


def udp_frame(*, sport: int = 1000, dport: int = 53, payload: bytes = b"", ttl: int = 64) -> bytes:
    """An Ethernet frame with an IPv4 UDP datagram from 10.0.0.1 to 10.0.0.2."""
    udp = struct.pack("!HHHH", sport, dport, (8 + len(payload)) & 0xFFFF, 0) + payload
    length = (20 + len(udp)) & 0xFFFF
    header = struct.pack("!BBHHHBBHII", 0x45, 0, length, 7, 0, ttl, 17, 0, 0x0A000001, 0x0A000002)
    return bytes.fromhex("0a0000000002 0a0000000001 0800") + header + udp
