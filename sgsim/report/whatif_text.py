"""A what-if as text for people: four lines that say it all, then the details."""

from __future__ import annotations

from collections.abc import Iterator

from sgsim.analysis.whatif import KINDS, SpaceRow, TrafficPart
from sgsim.analysis.whatif_live import Fate, LiveChange, LiveForecast
from sgsim.analysis.whatif_traffic import TrafficChange
from sgsim.report.changes import changes_text
from sgsim.report.space import CHANGE_WORDS, space_lines
from sgsim.report.style import Style, clean, columns, counted, listed, moment, number
from sgsim.report.whatif import (
    WhatIfReport,
    answer_words,
    bucket_words,
    count_sums,
    count_words,
    exposed_words,
    live_words,
    service_text,
)
from sgsim.verdicts import Verdict

__all__ = ["summary_lines", "whatif_text"]

_MOST = 12  #: of causes, groups of connections, space changes and counts that are shown
_PLACES = 6  #: interfaces of one cause
_CHANGES = 60  #: lines of the difference
_BLOCKS = 8  #: address blocks of one line
_RED = {"newly-rejected", "surely-rejected", "cut", "closed", "opens-internet", "quota"}
_YELLOW = {"perhaps-rejected", "perhaps-accepted", "undetermined", "survives", "fails-on-reconnect"}


def whatif_text(report: WhatIfReport, style: Style) -> str:
    """The whole report; ends with a line feed."""
    answer = report.answer
    lines = [style.heading("Summary")]
    width = max(len(head) for head, _ in summary_lines(report))
    lines += [f"  {head:<{width}}  {text}" for head, text in summary_lines(report)]
    lines += ["", style.heading("Changes")]
    made = changes_text(answer.before, answer.after, style).rstrip("\n").split("\n")
    lines += [f"  {line}" for line in made[:_CHANGES]]
    if len(made) > _CHANGES:
        lines.append(f"  … {number(len(made) - _CHANGES)} more lines; 'sgsim apply' shows all")
    if answer.traffic is not None:
        lines += _traffic(report, answer.traffic, style)
        if answer.traffic.live is not None:
            lines += _live(report, answer.traffic.live, style)
    lines += _space(report, style)
    lines += _quota(report, style)
    if report.notes:
        lines += ["", style.heading("Remarks"), *(f"  {clean(note)}" for note in report.notes)]
    return "\n".join(lines) + "\n"


# -- the summary ---------------------------------------------------------------------------------------------------


def summary_lines(report: WhatIfReport) -> list[tuple[str, str]]:
    """(part, what becomes of it): what a reviewer reads in ten seconds."""
    answer = report.answer
    lines = []
    if answer.traffic is not None:
        lines.append(("traffic", _traffic_summary(answer.traffic)))
        if answer.traffic.live is not None:
            lines.append(("connections", _live_summary(answer.traffic.live)))
    else:
        lines.append(("traffic", "none given: --traffic FILE says what becomes of it"))
    lines.append(("packet space", _space_summary(report)))
    lines.append(("quota", _quota_summary(report)))
    return lines


def _traffic_summary(traffic: TrafficPart) -> str:
    parts = []
    for kind in KINDS:
        flows, answers = traffic.tally.flows.get(kind), traffic.tally.answers.get(kind)
        words = kind.replace("-", " ")
        if flows:
            whole = traffic.tally.connections[kind]
            weight = f"{counted(whole.packets, 'packet')}, {number(whole.bytes)} bytes"
            parts.append(f"{counted(flows.flows, 'flow')} {words} ({weight})")
        elif answers:
            parts.append(f"{counted(answers.flows, 'flow')} of answers {words}")
    packets = sum(map(sum, traffic.packets))
    same = sum(traffic.packets[n][n] for n in range(3))
    return "; ".join([*parts, f"{number(same)} of {counted(packets, 'packet')} as before"])


def _live_summary(live: LiveForecast) -> str:
    if not live.total:
        return f"none open at {moment(live.now)}"
    words = {
        Fate.CUT: "cut now",
        Fate.UNDETERMINED: "undetermined",
        Fate.SURVIVES: "survive until their timeout, then fail on reconnect",
        Fate.FAILS_ON_RECONNECT: "over already, fail on reconnect",
        Fate.GOES_ON: "not affected",
    }
    if live.count[Fate.SURVIVES] == 1:
        words[Fate.SURVIVES] = "survives until its timeout, then fails on reconnect"
    if live.count[Fate.FAILS_ON_RECONNECT] == 1:
        words[Fate.FAILS_ON_RECONNECT] = "over already, fails on reconnect"
    parts = [f"{number(live.count[fate])} {text}" for fate, text in words.items() if live.count[fate]]
    return f"{'; '.join(parts)}; of {number(live.total)} open at {moment(live.now)}"


