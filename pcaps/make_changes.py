"""Write CloudTrail's record of the changes of the example: `python pcaps/make_changes.py [DIRECTORY]`.

By default into `pcaps/shop-changes`. `pcaps/shop` is the account as it was at 09:07 UTC, while shop.pcap was captured:
three changes came before that, one after it. The output is the same byte for byte on every run.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from shop_account import ACCOUNT, REGION, documents, identifier

HERE = Path(__file__).parent
MAJA, DEPLOY = f"arn:aws:iam::{ACCOUNT}:user/maja", f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/ci"


def group(name: str) -> str:
    (found,) = (one for one in documents()["security-groups.json"]["SecurityGroups"] if one["GroupName"] == name)
    return str(found["GroupId"])


def rules(group_id: str, **fields: Any) -> dict[str, Any]:
    """The one rule of a group that has these fields, as `describe-security-group-rules` tells it."""
    listed = documents()["security-group-rules.json"]["SecurityGroupRules"]
    of_group = [one for one in listed if one["GroupId"] == group_id]
    (found,) = (one for one in of_group if all(one.get(key) == value for key, value in fields.items()))
    return dict(found)


def event(
    time: str, who: str, name: str, request: dict[str, Any], response: dict[str, Any] | None, **more: Any
) -> dict[str, Any]:
    kind = "IAMUser" if who == MAJA else "AssumedRole"
    return {
        "eventVersion": "1.10",
        "userIdentity": {"type": kind, "arn": who, "accountId": ACCOUNT},
        "eventTime": f"2026-03-02T{time}Z",
        "eventSource": "ec2.amazonaws.com",
        "eventName": name,
        "awsRegion": REGION,
        "sourceIPAddress": "203.0.113.20" if who == MAJA else "198.51.100.30",
        "requestParameters": request,
        "responseElements": response,
        "eventID": identifier("event", f"{time} {name}").removeprefix("event-"),
        "recipientAccountId": ACCOUNT,
        **more,
    }


def answered(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule as CloudTrail's answers spell it."""
    plain = {
        key[0].lower() + key[1:]: value for key, value in rule.items() if key not in ("Tags", "ReferencedGroupInfo")
    }
    if "ReferencedGroupInfo" in rule:
        plain["referencedGroupId"] = rule["ReferencedGroupInfo"]["GroupId"]
    return plain


def revocation(time: str, who: str, rule: dict[str, Any]) -> dict[str, Any]:
    request = {
        "groupId": rule["GroupId"],
        "securityGroupRuleIds": {"items": [{"securityGroupRuleId": rule["SecurityGroupRuleId"]}]},
    }
    response = {"_return": True, "revokedSecurityGroupRuleSet": {"items": [answered(rule)]}}
    return event(time, who, "RevokeSecurityGroupIngress", request, response)


def trail() -> dict[str, Any]:
    bastion, database, app, hosts = map(group, ("shop-bastion", "shop-db", "shop-app", "shop-managed-host"))
    monitoring = group("shop-monitoring")
    exporter = {
        "SecurityGroupRuleId": identifier("sgr", "exporter of the database"),
        "GroupId": database,
        "GroupOwnerId": ACCOUNT,
        "IsEgress": False,
        "IpProtocol": "tcp",
        "FromPort": 9100,
        "ToPort": 9100,
        "ReferencedGroupInfo": {"GroupId": monitoring, "UserId": ACCOUNT},
        "Description": "node exporter",
    }
    ssh = rules(hosts, FromPort=22, IsEgress=False)
    wide = rules(app, FromPort=8443, CidrIpv4="10.20.10.0/24", IsEgress=False)
    office = rules(bastion, FromPort=22, CidrIpv6="2001:db8:ff1c::/48")
    body = {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "ReferencedGroupId": ssh["ReferencedGroupInfo"]["GroupId"],
    }
    update = {"SecurityGroupRuleId": ssh["SecurityGroupRuleId"], "SecurityGroupRule": body, "tag": 1}
    refused = {
        "groupId": database,
        "ipPermissions": {"items": [{"ipProtocol": "-1", "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}}]},
    }
    return {
        "Records": [
            revocation("09:03:00", MAJA, exporter),
            event(
                "09:04:30",
                DEPLOY,
                "ModifySecurityGroupRules",
                {"ModifySecurityGroupRulesRequest": {"GroupId": hosts, "SecurityGroupRule": update}},
                {"ModifySecurityGroupRulesResponse": {"return": True}},
            ),
            event(
                "09:05:45", MAJA, "AuthorizeSecurityGroupIngress", refused, None,
                errorCode="Client.UnauthorizedOperation", errorMessage="You are not authorized.",
            ),
            event("09:05:50", DEPLOY, "DescribeSecurityGroups", {"securityGroupIdSet": {}}, None),
            event(
                "09:06:00",
                DEPLOY,
                "AuthorizeSecurityGroupIngress",
                {
                    "groupId": app,
                    "ipPermissions": {
                        "items": [
                            {
                                "ipProtocol": "tcp",
                                "fromPort": 8443,
                                "toPort": 8443,
                                "groups": {},
                                "ipRanges": {"items": [{"cidrIp": "10.20.10.0/24"}]},
                                "ipv6Ranges": {},
                                "prefixListIds": {},
                            }
                        ]
                    },
                },
                {"_return": True, "securityGroupRuleSet": {"items": [answered(wide)]}},
            ),
            revocation("09:08:00", MAJA, office),
        ]
    }  # fmt: skip


def main() -> None:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "shop-changes"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "trail.json").write_text(json.dumps(trail(), indent=2) + "\n")


if __name__ == "__main__":
    main()
