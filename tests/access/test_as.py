"""Changes as a principal, and launches (docs/iam.md A3, C6, E)."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from sgsim.access.enforcement import UnauthorizedError, apply_as
from sgsim.cli.main import run
from sgsim.engine import Snapshot
from sgsim.errors import ChangeError, InputError
from sgsim.importers import read_environment
from sgsim.importers.changes import read_changes
from sgsim.model import Environment
from sgsim.model.changes import ChangeSet, RunInstances
from sgsim.model.difference import inverse
from sgsim.model.directory_changes import ResetPermissions, SetEntry

SHOP = Path(__file__).parents[2] / "pcaps" / "shop"
ACCOUNT, REGION = "111122223333", "eu-west-1"
WEB, APP, DEFAULT = "sg-07d20c7ffe964e597", "sg-0d4466124e1efec04", "sg-02c138d91b23caf34"
BASTION = "sg-02f34b462d271e725"
SUBNET, IMAGE = "subnet-03f6e9dbc507182a3", "ami-04fefdce606288fb5"
Json = dict[str, Any]


def rule(group_id: str, port: int = 22) -> Json:
    permission = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "198.51.100.7/32"}]}
    return {"Action": "AuthorizeSecurityGroupIngress", "GroupId": group_id, "IpPermissions": [permission]}


def launch(**more: Any) -> Json:
    return {"Action": "RunInstances", "ImageId": IMAGE, "MinCount": 1, "MaxCount": 1, "SubnetId": SUBNET, **more}


@pytest.fixture(scope="module")
def shop() -> Environment:
    return read_environment(SHOP)


def written(folder: Path, *requests: Json) -> str:
    path = folder / "changes.json"
    path.write_text(json.dumps(list(requests)))
    return str(path)


def arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:{name}"


def test_allowed_refused_and_dry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """E2, E4: one line, exit code 1, what was asked on stdout; nothing is written."""
    one, both = tmp_path / "one", tmp_path / "both"
    one.mkdir()
    both.mkdir()
    allowed, refused = written(one, rule(WEB)), written(both, rule(WEB), rule(BASTION))
    assert run(["apply", str(SHOP), allowed, "--as", "dara"]) == 0
    assert "+ in tcp 22 from 198.51.100.7/32" in capsys.readouterr().out
    assert run(["apply", str(SHOP), allowed, "--as", arn("user/dara"), "--dry-run"]) == 0
    assert "DryRunOperation" in capsys.readouterr().out
    assert run(["apply", str(SHOP), refused, "--as", "dara", "-o", str(tmp_path / "new")]) == 1
    output, errors = capsys.readouterr()
    assert "nothing allows it as identity policy" in output
    assert "[1]: UnauthorizedOperation: You are not authorized: ec2:Authorize" in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "new").exists()
    assert run(["whatif", str(SHOP), refused, "--as", "dara", "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["allowed"], document["code"]) == (False, "UnauthorizedOperation")
    assert [call["allowed"] for call in document["calls"]] == [True, False]
    assert run(["whatif", str(SHOP), allowed, "--as", "dara"]) == 0


def test_what_makes_no_sense(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Options that need --as, names that nobody has, changes that no call makes."""
    path = written(tmp_path, rule(WEB))
    for arguments in (["--dry-run"], ["--context", "aws:SourceIp=10.0.0.1"]):
        assert run(["apply", str(SHOP), path, *arguments]) == 64
        assert run(["whatif", str(SHOP), path, *arguments]) == 64
    assert run(["apply", str(SHOP), path, "--as", "dara", "--dry-run", "-o", "x"]) == 64
    assert run(["apply", str(SHOP), path, "--as", "nobody"]) == 64
    assert run(["apply", str(SHOP), path, "--as", arn("user/nobody")]) == 1
    assert "NoSuchEntity" in capsys.readouterr().err
    with pytest.raises(InputError, match="no call of AWS's makes this change"):
        apply_as(read_environment(SHOP), ChangeSet((SetEntry(kind="users", key="x", value=None),)), arn("user/maja"))


def test_each_change_meets_what_the_one_before_has_left(shop: Environment, tmp_path: Path) -> None:
    """E1: the root user takes dara's group away, so that dara may no longer; and all or nothing."""
    leave = {"Action": "RemoveUserFromGroup", "GroupName": "developers", "UserName": "dara"}
    changes = read_changes(written(tmp_path, leave, rule(WEB)), shop)
    left = apply_as(shop, ChangeSet(changes.changes[:1]), arn("root"))
    assert left.error is None
    after = apply_as(left.environment, ChangeSet(changes.changes[1:]), arn("user/dara"))
    assert isinstance(after.error, UnauthorizedError)
    assert after.environment is left.environment
    again = pickle.loads(pickle.dumps(after.error))
    assert (again.code, str(again), len(again.asked)) == ("UnauthorizedOperation", str(after.error), 1)


def test_iams_own_calls_are_denied_in_its_words(shop: Environment, tmp_path: Path) -> None:
    """A3.8."""
    done = apply_as(
        shop, read_changes(written(tmp_path, {"Action": "CreateUser", "UserName": "x"}), shop), arn("user/dara")
    )
    assert done.error is not None and done.error.code == "AccessDenied"


def test_only_the_owner_shares(shop: Environment) -> None:
    """The owner is asked as the principal's account."""
    from sgsim.model.changes import ChangeOrigin

    change = ResetPermissions(resource_id=IMAGE, origin=ChangeOrigin())
    assert apply_as(shop, ChangeSet((change,)), arn("user/maja")).error is None


