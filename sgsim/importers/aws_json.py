"""The shapes of AWS's describe calls. `FromPort`, `IpPermissions` and their like are words of this package alone.

msgspec fills these structures straight from the bytes and checks the types on the way. Field names are AWS's in snake
case (`ip_permissions` is `IpPermissions`); keys that are not listed are ignored, as are the many that sgsim does not
need. `None` and an absent key mean the same: this view does not tell (docs/environment.md).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from sgsim.importers.directory_json import DirectoryKeys

__all__ = [
    "COLLECTION_KEY",
    "LIST_KEYS",
    "Collection",
    "Document",
    "Instance",
    "InterfaceAssociation",
    "IpPermission",
    "ManagedPrefixList",
    "MirrorSession",
    "NetworkAcl",
    "NetworkAclEntry",
    "NetworkInterface",
    "PeeringConnection",
    "PrefixListEntry",
    "Reservation",
    "SecurityGroup",
    "SecurityGroupRule",
    "SecurityGroupVpcAssociation",
    "Subnet",
    "TransitGateway",
    "TransitGatewayAttachment",
    "Vpc",
    "kind_of_item",
]


class Wire(msgspec.Struct, rename="pascal", gc=False):
    """Base: keys in AWS's PascalCase, not tracked by the garbage collector (documents are trees)."""


class IpRange(Wire):
    cidr_ip: str
    description: str | None = None


class Ipv6Range(Wire):
    cidr_ipv6: str
    description: str | None = None


class PrefixListId(Wire):
    prefix_list_id: str
    description: str | None = None


class UserIdGroupPair(Wire):
    """The other group of a rule, in both describe shapes (`ReferencedGroupInfo` has the same keys)."""

    group_id: str | None = None
    user_id: str | None = None
    vpc_id: str | None = None
    vpc_peering_connection_id: str | None = None
    peering_status: str | None = None
    description: str | None = None


class IpPermission(Wire):
    ip_protocol: str
    from_port: int | None = None
    to_port: int | None = None
    ip_ranges: tuple[IpRange, ...] = ()
    ipv6_ranges: tuple[Ipv6Range, ...] = ()
    prefix_list_ids: tuple[PrefixListId, ...] = ()
    user_id_group_pairs: tuple[UserIdGroupPair, ...] = ()


class Tag(Wire):
    key: str | None = None
    value: str | None = None


class SecurityGroup(Wire):
    group_id: str
    group_name: str | None = None
    description: str | None = None
    owner_id: str | None = None
    vpc_id: str | None = None
    security_group_arn: str | None = None
    tags: tuple[Tag, ...] = ()
    ip_permissions: tuple[IpPermission, ...] = ()
    ip_permissions_egress: tuple[IpPermission, ...] = ()


class SecurityGroupRule(Wire):
    security_group_rule_id: str
    group_id: str
    is_egress: bool
    ip_protocol: str
    group_owner_id: str | None = None
    from_port: int | None = None
    to_port: int | None = None
    cidr_ipv4: str | None = None
    cidr_ipv6: str | None = None
    prefix_list_id: str | None = None
    referenced_group_info: UserIdGroupPair | None = None
    description: str | None = None
    security_group_rule_arn: str | None = None


class SecurityGroupVpcAssociation(Wire):
    group_id: str
    vpc_id: str
    state: str | None = None


class InterfaceAssociation(Wire):
    """The public side of a private address; the three addresses exclude each other."""

    public_ip: str | None = None
    carrier_ip: str | None = None
    customer_owned_ip: str | None = None


class PrivateIpAddress(Wire):
    private_ip_address: str | None = None
    primary: bool | None = None
    association: InterfaceAssociation | None = None


class Ipv6Address(Wire):
    ipv6_address: str


class Ipv4Prefix(Wire):
    ipv4_prefix: str


class Ipv6Prefix(Wire):
    ipv6_prefix: str


class GroupIdentifier(Wire):
    group_id: str


class Attachment(Wire):
    instance_id: str | None = None


class ConnectionTracking(Wire):
    tcp_established_timeout: int | None = None
    udp_timeout: int | None = None
    udp_stream_timeout: int | None = None


