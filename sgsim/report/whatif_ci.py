"""A what-if for code scanning (SARIF 2.1.0) and continuous integration (JUnit XML).

A result's fingerprint and a case's name are the finding's id, so that an alert stays the same from run to run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import msgspec

from sgsim.analysis.whatif import KINDS
from sgsim.report.sarif import SCHEMA
from sgsim.report.style import clean
from sgsim.report.whatif import Found, WhatIfReport

__all__ = ["whatif_junit", "whatif_sarif"]

_ERRORS = {"newly-rejected", "cut", "opens-internet", "quota"}
_NOTES = {"opened", "closed", "newly-accepted", "surely-accepted", "fails-on-reconnect"}


def whatif_sarif(report: WhatIfReport, version: str) -> bytes:
    """The log, indented; ends with a line feed. `version` is sgsim's."""
    order = list(KINDS)
    rules = [
        {
            "id": kind,
            "name": "".join(word.capitalize() for word in kind.split("-")),
            "shortDescription": {"text": meaning},
            "defaultConfiguration": {"level": _level(kind)},
        }
        for kind, meaning in KINDS.items()
    ]
    results = [
        {
            "ruleId": found.kind,
            "ruleIndex": order.index(found.kind),
            "level": _level(found.kind),
            "message": {"text": found.sentence},
            "locations": [_location(found, report)],
            "partialFingerprints": {"sgsimFindingId/v1": found.finding_id},
        }
        for found in report.found
    ]
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "sgsim", "semanticVersion": version, "rules": rules}},
                "columnKind": "unicodeCodePoints",
                "results": results,
            }
        ],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _level(kind: str) -> str:
    return "error" if kind in _ERRORS else "note" if kind in _NOTES else "warning"


def _location(found: Found, report: WhatIfReport) -> dict[str, Any]:
    """The file that holds the changes, where a reviewer looks; groups and interface by their ids."""
    names = [*found.group_ids, *([found.interface_id] if found.interface_id else [])]
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": {"uri": quote(report.asked)}, "region": {"startLine": 1}}
    }
    if names:
        location["logicalLocations"] = [{"name": name, "fullyQualifiedName": name, "kind": "member"} for name in names]
    return location


def whatif_junit(report: WhatIfReport, failing: Sequence[str]) -> bytes:
    """One suite a kind, one case a finding; those of `failing` kinds are failures, a kind without any passes."""
    suites, failures, tests = [], 0, 0
    for kind in KINDS:
        found = [one for one in report.found if one.kind == kind]
        cases = [_case(one, kind in failing) for one in found]
        cases = cases or [f"    <testcase classname={_text('sgsim.whatif.' + kind)} name={_text('no ' + kind)}/>"]
        failed = len(found) if kind in failing else 0
        head = f"  <testsuite name={_text('sgsim.whatif.' + kind)} {_counts(len(cases), failed)}>"
        suites += [head, *cases, "  </testsuite>"]
        failures, tests = failures + failed, tests + len(cases)
    opening = f'<testsuites name="sgsim whatif" {_counts(tests, failures)}>'
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', opening, *suites, "</testsuites>", ""]
    return "\n".join(lines).encode("utf-8", "backslashreplace")


def _counts(tests: int, failures: int) -> str:
    return f'tests="{tests}" failures="{failures}" errors="0" skipped="0"'


def _case(found: Found, fails: bool) -> str:
    opening = f"    <testcase classname={_text('sgsim.whatif.' + found.kind)} name={_text(found.finding_id)}>"
    if fails:
        failure = f"<failure type={_text(found.kind)} message={_text(found.sentence)}/>"
        return f"{opening}{failure}</testcase>"
    return f"{opening}<system-out>{_text(found.sentence)[1:-1]}</system-out></testcase>"


def _text(value: str) -> str:
    """A quoted attribute; control characters, which XML cannot hold, are escaped."""
    return quoteattr(clean(value), {'"': "&quot;"})
