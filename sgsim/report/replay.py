"""Everything that a report on a replay says, gathered once for text and JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sgsim.model import Environment
from sgsim.report.labels import Labels
from sgsim.report.logs import LogPart
from sgsim.report.situations import Line, Situation
from sgsim.report.style import listed
from sgsim.report.tally import RuleHits, Tally
from sgsim.report.timeline import TimePart
from sgsim.verdicts import Verdict

__all__ = ["FileCounts", "ReplayReport", "Summary", "environment_warnings"]


class FileCounts(Protocol):
    """What became of the packets of one file (`sgsim.traffic.PacketCounts`)."""

    source: str
    decoded: int
    not_ip: int
    truncated: int
    damaged: int
    unsupported: int
    duplicate: int
    causes: dict[str, int]
    notes: list[str]

    @property
    def total(self) -> int: ...


def environment_warnings(environment: Environment) -> list[str]:
    """What was odd in the input, and what its gaps do to verdicts."""
    used = {interface.vpc_id for interface in environment.interfaces.values() if interface.vpc_id}
    unknown = sorted(used - {name for name, vpc in environment.vpcs.items() if vpc.cidrs})
    warnings = list(environment.warnings)
    if unknown:
        warnings.append(
            f"the ranges of {listed(unknown)} are not in the input: DNS at a VPC's second address is judged by rules "
            "there, though security groups never see it; add the output of 'aws ec2 describe-vpcs'"
        )
    return warnings


class Summary(Protocol):
    """What the engine counts beside the records (`sgsim.engine.replay.ReplaySummary`)."""

    packets: int
    neighbour_discovery: int
    backwards: int
    flows: int
    disagreements: int
    paths: dict[Verdict, int]
    public_addresses: dict[str, int]


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """A finished replay.

    `source` is where the environment was read from, `options` those that change verdicts or records, by name.
    `vantage` is the interface at which everything was captured, if the user said so. `nearest` gives, for a line of
    a situation, words about the rules that came nearest to matching. `log` is there if the traffic was flow logs; then
    `files` is empty, and `summary` counts flows only. `time` is there if the configuration changed in time.
    """

    source: str
    labels: Labels
    files: Sequence[FileCounts]
    tally: Tally
    hits: RuleHits
    summary: Summary
    options: Mapping[str, Any] = field(default_factory=dict)
    vantage: str | None = None
    nearest: Callable[[Situation, Line], Sequence[str]] = lambda _situation, _line: ()
    log: LogPart | None = None
    time: TimePart | None = None
