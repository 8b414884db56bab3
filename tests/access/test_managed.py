"""AWS's managed policies: all that are at hand parse, and do what their names promise."""

from __future__ import annotations

import importlib.util
import json
import os
from functools import cache
from pathlib import Path

import pytest

from sgsim.access import AccessRequest, AttachedPolicy, Layer, PolicySet, decide
from sgsim.access.actions import action_table, find_action
from sgsim.model.managed_policies import shipped_policies
from sgsim.model.policies import Policy, PolicyKind, parse_policy
from tests.access.asking import GROUP
from tests.access.worlds import ACCOUNT, USER

ROOT = Path(__file__).parents[2]
#: What each policy's name promises of calls that sgsim simulates.
PROMISES = {
    "AdministratorAccess": ("ec2:AuthorizeSecurityGroupIngress ec2:RunInstances iam:CreateUser sts:AssumeRole", ""),
    "PowerUserAccess": (
        (
            "ec2:AuthorizeSecurityGroupIngress ec2:RunInstances ec2:ModifyImageAttribute sts:AssumeRole iam:ListRoles "
            "iam:CreateServiceLinkedRole"
        ),
        "iam:CreateUser iam:AttachGroupPolicy iam:CreateAccessKey iam:PassRole organizations:AttachPolicy",
    ),
    "ReadOnlyAccess": (
        "ec2:DescribeSecurityGroups ec2:GetManagedPrefixListEntries iam:GetAccountAuthorizationDetails iam:ListUsers",
        "ec2:AuthorizeSecurityGroupIngress ec2:RunInstances iam:CreateUser iam:CreateAccessKey sts:AssumeRole",
    ),
    "AmazonEC2FullAccess": (
        (
            "ec2:AuthorizeSecurityGroupIngress ec2:RevokeSecurityGroupEgress ec2:RunInstances "
            "ec2:CreateNetworkInterface ec2:ModifySnapshotAttribute"
        ),
        "iam:CreateUser iam:PassRole iam:CreateServiceLinkedRole iam:AttachUserPolicy",
    ),
    "AmazonEC2ReadOnlyAccess": (
        "ec2:DescribeSecurityGroups ec2:DescribeInstances ec2:DescribeImageAttribute",
        "ec2:AuthorizeSecurityGroupIngress ec2:RunInstances ec2:GetManagedPrefixListEntries iam:ListUsers",
    ),
    "IAMFullAccess": (
        "iam:CreateUser iam:CreateGroup iam:AttachGroupPolicy iam:CreateLoginProfile iam:PassRole",
        "ec2:RunInstances ec2:DescribeSecurityGroups sts:AssumeRole organizations:AttachPolicy",
    ),
    "IAMReadOnlyAccess": (
        "iam:GetLoginProfile iam:ListAccessKeys iam:GetAccountPasswordPolicy",
        "iam:CreateUser iam:CreateAccessKey iam:UpdateAssumeRolePolicy ec2:DescribeSecurityGroups",
    ),
    "AmazonVPCFullAccess": (
        ("ec2:CreateSecurityGroup ec2:AuthorizeSecurityGroupIngress ec2:ModifyNetworkInterfaceAttribute"),
        "ec2:RunInstances ec2:ModifyImageAttribute iam:CreateUser",
    ),
    "AmazonVPCReadOnlyAccess": (
        "ec2:DescribeSecurityGroups ec2:DescribeNetworkInterfaces",
        "ec2:AuthorizeSecurityGroupIngress ec2:CreateNetworkInterface iam:CreateUser",
    ),
    "SecurityAudit": (
        "ec2:DescribeSecurityGroups iam:GetAccountAuthorizationDetails iam:GetAccountPasswordPolicy",
        "ec2:AuthorizeSecurityGroupIngress iam:CreateAccessKey",
    ),
    "ViewOnlyAccess": (
        "ec2:DescribeSecurityGroups iam:ListUsers",
        "ec2:RunInstances iam:GetAccountAuthorizationDetails",
    ),
    "NetworkAdministrator": (
        "ec2:AuthorizeSecurityGroupIngress ec2:CreateSecurityGroup ec2:CreateNetworkInterface",
        "ec2:RunInstances iam:CreateUser",
    ),
    "SystemAdministrator": (
        "ec2:AuthorizeSecurityGroupIngress ec2:RunInstances ec2:CreateVolume",
        "iam:CreateUser iam:AttachUserPolicy organizations:AttachPolicy",
    ),
    "AmazonS3ReadOnlyAccess": ("", "ec2:DescribeSecurityGroups iam:ListUsers"),
    "AmazonSSMManagedInstanceCore": ("", "ec2:AuthorizeSecurityGroupIngress iam:CreateUser"),
}
CASES = [
    (name, action, allowed)
    for name, promised in PROMISES.items()
    for actions, allowed in zip(promised, (True, False))
    for action in actions.split()
]


