"""Changes as a principal would make them: each is authorised and made, and the next one meets what comes of it.

All of them are made or none. A call is allowed if IAM allows every one of its requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from sgsim.access.calls import change_requests
from sgsim.access.decide import decide
from sgsim.access.principals import policy_set
from sgsim.access.requests import AccessRequest, Decision, Outcome, PolicySet
from sgsim.errors import ChangeError, InputError
from sgsim.model import Environment
from sgsim.model.apply import apply
from sgsim.model.arns import parse_arn
from sgsim.model.changes import Change, ChangeOrigin, ChangeSet, RunInstances
from sgsim.model.quotas import Quotas

__all__ = ["Authorization", "Authorized", "UnauthorizedError", "apply_as", "authorize", "refusal", "with_context"]


class UnauthorizedError(ChangeError):
    """IAM does not allow a call; `asked` are its requests up to the one that is refused, with the decisions."""

    asked: tuple[tuple[AccessRequest, Decision], ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, self.message, self.item, self.place), {"asked": self.asked}


class Authorization(msgspec.Struct, frozen=True):
    """One change and what IAM says of its requests; `place` is where it was read."""

    asked: tuple[tuple[AccessRequest, Decision], ...]
    place: str = ""

    @property
    def allowed(self) -> bool:
        return all(decision.allowed for _, decision in self.asked)


class Authorized(msgspec.Struct, frozen=True):
    """Changes that a principal may make, and the environment after them. `error` is what stopped it, None if nothing
    did; then `environment` is that from before.
    """

    principal: str
    environment: Environment
    calls: tuple[Authorization, ...]
    error: ChangeError | None = None


def with_context(request: AccessRequest, context: Mapping[str, tuple[str, ...]]) -> AccessRequest:
    """The request with more condition keys, which win over those that it has; names have no case."""
    if not context:
        return request
    given = {key.lower() for key in context}
    kept = {key: values for key, values in request.context.items() if key.lower() not in given}
    return msgspec.structs.replace(request, context={**kept, **context})


def authorize(
    environment: Environment, change: Change, policies: PolicySet, context: Mapping[str, tuple[str, ...]] | None = None
) -> tuple[tuple[AccessRequest, Decision], ...]:
    """The requests of a change, each with its decision. Raises InputError for what no call of AWS's would do."""
    requests = change_requests(environment, change, policies.account_id)
    if not requests:
        place = change.origin.place if change.origin is not None else ""
        problem = f"no call of AWS's makes this change ({type(change).__name__}), so that nobody can be asked about it"
        raise InputError(problem, source=place, advice="give requests to the API")
    asked = [with_context(request, context or {}) for request in requests]
    return tuple((request, decide(policies, request)) for request in asked)


def apply_as(
    environment: Environment,
    changes: ChangeSet,
    principal: str,
    *,
    context: Mapping[str, tuple[str, ...]] | None = None,
    quotas: Quotas | None = None,
) -> Authorized:
    """Make changes as a principal (an ARN).

    The code of a refusal is that of the first gate that is closed: an image that is not shared, then IAM, then what
    AWS refuses anybody. Raises ChangeError for a principal that is not there, InputError for what no call does.
    """
    after, calls = environment, list[Authorization]()
    limits = Quotas() if quotas is None else quotas
    for change in changes.changes:
        change = _asked_by(change, principal)
        place = change.origin.place if change.origin is not None else ""
        policies = policy_set(after, principal)
        asked = authorize(after, change, policies, context)
        calls.append(Authorization(asked, place))
        try:
            if not calls[-1].allowed and not isinstance(change, RunInstances):
                raise refusal(asked, place)
            following = apply(after, ChangeSet((change,), accepted=changes.accepted), quotas=limits)
            if not calls[-1].allowed:
                raise refusal(asked, place)
        except ChangeError as error:
            return Authorized(principal, environment, tuple(calls), error)
        after = following
    return Authorized(principal, after, tuple(calls))


def refusal(asked: Iterable[tuple[AccessRequest, Decision]], place: str = "") -> UnauthorizedError:
    """The error for a call that is not allowed: the statement that denies it, or which layers are silent."""
    refused = [one for one in asked if not one[1].allowed]
    request, decision = next((one for one in refused if one[1].outcome is Outcome.EXPLICIT_DENY), refused[0])
    code = "UnauthorizedOperation" if request.action.startswith("ec2:") else "AccessDenied"
    if decision.outcome is Outcome.EXPLICIT_DENY:
        why = f"denied by {decision.statements[0]}"
    else:
        why = f"nothing allows it as {' and '.join(layer.value for layer in decision.silent)}"
    if decision.missing_keys:
        why += f"; not in the request: {', '.join(decision.missing_keys)}"
    error = UnauthorizedError(code, f"You are not authorized: {request.action} on {request.resource}", why, place)
    error.asked = tuple(asked)
    return error


def _asked_by(change: Change, principal: str) -> Change:
    """The change with who asks for it, and a launch with the account that launches."""
    origin = change.origin or ChangeOrigin()
    change = msgspec.structs.replace(change, origin=msgspec.structs.replace(origin, principal=principal))
    if isinstance(change, RunInstances):
        return msgspec.structs.replace(change, account_id=parse_arn(principal).account_id)
    return change
