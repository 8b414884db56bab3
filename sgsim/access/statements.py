"""Policies ready to be asked: which statements fit an action, and whether one fits a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from weakref import WeakKeyDictionary

from sgsim.access.conditions import compile_condition
from sgsim.access.patterns import Context, Pattern, compile_pattern
from sgsim.model.policies import VERSION, Policy, PolicyKind, Statement

__all__ = ["CompiledStatement", "statements_for"]

_NO_KEYS = Context({})


class CompiledStatement:
    """A statement; `index` is its place in the policy."""

    __slots__ = ("_conditions", "_not_resources", "_resources", "index", "statement")

    def __init__(self, statement: Statement, index: int, kind: PolicyKind, *, with_variables: bool) -> None:
        self.statement, self.index = statement, index
        self._resources = _patterns(statement.resources, with_variables)
        self._not_resources = _patterns(statement.not_resources, with_variables)
        if kind is PolicyKind.TRUST:  # its resource is the role that it is part of
            self._resources = (compile_pattern("*", with_variables=False),)
        self._conditions = [compile_condition(one, with_variables=with_variables) for one in statement.conditions]

    def fits(self, resource: str, context: Context) -> bool:
        """Whether resource and conditions fit; action and principal are the caller's to ask.

        Every condition is asked, also after one that fails, so that all missing keys are named.
        """
        listed = False
        for pattern in self._resources or self._not_resources:
            listed |= pattern.matches(resource, context)
        if listed != bool(self._resources):
            return False
        fits = True
        for condition in self._conditions:
            fits &= condition.holds(context)
        return fits


class _CompiledPolicy:
    """A policy whose statements are compiled when an action first needs them."""

    __slots__ = ("_by_action", "_compiled", "_kind", "_matchers", "_statements", "_with_variables")

    def __init__(self, policy: Policy) -> None:
        self._statements, self._kind = policy.statements, policy.kind
        self._with_variables = policy.version == VERSION
        self._matchers = [_action_matcher(one) for one in policy.statements]
        self._compiled: dict[int, CompiledStatement] = {}
        self._by_action: dict[str, tuple[CompiledStatement, ...]] = {}

    def fitting(self, action: str) -> tuple[CompiledStatement, ...]:
        found = self._by_action.get(action)
        if found is None:
            if len(self._by_action) >= 2000:  # more than there are actions of all services simulated
                self._by_action.clear()
            found = tuple(self._statement(i) for i, matches in enumerate(self._matchers) if matches(action))
            self._by_action[action] = found
        return found

    def _statement(self, index: int) -> CompiledStatement:
        if index not in self._compiled:
            statement = self._statements[index]
            self._compiled[index] = CompiledStatement(statement, index, self._kind, with_variables=self._with_variables)
        return self._compiled[index]


_POLICIES: WeakKeyDictionary[Policy, _CompiledPolicy] = WeakKeyDictionary()


def statements_for(policy: Policy, action: str) -> tuple[CompiledStatement, ...]:
    """The statements of a policy whose Action or NotAction fits `action`, which is in lower case."""
    compiled = _POLICIES.get(policy)
    if compiled is None:
        compiled = _POLICIES[policy] = _CompiledPolicy(policy)
    return compiled.fitting(action)


def _patterns(texts: Iterable[str], with_variables: bool) -> tuple[Pattern, ...]:
    return tuple(compile_pattern(text, with_variables=with_variables) for text in texts)


def _action_matcher(statement: Statement) -> Callable[[str], bool]:
    if statement.actions:
        return _any_action(statement.actions)
    among = _any_action(statement.not_actions)
    return lambda action: not among(action)


@lru_cache(maxsize=65536)
def _any_action(texts: tuple[str, ...]) -> Callable[[str], bool]:
    """Whether an action (in lower case) fits one of the texts; names without wildcards are looked up."""
    lowered = [text.lower() for text in texts]
    names = frozenset(text for text in lowered if not ("*" in text or "?" in text))
    patterns = [compile_pattern(text, with_variables=False) for text in lowered if text not in names]
    return lambda action: action in names or any(pattern.matches(action, _NO_KEYS) for pattern in patterns)
