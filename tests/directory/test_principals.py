"""Policies gathered for a principal, service control policies by level, and roles (A1)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sgsim.access import AccessRequest, Layer, Outcome, decide
from sgsim.access.principals import may_assume, policy_set, principal_arns
from sgsim.errors import ChangeError, ModelError
from sgsim.importers import read_environment
from sgsim.model import Environment
from sgsim.model.policies import PolicyKind, parse_policy
from tests.directory.support import (
    ACCOUNT,
    FULL,
    MANAGEMENT,
    OTHER,
    READ_ONLY,
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

ADA, DEPLOY = arn("user", "ada"), arn("role", "deploy")
ROOT = f"arn:aws:iam::{ACCOUNT}:root"


@pytest.fixture
def world(tmp_path: Path) -> Environment:
    limit = {"PermissionsBoundaryArn": arn("policy", "limit")}
    return read(
        tmp_path / "world",
        details(
            [
                user(
                    "ada", GroupList=["dev"], UserPolicyList=[inline("own", allow("s3:*"))], PermissionsBoundary=limit
                ),
                user("bob", UserPolicyList=[inline("role", allow("sts:AssumeRole"))]),
                user("eve", OTHER, UserPolicyList=[inline("role", allow("sts:AssumeRole"))]),
                user("tim", OTHER),
            ],
            [group("dev", AttachedManagedPolicies=attached(FULL), GroupPolicyList=[inline("p", allow("iam:*"))])],
            [
                role("deploy", trust(ADA, OTHER), RolePolicyList=[inline("run", allow("ec2:*"))]),
                role("open", trust(ACCOUNT)),
                {**role("linked", trust(ACCOUNT)), "Arn": arn("role/aws-service-role/x.amazonaws.com", "linked")},
            ],
            [policy("limit", allow("ec2:*", "iam:Get*"))],
        ),
    )


def outcome(world: Environment, principal: str, action: str) -> Outcome:
    return decide(policy_set(world, principal), AccessRequest(action=action)).outcome


def test_what_a_user_has(world: Environment) -> None:
    """A1.5, A1.6: its own policies, those of its groups, capped by its boundary; each with a name to be found by."""
    policies = policy_set(world, ADA)
    assert [one.name for one in policies.identity] == [
        "inline policy own of user ada",
        "inline policy p of group dev",
        f"{FULL} of group dev",
    ]
    assert policies.boundary is not None and policies.boundary.name == arn("policy", "limit")
    assert policies.boundary.layer is Layer.BOUNDARY and policies.unique_id.startswith("AIDAADA")
    answers = {action: outcome(world, ADA, action) for action in ("ec2:RunInstances", "iam:GetUser", "s3:ListBucket")}
    assert list(answers.values()) == [Outcome.ALLOWED, Outcome.ALLOWED, Outcome.IMPLICIT_DENY]


def test_root_and_sessions(world: Environment) -> None:
    """A1.1, A1.7: root needs nothing; a session has its role's policies within those that were passed."""
    assert outcome(world, ROOT, "iam:DeleteUser") is Outcome.ALLOWED
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/monday"
    policies = policy_set(world, session, [parse_policy(allow("ec2:Describe*"), PolicyKind.IDENTITY)])
    assert policies.session_arn == session and policies.principal == DEPLOY
    assert decide(policies, AccessRequest(action="ec2:DescribeVpcs")).allowed
    denied = decide(policies, AccessRequest(action="ec2:RunInstances"))
    assert denied.layer is Layer.SESSION and policy_set(world, DEPLOY).session is None
    assert principal_arns(world) == tuple(sorted((*world.directory.users, *world.directory.roles)))


def test_unknown_principals(world: Environment) -> None:
    gone = (arn("user", "gone"), arn("role", "gone"), f"arn:aws:sts::{ACCOUNT}:assumed-role/gone/s")
    for name in gone:
        with pytest.raises(ChangeError, match="NoSuchEntity"):
            policy_set(world, name)
    for name in ("ada", arn("group", "dev"), "arn:aws:iam::12:user/ada", "arn:aws:s3:::bucket"):
        with pytest.raises(ModelError):
            policy_set(world, name)
    with pytest.raises(ChangeError, match="role with name gone"):
        may_assume(world, ADA, arn("role", "gone"))


def test_trust(world: Environment) -> None:
    """A1.4: a user that is named may; one of a trusted account needs leave of its own; trust is always needed."""
    answers = {
        (who, which): may_assume(
            world, arn("user", who, ACCOUNT if who in ("ada", "bob") else OTHER), arn("role", which)
        )
        for who in ("ada", "bob", "eve", "tim")
        for which in ("deploy", "open")
    }
    allowed = {key for key, one in answers.items() if one.allowed}
    assert allowed == {("ada", "deploy"), ("bob", "open"), ("eve", "deploy")}
    assert answers["bob", "deploy"].silent == (Layer.RESOURCE,)
    assert Layer.IDENTITY in answers["tim", "deploy"].silent
    statement = answers["eve", "deploy"].statements
    assert any(one.attached.name == "trust policy of role deploy" for one in statement)


