"""Short ways to say policies and requests."""

from __future__ import annotations

import json
from typing import Any

from sgsim.access import AccessRequest, AttachedPolicy, Decision, Layer, Outcome, PolicySet, decide
from sgsim.model.policies import VERSION, PolicyKind, parse_policy
from tests.access.worlds import ACCOUNT, ROLE, ROOT, USER

GROUP = f"arn:aws:ec2:eu-west-1:{ACCOUNT}:security-group/sg-1"
ALLOWED, IMPLICIT, EXPLICIT = Outcome.ALLOWED, Outcome.IMPLICIT_DENY, Outcome.EXPLICIT_DENY


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def trust(principal: Any, effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": "sts:AssumeRole", "Principal": principal, **more}


_KINDS = {Layer.SERVICE_CONTROL: PolicyKind.SERVICE_CONTROL}


def policy(*statements: dict[str, Any], layer: Layer = Layer.IDENTITY, version: str | None = VERSION) -> AttachedPolicy:
    body: dict[str, Any] = {"Statement": list(statements)}
    if version:
        body["Version"] = version
    kind = _KINDS.get(layer, PolicyKind.IDENTITY)
    if layer is Layer.RESOURCE:
        kind = PolicyKind.TRUST if "Resource" not in statements[0] else PolicyKind.RESOURCE
    return AttachedPolicy(parse_policy(json.dumps(body), kind), f"a {layer.value}", layer)


def levels(*listed: tuple[dict[str, Any], ...]) -> tuple[tuple[AttachedPolicy, ...], ...]:
    """Service control policies: one tuple of statements a level."""
    return tuple((policy(*level, layer=Layer.SERVICE_CONTROL),) if level else () for level in listed)


def user(*identity: dict[str, Any], **more: Any) -> PolicySet:
    given = (policy(*identity),) if identity else ()
    return PolicySet(principal=USER, account_id=ACCOUNT, identity=given, unique_id="AIDAAAAAAAAAAAAAAAAAA", **more)


def role(*identity: dict[str, Any], **more: Any) -> PolicySet:
    given = (policy(*identity),) if identity else ()
    more = {"session_name": "monday", **more}
    return PolicySet(principal=ROLE, account_id=ACCOUNT, identity=given, unique_id="AROAAAAAAAAAAAAAAAAAA", **more)


def root(**more: Any) -> PolicySet:
    return PolicySet(principal=ROOT, account_id=ACCOUNT, is_root=True, **more)


def ask(
    policies: PolicySet,
    action: str = "ec2:RunInstances",
    resource: str = GROUP,
    context: dict[str, Any] | None = None,
    **more: Any,
) -> Decision:
    keys = {key: (value,) if isinstance(value, str) else tuple(value) for key, value in (context or {}).items()}
    return decide(policies, AccessRequest(action=action, resource=resource, context=keys, **more))


def holds(
    operator: str, value: Any, given: Any = None, *, key: str = "ec2:Some", version: str | None = VERSION
) -> bool:
    """Whether a condition holds for a request whose key `ec2:Some` is `given`, None for absent.

    Team `red` and name `ada` are what variables can ask for.
    """
    statement = allow(Condition={operator: {key: value}})
    asker = PolicySet(
        principal=USER, account_id=ACCOUNT, identity=(policy(statement, version=version),), tags={"team": "red"}
    )
    return ask(asker, context=None if given is None else {"ec2:Some": given}).allowed
