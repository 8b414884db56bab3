"""Requests as `aws ec2 … --cli-input-json` takes them: what they mean, and AWS's codes for what it would refuse."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sgsim.errors import ChangeError, ChangeInputError
from sgsim.importers.changes import read_changes
from sgsim.model import Direction, Environment, NetworkInterface, SecurityGroupRule, Vpc, parse_address, parse_cidr
from sgsim.model.apply import apply
from sgsim.model.changes import (
    AddInterface,
    Authorize,
    ChangeSet,
    CreateGroup,
    DeleteGroup,
    DescribeRule,
    ModifyRule,
    RemoveInterface,
    Revoke,
    SetEntries,
    SetGroups,
)
from tests.changes.support import account, rule

VALUE, MALFORMED = "InvalidParameterValue", "InvalidPermission.Malformed"
IN, OUT = "AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress"
Json = dict[str, Any]


def read(tmp_path: Path, document: Any, environment: Environment | None = None) -> ChangeSet:
    path = tmp_path / "changes.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return read_changes(path, environment or account())


def permission(protocol: str | None = "tcp", first: Any = 443, last: Any = 443, **peers: Any) -> Json:
    keys = {"IpProtocol": protocol, "FromPort": first, "ToPort": last}
    return {key: value for key, value in keys.items() if value is not None} | peers


def authorize(*permissions: Json, action: str = IN, group_id: str = "sg-web") -> Json:
    return {"Action": action, "GroupId": group_id, "IpPermissions": list(permissions)}


V4 = {"IpRanges": [{"CidrIp": "10.1.2.3/8", "Description": "office"}]}
MANY = V4 | {
    "Ipv6Ranges": [{"CidrIpv6": "2001:DB8::/32"}],
    "PrefixListIds": [{"PrefixListId": "pl-s3"}],
    "UserIdGroupPairs": [{"GroupId": "sg-db", "UserId": "1", "Description": "db"}],
}


def office(text: str) -> Authorize:
    return Authorize("sg-web", (rule(text, "sg-web", "", "office"),))


def owned(one: SecurityGroupRule) -> SecurityGroupRule:
    """A reference is stored with the account of the group, as in every export."""
    return msgspec.structs.replace(one, peer=msgspec.structs.replace(one.peer, account_id="111122223333"))


#: document, the changes as values (origins aside)
READ: list[tuple[Json, list[Any]]] = [
    (authorize(permission(**V4)), [office("in tcp 443 10.0.0.0/8")]),
    (authorize(permission("6", 1, 9, **V4), action=OUT),
     [office("out tcp 1-9 10.0.0.0/8")]),
    (authorize(permission("-1", 22, 22, **V4)), [office("in all 10.0.0.0/8")]),
    (authorize(permission("50", None, None, **V4)), [office("in 50 10.0.0.0/8")]),
    (authorize(permission("icmp", 8, -1, **V4)), [office("in icmp 8/ 10.0.0.0/8")]),
    ({"Action": IN, "GroupId": "sg-web", "CidrIp": "10.0.0.0/8", "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22},
     [Authorize("sg-web", (rule("in tcp 22 10.0.0.0/8", "sg-web"),))]),
    ({"Action": IN, "GroupName": "HOME", "SourceSecurityGroupName": "home"},
     [Authorize("sg-home", (owned(rule("in all sg-home", "sg-home")),))]),
    ({"Action": "RevokeSecurityGroupIngress", "GroupId": "sg-web", "SecurityGroupRuleIds": ["sgr-web0"]},
     [Revoke("sg-web", ("sgr-web0",), (), Direction.INGRESS)]),
    ({"Action": "RevokeSecurityGroupEgress", "GroupId": "sg-web",
      "IpPermissions": [permission("-1", -1, -1, IpRanges=[{"CidrIp": "0.0.0.0/0"}])]},
     [Revoke("sg-web", (), (rule("out all 0.0.0.0/0", "sg-web"),), Direction.EGRESS)]),
    ({"Action": "ModifySecurityGroupRules", "GroupId": "sg-web", "SecurityGroupRules": [
        {"SecurityGroupRuleId": "sgr-web0",
         "SecurityGroupRule": {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "CidrIpv4": "10.0.0.0/8"}}]},
     [ModifyRule("sg-web", "sgr-web0", rule("in tcp 1-2 10.0.0.0/8", "sg-web"))]),
    ({"Action": "UpdateSecurityGroupRuleDescriptionsIngress", "GroupId": "sg-web",
      "IpPermissions": [permission(IpRanges=[{"CidrIp": "0.0.0.0/0", "Description": "web"}])]},
     [DescribeRule("sg-web", "web", "", rule("in tcp 443 0.0.0.0/0", "sg-web", "", "web"))]),
    ({"Action": "UpdateSecurityGroupRuleDescriptionsEgress", "GroupId": "sg-web",
      "SecurityGroupRuleDescriptions": [{"SecurityGroupRuleId": "sgr-web2"}]},
     [DescribeRule("sg-web", "", "sgr-web2", None, Direction.EGRESS)]),
    ({"Action": "DeleteSecurityGroup", "GroupName": "home"}, [DeleteGroup("sg-home")]),
    ({"Action": "ModifyNetworkInterfaceAttribute", "NetworkInterfaceId": "eni-web", "Groups": ["sg-db", "sg-web"]},
     [SetGroups("eni-web", ("sg-db", "sg-web"))]),
    ({"Action": "ModifyNetworkInterfaceAttribute", "NetworkInterfaceId": "eni-web",
      "SourceDestCheck": {"Value": False}}, []),
    ({"Action": "DeleteNetworkInterface", "NetworkInterfaceId": "eni-web"}, [RemoveInterface("eni-web")]),
    ({"Action": "ModifyManagedPrefixList", "PrefixListId": "pl-office", "CurrentVersion": 3,
      "AddEntries": [{"Cidr": "10.1.2.3/8", "Description": "x"}], "RemoveEntries": [{"Cidr": "192.0.2.0/24"}]},
     [SetEntries("pl-office", (parse_cidr("10.0.0.0/8"),), (parse_cidr("192.0.2.0/24"),))]),
    ({"Action": "CreateNetworkInterface", "SubnetId": "subnet-1", "Groups": ["sg-db"], "PrivateIpAddress": "10.0.0.7"},
     [AddInterface(NetworkInterface("subnet-1/10.0.0.7", (parse_address("10.0.0.7"),), ("sg-db",), vpc_id="vpc-1",
                                    subnet_id="subnet-1", account_id="111122223333"))]),
    (authorize(permission(**V4)) | {"DryRun": True}, []),
]  # fmt: skip


@pytest.mark.parametrize(("document", "expected"), READ, ids=range(len(READ)))
def test_read(tmp_path: Path, document: Json, expected: list[Any]) -> None:
    """§1.2, §1.3: what each call means; alone, in a list, and in a compressed file with a byte-order mark."""

    def plain(changes: ChangeSet) -> list[Any]:
        assert all(one.origin.event == document["Action"] for one in changes.changes)
        return [type(one)(**{name: getattr(one, name) for name in one.__struct_fields__ if name != "origin"})
                for one in changes.changes]  # fmt: skip

    changes = read(tmp_path, document)
    assert plain(changes) == expected and not changes.accepted and bool(changes.notes) == (not expected)
    assert plain(read(tmp_path, [document, document])) == expected * 2
    (tmp_path / "packed").write_bytes(gzip.compress(b"\xef\xbb\xbf" + json.dumps(document).encode()))
    assert plain(read_changes(tmp_path / "packed", account())) == expected


def test_one_permission_makes_a_rule_for_each_peer(tmp_path: Path) -> None:
    """§1.1; descriptions go with their peers."""
    (change,) = read(tmp_path, authorize(permission(**MANY))).changes
    assert isinstance(change, Authorize)
    texts = [(str(one.peer), one.description) for one in change.rules]
    assert texts == [("10.0.0.0/8", "office"), ("2001:db8::/32", ""), ("pl-s3", ""), ("sg-db", "db")]


def test_new_groups(tmp_path: Path) -> None:
    """§1.1: everything may leave, over IPv6 where the VPC has it; later requests find the group by name or its id."""
    requests = [
        {"Action": "CreateSecurityGroup", "GroupName": "new web ", "Description": "x", "VpcId": "vpc-1"},
        {"Action": IN, "GroupName": "new web", "IpPermissions": [permission(**V4)]},
        {"Action": OUT, "GroupId": "vpc-1/new_web", "IpPermissions": [permission(**V4)]},
        {"Action": "CreateSecurityGroup", "GroupName": "b", "Description": "x", "GroupId": "sg-b"},
    ]
    changes = read(tmp_path, requests)
    after = apply(account(), changes)
    made = after.groups["vpc-1/new_web"]
    assert (made.name, made.vpc_id, made.account_id) == ("new web", "vpc-1", "111122223333")
    assert sorted(one.rule_id for one in made.rules) == [
        "vpc-1/new_web/egress/all/0.0.0.0/0",
        "vpc-1/new_web/egress/tcp/443/10.0.0.0/8",
        "vpc-1/new_web/ingress/tcp/443/10.0.0.0/8",
    ]
    assert after.groups["sg-b"].vpc_id == "vpc-0"
    v6 = account(vpcs={"vpc-1": Vpc("vpc-1", (parse_cidr("10.0.0.0/16"), parse_cidr("2001:db8::/56")))})
    made = apply(v6, read(tmp_path, requests[0], v6)).groups["vpc-1/new_web"]
    assert sorted(str(one.peer) for one in made.rules) == ["0.0.0.0/0", "::/0"]


#: request, AWS's code ("" where AWS is not to blame), place inside the request, part of the message
REFUSED: list[tuple[Any, str, str, str]] = [
    (authorize(permission("foo", **V4)), VALUE, "IpPermissions[0].IpProtocol", "Unknown protocol"),
    (authorize(permission("all", **V4)), VALUE, "IpPermissions[0].IpProtocol", "'all'"),
    (authorize(permission("TCP", **V4)), VALUE, "IpPermissions[0].IpProtocol", "'TCP'"),
    (authorize(permission("256", **V4)), VALUE, "IpPermissions[0].IpProtocol", "'256'"),
    (authorize(permission(None, **V4)), VALUE, "IpPermissions[0].IpProtocol", "explicitly"),
    (authorize(permission("tcp", 22, None, **V4)), VALUE, "IpPermissions[0].ToPort", "TCP/UDP"),
    (authorize(permission("udp", None, 22, **V4)), VALUE, "IpPermissions[0].FromPort", "TCP/UDP"),
    (authorize(permission("icmp", 8, None, **V4)), VALUE, "IpPermissions[0].ToPort", "with ICMP"),
    (authorize(permission("icmp", None, None, **V4)), VALUE, "IpPermissions[0].FromPort", "with ICMP"),
    (authorize(permission("tcp", -1, 22, **V4)), MALFORMED, "IpPermissions[0].FromPort", "(-1) out of"),
    (authorize(permission("tcp", 1, 65536, **V4)), MALFORMED, "IpPermissions[0].ToPort", "out of range"),
    (authorize(permission("tcp", 2, 1, **V4)), VALUE, "IpPermissions[0].FromPort", "(2:1)"),
    (authorize(permission("icmp", 8, 65535, **V4)), VALUE, "IpPermissions[0].ToPort", "ICMP code (65535)"),
    (authorize(permission("icmp", 300, 0, **V4)), VALUE, "IpPermissions[0].FromPort", "ICMP type (300)"),
    (authorize(permission("icmp", -1, 0, **V4)), VALUE, "IpPermissions[0].ToPort", "all types"),
    (authorize(permission()), "MissingParameter", "IpPermissions[0]", "Missing source specification"),
    (authorize(permission(UserIdGroupPairs=[{}])), "MissingParameter", "IpPermissions[0].UserIdGroupPairs[0]",
     "group ID"),
    (authorize(permission(**V4), permission(IpRanges=[{"CidrIp": "10.0.0.1"}])), VALUE,
     "IpPermissions[1].IpRanges[0].CidrIp", "CIDR block '10.0.0.1' is malformed"),
    (authorize(permission(IpRanges=[{"CidrIp": "::/0"}])), VALUE,
     "IpPermissions[0].IpRanges[0].CidrIp", "malformed"),
    (authorize(permission(Ipv6Ranges=[{"CidrIpv6": "10.0.0.0/8"}])), VALUE,
     "IpPermissions[0].Ipv6Ranges[0].CidrIpv6", "malformed"),
    (authorize(permission(IpRanges=[{"CidrIp": "10.0.0.0/33"}])), VALUE,
     "IpPermissions[0].IpRanges[0].CidrIp", "malformed"),
    (authorize(permission(IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": "é"}])), VALUE,
     "IpPermissions[0].IpRanges[0].Description", "description"),
    (authorize(permission(IpRanges=[{"CidrIp": "10.0.0.0/8", "Description": "x" * 256}])), VALUE,
     "IpPermissions[0].IpRanges[0].Description", "255"),
    (authorize(permission(FromPorts=3, **V4)), "UnknownParameter", "IpPermissions[0]", "FromPorts"),
    (authorize(permission("tcp", "22", 22, **V4)), VALUE, "IpPermissions[0].FromPort", "whole number"),
    (authorize() | {"IpPermission": []}, "UnknownParameter", "", "IpPermission"),
    (authorize(), "MissingParameter", "", "ipPermissions"),
    (authorize(permission(**V4)) | {"CidrIp": "10.0.0.0/8"}, "InvalidParameterCombination", "", "together"),
    ({"Action": IN, "IpPermissions": [permission(**V4)]}, "MissingParameter", "", "groupId"),
    ({"Action": IN, "GroupName": "web", "IpPermissions": [permission(**V4)]}, "InvalidGroup.NotFound", "GroupName",
     "'web' does not exist in default VPC 'vpc-0'"),
    ({"Action": "OpenEverything"}, "InvalidAction", "Action", "'OpenEverything' is not a call"),
    ({"Action": 3}, "InvalidAction", "Action", "3"),
    ({"Action": "DeleteNetworkInterface"}, "MissingParameter", "", "NetworkInterfaceId"),
    ({"Action": "ModifySecurityGroupRules", "GroupId": "sg-web", "SecurityGroupRules": []}, "MissingParameter", "",
     "Rules"),
    ({"Action": "CreateNetworkInterface", "SubnetId": "subnet-1"}, "", "", "no address is given"),
    ({"Action": "CreateNetworkInterface", "SubnetId": "subnet-1", "Ipv6AddressCount": 1}, "", "Ipv6AddressCount",
     "choose"),
    ({"Action": "CreateNetworkInterface", "SubnetId": "subnet-1", "PrivateIpAddress": "::1"}, VALUE,
     "PrivateIpAddress", "not an IPv4 address"),
    ({"Action": "ModifyManagedPrefixList", "PrefixListId": "pl-1", "MaxEntries": 5}, "", "MaxEntries", "size"),
    ({"Action": "ModifyManagedPrefixList", "PrefixListId": "pl-1",
      "AddEntries": [{"Cidr": f"10.0.0.{n}/32"} for n in range(101)]}, VALUE, "", "more than 100"),
    ({"Action": "ModifyInstanceAttribute", "InstanceId": "i-1", "Groups": ["sg-web"]}, "InvalidInstanceID.NotFound",
     "InstanceId", "i-1"),
]  # fmt: skip

BODY = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "CidrIpv4": "10.0.0.0/8"}
#: §1.6 ModifySecurityGroupRules: the body, code, key, text
BODIES: list[tuple[Json, str, str, str]] = [
    (BODY | {"CidrIpv6": "::/0"}, "InvalidParameterCombination", "", "Only one of"),
    ({key: value for key, value in BODY.items() if key != "CidrIpv4"}, "MissingParameter", "", "exactly one of"),
    (
        {key: value for key, value in BODY.items() if key != "IpProtocol"},
        VALUE,
        ".IpProtocol",
        "'null'",
    ),
    ({key: value for key, value in BODY.items() if key != "ToPort"}, VALUE, ".ToPort", "from and to"),
    (BODY | {"IpProtocol": "-1"}, VALUE, ".FromPort", "all protocols and specific ports"),
    (BODY | {"CidrIpv4": "10.0.0.0"}, VALUE, ".CidrIpv4", "malformed"),
]


@pytest.mark.parametrize(("request_", "code", "where", "text"), REFUSED)
def test_refused(tmp_path: Path, request_: Json, code: str, where: str, text: str) -> None:
    """§1.10: AWS's code, the file, the place inside it, and what to do, in one line."""
    with pytest.raises(ChangeInputError) as caught:
        read(tmp_path, [authorize(permission(**V4)), request_])
    error = caught.value
    line = str(error)
    assert (error.code, error.where) == (code, f"[1].{where}" if where else "[1]") and text in error.problem
    assert line.startswith(f"{tmp_path}/changes.json, [1]") and "\n" not in line and error.advice and len(line) < 900


