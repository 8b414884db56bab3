"""Environment → the JSON that AWS would print of it, spelled in a random one of the ways that AWS has."""

from __future__ import annotations

from random import Random
from typing import Any

from sgsim.model import (
    CidrPeer,
    Direction,
    Environment,
    GroupPeer,
    NetworkInterface,
    PrefixListPeer,
    SecurityGroup,
    SecurityGroupRule,
    format_mac,
)

Json = dict[str, Any]
NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}


def told(**fields: Any) -> Json:
    """An object without the keys that tell nothing."""
    return {key: value for key, value in fields.items() if value is not None and value != ""}


def service_keys(rule: SecurityGroupRule, rng: Random) -> Json:
    """IpProtocol, FromPort and ToPort (docs/semantics.md §1.2)."""
    if rule.ports is not None:
        return {"IpProtocol": NAMES[rule.protocol], "FromPort": rule.ports.first, "ToPort": rule.ports.last}
    if rule.icmp is not None:
        first, last = (-1 if part is None else part for part in rule.icmp)
        if (rule.protocol, first) == (58, -1) and rng.random() < 0.5:
            return {"IpProtocol": "icmpv6"}
        return {"IpProtocol": NAMES[rule.protocol], "FromPort": first, "ToPort": last}
    spelling = rng.choice(({}, {"FromPort": -1, "ToPort": -1}, {"FromPort": 0, "ToPort": 0}))
    return {"IpProtocol": "-1" if rule.protocol is None else str(rule.protocol), **spelling}


def group_pair(peer: GroupPeer) -> Json:
    return told(
        GroupId=peer.group_id,
        UserId=peer.account_id,
        VpcId=peer.vpc_id,
        VpcPeeringConnectionId=peer.peering_id,
        PeeringStatus=peer.peering_status,
    )


def permission_of(rule: SecurityGroupRule, rng: Random) -> Json:
    lists: Json = {"IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": []}
    more = told(Description=rule.description)
    match rule.peer:
        case CidrPeer(cidr) if cidr.family == 4:
            lists["IpRanges"] = [{"CidrIp": str(cidr), **more}]
        case CidrPeer(cidr):
            lists["Ipv6Ranges"] = [{"CidrIpv6": str(cidr).upper(), **more}]
        case PrefixListPeer(list_id):
            lists["PrefixListIds"] = [{"PrefixListId": list_id, **more}]
        case GroupPeer():
            lists["UserIdGroupPairs"] = [{**group_pair(rule.peer), **more}]
    return {**service_keys(rule, rng), **lists}


def permissions(rules: list[SecurityGroupRule], rng: Random) -> list[Json]:
    """Rules as AWS regroups them: one IpPermission for all peers of a service, or now and then several."""
    merged: dict[tuple, Json] = {}
    for rule in rules:
        one = permission_of(rule, rng)
        key = (rule.protocol, rule.ports, rule.icmp, rng.random() < 0.2)
        if key in merged:
            for name in ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs"):
                merged[key][name] += one[name]
        else:
            merged[key] = one
    return list(merged.values())


def describe_group(group: SecurityGroup, rng: Random) -> Json:
    by_direction = {
        direction: permissions([rule for rule in group.rules if rule.direction is direction], rng)
        for direction in Direction
    }
    return told(
        GroupId=group.group_id,
        GroupName=group.name,
        Description=group.description,
        OwnerId=group.account_id,
        VpcId=group.vpc_id,
        IpPermissions=by_direction[Direction.INGRESS],
        IpPermissionsEgress=by_direction[Direction.EGRESS],
    )


def describe_rule(rule: SecurityGroupRule, account_id: str | None, rng: Random) -> Json:
    peer: Json = {}
    match rule.peer:
        case CidrPeer(cidr):
            peer = {f"CidrIpv{cidr.family}": str(cidr)}
        case PrefixListPeer(list_id):
            peer = {"PrefixListId": list_id}
        case GroupPeer():
            peer = {"ReferencedGroupInfo": group_pair(rule.peer)}
    more = told(GroupOwnerId=account_id, Description=rule.description)
    service = {"FromPort": -1, "ToPort": -1, **service_keys(rule, rng)}
    return {
        "SecurityGroupRuleId": rule.rule_id,
        "GroupId": rule.group_id,
        "IsEgress": rule.direction is Direction.EGRESS,
        **service,
        **peer,
        **more,
    }


def describe_interface(interface: NetworkInterface) -> Json:
    v4 = [str(address) for address in interface.addresses if address.family == 4]
    v6 = [str(address) for address in interface.addresses if address.family == 6]
    timeouts = told(
        TcpEstablishedTimeout=interface.timeouts.tcp_established,
        UdpTimeout=interface.timeouts.udp,
        UdpStreamTimeout=interface.timeouts.udp_stream,
    )
    public = [{"PublicIp": str(address)} for address in interface.public_addresses]
    return told(
        NetworkInterfaceId=interface.interface_id,
        OwnerId=interface.account_id,
        VpcId=interface.vpc_id,
        SubnetId=interface.subnet_id,
        InterfaceType=interface.interface_type,
        Description=interface.description,
        MacAddress=None if interface.mac is None else format_mac(interface.mac),
        Groups=[{"GroupId": group_id, "GroupName": group_id} for group_id in interface.group_ids],
        PrivateIpAddress=v4[0] if v4 else None,
        PrivateIpAddresses=[{"PrivateIpAddress": text, "Primary": text == v4[0]} for text in v4],
        Ipv6Addresses=[{"Ipv6Address": text} for text in v6],
        Ipv4Prefixes=[{"Ipv4Prefix": str(prefix)} for prefix in interface.prefixes if prefix.family == 4],
        Ipv6Prefixes=[{"Ipv6Prefix": str(prefix)} for prefix in interface.prefixes if prefix.family == 6],
        Association=public[0] if public else None,
        ConnectionTrackingConfiguration=timeouts or None,
    )


def describe(environment: Environment, rng: Random) -> dict[str, Json]:
    """Documents by file name (without `.json`)."""

    def shuffled(items: Any) -> list[Json]:
        result = list(items)
        rng.shuffle(result)
        return result

    groups = environment.groups.values()
    documents: dict[str, Json] = {
        "groups": {"SecurityGroups": shuffled(describe_group(group, rng) for group in groups)},
        "rules": {
            "SecurityGroupRules": shuffled(
                describe_rule(rule, group.account_id, rng) for group in groups for rule in group.rules
            )
        },
        "enis": {"NetworkInterfaces": shuffled(map(describe_interface, environment.interfaces.values()))},
        "lists": {
            "PrefixLists": shuffled(
                told(PrefixListId=one.prefix_list_id, AddressFamily=one.family and f"IPv{one.family}")
                for one in environment.prefix_lists.values()
            )
        },
        "vpcs": {
            "Vpcs": shuffled(
                {
                    "VpcId": vpc.vpc_id,
                    "CidrBlock": str(vpc.cidrs[0]),
                    "CidrBlockAssociationSet": [{"CidrBlock": str(cidr)} for cidr in vpc.cidrs if cidr.family == 4],
                    "Ipv6CidrBlockAssociationSet": [
                        {"Ipv6CidrBlock": str(cidr)} for cidr in vpc.cidrs if cidr.family == 6
                    ],
                }
                for vpc in environment.vpcs.values()
            )
        },
    }
    for one in environment.prefix_lists.values():
        if one.entries is not None:
            documents[one.prefix_list_id] = {"Entries": shuffled({"Cidr": str(cidr)} for cidr in one.entries)}
    return documents
