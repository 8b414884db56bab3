"""Policy sets and requests made at random from a small vocabulary, so that patterns and values often meet."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from sgsim.access import AccessRequest, AttachedPolicy, Layer, PolicySet
from sgsim.errors import PolicyError
from sgsim.model.policies import PolicyKind, parse_policy

ACCOUNT, OTHER = "111111111111", "222222222222"
USER = f"arn:aws:iam::{ACCOUNT}:user/staff/ada"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/deploy"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
SERVICE_ROLE = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
ACTIONS = (
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:RevokeSecurityGroupEgress",
    "ec2:RunInstances",
    "iam:CreateUser",
    "sts:AssumeRole",
    "sts:GetCallerIdentity",
)
_ACTION_PATTERNS = (
    *ACTIONS,
    "*",
    "ec2:*",
    "EC2:*securitygroup*",
    "ec2:*Security*Group*gress",
    "ec2:Run?nstances",
    "iam:*User",
    "sts:*",
    "ec2:??????????????????????????????",
    "s3:*",
)
_GROUP = f"arn:aws:ec2:eu-west-1:{ACCOUNT}:security-group"
RESOURCES = (
    "*",
    f"{_GROUP}/sg-1",
    f"{_GROUP}/sg-12",
    f"{_GROUP}/ada",
    f"{_GROUP}/sg-*",
    "arn:aws:ec2:eu-west-1::image/ami-1",
    f"arn:aws:iam::{ACCOUNT}:user/staff/ada",
    ROLE,
)
_RESOURCE_PATTERNS = (
    "*",
    "arn:aws:ec2:*",
    f"{_GROUP}/*",
    f"{_GROUP}/sg-?",
    f"{_GROUP}/sg-1*",
    f"{_GROUP}/${{aws:username}}",
    f"{_GROUP}/${{aws:PrincipalTag/team}}",
    f"{_GROUP}/${{aws:PrincipalTag/team, 'sg-1'}}",
    f"{_GROUP}/${{aws:PrincipalTag/team}}*",
    f"{_GROUP}/sg-${{*}}",
    f"{_GROUP}/sg-${{?}}",
    "arn:aws:ec2:*::image/*",
    "arn:*:iam::*:user/*",
    "arn:aws:iam::*:*/ada",
    ROLE,
)
_TEXTS = ("ada", "Ada", "sg-1", "sg-12", "sg-*", "a?a", "", "true", "${aws:username}", "${aws:PrincipalTag/team}")
_TEXTS += ("${ec2:Vpc, 'ada'}", "${*}", "*", "a*", "s?-*1*", "${aws:PrincipalTag/team}*", "${aws:TagKeys}")
_ARNS = (
    "*",
    "arn:aws:ec2:*:*:vpc/*",
    "arn:aws:ec2:eu-west-1:111111111111:vpc/vpc-1",
    "arn:*:*:*:*:vpc/vpc-?",
    "${aws:PrincipalArn}",
    "arn:aws:iam::*:user/${aws:username}",
    "arn:aws:iam::*:user/*/${aws:username}",
    "arn:aws:iam::111111111111:role:*",
)
_KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "String": (("Equals", "NotEquals", "EqualsIgnoreCase", "NotEqualsIgnoreCase", "Like", "NotLike"), _TEXTS),
    "Numeric": (
        ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"),
        ("1", "1.0", "-2", "10", "9.99", "1e1"),
    ),
    "Date": (
        ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"),
        ("2020-01-01", "2020-01-01T00:00:00Z", "2020-01", "1577836800", "2020-01-01T01:00:00+01:00", "1577836800.5"),
    ),
    "Bool": (("",), ("true", "false", "True", "${aws:SecureTransport}")),
    "BinaryEquals": (("",), ("QQ==", "QUI=")),
    "IpAddress": (("",), ("10.0.0.0/8", "10.1.2.3", "2001:db8::/32", "0.0.0.0/0", "10.1.2.3/16")),
    "NotIpAddress": (("",), ("10.0.0.0/8", "10.1.2.3", "2001:db8::/32", "::/0")),
    "Arn": (("Equals", "NotEquals", "Like", "NotLike"), _ARNS),
    "Null": (("",), ("true", "false")),
}
#: Keys with values that requests have; most suit some operators and are wrong for others.
_KEYS: dict[str, tuple[str, ...]] = {
    "aws:SourceIp": ("10.1.2.3", "192.0.2.1", "2001:db8::1", "no address"),
    "aws:CurrentTime": ("2020-01-01T00:00:00Z", "1577836801", "2019-12-31", "2020-13-01", "yesterday"),
    "aws:MultiFactorAuthAge": ("1", "10", "-2", "ten", "1.000"),
    "aws:SecureTransport": ("true", "false", "TRUE", "no"),
    "ec2:Vpc": ("arn:aws:ec2:eu-west-1:111111111111:vpc/vpc-1", "vpc-1", "arn:aws:iam::111111111111:role:a:b"),
    "ec2:Region": ("ada", "sg-1", "sg-12", "ADA", ""),
    "aws:TagKeys": ("ada", "sg-1", "true", "QQ==", "QUI=", "x", ""),
}


@dataclass
class World:
    """A policy set in the words of `sgsim.access`, built from JSON texts that the twin reads."""

    policies: PolicySet
    exempt: bool


def _some(random: Random, choices: tuple[str, ...], most: int = 3) -> Any:
    chosen = [random.choice(choices) for _ in range(random.randint(1, most))]
    return chosen[0] if len(chosen) == 1 and random.random() < 0.5 else chosen


def conditions(random: Random) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for _ in range(random.choice((0, 0, 0, 1, 1, 2, 3))):
        kind = random.choice(list(_KINDS))
        suffixes, values = _KINDS[kind]
        name = kind + random.choice(suffixes)
        if kind != "Null":
            name = random.choice(("", "", "ForAnyValue:", "ForAllValues:")) + name + random.choice(("", "", "IfExists"))
        key = random.choice([*_KEYS, "aws:PrincipalTag/team", "aws:username", "aws:PrincipalArn", "aws:principaltype"])
        key = random.choice((key, key, key.lower(), key.upper()))
        found.setdefault(name, {})[key] = _some(random, values)
    return found


def statement(random: Random, kind: PolicyKind) -> dict[str, Any]:
    found: dict[str, Any] = {"Effect": random.choice(("Allow", "Allow", "Allow", "Deny"))}
    if kind is PolicyKind.TRUST:
        found["Action"] = _some(random, ("sts:AssumeRole", "sts:*"))
    else:
        found[random.choice(("Action", "Action", "NotAction"))] = _some(random, _ACTION_PATTERNS)
        found[random.choice(("Resource", "Resource", "NotResource"))] = _some(random, _RESOURCE_PATTERNS)
    if kind in (PolicyKind.TRUST, PolicyKind.RESOURCE):
        names = (ROLE, USER, ROOT, ACCOUNT, OTHER, "AIDAAAAAAAAAAAAAAAAAA", "*", f"{ROLE[:-12]}:role/other")
        names = (*names[:-1], f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/monday", f"arn:aws:iam::{OTHER}:user/eve")
        principals = random.choice(("*", {"AWS": _some(random, names)}, {"AWS": _some(random, names)}))
        found[random.choice(("Principal", "Principal", "Principal", "NotPrincipal"))] = principals
    if found["Effect"] == "Deny" or random.random() < 0.6:
        chosen = conditions(random)
        if chosen:
            found["Condition"] = chosen
    return found


def document(random: Random, kind: PolicyKind = PolicyKind.IDENTITY, most: int = 3) -> dict[str, Any]:
    statements: Any = [statement(random, kind) for _ in range(random.randint(1, most))]
    found: dict[str, Any] = {"Statement": statements[0] if len(statements) == 1 else statements}
    version = random.choice(("2012-10-17", "2012-10-17", "2012-10-17", "2008-10-17", None))
    if version:
        found["Version"] = version
    return found


def attached(random: Random, layer: Layer, kind: PolicyKind = PolicyKind.IDENTITY) -> AttachedPolicy:
    """A policy; one whose version makes its variables mere text, which is refused in places, is made anew."""
    while True:
        with suppress(PolicyError):
            policy = parse_policy(json.dumps(document(random, kind)), kind)
            return AttachedPolicy(policy, f"policy of {layer.value}", layer)


def _several(random: Random, most: int, make: Callable[[], AttachedPolicy]) -> tuple[AttachedPolicy, ...]:
    return tuple(make() for _ in range(random.randint(0, most)))


def policy_set(random: Random) -> PolicySet:
    """A user, a role's session or a root user, with what bears on it."""
    who = random.choice((USER, USER, ROLE, ROLE, ROOT, SERVICE_ROLE))
    full = parse_policy(
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}', PolicyKind.IDENTITY
    )

    def level() -> tuple[AttachedPolicy, ...]:
        found = _several(random, 2, lambda: attached(random, Layer.SERVICE_CONTROL, PolicyKind.SERVICE_CONTROL))
        whole = AttachedPolicy(full, "FullAWSAccess", Layer.SERVICE_CONTROL)
        return (*found, whole) if random.random() < 0.7 else found

    session = random.random() < 0.4 and ":role/" in who
    return PolicySet(
        principal=who,
        account_id=ACCOUNT,
        is_root=who == ROOT,
        identity=() if who == ROOT else _several(random, 3, lambda: attached(random, Layer.IDENTITY)),
        boundary=attached(random, Layer.BOUNDARY) if who != ROOT and random.random() < 0.25 else None,
        session=_several(random, 2, lambda: attached(random, Layer.SESSION)) if session else None,
        service_control=tuple(level() for _ in range(random.choice((0, 0, 1, 2)))),
        management_account=random.random() < 0.1,
        session_name="monday" if ":role/" in who and random.random() < 0.7 else None,
        unique_id={USER: "AIDAAAAAAAAAAAAAAAAAA", ROLE: "AROAAAAAAAAAAAAAAAAAA"}.get(who, ""),
        tags=random.choice(({}, {"team": "ada"}, {"Team": "sg-*"}, {"team": ""})),
    )


