"""What is refused when a policy is attached (docs/iam.md A4), and how the complaint reads."""

from __future__ import annotations

import json
from random import Random
from typing import Any
from urllib.parse import quote

import pytest

from sgsim.errors import PolicyError
from sgsim.model.policies import OLD_VERSION, VERSION, Effect, PolicyKind, parse_policy, rename_principals
from tests.access import worlds
from tests.access.worlds import ACCOUNT, ROLE, USER

GOOD = {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}
TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": USER}}


def problem(document: Any, kind: PolicyKind = PolicyKind.IDENTITY) -> str:
    with pytest.raises(PolicyError) as caught:
        parse_policy(document if isinstance(document, (str, bytes)) else json.dumps(document), kind)
    assert caught.value.code == "MalformedPolicyDocument"
    return str(caught.value)


def statement(**changed: Any) -> dict[str, Any]:
    given = {key: value for key, value in {**GOOD, **changed}.items() if value is not None}
    return {"Version": VERSION, "Statement": [GOOD, given]}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{", "the policy is not JSON"),
        ("", "the policy is not JSON"),
        ("[]", "a policy is a JSON object"),
        (b"\xff{", "not UTF-8"),
        ("%7B%22", "the policy is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"Statement": 1' + "0" * 5000 + "}", "the policy is not JSON"),
        ('{"Statement": NaN}', "NaN is no JSON value"),
        ('{"Statement": 1e400}', "not JSON: Out of range float values"),
        ('{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}', '"Version" is given twice'),
        (
            '{"Statement":{"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"}}',
            '"Effect" is given twice in one element',
        ),
        ('{"Id": "\\ud800"}', "half a character"),
        ({"Statement": [GOOD], "Statements": []}, '"Statements" is no element of a policy'),
        (statement(Actions="*"), '"Actions" is no element of a statement'),
    ],
)
def test_text_and_elements(document: Any, said: str) -> None:
    """A4.1."""
    assert said in problem(document)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"Version": "2012-10-18", "Statement": GOOD}, '"2012-10-18" is no version'),
        ({"Version": 2012, "Statement": GOOD}, "2012 is no version"),
        ({"Version": ["2012-10-17"], "Statement": GOOD}, "is no version"),
        ({"Id": 5, "Statement": GOOD}, "the Id is not text"),
        ({"Version": VERSION}, "the policy has no statement"),
        ({"Statement": []}, "the policy has no statement"),
        ({"Statement": "Allow"}, "a statement is a JSON object"),
        (statement(Effect="allow"), 'the effect is Allow or Deny, not "allow"'),
        (statement(Effect=["Allow"]), "the effect is Allow or Deny"),
        (statement(Effect=None), "the effect is Allow or Deny"),
        (statement(Action=None), "Policy statement must contain actions."),
        (statement(Action=[]), "Policy statement must contain actions."),
        (statement(NotAction="s3:*"), "Action and NotAction cannot be in one statement"),
        (statement(Action={"a": 1}), "Action is text or an array of text"),
        (statement(Action=["ec2:*", 1]), "Action is text or an array of text"),
        (statement(Resource=None), "Policy statement must contain resources."),
        (statement(Resource=[]), "Policy statement must contain resources."),
        (statement(NotResource="*"), "Resource and NotResource cannot be in one statement"),
        (statement(Sid="a b"), "Statement IDs (SID) must be alpha-numeric."),
        ({"Statement": [{**GOOD, "Sid": "A"}, {**GOOD, "Sid": "A"}]}, "Statement IDs (SID) in a single policy"),
    ],
)
def test_statements(document: Any, said: str) -> None:
    """A4.2."""
    assert said in problem(document)


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ({**GOOD, "Principal": "*"}, PolicyKind.IDENTITY, "should not specify a principal"),
        ({**GOOD, "NotPrincipal": "*"}, PolicyKind.SERVICE_CONTROL, "should not specify a principal"),
        (GOOD, PolicyKind.RESOURCE, "either Principal or NotPrincipal"),
        ({**GOOD, "Principal": "*", "NotPrincipal": "*"}, PolicyKind.RESOURCE, "either Principal or NotPrincipal"),
        ({**TRUST, "Resource": "*"}, PolicyKind.TRUST, "Has prohibited field Resource."),
        ({**TRUST, "Action": "ec2:RunInstances"}, PolicyKind.TRUST, "Trust Policy statement actions can only be"),
        ({**TRUST, "Principal": USER}, PolicyKind.TRUST, "Principal is '*' or an object"),
        ({**TRUST, "Principal": {}}, PolicyKind.TRUST, "Principal names nobody"),
        ({**TRUST, "Principal": {"AWS": []}}, PolicyKind.TRUST, "Principal names nobody"),
        ({**TRUST, "Principal": {"User": "ada"}}, PolicyKind.TRUST, '"User" is no kind of principal'),
        ({**TRUST, "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/*"}}, PolicyKind.TRUST, "Invalid principal"),
        ({**TRUST, "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:group/a"}}, PolicyKind.TRUST, "Invalid principal"),
        ({**TRUST, "Principal": {"AWS": "ada"}}, PolicyKind.TRUST, 'Invalid principal in policy: "ada"'),
    ],
)
def test_principals(given: dict[str, Any], kind: PolicyKind, said: str) -> None:
    """A4.3."""
    assert said in problem({"Statement": given}, kind)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"Action": "RunInstances"}, 'the action "RunInstances" is not'),
        ({"Action": "e*:RunInstances"}, "is not 'service:Name'"),
        ({"Action": "ec2:Run:Instances"}, "is not 'service:Name'"),
        ({"Action": "ec2:"}, "is not 'service:Name'"),
        ({"Action": "ec2:${aws:username}"}, "is not 'service:Name'"),
        ({"NotAction": "*:*", "Action": None}, "is not 'service:Name'"),
        ({"Resource": "sg-1"}, 'Resource "sg-1" must be in ARN format'),
        ({"Resource": "arn:aws:ec2"}, "must be in ARN format"),
        ({"Resource": "arn:aws:ec2::"}, "must be in ARN format"),
        ({"Resource": "arn:azure:ec2:*"}, "must be in ARN format"),
        ({"Resource": "arn:aws:ec*:*:*:*"}, "must be in ARN format"),
        ({"Resource": ["*", "${aws:username}"]}, "must be in ARN format"),
        ({"Resource": "arn:aws:ec2:*:${aws:PrincipalAccount}:*"}, "policy variable before the fifth colon"),
        ({"Resource": "arn:aws:ec2:*:*:x/${aws:username"}, "begins no policy variable"),
        ({"Resource": "arn:aws:ec2:*:*:x/${aws:username,'a'}"}, "begins no policy variable"),
    ],
)
def test_actions_and_resources(changed: dict[str, Any], said: str) -> None:
    """A4.4."""
    assert said in problem(statement(**changed))


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ([], "Condition is an object of operators"),
        ({"StringEquals": "a"}, "an operator holds an object of condition keys"),
        ({"StringSimilar": {"ec2:A": "a"}}, '"StringSimilar" is no condition operator'),
        ({"stringequals": {"ec2:A": "a"}}, "is no condition operator"),
        ({"ForSomeValues:StringEquals": {"ec2:A": "a"}}, "is no condition operator"),
        ({":StringEquals": {"ec2:A": "a"}}, "is no condition operator"),
        ({"StringEqualsIfExistsIfExists": {"ec2:A": "a"}}, "is no condition operator"),
        ({"NullIfExists": {"ec2:A": "true"}}, "is no condition operator"),
        ({"ForAnyValue:Null": {"ec2:A": "true"}}, "is no condition operator"),
        ({"StringSimilar": {}}, "is no condition operator"),
        ({"StringEquals": {"A": "a"}}, "is not 'service:name'"),
        ({"StringEquals": {"ec2:A": {"a": 1}}}, "a condition's value is text, a number, or true or false"),
        ({"StringEquals": {"ec2:A": [["a"]]}}, "a condition's value is text"),
        ({"StringEquals": {"ec2:A": None}}, "a condition's value is text"),
        ({"NumericEquals": {"ec2:A": "ten"}}, '"ten" is no number'),
        ({"NumericEquals": {"ec2:A": ["1", "inf"]}}, '"inf" is no number'),
        ({"NumericEquals": {"ec2:A": "1_000"}}, "is no number"),
        ({"DateEquals": {"ec2:A": "2020-13-01"}}, "is no date of ISO 8601"),
        ({"DateEquals": {"ec2:A": "01.02.2020"}}, "is no date of ISO 8601"),
        ({"Bool": {"ec2:A": "yes"}}, "is neither true nor false"),
        ({"Null": {"ec2:A": ""}}, "is neither true nor false"),
        ({"BinaryEquals": {"ec2:A": "?"}}, "is no base64 text"),
        ({"IpAddress": {"ec2:A": "10.0.0.0/33"}}, "is no address"),
        ({"NotIpAddress": {"ec2:A": "10.0.0"}}, "is no address"),
        ({"IpAddress": {"ec2:A": "10.0.0.0/255.0.0.0"}}, "is no address"),
        ({"IpAddress": {"ec2:A": "10.0.0.0/0.0.0.255"}}, "is no address"),
        ({"IpAddress": {"ec2:A": "fe80::1%eth0"}}, "is no address"),
        ({"ArnEquals": {"ec2:A": "arn:aws:iam::1"}}, "is no ARN"),
        ({"StringEquals": {"ec2:A": "${aws:username"}}, "begins no policy variable"),
        ({"StringEquals": {"ec2:A": "${}"}}, "begins no policy variable"),
    ],
)
def test_conditions(condition: Any, said: str) -> None:
    """A4.5."""
    text = problem(statement(Condition=condition))
    assert said in text
    assert "Statement[1].Condition" in text


