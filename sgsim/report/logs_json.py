"""Flow logs in the JSON report (docs/output.md)."""

from __future__ import annotations

from typing import Any

from sgsim.analysis.acls import AclAnswer
from sgsim.analysis.agreement import MANY, Cause, Disagreement
from sgsim.model import TCP, UDP
from sgsim.report.labels import Labels
from sgsim.report.logs import LogFile, LogPart
from sgsim.verdicts import Evidence, Verdict

__all__ = ["agreement_json", "log_file_json", "log_json"]


def log_file_json(file: LogFile) -> dict[str, Any]:
    counts = (
        "lines",
        "ok",
        "nodata",
        "skipdata",
        "transit_gateway",
        "efa",
        "incomplete",
        "blank",
        "header",
        "malformed",
    )
    return {
        "source": file.source,
        **{name: getattr(file, name) for name in counts},
        "causes": dict(sorted(file.causes.items())),
        "first_line": dict(sorted(file.first_line.items())),
        "notes": list(file.notes),
    }


def log_json(log: LogPart) -> dict[str, Any]:
    """How the records were joined."""
    return {
        "records": log.records,
        "late": log.late,
        "forgotten": log.forgotten,
        "evidence": {one.name: log.evidence.get(one, 0) for one in Evidence},
        "notes": list(log.notes),
    }


def agreement_json(log: LogPart, labels: Labels) -> dict[str, Any] | None:
    """None where the log has no actions."""
    agreement = log.agreement
    if not agreement.compared:
        return None
    causes = agreement.causes()
    groups = sorted(agreement.groups.values(), key=lambda group: (group.cause, -group.records, group.start, group.key))
    return {
        "compared": agreement.compared,
        "agreeing": agreement.agreeing,
        "contrary": agreement.contrary,
        "undecided": agreement.undecided,
        "without_action": agreement.without_action,
        "rate": agreement.rate,
        "causes": {cause.name: causes.get(cause, 0) for cause in Cause},
        "disagreements": [_group(log, labels, group) for group in groups],
    }


def _group(log: LogPart, labels: Labels, group: Disagreement) -> dict[str, Any]:
    key, sample, cause = group.key, group.sample, group.cause
    acl = log.agreement.acls.acls[key.detail >> 16] if cause is Cause.NETWORK_ACL else None
    known = key.interface >= 0
    named = cause is Cause.NO_INTERFACE and not known and key.detail >= 0
    has_port = key.protocol in (TCP, UDP) and key.service != MANY
    return {
        "cause": cause.name,
        "undecided": cause.undecided,
        "action": Verdict(key.action).name,
        "recorded_action": Verdict(key.recorded).name,
        "interface_id": labels.interface_ids[key.interface] if known else None,
        "logged_interface_id": log.interface_names[key.detail] if named else None,
        "flow_direction": ("ingress", "egress", None)[key.direction],
        "protocol": key.protocol,
        "port": key.service if has_port else None,
        "answers": key.answer,
        "records": group.records,
        "packets": group.packets,
        "bytes": group.bytes,
        "start": group.start,
        "end": group.end,
        "network_acl_id": acl.network_acl_id if acl else None,
        "network_acl_entry": key.detail & 0xFFFF if acl else None,
        "network_acl_may_deny": group.acl is AclAnswer.UNKNOWN,
        "reject_reason": log.refusals[key.detail] if cause is Cause.OTHER_FILTER else None,
        "agreed_since": group.agreed_since,
        "rule_ids": [labels.rule_ids[rule] for rule in group.rules],
        "sample": {
            "srcaddr": labels.address((sample.family, sample.srcaddr)),
            "dstaddr": labels.address((sample.family, sample.dstaddr)),
            "srcport": sample.srcport,
            "dstport": sample.dstport,
            "tcp_flags": sample.tcp_flags if sample.tcp_flags >= 0 else None,
            "record": sample.order + 1,
        },
    }
