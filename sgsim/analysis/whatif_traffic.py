"""Flows whose verdict changes, by cause: interface and direction, and the rules on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from sgsim.analysis.space_difference import without_garbage_collection
from sgsim.engine.comparison import FlowChanges, Side
from sgsim.engine.interner import Interner, grown
from sgsim.flows import INGRESS
from sgsim.kernels.tracking_layout import KEY_WORDS
from sgsim.model import ICMP, ICMPV6, Direction
from sgsim.verdicts import MatchSets, Reason, Verdict

__all__ = ["TRAFFIC_KINDS", "Answer", "Count", "FlowTally", "Service", "TrafficChange", "joined_ids"]

#: What a change of a flow's verdict is called.
TRAFFIC_KINDS = {
    (Verdict.ACCEPT, Verdict.REJECT): "newly-rejected",
    (Verdict.REJECT, Verdict.ACCEPT): "newly-accepted",
    (Verdict.ACCEPT, Verdict.UNKNOWN): "perhaps-rejected",
    (Verdict.REJECT, Verdict.UNKNOWN): "perhaps-accepted",
    (Verdict.UNKNOWN, Verdict.REJECT): "surely-rejected",
    (Verdict.UNKNOWN, Verdict.ACCEPT): "surely-accepted",
}

_PEERS = 1 << 20  #: (cause, other end) that are counted apart
_SHOWN = 100  #: other ends of a cause that are kept in the end
_NAMED = 4  #: rules that an id names
_UNJUDGED = 15  #: in place of a reason
_HALF = np.uint64(32)


class Service(NamedTuple):
    """What is asked for: a protocol and the port (or ICMP type × 256 + code, -1 where not told) that was opened."""

    protocol: int
    port: int


class Count(NamedTuple):
    """`flows` are directions of connections; packets and bytes those whose verdict changes."""

    flows: int
    packets: int
    bytes: int


class Answer(NamedTuple):
    """The answer at the end that decides, on one side; `reason` None where this end was not judged."""

    interface_id: str | None
    reason: Reason | None
    rule_ids: tuple[str, ...]
    possible_rule_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrafficChange:
    """Flows with the same change for the same reasons.

    `opening`: they go in the direction in which their connections are opened; else they are answers. `connections` is
    how many connections they belong to, with all that these have, both ways. `refused`: the flow log itself recorded
    them as rejected. `services` and `peers` (family, address) are sorted by flows; `more_peers`: there are others.
    `first` and `last` are seconds.
    """

    kind: str
    direction: Direction
    opening: bool
    refused: bool
    before: Answer
    after: Answer
    count: Count
    connections: Count
    services: tuple[tuple[Service, Count], ...]
    peers: tuple[tuple[tuple[int, int], Count], ...]
    more_peers: bool
    first: int
    last: int

    @property
    def interface_id(self) -> str | None:
        """Where it is decided."""
        return self.after.interface_id or self.before.interface_id

    @property
    def rule_ids(self) -> tuple[str, ...]:
        """The rules that let the flows pass on one side, surely or perhaps."""
        passes = self.before if self.kind.endswith("rejected") else self.after
        return passes.rule_ids or passes.possible_rule_ids

    @property
    def change_id(self) -> str:
        """Stable: made of what it is about, not of how much there is of it; no other change has it."""
        passes, other = (self.before, self.after) if self.kind.endswith("rejected") else (self.after, self.before)
        marks = [answer_id(passes) or "no-rule", answer_id(other)]
        marks += ["" if self.opening else "answers", "refused" if self.refused else ""]
        end = f"{self.interface_id or 'unknown'}/{self.direction.name.lower()}"
        return "/".join([self.kind, end, *filter(None, marks)])


def answer_id(answer: Answer) -> str:
    """The rules of an answer, and the reason where that is none of the usual two."""
    usual = answer.reason in (Reason.RULE, Reason.NO_RULE)
    reason = "" if usual else "not-judged" if answer.reason is None else answer.reason.name.lower()
    return ":".join(filter(None, (reason, joined_ids(answer.rule_ids), joined_ids(answer.possible_rule_ids))))


def joined_ids(rule_ids: tuple[str, ...]) -> str:
    """`sgr-1+sgr-2`; of many the first ones and a digest of all."""
    if len(rule_ids) <= _NAMED:
        return "+".join(rule_ids)
    return f"{'+'.join(rule_ids[: _NAMED - 1])}+{len(rule_ids) - _NAMED + 1}-{crc32(' '.join(rule_ids).encode()):08x}"


class FlowTally:
    """Adds batches up. Numbers of interfaces, rules and sets must mean the same in all of them."""

    def __init__(self) -> None:
        self._causes, self._services, self._peers = _Counts(), _Counts(), _Counts()
        self._connections: npt.NDArray[np.int64] = np.zeros((0, 3), np.int64)
        self._times: npt.NDArray[np.int64] = np.zeros((0, 2), np.int64)
        self._sets = MatchSets.of([[]]), MatchSets.of([[]])
        self._more_peers = False
        self.flows: dict[str, Count] = {}  #: by kind, those in the opening direction; flows distinct
        self.answers: dict[str, Count] = {}  #: likewise, of answers
        self.connections: dict[str, Count] = {}  #: by kind, all of the connections that change in the opening direction

    def add(self, changes: FlowChanges) -> None:
        """Add a batch; all rows of a flow are in it."""
        self._sets = changes.before.sets, changes.after.sets
        opening = _opening(changes)
        cause = self._causes.add(_cause_keys(changes, opening), changes)
        self._note(cause, changes)
        services = np.zeros((len(changes), KEY_WORDS), np.uint64)
        services[:, 0], services[:, 1], services[:, 2] = cause, changes.protocol, _ports(changes, opening)
        self._services.add(services, changes)
        if self._peers.count < _PEERS:
            peers = np.zeros((len(changes), KEY_WORDS), np.uint64)
            inward = changes.direction == INGRESS
            peers[:, 0], peers[:, 1] = cause, changes.family
            peers[:, 2] = np.where(inward, changes.src_hi, changes.dst_hi)
            peers[:, 3] = np.where(inward, changes.src_lo, changes.dst_lo)
            self._peers.add(peers, changes)
        else:
            self._more_peers = True
        for number, kind in _KINDS.items():
            of_kind = 3 * changes.path_before.astype(np.int64) + changes.path_after == number
            for totals, rows in ((self.flows, of_kind & opening), (self.answers, of_kind & ~opening)):
                _count(totals, kind, changes, np.flatnonzero(rows))
            rows = np.flatnonzero(of_kind & opening)
            rows = rows[np.unique(changes.connection[rows], return_index=True)[1]]
            if len(rows):
                known = self.connections.get(kind, Count(0, 0, 0))
                packets, size = changes.connection_packets[rows].sum(), changes.connection_bytes[rows].sum()
                self.connections[kind] = _sum(known, Count(len(rows), int(packets), int(size)))

    def _note(self, cause: npt.NDArray[np.int32], changes: FlowChanges) -> None:
        """Connections of each cause, and from when to when."""
        known = len(self._times)
        self._connections = grown(self._connections, self._causes.count)
        self._times = grown(self._times, self._causes.count)
        self._connections[known : self._causes.count] = 0
        self._times[known : self._causes.count] = np.iinfo(np.int64).max, np.iinfo(np.int64).min
        np.minimum.at(self._times[:, 0], cause, changes.first)
        np.maximum.at(self._times[:, 1], cause, changes.last)
        self._times, self._connections = self._times[: self._causes.count], self._connections[: self._causes.count]
        pairs = np.stack([cause.astype(np.int64), changes.connection], axis=1)
        rows = np.unique(pairs, axis=0, return_index=True)[1]
        whole = np.stack(
            [np.ones(len(rows), np.int64), changes.connection_packets[rows], changes.connection_bytes[rows]]
        )
        np.add.at(self._connections, cause[rows], whole.T)

    def changes(
        self, before: tuple[Sequence[str], Sequence[str]], after: tuple[Sequence[str], Sequence[str]]
    ) -> list[TrafficChange]:
        """What was added, most flows first; `before` and `after` are the ids of interfaces and rules on both sides."""
        with without_garbage_collection():
            return self._changes((before, after))

    def _changes(self, ids: tuple[tuple[Sequence[str], Sequence[str]], ...]) -> list[TrafficChange]:
        services: dict[int, list[tuple[Service, Count]]] = {}
        for (cause, protocol, port, *_), count in self._services.rows():
            service = Service(protocol, port - (1 << 64) if port >> 63 else port)
            services.setdefault(cause, []).append((service, count))
        peers: dict[int, list[tuple[tuple[int, int], Count]]] = {}
        for (cause, family, hi, lo, *_), count in self._peers.rows():
            peers.setdefault(cause, []).append(((family, hi << 64 | lo), count))
        answers = [cache(partial(_answer, sets=sets, ids=names)) for sets, names in zip(self._sets, ids)]
        rows = zip(self._causes.rows(), self._connections.tolist(), self._times.tolist())
        found = []
        for number, ((key, count), connections, (first, last)) in enumerate(rows):
            others = peers.get(number, [])
            found.append(
                TrafficChange(
                    kind=_KINDS[key[0] & 15],
                    direction=_DIRECTIONS[key[0] >> 4 & 1],
                    opening=bool(key[0] >> 5 & 1),
                    refused=bool(key[0] >> 6 & 1),
                    before=answers[0](*key[1:4]),
                    after=answers[1](*key[4:7]),
                    count=count,
                    connections=Count(*connections),
                    services=_ranked(services[number]),
                    peers=_ranked(others)[:_SHOWN],
                    more_peers=self._more_peers or len(others) > _SHOWN,
                    first=first,
                    last=last,
                )
            )
        order = list(TRAFFIC_KINDS.values())
        return sorted(
            found, key=lambda each: (order.index(each.kind), not each.opening, -each.count.flows, each.change_id)
        )


_DIRECTIONS = {int(direction): direction for direction in Direction}
_KINDS = {3 * int(before) + int(after): kind for (before, after), kind in TRAFFIC_KINDS.items()}


class _Counts:
    """Flows, packets and bytes by key."""

    def __init__(self) -> None:
        self._keys = Interner()
        self._sums: npt.NDArray[np.int64] = np.zeros((0, 3), np.int64)

    @property
    def count(self) -> int:
        return self._keys.count

    def add(self, keys: npt.NDArray[np.uint64], changes: FlowChanges) -> npt.NDArray[np.int32]:
        """Add rows; returns the row of each key. A flow counts once for each key."""
        known = self._keys.count
        rows = self._keys.intern(keys)
        self._sums = grown(self._sums, self._keys.count)
        self._sums[known : self._keys.count] = 0
        np.add.at(self._sums[:, 1], rows, changes.packets)
        np.add.at(self._sums[:, 2], rows, changes.bytes)
        order = np.lexsort((changes.flow_id, rows))
        new = np.ones(len(rows), np.bool_)
        new[1:] = (np.diff(rows[order]) != 0) | (np.diff(changes.flow_id[order]) != 0)
        np.add.at(self._sums[:, 0], rows[order[new]], 1)
        return rows

    def rows(self) -> list[tuple[list[int], Count]]:
        """Keys and counts, in the order of first appearance."""
        keys = self._keys.keys[: self.count].tolist()
        return [(key, Count(*sums)) for key, sums in zip(keys, self._sums[: self.count].tolist())]


def _opening(changes: FlowChanges) -> npt.NDArray[np.bool_]:
    """Whether rows go in the direction in which their connection is opened, by the side that lets more pass."""
    badness = np.array([2, 0, 1])
    passes_before = badness[changes.path_before] < badness[changes.path_after]
    before = np.where(changes.before.judged, changes.before.initiating, changes.after.initiating)
    after = np.where(changes.after.judged, changes.after.initiating, changes.before.initiating)
    opening: npt.NDArray[np.bool_] = np.where(passes_before, before, after)
    return opening


def _ports(changes: FlowChanges, opening: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """The port, or ICMP type and code, that makes a service; answers come from it."""
    icmp = (changes.protocol == ICMP) | (changes.protocol == ICMPV6)
    types = np.where(changes.icmp_type < 0, -1, changes.icmp_type.astype(np.int64) * 256 + changes.icmp_code)
    ports = np.where(icmp, types, np.where(opening, changes.dstport, changes.srcport).astype(np.int64))
    return ports.astype(np.int64).view(np.uint64)


def _cause_keys(changes: FlowChanges, opening: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """What makes changes one: kind, end, direction, and the answers on both sides."""
    keys = np.zeros((len(changes), KEY_WORDS), np.uint64)
    kind = 3 * changes.path_before.astype(np.uint64) + changes.path_after
    bits = changes.direction.astype(np.uint64) << np.uint64(4) | opening.astype(np.uint64) << np.uint64(5)
    keys[:, 0] = kind | bits | changes.refused.astype(np.uint64) << np.uint64(6)
    for start, side in ((1, changes.before), (4, changes.after)):
        keys[:, start], keys[:, start + 1], keys[:, start + 2] = _side_words(side)
    return keys


def _side_words(side: Side) -> tuple[npt.NDArray[Any], ...]:
    reason = np.where(side.judged, side.reason, _UNJUDGED).astype(np.uint64)
    sets = (np.where(side.judged, column, 0).astype(np.uint64) for column in (side.match_set, side.possible_set))
    interface = side.interface.view(np.uint32).astype(np.uint64) << _HALF
    return reason | interface, *sets


def _ranked(counts: list[tuple[Any, Count]]) -> tuple[tuple[Any, Count], ...]:
    """Most flows first."""
    if len(counts) > 1:
        counts.sort(key=lambda each: (-each[1].flows, each[0]))
    return tuple(counts)


def _answer(
    head: int, surely: int, perhaps: int, *, sets: MatchSets, ids: tuple[Sequence[str], Sequence[str]]
) -> Answer:
    interface_ids, rule_ids = ids
    reason, interface = head & 0xFFFFFFFF, head >> 32
    return Answer(
        interface_ids[interface] if interface < 1 << 31 else None,
        None if reason == _UNJUDGED else Reason(reason),
        tuple(sorted(rule_ids[rule] for rule in sets[surely])),
        tuple(sorted(rule_ids[rule] for rule in sets[perhaps])),
    )


def _sum(one: Count, other: Count) -> Count:
    return Count(*(a + b for a, b in zip(one, other)))


def _count(totals: dict[str, Count], kind: str, changes: FlowChanges, rows: npt.NDArray[np.int64]) -> None:
    if len(rows):
        flows = len(np.unique(changes.flow_id[rows]))
        count = Count(flows, int(changes.packets[rows].sum()), int(changes.bytes[rows].sum()))
        totals[kind] = _sum(totals.get(kind, Count(0, 0, 0)), count)
