"""What became of expectations: for people, as JSON and as JUnit XML (docs/expectations.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import quoteattr

import msgspec

from sgsim.analysis.expectations import Counterexample, Outcome
from sgsim.report.labels import Labels
from sgsim.report.schemas import EXPECTATIONS_SCHEMA
from sgsim.report.style import Style, clean, counted, listed
from sgsim.verdicts import Verdict

__all__ = ["expectations_json", "expectations_junit", "expectations_text"]


def expectations_text(outcomes: Sequence[Outcome], labels: Labels, style: Style) -> str:
    """Failures with their counterexamples, then what is particular about others, then the count."""
    lines: list[str] = []
    for outcome in outcomes:
        if not outcome.holds or outcome.note:
            lines += _failure(outcome, labels, style)
    failed = sum(not outcome.holds for outcome in outcomes)
    total = counted(len(outcomes), "expectation")
    verdict = style(f"{failed} failed", "red") if failed else style("all hold", "green")
    return "\n".join([*lines, f"{total}: {verdict}"]) + "\n"


def _failure(outcome: Outcome, labels: Labels, style: Style) -> Iterator[str]:
    holds = style("holds", "yellow") if outcome.holds else style("FAILED", "red")
    expectation = outcome.expectation
    name = f" ({clean(expectation.name)})" if expectation.name else ""
    yield f"{holds}  line {expectation.place.line}: {clean(_line(outcome))}{name}"
    if outcome.note:
        yield f"  {clean(outcome.note)}"
    if outcome.counterexample is not None:
        found = outcome.counterexample
        yield f"  {clean(found.flow)}  {style.verdict(Verdict[found.action])}"
        for what, end in (("sender", found.egress), ("receiver", found.ingress)):
            if end is not None:
                interface_id, action, rule_ids = end
                rules = f" by {listed([clean(rule_id) for rule_id in rule_ids])}" if rule_ids else ""
                named = labels.interface_named(interface_id)
                yield f"    {what} {named}: {style.verdict(Verdict[action])}{rules}"


def _line(outcome: Outcome) -> str:
    expectation = outcome.expectation
    return f"{expectation.expected.name.lower()}: {expectation.text}"


def expectations_json(outcomes: Sequence[Outcome]) -> bytes:
    """One document, indented; ends with a line feed."""
    document = {
        "schema": EXPECTATIONS_SCHEMA,
        "expectations": len(outcomes),
        "failed": sum(not outcome.holds for outcome in outcomes),
        "results": [_result(outcome) for outcome in outcomes],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _result(outcome: Outcome) -> dict[str, object]:
    expectation = outcome.expectation
    return {
        "line": expectation.place.line,
        "column": expectation.place.column,
        "name": expectation.name,
        "expected": expectation.expected.name,
        "text": expectation.text,
        "holds": outcome.holds,
        "note": outcome.note,
        "counterexample": None if outcome.counterexample is None else _example(outcome.counterexample),
    }


def _example(found: Counterexample) -> dict[str, object]:
    ends = {}
    for name, end in (("egress", found.egress), ("ingress", found.ingress)):
        ends[name] = None if end is None else dict(zip(("interface_id", "action", "rule_ids"), end))
    return {"flow": found.flow, "path_action": found.action, **ends}


def expectations_junit(outcomes: Sequence[Outcome]) -> bytes:
    """One suite, one case an expectation."""
    failed = sum(not outcome.holds for outcome in outcomes)
    counts = f'tests="{len(outcomes)}" failures="{failed}" errors="0" skipped="0"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="sgsim test" {counts}>',
        f'  <testsuite name="sgsim.test" {counts}>',
        *(_case(outcome) for outcome in outcomes),
        "  </testsuite>",
        "</testsuites>",
        "",
    ]
    return "\n".join(lines).encode("utf-8", "backslashreplace")


def _case(outcome: Outcome) -> str:
    name = outcome.expectation.name or _line(outcome)
    opening = f'    <testcase classname="sgsim.test" name={_text(f"line {outcome.expectation.place.line}: {name}")}'
    if outcome.holds:
        return f"{opening}/>"
    found = outcome.counterexample
    message = outcome.note if found is None else f"{found.flow} {found.action}"
    return f'{opening}><failure type="expectation" message={_text(f"{_line(outcome)}: {message}")}/></testcase>'


def _text(value: str) -> str:
    """A quoted attribute; control characters, which XML cannot hold, are escaped."""
    return quoteattr(clean(value), {'"': "&quot;"})
