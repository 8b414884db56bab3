"""The use of rules, for people."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from sgsim.analysis.findings import KINDS, Finding, OverQuota
from sgsim.analysis.usage import Removal, Status
from sgsim.analysis.usage_quotas import QuotaUse, in_words
from sgsim.report.replay import environment_warnings
from sgsim.report.style import Style, clean, columns, counted, listed, moment, number, span
from sgsim.report.usage import UsageReport, detail, span_in_words

__all__ = ["usage_text"]

MOST_FILES, MOST_RULES, MOST_FINDINGS, MOST_GAPS = 12, 40, 40, 5
NEARLY = 0.8  #: of a quota


def usage_text(report: UsageReport, style: Style) -> str:
    """The whole report; ends with a line feed."""
    parts = [
        _traffic(report, style),
        _rules(report, style),
        *(_findings(report, style, kind, list(found)) for kind, found in groupby(report.judged.open, _kind)),
        _quotas(report, style),
        _together(report, style),
        _remarks(report, style),
    ]
    return "\n".join("\n".join(part) + "\n" for part in map(list, parts) if part)


def _kind(finding: Finding) -> str:
    return finding.kind


def _traffic(report: UsageReport, style: Style) -> Iterator[str]:
    yield style.heading("Observed")
    for source in report.sources[:MOST_FILES]:
        yield f"  {clean(source.name)}: {number(source.used)} of {counted(source.total, source.unit)} used"
    if len(report.sources) > MOST_FILES:
        yield f"  {counted(len(report.sources) - MOST_FILES, 'more file')}"
    window = report.usage.use.window
    if window.start is None or window.end is None:
        yield "  nothing: there is no record, so nothing can be said of any rule"
        return
    yield f"  {span(window.start, window.end)}: {_extent(report)}"
    for gap in window.gaps[:MOST_GAPS]:
        yield f"    gap: {span(gap.start, gap.end)} ({span_in_words(gap.end - gap.start)})"
    if len(window.gaps) > MOST_GAPS:
        yield f"    … {counted(len(window.gaps) - MOST_GAPS, 'more gap')}; --format json has all"
    yield f"  {style('what happens less often than that does not show here', 'dim')}"


def _extent(report: UsageReport) -> str:
    window = report.usage.use.window
    days = "on 1 day" if window.days == 1 else f"on {number(window.days_seen)} of {counted(window.days, 'day')}"
    gaps = (
        "no gap of an hour or more"
        if not window.gaps
        else f"{counted(len(window.gaps), 'gap')} of an hour or more, "
        f"{span_in_words(sum(gap.end - gap.start for gap in window.gaps))} in all"
    )
    return f"{span_in_words(window.seconds)}, {days}, {gaps}"


def _rules(report: UsageReport, style: Style) -> Iterator[str]:
    usage, labels = report.usage, report.labels
    use = usage.use
    used = sorted(
        (n for n in range(len(usage.rules)) if use.flows[n]), key=lambda n: (-int(use.flows[n]), usage.rules[n].rule_id)
    )
    if not used:
        return
    meaning = "flows that open a connection, at this end; sole: no other rule allows them; peers: different other ends"
    yield f"{style.heading('Rules')}  {style(meaning, 'dim')}"
    rows: list[tuple[str, ...]] = [("flows", "sole", "packets", "bytes", "peers", "last", "rule", "group", "")]
    for n in used[:MOST_RULES]:
        rule, peers = usage.rules[n], use.peers.get(n)
        known = "0" if peers is None else f"{'' if peers.exact else '~'}{number(peers.count)}"
        sums = (number(int(column[n])) for column in (use.flows, use.sole, use.packets, use.bytes))
        last = moment(int(use.last[n])).removesuffix(" UTC")
        rows.append((*sums, known, last, clean(rule.rule_id), labels.group(rule.group_id), labels.what(rule)))
    yield from columns(rows, ">>>>><<<<")
    if len(used) > MOST_RULES:
        yield f"  … {counted(len(used) - MOST_RULES, 'more rule')} in use; --format json has all"
    yield from _others(report)


def _others(report: UsageReport) -> Iterator[str]:
    """Rules of which this traffic says nothing, or nothing sure."""
    usage, labels = report.usage, report.labels
    meanings = {
        Status.POSSIBLE: "may be what lets in traffic of which that is not known: nothing is said of them",
        Status.UNOBSERVED: "belong to groups whose interfaces are not in this traffic: nothing can be said",
    }
    for status, meaning in meanings.items():
        found = [rule for rule, what in zip(usage.rules, usage.status) if what is status]
        if found:
            groups = listed(sorted({labels.group(rule.group_id) for rule in found}), 6)
            yield f"  {counted(len(found), 'rule')} {meaning} ({groups})"
    idle = sorted({rule.group_id for rule, what in zip(usage.rules, usage.status) if what is Status.UNATTACHED})
    if idle:
        yield f"  on no interface: {listed([labels.group(group_id) for group_id in idle], 6)}"


def _findings(report: UsageReport, style: Style, kind: str, found: list[Finding]) -> Iterator[str]:
    yield f"{style.heading(kind)}  {style(f'{KINDS[kind].meaning}: {number(len(found))}', 'dim')}"
    labels = report.labels
    rows = []
    for finding in found[:MOST_FINDINGS]:
        rule = labels.rules.get(finding.subject)
        if isinstance(finding, OverQuota) or rule is None:
            rows.append((clean(finding.subject), "", "", detail(finding, labels)))
        else:
            rows.append(
                (clean(finding.subject), labels.group(rule[1].group_id), labels.what(rule[0]), detail(finding, labels))
            )
    yield from columns(rows, "<<<<")
    if len(found) > MOST_FINDINGS:
        yield f"  … {number(len(found) - MOST_FINDINGS)} more; --format json has all"


def _quotas(report: UsageReport, style: Style) -> Iterator[str]:
    """The fullest bucket of all, and whatever is nearly full."""
    uses = sorted(report.usage.quotas, key=lambda use: (-use.share, use.subject, use.bucket))
    if not uses:
        return
    yield f"{style.heading('Quotas')}  {style('of the defaults of AWS; prefix lists count with their weight', 'dim')}"
    near = [use for use in uses if use.share >= NEARLY]
    yield from columns([_quota(use) for use in (near or uses[:3])[:MOST_RULES]], ">><")


def _quota(use: QuotaUse) -> tuple[str, str, str]:
    return f"{use.share:.0%}", f"{number(use.used)} of {number(use.limit)}", clean(in_words(use))


def _together(report: UsageReport, style: Style) -> Iterator[str]:
    removal, labels = report.removal, report.labels
    if not removal.asked:
        return
    yield style.heading("Together")
    if not removal.removed:
        none = "the rule cannot" if len(removal.asked) == 1 else f"none of {number(len(removal.asked))} rules can"
        yield f"  {none} go without a flow of this traffic being lost"
    elif not report.verified:
        yield "  not verified, so not shown: with the rules gone, a second run gave other verdicts"
        return
    else:
        yield f"  {_removed(removal)}, and every flow of this traffic is still allowed"
        yield f"  {style(f'verified: {report.verified}', 'dim')}"
        rows = []
        for rule_id in removal.removed[:MOST_RULES]:
            rule, group = labels.rules[rule_id]
            rows.append((clean(rule_id), labels.group(group.group_id), labels.what(rule)))
        yield from columns(rows, "<<<", indent="    ")
        if len(removal.removed) > MOST_RULES:
            yield f"    … {number(len(removal.removed) - MOST_RULES)} more; --format json has all"
    if removal.chosen:
        shown = listed([clean(rule_id) for rule_id in removal.chosen], 6)
        best = "no smaller choice exists" if removal.smallest else "no single further rule can go"
        yield f"  kept in place of others that allow the same flows: {shown}; {best}"
    if removal.maybe:
        shown = listed([clean(rule_id) for rule_id in removal.maybe], 6)
        yield f"  kept because traffic may need them, though that is not known: {shown}"


def _removed(removal: Removal) -> str:
    removed, asked = len(removal.removed), len(removal.asked)
    if removal.all_can_go:
        return "the rule can go" if asked == 1 else f"all {number(asked)} rules can go together"
    return f"{number(removed)} of {number(asked)} rules can go{' together' if removed > 1 else ''}"


def _remarks(report: UsageReport, style: Style) -> Iterator[str]:
    judged = report.judged
    lines = [clean(note) for note in report.notes]
    if judged.suppressed:
        lines.append(f"{counted(len(judged.suppressed), 'finding')} suppressed")
    lines += [
        f"suppression of {clean(entry.target)} expired on {entry.until}: {clean(entry.reason)}"
        for entry in judged.expired
    ]
    lines += [f"suppression of {clean(entry.target)} fits no finding" for entry in judged.unknown]
    lines += [clean(warning) for warning in environment_warnings(report.labels.environment)]
    if lines:
        yield style.heading("Remarks")
        yield from (f"  {line}" for line in lines)