class NetworkInterface(Wire):
    network_interface_id: str
    owner_id: str | None = None
    vpc_id: str | None = None
    subnet_id: str | None = None
    availability_zone: str | None = None
    interface_type: str | None = None
    description: str | None = None
    mac_address: str | None = None
    groups: tuple[GroupIdentifier, ...] | None = None
    private_ip_address: str | None = None
    private_ip_addresses: tuple[PrivateIpAddress, ...] | None = None
    association: InterfaceAssociation | None = None
    ipv6_address: str | None = None
    ipv6_addresses: tuple[Ipv6Address, ...] | None = None
    ipv4_prefixes: tuple[Ipv4Prefix, ...] | None = None
    ipv6_prefixes: tuple[Ipv6Prefix, ...] | None = None
    attachment: Attachment | None = None
    connection_tracking_configuration: ConnectionTracking | None = None
    tag_set: tuple[Tag, ...] | None = None


class Placement(Wire):
    availability_zone: str | None = None


class InstanceState(Wire):
    name: str | None = None


class Instance(Wire):
    instance_id: str
    instance_type: str | None = None
    private_ip_address: str | None = None
    placement: Placement | None = None
    state: InstanceState | None = None
    network_interfaces: tuple[NetworkInterface, ...] = ()
    tags: tuple[Tag, ...] | None = None


class Reservation(Wire):
    owner_id: str | None = None
    instances: tuple[Instance, ...] = ()


class PrefixListEntry(Wire):
    cidr: str


class ManagedPrefixList(Wire):
    """Both `describe-managed-prefix-lists` and the older `describe-prefix-lists`, which alone has `Cidrs`."""

    prefix_list_id: str
    prefix_list_name: str | None = None
    address_family: str | None = None
    max_entries: int | None = None
    owner_id: str | None = None
    cidrs: tuple[str, ...] | None = None


class BlockState(Wire):
    state: str | None = None


class CidrBlockAssociation(Wire):
    cidr_block: str
    cidr_block_state: BlockState | None = None


class Ipv6CidrBlockAssociation(Wire):
    ipv6_cidr_block: str
    ipv6_cidr_block_state: BlockState | None = None


class Vpc(Wire):
    vpc_id: str
    cidr_block: str | None = None
    owner_id: str | None = None
    is_default: bool | None = None
    cidr_block_association_set: tuple[CidrBlockAssociation, ...] = ()
    ipv6_cidr_block_association_set: tuple[Ipv6CidrBlockAssociation, ...] = ()


class Subnet(Wire):
    subnet_id: str
    vpc_id: str | None = None
    cidr_block: str | None = None
    ipv6_cidr_block_association_set: tuple[Ipv6CidrBlockAssociation, ...] = ()
    availability_zone: str | None = None
    subnet_arn: str | None = None


class PeeringVpc(Wire):
    vpc_id: str | None = None
    region: str | None = None


class PeeringStatus(Wire):
    code: str | None = None


class PeeringConnection(Wire):
    vpc_peering_connection_id: str
    requester_vpc_info: PeeringVpc | None = None
    accepter_vpc_info: PeeringVpc | None = None
    status: PeeringStatus | None = None


class GatewayOptions(Wire):
    security_group_referencing_support: str | None = None


class TransitGateway(Wire):
    transit_gateway_id: str
    options: GatewayOptions | None = None


class TransitGatewayAttachment(Wire):
    """Both `describe-transit-gateway-attachments` (ResourceId) and `…-vpc-attachments` (VpcId, Options)."""

    transit_gateway_attachment_id: str
    transit_gateway_id: str | None = None
    state: str | None = None
    vpc_id: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    options: GatewayOptions | None = None


class MirrorSession(Wire):
    traffic_mirror_session_id: str
    network_interface_id: str
    virtual_network_id: int


class AclAssociation(Wire):
    subnet_id: str | None = None


class AclPorts(Wire):
    first: int | None = msgspec.field(default=None, name="From")
    to: int | None = None


class AclIcmp(Wire):
    type: int | None = None
    code: int | None = None


class NetworkAclEntry(Wire):
    """`protocol` is a number as text; ports and ICMP are nested, unlike in a group's rules."""

    rule_number: int
    egress: bool
    protocol: str
    rule_action: str
    cidr_block: str | None = None
    ipv6_cidr_block: str | None = None
    port_range: AclPorts | None = None
    icmp_type_code: AclIcmp | None = None


