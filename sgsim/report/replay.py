"""Everything that a report on a replay says, gathered once for text and JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sgsim.report.labels import Labels
from sgsim.report.situations import Line, Situation
from sgsim.report.tally import Tally

__all__ = ["FileCounts", "PublicUse", "ReplayReport"]


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


@dataclass(frozen=True, slots=True)
class PublicUse:
    """Packets that show the public or Elastic address of a known interface (docs/semantics.md §9.14)."""

    interface_id: str
    packets: int


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """A finished replay.

    `options` are those that change verdicts or records, by name, as the user would write them. `neighbours` counts
    ARP and neighbour discovery among the IP packets, which give no record. `vantage` is the interface at which
    everything was captured, if the user said so. `nearest` gives, for a line of a situation, the words for the rules
    that came nearest to matching.
    """

    source: str
    labels: Labels
    files: Sequence[FileCounts]
    tally: Tally
    options: Mapping[str, Any] = field(default_factory=dict)
    vantage: str | None = None
    public: Sequence[PublicUse] = ()
    neighbours: int = 0
    nearest: Callable[[Situation, Line], Sequence[str]] = lambda _situation, _line: ()

    @property
    def undecodable(self) -> int:
        """IP packets that could not be judged because they could not be decoded."""
        return sum(file.truncated + file.damaged + file.unsupported for file in self.files)
