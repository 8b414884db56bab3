"""What makes a rule that rule: everything but its id and description (docs/semantics.md §1.6)."""

from __future__ import annotations

from sgsim.model.rules import (
    CidrPeer,
    Direction,
    GroupPeer,
    Peer,
    PrefixListPeer,
    SecurityGroupRule,
    protocol_name,
)

__all__ = ["content_id", "described", "rule_content", "same_content", "same_peer"]

_DIRECTIONS = {Direction.INGRESS: "ingress", Direction.EGRESS: "egress"}


def same_peer(one: Peer, other: Peer) -> bool:
    """Whether two peers are one; a group is known by its id, whatever else the rules tell of it."""
    if type(one) is not type(other):
        return False
    if isinstance(one, GroupPeer):
        assert isinstance(other, GroupPeer)
        return one.group_id == other.group_id
    return one == other


def same_content(one: SecurityGroupRule, other: SecurityGroupRule) -> bool:
    """Whether AWS would call one a duplicate of the other, both in one group."""
    return (
        one.protocol == other.protocol
        and one.ports == other.ports
        and one.direction == other.direction
        and one.icmp == other.icmp
        and same_peer(one.peer, other.peer)
    )


def rule_content(rule: SecurityGroupRule) -> tuple[object, ...]:
    """A key that two rules of a group share exactly if `same_content` holds."""
    match rule.peer:
        case CidrPeer(cidr):
            peer: object = cidr
        case PrefixListPeer(list_id):
            peer = ("list", list_id)
        case GroupPeer(group_id):
            peer = ("group", group_id)
    return rule.direction, rule.protocol, rule.ports, rule.icmp, peer


def content_id(rule: SecurityGroupRule) -> str:
    """The id of a rule that AWS has given none: `sg-1/ingress/tcp/443/10.0.0.0/8`.

    Importers derive the same, so that a rule added by a change is the rule that a later export describes.
    """
    service = protocol_name(rule.protocol)
    if rule.ports is not None:
        first, last = rule.ports
        service += f"/{first}" if first == last else f"/{first}-{last}"
    elif rule.icmp is not None and rule.icmp.type is not None:
        service += f"/{rule.icmp.type}/{'any' if rule.icmp.code is None else rule.icmp.code}"
    return f"{rule.group_id}/{_DIRECTIONS[rule.direction]}/{service}/{rule.peer}"


def described(rule: SecurityGroupRule) -> str:
    """The rule as AWS's error messages have it: `peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW`."""
    name = protocol_name(rule.protocol)
    if rule.ports is not None:
        service = f"{name.upper()}, from port: {rule.ports.first}, to port: {rule.ports.last}"
    elif rule.icmp is not None:
        type_, code = (-1 if part is None else part for part in rule.icmp)
        service = f"{name.upper()}, type: {type_}, code: {code}"
    elif rule.protocol is None:
        service = "ALL"
    else:
        service = f"protocol: {name}"
    return f"peer: {rule.peer}, {service}, ALLOW"
