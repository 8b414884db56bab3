"""Launch permission and createVolumePermission: who shares what with whom, and the two gates (C)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sgsim.access.sharing import image_gate, may_create_volume, may_launch, snapshot_gate
from sgsim.errors import ChangeError, ChangeInputError, EnvironmentInputError
from sgsim.importers.changes import read_changes
from sgsim.model import Environment
from sgsim.model.apply import apply
from sgsim.model.changes import ChangeOrigin
from sgsim.model.difference import difference, inverse
from sgsim.model.directory_changes import ModifyPermissions
from sgsim.model.images import account_permission
from tests.directory.support import (
    ACCOUNT,
    FULL,
    MANAGEMENT,
    OTHER,
    Json,
    allow,
    arn,
    attached,
    call,
    change,
    details,
    inline,
    organization,
    read,
    user,
)

STRANGER = "123456789012"
PREFIX = f"arn:aws:organizations::{MANAGEMENT}"
ORGANIZATION, WORK, DEEP = (
    f"{PREFIX}:{name}" for name in ("organization/o-abc", "ou/o-abc/ou-root-work", "ou/o-abc/ou-root-deep")
)


def image(image_id: str, owner: str = ACCOUNT, snapshots: Any = (), **more: Any) -> Json:
    devices = [{"Ebs": {"SnapshotId": one, "Encrypted": "dead" in one}} for one in snapshots]
    return {"ImageId": image_id, "OwnerId": owner, "Public": False, "BlockDeviceMappings": devices, **more}


def snapshot(snapshot_id: str, owner: str = ACCOUNT, **more: Any) -> Json:
    return {"SnapshotId": snapshot_id, "OwnerId": owner, "Encrypted": False, **more}


@pytest.fixture
def world(tmp_path: Path) -> Environment:
    """ami-1 plain, ami-2 encrypted, ami-3 with product code; of a stranger ami-4 and ami-5, which is public."""
    shared = {"LaunchPermissions": [{"UserId": OTHER}], "ImageId": "ami-1"}
    images = [
        image("ami-1", snapshots=["snap-1"], Tags=[{"Key": "stage", "Value": "prod"}]),
        image("ami-2", snapshots=["snap-dead"]),
        image("ami-3", ProductCodes=[{"ProductCodeId": "x"}]),
        image("ami-4", STRANGER),
        image("ami-5", STRANGER, Public=True),
    ]
    snapshots = [
        snapshot("snap-1"),
        snapshot("snap-dead", Encrypted=True, KmsKeyId="arn:aws:kms:eu-west-1:111122223333:key/1"),
        snapshot("snap-beef", Encrypted=True, KmsKeyId="arn:aws:kms:eu-west-1:111122223333:alias/aws/ebs"),
    ]
    nobody = [{"LaunchPermissions": [], "ImageId": f"ami-{number}"} for number in (2, 3)]
    volumes = [{"CreateVolumePermissions": [], "SnapshotId": one["SnapshotId"]} for one in snapshots]
    people = details(
        [
            user("ada", AttachedManagedPolicies=attached(FULL)),
            user("eve", OTHER, UserPolicyList=[inline("p", allow("ec2:*"))]),
            user("tim", OTHER, UserPolicyList=[inline("p", allow("ec2:RunInstances", effect="Deny"))]),
            user("pat", UserPolicyList=[inline("p", by_tag())]),
            user("liz", OTHER, UserPolicyList=[inline("p", by_tag())]),
        ]
    )
    images_ = {"Images": images}
    return read(
        tmp_path / "world", images_, shared, {"Snapshots": snapshots}, *nobody, *volumes, people, *organization()
    )


def by_tag() -> Json:
    """Only tagged images; anything else about the call is allowed."""
    statement = allow("ec2:RunInstances", Condition={"StringEquals": {"ec2:ResourceTag/stage": "prod"}})["Statement"]
    others = {"Effect": "Allow", "Action": "ec2:RunInstances", "NotResource": "arn:aws:ec2:*::image/*"}
    return {"Version": "2012-10-17", "Statement": [*statement, others]}


def lists(key: str, **changes: list[Json]) -> Json:
    return {key: {name.capitalize(): items for name, items in changes.items()}}


MAKES: list[tuple[Json, str, set[str]]] = [
    (
        call("ModifyImageAttribute", ImageId="ami-1", **lists("LaunchPermission", add=[{"UserId": STRANGER}])),
        "ami-1",
        {OTHER, STRANGER},
    ),
    (
        call(
            "ModifyImageAttribute",
            ImageId="ami-1",
            Attribute="launchPermission",
            OperationType="add",
            UserIds=[STRANGER],
        ),
        "ami-1",
        {OTHER, STRANGER},
    ),
    (call("ModifyImageAttribute", ImageId="ami-1", OperationType="remove", UserIds=[OTHER]), "ami-1", set()),
    (
        call("ModifyImageAttribute", ImageId="ami-1", **lists("LaunchPermission", remove=[{"UserId": STRANGER}])),
        "ami-1",
        {OTHER},
    ),
    (call("ModifyImageAttribute", ImageId="ami-1", OperationType="add", UserGroups=["all"]), "ami-1", {OTHER, "all"}),
    (
        call(
            "ModifyImageAttribute",
            ImageId="ami-1",
            OperationType="add",
            OrganizationArns=[ORGANIZATION],
            OrganizationalUnitArns=[WORK],
        ),
        "ami-1",
        {OTHER, ORGANIZATION, WORK},
    ),
    (call("ModifyImageAttribute", ImageId="ami-2", OperationType="add", UserIds=[OTHER]), "ami-2", {OTHER}),
    (call("ResetImageAttribute", ImageId="ami-1", Attribute="launchPermission"), "ami-1", set()),
    (
        call("ModifySnapshotAttribute", SnapshotId="snap-1", **lists("CreateVolumePermission", add=[{"Group": "all"}])),
        "snap-1",
        {"all"},
    ),
    (
        call("ModifySnapshotAttribute", SnapshotId="snap-dead", OperationType="add", UserIds=[OTHER]),
        "snap-dead",
        {OTHER},
    ),
    (
        call(
            "ModifySnapshotAttribute",
            SnapshotId="snap-1",
            Attribute="createVolumePermission",
            OperationType="add",
            GroupNames=["all"],
            UserIds=[OTHER],
        ),
        "snap-1",
        {"all", OTHER},
    ),
    (call("ResetSnapshotAttribute", SnapshotId="snap-1", Attribute="createVolumePermission"), "snap-1", set()),
]


@pytest.mark.parametrize(("request_", "thing", "values"), MAKES)
def test_both_shapes_share(tmp_path: Path, world: Environment, request_: Json, thing: str, values: set[str]) -> None:
    """C1, C3, C5: what is shared afterwards; sharing twice, or taking what is not there, is no error; undone."""
    after = change(tmp_path, world, request_, request_)
    permissions = (after.images.get(thing) or after.volume_snapshots[thing]).permissions
    assert permissions is not None and {one.value for one in permissions} == values
    changes = read_changes(tmp_path / "changes.json", world)
    assert difference(apply(after, inverse(world, changes)), world).changes == ()


ENCRYPTED = "OperationNotPermitted"
REFUSED: list[tuple[Json, str, str]] = [
    (
        call("ModifyImageAttribute", ImageId="ami-2", OperationType="add", UserGroups=["all"]),
        ENCRYPTED,
        "encrypted volumes",
    ),
    (
        call("ModifyImageAttribute", ImageId="ami-3", OperationType="add", UserGroups=["all"]),
        ENCRYPTED,
        "product codes",
    ),
    (
        call("ModifySnapshotAttribute", SnapshotId="snap-dead", OperationType="add", GroupNames=["all"]),
        ENCRYPTED,
        "cannot be public",
    ),
    (
        call("ModifySnapshotAttribute", SnapshotId="snap-beef", OperationType="add", UserIds=[OTHER]),
        ENCRYPTED,
        "default key",
    ),
    (
        call("ModifyImageAttribute", ImageId="ami-4", OperationType="add", UserIds=[OTHER]),
        "AuthFailure",
        "Not authorized for image:ami-4",
    ),
    (call("ResetImageAttribute", ImageId="ami-5", Attribute="launchPermission"), "AuthFailure", "Not authorized"),
    (
        call("ModifyImageAttribute", ImageId="ami-9", OperationType="add", UserIds=[OTHER]),
        "InvalidAMIID.NotFound",
        "'[ami-9]' does not exist",
    ),
    (call("ModifyImageAttribute", ImageId="x", OperationType="add", UserIds=[OTHER]), "InvalidAMIID.Malformed", "ami-"),
    (
        call("ModifySnapshotAttribute", SnapshotId="snap-9", OperationType="add", UserIds=[OTHER]),
        "InvalidSnapshot.NotFound",
        "'snap-9' does not exist",
    ),
    (
        call("ModifyImageAttribute", ImageId="ami-1", OperationType="add", UserIds=["1234"]),
        "InvalidAMIAttributeItemValue",
        '"1234" for userId',
    ),
    (
        call("ModifyImageAttribute", ImageId="ami-1", OperationType="add", UserGroups=["friends"]),
        "InvalidAMIAttributeItemValue",
        '"friends" for group',
    ),
    (
        call("ModifyImageAttribute", ImageId="ami-1", OperationType="add", OrganizationArns=["o-abc"]),
        "InvalidAMIAttributeItemValue",
        '"o-abc" for organizationArn',
    ),
    (
        call("ModifyImageAttribute", ImageId="ami-1", OperationType="add", OrganizationalUnitArns=[ORGANIZATION]),
        "InvalidAMIAttributeItemValue",
        "organizationalUnitArn",
    ),
    (
        call(
            "ModifySnapshotAttribute",
            SnapshotId="snap-1",
            **lists("CreateVolumePermission", add=[{"OrganizationArn": ORGANIZATION}]),
        ),
        "InvalidParameterValue",
        "not with organizations",
    ),
    (
        call(
            "ModifySnapshotAttribute",
            SnapshotId="snap-1",
            **lists("CreateVolumePermission", add=[{"UserId": OTHER}], remove=[{"Group": "all"}]),
        ),
        "InvalidParameterCombination",
        "adds or removes",
    ),
    (
        call(
            "ModifySnapshotAttribute",
            SnapshotId="snap-1",
            OperationType="add",
            UserIds=[f"{number:012}" for number in range(501)],
        ),
        "InvalidParameterValue",
        "At most 500",
    ),
    (
        call("ModifySnapshotAttribute", SnapshotId="snap-1", CreateVolumePermission={}),
        "MissingParameter",
        "items to add",
    ),
]


@pytest.mark.parametrize(("request_", "code", "text"), REFUSED)
def test_refused(tmp_path: Path, world: Environment, request_: Json, code: str, text: str) -> None:
    """C1, C3, C5, C7: AWS's codes, with the file and the place of the call."""
    with pytest.raises(ChangeError) as caught:
        change(tmp_path, world, request_)
    assert caught.value.code == code and text in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/changes.json, [0]: ")


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"OperationType": "add", "UserIds": [OTHER], "LaunchPermission": {}}, "InvalidParameterCombination"),
        ({"OperationType": "grow", "UserIds": [OTHER]}, "InvalidParameterValue"),
        ({"UserIds": [OTHER]}, "InvalidParameterValue"),
        ({"LaunchPermission": {"Add": [{"UserId": OTHER, "Group": "all"}]}}, "InvalidParameterValue"),
        ({"LaunchPermission": {"Ad": []}}, "UnknownParameter"),
    ],
)
def test_unreadable(tmp_path: Path, world: Environment, parameters: Json, code: str) -> None:
    with pytest.raises(ChangeInputError) as caught:
        change(tmp_path, world, call("ModifyImageAttribute", ImageId="ami-1", **parameters))
    assert caught.value.code == code


