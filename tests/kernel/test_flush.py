"""What becomes of live connections when rules are taken away: nftables and conntrack beside the tracker (§2.2).

Untracked flows (§2.1) are played by nftables' `notrack`: no connection is looked up for them, so that both directions
meet the rules packet by packet, as AWS says of them.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from msgspec import structs

from sgsim.engine import Snapshot
from sgsim.engine.tracking import Tracker
from sgsim.model import (
    ICMP,
    ICMPV6,
    TCP,
    UDP,
    Address,
    CidrPeer,
    Direction,
    Environment,
    IcmpType,
    NetworkInterface,
    PortRange,
    SecurityGroup,
    SecurityGroupRule,
    Semantics,
    parse_address,
    parse_cidr,
)
from sgsim.reference import Packet
from sgsim.verdicts import Verdict
from tests.generators.tables import packet_batch
from tests.kernel.accounts import Account
from tests.kernel.actors import ACK, SYN, head
from tests.kernel.lab import Host
from tests.kernel.nftables import ruleset
from tests.kernel.wire import TICK_NS, Wire

pytestmark = pytest.mark.kernel

SEMANTICS = structs.replace(Semantics.linux(), untracked_flows=True)
SERVER = {4: parse_address("10.0.0.2"), 6: parse_address("2001:db8::2")}
CLIENT = {4: parse_address("10.9.9.9"), 6: parse_address("2001:db8:9::9")}
WHOLE = {4: "0.0.0.0/0", 6: "::/0"}
TRACKED_PORT, OPEN_PORT, OTHER_PORT = 22, 8080, 23

NOTRACK = f"""
table inet early {{
  chain prerouting {{
    type filter hook prerouting priority raw;
    tcp dport {OPEN_PORT} notrack
    tcp sport {OPEN_PORT} notrack
    udp dport {OPEN_PORT} notrack
    udp sport {OPEN_PORT} notrack
  }}
}}
"""


class Talk(NamedTuple):
    """A connection to the server."""

    family: int
    protocol: int
    port: int  #: ICMP: the identifier
    client_port: int = 40000

    @property
    def untracked(self) -> bool:
        return self.port == OPEN_PORT

    def packet(self, now: int, *, reply: bool, first: bool) -> Packet:
        ends: tuple[Address, Address] = CLIENT[self.family], SERVER[self.family]
        ports = self.client_port, self.port
        way = 1 if reply else 0
        fields: dict[str, int] = {"time_ns": now}
        if self.protocol in (ICMP, ICMPV6):
            types = (8, 0) if self.protocol == ICMP else (128, 129)
            fields |= {"icmp_type": types[way], "icmp_code": 0, "icmp_id": self.client_port}
        else:
            fields |= {"srcport": ports[way], "dstport": ports[1 - way]}
        if self.protocol == TCP:
            fields["tcp_flags"] = (SYN | (ACK if reply else 0)) if first else ACK
        return head(ends[way], ends[1 - way], self.protocol, **fields)


TALKS = [Talk(family, protocol, port) for family in (4, 6) for protocol in (TCP, UDP) for port in (22, 8080)]
TALKS += [Talk(4, ICMP, 0), Talk(6, ICMPV6, 0)]


def rules(*texts: tuple[Direction, int | None, int, str]) -> tuple[SecurityGroupRule, ...]:
    made = []
    for number, (direction, protocol, port, cidr) in enumerate(texts):
        ports = PortRange(port, port) if protocol in (TCP, UDP) else None
        icmp = IcmpType(None, None) if protocol in (ICMP, ICMPV6) else None
        peer = CidrPeer(parse_cidr(cidr))
        made.append(SecurityGroupRule(f"sgr-{number}", "sg-server", direction, protocol, peer, ports, icmp))
    return tuple(made)


BEFORE = rules(
    *(
        line
        for family, icmp in ((4, ICMP), (6, ICMPV6))
        for line in (
            *((Direction.INGRESS, each, TRACKED_PORT, str(parse_cidr(f"{CLIENT[family]}/{32 if family == 4 else 128}")))
              for each in (TCP, UDP)),
            *((Direction.INGRESS, each, OPEN_PORT, WHOLE[family]) for each in (TCP, UDP)),
            (Direction.INGRESS, icmp, 0, WHOLE[family]),
            (Direction.EGRESS, None, 0, WHOLE[family]),
        )
    )
)  # fmt: skip
#: What the rules are replaced by: none at all, and others that let in none of the talks.
AFTER = {"flushed": (), "replaced": rules((Direction.INGRESS, TCP, OTHER_PORT, "0.0.0.0/0"))}


def account_with(granted: tuple[SecurityGroupRule, ...]) -> Account:
    group = SecurityGroup("sg-server", granted)
    interface = NetworkInterface("eni-server", tuple(SERVER.values()), ("sg-server",))
    environment = Environment(
        groups={"sg-server": group}, interfaces={"eni-server": interface}, closed=frozenset({(None, None)})
    )
    return Account(environment, dict.fromkeys(SERVER.values(), "eni-server"))


class FlushingWire(Wire):
    """The wire, with flows to the open port left alone by conntrack."""

    def _begin_act(self) -> None:
        super()._begin_act()
        for interface_id, host in self._hosts.items():
            host.load(ruleset(self.account.environment, interface_id) + NOTRACK)


class Stage:
    """One server, played by Linux and by the tracker at once."""

    def __init__(self, hosts: list[Host]) -> None:
        account = account_with(BEFORE)
        self.wire = FlushingWire(account, hosts[:1])
        self.tracker = Tracker(Snapshot.of(account.environment, SEMANTICS))
        self.now = 0

    def change(self, granted: tuple[SecurityGroupRule, ...]) -> None:
        account = account_with(granted)
        self.wire.change(account)
        self.tracker.swap(Snapshot.of(account.environment, SEMANTICS))

    def passes(self, talk: Talk, *, reply: bool = False, first: bool = False) -> bool:
        """Whether a packet passes the server's interface, on which both must agree."""
        self.now += TICK_NS
        packet = talk.packet(self.now, reply=reply, first=first)
        by_linux = self.wire.send(packet)
        words = self.tracker.step(packet_batch([packet])).words
        answers = self.tracker.answers(words)
        (action,) = answers.action[answers.judged].tolist()
        assert by_linux == (action == Verdict.ACCEPT), f"{talk}, reply {reply}: Linux {by_linux}, tracker {action}"
        return by_linux


@pytest.mark.parametrize("how", AFTER)
def test_live_connections_after_their_rules_are_gone(hosts: list[Host], how: str) -> None:
    """Tracked connections go on in both directions, new ones are refused, untracked ones are cut; and come back."""
    stage = Stage(hosts)
    for talk in TALKS:
        for packet in ({"first": True}, {"first": True, "reply": True}, {}, {"reply": True}):
            assert stage.passes(talk, **packet), talk
    stage.change(AFTER[how])
    for talk in TALKS:
        for reply in (False, True):
            assert stage.passes(talk, reply=reply) != talk.untracked, talk
        assert not stage.passes(talk._replace(client_port=40001), first=True), talk
    let_in_now = Talk(4, TCP, OTHER_PORT, client_port=40003)
    assert stage.passes(let_in_now, first=True) == (how == "replaced")
    stage.change(BEFORE)
    for talk in TALKS:
        assert stage.passes(talk) and stage.passes(talk, reply=True), talk
        assert stage.passes(talk._replace(client_port=40002), first=True), talk
