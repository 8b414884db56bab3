"""IAM's calls as changes: what they do, AWS's error codes and quotas, all or nothing, and the way back (D)."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from sgsim.errors import ChangeError, ChangeInputError, SgsimError
from sgsim.importers.changes import read_changes
from sgsim.importers.directory_requests import DIRECTORY_REQUESTS
from sgsim.model import Environment
from sgsim.model.apply import apply
from sgsim.model.changes import ChangeSet
from sgsim.model.difference import difference, inverse
from sgsim.model.quotas import Quotas
from tests.directory.support import (
    ACCOUNT,
    FULL,
    OTHER,
    READ_ONLY,
    Json,
    allow,
    arn,
    attached,
    call,
    change,
    details,
    group,
    inline,
    policy,
    read,
    role,
    trust,
    user,
)

TEXT = json.dumps(allow("ec2:Describe*"))


@pytest.fixture
def world(tmp_path: Path) -> Environment:
    """ada in dev with a key, bob with nothing, deploy trusting ada, a policy `limit` that is ada's boundary."""
    boundary = {"PermissionsBoundaryArn": arn("policy", "limit")}
    return read(
        tmp_path / "world",
        details(
            [user("ada", GroupList=["dev"], PermissionsBoundary=boundary), user("bob")],
            [group("dev", AttachedManagedPolicies=attached(FULL), GroupPolicyList=[inline("p", allow("ec2:*"))])],
            [role("deploy", trust(arn("user", "ada")))],
            [policy("limit", allow("*"))],
        ),
        {"AccessKeyMetadata": [{"UserName": "ada", "AccessKeyId": "AKIAOLD", "Status": "Inactive"}]},
    )


def test_the_walk_through(tmp_path: Path, world: Environment) -> None:
    """Create a group, attach the policies that the page names, create users, add them, give them credentials."""
    names = ("PowerUserAccess", "ReadOnlyAccess", "AmazonEC2FullAccess", "AmazonEC2ReadOnlyAccess")
    arns = [f"arn:aws:iam::aws:policy/{name}" for name in names]
    after = change(
        tmp_path,
        world,
        call("CreateGroup", GroupName="network", Path="/teams/"),
        *(call("AttachGroupPolicy", GroupName="Network", PolicyArn=one) for one in arns),
        call("CreateUser", UserName="grace"),
        call("AddUserToGroup", GroupName="network", UserName="GRACE"),
        call("CreateAccessKey", UserName="grace"),
        call("CreateLoginProfile", UserName="grace", Password="Correct-Horse-7"),
    )
    group_arn = "arn:aws:iam::111122223333:group/teams/network"
    assert after.directory.groups[group_arn].attached == tuple(arns)
    grace = after.directory.users[arn("user", "grace")]
    assert grace.groups == (group_arn,) and len(grace.access_keys) == 1 and grace.login is not None
    assert len(grace.unique_id) == 21 and grace.unique_id.startswith("AIDA")


