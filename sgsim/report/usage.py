"""Everything that a report on the use of rules says, gathered once for all formats; and findings in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sgsim.analysis.findings import Finding, OverQuota, Redundant, RedundantHere, RefersToNothing, Unused, Wider
from sgsim.analysis.suppressions import Judged
from sgsim.analysis.usage import Removal, Usage
from sgsim.report.labels import Labels
from sgsim.report.style import counted, listed, number

__all__ = ["Source", "UsageReport", "cause_in_words", "detail", "sentence", "span_in_words"]

_CAUSES = {
    "no such group": "there is no such group",
    "no way": "no peering or transit gateway carries the reference",
    "no member": "no interface has the group",
    "no entry": "the prefix list is empty",
}


@dataclass(frozen=True, slots=True)
class Source:
    """A file of traffic: how many packets or lines (`unit`) it has, how many were used, and what the others are."""

    name: str
    unit: str
    total: int
    used: int
    others: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class UsageReport:
    """A finished run. `source` is where the environment was read from, `options` what the user chose beside it.

    `removal` answers what can go together; `verified` says how that was checked, "" if it could not be.
    `notes` are remarks on the whole.
    """

    source: str
    labels: Labels
    sources: Sequence[Source]
    usage: Usage
    judged: Judged
    removal: Removal
    verified: str
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()


def sentence(finding: Finding, labels: Labels) -> str:
    """What is the matter, for somebody who sees nothing but this line."""
    if isinstance(finding, OverQuota):
        return f"{finding.what}: {detail(finding, labels)}"
    return f"{labels.rule(finding.subject)}: {detail(finding, labels)}"


def detail(finding: Finding, labels: Labels) -> str:
    """What is the matter, beside the rule's own words."""
    match finding:
        case Unused():
            return f"not used at {_seen(finding)}"
        case RedundantHere():
            flows = "its one flow is" if finding.flows == 1 else f"its {number(finding.flows)} flows are"
            return f"{flows} allowed by {listed(finding.with_rules)} too"
        case Redundant():
            return _covered(finding)
        case Wider():
            return f"used for {_used_for(finding)}"
        case RefersToNothing():
            return cause_in_words(finding)
        case OverQuota():
            return f"{number(finding.used)}, the default quota is {number(finding.limit)}"
    return finding.meaning


def _covered(finding: Redundant) -> str:
    others = listed(finding.covered_by) if finding.covered_by else "other groups of each of its interfaces"
    when = "" if finding.always or not finding.covered_by else ", as members and entries are now"
    tracking = "; without it, flows may become tracked" if finding.may_change_tracking else ""
    return f"allowed by {others}{when}{tracking}"


def cause_in_words(finding: RefersToNothing) -> str:
    return f"matches nothing: {_CAUSES[finding.cause]} ({finding.peer})"


def _seen(finding: Unused) -> str:
    if finding.seen == finding.interfaces:
        return counted(finding.seen, "interface")
    return f"{number(finding.seen)} of {counted(finding.interfaces, 'interface')} seen"


def _used_for(finding: Wider) -> str:
    parts = []
    if finding.cidrs:
        held = "" if all(cidr.prefix_length in (32, 128) for cidr in finding.cidrs) else _share(finding)
        parts.append(f"{listed([str(cidr) for cidr in finding.cidrs], 8)}{held}")
    if finding.services:
        parts.append(listed(finding.services, 8))
    return "; ".join(parts)


def _share(finding: Wider) -> str:
    """How much narrower that is: `(1/65,536 of its addresses)`."""
    return f" (1/{number(max(1, finding.addresses // max(1, finding.seen_addresses)))} of its addresses)"


def span_in_words(seconds: int) -> str:
    """`12 minutes`, `3 hours`, `9 days`; rounded down, so that nothing is made more of than it is."""
    for size, noun in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * size or (seconds >= size and noun == "minute"):
            return counted(seconds // size, noun)
    return counted(seconds, "second")
