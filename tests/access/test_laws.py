"""The laws of decisions, on generated policy sets and requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from random import Random

from sgsim.access import AccessRequest, AttachedPolicy, Layer, Outcome, PolicySet, decide
from sgsim.model.policies import PolicyKind, parse_policy
from tests.access import worlds

_LAYERS = ("identity", "session", "service_control")


def _pairs(seed: int, count: int = 1500) -> Iterator[tuple[Random, PolicySet, AccessRequest]]:
    random = Random(seed)
    for _ in range(count):
        yield random, worlds.policy_set(random), worlds.request(random)


def _added(random: Random, policies: PolicySet, effect: str) -> PolicySet:
    """The set with one statement more in one of its policies, if it has any."""

    def more(one: AttachedPolicy) -> AttachedPolicy:
        kind = one.policy.kind
        while True:
            given = worlds.statement(random, kind)
            given["Effect"] = effect
            try:
                return worlds.with_statement(one, given, random.randint(0, 2))
            except ValueError:  # the policy's version takes variables for text, which is refused in places
                raise
            except Exception as error:
                assert "MalformedPolicyDocument" in str(error)

    where = random.choice(["identity", "boundary", "session", "service_control"])
    held = getattr(policies, where)
    if where == "boundary":
        return replace(policies, boundary=more(held)) if held else policies
    if not held:
        return policies
    if where == "service_control":
        filled = [i for i, level in enumerate(held) if level]
        if not filled:
            return policies
        at = random.choice(filled)
        level = (more(held[at][0]), *held[at][1:])
        return replace(policies, service_control=(*held[:at], level, *held[at + 1 :]))
    return replace(policies, **{where: (more(held[0]), *held[1:])})


def test_an_allow_never_removes_access() -> None:
    """Adding an Allow statement, anywhere, never turns allowed into denied."""
    changed = 0
    for random, policies, request in _pairs(11):
        before, after = decide(policies, request), decide(_added(random, policies, "Allow"), request)
        assert after.allowed or not before.allowed
        assert (after.outcome is Outcome.EXPLICIT_DENY) == (before.outcome is Outcome.EXPLICIT_DENY)
        changed += after.allowed and not before.allowed
    assert changed


def test_a_deny_never_adds_access() -> None:
    """Adding a Deny statement, anywhere, never turns denied into allowed."""
    changed = 0
    for random, policies, request in _pairs(12):
        before, after = decide(policies, request), decide(_added(random, policies, "Deny"), request)
        assert before.allowed or not after.allowed
        changed += before.allowed and not after.allowed
    assert changed


def test_a_first_boundary_session_policy_or_service_control_policy_only_removes_access() -> None:
    """And it does remove some; one that allows everything changes nothing."""
    removed = {"boundary": 0, "session": 0, "service_control": 0}
    full = parse_policy(
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}', PolicyKind.IDENTITY
    )
    for random, policies, request in _pairs(13):
        bare = replace(policies, boundary=None, session=None, service_control=())
        whole = AttachedPolicy(full, "everything", Layer.BOUNDARY)
        some = worlds.attached(random, Layer.BOUNDARY)
        before = decide(bare, request)
        not_principal = request.resource_policy and "NotPrincipal" in request.resource_policy.policy.document
        for cap in removed:
            with_some, with_all = _capped(bare, cap, some), _capped(bare, cap, whole)
            after = decide(with_some, request)
            assert before.allowed or not after.allowed
            removed[cap] += before.allowed and not after.allowed
            if not not_principal:  # what a Deny with NotPrincipal does depends on the boundary alone (A1.4f)
                assert decide(with_all, request).outcome is before.outcome
    assert all(removed.values()), removed


def _capped(policies: PolicySet, cap: str, policy: AttachedPolicy) -> PolicySet:
    if cap == "boundary":
        return policies if policies.is_root else replace(policies, boundary=policy)
    if cap == "session":
        return replace(policies, session=(policy,)) if ":role/" in policies.principal else policies
    return replace(policies, service_control=((policy,),))


def test_order_is_irrelevant() -> None:
    """Of policies, of statements, of keys and of values: the same outcome, statements, layers and missing keys."""
    for random, policies, request in _pairs(14):
        turned = replace(
            policies,
            identity=tuple(_turned(one) for one in reversed(policies.identity)),
            session=policies.session and tuple(_turned(one) for one in reversed(policies.session)),
            service_control=tuple(tuple(reversed(level)) for level in policies.service_control),
        )
        again = AccessRequest(
            action=random.choice((request.action, request.action.upper())),
            resource=request.resource,
            context={key: values[::-1] for key, values in reversed(request.context.items())},
            resource_account=request.resource_account,
            resource_policy=request.resource_policy and _turned(request.resource_policy),
        )
        one, other = decide(policies, request), decide(turned, again)
        assert (one.outcome, one.layer, one.silent, one.missing_keys) == (
            other.outcome,
            other.layer,
            other.silent,
            other.missing_keys,
        )
        assert sorted(map(_content, one.statements)) == sorted(map(_content, other.statements))


def _turned(attached: AttachedPolicy) -> AttachedPolicy:
    body = json.loads(attached.policy.document)
    listed = body["Statement"] if isinstance(body["Statement"], list) else [body["Statement"]]
    body["Statement"] = [
        {key: value[::-1] if isinstance(value, list) else value for key, value in reversed(one.items())}
        for one in reversed(listed)
    ]
    return attached._replace(policy=parse_policy(body, attached.policy.kind))


def _content(decided) -> tuple[str, str, tuple[str, ...], int]:  # type: ignore[no-untyped-def]
    statement = decided.statement
    texts = (*statement.actions, *statement.not_actions, *statement.resources, *statement.not_resources)
    return decided.attached.layer.value, statement.effect.name, tuple(sorted(texts)), len(statement.conditions)


def test_explicit_deny_wins() -> None:
    """A Deny of everything, in any policy of any layer that binds, denies."""
    text = '{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}'
    for random, policies, request in _pairs(15, 500):
        if request.action == "sts:GetCallerIdentity":
            continue
        layer = random.choice((Layer.IDENTITY, Layer.BOUNDARY, Layer.SESSION))
        denying = AttachedPolicy(parse_policy(text, PolicyKind.IDENTITY), "no", layer)
        if layer is Layer.BOUNDARY:
            denied = replace(policies, boundary=denying)
        elif layer is Layer.SESSION:
            denied = replace(policies, session=(denying,))
        else:
            denied = replace(policies, identity=(*policies.identity, denying))
        decision = decide(denied, request)
        assert decision.outcome is Outcome.EXPLICIT_DENY
        assert any(one.attached is denying for one in decision.statements)


def test_statements_that_decide_are_of_one_effect() -> None:
    """Those that deny if one does, those that allow if it is allowed, none if nobody speaks."""
    for _, policies, request in _pairs(16, 500):
        decision = decide(policies, request)
        effects = {one.statement.effect.name for one in decision.statements}
        if decision.outcome is Outcome.EXPLICIT_DENY:
            assert effects == {"DENY"}
        elif decision.outcome is Outcome.IMPLICIT_DENY:
            assert not effects
            assert decision.layer is decision.silent[0]
        else:
            assert effects <= {"ALLOW"}
