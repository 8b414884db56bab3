"""A what-if as text for people: four lines that say it all, then the details."""

from __future__ import annotations

from collections.abc import Iterator

from sgsim.analysis.whatif import KINDS, SpaceRow, TrafficPart
from sgsim.analysis.whatif_live import Fate, LiveForecast
from sgsim.analysis.whatif_traffic import TrafficChange
from sgsim.report.changes import changes_text
from sgsim.report.space import CHANGE_WORDS, space_lines
from sgsim.report.style import Style, clean, columns, counted, listed, moment, number
from sgsim.report.whatif import (
    WhatIfReport,
    answer_words,
    count_sums,
    count_words,
    exposed_words,
    live_words,
    quota_words,
    service_text,
)
from sgsim.verdicts import Verdict

__all__ = ["summary_lines", "whatif_text"]

_MOST = 12  #: of causes, groups of connections, space changes and counts that are shown
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
    lines += [f"  {line}" for line in changes_text(answer.before, answer.after, style).rstrip("\n").split("\n")]
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
    words = {
        Fate.CUT: "cut now",
        Fate.UNDETERMINED: "undetermined",
        Fate.SURVIVES: "survive until their timeout, then fail",
        Fate.FAILS_ON_RECONNECT: "ended, fail on reconnect",
        Fate.GOES_ON: "not affected",
    }
    parts = [f"{number(live.count[fate])} {text}" for fate, text in words.items() if live.count[fate]]
    return f"{'; '.join(parts) or 'none'}; of {number(live.total)} open at {moment(live.now)}"


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
        return f"OVER: {listed([quota_words(change) for change in over])}"
    fullest = max(changes, key=lambda change: (change.after / change.limit, change.subject))
    return f"{counted(len(changes), 'count')} changed, none over; fullest: {quota_words(fullest)}"


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
        for change in changes[:_MOST]:
            yield from _traffic_change(report, change, style)
        if len(changes) > _MOST:
            yield f"  … {number(len(changes) - _MOST)} more; --format json has all"
        yield from _tables(report, changes)


def _traffic_change(report: WhatIfReport, change: TrafficChange, style: Style) -> Iterator[str]:
    where = f"{report.interface(change.interface_id)} {change.direction.name.lower()}"
    yield f"  {where}{'' if change.opening else ', answers'}{', rejected in the log already' if change.refused else ''}"
    services = listed([service_text(service) for service, _ in change.services], 6)
    yield f"    {services} {report.peers(change)}: {count_words(change.count)}"
    if change.opening and change.connections.packets > change.count.packets:
        whole = change.connections
        connections = counted(whole.flows, "connection")
        yield f"    of {connections} with {counted(whole.packets, 'packet')}, {number(whole.bytes)} bytes both ways"
    causes = report.causes(change)
    word = "was accepted by" if change.kind.endswith("rejected") else "accepted by"
    if change.kind == "perhaps-accepted":
        word = "may be accepted by"
    for rule, cause in causes:
        yield f"    {word} {rule}: {style(clean(cause), 'bold')}"
    if not causes:
        side = change.before if change.kind.endswith("rejected") else change.after
        yield f"    {'before' if change.kind.endswith('rejected') else 'now'}: {answer_words(side)}"
    other = change.after if change.kind.endswith("rejected") else change.before
    yield f"    {'now' if change.kind.endswith('rejected') else 'before'}: {answer_words(other)}"


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
    if not live.changes:
        yield "  the change does not matter to any of them"
    for change in live.changes[:_MOST]:
        color = "red" if change.fate is Fate.CUT else "yellow"
        words = style(change.fate.value.replace("-", " "), color)
        where = f"{report.interface(change.interface_id)} {change.direction.name.lower()}"
        yield f"  {words}  {counted(change.connections, 'connection')} at {where}"
        yield (
            f"    {service_text(change.service)} {report.live_peers(change)}: "
            f"{counted(change.packets, 'packet')}, {number(change.bytes)} bytes so far"
        )
        yield f"    {live_words(change)}"
        for rule_id in change.opened_by:
            yield f"    opened by {report.rule(rule_id)}"
    if len(live.changes) > _MOST:
        yield f"  … {number(len(live.changes) - _MOST)} more; --format json has all"


def _space(report: WhatIfReport, style: Style) -> Iterator[str]:
    rows = report.answer.space
    yield ""
    yield f"{style.heading('Packet space')}  what the rules accept, whether or not anybody sends it"
    if not rows:
        yield "  no packet has another verdict"
    for row in sorted(rows, key=lambda each: not each.exposed)[:_MOST]:
        yield from _space_row(report, row, style)
    if len(rows) > _MOST:
        yield f"  … {number(len(rows) - _MOST)} more; --format json has all"


def _space_row(report: WhatIfReport, row: SpaceRow, style: Style) -> Iterator[str]:
    change = row.change
    ids = [report.interface(name) for name in change.interface_ids]
    situation = "" if change.situation == "changed" else f", {change.situation}"
    yield f"  {listed(ids, 2)} {change.direction.name.lower()}{situation}"
    if row.exposed:
        yield f"    {style('opens to the internet: ' + exposed_words(row), 'red')}"
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
    for change in sorted(changes, key=lambda each: not each.over)[:_MOST]:
        words = quota_words(change)
        yield f"  {style(words + ', over', 'red') if change.over else words}"
    if len(changes) > _MOST:
        yield f"  … {number(len(changes) - _MOST)} more; --format json has all"
