"""Flow-log records through the rules: what a capture of the same traffic would be told, as far as the log shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sgsim.engine.answers import Answers
from sgsim.engine.keys import flow_fields
from sgsim.engine.logs.flows import LogFlows, numbered
from sgsim.engine.logs.limits import connection_limits
from sgsim.engine.logs.window import Held, JoinWindow
from sgsim.engine.snapshot import Snapshot
from sgsim.kernels.joining_layout import (
    AFTER_CLOSE,
    EVIDENCE_MASK,
    FLOW_CONNECTION,
    FLOW_DIRECTION,
    FLOW_ID,
    FLOW_INTERFACE,
    OPEN_QUESTION,
    OPTION_LIKELY,
    OPTION_MIDSTREAM,
    OPTION_RELATED,
    JoinState,
    RecordColumns,
    Records,
)
from sgsim.model import Direction
from sgsim.verdicts import Evidence, MatchSets, Reason, Verdict, Verdicts

__all__ = ["LogOptions", "LogReplay", "LogSummary", "LogVerdicts", "replay_logs"]

_OUTPUT = 1 << 16  #: records in one batch of output at most
_REMEMBERED = 1 << 19  #: log flows that are remembered before anything is forgotten
_CONNECTIONS = 1 << 20  #: connections that are remembered however long they may stay open


class IdColumn(Protocol):
    """Ids of a batch (`sgsim.traffic.flowlogs.Ids`)."""

    @property
    def codes(self) -> npt.NDArray[np.int32]: ...

    @property
    def names(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What the user asked of a replay of flow logs.

    `join_window`: seconds for which records wait for earlier ones. `likely`: where the log does not show who opened a
    connection or whether it was still open, say what is likely instead of UNKNOWN. The others as in ReplayOptions.
    """

    join_window: int = 900
    likely: bool = False
    vpc_id: str | None = None
    interfaces: frozenset[str] | None = None
    direction: Direction | None = None
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class LogVerdicts:
    """Records with their verdicts, by start, and what the log itself says of them; n rows.

    `recorded` uint8: REJECT, ACCEPT, or 255 where the log has no action. `evidence` uint8 (Evidence). `tcp_flags`
    int16, -1 where the log does not tell. `logged_interface` int64: the interface id in the log, an index of
    `LogReplay.interface_names`, -1 for none. `order` int64: the number of the record in the input, from 0.
    `refusal` int16: the log's reject reason, an index of `LogReplay.refusals`, -1 for none. `open_question`: UNKNOWN
    because the log does not show who began or whether the connection was still open, not because of rules.
    `after_close`: a FIN or RST of the connection was seen before, and no SYN since.
    In `verdicts`, packets and bytes that the log does not tell are 0, and a direction that nothing tells is 2.
    """

    verdicts: Verdicts
    recorded: npt.NDArray[np.uint8]
    evidence: npt.NDArray[np.uint8]
    tcp_flags: npt.NDArray[np.int16]
    logged_interface: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]
    refusal: npt.NDArray[np.int16]
    open_question: npt.NDArray[np.bool_]
    after_close: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.recorded)


@dataclass(slots=True)
class LogSummary:
    """What is counted beside the records.

    `late` records began before one of their connection that was already answered: they came more than the join window
    late. `forgotten` connections were dropped for lack of room though they may still have been open. `evidence` counts
    records by how they show who opened their connection. `hits[i]` counts initiating records that the rules of match
    set `sets[i]` accept, at this end, once for each flow and end that is remembered.
    """

    records: int = 0
    late: int = 0
    forgotten: int = 0
    flows: int = 0
    evidence: dict[Evidence, int] = field(default_factory=dict)
    hits: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    sets: MatchSets = field(default_factory=lambda: MatchSets.of([[]]))


