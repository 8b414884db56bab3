"""Snapshots as what outlives them sees them: interfaces and rules under numbers that stay when a snapshot is replaced.

The first snapshot's indexes are the numbers. An interface or rule that only a later one has gets the next free
number, whatever its index there; one that is gone keeps its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sgsim.engine.resolve import Ends, FindsEnds, Headers
from sgsim.engine.snapshot import Snapshot
from sgsim.flows import NO_INTERFACE
from sgsim.kernels.tracking_layout import LIMITS
from sgsim.model import ConnectionTrackingTimeouts, NetworkInterface, Semantics
from sgsim.model.facts import is_nitro_v6
from sgsim.verdicts import MatchSets, RuleVerdicts

__all__ = ["Numbers", "View"]

_SECOND = 1_000_000_000


class Numbers:
    """Ids with numbers that stay; `ids[number]` is the id."""

    def __init__(self, ids: list[str]) -> None:
        self.ids = ids
        self._known: dict[str, int] | None = None

    def of(self, ids: Sequence[str], indexes: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """The number of each of `ids[indexes]`."""
        if self._known is None:
            self.ids = list(self.ids)
            self._known = {name: number for number, name in enumerate(self.ids)}
        found = np.empty(len(indexes), np.int32)
        for at, index in enumerate(indexes.tolist()):
            name = ids[index]
            number = self._known.get(name)
            if number is None:
                number = self._known[name] = len(self.ids)
                self.ids.append(name)
            found[at] = number
        return found


@dataclass(frozen=True)
class View:
    """One snapshot, in the numbers of `interfaces` and `rules`.

    `number` counts the views. `numbers` int32: the number of each of its interfaces, None where that is its index;
    `indexes` the other way round. `carries_groups` (bool) and `limits` (int64[interfaces, LIMITS], ns, in the order of
    LIMIT_*) are by number.
    """

    snapshot: Snapshot
    resolver: FindsEnds
    interfaces: Numbers
    rules: Numbers
    number: int
    numbers: npt.NDArray[np.int32] | None
    indexes: npt.NDArray[np.int32] | None
    carries_groups: npt.NDArray[np.bool_]
    limits: npt.NDArray[np.int64]

    @classmethod
    def first(cls, snapshot: Snapshot, resolver: FindsEnds) -> View:
        """The view whose indexes are the numbers."""
        tables = snapshot.tables
        carries_groups, limits = _about(snapshot)
        names = Numbers(tables.interface_ids), Numbers(tables.rule_ids)
        return cls(snapshot, resolver, *names, 0, None, None, carries_groups, limits)

    def next(self, snapshot: Snapshot, resolver: FindsEnds) -> View:
        """The view of another snapshot, in the same numbers."""
        same = (
            snapshot.environment.interfaces is self.snapshot.environment.interfaces
            and snapshot.tables.interface_ids == self.snapshot.tables.interface_ids
        )
        if same:
            return replace(self, snapshot=snapshot, resolver=resolver, number=self.number + 1)
        ids = snapshot.tables.interface_ids
        numbers = self.interfaces.of(ids, np.arange(len(ids), dtype=np.int32))
        count = len(self.interfaces.ids)
        indexes = np.full(count, -1, np.int32)
        indexes[numbers] = np.arange(len(ids), dtype=np.int32)
        carries, of_snapshot = _about(snapshot)
        carries_groups, limits = np.zeros(max(count, 1), np.bool_), np.zeros((max(count, 1), LIMITS), np.int64)
        limits[:] = self.limits[0]  # those of the semantics are the same everywhere
        limits[: len(self.limits)] = self.limits
        carries_groups[numbers], limits[numbers] = carries[: len(ids)], of_snapshot[: len(ids)]
        plain = count == len(ids) and bool((numbers == np.arange(count)).all())
        return replace(
            self,
            snapshot=snapshot,
            resolver=resolver,
            number=self.number + 1,
            numbers=None if plain else numbers,
            indexes=None if plain else indexes,
            carries_groups=carries_groups,
            limits=limits,
        )

    def resolve(self, headers: Headers) -> Ends:
        """The ends of every row, by number."""
        found = self.resolver.resolve(headers)
        if self.numbers is None:
            return found
        columns = (found.egress, found.ingress, found.public_src, found.public_dst)
        egress, ingress, public_src, public_dst = (_through(self.numbers, column) for column in columns)
        return Ends(egress, ingress, found.observed, public_src, public_dst)

    def indexes_of(self, interface: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Interfaces by number as indexes of the snapshot, NO_INTERFACE where it does not have one."""
        if self.indexes is not None:
            return _through(self.indexes, interface)
        known = interface < len(self.snapshot.tables.interface_ids)
        return interface if known.all() else np.where(known, interface, NO_INTERFACE).astype(np.int32)

    def named(self, verdicts: RuleVerdicts) -> RuleVerdicts:
        """Verdicts of the snapshot, with their rules by number."""
        ids = self.snapshot.tables.rule_ids
        if self.rules.ids is ids:
            return verdicts
        distinct, codes = np.unique(verdicts.sets.members, return_inverse=True)
        members = self.rules.of(ids, distinct)[codes].astype(np.int32)
        offsets = verdicts.sets.offsets
        of_set = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        sets = MatchSets(offsets, members[np.lexsort((members, of_set))])
        deciding, codes = np.unique(verdicts.deciding_rule, return_inverse=True)
        known = deciding >= 0
        deciding[known] = self.rules.of(ids, deciding[known])
        return replace(verdicts, sets=sets, deciding_rule=deciding[codes].astype(np.int32))


