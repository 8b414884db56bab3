"""The statements of a policy set that fit an action, found once for each action."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sgsim.access.requests import AttachedPolicy, PolicySet
from sgsim.access.statements import CompiledStatement, statements_for

__all__ = ["Candidates", "Plan", "candidates", "plan_for"]

#: Statements that fit an action, with the policies that they are in.
Candidates = tuple[tuple[AttachedPolicy, CompiledStatement], ...]


class Plan(NamedTuple):
    """What is asked for an action, layer by layer; None where a layer has no say."""

    levels: tuple[Candidates, ...]
    identity: Candidates
    boundary: Candidates | None
    session: Candidates | None


def plan_for(policies: PolicySet, action: str) -> Plan:
    """The plan of an action, which is in lower case."""
    plans: dict[str, Plan] = policies.plans
    found = plans.get(action)
    if found is None:
        bound = not (policies.management_account or policies.service_linked)
        found = plans[action] = Plan(
            levels=tuple(candidates(level, action) for level in policies.service_control) if bound else (),
            identity=candidates(policies.identity, action),
            boundary=None if policies.boundary is None else candidates((policies.boundary,), action),
            session=None if policies.session is None else candidates(policies.session, action),
        )
    return found


def candidates(attached: Iterable[AttachedPolicy], action: str) -> Candidates:
    """The statements of policies that fit an action."""
    return tuple((one, compiled) for one in attached for compiled in statements_for(one.policy, action))