def test_a_complaint_names_file_policy_and_statement() -> None:
    """A4."""
    with pytest.raises(PolicyError) as caught:
        parse_policy(statement(Sid="Odd", Condition={"StringSimilar": {}}), PolicyKind.IDENTITY)
    assert str(caught.value.of("inline policy p of group g", "iam.json")) == (
        'iam.json, inline policy p of group g, Statement[1] ("Odd").Condition: MalformedPolicyDocument: '
        '"StringSimilar" is no condition operator; docs/iam.md A2 lists those that there are'
    )


def test_long_values_are_cut_and_control_characters_escaped() -> None:
    text = problem(statement(Action="x" * 5000 + "\n"))
    assert len(text) < 300
    assert "\n" not in text


@pytest.mark.parametrize("document", [{"Statement": GOOD}, {"Version": OLD_VERSION, "Statement": [GOOD]}])
def test_text_url_encoded_text_and_objects_are_one(document: dict[str, Any]) -> None:
    text = json.dumps(document, separators=(",", ":"))
    read = [parse_policy(given, PolicyKind.IDENTITY) for given in (text, text.encode(), quote(text), document)]
    assert len(set(read)) == 1
    assert read[0].document == text
    assert read[0].version == OLD_VERSION
    assert read[0].statements[0].effect is Effect.ALLOW


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    text = json.dumps({"Statement": GOOD})
    assert parse_policy(text.encode("utf-8-sig"), PolicyKind.IDENTITY).document == text


