"""Compiled rules: everything that evaluation and tracking look up, as arrays with row → rule provenance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.tables.columns import AddressRows, Interfaces, PrefixLists, SubjectRows
from sgsim.tables.exempt import Services, Specials
from sgsim.tables.layers import AddressLayers
from sgsim.tables.layout import Layout
from sgsim.tables.lookup import address_keys
from sgsim.tables.references import References
from sgsim.tables.slots import slots_of

__all__ = ["AddressRows", "FamilyTables", "Interfaces", "PrefixLists", "RuleTables", "SubjectRows"]


@dataclass(frozen=True, slots=True, eq=False)
class FamilyTables:
    """What depends on the address family: rules with CIDR peers, prefix lists, who has which address.

    `layout` holds `rows` again, laid out for look-ups. `auto_tracked` are the addresses of interfaces whose
    connections are always tracked. `records` uint32[n, 8], one an interface, at the slots of `Interfaces`: first
    group; number of groups and flags; lowest own address (its last 32 bits) and distance to the highest; Amazon's
    resolver; the VPC router; first and last + 1 of its `specials`. Flags: bit 16 nothing is known of its groups, 17
    addresses that the record cannot hold, 18 and 19 the directions in which nothing is filtered, 20 there is no such
    interface any more.
    """

    rows: AddressRows
    prefix_lists: PrefixLists
    addresses: AddressLayers
    public_addresses: AddressLayers
    auto_tracked: AddressLayers
    specials: Specials
    services: Services
    layout: Layout
    records: npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class RuleTables:
    """An environment, compiled.

    `rule_ids`, `interface_ids`, `group_ids` and `vpc_ids` translate indexes back; `group_ids` also holds groups that
    are only carried or referred to, and where changes led here, all of them hold what no longer exists. A rule's index
    is its position in `rule_ids`. `rank` int64 orders rules by their ids. `largest_union`: at most so many rules match
    one row; `mean_union`: how many rules an interface has in its busier direction, on average, when all was compiled.
    `exempt` and `untracked_flows` are those of Semantics. The lookups take arrays and return interface indexes (int32),
    NO_INTERFACE or AMBIGUOUS.

    Tables whose `growth` is the same object have come from one another by changes, and share indexes: what an index
    names in one it names in all. It is None for tables that were pickled.
    """

    rule_ids: list[str]
    interface_ids: list[str]
    group_ids: list[str]
    vpc_ids: list[str]
    rank: npt.NDArray[np.int64]
    v4: FamilyTables
    v6: FamilyTables
    subject_rows: SubjectRows
    interfaces: Interfaces
    references: References
    exempt: bool
    untracked_flows: bool
    macs: AddressLayers
    vnis: AddressLayers
    largest_union: int
    mean_union: int
    growth: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "growth": None}

    def family(self, family: int) -> FamilyTables:
        """The part for IPv4 (4) or IPv6 (6)."""
        return self.v4 if family == 4 else self.v6

    def find_address(
        self, family: int, hi: npt.NDArray[np.uint64], lo: npt.NDArray[np.uint64], vpc_id: str | None = None
    ) -> npt.NDArray[np.int32]:
        """Which interface has each private address (or a delegated prefix around it), in one VPC or in any."""
        return self._find(self.family(family).addresses, family, hi, lo, vpc_id)

    def find_public_address(
        self, family: int, hi: npt.NDArray[np.uint64], lo: npt.NDArray[np.uint64], vpc_id: str | None = None
    ) -> npt.NDArray[np.int32]:
        """Which interface each public or Elastic address belongs to; such an address identifies no end of a flow."""
        return self._find(self.family(family).public_addresses, family, hi, lo, vpc_id)

    def find_mac(self, macs: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        """Which interface has each Ethernet address."""
        return self.macs.find(macs.astype(np.uint64))

    def find_vni(self, vnis: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Which interface's mirrored traffic carries each VXLAN network identifier."""
        return self.vnis.find(vnis.astype(np.uint64))

    def _find(
        self,
        index: AddressLayers,
        family: int,
        hi: npt.NDArray[Any],
        lo: npt.NDArray[Any],
        vpc_id: str | None,
    ) -> npt.NDArray[np.int32]:
        networks = None
        if vpc_id is not None:
            number = self._vpc_numbers.get(vpc_id, len(self.vpc_ids))
            networks = np.full(len(lo), number, np.int64)
        return index.find(address_keys(family, hi, lo), networks)

    @cached_property
    def _vpc_numbers(self) -> dict[str, int]:
        return {vpc_id: number for number, vpc_id in enumerate(self.vpc_ids)}

    def record(self, family: int, interface: int) -> npt.NDArray[np.uint32]:
        """An interface's row of `FamilyTables.records`."""
        record: npt.NDArray[np.uint32] = self.family(family).records[
            slots_of(self.interfaces.chunks, np.array([interface]))[0]
        ]
        return record

    def groups_of(self, interface: int) -> list[int]:
        """The groups that an interface carries, ascending."""
        first, flags = self.record(4, interface)[:2].tolist()
        carried: list[int] = self.interfaces.groups[first : first + (flags & 0xFFFF)].tolist()
        return carried

    @cached_property
    def nbytes(self) -> int:
        """Bytes of all arrays (ids are shared with the environment and not counted)."""
        return _bytes_of(
            [getattr(self, name) for name in self.__dataclass_fields__ if not name.endswith(("_ids", "growth"))]
        )


def _bytes_of(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, (tuple, list)):
        return sum(_bytes_of(item) for item in value)
    fields = getattr(value, "__dataclass_fields__", ())
    return sum(_bytes_of(getattr(value, name)) for name in fields)
