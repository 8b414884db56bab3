"""Rules as AWS writes them → SecurityGroupRule.

Here `-1`, protocol names and the double meaning of `FromPort` and `ToPort` end (docs/semantics.md §1.2, §1.3).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sgsim.errors import ModelError
from sgsim.importers import aws_json
from sgsim.importers.problems import BadFieldError, shown
from sgsim.model import (
    ICMP,
    ICMPV6,
    TCP,
    UDP,
    CidrPeer,
    Direction,
    GroupPeer,
    IcmpType,
    Peer,
    PortRange,
    PrefixListPeer,
    SecurityGroupRule,
    parse_cidr,
    protocol_name,
)

__all__ = ["RuleReader", "merge_group_peers"]

_PROTOCOL_NUMBERS = {"tcp": TCP, "udp": UDP, "icmp": ICMP, "icmpv6": ICMPV6}
_DIRECTION_WORDS = {Direction.INGRESS: "ingress", Direction.EGRESS: "egress"}


#: A peer and its canonical text.
_Named = tuple[Peer, str]
#: GroupId, UserId, VpcId, VpcPeeringConnectionId, PeeringStatus.
_GroupKey = tuple[str | None, str | None, str | None, str | None, str | None]


class _Service(NamedTuple):
    """Protocol and ports or type; `label` is canonical text for the derived id. `exists` False: matches nothing."""

    protocol: int | None
    ports: PortRange | None
    icmp: IcmpType | None
    label: str
    exists: bool = True


class RuleReader:
    """Reads rules of both describe shapes; equal services and peers become one object.

    `impossible` counts rules that AWS cannot hold and that match nothing (all ICMP types with one code).
    """

    def __init__(self) -> None:
        self.impossible = 0
        self._services: dict[tuple[str, int | None, int | None], _Service] = {}
        self._ipv4: dict[str, _Named] = {}
        self._ipv6: dict[str, _Named] = {}
        self._prefix_lists: dict[str, _Named] = {}
        self._groups: dict[_GroupKey, _Named] = {}

    @property
    def prefix_list_ids(self) -> Iterable[str]:
        """The prefix lists that rules refer to."""
        return self._prefix_lists.keys()

    def group_rules(self, group: aws_json.SecurityGroup) -> dict[str, SecurityGroupRule]:
        """The rules of a described group, keyed by derived id.

        The id is the rule's content, so that it stays the same in every export: `sg-1/ingress/tcp/443/10.0.0.0/8`.
        Raises BadFieldError.
        """
        rules: dict[str, SecurityGroupRule] = {}
        for direction, key, permissions in (
            (Direction.INGRESS, "IpPermissions", group.ip_permissions),
            (Direction.EGRESS, "IpPermissionsEgress", group.ip_permissions_egress),
        ):
            index = 0
            try:
                for index, permission in enumerate(permissions):  # noqa: B007  the handler needs the index
                    self._permission_rules(group.group_id, direction, permission, rules)
            except BadFieldError as bad:
                raise bad.under(f"{key}[{index}]") from None
        return rules

    def _permission_rules(
        self,
        group_id: str,
        direction: Direction,
        permission: aws_json.IpPermission,
        rules: dict[str, SecurityGroupRule],
    ) -> None:
        """Add the rules of one IpPermission, one for each of its peers."""
        first, last = permission.from_port, permission.to_port
        key = (permission.ip_protocol, first, last)
        protocol, ports, icmp, label, exists = self._services.get(key) or self._service(*key)
        peers = self._permission_peers(permission)
        if not peers:
            raise BadFieldError("", "the rule names no peer (no CIDR block, prefix list or group)")
        if not exists:
            self.impossible += len(peers)
            return
        stem = f"{group_id}/{_DIRECTION_WORDS[direction]}/{label}/"
        for (peer, text), description in peers:
            rule_id = stem + text
            if rule_id not in rules:
                rules[rule_id] = SecurityGroupRule(
                    rule_id, group_id, direction, protocol, peer, ports, icmp, description or ""
                )

    def _permission_peers(self, permission: aws_json.IpPermission) -> list[tuple[_Named, str | None]]:
        """Peers with their canonical text, and the descriptions. Paths are only made for peers not met before."""
        peers: list[tuple[_Named, str | None]] = []
        known = self._ipv4
        for index, ipv4 in enumerate(permission.ip_ranges):
            peer = known.get(ipv4.cidr_ip) or self._cidr(4, ipv4.cidr_ip, f"IpRanges[{index}].CidrIp")
            peers.append((peer, ipv4.description))
        known = self._ipv6
        for index, ipv6 in enumerate(permission.ipv6_ranges):
            peer = known.get(ipv6.cidr_ipv6) or self._cidr(6, ipv6.cidr_ipv6, f"Ipv6Ranges[{index}].CidrIpv6")
            peers.append((peer, ipv6.description))
        for index, entry in enumerate(permission.prefix_list_ids):
            peer = self._prefix_list(entry.prefix_list_id, f"PrefixListIds[{index}].PrefixListId")
            peers.append((peer, entry.description))
        for index, pair in enumerate(permission.user_id_group_pairs):
            key = (pair.group_id, pair.user_id, pair.vpc_id, pair.vpc_peering_connection_id, pair.peering_status)
            peer = self._groups.get(key) or self._group(key, f"UserIdGroupPairs[{index}]")
            peers.append((peer, pair.description))
        return peers

    def single_rule(self, wire: aws_json.SecurityGroupRule) -> tuple[str, SecurityGroupRule] | None:
        """A rule of `describe-security-group-rules` and the id that `group_rules` derives for the same content.

        None for a rule that matches nothing. Raises BadFieldError.
        """
        key = (wire.ip_protocol, wire.from_port, wire.to_port)
        protocol, ports, icmp, label, exists = self._services.get(key) or self._service(*key)
        peer, text = self._single_peer(wire)
        if not exists:
            self.impossible += 1
            return None
        direction = Direction.EGRESS if wire.is_egress else Direction.INGRESS
        content_id = f"{wire.group_id}/{_DIRECTION_WORDS[direction]}/{label}/{text}"
        rule_id = check_id(wire.security_group_rule_id, "SecurityGroupRuleId")
        return content_id, SecurityGroupRule(
            rule_id, wire.group_id, direction, protocol, peer, ports, icmp, wire.description or ""
        )

    def _single_peer(self, wire: aws_json.SecurityGroupRule) -> _Named:
        peers: list[_Named] = []
        if wire.cidr_ipv4 is not None:
            peers.append(self._ipv4.get(wire.cidr_ipv4) or self._cidr(4, wire.cidr_ipv4, "CidrIpv4"))
        if wire.cidr_ipv6 is not None:
            peers.append(self._ipv6.get(wire.cidr_ipv6) or self._cidr(6, wire.cidr_ipv6, "CidrIpv6"))
        if wire.prefix_list_id is not None:
            peers.append(self._prefix_list(wire.prefix_list_id, "PrefixListId"))
        if (pair := wire.referenced_group_info) is not None:
            key = (pair.group_id, pair.user_id, pair.vpc_id, pair.vpc_peering_connection_id, pair.peering_status)
            peers.append(self._groups.get(key) or self._group(key, "ReferencedGroupInfo"))
        if not peers:
            choice = "CidrIpv4, CidrIpv6, PrefixListId or ReferencedGroupInfo"
            raise BadFieldError("", f"the rule names no peer ({choice})")
        if len(peers) > 1:
            raise BadFieldError("", "the rule names more than one peer")
        return peers[0]

    def _service(self, protocol: str, first: int | None, last: int | None) -> _Service:
        service = self._services[protocol, first, last] = _read_service(protocol, first, last)
        return service

    def _cidr(self, family: int, text: str, path: str) -> _Named:
        try:
            cidr = parse_cidr(text)
        except ModelError as error:
            raise BadFieldError(path, str(error)) from None
        except ValueError:
            raise BadFieldError(path, f"{shown(text)} is not a CIDR block") from None
        if cidr.family != family:
            raise BadFieldError(path, f"{shown(text)} is not an IPv{family} CIDR block")
        # A single IPv4 address has one spelling; formatting half a million of them anew took half a second.
        named = CidrPeer(cidr), text if family == 4 and text.endswith("/32") else str(cidr)
        (self._ipv4 if family == 4 else self._ipv6)[text] = named
        return named

    def _prefix_list(self, list_id: str, path: str) -> _Named:
        named = self._prefix_lists.get(list_id)
        if named is None:
            named = self._prefix_lists[list_id] = PrefixListPeer(check_id(list_id, path)), list_id
        return named

    def _group(self, key: _GroupKey, path: str) -> _Named:
        group_id, *told = key
        if group_id is None:
            raise BadFieldError(path, "the group has no GroupId")
        peer = GroupPeer(check_id(group_id, f"{path}.GroupId"), *(text or None for text in told))
        self._groups[key] = peer, group_id
        return peer, group_id


def check_id(text: str, path: str) -> str:
    """An identifier: any printable text without spaces. Raises BadFieldError."""
    if not text or not text.isprintable() or " " in text:
        raise BadFieldError(path, f"{shown(text)} is not an identifier")
    return text


def merge_group_peers(one: Peer, other: Peer) -> Peer | None:
    """The peer of one rule told by two views, with what either tells; None if they contradict each other."""
    if not (isinstance(one, GroupPeer) and isinstance(other, GroupPeer)):
        return one if one == other else None
    told = []
    for name in GroupPeer.__struct_fields__:
        first, second = getattr(one, name), getattr(other, name)
        if first is not None and second is not None and first != second:
            return None
        told.append(first if first is not None else second)
    return GroupPeer(*told)


def _read_service(text: str, first: int | None, last: int | None) -> _Service:
    """IpProtocol, FromPort and ToPort → what the rule matches (docs/semantics.md §1.2)."""
    protocol = _read_protocol(text)
    if protocol in (TCP, UDP):
        ports = _read_ports(protocol_name(protocol), first, last)
        span = f"{ports.first}" if ports.first == ports.last else f"{ports.first}-{ports.last}"
        return _Service(protocol, ports, None, f"{protocol_name(protocol)}/{span}")
    if protocol in (ICMP, ICMPV6):
        return _read_icmp(protocol, first, last)
    return _Service(protocol, None, None, protocol_name(protocol))


def _read_protocol(text: str) -> int | None:
    if text == "-1":
        return None
    if text in _PROTOCOL_NUMBERS:
        return _PROTOCOL_NUMBERS[text]
    if not (text.isascii() and text.isdigit()):
        raise BadFieldError(
            "IpProtocol",
            f"{shown(text)} is not a protocol",
            "use -1, tcp, udp, icmp, icmpv6 or a number from 0 to 255, as AWS does",
        )
    if len(text) > 3 or int(text) > 255:
        raise BadFieldError("IpProtocol", f"protocol {shown(text)} is outside 0 to 255")
    return int(text)


def _read_ports(name: str, first: int | None, last: int | None) -> PortRange:
    """Both ends are needed; -1 stands for no limit on that side, as in exports of old tools."""
    for key, value in (("FromPort", first), ("ToPort", last)):
        if value is None:
            raise BadFieldError(key, f"a {name} rule needs FromPort and ToPort")
        if not -1 <= value <= 65535:
            raise BadFieldError(key, f"port {shown(value)} is outside 0 to 65535")
    assert first is not None and last is not None
    first, last = max(first, 0), 65535 if last == -1 else last
    if first > last:
        raise BadFieldError("FromPort", f"port {first} is above ToPort {last}")
    return PortRange(first, last)


def _read_icmp(protocol: int, type_: int | None, code: int | None) -> _Service:
    """FromPort is the type and ToPort the code, not a range; ICMPv6 may leave both out."""
    name = protocol_name(protocol)
    if protocol == ICMPV6 and type_ is None and code is None:
        type_ = code = -1
    for key, value in (("FromPort", type_), ("ToPort", code)):
        if value is None:
            raise BadFieldError(key, f"an {name} rule needs a type in FromPort and a code in ToPort (-1 means all)")
        if not -1 <= value <= 255:
            raise BadFieldError(key, f"ICMP type or code {shown(value)} is outside -1 to 255")
    if type_ == -1:
        return _Service(protocol, None, IcmpType(None, None), f"{name}", exists=code == -1)
    icmp = IcmpType(type_, None if code == -1 else code)
    return _Service(protocol, None, icmp, f"{name}/{type_}/{'any' if code == -1 else code}")
