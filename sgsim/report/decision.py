"""One decision of IAM for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from sgsim.access import DecidingStatement, Outcome
from sgsim.access.question import Answer
from sgsim.report.schemas import DECISION_SCHEMA
from sgsim.report.style import Style, clean

__all__ = ["OUTCOMES", "deciding_statement", "decision_json", "decision_text"]

OUTCOMES = {
    Outcome.ALLOWED: "allowed",
    Outcome.EXPLICIT_DENY: "explicit deny",
    Outcome.IMPLICIT_DENY: "implicit deny",
}

#: Services have keys of their own for what `aws:ResourceTag/…` tells as well.
_SAME_TAGS = ("ec2:ResourceTag/", "iam:ResourceTag/")


def decision_json(answer: Answer) -> bytes:
    """One document, indented; ends with a line feed."""
    decision, gate = answer.decision, answer.gate
    document: dict[str, Any] = {
        "schema": DECISION_SCHEMA,
        "principal": answer.principal,
        "action": answer.request.action,
        "resource": answer.request.resource,
        "context": answer.request.context,
        "allowed": answer.allowed,
        "outcome": OUTCOMES[decision.outcome],
        "layer": decision.layer.value,
        "silent": [layer.value for layer in decision.silent],
        "statements": [deciding_statement(one) for one in decision.statements],
        "missing_keys": decision.missing_keys,
        "account": None if gate is None else {"allowed": gate.allowed, "why": gate.why, "code": gate.code},
        "notes": answer.notes,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def deciding_statement(one: DecidingStatement) -> dict[str, Any]:
    """A statement that decided, for JSON."""
    return {
        "policy": one.attached.name,
        "layer": one.attached.layer.value,
        "statement": one.place + 1,
        "sid": one.statement.sid,
        "effect": one.statement.effect.name.title(),
    }


def decision_text(answer: Answer, style: Style) -> str:
    """The answer, what decided it, and what the request lacks; ends with a line feed."""
    request = answer.request
    verb = style("may", "green") if answer.allowed else style("may not", "red")
    lines = [f"{clean(answer.principal)} {verb} {clean(request.action)} on {clean(request.resource)}"]
    lines += [f"  {clean(line)}" for line in _reasons(answer)]
    return "\n".join(lines) + "\n"


def _reasons(answer: Answer) -> Iterator[str]:
    decision, gate = answer.decision, answer.gate
    if decision.outcome is Outcome.IMPLICIT_DENY:
        yield f"nothing allows it as {' and '.join(layer.value for layer in decision.silent)}"
    elif not decision.statements:
        yield f"allowed: {decision.layer.value}"
    by = "denied" if decision.outcome is Outcome.EXPLICIT_DENY else "allowed"
    for one in decision.statements:
        yield f"{by} by {one}"
    if gate is not None:
        word = {True: "open", False: f"closed ({gate.code})", None: "not known"}[gate.allowed]
        yield f"account's gate {word}: {gate.why}"
    if decision.missing_keys:
        yield f"statements ask for what the request does not tell: {', '.join(decision.missing_keys)}"
    if answer.request.context:
        told = sorted(answer.request.context.items())
        once = (f"{key}={','.join(values)}" for key, values in told if not key.startswith(_SAME_TAGS))
        yield f"the request tells {', '.join(once)}"
    yield from answer.notes