class NetworkAcl(Wire):
    network_acl_id: str
    vpc_id: str | None = None
    is_default: bool | None = None
    associations: tuple[AclAssociation, ...] = ()
    entries: tuple[NetworkAclEntry, ...] = ()


class MissingListing(Wire):
    """A call that gave nothing: `key` is the top-level key that its output would have had."""

    call: str
    key: str
    reason: str = ""


class Collection(Wire):
    """What `sgsim collect` and `sgsim apply` note beside the listings of one Region; only the latter write `closed`."""

    collected_at: str | None = None
    account: str | None = None
    region: str | None = None
    closed: bool | None = None
    missing: tuple[MissingListing, ...] = ()


class Document(DirectoryKeys):
    """One file: any of the listings, also those of `DirectoryKeys`.

    `data` is the wrapper of recorded answers, `entries` need their list's id.
    """

    security_groups: tuple[SecurityGroup, ...] | UnsetType = UNSET
    security_group_rules: tuple[SecurityGroupRule, ...] | UnsetType = UNSET
    security_group_vpc_associations: tuple[SecurityGroupVpcAssociation, ...] | UnsetType = UNSET
    network_interfaces: tuple[NetworkInterface, ...] | UnsetType = UNSET
    reservations: tuple[Reservation, ...] | UnsetType = UNSET
    prefix_lists: tuple[ManagedPrefixList, ...] | UnsetType = UNSET
    vpcs: tuple[Vpc, ...] | UnsetType = UNSET
    subnets: tuple[Subnet, ...] | UnsetType = UNSET
    vpc_peering_connections: tuple[PeeringConnection, ...] | UnsetType = UNSET
    transit_gateways: tuple[TransitGateway, ...] | UnsetType = UNSET
    transit_gateway_attachments: tuple[TransitGatewayAttachment, ...] | UnsetType = UNSET
    transit_gateway_vpc_attachments: tuple[TransitGatewayAttachment, ...] | UnsetType = UNSET
    traffic_mirror_sessions: tuple[MirrorSession, ...] | UnsetType = UNSET
    network_acls: tuple[NetworkAcl, ...] | UnsetType = UNSET
    sgsim_collection: Collection | None = None
    entries: msgspec.Raw = msgspec.Raw()
    prefix_list_id: Any = None
    next_token: Any = None
    data: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw, name="data")


COLLECTION_KEY = "SgsimCollection"

#: Top-level key of each listing → field of Document, in the order in which an environment is put together.
LIST_KEYS: dict[str, str] = {
    key: field
    for key, field in zip(Document.__struct_encode_fields__, Document.__struct_fields__)
    if key not in ("SgsimCollection", "Entries", "PrefixListId", "NextToken", "data")
    and key not in DirectoryKeys.__struct_encode_fields__
}

#: A bare list is recognised by the keys of its first item; the first line whose keys are all present holds.
_ITEM_KEYS: tuple[tuple[str, frozenset[str]], ...] = tuple(
    (kind, frozenset(keys.split()))
    for kind, keys in (
        ("SecurityGroupRules", "SecurityGroupRuleId"),
        ("TrafficMirrorSessions", "TrafficMirrorSessionId"),
        ("NetworkInterfaces", "NetworkInterfaceId"),
        ("Reservations", "Instances"),
        ("Instances", "InstanceId"),
        ("VpcPeeringConnections", "VpcPeeringConnectionId"),
        ("TransitGatewayVpcAttachments", "TransitGatewayAttachmentId VpcId"),
        ("TransitGatewayAttachments", "TransitGatewayAttachmentId"),
        ("TransitGateways", "TransitGatewayId"),
        ("NetworkAcls", "NetworkAclId"),
        ("PrefixLists", "PrefixListId"),
        ("Subnets", "SubnetId"),
        ("SecurityGroups", "GroupId GroupName"),
        ("SecurityGroups", "GroupId IpPermissions"),
        ("SecurityGroupVpcAssociations", "GroupId VpcId State"),
        ("SecurityGroups", "GroupId"),
        ("Vpcs", "VpcId"),
        ("Entries", "Cidr"),
    )
)


def kind_of_item(keys: frozenset[str]) -> str | None:
    """The listing to which an item with these keys belongs, None if it is none that sgsim knows."""
    return next((kind for kind, needed in _ITEM_KEYS if needed <= keys), None)
