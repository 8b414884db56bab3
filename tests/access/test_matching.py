"""What fits what, row by row of docs/iam.md A2."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from sgsim.access.patterns import Context, compile_pattern
from sgsim.errors import PolicyError
from sgsim.model.policies import OLD_VERSION
from tests.access.asking import GROUP, allow, ask, deny, holds, policy, role, root, user
from tests.access.worlds import ACCOUNT

VPC = "arn:aws:ec2:eu-west-1:111111111111:vpc/vpc-1"


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        ({"Action": "ec2:RunInstances"}, True),
        ({"Action": "EC2:runinstances"}, True),
        ({"Action": "ec2:Run*"}, True),
        ({"Action": "ec2:*Inst*s"}, True),
        ({"Action": "ec2:Run?nstances"}, True),
        ({"Action": "ec2:Run?"}, False),
        ({"Action": "ec2:RunInstance"}, False),
        ({"Action": ["s3:*", "ec2:RunInstances"]}, True),
        ({"Action": "*"}, True),
        ({"NotAction": "s3:*"}, True),
        ({"NotAction": "ec2:run*"}, False),
        ({"NotAction": ["s3:*", "ec2:*"]}, False),
    ],
)
def test_actions(given: dict[str, Any], fits: bool) -> None:
    """A2.1."""
    assert ask(user({"Effect": "Allow", "Resource": "*", **given})).allowed is fits


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        ({"Resource": "*"}, True),
        ({"Resource": GROUP}, True),
        ({"Resource": GROUP.upper().replace("ARN:AWS:EC2", "arn:aws:ec2")}, False),
        ({"Resource": "arn:aws:ec2:*"}, True),
        ({"Resource": f"arn:aws:ec2:*:{ACCOUNT}:*"}, True),
        ({"Resource": "arn:aws:ec2:eu-west-?:*:security-group/sg-?"}, True),
        ({"Resource": "arn:aws:ec2:*/sg-1"}, True),
        ({"Resource": "arn:*:ec2:*/sg-11"}, False),
        ({"Resource": "arn:aws:ec2:*:*:security-group/[sg]*"}, False),
        ({"NotResource": "arn:aws:ec2:*:*:instance/*"}, True),
        ({"NotResource": ["arn:aws:ec2:*:*:instance/*", GROUP]}, False),
    ],
)
def test_resources(given: dict[str, Any], fits: bool) -> None:
    """A2.2."""
    assert ask(user({"Effect": "Allow", "Action": "*", **given})).allowed is fits


def test_wildcards_against_all_ways_to_read_them() -> None:
    """A2.1, A2.2: 20 000 patterns over two letters, compared with trying every split."""

    def fits(pattern: str, text: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] == "*":
            return any(fits(pattern[1:], text[i:]) for i in range(len(text) + 1))
        return bool(text) and pattern[0] in ("?", text[0]) and fits(pattern[1:], text[1:])

    random = Random(3)
    met = 0
    for _ in range(20_000):
        pattern = "".join(random.choices("ab*?", weights=(4, 3, 3, 2), k=random.randint(0, 8)))
        text = "".join(random.choices("ab", k=random.randint(0, 8)))
        found = compile_pattern(pattern, with_variables=True).matches(text, Context({}))
        assert found == fits(pattern, text), (pattern, text)
        met += found
    assert met > 1000


def test_names_of_keys_have_no_case_and_their_values_do() -> None:
    """A2.4, tags of the principal included."""
    assert holds("StringEquals", "a", "a", key="EC2:sOME")
    assert holds("StringEquals", "red", key="aws:principaltag/TEAM")
    assert not holds("StringEquals", "A", "a")


def test_operators_and_keys_are_all_needed_and_one_value_suffices() -> None:
    """A2.5."""
    both = {"StringEquals": {"ec2:A": ["1", "2"], "ec2:B": "3"}, "NumericLessThan": {"ec2:A": "2"}}
    statement = allow(Condition=both)
    assert ask(user(statement), context={"ec2:A": "1", "ec2:B": "3"}).allowed
    assert not ask(user(statement), context={"ec2:A": "2", "ec2:B": "3"}).allowed
    assert not ask(user(statement), context={"ec2:A": "1", "ec2:B": "4"}).allowed
    assert not holds("StringNotEquals", ["a", "b"], "a")
    assert holds("StringNotEquals", ["a", "b"], "c")


@pytest.mark.parametrize(
    ("operator", "value", "absent"),
    [
        ("StringEquals", "a", False),
        ("StringNotEquals", "a", True),
        ("StringNotLike", "a", True),
        ("StringNotEqualsIgnoreCase", "a", True),
        ("NumericLessThan", "1", False),
        ("NumericNotEquals", "1", True),
        ("DateNotEquals", "2020-01-01", True),
        ("NotIpAddress", "10.0.0.0/8", True),
        ("ArnNotLike", VPC, True),
        ("Bool", "true", False),
        ("StringEqualsIfExists", "a", True),
        ("NumericLessThanIfExists", "1", True),
        ("BoolIfExists", "true", True),
        ("Null", "true", True),
        ("Null", "false", False),
        ("Null", True, True),
    ],
)
def test_an_absent_key(operator: str, value: Any, absent: bool) -> None:
    """A2.6."""
    assert holds(operator, value) is absent
    if operator.endswith("IfExists"):
        assert not holds(operator, value, "9")


def test_null_of_a_key_that_is_there() -> None:
    """A2.6."""
    assert holds("Null", "false", "x")
    assert not holds("Null", "true", "x")


@pytest.mark.parametrize(
    ("given", "every", "some"),
    [
        (None, True, False),
        ([], True, False),
        ([""], True, False),
        (["a"], True, True),
        (["a", "b"], True, True),
        (["a", "c"], False, True),
        (["c"], False, False),
    ],
)
def test_sets_of_values(given: Any, every: bool, some: bool) -> None:
    """A2.7 and A2.8, A5.8."""
    assert holds("ForAllValues:StringEquals", ["a", "b"], given) is every
    assert holds("ForAnyValue:StringEquals", ["a", "b"], given) is some


@pytest.mark.parametrize(
    ("pattern", "given", "fits"),
    [
        (VPC, VPC, True),
        ("arn:aws:ec2:*:*:vpc/*", VPC, True),
        ("arn:aws:ec2:*:vpc/*", f"{VPC}:x", None),
        ("arn:aws:*:*:*:vpc/vpc-?", VPC, True),
        ("arn:aws:ec2:*1:vpc/vpc-1:*", VPC, False),  # a star does not reach over a colon …
        ("arn:aws:sns:*:*:a*z", "arn:aws:sns:eu-west-1:1:a:b:z", True),  # … but after the fifth
        ("arn:aws:ec2:*:*:vpc/*", "vpc-1", False),
        ("arn:aws:ec2:*:*:VPC/*", VPC, False),
    ],
)
def test_arns(pattern: str, given: str, fits: bool | None) -> None:
    """A2.9; None: the pattern lacks a part and is refused (A4.5)."""
    if fits is None:
        with pytest.raises(PolicyError, match="six parts"):
            holds("ArnLike", pattern, given)
        return
    for operator in ("ArnLike", "ArnEquals"):
        assert holds(operator, pattern, given) is fits
    for operator in ("ArnNotLike", "ArnNotEquals"):
        assert holds(operator, pattern, given) is not fits


@pytest.mark.parametrize(
    ("ranges", "given", "fits"),
    [
        ("203.0.113.0/24", "203.0.113.9", True),
        ("203.0.113.0/24", "203.0.114.9", False),
        ("203.0.113.9", "203.0.113.9", True),
        ("203.0.113.9", "203.0.113.8", False),
        ("2001:db8::/32", "2001:db8:1::1", True),
        ("2001:DB8::1", "2001:db8::1", True),
        (["203.0.113.0/24", "2001:db8::/32"], "2001:db8::1", True),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("::/0", "203.0.113.9", False),
        ("0.0.0.0/0", "nowhere", False),
        ("10.0.0.0/8", "10.1.0.0/16", True),
        ("10.1.0.0/16", "10.0.0.0/8", False),
    ],
)
def test_addresses(ranges: Any, given: str, fits: bool) -> None:
    """A2.10."""
    assert holds("IpAddress", ranges, given) is fits
    assert holds("NotIpAddress", ranges, given) is not fits


def test_operators_that_know_no_variables() -> None:
    """A2.11: what looks like a variable is no number, date or address there."""
    for operator in ("NumericEquals", "DateLessThan", "BinaryEquals", "IpAddress", "Null"):
        with pytest.raises(PolicyError, match="MalformedPolicyDocument"):
            holds(operator, "${ec2:Some}", "1")


@pytest.mark.parametrize("version", [OLD_VERSION, None])
def test_variables_are_text_in_old_policies(version: str | None) -> None:
    """A2.12."""
    assert holds("StringEquals", "${aws:username}", "ada")
    assert holds("StringEquals", "${aws:username}", "${aws:username}", version=version)
    assert not holds("StringEquals", "${aws:username}", "ada", version=version)
    own = allow(resource="arn:aws:ec2:*:*:security-group/${aws:username}")
    text = GROUP.replace("sg-1", "${aws:username}")
    policies = user()
    old = type(policies)(principal=policies.principal, account_id=ACCOUNT, identity=(policy(own, version=version),))
    assert ask(old, resource=text).allowed
    assert not ask(old, resource=GROUP.replace("sg-1", "ada")).allowed
    assert ask(user(own), resource=GROUP.replace("sg-1", "ada")).allowed


@pytest.mark.parametrize(
    ("value", "given", "fits"),
    [
        ("${aws:PrincipalTag/team, 'blue'}", "red", True),
        ("${aws:PrincipalTag/none, 'blue'}", "blue", True),
        ("${aws:PrincipalTag/none, ''}", "", True),
        ("${aws:PrincipalTag/none, 'a b/c:d'}-x", "a b/c:d-x", True),
        ("${AWS:USERNAME}", "ada", True),
        ("a-${*}", "a-*", True),
        ("a-${*}", "a-b", False),
        ("a${?}${$}", "a?$", True),
        ("${$}{x}", "${x}", True),
        ("100$", "100$", True),
    ],
)
def test_defaults_and_escapes(value: str, given: str, fits: bool) -> None:
    """A2.13, under equality and under likeness."""
    assert holds("StringEquals", value, given) is fits
    assert holds("StringLike", value, given) is fits


def test_a_key_with_several_values_is_no_variable() -> None:
    """A2.13."""
    assert not holds("StringEquals", "${ec2:Some}", ["a", "b"])
    assert holds("StringEquals", "${ec2:Some, 'a'}", ["a", "b"])


def test_variables_without_value() -> None:
    """A2.14; the key is named as missing."""
    statement = allow(resource="arn:aws:ec2:*:*:security-group/${aws:PrincipalTag/none}*")
    decision = ask(user(statement))
    assert not decision.allowed
    assert decision.missing_keys == ("aws:PrincipalTag/none",)
    assert not holds("StringEquals", "${aws:PrincipalTag/none}", "x")
    assert not holds("StringLike", "${aws:PrincipalTag/none}*", "x")
    assert holds("StringNotEquals", "${aws:PrincipalTag/none}", "x")
    assert holds("ArnNotLike", "arn:aws:ec2:*:*:vpc/${aws:PrincipalTag/none}", VPC)


def test_a_default_leaves_nothing_missing() -> None:
    """A2.13."""
    statement = allow(resource="arn:aws:ec2:*:*:security-group/${aws:PrincipalTag/none, 'sg-1'}")
    decision = ask(user(statement))
    assert (decision.allowed, decision.missing_keys) == (True, ())


def test_values_of_variables_are_text() -> None:
    """A2.15: a tag cannot widen a policy, nor can a name with a dot or a bracket."""
    statement = allow(resource="arn:aws:ec2:*:*:security-group/${aws:PrincipalTag/team}")
    for tag in ("sg-*", "*", "sg-?", "sg-.", "[s]g-1", "${*}"):
        assert not ask(user(statement, tags={"team": tag})).allowed
        text = GROUP.replace("sg-1", tag)
        assert ask(user(statement, tags={"team": tag}), resource=text).allowed
    assert not holds("StringLike", "${ec2:Some}x", "*")


@pytest.mark.parametrize(
    ("policies", "key", "value"),
    [
        (user(), "aws:PrincipalArn", f"arn:aws:iam::{ACCOUNT}:user/staff/ada"),
        (user(), "aws:username", "ada"),
        (user(), "aws:userid", "AIDAAAAAAAAAAAAAAAAAA"),
        (user(), "aws:PrincipalType", "User"),
        (user(tags={"Team": "red"}), "aws:PrincipalTag/team", "red"),
        (user(organization_id="o-1"), "aws:PrincipalOrgID", "o-1"),
        (user(organization_path="o-1/r-1/"), "aws:PrincipalOrgPaths", "o-1/r-1/"),
        (user(), "aws:PrincipalIsAWSService", "false"),
        (role(), "aws:ViaAWSService", "false"),
        (role(), "aws:PrincipalArn", f"arn:aws:iam::{ACCOUNT}:role/deploy"),
        (role(), "aws:userid", "AROAAAAAAAAAAAAAAAAAA:monday"),
        (role(), "aws:PrincipalType", "AssumedRole"),
        (role(), "aws:username", None),
        (root(), "aws:userid", ACCOUNT),
        (root(), "aws:PrincipalType", "Account"),
        (root(), "aws:username", None),
        (user(), "aws:PrincipalAccount", ACCOUNT),
    ],
)
def test_keys_of_the_principal(policies: Any, key: str, value: str | None) -> None:
    """A2.16."""
    assert policies.keys.get(key.lower()) == (None if value is None else (value,))


@pytest.mark.parametrize(
    ("operator", "value", "given", "fits"),
    [
        ("StringEqualsIgnoreCase", "ADA", "ada", True),
        ("StringNotEqualsIgnoreCase", "ADA", "ada", False),
        ("StringEquals", "a*", "a*", True),
        ("StringEquals", "a*", "ab", False),
        ("StringLike", "a*c?", "abbcd", True),
        ("StringLike", "a*a", "a", False),
        ("StringLike", "*", "", True),
        ("StringLike", "?", "", False),
        ("StringLike", "a*\n*b", "ax\nyb", True),
        ("StringNotLike", "a*", "ab", False),
        ("NumericEquals", 10, "10.0", True),
        ("NumericLessThan", "10", "9.99", True),
        ("NumericLessThanEquals", "10", "10", True),
        ("NumericGreaterThan", "10", "9", False),
        ("NumericGreaterThanEquals", "-1", "-1.0", True),
        ("NumericGreaterThan", "9", "ten", False),
        ("NumericNotEquals", "9", "ten", True),
        ("DateEquals", "2020-01-01T00:00:00Z", "1577836800", True),
        ("DateLessThan", "2020-01-01", "2019-12-31T23:59:59Z", True),
        ("DateGreaterThan", "2020-01-01T01:00:00+01:00", "2020-01-01T00:00:00.5Z", True),
        ("DateGreaterThanEquals", "2020-01", "2020-01-01", True),
        ("DateEquals", "2019-12-31T22:30:00-01:30", "2020-01-01T00:00:00Z", True),
        ("DateLessThanEquals", "2020-01-01", "yesterday", False),
        ("Bool", "true", "TRUE", True),
        ("Bool", False, "false", True),
        ("Bool", "false", "no", False),
        ("BinaryEquals", "QUI=", "QUI=", True),
        ("BinaryEquals", "QUI=", "QQ==", False),
    ],
)
def test_operators(operator: str, value: Any, given: str, fits: bool) -> None:
    """A2's list of operators."""
    assert holds(operator, value, given) is fits