def test_other_attributes_change_nothing_here(tmp_path: Path, world: Environment) -> None:
    after = change(tmp_path, world, call("ModifyImageAttribute", ImageId="ami-1", Description={"Value": "x"}))
    assert difference(world, after).changes == ()


def test_only_the_owner_shares(world: Environment) -> None:
    """C1: who asks is of the account of the principal, where a change says who that is."""
    origin = ChangeOrigin(principal=arn("user", "eve", OTHER))
    with pytest.raises(ChangeError, match="AuthFailure"):
        apply(world, ModifyPermissions("ami-1", (account_permission(STRANGER),), origin=origin))


def test_an_account_that_is_not_in_the_world(tmp_path: Path, world: Environment) -> None:
    """AWS would share it; that nothing is known of the account is said."""
    change(tmp_path, world, call("ModifyImageAttribute", ImageId="ami-1", OperationType="add", UserIds=[STRANGER]))
    notes = read_changes(tmp_path / "changes.json", world).notes
    assert notes == (f"ami-1 is shared with account {STRANGER}, of which the environment describes nothing",)


@pytest.mark.parametrize(
    ("account", "permission", "allowed", "text"),
    [
        (ACCOUNT, None, True, "is the owner"),
        (OTHER, {"UserId": OTHER}, True, f"shared with {OTHER}"),
        (OTHER, {"UserId": STRANGER}, False, "AuthFailure"),
        (STRANGER, {"Group": "all"}, True, "it is public"),
        (OTHER, {"OrganizationArn": ORGANIZATION}, True, "the organization o-abc"),
        (STRANGER, {"OrganizationArn": ORGANIZATION}, False, "AuthFailure"),
        (OTHER, {"OrganizationalUnitArn": WORK}, True, "organizational unit work"),
        (OTHER, {"OrganizationalUnitArn": DEEP}, False, "AuthFailure"),
        (STRANGER, {"OrganizationArn": ORGANIZATION.replace("o-abc", "o-else")}, None, "does not tell which accounts"),
    ],
)
def test_account_gate(
    tmp_path: Path, world: Environment, account: str, permission: Json | None, allowed: bool | None, text: str
) -> None:
    """C1, C6: the owner, accounts, everybody, organizations; a unit covers the units below it."""
    items = [permission] if permission else []
    after = change(
        tmp_path,
        world,
        call("ResetImageAttribute", ImageId="ami-1", Attribute="launchPermission"),
        *([call("ModifyImageAttribute", ImageId="ami-1", **lists("LaunchPermission", add=items))] if items else []),
    )
    gate = image_gate(after, account, "ami-1")
    assert gate.allowed is allowed and text in f"{gate.code} {gate.why}"


