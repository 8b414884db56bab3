"""What becomes of connections that are open when the rules change (docs/semantics.md §2.2).

AWS tracks a connection whatever the rules say if its path crosses a NAT gateway, a Network Load Balancer and the like
(§2.1). Routes decide that, which an environment does not hold: the type of an interface at either end may tell, and
what stays inside a subnet is not routed at all. Elsewhere it is not known whether an untracked connection is cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.analysis.whatif_traffic import Service, joined_ids
from sgsim.engine.live import Next, OpenConnections
from sgsim.engine.snapshot import Snapshot
from sgsim.model import ICMP, ICMPV6, Direction
from sgsim.verdicts import Verdict

__all__ = ["Fate", "LiveChange", "LiveForecast", "fates", "live_forecast"]

_REJECT, _ACCEPT, _UNKNOWN = int(Verdict.REJECT), int(Verdict.ACCEPT), int(Verdict.UNKNOWN)
_NOBODY = 255  #: in place of a verdict: not judged
_SECOND = 1_000_000_000


class Fate(Enum):
    """What becomes of an open connection."""

    CUT = "cut"  #: its next packet, one way or the other, is rejected
    UNDETERMINED = "undetermined"  #: that depends on what the input does not show
    SURVIVES = "survives"  #: it is tracked: it goes on until it times out, and cannot be opened again
    FAILS_ON_RECONNECT = "fails-on-reconnect"  #: it has ended and is only remembered; it cannot be opened again
    GOES_ON = "goes-on"  #: the change does not matter to it


_FATES = list(Fate)


class Judged(NamedTuple):
    """n connections: index in `Fate`, the end that decides (0 the initiator's), whether tracking by the path is what is
    not known, the verdict of a new connection in its place, and until when (ns) the state holds, -1 where it is no
    matter."""

    fate: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    by_path: npt.NDArray[np.bool_]
    anew: npt.NDArray[np.int64]
    until: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LiveChange:
    """Connections with the same fate for the same reason.

    `interface_id` and `direction` are where it is decided, seen from the initiator: `egress` at its own end.
    `opened_by` are the rules that opened them there, `rule_ids` those that would let a new one in now. `reconnects` is
    the verdict of a new connection. `by_path`: what is not known is whether AWS tracks them because of their path;
    `maybe`: it is not sure that they are open. `least` and `most` are the seconds until the first and the last of them
    times out if idle, None where that is no matter. `peers` counts the other ends (family, address).
    """

    fate: Fate
    interface_id: str
    direction: Direction
    service: Service
    opened_by: tuple[str, ...]
    rule_ids: tuple[str, ...]
    reconnects: Verdict
    by_path: bool
    maybe: bool
    connections: int
    packets: int
    bytes: int
    least: int | None
    most: int | None
    peers: tuple[tuple[tuple[int, int], int], ...]

    @property
    def change_id(self) -> str:
        """Stable: made of what it is about, not of how much there is of it; no other change has it."""
        marks = [joined_ids(self.opened_by) or "no-rule"]
        if self.reconnects is not Verdict.REJECT:
            marks.append(f"anew-{self.reconnects.name.lower()}")
        marks += ["path"] * self.by_path + ["unsure"] * self.maybe
        end = f"{self.interface_id}/{self.direction.name.lower()}"
        return "/".join([self.fate.value, end, f"{self.service.protocol}-{self.service.port}", *marks])


@dataclass(frozen=True, slots=True)
class LiveForecast:
    """All connections open at `now` (seconds) by fate, and those that the change matters to, most of them first."""

    now: int
    count: dict[Fate, int]
    changes: tuple[LiveChange, ...]

    @property
    def total(self) -> int:
        return sum(self.count.values())


def fates(found: OpenConnections, near: npt.NDArray[np.bool_]) -> Judged:
    """What becomes of each connection; `near` marks those whose path is known not to be tracked by AWS."""
    before, after = found.before, found.after
    gone = found.live & (found.interface >= 0) & (found.interface_after < 0)
    turns = [_turns(before.onward, after.onward, gone), _turns(before.back, after.back, gone)]
    rejecting = turns[0] | turns[1]
    cut = rejecting.any(axis=1) & _passes(before)
    open_question = rejecting & ~gone & found.live & found.untracked
    by_path = cut & (open_question == rejecting).all(axis=1) & ~near
    unknown = _becomes_unknown(before.onward, after.onward) | _becomes_unknown(before.back, after.back)
    was, anew = _path(before.anew), _path(after.anew)
    anew[gone.any(axis=1)] = _REJECT
    fails, may_fail = (was != _REJECT) & (anew == _REJECT), (was == _ACCEPT) & (anew == _UNKNOWN)
    doubtful = unknown | may_fail | fails & found.maybe.any(axis=1)
    fate = np.full(len(found), _FATES.index(Fate.GOES_ON))
    fate[fails] = _FATES.index(Fate.SURVIVES)
    fate[fails & found.closing.any(axis=1)] = _FATES.index(Fate.FAILS_ON_RECONNECT)
    fate[doubtful | by_path] = _FATES.index(Fate.UNDETERMINED)
    fate[cut & ~by_path] = _FATES.index(Fate.CUT)
    closed = (after.anew == _REJECT) & (before.anew != _REJECT) & (before.anew != _NOBODY)
    blurred = (after.anew == _UNKNOWN) & (before.anew == _ACCEPT)
    end = np.select(
        [rejecting[:, 0], rejecting[:, 1], closed[:, 0], closed[:, 1], blurred[:, 0], blurred[:, 1]],
        [0, 1, 0, 1, 0, 1],
        default=np.where(found.live[:, 0], 0, 1),
    )
    holds = found.live & closed & ~found.untracked
    until = np.where(holds, found.deadline, np.iinfo(np.int64).max).min(axis=1, initial=np.iinfo(np.int64).max)
    until[~holds.any(axis=1) | cut] = -1
    return Judged(fate, end, by_path & cut, anew, until)


def _path(ends: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """The verdict of both ends."""
    rejected, unknown = (ends == _REJECT).any(axis=1), (ends == _UNKNOWN).any(axis=1)
    return np.where(rejected, _REJECT, np.where(unknown, _UNKNOWN, _ACCEPT)).astype(np.int64)


def _passes(one: Next) -> npt.NDArray[np.bool_]:
    """Whether packets of the connection pass one way at least: else there is nothing to cut."""
    passes: npt.NDArray[np.bool_] = (_path(one.onward) != _REJECT) | (_path(one.back) != _REJECT)
    return passes


def _turns(
    before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8], gone: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """The ends that reject now what passed at both ends before."""
    passed = (_path(before) != _REJECT)[:, None]
    turned: npt.NDArray[np.bool_] = passed & (gone | (after == _REJECT) & (before != _NOBODY))
    return turned


def _becomes_unknown(before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    unknown: npt.NDArray[np.bool_] = (_path(before) == _ACCEPT) & (_path(after) == _UNKNOWN)
    return unknown


def live_forecast(found: OpenConnections, before: Snapshot, after: Snapshot, *, direct: bool = False) -> LiveForecast:
    """The fate of open connections. `direct`: no path crosses anything that AWS always tracks, says the user."""
    near = np.ones(len(found), np.bool_) if direct else _inside_subnet(found, before)
    judged = fates(found, near)
    counts = Counter(judged.fate.tolist())
    groups: dict[tuple[int, ...], list[int]] = {}
    rows = np.flatnonzero(judged.fate != _FATES.index(Fate.GOES_ON))
    port = np.where(
        (found.protocol == ICMP) | (found.protocol == ICMPV6),
        found.icmp_type.astype(np.int64) * 256 + np.maximum(found.icmp_code, 0),
        found.dstport.astype(np.int64),
    )
    end = judged.end[rows]
    columns = np.stack(
        [
            judged.fate[rows], end, found.interface[rows, end], found.protocol[rows], port[rows],
            found.opened_by[rows, end], judged.anew[rows], judged.by_path[rows],
            found.maybe[rows].any(axis=1),
        ],
        axis=1,
    )  # fmt: skip
    for row, key in zip(rows.tolist(), columns.tolist()):
        groups.setdefault(tuple(key), []).append(row)
    changes = [_group(key, np.array(each), found, judged, before, after) for key, each in groups.items()]
    changes.sort(key=lambda each: (_FATES.index(each.fate), -each.connections, each.change_id))
    return LiveForecast(found.now // _SECOND, {fate: counts[n] for n, fate in enumerate(_FATES)}, tuple(changes))


def _inside_subnet(found: OpenConnections, snapshot: Snapshot) -> npt.NDArray[np.bool_]:
    """Connections whose ends are both known and in the same subnet: they are not routed."""
    interfaces = snapshot.environment.interfaces
    numbers: dict[str, int] = {}
    subnet = [
        -1 if (name := interfaces[one].subnet_id) is None else numbers.setdefault(name, len(numbers))
        for one in snapshot.tables.interface_ids
    ]
    of = np.array([*subnet, -1])[found.interface]
    known = (found.interface >= 0).all(axis=1)
    same: npt.NDArray[np.bool_] = known & (of[:, 0] == of[:, 1]) & (of[:, 0] >= 0)
    return same


def _group(
    key: tuple[int, ...],
    rows: npt.NDArray[np.int64],
    found: OpenConnections,
    judged: Judged,
    before: Snapshot,
    after: Snapshot,
) -> LiveChange:
    fate, end, interface, protocol, port, opened_by, anew, by_path, maybe = key
    hi, lo = (found.dst_hi, found.dst_lo) if end == 0 else (found.src_hi, found.src_lo)
    peers = Counter(
        (family, high << 64 | low)
        for family, high, low in zip(found.family[rows].tolist(), hi[rows].tolist(), lo[rows].tolist())
    )
    numbers = np.unique(found.after.rules[rows, end])
    rules = {rule for number in numbers[numbers >= 0].tolist() for rule in found.after.sets[number]}
    until = judged.until[rows]
    left = [(int(each) - found.now) // _SECOND for each in (until.min(), until.max())] if until.min() >= 0 else None
    return LiveChange(
        fate=_FATES[fate],
        interface_id=before.tables.interface_ids[interface] if interface >= 0 else "",
        direction=Direction.EGRESS if end == 0 else Direction.INGRESS,
        service=Service(protocol, port),
        opened_by=_ids(found.before.sets[opened_by], before.tables.rule_ids),
        rule_ids=_ids(sorted(rules), after.tables.rule_ids),
        reconnects=Verdict(anew),
        by_path=bool(by_path),
        maybe=bool(maybe),
        connections=len(rows),
        packets=int(found.packets[rows].sum()),
        bytes=int(found.bytes[rows].sum()),
        least=left[0] if left else None,
        most=left[1] if left else None,
        peers=tuple(sorted(peers.items(), key=lambda each: (-each[1], each[0]))),
    )


def _ids(rules: Sequence[int], ids: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(ids[rule] for rule in rules))