def _space_summary(report: WhatIfReport) -> str:
    rows = report.answer.space
    if not rows:
        return "no packet has another verdict"
    parts = []
    exposed = [row for row in rows if row.exposed]
    if exposed:
        services = dict.fromkeys(map(exposed_words, exposed))
        ends = len({name for row in exposed for name in row.exposed})
        parts.append(f"OPENS TO THE INTERNET {listed(list(services))} at {counted(ends, 'interface')}")
    for word, names in (
        ("more", ("opened", "confirmed", "may_open")),
        ("less", ("closed", "refuted", "may_close")),
    ):
        ids = {
            name
            for row in rows
            if any(getattr(row.change.change, part) for part in names)
            for name in row.change.interface_ids
        }
        if ids:
            parts.append(f"{counted(len(ids), 'interface')} {'accept' if len(ids) > 1 else 'accepts'} {word}")
    return "; ".join(parts)


def _quota_summary(report: WhatIfReport) -> str:
    changes = report.answer.quota
    if not changes:
        return "no count changes"
    over = [change for change in changes if change.over]
    if over:
        return f"OVER: {listed([report.quota(change) for change in over])}"
    fullest = max(changes, key=lambda change: (change.after / change.limit, change.subject))
    return f"{counted(len(changes), 'count')} changed, none over; fullest: {report.quota(fullest)}"


# -- the parts -----------------------------------------------------------------------------------------------------


def _heading(kind: str, style: Style) -> str:
    color = "red" if kind in _RED else "yellow" if kind in _YELLOW else "green"
    return f"{style(kind.replace('-', ' ').capitalize(), 'bold', color)}  {KINDS[kind]}"


def _traffic(report: WhatIfReport, traffic: TrafficPart, style: Style) -> Iterator[str]:
    by_kind: dict[str, list[TrafficChange]] = {}
    for change in traffic.changes:
        by_kind.setdefault(change.kind, []).append(change)
    for kind, changes in by_kind.items():
        yield ""
        yield _heading(kind, style)
        together: dict[tuple[str, ...], list[TrafficChange]] = {}
        for change in changes:
            together.setdefault(_why(report, change, style), []).append(change)
        by_flows = sorted(together.items(), key=lambda each: -sum(change.count.flows for change in each[1]))
        for why, members in by_flows[:_MOST]:
            yield from (f"  {line}" for line in why)
            yield from _places(report, members)
        if len(together) > _MOST:
            yield f"  … {number(len(together) - _MOST)} more; --format json has all"
        yield from _tables(report, changes)


def _why(report: WhatIfReport, change: TrafficChange, style: Style) -> tuple[str, ...]:
    """The rules that pass the traffic on one side, and what became of them; what the other side says."""
    gone = change.kind.endswith("rejected")
    passes, other = (change.before, change.after) if gone else (change.after, change.before)
    word = "may be accepted by" if not passes.rule_ids else "was accepted by" if gone else "accepted by"
    lines = [f"{word} {rule}: {style(clean(cause), 'bold')}" for rule, cause in report.causes(change)]
    if not lines:
        lines = [f"{'before' if gone else 'now'}: {answer_words(passes)}"]
    remarks = "" if change.opening else "; answers of their connections"
    remarks += "; rejected in the log already" if change.refused else ""
    return *lines, f"{'now' if gone else 'before'}: {answer_words(other)}{remarks}"


def _places(report: WhatIfReport, members: list[TrafficChange]) -> Iterator[str]:
    """The interfaces where flows change for one reason."""
    for change in members[:_PLACES]:
        yield f"    {report.interface(change.interface_id)} {change.direction.name.lower()}"
        services = listed([service_text(service) for service, _ in change.services], 6)
        yield f"      {services} {report.peers(change)}: {count_words(change.count)}"
        if change.opening and change.connections.packets > change.count.packets:
            whole = change.connections
            size = f"{counted(whole.packets, 'packet')}, {number(whole.bytes)} bytes both ways"
            yield f"      of {counted(whole.flows, 'connection')} with {size}"
    if len(members) > _PLACES:
        flows = counted(sum(change.count.flows for change in members[_PLACES:]), "flow")
        yield f"    … {flows} at {counted(len(members) - _PLACES, 'more interface')}"


def _tables(report: WhatIfReport, changes: list[TrafficChange]) -> Iterator[str]:
    """The same by rule, by group and by interface, where that is something else than the list above."""
    for head, key in (
        ("by rule", lambda change: [report.rule(rule_id) for rule_id in change.rule_ids]),
        ("by group", lambda change: _groups(report, change)),
        ("by interface", lambda change: [report.interface(change.interface_id)]),
    ):
        rows = count_sums(changes, key)
        if 1 < len(rows) < len([change for change in changes if change.opening]):
            yield f"  {head}"
            cells = [
                (number(count.flows), number(count.packets), number(count.bytes), name)
                for name, count in list(rows.items())[:_MOST]
            ]
            yield from columns([("flows", "packets", "bytes", ""), *cells], ">>><", "    ")
            if len(rows) > _MOST:
                yield f"    … {number(len(rows) - _MOST)} more; --format json has all"


