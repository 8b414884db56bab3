"""Counts over batches of records; rejected and unknown ones grouped so that a person sees what to do.

Memory follows the number of groups, not of records.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sgsim.flows import INGRESS
from sgsim.model import ICMP, ICMPV6, TCP, UDP
from sgsim.report.columns import blocks
from sgsim.verdicts import MatchSets, Reason, Verdict, Verdicts

__all__ = ["MANY", "Count", "Group", "GroupKey", "RuleHits", "Sample", "Tally", "group_table", "rule_hits"]

MAX_GROUPS = 10_000  #: from here on, new groups do not tell ports apart
MAX_PEERS = 1_000  #: other ends remembered for a group; beyond, only that there are more
MANY_PEERS = 100_000  #: from here on, of all groups, a group remembers FEW_PEERS
FEW_PEERS = 10
MANY = -1  #: `GroupKey.service`: any port, since there are too many groups

SYN_ACK = 16  #: a flow log's tcp-flags hold the ACK bit only for a SYN-ACK


@dataclass(slots=True)
class Count:
    """How many records, and the packets and bytes in them."""

    records: int = 0
    packets: int = 0
    bytes: int = 0

    def add(self, records: int, packets: int, bytes_: int) -> None:
        self.records += records
        self.packets += packets
        self.bytes += bytes_


class GroupKey(NamedTuple):
    """What the records of a group share.

    `interface` as in Verdicts. `service` is the port of the side that was called (TCP, UDP), `type << 8 | code`
    (ICMP; 0xFFFF where the record does not tell), 0 for other protocols, or MANY. `answer` says that the records go
    from that side to the caller.
    """

    action: int
    reason: int
    interface: int
    direction: int
    family: int
    protocol: int
    service: int
    answer: bool
    fragment: bool


class Sample(NamedTuple):
    """One record of a group, as numbers; the addresses are integers."""

    family: int
    srcaddr: int
    dstaddr: int
    srcport: int
    dstport: int
    protocol: int
    icmp_type: int
    icmp_code: int


@dataclass(slots=True)
class Group:
    """Records that differ only in the other end and in time; `peers` counts records by (family, address).

    Of a flood of addresses only the most frequent are counted, and `more_peers` is set.
    """

    key: GroupKey
    sample: Sample
    possible_rules: frozenset[int]
    count: Count = field(default_factory=Count)
    start: int = 0
    end: int = 0
    peers: Counter[tuple[int, int]] = field(default_factory=Counter)
    more_peers: bool = False


class RuleHits(NamedTuple):
    """Uses of each rule, indexed like the snapshot's rules.

    `hits`: ends of flows that open a connection and that the rule matches; `sole`: those that no other rule allows.
    """

    hits: npt.NDArray[np.int64]
    sole: npt.NDArray[np.int64]


class Tally:
    """Adds up batches of Verdicts."""

    def __init__(self) -> None:
        self.totals: dict[tuple[Verdict, Reason], Count] = {}
        self.start: int | None = None
        self.end: int | None = None
        self.groups: dict[GroupKey, Group] = {}
        self._peers = 0  #: other ends remembered, of all groups

    @property
    def unknown(self) -> int:
        """Records whose verdict is UNKNOWN."""
        return sum(count.records for (action, _), count in self.totals.items() if action is Verdict.UNKNOWN)

    @property
    def records(self) -> int:
        return sum(count.records for count in self.totals.values())

    def add(self, verdicts: Verdicts) -> None:
        """Count one batch."""
        for block in blocks(verdicts):
            self.add_totals(block)
            self._add_groups(block)
            first, last = int(block.start.min()), int(block.end.max())
            self.start = first if self.start is None else min(self.start, first)
            self.end = last if self.end is None else max(self.end, last)

    def add_totals(self, verdicts: Verdicts) -> None:
        """Count only verdicts and reasons of a batch."""
        kinds = verdicts.action.astype(np.int64) * len(Reason) + verdicts.reason
        size = len(Verdict) * len(Reason)
        records = np.bincount(kinds, minlength=size)
        packets = _sums(kinds, verdicts.packets, size)
        bytes_ = _sums(kinds, verdicts.bytes, size)
        for kind in np.flatnonzero(records).tolist():
            action, reason = divmod(kind, len(Reason))
            count = self.totals.setdefault((Verdict(action), Reason(reason)), Count())
            count.add(int(records[kind]), int(packets[kind]), int(bytes_[kind]))

    def _add_groups(self, verdicts: Verdicts) -> None:
        rows = np.flatnonzero(verdicts.action != Verdict.ACCEPT)
        if not len(rows):
            return
        keys = list(GroupKey._fields)
        table = group_table(verdicts, rows, collapse=len(self.groups) >= MAX_GROUPS)
        merged = _merged(table, keys)
        if len(merged) > MAX_GROUPS:
            table = group_table(verdicts, rows, collapse=True)
            merged = _merged(table, keys)
        for line in merged.to_pylist():
            key = GroupKey(*(line[name] for name in keys))
            group = self.groups.get(key)
            if group is None:
                row = line["row_min"]
                possible = verdicts.sets[int(verdicts.possible_set[row])]
                group = Group(key, _sample(verdicts, row), frozenset(possible), start=line["start_min"])
                self.groups[key] = group
            group.count.add(line["row_count"], line["packets_sum"], line["bytes_sum"])
            group.start, group.end = min(group.start, line["start_min"]), max(group.end, line["end_max"])
        self._add_peers(table, keys)

    def _add_peers(self, table: Any, keys: list[str]) -> None:
        grouped = table.group_by([*keys, "peer_hi", "peer_lo"], use_threads=False)
        peers = grouped.aggregate([("row", "count"), ("row", "min")])
        if len(peers) > MAX_GROUPS:  # a flood of addresses: those met most often tell enough
            peers = peers.sort_by([("row_count", "descending"), ("row_min", "ascending")])
            forgotten = peers.slice(MAX_GROUPS).group_by(keys, use_threads=False).aggregate([])
            for line in forgotten.to_pylist():
                self.groups[GroupKey(**line)].more_peers = True
            peers = peers.slice(0, MAX_GROUPS)
        columns = [peers[name].to_pylist() for name in (*keys, "peer_hi", "peer_lo", "row_count")]
        for *key, hi, lo, records in zip(*columns):
            group = self.groups[GroupKey(*key)]
            peer = (group.key.family, hi << 64 | lo)
            if peer in group.peers:
                group.peers[peer] += records
            elif len(group.peers) < (MAX_PEERS if self._peers < MANY_PEERS else FEW_PEERS):
                group.peers[peer] = records
                self._peers += 1
            else:
                group.more_peers = True


def _sums(kinds: npt.NDArray[np.int64], values: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """The sum of `values` for each kind, exact (bincount's weights are floating-point)."""
    sums = np.zeros(size, np.int64)
    for kind in np.unique(kinds).tolist():
        sums[kind] = values[kinds == kind].sum()
    return sums


def rule_hits(per_set: npt.NDArray[np.int64], sets: MatchSets, rules: int) -> RuleHits:
    """Hits of rules from hits of match sets: every member of a set gets the set's, and alone if it is the only one."""
    sizes = np.diff(sets.offsets)
    hits, sole = np.zeros(rules, np.int64), np.zeros(rules, np.int64)
    np.add.at(hits, sets.members, np.repeat(per_set, sizes))
    np.add.at(sole, sets.members, np.repeat(np.where(sizes == 1, per_set, 0), sizes))
    return RuleHits(hits, sole)


def _merged(table: Any, keys: list[str]) -> Any:
    """One row per group, in order of appearance: how many, sums, first row, first and last time."""
    sums = [("row", "min"), ("row", "count"), ("packets", "sum"), ("bytes", "sum"), ("start", "min"), ("end", "max")]
    return table.group_by(keys, use_threads=False).aggregate(sums)


def group_table(verdicts: Verdicts, rows: npt.NDArray[np.int64], *, collapse: bool) -> Any:
    """The rows as an Arrow table of the fields of GroupKey, the other end's address, and what is summed up."""
    protocol = verdicts.protocol[rows]
    ingress = verdicts.direction[rows] == INGRESS
    ports = (protocol == TCP) | (protocol == UDP)
    icmp = (protocol == ICMP) | (protocol == ICMPV6)
    # ICMP has no called side to speak of: an echo reply is a group of its own by its type
    answer = ports & (~verdicts.initiating[rows] | (verdicts.tcp_flags[rows] & SYN_ACK != 0))
    port = np.where(answer, verdicts.srcport[rows], verdicts.dstport[rows]).astype(np.int32)
    kind = (verdicts.icmp_type[rows].astype(np.int32) & 0xFF) << 8 | (verdicts.icmp_code[rows].astype(np.int32) & 0xFF)
    service = np.where(ports, port, np.where(icmp, kind, 0))
    if collapse:
        service = np.where(ports, MANY, service)
    return pa.table(
        {
            "action": verdicts.action[rows],
            "reason": verdicts.reason[rows],
            "interface": verdicts.interface[rows],
            "direction": verdicts.direction[rows],
            "family": verdicts.family[rows],
            "protocol": protocol,
            "service": service,
            "answer": pa.array(answer),
            "fragment": pa.array(verdicts.fragment[rows]),
            "peer_hi": np.where(ingress, verdicts.src_hi[rows], verdicts.dst_hi[rows]),
            "peer_lo": np.where(ingress, verdicts.src_lo[rows], verdicts.dst_lo[rows]),
            "row": rows,
            "packets": verdicts.packets[rows],
            "bytes": verdicts.bytes[rows],
            "start": verdicts.start[rows],
            "end": verdicts.end[rows],
        }
    )


def _sample(verdicts: Verdicts, row: int) -> Sample:
    return Sample(
        family=int(verdicts.family[row]),
        srcaddr=int(verdicts.src_hi[row]) << 64 | int(verdicts.src_lo[row]),
        dstaddr=int(verdicts.dst_hi[row]) << 64 | int(verdicts.dst_lo[row]),
        srcport=int(verdicts.srcport[row]),
        dstport=int(verdicts.dstport[row]),
        protocol=int(verdicts.protocol[row]),
        icmp_type=int(verdicts.icmp_type[row]),
        icmp_code=int(verdicts.icmp_code[row]),
    )
