"""CloudTrail's records (docs/semantics.md §5.9): every shape, both spellings, what is left out and what is reported."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sgsim.importers.changes import read_changes
from sgsim.model import parse_address
from sgsim.model.apply import apply
from sgsim.model.changes import (
    AddInterface,
    Authorize,
    ChangeSet,
    CreateGroup,
    ModifyRule,
    Revoke,
    SetEntries,
    SetGroups,
)
from tests.changes.support import account, rule

Json = dict[str, Any]
ACCOUNT = "111122223333"


def event(name: str, parameters: Any, response: Any = None, second: int = 0, **more: Any) -> Json:
    return {
        "eventVersion": "1.10",
        "userIdentity": {"type": "AssumedRole", "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/ann"},
        "eventTime": f"2026-05-21T07:02:{second:02}Z",
        "eventSource": "ec2.amazonaws.com",
        "eventName": name,
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "203.0.113.9",
        "requestParameters": parameters,
        "responseElements": response,
        "eventID": f"e-{name}-{second}",
        "recipientAccountId": ACCOUNT,
        **more,
    }


PERMISSIONS = {
    "items": [
        {
            "ipProtocol": "tcp",
            "fromPort": 22,
            "toPort": 22,
            "groups": {"items": [{"groupId": "sg-db", "userId": ACCOUNT}]},
            "ipRanges": {"items": [{"cidrIp": "10.1.2.3/8", "description": "office"}]},
            "ipv6Ranges": {},
            "prefixListIds": {},
        }
    ]
}
NEW_RULE = {
    "groupId": "sg-web",
    "groupOwnerId": ACCOUNT,
    "securityGroupRuleId": "sgr-0f1",
    "isEgress": False,
    "ipProtocol": "tcp",
    "fromPort": 22,
    "toPort": 22,
    "cidrIpv4": "10.0.0.0/8",
    "description": "office",
    "tags": {},
}
OPENED = event("AuthorizeSecurityGroupIngress", {"groupId": "sg-web", "ipPermissions": PERMISSIONS})


def read(tmp_path: Path, document: Any) -> ChangeSet:
    path = tmp_path / "trail.json"
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    return read_changes(path, account())


def test_when_who_and_through_what(tmp_path: Path) -> None:
    """Each change keeps its time, principal, source and place; the set counts as accepted."""
    changes = read(tmp_path, {"Records": [OPENED]})
    origin = changes.changes[0].origin
    assert changes.accepted and origin is not None
    assert origin.time == datetime(2026, 5, 21, 7, 2, tzinfo=UTC)
    assert (origin.principal, origin.source) == (f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/ann", "203.0.113.9")
    assert origin.event == "AuthorizeSecurityGroupIngress e-AuthorizeSecurityGroupIngress-0"
    assert origin.place == f"{tmp_path}/trail.json, Records[0], event e-AuthorizeSecurityGroupIngress-0"


@pytest.mark.parametrize(
    "document",
    [
        {"Records": [OPENED]},
        [OPENED],
        OPENED,
        {"detail-type": "AWS API Call via CloudTrail", "source": "aws.ec2", "detail": OPENED},
        {"Events": [{"EventId": "1", "CloudTrailEvent": json.dumps(OPENED)}]},
        {"Events": [{"EventId": "1", "CloudTrailEvent": OPENED}]},
        gzip.compress(json.dumps({"Records": [OPENED]}).encode()),
        b"\n".join(json.dumps(one).encode() for one in (OPENED, event("DescribeInstances", {}), {"detail": OPENED})),
    ],
    ids=["Records", "list", "alone", "EventBridge", "lookup-events", "lookup-events parsed", "gzip", "lines"],
)
def test_wrappers(tmp_path: Path, document: Any) -> None:
    """The same change from every shape in which events are met."""
    (change,) = read(tmp_path, document).changes
    assert isinstance(change, Authorize) and change.group_id == "sg-web"
    expected = ["in tcp 22 10.0.0.0/8", "in tcp 22 sg-db"]
    assert [(one.service, str(one.peer)) for one in change.rules] == [
        (each.service, str(each.peer)) for each in map(rule, expected)
    ]
    assert change.rules[0].description == "office"


def test_rule_ids_come_from_the_answer(tmp_path: Path) -> None:
    """Ids of new rules are in securityGroupRuleSet, the content of revoked ones in revokedSecurityGroupRuleSet."""
    answer = {"requestId": "x", "_return": True, "securityGroupRuleSet": {"items": [NEW_RULE]}}
    revoked = {**NEW_RULE, "referencedGroupId": "sg-db"}
    del revoked["cidrIpv4"], revoked["groupOwnerId"]
    gone = {"_return": True, "revokedSecurityGroupRuleSet": {"items": [revoked]}}
    changes = read(
        tmp_path,
        [
            event("AuthorizeSecurityGroupIngress", {"groupId": "sg-web", "ipPermissions": PERMISSIONS}, answer, 1),
            event("RevokeSecurityGroupIngress", {"groupId": "sg-web", "securityGroupRuleIds": {}}, gone, 2),
        ],
    )
    first, second = changes.changes
    assert isinstance(first, Authorize) and isinstance(second, Revoke)
    assert first.rules == (rule("in tcp 22 10.0.0.0/8", "sg-web", "sgr-0f1", "office"),)
    assert second.rules == (rule("in tcp 22 sg-db", "sg-web", "sgr-0f1", "office"),) and second.rule_ids == ()
    assert "sgr-0f1" not in {one.rule_id for one in apply(account(), changes).groups["sg-web"].rules}


def test_revoke_by_ids_without_answer(tmp_path: Path) -> None:
    for ids in (["sgr-web0"], {"items": [{"securityGroupRuleId": "sgr-web0"}]}, {"items": ["sgr-web0"]}):
        parameters = {"groupId": "sg-web", "securityGroupRuleIds": ids}
        (change,) = read(tmp_path, [event("RevokeSecurityGroupEgress", parameters, {"_return": True})]).changes
        assert isinstance(change, Revoke) and change.rule_ids == ("sgr-web0",) and change.rules == ()


def test_the_wrapped_spelling(tmp_path: Path) -> None:
    """ModifySecurityGroupRulesRequest: upper camel case, a single element not in a list."""
    body = {"FromPort": 8443, "ToPort": 8443, "IpProtocol": "tcp", "CidrIpv4": "10.0.0.0/8", "Description": "x"}
    update = {"SecurityGroupRuleId": "sgr-web1", "SecurityGroupRule": body, "tag": 1}
    for rules in (update, [update], {"items": [update]}):
        wrapped = {"ModifySecurityGroupRulesRequest": {"GroupId": "sg-web", "SecurityGroupRule": rules, "xmlns": "…"}}
        changes = read(tmp_path, [event("ModifySecurityGroupRules", wrapped)])
        (change,) = changes.changes
        assert isinstance(change, ModifyRule) and change.rule_id == "sgr-web1"
        assert apply(account(), changes).groups["sg-web"].rules[1] == rule(
            "in tcp 8443 10.0.0.0/8", "sg-web", "sgr-web1", "x"
        )
    request = {"PrefixListId": "pl-office", "CurrentVersion": 1, "AddEntry": {"tag": 1, "Cidr": "10.0.0.0/8"}}
    (entries,) = read(tmp_path, [event("ModifyManagedPrefixList", {"ModifyManagedPrefixListRequest": request})]).changes
    assert isinstance(entries, SetEntries) and list(map(str, entries.add)) == ["10.0.0.0/8"]


def test_interfaces(tmp_path: Path) -> None:
    """Group changes of an interface, new interfaces, launches: what the answer says of them."""
    card = {
        "networkInterfaceId": "eni-0new",
        "subnetId": "subnet-1",
        "vpcId": "vpc-1",
        "ownerId": ACCOUNT,
        "availabilityZone": "eu-west-1a",
        "macAddress": "02:00:00:00:00:09",
        "privateIpAddress": "10.0.0.44",
        "privateIpAddressesSet": {"item": [{"privateIpAddress": "10.0.0.44", "primary": True}]},
        "ipv6AddressesSet": {},
        "groupSet": {"items": [{"groupId": "sg-web", "groupName": "web"}]},
        "tagSet": {},
    }
    launched = {"instanceId": "i-1", "instanceType": "m5.large", "networkInterfaceSet": {"items": [card]}}
    changes = read(
        tmp_path,
        [
            event("ModifyNetworkInterfaceAttribute", {"networkInterfaceId": "eni-web",
                  "groupSet": {"items": [{"groupId": "sg-db"}, {"groupId": "sg-idle"}]}}, {"_return": True}, 1),
            event("CreateNetworkInterface", {"subnetId": "subnet-1"}, {"networkInterface": card}, 2),
            event("RunInstances", {"groupSet": {}}, {"ownerId": ACCOUNT, "instancesSet": {"items": [
                {**launched, "networkInterfaceSet": {"items": [{**card, "networkInterfaceId": "eni-0two"}]}}]}}, 3),
            event("DeleteNetworkInterface", {"networkInterfaceId": "eni-0new"}, {"_return": True}, 4),
            event("CreateSecurityGroup", {"groupName": "n", "groupDescription": "d", "vpcId": "vpc-1"},
                  {"groupId": "sg-0new"}, 5),
        ],
    )  # fmt: skip
    assert changes.notes == ()
    groups, made, other, _, group = changes.changes
    assert isinstance(groups, SetGroups) and groups.group_ids == ("sg-db", "sg-idle")
    assert isinstance(made, AddInterface) and isinstance(other, AddInterface) and isinstance(group, CreateGroup)
    assert made.interface.addresses == (parse_address("10.0.0.44"),) and made.interface.group_ids == ("sg-web",)
    assert (made.interface.region, made.interface.account_id) == ("eu-west-1", ACCOUNT)
    assert (other.interface.instance_id, other.interface.instance_type) == ("i-1", "m5.large")
    assert (group.group.group_id, group.group.description) == ("sg-0new", "d")
    after = apply(account(), changes)
    assert after.interfaces.keys() == {"eni-web", "eni-db", "eni-0two"} and "sg-0new" in after.groups


def test_order_is_that_of_time(tmp_path: Path) -> None:
    """Files and records come in any order; events delivered twice count once."""
    later = event("DeleteSecurityGroup", {"groupId": "sg-idle"}, second=30)
    changes = read(tmp_path, [later, OPENED, later])
    assert [type(one).__name__ for one in changes.changes] == ["Authorize", "DeleteGroup"]
    assert changes.notes == ("1 event left out: delivered twice",)


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    """Failed calls, other services, other accounts, calls that change no verdict, dry runs."""
    changes = read(
        tmp_path,
        [
            event("DeleteSecurityGroup", {"groupId": "sg-web"}, errorCode="Client.DependencyViolation"),
            event("PutObject", {}, eventSource="s3.amazonaws.com"),
            event("DescribeInstances", {}),
            event("StartInstances", {}),
            event("DeleteSecurityGroup", {"groupId": "sg-x"}, second=1, recipientAccountId="999"),
            event("ModifyInstanceAttribute", {"instanceId": "i-1", "disableApiStop": {"value": True}}),
            event("DeleteSecurityGroup", {"groupId": "sg-web", "dryRun": True}, second=2),
        ],
    )
    assert changes.changes == ()
    assert set(changes.notes) == {
        "1 event left out: failed calls",
        "1 event left out: of other services",
        "3 events left out: calls that change no verdict",
        "1 event left out: of other accounts",
        "1 event left out: dry runs",
    }


BROKEN = [
    (event("AuthorizeSecurityGroupIngress", None), "requestParameters: the object is missing"),
    (event("AuthorizeSecurityGroupIngress", {"groupId": "sg-web"}), "ipPermissions"),
    (event("AuthorizeSecurityGroupIngress", {"ipPermissions": PERMISSIONS}), "groupId"),
    (
        event("RevokeSecurityGroupIngress", {"groupId": "sg-web", "ipPermissions": {"items": [{"fromPort": 1}]}}),
        "protocol",
    ),
    (event("RevokeSecurityGroupIngress", {"groupId": "sg-web", "ipPermissions": {"items": [3]}}), "an object"),
    (event("DeleteSecurityGroup", {"groupId": "sg-web"}, eventTime="soon"), "'soon' is not a date and time"),
    (event("DeleteSecurityGroup", {"groupId": "sg-web"}, eventTime=None), "eventTime"),
    (event("DeleteNetworkInterface", {}), "NetworkInterfaceId"),
    (event("RunInstances", {}, {"instancesSet": {}}), "names no network interface"),
    (event("RunInstances", {}, None), "names no network interface"),
    (event("AssociateSecurityGroupVpc", {"groupId": "sg-web", "vpcId": "vpc-2"}), "no change here expresses"),
    (event("TerminateInstances", {}), "no change here expresses"),
    (event("ModifyManagedPrefixList", {"prefixListId": "pl-1", "maxEntries": 3}), "size"),
]


@pytest.mark.parametrize(("broken", "text"), BROKEN, ids=range(len(BROKEN)))
def test_what_is_not_understood_is_reported(tmp_path: Path, broken: Json, text: str) -> None:
    """Never dropped silently: one line with the event's id and what is wrong; the other events count."""
    changes = read(tmp_path, {"Records": [broken, event("DeleteSecurityGroup", {"groupId": "sg-idle"}, second=50)]})
    assert len(changes) == 1
    (note,) = changes.notes
    assert f"Records[0], event {broken['eventID']}: {broken['eventName']} is not understood" in note and text in note


def test_a_directory_of_logs(tmp_path: Path) -> None:
    """As CloudTrail delivers them: compressed files in folders, other JSON beside them."""
    for number, one in enumerate((OPENED, event("DeleteSecurityGroup", {"groupId": "sg-idle"}, second=9))):
        folder = tmp_path / "AWSLogs" / str(number)
        folder.mkdir(parents=True)
        (folder / "trail.json.gz").write_bytes(gzip.compress(json.dumps({"Records": [one]}).encode()))
    (tmp_path / "other.json").write_text("{}")
    assert len(read_changes(tmp_path, account())) == 2
