"""What the rules say of a flow, and why.

Zero means closed: an array of zeros reads REJECT, NO_RULE.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Evidence", "MatchSets", "Reason", "RuleVerdicts", "TimedVerdicts", "Verdict", "Verdicts", "conjunction"]


class Verdict(IntEnum):
    """The answer for one packet, flow or record at one interface, or for its whole path."""

    REJECT = 0
    ACCEPT = 1
    UNKNOWN = 2


class Reason(IntEnum):
    """Why a verdict is what it is."""

    NO_RULE = 0  #: no rule of the direction matches
    RULE = 1  #: at least one rule of the direction matches
    TRACKED = 2  #: the packet belongs to a tracked connection
    UNFILTERED = 3  #: a gateway, endpoint or load-balancer interface without groups
    EXEMPT = 4  #: traffic that security groups never see (docs/semantics.md §3)
    NO_INTERFACE = 5  #: neither end is in the environment
    AMBIGUOUS_INTERFACE = 6  #: several interfaces could be meant
    UNRESOLVED = 7  #: a rule that may match refers to what the input does not contain, or the flow lacks a field
    UNDECODABLE = 8  #: the packet could not be decoded


class Evidence(IntEnum):
    """How a flow-log record shows who opened its connection, from no confidence to full (docs/flow-logs.md)."""

    NONE = 0  #: nothing tells
    PORTS = 1  #: the service's port is told from the client's by its number: a guess
    ORDER = 2  #: this direction, or the other one, began in an earlier second
    SYN_ACK = 3  #: an answer to a SYN that is on no record
    SYN = 4  #: the SYN, or the answer to one that is on record
    RULES = 5  #: it makes no difference: the rules say the same whoever began


def conjunction(first: Verdict, second: Verdict) -> Verdict:
    """The verdict of a path from those of its two ends: REJECT beats UNKNOWN beats ACCEPT."""
    if Verdict.REJECT in (first, second):
        return Verdict.REJECT
    return Verdict.UNKNOWN if Verdict.UNKNOWN in (first, second) else Verdict.ACCEPT


@dataclass(frozen=True, slots=True)
class MatchSets:
    """Interned sets of rules. Set `i` is `members[offsets[i]:offsets[i + 1]]`, ascending rule indexes.

    Set 0 is the empty set; no two sets are equal. `offsets` is int64 of length `len(self) + 1`,
    `members` int32: indexes into `RuleTables.rule_ids`.
    """

    offsets: npt.NDArray[np.int64]
    members: npt.NDArray[np.int32]

    @classmethod
    def of(cls, sets: Iterable[Sequence[int]]) -> MatchSets:
        """Build from ascending sequences of rule indexes, the first of which must be empty."""
        listed = [list(s) for s in sets]
        assert listed and not listed[0], "set 0 is the empty set"
        offsets = np.zeros(len(listed) + 1, np.int64)
        offsets[1:] = np.cumsum([len(s) for s in listed])
        return cls(offsets, np.array([m for s in listed for m in s], np.int32))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> tuple[int, ...]:
        return tuple(self.members[self.offsets[index] : self.offsets[index + 1]].tolist())


@dataclass(frozen=True, slots=True)
class RuleVerdicts:
    """What the rules alone say of each row of a FlowTable; no time, no connections. All arrays have n rows.

    `action` and `reason` are uint8 (Verdict, Reason). `match_set` (int32) indexes `sets`: all rules that surely
    match; `possible_set` those that may match in addition (only kept where `action` is UNKNOWN, else 0).
    `deciding_rule` is int32, -1 for none. `untracked` (bool): a connection that this row opens is not tracked
    (docs/semantics.md §2.1).
    """

    action: npt.NDArray[np.uint8]
    reason: npt.NDArray[np.uint8]
    match_set: npt.NDArray[np.int32]
    possible_set: npt.NDArray[np.int32]
    deciding_rule: npt.NDArray[np.int32]
    untracked: npt.NDArray[np.bool_]
    sets: MatchSets

    def __len__(self) -> int:
        return len(self.action)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Records as a flow log has them, with the verdict and the rules behind it; n rows, one a record.

    A record is one (interface, direction, five-tuple, ICMP type and code, action, snapshot, aggregation interval)
    (docs/semantics.md §9.4); reason and rules are those of its first packet.

    `interface` int32 as in FlowBlock. `direction` uint8, meaningless where `interface` is NO_INTERFACE. Addresses
    are two 64-bit halves, IPv4 in the low one. `packets`, `bytes`, `start`, `end` (seconds since the epoch) int64.
    `tcp_flags` as flow logs have them: FIN 1, SYN 2, RST 4, SYN-ACK 18, OR-ed. `match_set`, `possible_set` index
    `sets`; `deciding_rule` indexes the snapshot's rules, -1 for none. `initiating` (bool): the record's first packet
    goes in the direction in which its connection was opened. `flow_id` int64 is shared by the two ends of a flow;
    `path_action` is the conjunction of the ends' verdicts for the record's first packet.
    """

    interface: npt.NDArray[np.int32]
    direction: npt.NDArray[np.uint8]
    family: npt.NDArray[np.uint8]
    src_hi: npt.NDArray[np.uint64]
    src_lo: npt.NDArray[np.uint64]
    dst_hi: npt.NDArray[np.uint64]
    dst_lo: npt.NDArray[np.uint64]
    srcport: npt.NDArray[np.uint16]
    dstport: npt.NDArray[np.uint16]
    protocol: npt.NDArray[np.uint8]
    icmp_type: npt.NDArray[np.int16]
    icmp_code: npt.NDArray[np.int16]
    fragment: npt.NDArray[np.bool_]
    packets: npt.NDArray[np.int64]
    bytes: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    tcp_flags: npt.NDArray[np.uint8]
    action: npt.NDArray[np.uint8]
    reason: npt.NDArray[np.uint8]
    match_set: npt.NDArray[np.int32]
    possible_set: npt.NDArray[np.int32]
    deciding_rule: npt.NDArray[np.int32]
    initiating: npt.NDArray[np.bool_]
    flow_id: npt.NDArray[np.int64]
    path_action: npt.NDArray[np.uint8]
    sets: MatchSets

    def __len__(self) -> int:
        return len(self.interface)

    def at(self, rows: Any) -> Verdicts:
        """Some of the records; a slice shares memory with the whole."""
        names = [field.name for field in fields(self) if field.name != "sets"]
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


@dataclass(frozen=True, slots=True)
class TimedVerdicts(Verdicts):
    """Records under a configuration that changes in time.

    `snapshot` int32: the version in force. `change` int32: the version whose changes decided what the rules say of the
    record's flow, 0 for none; `before` uint8: what they said before that, a Verdict or 255 if there was no interface.
    """

    snapshot: npt.NDArray[np.int32]
    change: npt.NDArray[np.int32]
    before: npt.NDArray[np.uint8]
