"""Generated flows → a capture (pcap, Ethernet), of which every packet is captured up to the end of its headers.

Checksums of TCP and UDP are zero, as a sender's are before its network card has filled them in.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.flows import INGRESS
from sgsim.generate.flows import Flows, FlowSource
from sgsim.generate.network import Network
from sgsim.generate.records import BEGIN
from sgsim.model import TCP

__all__ = ["write_pcap"]

Bytes = npt.NDArray[np.uint8]

_ROUTER = 0x0E0000000001  # nobody's: where no interface is known, or it tells no Ethernet address
_SYN, _ACK, _PUSH = 2, 16, 8
_RECORD, _ETHERNET, _WIDEST = 16, 14, 16 + 14 + 40 + 20
_MOST_PACKETS = 1000
_SLICE = 1 << 15


class _Packets(NamedTuple):
    """Packets in time order: the row of each one's flow, its number there, whether it goes back, µs since BEGIN."""

    flow: npt.NDArray[np.int64]
    number: npt.NDArray[np.int64]
    back: npt.NDArray[np.bool_]
    time: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]

    def at(self, rows: slice) -> _Packets:
        """Some of the packets."""
        return _Packets(self.flow[rows], self.number[rows], self.back[rows], self.time[rows], self.size[rows])


def write_pcap(stream: FlowSource, output: IO[bytes], *, packets: float, seconds: int, seed: int) -> int:
    """Write a capture with `packets` a flow on average, within `seconds` from BEGIN; returns how many it holds.

    TCP begins with a handshake; what is rejected is tried up to three times and never answered. Few flows have most
    of the packets (Pareto), none more than a thousand.
    """
    output.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1))
    count = done = 0
    for number, flows in enumerate(stream):
        rng = np.random.default_rng([seed, 6, number])
        window = np.array([done, done + len(flows)]) * seconds * 1_000_000 // len(stream)
        done += len(flows)
        made = _packets(rng, flows, packets, int(window[0]), int(window[1]))
        count += len(made.flow)
        for rows in _slices(len(made.flow)):
            output.write(_block(flows, stream.network, made.at(rows)))
    return count


def _slices(n: int) -> Iterator[slice]:
    for begin in range(0, n, _SLICE):
        yield slice(begin, min(begin + _SLICE, n))


def _packets(rng: np.random.Generator, flows: Flows, mean: float, begin: int, until: int) -> _Packets:
    """The packets of a chunk, in its part of the time."""
    n = len(flows)
    tail = np.minimum(rng.pareto(1.5, n) * (mean - 1) / 2, _MOST_PACKETS - 1)
    count = 1 + np.floor(tail + rng.random(n)).astype(np.int64) if mean > 1 else np.ones(n, np.int64)
    count = np.where(flows.hit, count, np.minimum(count, 3))
    flow = np.repeat(np.arange(n), count)
    number = np.arange(len(flow)) - np.repeat(np.cumsum(count) - count, count)
    start = rng.integers(begin, max(until, begin + 1), n)
    gap = rng.integers(200, 20_000, n)
    time = np.minimum(start[flow] + number * gap[flow], max(until, begin + 1) - 1)
    order = np.argsort(time, kind="stable")
    flow, number, time = flow[order], number[order], time[order]
    handshake = (flows.protocol[flow] == TCP) & (number < 3)
    back = flows.hit[flow] & np.where(handshake, number == 1, (number > 0) & (rng.random(len(flow)) < 0.5))
    payload = np.where(handshake | ~flows.hit[flow], 0, rng.integers(0, 1400, len(flow)))
    return _Packets(flow, number, back, time, payload)


