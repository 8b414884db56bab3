"""One decision: may this principal do this to that? (docs/iam.md A1)

An explicit deny anywhere is final. Otherwise every level of service control policies has to allow, and then what grants
(an identity policy, or a resource policy that names the principal) within what caps (boundary and session policies).
"""

from __future__ import annotations

from sgsim.access.naming import Naming, naming
from sgsim.access.patterns import Context
from sgsim.access.plans import Candidates, candidates, plan_for
from sgsim.access.requests import (
    AccessRequest,
    AttachedPolicy,
    DecidingStatement,
    Decision,
    Layer,
    Outcome,
    PolicySet,
)
from sgsim.access.statements import CompiledStatement
from sgsim.model.policies import Effect, PolicyKind

__all__ = ["decide"]


def decide(policies: PolicySet, request: AccessRequest) -> Decision:
    """The decision on a request, with what decided it."""
    action = request.action.lower()
    if action == "sts:getcalleridentity":
        return Decision(Outcome.ALLOWED, Layer.ANYBODY)
    plan = plan_for(policies, action)
    evaluation = _Evaluation(policies, request)
    levels = [evaluation.ask(level) for level in plan.levels]
    resource = evaluation.ask_resource(action)
    identity = evaluation.ask(plan.identity)
    boundary = plan.boundary is None or evaluation.ask(plan.boundary)
    session = plan.session is None or evaluation.ask(plan.session)
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

    __slots__ = ("_policies", "_request", "allows", "context", "denies")

    def __init__(self, policies: PolicySet, request: AccessRequest) -> None:
        self._policies, self._request = policies, request
        keys = dict(policies.keys)
        for key, values in request.context.items():
            keys[key.lower()] = values
        self.context = Context(keys)
        self.allows: list[DecidingStatement] = []
        self.denies: list[DecidingStatement] = []

    def ask(self, statements: Candidates) -> bool:
        """Whether one of the statements allows the request."""
        before = len(self.allows)
        for attached, compiled in statements:
            if compiled.fits(self._request.resource, self.context):
                self._note(attached, compiled)
        return len(self.allows) > before

    def ask_resource(self, action: str) -> Naming:
        """How closely the resource's policy names the principal that it allows."""
        given = self._request.resource_policy
        closest = Naming.NONE
        for attached, compiled in () if given is None else candidates((given,), action):
            named = naming(compiled.statement, self._policies)
            if named is not Naming.NONE and compiled.fits(self._request.resource, self.context):
                self._note(attached, compiled)
                if compiled.statement.effect is Effect.ALLOW:
                    closest = max(closest, named)
        return closest

    def _note(self, attached: AttachedPolicy, compiled: CompiledStatement) -> None:
        allows = compiled.statement.effect is Effect.ALLOW
        (self.allows if allows else self.denies).append(DecidingStatement(attached, compiled.index, compiled.statement))
