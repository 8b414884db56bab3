"""A small network for tests of replay and resolution."""

from __future__ import annotations

from sgsim.model import (
    TCP,
    CidrPeer,
    Direction,
    Environment,
    MirrorSession,
    NetworkInterface,
    PortRange,
    SecurityGroup,
    SecurityGroupRule,
    Vpc,
    parse_address,
    parse_cidr,
)


def rule(rule_id: str, direction: Direction, cidr: str, ports: PortRange | None) -> SecurityGroupRule:
    """A rule for TCP ports, or for everything."""
    return SecurityGroupRule(rule_id, "sg-1", direction, TCP if ports else None, CidrPeer(parse_cidr(cidr)), ports)


GROUP = SecurityGroup(
    "sg-1",
    rules=(
        rule("sgr-in-443", Direction.INGRESS, "10.0.0.0/8", PortRange(443, 443)),
        rule("sgr-out", Direction.EGRESS, "0.0.0.0/0", None),
    ),
    account_id="111111111111",
    vpc_id="vpc-a",
)


def interface(interface_id: str, *addresses: str, mac: int | None = None, public: str = "", vpc_id: str = "vpc-a",
              prefixes: tuple[str, ...] = ()) -> NetworkInterface:  # fmt: skip
    """An interface that carries the group."""
    return NetworkInterface(
        interface_id,
        addresses=tuple(parse_address(address) for address in addresses),
        group_ids=("sg-1",),
        prefixes=tuple(parse_cidr(prefix) for prefix in prefixes),
        public_addresses=(parse_address(public),) if public else (),
        mac=mac,
        vpc_id=vpc_id,
        account_id="111111111111",
    )


def small_network(*more: NetworkInterface, sessions: tuple[MirrorSession, ...] = ()) -> Environment:
    """eni-a 10.0.0.1 and eni-b 10.0.0.2 in one VPC: out to everything, in from 10.0.0.0/8 to TCP 443."""
    interfaces = (
        interface("eni-a", "10.0.0.1", "2001:db8::1", mac=0x020000000001),
        interface("eni-b", "10.0.0.2", "2001:db8::2", mac=0x020000000002, public="198.51.100.2"),
        *more,
    )
    return Environment(
        groups={"sg-1": GROUP},
        interfaces={each.interface_id: each for each in interfaces},
        vpcs={"vpc-a": Vpc("vpc-a", (parse_cidr("10.0.0.0/16"),), account_id="111111111111")},
        mirror_sessions={session.session_id: session for session in sessions},
        closed=frozenset({("111111111111", None)}),
        peerings_described=True,
    )
