"""scapy: its reader of raw records with a struct loop over their headers, and its packets."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from pathlib import Path

from benchmarks.capture.answers import Answer, sum_of
from benchmarks.capture.cases import Case
from benchmarks.contest import Bench, Call, Contender

__all__ = ["CONTENDER", "dissected", "raw_records"]

_MASK = 2**64 - 1


def raw_records(path: Path) -> Answer:
    """Records by RawPcapReader, five-tuples by struct."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from scapy.utils import RawPcapReader
    packets = total = 0
    with RawPcapReader(str(path)) as reader:
        for frame, _ in reader:
            ethertype = frame[12] << 8 | frame[13]
            if ethertype == 0x0800:
                protocol, at = frame[23], 14 + (frame[14] & 15) * 4
                source, target = struct.unpack_from("!II", frame, 26)
                total += source + 3 * target
            else:
                protocol, at = frame[20], 54
                source_hi, source_lo, target_hi, target_lo = struct.unpack_from("!QQQQ", frame, 22)
                total += source_lo + 3 * target_lo + 5 * source_hi + 7 * target_hi
            if protocol in (6, 17):
                ports = struct.unpack_from("!HH", frame, at)
                total += 11 * ports[0] + 13 * ports[1]
            total += 17 * protocol
            packets += 1
    return Answer(path, packets, total & _MASK)


def dissected(path: Path) -> Answer:
    """Packets as scapy makes them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from scapy.layers.all import IP, TCP, UDP, Ether, IPv6
        from scapy.utils import RawPcapReader
    packets = total = 0
    with RawPcapReader(str(path)) as reader:
        for frame, _ in reader:
            packet = Ether(frame)
            if IP in packet:
                ip = packet[IP]
                src, dst = (int.from_bytes(bytes(map(int, text.split("."))), "big") for text in (ip.src, ip.dst))
                protocol = ip.proto
            else:
                ip = packet[IPv6]
                src, dst = (int.from_bytes(frame[at : at + 16], "big") for at in (22, 38))
                protocol = ip.nh
            ports = (ip.payload.sport, ip.payload.dport) if TCP in ip or UDP in ip else (0, 0)
            total += sum_of(src, dst, *ports, protocol)
            packets += 1
    return Answer(path, packets, total & _MASK)


def _enter(case: Case, bench: Bench) -> Iterator[Call]:
    if case.kind != "five-tuples":
        return
    for name, work, packets in (
        ("scapy, raw records", raw_records, bench.choose(5_000, 100_000)),
        ("scapy, dissected", dissected, bench.choose(200, 2_000)),
    ):
        prefix = case.prefix(packets)
        yield Call(
            name,
            prefix.packets,
            lambda work=work, path=prefix.path: work(path),  # type: ignore[misc]
            lambda work=work, path=prefix.path: work(path),  # type: ignore[misc]
        )


CONTENDER = Contender("scapy", _enter)
