"""Policy documents inside other documents → Policy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sgsim.errors import PolicyError
from sgsim.importers.problems import BadFieldError, shown
from sgsim.model.policies import Policy, PolicyKind, parse_policy

__all__ = ["moment", "plain_policy", "policy_in"]


def plain_policy(document: Any, kind: PolicyKind) -> Policy:
    """A policy given as an object, as JSON text or URL-encoded; all three are the same policy. Raises PolicyError."""
    if isinstance(document, str):
        document = json.loads(parse_policy(document, kind).document)
    elif not isinstance(document, Mapping):
        raise PolicyError(f"a policy is an object or its text, not {shown(document)}")
    return parse_policy(document, kind)


def policy_in(document: Any, kind: PolicyKind, name: str, path: str) -> Policy:
    """The policy at `path`, which is called `name`. Raises BadFieldError, which names it and the place inside it."""
    try:
        return plain_policy(document, kind)
    except PolicyError as error:
        separator = "." if error.where and path else ""
        place = f"{path}{separator}{error.where}"
        raise BadFieldError(place, f"{error.code}: {name}: {error.problem}", error.advice or _ADVICE) from None


_ADVICE = "AWS would not have attached it; correct the policy"


def moment(text: str | None, path: str) -> datetime | None:
    """A date and time. Raises BadFieldError."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadFieldError(path, f"{shown(text)} is not a date and time") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
