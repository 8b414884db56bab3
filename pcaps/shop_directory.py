"""Who works in the example account: what `aws iam …` prints of it, and the image that its servers are launched from.

maja in network-admins    everything of EC2
dara in developers        reads everything, changes the rules of web and app, may take the role db-maintenance
ann  in auditors          reads EC2
ci   without group        may take the role deploy, which launches servers, within the boundary deploy-limit
"""

from __future__ import annotations

import hashlib
from typing import Any

from shop_account import ACCOUNT, BILLING_ACCOUNT, CREATED, REGION, VPC, group_id, identifier

Json = dict[str, Any]

_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def unique_id(prefix: str, name: str) -> str:
    """An id as IAM makes them, 21 characters, always the same for the same name."""
    digest = hashlib.sha256(f"{prefix} {name}".encode()).digest()
    return prefix + "".join(_BASE32[byte % 32] for byte in digest[: 21 - len(prefix)])


def arn(kind: str, name: str, path: str = "/") -> str:
    return f"arn:aws:iam::{ACCOUNT}:{kind}{path}{name}"


def document(*statements: Json) -> Json:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(sid: str, actions: list[str], resources: list[str] | str = "*", **more: Any) -> Json:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources, **more}


def trust(principal: Json, **more: Any) -> Json:
    return document({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more})


def security_groups(*names: str) -> list[str]:
    return [f"arn:aws:ec2:{REGION}:{ACCOUNT}:security-group/{group_id(name)}" for name in names]


RULES = ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress", "ec2:ModifySecurityGroupRules"]
MANAGED = "arn:aws:iam::aws:policy/{}"
LIMIT = arn("policy", "deploy-limit")
IMAGE, SNAPSHOT = identifier("ami", "server"), identifier("snap", "server")
DATA = identifier("snap", "orders")

#: name: (policies that AWS manages, inline policies)
GROUPS: dict[str, tuple[list[str], dict[str, Json]]] = {
    "network-admins": (["AmazonEC2FullAccess"], {}),
    "developers": (
        ["ReadOnlyAccess"],
        {
            "own-groups": document(allow("RulesOfWebAndApp", RULES, security_groups("web", "app"))),
            "database-role": document(allow("TakeIt", ["sts:AssumeRole"], arn("role", "db-maintenance"))),
        },
    ),
    "auditors": (["AmazonEC2ReadOnlyAccess"], {}),
}

#: name: (groups, inline policies)
USERS: dict[str, tuple[list[str], dict[str, Json]]] = {
    "ann": (["auditors"], {}),
    "ci": ([], {"deploy": document(allow("TakeIt", ["sts:AssumeRole"], arn("role", "deploy", "/ci/")))}),
    "dara": (["developers"], {}),
    "maja": (["network-admins"], {}),
}


def attached(names: list[str]) -> list[Json]:
    return [{"PolicyName": name, "PolicyArn": MANAGED.format(name)} for name in names]


def inline(policies: dict[str, Json]) -> list[Json]:
    return [{"PolicyName": name, "PolicyDocument": policy} for name, policy in policies.items()]


def user(name: str) -> Json:
    groups, policies = USERS[name]
    return {
        "Path": "/",
        "UserName": name,
        "UserId": unique_id("AIDA", name),
        "Arn": arn("user", name),
        "CreateDate": CREATED,
        **({"UserPolicyList": inline(policies)} if policies else {}),
        "GroupList": groups,
        "AttachedManagedPolicies": [],
        "Tags": [{"Key": "team", "Value": groups[0] if groups else "automation"}],
    }


def group(name: str) -> Json:
    managed, policies = GROUPS[name]
    return {
        "Path": "/",
        "GroupName": name,
        "GroupId": unique_id("AGPA", name),
        "Arn": arn("group", name),
        "CreateDate": CREATED,
        "GroupPolicyList": inline(policies),
        "AttachedManagedPolicies": attached(managed),
    }


def role(name: str, path: str, trusted: Json, policies: dict[str, Json], boundary: str | None = None) -> Json:
    limit = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": boundary}
    return {
        "Path": path,
        "RoleName": name,
        "RoleId": unique_id("AROA", name),
        "Arn": arn("role", name, path),
        "CreateDate": CREATED,
        "AssumeRolePolicyDocument": trusted,
        "InstanceProfileList": [],
        "RolePolicyList": inline(policies),
        "AttachedManagedPolicies": [],
        **({"PermissionsBoundary": limit} if boundary else {}),
        "Tags": [],
    }