def request(random: Random) -> AccessRequest:
    context: dict[str, tuple[str, ...]] = {}
    for key, values in _KEYS.items():
        if random.random() < 0.6:
            several = random.randint(0, 3) if key == "aws:TagKeys" or random.random() < 0.1 else 1
            context[random.choice((key, key.lower()))] = tuple(random.choice(values) for _ in range(several))
    found = AccessRequest(action=random.choice(ACTIONS), resource=random.choice(RESOURCES), context=context)
    if found.action == "sts:AssumeRole" or random.random() < 0.1:
        kind = PolicyKind.TRUST if found.action == "sts:AssumeRole" else PolicyKind.RESOURCE
        account = random.choice((None, None, ACCOUNT, OTHER))
        policy = attached(random, Layer.RESOURCE, kind)
        return AccessRequest(
            action=found.action,
            resource=found.resource,
            context=context,
            resource_account=account,
            resource_policy=policy,
        )
    if random.random() < 0.05:
        return AccessRequest(action=found.action, resource=found.resource, context=context, resource_account=OTHER)
    return found


def with_statement(policy: AttachedPolicy, added: dict[str, Any], place: int = 0) -> AttachedPolicy:
    """The policy with one statement more."""
    body = json.loads(policy.policy.document)
    listed = body["Statement"] if isinstance(body["Statement"], list) else [body["Statement"]]
    body["Statement"] = [*listed[:place], added, *listed[place:]]
    return policy._replace(policy=parse_policy(json.dumps(body), policy.policy.kind))


def with_identity(policies: PolicySet, *identity: AttachedPolicy) -> PolicySet:
    return replace(policies, identity=identity)
