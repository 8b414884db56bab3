"""The rules in a request, checked as AWS checks them (docs/semantics.md §1.2, §1.3, §1.10) → SecurityGroupRule.

Exports are read more kindly (`rules.py`): what AWS has stored it has accepted.
"""

from __future__ import annotations

from collections.abc import Callable

from sgsim.errors import ModelError
from sgsim.importers.problems import shown
from sgsim.importers.requests import BadRequestError, Pair, Permission, RuleBody
from sgsim.model import (
    ICMP,
    ICMPV6,
    TCP,
    UDP,
    Cidr,
    CidrPeer,
    Direction,
    GroupPeer,
    IcmpType,
    Peer,
    PortRange,
    PrefixListPeer,
    SecurityGroupRule,
    parse_cidr,
)

__all__ = ["body_rule", "check_text", "cidr_in", "permission_rules"]

_PROTOCOLS = {"-1": None, "tcp": TCP, "udp": UDP, "icmp": ICMP, "icmpv6": ICMPV6}
_TEXT = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._-:/()#,@[]+=&;{}!$*")
_VALUE, _MALFORMED, _MISSING = "InvalidParameterValue", "InvalidPermission.Malformed", "MissingParameter"

#: Protocol, ports, ICMP type: what a rule is beside direction and peer.
_Service = tuple[int | None, PortRange | None, IcmpType | None]


def permission_rules(
    group_id: str, direction: Direction, permission: Permission, group_of: Callable[[Pair], str]
) -> list[SecurityGroupRule]:
    """The rules of one IpPermission, one for each peer, without ids. `group_of` finds a peer's group by its name.

    Raises BadRequestError.
    """
    protocol, ports, icmp = _service(permission.ip_protocol, permission.from_port, permission.to_port)
    peers: list[tuple[Peer, str | None, str]] = []
    for index, v4 in enumerate(permission.ip_ranges):
        path = f"IpRanges[{index}]"
        peers.append((CidrPeer(cidr_in(v4.cidr_ip, f"{path}.CidrIp", 4)), v4.description, path))
    for index, v6 in enumerate(permission.ipv6_ranges):
        path = f"Ipv6Ranges[{index}]"
        peers.append((CidrPeer(cidr_in(v6.cidr_ipv6, f"{path}.CidrIpv6", 6)), v6.description, path))
    for index, entry in enumerate(permission.prefix_list_ids):
        path = f"PrefixListIds[{index}]"
        peers.append((PrefixListPeer(_identifier(entry.prefix_list_id, path)), entry.description, path))
    for index, pair in enumerate(permission.user_id_group_pairs):
        path = f"UserIdGroupPairs[{index}]"
        try:
            peers.append((_group_peer(pair, group_of), pair.description, path))
        except BadRequestError as bad:
            raise bad.under(path) from None
    if not peers:
        problem = "Missing source specification: include source security group or CIDR information"
        raise BadRequestError("", problem, _MISSING)
    for _, description, path in peers:
        check_text(description, f"{path}.Description")
    return [
        SecurityGroupRule("", group_id, direction, protocol, peer, ports, icmp, description or "")
        for peer, description, _ in peers
    ]


def body_rule(group_id: str, direction: Direction, body: RuleBody) -> SecurityGroupRule:
    """The rule that ModifySecurityGroupRules makes of one. Raises BadRequestError."""
    if body.ip_protocol == "-1" and not {body.from_port, body.to_port} <= {None, -1, 0}:
        raise BadRequestError("FromPort", "You may not specify all protocols and specific ports.", _VALUE)
    if body.ip_protocol is None:
        problem = "Invalid value 'null' for protocol. VPC security group rules must specify protocols explicitly."
        raise BadRequestError("IpProtocol", problem, _VALUE)
    protocol, ports, icmp = _service(body.ip_protocol, body.from_port, body.to_port)
    peers: list[Peer] = []
    if body.cidr_ipv4 is not None:
        peers.append(CidrPeer(cidr_in(body.cidr_ipv4, "CidrIpv4", 4)))
    if body.cidr_ipv6 is not None:
        peers.append(CidrPeer(cidr_in(body.cidr_ipv6, "CidrIpv6", 6)))
    if body.prefix_list_id is not None:
        peers.append(PrefixListPeer(_identifier(body.prefix_list_id, "PrefixListId")))
    if body.referenced_group_id is not None:
        peers.append(GroupPeer(_identifier(body.referenced_group_id, "ReferencedGroupId")))
    if not peers:
        problem = "The request must contain exactly one of: cidrIpv4, cidrIpv6, prefixListId, or referencedGroupId"
        raise BadRequestError("", problem, _MISSING)
    if len(peers) > 1:
        problem = "Only one of cidrIp, cidrIpv6, prefixListId, or referencedGroupId can be specified"
        raise BadRequestError("", problem, "InvalidParameterCombination")
    check_text(body.description, "Description")
    return SecurityGroupRule("", group_id, direction, protocol, peers[0], ports, icmp, body.description or "")


