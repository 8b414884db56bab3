"""The use of rules for machines: one JSON document, or one row a rule (docs/usage.md)."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, BinaryIO

import msgspec

from sgsim.analysis.findings import Finding
from sgsim.analysis.suppressions import Suppression
from sgsim.analysis.usage_counts import NEVER
from sgsim.model import Cidr
from sgsim.report.replay import environment_warnings
from sgsim.report.usage import UsageReport, sentence

__all__ = ["ROW_FORMATS", "RULE_SCHEMA", "USAGE_SCHEMA", "usage_json", "write_rows"]

USAGE_SCHEMA = "sgsim.usage/1"
RULE_SCHEMA = "sgsim.usage.rule/1"
ROW_FORMATS = ("jsonl", "csv", "parquet")


def usage_json(report: UsageReport) -> bytes:
    """The document, indented; ends with a line feed."""
    usage, removal = report.usage, report.removal
    window = usage.use.window
    document = {
        "schema": USAGE_SCHEMA,
        "environment": report.source,
        "options": dict(report.options),
        "traffic": [
            {
                "source": source.name,
                "unit": source.unit,
                "total": source.total,
                "used": source.used,
                "others": dict(sorted(source.others.items())),
            }
            for source in report.sources
        ],
        "window": {
            "records": window.records,
            "start": window.start,
            "end": window.end,
            "days": window.days,
            "days_seen": window.days_seen,
            "gaps": [{"start": gap.start, "end": gap.end} for gap in window.gaps],
        },
        "rules": rule_rows(report),
        "findings": [_finding(finding, report) for finding in report.judged.open],
        "suppressed": [
            {**_finding(finding, report), "suppression": _suppression(by)} for finding, by in report.judged.suppressed
        ],
        "suppressions": {
            "expired": [_suppression(entry) for entry in report.judged.expired],
            "unknown": [_suppression(entry) for entry in report.judged.unknown],
        },
        "quotas": [
            {"subject": use.subject, "bucket": use.bucket, "used": use.used, "limit": use.limit} for use in usage.quotas
        ],
        "together": {
            "asked": list(removal.asked),
            "removed": list(removal.removed) if report.verified else [],
            "verified": report.verified or None,
            "needed": list(removal.needed),
            "maybe": list(removal.maybe),
            "chosen": list(removal.chosen),
            "smallest": removal.smallest,
        },
        "notes": list(report.notes),
        "warnings": environment_warnings(report.labels.environment),
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _finding(finding: Finding, report: UsageReport) -> dict[str, Any]:
    values = {
        name: _plain(getattr(finding, name))
        for each in type(finding).__mro__
        for name in getattr(each, "__slots__", ())
        if name not in ("subject", "group_id")
    }
    return {
        "id": finding.finding_id,
        "kind": finding.kind,
        "subject": finding.subject,
        "group_id": finding.group_id,
        "message": sentence(finding, report.labels),
        **dict(sorted(values.items())),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [str(item) if isinstance(item, Cidr) else item for item in value]
    return value


def _suppression(entry: Suppression) -> dict[str, str]:
    key = "finding" if entry.finding else "rule"
    return {key: entry.target, "reason": entry.reason, "until": entry.until.isoformat()}


def rule_rows(report: UsageReport) -> list[dict[str, Any]]:
    """One row a rule, by rule id."""
    usage, labels = report.usage, report.labels
    use = usage.use
    findings: dict[str, list[str]] = {}
    for finding in report.judged.open:
        findings.setdefault(finding.subject, []).append(finding.kind)
    rows = []
    for n, (rule, status) in enumerate(zip(usage.rules, usage.status)):
        peers = use.peers.get(n)
        used = int(use.first[n]) != NEVER
        rows.append(
            {
                "rule_id": rule.rule_id,
                "group_id": rule.group_id,
                "direction": rule.direction.name.lower(),
                "rule": labels.what(rule),
                "status": status.value,
                "flows": int(use.flows[n]),
                "sole_flows": int(use.sole[n]),
                "packets": int(use.packets[n]),
                "bytes": int(use.bytes[n]),
                "start": int(use.first[n]) if used else None,
                "end": int(use.last[n]) if used else None,
                "peers": peers.count if peers else 0,
                "peers_exact": peers.exact if peers else True,
                "possible_records": int(use.possible[n]),
                "doubtful_records": int(use.doubtful[n]),
                "findings": findings.get(rule.rule_id, []),
            }
        )
    return sorted(rows, key=lambda row: str(row["rule_id"]))


def write_rows(format_: str, output: BinaryIO, report: UsageReport) -> None:
    """The rows of rules in one of ROW_FORMATS."""
    rows = rule_rows(report)
    if format_ == "jsonl":
        for row in rows:
            output.write(msgspec.json.encode({"schema": RULE_SCHEMA, **row}) + b"\n")
    elif format_ == "csv":
        output.write(_csv(rows))
    else:
        _parquet(rows, output)


_FIELDS = (
    "rule_id", "group_id", "direction", "rule", "status", "flows", "sole_flows", "packets", "bytes", "start", "end",
    "peers", "peers_exact", "possible_records", "doubtful_records", "findings",
)  # fmt: skip


def _csv(rows: Sequence[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_FIELDS)
    writer.writerows([_cell(row[name]) for name in _FIELDS] for row in rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: Any) -> str:
    """`-` stands for null and for an empty list; lists are separated by blanks."""
    if isinstance(value, list):
        return " ".join(value) or "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "-" if value is None else str(value)


def _parquet(rows: Sequence[dict[str, Any]], output: BinaryIO) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = dict.fromkeys(_FIELDS, pa.string())
    types |= dict.fromkeys(
        (
            *("flows", "sole_flows", "packets", "bytes", "start", "end", "peers"),
            *("possible_records", "doubtful_records"),
        ),
        pa.int64(),
    )
    types |= {"peers_exact": pa.bool_(), "findings": pa.list_(pa.string())}
    schema = pa.schema(list(types.items()), metadata={"sgsim_schema": RULE_SCHEMA})
    with pq.ParquetWriter(output, schema, compression="zstd") as writer:
        writer.write_table(pa.Table.from_pylist(list(rows), schema=schema))
