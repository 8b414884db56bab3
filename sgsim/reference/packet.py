"""One packet at one interface: what the rules alone say of it, without time and without connections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sgsim.model import (
    ALL_PORTS,
    TCP,
    UDP,
    UNFILTERED_INTERFACE_TYPES,
    Address,
    CidrPeer,
    Direction,
    Environment,
    NetworkInterface,
    SecurityGroupRule,
    Semantics,
)
from sgsim.model.facts import AUTO_TRACKED_INTERFACE_TYPES
from sgsim.packets import FRAGMENT_LATER, FRAGMENT_NONE
from sgsim.reference.comparison import Comparison
from sgsim.reference.exempt import exemption, holds
from sgsim.reference.truth import Truth
from sgsim.verdicts import Reason, Verdict

__all__ = ["Packet", "RuleAnswer", "judge"]


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet as plain values; addresses as integers, `family` 4 or 6.

    `srcport` and `dstport` are 0 where the protocol has none or the fragment does not carry them; ICMP fields are None
    where they are absent; `tcp_flags` the low eight bits; `fragment` one of FRAGMENT_*; `time_ns` since the epoch;
    `quote` the head of the packet that an ICMP error quotes.
    """

    family: int
    srcaddr: int
    dstaddr: int
    protocol: int
    srcport: int = 0
    dstport: int = 0
    icmp_type: int | None = None
    icmp_code: int | None = None
    icmp_id: int | None = None
    tcp_flags: int = 0
    fragment: int = FRAGMENT_NONE
    ip_id: int = 0
    time_ns: int = 0
    quote: Packet | None = None

    @property
    def source(self) -> Address:
        """The source address."""
        return Address(self.family, self.srcaddr)

    @property
    def destination(self) -> Address:
        """The destination address."""
        return Address(self.family, self.dstaddr)

    @property
    def later_fragment(self) -> bool:
        """Whether this is a fragment that carries neither ports nor ICMP type."""
        return self.fragment == FRAGMENT_LATER

    def remote(self, direction: Direction) -> Address:
        """The other end, as the rules of a direction see it (§0): source of ingress, destination of egress."""
        return self.source if direction is Direction.INGRESS else self.destination


class RuleAnswer(NamedTuple):
    """What the rules of one interface say of one packet.

    `rule_ids`: every rule that surely matches. `possible_rule_ids`: those that may match, only where `action` is
    UNKNOWN. `untracked`: a connection that this packet opens is not tracked (§2.1).
    """

    action: Verdict
    reason: Reason
    rule_ids: frozenset[str] = frozenset()
    possible_rule_ids: frozenset[str] = frozenset()
    deciding_rule_id: str | None = None
    untracked: bool = False


def judge(
    environment: Environment, semantics: Semantics, interface_id: str, direction: Direction, packet: Packet
) -> RuleAnswer:
    """What the rules of a known interface say of a packet that enters (INGRESS) or leaves (EGRESS) it.

    The order of the questions is that of docs/semantics.md §9.3: exempt, unfiltered, then the rules.
    """
    interface = environment.interfaces[interface_id]
    if semantics.exempt and exemption(environment, interface, direction, packet) is not None:
        return RuleAnswer(Verdict.ACCEPT, Reason.EXEMPT)
    if is_unfiltered(environment, semantics, interface, direction):
        return RuleAnswer(Verdict.ACCEPT, Reason.UNFILTERED)
    if not interface.group_ids:
        return RuleAnswer(Verdict.UNKNOWN, Reason.UNRESOLVED)

    sure: list[Comparison] = []
    possible: list[Comparison] = []
    for rule in rules_of(environment, interface, direction):
        comparison = Comparison.of(environment, semantics, interface, rule, packet)
        if comparison.truth is Truth.YES:
            sure.append(comparison)
        elif comparison.truth is Truth.MAYBE:
            possible.append(comparison)

    if sure:
        return RuleAnswer(
            Verdict.ACCEPT,
            Reason.RULE,
            frozenset(comparison.rule.rule_id for comparison in sure),
            deciding_rule_id=min(sure, key=deciding_order).rule.rule_id,
            untracked=is_untracked(environment, semantics, interface, direction, packet, sure),
        )
    if possible or undefined_groups(environment, interface):
        return RuleAnswer(
            Verdict.UNKNOWN,
            Reason.UNRESOLVED,
            possible_rule_ids=frozenset(comparison.rule.rule_id for comparison in possible),
        )
    return RuleAnswer(Verdict.REJECT, Reason.NO_RULE)


