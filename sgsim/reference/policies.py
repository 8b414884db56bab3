"""The slow twin of `sgsim.access`: one request against policies as JSON text, with plain loops (docs/iam.md A1, A2).

It reads the documents itself, matches by recursion and shares no code with `sgsim.access` or the readers of
`sgsim.model`. It relies on documents that have been accepted.
"""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

__all__ = ["Asker", "Verdict", "judge_request"]

_MANY, _ONE = object(), object()


@dataclass(frozen=True)
class Asker:
    """Who asks, with the JSON texts of the policies that bear on it.

    `arn` is that of a user, a role or an account's root, `session_arn` that of the role's session. None for `boundary`
    or `session` means: there is none. `levels` are the service control policies from the root down to the account.
    `keys` are the condition keys that tell of the principal.
    """

    arn: str
    account_id: str
    identity: Sequence[str] = ()
    boundary: str | None = None
    session: Sequence[str] | None = None
    levels: Sequence[Sequence[str]] = ()
    root: bool = False
    exempt_from_levels: bool = False
    session_arn: str | None = None
    unique_id: str = ""
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """`outcome` is `allowed`, `explicit deny` or `implicit deny`.

    `statements` are (layer, policy's place in the layer, statement's place in it), `silent` the layers that would have
    to allow, `missing` the condition keys (in lower case) that were sought in vain.
    """

    outcome: str
    statements: frozenset[tuple[str, int, int]]
    silent: tuple[str, ...]
    missing: frozenset[str]


def judge_request(
    asker: Asker,
    action: str,
    resource: str,
    context: Mapping[str, Sequence[str]],
    *,
    resource_policy: str | None = None,
    trust: bool = False,
    resource_account: str | None = None,
) -> Verdict:
    """What IAM says; `resource_policy` is the policy of the resource, a role's trust policy if `trust`."""
    if action.lower() == "sts:getcalleridentity":
        return Verdict("allowed", frozenset(), (), frozenset())
    keys = {name.lower(): list(values) for name, values in asker.keys.items()}
    keys.update({name.lower(): list(values) for name, values in context.items()})
    missing: set[str] = set()
    denies: set[tuple[str, int, int]] = set()
    allows: set[tuple[str, int, int]] = set()

    def allowed_by(layer: str, documents: Sequence[str], first: int = 0) -> bool:
        found = False
        for place, text in enumerate(documents, first):
            document = json.loads(text)
            for index, statement in enumerate(_listed(document["Statement"])):
                if _fits(document, statement, action, resource, keys, missing):
                    (allows if statement["Effect"] == "Allow" else denies).add((layer, place, index))
                    found = found or statement["Effect"] == "Allow"
        return found

    # A1.3: every level; they bind neither the management account nor service-linked roles.
    levels_allow = True
    if not asker.exempt_from_levels and ":role/aws-service-role/" not in asker.arn:
        place = 0
        for level in asker.levels:
            if not allowed_by("service control policy", level, place):
                levels_allow = False
            place += len(level)

    # A1.4: what the resource's own policy grants, and to whom.
    grants = set()
    if resource_policy is not None:
        document = json.loads(resource_policy)
        for index, statement in enumerate(_listed(document["Statement"])):
            named = _named(statement, asker)
            if named and _fits(document, statement, action, resource, keys, missing, has_resource=not trust):
                (allows if statement["Effect"] == "Allow" else denies).add(("resource policy", 0, index))
                if statement["Effect"] == "Allow":
                    grants |= named

    identity = allowed_by("identity policy", asker.identity)
    boundary = asker.boundary is None or allowed_by("permissions boundary", [asker.boundary])
    session = asker.session is None or allowed_by("session policy", asker.session)

    if denies:  # A1.2
        return Verdict("explicit deny", frozenset(denies), (), frozenset(missing))
    silent = [] if levels_allow else ["service control policy"]
    same_account = resource_account in (None, asker.account_id)
    if not (same_account and "in person" in grants):
        if (trust or not same_account) and not grants:
            silent.append("resource policy")
        if not asker.root:
            if not identity and not (same_account and "as a role" in grants):
                silent.append("identity policy")
            if not boundary:
                silent.append("permissions boundary")
            if not session:
                silent.append("session policy")
    if silent:
        return Verdict("implicit deny", frozenset(), tuple(silent), frozenset(missing))
    return Verdict("allowed", frozenset(allows), (), frozenset(missing))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _named(statement: Mapping[str, Any], asker: Asker) -> set[str]:
    """How the statement names who asks: `in person`, `as a role`, `by account`; empty if it does not."""
    if "Principal" in statement:
        return _names(statement["Principal"], asker)
    if statement["Effect"] == "Deny" and asker.boundary is not None:
        return {"in person"}
    return set() if _names(statement["NotPrincipal"], asker) else {"in person"}


