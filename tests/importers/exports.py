"""Builders of AWS JSON for the importer's tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ACCOUNT = "111122223333"
Json = dict[str, Any]


def permission(protocol: str = "tcp", ports: tuple[int, int] | None = (443, 443), **peers: Any) -> Json:
    """An IpPermission; `peers` are v4, v6, lists, groups: lists of texts."""
    result: Json = {"IpProtocol": protocol}
    if ports is not None:
        result["FromPort"], result["ToPort"] = ports
    result["IpRanges"] = [{"CidrIp": text} for text in peers.get("v4", ())]
    result["Ipv6Ranges"] = [{"CidrIpv6": text} for text in peers.get("v6", ())]
    result["PrefixListIds"] = [{"PrefixListId": text} for text in peers.get("lists", ())]
    result["UserIdGroupPairs"] = [{"GroupId": text, "UserId": ACCOUNT} for text in peers.get("groups", ())]
    return result


def group(group_id: str = "sg-web", ingress: Any = (), egress: Any = (), **more: Any) -> Json:
    """A group of describe-security-groups in vpc-1."""
    return {
        "GroupId": group_id,
        "GroupName": group_id.removeprefix("sg-"),
        "Description": "for tests",
        "OwnerId": ACCOUNT,
        "VpcId": "vpc-1",
        "IpPermissions": list(ingress),
        "IpPermissionsEgress": list(egress),
        **more,
    }


def rule(rule_id: str, group_id: str = "sg-web", *, egress: bool = False, **more: Any) -> Json:
    """A rule of describe-security-group-rules: tcp 443 from everywhere unless `more` says otherwise."""
    result: Json = {
        "SecurityGroupRuleId": rule_id,
        "GroupId": group_id,
        "GroupOwnerId": ACCOUNT,
        "IsEgress": egress,
        "IpProtocol": "tcp",
        "FromPort": 443,
        "ToPort": 443,
        "Tags": [],
    }
    if not more.keys() & {"CidrIpv4", "CidrIpv6", "PrefixListId", "ReferencedGroupInfo"}:
        result["CidrIpv4"] = "0.0.0.0/0"
    return {**result, **more}


def interface(interface_id: str = "eni-1", address: str = "10.0.0.5", groups: Any = ("sg-web",), **more: Any) -> Json:
    """An interface of describe-network-interfaces in us-east-1."""
    return {
        "NetworkInterfaceId": interface_id,
        "OwnerId": ACCOUNT,
        "VpcId": "vpc-1",
        "SubnetId": "subnet-1",
        "AvailabilityZone": "us-east-1a",
        "InterfaceType": "interface",
        "MacAddress": "02:00:00:00:00:01",
        "Groups": [{"GroupId": one, "GroupName": one} for one in groups],
        "PrivateIpAddress": address,
        "PrivateIpAddresses": [{"PrivateIpAddress": address, "Primary": True}],
        "Ipv6Addresses": [],
        **more,
    }


def write(folder: Path, **documents: Any) -> Path:
    """Write each document as `<name>.json` (`__` in a name is a directory); returns the folder."""
    for name, content in documents.items():
        path = folder / (name.replace("__", "/") + ".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return folder


def groups_file(*groups: Json) -> Json:
    return {"SecurityGroups": list(groups)}
