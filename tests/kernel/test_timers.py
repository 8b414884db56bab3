"""Idle timeouts against conntrack's, in real time (docs/semantics.md §2.3, §9.10, §9.11, §9.13).

The limits of both are set to the same two seconds, so that what is compared is not their length but what starts a
clock anew: every packet of a live connection, in either direction, and nothing else. Connections end at once at both,
and a packet that comes too late is judged by the rules of its own direction.

Kept out: packets within a quarter of a second of the limit, since both clocks are real; TCP but for SYN, SYN-ACK and
ACK in their order (conntrack does not count a packet that it finds out of place), and the end of a connection, which
conntrack prolongs with every packet and sgsim does not (§9.12).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random

import pytest
from msgspec import structs

from sgsim.model import (
    ICMP,
    ICMPV6,
    TCP,
    UDP,
    CidrPeer,
    Direction,
    Environment,
    NetworkInterface,
    SecurityGroup,
    SecurityGroupRule,
    Semantics,
    parse_address,
    parse_cidr,
)
from tests.kernel.accounts import Account
from tests.kernel.actors import ACK, SYN, head
from tests.kernel.comparison import by_twin, differences
from tests.kernel.lab import lab
from tests.kernel.wire import Scene, Wire

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

LIMIT, MARGIN = 2.0, 0.25  # seconds
ROUNDS, PAUSE, CONNECTIONS = 8, 0.7, 300

SEMANTICS = structs.replace(
    Semantics.linux(),
    **dict.fromkeys(
        (
            "tcp_established_timeout",
            "tcp_half_open_timeout",
            "udp_timeout",
            "udp_stream_timeout",
            "icmp_timeout",
            "other_protocol_timeout",
        ),
        int(LIMIT),
    ),
)
SYSCTLS = [
    f"netfilter/nf_conntrack_{name}"
    for name in (
        "tcp_timeout_syn_sent",
        "tcp_timeout_syn_recv",
        "tcp_timeout_established",
        "udp_timeout",
        "udp_timeout_stream",
        "icmp_timeout",
        "icmpv6_timeout",
        "generic_timeout",
    )
]

ADDRESSES = {
    4: (parse_address("10.0.0.1"), parse_address("10.0.0.2")),
    6: (parse_address("2001:db8::1"), parse_address("2001:db8::2")),
}


def one_way_account() -> Account:
    """Two interfaces: one may open connections to the other, and nothing else is allowed."""
    groups, interfaces = {}, {}
    for name, direction in (("client", Direction.EGRESS), ("server", Direction.INGRESS)):
        rules = tuple(
            SecurityGroupRule(f"sgr-{name}-{number}", f"sg-{name}", direction, None, CidrPeer(parse_cidr(text)))
            for number, text in enumerate(("0.0.0.0/0", "::/0"))
        )
        groups[f"sg-{name}"] = SecurityGroup(f"sg-{name}", rules)
        own = tuple(pair[len(interfaces)] for pair in ADDRESSES.values())
        interfaces[f"eni-{name}"] = NetworkInterface(f"eni-{name}", own, (f"sg-{name}",))
    environment = Environment(groups=groups, interfaces=interfaces, closed=frozenset({(None, None)}))
    owners = {address: name for name, interface in interfaces.items() for address in interface.addresses}
    return Account(environment, owners)


@dataclass
class Connection:
    """One connection that is used now and then; `last` is when, on the monotonic clock, a packet of it got through."""

    family: int
    protocol: int
    number: int
    last: float = 0.0
    stage: int = 0  #: TCP: how many steps of the handshake were made, 3 when it is open

    def use(self, random: Random, wire: Wire) -> float:
        """Send a packet, unless the limit is too near; how late the packet may have been, in seconds."""
        idle = time.monotonic() - self.last
        if abs(idle - LIMIT) < MARGIN:
            return 0.0
        if idle > LIMIT:
            self.stage = 0
        way = random.choice((0, 1))
        fields = {}
        if self.protocol == TCP:
            way, fields["tcp_flags"] = self._handshake(way)
        if self.protocol in (TCP, UDP):
            fields |= dict(zip(("srcport", "dstport") if way == 0 else ("dstport", "srcport"), (self.number, 443)))
        elif self.protocol in (ICMP, ICMPV6):
            kind = ((8, 0), (128, 129))[self.protocol == ICMPV6][way]
            fields |= {"icmp_type": kind, "icmp_code": 0, "icmp_id": self.number}
        ends = ADDRESSES[self.family]
        now = time.monotonic_ns()
        if wire.send(head(ends[way], ends[1 - way], self.protocol, time_ns=now, **fields)):
            self.last = now / 1e9
            self.stage = min(self.stage + 1, 3)
        return time.monotonic() - now / 1e9

    def _handshake(self, way: int) -> tuple[int, int]:
        """Who sends what next: SYN, SYN-ACK, ACK, then ACK from either side; nothing else while it is under way."""
        if self.stage == 0:
            return way, (SYN if way == 0 else ACK)
        return ((1, SYN | ACK), (0, ACK), (way, ACK))[self.stage - 1]


def random_use(random: Random) -> Scene | None:
    """Connections of every kind used at random for some seconds; None if this machine paused at a bad moment."""
    with lab(2) as hosts:
        for host in hosts:
            for sysctl in SYSCTLS:
                host.set(sysctl, int(LIMIT))
        wire = Wire(one_way_account(), hosts)
        kinds = [(4, TCP), (4, UDP), (4, ICMP), (6, TCP), (6, UDP), (6, ICMPV6)]
        connections = [Connection(*random.choice(kinds), number) for number in range(1, CONNECTIONS)]
        # Protocols without ports have one connection each.
        connections += [Connection(family, protocol, 0) for family in (4, 6) for protocol in range(89, 105)]
        late = 0.0
        for _ in range(ROUNDS):
            random.shuffle(connections)
            for connection in connections[: len(connections) // 2]:
                late = max(late, connection.use(random, wire))
            time.sleep(PAUSE)
        return wire.finish() if late < MARGIN else None


def test_idle_connections_end_with_those_of_linux(linux: None) -> None:
    """§2.3, §9.10, §9.11: what refreshes a connection, and that an idle one is gone, at both ends.

    The comparison can fail: it does if other protocols are not refreshed, or one limit is longer.
    """
    scene = next(filter(None, (random_use(Random(seed)) for seed in range(3))), None)
    assert scene is not None, "this machine pauses for longer than the margin, three times in a row"
    ends = [(crossing, end) for act in scene for crossing in act.crossings for end in crossing.answers]
    for protocol in (TCP, UDP, ICMP, ICMPV6):
        replies = {end.mark for crossing, end in ends if crossing.packet.protocol == protocol}
        assert len(replies) == 4, f"protocol {protocol}: opened, used again, answered, and dropped: {replies}"
    found = differences(scene, by_twin(scene, SEMANTICS))
    assert not found, f"{len(found)} differences, the first three:\n" + "\n".join(found[:3])
    for change in ({"other_protocol_refresh": False}, {"udp_timeout": 3}, {"icmp_timeout": 3}):
        assert differences(scene, by_twin(scene, structs.replace(SEMANTICS, **change))), change