def test_a_unit_covers_what_is_below(tmp_path: Path, world: Environment) -> None:
    """C1: the account is in a unit inside the one with which the image is shared."""
    images = {"Images": [image("ami-6", STRANGER)]}
    shared = {"LaunchPermissions": [{"OrganizationalUnitArn": WORK}], "ImageId": "ami-6"}
    environment = read(tmp_path / "deep", images, shared, *organization())
    assert image_gate(environment, ACCOUNT, "ami-6").allowed and image_gate(environment, OTHER, "ami-6").allowed
    assert image_gate(environment, MANAGEMENT, "ami-6").code == "AuthFailure"
    assert image_gate(world, ACCOUNT, "ami-5").why == "it is public"


def test_what_is_not_told_is_unknown(world: Environment) -> None:
    """describe-images alone does not say with whom an image of another account is shared."""
    gate = image_gate(world, OTHER, "ami-4")
    assert gate.allowed is None and "describe-image-attribute" in gate.why
    assert image_gate(world, OTHER, "ami-99").code == "InvalidAMIID.NotFound"
    assert snapshot_gate(world, OTHER, "snap-1").code == "InvalidSnapshot.NotFound"
    assert snapshot_gate(world, ACCOUNT, "snap-1").allowed


@pytest.mark.parametrize(
    ("principal", "image_id", "allowed", "code", "text"),
    [
        (arn("user", "ada"), "ami-1", True, "", "is allowed on all 6 resources by statement"),
        (arn("user", "eve", OTHER), "ami-1", True, "", "inline policy p of user eve"),
        (arn("user", "eve", OTHER), "ami-2", False, "AuthFailure", "inline policy p"),
        (
            arn("user", "tim", OTHER),
            "ami-1",
            False,
            "UnauthorizedOperation",
            "denied by statement 1 of inline policy p",
        ),
        (arn("user", "tim", OTHER), "ami-2", False, "AuthFailure", "denied by"),
        (arn("user", "eve", OTHER), "ami-4", None, "", "allowed"),
        (arn("user", "tim", OTHER), "ami-4", False, "UnauthorizedOperation", "denied"),
        (arn("user", "pat"), "ami-1", True, "", "allowed"),
        (arn("user", "liz", OTHER), "ami-1", False, "UnauthorizedOperation", "ec2:ResourceTag/stage"),
    ],
)
def test_two_gates(
    world: Environment, principal: str, image_id: str, allowed: bool | None, code: str, text: str
) -> None:
    """C6: the account first, then IAM on every resource; C2: tags are not shared, so liz's policy sees none."""
    answer = may_launch(world, principal, image_id)
    assert (answer.allowed, answer.code) == (allowed, code) and text in answer.iam.why