class LogReplay:
    """Batches of LogVerdicts by start. To be iterated once; `summary` is complete then."""

    def __init__(self, snapshot: Snapshot, scan: Iterable[Any], options: LogOptions) -> None:
        self.snapshot, self.options = snapshot, options
        self.summary = LogSummary()
        self._scan = scan
        self._flows = LogFlows(snapshot, vpc_id=options.vpc_id, threads=options.threads)
        self._window = JoinWindow(options.join_window)
        self._limits = connection_limits(snapshot)
        semantics = snapshot.semantics
        self._kernel_options = (
            OPTION_LIKELY * options.likely
            | OPTION_RELATED * (semantics.icmp_errors == "related")
            | OPTION_MIDSTREAM * (semantics.tcp_midstream == "reject")
        )
        ids = snapshot.tables.interface_ids
        asked = options.interfaces
        self._wanted = None if asked is None else np.array([n for n, name in enumerate(ids) if name in asked], np.int32)
        self._counted: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._evidence = np.zeros(len(Evidence), np.int64)
        self._hits = np.zeros(1, np.int64)
        self._forget_at = _REMEMBERED
        self.refusals: list[str] = []  #: reject reasons that the log names, so far
        self._refusal_numbers: dict[str, int] = {}

    @property
    def interface_names(self) -> list[str]:
        """The interface ids that the log names, so far."""
        return self._flows.names

    def __iter__(self) -> Iterator[LogVerdicts]:
        for batch in self._scan:
            if len(batch):
                yield from self._answered(self._window.add(self._held(batch)))
        yield from self._answered(self._window.flush())
        self._complete()

    def _held(self, batch: Any) -> Held:
        """A batch of the reader (FlowLogBatch) as narrow records."""
        columns = RecordColumns(*(getattr(batch, name) for name in RecordColumns._fields))
        interface: IdColumn = batch.interface_id
        vpc: IdColumn = batch.vpc_id
        reason: IdColumn = batch.reject_reason
        n = len(batch)
        order = np.arange(self.summary.records, self.summary.records + n)
        self.summary.records += n
        return Held(
            flow=self._flows.group(columns, (interface.codes, interface.names), (vpc.codes, vpc.names)),
            start=batch.start,
            end=batch.end,
            tcp_flags=batch.tcp_flags,
            recorded=batch.action,
            packets=batch.packets,
            bytes=batch.bytes,
            order=order,
            refusal=numbered(reason.codes, reason.names, self._refusal_numbers, self.refusals).astype(np.int16),
        )

    def _answered(self, due: Iterable[Held]) -> Iterator[LogVerdicts]:
        from sgsim.kernels.joining import join

        for held in due:
            words, evidence = np.empty(len(held), np.int32), np.empty(len(held), np.uint8)
            records = Records(held.flow, held.start, held.end, held.tcp_flags, held.packets, held.bytes)
            store = self._flows
            state = JoinState(store.hot, store.connections, store.rules.codes, self._limits)
            self.summary.late += join(records, state, self._kernel_options, words, evidence)
            self._evidence += np.bincount(evidence & EVIDENCE_MASK, minlength=len(self._evidence))
            for start in range(0, len(held), _OUTPUT):
                part = slice(start, start + _OUTPUT)
                yield from self._output(held.at(part), words[part], evidence[part])
            self._forget(int(held.start[-1]))

    def _output(
        self, held: Held, words: npt.NDArray[np.int32], evidence: npt.NDArray[np.uint8]
    ) -> Iterator[LogVerdicts]:
        """Records that the user wants to see, as columns; hits are counted on the way."""
        self._count_hits(held.flow, words)
        hot = self._flows.hot[held.flow]
        asked = self._asked(hot)
        if asked is not None:
            held, words, evidence, hot = held.at(asked), words[asked], evidence[asked], hot[asked]
        if len(held):
            yield self._columns(held, words, evidence, hot)

    def _columns(
        self,
        held: Held,
        words: npt.NDArray[np.int32],
        evidence: npt.NDArray[np.uint8],
        hot: npt.NDArray[np.int32],
    ) -> LogVerdicts:
        answers = Answers(words, self._flows.rules)
        fields = flow_fields(self._flows.flows.keys[held.flow])
        verdicts = Verdicts(
            interface=hot[:, FLOW_INTERFACE].copy(),
            direction=hot[:, FLOW_DIRECTION].astype(np.uint8),
            family=fields.family,
            src_hi=fields.src_hi,
            src_lo=fields.src_lo,
            dst_hi=fields.dst_hi,
            dst_lo=fields.dst_lo,
            srcport=fields.srcport,
            dstport=fields.dstport,
            protocol=fields.protocol,
            icmp_type=np.full(len(held), -1, np.int16),
            icmp_code=np.full(len(held), -1, np.int16),
            fragment=np.zeros(len(held), np.bool_),
            packets=np.maximum(held.packets, 0),
            bytes=np.maximum(held.bytes, 0),
            start=held.start,
            end=held.end,
            tcp_flags=np.maximum(held.tcp_flags, 0).astype(np.uint8),
            action=answers.action,
            reason=answers.reason,
            match_set=answers.match_set,
            possible_set=answers.possible_set,
            deciding_rule=answers.deciding_rule,
            initiating=answers.initiating,
            flow_id=hot[:, FLOW_ID].astype(np.int64),
            path_action=answers.action,
            sets=answers.sets,
        )
        name = self._flows.logged_name(held.flow)
        return LogVerdicts(
            verdicts,
            recorded=held.recorded,
            evidence=evidence & np.uint8(EVIDENCE_MASK),
            tcp_flags=held.tcp_flags,
            logged_interface=name,
            order=held.order,
            refusal=held.refusal,
            open_question=(evidence & OPEN_QUESTION) != 0,
            after_close=(evidence & AFTER_CLOSE) != 0,
        )

    def _asked(self, hot: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_] | None:
        """Which records the user wants to see; None for all."""
        wanted = None
        if self._wanted is not None:
            wanted = np.isin(hot[:, FLOW_INTERFACE], self._wanted)
        if self.options.direction is not None:
            of_direction = hot[:, FLOW_DIRECTION] == int(self.options.direction)
            wanted = of_direction if wanted is None else wanted & of_direction
        return wanted

    def _count_hits(self, flow: npt.NDArray[np.int32], words: npt.NDArray[np.int32]) -> None:
        """Count flow ends that open a connection by rules, once each while they are remembered."""
        answers = Answers(words, self._flows.rules)
        if len(self._counted) < self._flows.flows.count:
            room = max(self._flows.flows.count, 2 * len(self._counted))
            self._counted = np.concatenate([self._counted, np.zeros(room - len(self._counted), np.bool_)])
        hit = (answers.reason == Reason.RULE) & (answers.action == Verdict.ACCEPT) & answers.initiating
        hit &= ~self._counted[flow]
        flows, first = np.unique(flow[hit], return_index=True)
        self._counted[flows] = True
        sets = answers.match_set[hit][first]
        if len(self._hits) < len(answers.sets):
            self._hits = np.concatenate([self._hits, np.zeros(len(answers.sets) - len(self._hits), np.int64)])
        self._hits += np.bincount(sets, minlength=len(self._hits))

    def _forget(self, now: int) -> None:
        """Keep what is remembered in bounds: flows without held records whose connection is gone."""
        from sgsim.kernels.joining import gone

        store = self._flows
        if store.flows.count < self._forget_at:
            return
        dropped = np.empty(store.connection_count, np.bool_)
        gone(store.connections, self._limits, now, dropped)
        self.summary.forgotten += _drop_quiet(store.connections, dropped)
        hot = store.hot[: store.flows.count]
        place = hot[:, FLOW_CONNECTION]
        kept = np.zeros(len(hot), np.bool_)
        kept[place >= 0] = ~dropped[place[place >= 0]]
        for flows in self._window.flows():
            kept[flows] = True
        counted = self._counted[: len(hot)][kept]
        self._window.moved(store.keep(kept))
        self._counted = counted
        self._forget_at = max(_REMEMBERED, 2 * store.flows.count)

    def _complete(self) -> None:
        summary = self.summary
        summary.flows = self._flows.flow_count
        summary.evidence = {one: int(self._evidence[one]) for one in Evidence if self._evidence[one]}
        summary.sets = self._flows.rules.sets
        summary.hits = np.concatenate([self._hits, np.zeros(len(summary.sets) - len(self._hits), np.int64)])


def _drop_quiet(connections: npt.NDArray[np.int64], dropped: npt.NDArray[np.bool_]) -> int:
    """Where too many connections may still be open, drop those that have been quiet for longest; returns how many."""
    from sgsim.kernels.joining_layout import SIDE_END, SIDE_WORDS

    kept = np.flatnonzero(~dropped)
    if len(kept) <= _CONNECTIONS:
        return 0
    quiet = np.maximum(connections[kept, SIDE_END], connections[kept, SIDE_WORDS + SIDE_END])
    oldest = kept[np.argpartition(quiet, len(kept) - _CONNECTIONS // 2)[: len(kept) - _CONNECTIONS // 2]]
    dropped[oldest] = True
    return len(oldest)


def replay_logs(snapshot: Snapshot, scan: Iterable[Any], options: LogOptions | None = None) -> LogReplay:
    """Judge flow-log records (batches of FlowLogBatch); nothing is read before the result is iterated."""
    return LogReplay(snapshot, scan, LogOptions() if options is None else options)
