"""The order of a decision, sentence by sentence of docs/iam.md A1."""

from __future__ import annotations

import pytest

from sgsim.access import Layer, PolicySet
from tests.access.asking import (
    ALLOWED,
    EXPLICIT,
    IMPLICIT,
    allow,
    ask,
    deny,
    levels,
    policy,
    role,
    root,
    trust,
    user,
)
from tests.access.worlds import ACCOUNT, OTHER, ROLE, ROOT, SERVICE_ROLE, USER

SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/monday"
OWN = f"arn:aws:iam::{ACCOUNT}:role/own"
FULL = (allow(),)


def assume(policies: PolicySet, *statements: dict, **more: object):  # type: ignore[type-arg, no-untyped-def]
    return ask(policies, "sts:AssumeRole", OWN, resource_policy=policy(*statements, layer=Layer.RESOURCE), **more)


def test_closed_at_first() -> None:
    """A1.1: nothing allows, nothing is allowed; the root user may do everything."""
    decision = ask(user())
    assert (decision.outcome, decision.layer, decision.statements) == (IMPLICIT, Layer.IDENTITY, ())
    assert (ask(root()).outcome, ask(root()).layer) == (ALLOWED, Layer.ROOT)


def test_root_of_a_member_account_is_bound_by_service_control_policies() -> None:
    """A1.1, A1.3."""
    assert ask(root(service_control=levels(FULL, ()))).layer is Layer.SERVICE_CONTROL
    assert (
        ask(
            root(
                service_control=levels(
                    (allow(), deny("ec2:*")),
                )
            )
        ).outcome
        is EXPLICIT
    )
    assert ask(root(service_control=levels(FULL, FULL))).outcome is ALLOWED


@pytest.mark.parametrize(
    ("policies", "layer"),
    [
        (user(allow(), deny("ec2:Run*")), Layer.IDENTITY),
        (user(allow(), boundary=policy(allow(), deny("ec2:*"), layer=Layer.BOUNDARY)), Layer.BOUNDARY),
        (role(allow(), session=(policy(allow(), deny("ec2:*"), layer=Layer.SESSION),)), Layer.SESSION),
        (user(allow(), service_control=levels((allow(), deny()), FULL)), Layer.SERVICE_CONTROL),
    ],
)
def test_a_deny_is_final(policies: PolicySet, layer: Layer) -> None:
    """A1.2: in any policy of any type, with the statement that denies."""
    decision = ask(policies)
    assert (decision.outcome, decision.layer) == (EXPLICIT, layer)
    assert [one.place for one in decision.statements] == [1]


def test_a_deny_in_a_resource_policy_is_final() -> None:
    """A1.2."""
    decision = assume(user(allow()), trust("*"), trust({"AWS": USER}, "Deny"))
    assert (decision.outcome, decision.layer) == (EXPLICIT, Layer.RESOURCE)


def test_every_level_has_to_allow() -> None:
    """A1.3: root, unit and account; none of them grants."""
    assert ask(user(allow(), service_control=levels(FULL, FULL, FULL))).outcome is ALLOWED
    for silent in range(3):
        given = [FULL, FULL, FULL]
        given[silent] = (allow("s3:*"),)
        decision = ask(user(allow(), service_control=levels(*given)))
        assert (decision.outcome, decision.silent) == (IMPLICIT, (Layer.SERVICE_CONTROL,))
    assert ask(user(service_control=levels(FULL, FULL))).silent == (Layer.IDENTITY,)


def test_whom_service_control_policies_do_not_bind() -> None:
    """A1.3: the management account and service-linked roles, not even by a Deny."""
    for given in (levels(()), levels((deny(),))):
        assert ask(user(allow(), service_control=given, management_account=True)).outcome is ALLOWED
        linked = PolicySet(
            principal=SERVICE_ROLE, account_id=ACCOUNT, identity=(policy(allow()),), service_control=given
        )
        assert ask(linked).outcome is ALLOWED


NOTHING = policy(allow("s3:*"), layer=Layer.BOUNDARY)


@pytest.mark.parametrize(
    ("policies", "principal", "silent"),
    [
        # A1.4a: the user or the session itself, though everything else is silent.
        (user(boundary=NOTHING), {"AWS": USER}, ()),
        (user(boundary=NOTHING), {"AWS": "AIDAAAAAAAAAAAAAAAAAA"}, ()),
        (role(boundary=NOTHING, session=()), {"AWS": SESSION}, ()),
        # A1.4b: the role, within boundary and session policies.
        (role(), {"AWS": ROLE}, ()),
        (role(boundary=NOTHING), {"AWS": ROLE}, (Layer.BOUNDARY,)),
        (role(session=()), {"AWS": ROLE}, (Layer.SESSION,)),
        # A1.4c: the account only hands on.
        (user(), {"AWS": ACCOUNT}, (Layer.IDENTITY,)),
        (user(), {"AWS": ROOT}, (Layer.IDENTITY,)),
        (user(allow("sts:*")), {"AWS": ROOT}, ()),
        (user(allow("sts:*"), boundary=NOTHING), {"AWS": ACCOUNT}, (Layer.BOUNDARY,)),
        (root(), {"AWS": ACCOUNT}, ()),
        # A1.4d: a trust policy has to allow, an identity policy alone does not suffice.
        (user(allow()), {"AWS": OTHER}, (Layer.RESOURCE,)),
        (user(allow()), {"Service": "ec2.amazonaws.com"}, (Layer.RESOURCE,)),
        (root(), {"AWS": OTHER}, (Layer.RESOURCE,)),
        # A1.4e: everybody.
        (user(boundary=NOTHING), "*", ()),
        (user(boundary=NOTHING), {"AWS": "*"}, ()),
        # A name is meant whole and with its case (A2.3).
        (user(allow()), {"AWS": USER.replace("ada", "Ada")}, (Layer.RESOURCE,)),
    ],
)
def test_whom_a_trust_policy_names(policies: PolicySet, principal: object, silent: tuple[Layer, ...]) -> None:
    """A1.4."""
    decision = assume(policies, trust(principal))
    assert decision.silent == silent
    assert decision.outcome is (IMPLICIT if silent else ALLOWED)


