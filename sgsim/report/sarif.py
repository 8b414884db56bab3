"""Findings as SARIF 2.1.0, for code scanning.

A result's fingerprint is the finding's id, so that an alert stays the same from run to run. What it points at is the
file of the export that describes the group, and the rule by its id as a logical location.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import msgspec

from sgsim.analysis.findings import KINDS, Finding, OverQuota, RefersToNothing, Unused
from sgsim.analysis.suppressions import Suppression
from sgsim.report.usage import UsageReport, sentence

__all__ = ["sarif"]

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(report: UsageReport, version: str) -> bytes:
    """The log, indented; ends with a line feed. `version` is sgsim's."""
    judged = report.judged
    results = [_result(finding, report) for finding in judged.open]
    results += [_result(finding, report, by) for finding, by in judged.suppressed]
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "sgsim", "semanticVersion": version, "rules": list(_rules())}},
                "columnKind": "unicodeCodePoints",
                "results": results,
            }
        ],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _rules() -> Iterable[dict[str, Any]]:
    """Every kind of finding, whether or not there is one, in the order of reports."""
    for kind, each in KINDS.items():
        yield {
            "id": kind,
            "name": each.__name__,
            "shortDescription": {"text": each.meaning},
            "defaultConfiguration": {"level": _level(each)},
        }


def _level(kind: type[Finding]) -> str:
    """Nothing here is an error by itself: a rule too many is a matter of taste and time."""
    return "warning" if kind in (Unused, RefersToNothing, OverQuota) else "note"


def _result(finding: Finding, report: UsageReport, by: Suppression | None = None) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.kind,
        "ruleIndex": list(KINDS).index(finding.kind),
        "level": _level(type(finding)),
        "message": {"text": sentence(finding, report.labels)},
        "locations": [_location(finding, report)],
        "partialFingerprints": {"sgsimFindingId/v1": finding.finding_id},
    }
    if by is not None:
        result["suppressions"] = [{"kind": "external", "justification": f"{by.reason} (until {by.until})"}]
    return result


def _location(finding: Finding, report: UsageReport) -> dict[str, Any]:
    environment = report.labels.environment
    name = (
        f"{finding.group_id}/{finding.subject}" if finding.group_id not in (None, finding.subject) else finding.subject
    )
    location: dict[str, Any] = {
        "logicalLocations": [{"name": finding.subject, "fullyQualifiedName": name, "kind": "member"}]
    }
    group = environment.groups.get(finding.group_id or "")
    interface = environment.interfaces.get(finding.subject.partition("/")[0])
    origin = group.origin if group is not None else interface.origin if interface is not None else ""
    file = origin.partition(", ")[0] or report.source
    location["physicalLocation"] = {"artifactLocation": {"uri": quote(file)}, "region": {"startLine": 1}}
    return location
