"""Log flows: which interface and direction a flow-log record belongs to, and what the rules say, looked up once.

A log flow is judged when its first record comes. What rules say of the other direction and of the interface at the
other end is only asked where it can make a difference: most records of a healthy network are accepted by their own
rules, and then nobody needs to know who began.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.engine.answers import RuleAnswers
from sgsim.engine.evaluate import evaluate
from sgsim.engine.interner import Interner, grown
from sgsim.engine.keys import flow_fields
from sgsim.engine.snapshot import Snapshot
from sgsim.flows import AMBIGUOUS, EGRESS, INGRESS, NO_INTERFACE, FlowBlock, FlowTable
from sgsim.kernels.joining_layout import (
    BIT_FRAGMENT,
    BIT_KIND,
    BIT_MAY_CLOSE,
    BIT_OPENS,
    BIT_PASSES,
    BIT_PORTS,
    BIT_POSSIBLE,
    BIT_REVERSE_OPENS,
    DIRECTION_SHIFT,
    FLOW_BITS,
    FLOW_CONNECTION,
    FLOW_DIRECTION,
    FLOW_ID,
    FLOW_INTERFACE,
    FLOW_LIMITS,
    FLOW_REVERSE,
    FLOW_RULES,
    FLOW_WORDS,
    JOIN_LIMITS,
    JOIN_WORDS,
    KIND_ICMP,
    KIND_OTHER,
    KIND_TCP,
    KIND_UDP,
    PLAIN,
    VPC_SHIFT,
    RecordColumns,
)
from sgsim.kernels.tracking_layout import KEY_WORDS, FlowFields
from sgsim.model import ICMP, ICMPV6, TCP, UDP
from sgsim.verdicts import MatchSets, Reason, RuleVerdicts, Verdict

__all__ = ["NO_DIRECTION", "LogFlows", "numbered"]

NO_DIRECTION = 2  #: `Verdicts.direction` of a record: neither the log nor its addresses tell
_WORD = np.uint64(0xFFFFFFFF)


class _Places(NamedTuple):
    """Interface (or NO_INTERFACE, AMBIGUOUS) and direction (or NO_DIRECTION) of n flows."""

    interface: npt.NDArray[np.int32]
    direction: npt.NDArray[np.uint8]


class _Judged(NamedTuple):
    """n flows at one interface and direction: rows of RuleAnswers, and the columns of these rows."""

    row: npt.NDArray[np.int32]
    action: npt.NDArray[np.int64]
    reason: npt.NDArray[np.int64]
    possible: npt.NDArray[np.bool_]
    untracked: npt.NDArray[np.bool_]


class LogFlows:
    """All log flows and connections that are remembered, for one snapshot; rows as in `joining_layout`.

    `names` are the interface ids that the log names; `vpc_id` is the VPC that addresses belong to where the log names
    neither interface nor VPC.
    """

    def __init__(self, snapshot: Snapshot, *, vpc_id: str | None = None, threads: int | None = None) -> None:
        self._snapshot, self._vpc_id, self._threads = snapshot, vpc_id, threads
        self.rules = RuleAnswers()
        self.flows, self._pairs, self._connections = Interner(), Interner(), Interner()
        self.hot: npt.NDArray[np.int32] = np.empty((0, FLOW_WORDS), np.int32)
        self.connections: npt.NDArray[np.int64] = np.empty((0, JOIN_WORDS), np.int64)
        self._pair_ids: npt.NDArray[np.int32] = np.empty(0, np.int32)
        self.flow_count = 0
        self.names: list[str] = []
        self._name_numbers: dict[str, int] = {}
        self._vpcs: list[str] = []
        self._vpc_numbers: dict[str, int] = {}
        self._by_name: npt.NDArray[np.int32] = np.empty(0, np.int32)
        self._index = {name: n for n, name in enumerate(snapshot.tables.interface_ids)}
        self._interfaces = [snapshot.environment.interfaces[name] for name in snapshot.tables.interface_ids]
        self._carries_groups = np.array([bool(interface.group_ids) for interface in self._interfaces], np.bool_)
        self._vpc_names = sorted({interface.vpc_id for interface in self._interfaces if interface.vpc_id is not None})
        numbers = {name: number for number, name in enumerate(self._vpc_names)}
        self._vpc_of = np.array([numbers.get(one.vpc_id or "", -1) for one in self._interfaces], np.int64)
        self._other_closes = not snapshot.semantics.other_protocol_refresh

    def group(
        self,
        columns: RecordColumns,
        interface: tuple[npt.NDArray[np.int32], list[str]],
        vpc: tuple[npt.NDArray[np.int32], list[str]],
    ) -> npt.NDArray[np.int32]:
        """The log flow of every record, new ones judged. Interface and VPC ids are (codes, names), -1 for none."""
        from sgsim.kernels.joining import record_keys

        keys = np.empty((len(columns.protocol), KEY_WORDS), np.uint64)
        name = numbered(*interface, self._name_numbers, self.names)
        record_keys(columns, name, numbered(*vpc, self._vpc_numbers, self._vpcs), keys)
        before = self.flows.count
        rows = self.flows.intern(keys)
        if self.flows.count > before:
            self._admit(before)
        return rows

    def logged_name(self, flow: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """The number in `names` of the interface id that the records of flows carry, -1 for none."""
        number: npt.NDArray[np.int64] = (self.flows.keys[flow, 5] & _WORD).astype(np.int64) - 1
        return number

    def keep(self, flows: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
        """Forget the flows that are not marked, and what only they refer to; returns where each went, -1 if dropped."""
        moved = self.flows.keep(flows)
        self.hot = self.hot[: len(flows)][flows]
        place = self.hot[:, FLOW_CONNECTION]
        used = np.zeros(self._connections.count, np.bool_)
        used[place[place >= 0]] = True
        self.connections = self.connections[: self._connections.count][used]
        went = self._connections.keep(used)
        place[place >= 0] = went[place[place >= 0]]
        numbers = self._pair_keys(self.flows.keys[: self.flows.count])
        self._pairs = Interner()
        rows = self._pairs.intern(numbers)
        self._pair_ids = np.empty(self._pairs.count, np.int32)
        self._pair_ids[rows] = self.hot[:, FLOW_ID]
        return moved

    @property
    def connection_count(self) -> int:
        return self._connections.count

    # -- new log flows ---------------------------------------------------------------------------------------------

    def _admit(self, before: int) -> None:
        """Place and judge the flows from row `before` on."""
        keys = self.flows.keys[before : self.flows.count]
        fields = flow_fields(keys)
        self.hot = grown(self.hot, self.flows.count)
        hot = self.hot[before : self.flows.count]
        places = self._place(keys, fields)
        hot[:, FLOW_INTERFACE], hot[:, FLOW_DIRECTION] = places.interface, places.direction
        hot[:, FLOW_CONNECTION] = hot[:, FLOW_REVERSE] = -1
        hot[:, FLOW_BITS], hot[:, FLOW_LIMITS] = 0, np.maximum(places.interface, 0)
        self._number(keys, hot)
        placed = np.flatnonzero((places.interface >= 0) & (places.direction != NO_DIRECTION))
        lost = np.flatnonzero((places.interface < 0) | (places.direction == NO_DIRECTION))
        hot[lost, FLOW_RULES] = self._unplaced(places.interface[lost])
        if len(placed):
            self._judge(fields, placed, places, hot)
            self._connect(keys[placed], hot, placed, places)

    def _place(self, keys: npt.NDArray[np.uint64], fields: FlowFields) -> _Places:
        """By the interface id that the log names, else by address; a direction that it does not say by addresses."""
        name = (keys[:, 5] & _WORD).astype(np.int64) - 1
        direction = ((keys[:, 5] >> np.uint64(DIRECTION_SHIFT)) & np.uint64(3)).astype(np.int64) - 1
        while len(self._by_name) < len(self.names):
            new = [self._index.get(text, NO_INTERFACE) for text in self.names[len(self._by_name) :]]
            self._by_name = np.concatenate([self._by_name, np.array(new, np.int32)])
        named = name >= 0
        interface = np.full(len(keys), NO_INTERFACE, np.int32)
        interface[named] = self._by_name[name[named]]
        rows = np.flatnonzero(named & (interface >= 0) & (direction < 0))
        direction[rows] = self._direction_at(interface[rows], keys[rows], fields, rows)
        rows = np.flatnonzero(~named)
        if len(rows):
            interface[rows], direction[rows] = self._by_address(keys[rows], fields, rows, direction[rows])
        return _Places(interface, np.where(direction < 0, NO_DIRECTION, direction).astype(np.uint8))

    def _direction_at(
        self,
        interface: npt.NDArray[np.int32],
        keys: npt.NDArray[np.uint64],
        fields: FlowFields,
        rows: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.int64]:
        """Which way flows go, from whose addresses their interface has: those that the log shows, then `pkt-…`."""
        direction = np.full(len(rows), -1, np.int64)
        to_itself = np.zeros(len(rows), np.bool_)
        plain = np.flatnonzero((keys[:, 6] | keys[:, 7]) & np.uint64(PLAIN))
        low = np.uint64(PLAIN - 1)
        for which, sources, targets in (
            (plain, _where_plain(keys[plain, 6]), _where_plain(keys[plain, 7])),
            (np.arange(len(rows)), None, None),
        ):
            if not len(which):
                continue
            of, at = rows[which], interface[which]
            if sources is None or targets is None:
                sent = self._holds(at, fields.family[of], fields.src_hi[of], fields.src_lo[of])
                received = self._holds(at, fields.family[of], fields.dst_hi[of], fields.dst_lo[of])
            else:
                nothing = np.zeros(len(which), np.uint64)
                sent = sources & self._holds(at, fields.family[of], nothing, keys[which, 6] & low)
                received = targets & self._holds(at, fields.family[of], nothing, keys[which, 7] & low)
            open_ = direction[which] < 0
            told = open_ & (sent != received)
            direction[which[told]] = np.where(sent[told], EGRESS, INGRESS)
            to_itself[which] |= open_ & sent & received
        return np.where((direction < 0) & to_itself, EGRESS, direction)

    def _holds(
        self,
        interface: npt.NDArray[np.int32],
        family: npt.NDArray[np.uint8],
        hi: npt.NDArray[np.uint64],
        lo: npt.NDArray[np.uint64],
    ) -> npt.NDArray[np.bool_]:
        """Whether each interface has each address. Overlapping networks are told apart by the interface's VPC."""
        found = self._find_near(interface, family, hi, lo)
        held: npt.NDArray[np.bool_] = found == interface
        for row in np.flatnonzero(found == AMBIGUOUS).tolist():
            value = int(hi[row]) << 64 | int(lo[row])
            held[row] = _has(self._interfaces[interface[row]], int(family[row]), value)
        return held

    def _find_near(
        self,
        interface: npt.NDArray[np.int32],
        family: npt.NDArray[np.uint8],
        hi: npt.NDArray[np.uint64],
        lo: npt.NDArray[np.uint64],
    ) -> npt.NDArray[np.int32]:
        """Who has each address: where several do, the one in the VPC of the given interface."""
        found = self._find(family, hi, lo, None)
        several = np.flatnonzero(found == AMBIGUOUS)
        vpcs = self._vpc_of[interface[several]]
        for number in np.unique(vpcs).tolist():
            rows = several[vpcs == number]
            if number >= 0:
                near = self._find(family[rows], hi[rows], lo[rows], self._vpc_names[number])
                found[rows] = np.where(near == NO_INTERFACE, AMBIGUOUS, near)
        return found

    def _by_address(
        self,
        keys: npt.NDArray[np.uint64],
        fields: FlowFields,
        rows: npt.NDArray[np.int64],
        direction: npt.NDArray[np.int64],
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """The one interface that has the sender's address (egress) or the receiver's (ingress)."""
        vpc = (keys[:, 5] >> np.uint64(VPC_SHIFT)).astype(np.int64) - 1
        family, low = fields.family[rows], np.uint64(PLAIN - 1)
        ends = []
        for hi, lo, word in (
            (fields.src_hi[rows], fields.src_lo[rows], keys[:, 6]),
            (fields.dst_hi[rows], fields.dst_lo[rows], keys[:, 7]),
        ):
            found = self._find_in(vpc, family, hi, lo)
            instead = np.flatnonzero(_where_plain(word) & (found == NO_INTERFACE))
            nothing = np.zeros(len(instead), np.uint64)
            found[instead] = self._find_in(vpc[instead], family[instead], nothing, word[instead] & low)
            ends.append(found)
        sender, receiver = ends
        known, both = sender != NO_INTERFACE, (sender != NO_INTERFACE) & (receiver != NO_INTERFACE)
        chosen = np.where(direction >= 0, direction, np.where(known, EGRESS, INGRESS))
        interface = np.where(chosen == EGRESS, sender, receiver)
        open_ = (direction < 0) & both
        interface[open_], chosen[open_] = AMBIGUOUS, -1
        return interface.astype(np.int32), chosen

    def _find_in(
        self,
        vpc: npt.NDArray[np.int64],
        family: npt.NDArray[np.uint8],
        hi: npt.NDArray[np.uint64],
        lo: npt.NDArray[np.uint64],
    ) -> npt.NDArray[np.int32]:
        found = np.full(len(vpc), NO_INTERFACE, np.int32)
        for number in np.unique(vpc).tolist():
            rows = np.flatnonzero(vpc == number)
            vpc_id = self._vpcs[number] if number >= 0 else self._vpc_id
            found[rows] = self._find(family[rows], hi[rows], lo[rows], vpc_id)
        return found

    def _find(
        self,
        family: npt.NDArray[np.uint8],
        hi: npt.NDArray[np.uint64],
        lo: npt.NDArray[np.uint64],
        vpc_id: str | None,
    ) -> npt.NDArray[np.int32]:
        found = np.full(len(family), NO_INTERFACE, np.int32)
        for value in (4, 6):
            rows = np.flatnonzero(family == value)
            if len(rows):
                found[rows] = self._snapshot.tables.find_address(value, hi[rows], lo[rows], vpc_id)
        return found

    def _number(self, keys: npt.NDArray[np.uint64], hot: npt.NDArray[np.int32]) -> None:
        """Give flow ids: the two ends of a flow share one."""
        before = self._pairs.count
        rows = self._pairs.intern(self._pair_keys(keys))
        self._pair_ids = grown(self._pair_ids, self._pairs.count)
        new = self._pairs.count - before
        self._pair_ids[before : self._pairs.count] = np.arange(self.flow_count, self.flow_count + new)
        self.flow_count += new
        hot[:, FLOW_ID] = self._pair_ids[rows]

    def _pair_keys(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        made = keys.copy()
        made[:, 5:] = 0
        return made

    def _unplaced(self, interface: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """The answers of flows whose interface or direction is not known."""
        n = len(interface)
        reason = np.where(interface >= 0, Reason.UNRESOLVED, Reason.NO_INTERFACE)
        reason = np.where(interface == AMBIGUOUS, Reason.AMBIGUOUS_INTERFACE, reason)
        zeros = np.zeros(n, np.int32)
        unknown = np.full(n, Verdict.UNKNOWN, np.uint8)
        no = np.zeros(n, np.bool_)
        return self.rules.intern(
            RuleVerdicts(unknown, reason.astype(np.uint8), zeros, zeros, zeros - 1, no, MatchSets.of([[]]))
        )

    # -- what rules say --------------------------------------------------------------------------------------------

    def _judge(
        self, fields: FlowFields, rows: npt.NDArray[np.int64], places: _Places, hot: npt.NDArray[np.int32]
    ) -> None:
        interface, direction = places.interface[rows], places.direction[rows]
        protocol = fields.protocol[rows]
        ports = (protocol == TCP) | (protocol == UDP)
        fragment = ports & (fields.srcport[rows] == 0) & (fields.dstport[rows] == 0)
        fields.later[rows] = fragment
        icmp = (protocol == ICMP) | (protocol == ICMPV6)
        kind = np.where(ports, np.where(protocol == TCP, KIND_TCP, KIND_UDP), np.where(icmp, KIND_ICMP, KIND_OTHER))
        own = self._ask(fields, rows, interface, direction, swapped=False)
        passes = self._through(fields, rows, interface, direction, own.action, swapped=False)
        opens = self._opening(own, passes, interface, fragment, icmp)
        reverse_opens = np.zeros(len(rows), np.int64)
        asked = np.flatnonzero(own.action != Verdict.ACCEPT)
        reverse_row = np.full(len(rows), -1, np.int32)
        if len(asked):
            of, at, back = rows[asked], interface[asked], 1 - direction[asked]
            reverse = self._ask(fields, of, at, back, swapped=True)
            returns = self._through(fields, of, at, back, reverse.action, swapped=True)
            reverse_row[asked] = reverse.row
            reverse_opens[asked] = self._opening(reverse, returns, at, fragment[asked], icmp[asked])
        say = _ports_say(ports, fields.srcport[rows], fields.dstport[rows])
        hot[rows, FLOW_RULES], hot[rows, FLOW_REVERSE] = own.row, reverse_row
        hot[rows, FLOW_BITS] = (
            passes << BIT_PASSES | opens << BIT_OPENS | reverse_opens << BIT_REVERSE_OPENS
            | fragment.astype(np.int64) << BIT_FRAGMENT | kind << BIT_KIND
            | ((kind == KIND_OTHER) & self._other_closes).astype(np.int64) << BIT_MAY_CLOSE
            | (say + 1) << BIT_PORTS | own.possible.astype(np.int64) << BIT_POSSIBLE
        )  # fmt: skip

    def _opening(
        self,
        judged: _Judged,
        passes: npt.NDArray[np.int64],
        interface: npt.NDArray[np.int32],
        fragment: npt.NDArray[np.bool_],
        icmp: npt.NDArray[np.bool_],
    ) -> npt.NDArray[np.int64]:
        """Whether packets open a connection that lets replies in: 0 no, 1 maybe, 2 surely."""
        stateless = (judged.reason == Reason.EXEMPT) | (
            (judged.reason == Reason.UNFILTERED) & ~self._carries_groups[interface]
        )
        never = stateless | judged.untracked | (passes == Verdict.REJECT) | fragment
        return np.where(never, 0, np.where(icmp | (passes == Verdict.UNKNOWN), 1, 2))

    def _through(
        self,
        fields: FlowFields,
        rows: npt.NDArray[np.int64],
        interface: npt.NDArray[np.int32],
        direction: npt.NDArray[np.uint8],
        action: npt.NDArray[np.int64],
        *,
        swapped: bool,
    ) -> npt.NDArray[np.int64]:
        """The verdict of both ends by rules alone: that of the interface at the other end, if one is known, joined."""
        result = action.copy()
        asked = np.flatnonzero(action != Verdict.REJECT)
        if not len(asked):
            return result
        of = rows[asked]
        to_destination = (direction[asked] == EGRESS) != swapped
        remote_hi = np.where(to_destination, fields.dst_hi[of], fields.src_hi[of])
        remote_lo = np.where(to_destination, fields.dst_lo[of], fields.src_lo[of])
        partner = self._find_near(interface[asked], fields.family[of], remote_hi, remote_lo)
        known = np.flatnonzero(partner >= 0)
        result[asked[partner == AMBIGUOUS]] = Verdict.UNKNOWN
        if len(known):
            back = (1 - direction[asked[known]]).astype(np.uint8)
            there = self._ask(fields, of[known], partner[known], back, swapped=swapped).action
            here = result[asked[known]]
            joined = np.where((here == Verdict.UNKNOWN) | (there == Verdict.UNKNOWN), Verdict.UNKNOWN, Verdict.ACCEPT)
            result[asked[known]] = np.where(there == Verdict.REJECT, Verdict.REJECT, joined)
        return result

    def _ask(
        self,
        fields: FlowFields,
        rows: npt.NDArray[np.int64],
        interface: npt.NDArray[np.int32],
        direction: npt.NDArray[Any],
        *,
        swapped: bool,
    ) -> _Judged:
        """What the rules of interfaces say of flows, or of their other direction."""
        blocks = []
        for family in (4, 6):
            row = np.flatnonzero(fields.family[rows] == family)
            if not len(row):
                continue
            of = rows[row]
            if family == 4:
                src, dst = fields.src_lo[of].astype(np.uint32), fields.dst_lo[of].astype(np.uint32)
            else:
                src = np.stack([fields.src_hi[of], fields.src_lo[of]], axis=1)
                dst = np.stack([fields.dst_hi[of], fields.dst_lo[of]], axis=1)
            srcport, dstport = fields.srcport[of], fields.dstport[of]
            if swapped:
                src, dst, srcport, dstport = dst, src, dstport, srcport
            blocks.append(
                FlowBlock.from_columns(
                    family,
                    src,
                    dst,
                    protocol=fields.protocol[of],
                    interface=interface[row],
                    direction=direction[row],
                    srcport=srcport,
                    dstport=dstport,
                    later_fragment=fields.later[of],
                    row=row,
                )
            )
        found = self.rules.intern(evaluate(self._snapshot, FlowTable.of(*blocks), threads=self._threads))
        table = self.rules.table
        return _Judged(found, table[found, 0], table[found, 1], table[found, 3] != 0, table[found, 5] != 0)

    def _connect(
        self,
        keys: npt.NDArray[np.uint64],
        hot: npt.NDArray[np.int32],
        rows: npt.NDArray[np.int64],
        places: _Places,
    ) -> None:
        """Give each flow the row of its connection: what both directions share at one interface."""
        from sgsim.kernels.joining import clear_connections

        outward = places.direction[rows] == EGRESS
        wanted = keys.copy()
        for near, far in ((0, 2), (1, 3)):
            wanted[:, near] = np.where(outward, keys[:, near], keys[:, far])
            wanted[:, far] = np.where(outward, keys[:, far], keys[:, near])
        port, services = np.uint64(0xFFFF), keys[:, 4]
        swapped = (services & ~np.uint64(0xFFFFFFFF)) | (services & port) << np.uint64(16)
        swapped |= services >> np.uint64(16) & port
        wanted[:, 4] = np.where(outward, services, swapped)
        wanted[:, 5] = places.interface[rows].astype(np.uint64)
        wanted[:, 6:] = 0
        before = self._connections.count
        hot[rows, FLOW_CONNECTION] = found = self._connections.intern(wanted)
        self.connections = grown(self.connections, self._connections.count)
        clear_connections(self.connections, before, self._connections.count)
        kind = hot[rows, FLOW_BITS] >> BIT_KIND & 3
        self.connections[found, JOIN_LIMITS] = places.interface[rows].astype(np.int64) << 2 | kind


def numbered(
    codes: npt.NDArray[np.int32], texts: list[str], numbers: dict[str, int], names: list[str]
) -> npt.NDArray[np.int64]:
    """Numbers that last beyond a batch, for the ids of its rows; -1 where there is none."""
    lasting = np.full(len(texts) + 1, -1, np.int64)
    used = np.unique(codes)
    for code in used[used >= 0].tolist():
        text = texts[code]
        if text not in numbers:
            numbers[text] = len(names)
            names.append(text)
        lasting[code] = numbers[text]
    return lasting[codes]


def _where_plain(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    marked: npt.NDArray[np.bool_] = (words & np.uint64(PLAIN)) != 0
    return marked


def _has(interface: Any, family: int, value: int) -> bool:
    """Whether a private address or a delegated prefix of the interface has the address."""
    return any(one.family == family and one.value == value for one in interface.addresses) or any(
        one.family == family and one.network <= value <= one.last for one in interface.prefixes
    )


def _ports_say(
    ports: npt.NDArray[np.bool_], srcport: npt.NDArray[np.uint16], dstport: npt.NDArray[np.uint16]
) -> npt.NDArray[np.int64]:
    """1 where the ports look like a client's packet, -1 like a server's, 0 where they do not tell."""
    src = (srcport >= 1024).astype(np.int64) + (srcport >= 32768)
    dst = (dstport >= 1024).astype(np.int64) + (dstport >= 32768)
    return np.where(ports, np.sign(src - dst), 0)