def _groups(report: WhatIfReport, change: TrafficChange) -> list[str]:
    known = report.answer.before.groups
    return [(report.before if name in known else report.after).group(name) for name in report.groups_of(change)]


def _live(report: WhatIfReport, live: LiveForecast, style: Style) -> Iterator[str]:
    yield ""
    yield f"{style.heading('Live connections')}  open at {moment(live.now)}: {number(live.total)}"
    if live.total and not live.changes:
        yield "  the change does not matter to any of them"
    together: dict[tuple[str, ...], list[LiveChange]] = {}
    for change in live.changes:
        key = (change.fate.value, live_words(change), *change.opened_by)
        together.setdefault(key, []).append(change)
    order = [fate.value for fate in Fate]
    largest = sorted(together.items(), key=lambda each: (order.index(each[0][0]), -_connections(each[1])))
    for (fate, words, *rules), members in largest[:_MOST]:
        head = style(fate.replace("-", " "), "red" if fate == Fate.CUT.value else "yellow")
        opened_by = listed([report.rule(rule_id) for rule_id in rules]) or "no rule that is known"
        yield f"  {head}  {counted(_connections(members), 'connection')} opened by {opened_by}"
        yield f"    {words}"
        for change in members[:_PLACES]:
            yield f"    {report.interface(change.interface_id)} {change.direction.name.lower()}"
            count = counted(change.connections, "connection")
            so_far = f"{counted(change.packets, 'packet')}, {number(change.bytes)} bytes so far"
            yield f"      {service_text(change.service)} {report.live_peers(change)}: {count}, {so_far}"
        if len(members) > _PLACES:
            yield f"    … {counted(_connections(members[_PLACES:]), 'connection')} more; --format json has all"
    if len(together) > _MOST:
        yield f"  … {number(len(together) - _MOST)} more; --format json has all"


def _connections(changes: list[LiveChange]) -> int:
    return sum(change.connections for change in changes)


def _space(report: WhatIfReport, style: Style) -> Iterator[str]:
    rows = report.answer.space
    yield ""
    yield f"{style.heading('Packet space')}  what the rules accept, whether or not anybody sends it"
    if not rows:
        yield "  no packet has another verdict"
    exposed: dict[str, list[str]] = {}
    for row in rows:
        if row.exposed:
            exposed.setdefault(exposed_words(row), []).extend(row.exposed)
    for services, names in exposed.items():
        where = listed([report.interface(name) for name in names])
        yield f"  {style(f'{services} opens to the internet', 'red')} at {counted(len(names), 'interface')}: {where}"
    for row in sorted(rows, key=lambda each: not each.exposed)[:_MOST]:
        yield from _space_row(report, row, style)
    if len(rows) > _MOST:
        yield f"  … {number(len(rows) - _MOST)} more; --format json has all"


def _space_row(report: WhatIfReport, row: SpaceRow, style: Style) -> Iterator[str]:
    change = row.change
    ids = [report.interface(name) for name in change.interface_ids]
    situation = "" if change.situation == "changed" else f", {change.situation}"
    yield f"  {listed(ids, 2)} {change.direction.name.lower()}{situation}"
    for name, words in CHANGE_WORDS.items():
        lines = list(space_lines(getattr(change.change, name), change.direction, _BLOCKS))
        verdict = Verdict.ACCEPT if name in ("opened", "confirmed", "may_open") else Verdict.REJECT
        for line in lines[:_MOST]:
            yield f"    {style.verdict(verdict, words)}  {line}"
        if len(lines) > _MOST:
            yield f"    … {number(len(lines) - _MOST)} more; --format json has all"


def _quota(report: WhatIfReport, style: Style) -> Iterator[str]:
    changes = report.answer.quota
    yield ""
    yield f"{style.heading('Quota')}  counts that change, against AWS's limits"
    if not changes:
        yield "  none"
        return
    shown = sorted(changes, key=lambda each: not each.over)[:_MOST]
    rows = [
        (
            bucket_words(each),
            f"{number(each.before)} → {number(each.after)}",
            f"of {number(each.limit)}",
            report.subject(each),
        )
        for each in shown
    ]
    for change, line in zip(shown, columns(rows, "<>><")):
        yield style(line, "red") if change.over else line
    if len(changes) > _MOST:
        yield f"  … {number(len(changes) - _MOST)} more; --format json has all"