def _through(table: npt.NDArray[np.int32], numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """`table[numbers]`; what is negative (NO_INTERFACE, AMBIGUOUS) stays, what is not in the table is NO_INTERFACE."""
    found = np.where(numbers < 0, numbers, NO_INTERFACE).astype(np.int32)
    inside = (numbers >= 0) & (numbers < len(table))
    found[inside] = table[numbers[inside]]
    return found


def _about(snapshot: Snapshot) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Whether each interface carries groups, and its timeouts; one row where there are none."""
    named, semantics = snapshot.environment.interfaces, snapshot.semantics
    nobody = NetworkInterface("")
    interfaces = [named.get(name, nobody) for name in snapshot.tables.interface_ids] or [nobody]
    kinds: dict[tuple[ConnectionTrackingTimeouts, str | None], int] = {}
    # Pairs are not kept: with thousands of new ones the garbage collector looks at the whole environment.
    pairs = ((interface.timeouts, interface.instance_type) for interface in interfaces)
    row = np.array([kinds.setdefault(pair, len(kinds)) for pair in pairs])
    limits = np.array([_limits(*kind, semantics) for kind in kinds], np.int64) * _SECOND
    return np.array([bool(interface.group_ids) for interface in interfaces], np.bool_), limits[row]


def _limits(timeouts: ConnectionTrackingTimeouts, instance_type: str | None, semantics: Semantics) -> tuple[int, ...]:
    """Timeouts of an interface in seconds, in the order of LIMIT_* (§2.3)."""
    nitro_v6 = is_nitro_v6(instance_type)
    tcp = semantics.tcp_established_timeout_nitro_v6 if nitro_v6 else semantics.tcp_established_timeout
    return (
        tcp if timeouts.tcp_established is None else timeouts.tcp_established,
        semantics.tcp_half_open_timeout,
        semantics.tcp_closing_timeout,
        semantics.udp_timeout if timeouts.udp is None else timeouts.udp,
        semantics.udp_stream_timeout if timeouts.udp_stream is None else timeouts.udp_stream,
        semantics.icmp_timeout,
        semantics.other_protocol_timeout,
        semantics.fragment_timeout,
    )
