"""Captures that readers are asked about: Ethernet, about 700 bytes a packet (see `generate`), in a warm page cache.

* *five-tuples*: 1 GB; addresses, ports and protocol of every packet, in CPU seconds.
* *flows*: 4 GB; flows, and from sgsim their verdicts and rules, by a process of its own, start-up included, in seconds
  on the clock. 16 384 interfaces with two of 100 groups of 60 rules each.

Slow contenders get a prefix that is long enough for their start-up not to count.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from benchmarks.capture.generate import generate
from benchmarks.contest import Bench
from sgsim.importers.write import write_environment
from sgsim.model import (
    TCP,
    UDP,
    Address,
    CidrPeer,
    Direction,
    Environment,
    NetworkInterface,
    PortRange,
    SecurityGroup,
    SecurityGroupRule,
    Vpc,
    format_address,
    parse_cidr,
)

__all__ = ["Capture", "Case", "cases", "cut", "servers"]

INTERFACES, GROUPS, RULES = 16_384, 100, 60
PORTS = (443, 80, 22, 53, 123, 5432, 3306, 6379, 8080, 8443, 9092, 25, 389)


class Capture(NamedTuple):
    """A file with so many packets of so many flows."""

    path: Path
    packets: int


@dataclass
class Case:
    """The capture, and prefixes of it by their greatest number of packets."""

    name: str
    kind: str
    capture: Capture
    clock: str
    environment: Path | None = None
    prefixes: dict[int, Capture] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.facts.update(packets=self.capture.packets, bytes=self.capture.path.stat().st_size)

    def prefix(self, packets: int) -> Capture:
        """The first packets, as a file beside the capture."""
        if packets >= self.capture.packets:
            return self.capture
        if packets not in self.prefixes:
            path = self.capture.path.with_name(f"{packets}.pcap")
            cut(self.capture.path, path, packets)
            self.prefixes[packets] = Capture(path, packets)
        return self.prefixes[packets]


def cut(capture: Path, prefix: Path, packets: int) -> None:
    """Copy the first packets of a capture."""
    with capture.open("rb") as file, prefix.open("wb") as out:
        out.write(file.read(24))
        for _ in range(packets):
            header = file.read(16)
            out.write(header + file.read(struct.unpack_from("<I", header, 8)[0]))


def cases(bench: Bench) -> Iterator[Case]:
    """Both kinds, each with a capture of its own that is removed after it."""
    environment = bench.directory / "environment"
    write_environment(servers(), environment)
    for kind, megabytes, flows, clock in (
        ("five-tuples", bench.choose(20, 1_000), bench.choose(2_000, 100_000), "cpu"),
        ("flows", bench.choose(40, 4_000), bench.choose(4_000, 200_000), "wall"),
    ):
        path, name = bench.directory / f"{kind}.pcap", f"{kind}, {megabytes / 1000:g} GB"
        if not bench.wants(name):
            continue
        case = Case(
            name,
            kind,
            Capture(path, generate(path, megabytes=megabytes, flows=flows)),
            clock,
            environment,
            facts={"flows": flows},
        )
        yield case
        for used in (path, *(prefix.path for prefix in case.prefixes.values())):
            used.unlink()


def servers(interfaces: int = INTERFACES) -> Environment:
    """The servers of the generated capture, 10.0.0.0/18 and the same numbers under 2001:db8::/32."""
    rng = Random(1)
    groups = {}
    for group in range(GROUPS):
        rules = []
        for number in range(RULES):
            port, direction = rng.choice(PORTS), Direction(number % 2)
            if number % 5 == 4:
                cidr = parse_cidr(rng.choice(("::/0", "2001:db8::/32")))
            else:
                address = 0x0A000000 if rng.random() < 0.5 else rng.getrandbits(32)
                cidr = parse_cidr(f"{format_address(4, address)}/{rng.choice((0, 4, 8, 12, 16, 24, 32))}")
            protocol = rng.choice((TCP, TCP, TCP, UDP))
            rule_id, ports = f"sgr-{group}-{number}", PortRange(port, port)
            rules.append(SecurityGroupRule(rule_id, f"sg-{group}", direction, protocol, CidrPeer(cidr), ports))
        groups[f"sg-{group}"] = SecurityGroup(f"sg-{group}", tuple(rules), vpc_id="vpc-1", account_id="1")
    listed = [
        NetworkInterface(
            f"eni-{n:05d}",
            addresses=(Address(4, 0x0A000000 + n), Address(6, (0x20010DB8 << 96) + 0x0A000000 + n)),
            group_ids=tuple(f"sg-{group}" for group in rng.sample(range(GROUPS), 2)),
            mac=0x020000000000 + n,
            vpc_id="vpc-1",
            account_id="1",
        )
        for n in range(interfaces)
    ]
    return Environment(
        groups=groups,
        interfaces={interface.interface_id: interface for interface in listed},
        vpcs={"vpc-1": Vpc("vpc-1", (parse_cidr("10.0.0.0/8"),), account_id="1")},
        closed=frozenset({("1", None)}),
        peerings_described=True,
    )
