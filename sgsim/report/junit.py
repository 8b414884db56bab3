"""Findings as JUnit XML, for continuous integration: one suite a kind, one case a finding, named by its id."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

from sgsim.analysis.findings import KINDS, Finding
from sgsim.analysis.suppressions import Suppression
from sgsim.report.style import clean
from sgsim.report.usage import UsageReport, sentence

__all__ = ["junit"]


def junit(report: UsageReport, failing: Sequence[str]) -> bytes:
    """The document; findings of `failing` kinds are failures, others pass and tell what there is to tell.

    A kind without findings is one passing case, so that no suite is empty.
    """
    judged = report.judged
    suites = []
    failures = skipped = tests = 0
    for kind in KINDS:
        standing = [finding for finding in judged.open if finding.kind == kind]
        let_be = [(finding, by) for finding, by in judged.suppressed if finding.kind == kind]
        cases = [_case(finding, report, kind in failing) for finding in standing]
        cases += [_suppressed(finding, by) for finding, by in let_be]
        failed = len(standing) if kind in failing else 0
        cases = cases or [f"    <testcase classname={_text('sgsim.usage.' + kind)} name={_text('no ' + kind)}/>"]
        suites += [
            f"  <testsuite name={_text('sgsim.usage.' + kind)} {_counts(len(cases), failed, len(let_be))}>",
            *cases,
            "  </testsuite>",
        ]
        failures, skipped, tests = failures + failed, skipped + len(let_be), tests + len(cases)
    head = f'<testsuites name="sgsim usage" {_counts(tests, failures, skipped)}>'
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', head, *suites, "</testsuites>", ""]
    return "\n".join(lines).encode("utf-8", "backslashreplace")


def _counts(tests: int, failures: int, skipped: int) -> str:
    return f'tests="{tests}" failures="{failures}" errors="0" skipped="{skipped}"'


def _case(finding: Finding, report: UsageReport, fails: bool) -> str:
    opening = f"    <testcase classname={_text('sgsim.usage.' + finding.kind)} name={_text(finding.finding_id)}>"
    message = sentence(finding, report.labels)
    if fails:
        return f"{opening}<failure type={_text(finding.kind)} message={_text(message)}/></testcase>"
    return f"{opening}<system-out>{_text(message)[1:-1]}</system-out></testcase>"


def _suppressed(finding: Finding, by: Suppression) -> str:
    opening = f"    <testcase classname={_text('sgsim.usage.' + finding.kind)} name={_text(finding.finding_id)}>"
    return f"{opening}<skipped message={_text(f'{by.reason} (until {by.until})')}/></testcase>"


def _text(value: str) -> str:
    """A quoted attribute; control characters, which XML cannot hold, are escaped."""
    return quoteattr(clean(value), {'"': "&quot;"})
