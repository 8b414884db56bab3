"""Network ACLs: AWS's shape → fields of the model."""

from __future__ import annotations

from typing import Any

from sgsim.importers import aws_json
from sgsim.importers.network import cidr_of
from sgsim.importers.problems import BadFieldError, shown
from sgsim.importers.rules import check_id
from sgsim.model import ICMP, ICMPV6, TCP, UDP, Direction, IcmpType, PortRange
from sgsim.model.acls import NetworkAclEntry

__all__ = ["network_acl_fields"]

_ACTIONS = {"allow": True, "deny": False}


def network_acl_fields(wire: aws_json.NetworkAcl) -> dict[str, Any]:
    """Fields of NetworkAcl. Raises BadFieldError."""
    entries = []
    for index, entry in enumerate(wire.entries):
        try:
            entries.append(_entry(entry))
        except BadFieldError as bad:
            raise bad.under(f"Entries[{index}]") from None
    subnets = {association.subnet_id for association in wire.associations if association.subnet_id}
    fields: dict[str, Any] = {
        "network_acl_id": check_id(wire.network_acl_id, "NetworkAclId"),
        "entries": tuple(sorted(entries, key=lambda entry: (entry.direction, entry.number))),
        "subnet_ids": tuple(sorted(subnets)),
        "is_default": bool(wire.is_default),
    }
    return fields if wire.vpc_id is None else fields | {"vpc_id": wire.vpc_id}


def _entry(wire: aws_json.NetworkAclEntry) -> NetworkAclEntry:
    protocol = _protocol(wire.protocol)
    block, path = (wire.cidr_block, "CidrBlock") if wire.cidr_block else (wire.ipv6_cidr_block, "Ipv6CidrBlock")
    if not block:
        raise BadFieldError("CidrBlock", "the entry has neither CidrBlock nor Ipv6CidrBlock")
    if wire.rule_action not in _ACTIONS:
        raise BadFieldError("RuleAction", f"{shown(wire.rule_action)} is neither allow nor deny")
    return NetworkAclEntry(
        wire.rule_number,
        Direction.EGRESS if wire.egress else Direction.INGRESS,
        _ACTIONS[wire.rule_action],
        protocol,
        cidr_of(block, path),
        _ports(wire) if protocol in (TCP, UDP) else None,
        _icmp(wire) if protocol in (ICMP, ICMPV6) else None,
    )


def _protocol(text: str) -> int | None:
    if text == "-1":
        return None
    if text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 255:
        return int(text)
    raise BadFieldError("Protocol", f"{shown(text)} is not a protocol number")


def _ports(wire: aws_json.NetworkAclEntry) -> PortRange | None:
    if wire.port_range is None or wire.port_range.first is None or wire.port_range.to is None:
        return None
    first, last = wire.port_range.first, wire.port_range.to
    if not 0 <= first <= last <= 65535:
        raise BadFieldError("PortRange", f"ports {first} to {last} are not a range within 0 to 65535")
    return PortRange(first, last)


def _icmp(wire: aws_json.NetworkAclEntry) -> IcmpType | None:
    if wire.icmp_type_code is None or wire.icmp_type_code.type in (None, -1):
        return None
    code = wire.icmp_type_code.code
    return IcmpType(wire.icmp_type_code.type, None if code == -1 else code)