@pytest.mark.parametrize(
    "key",
    [
        "aws:PrincipalTag/cost center",
        "SAML:aud",
        "token.actions.githubusercontent.com:sub",
        "oidc.eks.eu-west-1.amazonaws.com/id/5D39AF:sub",
        "dev_1.okta.com/oauth2/default:aud",
    ],
)
def test_keys_of_identity_providers_begin_with_their_address(key: str) -> None:
    """A4.5: roles for Kubernetes and for build services have such trust policies."""
    given = {"Statement": {**TRUST, "Condition": {"StringEquals": {key: "a"}}}}
    assert parse_policy(given, PolicyKind.TRUST).statements[0].conditions[0].key == key


def test_percent_signs_of_plain_text_stay() -> None:
    given = json.dumps({"Statement": {**GOOD, "Condition": {"StringEquals": {"ec2:A": "%41"}}}})
    assert parse_policy(given, PolicyKind.IDENTITY).statements[0].conditions[0].values == ("%41",)


def test_policies_of_different_kinds_are_different() -> None:
    text = json.dumps({"Statement": GOOD})
    one, other = parse_policy(text, PolicyKind.IDENTITY), parse_policy(text, PolicyKind.SERVICE_CONTROL)
    again = parse_policy(text, PolicyKind.IDENTITY)
    assert ((one == other), (one != other)) == (False, True)
    assert ((one == again), (one != again), hash(one) == hash(again)) == (True, False, True)
    assert one != text


def test_who_is_deleted_is_named_by_unique_id() -> None:
    """A2.3: so that a namesake made later is not meant."""
    given = {"Statement": [TRUST, {**TRUST, "Principal": {"AWS": [USER, ROLE], "Service": "ec2.amazonaws.com"}}]}
    policy = parse_policy(given, PolicyKind.TRUST)
    renamed = rename_principals(policy, {USER: "AIDAAAAAAAAAAAAAAAAAA"})
    names = [[one.name for one in statement.principals] for statement in renamed.statements]
    assert names == [["AIDAAAAAAAAAAAAAAAAAA"], ["AIDAAAAAAAAAAAAAAAAAA", ROLE, "ec2.amazonaws.com"]]
    assert rename_principals(policy, {f"{USER}x": "AIDAAAAAAAAAAAAAAAAAA"}) is policy


def test_damaged_policies_are_read_or_refused() -> None:
    """A4: 3 000 documents with a character changed or a part exchanged; never anything but PolicyError."""
    random = Random(5)
    refused = 0
    for _ in range(3000):
        kind = random.choice(list(PolicyKind))
        body = worlds.document(random, kind)
        if random.random() < 0.8:
            _damage(random, body)
        text = json.dumps(body)
        if random.random() < 0.3:
            at = random.randrange(len(text))
            text = text[:at] + random.choice(['"', "{", "]", ":", "\x00", "\udc80", "1", "$"]) + text[at + 1 :]
        try:
            parse_policy(text, kind)
        except PolicyError as error:
            assert str(error).isprintable()
            refused += 1
    assert 1000 < refused < 2900


def _damage(random: Random, body: dict[str, Any]) -> None:
    """One value somewhere becomes something else."""
    holder: Any = body
    while True:
        key = random.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        if not (isinstance(holder[key], (dict, list)) and holder[key]) or random.random() < 0.2:
            holder[key] = random.choice([None, 5, -1.5, "", "x", [], {}, [[]], {"AWS": 5}, True, "${", "arn:aws:ec2:x"])
            return
        holder = holder[key]