MAKES: list[tuple[list[Json], Any]] = [
    (
        [call("RemoveUserFromGroup", GroupName="dev", UserName="ada")],
        lambda d: d.users[arn("user", "ada")].groups == (),
    ),
    (
        [call("AddUserToGroup", GroupName="dev", UserName="ada")],
        lambda d: d.users[arn("user", "ada")].groups == (arn("group", "dev"),),
    ),
    (
        [call("DetachGroupPolicy", GroupName="dev", PolicyArn=FULL)],
        lambda d: d.groups[arn("group", "dev")].attached == (),
    ),
    (
        [call("AttachRolePolicy", RoleName="deploy", PolicyArn=arn("policy", "limit"))],
        lambda d: d.roles[arn("role", "deploy")].attached == (arn("policy", "limit"),),
    ),
    (
        [call("PutUserPolicy", UserName="bob", PolicyName="p", PolicyDocument=TEXT)] * 2,
        lambda d: [one.name for one in d.users[arn("user", "bob")].inline] == ["p"],
    ),
    (
        [call("DeleteGroupPolicy", GroupName="dev", PolicyName="p")],
        lambda d: d.groups[arn("group", "dev")].inline == (),
    ),
    (
        [
            call("CreatePolicy", PolicyName="mine", PolicyDocument=TEXT, Path="/x/"),
            call("CreatePolicyVersion", PolicyArn=arn("policy/x", "mine"), PolicyDocument=TEXT, SetAsDefault=True),
            call("DeletePolicyVersion", PolicyArn=arn("policy/x", "mine"), VersionId="v1"),
        ],
        lambda d: [one.version_id for one in d.policies[arn("policy/x", "mine")].versions] == ["v2"],
    ),
    (
        [
            call("CreatePolicyVersion", PolicyArn=arn("policy", "limit"), PolicyDocument=TEXT),
            call("SetDefaultPolicyVersion", PolicyArn=arn("policy", "limit"), VersionId="v2"),
        ],
        lambda d: d.policies[arn("policy", "limit")].policy.statements[0].actions == ("ec2:Describe*",),
    ),
    (
        [
            call(
                "CreateRole",
                RoleName="audit",
                AssumeRolePolicyDocument=json.dumps(trust(OTHER)),
                PermissionsBoundary=READ_ONLY,
            )
        ],
        lambda d: d.roles[arn("role", "audit")].boundary == READ_ONLY,
    ),
    (
        [call("UpdateAssumeRolePolicy", RoleName="deploy", PolicyDocument=json.dumps(trust(OTHER)))],
        lambda d: d.roles[arn("role", "deploy")].trust.statements[0].principals[0].name == OTHER,
    ),
    (
        [call("PutUserPermissionsBoundary", UserName="bob", PermissionsBoundary=FULL)],
        lambda d: d.users[arn("user", "bob")].boundary == FULL,
    ),
    ([call("DeleteUserPermissionsBoundary", UserName="ada")], lambda d: d.users[arn("user", "ada")].boundary is None),
    (
        [call("UpdateAccessKey", AccessKeyId="AKIAOLD", Status="Active")],
        lambda d: d.users[arn("user", "ada")].access_keys[0].status == "Active",
    ),
    (
        [call("DeleteAccessKey", UserName="ada", AccessKeyId="AKIAOLD")],
        lambda d: not d.users[arn("user", "ada")].access_keys,
    ),
    ([call("DeleteUser", UserName="bob")], lambda d: arn("user", "bob") not in d.users),
    ([call("CreateGroup", GroupName="new"), call("DeleteGroup", GroupName="new")], lambda d: len(d.groups) == 1),
    ([call("DeleteRole", RoleName="deploy")], lambda d: not d.roles),
    (
        [call("DeleteUserPermissionsBoundary", UserName="ada"), call("DeletePolicy", PolicyArn=arn("policy", "limit"))],
        lambda d: not d.policies,
    ),
    (
        [call("UpdateAccountPasswordPolicy", MinimumPasswordLength=20, MaxPasswordAge=90)],
        lambda d: d.password_policies[ACCOUNT].minimum_length == 20,
    ),
    ([call("UpdateAccountPasswordPolicy"), call("DeleteAccountPasswordPolicy")], lambda d: not d.password_policies),
]


@pytest.mark.parametrize(("requests", "holds"), MAKES)
def test_calls(tmp_path: Path, world: Environment, requests: list[Json], holds: Any) -> None:
    """Every call does what it says; the one before stays; the way back and the difference lead where they should."""
    (tmp_path / "c.json").write_text(json.dumps(requests))
    changes = read_changes(tmp_path / "c.json", world)
    after = apply(world, changes)
    assert holds(after.directory) and changes.notes == ()
    assert difference(apply(after, inverse(world, changes)), world).changes == ()
    assert difference(apply(world, difference(world, after)), after).changes == ()


def many(action: str, count: int, key: str, **parameters: Any) -> list[Json]:
    return [call(action, **parameters, **{key: f"x{number}"}) for number in range(count)]


def long(size: int) -> str:
    """A policy of somewhat more than so many characters, and of many more that are white space."""
    return json.dumps(allow(f"ec2:{'A' * size}"), indent=100)


