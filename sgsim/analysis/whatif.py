"""What a change of rules does: to traffic, to open connections, to the packet space and to quotas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sgsim.analysis.space import (
    NOTHING,
    Exposure,
    InterfaceChange,
    Space,
    Threshold,
    ViewKey,
    Views,
    difference,
    exposure,
    internet,
    view_key,
)
from sgsim.analysis.usage_quotas import quota_use
from sgsim.analysis.whatif_live import LiveForecast
from sgsim.analysis.whatif_traffic import FlowTally, TrafficChange
from sgsim.intervals import EMPTY, Intervals
from sgsim.model import Direction, Environment, Semantics
from sgsim.model.changes import ChangeSet
from sgsim.model.quotas import Quotas

__all__ = ["KINDS", "QuotaChange", "SpaceRow", "TrafficPart", "WhatIf", "quota_changes", "space_changes"]

#: What a change may do, and what that means; the order of reports.
KINDS = {
    "newly-rejected": "flows that were accepted are rejected",
    "newly-accepted": "flows that were rejected are accepted",
    "perhaps-rejected": "flows that were accepted may be rejected: the input does not tell",
    "perhaps-accepted": "flows that were rejected may be accepted: the input does not tell",
    "surely-rejected": "flows that may have been accepted are rejected",
    "surely-accepted": "flows that may have been rejected are accepted",
    "cut": "open connections are cut at once",
    "undetermined": "open connections may be cut: the input does not tell",
    "survives": "open connections go on until they time out, and cannot be opened again",
    "fails-on-reconnect": "connections that have ended cannot be opened again",
    "opens-internet": "services become open to the internet",
    "opened": "packets that were rejected are accepted, whether or not anybody sends them",
    "closed": "packets that were accepted are rejected, whether or not anybody sends them",
    "quota": "more than a quota of AWS allows",
}


@dataclass(frozen=True, slots=True)
class TrafficPart:
    """What becomes of observed traffic. `packets` and `bytes` by verdict before and after are of all of it."""

    tally: FlowTally
    changes: tuple[TrafficChange, ...]
    packets: tuple[tuple[int, ...], ...]
    bytes: tuple[tuple[int, ...], ...]
    flows: int
    first: int | None
    last: int | None
    live: LiveForecast | None


class SpaceRow(NamedTuple):
    """A change of the packet space, the services that it opens to the internet (IPv4, IPv6), and where it does."""

    change: InterfaceChange
    services: tuple[Intervals, Intervals]
    exposed: tuple[str, ...]

    @property
    def key(self) -> str:
        """Stable: the first interface and the direction; no other change has both."""
        return f"{self.change.interface_ids[0]}/{self.change.direction.name.lower()}"


class QuotaChange(NamedTuple):
    """What a group's or interface's bucket (`ingress/ipv4`, `groups`) had and has, and what it may have."""

    subject: str
    bucket: str
    before: int
    after: int
    limit: int

    @property
    def over(self) -> bool:
        """Over the limit, and by more than before."""
        return self.after > self.limit and self.after > self.before


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The whole answer; `traffic` is None where none was given."""

    before: Environment
    after: Environment
    changes: ChangeSet
    traffic: TrafficPart | None
    space: tuple[SpaceRow, ...]
    quota: tuple[QuotaChange, ...]

    @property
    def kinds(self) -> frozenset[str]:
        """Of KINDS, those that there are."""
        return frozenset(self._kinds())

    def _kinds(self) -> Iterator[str]:
        if self.traffic is not None:
            yield from (change.kind for change in self.traffic.changes)
            if self.traffic.live is not None:
                yield from (fate.value for fate, count in self.traffic.live.count.items() if count)
        for row in self.space:
            change = row.change.change
            if row.exposed:
                yield "opens-internet"
            if change.opened or change.confirmed or change.may_open:
                yield "opened"
            if change.closed or change.refuted or change.may_close:
                yield "closed"
        if any(change.over for change in self.quota):
            yield "quota"


def space_changes(
    before: Environment, after: Environment, semantics: Semantics, threshold: Threshold | None = None
) -> tuple[SpaceRow, ...]:
    """The difference of the packet spaces, with what of it is open to the internet.

    Decided on all that is accepted, so that a change cannot hide behind one before it.
    """
    exposures = _Exposures(before, after, semantics, threshold)
    return tuple(exposures.row(change) for change in difference(before, after, semantics))


class _Exposures:
    def __init__(
        self, before: Environment, after: Environment, semantics: Semantics, threshold: Threshold | None
    ) -> None:
        self._before, self._after = Views(before, semantics), Views(after, semantics)
        self._addresses, self._threshold = internet(after), threshold

    def row(self, change: InterfaceChange) -> SpaceRow:
        """The change with what it opens to the internet, at any of its interfaces."""
        v4, v6, exposed = EMPTY, EMPTY, []
        if change.direction is Direction.INGRESS and change.situation != "removed" and change.change.now_accepted:
            added = self._exposure(change.change.now_accepted)
            found: dict[tuple[ViewKey | None, ViewKey], tuple[Intervals, Intervals, bool]] = {}
            for name in change.interface_ids:
                old = self._before.environment.interfaces.get(name)
                key = (None if old is None else view_key(old), view_key(self._after.environment.interfaces[name]))
                if key not in found:
                    found[key] = self._opened(*key, added)
                if found[key][2]:
                    exposed.append(name)
                    v4, v6 = v4 | found[key][0], v6 | found[key][1]
        return SpaceRow(change, (v4, v6), tuple(exposed))

    def _opened(self, old: ViewKey | None, new: ViewKey, added: Exposure) -> tuple[Intervals, Intervals, bool]:
        """The services newly open to the internet, and whether anything is."""
        direction = Direction.INGRESS
        was = self._exposure(NOTHING if old is None else self._before.at(old, direction).accepted)
        now = self._exposure(self._after.at(new, direction).accepted)
        v4, v6 = (now.v4 - was.v4) | added.v4, (now.v6 - was.v6) | added.v6
        return v4, v6, bool(v4 or v6 or added.open or (now.open and not was.open))

    def _exposure(self, space: Space) -> Exposure:
        return exposure(space, self._addresses, self._threshold)


def quota_changes(before: Environment, after: Environment, quotas: Quotas | None = None) -> tuple[QuotaChange, ...]:
    """Every count that changes: groups first, then interfaces."""
    old, new = (
        {(use.subject, use.bucket): (use.used, use.limit) for use in quota_use(each, quotas)}
        for each in (before, after)
    )
    changed = [
        QuotaChange(*key, old.get(key, (0, 0))[0], new.get(key, (0, 0))[0], (new.get(key) or old[key])[1])
        for key in sorted(old.keys() | new.keys())
        if old.get(key, (0, 0))[0] != new.get(key, (0, 0))[0]
    ]
    groups = before.groups.keys() | after.groups.keys()
    return tuple(sorted(changed, key=lambda each: (each.subject not in groups, each)))
