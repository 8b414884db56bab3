"""Which group references exist and how far each reaches (docs/semantics.md §1.4, §9.5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["AddressRanges", "PeeringStatus", "References", "Way"]


class PeeringStatus(IntEnum):
    """What a rule itself says of the peering that it reaches over."""

    UNTOLD = 0
    ACTIVE = 1
    OTHER = 2


class Way(IntEnum):
    """Whether references reach from one VPC to another."""

    NONE = 0
    MAYBE = 1
    SURE = 2


@dataclass(frozen=True, slots=True, eq=False)
class AddressRanges:
    """Ranges of addresses of one family; `keys` as from `address_keys`, both ends included."""

    first: npt.NDArray[Any]
    last: npt.NDArray[Any]

    def contain(self, keys: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Whether each address is in some range."""
        inside = np.zeros(len(keys), np.bool_)
        for first, last in zip(self.first, self.last):
            inside |= (keys >= first) & (keys <= last)
        return inside


@dataclass(frozen=True, slots=True, eq=False)
class References:
    """References by number; VPCs by number too, -1 where a rule does not say.

    `target` int32: index of the group that is named. `vpc` int32 and `status` uint8 (PeeringStatus): what the rule
    says of the group's VPC and of the peering. `open` (bool): members may exist that the input does not show.
    `peerings`: pairs of VPCs joined by an active peering within a Region, in both orders. `attachments`: VPC →
    [(transit gateway, whether it carries references)]. `private`, `behind_middlebox`: (IPv4, IPv6).
    """

    target: npt.NDArray[np.int32]
    vpc: npt.NDArray[np.int32]
    status: npt.NDArray[np.uint8]
    open: npt.NDArray[np.bool_]
    peerings: frozenset[tuple[int, int]]
    peerings_described: bool
    attachments: dict[int, list[tuple[str, bool | None]]]
    private: AddressRanges
    behind_middlebox: tuple[AddressRanges, AddressRanges]
    delegated_prefixes_are_members: bool

    def peering(self, own: int, other: int, reference: int) -> Way:
        """Over an active peering, by the rule's own word or by the listing."""
        told = self.status[reference] == PeeringStatus.ACTIVE and self.vpc[reference] in (-1, other)
        return Way.SURE if told or (own, other) in self.peerings else Way.NONE

    def gateway(self, own: int, other: int, direction: int) -> Way:
        """Over a transit gateway with referencing, which inbound rules alone can use."""
        if direction != 0:
            return Way.NONE
        best = Way.NONE
        for gateway, here in self.attachments.get(own, ()):
            for other_gateway, there in self.attachments.get(other, ()):
                if gateway == other_gateway and here is not False and there is not False:
                    best = max(best, Way.MAYBE if None in (here, there) else Way.SURE)
        return best

    def unlisted(self, reference: int) -> Way:
        """MAYBE where the input says nothing of peerings at all."""
        told = self.peerings_described or self.status[reference] != PeeringStatus.UNTOLD
        return Way.NONE if told else Way.MAYBE

    def may_reach_unseen(self, own: int, direction: int, reference: int) -> bool:
        """Whether a member that the input does not show may be reached from a VPC (docs/semantics.md §9.5)."""
        if not self.open[reference]:
            return False
        other = int(self.vpc[reference])
        if other < 0:
            return bool(self.status[reference] != PeeringStatus.OTHER)
        ways = (self.peering(own, other, reference), self.gateway(own, other, direction), self.unlisted(reference))
        return other == own or max(ways) is not Way.NONE
