"""From plain packets to columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.flows import AMBIGUOUS, NO_INTERFACE, FlowBlock, FlowTable
from sgsim.model import Direction
from sgsim.packets import NO_VALUE, PacketBatch, Quotes
from sgsim.reference import Packet

LOW = (1 << 64) - 1


def packet_batch(packets: Sequence[Packet], *, length: int = 60) -> PacketBatch:
    """Packets as a capture reader yields them: one file, records counted from 1, no link layer."""
    columns = empty_columns(PacketBatch, len(packets))
    quoted = [row for row, packet in enumerate(packets) if packet.quote is not None]
    quotes = empty_columns(Quotes, len(quoted))
    for name in ("src_mac", "dst_mac", "source"):
        columns[name][:] = 0
    columns["vni"][:] = NO_VALUE
    columns["length"][:] = length
    columns["record"][:] = np.arange(1, len(packets) + 1)
    for row, packet in enumerate(packets):
        columns["time"][row] = packet.time_ns
        columns["family"][row] = packet.family
        columns["icmp_code"][row] = optional(packet.icmp_code)
        columns["tcp_flags"][row] = packet.tcp_flags
        columns["fragment"][row] = packet.fragment
        columns["ip_id"][row] = packet.ip_id
        fill_head(columns, row, packet)
    for row, index in enumerate(quoted):
        quote = packets[index].quote
        assert quote is not None
        quotes["packet"][row] = index
        fill_head(quotes, row, quote)
    return PacketBatch(**columns, quotes=Quotes(**quotes))


def fill_head(columns: dict[str, np.ndarray], row: int, packet: Packet) -> None:
    """The columns that packets and quotes have in common."""
    columns["src_hi"][row], columns["src_lo"][row] = packet.srcaddr >> 64, packet.srcaddr & LOW
    columns["dst_hi"][row], columns["dst_lo"][row] = packet.dstaddr >> 64, packet.dstaddr & LOW
    columns["protocol"][row] = packet.protocol
    columns["srcport"][row], columns["dstport"][row] = packet.srcport, packet.dstport
    columns["icmp_type"][row] = optional(packet.icmp_type)
    columns["icmp_id"][row] = optional(packet.icmp_id)


def optional(value: int | None) -> int:
    """A column's value for what a packet may lack."""
    return NO_VALUE if value is None else value


def flow_table(rows: Iterable[tuple[Packet, str | int | None, Direction]], interface_ids: Sequence[str]) -> FlowTable:
    """Packets as flow rows, each at one end; `interface_ids` gives the interface indexes (RuleTables' order)."""
    index = {interface_id: n for n, interface_id in enumerate(interface_ids)}
    listed = list(rows)
    blocks = []
    for family in (4, 6):
        mine = [(row, *entry) for row, entry in enumerate(listed) if entry[0].family == family]
        packets = [packet for _, packet, _, _ in mine]
        blocks.append(
            FlowBlock.from_columns(
                family,
                addresses(family, [packet.srcaddr for packet in packets]),
                addresses(family, [packet.dstaddr for packet in packets]),
                protocol=[packet.protocol for packet in packets],
                interface=[end if isinstance(end, int) else index_of(index, end) for _, _, end, _ in mine],
                direction=[direction.value for *_, direction in mine],
                srcport=[packet.srcport for packet in packets],
                dstport=[packet.dstport for packet in packets],
                icmp_type=[optional(packet.icmp_type) for packet in packets],
                icmp_code=[optional(packet.icmp_code) for packet in packets],
                later_fragment=[packet.later_fragment for packet in packets],
                flow_id=[row for row, *_ in mine],
                row=[row for row, *_ in mine],
            )
        )
    return FlowTable.of(*blocks)


def index_of(index: dict[str, int], end: str | None) -> int:
    """The interface column's value for an end."""
    assert end != AMBIGUOUS
    return NO_INTERFACE if end is None else index[end]


def addresses(family: int, values: Sequence[int]) -> np.ndarray:
    """Addresses as FlowBlock holds them."""
    if family == 4:
        return np.array(values, np.uint32)
    return np.array([(value >> 64, value & LOW) for value in values], np.uint64).reshape(-1, 2)


def empty_columns(cls: type[PacketBatch] | type[Quotes], n: int) -> dict[str, npt.NDArray[Any]]:
    """Uninitialised columns of n rows for every array field of PacketBatch or Quotes, by name."""
    dtypes = {
        "time": np.int64, "packet": np.int64, "record": np.int64, "source": np.int32,
        "src_hi": np.uint64, "src_lo": np.uint64, "dst_hi": np.uint64, "dst_lo": np.uint64,
        "src_mac": np.uint64, "dst_mac": np.uint64, "srcport": np.uint16, "dstport": np.uint16,
        "icmp_type": np.int16, "icmp_code": np.int16, "icmp_id": np.int32, "vni": np.int32,
        "ip_id": np.uint32, "length": np.int32,
        "family": np.uint8, "protocol": np.uint8, "tcp_flags": np.uint8, "fragment": np.uint8,
    }  # fmt: skip
    return {f.name: np.empty(n, dtypes[f.name]) for f in fields(cls) if f.name in dtypes}
