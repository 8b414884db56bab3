"""Which of many calls a principal may make, without deciding about each thing by itself.

Calls are laid out by what they have in common: an interface is asked about once, not once for each group that could be
put on it. And things of which a principal's statements cannot tell one from another (the same tags as far as conditions
ask for them, the same patterns of resources) are one decision.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from sgsim.access.decide import decide
from sgsim.access.patterns import Context, Pattern, compile_pattern
from sgsim.access.plans import plan_for
from sgsim.access.requests import AccessRequest, Decision, PolicySet
from sgsim.analysis.helpful_calls import Call
from sgsim.model.policies import Effect

__all__ = ["Asked", "Asker", "Decisions", "Layout", "Sorter"]

Decisions = tuple[tuple[AccessRequest, Decision], ...]

_VARIABLE = re.compile(r"\$\{([^},]+)")
_NO_KEYS = Context({})
_KEPT = 512  #: partitions that are kept


class Asked(NamedTuple):
    """A request, with what it is known by."""

    request: AccessRequest
    key: tuple[object, ...]

    @classmethod
    def of(cls, request: AccessRequest) -> Asked:
        return cls(request, (request.action, request.resource, tuple(sorted(request.context.items()))))


class Layout:
    """Calls with their requests; `parts` are those that are the same but for the thing of the last request."""

    def __init__(self, calls: Iterable[tuple[Call, tuple[AccessRequest, ...]]]) -> None:
        known: dict[tuple[object, ...], Asked] = {}
        parts: dict[tuple[object, ...], tuple[tuple[Asked, ...], list[tuple[Asked, Call]]]] = {}
        for call, requests in calls:
            asked = []
            for request in requests:
                one = Asked.of(request)
                asked.append(known.setdefault(one.key, one))
            if asked:
                key = (asked[-1].request.action, *(one.key for one in asked[:-1]))
                parts.setdefault(key, (tuple(asked[:-1]), []))[1].append((asked[-1], call))
        self.parts = list(parts.values())


class _Signature(NamedTuple):
    """What the statements of a principal look at for an action: patterns of resources, and condition keys."""

    action: str
    patterns: frozenset[str]
    keys: frozenset[str]


class Sorter:
    """Sorts the last requests of calls into those that statements of a kind cannot tell apart."""

    def __init__(self) -> None:
        self._sorted: dict[tuple[int, _Signature], list[list[tuple[Asked, Call]]]] = {}
        self._patterns: dict[str, Pattern] = {}

    def classes(self, lasts: Sequence[tuple[Asked, Call]], signature: _Signature) -> list[list[tuple[Asked, Call]]]:
        """The same calls in classes; `lasts` is one of a layout's lists, which stays as it is."""
        name = (id(lasts), signature)
        found = self._sorted.get(name)
        if found is None:
            if len(self._sorted) >= _KEPT:
                self._sorted.clear()
            classes: dict[tuple[object, ...], list[tuple[Asked, Call]]] = {}
            for one in lasts:
                classes.setdefault(self._class(one[0].request, signature), []).append(one)
            found = self._sorted[name] = list(classes.values())
        return found

    def _class(self, request: AccessRequest, signature: _Signature) -> tuple[object, ...]:
        matched = frozenset(one for one in signature.patterns if self._pattern(one).matches(request.resource, _NO_KEYS))
        told = {key.lower(): values for key, values in request.context.items()}
        return request.resource_account, matched, tuple((key, told.get(key)) for key in sorted(signature.keys))

    def _pattern(self, text: str) -> Pattern:
        found = self._patterns.get(text)
        if found is None:
            found = self._patterns[text] = compile_pattern(text, with_variables=False)
        return found


class Asker:
    """What one principal may do; `missing` grows by the condition keys that refused requests lack."""

    def __init__(self, policies: PolicySet, sorter: Sorter, missing: set[str]) -> None:
        self._policies, self._sorter, self._missing = policies, sorter, missing
        self._decisions: dict[tuple[object, ...], Decision] = {}
        self._silent: dict[str, bool] = {}
        self._signatures: dict[str, _Signature | None] = {}

    def allowed(self, layout: Layout) -> Iterator[tuple[Call, Decisions]]:
        """The calls that are allowed, with the decisions."""
        for first, lasts in layout.parts:
            decided = self._all(first)
            if decided is None or self._says_nothing(lasts[0][0].request.action):
                continue
            signature = self._signature(lasts[0][0].request.action) if len(lasts) > 1 else None
            classes = [[one] for one in lasts] if signature is None else self._sorter.classes(lasts, signature)
            for alike in classes:
                if self._decide(alike[0][0]).allowed:
                    for asked, call in alike:
                        yield call, (*decided, (asked.request, self._decide(asked)))

    def _all(self, requests: Iterable[Asked]) -> Decisions | None:
        """The decisions on requests that are all allowed."""
        decided = []
        for asked in requests:
            if self._says_nothing(asked.request.action):
                return None
            decision = self._decide(asked)
            if not decision.allowed:
                return None
            decided.append((asked.request, decision))
        return tuple(decided)

    def _says_nothing(self, action: str) -> bool:
        """Whether no statement of the principal's own policies allows the action on anything."""
        found = self._silent.get(action)
        if found is None:
            plan = plan_for(self._policies, action.lower())
            allows = any(compiled.statement.effect is Effect.ALLOW for _, compiled in plan.identity)
            found = self._silent[action] = not (allows or self._policies.is_root)
        return found

    def _decide(self, asked: Asked) -> Decision:
        found = self._decisions.get(asked.key)
        if found is None:
            found = self._decisions[asked.key] = decide(self._policies, asked.request)
            if not found.allowed:
                self._missing.update(found.missing_keys)
        return found

    def _signature(self, action: str) -> _Signature | None:
        """What the principal's statements look at; None where a pattern depends on the request itself."""
        if action not in self._signatures:
            self._signatures[action] = self._looked_at(action)
        return self._signatures[action]

    def _looked_at(self, action: str) -> _Signature | None:
        plan = plan_for(self._policies, action.lower())
        layers = (*plan.levels, plan.identity, plan.boundary or (), plan.session or ())
        patterns: set[str] = set()
        keys: set[str] = set()
        for _, compiled in chain.from_iterable(layers):
            statement = compiled.statement
            patterns.update(statement.resources, statement.not_resources)
            for condition in statement.conditions:
                keys.add(condition.key.lower())
                keys.update(
                    name.strip().lower() for value in condition.values for name in _VARIABLE.findall(str(value))
                )
        if any("${" in one for one in patterns):
            return None
        return _Signature(action, frozenset(patterns - {"*"}), frozenset(keys))
