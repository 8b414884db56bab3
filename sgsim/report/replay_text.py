"""The report on a replay, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from sgsim.flows import AMBIGUOUS, EGRESS, INGRESS, NO_INTERFACE
from sgsim.model import ICMP, ICMPV6, TCP, UDP, CidrPeer
from sgsim.report.labels import Labels
from sgsim.report.logs_text import agreement_text, log_files_text
from sgsim.report.replay import FileCounts, ReplayReport, environment_warnings
from sgsim.report.situations import Line, Situation, service_text, situations
from sgsim.report.style import Style, clean, columns, counted, listed, number, span
from sgsim.report.tally import Count, GroupKey
from sgsim.report.timeline import timeline_text
from sgsim.verdicts import Reason, Verdict

__all__ = ["replay_text"]

ACCEPT, REJECT, UNKNOWN = Verdict.ACCEPT, Verdict.REJECT, Verdict.UNKNOWN
MOST_FILES, MOST_SITUATIONS, MOST_LINES, MOST_RULES = 12, 30, 12, 40

_REASONS = {
    Reason.RULE: "a rule matches",
    Reason.TRACKED: "belongs to a tracked connection",
    Reason.UNFILTERED: "interface without groups (gateway, endpoint, load balancer)",
    Reason.EXEMPT: "traffic that security groups never see (DNS, time, metadata …)",
    Reason.NO_RULE: "no rule matches",
    Reason.NO_INTERFACE: "neither end is in the environment",
    Reason.AMBIGUOUS_INTERFACE: "several interfaces could be meant",
    Reason.UNRESOLVED: "a rule may match; the input does not tell",
    Reason.UNDECODABLE: "could not be decoded",
}


def replay_text(report: ReplayReport, style: Style) -> str:
    """The whole report; ends with a line feed."""
    parts = [
        _traffic(report, style),
        _verdicts(report, style),
        timeline_text(report.time, report.labels, style) if report.time else (),
        agreement_text(report.log, report.labels, style) if report.log else (),
        *(_situations(report, style, *chapter) for chapter in _chapters(report)),
        _rules(report, style),
        _remarks(report, style),
    ]
    return "\n".join("\n".join(part) + "\n" for part in map(list, parts) if part)


def _traffic(report: ReplayReport, style: Style) -> Iterator[str]:
    yield style.heading("Traffic")
    yield from log_files_text(report.log) if report.log else _files(report.files)
    summary = report.summary
    if summary.neighbour_discovery:
        yield f"  {counted(summary.neighbour_discovery, 'packet')} of neighbour discovery: counted, not judged"
    if summary.backwards:
        yield f"  {counted(summary.backwards, 'packet')} earlier than the one before: judged in the order of the file"
    if report.tally.start is not None and report.tally.end is not None:
        yield f"  {span(report.tally.start, report.tally.end)}"


def _files(files: Sequence[FileCounts]) -> Iterator[str]:
    """Each file; of many files only those of which something was not used."""
    shown = list(files)
    if len(files) > MOST_FILES:
        shown = [file for file in files if file.decoded != file.total or file.notes][:MOST_FILES]
    for file in shown:
        yield f"  {clean(file.source)}: {counted(file.total, 'packet')}, {_use(file)}"
        yield from (f"    {clean(note)}" for note in file.notes)
    if len(files) > len(shown):
        packets = sum(file.total for file in files) - sum(file.total for file in shown)
        decoded = sum(file.decoded for file in files) - sum(file.decoded for file in shown)
        rest = "all decoded" if packets == decoded else f"{number(decoded)} decoded"
        yield f"  {counted(len(files) - len(shown), 'more file')}: {counted(packets, 'packet')}, {rest}"


def _use(file: FileCounts) -> str:
    if file.decoded == file.total:
        return "all decoded"
    causes = sorted(file.causes.items(), key=lambda cause: (-cause[1], cause[0]))
    unused = "; ".join(f"{number(packets)} {clean(cause)}" for cause, packets in causes)
    return f"{number(file.decoded)} decoded; not used: {unused}"


def _verdicts(report: ReplayReport, style: Style) -> Iterator[str]:
    yield style.heading("Verdicts") + f"  {style(_unit(report), 'dim')}"
    totals = report.tally.totals
    if not totals:
        yield f"  none: no {'record' if report.log else 'packet'} could be judged"
        return
    rows: list[tuple[str, str, str, str, str]] = [("", "records", "packets", "bytes", "")]
    looks: list[Verdict | None] = [None]
    for verdict in (ACCEPT, REJECT, UNKNOWN):
        reasons = sorted((reason, count) for (action, reason), count in totals.items() if action is verdict)
        if not reasons:
            continue
        total = Count()
        for _, count in reasons:
            total.add(count.records, count.packets, count.bytes)
        rows.append((verdict.name, *_numbers(total), ""))
        looks.append(verdict)
        for reason, count in reasons:
            rows.append((f"  {reason.name}", *_numbers(count), _meaning(report, reason)))
            looks.append(None)
    for line, verdict_ in zip(columns(rows, "<>>><"), looks):
        yield line if verdict_ is None else style.verdict(verdict_, line)
    if report.log:
        yield f"  {counted(report.summary.flows, 'flow')}"
        return
    paths = report.summary.paths
    whole = ", ".join(f"{number(paths.get(verdict, 0))} {verdict.name}" for verdict in (ACCEPT, REJECT, UNKNOWN))
    yield f"  {counted(report.summary.flows, 'flow')}; packets by their whole path, both ends: {whole}"


def _unit(report: ReplayReport) -> str:
    if report.log:
        return "one record as the log has it"
    aggregation = report.options.get("aggregation", 600)
    interval = "" if aggregation in (None, "none") else f" and {aggregation} seconds"
    return f"one record per interface, direction, flow{interval}"


def _numbers(count: Count) -> tuple[str, str, str]:
    return number(count.records), number(count.packets), number(count.bytes)


def _chapters(report: ReplayReport) -> list[tuple[str, str, Verdict, list[Situation]]]:
    """Heading, what it means, verdict and situations.

    At a vantage a rejected ingress is no rejection: AWS delivers only what the groups let through (design: a capture
    cannot show rejected ingress), so it is a disagreement between the capture and the environment.
    """
    groups = report.tally.groups.values()
    rejected, unknown = situations(groups, Verdict.REJECT), situations(groups, Verdict.UNKNOWN)
    chapters = [("Rejected", "", Verdict.REJECT, rejected), ("Unknown", "", Verdict.UNKNOWN, unknown)]
    if report.vantage is not None:
        sent = [situation for situation in rejected if situation.direction != INGRESS]
        arrived = [situation for situation in rejected if situation.direction == INGRESS]
        meaning = "arrived, though these rules would reject it: the rules were others then, or something else let it in"
        chapters[0] = ("Rejected", "", Verdict.REJECT, sent)
        chapters.insert(1, ("Disagreements", meaning, Verdict.UNKNOWN, arrived))
    return chapters


def _situations(
    report: ReplayReport, style: Style, heading: str, meaning: str, verdict: Verdict, found: list[Situation]
) -> Iterator[str]:
    if not found:
        return
    yield style.heading(heading) + (f"  {style(meaning, 'dim')}" if meaning else "")
    for situation in found[:MOST_SITUATIONS]:
        yield from _situation(report, style, verdict, situation)
    if len(found) > MOST_SITUATIONS:
        rest = counted(sum(situation.count.records for situation in found[MOST_SITUATIONS:]), "record")
        yield f"  … {number(len(found) - MOST_SITUATIONS)} more places ({rest}); --format json has all"


def _situation(report: ReplayReport, style: Style, verdict: Verdict, situation: Situation) -> Iterator[str]:
    yield f"  {style.verdict(verdict, _where(report, situation))}"
    lines = situation.lines[:MOST_LINES]
    rows = [(service_text(line), *_line_counts(line), _peers(report, situation, line)) for line in lines]
    for line, text in zip(lines, columns(rows, "<>><", indent="    ")):
        yield text
        yield from (f"      {style(hint, 'dim')}" for hint in report.nearest(situation, line))
    if len(situation.lines) > MOST_LINES:
        rest = counted(sum(line.count.records for line in situation.lines[MOST_LINES:]), "record")
        yield f"    … {counted(len(situation.lines) - MOST_LINES, 'more service')} ({rest})"
    yield from (f"    {hint}" for hint in _advice(report, situation))


def _where(report: ReplayReport, situation: Situation) -> str:
    reason = Reason(situation.reason)
    if situation.interface == NO_INTERFACE:
        place = "at no known interface" if report.vantage is None else "not at the vantage"
        return f"{place}: {_meaning(report, reason)}"
    if situation.direction not in (INGRESS, EGRESS):
        return f"{report.labels.interface(situation.interface)}: the log does not tell the direction"
    direction = "ingress" if situation.direction == INGRESS else "egress"
    groups = listed(report.labels.groups_of(situation.interface))
    place = f"{report.labels.interface(situation.interface)} {direction}"
    if reason is Reason.NO_RULE:
        return f"{place}: no {direction} rule of {groups} matches"
    return f"{place}: {_REASONS[reason]}" + (f" ({groups})" if groups else "")


def _meaning(report: ReplayReport, reason: Reason) -> str:
    if reason is Reason.NO_INTERFACE and report.vantage is not None:
        return f"neither end is {clean(report.vantage)}"
    if reason is Reason.NO_INTERFACE and report.log:
        return "the record's interface is not in the environment"
    return _REASONS[reason]


def _line_counts(line: Line) -> tuple[str, str]:
    return counted(line.count.records, "record"), counted(line.count.packets, "packet")


def _peers(report: ReplayReport, situation: Situation, line: Line) -> str:
    names = [report.labels.address(peer) for peer, _ in line.peers.most_common()]
    if situation.interface == NO_INTERFACE:
        sample = line.sample
        source, target = ((sample.family, sample.srcaddr), (sample.family, sample.dstaddr))
        return f"such as {report.labels.address(source)} > {report.labels.address(target)}"
    preposition = "from" if situation.direction == INGRESS else "to"
    if line.more_peers:
        shown = f"{', '.join(names[:3])} and many more" if names else "many addresses"
        return f"{preposition} {shown}"
    return f"{preposition} {listed(names)}"


def _advice(report: ReplayReport, situation: Situation) -> Iterator[str]:
    """What to do about an unknown verdict; a rejected one shows its nearest misses instead."""
    if situation.reason == Reason.NO_INTERFACE and report.vantage is not None:
        yield "advice: was the capture taken at another interface? only the one that --vantage names is judged"
    elif situation.reason == Reason.NO_INTERFACE:
        yield "advice: is the export complete (describe-network-interfaces of every account and Region involved)?"
    elif situation.direction not in (INGRESS, EGRESS):
        yield "advice: publish the log with flow-direction; nothing here tells which way these records go"
    elif situation.reason == Reason.AMBIGUOUS_INTERFACE or situation.interface == AMBIGUOUS:
        if report.log:
            yield "advice: publish the log with interface-id, or say which VPC is meant with --vpc"
            return
        yield "advice: say which VPC is meant with --vpc, or where the capture was taken with --vantage"
    elif situation.action == Verdict.UNKNOWN:
        rules = sorted({rule for line in situation.lines for rule in line.possible_rules})
        if report.log and rules:
            yield from _log_advice(report, situation, rules)
            return
        for rule in rules[:3]:
            yield f"may match: {report.labels.rule(report.labels.rule_ids[rule])}"
        if any(line.key.fragment for line in situation.lines):
            yield "advice: later fragments carry no ports; capture from the first fragment on"
        elif rules:
            yield "advice: add what these rules refer to (the other account's interfaces, the prefix list's entries)"
        else:
            yield "advice: add describe-security-groups and describe-network-interfaces of what is missing"


def _log_advice(report: ReplayReport, situation: Situation, rules: Sequence[int]) -> Iterator[str]:
    """What a flow log leaves open; rules of the other direction may have opened a connection."""
    labels = report.labels
    for rule in rules[:3]:
        verb = "may match" if _of_direction(labels, rule, situation.direction) else "may be let in as a reply by"
        yield f"{verb}: {labels.rule(labels.rule_ids[rule])}"
    keys = [line.key for line in situation.lines]
    if any(key.protocol in (ICMP, ICMPV6) for key in keys):
        yield "a flow log does not tell the type of ICMP"
    if any(_portless(key) for key in keys):
        yield "records without ports are later fragments, whose ports nobody tells"
    told = [line for line in situation.lines if line.key.protocol not in (ICMP, ICMPV6) and not _portless(line.key)]
    if any(_refers(labels, rule, situation.direction) for line in told for rule in line.possible_rules):
        yield "advice: add what these rules refer to (the other account's interfaces, the prefix list's entries)"


def _portless(key: GroupKey) -> bool:
    return key.protocol in (TCP, UDP) and key.service == 0


def _of_direction(labels: Labels, rule: int, direction: int) -> bool:
    known = labels.rules.get(labels.rule_ids[rule])
    return known is not None and int(known[0].direction) == direction


def _refers(labels: Labels, rule: int, direction: int) -> bool:
    """Whether a rule of the direction names a group or a prefix list."""
    known = labels.rules.get(labels.rule_ids[rule])
    return known is not None and int(known[0].direction) == direction and not isinstance(known[0].peer, CidrPeer)


def _rules(report: ReplayReport, style: Style) -> Iterator[str]:
    hits, labels = report.hits, report.labels
    if not report.tally.records:
        return
    order = sorted(range(len(labels.rule_ids)), key=lambda rule: (-int(hits.hits[rule]), labels.rule_ids[rule]))
    used = [rule for rule in order if hits.hits[rule]]
    yield (
        style.heading("Rules")
        + "  "
        + style("hits: flows that open a connection, at this end; sole: no other rule allows them", "dim")
    )
    if used:
        rows = [("hits", "sole", "rule", "group", "")]
        for rule in used[:MOST_RULES]:
            found = labels.rules.get(labels.rule_ids[rule])
            text, group = (labels.what(found[0]), labels.group(found[1].group_id)) if found else ("", "")
            counts = number(int(hits.hits[rule])), number(int(hits.sole[rule]))
            rows.append((*counts, clean(labels.rule_ids[rule]), group, text))
        yield from columns(rows, ">><<<")
        if len(used) > MOST_RULES:
            yield f"  … {counted(len(used) - MOST_RULES, 'more rule')} with hits; --format json has all"
    yield from _unused(report, [rule for rule in order if not hits.hits[rule]])


def _unused(report: ReplayReport, unused: list[int]) -> Iterator[str]:
    """Rules without hits; at a vantage only those of its groups, since nothing else is judged."""
    labels, vantage = report.labels, report.vantage
    found = [labels.rules[labels.rule_ids[rule]] for rule in unused if labels.rule_ids[rule] in labels.rules]
    judged = labels.used_groups if vantage is None else labels.groups_on(vantage)
    attached = [(rule, group) for rule, group in found if group.group_id in judged]
    if attached:
        whose = "of groups that an interface has" if vantage is None else f"of the groups of {clean(vantage)}"
        yield f"  no hits in this traffic: {counted(len(attached), 'rule')} {whose}"
        rows = [
            (clean(rule.rule_id), labels.group(group.group_id), labels.what(rule))
            for rule, group in islice(attached, MOST_RULES)
        ]
        yield from columns(rows, "<<<", indent="    ")
        if len(attached) > MOST_RULES:
            yield f"    … {number(len(attached) - MOST_RULES)} more; --format json has all"
    idle = {group.group_id for _, group in found} - labels.used_groups
    if idle:
        yield f"  on no interface: {listed(sorted(map(labels.group, idle)), 6)}"


def _remarks(report: ReplayReport, style: Style) -> Iterator[str]:
    lines = [f"  {clean(warning)}" for warning in environment_warnings(report.labels.environment)]
    if report.vantage is None and report.summary.disagreements:
        mirrored = counted(report.summary.disagreements, "mirrored packet")
        lines.append(
            f"  {mirrored} counted above as rejected ingress did arrive: the rules were others then, or something else "
            "let them in"
        )
    for interface_id, packets in sorted(report.summary.public_addresses.items()):
        whose = report.labels.interface_named(interface_id)
        lines.append(
            f"  {counted(packets, 'packet')} with a public address of {whose}: captured before translation; "
            "judged as a remote address, which no group reference matches"
        )
    if lines:
        yield style.heading("Remarks")
        yield from lines
