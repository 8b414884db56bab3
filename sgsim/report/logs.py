"""What a report says of flow logs beyond what it says of captures: their lines, and agreement with their actions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np

from sgsim.analysis.agreement import Agreement
from sgsim.engine.logs import LogVerdicts
from sgsim.report.columns import BLOCK, FIELDS, Coded, Column, Names
from sgsim.verdicts import Evidence, Verdict, Verdicts

__all__ = ["LOG_FIELDS", "LogFile", "LogNames", "LogPart"]

#: Fields that records of a flow log have beside FIELDS.
LOG_FIELDS = ("recorded_action", "evidence")

_RECORDED = (Verdict.REJECT.name, Verdict.ACCEPT.name, None)
_EVIDENCE = tuple(evidence.name for evidence in Evidence)


class LogFile(Protocol):
    """What became of the lines of one file (`sgsim.traffic.flowlogs.FlowLogCounts`)."""

    source: str
    lines: int
    ok: int
    nodata: int
    skipdata: int
    transit_gateway: int
    efa: int
    incomplete: int
    blank: int
    header: int
    causes: dict[str, int]
    first_line: dict[str, int]
    notes: list[str]

    @property
    def malformed(self) -> int: ...


@dataclass(frozen=True, slots=True)
class LogPart:
    """The part of a replay's report that is about flow logs.

    `notes` concern no single file. `late` and `forgotten` as in LogSummary; `evidence` counts records by how they show
    who began. `interface_names` and `refusals` are what groups of `agreement` refer to by number.
    """

    files: Sequence[LogFile]
    notes: Sequence[str]
    records: int
    late: int
    forgotten: int
    evidence: Mapping[Evidence, int]
    agreement: Agreement
    interface_names: Sequence[str]
    refusals: Sequence[str]
    likely: bool = False


class LogNames(Names):
    """Names for records of a flow log: those of captures, what the log recorded, and how it shows who began."""

    fields = (*FIELDS, *LOG_FIELDS)

    def blocks(self, batch: LogVerdicts) -> Iterator[LogVerdicts]:
        for start in range(0, len(batch), BLOCK):
            part = slice(start, start + BLOCK)
            rest = {field.name: getattr(batch, field.name)[part] for field in fields(batch) if field.name != "verdicts"}
            yield LogVerdicts(batch.verdicts.at(part), **rest)

    def verdicts_of(self, batch: LogVerdicts) -> Verdicts:
        return batch.verdicts

    def columns(self, batch: Any) -> dict[str, Column]:
        recorded = np.minimum(batch.recorded, 2).astype(np.int32)
        return {
            **super().columns(batch.verdicts),
            "recorded_action": Coded(recorded, _RECORDED),
            "evidence": Coded(batch.evidence.astype(np.int32), _EVIDENCE),
        }