@cache
def _directory() -> Path:
    root = os.environ.get("SGSIM_TEST_DATA")
    directory = Path(root or "", "iam", "aws_managed")
    if not root or not directory.is_dir():
        pytest.skip("SGSIM_TEST_DATA names no directory with iam/aws_managed")
    return directory


def _published(name: str) -> Policy:
    answer = json.loads((_directory() / f"{name}.json").read_text())
    return parse_policy(answer["PolicyVersion"]["Document"], PolicyKind.IDENTITY)


def _allows(policy: Policy, action: str, resource: str = GROUP) -> bool:
    given = AttachedPolicy(policy, "managed policy", Layer.IDENTITY)
    policies = PolicySet(principal=USER, account_id=ACCOUNT, identity=(given,))
    return decide(policies, AccessRequest(action=action, resource=resource)).allowed


def test_all_published_policies_parse() -> None:
    names = [path.stem for path in _directory().glob("*.json")]
    assert len(names) >= 20
    assert all(_published(name).statements for name in names)


@pytest.mark.parametrize(("name", "action", "allowed"), CASES)
def test_policies_do_what_their_names_promise(name: str, action: str, allowed: bool) -> None:
    assert len(CASES) >= 40
    assert _allows(_published(name), action) is allowed


def test_the_table_asks_for_actions_that_there_are() -> None:
    """But for those that no change of sgsim makes."""
    unknown = {action for _, action, _ in CASES if find_action(action) is None}
    assert unknown == {"iam:ListRoles"}


@pytest.mark.parametrize("arn", sorted(shipped_policies()))
def test_trimmed_policies_say_what_the_published_ones_say(arn: str) -> None:
    """docs/iam.md A6: of every simulated action, as far as no condition is in the way."""
    trimmed, published = shipped_policies()[arn].policy, _published(arn.rsplit("/", 1)[1])
    for action in action_table().actions:
        assert _allows(trimmed, action) == _allows(published, action), action


def test_shipped_policies_tell_version_and_date() -> None:
    """docs/iam.md A6."""
    told = {arn.rsplit("/", 1)[1]: (one.version_id, str(one.created.date())) for arn, one in shipped_policies().items()}
    assert told == {
        "PowerUserAccess": ("v12", "2026-02-12"),
        "ReadOnlyAccess": ("v178", "2026-02-12"),
        "AmazonEC2FullAccess": ("v5", "2018-11-27"),
        "AmazonEC2ReadOnlyAccess": ("v5", "2026-02-12"),
    }


def test_the_script_makes_what_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/iam.md A6: nothing was changed by hand."""
    spec = importlib.util.spec_from_file_location("managed_policies", ROOT / "tools" / "managed_policies.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "TARGET", tmp_path / "made.json")
    script.main(_directory())
    assert (tmp_path / "made.json").read_text() == (ROOT / "sgsim/model/managed_policies.json").read_text()
