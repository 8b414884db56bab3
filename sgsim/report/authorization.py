"""Whether a principal may make changes: for people and as JSON, call by call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from sgsim.access import Decision
from sgsim.access.enforcement import Authorization, Authorized
from sgsim.access.requests import AccessRequest
from sgsim.report.decision import OUTCOMES, deciding_statement
from sgsim.report.schemas import AUTHORIZATION_SCHEMA
from sgsim.report.style import Style, clean

__all__ = ["authorization_json", "authorization_text"]


def authorization_json(answer: Authorized, dry_run: bool) -> bytes:
    """One document, indented; ends with a line feed."""
    error = answer.error
    code = "DryRunOperation" if error is None and dry_run else "" if error is None else error.code
    document: dict[str, Any] = {
        "schema": AUTHORIZATION_SCHEMA,
        "principal": answer.principal,
        "allowed": error is None,
        "code": code,
        "message": "" if error is None else str(error),
        "dry_run": dry_run,
        "calls": [
            {
                "place": call.place,
                "allowed": call.allowed,
                "requests": [_request(request, decision) for request, decision in call.asked],
            }
            for call in answer.calls
        ],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _request(request: AccessRequest, decision: Decision) -> dict[str, Any]:
    return {
        "action": request.action,
        "resource": request.resource,
        "context": request.context,
        "outcome": OUTCOMES[decision.outcome],
        "layer": decision.layer.value,
        "silent": [layer.value for layer in decision.silent],
        "statements": [deciding_statement(one) for one in decision.statements],
        "missing_keys": decision.missing_keys,
    }


def authorization_text(answer: Authorized, dry_run: bool, style: Style) -> str:
    """Every call with what decided it; ends with a line feed."""
    lines = []
    for call in answer.calls:
        refused = answer.error is not None and call is answer.calls[-1]
        code = (
            answer.error.code if answer.error is not None and refused else "DryRunOperation" if dry_run else "allowed"
        )
        head = f"{clean(answer.principal)}  {clean(call.asked[0][0].action)}  "
        lines.append(head + style(clean(code), "red" if refused else "green"))
        lines += [f"  {clean(line)}" for line in _reasons(call)]
    return "\n".join(lines) + "\n" if lines else "no call is asked for\n"


def _reasons(call: Authorization) -> Iterator[str]:
    for request, decision in call.asked:
        yield f"{request.action} on {request.resource}: {OUTCOMES[decision.outcome]}"
        yield from (f"  by {one}" for one in decision.statements)
        if decision.silent:
            yield f"  nothing allows it as {' and '.join(layer.value for layer in decision.silent)}"
        if decision.missing_keys:
            yield f"  statements ask for what the request does not tell: {', '.join(decision.missing_keys)}"
