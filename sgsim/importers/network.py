"""Interfaces, VPCs and what lies around them: AWS's shapes → fields of the model.

Each function returns the fields that this description tells, and no others, so that the descriptions of two calls can
be merged by field (`merge.Views`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from sgsim.importers import aws_json
from sgsim.importers.problems import BadFieldError, shown
from sgsim.importers.rules import check_id
from sgsim.model import (
    Address,
    Cidr,
    ConnectionTrackingTimeouts,
    parse_address,
    parse_cidr,
    parse_mac,
)

__all__ = [
    "attachment_fields",
    "cidr_of",
    "interface_fields",
    "mirror_fields",
    "peering_fields",
    "prefix_list_fields",
    "region_of_arn",
    "region_of_zone",
    "subnet_fields",
    "vpc_fields",
]

Fields = dict[str, Any]

_Parsed = TypeVar("_Parsed")

#: `us-west-2a`, `us-gov-west-1b`, local zones `us-west-2-lax-1a`, wavelength zones `us-east-1-wl1-bos-wlz-1`.
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+?-\d+")
#: A block that is being added or has gone is not part of the VPC.
_BLOCK_STATES = frozenset({None, "associated", "disassociating"})
#: Attachments in other states carry no traffic.
_ATTACHMENT_STATES = frozenset({None, "available", "modifying", "rollingBack", "rolling_back", "pending"})


def region_of_zone(zone: str | None) -> str | None:
    """The Region of an availability, local or wavelength zone; None for a name of another form."""
    match = _REGION.match(zone) if zone else None
    return match.group() if match else None


def region_of_arn(arn: str | None) -> str | None:
    """The Region in `arn:aws:ec2:us-east-1:…`; None where there is none."""
    parts = arn.split(":", 4) if arn else []
    return parts[3] or None if len(parts) == 5 and parts[0] == "arn" else None


def cidr_of(text: str, path: str) -> Cidr:
    """A CIDR block of either family. Raises BadFieldError."""
    return _parse(parse_cidr, text, path, "a CIDR block")


def _parse(parse: Callable[[str], _Parsed], text: str, path: str, noun: str) -> _Parsed:
    try:
        return parse(text)
    except ValueError as error:  # ModelError is one
        problem = str(error) if type(error) is not ValueError and len(text) < 80 else f"{shown(text)} is not {noun}"
        raise BadFieldError(path, problem) from None


def _address(text: str, path: str, family: int) -> Address:
    address = _parse(parse_address, text, path, "an IP address")
    if address.family != family:
        raise BadFieldError(path, f"{shown(text)} is not an IPv{family} address")
    return address


def _block(text: str, path: str, family: int) -> Cidr:
    cidr = cidr_of(text, path)
    if cidr.family != family:
        raise BadFieldError(path, f"{shown(text)} is not an IPv{family} CIDR block")
    return cidr


def _told(**fields: Any) -> Fields:
    """The fields that have a value; empty text tells nothing."""
    return {name: value for name, value in fields.items() if value is not None and value != ""}


def name_tag(tags: Iterable[aws_json.Tag] | None) -> str | None:
    """The value of the tag `Name`, which is what people call a thing."""
    return next((tag.value for tag in tags or () if tag.key == "Name"), None)


def interface_fields(wire: aws_json.NetworkInterface) -> Fields:
    """Fields of NetworkInterface. Raises BadFieldError."""
    fields = _told(
        interface_id=check_id(wire.network_interface_id, "NetworkInterfaceId"),
        vpc_id=wire.vpc_id,
        subnet_id=wire.subnet_id,
        account_id=wire.owner_id,
        region=region_of_zone(wire.availability_zone),
        interface_type=wire.interface_type,
        instance_id=wire.attachment.instance_id if wire.attachment else None,
        description=wire.description,
        name=name_tag(wire.tag_set),
        mac=_parse(parse_mac, wire.mac_address, "MacAddress", "a MAC address") if wire.mac_address else None,
    )
    if wire.groups is not None:
        ids = [check_id(group.group_id, f"Groups[{index}].GroupId") for index, group in enumerate(wire.groups)]
        fields["group_ids"] = tuple(dict.fromkeys(ids))
    fields |= _interface_addresses(wire)
    if wire.ipv4_prefixes is not None or wire.ipv6_prefixes is not None:
        v4, v6 = wire.ipv4_prefixes or (), wire.ipv6_prefixes or ()
        fields["prefixes"] = (
            *(_block(p.ipv4_prefix, f"Ipv4Prefixes[{i}].Ipv4Prefix", 4) for i, p in enumerate(v4)),
            *(_block(p.ipv6_prefix, f"Ipv6Prefixes[{i}].Ipv6Prefix", 6) for i, p in enumerate(v6)),
        )
    if wire.connection_tracking_configuration is not None:
        fields["timeouts"] = _timeouts(wire.connection_tracking_configuration)
    return fields


def _interface_addresses(wire: aws_json.NetworkInterface) -> Fields:
    """Private addresses, the primary one first, and public ones."""
    private: list[Address] = []
    public = _public_addresses(wire.association, "Association")
    if wire.private_ip_address:
        private.append(_address(wire.private_ip_address, "PrivateIpAddress", 4))
    numbered = list(enumerate(wire.private_ip_addresses or ()))
    for index, entry in sorted(numbered, key=lambda pair: not pair[1].primary):
        path = f"PrivateIpAddresses[{index}]"
        if entry.private_ip_address:
            private.append(_address(entry.private_ip_address, f"{path}.PrivateIpAddress", 4))
        public += _public_addresses(entry.association, f"{path}.Association")
    if wire.ipv6_address:
        private.append(_address(wire.ipv6_address, "Ipv6Address", 6))
    for index, ipv6 in enumerate(wire.ipv6_addresses or ()):
        private.append(_address(ipv6.ipv6_address, f"Ipv6Addresses[{index}].Ipv6Address", 6))
    fields: Fields = {}
    if private:
        fields["addresses"] = tuple(dict.fromkeys(private))
    if public:
        fields["public_addresses"] = tuple(dict.fromkeys(public))
    return fields


def _public_addresses(association: aws_json.InterfaceAssociation | None, path: str) -> list[Address]:
    if association is None:
        return []
    texts = (
        ("PublicIp", association.public_ip),
        ("CarrierIp", association.carrier_ip),
        ("CustomerOwnedIp", association.customer_owned_ip),
    )
    return [_address(text, f"{path}.{key}", 4) for key, text in texts if text]


def _timeouts(wire: aws_json.ConnectionTracking) -> ConnectionTrackingTimeouts:
    for key, value in (
        ("TcpEstablishedTimeout", wire.tcp_established_timeout),
        ("UdpTimeout", wire.udp_timeout),
        ("UdpStreamTimeout", wire.udp_stream_timeout),
    ):
        if value is not None and not 0 < value <= 432_000:
            raise BadFieldError(
                f"ConnectionTrackingConfiguration.{key}", f"{shown(value)} seconds are not within 1 to 432000"
            )
    return ConnectionTrackingTimeouts(wire.tcp_established_timeout, wire.udp_timeout, wire.udp_stream_timeout)


def vpc_fields(wire: aws_json.Vpc) -> Fields:
    """Fields of Vpc: the primary range first, then further IPv4 ranges, then IPv6. Raises BadFieldError."""
    cidrs = [_block(wire.cidr_block, "CidrBlock", 4)] if wire.cidr_block else []
    for index, block in enumerate(wire.cidr_block_association_set):
        if (block.cidr_block_state.state if block.cidr_block_state else None) in _BLOCK_STATES:
            cidrs.append(_block(block.cidr_block, f"CidrBlockAssociationSet[{index}].CidrBlock", 4))
    cidrs.extend(_ipv6_blocks(wire.ipv6_cidr_block_association_set))
    return _told(
        vpc_id=check_id(wire.vpc_id, "VpcId"),
        account_id=wire.owner_id,
        is_default=wire.is_default,
        cidrs=tuple(dict.fromkeys(cidrs)) or None,
    )


def subnet_fields(wire: aws_json.Subnet) -> Fields:
    """Fields of Subnet. Raises BadFieldError."""
    cidrs = [_block(wire.cidr_block, "CidrBlock", 4)] if wire.cidr_block else []
    cidrs.extend(_ipv6_blocks(wire.ipv6_cidr_block_association_set))
    return _told(
        subnet_id=check_id(wire.subnet_id, "SubnetId"),
        vpc_id=wire.vpc_id,
        cidrs=tuple(cidrs) or None,
        region=region_of_arn(wire.subnet_arn) or region_of_zone(wire.availability_zone),
    )


def _ipv6_blocks(associations: Iterable[aws_json.Ipv6CidrBlockAssociation]) -> list[Cidr]:
    return [
        _block(block.ipv6_cidr_block, f"Ipv6CidrBlockAssociationSet[{index}].Ipv6CidrBlock", 6)
        for index, block in enumerate(associations)
        if (block.ipv6_cidr_block_state.state if block.ipv6_cidr_block_state else None) in _BLOCK_STATES
    ]


def prefix_list_fields(wire: aws_json.ManagedPrefixList) -> Fields:
    """Fields of PrefixList; entries only from the old shape, which has `Cidrs`. Raises BadFieldError."""
    families = {None: None, "IPv4": 4, "IPv6": 6}
    if wire.address_family not in families:
        raise BadFieldError("AddressFamily", f"{shown(wire.address_family)} is neither IPv4 nor IPv6")
    entries = None
    if wire.cidrs is not None:
        entries = tuple(cidr_of(text, f"Cidrs[{index}]") for index, text in enumerate(wire.cidrs))
    return _told(
        prefix_list_id=check_id(wire.prefix_list_id, "PrefixListId"),
        name=wire.prefix_list_name,
        family=families[wire.address_family],
        max_entries=wire.max_entries,
        account_id=wire.owner_id,
        entries=entries,
    )


def peering_fields(wire: aws_json.PeeringConnection) -> Fields:
    """Fields of VpcPeering."""
    requester, accepter = wire.requester_vpc_info, wire.accepter_vpc_info
    return _told(
        peering_id=check_id(wire.vpc_peering_connection_id, "VpcPeeringConnectionId"),
        requester_vpc_id=requester.vpc_id if requester else None,
        accepter_vpc_id=accepter.vpc_id if accepter else None,
        requester_region=requester.region if requester else None,
        accepter_region=accepter.region if accepter else None,
        status=wire.status.code if wire.status else None,
    )


def attachment_fields(wire: aws_json.TransitGatewayAttachment) -> Fields | None:
    """Fields of TransitGatewayAttachment, without the gateway's own say; None for what is not a VPC's attachment."""
    vpc_id = wire.vpc_id or (wire.resource_id if wire.resource_type in (None, "vpc") else None)
    if not vpc_id:
        return None
    return _told(
        attachment_id=check_id(wire.transit_gateway_attachment_id, "TransitGatewayAttachmentId"),
        transit_gateway_id=wire.transit_gateway_id,
        vpc_id=vpc_id,
        references=False if wire.state not in _ATTACHMENT_STATES else supports_references(wire.options, "Options"),
    )


def supports_references(options: aws_json.GatewayOptions | None, path: str) -> bool | None:
    """What a gateway or an attachment says of security-group referencing, None where it says nothing."""
    text = options.security_group_referencing_support if options else None
    if text not in (None, "enable", "disable"):
        raise BadFieldError(
            f"{path}.SecurityGroupReferencingSupport", f"{shown(text)} is neither 'enable' nor 'disable'"
        )
    return None if text is None else text == "enable"


def mirror_fields(wire: aws_json.MirrorSession) -> Fields:
    """Fields of MirrorSession. Raises BadFieldError."""
    if not 0 <= wire.virtual_network_id < 1 << 24:
        raise BadFieldError("VirtualNetworkId", f"{shown(wire.virtual_network_id)} is not within 0 to 16777215")
    return {
        "session_id": check_id(wire.traffic_mirror_session_id, "TrafficMirrorSessionId"),
        "interface_id": check_id(wire.network_interface_id, "NetworkInterfaceId"),
        "vni": wire.virtual_network_id,
    }
