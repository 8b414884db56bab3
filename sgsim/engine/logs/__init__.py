"""Flow-log records → connections → verdicts (docs/flow-logs.md).

FlowLogBatch ─▶ flows (place, rules) ─▶ window (order) ─▶ join (kernel: time) ─▶ LogVerdicts
"""

from __future__ import annotations

from sgsim.engine.logs.replay import REPLAYED_FIELDS, LogOptions, LogReplay, LogSummary, LogVerdicts, replay_logs

__all__ = ["REPLAYED_FIELDS", "LogOptions", "LogReplay", "LogSummary", "LogVerdicts", "replay_logs"]
