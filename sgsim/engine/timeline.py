"""Which configuration held when, compiled; and which change decided what rules say of a flow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.engine.snapshot import Snapshot
from sgsim.engine.views import View
from sgsim.model import Environment, GroupPeer, NetworkInterface, PrefixListPeer, SecurityGroup, Semantics
from sgsim.model.history import History
from sgsim.model.overlay import Overlay, changed_keys

__all__ = ["NOT_THERE", "Deciding", "Timeline", "Views"]

#: What rules said before a change that made the interface: nothing.
NOT_THERE = 255

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Timeline:
    """The versions of a history as snapshots, each compiled when it is first asked for. Safe in several threads."""

    def __init__(self, history: History, semantics: Semantics | None = None) -> None:
        self.history = history
        self._semantics = Semantics() if semantics is None else semantics
        self._snapshots: dict[int, Snapshot] = {}
        self._touched: dict[int, frozenset[str] | None] = {}
        self._lock = Lock()
        since = [version.since for version in history.versions[1:]]
        #: When versions 1 … begin, ns since the epoch.
        self.starts = np.array([_nanoseconds(time) for time in since if time is not None], np.int64)

    @property
    def present(self) -> Snapshot:
        """The snapshot of the environment that the history was made around."""
        return self.snapshot(self.history.present)

    def __len__(self) -> int:
        return len(self.history.versions)

    def at(self, times: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The version that holds at each time (ns): from the moment of a change on, it is made."""
        return np.searchsorted(self.starts, times, side="right")

    def snapshot(self, number: int) -> Snapshot:
        """A version, compiled."""
        with self._lock:
            if number not in self._snapshots:
                environment = self.history.versions[number].environment
                self._snapshots[number] = Snapshot.of(environment, self._semantics, number)
            return self._snapshots[number]

    def touched(self, number: int) -> frozenset[str] | None:
        """The interfaces about which version `number` may say something else than the one before; None for all."""
        if number not in self._touched:
            before, after = (self.history.versions[n].environment for n in (number - 1, number))
            self._touched[number] = _touched(before, after)
        return self._touched[number]


class Views:
    """The views of a timeline's versions, in the numbers of a first one. Safe in several threads.

    What only other versions have gets its numbers at once, so that they stand while records are written.
    """

    def __init__(self, timeline: Timeline, first: View, view_of: Callable[[View, Snapshot], View]) -> None:
        self._timeline, self._view_of, self._latest = timeline, view_of, first
        self._views = {timeline.history.present: first}
        self._versions = {first.number: timeline.history.present}
        self._lock = Lock()
        for numbers, ids in zip((first.interfaces, first.rules), _other_ids(timeline.history)):
            if ids:
                numbers.of(ids, np.arange(len(ids), dtype=np.int32))

    def __getitem__(self, version: int) -> View:
        with self._lock:
            if version not in self._views:
                self._latest = self._views[version] = self._view_of(self._latest, self._timeline.snapshot(version))
                self._versions[self._latest.number] = version
            return self._views[version]

    def version(self, view: View) -> int:
        """The version that a view is of."""
        return self._versions[view.number]


class Deciding:
    """Finds the change behind what rules say: the last one before which they said something else."""

    def __init__(self, timeline: Timeline, views: Views) -> None:
        self._timeline, self._views = timeline, views

    def of(
        self,
        version: int,
        interface: npt.NDArray[np.int32],
        action: npt.NDArray[np.uint8],
        judge: Callable[[View, npt.NDArray[np.int64]], npt.NDArray[np.uint8]],
        since: npt.NDArray[np.int32] | None = None,
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
        """The version whose changes decided each of n rows, 0 for none; and the action before, NOT_THERE for nothing.

        `interface` by number, negative where it is not known; `action` is what the rules of `version` say. `judge`
        gives the actions of some rows in another view. Of row n only the versions after `since[n]` are looked at.
        """
        decided = np.zeros(len(interface), np.int32)
        before = np.zeros(len(interface), np.uint8)
        open_rows = np.flatnonzero(interface >= 0)
        for step in range(version, 0, -1):
            if since is not None:
                open_rows = open_rows[since[open_rows] < step]
            if not len(open_rows):
                break
            rows = open_rows[self._may_differ(step, interface[open_rows])]
            if not len(rows):
                continue
            view = self._views[step - 1]
            there = view.indexes_of(interface[rows]) >= 0
            old = np.full(len(rows), NOT_THERE, np.uint8)
            if there.any():
                old[there] = judge(view, rows[there])
            changed = old != action[rows]
            decided[rows[changed]], before[rows[changed]] = step, old[changed]
            open_rows = np.setdiff1d(open_rows, rows[changed], assume_unique=True)
        return decided, before

    def _may_differ(self, step: int, interface: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        touched = self._timeline.touched(step)
        if touched is None:
            return np.ones(len(interface), np.bool_)
        ids = self._views[step].interfaces.ids
        distinct, codes = np.unique(interface, return_inverse=True)
        return np.array([ids[number] in touched for number in distinct.tolist()], np.bool_)[codes]


def _other_ids(history: History) -> tuple[list[str], list[str]]:
    """Ids of interfaces and rules that the present version does not have."""
    now = history.versions[history.present].environment
    interfaces: dict[str, None] = {}
    rules: dict[str, None] = {}
    for version in history.versions:
        cards, groups = version.environment.interfaces, version.environment.groups
        interfaces |= dict.fromkeys(name for name in changed_keys(now.interfaces, cards) if name in cards)
        changed = (groups[name] for name in changed_keys(now.groups, groups) if name in groups)
        rules |= dict.fromkeys(rule.rule_id for group in changed for rule in group.rules)
    return list(interfaces), list(rules)


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _touched(before: Environment, after: Environment) -> frozenset[str] | None:
    if before.closed != after.closed:
        return None
    cards = changed_keys(before.interfaces, after.interfaces)
    groups = set(changed_keys(before.groups, after.groups))
    lists = changed_keys(before.prefix_lists, after.prefix_lists)
    for environment in (before, after):
        described = Overlay.of(environment.groups)
        members = {name for card in cards if card in environment.interfaces for name in _carried(environment, card)}
        for name in members:
            groups |= {group.group_id for group in described.having(_groups_referred_to, name)}
        for name in lists:
            groups |= {group.group_id for group in described.having(_lists_referred_to, name)}
    found = set(cards)
    for environment in (before, after):
        interfaces = Overlay.of(environment.interfaces)
        for name in groups:
            found |= {card.interface_id for card in interfaces.having(_groups_of, name)}
    return frozenset(found)


def _carried(environment: Environment, interface_id: str) -> Iterable[str]:
    return environment.interfaces[interface_id].group_ids


def _groups_of(interface: NetworkInterface) -> tuple[str, ...]:
    return interface.group_ids


def _groups_referred_to(group: SecurityGroup) -> frozenset[str]:
    return frozenset(rule.peer.group_id for rule in group.rules if isinstance(rule.peer, GroupPeer))


def _lists_referred_to(group: SecurityGroup) -> frozenset[Any]:
    return frozenset(rule.peer.prefix_list_id for rule in group.rules if isinstance(rule.peer, PrefixListPeer))
