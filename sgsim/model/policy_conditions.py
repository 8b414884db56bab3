"""Conditions of a statement, checked as AWS checks them when the policy is saved (docs/iam.md A4)."""

from __future__ import annotations

import json
import re
from typing import Any

from sgsim.errors import PolicyError
from sgsim.model.policy_values import arn_parts, binary, moment, network, number, truth, variables
from sgsim.model.statements import Condition, Operator, Quantifier

__all__ = ["read_conditions"]

#: `aws:SourceIp`; those of an identity provider begin with its address: `oidc.eks.eu-west-1.amazonaws.com/id/5D39:sub`.
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~/-]*:\S.*", re.DOTALL)
_OPERATORS = {operator.value: operator for operator in Operator}
#: Operators whose values may be variables; those of all others are values as they stand.
_VARIABLE = ("String", "Arn", "Bool")


def read_conditions(given: Any, *, variables: bool) -> tuple[Condition, ...]:
    """The conditions of one statement; `variables` says that its version knows policy variables. Raises PolicyError."""
    if not isinstance(given, dict):
        raise PolicyError("Condition is an object of operators", where="Condition")
    found: list[Condition] = []
    for name, keys in given.items():
        where = f"Condition.{_shown(name)[1:-1]}"
        quantifier, operator, if_exists = _operator(name)
        if not isinstance(keys, dict):
            raise PolicyError("an operator holds an object of condition keys", where=where)
        for key, values in keys.items():
            if not _KEY.fullmatch(key):
                raise PolicyError(f"the condition key {_shown(key)} is not 'service:name'", where=where)
            place = f"{where}.{_shown(key)[1:-1]}"
            texts = _values(values, place)
            for text in texts:
                problem = _problem(operator, text, variables)
                if problem:
                    raise PolicyError(f"{_shown(text)} is {problem}", where=place)
            found.append(Condition(operator, key, texts, quantifier, if_exists))
    return tuple(found)


def _operator(name: str) -> tuple[Quantifier, Operator, bool]:
    prefix, colon, rest = name.rpartition(":")
    bare = rest.removesuffix("IfExists")
    quantifier = next((one for one in Quantifier if one.value == prefix), None)
    operator = _OPERATORS.get(bare)
    null = operator is Operator.NULL and (bool(colon) or bare != rest)
    if operator is None or quantifier is None or bool(colon) != bool(prefix) or null:
        advice = "docs/iam.md A2 lists those that there are"
        raise PolicyError(f"{_shown(name)} is no condition operator", where="Condition", advice=advice)
    return quantifier, operator, bare != rest


def _values(given: Any, where: str) -> tuple[str, ...]:
    """Values as text; numbers and truth values may stand without quotation marks."""
    texts: list[str] = []
    for one in given if isinstance(given, list) else [given]:
        if isinstance(one, bool):
            texts.append("true" if one else "false")
        elif isinstance(one, (str, int, float)):
            texts.append(str(one))
        else:
            raise PolicyError("a condition's value is text, a number, or true or false", where=where)
    return tuple(texts)


def _problem(operator: Operator, text: str, with_variables: bool) -> str:
    """What is wrong with a value, "" if nothing is."""
    name = operator.value
    if with_variables and name.startswith(_VARIABLE) and "${" in text:
        return "" if variables(text) is not None else "text with a '${' that begins no policy variable"
    if name.startswith("Numeric") and number(text) is None:
        return "no number"
    if name.startswith("Date") and moment(text) is None:
        return "no date of ISO 8601 and no number of seconds"
    if operator in (Operator.BOOL, Operator.NULL) and truth(text) is None:
        return "neither true nor false"
    if operator is Operator.BINARY_EQUALS and binary(text) is None:
        return "no base64 text"
    if operator in (Operator.IP_ADDRESS, Operator.NOT_IP_ADDRESS) and network(text) is None:
        return "no address and no range of addresses"
    if name.startswith("Arn") and text != "*" and arn_parts(text) is None:
        return "no ARN: it lacks some of the six parts"
    return ""


def _shown(text: str) -> str:
    shown = json.dumps(text)
    return shown if len(shown) <= 100 else f"{shown[:90]}…"