REFUSED: list[tuple[list[Json], str, str]] = [
    ([call("CreateUser", UserName="ADA")], "EntityAlreadyExists", "User with name ADA already exists."),
    ([call("CreateGroup", GroupName="dev")], "EntityAlreadyExists", "Group with name dev"),
    ([call("CreatePolicy", PolicyName="limit", PolicyDocument=TEXT)], "EntityAlreadyExists", "A policy called limit"),
    ([call("CreateUser", UserName="a b")], "ValidationError", "userName is invalid"),
    ([call("CreateUser", UserName="new", PermissionsBoundary=arn("policy", "gone"))], "NoSuchEntity", "Scope ARN"),
    (
        [call("PutUserPermissionsBoundary", UserName="bob", PermissionsBoundary=arn("policy", "gone"))],
        "NoSuchEntity",
        "Scope",
    ),
    ([call("DeleteUserPermissionsBoundary", UserName="bob")], "NoSuchEntity", "does not have a permissions boundary"),
    ([call("DeleteUser", UserName="eve")], "NoSuchEntity", "The user with name eve cannot be found."),
    ([call("AddUserToGroup", GroupName="ops", UserName="ada")], "NoSuchEntity", "The group with name ops"),
    ([call("AttachUserPolicy", UserName="bob", PolicyArn=arn("policy", "gone"))], "NoSuchEntity", "is not attachable"),
    (
        [call("AttachUserPolicy", UserName="bob", PolicyArn="arn:aws:iam::aws:policy/Gone")],
        "NoSuchEntity",
        "attachable",
    ),
    ([call("DetachUserPolicy", UserName="bob", PolicyArn=FULL)], "NoSuchEntity", "was not found"),
    ([call("DeleteUserPolicy", UserName="bob", PolicyName="p")], "NoSuchEntity", "The user policy with name p"),
    (
        [call("DeleteAccessKey", UserName="bob", AccessKeyId="AKIAOLD")],
        "NoSuchEntity",
        "The Access Key with id AKIAOLD",
    ),
    ([call("DeleteLoginProfile", UserName="bob")], "NoSuchEntity", "Login Profile for User bob"),
    ([call("UpdateLoginProfile", UserName="bob", Password="Correct-Horse-7")], "NoSuchEntity", "Login Profile"),
    ([call("DeleteAccountPasswordPolicy")], "NoSuchEntity", "The Password Policy"),
    ([call("DeleteUser", UserName="ada")], "DeleteConflict", "must remove user from all groups first"),
    (
        [call("RemoveUserFromGroup", GroupName="dev", UserName="ada"), call("DeleteUser", UserName="ada")],
        "DeleteConflict",
        "must delete access keys first",
    ),
    ([call("DeleteGroup", GroupName="dev")], "DeleteConflict", "must remove users from group first"),
    (
        [call("AttachRolePolicy", RoleName="deploy", PolicyArn=FULL), call("DeleteRole", RoleName="deploy")],
        "DeleteConflict",
        "must detach all policies first",
    ),
    (
        [
            call("PutRolePolicy", RoleName="deploy", PolicyName="p", PolicyDocument=TEXT),
            call("DeleteRole", RoleName="deploy"),
        ],
        "DeleteConflict",
        "must delete policies first",
    ),
    ([call("DeletePolicy", PolicyArn=arn("policy", "limit"))], "DeleteConflict", "attached to entities"),
    (
        [call("DeletePolicyVersion", PolicyArn=arn("policy", "limit"), VersionId="v1")],
        "DeleteConflict",
        "default version",
    ),
    ([call("DeletePolicy", PolicyArn=FULL)], "AccessDenied", "AWS manages"),
    (
        [call("CreateRole", RoleName="self", AssumeRolePolicyDocument=json.dumps(trust(arn("role", "self"))))],
        "MalformedPolicyDocument",
        'Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:role/self"',
    ),
    (
        [
            call(
                "UpdateAssumeRolePolicy",
                RoleName="deploy",
                PolicyDocument=json.dumps(trust(arn("user", "ada"), arn("user", "gone"))),
            )
        ],
        "MalformedPolicyDocument",
        "user/gone",
    ),
    ([call("SetDefaultPolicyVersion", PolicyArn=arn("policy", "limit"), VersionId="v9")], "NoSuchEntity", "version v9"),
    (
        [*many("CreateGroup", 10, "GroupName"), *many("AddUserToGroup", 10, "GroupName", UserName="ada")],
        "LimitExceeded",
        "Cannot exceed quota for GroupsPerUser: 10",
    ),
    (
        [
            *many("CreatePolicy", 11, "PolicyName", PolicyDocument=TEXT),
            *(call("AttachUserPolicy", UserName="bob", PolicyArn=arn("policy", f"x{number}")) for number in range(11)),
        ],
        "LimitExceeded",
        "Cannot exceed quota for PoliciesPerUser: 10",
    ),
    (
        [call("CreatePolicyVersion", PolicyArn=arn("policy", "limit"), PolicyDocument=TEXT)] * 5,
        "LimitExceeded",
        "up to 5 versions",
    ),
    ([call("CreatePolicy", PolicyName="big", PolicyDocument=long(6100))], "LimitExceeded", "for PolicySize: 6144"),
    (
        [call("CreatePolicyVersion", PolicyArn=arn("policy", "limit"), PolicyDocument=long(6100))],
        "LimitExceeded",
        "for PolicySize: 6144",
    ),
    (
        [call("PutUserPolicy", UserName="bob", PolicyName=name, PolicyDocument=long(1000)) for name in "pq"],
        "LimitExceeded",
        "Maximum policy size of 2048 bytes exceeded for user bob",
    ),
    (
        [call("PutGroupPolicy", GroupName="dev", PolicyName="q", PolicyDocument=long(5000))],
        "LimitExceeded",
        "Maximum policy size of 5120 bytes exceeded for group dev",
    ),
    (
        [call("CreateRole", RoleName="r", AssumeRolePolicyDocument=json.dumps(trust(*[ACCOUNT] * 200)))],
        "LimitExceeded",
        "for ACLSizePerRole: 2048",
    ),
    (
        [call("CreateRole", RoleName="r", AssumeRolePolicyDocument=json.dumps(trust(ACCOUNT)), MaxSessionDuration=60)],
        "ValidationError",
        "Value '60' at 'maxSessionDuration'",
    ),
    (
        [call("CreateUser", UserName="t", Tags=[{"Key": "Team", "Value": "a"}, {"Key": "team", "Value": "b"}])],
        "InvalidInput",
        "Duplicate tag keys found",
    ),
    (
        [call("CreateUser", UserName="t", Tags=[{"Key": str(number), "Value": ""} for number in range(51)])],
        "ValidationError",
        "Value '51' at 'tags'",
    ),
    ([call("CreateAccessKey", UserName="ada")] * 2, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2"),
    ([call("UpdateAccessKey", UserName="ada", AccessKeyId="AKIAOLD", Status="Expired")], "ValidationError", "status"),
    ([call("UpdateAccountPasswordPolicy", MinimumPasswordLength=5)], "ValidationError", "minimumPasswordLength"),
    ([call("UpdateAccountPasswordPolicy", PasswordReusePrevention=25)], "ValidationError", "passwordReusePrevention"),
    ([call("CreateLoginProfile", UserName="bob", Password="short")], "PasswordPolicyViolation", "minimum length of 8"),
    ([call("CreateLoginProfile", UserName="bob", Password="onlyletters")], "PasswordPolicyViolation", "three of"),
    (
        [
            call("UpdateAccountPasswordPolicy", RequireSymbols=True),
            call("CreateLoginProfile", UserName="bob", Password="Secret77"),
        ],
        "PasswordPolicyViolation",
        "at least one symbol",
    ),
]


@pytest.mark.parametrize(("requests", "code", "text"), REFUSED)
def test_refused_as_aws_does(tmp_path: Path, world: Environment, requests: list[Json], code: str, text: str) -> None:
    """D2 to D4: AWS's code and words, the file and the place of the call; nothing of the set is made."""
    with pytest.raises(ChangeError) as caught:
        change(tmp_path, world, *requests)
    assert caught.value.code == code and text in str(caught.value)
    assert caught.value.place == f"{tmp_path}/changes.json, [{len(requests) - 1}]"


UNREADABLE: list[tuple[Json, str, str]] = [
    (
        call("PutUserPolicy", UserName="bob", PolicyName="p", PolicyDocument="{}"),
        "MalformedPolicyDocument",
        "inline policy p of user bob",
    ),
    (
        call("CreateRole", RoleName="x", AssumeRolePolicyDocument=TEXT),
        "MalformedPolicyDocument",
        "AssumeRolePolicyDocument.Statement[0]",
    ),
    (
        call(
            "CreatePolicy", PolicyName="p", PolicyDocument=json.dumps(allow("ec2:*", Condition={"Like": {"a:b": "c"}}))
        ),
        "MalformedPolicyDocument",
        "Statement[0].Condition",
    ),
    (call("AttachUserPolicy", UserName="bob", PolicyArn="AmazonEC2FullAccess"), "InvalidInput", "is not valid"),
    (
        call("PutUserPermissionsBoundary", UserName="bob", PermissionsBoundary=arn("role", "x")),
        "InvalidInput",
        "not valid",
    ),
    (call("CreateUser"), "MissingParameter", "UserName"),
    (call("CreateUser", UserName="new", Path="x"), "ValidationError", "path is invalid"),
    (call("CreateUser", UserName="x", GroupName="y"), "UnknownParameter", "GroupName"),
    (call("CreateGroup", GroupName="x", PermissionsBoundary=FULL), "UnknownParameter", "PermissionsBoundary"),
    (call("CreateAccessKey"), "MissingParameter", "must name the user"),
    (call("CreateUser", UserName="x", Password="hunter2"), "UnknownParameter", "Password"),
    (call("CreateUsr", UserName="x"), "InvalidAction", "did you mean CreateUser"),
    (call("CreateUser", UserName="x", AccountId="12"), "ValidationError", "12 digits"),
    (call("UpdateAccessKey", AccessKeyId="AKIANONE", Status="Active"), "NoSuchEntity", "AKIANONE"),
    (call("CreateLoginProfile", UserName="bob"), "MissingParameter", "Password"),
]


@pytest.mark.parametrize(("request_", "code", "text"), UNREADABLE)
def test_unreadable_requests(tmp_path: Path, world: Environment, request_: Json, code: str, text: str) -> None:
    """A4: the file, the place in it, the policy and the statement."""
    with pytest.raises(ChangeInputError) as caught:
        change(tmp_path, world, request_)
    line = str(caught.value)
    assert caught.value.code == code and text in line and line.startswith(f"{tmp_path}/changes.json, [0]")


def test_whose_call_it_is(tmp_path: Path) -> None:
    """Of several accounts one has to be named; AccountId is sgsim's own word."""
    environment = read(tmp_path / "two", details([user("ada"), user("ada", OTHER)]))
    with pytest.raises(ChangeInputError, match=r'describes 2 accounts.*add "AccountId"'):
        change(tmp_path, environment, call("DeleteUser", UserName="ada"))
    after = change(tmp_path, environment, call("DeleteUser", UserName="ada", AccountId=OTHER))
    assert set(after.directory.users) == {arn("user", "ada")}


def test_a_namesake_is_not_trusted(tmp_path: Path, world: Environment) -> None:
    """A2.3: a trust policy keeps the unique id; a user made again under the name is another one."""
    after = change(
        tmp_path,
        world,
        call("UpdateAssumeRolePolicy", RoleName="deploy", PolicyDocument=json.dumps(trust(arn("user", "bob"), OTHER))),
        call("DeleteUser", UserName="bob"),
        call("CreateUser", UserName="bob"),
    )
    names = [one.name for one in after.directory.roles[arn("role", "deploy")].trust.statements[0].principals]
    assert names == [world.directory.users[arn("user", "bob")].unique_id, OTHER]


def test_trust_in_who_is_not_described(tmp_path: Path, world: Environment) -> None:
    """An account, a session, a unique id, or a user of an account of which nothing is known may be trusted."""
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/monday"
    trusted = trust(arn("user", "far", OTHER), OTHER, session, arn("role", "deploy"), "AIDAGONEXXXXXXXXXXXXX")
    changed = call("UpdateAssumeRolePolicy", RoleName="deploy", PolicyDocument=json.dumps(trusted))
    after = change(tmp_path, world, changed)
    assert len(after.directory.roles[arn("role", "deploy")].trust.statements[0].principals) == 5


def test_quotas_can_be_others(tmp_path: Path, world: Environment) -> None:
    requests = [call("CreateAccessKey", UserName="ada")] * 2
    (tmp_path / "c.json").write_text(json.dumps(requests))
    after = apply(world, read_changes(tmp_path / "c.json", world), quotas=Quotas(access_keys_per_user=3))
    assert len(after.directory.users[arn("user", "ada")].access_keys) == 3


def test_random_walks_there_and_back(tmp_path: Path, world: Environment) -> None:
    """For random sequences: undone is as before, and the difference of two environments leads from one to the other."""
    rng = Random(7)
    pool = [one for requests, _ in MAKES for one in requests] + [
        one for requests, _, _ in REFUSED[:10] for one in requests
    ]
    for _ in range(60):
        environment, made = world, []
        for request in rng.choices(pool, k=12):
            (tmp_path / "c.json").write_text(json.dumps(request))
            try:
                changes = read_changes(tmp_path / "c.json", environment)
                environment = apply(environment, changes)
            except SgsimError:
                continue
            made += changes.changes
        whole = ChangeSet(tuple(made), accepted=True)
        assert difference(apply(environment, inverse(world, whole)), world).changes == ()
        assert difference(apply(world, difference(world, environment)), environment).changes == ()


def test_every_parameter_of_the_calls_is_known() -> None:
    """What the AWS CLI takes is taken: the parameters of each call, by botocore's models."""
    session = pytest.importorskip("botocore.session").get_session()
    models = {name: session.get_service_model(name) for name in ("iam", "ec2")}
    for action, shape in DIRECTORY_REQUESTS.items():
        model = next(one for one in models.values() if action in one.operation_names).operation_model(action)
        members = model.input_shape.members if model.input_shape is not None else {}
        assert set(members) <= set(shape.__struct_encode_fields__), action