@pytest.mark.parametrize(
    ("operator", "value", "given", "fits"),
    [
        ("ForAnyValue:StringEqualsIfExists", "a", None, True),  # A5.1
        ("StringEquals", "a", ["b", "a"], True),  # A5.4
        ("StringNotEquals", "a", ["b", "a"], False),  # A5.4
        ("Bool", "${ec2:Some}", "true", True),  # A5.5
        ("Bool", "${ec2:Some}", "no", False),  # A5.5
        ("ArnLike", "*", VPC, True),  # A5.6
        ("ArnLike", "*", "vpc-1", False),  # A5.6
        ("StringEquals", [], "a", False),  # A5.7
        ("StringNotEquals", [], "a", True),  # A5.7
        ("ForAnyValue:StringNotEquals", ["a", "b"], ["a", "c"], True),  # A5.9
        ("ForAnyValue:StringNotEquals", ["a", "b"], ["a", "b"], False),  # A5.9
    ],
)
def test_open_points(operator: str, value: Any, given: Any, fits: bool) -> None:
    """A5: what sgsim does where AWS is silent."""
    assert holds(operator, value, given) is fits


def test_open_point_not_resource() -> None:
    """A5.2."""
    statement = {"Effect": "Deny", "Action": "*", "NotResource": "arn:aws:ec2:*:*:*/${aws:PrincipalTag/none}"}
    decision = ask(user(allow(), statement))
    assert not decision.allowed
    assert decision.missing_keys == ("aws:PrincipalTag/none",)


def test_missing_keys_are_those_that_statements_on_the_request_ask_for() -> None:
    """Spelt as in the policy; of statements on other actions and resources none; none for Null."""
    given = user(
        allow(Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}, "StringEquals": {"ec2:Region": "x"}}),
        allow("s3:*", Condition={"StringEquals": {"s3:prefix": "x"}}),
        deny(resource="arn:aws:ec2:*:*:vpc/*", Condition={"StringEquals": {"ec2:Vpc": "x"}}),
        allow(Condition={"Null": {"aws:TokenIssueTime": "false"}}),
    )
    decision = ask(given, context={"ec2:region": "x"})
    assert decision.missing_keys == ("aws:MultiFactorAuthPresent",)
    assert ask(given, context={"ec2:region": "x", "aws:MultiFactorAuthPresent": "true"}).missing_keys == ()