def _names(element: Any, asker: Asker) -> set[str]:
    if element == "*":
        return {"in person"}
    found = set()
    for name in _listed(element.get("AWS", [])):
        account_root = name.split(":")[4:] == [asker.account_id, "root"]
        if name == "*" or (asker.session_arn is not None and name == asker.session_arn):
            found.add("in person")
        elif name == asker.account_id or account_root:
            found.add("in person" if asker.root else "by account")
        elif name == asker.arn or (asker.unique_id and name == asker.unique_id):
            found.add("as a role" if ":role/" in asker.arn else "in person")
    return found


def _fits(
    document: Mapping[str, Any],
    statement: Mapping[str, Any],
    action: str,
    resource: str,
    keys: Mapping[str, list[str]],
    missing: set[str],
    *,
    has_resource: bool = True,
) -> bool:
    """Whether action, resource and conditions of a statement fit a request."""
    variables = document.get("Version") == "2012-10-17"
    if "Action" in statement:
        if not any(_like(_wild(one.lower()), action.lower()) for one in _listed(statement["Action"])):
            return False
    elif any(_like(_wild(one.lower()), action.lower()) for one in _listed(statement["NotAction"])):
        return False
    if has_resource:
        element = "Resource" if "Resource" in statement else "NotResource"
        hits = [_text_like(one, resource, keys, missing, variables) for one in _listed(statement[element])]
        if any(hits) != (element == "Resource"):
            return False
    answers = [
        _holds(operator, key, [_as_text(one) for one in _listed(values)], keys, missing, variables)
        for operator, block in statement.get("Condition", {}).items()
        for key, values in block.items()
    ]
    return all(answers)


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wild(text: str) -> list[object]:
    """A pattern as a list: characters, and marks for `*` and `?`."""
    return [_MANY if c == "*" else _ONE if c == "?" else c for c in text]


def _like(pattern: list[object], text: str) -> bool:
    """Whether a pattern fits a whole text: which of its beginnings fit the text up to each character."""
    reached = _past_many(pattern, {0})
    for character in text:
        stays = {place for place in reached if place < len(pattern) and pattern[place] is _MANY}
        moves = {place + 1 for place in reached if place < len(pattern) and pattern[place] in (_ONE, character)}
        reached = _past_many(pattern, stays | moves)
        if not reached:
            return False
    return len(pattern) in reached


def _past_many(pattern: list[object], reached: set[int]) -> set[int]:
    """The places, and those behind each `*` at one: it may stand for nothing."""
    found = set(reached)
    for place in reached:
        while place < len(pattern) and pattern[place] is _MANY:
            place += 1
            found.add(place)
    return found


def _expand(
    text: str, keys: Mapping[str, list[str]], missing: set[str], *, variables: bool, wild: bool
) -> list[object] | None:
    """A pattern with the values of its variables as plain characters; None if one has no value."""
    found: list[object] = []
    complete = True
    rest = text
    while rest:
        if variables and rest.startswith("${"):
            inside, rest = rest[2:].split("}", 1)
            if inside in ("*", "?", "$"):
                found.append(inside)
                continue
            key, _, default = inside.partition(", ")
            values = keys.get(key.lower(), [])
            if len(values) == 1:
                found += values[0]
            elif default:
                found += default[1:-1]
            else:
                missing.add(key.lower())
                complete = False
        else:
            found += _wild(rest[0]) if wild else rest[0]
            rest = rest[1:]
    return found if complete else None


def _text_like(text: str, value: str, keys: Mapping[str, list[str]], missing: set[str], variables: bool) -> bool:
    pattern = _expand(text, keys, missing, variables=variables, wild=True)
    return pattern is not None and _like(pattern, value)


