"""How long does one decision take?

    pytest benchmarks/test_access.py --benchmark-only

A user with ten policies (two of AWS's and eight with conditions and policy variables), a boundary and three levels of
service control policies asks for one action on one of many groups. Before anything is timed, answers are compared with
the slow twin's. `first` is a decision for principals that were never asked about before. Times are of the CPU.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sgsim.access import AccessRequest, AttachedPolicy, Layer, PolicySet, decide
from sgsim.model.managed_policies import shipped_policies
from sgsim.model.policies import PolicyKind, parse_policy
from tests.access.test_twin import expected, said

ACCOUNT = "111122223333"
COUNT = 500


def attached(layer: Layer, *statements: dict[str, Any]) -> AttachedPolicy:
    kind = PolicyKind.SERVICE_CONTROL if layer is Layer.SERVICE_CONTROL else PolicyKind.IDENTITY
    text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    return AttachedPolicy(parse_policy(text, kind), f"a {layer.value}", layer)


def identity(number: int) -> AttachedPolicy:
    """A policy as teams write them: own resources by tag, nothing outside a Region, no deletion without MFA."""
    groups = f"arn:aws:ec2:*:{ACCOUNT}:security-group/*"
    return attached(
        Layer.IDENTITY,
        {
            "Effect": "Allow",
            "Action": ["ec2:AuthorizeSecurityGroup*", "ec2:RevokeSecurityGroup*", "ec2:Describe*"],
            "Resource": [groups, f"arn:aws:ec2:*:{ACCOUNT}:vpc/vpc-{number}*"],
            "Condition": {
                "StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"},
                "ArnLike": {"ec2:Vpc": f"arn:aws:ec2:*:*:vpc/vpc-{number}?"},
            },
        },
        {
            "Effect": "Deny",
            "Action": "ec2:Delete*",
            "Resource": "*",
            "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
        },
        {
            "Effect": "Allow",
            "Action": "iam:*AccessKey*",
            "Resource": f"arn:aws:iam::{ACCOUNT}:user/${{aws:username}}",
        },
    )


def policy_set(number: int) -> PolicySet:
    shipped = [shipped_policies()[f"arn:aws:iam::aws:policy/{name}"] for name in ("ReadOnlyAccess", "PowerUserAccess")]
    full = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    region = {"StringNotEquals": {"ec2:Region": ["eu-west-1", "eu-central-1"]}}
    elsewhere = {"Effect": "Deny", "NotAction": ["iam:*", "sts:*"], "Resource": "*", "Condition": region}
    levels = tuple((attached(Layer.SERVICE_CONTROL, full, elsewhere),) for _ in range(3))
    return PolicySet(
        principal=f"arn:aws:iam::{ACCOUNT}:user/u{number}",
        account_id=ACCOUNT,
        identity=(
            *(AttachedPolicy(one.policy, one.arn, Layer.IDENTITY) for one in shipped),
            *(identity(8 * number + i) for i in range(8)),
        ),
        boundary=attached(Layer.BOUNDARY, {"Effect": "Allow", "Action": ["ec2:*", "iam:*"], "Resource": "*"}),
        service_control=levels,
        tags={"team": f"t{number % 7}"},
    )


def request(number: int, action: str) -> AccessRequest:
    return AccessRequest(
        action=action,
        resource=f"arn:aws:ec2:eu-west-1:{ACCOUNT}:security-group/sg-{number:08x}",
        context={
            "ec2:Region": ("eu-west-1",),
            "aws:ResourceTag/team": (f"t{number % 5}",),
            "ec2:Vpc": (f"arn:aws:ec2:eu-west-1:{ACCOUNT}:vpc/vpc-{number % 40}",),
        },
    )


@pytest.fixture(scope="module")
def pairs() -> list[tuple[PolicySet, AccessRequest]]:
    actions = ("ec2:AuthorizeSecurityGroupIngress", "ec2:DeleteSecurityGroup", "iam:CreateUser")
    made = [policy_set(number) for number in range(COUNT)]
    found = [(one, request(i, actions[i % 3])) for i, one in enumerate(made)]
    for policies, asked in found[:60]:
        assert said(policies, asked, decide(policies, asked)) == expected(policies, asked)
    return found


@pytest.mark.benchmark(timer=time.process_time)
def test_decision(benchmark: Callable[..., Any], pairs: list[tuple[PolicySet, AccessRequest]]) -> None:
    """Principals and actions that have been asked about before, on other resources."""
    for policies, asked in pairs:
        decide(policies, asked)

    def run() -> None:
        for policies, asked in pairs:
            decide(policies, asked)

    benchmark(run)
    report(benchmark, "again")


@pytest.mark.benchmark(timer=time.process_time)
def test_first_decision(benchmark: Any, pairs: list[tuple[PolicySet, AccessRequest]]) -> None:
    """Principals whose policies have not been looked at yet."""

    def fresh() -> tuple[tuple[list[tuple[PolicySet, AccessRequest]]], dict[str, Any]]:
        return ([(reread(policies), asked) for policies, asked in pairs],), {}

    def run(given: list[tuple[PolicySet, AccessRequest]]) -> None:
        for policies, asked in given:
            decide(policies, asked)

    benchmark.pedantic(run, setup=fresh, rounds=5)
    report(benchmark, "first")


def reread(policies: PolicySet) -> PolicySet:
    """The same set with policies of its own that no cache knows."""

    def again(one: AttachedPolicy) -> AttachedPolicy:
        text = f" {one.policy.document}"
        return one._replace(policy=parse_policy(text, one.policy.kind))

    return replace(policies, identity=(*policies.identity[:2], *(again(one) for one in policies.identity[2:])))


def report(benchmark: Any, name: str) -> None:
    seconds = benchmark.stats.stats.min / COUNT if benchmark.stats else 0.0
    print(f"\n{name}: {seconds * 1e6:.1f} µs a decision")
