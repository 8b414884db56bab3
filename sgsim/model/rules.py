"""Security-group rules, independent of any spelling that AWS uses for them.

One rule has exactly one peer, as in `describe-security-group-rules` (docs/semantics.md §1.1).
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import msgspec

from sgsim.errors import ModelError
from sgsim.model.addresses import Cidr

__all__ = [
    "ALL_PORTS",
    "ICMP",
    "ICMPV6",
    "PROTOCOL_NAMES",
    "TCP",
    "UDP",
    "CidrPeer",
    "Direction",
    "GroupPeer",
    "IcmpType",
    "Peer",
    "PortRange",
    "PrefixListPeer",
    "SecurityGroupRule",
    "check_rule",
    "protocol_name",
]

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58

PROTOCOL_NAMES = {ICMP: "icmp", TCP: "tcp", UDP: "udp", ICMPV6: "icmpv6"}


def protocol_name(protocol: int | None) -> str:
    """`tcp`, `udp`, `icmp`, `icmpv6`, `all` for None, else the number."""
    return "all" if protocol is None else PROTOCOL_NAMES.get(protocol, str(protocol))


class Direction(IntEnum):
    """Which way traffic goes at an interface; the values are those of `flows.INGRESS`, `flows.EGRESS`."""

    INGRESS = 0
    EGRESS = 1


class PortRange(NamedTuple):
    """Destination ports, both ends included."""

    first: int
    last: int


ALL_PORTS = PortRange(0, 65535)


class IcmpType(NamedTuple):
    """ICMP type and code; None means all. All types implies all codes."""

    type: int | None
    code: int | None


class CidrPeer(msgspec.Struct, frozen=True, gc=False):
    """The other end is any address of a block."""

    cidr: Cidr

    def __str__(self) -> str:
        return str(self.cidr)


class PrefixListPeer(msgspec.Struct, frozen=True, gc=False):
    """The other end is any address of the list's current entries."""

    prefix_list_id: str

    def __str__(self) -> str:
        return self.prefix_list_id


class GroupPeer(msgspec.Struct, frozen=True, gc=False):
    """The other end is a private address of a network interface that carries the group (docs/semantics.md §1.4).

    `account_id`, `vpc_id`, `peering_id` and `peering_status` are what the rule itself says of the group, None where
    it says nothing.
    """

    group_id: str
    account_id: str | None = None
    vpc_id: str | None = None
    peering_id: str | None = None
    peering_status: str | None = None

    def __str__(self) -> str:
        return self.group_id


Peer = CidrPeer | PrefixListPeer | GroupPeer


class SecurityGroupRule(msgspec.Struct, frozen=True, gc=False):
    """One rule of one group.

    `protocol` is the IANA number, None for all protocols. `ports` is given for TCP and UDP only, `icmp` for ICMP and
    ICMPv6 only: for every other protocol AWS matches all ports (docs/semantics.md §1.2).
    """

    rule_id: str
    group_id: str
    direction: Direction
    protocol: int | None
    peer: Peer
    ports: PortRange | None = None
    icmp: IcmpType | None = None
    description: str = ""

    @property
    def service(self) -> str:
        """The service in one word: `tcp 443`, `tcp 8000-8999`, `udp all ports`, `icmp 8/0`, `icmpv6`, `all`, `50`."""
        name = protocol_name(self.protocol)
        if self.ports is not None:
            if self.ports == ALL_PORTS:
                return f"{name} all ports"
            first, last = self.ports
            return f"{name} {first}" if first == last else f"{name} {first}-{last}"
        if self.icmp is not None and self.icmp.type is not None:
            code = "*" if self.icmp.code is None else str(self.icmp.code)
            return f"{name} {self.icmp.type}/{code}"
        return name

    def __str__(self) -> str:
        preposition = "from" if self.direction is Direction.INGRESS else "to"
        return f"{self.rule_id} {self.service} {preposition} {self.peer}"


def check_rule(rule: SecurityGroupRule) -> SecurityGroupRule:
    """Return the rule if it can exist, else raise ModelError that says what is wrong with it."""
    protocol, ports, icmp = rule.protocol, rule.ports, rule.icmp
    if protocol is not None and not 0 <= protocol <= 255:
        raise ModelError(f"protocol {protocol} is outside 0 to 255")
    if (protocol in (TCP, UDP)) != (ports is not None):
        raise ModelError(f"ports belong to tcp and udp rules, and to no others ({protocol_name(protocol)})")
    if ports is not None and not 0 <= ports.first <= ports.last <= 65535:
        raise ModelError(f"ports {ports.first} to {ports.last} are not a range within 0 to 65535")
    if (protocol in (ICMP, ICMPV6)) != (icmp is not None):
        raise ModelError(f"type and code belong to icmp and icmpv6 rules, and to no others ({protocol_name(protocol)})")
    if icmp is not None:
        if icmp.type is None and icmp.code is not None:
            raise ModelError("all ICMP types cannot go with a single code")
        if any(part is not None and not 0 <= part <= 255 for part in icmp):
            raise ModelError(f"ICMP type and code {icmp.type}/{icmp.code} are not within 0 to 255")
    return rule
