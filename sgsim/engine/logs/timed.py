"""Flow logs under a configuration that changes: which version judges a record, and what outlives a change.

A log shows less than a capture. Who is let through only because a connection was opened under earlier rules is UNKNOWN
where the log does not show that it is a reply; so is a record during which the versions' rules differ.
"""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sgsim.engine.answers import NumberedAnswers
from sgsim.engine.resolve import Ends, Headers
from sgsim.engine.snapshot import Snapshot
from sgsim.engine.timeline import Deciding, Timeline, Views
from sgsim.engine.views import View
from sgsim.flows import NO_INTERFACE
from sgsim.kernels.joining_layout import JOIN_INTERFACE
from sgsim.kernels.tracking_layout import ACTION_MASK, REASON_MASK, REASON_SHIFT, RULES_SHIFT
from sgsim.model import Environment, NetworkInterface
from sgsim.verdicts import Reason, TimedVerdicts, Verdict, Verdicts

if TYPE_CHECKING:
    from sgsim.engine.logs.flows import LogFlows
    from sgsim.engine.logs.window import Held

__all__ = ["LogTime"]

_SECOND = 1_000_000_000


class _Nobody:
    """Stands for a resolver: a log says itself which interface its records are of."""

    def resolve(self, headers: Headers) -> Ends:
        nobody = np.full(len(headers.family), NO_INTERFACE, np.int32)
        return Ends(nobody, nobody, np.zeros(len(nobody), np.bool_), nobody, nobody)


class LogTime:
    """The versions for the records of flow logs, all with the same interfaces in the same order.

    An interface that a version does not have is one without addresses and groups there: nothing is known of it.
    """

    def __init__(self, timeline: Timeline) -> None:
        history = timeline.history
        names = list(history.told.interfaces)
        versions = tuple(replace(one, environment=_uniform(one.environment, names)) for one in history.versions)
        semantics = timeline.present.semantics
        self.timeline = Timeline(replace(history, versions=versions), semantics)
        first = View.first(self.timeline.present, _Nobody())
        self._views = Views(self.timeline, first, lambda before, snapshot: before.next(snapshot, before.resolver))
        self._deciding = Deciding(self.timeline, self._views)
        self.rules = NumberedAnswers(first)
        self.version = history.present  #: that judges now
        self.spanning = 0  #: records so far during which something changed

    @property
    def snapshot(self) -> Snapshot:
        """The one that judges now."""
        return self.timeline.snapshot(self.version)

    @property
    def rule_ids(self) -> list[str]:
        """What the numbers of rules mean."""
        return self._views[self.timeline.history.present].rules.ids

    def parts(self, held: Held) -> list[tuple[int, Held]]:
        """Records in parts that one version judges each: the one of their beginning."""
        if not len(held):
            return []
        versions = self.timeline.at(held.start * _SECOND)
        cuts = [0, *(np.flatnonzero(versions[1:] != versions[:-1]) + 1).tolist(), len(held)]
        return [(int(versions[first]), held.at(slice(first, last))) for first, last in pairwise(cuts)]

    def turn_to(self, version: int) -> Snapshot:
        """Judge by another version from now on."""
        self.version = version
        self.rules.view = self._views[version]
        return self.snapshot

    def doubt(
        self, held: Held, words: npt.NDArray[np.int32], store: LogFlows
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
        """The answers, UNKNOWN where a version that began during a record says something else; and which are open:
        these, and those that rest on a connection from before a change."""
        last = self.timeline.at(held.end * _SECOND)
        rows = np.flatnonzero(last > self.version)
        self.spanning += len(rows)
        differs = np.zeros(len(held), np.bool_)
        for version in range(self.version + 1, int(last.max(initial=0)) + 1):
            asked = rows[last[rows] >= version]
            interface = store.connections[held.flow[asked] >> 1, JOIN_INTERFACE]
            asked, interface = asked[interface >= 0], interface[interface >= 0]
            if not len(asked):
                continue
            action = self._actions(self._views[version], held.flow[asked], interface, store)
            now = (words[asked] & ACTION_MASK).astype(np.uint8)
            tracked = (words[asked] >> REASON_SHIFT) & REASON_MASK == Reason.TRACKED
            later = np.where(tracked & (action != Verdict.ACCEPT), now, action)
            differs[asked] |= (later != now) & (now != Verdict.UNKNOWN)
        if differs.any():
            words = words.copy()
            row = self.rules.doubtful(words[differs] >> RULES_SHIFT)
            words[differs] = row << RULES_SHIFT | int(Verdict.UNKNOWN) | int(Reason.UNRESOLVED) << REASON_SHIFT
        return words, np.isin(words >> RULES_SHIFT, self.rules.doubts)

    def timed(self, made: Verdicts, flow: npt.NDArray[np.int32], store: LogFlows) -> TimedVerdicts:
        """Records with their version, and the change behind what rules say of them now."""
        asked = np.flatnonzero((made.reason != Reason.TRACKED) & (made.direction < 2) & (made.interface >= 0))
        interface = np.full(len(made), NO_INTERFACE, np.int32)
        interface[asked] = made.interface[asked]
        action = np.zeros(len(made), np.uint8)
        if len(asked) and self.version:
            action[asked] = self._actions(self._views[self.version], flow[asked], interface[asked], store)

        def judged(view: View, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
            return self._actions(view, flow[rows], interface[rows], store)

        change, before = self._deciding.of(self.version, interface, action, judged)
        columns = {field.name: getattr(made, field.name) for field in fields(made)}
        version = np.full(len(made), self.version, np.int32)
        return TimedVerdicts(**columns, snapshot=version, change=change, before=before)

    def _actions(
        self, view: View, flow: npt.NDArray[np.int32], interface: npt.NDArray[np.int32], store: LogFlows
    ) -> npt.NDArray[np.uint8]:
        """What the rules of a view say of log flows in their own direction: Verdict only."""
        return store.actions(view.snapshot, flow, view.indexes_of(interface))


def _uniform(environment: Environment, names: list[str]) -> Environment:
    known = environment.interfaces
    return replace(environment, interfaces={name: known.get(name) or NetworkInterface(name) for name in names})
