"""dpkt: its reader and its packets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.capture.answers import Answer, sum_of
from benchmarks.capture.cases import Case
from benchmarks.contest import Bench, Call, Contender, Needs, UnavailableError

__all__ = ["CONTENDER"]


def _tuples(dpkt: Any, path: Path) -> Answer:
    packets = total = 0
    with path.open("rb") as file:
        for _, frame in dpkt.pcap.Reader(file):
            ip = dpkt.ethernet.Ethernet(frame).data
            protocol = ip.p if isinstance(ip, dpkt.ip.IP) else ip.nxt
            inner = ip.data
            ports = (inner.sport, inner.dport) if isinstance(inner, (dpkt.tcp.TCP, dpkt.udp.UDP)) else (0, 0)
            total += sum_of(int.from_bytes(ip.src, "big"), int.from_bytes(ip.dst, "big"), *ports, protocol)
            packets += 1
    return Answer(path, packets, total & (2**64 - 1))


def _enter(case: Case, bench: Bench) -> Iterator[Call]:
    if case.kind != "five-tuples":
        return
    try:
        import dpkt
    except ImportError as problem:
        raise UnavailableError("dpkt is not installed (PyPI: dpkt)") from problem
    prefix = case.prefix(bench.choose(2_000, 20_000))
    yield Call("dpkt", prefix.packets, lambda: _tuples(dpkt, prefix.path), lambda: _tuples(dpkt, prefix.path))


CONTENDER = Contender("dpkt", _enter, Needs(pypi=("dpkt",)))