@pytest.mark.parametrize(("body", "code", "key", "text"), BODIES)
def test_refused_bodies(tmp_path: Path, body: Json, code: str, key: str, text: str) -> None:
    update = {"SecurityGroupRuleId": "sgr-web0", "SecurityGroupRule": body}
    document = {"Action": "ModifySecurityGroupRules", "GroupId": "sg-web", "SecurityGroupRules": [update]}
    with pytest.raises(ChangeInputError) as caught:
        read(tmp_path, document)
    assert (caught.value.code, caught.value.where) == (code, f"SecurityGroupRules[0].SecurityGroupRule{key}")
    assert text in str(caught.value)


def test_tolerated_ports_of_all_protocols(tmp_path: Path) -> None:
    """§1.2: 0/0, -1/-1 or none may go with -1 when a rule is modified."""
    for ports in ({}, {"FromPort": 0, "ToPort": 0}, {"FromPort": -1, "ToPort": -1}):
        update = {
            "SecurityGroupRuleId": "sgr-1",
            "SecurityGroupRule": {"IpProtocol": "-1", "CidrIpv4": "10.0.0.0/8"} | ports,
        }
        action = {"Action": "ModifySecurityGroupRules", "GroupId": "sg-web", "SecurityGroupRules": [update]}
        (change,) = read(tmp_path, action).changes
        assert isinstance(change, ModifyRule)
        assert (change.rule.protocol, change.rule.ports, change.rule.icmp) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        ("", "", "empty"),
        ("{]", "line 1 byte 2", "not JSON"),
        ('[{"Action": "DeleteSecurityGroup"', "line 1", "stops in the middle"),
        ("[[1]]", "[0][0]", "neither a request"),
        ('{"Fruit": 1}', "", "Fruit"),
        ('{"Events": [{"CloudTrailEvent": "{"}]}', "Events[0]", "not JSON"),
        ("3", "", "neither"),
    ],
)
def test_not_changes_at_all(tmp_path: Path, text: str, where: str, problem: str) -> None:
    with pytest.raises(ChangeInputError) as caught:
        read(tmp_path, text)
    assert caught.value.where.startswith(where) and problem in caught.value.problem and caught.value.advice


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ChangeInputError, match="cannot be read"):
        read_changes(tmp_path / "none.json", account())
    with pytest.raises(ChangeInputError, match=r"no \*\.json"):
        read_changes(tmp_path, account())


def test_the_place_of_a_request_that_apply_refuses(tmp_path: Path) -> None:
    """The file and the position in it, with AWS's code."""
    with pytest.raises(ChangeError) as caught:
        apply(account(), read(tmp_path, [{"Action": "DeleteSecurityGroup", "GroupId": "sg-web"}]))
    assert str(caught.value).startswith(f"{tmp_path}/changes.json, [0]: DependencyViolation: resource sg-web")


def test_changes_of_every_kind_are_covered() -> None:
    kinds = {type(one) for _, expected in READ for one in expected} | {CreateGroup}
    assert len(kinds) == 10
