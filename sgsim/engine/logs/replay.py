"""Flow-log records through the rules: what a capture of the same traffic would be told, as far as the log shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sgsim.engine.logs.flows import LogFlows
from sgsim.engine.logs.limits import connection_limits
from sgsim.engine.logs.names import LastingNames
from sgsim.engine.logs.questions import log_fields_of
from sgsim.engine.logs.timed import LogTime
from sgsim.engine.logs.window import Held, JoinWindow
from sgsim.engine.snapshot import Snapshot
from sgsim.kernels.joining_layout import (
    AFTER_CLOSE,
    ANEW,
    BIT_DIRECTION,
    EVIDENCE_MASK,
    FLOW_BITS,
    FLOW_ID,
    JOIN_INTERFACE,
    OPEN_QUESTION,
    OPTION_LIKELY,
    OPTION_MIDSTREAM,
    OPTION_RELATED,
    SIDE_END,
    SIDE_WORDS,
    JoinState,
    RecordColumns,
    Records,
)
from sgsim.model import Direction
from sgsim.verdicts import Evidence, MatchSets, Verdicts

if TYPE_CHECKING:
    from sgsim.traffic.flowlogs import FlowLogBatch

__all__ = ["REPLAYED_FIELDS", "LogOptions", "LogReplay", "LogSummary", "LogVerdicts", "replay_logs"]

#: What a replay reads of a log beside what every record needs: `columns` of `scan_flow_logs`.
REPLAYED_FIELDS = frozenset(
    ("interface-id", "vpc-id", "flow-direction", "tcp-flags", "packets", "bytes", "action", "reject-reason")
)
_OUTPUT = 1 << 16  #: records in one batch of output at most
_REMEMBERED = 1 << 18  #: connections that are remembered before anything is forgotten; some 250 bytes each
_BEFORE = 1 << 28  #: seconds before the log's begin from which time is counted: earlier records may follow
_CONNECTIONS = 1 << 20  #: connections that are remembered however long they may stay open


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
    `refusal` int32: the log's reject reason, an index of `LogReplay.refusals`, -1 for none. `open_question`: UNKNOWN
    because the log does not show who began or whether the connection was still open, not because of rules.
    `after_close`: a FIN or RST of the connection was seen before, and no SYN since.
    `anew`: its TCP connection may have ended before a packet that is known of it, so that either side may have opened
    another within what is one connection here.
    In `verdicts`, packets and bytes that the log does not tell are 0, and a direction that nothing tells is 2.
    """

    verdicts: Verdicts
    recorded: npt.NDArray[np.uint8]
    evidence: npt.NDArray[np.uint8]
    tcp_flags: npt.NDArray[np.int16]
    logged_interface: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]
    refusal: npt.NDArray[np.int32]
    open_question: npt.NDArray[np.bool_]
    after_close: npt.NDArray[np.bool_]
    anew: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.recorded)


@dataclass(slots=True)
class LogSummary:
    """What is counted beside the records.

    `late` records began before one of their connection that was already answered: they came more than the join window
    late. `forgotten` connections were dropped for lack of room though they may still have been open. `evidence` counts
    records by how they show who opened their connection. `flows` counts flow ids. `hits[i]` counts flows, at each
    end, that open a connection which the rules of match set `sets[i]` accept.
    """

    records: int = 0
    late: int = 0
    forgotten: int = 0
    flows: int = 0
    evidence: dict[Evidence, int] = field(default_factory=dict)
    hits: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    sets: MatchSets = field(default_factory=lambda: MatchSets.of([[]]))


