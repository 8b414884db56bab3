"""Log flows and connections: where records belong, and what the rules say of them, looked up when the first one comes.

What rules say of the other direction is only asked where it can make a difference: most records of a healthy network
are accepted by their own rules, and then nobody needs to know who began.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sgsim.engine.answers import NumberedAnswers, RuleAnswers
from sgsim.engine.interner import grown
from sgsim.engine.logs.placing import NO_DIRECTION, Finder, Placer, owners_of
from sgsim.engine.logs.questions import Questions, log_fields_of, said
from sgsim.engine.logs.table import KeyTable
from sgsim.engine.snapshot import Snapshot
from sgsim.flows import AMBIGUOUS
from sgsim.kernels.joining_layout import (
    BIT_CODE,
    BIT_DIRECTION,
    BIT_OPENS,
    BIT_PASSES,
    BIT_POSSIBLE,
    BIT_REVERSE_OPENS,
    BIT_UNPLACED,
    BY_HAND,
    FLOW_BITS,
    FLOW_ID,
    FLOW_REVERSE,
    FLOW_RULES,
    FLOW_WORDS,
    JOIN_INTERFACE,
    JOIN_WORDS,
    SIDE_OPENED,
    SIDE_WORDS,
    UNPLACED,
    RecordColumns,
)
from sgsim.kernels.tracking_layout import KEY_WORDS
from sgsim.verdicts import MatchSets, Reason, RuleVerdicts, Verdict

__all__ = ["LogFlows"]

_ROOM = 1 << 20  #: connections for which there is memory at first: what is not touched costs nothing
_ASKED = 1 << 17  #: log flows that rules are asked about in one go, some 500 bytes each meanwhile
_PLACES = 1 << 17  #: records placed by hand that are remembered


class LogFlows:
    """All log flows and connections that are remembered, for one snapshot; rows as in `joining_layout`.

    `vpc_id` is the VPC that addresses belong to where the log names neither interface nor VPC.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        *,
        vpc_id: str | None = None,
        threads: int | None = None,
        rules: RuleAnswers | None = None,
    ) -> None:
        self.rules = RuleAnswers() if rules is None else rules
        self._threads = threads
        finder = Finder(snapshot)
        self._questions = Questions(snapshot, self.rules, finder, threads)
        self.placer = Placer(finder, snapshot.tables.interface_ids, vpc_id)
        self._owners = owners_of(finder.interfaces)
        self._other_closes = not snapshot.semantics.other_protocol_refresh
        self.table = KeyTable(_ROOM)
        self.flows: npt.NDArray[np.int32] = np.empty((2 * _ROOM, FLOW_WORDS), np.int32)
        self.connections: npt.NDArray[np.int32] = np.empty((_ROOM, JOIN_WORDS), np.int32)
        self.flow_count = 0  #: how many flow ids were given out
        self._new: list[npt.NDArray[np.int32]] = []
        self._pairs = KeyTable(_ROOM)
        self._pair_ids: npt.NDArray[np.int32] = np.empty(_ROOM, np.int32)
        self._by_hand = KeyTable()
        self._hand_places: npt.NDArray[np.int32] = np.empty((0, 2), np.int32)
        self._strangers: dict[tuple[int, int, int], int] = {}  # (interface, direction, name) → number of a word 5
        self._stranger_names: list[int] = []

    @property
    def count(self) -> int:
        """How many connections are remembered."""
        return self.table.count

    def group(
        self,
        columns: RecordColumns,
        interface: tuple[npt.NDArray[np.int32], list[str]],
        vpc: tuple[npt.NDArray[np.int32], list[str]],
    ) -> npt.NDArray[np.int32]:
        """The log flow of every record. Interface and VPC ids are (codes, names), -1 for none.

        What rules say of new ones is known after `judge`.
        """
        from sgsim.kernels.joining_flows import log_flows
        from sgsim.kernels.joining_keys import connection_keys

        n, placer = len(columns.protocol), self.placer
        codes, texts = interface
        names = placer.names.of(texts)
        known = np.append(placer.by_name(), np.int32(-1))[names]  # of each text, and of none
        keys, side = np.empty((n, KEY_WORDS), np.uint64), np.empty(n, np.uint8)
        if connection_keys(columns, known.take(codes), self._owners, keys, side):
            vpc_codes, vpc_texts = vpc
            vpcs = placer.vpcs.of(vpc_texts).take(vpc_codes)
            self._place_by_hand(columns, names.take(codes), vpcs, keys, side)
        before = self.table.count
        rows = self.table.rows(keys)
        if self.table.count > before:
            self._introduce(before)
        flow, new = np.empty(n, np.int32), np.empty(n, np.int32)
        asked = log_flows(rows, side, self.flows, flow, new)
        if asked:
            self._new.append(new[:asked].copy())
        return flow

    def judge(self) -> None:
        """Ask about all new log flows together: with few, the calls cost more than the work."""
        if self._new:
            new = np.concatenate(self._new)
            self._new = []
            self._judge_all(new)

    def swap(self, snapshot: Snapshot, alive: npt.NDArray[np.bool_], waiting: npt.NDArray[np.int32]) -> None:
        """Judge by another snapshot, with the same interfaces, from now on; where records belong stays as it was.

        `alive` are the connections that may still be open, `waiting` the flows of records that were not answered yet.
        Of all other flows, rules are asked when their next record comes.
        """
        self._questions = Questions(snapshot, self.rules, Finder(snapshot), self._threads)
        count = 2 * self.count
        before = self.flows[:count].copy()
        known = np.flatnonzero((before[:, FLOW_RULES] >= 0) & np.repeat(alive, 2))
        asked = np.union1d(known, waiting).astype(np.int32)
        self._new = []
        self.flows[:count, FLOW_RULES], self.flows[:count, FLOW_REVERSE] = -1, -1
        self._judge_all(asked)
        self._outlive(known.astype(np.int32), before)

    def _outlive(self, flow: npt.NDArray[np.int32], before: npt.NDArray[np.int32]) -> None:
        """Let flows of live connections be let through by what opened these: as replies, or, in the opener's own
        direction, as UNKNOWN, since a log does not show whether the connection was still the same."""
        flow = flow[(self.flows[flow, FLOW_BITS] >> BIT_UNPLACED & 1) == 0]
        rejected = flow[(self.flows[flow, FLOW_BITS] >> BIT_CODE & 3) == Verdict.REJECT]
        opened = self.connections[: self.count, [SIDE_OPENED, SIDE_WORDS + SIDE_OPENED]]
        side = rejected & 1
        there = opened[rejected >> 1, 1 - side]
        answers = rejected[(there > 0) & (before[rejected ^ 1, FLOW_RULES] >= 0)]
        level = opened[answers >> 1, 1 - (answers & 1)]
        self.flows[answers, FLOW_REVERSE] = before[answers ^ 1, FLOW_RULES]
        self.flows[answers, FLOW_BITS] &= ~(3 << BIT_REVERSE_OPENS)
        self.flows[answers, FLOW_BITS] |= level << BIT_REVERSE_OPENS
        own = rejected[
            (opened[rejected >> 1, side] > 0) & (before[rejected, FLOW_BITS] >> BIT_CODE & 3 != Verdict.REJECT)
        ]
        if len(own) and isinstance(self.rules, NumberedAnswers):
            self.flows[own, FLOW_RULES] = row = self.rules.doubtful(before[own, FLOW_RULES])
            codes = (self.rules.codes[row] & 63).astype(np.int32)
            possible = (self.rules.table[row, 3] != 0).astype(np.int32)
            kept = self.flows[own, FLOW_BITS] & ~(63 << BIT_CODE | 3 << BIT_PASSES | 3 << BIT_OPENS | 1 << BIT_POSSIBLE)
            said_now = codes << BIT_CODE | int(Verdict.UNKNOWN) << BIT_PASSES | possible << BIT_POSSIBLE
            self.flows[own, FLOW_BITS] = kept | said_now

    def actions(
        self, snapshot: Snapshot, flow: npt.NDArray[np.int32], interface: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.uint8]:
        """What the rules of any snapshot say of log flows in their own direction: Verdict only."""
        fields = log_fields_of(self.table.keys, flow)
        direction = (flow & 1).astype(np.uint8)
        return said(snapshot, fields, np.arange(len(flow)), interface, direction, self._threads).action

    def logged_name(self, flow: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """The number (see `placer.names`) of the interface id of records that have no place, -1 for none."""
        word = self.table.keys[flow >> 1, 5]
        lost = (word & np.uint64(UNPLACED)) != 0
        numbers = np.where(lost, word & ~np.uint64(UNPLACED), 0).astype(np.int64)
        names = np.array(self._stranger_names or [-1], np.int64)
        return np.where(lost, names[numbers], -1)

    def keep(self, kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
        """Forget the connections that are not marked; returns where each went, -1 if forgotten."""
        from sgsim.kernels.joining_flows import keep_connections

        self._pairs.clear()
        moved = self.table.keep(kept)
        keep_connections(self.flows, self.connections, moved)
        return moved

    def close(self) -> None:
        """Let go of what is remembered, which is most of the memory; answers, names and counts stay."""
        del self.table, self.flows, self.connections, self._questions, self._pairs, self._pair_ids

    # -- where -----------------------------------------------------------------------------------------------------

    def _place_by_hand(
        self,
        columns: RecordColumns,
        name: npt.NDArray[np.int32],
        vpc: npt.NDArray[np.int32],
        keys: npt.NDArray[np.uint64],
        side: npt.NDArray[np.uint8],
    ) -> None:
        """Records whose interface or direction the log does not say, or whose interface is not known."""
        from sgsim.kernels.joining_keys import hand_keys, turn_keys

        rows = np.flatnonzero(side == BY_HAND)
        wanted = np.empty((len(rows), KEY_WORDS), np.uint64)
        hand_keys(columns, rows, name, vpc, wanted)
        if self._by_hand.count > _PLACES:
            self._by_hand.clear()
        before = self._by_hand.count
        found = self._by_hand.rows(wanted)
        self._hand_places = grown(self._hand_places, self._by_hand.count)
        interface, direction = self.placer.place(self._by_hand.keys[before : self._by_hand.count])
        self._hand_places[before : self._by_hand.count, 0] = interface
        self._hand_places[before : self._by_hand.count, 1] = direction
        interface, direction = self._hand_places[found, 0], self._hand_places[found, 1].astype(np.uint8)
        placed = (interface >= 0) & (direction != NO_DIRECTION)
        turned = wanted[placed]
        turn_keys(turned, interface[placed], direction[placed])
        keys[rows[placed]], side[rows[placed]] = turned, direction[placed]
        lost = np.flatnonzero(~placed)
        wanted[lost, 5] = self._stranger_words(interface[lost], direction[lost], name[rows[lost]])
        wanted[lost, 6:] = 0
        keys[rows[lost]], side[rows[lost]] = wanted[lost], 1  # as they are: source first

    def _stranger_words(
        self,
        interface: npt.NDArray[np.int32],
        direction: npt.NDArray[np.uint8],
        name: npt.NDArray[np.int32],
    ) -> npt.NDArray[np.uint64]:
        """Word 5 of records without a place: a number for interface, direction and name."""
        words = np.empty(len(name), np.uint64)
        for at, what in enumerate(zip(interface.tolist(), direction.tolist(), name.tolist())):
            number = self._strangers.get(what)
            if number is None:
                number = self._strangers[what] = len(self._stranger_names)
                self._stranger_names.append(what[2])
            words[at] = UNPLACED | number
        return words

    # -- new connections and flows ---------------------------------------------------------------------------------

    def _introduce(self, before: int) -> None:
        from sgsim.kernels.joining_flows import introduce

        count = self.table.count
        self.connections = grown(self.connections, count)
        self.flows = grown(self.flows, 2 * count)
        strangers = np.array([interface for interface, _, _ in self._strangers] or [0], np.int32)
        introduce(self.table.keys, self.connections, self.flows, before, count, strangers)

    def _judge_all(self, new: npt.NDArray[np.int32]) -> None:
        for start in range(0, len(new), _ASKED):
            self._judge(new[start : start + _ASKED])

    def _judge(self, new: npt.NDArray[np.int32]) -> None:
        """What rules say of new log flows."""
        from sgsim.kernels.joining_flows import describe_flows, describe_reverse, number_flows

        if self._strangers:
            lost = (self.table.keys[new >> 1, 5] & np.uint64(UNPLACED)) != 0
            if lost.any():
                self._judge_strangers(new[lost])
                new = new[~lost]
        if not len(new):
            return
        keys, questions = self.table.keys, self._questions
        asked = questions.ask(keys, new, swapped=False)
        open_, shared = np.empty(len(new), np.int32), np.empty(len(new), np.int32)
        opens, both = describe_flows(
            keys, new, asked, questions.rows, questions.answers, self._other_closes, self.flows, open_, shared
        )
        if both:
            self._number_shared(shared[:both])
        self.flow_count = number_flows(new, self.flows, self.flow_count)
        if opens:
            asked = questions.ask(keys, open_[:opens], swapped=True)
            describe_reverse(open_[:opens], asked, questions.rows, questions.answers, self.flows)

    def _number_shared(self, new: npt.NDArray[np.int32]) -> None:
        """Give flow ids to flows that another interface may show too: they are told by their five-tuple."""
        from sgsim.kernels.joining_keys import pair_keys

        keys = np.empty((len(new), KEY_WORDS), np.uint64)
        pair_keys(self.table.keys, new, keys)
        before = self._pairs.count
        rows = self._pairs.rows(keys)
        self._pair_ids = grown(self._pair_ids, self._pairs.count)
        fresh = self._pairs.count - before
        self._pair_ids[before : self._pairs.count] = np.arange(self.flow_count, self.flow_count + fresh)
        self.flow_count += fresh
        self.flows[new, FLOW_ID] = self._pair_ids[rows]

    def _judge_strangers(self, new: npt.NDArray[np.int32]) -> None:
        """Flows whose interface or direction is not known: UNKNOWN, whatever rules there are."""
        interface = self.connections[new >> 1, JOIN_INTERFACE]
        reason = np.where(interface >= 0, Reason.UNRESOLVED, Reason.NO_INTERFACE)
        reason = np.where(interface == AMBIGUOUS, Reason.AMBIGUOUS_INTERFACE, reason).astype(np.uint8)
        zeros, no = np.zeros(len(new), np.int32), np.zeros(len(new), np.bool_)
        unknown = np.full(len(new), Verdict.UNKNOWN, np.uint8)
        answers = RuleVerdicts(unknown, reason, zeros, zeros, zeros - 1, no, MatchSets.of([[]]))
        row = self.rules.intern(answers)
        word = self.table.keys[new >> 1, 5] & ~np.uint64(UNPLACED)
        directions = np.array([direction for _, direction, _ in self._strangers], np.int32)
        codes = (self.rules.codes[row] & 63).astype(np.int32)
        bits = 1 << BIT_UNPLACED | codes << BIT_CODE | directions[word.astype(np.int64)] << BIT_DIRECTION
        self.flows[new, FLOW_RULES], self.flows[new, FLOW_BITS] = row, bits
        self._number_shared(new)
