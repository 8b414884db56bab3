"""Small accounts in AWS's JSON, read and changed through files as a user would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sgsim.importers import read_environment
from sgsim.importers.changes import read_changes
from sgsim.model import Environment
from sgsim.model.apply import apply

ACCOUNT, OTHER, MANAGEMENT = "111122223333", "444455556666", "999988887777"
READ_ONLY = "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess"
FULL = "arn:aws:iam::aws:policy/AmazonEC2FullAccess"

Json = dict[str, Any]


def arn(kind: str, name: str, account_id: str = ACCOUNT) -> str:
    return f"arn:aws:iam::{account_id}:{kind}/{name}"


def allow(*actions: str, effect: str = "Allow", **more: Any) -> Json:
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": effect, "Action": list(actions), "Resource": "*", **more}],
    }


def trust(*principals: str, effect: str = "Allow") -> Json:
    statement = {"Effect": effect, "Principal": {"AWS": list(principals)}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def user(name: str, account_id: str = ACCOUNT, **more: Any) -> Json:
    return {
        "Path": "/",
        "UserName": name,
        "UserId": f"AIDA{name.upper():X<17}",
        "Arn": arn("user", name, account_id),
        "CreateDate": "2026-01-12T08:30:00+00:00",
        "GroupList": [],
        "AttachedManagedPolicies": [],
        **more,
    }


def group(name: str, account_id: str = ACCOUNT, **more: Any) -> Json:
    return {
        "GroupName": name,
        "GroupId": f"AGPA{name.upper():X<17}",
        "Arn": arn("group", name, account_id),
        "GroupPolicyList": [],
        "AttachedManagedPolicies": [],
        **more,
    }


def role(name: str, trusted: Json, account_id: str = ACCOUNT, **more: Any) -> Json:
    return {
        "RoleName": name,
        "RoleId": f"AROA{name.upper():X<17}",
        "Arn": arn("role", name, account_id),
        "AssumeRolePolicyDocument": trusted,
        "RolePolicyList": [],
        "AttachedManagedPolicies": [],
        **more,
    }


def policy(name: str, document: Json | str, account_id: str = ACCOUNT) -> Json:
    version = {"Document": document, "VersionId": "v1", "IsDefaultVersion": True}
    return {
        "PolicyName": name,
        "PolicyId": "ANPA1",
        "Arn": arn("policy", name, account_id),
        "DefaultVersionId": "v1",
        "PolicyVersionList": [version],
    }


def attached(*policy_arns: str) -> list[Json]:
    return [{"PolicyName": one.rpartition("/")[2], "PolicyArn": one} for one in policy_arns]


def inline(name: str, document: Json, encoded: bool = False) -> Json:
    return {"PolicyName": name, "PolicyDocument": quote(json.dumps(document), safe="") if encoded else document}


def details(users: Any = (), groups: Any = (), roles: Any = (), policies: Any = (), **more: Any) -> Json:
    return {"UserDetailList": users, "GroupDetailList": groups, "RoleDetailList": roles, "Policies": policies, **more}


def read(folder: Path, *documents: Json, **named: Json) -> Environment:
    """An environment of documents, in files with numbers or names; one group belongs to ACCOUNT."""
    folder.mkdir(parents=True, exist_ok=True)
    groups = {"SecurityGroups": [{"GroupId": "sg-1", "GroupName": "a", "OwnerId": ACCOUNT, "VpcId": "vpc-1"}]}
    numbered = {str(number): one for number, one in enumerate((groups, *documents))}
    for name, document in (numbered | named).items():
        path = folder / f"{name.replace('__', '/')}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))
    return read_environment(folder)


def change(folder: Path, environment: Environment, *requests: Json) -> Environment:
    """The environment after requests, as `sgsim apply` makes them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "changes.json").write_text(json.dumps(list(requests)))
    return apply(environment, read_changes(folder / "changes.json", environment))


def call(action: str, **parameters: Any) -> Json:
    return {"Action": action, **parameters}


def organization(*policies: tuple[str, Json, list[str]]) -> list[Json]:
    """A root, two nested units with one account each, and service control policies with their targets."""
    prefix = f"arn:aws:organizations::{MANAGEMENT}"
    work, deep = "o-abc/r-root/ou-root-work/", "o-abc/r-root/ou-root-work/ou-root-deep/"

    def unit(name: str, path: str) -> Json:
        return {"Id": f"ou-root-{name}", "Arn": f"{prefix}:ou/o-abc/ou-root-{name}", "Name": name, "Path": path}

    def member(account_id: str, name: str, path: str) -> Json:
        return {"Id": account_id, "Arn": f"{prefix}:account/o-abc/{account_id}", "Name": name, "Paths": [path]}

    top = {"Id": "o-abc", "Arn": f"{prefix}:organization/o-abc", "MasterAccountId": MANAGEMENT}
    root = {"Id": "r-root", "Arn": f"{prefix}:root/o-abc/r-root", "Name": "Root", "PolicyTypes": []}
    accounts = [
        member(ACCOUNT, "shop", deep),
        member(OTHER, "billing", work),
        member(MANAGEMENT, "top", "o-abc/r-root/"),
    ]
    documents: list[Json] = [
        {"Organization": top},
        {"Roots": [root]},
        {"OrganizationalUnits": [unit("work", work), unit("deep", deep)]},
        {"Accounts": accounts},
    ]
    for policy_id, document, targets in policies:
        summary = {
            "Id": policy_id,
            "Arn": f"{prefix}:policy/{policy_id}",
            "Name": policy_id,
            "Type": "SERVICE_CONTROL_POLICY",
        }
        documents.append({"Policy": {"PolicySummary": summary, "Content": json.dumps(document)}})
        documents.append({"Targets": [{"TargetId": one} for one in targets], "PolicyId": policy_id})
    return documents
