"""`sgsim can`: one question to IAM, with names and ids as people write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sgsim.cli.main import run

ACCOUNT, OTHER = "111122223333", "444455556666"
GROUP = f"arn:aws:ec2:eu-west-1:{ACCOUNT}:security-group/sg-0a1"


def arn(resource: str, account_id: str = ACCOUNT) -> str:
    return f"arn:aws:iam::{account_id}:{resource}"


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action: str, **more: Any) -> dict[str, Any]:
    return {"Sid": "Some", "Effect": "Allow", "Action": action, "Resource": "*", **more}


def holder(kind: str, name: str, path: str = "/", **more: Any) -> dict[str, Any]:
    unique_id = {"User": "AIDA", "Role": "AROA", "Group": "AGPA"}[kind] + f"{name.upper():X<17}"
    return {
        "Path": path,
        f"{kind}Name": name,
        f"{kind}Id": unique_id,
        "Arn": arn(f"{kind.lower()}{path}{name}"),
        "AttachedManagedPolicies": [],
        **more,
    }


MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
OWN_VPC = {"ArnLike": {"ec2:Vpc": "arn:aws:ec2:*:*:vpc/vpc-0a*"}}
INLINE = {"PolicyName": "rules", "PolicyDocument": document(allow("ec2:*SecurityGroup*", Condition=OWN_VPC))}
NO_DELETION = {"PolicyName": "no", "PolicyDocument": document({**allow("ec2:Delete*"), "Effect": "Deny"})}
LOCAL = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": arn("root")}}
DETAILS = {
    "UserDetailList": [
        holder("User", "ada", "/staff/", GroupList=["operators"]),
        holder("User", "eve", GroupList=[], UserPolicyList=[{**INLINE, "PolicyDocument": document(allow("*"))}]),
    ],
    "GroupDetailList": [holder("Group", "operators", GroupPolicyList=[INLINE, NO_DELETION])],
    "RoleDetailList": [
        holder("Role", "deploy", AssumeRolePolicyDocument=document(LOCAL), RolePolicyList=[
            {"PolicyName": "p", "PolicyDocument": document(allow("ec2:*", Condition=MFA))}]),
        holder("Role", "eve", AssumeRolePolicyDocument=document(LOCAL), RolePolicyList=[]),
    ],
    "Policies": [],
}  # fmt: skip


@pytest.fixture
def account(tmp_path: Path) -> str:
    folder = tmp_path / "account"
    folder.mkdir()
    groups = [
        {"GroupId": "sg-0a1", "GroupName": "a", "OwnerId": ACCOUNT, "VpcId": "vpc-0a1", "SecurityGroupArn": GROUP}
    ]
    images = [
        {"ImageId": "ami-0000000a", "OwnerId": OTHER, "Public": False, "Tags": []},
        {"ImageId": "ami-0000000b", "OwnerId": OTHER, "Public": True, "Tags": []},
    ]
    shared = {"ImageId": "ami-0000000a", "LaunchPermissions": []}
    for name, body in {
        "groups": {"SecurityGroups": groups},
        "iam": DETAILS,
        "images": {"Images": images},
        "shared": shared,
    }.items():
        (folder / f"{name}.json").write_text(json.dumps(body))
    return str(folder)


def test_who_may_says_by_what(account: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["can", account, "ada", "EC2:authorizesecuritygroupingress", "sg-0a1", "--exit-code"]) == 0
    assert capsys.readouterr().out == (
        f"{arn('user/staff/ada')} may ec2:AuthorizeSecurityGroupIngress on {GROUP}\n"
        '  allowed by statement 1 "Some" of inline policy rules of group operators (identity policy)\n'
        f"  the request tells aws:RequestedRegion=eu-west-1, aws:ResourceAccount={ACCOUNT}, ec2:Region=eu-west-1, "
        f"ec2:SecurityGroupID=sg-0a1, "
        f"ec2:Vpc=arn:aws:ec2:eu-west-1:{ACCOUNT}:vpc/vpc-0a1\n"
    )


def test_a_denial_says_which_statement(account: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["can", account, "user/ada", "ec2:DeleteSecurityGroup", GROUP, "--exit-code"]) == 2
    out = capsys.readouterr().out
    assert out.startswith(
        f"{arn('user/staff/ada')} may not ec2:DeleteSecurityGroup on {GROUP}\n  denied by statement 1"
    )
    assert "inline policy no of group operators" in out


def test_silence_says_where_and_what_is_missing(account: str, capsys: pytest.CaptureFixture[str]) -> None:
    question = ["can", account, "deploy", "ec2:AuthorizeSecurityGroupIngress", "sg-0a1"]
    assert run(question) == 0  # an answer is not an error
    out = capsys.readouterr().out
    assert "  nothing allows it as identity policy\n" in out
    assert "  statements ask for what the request does not tell: aws:MultiFactorAuthPresent\n" in out
    assert run([*question, "--context", "aws:multifactorauthpresent=true", "--exit-code"]) == 0
    assert " may ec2:AuthorizeSecurityGroupIngress" in capsys.readouterr().out


def test_context_replaces_what_the_environment_tells(account: str, capsys: pytest.CaptureFixture[str]) -> None:
    question = ["can", account, "ada", "ec2:AuthorizeSecurityGroupIngress", "sg-0a1", "--exit-code"]
    assert run([*question, "--context", "EC2:vpc=arn:aws:ec2:eu-west-1:1:vpc/vpc-0b1"]) == 2
    assert "ec2:Vpc=" not in capsys.readouterr().out


def test_json(account: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["can", account, "ada", "ec2:DeleteSecurityGroup", "sg-0a1", "--format", "json"]) == 0
    given = json.loads(capsys.readouterr().out)
    assert given["schema"] == "sgsim.decision/1"
    assert (given["allowed"], given["outcome"], given["layer"]) == (False, "explicit deny", "identity policy")
    assert given["statements"] == [
        {
            "policy": "inline policy no of group operators",
            "layer": "identity policy",
            "statement": 1,
            "sid": "Some",
            "effect": "Deny",
        }
    ]
    assert given["context"]["ec2:SecurityGroupID"] == ["sg-0a1"]
    assert given["account"] is None


def test_assuming_a_role_asks_its_trust_policy(account: str, capsys: pytest.CaptureFixture[str]) -> None:
    """docs/iam.md A1.4: the account is trusted, so that the user needs leave of its own."""
    assert run(["can", account, "user/eve", "sts:AssumeRole", arn("role/deploy"), "--exit-code"]) == 0
    assert "of trust policy of role deploy (resource policy)" in capsys.readouterr().out
    assert run(["can", account, "ada", "sts:AssumeRole", "role/deploy", "--exit-code"]) == 2
    assert "nothing allows it as identity policy" in capsys.readouterr().out


def test_a_session_with_a_policy(account: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/monday"
    (tmp_path / "session.json").write_text(json.dumps(document(allow("ec2:Describe*"))))
    question = ["can", account, session, "ec2:AuthorizeSecurityGroupIngress", "sg-0a1", "--exit-code"]
    question += ["--context", "aws:MultiFactorAuthPresent=true"]
    assert run(question) == 0
    assert run([*question, "--session-policy", str(tmp_path / "session.json")]) == 2
    assert "nothing allows it as session policy" in capsys.readouterr().out


def test_launching_asks_the_images_owner_first(account: str, capsys: pytest.CaptureFixture[str]) -> None:
    """docs/iam.md C6: both gates are told, and that the call touches more."""
    assert run(["can", account, "user/eve", "ec2:RunInstances", "ami-0000000a", "--exit-code"]) == 2
    out = capsys.readouterr().out
    assert "may not ec2:RunInstances" in out
    assert "account's gate closed (AuthFailure)" in out
    assert (
        "a call of ec2:RunInstances is asked for on instance, network-interface, security-group, subnet as well" in out
    )
    assert run(["can", account, "user/eve", "ec2:RunInstances", "ami-0000000b", "--exit-code"]) == 0
    assert "account's gate open: it is public" in capsys.readouterr().out


def test_remarks(account: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["can", account, "user/eve", "s3:GetObject", "*"]) == 0
    assert "sgsim does not simulate s3:GetObject" in capsys.readouterr().out
    assert run(["can", account, "user/eve", "ec2:RunInstances", "*"]) == 0
    assert "asked for *: only statements on every resource fit" in capsys.readouterr().out
    assert run(["can", account, arn("root"), "sts:GetCallerIdentity", "*"]) == 0
    assert "allowed: needs no permission" in capsys.readouterr().out


def test_root_and_another_accounts_group(account: str, capsys: pytest.CaptureFixture[str]) -> None:
    foreign = GROUP.replace(ACCOUNT, OTHER)
    assert run(["can", account, arn("root"), "ec2:DeleteSecurityGroup", "sg-0a1", "--exit-code"]) == 0
    assert "allowed: root user" in capsys.readouterr().out
    assert run(["can", account, arn("root"), "ec2:DeleteSecurityGroup", foreign, "--exit-code"]) == 2
    assert "nothing allows it as resource policy" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["bob", "ec2:RunInstances", "*"], 64, "the environment has no user or role 'bob'"),
        (["eve", "ec2:RunInstances", "*"], 64, "'eve' could be arn:aws:iam::111122223333:role/eve or arn:aws"),
        (["arn:aws:iam", "ec2:RunInstances", "*"], 64, "'arn:aws:iam' is not an ARN"),
        ([arn("user/bob"), "ec2:RunInstances", "*"], 1, "The user with name bob cannot be found"),
        ([arn("group/operators"), "ec2:RunInstances", "*"], 1, "is not the ARN of a user"),
        ([f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy", "ec2:RunInstances", "*"], 1, "is not the ARN of a user"),
        (["ada", "RunInstances", "*"], 64, "'RunInstances' is not an action; write service:Name"),
        (["ada", "ec2:Run*", "*"], 64, "'ec2:Run*' is not an action"),
        (["ada", "ec2:RunInstances", "sg-9"], 64, "'sg-9' is nothing that the environment describes"),
        (["ada", "ec2:RunInstances", "arn:x"], 64, "'arn:x' is not an ARN"),
        (["ada", "ec2:DescribeSecurityGroups", "sg-0a1"], 64, "is not asked for on a security-group; ask for *"),
        (["ada", "iam:CreateUser", "sg-0a1"], 64, "is not asked for on a security-group; ask for user or *"),
        (["ada", "sts:AssumeRole", arn("role/gone")], 64, "the environment has no role"),
        (["ada", "ec2:RunInstances", "*", "--context", "x"], 64, "'x' is not KEY=VALUE"),
        (["ada", "ec2:RunInstances", "*", "--session-policy", "/nonexistent"], 1, "/nonexistent"),
        (["ada", "ec2:RunInstances"], 64, "Missing argument 'RESOURCE'"),
    ],
)
def test_bad_input_is_one_line(
    account: str, arguments: list[str], code: int, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["can", account, *arguments]) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert problem in err


def test_a_malformed_session_policy_is_named(account: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "session.json"
    path.write_text(json.dumps(document(allow("ec2:*", Condition={"StringSimilar": {"ec2:A": "b"}}))))
    assert run(["can", account, "deploy", "ec2:RunInstances", "*", "--session-policy", str(path)]) == 1
    err = capsys.readouterr().err
    assert f'{path}, session policy, Statement[0] ("Some").Condition: MalformedPolicyDocument' in err
