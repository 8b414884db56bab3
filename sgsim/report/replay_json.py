"""The report on a replay as one JSON document (docs/output.md)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from sgsim.flows import AMBIGUOUS, INGRESS, NO_INTERFACE
from sgsim.model import ICMP, ICMPV6
from sgsim.report.logs_json import agreement_json, log_file_json, log_json
from sgsim.report.replay import FileCounts, ReplayReport, environment_warnings
from sgsim.report.schemas import SUMMARY_SCHEMA
from sgsim.report.situations import Line, situations
from sgsim.report.tally import MANY, Count
from sgsim.report.timeline import timeline_json
from sgsim.verdicts import Reason, Verdict

__all__ = ["replay_json"]

MOST_PEERS = 20


def replay_json(report: ReplayReport) -> bytes:
    """The document, indented; ends with a line feed."""
    summary = report.summary
    document = {
        "schema": SUMMARY_SCHEMA,
        "environment": report.source,
        "options": dict(report.options),
        "traffic": [log_file_json(file) for file in report.log.files]
        if report.log
        else [_file(file) for file in report.files],
        "packets": None
        if report.log
        else {
            "judged": summary.packets - summary.neighbour_discovery,
            "neighbour_discovery": summary.neighbour_discovery,
            "backwards": summary.backwards,
            "disagreements": summary.disagreements,
            "paths": {verdict.name: summary.paths.get(verdict, 0) for verdict in Verdict},
        },
        "flows": summary.flows,
        "start": report.tally.start,
        "end": report.tally.end,
        "totals": _totals(report),
        "situations": [*_situations(report, Verdict.REJECT), *_situations(report, Verdict.UNKNOWN)],
        "rules": _rules(report),
        "public_addresses": [
            {"interface_id": interface_id, "packets": packets}
            for interface_id, packets in sorted(summary.public_addresses.items())
        ],
        "warnings": environment_warnings(report.labels.environment),
    }
    if report.time:
        document["timeline"] = timeline_json(report.time, report.labels)
    if report.log:
        document |= {"log": log_json(report.log), "agreement": agreement_json(report.log, report.labels)}
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _file(file: FileCounts) -> dict[str, Any]:
    counts = ("total", "decoded", "not_ip", "truncated", "damaged", "unsupported", "duplicate")
    return {
        "source": file.source,
        **{name: getattr(file, name) for name in counts},
        "causes": dict(sorted(file.causes.items())),
        "notes": list(file.notes),
    }


def _count(count: Count) -> dict[str, int]:
    return {"records": count.records, "packets": count.packets, "bytes": count.bytes}


def _totals(report: ReplayReport) -> list[dict[str, Any]]:
    return [
        {"action": action.name, "reason": reason.name, **_count(count)}
        for (action, reason), count in sorted(report.tally.totals.items())
    ]


def _situations(report: ReplayReport, verdict: Verdict) -> Iterable[dict[str, Any]]:
    for situation in situations(report.tally.groups.values(), verdict):
        arrived = report.vantage is not None and verdict is Verdict.REJECT and situation.direction == INGRESS
        known = situation.interface != NO_INTERFACE
        yield {
            "action": verdict.name,
            "reason": Reason(situation.reason).name,
            "disagreement": arrived,
            "interface_id": report.labels.interface_ids[situation.interface] if situation.interface >= 0 else None,
            "ambiguous": situation.interface == AMBIGUOUS,
            "flow_direction": ("ingress", "egress", None)[situation.direction] if known else None,
            **_count(situation.count),
            "services": [_line(report, line) for line in situation.lines],
        }


def _line(report: ReplayReport, line: Line) -> dict[str, Any]:
    key, sample, labels = line.key, line.sample, report.labels
    icmp = key.protocol in (ICMP, ICMPV6)
    return {
        "protocol": key.protocol,
        "ports": [] if icmp else [port for port in line.services if port != MANY],
        "icmp_type": key.service >> 8 if icmp and key.service != 0xFFFF else None,
        "icmp_code": key.service & 0xFF if icmp and key.service != 0xFFFF else None,
        "answers": key.answer,
        "fragment": key.fragment,
        **_count(line.count),
        "start": line.start,
        "end": line.end,
        "peers": [
            {"address": labels.address(peer), "records": records}
            for peer, records in line.peers.most_common(MOST_PEERS)
        ],
        "more_peers": line.more_peers or len(line.peers) > MOST_PEERS,
        "possible_rule_ids": sorted(labels.rule_ids[rule] for rule in line.possible_rules),
        "sample": {
            "srcaddr": labels.address((sample.family, sample.srcaddr)),
            "dstaddr": labels.address((sample.family, sample.dstaddr)),
            "srcport": sample.srcport,
            "dstport": sample.dstport,
        },
    }


def _rules(report: ReplayReport) -> list[dict[str, Any]]:
    labels = report.labels
    found = []
    for index, rule_id in enumerate(labels.rule_ids):
        rule, group = labels.rules.get(rule_id, (None, None))
        found.append(
            {
                "rule_id": rule_id,
                "group_id": group.group_id if group else None,
                "attached": bool(group and group.group_id in labels.used_groups),
                "rule": labels.what(rule) if rule else None,
                "hits": int(report.hits.hits[index]),
                "sole_hits": int(report.hits.sole[index]),
            }
        )
    return sorted(found, key=lambda entry: str(entry["rule_id"]))
