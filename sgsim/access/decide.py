"""One decision: may this principal do this to that? (docs/iam.md A1)

An explicit deny anywhere is final. Otherwise every level of service control policies has to allow, and then what grants
(an identity policy, or a resource policy that names the principal) within what caps (boundary and session policies).
"""

from __future__ import annotations

from collections.abc import Iterable

from sgsim.access.naming import Naming, naming
from sgsim.access.patterns import Context
from sgsim.access.requests import (
    AccessRequest,
    AttachedPolicy,
    DecidingStatement,
    Decision,
    Layer,
    Outcome,
    PolicySet,
)
from sgsim.access.statements import statements_for
from sgsim.model.policies import Effect, PolicyKind

__all__ = ["decide"]


def decide(policies: PolicySet, request: AccessRequest) -> Decision:
    """The decision on a request, with what decided it."""
    action = request.action.lower()
    if action == "sts:getcalleridentity":
        return Decision(Outcome.ALLOWED, Layer.ANYBODY)
    evaluation = _Evaluation(policies, request, action)
    bound = not (policies.management_account or policies.service_linked)
    levels = [evaluation.ask(level) for level in policies.service_control] if bound else []
    resource = evaluation.ask_resource()
    identity = evaluation.ask(policies.identity)
    boundary = policies.boundary is None or evaluation.ask((policies.boundary,))
    session = policies.session is None or evaluation.ask(policies.session)
    missing = tuple(sorted(evaluation.context.missing))
    if evaluation.denies:
        denies = tuple(evaluation.denies)
        return Decision(Outcome.EXPLICIT_DENY, denies[0].attached.layer, denies, missing_keys=missing)
    silent = [] if all(levels) else [Layer.SERVICE_CONTROL]
    silent += _silent(policies, request, resource, identity, boundary, session)
    if silent:
        return Decision(Outcome.IMPLICIT_DENY, silent[0], silent=tuple(silent), missing_keys=missing)
    granting = Layer.ROOT if policies.is_root else Layer.IDENTITY if identity else Layer.RESOURCE
    return Decision(Outcome.ALLOWED, granting, tuple(evaluation.allows), missing_keys=missing)


def _silent(
    policies: PolicySet, request: AccessRequest, resource: Naming, identity: bool, boundary: bool, session: bool
) -> list[Layer]:
    """The layers below service control policies that would have to allow the request, and do not."""
    attached = request.resource_policy
    foreign = request.resource_account not in (None, policies.account_id)
    trust = attached is not None and attached.policy.kind is PolicyKind.TRUST
    if not foreign and resource is Naming.PRINCIPAL:
        return []
    silent = [Layer.RESOURCE] if (foreign or trust) and resource is Naming.NONE else []
    if policies.is_root:
        return silent
    if not identity and (foreign or resource is not Naming.ROLE):
        silent.append(Layer.IDENTITY)
    if not boundary:
        silent.append(Layer.BOUNDARY)
    if not session:
        silent.append(Layer.SESSION)
    return silent


class _Evaluation:
    """Asks policies about one request and gathers what they say."""

    __slots__ = ("_action", "_policies", "_request", "allows", "context", "denies")

    def __init__(self, policies: PolicySet, request: AccessRequest, action: str) -> None:
        self._policies, self._request, self._action = policies, request, action
        keys = dict(policies.keys)
        for key, values in request.context.items():
            keys[key.lower()] = values
        self.context = Context(keys)
        self.allows: list[DecidingStatement] = []
        self.denies: list[DecidingStatement] = []

    def ask(self, attached: Iterable[AttachedPolicy]) -> bool:
        """Whether one of the policies allows the request."""
        before = len(self.allows)
        for one in attached:
            for compiled in statements_for(one.policy, self._action):
                if compiled.fits(self._request.resource, self.context):
                    self._note(DecidingStatement(one, compiled.index, compiled.statement))
        return len(self.allows) > before

    def ask_resource(self) -> Naming:
        """How closely the resource's policy names the principal that it allows."""
        attached = self._request.resource_policy
        closest = Naming.NONE
        for compiled in statements_for(attached.policy, self._action) if attached else ():
            named = naming(compiled.statement, self._policies)
            if named is not Naming.NONE and compiled.fits(self._request.resource, self.context):
                assert attached is not None
                self._note(DecidingStatement(attached, compiled.index, compiled.statement))
                if compiled.statement.effect is Effect.ALLOW:
                    closest = max(closest, named)
        return closest

    def _note(self, found: DecidingStatement) -> None:
        (self.allows if found.statement.effect is Effect.ALLOW else self.denies).append(found)
