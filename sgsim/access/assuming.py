"""Who can become which role: chains of sts:AssumeRole, found from the roles backwards."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Set
from typing import NamedTuple

from sgsim.access.decide import decide
from sgsim.access.enforcement import with_context
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
        self._decisions: dict[tuple[str, str], Decision] = {}
        self._requests: dict[tuple[str, str], AccessRequest] = {}
        self.missing: set[str] = set()

    def chains(self, wanted: Set[str], known: Set[str] = frozenset()) -> dict[str, tuple[Step, ...]]:
        """For everybody not `known` who can become one of the roles `wanted`, the fewest steps to one of them."""
        found: dict[str, tuple[Step, ...]] = dict.fromkeys(wanted, ())
        pending = deque(sorted(wanted))
        while pending:
            role = pending.popleft()
            for arn in self._trusted(self._environment.directory.roles[role]):
                if arn in found or arn in known:
                    continue
                decision = self._decision(role, arn)
                if decision.allowed:
                    found[arn] = (Step(arn, role, decision), *found[role])
                    if arn in self._environment.directory.roles:
                        pending.append(arn)
                else:
                    self.missing.update(decision.missing_keys)
        return {arn: steps for arn, steps in found.items() if steps}

    def _decision(self, role_arn: str, arn: str) -> Decision:
        """Whether a principal may take a role at once."""
        found = self._decisions.get((role_arn, arn))
        if found is None:
            policies = self._principals[arn]
            request = self._request(self._environment.directory.roles[role_arn], policies.account_id)
            found = self._decisions[role_arn, arn] = decide(policies, request)
        return found

    def _request(self, role: Role, account_id: str) -> AccessRequest:
        found = self._requests.get((role.arn, account_id))
        if found is None:
            (request,) = action_requests(_ACTION, [holder_thing(role)], account_id)
            found = AccessRequest(
                action=_ACTION,
                resource=role.arn,
                context=with_context(request, self._context).context,
                resource_account=role.account_id,
                resource_policy=trust_policy(role),
            )
            self._requests[role.arn, account_id] = found
        return found

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
