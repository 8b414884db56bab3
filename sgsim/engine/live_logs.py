"""Connections that a flow log shows to be open, as far as it shows that.

A record tells when packets were seen and, if the log has them, the TCP flags of its interval; not which packet came
last. So a connection counts as open until its timeout has passed since the end of its last record, or until FIN of both
sides or an RST was seen and no SYN since. TCP in a log without flags may have ended any time: then it is not sure that
it is open. ICMP is left out: a log does not tell requests from answers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.engine.interner import Interner, grown
from sgsim.engine.live import HEADER, OpenConnections, State, next_verdicts, renamed
from sgsim.engine.logs import LogVerdicts
from sgsim.engine.logs.limits import connection_limits
from sgsim.engine.snapshot import Snapshot
from sgsim.engine.tracking import Tracker
from sgsim.flows import EGRESS, NO_INTERFACE
from sgsim.kernels import joining_layout as layout
from sgsim.kernels.tracking_layout import BY_EGRESS, CLOSING, KEY_WORDS, KIND_OTHER, MAYBE, OPEN, UNTRACKED, FlowFields
from sgsim.model import ICMP, ICMPV6, TCP, UDP
from sgsim.verdicts import Reason, Verdict

__all__ = ["LogConnections"]

_SECOND = 1_000_000_000
_FIN, _SYN, _RST = 1, 2, 4
_NEVER = np.iinfo(np.int64).min // 2
_REMEMBERED = 1 << 20  #: connections; those that have been quiet for longest are forgotten beyond that

# What is known of a connection, 64-bit numbers. Times: end of the last record; start of the last one with a SYN; end
# of the last ones with FIN (onward, back) and RST, of the last answer, of the last one whose verdict is UNKNOWN, and
# of the last one that does not tell its flags. Then onward packets (at least one a record), all packets, bytes;
# interfaces at both ends.
_WORDS = 13
_LAST, _SYN_AT, _FIN_ONWARD, _FIN_BACK, _RST_AT, _ANSWERED, _UNSURE, _UNTOLD = range(8)
_ONWARD, _PACKETS, _BYTES, _FIRST_END, _OTHER_END = range(8, _WORDS)


class LogConnections:
    """Takes judged records in the order of their start; those of one connection come together by its initiator."""

    def __init__(self) -> None:
        self._keys = Interner()
        self._rows: npt.NDArray[np.int64] = np.empty((0, _WORDS), np.int64)

    def add(self, records: LogVerdicts, until: int | None = None) -> None:
        """Add records; those that begin after `until` (seconds) are left out."""
        verdicts = records.verdicts
        asked = (verdicts.interface >= 0) & (verdicts.action != Verdict.REJECT) & (verdicts.reason != Reason.EXEMPT)
        asked &= (verdicts.protocol != ICMP) & (verdicts.protocol != ICMPV6) & (verdicts.direction < 2)
        asked &= records.recorded != Verdict.REJECT  # something else let it not through
        if until is not None:
            asked &= verdicts.start <= until
        row = np.flatnonzero(asked)
        if not len(row):
            return
        onward = verdicts.initiating[row]
        known = self._keys.count
        at = self._keys.intern(_keys(verdicts, row, onward))
        self._rows = grown(self._rows, self._keys.count)
        new = self._rows[known : self._keys.count]
        new[:] = 0
        new[:, : _UNTOLD + 1], new[:, _FIRST_END:] = _NEVER, NO_INTERFACE
        end, flags = verdicts.end[row], records.tcp_flags[row].astype(np.int64)
        told = flags >= 0
        self._latest(_LAST, at, end)
        self._latest(_SYN_AT, at, verdicts.start[row], told & (flags & _SYN != 0))
        self._latest(_FIN_ONWARD, at, end, told & onward & (flags & _FIN != 0))
        self._latest(_FIN_BACK, at, end, told & ~onward & (flags & _FIN != 0))
        self._latest(_RST_AT, at, end, told & (flags & _RST != 0))
        self._latest(_ANSWERED, at, end, ~onward)
        self._latest(_UNSURE, at, end, verdicts.action[row] == Verdict.UNKNOWN)
        self._latest(_UNTOLD, at, end, ~told & (verdicts.protocol[row] == TCP))
        place = np.where((verdicts.direction[row] == EGRESS) == onward, _FIRST_END, _OTHER_END)
        self._rows[at, place] = verdicts.interface[row]
        # Both ends of a connection may be logged: packets count where it was opened, else where it goes to.
        counts = place == np.where(self._rows[at, _FIRST_END] >= 0, _FIRST_END, _OTHER_END)
        np.add.at(self._rows[:, _ONWARD], at[onward], np.maximum(verdicts.packets[row[onward]], 1))
        np.add.at(self._rows[:, _PACKETS], at[counts], verdicts.packets[row[counts]])
        np.add.at(self._rows[:, _BYTES], at[counts], verdicts.bytes[row[counts]])
        self._forget()

    def open(self, before: Snapshot, after: Snapshot, now: int) -> OpenConnections:
        """Those that are open at `now` (seconds), and what they meet with under both rules."""
        rows, keys = self._rows[: self._keys.count], self._keys.keys[: self._keys.count]
        interface = rows[:, _FIRST_END:].astype(np.int32)
        deadline, closing = _deadlines(rows, keys, interface, connection_limits(before))
        open_ = np.flatnonzero((deadline >= now).any(axis=1))
        rows, interface, deadline, closing = rows[open_], interface[open_], deadline[open_], closing[open_]
        live = deadline >= now
        header = _header(keys[open_])
        old, new = Tracker(before), Tracker(after)
        names = renamed(old, new)
        interface_after = np.where(interface >= 0, names[np.maximum(interface, 0)], interface).astype(np.int32)
        maybe = (rows[:, _UNSURE] >= rows[:, _SYN_AT]) & (rows[:, _UNSURE] > _NEVER)
        maybe |= (rows[:, _UNTOLD] >= rows[:, _SYN_AT]) & (rows[:, _UNTOLD] > _NEVER)
        flags = np.full(live.shape, OPEN, np.int64)
        flags[:, 0] |= BY_EGRESS
        flags[closing] |= CLOSING
        flags[maybe] |= MAYBE
        for end in (0, 1):
            known = np.flatnonzero(interface[:, end] >= 0)
            if len(known):
                judged = old.store.judge(header, known, np.full(len(known), end), interface[known, end])
                flags[known[judged.untracked], end] |= UNTRACKED
        state = State(flags, live)
        told = next_verdicts(old, header, interface, state)
        return OpenConnections(
            now=now * _SECOND,
            **{name: getattr(header, name) for name in HEADER},
            interface=interface,
            interface_after=interface_after,
            live=live,
            untracked=live & (flags & UNTRACKED != 0),
            maybe=live & (flags & MAYBE != 0),
            closing=live & (flags & CLOSING != 0),
            deadline=np.where(live, deadline * _SECOND, -1),
            opened_by=np.where(live, np.maximum(told.rules, 0), 0).astype(np.int32),
            packets=rows[:, _PACKETS].copy(),
            bytes=rows[:, _BYTES].copy(),
            before=told,
            after=next_verdicts(new, header, interface_after, state),
        )

    def _latest(
        self, word: int, at: npt.NDArray[np.int32], time: npt.NDArray[np.int64], of: npt.NDArray[np.bool_] | None = None
    ) -> None:
        """Take note of the latest time, of all records or of some."""
        if of is not None:
            at, time = at[of], time[of]
        np.maximum.at(self._rows[:, word], at, time)

    def _forget(self) -> None:
        count = self._keys.count
        if count <= 2 * _REMEMBERED:
            return
        last = self._rows[:count, _LAST]
        kept = last > np.partition(last, count - _REMEMBERED)[count - _REMEMBERED]
        self._keys.keep(kept)
        self._rows = self._rows[:count][kept]


def _keys(verdicts: Any, row: npt.NDArray[np.int64], onward: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """Addresses, ports, protocol and family as the initiator sends them."""
    keys = np.zeros((len(row), KEY_WORDS), np.uint64)
    for word, (here, there) in enumerate((("src_hi", "dst_hi"), ("src_lo", "dst_lo"))):
        one, other = getattr(verdicts, here)[row], getattr(verdicts, there)[row]
        keys[:, word], keys[:, word + 2] = np.where(onward, one, other), np.where(onward, other, one)
    source, target = verdicts.srcport[row].astype(np.uint64), verdicts.dstport[row].astype(np.uint64)
    keys[:, 4] = np.where(onward, source, target) | np.where(onward, target, source) << np.uint64(16)
    keys[:, 5] = verdicts.protocol[row] | verdicts.family[row].astype(np.uint64) << np.uint64(8)
    return keys


def _header(keys: npt.NDArray[np.uint64]) -> FlowFields:
    n = len(keys)
    zeros = np.zeros(n, np.uint64)
    return FlowFields(
        family=(keys[:, 5] >> np.uint64(8)).astype(np.uint8),
        src_hi=keys[:, 0].copy(),
        src_lo=keys[:, 1].copy(),
        dst_hi=keys[:, 2].copy(),
        dst_lo=keys[:, 3].copy(),
        protocol=(keys[:, 5] & np.uint64(255)).astype(np.uint8),
        srcport=(keys[:, 4] & np.uint64(0xFFFF)).astype(np.uint16),
        dstport=(keys[:, 4] >> np.uint64(16)).astype(np.uint16),
        icmp_type=np.full(n, -1, np.int16),
        icmp_code=np.full(n, -1, np.int16),
        later=np.zeros(n, np.bool_),
        src_mac=zeros,
        dst_mac=zeros,
        vni=np.full(n, -1, np.int32),
        kind=np.full(n, KIND_OTHER, np.uint8),
    )


def _deadlines(
    rows: npt.NDArray[np.int64],
    keys: npt.NDArray[np.uint64],
    interface: npt.NDArray[np.int32],
    limits: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Until when each end remembers a connection (seconds, int64[n, 2]), and whether it has ended."""
    protocol = keys[:, 5] & np.uint64(255)
    kind = np.where(protocol == TCP, layout.KIND_TCP, np.where(protocol == UDP, layout.KIND_UDP, layout.KIND_OTHER))
    both = (rows[:, [_FIN_ONWARD, _FIN_BACK]] >= rows[:, [_SYN_AT]]).all(axis=1)
    fin = np.where(both, np.maximum(rows[:, _FIN_ONWARD], rows[:, _FIN_BACK]), _NEVER)
    over = np.maximum(fin, rows[:, _RST_AT])
    closing: npt.NDArray[np.bool_] = (protocol == TCP) & (over > _NEVER) & (over >= rows[:, _SYN_AT])
    answered = rows[:, _ANSWERED] > _NEVER
    which = np.full(len(rows), layout.LIMIT_LEAST)
    which[(kind == layout.KIND_UDP) & answered & (rows[:, _ONWARD] > 1)] = layout.LIMIT_MOST
    which[(kind == layout.KIND_TCP) & ~answered & (rows[:, _SYN_AT] > _NEVER)] = layout.LIMIT_HALF_OPEN
    deadlines = np.full(interface.shape, _NEVER, np.int64)
    for end in (0, 1):
        known = np.flatnonzero(interface[:, end] >= 0)
        of = limits[interface[known, end]]
        n = np.arange(len(known))
        idle = of[n, kind[known], which[known]]
        deadlines[known, end] = np.where(
            closing[known], over[known] + of[n, kind[known], layout.LIMIT_CLOSING], rows[known, _LAST] + idle
        )
    return deadlines, closing