def roles() -> list[Json]:
    with_mfa = {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}
    service = {"Service": "rds.amazonaws.com"}
    database = document(allow("RulesOfTheDatabase", RULES, security_groups("db")))
    launch = document(allow("Servers", ["ec2:RunInstances", "ec2:CreateTags", "ec2:ModifyInstanceAttribute"]))
    return [
        role("deploy", "/ci/", trust({"AWS": arn("user", "ci")}), {"servers": launch}, LIMIT),
        role("db-maintenance", "/", trust({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, **with_mfa), {"rules": database}),
        role("AWSServiceRoleForRDS", "/aws-service-role/rds.amazonaws.com/", trust(service), {}),
    ]


def policies() -> list[Json]:
    vpc = f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/{VPC}"
    own_vpc = {"ArnNotEquals": {"ec2:Vpc": vpc}, "Null": {"ec2:Vpc": "false"}}
    limit = document(
        allow("Compute", ["ec2:*"]),
        {"Sid": "OwnVpc", "Effect": "Deny", "Action": "ec2:RunInstances", "Resource": "*", "Condition": own_vpc},
    )
    version = {"Document": limit, "VersionId": "v1", "IsDefaultVersion": True, "CreateDate": CREATED}
    return [
        {
            "PolicyName": "deploy-limit",
            "PolicyId": unique_id("ANPA", "deploy-limit"),
            "Arn": LIMIT,
            "Path": "/",
            "DefaultVersionId": "v1",
            "AttachmentCount": 0,
            "PermissionsBoundaryUsageCount": 1,
            "IsAttachable": True,
            "CreateDate": CREATED,
            "UpdateDate": CREATED,
            "PolicyVersionList": [version],
        }
    ]


def details() -> Json:
    return {
        "UserDetailList": [user(name) for name in USERS],
        "GroupDetailList": [group(name) for name in GROUPS],
        "RoleDetailList": roles(),
        "Policies": policies(),
    }


def access_keys() -> Json:
    key_id = "AKIA" + unique_id("", "access key of ci")[:16]
    return {"AccessKeyMetadata": [{"UserName": "ci", "AccessKeyId": key_id, "Status": "Active", "CreateDate": CREATED}]}


def password_policy() -> Json:
    return {
        "PasswordPolicy": {
            "MinimumPasswordLength": 14,
            "RequireSymbols": False,
            "RequireNumbers": True,
            "RequireUppercaseCharacters": True,
            "RequireLowercaseCharacters": True,
            "AllowUsersToChangePassword": True,
            "ExpirePasswords": False,
            "PasswordReusePrevention": 5,
        }
    }


def images() -> Json:
    device = {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": SNAPSHOT, "VolumeSize": 20, "Encrypted": False}}
    return {
        "Images": [
            {
                "ImageId": IMAGE,
                "OwnerId": ACCOUNT,
                "Public": False,
                "State": "available",
                "Name": "shop-server-2026-01",
                "CreationDate": CREATED,
                "BlockDeviceMappings": [device],
                "Tags": [{"Key": "Name", "Value": "shop-server"}],
            }
        ]
    }


def snapshots() -> Json:
    def one(snapshot_id: str, size: int, encrypted: bool, name: str) -> Json:
        key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/5f0c1d7e-2b64-4c19-9a83-6e1d0b7f2a95"
        return {
            "SnapshotId": snapshot_id,
            "VolumeId": identifier("vol", name),
            "OwnerId": ACCOUNT,
            "State": "completed",
            "StartTime": CREATED,
            "VolumeSize": size,
            "Encrypted": encrypted,
            **({"KmsKeyId": key} if encrypted else {}),
            "Tags": [{"Key": "Name", "Value": name}],
        }

    return {"Snapshots": [one(SNAPSHOT, 20, False, "shop-server"), one(DATA, 100, True, "shop-orders")]}


def directory_documents() -> dict[str, Json]:
    """File name: what the call printed."""
    return {
        "account-authorization-details.json": details(),
        "access-keys.json": access_keys(),
        "password-policy.json": password_policy(),
        "images.json": images(),
        f"{IMAGE}.json": {"ImageId": IMAGE, "LaunchPermissions": [{"UserId": BILLING_ACCOUNT}]},
        "snapshots.json": snapshots(),
        f"{SNAPSHOT}.json": {"SnapshotId": SNAPSHOT, "CreateVolumePermissions": []},
        f"{DATA}.json": {"SnapshotId": DATA, "CreateVolumePermissions": [{"UserId": BILLING_ACCOUNT}]},
    }
