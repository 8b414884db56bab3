"""Flow logs in the report for people: what became of their lines, and where the rules disagree with the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sgsim.analysis.acls import AclAnswer
from sgsim.analysis.agreement import MANY, Agreement, Cause, Disagreement
from sgsim.flows import AMBIGUOUS, INGRESS
from sgsim.model import TCP, UDP, protocol_name
from sgsim.report.labels import Labels
from sgsim.report.logs import LogFile, LogPart
from sgsim.report.style import Style, clean, columns, counted, number
from sgsim.verdicts import Verdict

__all__ = ["agreement_text", "log_files_text", "share"]

MOST_FILES, MOST_GROUPS, MOST_UNDECIDED, MOST_RULES = 12, 8, 3, 3

_MEANINGS = {
    Cause.NETWORK_ACL: "a network ACL denies what the groups accept",
    Cause.OTHER_FILTER: "the log names another reason",
    Cause.AFTER_CLOSE: "late packets of connections that had ended: no evidence about rules",
    Cause.RULE_CHANGED: "later records of the same service agree: the rules were others before",
    Cause.GUESSED: "the verdict rests on a guess about who began (--likely)",
    Cause.UNEXPLAINED: "nothing in the log or the environment explains it",
    Cause.UNRESOLVED: "a rule refers to what the input does not contain, or to ports of a later fragment",
    Cause.NO_INTERFACE: "no such interface or group in the environment",
    Cause.ICMP_TYPE: "rules look at ICMP's type, which a flow log does not tell",
    Cause.WHO_BEGAN: "the log does not show who began, or whether the connection was still open",
}


def log_files_text(log: LogPart) -> Iterator[str]:
    """Each file; of many files only those of which something was not used."""
    shown = list(log.files)
    if len(shown) > MOST_FILES:
        shown = [file for file in shown if file.malformed or file.skipdata or file.incomplete or file.notes][
            :MOST_FILES
        ]
    for file in shown:
        yield f"  {clean(file.source)}: {counted(file.lines, 'line')}, {_lines(file)}"
        yield from (f"    {clean(note)}" for note in file.notes)
    if len(log.files) > len(shown):
        rest = [file for file in log.files if all(file is not one for one in shown)]
        lines, records = sum(file.lines for file in rest), sum(file.ok for file in rest)
        yield f"  {counted(len(rest), 'more file')}: {counted(lines, 'line')}, {counted(records, 'record')}"
    yield from (f"  {clean(note)}" for note in log.notes)
    if any(file.skipdata for file in log.files):
        yield "  SKIPDATA: records are missing from this log; what it does not show may still have happened"
    if log.late:
        yield f"  {counted(log.late, 'record')} later than the join window: judged alone"
    if log.forgotten:
        yield f"  {counted(log.forgotten, 'connection')} forgotten for lack of room, the quietest first"


def _lines(file: LogFile) -> str:
    parts = [counted(file.ok, "record")]
    for value, text in (
        (file.nodata, "NODATA"),
        (file.skipdata, "SKIPDATA"),
        (file.incomplete, "without a field that a flow needs"),
        (file.transit_gateway, "of a transit gateway"),
        (file.efa, "EFA"),
        (file.header, "header"),
        (file.blank, "blank"),
    ):
        if value:
            parts.append(f"{number(value)} {text}")
    causes = sorted(file.causes.items(), key=lambda cause: (-cause[1], cause[0]))
    parts += [f"{number(lines)} {clean(cause)} (first in line {file.first_line[cause]})" for cause, lines in causes]
    return "; ".join(parts)


def agreement_text(log: LogPart, labels: Labels, style: Style) -> Iterator[str]:
    """The rate, the classes, and the largest groups of each."""
    agreement = log.agreement
    if not agreement.compared:
        if agreement.without_action:
            yield style.heading("Agreement")
            yield "  the log has no actions to compare with"
        return
    yield style.heading("Agreement") + "  " + style("of these verdicts with the log's own actions", "dim")
    decided = agreement.agreeing + agreement.contrary
    rate = f" ({share(agreement)})" if agreement.rate is not None else ""
    agree = f"{number(agreement.agreeing)} of {counted(decided, 'record')} agree{rate}"
    yield f"  {agree}; {number(agreement.undecided)} undecided"
    if agreement.without_action:
        yield f"  {counted(agreement.without_action, 'record')} without an action"
    causes = agreement.causes()
    for undecided in (False, True):
        found = [cause for cause in causes if cause.undecided is undecided]
        for cause in sorted(found, key=lambda cause: -causes[cause]):
            look = Verdict.UNKNOWN if undecided else Verdict.REJECT if cause is Cause.UNEXPLAINED else Verdict.ACCEPT
            yield (
                "  "
                + style.verdict(look, f"{cause.name}  {counted(causes[cause], 'record')}")
                + f"  {_MEANINGS[cause]}"
            )
            yield from _groups(log, labels, [g for g in agreement.groups.values() if g.cause is cause], style)
    if Cause.WHO_BEGAN in causes and not log.likely:
        yield "  " + style("--likely takes for open and for a reply what the ports make look like one", "dim")


def share(agreement: Agreement) -> str:
    """`98.1 %`; never rounded up to 100."""
    rate = agreement.rate or 0.0
    text = f"{100 * rate:.1f}"
    return "99.9 %" if text == "100.0" and rate < 1 else f"{text} %"


def _groups(log: LogPart, labels: Labels, groups: list[Disagreement], style: Style) -> Iterator[str]:
    most = MOST_UNDECIDED if groups and groups[0].cause.undecided else MOST_GROUPS
    groups.sort(key=lambda group: (-group.records, group.start, group.key))
    rows, hints = [], []
    for group in groups[:most]:
        verdict = Verdict(group.key.action).name
        recorded = Verdict(group.key.recorded).name
        rows.append((_place(log, labels, group), _what(labels, group), f"{recorded} in the log, here {verdict}",
                     counted(group.records, "record")))  # fmt: skip
        hints.append(list(_evidence(log, labels, group)))
    for line, told in zip(columns(rows, "<<<>", indent="    ") if rows else [], hints):
        yield line
        yield from (f"      {style(hint, 'dim')}" for hint in told)
    if len(groups) > most:
        rest = sum(group.records for group in groups[most:])
        yield f"    … {number(len(groups) - most)} more ({counted(rest, 'record')}); --format json has all"


def _place(log: LogPart, labels: Labels, group: Disagreement) -> str:
    direction = ("ingress", "egress", "")[group.key.direction]
    if group.key.interface >= 0:
        return f"{labels.interface_ids[group.key.interface]} {direction}".rstrip()
    if group.key.interface == AMBIGUOUS:
        return "one of several interfaces"
    return clean(log.interface_names[group.key.detail]) if group.key.detail >= 0 else "no known interface"


def _what(labels: Labels, group: Disagreement) -> str:
    """`tcp 443 from 198.51.100.7`, `answers from tcp 443 from …`."""
    key, sample = group.key, group.sample
    service = protocol_name(key.protocol)
    if key.protocol in (TCP, UDP):
        service += " any port" if key.service == MANY else f" {key.service}"
    elif not service[0].isalpha():
        service = f"protocol {service}"
    source, target = ((sample.family, sample.srcaddr), (sample.family, sample.dstaddr))
    other = f"from {labels.address(source)}" if key.direction == INGRESS else f"to {labels.address(target)}"
    text = f"answers of {service}" if key.answer else service
    return f"{text} {other}"


def _evidence(log: LogPart, labels: Labels, group: Disagreement) -> Iterator[str]:
    cause = group.cause
    if cause is Cause.NETWORK_ACL:
        acl = log.agreement.acls.acls[group.key.detail >> 16]
        entry = group.key.detail & 0xFFFF
        yield f"{clean(acl.network_acl_id)} entry {'*' if entry >= 32767 else entry} denies it"
    elif cause is Cause.OTHER_FILTER:
        yield f"reject-reason {clean(log.refusals[group.key.detail])}"
    elif cause is Cause.RULE_CHANGED:
        yield f"{counted(group.agreed_since, 'record')} since agree"
    elif cause in (Cause.UNEXPLAINED, Cause.UNRESOLVED, Cause.ICMP_TYPE, Cause.WHO_BEGAN, Cause.GUESSED):
        yield from _rules(labels, group.rules, Verdict(group.key.action))
        if group.acl is AclAnswer.UNKNOWN and group.key.recorded == Verdict.REJECT:
            yield "the subnet's network ACL may deny it"


def _rules(labels: Labels, rules: Sequence[int], action: Verdict) -> Iterator[str]:
    verb = "accepted by" if action is Verdict.ACCEPT else "may be let in by"
    for rule in rules[:MOST_RULES]:
        yield f"{verb} {labels.rule(labels.rule_ids[rule])}"
    if len(rules) > MOST_RULES:
        yield f"and {number(len(rules) - MOST_RULES)} more rules"
