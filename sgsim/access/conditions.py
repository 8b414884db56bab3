"""Conditions of a statement, ready to be asked (docs/iam.md A2)."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from sgsim.access.patterns import Context, Pattern, compile_pattern
from sgsim.model.policies import Condition, Operator, Quantifier
from sgsim.model.policy_values import binary, moment, network, number, truth

__all__ = ["CompiledCondition", "compile_condition"]

#: Whether a value of the request fits one of the policy's values.
_Test = Callable[[str, Context], bool]

_NEGATED = {
    Operator.STRING_NOT_EQUALS: Operator.STRING_EQUALS,
    Operator.STRING_NOT_EQUALS_IGNORE_CASE: Operator.STRING_EQUALS_IGNORE_CASE,
    Operator.STRING_NOT_LIKE: Operator.STRING_LIKE,
    Operator.NUMERIC_NOT_EQUALS: Operator.NUMERIC_EQUALS,
    Operator.DATE_NOT_EQUALS: Operator.DATE_EQUALS,
    Operator.NOT_IP_ADDRESS: Operator.IP_ADDRESS,
    Operator.ARN_NOT_EQUALS: Operator.ARN_LIKE,
    Operator.ARN_NOT_LIKE: Operator.ARN_LIKE,
}
_COMPARISONS: dict[Operator, tuple[Callable[[str], Any], Callable[[Any, Any], bool]]] = {
    Operator.NUMERIC_EQUALS: (number, operator.eq),
    Operator.NUMERIC_LESS_THAN: (number, operator.lt),
    Operator.NUMERIC_LESS_THAN_EQUALS: (number, operator.le),
    Operator.NUMERIC_GREATER_THAN: (number, operator.gt),
    Operator.NUMERIC_GREATER_THAN_EQUALS: (number, operator.ge),
    Operator.DATE_EQUALS: (moment, operator.eq),
    Operator.DATE_LESS_THAN: (moment, operator.lt),
    Operator.DATE_LESS_THAN_EQUALS: (moment, operator.le),
    Operator.DATE_GREATER_THAN: (moment, operator.gt),
    Operator.DATE_GREATER_THAN_EQUALS: (moment, operator.ge),
    Operator.BINARY_EQUALS: (binary, operator.eq),
}
_ANY_ARN = "*:*:*:*:*:*"


class CompiledCondition:
    """One condition; `holds` answers for one request."""

    __slots__ = ("_if_exists", "_key", "_name", "_negated", "_quantifier", "_test")

    def __init__(self, condition: Condition, negated: bool, test: _Test) -> None:
        self._name, self._key = condition.key, condition.key.lower()
        self._quantifier, self._if_exists = condition.quantifier, condition.if_exists
        self._negated, self._test = negated, test

    def holds(self, context: Context) -> bool:
        values = context.keys.get(self._key, ())
        if self._quantifier is Quantifier.NONE:
            if not values:
                context.missing.add(self._name)
                return self._negated or self._if_exists
            # Of a key with several values, some must fit; for a negated operator none may (docs/iam.md A5.4).
            return any(self._test(value, context) for value in values) != self._negated
        if not values:
            context.missing.add(self._name)
        present = values if any(values) else ()  # an empty text is an empty set
        each = (self._test(value, context) != self._negated for value in present)
        if self._quantifier is Quantifier.ALL:
            return all(each)
        return any(each) or (self._if_exists and not values)


class _NullCondition:
    """Whether a key is there at all; its absence is an answer, so that nothing is missing."""

    __slots__ = ("_absences", "_key")

    def __init__(self, condition: Condition) -> None:
        self._key = condition.key.lower()
        self._absences = {truth(value) for value in condition.values}

    def holds(self, context: Context) -> bool:
        return (not context.keys.get(self._key)) in self._absences


def compile_condition(condition: Condition, *, with_variables: bool) -> CompiledCondition | _NullCondition:
    """A condition of a policy that was accepted; `with_variables` says that the policy's version knows them."""
    if condition.operator is Operator.NULL:
        return _NullCondition(condition)
    positive = _NEGATED.get(condition.operator, condition.operator)
    return CompiledCondition(condition, positive is not condition.operator, _test(positive, condition, with_variables))


def _test(positive: Operator, condition: Condition, with_variables: bool) -> _Test:
    if positive in _COMPARISONS:
        return _comparison(*_COMPARISONS[positive], condition.values)
    if positive is Operator.IP_ADDRESS:
        return _addresses(condition.values)
    arn = positive in (Operator.ARN_LIKE, Operator.ARN_EQUALS)
    like = arn or positive is Operator.STRING_LIKE
    patterns = [
        compile_pattern(
            _ANY_ARN if arn and value == "*" else value,
            with_variables=with_variables,
            wildcards=like,
            colons=5 if arn else 0,
        )
        for value in condition.values
    ]
    if positive is Operator.BOOL:
        return _same(patterns, truth)
    if positive is Operator.STRING_EQUALS_IGNORE_CASE:
        return _same(patterns, str.lower)
    return _like(patterns)


def _comparison(read: Callable[[str], Any], compare: Callable[[Any, Any], bool], values: tuple[str, ...]) -> _Test:
    bounds = [read(value) for value in values]

    def test(value: str, _: Context) -> bool:
        given = read(value)
        return given is not None and any(compare(given, bound) for bound in bounds)

    return test


def _addresses(values: tuple[str, ...]) -> _Test:
    ranges = [one for one in map(network, values) if one is not None]

    def test(value: str, _: Context) -> bool:
        given = network(value)
        if given is None:
            return False
        family, first, last = given
        return any(one[0] == family and one[1] <= first and last <= one[2] for one in ranges)

    return test


def _like(patterns: list[Pattern]) -> _Test:
    """Equality or likeness of the texts; every pattern is asked, so that all missing keys are named."""

    def test(value: str, context: Context) -> bool:
        fits = False
        for pattern in patterns:
            fits |= pattern.matches(value, context)
        return fits

    return test


def _same(patterns: list[Pattern], read: Callable[[str], Any]) -> _Test:
    """Equality of what the texts say, in a sense of their own."""

    def test(value: str, context: Context) -> bool:
        texts = [pattern.text(context) for pattern in patterns]
        given = read(value)
        return given is not None and any(text is not None and read(text) == given for text in texts)

    return test
