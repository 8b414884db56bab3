"""Write a large, realistic, reproducible capture: `python benchmarks/capture/generate.py FILE --megabytes 1000`.

Ethernet, about 700 bytes a packet (many small, many full), 85 % IPv4, 75 % TCP that begins with a handshake, 22 % UDP,
the rest ICMP echo; few flows carry most packets. Addresses lie in 10.0.0.0/8 and 2001:db8::/32, half of the clients
outside. The same arguments give the same bytes. 1 GB takes about 3 s.
"""

from __future__ import annotations

import argparse
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

BLOCK = 1 << 16
SYN, ACK, PUSH = 2, 16, 8
_TCP, _UDP, _ICMP, _ICMPV6 = 6, 17, 1, 58
_START = 1_700_000_000
_PORTS = np.array([443, 443, 443, 80, 22, 53, 53, 123, 5432, 3306, 6379, 8080, 8443, 9092, 25, 389], np.uint32)


def flow_table(rng: np.random.Generator, flows: int) -> dict[str, npt.NDArray[Any]]:
    """The flows: family, protocol, client and server with ports; row = flow."""
    v6 = rng.random(flows) < 0.15
    kind = rng.random(flows)
    protocol = np.where(kind < 0.75, _TCP, np.where(kind < 0.97, _UDP, np.where(v6, _ICMPV6, _ICMP)))
    icmp = (protocol == _ICMP) | (protocol == _ICMPV6)
    outside = rng.random(flows) < 0.5
    client = np.where(
        outside, rng.integers(0x0B000000, 0xDF000000, flows), 0x0A000000 + rng.integers(0, 1 << 20, flows)
    )
    return {
        "v6": v6,
        "protocol": protocol.astype(np.uint8),
        "client": client.astype(np.uint32),
        "server": (0x0A000000 + rng.integers(0, 1 << 14, flows)).astype(np.uint32),
        "client_port": np.where(icmp, rng.integers(0, 65536, flows), rng.integers(1024, 65536, flows)).astype(
            np.uint32
        ),
        "server_port": _PORTS[rng.integers(0, len(_PORTS), flows)],
    }