class LogReplay:
    """Batches of LogVerdicts by start. To be iterated once; `summary` is complete then.

    `time` has the versions of a configuration that changes; then `snapshot` is its present one, and verdicts are timed.
    """

    def __init__(
        self, snapshot: Snapshot, scan: Iterable[FlowLogBatch], options: LogOptions, time: LogTime | None = None
    ) -> None:
        self.snapshot, self.options, self.time = snapshot, options, time
        self.summary = LogSummary()
        self._scan = scan
        rules = None if time is None else time.rules
        self._flows = LogFlows(snapshot, vpc_id=options.vpc_id, threads=options.threads, rules=rules)
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
        self._base: npt.NDArray[np.int64] = np.zeros(1, np.int64)
        self._evidence = np.zeros(len(Evidence), np.int64)
        self._hits = np.zeros(1, np.int64)
        self._forget_at = _REMEMBERED
        self._refusals = LastingNames()

    @property
    def interface_ids(self) -> list[str]:
        """What the numbers of interfaces in verdicts mean."""
        return self.snapshot.tables.interface_ids

    @property
    def rule_ids(self) -> list[str]:
        """What the numbers of rules in verdicts mean."""
        return self.snapshot.tables.rule_ids if self.time is None else self.time.rule_ids

    @property
    def interface_names(self) -> list[str]:
        """The interface ids that the log names, so far."""
        return self._flows.placer.names.texts

    @property
    def refusals(self) -> list[str]:
        """The reject reasons that the log names, so far."""
        return self._refusals.texts

    def __iter__(self) -> Iterator[LogVerdicts]:
        for batch in self._scan:
            if len(batch):
                yield from self._answered(self._window.add(self._held(batch)))
        yield from self._answered(self._window.flush())
        self._complete()

    def _held(self, batch: FlowLogBatch) -> Held:
        """A batch of the reader (FlowLogBatch) as narrow records, copied: its columns are parts of larger arrays."""
        columns = RecordColumns(*(getattr(batch, name) for name in RecordColumns._fields))
        interface, vpc = batch.interface_id, batch.vpc_id
        n = len(batch)
        if not self.summary.records:
            self._base[0] = int(batch.start[0]) - _BEFORE
        order = np.arange(self.summary.records, self.summary.records + n)
        self.summary.records += n
        return Held(
            flow=self._flows.group(columns, (interface.codes, interface.names), (vpc.codes, vpc.names)),
            start=batch.start.copy(),
            end=batch.end.copy(),
            tcp_flags=batch.tcp_flags.copy(),
            recorded=batch.action.copy(),
            packets=batch.packets.copy(),
            bytes=batch.bytes.copy(),
            order=order,
            refusal=self._refusals.of(batch.reject_reason.names).take(batch.reject_reason.codes),
        )

    def _answered(self, due: Iterable[Held]) -> Iterator[LogVerdicts]:
        from sgsim.kernels.joining import join

        now = None
        for held in due if self.time is None else self._by_version(list(due), self.time):
            self._flows.judge()
            words, evidence = np.empty(len(held), np.int32), np.empty(len(held), np.uint8)
            records = Records(held.flow, held.start, held.end, held.tcp_flags, held.packets, held.bytes)
            store = self._flows
            state = JoinState(store.flows, store.connections, self._limits, self._base)
            self.summary.late += join(records, state, self._kernel_options, words, evidence)
            if self.time is not None:
                words, open_ = self.time.doubt(held, words, store)
                evidence[open_] |= OPEN_QUESTION
            self._evidence += np.bincount(evidence & EVIDENCE_MASK, minlength=len(self._evidence))
            for start in range(0, len(held), _OUTPUT):
                part = slice(start, start + _OUTPUT)
                yield from self._output(held.at(part), words[part], evidence[part])
            now = int(held.start[-1])
        if now is not None:
            self._forget(now)

    def _by_version(self, due: list[Held], time: LogTime) -> Iterator[Held]:
        """Records in parts that one version judges each; the parts before are answered when the version changes."""
        from sgsim.kernels.joining import gone

        store = self._flows
        for number, held in enumerate(due):
            for version, part in time.parts(held):
                if version != time.version:
                    dropped = np.empty(store.count, np.bool_)
                    gone(store.connections, self._limits, int(part.start[0]), int(self._base[0]), dropped)
                    waiting = [*self._window.flows(), *(one.flow for one in due[number:])]
                    snapshot = time.turn_to(version)
                    store.swap(snapshot, ~dropped, np.unique(np.concatenate(waiting)))
                    self._limits = connection_limits(snapshot)
                yield part

    def _output(
        self, held: Held, words: npt.NDArray[np.int32], evidence: npt.NDArray[np.uint8]
    ) -> Iterator[LogVerdicts]:
        """Records that the user wants to see, as columns; hits are counted on the way."""
        from sgsim.kernels.joining import count_hits

        store = self._flows
        sets = len(store.rules.sets)
        if len(self._hits) < sets:
            self._hits = np.concatenate([self._hits, np.zeros(2 * sets - len(self._hits), np.int64)])
        count_hits(held.flow, words, store.flows, store.rules.table, self._hits)
        interface = store.connections[held.flow >> 1, JOIN_INTERFACE]
        bits, flow_id = store.flows[held.flow, FLOW_BITS], store.flows[held.flow, FLOW_ID]
        direction = (bits >> BIT_DIRECTION & 3).astype(np.uint8)
        asked = self._asked(interface, direction)
        if asked is not None:
            held, words, evidence = held.at(asked), words[asked], evidence[asked]
            interface, direction, flow_id = interface[asked], direction[asked], flow_id[asked]
        if len(held):
            yield self._columns(held, words, evidence, interface, direction, flow_id.astype(np.int64))

    def _columns(
        self,
        held: Held,
        words: npt.NDArray[np.int32],
        evidence: npt.NDArray[np.uint8],
        interface: npt.NDArray[np.int32],
        direction: npt.NDArray[np.uint8],
        flow_id: npt.NDArray[np.int64],
    ) -> LogVerdicts:
        from sgsim.kernels.joining import answer_columns

        n, store = len(held), self._flows
        fields = log_fields_of(store.table.keys, held.flow)
        action, reason, initiating = np.empty(n, np.uint8), np.empty(n, np.uint8), np.empty(n, np.bool_)
        match_set, possible_set, deciding = (np.empty(n, np.int32) for _ in range(3))
        answer_columns(words, store.rules.table, action, reason, initiating, match_set, possible_set, deciding)
        verdicts = Verdicts(
            interface=interface,
            direction=direction,
            **fields._asdict(),
            icmp_type=np.full(n, -1, np.int16),
            icmp_code=np.full(n, -1, np.int16),
            fragment=np.zeros(n, np.bool_),
            packets=np.maximum(held.packets, 0),
            bytes=np.maximum(held.bytes, 0),
            start=held.start,
            end=held.end,
            tcp_flags=np.maximum(held.tcp_flags, 0).astype(np.uint8),
            action=action,
            reason=reason,
            match_set=match_set,
            possible_set=possible_set,
            deciding_rule=deciding,
            initiating=initiating,
            flow_id=flow_id,
            path_action=action,
            sets=store.rules.sets,
        )
        return LogVerdicts(
            verdicts if self.time is None else self.time.timed(verdicts, held.flow, store),
            recorded=held.recorded,
            evidence=evidence & np.uint8(EVIDENCE_MASK),
            tcp_flags=held.tcp_flags,
            logged_interface=store.logged_name(held.flow),
            order=held.order,
            refusal=held.refusal,
            open_question=(evidence & OPEN_QUESTION) != 0,
            after_close=(evidence & AFTER_CLOSE) != 0,
            anew=(evidence & ANEW) != 0,
        )

    def _asked(
        self, interface: npt.NDArray[np.int32], direction: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.bool_] | None:
        """Which records the user wants to see; None for all."""
        wanted = None
        if self._wanted is not None:
            wanted = np.isin(interface, self._wanted)
        if self.options.direction is not None:
            of_direction = direction == int(self.options.direction)
            wanted = of_direction if wanted is None else wanted & of_direction
        return wanted

    def _forget(self, now: int) -> None:
        """Keep what is remembered in bounds: connections without held records that are gone."""
        from sgsim.kernels.joining import gone

        store = self._flows
        if store.count < self._forget_at:
            return
        dropped = np.empty(store.count, np.bool_)
        gone(store.connections, self._limits, now, int(self._base[0]), dropped)
        self.summary.forgotten += _drop_quiet(store.connections, dropped)
        for flow in self._window.flows():
            dropped[flow >> 1] = False
        self._window.moved(store.keep(~dropped))
        self._forget_at = max(_REMEMBERED, store.count + store.count // 2)

    def _complete(self) -> None:
        summary = self.summary
        summary.flows = self._flows.flow_count
        summary.evidence = {one: int(self._evidence[one]) for one in Evidence if self._evidence[one]}
        summary.sets = self._flows.rules.sets
        sets = len(summary.sets)
        summary.hits = np.concatenate([self._hits, np.zeros(sets, np.int64)])[:sets]
        self._flows.close()


def _drop_quiet(connections: npt.NDArray[np.int32], dropped: npt.NDArray[np.bool_]) -> int:
    """Where too many connections may still be open, drop those that have been quiet for longest; returns how many."""
    kept = np.flatnonzero(~dropped)
    if len(kept) <= _CONNECTIONS:
        return 0
    quiet = np.maximum(connections[kept, SIDE_END], connections[kept, SIDE_WORDS + SIDE_END])
    oldest = kept[np.argpartition(quiet, len(kept) - _CONNECTIONS // 2)[: len(kept) - _CONNECTIONS // 2]]
    dropped[oldest] = True
    return len(oldest)


def replay_logs(
    snapshot: Snapshot,
    scan: Iterable[FlowLogBatch],
    options: LogOptions | None = None,
    *,
    time: LogTime | None = None,
) -> LogReplay:
    """Judge flow-log records (batches of FlowLogBatch); nothing is read before the result is iterated.

    With `time`, whose present `snapshot` is, each record is judged by the version that held when it began.
    """
    return LogReplay(snapshot, scan, LogOptions() if options is None else options, time)
