"""What `sgsim apply -o` writes is what AWS prints, and reads back as the same."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from sgsim.cli.main import run
from sgsim.errors import OutputError
from sgsim.importers import read_environment
from sgsim.importers.changes import read_changes
from sgsim.importers.write import write_environment
from sgsim.model.difference import difference
from sgsim.model.directory_changes import SetEntry
from sgsim.model.images import Image
from tests.directory.support import (
    ACCOUNT,
    FULL,
    OTHER,
    allow,
    arn,
    attached,
    call,
    change,
    details,
    group,
    inline,
    organization,
    policy,
    read,
    role,
    trust,
    user,
)

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "pcaps" / "shop"


def test_the_example_and_the_walk_through(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """README shows the file, and what it does; nothing is lost on the way through a directory."""
    shop = read_environment(SHOP)
    write_environment(shop, tmp_path / "same")
    assert difference(shop, read_environment(tmp_path / "same")) == difference(shop, shop)
    team = ROOT / "pcaps" / "shop-team.json"
    (shown,) = re.findall(r"^```json\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert shown == team.read_text()
    assert run(["apply", str(SHOP), str(team), "-o", str(tmp_path / "team")]) == 0
    assert json.loads(capsys.readouterr().out)["AccessKey"]["UserName"] == "tomas"
    made = read_environment(tmp_path / "team").directory
    assert {one.name for one in made.members(arn("group", "operators"))} == {"grace", "tomas"}


def test_everything_survives(tmp_path: Path) -> None:
    """Several accounts, an organization, tags, versions, boundaries, keys, passwords, images shared or not."""
    tags = [{"Key": "a", "Value": "b"}, {"Key": "c", "Value": ""}]
    boundary = {"PermissionsBoundaryArn": arn("policy", "limit")}
    people = {
        "one__details": details(
            [user("ada", GroupList=["dev"], PermissionsBoundary=boundary, Tags=tags)],
            [group("dev", AttachedManagedPolicies=attached(FULL), GroupPolicyList=[inline("p", allow("ec2:*"))])],
            [role("deploy", trust(ACCOUNT, OTHER), Description="x", MaxSessionDuration=3600)],
            [policy("limit", allow("*"), ACCOUNT), policy("AWSx", allow("s3:*"), "aws")],
        ),
        "two__details": details([user("ada", OTHER)]),
        "two__keys": {"AccessKeyMetadata": [{"UserName": "ada", "AccessKeyId": "AKIA1", "Status": "Inactive"}]},
        "two__password": {"PasswordPolicy": {"AllowUsersToChangePassword": False, "MaxPasswordAge": 90}},
    }
    images = {"Images": [{"ImageId": "ami-1", "OwnerId": ACCOUNT, "Public": True, "Tags": tags}, {"ImageId": "ami-2"}]}
    snapshots = {"Snapshots": [{"SnapshotId": "snap-1", "OwnerId": OTHER, "Encrypted": True, "KmsKeyId": "k"}]}
    shared = {"SnapshotId": "snap-1", "CreateVolumePermissions": [{"UserId": OTHER}]}
    everything = ("p-all", allow("*"), ["r-root", "ou-root-work", "ou-root-deep", ACCOUNT])
    before = read(tmp_path / "before", images, snapshots, shared, *organization(everything), **people)
    after = change(
        tmp_path,
        before,
        call("CreatePolicyVersion", PolicyArn=arn("policy", "limit"), PolicyDocument=json.dumps(allow("ec2:*"))),
        call("CreateAccessKey", UserName="ada", AccountId=ACCOUNT),
        call("CreateLoginProfile", UserName="ada", AccountId=OTHER, Password="Correct-Horse-7"),
        call("UpdateAccountPasswordPolicy", AccountId="777766665555", RequireSymbols=True, HardExpiry=True),
        call("ModifySnapshotAttribute", SnapshotId="snap-1", OperationType="remove", UserIds=[OTHER]),
    )
    write_environment(after, tmp_path / "after")
    found = read_environment(tmp_path / "after")
    assert difference(after, found).changes == () and difference(after, found).notes == ()
    assert difference(before, found).changes != ()
    names = {str(path.relative_to(tmp_path / "after")) for path in (tmp_path / "after").rglob("*.json")}
    assert {f"{ACCOUNT}/account-authorization-details.json", "organization.json", "managed-policies.json"} <= names


def test_what_json_cannot_hold_is_not_written(tmp_path: Path) -> None:
    environment = replace(read(tmp_path / "world"), images={"ami-1": Image("ami-1", snapshot_ids=("snap-1",))})
    with pytest.raises(OutputError, match="cannot hold ami-1 as it is"):
        write_environment(environment, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_lines_of_a_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What comes, goes and is altered, under the name of each thing."""
    world = read(
        tmp_path / "world",
        details(
            [user("ada", UserPolicyList=[inline("p", allow("ec2:*"))]), user("bob")],
            [group("dev")],
            [role("deploy", trust(ACCOUNT))],
            [policy("limit", allow("*"))],
        ),
        {"AccessKeyMetadata": [{"UserName": "ada", "AccessKeyId": "AKIA1"}]},
        {"Images": [{"ImageId": "ami-1", "OwnerId": ACCOUNT}]},
        {"ImageId": "ami-1", "LaunchPermissions": [{"UserId": OTHER}]},
    )
    assert set(world.images) == {"ami-1"}
    text, limit = json.dumps(allow("s3:*")), arn("policy", "limit")
    requests = [
        call("PutUserPolicy", UserName="ada", PolicyName="p", PolicyDocument=text),
        call("PutUserPermissionsBoundary", UserName="ada", PermissionsBoundary=limit),
        call("UpdateAccessKey", AccessKeyId="AKIA1", Status="Inactive"),
        call("AddUserToGroup", UserName="ada", GroupName="dev"),
        call("DeleteUser", UserName="bob"),
        call("UpdateAssumeRolePolicy", RoleName="deploy", PolicyDocument=json.dumps(trust(OTHER))),
        call("CreatePolicyVersion", PolicyArn=limit, PolicyDocument=text, SetAsDefault=True),
        call("UpdateAccountPasswordPolicy"),
        call("ModifyImageAttribute", ImageId="ami-1", OperationType="add", UserGroups=["all"]),
        call("ModifyImageAttribute", ImageId="ami-1", OperationType="remove", UserIds=[OTHER]),
    ]
    (tmp_path / "c.json").write_text(json.dumps(requests))
    assert run(["apply", str(tmp_path / "world"), str(tmp_path / "c.json")]) == 0
    assert (
        capsys.readouterr().out
        == f"""\
{arn("user", "ada")}
  + in group {arn("group", "dev")}
  ~ inline policy p
  + boundary {limit}
  ~ access key AKIA1 Active → Inactive
{arn("user", "bob")}
  - the user
{arn("role", "deploy")}
  ~ the trust policy
{limit}
  + version v2
  ~ version v1 → v2 holds
ami-1
  - shared with {OTHER}
  + shared with everyone
account {ACCOUNT}
  + the password policy
"""
    )


def test_a_second_environment_without_principals(tmp_path: Path) -> None:
    """What a second environment describes nothing of stays: exports of groups alone take nobody away."""
    images = {"Images": [{"ImageId": "ami-1", "OwnerId": ACCOUNT}]}
    world = read(tmp_path / "world", details([user("ada"), user("bob")]), images)
    read(tmp_path / "second")
    assert read_changes(tmp_path / "second", world).changes == ()
    read(tmp_path / "third", details([user("ada")]))
    (gone,) = read_changes(tmp_path / "third", world).changes
    assert isinstance(gone, SetEntry) and (gone.key, gone.value) == (arn("user", "bob"), None)
