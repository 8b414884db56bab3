"""Which interface has an address or a number: sorted keys, looked up for many values at once with numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.flows import AMBIGUOUS, NO_INTERFACE

__all__ = ["AddressIndex", "NumberIndex", "address_keys", "merge_owners"]

_OWNER_BITS = np.uint64(32)


@dataclass(frozen=True, slots=True, eq=False)
class NumberIndex:
    """Numbers with the interface that has each: `keys` uint64, sorted and unique; `owners` int32, maybe AMBIGUOUS.

    All owners of the ambiguous ones are in `shared`: key → ascending interfaces.
    """

    keys: npt.NDArray[np.uint64]
    owners: npt.NDArray[np.int32]
    shared: dict[int, tuple[int, ...]]

    @classmethod
    def of(cls, keys: npt.ArrayLike, owners: npt.ArrayLike) -> NumberIndex:
        """From pairs in any order; a number with different owners becomes AMBIGUOUS."""
        key_array, owner_array = np.asarray(keys, np.uint64), np.asarray(owners, np.int32)
        order = np.lexsort((owner_array, key_array))
        key_array, owner_array = key_array[order], owner_array[order]
        first = np.ones(len(key_array), np.bool_)
        first[1:] = key_array[1:] != key_array[:-1]
        starts = np.flatnonzero(first)
        result = owner_array[starts].copy()
        shared = {}
        if len(starts):
            several = np.flatnonzero(np.maximum.reduceat(owner_array, starts) != result)
            ends = np.append(starts[1:], len(owner_array))
            for position in several.tolist():
                owned_by = owner_array[starts[position] : ends[position]].tolist()
                shared[int(key_array[starts[position]])] = tuple(sorted(set(owned_by)))
            result[several] = AMBIGUOUS
        return cls(key_array[starts], result, shared)

    def find(self, keys: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        """The owner of each key (cast to uint64), NO_INTERFACE where none."""
        if not len(self.keys):
            return np.full(len(keys), NO_INTERFACE, np.int32)
        wanted = keys.astype(np.uint64)
        position = np.searchsorted(self.keys, wanted)
        position[position == len(self.keys)] = 0
        return np.where(self.keys[position] == wanted, self.owners[position], np.int32(NO_INTERFACE))

    def all_of(self, key: int) -> tuple[int, ...]:
        """Every owner of one key."""
        owner = int(self.find(np.array([key], np.uint64))[0])
        return self.shared[key] if owner == AMBIGUOUS else () if owner == NO_INTERFACE else (owner,)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class AddressIndex:
    """Who has an address of one family, in one network or in any.

    Addresses that an interface has are `points`, sorted unique keys (see `address_keys`); delegated prefixes cut
    the address space at `starts` into intervals. Both are numbered, and owners found under (network, number) or under
    the number alone, so that overlapping networks stay apart.
    """

    points: npt.NDArray[Any]
    starts: npt.NDArray[Any]
    point_owners: NumberIndex
    interval_owners: NumberIndex
    point_owners_by_network: NumberIndex
    interval_owners_by_network: NumberIndex

    def find(
        self, keys: npt.NDArray[Any], networks: npt.NDArray[Any] | None = None, *, prefixes: bool = True
    ) -> npt.NDArray[np.int32]:
        """The interface that has each address, NO_INTERFACE or AMBIGUOUS; `networks` are VPC numbers, one a row.

        Without `prefixes`, delegated prefixes are left out.
        """
        owners = np.full(len(keys), NO_INTERFACE, np.int32)
        if len(self.points):
            position = np.searchsorted(self.points, keys)
            position[position == len(self.points)] = 0
            known = np.flatnonzero(self.points[position] == keys)
            owners[known] = _numbered(self.point_owners, self.point_owners_by_network, position[known], networks, known)
        if prefixes and len(self.starts):
            interval = np.searchsorted(self.starts, keys, side="right")
            inside = np.flatnonzero(interval > 0)
            delegated = _numbered(
                self.interval_owners, self.interval_owners_by_network, interval[inside] - 1, networks, inside
            )
            owners[inside] = merge_owners(owners[inside], delegated)
        return owners

    def all_of(self, key: npt.NDArray[Any], network: int | None = None) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Everyone, in one network or any, who has one address (an array of one key): as an address, by a prefix."""
        addressed: tuple[int, ...] = ()
        delegated: tuple[int, ...] = ()
        points, intervals, above = self.point_owners, self.interval_owners, 0
        if network is not None:
            points, intervals, above = self.point_owners_by_network, self.interval_owners_by_network, network << 32
        position = int(np.searchsorted(self.points, key)[0])
        if position < len(self.points) and self.points[position] == key[0]:
            addressed = points.all_of(above | position)
        interval = int(np.searchsorted(self.starts, key, side="right")[0])
        if interval > 0:
            delegated = intervals.all_of(above | (interval - 1))
        return addressed, delegated


def _numbered(
    anywhere: NumberIndex,
    by_network: NumberIndex,
    numbers: npt.NDArray[Any],
    networks: npt.NDArray[Any] | None,
    rows: npt.NDArray[Any],
) -> npt.NDArray[np.int32]:
    if networks is None:
        return anywhere.find(numbers)
    return by_network.find(networks[rows].astype(np.uint64) << _OWNER_BITS | numbers.astype(np.uint64))


def merge_owners(first: npt.NDArray[np.int32], second: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Two candidates for one address: the one that exists, or AMBIGUOUS if they differ."""
    merged = np.where(first == second, first, np.int32(AMBIGUOUS))
    merged = np.where(first == NO_INTERFACE, second, merged)
    return np.where(second == NO_INTERFACE, first, merged).astype(np.int32)


def address_keys(family: int, hi: npt.NDArray[Any], lo: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Addresses as one sortable column: uint64 for IPv4, 16 bytes in network order for IPv6."""
    if family == 4:
        return np.ascontiguousarray(lo, np.uint64)
    pairs = np.empty((len(lo), 2), ">u8")
    pairs[:, 0], pairs[:, 1] = hi, lo
    return pairs.view("S16").reshape(len(lo))


def split_addresses(values: Sequence[int]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Python integers as (high halves, low halves)."""
    low = (1 << 64) - 1
    return (
        np.array([value >> 64 for value in values], np.uint64),
        np.array([value & low for value in values], np.uint64),
    )