def test_a_resource_policy_adds_to_identity_policies() -> None:
    """A1.4: in one account either of them suffices, if it is no trust policy."""
    given = policy(allow("s3:GetObject", Principal={"AWS": ACCOUNT}), layer=Layer.RESOURCE)
    assert ask(user(allow("s3:*")), "s3:GetObject", resource_policy=given).outcome is ALLOWED
    assert ask(user(), "s3:GetObject", resource_policy=given).silent == (Layer.IDENTITY,)
    assert ask(user(), "s3:GetObject").silent == (Layer.IDENTITY,)
    given = policy(allow("s3:GetObject", Principal={"AWS": USER}), layer=Layer.RESOURCE)
    decision = ask(user(), "s3:GetObject", resource_policy=given)
    assert (decision.outcome, decision.layer) == (ALLOWED, Layer.RESOURCE)


def test_deny_with_not_principal_hits_who_has_a_boundary() -> None:
    """A1.4f; without a boundary it spares who is named."""
    others = {"Effect": "Deny", "Action": "sts:AssumeRole", "NotPrincipal": {"AWS": [USER, ACCOUNT]}}
    assert assume(user(), trust({"AWS": USER}), others).outcome is ALLOWED
    full = policy(allow(), layer=Layer.BOUNDARY)
    assert assume(user(boundary=full), trust({"AWS": USER}), others).outcome is EXPLICIT
    assert assume(role(), trust("*"), {**others, "NotPrincipal": {"AWS": USER}}).outcome is EXPLICIT


def test_identity_policies_are_a_users_own_and_its_groups() -> None:
    """A1.5: one of them has to allow; all that do are named."""
    group = policy(allow("ec2:*"))._replace(name="inline policy p of group operators")
    given = PolicySet(principal=USER, account_id=ACCOUNT, identity=(policy(allow("s3:*")), group, group))
    decision = ask(given)
    assert decision.outcome is ALLOWED
    assert [str(one) for one in decision.statements] == [
        "statement 1 of inline policy p of group operators (identity policy)"
    ] * 2


def test_a_boundary_has_to_allow() -> None:
    """A1.6: and it grants nothing."""
    full = policy(allow(), layer=Layer.BOUNDARY)
    assert ask(user(allow(), boundary=full)).outcome is ALLOWED
    assert ask(user(allow(), boundary=NOTHING)).silent == (Layer.BOUNDARY,)
    assert ask(user(boundary=full)).silent == (Layer.IDENTITY,)


def test_session_policies_have_to_allow() -> None:
    """A1.7: one of them, if any were passed."""
    ec2, s3 = policy(allow("ec2:*"), layer=Layer.SESSION), policy(allow("s3:*"), layer=Layer.SESSION)
    assert ask(role(allow())).outcome is ALLOWED
    assert ask(role(allow(), session=(s3, ec2))).outcome is ALLOWED
    assert ask(role(allow(), session=(s3,))).silent == (Layer.SESSION,)
    assert ask(role(session=(ec2,))).silent == (Layer.IDENTITY,)


@pytest.mark.parametrize(
    ("identity", "principal", "silent"),
    [
        ((allow(),), {"AWS": ACCOUNT}, ()),
        ((allow(),), {"AWS": USER}, ()),
        ((), {"AWS": USER}, (Layer.IDENTITY,)),
        ((allow(),), {"AWS": OTHER}, (Layer.RESOURCE,)),
        ((), "*", (Layer.IDENTITY,)),
    ],
)
def test_across_accounts_both_have_to_allow(identity: tuple, principal: object, silent: tuple) -> None:  # type: ignore[type-arg]
    """A1.8."""
    assert assume(user(*identity), trust(principal), resource_account=OTHER).silent == silent


def test_across_accounts_without_a_resource_policy() -> None:
    """A1.8."""
    assert ask(user(allow()), resource_account=OTHER).silent == (Layer.RESOURCE,)
    assert ask(root(), resource_account=OTHER).silent == (Layer.RESOURCE,)


def test_get_caller_identity_needs_nothing() -> None:
    """A1.9."""
    decision = ask(user(deny()), "sts:GetCallerIdentity", "*")
    assert (decision.outcome, decision.layer) == (ALLOWED, Layer.ANYBODY)


def test_all_silent_layers_are_named_in_order() -> None:
    """A1: what a reader would have to change."""
    given = role(service_control=levels(()), boundary=NOTHING, session=())
    decision = assume(given, trust({"AWS": OTHER}))
    assert decision.layer is Layer.SERVICE_CONTROL
    assert decision.silent == (
        Layer.SERVICE_CONTROL,
        Layer.RESOURCE,
        Layer.IDENTITY,
        Layer.BOUNDARY,
        Layer.SESSION,
    )
