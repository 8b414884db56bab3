"""Who could make packets pass, and by which calls (docs/iam.md W).

First which calls would help, whoever makes them: that is seen by making each to a copy of the environment, once and
only if somebody may make it. Then who may make them, at once or by way of roles. Whether a call is allowed depends
neither on ports nor on addresses, for which IAM has no condition keys.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Set
from functools import cached_property
from typing import NamedTuple

import msgspec

from sgsim.access.assuming import Assuming, Step
from sgsim.access.calls import change_requests
from sgsim.access.enforcement import with_context
from sgsim.access.principals import policy_set, principal_arns
from sgsim.access.requests import AccessRequest, PolicySet
from sgsim.access.sharing import image_gate
from sgsim.analysis.asking import Asker, Decisions, Layout, Sorter
from sgsim.analysis.confirming import Trial
from sgsim.analysis.helpful_calls import KINDS, Call, helpful_calls
from sgsim.analysis.passing import Passing, Witness, ask
from sgsim.errors import InputError
from sgsim.model import Direction, Environment, Semantics
from sgsim.model.arns import iam_arn
from sgsim.model.changes import Change, RunInstances
from sgsim.model.quotas import Quotas

__all__ = ["Made", "Way", "WhoCan", "who_can"]

Context = Mapping[str, tuple[str, ...]]


class Made(NamedTuple):
    """A call that helps and who makes it; `decisions` are those on each of its requests."""

    kind: str
    principal: str
    change: Change
    decisions: Decisions


class Way(NamedTuple):
    """Roles to take, then calls; `whole` says whether every packet of the question passes then, `witness` is one."""

    steps: tuple[Step, ...]
    calls: tuple[Made, ...]
    witness: Witness
    whole: bool


class WhoCan(NamedTuple):
    """The answer to a question.

    `passing` is a packet that passes already, and `whole` whether all of them do; `maybe` says that one may
    pass already, which the input does not tell. `ways` are those of each user and
    role that has one, by ARN, one of each kind of call, best first; `roots` those of accounts' root users. `asked` is
    how many users and roles there are, `tried` how many copies were made. `missing_keys` are condition keys that were
    sought in vain in what was refused.
    """

    question: str
    passing: Witness | None
    whole: bool
    maybe: bool
    ways: Mapping[str, tuple[Way, ...]]
    roots: Mapping[str, tuple[Way, ...]]
    asked: int
    tried: int
    missing_keys: tuple[str, ...]


def who_can(
    environment: Environment,
    text: str,
    semantics: Semantics | None = None,
    *,
    vpc_id: str | None = None,
    context: Context | None = None,
    quotas: Quotas | None = None,
) -> WhoCan:
    """Every user and role that could make a packet of the question pass that does not pass now.

    `context` are condition keys that all requests tell. Raises NotationError for what cannot be understood, InputError
    for an environment without users and roles.
    """
    if not principal_arns(environment):
        advice = "add the output of 'aws iam get-account-authorization-details'"
        raise InputError("the environment describes no users and no roles", advice=advice)
    question = ask(environment, text, vpc_id)
    trial = Trial(environment, Semantics() if semantics is None else semantics, question, quotas or Quotas())
    passing, whole = trial.before.some(), trial.before.whole()
    search = _Search(environment, trial, context or {})
    ways = {} if whole else search.ways()
    maybe = passing is None and Passing(environment, trial.semantics, question, maybe=True).some() is not None
    return WhoCan(
        question=text,
        passing=passing,
        whole=whole,
        maybe=maybe,
        ways={arn: found for arn, found in ways.items() if arn in search.principals},
        roots={arn: found for arn, found in ways.items() if arn not in search.principals},
        asked=len(search.principals),
        tried=trial.tried,
        missing_keys=tuple(sorted(search.missing | search.assuming.missing)),
    )


class _Search:
    def __init__(self, environment: Environment, trial: Trial, context: Context) -> None:
        self._environment, self._trial, self._context = environment, trial, context
        self.principals = {arn: policy_set(environment, arn) for arn in principal_arns(environment)}
        self.assuming = Assuming(environment, self.principals, context)
        self.missing: set[str] = set()
        self._laid_out: dict[str, dict[str, Layout]] = {}
        self._sorter = Sorter()

    @cached_property
    def _calls(self) -> dict[str, list[Call]]:
        """The calls that may help, by kind."""
        found: dict[str, list[Call]] = {kind: [] for kind in KINDS}
        for call in helpful_calls(self._trial.before):
            found[call.kind].append(call)
        return found

    def ways(self) -> dict[str, tuple[Way, ...]]:
        """The ways of users, roles and root users."""
        found: dict[str, tuple[Way, ...]] = {}
        for arn, policies in self._everybody.items():
            own = tuple(self._direct(arn, policies))
            if own:
                found[arn] = own
        able = frozenset(arn for arn in found if arn in self._environment.directory.roles)
        for arn, steps in self.assuming.chains(able, found.keys()).items():
            found[arn] = tuple(way._replace(steps=steps) for way in found[steps[-1].role])
        return dict(sorted({**found, **self._paired(found)}.items()))

    @cached_property
    def _everybody(self) -> dict[str, PolicySet]:
        """Users and roles, and the root users of their accounts."""
        accounts = sorted({one.account_id for one in self.principals.values()})
        roots = (iam_arn(account, "root", "", path="") for account in accounts)
        return {**self.principals, **{arn: policy_set(self._environment, arn) for arn in roots}}

    # -- one call ------------------------------------------------------------------------------------------------------

    def _direct(self, arn: str, policies: PolicySet) -> Iterator[Way]:
        """One way for each kind of call that a principal may make itself."""
        asker = Asker(policies, self._sorter, self.missing)
        for kind, layout in self._layouts(policies.account_id).items():
            for call, decisions in asker.allowed(layout):
                effect = self._trial.effect(call)
                if effect is not None:
                    yield Way((), (Made(kind, arn, effect.changes[0], decisions),), effect.witness, effect.whole)
                    break

    # -- two calls -----------------------------------------------------------------------------------------------------

    def _paired(self, known: Mapping[str, tuple[Way, ...]]) -> dict[str, tuple[Way, ...]]:
        """The ways of those who have none so far and could open both ends, if neither end lets anything through."""
        if not self._trial.before.two_ends or self._everybody.keys() <= known.keys():
            return {}
        allowed: dict[str, dict[Call, Decisions]] = {}
        for arn, policies in self._everybody.items():
            asker, layouts = Asker(policies, self._sorter, self.missing), self._layouts(policies.account_id)
            may = {call: decisions for layout in layouts.values() for call, decisions in asker.allowed(layout)}
            if may:
                allowed[arn] = may
        parts = self._parts({call for may in allowed.values() for call in may})
        found: dict[str, tuple[Way, ...]] = {}
        reachable = self._reachable(frozenset(allowed))
        for arn in self._everybody:
            if arn not in known:
                way = self._pair(arn, parts, allowed, reachable.get(arn, {}))
                if way is not None:
                    found[arn] = (way,)
        return found

    def _parts(self, allowed: Set[Call]) -> dict[Direction, list[Call]]:
        """The calls among `allowed` that help at one end and do not suffice, by end."""
        found: dict[Direction, list[Call]] = {direction: [] for direction in Direction}
        for call in (one for listed in self._calls.values() for one in listed):
            if call in allowed and self._trial.effect(call) is None:
                for direction, changes in self._trial.parts(call).items():
                    if changes:
                        found[direction].append(call)
        return found

    def _reachable(self, useful: frozenset[str]) -> dict[str, dict[str, tuple[Step, ...]]]:
        """For each principal the roles among `useful` that it can become, with the steps to each."""
        found: dict[str, dict[str, tuple[Step, ...]]] = defaultdict(dict)
        for role in sorted(useful & self._environment.directory.roles.keys()):
            for arn, steps in self.assuming.chains({role}).items():
                found[arn][role] = steps
        return found

    def _pair(
        self,
        arn: str,
        parts: Mapping[Direction, list[Call]],
        allowed: Mapping[str, Mapping[Call, Decisions]],
        roles: Mapping[str, tuple[Step, ...]],
    ) -> Way | None:
        """Two calls, each by the principal itself or by a role that it can become; the fewest roles first."""
        actors = sorted(((arn, ()), *roles.items()), key=lambda one: len(one[1]))
        makers: dict[Direction, dict[Call, tuple[str, tuple[Step, ...]]]] = {one: {} for one in Direction}
        for actor, steps in actors:
            for direction, listed in parts.items():
                for call in listed:
                    if call in allowed.get(actor, {}):
                        makers[direction].setdefault(call, (actor, steps))
        for first, (one, one_steps) in makers[Direction.EGRESS].items():
            for second, (other, other_steps) in makers[Direction.INGRESS].items():
                effect = self._trial.together(first, second)
                if effect is not None:
                    made = (
                        Made(first.kind, one, effect.changes[0], allowed[one][first]),
                        Made(second.kind, other, effect.changes[1], allowed[other][second]),
                    )
                    steps = tuple(dict.fromkeys((*one_steps, *other_steps)))
                    return Way(steps, made, effect.witness, effect.whole)
        return None

    # -- what IAM is asked ---------------------------------------------------------------------------------------------

    def _layouts(self, account_id: str) -> dict[str, Layout]:
        """The calls that may help, by kind, as an account asks for them."""
        found = self._laid_out.get(account_id)
        if found is None:
            found = self._laid_out[account_id] = {
                kind: Layout((call, self._requests(call.changes[0], account_id)) for call in listed)
                for kind, listed in self._calls.items()
            }
        return found

    def _requests(self, change: Change, account_id: str) -> tuple[AccessRequest, ...]:
        """The requests of a call of an account; () if an image's owner does not let it launch."""
        if isinstance(change, RunInstances):
            change = msgspec.structs.replace(change, account_id=account_id)
            if image_gate(self._environment, account_id, change.image_id).allowed is False:
                return ()
        made = change_requests(self._environment, change, account_id)
        return tuple(with_context(one, self._context) for one in made)
