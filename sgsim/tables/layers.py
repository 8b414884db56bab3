"""Who has an address, while interfaces come and go: an index of those at first, and small ones of those that came.

    layers[0]    everyone of the full compile            gone: {7}
    layers[1]    {12: …, 7: …}, indexed                  gone: {12}
    layers[2]    {13: …}, indexed

An interface is in one layer at a time: in others where it has been it is among those `gone`. A layer is merged into
the one below when that has less than eight times as many interfaces, so that there are few layers and an interface is
indexed again about eight times for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.flows import AMBIGUOUS, NO_INTERFACE
from sgsim.tables.lookup import AddressIndex, merge_owners

__all__ = ["AddressLayers", "Layer"]

_FACTOR = 8

#: Makes the index of some interfaces from what each has there.
Build = Callable[[Mapping[int, Any]], AddressIndex]


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """An index, what those have that came later (empty for the layer of everyone), and who is not there any more.

    `doubtful`: someone gone shared an address, so that what is AMBIGUOUS here may be one interface's after all.
    """

    index: AddressIndex
    holders: Mapping[int, Any] = field(default_factory=dict)
    gone: frozenset[int] = frozenset()
    doubtful: bool = False

    def find(
        self, keys: npt.NDArray[Any], networks: npt.NDArray[Any] | None, *, prefixes: bool
    ) -> npt.NDArray[np.int32]:
        """As AddressIndex.find, of those that are not gone."""
        found = self.index.find(keys, networks, prefixes=prefixes)
        if self.gone:
            found[np.isin(found, np.array(sorted(self.gone), np.int32))] = NO_INTERFACE
            if self.doubtful:
                rows = np.flatnonzero(found == AMBIGUOUS)
                self._decide(found, rows, keys, networks, prefixes)
        return found

    def _decide(
        self,
        found: npt.NDArray[np.int32],
        rows: npt.NDArray[np.int64],
        keys: npt.NDArray[Any],
        networks: npt.NDArray[Any] | None,
        prefixes: bool,
    ) -> None:
        decided: dict[tuple[Any, int | None], int] = {}
        for row in rows.tolist():
            network = None if networks is None else int(networks[row])
            pair = (keys[row].item(), network)
            if pair not in decided:
                addressed, delegated = self.all_of(keys[row : row + 1], network)
                owners = {*addressed, *(delegated if prefixes else ())}
                decided[pair] = AMBIGUOUS if len(owners) > 1 else next(iter(owners), NO_INTERFACE)
            found[row] = decided[pair]

    def all_of(self, key: npt.NDArray[Any], network: int | None = None) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """As AddressIndex.all_of, of those that are not gone."""
        addressed, delegated = self.index.all_of(key, network)
        if not self.gone:
            return addressed, delegated
        return (
            tuple(owner for owner in addressed if owner not in self.gone),
            tuple(owner for owner in delegated if owner not in self.gone),
        )

    def without(self, interface: int, keys: npt.NDArray[Any], *, prefixes: bool) -> Layer:
        """The layer when an interface with the addresses `keys`, and maybe delegated prefixes, has gone."""
        shared = prefixes or bool((self.index.find(keys) == AMBIGUOUS).any())
        return replace(self, gone=self.gone | {interface}, doubtful=self.doubtful or shared)

    def left(self) -> dict[int, Any]:
        """What those have that are not gone."""
        return {interface: holder for interface, holder in self.holders.items() if interface not in self.gone}


@dataclass(frozen=True, slots=True, eq=False)
class AddressLayers:
    """Asked like an AddressIndex; never changed, only replaced."""

    layers: tuple[Layer, ...]

    @classmethod
    def of(cls, index: AddressIndex) -> AddressLayers:
        """Everyone in one layer."""
        return cls((Layer(index),))

    def find(
        self, keys: npt.NDArray[Any], networks: npt.NDArray[Any] | None = None, *, prefixes: bool = True
    ) -> npt.NDArray[np.int32]:
        """See AddressIndex.find."""
        owners = self.layers[0].find(keys, networks, prefixes=prefixes)
        for layer in self.layers[1:]:
            owners = merge_owners(owners, layer.find(keys, networks, prefixes=prefixes))
        return owners

    def all_of(self, key: npt.NDArray[Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """See AddressIndex.all_of."""
        addressed: set[int] = set()
        delegated: set[int] = set()
        for layer in self.layers:
            points, prefixes = layer.all_of(key)
            addressed.update(points)
            delegated.update(prefixes)
        return tuple(sorted(addressed)), tuple(sorted(delegated))

    @property
    def points(self) -> npt.NDArray[Any]:
        """The addresses that someone has or had, ascending and each once."""
        if len(self.layers) == 1:
            return self.layers[0].index.points
        return np.unique(np.concatenate([layer.index.points for layer in self.layers]))

    @property
    def delegates(self) -> bool:
        """Whether there are delegated prefixes."""
        return any(len(layer.index.starts) > 0 for layer in self.layers)

    def without(self, interface: int, keys: npt.NDArray[Any], *, prefixes: bool) -> AddressLayers:
        """Without an interface that has the addresses `keys` and maybe delegated prefixes."""
        where = len(self.layers) - 1
        while where and (interface not in self.layers[where].holders or interface in self.layers[where].gone):
            where -= 1
        layer = self.layers[where].without(interface, keys, prefixes=prefixes)
        return AddressLayers((*self.layers[:where], layer, *self.layers[where + 1 :]))

    def having(self, interface: int, holder: Any, build: Build) -> AddressLayers:
        """With an interface that none of the layers has, or that is gone from all that had it."""
        layers, holders = list(self.layers), {interface: holder}
        while len(layers) > 1 and len(layers[-1].holders) < _FACTOR * len(holders):
            holders = {**layers.pop().left(), **holders}
        return AddressLayers((*layers, Layer(build(holders), holders)))
