"""How long does it take to say who could make a packet pass?

    pytest benchmarks/test_who_can.py --benchmark-only

An account with 1 000 groups on 3 000 interfaces, 4 000 users and 1 000 roles with ten policies each, some of them
shared and some their own: by tag, by Region, with denials; a seventh may change rules of some group. Who could open
one group's port to the internet? Before anything is timed, a sample of the answer is compared with the slow twin's:
who is named may make the call, or take the role, and who is not may not. Times are of the CPU.
"""

from __future__ import annotations

import json
import os
import time
from functools import cache
from typing import Any

import pytest

from sgsim.access.calls import change_requests
from sgsim.access.principals import policy_set
from sgsim.access.requests import AccessRequest
from sgsim.analysis.whocan import WhoCan, who_can
from sgsim.model import (
    Address,
    Cidr,
    CidrPeer,
    Direction,
    Environment,
    NetworkInterface,
    PortRange,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Vpc,
    parse_cidr,
)
from sgsim.model.changes import Authorize
from sgsim.model.policies import Policy, PolicyKind, parse_policy
from sgsim.model.principals import Directory, InlinePolicy, Role, User
from tests.access.test_twin import expected

ACCOUNT, REGION = "111122223333", "eu-west-1"
SMALL = os.environ.get("SGSIM_BENCH_SCALE") == "small"
USERS, ROLES, GROUPS = (400, 100, 100) if SMALL else (4000, 1000, 1000)
QUESTION = "tcp internet > sg-00000007:5432"
EC2 = f"arn:aws:ec2:{REGION}:{ACCOUNT}"


@pytest.mark.benchmark(timer=time.process_time)
def test_who_can(benchmark: Any) -> None:
    """The whole question, policies not looked at before."""
    answer = who_can(account(), QUESTION)
    check(account(), answer)

    def fresh() -> tuple[tuple[Environment], dict[str, Any]]:
        read.cache_clear()
        return (account(),), {}

    def run(environment: Environment) -> WhoCan:
        return who_can(environment, QUESTION)

    benchmark.pedantic(run, setup=fresh, rounds=1 if SMALL else 3)
    if benchmark.stats:
        seconds = benchmark.stats.stats.min
        print(f"\n{USERS + ROLES:,} principals, {GROUPS:,} groups: {seconds:.2f} s of CPU; {len(answer.ways):,} can")
        assert SMALL or seconds <= 10


def check(environment: Environment, answer: WhoCan) -> None:
    """A sample of those who are named, and of those who are not, against the twin."""
    calls = [authorize(environment, number) for number in (6, 7, 8)]  # those on the interfaces that carry the group
    directory = environment.directory
    for number, arn in enumerate((*directory.users, *directory.roles)):
        if number % 23 == 0:
            policies = policy_set(environment, arn)
            may = any(all(expected(policies, one).outcome == "allowed" for one in requests) for requests in calls)
            ways = answer.ways.get(arn, ())
            assert may == any(not way.steps and way.calls[0].kind == "authorize" for way in ways), arn
    assert any(way.steps for ways in answer.ways.values() for way in ways)
    assert 0 < len(answer.ways) < USERS + ROLES


def authorize(environment: Environment, number: int) -> tuple[AccessRequest, ...]:
    """What IAM is asked about a rule on a group."""
    name = f"sg-{number:08x}"
    rule = SecurityGroupRule("", name, Direction.INGRESS, 6, CidrPeer(parse_cidr("0.0.0.0/0")))
    return change_requests(environment, Authorize(name, (rule,)), ACCOUNT)


