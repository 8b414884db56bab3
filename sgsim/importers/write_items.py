"""Things of the model → the objects that AWS prints of them; keys that would tell nothing are left out."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from sgsim.model import (
    Cidr,
    CidrPeer,
    Direction,
    GroupPeer,
    MirrorSession,
    NetworkInterface,
    PrefixList,
    PrefixListPeer,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    TransitGatewayAttachment,
    Vpc,
    VpcPeering,
    format_mac,
    protocol_name,
)
from sgsim.model.acls import NetworkAcl, NetworkAclEntry

__all__ = [
    "acl_item",
    "attachment_item",
    "entry_item",
    "gateway_item",
    "group_item",
    "interface_item",
    "mirror_item",
    "peering_item",
    "prefix_list_item",
    "rule_item",
    "service_keys",
    "subnet_item",
    "vpc_item",
]

Json = dict[str, Any]

_PEER_LISTS = ("UserIdGroupPairs", "IpRanges", "Ipv6Ranges", "PrefixListIds")


def _told(**fields: Any) -> Json:
    return {key: value for key, value in fields.items() if value is not None and value != "" and value != []}


def service_keys(rule: SecurityGroupRule) -> Json:
    """IpProtocol, and FromPort and ToPort where they mean something (docs/semantics.md §1.2)."""
    protocol = "-1" if rule.protocol is None else protocol_name(rule.protocol)
    if rule.ports is not None:
        return {"IpProtocol": protocol, "FromPort": rule.ports.first, "ToPort": rule.ports.last}
    if rule.icmp is not None:
        first, last = (-1 if part is None else part for part in rule.icmp)
        return {"IpProtocol": protocol, "FromPort": first, "ToPort": last}
    return {"IpProtocol": protocol}


def _pair(peer: GroupPeer) -> Json:
    return _told(
        GroupId=peer.group_id,
        UserId=peer.account_id,
        VpcId=peer.vpc_id,
        VpcPeeringConnectionId=peer.peering_id,
        PeeringStatus=peer.peering_status,
    )


def _permissions(group: SecurityGroup, direction: Direction) -> list[Json]:
    """Rules as AWS regroups them: one IpPermission for all peers of a service."""
    merged: dict[object, Json] = {}
    for rule in group.rules:
        if rule.direction is not direction:
            continue
        key = (rule.protocol, rule.ports, rule.icmp)
        permission = merged.get(key)
        if permission is None:
            permission = merged[key] = service_keys(rule) | {name: [] for name in _PEER_LISTS}
        match rule.peer:
            case CidrPeer(cidr) if cidr.family == 4:
                name, item = "IpRanges", {"CidrIp": str(cidr)}
            case CidrPeer(cidr):
                name, item = "Ipv6Ranges", {"CidrIpv6": str(cidr)}
            case PrefixListPeer(list_id):
                name, item = "PrefixListIds", {"PrefixListId": list_id}
            case peer:
                name, item = "UserIdGroupPairs", _pair(peer)
        permission[name].append(item | _told(Description=rule.description))
    return list(merged.values())


def group_item(group: SecurityGroup) -> Json:
    """An item of `describe-security-groups`."""
    return _told(
        GroupId=group.group_id,
        GroupName=group.name,
        Description=group.description,
        OwnerId=group.account_id,
        VpcId=group.vpc_id,
        Tags=[{"Key": key, "Value": value} for key, value in group.tags],
    ) | {
        "IpPermissions": _permissions(group, Direction.INGRESS),
        "IpPermissionsEgress": _permissions(group, Direction.EGRESS),
    }


def rule_item(rule: SecurityGroupRule, account_id: str | None) -> Json:
    """An item of `describe-security-group-rules`, where -1 stands for ports that mean nothing."""
    match rule.peer:
        case CidrPeer(cidr):
            peer: Json = {f"CidrIpv{cidr.family}": str(cidr)}
        case PrefixListPeer(list_id):
            peer = {"PrefixListId": list_id}
        case pair:
            peer = {"ReferencedGroupInfo": _pair(pair)}
    return {
        "SecurityGroupRuleId": rule.rule_id,
        "GroupId": rule.group_id,
        **_told(GroupOwnerId=account_id),
        "IsEgress": rule.direction is Direction.EGRESS,
        **({"FromPort": -1, "ToPort": -1} | service_keys(rule)),
        **peer,
        **_told(Description=rule.description),
    }


def interface_item(interface: NetworkInterface) -> Json:
    """An item of `describe-network-interfaces`."""
    v4 = [str(address) for address in interface.addresses if address.family == 4]
    public = [{"PublicIp": str(address)} for address in interface.public_addresses]
    timeouts = _told(
        TcpEstablishedTimeout=interface.timeouts.tcp_established,
        UdpTimeout=interface.timeouts.udp,
        UdpStreamTimeout=interface.timeouts.udp_stream,
    )
    addresses = [
        _told(PrivateIpAddress=private, Primary=None if private is None else private == v4[0], Association=association)
        for private, association in zip_longest(v4, public)
    ]
    return _told(
        NetworkInterfaceId=interface.interface_id,
        OwnerId=interface.account_id,
        VpcId=interface.vpc_id,
        SubnetId=interface.subnet_id,
        InterfaceType=interface.interface_type,
        Description=interface.description,
        TagSet=[{"Key": "Name", "Value": interface.name}] if interface.name else None,
        MacAddress=None if interface.mac is None else format_mac(interface.mac),
        PrivateIpAddress=v4[0] if v4 else None,
        PrivateIpAddresses=addresses,
        Ipv6Addresses=[{"Ipv6Address": str(one)} for one in interface.addresses if one.family == 6],
        Ipv4Prefixes=[{"Ipv4Prefix": str(one)} for one in interface.prefixes if one.family == 4],
        Ipv6Prefixes=[{"Ipv6Prefix": str(one)} for one in interface.prefixes if one.family == 6],
        Association=public[0] if public else None,
        Attachment=_told(InstanceId=interface.instance_id) or None,
        ConnectionTrackingConfiguration=timeouts or None,
    ) | {"Groups": [{"GroupId": group_id} for group_id in interface.group_ids]}


def vpc_item(vpc: Vpc) -> Json:
    """An item of `describe-vpcs`."""
    v4 = [str(cidr) for cidr in vpc.cidrs if cidr.family == 4]
    return _told(
        VpcId=vpc.vpc_id,
        OwnerId=vpc.account_id,
        IsDefault=vpc.is_default,
        CidrBlock=v4[0] if v4 else None,
        CidrBlockAssociationSet=[{"CidrBlock": text} for text in v4],
        Ipv6CidrBlockAssociationSet=[{"Ipv6CidrBlock": str(cidr)} for cidr in vpc.cidrs if cidr.family == 6],
    )


def subnet_item(subnet: Subnet) -> Json:
    """An item of `describe-subnets`."""
    return _told(
        SubnetId=subnet.subnet_id,
        VpcId=subnet.vpc_id,
        CidrBlock=next((str(cidr) for cidr in subnet.cidrs if cidr.family == 4), None),
        Ipv6CidrBlockAssociationSet=[{"Ipv6CidrBlock": str(cidr)} for cidr in subnet.cidrs if cidr.family == 6],
    )


def prefix_list_item(prefix_list: PrefixList) -> Json:
    """An item of `describe-managed-prefix-lists`; of the older `describe-prefix-lists` where no family is told."""
    old_shape = prefix_list.family is None and prefix_list.entries is not None
    cidrs = {"Cidrs": [str(cidr) for cidr in prefix_list.entries or ()]} if old_shape else {}
    return cidrs | _told(
        PrefixListId=prefix_list.prefix_list_id,
        PrefixListName=prefix_list.name,
        AddressFamily=None if prefix_list.family is None else f"IPv{prefix_list.family}",
        MaxEntries=prefix_list.max_entries,
        OwnerId=prefix_list.account_id,
    )


def entry_item(cidr: Cidr) -> Json:
    """An item of `get-managed-prefix-list-entries`."""
    return {"Cidr": str(cidr)}


def peering_item(peering: VpcPeering) -> Json:
    """An item of `describe-vpc-peering-connections`."""
    requester = _told(VpcId=peering.requester_vpc_id, Region=peering.requester_region)
    accepter = _told(VpcId=peering.accepter_vpc_id, Region=peering.accepter_region)
    return _told(
        VpcPeeringConnectionId=peering.peering_id,
        RequesterVpcInfo=requester,
        AccepterVpcInfo=accepter,
        Status=_told(Code=peering.status),
    )


def attachment_item(attachment: TransitGatewayAttachment) -> Json:
    """An item of `describe-transit-gateway-vpc-attachments`."""
    says = {None: None, True: "enable", False: "disable"}[attachment.references]
    return _told(
        TransitGatewayAttachmentId=attachment.attachment_id,
        TransitGatewayId=attachment.transit_gateway_id,
        VpcId=attachment.vpc_id,
        Options=_told(SecurityGroupReferencingSupport=says) or None,
    )


def gateway_item(transit_gateway_id: str) -> Json:
    """An item of `describe-transit-gateways`: one that supports security-group referencing."""
    return {"TransitGatewayId": transit_gateway_id, "Options": {"SecurityGroupReferencingSupport": "enable"}}


def acl_item(acl: NetworkAcl) -> Json:
    """An item of `describe-network-acls`."""
    return _told(
        NetworkAclId=acl.network_acl_id,
        VpcId=acl.vpc_id,
        IsDefault=acl.is_default,
        Associations=[{"NetworkAclId": acl.network_acl_id, "SubnetId": subnet_id} for subnet_id in acl.subnet_ids],
        Entries=[_acl_entry(entry) for entry in acl.entries],
    )


def _acl_entry(entry: NetworkAclEntry) -> Json:
    ports, icmp = entry.ports, entry.icmp
    return _told(
        RuleNumber=entry.number,
        Egress=entry.direction is Direction.EGRESS,
        Protocol="-1" if entry.protocol is None else str(entry.protocol),
        RuleAction="allow" if entry.allow else "deny",
        **{"CidrBlock" if entry.cidr.family == 4 else "Ipv6CidrBlock": str(entry.cidr)},
        PortRange=None if ports is None else {"From": ports.first, "To": ports.last},
        IcmpTypeCode=None if icmp is None else {"Type": icmp.type, "Code": -1 if icmp.code is None else icmp.code},
    )


def mirror_item(session: MirrorSession) -> Json:
    """An item of `describe-traffic-mirror-sessions`."""
    return {
        "TrafficMirrorSessionId": session.session_id,
        "NetworkInterfaceId": session.interface_id,
        "VirtualNetworkId": session.vni,
    }
