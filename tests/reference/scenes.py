"""Environments and packets in one-line notation, for tables of tests.

    scene = Scene(
        groups={"sg-web": "r1 in tcp 80 from 0.0.0.0/0; r2 out all to 0.0.0.0/0"},
        interfaces={"eni-web": "10.0.0.5 10.0.0.6 sg-web type=natGateway"},
    )
    scene.says("tcp 203.0.113.5:4000 > 10.0.0.5:80") == ["in ACCEPT RULE r1"]

An answer in text is `in|out ACTION REASON [rule,…] [?possible rule,…] [reply]`.
"""

from __future__ import annotations

from dataclasses import replace

from sgsim.analysis.notation import Flow, parse_flow
from sgsim.flows import AMBIGUOUS
from sgsim.model import (
    ALL_PORTS,
    ICMP,
    ICMPV6,
    TCP,
    UDP,
    Address,
    CidrPeer,
    ConnectionTrackingTimeouts,
    Direction,
    Environment,
    GroupPeer,
    IcmpType,
    NetworkInterface,
    PortRange,
    PrefixListPeer,
    SecurityGroup,
    SecurityGroupRule,
    Semantics,
    Subnet,
    Vpc,
    check_rule,
    parse_address,
    parse_cidr,
)
from sgsim.reference import EndAnswer, Packet, Tracker

SECOND = 1_000_000_000
NAMES = {"tcp": TCP, "udp": UDP, "icmp": ICMP, "icmpv6": ICMPV6, "all": None}
FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}


def rule(text: str, group_id: str) -> SecurityGroupRule:
    """`r1 in tcp 80-90 from 10.0.0.0/8`, `r2 out all to sg-b account=… vpc=… status=…`."""
    rule_id, direction, service, *rest = text.split()
    protocol = NAMES[service] if service in NAMES else int(service)
    detail = None if rest[0] in ("from", "to") else rest.pop(0)
    peer_text, *facts = rest[1:]
    told = dict(fact.split("=") for fact in facts)
    if peer_text.startswith("pl-"):
        peer = PrefixListPeer(peer_text)
    elif peer_text.startswith("sg-"):
        peer = GroupPeer(peer_text, told.get("account"), told.get("vpc"), None, told.get("status"))
    else:
        peer = CidrPeer(parse_cidr(peer_text))
    ports = icmp = None
    if protocol in (TCP, UDP):
        first, _, last = (detail or "").partition("-")
        ports = PortRange(int(first), int(last or first)) if detail else ALL_PORTS
    elif protocol in (ICMP, ICMPV6):
        icmp_type, _, code = (detail or "").partition("/")
        icmp = IcmpType(int(icmp_type), int(code) if code else None) if detail else IcmpType(None, None)
    return check_rule(
        SecurityGroupRule(
            rule_id, group_id, Direction.INGRESS if direction == "in" else Direction.EGRESS, protocol, peer, ports, icmp
        )
    )


def group(group_id: str, text: str, account_id: str | None = "1") -> SecurityGroup:
    """A group from its rules, separated by semicolons; `classic` as first word makes it an EC2-Classic one."""
    classic = text.startswith("classic")
    lines = [line.strip() for line in text.removeprefix("classic").split(";") if line.strip()]
    return SecurityGroup(
        group_id, tuple(rule(line, group_id) for line in lines), account_id=account_id, classic=classic
    )


def interface(interface_id: str, text: str) -> NetworkInterface:
    """Words in any order: addresses, delegated prefixes, groups, `vpc=`, `subnet=`, `type=`, `instance=`, `tcp=`, …"""
    words = text.split()
    told = dict(word.split("=") for word in words if "=" in word)
    plain = [word for word in words if "=" not in word]
    seconds = {name: int(told[name]) for name in ("tcp", "udp", "stream") if name in told}
    return NetworkInterface(
        interface_id,
        addresses=tuple(parse_address(word) for word in plain if not word.startswith("sg-") and "/" not in word),
        group_ids=tuple(word for word in plain if word.startswith("sg-")),
        prefixes=tuple(parse_cidr(word) for word in plain if "/" in word),
        public_addresses=tuple(parse_address(told[name]) for name in ("public",) if name in told),
        vpc_id=told.get("vpc", "vpc-1"),
        subnet_id=told.get("subnet", "subnet-1"),
        account_id="1",
        interface_type=told.get("type", "interface"),
        instance_id=told.get("instance"),
        instance_type=told.get("itype"),
        timeouts=ConnectionTrackingTimeouts(seconds.get("tcp"), seconds.get("udp"), seconds.get("stream")),
    )