def _block(flows: Flows, network: Network, made: _Packets) -> bytes:
    """Some packets as records of a pcap file."""
    flow, back = made.flow, made.back
    family, protocol = flows.family[flow], flows.protocol[flow]
    four, tcp = family == 4, protocol == TCP
    ip = np.where(four, 20, 40)
    transport = np.where(tcp, 20, 8)
    captured = _ETHERNET + ip + transport
    row = np.zeros((len(flow), _WIDEST), np.uint8)
    seconds, micros = np.divmod(made.time, 1_000_000)
    header = np.stack([BEGIN + seconds, micros, captured, captured + made.size], axis=1).astype("<u4")
    row[:, :_RECORD] = header.view(np.uint8)
    _ethernet(row[:, _RECORD:], flows, network, made)
    ends = ((flows.src_hi, flows.src_lo), (flows.dst_hi, flows.dst_lo))
    asked, answered = (tuple(column[flow] for column in pair) for pair in ends)
    source = tuple(np.where(back, b, a) for a, b in zip(asked, answered))
    target = tuple(np.where(back, a, b) for a, b in zip(asked, answered))
    length = transport + made.size
    for version, put in ((4, _ipv4), (6, _ipv6)):
        rows = np.flatnonzero(family == version)
        part = row[rows]
        at = _RECORD + _ETHERNET
        put(part[:, at:], protocol[rows], length[rows], *(half[rows] for half in (*source, *target)))
        at += 20 if version == 4 else 40
        _transport(part[:, at:], flows, made, rows, tcp[rows], length[rows])
        row[rows] = part
    return row[np.arange(_WIDEST) < (_RECORD + captured)[:, None]].tobytes()


def _put(row: Bytes, at: int, value: Any, size: int) -> None:
    """Write big-endian numbers of `size` bytes into a column."""
    wide = np.asarray(value, np.uint64)
    for byte in range(size):
        row[:, at + byte] = (wide >> np.uint64(8 * (size - 1 - byte))) & np.uint64(255)


def _ethernet(row: Bytes, flows: Flows, network: Network, made: _Packets) -> None:
    """Addresses of the interfaces at both ends, the router's where there is none."""
    known = np.append(np.where(network.macs == 0, np.uint64(_ROUTER), network.macs), np.uint64(_ROUTER))
    aimed, other = known[flows.interface[made.flow]], known[flows.remote[made.flow]]
    towards = (flows.direction[made.flow] == INGRESS) != made.back
    _put(row, 0, np.where(towards, aimed, other), 6)
    _put(row, 6, np.where(towards, other, aimed), 6)
    _put(row, 12, np.where(flows.family[made.flow] == 4, 0x0800, 0x86DD), 2)


def _ipv4(row: Bytes, protocol: Any, length: Any, _: Any, source: Any, __: Any, target: Any) -> None:
    _put(row, 0, 0x4500, 2)
    _put(row, 2, length + 20, 2)
    _put(row, 6, 0x4000, 2)
    row[:, 8], row[:, 9] = 64, protocol
    total = 0x4500 + 0x4000 + (64 << 8) + protocol.astype(np.uint64) + (length + 20).astype(np.uint64)
    for address in (source, target):
        total += (address >> np.uint64(16)) + (address & np.uint64(0xFFFF))
    for _round in range(2):
        total = (total & np.uint64(0xFFFF)) + (total >> np.uint64(16))
    _put(row, 10, ~total & np.uint64(0xFFFF), 2)
    _put(row, 12, source, 4)
    _put(row, 16, target, 4)


def _ipv6(row: Bytes, protocol: Any, length: Any, source_hi: Any, source: Any, target_hi: Any, target: Any) -> None:
    _put(row, 0, 0x60000000, 4)
    _put(row, 4, length, 2)
    row[:, 6], row[:, 7] = protocol, 64
    for place, value in enumerate((source_hi, source, target_hi, target)):
        _put(row, 8 + 8 * place, value, 8)


def _transport(row: Bytes, flows: Flows, made: _Packets, rows: Any, tcp: Any, length: Any) -> None:
    """Ports, and TCP's flags or UDP's length."""
    flow, back, number = made.flow[rows], made.back[rows], made.number[rows]
    srcport, dstport = flows.srcport[flow], flows.dstport[flow]
    _put(row, 0, np.where(back, dstport, srcport), 2)
    _put(row, 2, np.where(back, srcport, dstport), 2)
    later = np.where(number == 2, _ACK, _PUSH | _ACK)
    flags = np.where(number == 0, _SYN, np.where(number == 1, _SYN | _ACK, later))
    flags = np.where(flows.hit[flow], flags, _SYN)
    udp = np.flatnonzero(~tcp)
    part = row[udp]
    _put(part, 4, length[udp], 2)
    row[udp] = part
    streams = np.flatnonzero(tcp)
    part = row[streams]
    _put(part, 4, number[streams] * 1000, 4)
    _put(part, 12, 0x5000 | flags[streams], 2)
    _put(part, 14, 0xFFFF, 2)
    row[streams] = part
