"""What `aws iam` and `aws organizations` print → Directory; what is wrong names file, policy and statement (A4, D)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgsim.errors import EnvironmentInputError
from sgsim.model.principals import PasswordPolicy
from tests.directory.support import (
    ACCOUNT,
    FULL,
    MANAGEMENT,
    OTHER,
    Json,
    allow,
    arn,
    attached,
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


def test_encoded_and_plain_documents_are_the_same(tmp_path: Path) -> None:
    """A2: what the API URL-encodes the CLI prints as an object."""
    document = allow("ec2:*", Condition={"StringEquals": {"aws:PrincipalTag/team": ["${aws:username}", "a b"]}})
    both = [
        read(tmp_path / str(encoded), details([user("ada", UserPolicyList=[inline("p", document, encoded)])]))
        for encoded in (False, True)
    ]
    policies = [one.directory.users[arn("user", "ada")].inline for one in both]
    assert policies[0] == policies[1] and policies[0][0].policy.statements[0].actions == ("ec2:*",)


def test_everything_of_the_details(tmp_path: Path) -> None:
    """A1.5: users, their groups and policies, boundaries, roles with trust, versions of policies."""
    tags = [{"Key": "team", "Value": "net"}]
    boundary = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn("policy", "limit")}
    more = {"GroupList": ["dev"], "PermissionsBoundary": boundary, "Tags": tags}
    environment = read(
        tmp_path,
        details(
            [user("ada", **more)],
            [group("dev", AttachedManagedPolicies=attached(FULL))],
            [role("deploy", trust(arn("user", "ada")), MaxSessionDuration=3600)],
            [policy("limit", allow("ec2:*"))],
        ),
        {"AccessKeyMetadata": [{"UserName": "ada", "AccessKeyId": "AKIA1", "Status": "Inactive"}]},
        {"LoginProfile": {"UserName": "ada", "CreateDate": "2026-01-12T08:30:00Z", "PasswordResetRequired": True}},
        {"PasswordPolicy": {"MinimumPasswordLength": 14, "RequireNumbers": True, "AllowUsersToChangePassword": True}},
    )
    directory = environment.directory
    ada = directory.users[arn("user", "ada")]
    assert (ada.groups, ada.boundary, ada.tags) == ((arn("group", "dev"),), arn("policy", "limit"), (("team", "net"),))
    assert [(key.access_key_id, key.status) for key in ada.access_keys] == [("AKIA1", "Inactive")]
    assert ada.login is not None and ada.login.reset_required and ada.login.password is None
    assert directory.groups[arn("group", "dev")].attached == (FULL,)
    assert directory.roles[arn("role", "deploy")].max_session_duration == 3600
    assert directory.password_policies == {
        ACCOUNT: PasswordPolicy(minimum_length=14, require_numbers=True, users_may_change=True)
    }
    assert directory.managed_policy(FULL) is not None and FULL not in directory.policies


def test_pages_that_are_missing_are_said(tmp_path: Path) -> None:
    environment = read(tmp_path, details([user("ada")], IsTruncated=True, Marker="x"))
    (said,) = [one for one in environment.warnings if "is incomplete" in one]
    assert "1.json: UserDetailList is incomplete (a Marker or NextToken is left over)" in said


@pytest.mark.parametrize("second", ["/staff/ada", "/ADA"])
def test_two_of_one_name(tmp_path: Path, second: str) -> None:
    """Names are unique in an account, whatever path and case; access keys and passwords name users by them alone."""
    name = second.rpartition("/")[2]
    other = user(name, Arn=f"arn:aws:iam::{ACCOUNT}:user{second}", UserId="AIDA2")
    with pytest.raises(EnvironmentInputError, match="has the name of arn:aws:iam::111122223333:user/ada, which is in"):
        read(tmp_path, details([user("ada"), other]))
    elsewhere = details([user("ADA", OTHER)])
    assert len(read(tmp_path / "two", details([user("ada")]), elsewhere).directory.users) == 2


def test_an_environment_may_be_principals_alone(tmp_path: Path) -> None:
    from sgsim.importers import read_environment

    read(tmp_path, details([user("ada")]))
    (tmp_path / "0.json").unlink()
    assert set(read_environment(tmp_path).directory.users) == {arn("user", "ada")}


def test_other_services_use_the_same_words(tmp_path: Path) -> None:
    """`Policies`, `Accounts`, `Images` of others are let pass, like any JSON that is not sgsim's."""
    environment = read(
        tmp_path,
        {"Policies": [{"PolicyName": "x", "Arn": arn("policy", "x")}]},
        {"Accounts": [{"AccountName": "x"}], "Targets": ["x"], "Images": [{"Name": "x"}], "Snapshots": "x"},
        {"PasswordPolicy": {"MinimumLength": 8}, "Organization": {"Name": "x"}, "Policy": "{}"},
    )
    assert environment.directory.account_ids() == frozenset() and not environment.images