class Scene:
    """An environment with one tracker over it; `closed` names the accounts that are completely described."""

    def __init__(
        self,
        groups: dict[str, str] | None = None,
        interfaces: dict[str, str] | None = None,
        *,
        closed: tuple[str, ...] = ("1",),
        semantics: Semantics | None = None,
        **environment: object,
    ) -> None:
        self.environment = Environment(
            groups={group_id: group(group_id, text) for group_id, text in (groups or {}).items()},
            interfaces={name: interface(name, text) for name, text in (interfaces or {}).items()},
            vpcs={"vpc-1": Vpc("vpc-1", (parse_cidr("10.0.0.0/16"), parse_cidr("2001:db8::/56")))},
            subnets={"subnet-1": Subnet("subnet-1", "vpc-1", (parse_cidr("10.0.0.0/24"), parse_cidr("2001:db8::/64")))},
            closed=frozenset((account, None) for account in closed),
            **environment,
        )
        self.semantics = semantics or Semantics()
        self.tracker = Tracker(self.environment, self.semantics)

    def ends(self, packet: Packet) -> tuple[str | int | None, str | int | None]:
        """The interfaces at both ends, by private address alone."""
        return self.holder(packet.source), self.holder(packet.destination)

    def holder(self, address: Address) -> str | int | None:
        """The one interface that has the address, None, or AMBIGUOUS."""
        found = [
            other.interface_id
            for other in self.environment.interfaces.values()
            if address in other.addresses or any(prefix.contains(address) for prefix in other.prefixes)
        ]
        return AMBIGUOUS if len(found) > 1 else found[0] if found else None

    def step(self, line: str, **fields: object) -> list[EndAnswer]:
        """Judge `[seconds] flow [flags]`; seconds may be fractions, flags are letters of FSRPA (S for TCP without)."""
        shown = packet(line, **fields)
        return self.tracker.step(shown, *self.ends(shown))

    def says(self, line: str, **fields: object) -> list[str]:
        """The answers to one packet in text."""
        return [told(answer) for answer in self.step(line, **fields)]

    def plays(self, *lines: str) -> None:
        """Check `packet => answer; answer` lines, in order."""
        for line in lines:
            shown, _, expected = line.partition("=>")
            said = self.says(shown.strip())
            assert said == [part.strip() for part in expected.split(";") if part.strip()], f"{shown}: {said}"

    def swap(self, **groups: str) -> None:
        """Replace groups (`sg_web` for `sg-web`), keeping what is remembered."""
        changed = {name.replace("_", "-"): group(name.replace("_", "-"), text) for name, text in groups.items()}
        self.environment = replace(self.environment, groups={**self.environment.groups, **changed})
        self.tracker.swap(self.environment)


def packet(line: str, **fields: object) -> Packet:
    """A packet from `[seconds] flow [flags] [id=…]`."""
    words = line.split()
    time_ns = 0
    if words[0].replace(".", "").isdigit() and words[1] in (*NAMES, *map(str, range(256))):
        whole, _, fraction = words.pop(0).partition(".")
        time_ns = int(whole) * SECOND + int((fraction + "0" * 9)[:9])
    if words[-1].startswith("id="):
        fields = {"icmp_id": int(words.pop()[3:]), **fields}
    flags = FLAGS["S"]
    if set(words[-1]) <= set(FLAGS):
        flags = sum(FLAGS[letter] for letter in words.pop())
    flow: Flow = parse_flow(" ".join(words))
    assert isinstance(flow.source, Address) and isinstance(flow.destination, Address)
    plain = Packet(
        flow.source.family,
        flow.source.value,
        flow.destination.value,
        flow.protocol,
        flow.srcport or 0,
        flow.dstport or 0,
        flow.icmp_type,
        flow.icmp_code,
        tcp_flags=flags if flow.protocol == TCP else 0,
        time_ns=time_ns,
    )
    return replace(plain, **fields)


def told(answer: EndAnswer) -> str:
    """An answer in text."""
    words = [] if answer.direction is None else ["in" if answer.direction is Direction.INGRESS else "out"]
    words += [answer.action.name, answer.reason.name]
    if answer.rule_ids:
        words.append(",".join(sorted(answer.rule_ids)))
    if answer.possible_rule_ids:
        words.append("?" + ",".join(sorted(answer.possible_rule_ids)))
    if not answer.initiating:
        words.append("reply")
    return " ".join(words)
