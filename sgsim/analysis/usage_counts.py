"""Use of rules, added up over batches of Verdicts.

Everything is counted by match set, with bincount and its like; rules get their shares at the end. A record is use of
the rules of its match set if they let its connection be opened: ACCEPT, RULE, initiating. Replies, packets that only
the state lets through, and what is rejected are no use of a rule (docs/usage.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.analysis.usage_peers import Peers, distinct
from sgsim.analysis.usage_window import Coverage, Window
from sgsim.flows import AMBIGUOUS, EGRESS, INGRESS, FlowBlock, FlowTable
from sgsim.model import ICMP, ICMPV6, TCP, UDP
from sgsim.verdicts import MatchSets, Reason, Verdict, Verdicts

__all__ = ["NEVER", "RuleUse", "UseCounter", "service_of"]

NEVER = np.iinfo(np.int64).max  #: `RuleUse.first` of a rule without use
SAMPLES = 16  #: flows of each match set that are remembered
_FLUSH = 1 << 18  #: pairs of match set and address that wait for their rules
_CODE_BITS = 25
_ANY = 1 << 16  #: service code: the record does not tell port or type, or the protocol has none
_SAMPLED = (
    "family", "src_hi", "src_lo", "dst_hi", "dst_lo", "srcport", "dstport", "protocol", "icmp_type", "icmp_code",
    "interface", "direction",
)  # fmt: skip

Column = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class RuleUse:
    """Use of each rule, indexed like `RuleTables.rule_ids`.

    `flows` counts ends of flows that open a connection and that the rule allows, `sole` those that no other rule
    allows; `packets` and `bytes` are those of the opening side. `first`, `last`: seconds since the epoch (NEVER and -1
    where there is none). `possible` counts records that may be let in by nothing but the rule, `doubtful` those that it
    and others allow if their connection was opened at that end, which is not known. `peers` and `services` (codes, see
    `service_of`) only have rules that are used. `seen` counts records at each interface, `ambiguous` those whose
    interface could be several.

    `sets` are the match sets that occurred, each with its flows, and `doubtful_sets` those of doubtful records; the
    rules of a set ascend. `samples` are up to SAMPLES flows of each set, for `evaluate`.
    """

    flows: npt.NDArray[np.int64]
    sole: npt.NDArray[np.int64]
    packets: npt.NDArray[np.int64]
    bytes: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    possible: npt.NDArray[np.int64]
    doubtful: npt.NDArray[np.int64]
    seen: npt.NDArray[np.int64]
    window: Window
    ambiguous: int = 0
    peers: dict[int, Peers] = field(default_factory=dict)
    services: dict[int, npt.NDArray[np.int64]] = field(default_factory=dict)
    sets: dict[tuple[int, ...], int] = field(default_factory=dict)
    doubtful_sets: frozenset[tuple[int, ...]] = frozenset()
    samples: FlowTable = field(default_factory=FlowTable.of)


def service_of(code: int) -> tuple[int, int | None]:
    """A service code as protocol and port, or ICMP type and code in one number; None where there is none."""
    return code >> 17, None if code & _ANY else code & 0xFFFF


class UseCounter:
    """Adds up batches; `rules` and `interfaces` are the numbers of both in the snapshot."""

    def __init__(self, rules: int, interfaces: int) -> None:
        self._rules = rules
        self._seen = np.zeros(interfaces, np.int64)
        self._ambiguous = 0
        self._coverage = Coverage()
        self._sets: dict[bytes, int] = {b"": 0}
        self._sums = {
            name: np.zeros(1, np.int64) for name in ("flows", "records", "packets", "bytes", "possible", "doubtful")
        }
        self._first: npt.NDArray[np.int64] = np.full(1, NEVER)
        self._last: npt.NDArray[np.int64] = np.full(1, -1)
        self._counted: npt.NDArray[np.uint8] = np.zeros(1, np.uint8)
        self._services: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._waiting: dict[int, list[tuple[Column, Column, Column]]] = {4: [], 6: []}
        self._waiting_rows = 0
        self._peers: dict[int, Peers] = {}
        self._samples: dict[int, list[tuple[int, ...]]] = {}

    def add(self, verdicts: Verdicts, counts: npt.NDArray[np.bool_] | None = None) -> None:
        """Count a batch; where `counts` is False a record is seen, but is no use of a rule."""
        placed = verdicts.interface >= 0
        self._seen += np.bincount(verdicts.interface[placed], minlength=len(self._seen))
        self._ambiguous += int(np.count_nonzero(verdicts.interface == AMBIGUOUS))
        self._coverage.add(verdicts.start, verdicts.end)
        allowed = (verdicts.action == Verdict.ACCEPT) & (verdicts.reason == Reason.RULE) & verdicts.initiating
        allowed &= placed & (verdicts.direction <= EGRESS)
        unsure = (verdicts.action == Verdict.UNKNOWN) & (verdicts.possible_set != 0)
        if counts is not None:
            allowed &= counts
            unsure &= counts
        possible = self._numbered(verdicts.sets, verdicts.possible_set[unsure])
        rows = np.flatnonzero(allowed)
        sets = self._numbered(verdicts.sets, verdicts.match_set[rows])
        self._grow()
        self._add("possible", possible)
        if len(rows):
            self._add_use(verdicts, rows, sets)

    def add_possible(self, sets: MatchSets, indexes: npt.NDArray[np.int32]) -> None:
        """One record each that may have been let in by the rules of a set."""
        self._add_records("possible", sets, indexes)

    def add_doubtful(self, sets: MatchSets, indexes: npt.NDArray[np.int32]) -> None:
        """One record each of a connection that the rules of a set allow, if it was opened in this direction at all."""
        self._add_records("doubtful", sets, indexes)

    def _add_records(self, name: str, sets: MatchSets, indexes: npt.NDArray[np.int32]) -> None:
        numbers = self._numbered(sets, indexes)
        self._grow()
        self._add(name, numbers)

    def observe(self, start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> None:
        """Times that were observed though there is no record of traffic."""
        self._coverage.add(start, end, records=False)

    def _add_use(self, verdicts: Verdicts, rows: npt.NDArray[np.int64], sets: npt.NDArray[np.int64]) -> None:
        self._add("records", sets)
        fragment, direction = (column[rows].astype(np.int64) for column in (verdicts.fragment, verdicts.direction))
        self._add("flows", sets[self._new(4 * verdicts.flow_id[rows] + 2 * fragment + direction)])
        np.add.at(self._sums["packets"], sets, verdicts.packets[rows])
        np.add.at(self._sums["bytes"], sets, verdicts.bytes[rows])
        np.minimum.at(self._first, sets, verdicts.start[rows])
        np.maximum.at(self._last, sets, verdicts.end[rows])
        services = distinct(sets << _CODE_BITS | _service_codes(verdicts, rows))
        self._services = distinct(np.concatenate([self._services, services]))
        self._wait(verdicts, rows, sets)
        self._remember(verdicts, rows, sets)

    def _add(self, name: str, sets: npt.NDArray[np.int64]) -> None:
        self._sums[name] += np.bincount(sets, minlength=len(self._first))

    def _numbered(self, sets: MatchSets, indexes: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """Sets of one batch by their numbers here, the same for the same rules whatever the batch."""
        used, inverse = np.unique(indexes, return_inverse=True)
        known = self._sets
        numbers = np.empty(len(used), np.int64)
        for n, index in enumerate(used.tolist()):
            rules = sets.members[sets.offsets[index] : sets.offsets[index + 1]].tobytes()
            numbers[n] = known.setdefault(rules, len(known))
        return numbers[inverse]

    def _grow(self) -> None:
        more = len(self._sets) - len(self._first)
        if more:
            self._sums = {name: np.pad(sums, (0, more)) for name, sums in self._sums.items()}
            self._first = np.pad(self._first, (0, more), constant_values=NEVER)
            self._last = np.pad(self._last, (0, more), constant_values=-1)

    def _new(self, ends: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Positions of the flow ends that are met for the first time: one bit is remembered of each."""
        distinct, where = np.unique(ends, return_index=True)
        byte, bit = distinct >> 3, (1 << (distinct & 7)).astype(np.uint8)
        if (short := int(byte[-1]) + 1 - len(self._counted)) > 0:
            self._counted = np.pad(self._counted, (0, max(short, len(self._counted))))
        new = self._counted[byte] & bit == 0
        np.bitwise_or.at(self._counted, byte, bit)
        positions: npt.NDArray[np.int64] = where[new]
        return positions

    def _remember(self, verdicts: Verdicts, rows: npt.NDArray[np.int64], sets: npt.NDArray[np.int64]) -> None:
        """Keep a flow of each set; later fragments, which may only have their first one's answer, are none (§9.15)."""
        whole = ~verdicts.fragment[rows]
        distinct, first = np.unique(sets[whole], return_index=True)
        for of, row in zip(distinct.tolist(), rows[whole][first].tolist()):
            if len(kept := self._samples.setdefault(of, [])) < SAMPLES:
                kept.append(tuple(int(getattr(verdicts, name)[row]) for name in _SAMPLED))

    # -- addresses of the other end ----------------------------------------------------------------------------------

    def _wait(self, verdicts: Verdicts, rows: npt.NDArray[np.int64], sets: npt.NDArray[np.int64]) -> None:
        """Keep the different (set, address) pairs until there are enough to be given to the rules together."""
        inward = verdicts.direction[rows] == INGRESS
        hi = np.where(inward, verdicts.src_hi[rows], verdicts.dst_hi[rows])
        lo = np.where(inward, verdicts.src_lo[rows], verdicts.dst_lo[rows])
        for family, waiting in self._waiting.items():
            mine = verdicts.family[rows] == family
            if mine.any():
                pairs = _distinct_pairs(sets[mine], hi[mine], lo[mine])
                waiting.append(pairs)
                self._waiting_rows += len(pairs[0])
        if self._waiting_rows > _FLUSH:
            self._hand_over()

    def _hand_over(self) -> None:
        members = self._members()
        for family, waiting in self._waiting.items():
            if not waiting:
                continue
            sets, hi, lo = _distinct_pairs(*(np.concatenate(column) for column in zip(*waiting)))
            waiting.clear()
            bounds = [0, *(np.flatnonzero(np.diff(sets)) + 1).tolist(), len(sets)]
            for start, stop in pairwise(bounds):
                for rule in members[sets[start]].tolist():
                    self._peers.setdefault(rule, Peers()).add(family, hi[start:stop], lo[start:stop])
        self._waiting_rows = 0

    def _members(self) -> list[npt.NDArray[np.int32]]:
        return [np.frombuffer(rules, np.int32) for rules in self._sets]

    # -- the end -----------------------------------------------------------------------------------------------------

    def use(self) -> RuleUse:
        """Everything so far, by rule."""
        self._hand_over()
        members = self._members()
        sizes = np.array([len(rules) for rules in members], np.int64)
        rules = np.concatenate(members).astype(np.int64)
        owner = np.repeat(np.arange(len(members)), sizes)

        def by_rule(per_set: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
            sums = np.zeros(self._rules, np.int64)
            np.add.at(sums, rules, per_set[owner])
            return sums

        first, last = np.full(self._rules, NEVER), np.full(self._rules, -1)
        np.minimum.at(first, rules, self._first[owner])
        np.maximum.at(last, rules, self._last[owner])
        sums = self._sums
        # Later fragments of several flows share an end, and may have several sets: each of them is a flow at least.
        flows = np.maximum(sums["flows"], np.minimum(sums["records"], 1))
        return RuleUse(
            flows=by_rule(flows),
            sole=by_rule(np.where(sizes == 1, flows, 0)),
            packets=by_rule(sums["packets"]),
            bytes=by_rule(sums["bytes"]),
            first=first,
            last=last,
            possible=by_rule(sums["possible"]) + by_rule(np.where(sizes == 1, sums["doubtful"], 0)),
            doubtful=by_rule(np.where(sizes == 1, 0, sums["doubtful"])),
            seen=self._seen.copy(),
            window=self._coverage.window(),
            ambiguous=self._ambiguous,
            peers=self._peers,
            services=self._services_by_rule(members),
            doubtful_sets=frozenset(tuple(members[n].tolist()) for n in np.flatnonzero(sums["doubtful"]).tolist()),
            samples=_flow_table([flow for kept in self._samples.values() for flow in kept]),
            sets={tuple(members[n].tolist()): int(flows[n]) for n in np.flatnonzero(sums["records"]).tolist()},
        )

    def _services_by_rule(self, members: list[npt.NDArray[np.int32]]) -> dict[int, npt.NDArray[np.int64]]:
        found: dict[int, npt.NDArray[np.int64]] = {}
        sets, codes = self._services >> _CODE_BITS, self._services & ((1 << _CODE_BITS) - 1)
        bounds = [0, *(np.flatnonzero(np.diff(sets)) + 1).tolist(), len(sets)]
        for start, stop in pairwise(bounds):
            for rule in members[sets[start]].tolist() if stop > start else ():
                known = found.get(rule)
                new = codes[start:stop]
                found[rule] = new if known is None else distinct(np.concatenate([known, new]))
        return found


def _service_codes(verdicts: Verdicts, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """protocol << 17 | port, or ICMP type << 8 | code, or 1 << 16 where there is none."""
    protocol = verdicts.protocol[rows].astype(np.int64)
    icmp_type, icmp_code = verdicts.icmp_type[rows].astype(np.int64), verdicts.icmp_code[rows].astype(np.int64)
    ports = ((protocol == TCP) | (protocol == UDP)) & ~verdicts.fragment[rows]
    types = ((protocol == ICMP) | (protocol == ICMPV6)) & (icmp_type >= 0) & (icmp_code >= 0)
    port = verdicts.dstport[rows].astype(np.int64)
    return protocol << 17 | np.where(ports, port, np.where(types, icmp_type << 8 | icmp_code & 0xFF, _ANY))


def _flow_table(flows: list[tuple[int, ...]]) -> FlowTable:
    blocks, row = [], 0
    for family in (4, 6):
        mine = [dict(zip(_SAMPLED, flow)) for flow in flows if flow[0] == family]
        columns = {name: [flow[name] for flow in mine] for name in _SAMPLED}
        ends = []
        for end in ("src", "dst"):
            hi, lo = np.array(columns[f"{end}_hi"], np.uint64), np.array(columns[f"{end}_lo"], np.uint64)
            ends.append(lo.astype(np.uint32) if family == 4 else np.stack([hi, lo], axis=1))
        others = {name: columns[name] for name in _SAMPLED[5:]}
        blocks.append(FlowBlock.from_columns(family, *ends, **others, row=np.arange(row, row + len(mine))))
        row += len(mine)
    return FlowTable.of(*blocks)


def _distinct_pairs(sets: Column, hi: Column, lo: Column) -> tuple[Column, Column, Column]:
    """(set, address) pairs, sorted by set, each once."""
    if not hi.any() and len(lo) and int(lo.max()) < 1 << 32:  # IPv4: both fit into one number
        keys = distinct(sets.astype(np.uint64) << np.uint64(32) | lo)
        low = keys & np.uint64(0xFFFFFFFF)
        return (keys >> np.uint64(32)).astype(np.int64), np.zeros_like(low), low
    order = np.lexsort((lo, hi, sets))
    sets, hi, lo = sets[order], hi[order], lo[order]
    first = np.ones(len(sets), np.bool_)
    first[1:] = (sets[1:] != sets[:-1]) | (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1])
    return sets[first], hi[first], lo[first]
