"""The decisions are those of the slow twin, on generated policies and requests."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from sgsim.access import AccessRequest, AttachedPolicy, Decision, Outcome, PolicySet, decide
from sgsim.model.policies import PolicyKind
from sgsim.reference.policies import Asker, Verdict, judge_request
from tests.access import worlds

_OUTCOMES = {
    Outcome.ALLOWED: "allowed",
    Outcome.EXPLICIT_DENY: "explicit deny",
    Outcome.IMPLICIT_DENY: "implicit deny",
}


def _texts(policies: tuple[AttachedPolicy, ...]) -> list[str]:
    return [one.policy.document for one in policies]


def asker(policies: PolicySet) -> Asker:
    return Asker(
        arn=policies.principal,
        account_id=policies.account_id,
        identity=_texts(policies.identity),
        boundary=policies.boundary.policy.document if policies.boundary else None,
        session=None if policies.session is None else _texts(policies.session),
        levels=[_texts(level) for level in policies.service_control],
        root=policies.is_root,
        exempt_from_levels=policies.management_account,
        session_arn=policies.session_arn,
        unique_id=policies.unique_id,
        keys=policies.keys,
    )


def expected(policies: PolicySet, request: AccessRequest) -> Verdict:
    attached = request.resource_policy
    return judge_request(
        asker(policies),
        request.action,
        request.resource,
        request.context,
        resource_policy=attached.policy.document if attached else None,
        trust=attached is not None and attached.policy.kind is PolicyKind.TRUST,
        resource_account=request.resource_account,
    )


def _places(policies: PolicySet, request: AccessRequest) -> dict[int, tuple[str, int]]:
    """Where each attached policy is, as the twin counts: its layer and its place there."""
    places = {}
    levels = [one for level in policies.service_control for one in level]
    caps = [policies.boundary] if policies.boundary else []
    given = [request.resource_policy] if request.resource_policy else []
    for listed in (levels, given, policies.identity, caps, policies.session or ()):
        for place, one in enumerate(listed):
            places[id(one)] = (one.layer.value, place)
    return places


def said(policies: PolicySet, request: AccessRequest, decision: Decision) -> Verdict:
    places = _places(policies, request)
    return Verdict(
        _OUTCOMES[decision.outcome],
        frozenset((*places[id(one.attached)], one.place) for one in decision.statements),
        tuple(layer.value for layer in decision.silent),
        frozenset(key.lower() for key in decision.missing_keys),
    )


@pytest.mark.parametrize("seed", range(8))
def test_decisions_are_those_of_the_twin(seed: int) -> None:
    """Outcome, deciding statements, silent layers and missing keys, of 24 000 pairs in all (docs/iam.md A1, A2)."""
    random = Random(seed)
    seen: Counter[Outcome] = Counter()
    for _ in range(500):
        policies = worlds.policy_set(random)
        for _ in range(6):
            request = worlds.request(random)
            decision = decide(policies, request)
            assert said(policies, request, decision) == expected(policies, request), (policies, request)
            seen[decision.outcome] += 1
    assert min(seen[outcome] for outcome in Outcome) > 250, seen
