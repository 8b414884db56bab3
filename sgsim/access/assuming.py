"""Who can become which role: chains of sts:AssumeRole, found from the roles backwards."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sgsim.access.decide import decide
from sgsim.access.plans import plan_for
from sgsim.access.principals import trust_policy
from sgsim.access.requesting import action_requests
from sgsim.access.requests import AccessRequest, Decision, PolicySet
from sgsim.access.things import holder_thing
from sgsim.model import Environment
from sgsim.model.policies import Effect
from sgsim.model.principals import Role

__all__ = ["Assuming", "Step"]

_ACTION = "sts:AssumeRole"
Context = Mapping[str, tuple[str, ...]]


class Step(NamedTuple):
    """A principal takes a role, by this decision."""

    principal: str
    role: str
    decision: Decision


class Assuming:
    """Answers for the principals of one environment; `context` is what every request tells besides."""

    def __init__(self, environment: Environment, principals: Mapping[str, PolicySet], context: Context) -> None:
        self._environment, self._context = environment, context
        self._principals = principals
        self._by_account: dict[str, list[str]] = defaultdict(list)
        self._by_unique_id = {one.unique_id: arn for arn, one in principals.items() if one.unique_id}
        for arn, policies in principals.items():
            plan = plan_for(policies, _ACTION.lower())
            if any(one.statement.effect is Effect.ALLOW for _, one in plan.identity):
                self._by_account[policies.account_id].append(arn)
        self._takers: dict[str, dict[str, Decision]] = {}
        self.missing: set[str] = set()

    def takers(self, role_arn: str) -> dict[str, Decision]:
        """The principals that may take a role at once, each with the decision."""
        found = self._takers.get(role_arn)
        if found is None:
            role = self._environment.directory.roles[role_arn]
            found = self._takers[role_arn] = {}
            for arn in self._trusted(role):
                policies = self._principals[arn]
                decision = decide(policies, self._request(role, policies.account_id))
                if decision.allowed:
                    found[arn] = decision
                else:
                    self.missing.update(decision.missing_keys)
        return found

    def chains(self, roles: Iterable[str], wanted: frozenset[str]) -> dict[str, tuple[Step, ...]]:
        """For everybody who can become one of the roles, the fewest steps to one of `wanted`, which is among them."""
        found: dict[str, tuple[Step, ...]] = dict.fromkeys(wanted, ())
        pending = deque(sorted(set(roles) & wanted))
        while pending:
            role = pending.popleft()
            for arn, decision in self.takers(role).items():
                if arn not in found:
                    found[arn] = (Step(arn, role, decision), *found[role])
                    if arn in self._environment.directory.roles:
                        pending.append(arn)
        return {arn: steps for arn, steps in found.items() if steps}

    def _request(self, role: Role, account_id: str) -> AccessRequest:
        (request,) = action_requests(_ACTION, [holder_thing(role)], account_id)
        trust = trust_policy(role)
        return AccessRequest(
            action=_ACTION,
            resource=role.arn,
            context={**request.context, **self._context},
            resource_account=role.account_id,
            resource_policy=trust,
        )

    def _trusted(self, role: Role) -> list[str]:
        """Those that the trust policy may mean and, if through their account, whose own policies speak of it."""
        named: dict[str, None] = {}
        for statement in role.trust.statements:
            if statement.effect is not Effect.ALLOW:
                continue
            if not statement.principals:
                return [arn for arn in self._principals if arn != role.arn]
            for one in statement.principals:
                if one.kind != "AWS":
                    continue
                if one.name == "*":
                    return [arn for arn in self._principals if arn != role.arn]
                person = one.name if one.name in self._principals else self._by_unique_id.get(one.name)
                if person is not None:
                    named[person] = None
                account = one.name.split(":")[4] if one.name.endswith(":root") else one.name
                named.update(dict.fromkeys(self._by_account.get(account, ())))
        return [arn for arn in named if arn != role.arn]
