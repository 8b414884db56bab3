"""A what-if as JSON: one document with everything, or one finding a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from sgsim.analysis.space import service_words
from sgsim.analysis.whatif import KINDS, QuotaChange, SpaceRow, TrafficPart
from sgsim.analysis.whatif_live import Fate, LiveChange, LiveForecast
from sgsim.analysis.whatif_traffic import Answer, Count, TrafficChange
from sgsim.report.changes import changes_text
from sgsim.report.labels import Labels
from sgsim.report.schemas import WHATIF_ROW_SCHEMA, WHATIF_SCHEMA
from sgsim.report.space import change_json
from sgsim.report.style import Style
from sgsim.report.whatif import WhatIfReport, count_sums, live_words, service_text
from sgsim.verdicts import Verdict

__all__ = ["whatif_json", "whatif_rows"]


def whatif_json(report: WhatIfReport) -> bytes:
    """One document, indented; ends with a line feed."""
    answer = report.answer
    traffic = answer.traffic
    document = {
        "schema": WHATIF_SCHEMA,
        "environment": report.source,
        "changes": {
            "source": report.asked,
            "count": len(answer.changes),
            "difference": changes_text(answer.before, answer.after, Style(color=False)).rstrip("\n").split("\n"),
        },
        "options": dict(report.options),
        "kinds": [kind for kind in KINDS if kind in answer.kinds],
        "traffic": None if traffic is None else _traffic(report, traffic),
        "connections": None if traffic is None or traffic.live is None else _live(traffic.live),
        "packet_space": [_space(row) for row in answer.space],
        "quota": [_quota(change) for change in answer.quota],
        "findings": [_finding(one) for one in report.found],
        "notes": list(report.notes),
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def whatif_rows(report: WhatIfReport) -> bytes:
    """One finding a line, with what is known of it under the name of its part."""
    answer = report.answer
    details: dict[str, tuple[str, dict[str, Any]]] = {}
    if answer.traffic is not None:
        details |= {change.change_id: ("traffic", _change(change)) for change in answer.traffic.changes}
        if answer.traffic.live is not None:
            details |= {each.change_id: ("connections", _connections(each)) for each in answer.traffic.live.changes}
    for row in answer.space:
        for kind in ("opens-internet", "opened", "closed"):
            details[f"{kind}/{row.key}"] = ("packet_space", _space(row))
    for change in answer.quota:
        details[f"quota/{change.subject}/{change.bucket}"] = ("quota", _quota(change))
    lines = []
    for one in report.found:
        part, detail = details[one.finding_id]
        lines.append(msgspec.json.encode({"schema": WHATIF_ROW_SCHEMA, **_finding(one), "part": part, part: detail}))
    return b"".join(line + b"\n" for line in lines)


def _finding(found: Any) -> dict[str, Any]:
    return {
        "id": found.finding_id,
        "kind": found.kind,
        "message": found.sentence,
        "group_ids": list(found.group_ids),
        "interface_id": found.interface_id or None,
    }


# -- the parts -----------------------------------------------------------------------------------------------------


def _traffic(report: WhatIfReport, traffic: TrafficPart) -> dict[str, Any]:
    kinds = {}
    for kind in KINDS:
        flows, answers = traffic.tally.flows.get(kind), traffic.tally.answers.get(kind)
        if flows or answers:
            kinds[kind] = {
                "flows": _count(flows),
                "answers": _count(answers),
                "connections": _count(traffic.tally.connections.get(kind), "connections"),
            }
    return {
        "sources": [
            {"source": one.name, "unit": one.unit, "total": one.total, "used": one.used, "others": dict(one.others)}
            for one in report.sources
        ],
        "flows": traffic.flows,
        "start": traffic.first,
        "end": traffic.last,
        "packets": _transitions(traffic.packets),
        "bytes": _transitions(traffic.bytes),
        "kinds": kinds,
        "changes": [_change(change) for change in traffic.changes],
        "by_rule": _sums(traffic, lambda change: list(change.rule_ids)),
        "by_group": _sums(
            traffic, lambda change: list(filter(None, dict.fromkeys(map(report.group_of, change.rule_ids))))
        ),
        "by_interface": _sums(traffic, lambda change: [change.interface_id] if change.interface_id else []),
    }


def _transitions(counts: tuple[tuple[int, ...], ...]) -> list[dict[str, Any]]:
    return [
        {"before": before.name, "after": after.name, "count": counts[before][after]}
        for before in Verdict
        for after in Verdict
        if counts[before][after]
    ]


def _sums(traffic: TrafficPart, keys: Callable[[TrafficChange], list[str]]) -> list[dict[str, Any]]:
    rows = []
    for kind in dict.fromkeys(change.kind for change in traffic.changes):
        changes = [change for change in traffic.changes if change.kind == kind]
        rows += [{"kind": kind, "id": key, **_count(count)} for key, count in count_sums(changes, keys).items()]
    return rows


def _count(count: Count | None, noun: str = "flows") -> dict[str, int]:
    flows, packets, size = count or (0, 0, 0)
    return {noun: flows, "packets": packets, "bytes": size}


def _change(change: TrafficChange) -> dict[str, Any]:
    return {
        "id": change.change_id,
        "kind": change.kind,
        "interface_id": change.interface_id,
        "direction": change.direction.name.lower(),
        "opening": change.opening,
        "rejected_in_log": change.refused,
        "before": _answer(change.before),
        "after": _answer(change.after),
        **_count(change.count),
        "connections": _count(change.connections, "connections"),
        "services": [{"service": service_text(service), **_count(count)} for service, count in change.services],
        "peers": [{"address": Labels.address(peer), **_count(count)} for peer, count in change.peers],
        "more_peers": change.more_peers,
        "start": change.first,
        "end": change.last,
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "interface_id": answer.interface_id,
        "reason": None if answer.reason is None else answer.reason.name,
        "rule_ids": list(answer.rule_ids),
        "possible_rule_ids": list(answer.possible_rule_ids),
    }


def _live(live: LiveForecast) -> dict[str, Any]:
    return {
        "at": datetime.fromtimestamp(live.now, UTC).isoformat().replace("+00:00", "Z"),
        "open": live.total,
        "fates": {fate.value: live.count[fate] for fate in Fate},
        "changes": [_connections(change) for change in live.changes],
    }


def _connections(change: LiveChange) -> dict[str, Any]:
    return {
        "id": change.change_id,
        "fate": change.fate.value,
        "words": live_words(change),
        "interface_id": change.interface_id,
        "direction": change.direction.name.lower(),
        "service": service_text(change.service),
        "opened_by": list(change.opened_by),
        "new_connection": {"action": change.reconnects.name, "rule_ids": list(change.rule_ids)},
        "depends_on_path": change.by_path,
        "surely_open": not change.maybe,
        "connections": change.connections,
        "packets": change.packets,
        "bytes": change.bytes,
        "times_out_in": None if change.least is None else {"first": change.least, "last": change.most},
        "peers": [{"address": Labels.address(peer), "connections": count} for peer, count in change.peers],
    }


def _space(row: SpaceRow) -> dict[str, Any]:
    change = row.change
    return {
        "interface_ids": list(change.interface_ids),
        "direction": change.direction.name.lower(),
        "situation": change.situation,
        "opens_to_internet": {
            "interface_ids": list(row.exposed),
            "ipv4": list(_services(row, 0)),
            "ipv6": list(_services(row, 1)),
        },
        **change_json(change.change),
    }


def _services(row: SpaceRow, family: int) -> Iterator[str]:
    return service_words(row.services[family]) if row.services[family] else iter(())


def _quota(change: QuotaChange) -> dict[str, Any]:
    return {
        "subject": change.subject,
        "bucket": change.bucket,
        "before": change.before,
        "after": change.after,
        "limit": change.limit,
        "over": change.over,
    }
