"""The compiled arrays, in bundles that kernels take as they are.

A *table* is what one group says of one direction: number `2 * group + direction`. A *service* is a number below
2**25, so that every rule's protocol and ports (or ICMP type and code) are one interval of services:

    protocol << 17 | port                  TCP, UDP; port 65536 stands for "not known", so that only a rule for
                                           0-65535, widened to 65536, surely matches it
    protocol << 17 | type * 257 + code     ICMP, ICMPv6; code 256 "not known"; type and code 65792 "neither known"
    protocol << 17                         any other protocol

`order` ranks what matched for the choice of the deciding rule (docs/semantics.md §9.9), smallest first:

    bits 56-63   128 - length of the matched prefix; 200 for a group reference
    bits 31-55   width of the service interval

Where two are equal, the ranks of the rules' ids decide, smallest first (`RuleTables.rank`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.tables.slots import slots_of

__all__ = [
    "ICMP_UNKNOWN",
    "ORDER_PREFIX_SHIFT",
    "ORDER_REFERENCE",
    "ORDER_WIDTH_SHIFT",
    "PORT_UNKNOWN",
    "SERVICE_BITS",
    "AddressRows",
    "Interfaces",
    "PrefixLists",
    "SubjectRows",
]

SERVICE_BITS = 17
PORT_UNKNOWN = 65536
ICMP_CODES = 257
ICMP_UNKNOWN = 256 * ICMP_CODES

ORDER_PREFIX_SHIFT = 56
ORDER_WIDTH_SHIFT = 31
ORDER_REFERENCE = 200


class AddressRows(NamedTuple):
    """Rules whose peer is a CIDR block of one family; those of a table stand together (see `Layout.directory`).

    `hi`, `lo` uint64: the block's first address (IPv4 in the low half). `length` uint8. `first`, `last` uint32: the
    services, inclusive. `rule` int32, ascending inside a table. `order` uint64.
    """

    hi: npt.NDArray[np.uint64]
    lo: npt.NDArray[np.uint64]
    length: npt.NDArray[np.uint8]
    first: npt.NDArray[np.uint32]
    last: npt.NDArray[np.uint32]
    rule: npt.NDArray[np.int32]
    order: npt.NDArray[np.uint64]


class SubjectRows(NamedTuple):
    """Rules whose peer is a group reference or a prefix list, of any family, by table as in AddressRows.

    `subject` int32: reference number if not negative, else -1 - prefix list number. `order` leaves the prefix bits
    of prefix-list rules zero: they depend on the matched entry.
    """

    subject: npt.NDArray[np.int32]
    first: npt.NDArray[np.uint32]
    last: npt.NDArray[np.uint32]
    rule: npt.NDArray[np.int32]
    order: npt.NDArray[np.uint64]


class PrefixLists(NamedTuple):
    """The entries of every prefix list in one family, cut into disjoint intervals.

    List `i` has the intervals `bounds[i, 0]:bounds[i, 1]`, each from its `hi`, `lo` to the next one's; the first
    starts at address 0. `length` int16 is that of the longest entry there, -1 for none. `unresolved` (bool): the
    entries are missing, and the list may hold any address of this family.
    """

    bounds: npt.NDArray[np.int64]
    hi: npt.NDArray[np.uint64]
    lo: npt.NDArray[np.uint64]
    length: npt.NDArray[np.int16]
    unresolved: npt.NDArray[np.bool_]


class Interfaces(NamedTuple):
    """What does not depend on the family; `FamilyTables.records` has the rest.

    Interface i is at slot `slots_of(chunks, i)` of `vpc`, `tracked` and of the records. `groups` int32: the groups that
    interfaces carry, ascending for each. `vpc` int32: number of its VPC. `tracked` (bool): connections of this type of
    interface are tracked whatever the rules.
    """

    chunks: npt.NDArray[np.int32]
    groups: npt.NDArray[np.int32]
    vpc: npt.NDArray[np.int32]
    tracked: npt.NDArray[np.bool_]

    def vpcs(self, interfaces: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        """The VPC number of each interface."""
        return self.vpc[slots_of(self.chunks, interfaces)]