def account() -> Environment:
    """Networks and principals; the policies are new objects, unless they are cached."""
    groups = {}
    for number in range(GROUPS):
        name = f"sg-{number:08x}"
        rules = [
            SecurityGroupRule(
                f"sgr-{name}-{i}", name, Direction.INGRESS, 6, CidrPeer(Cidr(4, (10 << 24) + i, 32)), PortRange(i, i)
            )
            for i in range(20)
        ]
        team = (("team", f"t{number % 40}"),)
        groups[name] = SecurityGroup(
            name, tuple(rules), f"g{number}", account_id=ACCOUNT, region=REGION, vpc_id="vpc-1", tags=team
        )
    interfaces = {}
    for number in range(3 * GROUPS):
        name = f"eni-{number:08x}"
        carried = (f"sg-{number % GROUPS:08x}", f"sg-{(number + 1) % GROUPS:08x}")
        address = Address(4, (10 << 24) + 65536 + number)
        interfaces[name] = NetworkInterface(
            name, (address,), carried, vpc_id="vpc-1", subnet_id="subnet-1", account_id=ACCOUNT, region=REGION
        )
    users = [user(number) for number in range(USERS)]
    roles = [role(number) for number in range(ROLES)]
    return Environment(
        groups=groups,
        interfaces=interfaces,
        vpcs={"vpc-1": Vpc("vpc-1", (Cidr(4, 10 << 24, 8),), ACCOUNT, REGION)},
        subnets={"subnet-1": Subnet("subnet-1", "vpc-1", (Cidr(4, 10 << 24, 8),), REGION)},
        closed=frozenset({(ACCOUNT, REGION)}),
        directory=Directory(users={one.arn: one for one in users}, roles={one.arn: one for one in roles}),
    )


@cache
def read(text: str, kind: PolicyKind) -> Policy:
    return parse_policy(text, kind)


def policies(number: int) -> tuple[InlinePolicy, ...]:
    """Ten: six of a team's hundred, four of one's own."""
    team = number % 40
    shared = [statement(f"s{(number * 7 + i) % 100}", f"vpc-{i}", "ec2:Describe*") for i in range(6)]
    allowed = "ec2:AuthorizeSecurityGroup*" if number % 7 == 0 else "ec2:DescribeSecurityGroup*"
    own = [
        {
            "Effect": "Allow",
            "Action": [allowed, "ec2:CreateTags"],
            "Resource": f"{EC2}:security-group/*",
            "Condition": {"StringEquals": {"aws:ResourceTag/team": [f"t{team}", f"u{number}"]}},
        },
        {
            "Effect": "Deny",
            "Action": "ec2:*",
            "Resource": "*",
            "Condition": {"StringNotEquals": {"ec2:Region": [REGION, f"x{number}"]}},
        },
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": f"arn:aws:iam::{ACCOUNT}:role/r{number % ROLES}"},
        {"Effect": "Allow", "Action": ["iam:Get*", "iam:List*"], "Resource": f"arn:aws:iam::{ACCOUNT}:user/u{number}"},
    ]
    texts = [json.dumps({"Version": "2012-10-17", "Statement": one}) for one in (*shared, *own)]
    return tuple(InlinePolicy(f"p{i}", read(text, PolicyKind.IDENTITY)) for i, text in enumerate(texts))


def statement(team: str, vpc: str, action: str) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Action": [action, "ec2:Get*", "cloudwatch:*"],
        "Resource": "*",
        "Condition": {"StringLike": {"aws:PrincipalTag/team": [team, vpc]}},
    }


def user(number: int) -> User:
    return User(arn=f"arn:aws:iam::{ACCOUNT}:user/u{number}", inline=policies(number))


def role(number: int) -> Role:
    named = f"arn:aws:iam::{ACCOUNT}:root" if number % 3 else f"arn:aws:iam::{ACCOUNT}:user/u{number}"
    trusted = {"Effect": "Allow", "Principal": {"AWS": named}, "Action": "sts:AssumeRole"}
    text = json.dumps({"Version": "2012-10-17", "Statement": trusted})
    arn = f"arn:aws:iam::{ACCOUNT}:role/r{number}"
    return Role(arn=arn, trust=read(text, PolicyKind.TRUST), inline=policies(USERS + number))
