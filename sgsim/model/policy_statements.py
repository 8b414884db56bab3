"""Statements of a policy, checked as AWS checks them when the policy is saved (docs/iam.md A4)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from sgsim.errors import PolicyError
from sgsim.model.policy_conditions import read_conditions
from sgsim.model.policy_values import variables
from sgsim.model.statements import Effect, PrincipalName, Statement

__all__ = ["read_statements"]

_ELEMENTS = (
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
)
_EFFECTS = {"Allow": Effect.ALLOW, "Deny": Effect.DENY}
_SID = re.compile(r"[A-Za-z0-9]*", re.ASCII)
_ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?_.-]+", re.ASCII)
_RESOURCE = re.compile(r"arn:(?:aws[a-z-]*|[a-z-]*\*[a-z*-]*):[a-z0-9-]+:.*", re.ASCII | re.DOTALL)
_PRINCIPAL = re.compile(
    r"\*|[0-9]{12}|A[A-Z]{3}[A-Z0-9]{6,124}|arn:aws[a-z-]*:(iam|sts)::[0-9]{12}:"
    r"(root|(user|role|federated-user|assumed-role)/[^*?\s]+)",
    re.ASCII,
)
_PRINCIPAL_KINDS = ("AWS", "Service", "Federated", "CanonicalUser")


def read_statements(body: Any, *, trust: bool, resource: bool) -> tuple[str, tuple[Statement, ...]]:
    """The version and the statements of a policy's document. Raises PolicyError.

    `trust` and `resource` say that it is attached to a role's door or to a resource, so that it names principals.
    """
    if not isinstance(body, dict):
        raise PolicyError("a policy is a JSON object")
    unknown = next((key for key in body if key not in ("Version", "Id", "Statement")), None)
    if unknown is not None:
        raise PolicyError(f"{_shown(unknown)} is no element of a policy")
    version = body.get("Version", "2008-10-17")
    if version not in ("2012-10-17", "2008-10-17"):
        problem = f"{_shown(version)} is no version of the policy language"
        raise PolicyError(problem, where="Version", advice="write 2012-10-17")
    if not isinstance(body.get("Id", ""), str):
        raise PolicyError("the Id is not text", where="Id")
    reader = _Reader(variables=version == "2012-10-17", trust=trust, resource=resource)
    return version, reader.statements(body.get("Statement"))


class _Reader:
    """Reads statements of one policy."""

    def __init__(self, *, variables: bool, trust: bool, resource: bool) -> None:
        self._variables, self._trust, self._resource = variables, trust, resource

    def statements(self, given: Any) -> tuple[Statement, ...]:
        listed = given if isinstance(given, list) else [given]
        if given is None or not listed:
            raise PolicyError("the policy has no statement", where="Statement")
        found: list[Statement] = []
        for index, one in enumerate(listed):
            where = f"Statement[{index}]" if isinstance(given, list) else "Statement"
            if isinstance(one, dict) and isinstance(one.get("Sid"), str) and one["Sid"]:
                where += f" ({_shown(one['Sid'])})"
            try:
                statement = self._statement(one)
            except PolicyError as error:
                raise error.within(where) from None
            if statement.sid and any(statement.sid == other.sid for other in found):
                raise PolicyError("Statement IDs (SID) in a single policy must be unique.", where=where)
            found.append(statement)
        return tuple(found)

    def _statement(self, given: Any) -> Statement:
        if not isinstance(given, dict):
            raise PolicyError("a statement is a JSON object")
        unknown = next((key for key in given if key not in _ELEMENTS), None)
        if unknown is not None:
            advice = "the elements are " + ", ".join(_ELEMENTS)
            raise PolicyError(f"{_shown(unknown)} is no element of a statement", advice=advice)
        sid = given.get("Sid", "")
        if not isinstance(sid, str) or not (self._resource or _SID.fullmatch(sid)):
            raise PolicyError("Statement IDs (SID) must be alpha-numeric.", where="Sid")
        effect = given.get("Effect")
        if not isinstance(effect, str) or effect not in _EFFECTS:
            raise PolicyError(f"the effect is Allow or Deny, not {_shown(effect)}", where="Effect")
        actions, not_actions = self._pair(given, "Action", self._action, "Policy statement must contain actions.")
        principals, not_principals = self._principals(given)
        resources, not_resources = self._resources(given)
        return Statement(
            effect=_EFFECTS[effect],
            sid=sid,
            actions=actions,
            not_actions=not_actions,
            resources=resources,
            not_resources=not_resources,
            principals=principals,
            not_principals=not_principals,
            conditions=read_conditions(given.get("Condition", {}), variables=self._variables),
        )

    def _pair(
        self, given: dict[str, Any], name: str, check: Callable[[str], str], missing: str
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """An element and the one that says the opposite, of which exactly one is given."""
        if name in given and f"Not{name}" in given:
            raise PolicyError(f"{name} and Not{name} cannot be in one statement")
        if name not in given and f"Not{name}" not in given:
            raise PolicyError(missing)
        element = name if name in given else f"Not{name}"
        values = _texts(given[element], element)
        if not values:
            raise PolicyError(missing, where=element)
        for value in values:
            problem = check(value)
            if problem:
                raise PolicyError(problem, where=element)
        return (values, ()) if element == name else ((), values)

    def _action(self, value: str) -> str:
        if not _ACTION.fullmatch(value):
            return f"the action {_shown(value)} is not 'service:Name'; the name may have wildcards, the service may not"
        if self._trust and value != "*" and not value.lower().startswith("sts:"):
            return (
                f"Trust Policy statement actions can only be those of sts, such as sts:AssumeRole, not {_shown(value)}"
            )
        return ""

    def _resources(self, given: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        if self._trust:
            if "Resource" in given or "NotResource" in given:
                raise PolicyError("Has prohibited field Resource.")
            return (), ()
        return self._pair(given, "Resource", self._arn, "Policy statement must contain resources.")

    def _arn(self, value: str) -> str:
        if value == "*":
            return ""
        if not _RESOURCE.fullmatch(value) or (value.count(":") < 5 and "*" not in value.rsplit(":", 1)[1]):
            return f'Resource {_shown(value)} must be in ARN format or "*".'
        if self._variables and "${" in value:
            if "${" in ":".join(value.split(":")[:5]):
                return f"Resource {_shown(value)} has a policy variable before the fifth colon"
            if variables(value) is None:
                return f"Resource {_shown(value)} has a '${{' that begins no policy variable"
        return ""

    def _principals(self, given: dict[str, Any]) -> tuple[tuple[PrincipalName, ...], tuple[PrincipalName, ...]]:
        named = [name for name in ("Principal", "NotPrincipal") if name in given]
        if not (self._trust or self._resource):
            if named:
                raise PolicyError("Policy document should not specify a principal.", where=named[0])
            return (), ()
        if len(named) != 1:
            raise PolicyError("a statement of this kind has either Principal or NotPrincipal")
        found = _principal_names(given[named[0]], named[0])
        return (found, ()) if named == ["Principal"] else ((), found)


def _principal_names(given: Any, element: str) -> tuple[PrincipalName, ...]:
    if given == "*":
        return (PrincipalName("AWS", "*"),)
    if not isinstance(given, dict):
        raise PolicyError(f"{element} is '*' or an object such as {{\"AWS\": …}}", where=element)
    found: list[PrincipalName] = []
    for kind, names in given.items():
        if kind not in _PRINCIPAL_KINDS:
            raise PolicyError(f"{_shown(kind)} is no kind of principal", where=element)
        for name in _texts(names, f"{element}.{kind}"):
            if kind == "AWS" and not _PRINCIPAL.fullmatch(name):
                problem = f"Invalid principal in policy: {_shown(name)}"
                advice = "name an account, a user, a role or a session in full; wildcards name nobody here"
                raise PolicyError(problem, where=f"{element}.{kind}", advice=advice)
            found.append(PrincipalName(kind, name))
    if not found:
        raise PolicyError(f"{element} names nobody", where=element)
    return tuple(found)


def _texts(given: Any, where: str) -> tuple[str, ...]:
    listed = given if isinstance(given, list) else [given]
    if not all(isinstance(one, str) for one in listed):
        raise PolicyError(f"{where} is text or an array of text", where=where)
    return tuple(listed)


def _shown(value: Any) -> str:
    """A value of the policy for a message, in JSON, cut if long."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 100 else f"{text[:90]}…"