def rules_of(
    environment: Environment, interface: NetworkInterface, direction: Direction
) -> Iterator[SecurityGroupRule]:
    """Every rule of a direction of every group on the interface (§1.1): a union, in no particular order."""
    for group_id in sorted(set(interface.group_ids)):
        group = environment.groups.get(group_id)
        if group is not None:
            for rule in group.rules:
                if rule.direction == direction:
                    yield rule


def undefined_groups(environment: Environment, interface: NetworkInterface) -> list[str]:
    """Groups on the interface of which the input holds neither a definition nor a rule (§9.6)."""
    return [group_id for group_id in interface.group_ids if group_id not in environment.groups]


def is_unfiltered(
    environment: Environment, semantics: Semantics, interface: NetworkInterface, direction: Direction
) -> bool:
    """Gateway types without groups (§5.3), and the egress of EC2-Classic groups (§9.17)."""
    if not interface.group_ids:
        return interface.interface_type in UNFILTERED_INTERFACE_TYPES
    return semantics.exempt and direction is Direction.EGRESS and carries_classic_group(environment, interface)


def carries_classic_group(environment: Environment, interface: NetworkInterface) -> bool:
    """Whether a group of the interface is an EC2-Classic one."""
    groups = (environment.groups.get(group_id) for group_id in interface.group_ids)
    return any(group is not None and group.classic for group in groups)


def deciding_order(comparison: Comparison) -> tuple[int, int, str]:
    """Sort key of the rules that match a packet; the first decides (§9.9).

    Longest matched prefix first (a group reference comes after any prefix, /0 included), then the narrowest service,
    then the smallest rule id as text.
    """
    prefix_length = -1 if comparison.prefix_length is None else comparison.prefix_length
    return (-prefix_length, service_width(comparison.rule), comparison.rule.rule_id)


def service_width(rule: SecurityGroupRule) -> int:
    """How many destination ports, or ICMP types and codes, a rule admits (§9.9); all protocols is the widest."""
    if rule.protocol is None:
        return 1 << 17
    if rule.ports is not None:
        return rule.ports.last - rule.ports.first + 1
    if rule.icmp is not None and rule.icmp.type is not None:
        return 256 if rule.icmp.code is None else 1
    return 1 << 16


def is_untracked(
    environment: Environment,
    semantics: Semantics,
    interface: NetworkInterface,
    direction: Direction,
    packet: Packet,
    sure: list[Comparison],
) -> bool:
    """Whether a connection that this packet opens is not tracked (§2.1, §9.3)."""
    if not semantics.untracked_flows or packet.protocol not in (TCP, UDP):
        return False
    if not any(is_for_everyone(comparison.rule, packet.family) for comparison in sure):
        return False
    other = Direction.EGRESS if direction is Direction.INGRESS else Direction.INGRESS
    if not any(
        is_for_everyone(rule, packet.family) and is_for_all_ports(rule, packet.protocol)
        for rule in rules_of(environment, interface, other)
    ):
        return False
    return not is_auto_tracked(environment, interface, packet.remote(direction))


def is_for_everyone(rule: SecurityGroupRule, family: int) -> bool:
    """Whether the rule is for 0.0.0.0/0 or ::/0, literally; two halves or a prefix list with /0 are not (§9.3)."""
    return isinstance(rule.peer, CidrPeer) and rule.peer.cidr.family == family and rule.peer.cidr.prefix_length == 0


def is_for_all_ports(rule: SecurityGroupRule, protocol: int) -> bool:
    """Whether the rule admits every port of TCP or UDP."""
    return rule.protocol is None or (rule.protocol == protocol and rule.ports == ALL_PORTS)


def is_auto_tracked(environment: Environment, interface: NetworkInterface, remote: Address) -> bool:
    """Whether the type of either end says that its connections are always tracked (§2.1).

    The other end is whoever has the remote address in this interface's VPC; elsewhere the path is undetermined.
    """
    if interface.interface_type in AUTO_TRACKED_INTERFACE_TYPES:
        return True
    return any(
        other.vpc_id == interface.vpc_id
        and other.interface_type in AUTO_TRACKED_INTERFACE_TYPES
        and holds(other, remote)
        for other in environment.interfaces.values()
    )