def test_volumes(tmp_path: Path, world: Environment) -> None:
    """C4: sharing an image does not share its snapshots; C7: what is not shared does not exist."""
    eve, tim = arn("user", "eve", OTHER), arn("user", "tim", OTHER)
    assert may_launch(world, eve, "ami-1").allowed
    assert may_create_volume(world, eve, "snap-1").code == "InvalidSnapshot.NotFound"
    after = change(
        tmp_path, world, call("ModifySnapshotAttribute", SnapshotId="snap-1", OperationType="add", UserIds=[OTHER])
    )
    assert may_create_volume(after, eve, "snap-1").allowed
    refused = may_create_volume(after, tim, "snap-1")
    assert refused.code == "UnauthorizedOperation" and "nothing allows it as identity policy" in refused.iam.why


def test_bad_listings(tmp_path: Path) -> None:
    """C7: what AWS would not have printed; and a listing about nothing in particular."""
    for number, (document, text) in enumerate(
        [
            (
                {"LaunchPermissions": [{"UserId": "12"}], "ImageId": "ami-1"},
                "LaunchPermissions[0]: InvalidAMIAttribute",
            ),
            ({"LaunchPermissions": [{}], "ImageId": "ami-1"}, "names one account"),
            ({"LaunchPermissions": []}, "nothing tells which ImageId"),
            ({"Images": [{"ImageId": 3}]}, "Images[0].ImageId"),
        ]
    ):
        with pytest.raises(EnvironmentInputError) as caught:
            read(tmp_path / str(number), document)
        assert text in str(caught.value)
    named = read(tmp_path / "named", **{"ami-0123456789abcdef0": {"LaunchPermissions": [{"UserId": OTHER}]}})
    assert named.images["ami-0123456789abcdef0"].permissions == frozenset({account_permission(OTHER)})
