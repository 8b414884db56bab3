"""What a policy says, statement by statement, in AWS's words (docs/iam.md A2); `sgsim.model.policies` reads it."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import NamedTuple

import msgspec

__all__ = ["Condition", "Effect", "Operator", "PrincipalName", "Quantifier", "Statement"]


class Effect(IntEnum):
    """What a statement does to the requests that it fits; zero means closed."""

    DENY = 0
    ALLOW = 1


class Quantifier(Enum):
    """How a condition reads a key with several values; `NONE` means: the key has one."""

    NONE = ""
    ANY = "ForAnyValue"
    ALL = "ForAllValues"


class Operator(Enum):
    """The comparisons of conditions, without the words that go around them."""

    STRING_EQUALS = "StringEquals"
    STRING_NOT_EQUALS = "StringNotEquals"
    STRING_EQUALS_IGNORE_CASE = "StringEqualsIgnoreCase"
    STRING_NOT_EQUALS_IGNORE_CASE = "StringNotEqualsIgnoreCase"
    STRING_LIKE = "StringLike"
    STRING_NOT_LIKE = "StringNotLike"
    NUMERIC_EQUALS = "NumericEquals"
    NUMERIC_NOT_EQUALS = "NumericNotEquals"
    NUMERIC_LESS_THAN = "NumericLessThan"
    NUMERIC_LESS_THAN_EQUALS = "NumericLessThanEquals"
    NUMERIC_GREATER_THAN = "NumericGreaterThan"
    NUMERIC_GREATER_THAN_EQUALS = "NumericGreaterThanEquals"
    DATE_EQUALS = "DateEquals"
    DATE_NOT_EQUALS = "DateNotEquals"
    DATE_LESS_THAN = "DateLessThan"
    DATE_LESS_THAN_EQUALS = "DateLessThanEquals"
    DATE_GREATER_THAN = "DateGreaterThan"
    DATE_GREATER_THAN_EQUALS = "DateGreaterThanEquals"
    BOOL = "Bool"
    BINARY_EQUALS = "BinaryEquals"
    IP_ADDRESS = "IpAddress"
    NOT_IP_ADDRESS = "NotIpAddress"
    ARN_EQUALS = "ArnEquals"
    ARN_NOT_EQUALS = "ArnNotEquals"
    ARN_LIKE = "ArnLike"
    ARN_NOT_LIKE = "ArnNotLike"
    NULL = "Null"


class Condition(msgspec.Struct, frozen=True):
    """One key under one operator; it holds if the request's value fits one of `values`.

    `key` is as written; names of keys have no case.
    """

    operator: Operator
    key: str
    values: tuple[str, ...]
    quantifier: Quantifier = Quantifier.NONE
    if_exists: bool = False


class PrincipalName(NamedTuple):
    """Somebody whom a trust or resource policy names.

    `kind` is `AWS`, `Service`, `Federated` or `CanonicalUser`; `name` an ARN, an account id, a unique id, a service,
    or `*` for everybody.
    """

    kind: str
    name: str


class Statement(msgspec.Struct, frozen=True):
    """One statement: it fits a request if principal, action, resource and every condition do.

    An element that the statement lacks is (); of each pair (`actions`, `not_actions`) one at most is given.
    """

    effect: Effect
    sid: str = ""
    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    not_resources: tuple[str, ...] = ()
    principals: tuple[PrincipalName, ...] = ()
    not_principals: tuple[PrincipalName, ...] = ()
    conditions: tuple[Condition, ...] = ()