def cidr_in(text: str, path: str, family: int | None = None) -> Cidr:
    """A canonical CIDR block; host bits are masked, as AWS does. Raises BadRequestError."""
    try:
        cidr = parse_cidr(text)
    except (ModelError, ValueError):
        cidr = None
    if cidr is None or family not in (None, cidr.family):
        raise BadRequestError(path, f"CIDR block {shown(text)} is malformed", _VALUE)
    return cidr


def check_text(text: str | None, path: str) -> None:
    """A description has at most 255 characters of those that AWS allows. Raises BadRequestError."""
    if text and (len(text) > 255 or not _TEXT.issuperset(text)):
        problem = "Invalid rule description. Valid are up to 255 of a-z, A-Z, 0-9, space, ._-:/()#,@[]+=&;{}!$*"
        raise BadRequestError(path, problem, _VALUE)


def _identifier(text: str, path: str) -> str:
    if not text or not text.isprintable() or " " in text:
        raise BadRequestError(path, f"Invalid id: {shown(text)}", _VALUE)
    return text


def _group_peer(pair: Pair, group_of: Callable[[Pair], str]) -> GroupPeer:
    if pair.group_id is None and pair.group_name is None:
        raise BadRequestError("", "Source group ID missing.", _MISSING)
    group_id = _identifier(pair.group_id, "GroupId") if pair.group_id is not None else group_of(pair)
    return GroupPeer(
        group_id,
        pair.user_id or None,
        pair.vpc_id or None,
        pair.vpc_peering_connection_id or None,
        pair.peering_status or None,
    )


def _service(text: str | None, first: int | None, last: int | None) -> _Service:
    if text is None:
        problem = "Invalid value 'null' for protocol. VPC security group rules must specify protocols explicitly."
        raise BadRequestError("IpProtocol", problem, _VALUE)
    if text in _PROTOCOLS:
        protocol = _PROTOCOLS[text]
    elif text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 255:
        protocol = int(text)
    else:
        raise BadRequestError("IpProtocol", f"Invalid value {shown(text)} for IP protocol. Unknown protocol.", _VALUE)
    if protocol in (TCP, UDP):
        return protocol, _ports(first, last), None
    if protocol in (ICMP, ICMPV6):
        return protocol, None, _icmp(protocol, first, last)
    return protocol, None, None


def _ports(first: int | None, last: int | None) -> PortRange:
    if first is None or last is None:
        problem = "Invalid value for portRange. Must specify both from and to ports with TCP/UDP."
        raise BadRequestError("FromPort" if first is None else "ToPort", problem, _VALUE)
    for key, port in (("FromPort", first), ("ToPort", last)):
        if not 0 <= port <= 65535:
            raise BadRequestError(key, f"TCP/UDP port ({shown(port)}) out of range", _MALFORMED)
    if first > last:
        raise BadRequestError("FromPort", f"Invalid TCP/UDP port range ({first}:{last})", _VALUE)
    return PortRange(first, last)


def _icmp(protocol: int, type_: int | None, code: int | None) -> IcmpType:
    if protocol == ICMPV6 and type_ is None and code is None:
        return IcmpType(None, None)
    if type_ is None or code is None:
        problem = "Invalid value for portRange. Must specify both from and to ports with ICMP."
        raise BadRequestError("FromPort" if type_ is None else "ToPort", problem, _VALUE)
    for key, noun, number in (("FromPort", "type", type_), ("ToPort", "code", code)):
        if not -1 <= number <= 255:
            raise BadRequestError(key, f"ICMP {noun} ({shown(number)}) out of range", _VALUE)
    if type_ == -1 and code != -1:
        raise BadRequestError("ToPort", f"ICMP code ({code}) cannot be given for all types (-1)", _VALUE)
    return IcmpType(None if type_ == -1 else type_, None if code == -1 else code)