# -- launches ----------------------------------------------------------------------------------------------------------


def launched(shop: Environment, folder: Path, **more: Any) -> RunInstances:
    (change,) = read_changes(written(folder, launch(**more)), shop).changes
    assert isinstance(change, RunInstances)
    return change


def test_a_launch_is_an_interface_with_its_groups(shop: Environment, tmp_path: Path) -> None:
    """Ids follow from addresses; the default group if none is named; filtered from that moment on."""
    change = launched(shop, tmp_path, MaxCount=2, SecurityGroupIds=[APP])
    assert [(one.interface_id, one.group_ids) for one in change.interfaces] == [
        (f"{SUBNET}/10.20.10.4", (APP,)),
        (f"{SUBNET}/10.20.10.5", (APP,)),
    ]
    assert [one.instance_id for one in change.interfaces] == [f"i-{SUBNET}/10.20.10.4", f"i-{SUBNET}/10.20.10.5"]
    before = Snapshot.of(shop)
    after = before.apply(change)
    assert set(after.environment.interfaces) - set(shop.interfaces) == {one.interface_id for one in change.interfaces}
    assert set(after.tables.interface_ids) > set(before.tables.interface_ids)
    undone = after.apply(inverse(shop, ChangeSet((change,))))
    assert dict(undone.environment.interfaces) == dict(shop.interfaces)
    assert launched(shop, tmp_path).interfaces[0].group_ids == (DEFAULT,)
    interfaces = [{"DeviceIndex": 0, "SubnetId": SUBNET, "Groups": [WEB], "PrivateIpAddress": "10.20.10.99"}]
    request = launch(NetworkInterfaces=interfaces)
    del request["SubnetId"]
    (named,) = read_changes(written(tmp_path, request), shop).changes
    assert isinstance(named, RunInstances)
    assert (str(named.interfaces[0].addresses[0]), named.interfaces[0].group_ids) == ("10.20.10.99", (WEB,))


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"ImageId": "ami-00000000000000000"}, "InvalidAMIID.NotFound"),
        ({"ImageId": "server"}, "InvalidAMIID.Malformed"),
        ({"ImageId": None}, "MissingParameter"),
        ({"SubnetId": "subnet-0"}, "InvalidSubnetID.NotFound"),
        ({"SubnetId": None}, "MissingParameter"),
        ({"SecurityGroupIds": ["sg-00000000000000000"]}, "InvalidGroup.NotFound"),
        ({"SecurityGroups": ["nobody"]}, "InvalidGroup.NotFound"),
        ({"MinCount": 3}, "InvalidParameterCombination"),
        ({"MaxCount": None}, "MissingParameter"),
        ({"MinCount": 0}, "InvalidParameterValue"),
        ({"MinCount": 1, "MaxCount": 2, "PrivateIpAddress": "10.20.10.99"}, "InvalidParameterCombination"),
        ({"PrivateIpAddress": "10.99.0.1"}, "InvalidParameterValue"),
        ({"PrivateIpAddress": "10.20.10.11"}, "InvalidIPAddress.InUse"),
        ({"NetworkInterfaces": [{"SubnetId": SUBNET}]}, "InvalidParameterCombination"),
        ({"Imageid": "x"}, "UnknownParameter"),
    ],
)
def test_what_a_launch_is_refused_for(
    more: Json, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """AWS's code, in one line."""
    assert run(["apply", str(SHOP), written(tmp_path, launch(**more))]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if "AWS would choose addresses" not in line]
    assert len(lines) == 1
    assert code in lines[0]


def test_the_owners_gate_is_asked_before_iam(shop: Environment, tmp_path: Path) -> None:
    """C6: an image that is not shared is AuthFailure, one that is shared is a question for IAM."""
    from dataclasses import replace

    import msgspec

    image = msgspec.structs.replace(shop.images[IMAGE], owner_id="999988887777")
    change = launched(shop, tmp_path, SecurityGroupIds=[APP])
    foreign = replace(shop, images={IMAGE: image})
    done = apply_as(foreign, ChangeSet((change,)), arn("user/ann"))
    assert isinstance(done.error, ChangeError) and done.error.code == "AuthFailure"
    done = apply_as(shop, ChangeSet((change,)), arn("user/ann"))
    assert done.error is not None and done.error.code == "UnauthorizedOperation"
    assert apply_as(shop, ChangeSet((change,)), arn("role/ci/deploy")).error is None


def test_a_role_has_to_be_passed_and_tags_to_be_allowed(shop: Environment, tmp_path: Path) -> None:
    """A3.2, A3.9, A3.10: iam:PassRole for the profile's role, ec2:CreateTags for what is tagged."""
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "team", "Value": "x"}]}]
    change = launched(shop, tmp_path, IamInstanceProfile={"Name": "db-maintenance"}, TagSpecifications=tags)
    assert change.role_arn == arn("role/db-maintenance")
    done = apply_as(shop, ChangeSet((change,)), arn("role/ci/deploy"))
    assert done.error is not None and done.error.code == "AccessDenied" and "iam:PassRole" in str(done.error)
    asked = {request.action: request for request, _ in done.calls[0].asked}
    assert asked.keys() == {"ec2:RunInstances", "ec2:CreateTags", "iam:PassRole"}
    assert asked["iam:PassRole"].context["iam:PassedToService"] == ("ec2.amazonaws.com",)
    assert asked["ec2:CreateTags"].context["aws:RequestTag/team"] == ("x",)
    assert apply_as(shop, ChangeSet((change,)), arn("root")).error is None
