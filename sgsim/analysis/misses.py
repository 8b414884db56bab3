"""Rules that nearly match: what keeps each from matching, and which is nearest."""

from __future__ import annotations

from collections.abc import Iterable

from sgsim.analysis.explanation import RuleExplanation
from sgsim.model import ALL_PORTS, TCP, UDP, CidrPeer, Direction, SecurityGroupRule
from sgsim.reference import Packet
from sgsim.reference.comparison import Comparison
from sgsim.reference.truth import Truth

__all__ = ["near_misses", "unmatched_fields"]


def near_misses(compared: Iterable[Comparison], packet: Packet, limit: int) -> tuple[RuleExplanation, ...]:
    """The rules that do not match, nearest first: fewest fields missed, then the smallest distance in them."""
    missed = [comparison for comparison in compared if comparison.truth is Truth.NO]
    missed.sort(key=lambda comparison: distance(comparison, packet))
    return tuple(explained(comparison, packet) for comparison in missed[:limit])


def explained(comparison: Comparison, packet: Packet) -> RuleExplanation:
    """A rule that does not match, and why."""
    rule = comparison.rule
    return RuleExplanation(
        rule_id=rule.rule_id,
        group_id=rule.group_id,
        direction=rule.direction.name.lower(),
        service=rule.service,
        peer=str(rule.peer),
        matches="no",
        but_for=unmatched_fields(comparison, packet),
        note=comparison.note if comparison.remote is Truth.NO else "",
        description=rule.description,
    )


def unmatched_fields(comparison: Comparison, packet: Packet) -> tuple[str, ...]:
    """The fields that keep a rule from matching or, if none does, that leave it undecided."""
    decisive = Truth.NO if comparison.truth is Truth.NO else Truth.MAYBE
    rule = comparison.rule
    fields = []
    if comparison.protocol is decisive:
        fields.append("protocol")
    if comparison.service is decisive or services_differ_in_kind(rule, packet):
        fields.append("type" if rule.icmp is not None else "port")
    if comparison.remote is decisive:
        fields.append("source" if rule.direction is Direction.INGRESS else "destination")
    return tuple(fields)


def services_differ_in_kind(rule: SecurityGroupRule, packet: Packet) -> bool:
    """Whether a rule for some ports meets a packet that has none, or one for a type a packet without types."""
    if rule.protocol is None or rule.protocol == packet.protocol:
        return False
    if rule.ports is not None:
        return rule.ports != ALL_PORTS and packet.protocol not in (TCP, UDP)
    return rule.icmp is not None and rule.icmp.type is not None


def distance(comparison: Comparison, packet: Packet) -> tuple[int, bool, bool, bool, int, int, str]:
    """Sort key, smallest first.

    How many fields are missed; who misses only the address comes before who misses the port, and that before the
    protocol (a rule for the very service, but for others, is what people look for); a sure address before a possible
    one; bits by which the address leaves the block; ports to the range; rule id.
    """
    rule = comparison.rule
    fields = unmatched_fields(comparison, packet)
    bits = bits_outside(rule, packet) if comparison.remote is Truth.NO else 0
    ports = 0
    if "port" in fields and rule.ports is not None and packet.protocol in (TCP, UDP):
        ports = max(rule.ports.first - packet.dstport, packet.dstport - rule.ports.last, 0)
    return (
        len(fields),
        "protocol" in fields,
        not {"port", "type"}.isdisjoint(fields),
        comparison.remote is Truth.MAYBE,
        bits,
        ports,
        rule.rule_id,
    )


def bits_outside(rule: SecurityGroupRule, packet: Packet) -> int:
    """How many bits shorter the block would have to be to hold the remote address; far more for other peers."""
    remote = packet.remote(rule.direction)
    if not isinstance(rule.peer, CidrPeer):
        return 64
    cidr = rule.peer.cidr
    if cidr.family != remote.family:
        return 256
    width = 32 if cidr.family == 4 else 128
    common = width - (cidr.network ^ remote.value).bit_length()
    return cidr.prefix_length - common