def _holds(
    name: str, key: str, values: list[str], keys: Mapping[str, list[str]], missing: set[str], variables: bool
) -> bool:
    """Whether a condition on one key holds."""
    given = keys.get(key.lower(), [])
    if name == "Null":
        return any((value.lower() == "true") == (not given) for value in values)
    quantifier, _, operator = name.rpartition(":")
    if_exists = operator.endswith("IfExists")
    operator = operator.removesuffix("IfExists")
    negated = "Not" in operator
    operator = operator.replace("Not", "")
    if not given:
        missing.add(key.lower())
        if quantifier == "ForAllValues":
            return True
        if quantifier == "ForAnyValue":
            return if_exists
        return negated or if_exists

    def fits(one: str) -> bool:
        return True in [_compares(operator, one, value, keys, missing, variables) for value in values]

    if quantifier:
        if all(one == "" for one in given):
            return quantifier == "ForAllValues"
        answers = [fits(one) != negated for one in given]
        return all(answers) if quantifier == "ForAllValues" else any(answers)
    hits = [fits(one) for one in given]
    return not any(hits) if negated else any(hits)


def _compares(
    operator: str, given: str, value: str, keys: Mapping[str, list[str]], missing: set[str], variables: bool
) -> bool:
    """Whether a value of the request fits a value of the policy, under an operator without its `Not`."""
    if operator.startswith(("String", "Arn", "Bool")):
        pattern = _expand(value, keys, missing, variables=variables, wild=operator.startswith(("StringLike", "Arn")))
        if pattern is None:
            return False
        if operator.startswith("Arn"):
            return _arn_like(pattern, given, everything=value == "*")
        if operator == "StringLike":
            return _like(pattern, given)
        text = "".join(str(one) for one in pattern)
        if operator == "Bool":
            return given.lower() in ("true", "false") and text.lower() == given.lower()
        return text.lower() == given.lower() if operator.endswith("IgnoreCase") else text == given
    if operator == "IpAddress":
        outer, inner = _range(value), _range(given)
        return outer is not None and inner is not None and outer[0] <= inner[0] and inner[1] <= outer[1]
    if operator == "BinaryEquals":
        try:
            return base64.b64decode(given, validate=True) == base64.b64decode(value)
        except ValueError:
            return False
    read = _seconds if operator.startswith("Date") else _fraction
    one, other = read(given), read(value)
    if one is None or other is None:
        return False
    return {
        "Equals": one == other,
        "LessThan": one < other,
        "LessThanEquals": one <= other,
        "GreaterThan": one > other,
        "GreaterThanEquals": one >= other,
    }[operator.removeprefix("Date").removeprefix("Numeric")]


def _arn_like(pattern: list[object], given: str, *, everything: bool) -> bool:
    parts = given.split(":")
    if len(parts) < 6:
        return False
    if everything:
        return True
    parts = [*parts[:5], ":".join(parts[5:])]
    patterns: list[list[object]] = [[]]
    for one in pattern:
        if one == ":" and len(patterns) < 6:
            patterns.append([])
        else:
            patterns[-1].append(one)
    return len(patterns) == 6 and all(_like(one, part) for one, part in zip(patterns, parts))


def _range(text: str) -> tuple[bytes, bytes] | None:
    """First and last address of a range, each as its family followed by its bytes, so that they can be compared."""
    address, _, length = text.partition("/")
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            raw = socket.inet_pton(family, address)
        except OSError:
            continue
        bits = 8 * len(raw)
        if length and not (length.isdigit() and int(length) <= bits):
            return None
        free = (1 << (bits - int(length or bits))) - 1
        number = int.from_bytes(raw)
        mark = bytes([len(raw)])
        return mark + (number & ~free).to_bytes(len(raw)), mark + (number | free).to_bytes(len(raw))
    return None


def _fraction(text: str) -> Fraction | None:
    if not set(text) <= set("0123456789+-.eE"):
        return None
    try:
        return Fraction(text)
    except ValueError:
        return None


def _seconds(text: str) -> Fraction | None:
    """Seconds since 1970 of a date, or a number of seconds as it stands."""
    if "-" not in text[1:]:
        return _fraction(text)
    day, _, clock = text.upper().partition("T")
    zone = timedelta()
    try:
        if clock.endswith("Z"):
            clock = clock[:-1]
        for sign in "+-":
            if sign in clock:
                clock, _, offset = clock.partition(sign)
                offset = offset.replace(":", "")
                zone = timedelta(hours=int(offset[:2]), minutes=int(offset[2:])) * (1 if sign == "+" else -1)
        fields = [*map(int, day.split("-")), 1]
        units = [*(clock or "0").split(":"), "0", "0"]
        start = datetime(fields[0], fields[1], fields[2], int(units[0]), int(units[1]))
    except ValueError:
        return None
    gone = start - datetime(1970, 1, 1) - zone
    return Fraction(gone.days * 86400 + gone.seconds) + Fraction(units[2])