BAD: list[tuple[Json, str]] = [
    (
        details([user("ada", UserPolicyList=[inline("open", allow("ec2:*", Conditions={}))])]),
        "UserDetailList[0].UserPolicyList[0].PolicyDocument.Statement[0]",
    ),
    (
        details([user("ada", UserPolicyList=[inline("open", allow("ec2:*", Condition={"StringLik": {"a:b": "c"}}))])]),
        "MalformedPolicyDocument: inline policy open of user ada",
    ),
    (details([], [], [role("deploy", trust("someone"))]), "trust policy of role deploy"),
    (details([], [], [], [policy("open", "%7Bnot json")]), "policy arn:aws:iam::111122223333:policy/open v1"),
    (details([{**user("ada"), "Arn": "arn:aws:iam::1:user/ada"}]), "UserDetailList[0].Arn"),
    (details([{**user("ada"), "Arn": arn("user", "bob")}]), "is not the ARN of user ada"),
    (details([user("ada", GroupList=["nowhere"])]), "is in group nowhere, which is not in the input"),
    (
        details([user("ada", AttachedManagedPolicies=attached(arn("policy", "gone")))]),
        "NoSuchEntity: the attached policy",
    ),
    (
        details([user("ada", PermissionsBoundary={"PermissionsBoundaryArn": arn("policy", "gone")})]),
        "NoSuchEntity: the permissions boundary of arn:aws:iam::111122223333:user/ada is",
    ),
    (details([user("ada", CreateDate="yesterday")]), "'yesterday' is not a date"),
    ({"AccessKeyMetadata": [{"UserName": "nobody", "AccessKeyId": "AKIA1"}]}, "user nobody is in none of the accounts"),
    ({"Targets": [{"TargetId": "r-1"}]}, "nothing tells which PolicyId this is about"),
]


@pytest.mark.parametrize(("document", "text"), BAD)
def test_bad_input_is_one_line(tmp_path: Path, document: Json, text: str) -> None:
    """A4: the file, the place, the policy and its statement."""
    with pytest.raises(EnvironmentInputError) as caught:
        read(tmp_path, document)
    line = str(caught.value)
    assert text in line and f"{tmp_path}/1.json" in line and "\n" not in line


def test_oddities_that_aws_allows_are_warnings(tmp_path: Path) -> None:
    """D4: too many groups; A1.4: roles that trust each other in a circle. Neither is an error."""
    names = [f"g{number}" for number in range(20)]
    environment = read(
        tmp_path,
        details(
            [user("ada", GroupList=names)],
            [group(name) for name in names],
            [
                role("a", trust(arn("role", "b"))),
                role(
                    "b", {**trust(), "Statement": [*trust(ACCOUNT)["Statement"], *trust(arn("role", "a"))["Statement"]]}
                ),
                role("alone", trust(arn("role", "alone"))),
            ],
        ),
    )
    (circle,) = [one for one in environment.warnings if "circle" in one]
    assert "a → b → a; statement 2 of the trust policy of role b" in circle and f"{tmp_path}/1.json" in circle
    assert any("user ada is in 20 groups, AWS allows 10" in one for one in environment.warnings)


def test_several_accounts(tmp_path: Path) -> None:
    """Names are of accounts: keys and passwords belong to the folder's."""
    folders = {
        f"{number}__details": details([user("ada", account_id)]) for number, account_id in enumerate((ACCOUNT, OTHER))
    } | {"1__keys": {"AccessKeyMetadata": [{"UserName": "ada", "AccessKeyId": "AKIA1"}]}}
    environment = read(tmp_path, **folders)
    keys = {one.account_id: len(one.access_keys) for one in environment.directory.users.values()}
    assert keys == {ACCOUNT: 0, OTHER: 1}
    with pytest.raises(EnvironmentInputError, match="user ada is in several accounts"):
        read(tmp_path / "flat", details([user("ada"), user("ada", OTHER)]), folders["1__keys"])


def test_organization(tmp_path: Path) -> None:
    """A1.3: the levels from the root down to the account, and what is attached to each."""
    everything = ("p-all", allow("*"), ["r-root", "ou-root-work", "ou-root-deep", ACCOUNT])
    environment = read(tmp_path, *organization(everything, ("p-no", allow("ec2:*", effect="Deny"), [OTHER])))
    tree = environment.directory.organization
    assert tree is not None and tree.path(ACCOUNT) == ("r-root", "ou-root-work", "ou-root-deep", ACCOUNT)
    assert [one.policy_id for one in tree.attached(OTHER)] == ["p-no"] and tree.path("123456789012") == ()
    assert any(f"no service control policy is attached to {MANAGEMENT}" in one for one in environment.warnings)


def test_units_need_their_parents(tmp_path: Path) -> None:
    documents = organization()
    documents[2]["OrganizationalUnits"][1].pop("Path")
    with pytest.raises(EnvironmentInputError, match="ou-root-deep does not hang on a root"):
        read(tmp_path / "a", *documents)
    documents[2] = {"OrganizationalUnits": documents[2]["OrganizationalUnits"][:1]}
    deep = {"OrganizationalUnits": [{"Id": "ou-root-deep", "Arn": "arn:aws:organizations::1:ou/o/ou-root-deep"}]}
    told = read(tmp_path / "b", *documents, **{"units-of-ou-root-work": deep})
    assert told.directory.organization is not None
    assert told.directory.organization.units["ou-root-deep"].parent_id == "ou-root-work"


def test_policies_without_an_organization_bind_nobody(tmp_path: Path) -> None:
    environment = read(tmp_path, *organization(("p-all", allow("*"), ["r-root"]))[1:])
    assert environment.directory.organization is None
    assert any("describe-organization" in one for one in environment.warnings)