def ranks(flow: npt.NDArray[np.int64], seen: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many packets each packet's flow had before it; `seen` is carried from block to block."""
    order = np.argsort(flow, kind="stable")
    grouped = flow[order]
    starts = np.flatnonzero(np.r_[True, grouped[1:] != grouped[:-1]])
    sizes = np.diff(np.r_[starts, len(grouped)])
    rank = np.empty(len(flow), np.int64)
    rank[order] = np.arange(len(flow)) - np.repeat(starts, sizes) + seen[grouped]
    seen[grouped[starts]] += sizes
    return rank


def put(buffer: npt.NDArray[np.uint8], at: npt.NDArray[np.int64], value: Any, size: int) -> None:
    """Write big-endian numbers of `size` bytes at many positions."""
    value = np.broadcast_to(np.asarray(value, np.uint64), at.shape)
    for byte in range(size):
        buffer[at + byte] = (value >> np.uint64(8 * (size - 1 - byte))).astype(np.uint8)


def headers(
    buffer: npt.NDArray[np.uint8], at: npt.NDArray[np.int64], length: npt.NDArray[np.int64], packet: Any
) -> None:
    """Write Ethernet, IP and transport headers of packets of `length` bytes at `at`; `packet` holds their columns."""
    v6, protocol = packet["v6"], packet["protocol"]
    put(buffer, at, np.where(packet["reply"], 0x0A0000000001, 0x0A0000000002), 6)
    put(buffer, at + 6, np.where(packet["reply"], 0x0A0000000002, 0x0A0000000001), 6)
    put(buffer, at + 12, np.where(v6, 0x86DD, 0x0800), 2)
    ip = at + 14
    four, size = ip[~v6], length[~v6] - 14
    source, destination = packet["src"][~v6], packet["dst"][~v6]
    identification = packet["number"][~v6] & 0xFFFF
    put(buffer, four, 0x4500, 2)
    put(buffer, four + 2, size, 2)
    put(buffer, four + 4, identification, 2)
    put(buffer, four + 6, 0x4000, 2)
    put(buffer, four + 8, 64, 1)
    put(buffer, four + 9, protocol[~v6], 1)
    total = 0x4500 + size + identification + 0x4000 + 0x4000 + protocol[~v6]
    total = total + (source >> 16) + (source & 0xFFFF) + (destination >> 16) + (destination & 0xFFFF)
    total = (total & 0xFFFF) + (total >> 16)
    put(buffer, four + 10, ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF, 2)
    put(buffer, four + 12, source, 4)
    put(buffer, four + 16, destination, 4)
    six = ip[v6]
    put(buffer, six, 0x60000000, 4)
    put(buffer, six + 4, length[v6] - 54, 2)
    put(buffer, six + 6, protocol[v6], 1)
    put(buffer, six + 7, 64, 1)
    for start, name in ((8, "src"), (24, "dst")):
        put(buffer, six + start, 0x20010DB8, 4)
        put(buffer, six + start + 4, 0, 8)
        put(buffer, six + start + 12, packet[name][v6], 4)
    transport = ip + np.where(v6, 40, 20)
    tcp, udp = protocol == _TCP, protocol == _UDP
    ported = tcp | udp
    put(buffer, transport[ported], packet["srcport"][ported], 2)
    put(buffer, transport[ported] + 2, packet["dstport"][ported], 2)
    put(buffer, transport[tcp] + 4, packet["number"][tcp] * 1000, 4)
    put(buffer, transport[tcp] + 8, packet["number"][tcp] * 999, 4)
    put(buffer, transport[tcp] + 12, 0x5000 | packet["flags"][tcp], 2)
    put(buffer, transport[udp] + 4, (length - (transport - at))[udp], 2)
    echo = ~ported
    query, answer = np.where(v6, 128, 8), np.where(v6, 129, 0)
    put(buffer, transport[echo], np.where(packet["reply"], answer, query)[echo] << 8, 2)
    put(buffer, transport[echo] + 4, packet["icmp_id"][echo], 2)


def generate(
    path: Path, *, megabytes: int = 1000, flows: int = 100_000, seconds: int = 300, seed: int = 1, small: bool = False
) -> int:
    """Write the capture; returns the number of packets. `small` makes all packets as short as they can be."""
    rng = np.random.default_rng(seed)
    table = flow_table(rng, flows)
    mean = 75 + 16 if small else 690 + 16
    packets = megabytes * 1_000_000 // mean
    seen = np.zeros(flows, np.int64)
    filler = rng.integers(0, 256, 1 << 16, dtype=np.uint8)
    started = 0
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for first in range(0, packets, BLOCK):
            number = np.arange(first, min(first + BLOCK, packets))
            n = len(number)
            new_until = min(flows, (first + n) * flows // packets + 1)
            flow = (rng.random(n) ** 3 * max(started, 1)).astype(np.int64)
            places = np.sort(rng.choice(n, new_until - started, replace=False))
            flow[places] = np.arange(started, new_until)
            started = new_until
            rank = ranks(flow, seen)
            packet: dict[str, Any] = {name: column[flow] for name, column in table.items()}
            tcp = packet["protocol"] == _TCP
            handshake = tcp & (rank < 3)
            reply = np.where(rank < 3, rank == 1, rng.random(n) < 0.5)
            packet["number"], packet["reply"] = number, reply
            packet["flags"] = np.where(
                rank == 0, SYN, np.where(rank == 1, SYN | ACK, np.where(rank == 2, ACK, PUSH | ACK))
            )
            packet["src"] = np.where(reply, packet["server"], packet["client"])
            packet["dst"] = np.where(reply, packet["client"], packet["server"])
            packet["srcport"] = np.where(reply, packet["server_port"], packet["client_port"])
            packet["dstport"] = np.where(reply, packet["client_port"], packet["server_port"])
            packet["icmp_id"] = packet["client_port"]
            size = rng.random(n)
            shortest = np.where(packet["v6"], 74, 54)
            length = np.where(size < 0.40, shortest + 12, np.where(size < 0.54, rng.integers(100, 1200, n), 1514))
            length = np.where(handshake | small, shortest, length)
            file.write(block(number, length, packets, seconds, filler, packet))
    return packets


def block(
    number: npt.NDArray[np.int64], length: npt.NDArray[np.int64], packets: int, seconds: int, filler: Any, packet: Any
) -> memoryview:
    """The records of one block of packets."""
    ends = np.cumsum(length + 16)
    at = ends - length
    buffer = np.resize(filler, int(ends[-1]))
    time = number * (seconds * 1_000_000) // packets
    record = np.empty((len(number), 4), np.uint32)
    record[:, 0], record[:, 1] = _START + time // 1_000_000, time % 1_000_000
    record[:, 2] = record[:, 3] = length
    raw = record.astype("<u4").view(np.uint8)
    for byte in range(16):
        buffer[at - 16 + byte] = raw[:, byte]
    headers(buffer, at, length, packet)
    return buffer.data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--flows", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=300, help="time that the capture spans")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="short packets only")
    arguments = vars(parser.parse_args())
    print(generate(arguments.pop("file"), **arguments), "packets")


if __name__ == "__main__":
    main()
