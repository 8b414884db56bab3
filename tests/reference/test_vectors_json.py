"""The same vectors from what the AWS CLI prints: export → environment → tables → verdict, beside the twin.

Each row: the permissions of a group, in AWS's words, inbound; packets and what is said of them.
"""

import json

import pytest

from sgsim.engine import Snapshot, evaluate
from sgsim.importers import read_environment
from sgsim.model import Direction, Semantics
from sgsim.reference import judge
from sgsim.verdicts import Reason, Verdict
from tests.reference.scenes import packet
from tests.strategies import flow_table

ANY4, ANY6 = {"IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, {"Ipv6Ranges": [{"CidrIpv6": "::/0"}]}

PERMISSIONS = {
    "ports beside -1 mean nothing (§1.2)": (
        {"IpProtocol": "-1", "FromPort": 22, "ToPort": 22, **ANY4},
        {"udp 8.8.8.8:1 > 10.0.0.5:53": "ACCEPT RULE"},
    ),
    "ports 0 to 0 beside GRE mean nothing": (
        {"IpProtocol": "47", "FromPort": 0, "ToPort": 0, **ANY4},
        {"47 8.8.8.8 > 10.0.0.5": "ACCEPT RULE", "tcp 8.8.8.8:1 > 10.0.0.5:0": "REJECT NO_RULE"},
    ),
    "ports beside SCTP mean nothing": (
        {"IpProtocol": "132", "FromPort": 5000, "ToPort": 5000, **ANY4},
        {"132 8.8.8.8 > 10.0.0.5": "ACCEPT RULE"},
    ),
    "ICMP from 3 to 4 is type 3 code 4": (
        {"IpProtocol": "icmp", "FromPort": 3, "ToPort": 4, **ANY4},
        {
            "icmp 8.8.8.8 > 10.0.0.5 3/4": "ACCEPT RULE",
            "icmp 8.8.8.8 > 10.0.0.5 4/0": "REJECT NO_RULE",
            "icmp 8.8.8.8 > 10.0.0.5 3/0": "REJECT NO_RULE",
        },
    ),
    "ICMP 8 to -1 is echo requests of any code": (
        {"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1, **ANY4},
        {"icmp 8.8.8.8 > 10.0.0.5 8/5": "ACCEPT RULE", "icmp 8.8.8.8 > 10.0.0.5 0/0": "REJECT NO_RULE"},
    ),
    "all of ICMP from ::/0 is not ICMPv6": (
        {"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, **ANY6},
        {"icmpv6 2600::1 > 2001:db8::5 128/0": "REJECT NO_RULE"},
    ),
    "ICMPv6 without ports is all of it": (
        {"IpProtocol": "icmpv6", **ANY6},
        {"icmpv6 2600::1 > 2001:db8::5 128/0": "ACCEPT RULE"},
    ),
    "58 is ICMPv6": (
        {"IpProtocol": "58", "FromPort": -1, "ToPort": -1, **ANY6},
        {"icmpv6 2600::1 > 2001:db8::5 135/0": "ACCEPT RULE"},
    ),
    "6 is TCP": (
        {"IpProtocol": "6", "FromPort": 80, "ToPort": 80, **ANY4},
        {"tcp 8.8.8.8:1 > 10.0.0.5:80": "ACCEPT RULE", "tcp 8.8.8.8:1 > 10.0.0.5:81": "REJECT NO_RULE"},
    ),
    "host bits are dropped (§1.3)": (
        {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "100.68.0.18/18"}]},
        {"tcp 100.68.63.255:1 > 10.0.0.5:80": "ACCEPT RULE", "tcp 100.68.64.0:1 > 10.0.0.5:80": "REJECT NO_RULE"},
    ),
    "a group of an account without data (§9.5)": (
        {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-0fa4", "UserId": "999999999999"}]},
        {"tcp 10.9.9.9:1 > 10.0.0.5:80": "UNKNOWN UNRESOLVED", "tcp 203.0.113.9:1 > 10.0.0.5:80": "REJECT NO_RULE"},
    ),
    "a stale reference (§1.5)": (
        {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-0fa4", "UserId": "999999999999",
                                                   "VpcId": "vpc-0fa4", "PeeringStatus": "deleted"}]},
        {"tcp 10.9.9.9:1 > 10.0.0.5:80": "REJECT NO_RULE"},
    ),
    "secondary private addresses are members' (§1.4)": (
        {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-0b0b", "UserId": "111111111111"}]},
        {
            "tcp 10.0.0.9:1 > 10.0.0.5:80": "ACCEPT RULE",
            "tcp 10.0.0.10:1 > 10.0.0.5:80": "ACCEPT RULE",
            "tcp 198.51.100.9:1 > 10.0.0.5:80": "REJECT NO_RULE",
        },
    ),
}  # fmt: skip


def export(permission: dict[str, object], vpc_of_group: str) -> dict[str, object]:
    """Two groups and two interfaces of one account; the permission is the first group's."""
    owner = {"OwnerId": "111111111111", "Description": "d"}
    return {
        "SecurityGroups": [
            {"GroupId": "sg-0a0a", "GroupName": "a", "VpcId": vpc_of_group, "IpPermissions": [permission],
             "IpPermissionsEgress": [], **owner},
            {"GroupId": "sg-0b0b", "GroupName": "b", "VpcId": "vpc-0aaa", "IpPermissions": [],
             "IpPermissionsEgress": [], **owner},
        ],
        "NetworkInterfaces": [
            interface("eni-0a0a", "sg-0a0a", ["10.0.0.5"], ["2001:db8::5"]),
            interface("eni-0b0b", "sg-0b0b", ["10.0.0.9", "10.0.0.10"], [], public="198.51.100.9"),
        ],
    }  # fmt: skip


def interface(name: str, group: str, v4: list[str], v6: list[str], public: str | None = None) -> dict[str, object]:
    association = {"Association": {"PublicIp": public, "IpOwnerId": "111111111111"}} if public else {}
    return {
        "NetworkInterfaceId": name,
        "VpcId": "vpc-0aaa",
        "SubnetId": "subnet-0aaa",
        "OwnerId": "111111111111",
        "Status": "in-use",
        "InterfaceType": "interface",
        "Groups": [{"GroupId": group, "GroupName": "g"}],
        "PrivateIpAddress": v4[0],
        "PrivateIpAddresses": [
            {"PrivateIpAddress": address, "Primary": n == 0, **(association if n == 0 else {})}
            for n, address in enumerate(v4)
        ],
        "Ipv6Addresses": [{"Ipv6Address": address} for address in v6],
    }


@pytest.mark.parametrize("title", PERMISSIONS)
@pytest.mark.parametrize("home", ["vpc-0aaa", "vpc-0bbb"], ids=["own VPC", "group of another VPC (§1.9)"])
def test_permission(title, home, tmp_path):
    permission, lines = PERMISSIONS[title]
    file = tmp_path / "export.json"
    file.write_text(json.dumps(export(permission, home)))
    environment = read_environment(file)
    snapshot = Snapshot.of(environment)
    rows = [(packet(line), "eni-0a0a", Direction.INGRESS) for line in lines]
    verdicts = evaluate(snapshot, flow_table(rows, snapshot.tables.interface_ids))
    for row, ((shown, end, direction), expected) in enumerate(zip(rows, lines.values())):
        answer = judge(environment, Semantics(), end, direction, shown)
        assert f"{answer.action.name} {answer.reason.name}" == expected
        compiled = Verdict(verdicts.action[row]), Reason(verdicts.reason[row])
        assert compiled == (answer.action, answer.reason)
