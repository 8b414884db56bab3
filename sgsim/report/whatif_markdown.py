"""A what-if as Markdown, for a comment on a pull request: what matters first, the rest folded."""

from __future__ import annotations

from collections.abc import Iterator

from sgsim.analysis.whatif_live import Fate
from sgsim.report.changes import changes_text
from sgsim.report.space import CHANGE_WORDS, space_lines
from sgsim.report.style import Style, clean, listed, moment, number
from sgsim.report.whatif import WhatIfReport, exposed_words, live_words, service_text
from sgsim.report.whatif_text import summary_lines

__all__ = ["whatif_markdown"]

_MOST = 50  #: rows of a table: a comment has a largest size
_ALARMS = {"opens-internet", "newly-rejected", "cut", "quota"}


def whatif_markdown(report: WhatIfReport) -> str:
    """GitHub's Markdown; ends with a line feed."""
    kinds = report.answer.kinds
    mark = "⚠️" if kinds & _ALARMS else "✅" if not kinds - {"goes-on"} else "ℹ️"
    lines = [f"### {mark} What this change of security groups does", ""]
    lines += ["| | |", "|---|---|"]
    lines += [f"| **{head}** | {_cell(text)} |" for head, text in summary_lines(report)]
    lines += _folded("Changes", ["```diff", *_diff(report), "```"])
    if report.answer.traffic is not None:
        lines += _folded("Flows with another verdict", list(_traffic(report)))
        lines += _folded("Live connections", list(_live(report)))
    lines += _folded("Packet space", list(_space(report)))
    lines += _folded("Quota", list(_quota(report)))
    if report.notes:
        lines += _folded("Remarks", [f"* {_cell(note)}" for note in report.notes])
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text that no table and no HTML can misread."""
    escaped = clean(text).replace("\\", "\\\\")
    for character in "|`*_<>[]":
        escaped = escaped.replace(character, f"\\{character}")
    return escaped


def _folded(title: str, body: list[str]) -> list[str]:
    return ["", f"<details><summary>{title}</summary>", "", *body, "", "</details>"] if body else []


def _diff(report: WhatIfReport) -> Iterator[str]:
    """The difference, as GitHub colours it: what goes, comes or is altered begins its line."""
    for line in changes_text(report.answer.before, report.answer.after, Style(color=False)).rstrip("\n").split("\n"):
        text = line.strip().replace("```", "'''")
        yield text.replace("~", "!", 1) if text.startswith("~") else text if text[:1] in "+-" else f"@@ {text} @@"


def _table(head: str, rows: list[str]) -> Iterator[str]:
    yield head
    yield "|" + "---|" * (head.count("|") - 1)
    yield from rows[:_MOST]
    if len(rows) > _MOST:
        yield f"\n{number(len(rows) - _MOST)} more; `--format json` has all"


def _traffic(report: WhatIfReport) -> Iterator[str]:
    traffic = report.answer.traffic
    assert traffic is not None
    rows = []
    for change in traffic.changes:
        services = listed([service_text(service) for service, _ in change.services], 6)
        rules = "; ".join(f"{rule}: **{_cell(cause)}**" for rule, cause in _escaped(report.causes(change)))
        where = f"{report.interface(change.interface_id)} {change.direction.name.lower()}"
        kind = change.kind.replace("-", " ") + ("" if change.opening else ", answers")
        rows.append(
            f"| {kind} | {_cell(where)} | {_cell(f'{services} {report.peers(change)}')} | {number(change.count.flows)} "
            f"| {number(change.connections.packets)} | {number(change.connections.bytes)} | {rules} |"
        )
    if rows:
        yield from _table("| | where | what | flows | packets, both ways | bytes | rules |", rows)


def _escaped(causes: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    return ((_cell(rule), cause) for rule, cause in causes)


def _live(report: WhatIfReport) -> Iterator[str]:
    live = report.answer.traffic.live if report.answer.traffic else None
    if live is None:
        return
    yield f"{number(live.total)} open at {moment(live.now)}, {number(live.count[Fate.GOES_ON])} of them not affected"
    yield ""
    rows = []
    for change in live.changes:
        where = f"{report.interface(change.interface_id)} {change.direction.name.lower()}"
        what = f"{service_text(change.service)} {report.live_peers(change)}"
        fate = change.fate.value.replace("-", " ")
        rows.append(
            f"| {fate} | {number(change.connections)} | {_cell(where)} | {_cell(what)} | {_cell(live_words(change))} |"
        )
    if rows:
        yield from _table("| | connections | where | what | |", rows)


def _space(report: WhatIfReport) -> Iterator[str]:
    rows = []
    for row in sorted(report.answer.space, key=lambda each: not each.exposed):
        where = _cell(report.interfaces(row))
        if row.exposed:
            rows.append(f"| **opens to the internet** | {where} | {_cell(exposed_words(row))} |")
        for name, words in CHANGE_WORDS.items():
            lines = space_lines(getattr(row.change.change, name), row.change.direction, 8)
            rows += [f"| {words} | {where} | {_cell(line)} |" for line in lines]
    if rows:
        yield from _table("| | where | packets |", rows)


def _quota(report: WhatIfReport) -> Iterator[str]:
    changes = sorted(report.answer.quota, key=lambda each: not each.over)
    rows = [f"| {_cell(report.quota(change))} | {'**over**' if change.over else ''} |" for change in changes]
    if rows:
        yield from _table("| count | |", rows)