def test_a_user_made_again_is_not_trusted(tmp_path: Path, world: Environment) -> None:
    """A2.3: the trust policy names the unique id of who was meant."""
    own = {"AccountId": ACCOUNT}
    document = json.dumps(trust(arn("user", "bob")))
    trusting = call("UpdateAssumeRolePolicy", RoleName="deploy", PolicyDocument=document, **own)
    before = change(tmp_path, world, trusting)
    assert may_assume(before, arn("user", "bob"), DEPLOY).allowed
    emptied = call("DeleteUserPolicy", UserName="bob", PolicyName="role", **own)
    gone, again = call("DeleteUser", UserName="bob", **own), call("CreateUser", UserName="bob", **own)
    after = change(tmp_path, before, emptied, gone, again)
    assert not may_assume(after, arn("user", "bob"), DEPLOY).allowed


def test_levels_of_service_control(tmp_path: Path) -> None:
    """A1.3: every level has to allow; neither the management account nor service-linked roles are bound."""
    levels = ("p-all", allow("*"), ["r-root", "ou-root-work", "ou-root-deep", ACCOUNT, OTHER, MANAGEMENT])
    closed = ("p-no-run", allow("ec2:RunInstances", effect="Deny"), ["r-root"])
    full = inline("all", allow("*"))
    people = details(
        [
            user(name, account, UserPolicyList=[full])
            for name, account in (("ada", ACCOUNT), ("eve", OTHER), ("top", MANAGEMENT))
        ]
    )
    world = read(tmp_path / "closed", people, *organization(levels, closed))
    answers = [
        outcome(world, arn("user", name, account), "ec2:RunInstances")
        for name, account in (("ada", ACCOUNT), ("eve", OTHER), ("top", MANAGEMENT))
    ]
    assert answers == [Outcome.EXPLICIT_DENY, Outcome.EXPLICIT_DENY, Outcome.ALLOWED]
    assert outcome(world, ROOT, "ec2:RunInstances") is Outcome.EXPLICIT_DENY
    names = [[one.name for one in level] for level in policy_set(world, ADA).service_control]
    assert names == [
        ["p-all on r-root", "p-no-run on r-root"],
        ["p-all on ou-root-work"],
        ["p-all on ou-root-deep"],
        [f"p-all on {ACCOUNT}"],
    ]
    assert policy_set(world, ADA).organization_id == "o-abc"
    assert policy_set(world, ADA).organization_path == "o-abc/r-root/ou-root-work/ou-root-deep/"

    gap = ("p-all", allow("*"), ["r-root", "ou-root-work", ACCOUNT, OTHER])
    world = read(tmp_path / "gap", people, *organization(gap))
    assert outcome(world, ADA, "ec2:DescribeVpcs") is Outcome.IMPLICIT_DENY
    assert outcome(world, arn("user", "eve", OTHER), "ec2:DescribeVpcs") is Outcome.ALLOWED

    alone = read(tmp_path / "alone", people)
    assert policy_set(alone, ADA).service_control == () and outcome(alone, ADA, "ec2:RunInstances") is Outcome.ALLOWED


def test_policies_that_ship_need_not_be_in_the_input(tmp_path: Path) -> None:
    """A6: attachable by their ARN."""
    world = read(tmp_path / "world", details([user("ada")]))
    after = change(tmp_path, world, call("AttachUserPolicy", UserName="ada", PolicyArn=READ_ONLY))
    assert outcome(after, ADA, "ec2:DescribeSecurityGroups") is Outcome.ALLOWED
    assert outcome(after, ADA, "ec2:RunInstances") is outcome(world, ADA, "ec2:DescribeVpcs") is Outcome.IMPLICIT_DENY


def test_the_example() -> None:
    """pcaps/shop says who may do what, as its script describes."""
    shop = read_environment(Path(__file__).parents[2] / "pcaps" / "shop")
    can = {
        name: outcome(shop, arn("user", name), "ec2:AuthorizeSecurityGroupIngress") is Outcome.ALLOWED
        for name in ("maja", "dara", "ann", "ci")
    }
    assert can == {"maja": True, "dara": False, "ann": False, "ci": False}
    group_arn = f"arn:aws:ec2:eu-west-1:{ACCOUNT}:security-group/"
    web = next(key for key, one in shop.groups.items() if one.name == "shop-web")
    request = AccessRequest(action="ec2:AuthorizeSecurityGroupIngress", resource=group_arn + web)
    assert decide(policy_set(shop, arn("user", "dara")), request).allowed
    assert may_assume(shop, arn("user", "ci"), arn("role/ci", "deploy")).allowed
    mfa = {"aws:MultiFactorAuthPresent": ("true",)}
    database = arn("role", "db-maintenance")
    assert may_assume(shop, arn("user", "dara"), database, context=mfa).allowed
    without = may_assume(shop, arn("user", "dara"), database)
    assert not without.allowed and without.missing_keys == ("aws:MultiFactorAuthPresent",)
