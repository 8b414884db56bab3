"""Compiled rules: everything that evaluation and tracking look up, as arrays with row → rule provenance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.tables.columns import AddressRows, Interfaces, PrefixLists, SubjectRows
from sgsim.tables.exempt import Services, Specials
from sgsim.tables.layout import Layout
from sgsim.tables.lookup import AddressIndex, NumberIndex, address_keys
from sgsim.tables.references import References

__all__ = ["AddressRows", "FamilyTables", "Interfaces", "PrefixLists", "RuleTables", "SubjectRows"]


@dataclass(frozen=True, slots=True, eq=False)
class FamilyTables:
    """What depends on the address family: rules with CIDR peers, prefix lists, who has which address.

    `layout` holds `rows` again, laid out for look-ups. `auto_tracked` are the addresses of interfaces whose
    connections are always tracked. `records` uint32, 8 an interface: first group, flags and number of groups (see
    `sgsim.compiler.interfaces`), lowest own address (its last 32 bits) and distance to the highest, Amazon's resolver,
    the VPC router, `Interfaces.wide`, unused.
    """

    rows: AddressRows
    prefix_lists: PrefixLists
    addresses: AddressIndex
    public_addresses: AddressIndex
    auto_tracked: AddressIndex
    specials: Specials
    services: Services
    layout: Layout
    records: npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class RuleTables:
    """An environment, compiled.

    `rule_ids`, `interface_ids`, `group_ids` and `vpc_ids` translate indexes back; `group_ids` also holds groups that
    are only carried or referred to. A rule's index is its position in `rule_ids`. `exempt` and `untracked_flows` are
    those of Semantics. The lookups take arrays and return interface indexes (int32), NO_INTERFACE or AMBIGUOUS.
    """

    rule_ids: list[str]
    interface_ids: list[str]
    group_ids: list[str]
    vpc_ids: list[str]
    v4: FamilyTables
    v6: FamilyTables
    subject_rows: SubjectRows
    interfaces: Interfaces
    references: References
    exempt: bool
    untracked_flows: bool
    macs: NumberIndex
    vnis: NumberIndex

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
        return self.macs.find(macs)

    def find_vni(self, vnis: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Which interface's mirrored traffic carries each VXLAN network identifier."""
        return self.vnis.find(vnis)

    def _find(
        self,
        index: AddressIndex,
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

    @cached_property
    def largest_union(self) -> int:
        """At most so many rules match one row: those of the interface with the most, of the busier direction."""
        return max(1, int(self._unions.max(initial=0)))

    @cached_property
    def mean_union(self) -> int:
        """How many rules an interface has in its busier direction, on average."""
        return int(self._unions.mean()) if len(self._unions) else 0

    @cached_property
    def _unions(self) -> npt.NDArray[np.int64]:
        sizes = np.diff(self.v4.rows.offsets) + np.diff(self.v6.rows.offsets) + np.diff(self.subject_rows.offsets)
        by_group = np.append(sizes.reshape(-1, 2).max(axis=1, initial=0), 0)
        offsets = self.interfaces.offsets
        totals = np.concatenate(([0], np.cumsum(by_group[self.interfaces.groups])))
        unions: npt.NDArray[np.int64] = totals[offsets[1:]] - totals[offsets[:-1]]
        return unions

    @cached_property
    def nbytes(self) -> int:
        """Bytes of all arrays (ids are shared with the environment and not counted)."""
        return _bytes_of([getattr(self, name) for name in self.__dataclass_fields__ if not name.endswith("_ids")])


def _bytes_of(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, (tuple, list)):
        return sum(_bytes_of(item) for item in value)
    fields = getattr(value, "__dataclass_fields__", ())
    return sum(_bytes_of(getattr(value, name)) for name in fields)
