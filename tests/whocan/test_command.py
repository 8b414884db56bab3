"""`sgsim who-can` as people call it: what it says, what it refuses (docs/iam.md W)."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sgsim.analysis.whocan import who_can
from sgsim.cli.main import run
from sgsim.model import Environment
from sgsim.model.policies import PolicyKind, parse_policy
from sgsim.model.principals import Directory, InlinePolicy, Role, User
from tests.whocan.worlds import ACCOUNT, world

SHOP = str(Path(__file__).parents[2] / "pcaps" / "shop")
OPEN = "tcp internet > shop-db:5432"
MFA = ["--context", "aws:MultiFactorAuthPresent=true"]


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert run(["who-can", *arguments]) == code
    return capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = json.loads(said(capsys, *arguments, "--format", "json"))
    return found


def names(found: dict[str, list[dict[str, object]]]) -> list[str]:
    return [str(one["principal"]).rpartition(":")[2] for one in found["principals"]]


def test_keys_that_requests_lack_are_named_and_can_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    """W6."""
    assert "refused for want of aws:MultiFactorAuthPresent" in said(capsys, SHOP, OPEN)
    assert names(document(capsys, SHOP, OPEN)) == ["role/db-maintenance", "user/maja"]
    assert names(document(capsys, SHOP, OPEN, *MFA)) == ["role/db-maintenance", "user/dara", "user/maja"]


def test_a_launch_into_a_group_that_a_rule_names(capsys: pytest.CaptureFixture[str]) -> None:
    """W2, W3: ci takes the role deploy, which launches a server into the group of the app tier."""
    found = document(capsys, SHOP, "tcp 10.20.10.77 > shop-db:5432")
    (ci,) = (one for one in found["principals"] if str(one["principal"]).endswith("user/ci"))
    (way,) = ci["ways"]  # type: ignore[misc]
    assert [step["role"].rpartition("/")[2] for step in way["assume"]] == ["deploy"]
    assert [(call["kind"], call["action"]) for call in way["calls"]] == [("launch", "ec2:RunInstances")]
    assert way["witness"] == "tcp 10.20.10.77 > 10.20.20.30:5432"
    assert way["whole"]


def test_both_ends_stand_in_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    """W3: one call for each; the root user is said apart."""
    found = document(capsys, SHOP, "tcp shop-bastion > shop-monitoring:9999")
    assert names(found) == ["user/maja"]
    for one in (*found["principals"], *found["roots"]):
        (way,) = one["ways"]  # type: ignore[misc]
        actions = [call["action"] for call in way["calls"]]
        assert actions == ["ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress"]


def test_what_passes_already(capsys: pytest.CaptureFixture[str]) -> None:
    """By which rule; all of it, or a part."""
    text = said(capsys, SHOP, "tcp internet > shop-alb:443", "--exit-code")
    assert "passes already" in text
    assert "sgr-0cc4fce4be4bce4b3 tcp 443 from 0.0.0.0/0 in shop-alb" in text
    assert "Who can make more of it pass" in said(capsys, SHOP, "tcp internet > shop-alb:400-500")


def test_exit_code_and_sarif(capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, SHOP, OPEN, "--exit-code", code=2)
    log = json.loads(said(capsys, SHOP, OPEN, *MFA, "--format", "sarif"))
    results = log["runs"][0]["results"]
    assert {one["ruleId"] for one in results} == {"who-can-authorize"}
    assert len({one["partialFingerprints"]["sgsimFindingId/v1"] for one in results}) == len(results) == 3
    assert "sts:AssumeRole" in results[1]["message"]["text"]
    assert results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].endswith("details.json")


@pytest.mark.parametrize(
    ("packets", "words"),
    [
        ("tcp internet shop-db:5432", "column 1: '>' is missing"),
        ("tcp internet > sg-nope:5432", "column 16: 'sg-nope' is no interface"),
        ("tcp internet > shop-db:99999", "column 24: '99999' is not a port"),
        ("tcp internet > 192.0.2.1:53", "column 1: no group decides"),
        ("icmpv6 10.20.10.77 > shop-db", "column 1: the two sides have no addresses of one family"),
    ],
)
def test_packets_that_cannot_be_understood(packets: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage, in one line with the column."""
    assert run(["who-can", SHOP, packets]) == 64
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith(f"sgsim: {words}")
    assert errors.count("\n") == 1


def test_an_account_without_principals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("security-groups", "network-interfaces"):
        shutil.copy(Path(SHOP) / f"{name}.json", tmp_path)
    assert run(["who-can", str(tmp_path), OPEN]) == 1
    assert "describes no users and no roles; add the output of 'aws iam get-account" in capsys.readouterr().err


def trusting(name: str, trusted: str, *actions: str) -> Role:
    statement = {"Effect": "Allow", "Principal": {"AWS": trusted}, "Action": "sts:AssumeRole"}
    return Role(
        arn=arn(f"role/{name}"), trust=parse_policy({"Statement": statement}, PolicyKind.TRUST), inline=may(*actions)
    )


def may(*actions: str) -> tuple[InlinePolicy, ...]:
    if not actions:
        return ()
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return (InlinePolicy("p", parse_policy({"Statement": statement}, PolicyKind.IDENTITY)),)


def arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:{name}"


@pytest.fixture
def closed() -> Environment:
    """A world in which nothing passes."""
    environment = world(1)
    groups = {
        key: type(group)(key, (), key, "", group.account_id, group.region, "vpc-1")
        for key, group in environment.groups.items()
    }
    return replace(environment, groups=groups)


def test_roles_that_trust_each_other_in_a_circle(closed: Environment) -> None:
    """W3: the circle ends nowhere, and whoever gets into it gets to the role that can."""
    take = "sts:AssumeRole"
    roles = [
        trusting("a", arn("role/b"), take, "ec2:AuthorizeSecurityGroup*"),
        trusting("b", arn("role/c"), take),
        trusting("c", arn("role/a"), take),
        trusting("d", arn("role/e"), take),
        trusting("e", arn("role/d"), take),
    ]
    roles[1] = trusting("b", arn("user/eve"), take)
    directory = Directory(
        users={arn("user/eve"): User(arn=arn("user/eve")), arn("user/bob"): User(arn=arn("user/bob"))},
        roles={one.arn: one for one in roles},
    )
    answer = who_can(replace(closed, directory=directory), "tcp 192.0.2.1 > eni-0:443")
    assert {one.rpartition("/")[2]: [step.role[-1] for step in ways[0].steps] for one, ways in answer.ways.items()} == {
        "a": [],
        "b": ["a"],
        "eve": ["b", "a"],
    }


def test_a_full_group_takes_another_body_for_a_rule(closed: Environment) -> None:
    """W4: what AWS refuses helps nobody; here the quota leaves only other ways."""
    from sgsim.model.quotas import Quotas

    directory = Directory(users={arn("user/eve"): User(arn=arn("user/eve"), inline=may("ec2:AuthorizeSecurityGroup*"))})
    environment, packets = replace(closed, directory=directory), "tcp 192.0.2.1 > eni-0:443"
    assert set(who_can(environment, packets).ways) == {arn("user/eve")}
    assert not who_can(environment, packets, quotas=Quotas(rules_per_group=0)).ways
