"""tshark: the five-tuple of every packet as text."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from benchmarks.capture.answers import Answer, sum_of
from benchmarks.capture.cases import Case
from benchmarks.contest import Bench, Contender, Needs
from benchmarks.programs import Program, find_program

__all__ = ["CONTENDER"]

_FIELDS = ("ip.src", "ip.dst", "ip.proto", "ipv6.src", "ipv6.dst", "ipv6.nxt", "tcp.srcport", "tcp.dstport")
_FIELDS += ("udp.srcport", "udp.dstport")


def _read(text: str, path: Path) -> Answer:
    packets = total = 0
    for line in text.splitlines():
        src4, dst4, proto4, src6, dst6, proto6, *ports = line.split("\t")
        source, destination = (next(filter(None, pair), "0") for pair in (ports[::2], ports[1::2]))
        src, dst = int(ip_address(src4 or src6)), int(ip_address(dst4 or dst6))
        total += sum_of(src, dst, int(source), int(destination), int(proto4 or proto6))
        packets += 1
    return Answer(path, packets, total & (2**64 - 1))


def _enter(case: Case, bench: Bench) -> Iterator[Program]:
    program = find_program("tshark", "tshark")
    prefix = case.prefix(bench.choose(2_000, 20_000 if case.clock == "cpu" else 100_000))
    fields = [word for field in _FIELDS for word in ("-e", field)]
    command = [program, "-n", "-r", prefix.path, "-T", "fields", "-E", "occurrence=f", *fields]
    yield Program("tshark", prefix.packets, command, lambda text: _read(text, prefix.path))


CONTENDER = Contender("tshark", _enter, Needs(debian=("tshark",)))
