"""VPC flow logs → columns (docs/semantics.md §5.6).

    sources ─▶ inflate ─▶ blocks | cloudwatch ─▶ text (kernel) ─▶ batch
            └▶ parquet ───────────────────────────────────────────▲

Every line of every file ends in exactly one class of `FlowLogCounts`; nothing is dropped and nothing is guessed.
"""

from __future__ import annotations

from sgsim.traffic.flowlogs.batch import ABSENT, ACCEPT, NODATA, REJECT, SKIPDATA, FlowLogBatch, FlowLogCounts, Ids
from sgsim.traffic.flowlogs.batch import Silences as Silences
from sgsim.traffic.flowlogs.fields import DEFAULT_FIELDS, FIELD_VERSIONS, LogFormat, parse_log_format
from sgsim.traffic.flowlogs.scan import FlowLogScan, scan_flow_logs

__all__ = [
    "ABSENT",
    "ACCEPT",
    "DEFAULT_FIELDS",
    "FIELD_VERSIONS",
    "NODATA",
    "REJECT",
    "SKIPDATA",
    "FlowLogBatch",
    "FlowLogCounts",
    "FlowLogScan",
    "Ids",
    "LogFormat",
    "Silences",
    "parse_log_format",
    "scan_flow_logs",
]
