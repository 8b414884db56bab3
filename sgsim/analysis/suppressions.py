"""Findings that are known and accepted for a while: who looked at them, why, and until when.

[[suppress]]
finding = "unused/sgr-0123456789abcdef0"    # or rule = "sgr-…": every finding about it
reason = "the yearly audit uses it"
until = 2027-01-31
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from os import PathLike
from pathlib import Path
from typing import Any

from sgsim.analysis.findings import Finding
from sgsim.errors import InputError

__all__ = ["Judged", "Suppression", "judge_findings", "read_suppressions"]

_KEYS = {"finding", "rule", "reason", "until"}
_ADVICE = "each [[suppress]] has finding or rule, reason, and until = YYYY-MM-DD"


@dataclass(frozen=True, slots=True)
class Suppression:
    """One entry. `finding` is a finding's id or `rule` what it is about; it holds up to and including `until`."""

    reason: str
    until: date
    finding: str | None = None
    rule: str | None = None

    @property
    def target(self) -> str:
        return self.finding or self.rule or ""

    def covers(self, finding: Finding) -> bool:
        return self.finding == finding.finding_id if self.finding else self.rule == finding.subject


@dataclass(frozen=True, slots=True)
class Judged:
    """Findings that stand, those that are suppressed with the entry that does it, and entries that do nothing:
    `expired` ones, and `unknown` ones, which name a finding that is not there (any more)."""

    open: tuple[Finding, ...]
    suppressed: tuple[tuple[Finding, Suppression], ...] = ()
    expired: tuple[Suppression, ...] = ()
    unknown: tuple[Suppression, ...] = ()


def judge_findings(findings: Iterable[Finding], suppressions: Iterable[Suppression], today: date) -> Judged:
    """Which findings stand today."""
    entries = list(suppressions)
    valid = [entry for entry in entries if entry.until >= today]
    found = list(findings)
    standing: list[Finding] = []
    suppressed: list[tuple[Finding, Suppression]] = []
    for finding in found:
        by = next((entry for entry in valid if entry.covers(finding)), None)
        if by is None:
            standing.append(finding)
        else:
            suppressed.append((finding, by))
    return Judged(
        tuple(standing),
        tuple(suppressed),
        tuple(entry for entry in entries if entry.until < today),
        tuple(entry for entry in valid if not any(entry.covers(finding) for finding in found)),
    )


def read_suppressions(path: str | PathLike[str]) -> list[Suppression]:
    """Read a TOML file. Raises InputError, and OSError where it cannot be read."""
    source = str(path)
    try:
        document = tomllib.loads(Path(path).read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"is not TOML: {error}", source=source, advice=_ADVICE) from None
    entries = document.pop("suppress", [])
    if document or not isinstance(entries, list):
        name = next(iter(document), "suppress")
        raise InputError(f"{name!r} is not understood here", source=source, advice=_ADVICE)
    return [_entry(source, n, entry) for n, entry in enumerate(entries)]


def _entry(source: str, number: int, entry: Any) -> Suppression:
    def wrong(problem: str) -> InputError:
        return InputError(problem, source=source, where=f"suppress[{number}]", advice=_ADVICE)

    if not isinstance(entry, dict):
        raise wrong("is not a table")
    if unknown := sorted(entry.keys() - _KEYS):
        raise wrong(f"{unknown[0]!r} is not understood here")
    if ("finding" in entry) == ("rule" in entry):
        raise wrong("names neither finding nor rule, or both")
    for key in ("finding", "rule", "reason"):
        if key in entry and not (isinstance(entry[key], str) and entry[key].strip()):
            raise wrong(f"{key} is not a text")
    if "reason" not in entry:
        raise wrong("reason is missing")
    until = entry.get("until")
    if isinstance(until, datetime) or not isinstance(until, date):
        raise wrong("until is missing" if until is None else "until is not a date")
    return Suppression(entry["reason"], until, entry.get("finding"), entry.get("rule"))
