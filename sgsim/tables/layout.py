"""How one family's rules with CIDR peers are laid out for look-ups (docs/decisions/0001-table-layout.md).

A table of at most 64 rules is one *page*: the addresses are cut into intervals where its blocks begin and end, and so
are the services; each interval has a mask of the page's rules that hold all of it. The rules that match a row are the
conjunction of two masks.

A larger table is cut into *regions* of addresses. A region has at most one page, of rules whose blocks lie inside it,
and a *node*: the innermost block around it among those that have too many rules in and below them for a page. A
node's own rules are found by the service alone, then its parent's, and so on; where (nodes × service classes) is small
enough a dense table of cells stands for that walk.

Intervals are found by static search trees over uint32 keys (`lines`, 16 keys a line, see `compiler.trees`), or for
IPv6 addresses by bisection over pairs. An interval is the number of keys below the value; keys are the last values of
intervals, but for the last interval.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["EMPTY", "HAS_SUBJECTS", "PAGE", "REFERS", "REGIONS", "UNDEFINED", "WIDE_SHIFT", "Layout"]

#: Kinds of tables; flags beside them: rules that name groups or prefix lists, a group that is not described, rules that
#: name groups; from bit WIDE_SHIFT on, bit `direction << 1 | udp`: the group has a rule of that direction for all
#: addresses of the family and all ports, which leaves connections of the other direction untracked.
EMPTY, PAGE, REGIONS, HAS_SUBJECTS, UNDEFINED, REFERS = 0, 1, 2, 4, 8, 16
WIDE_SHIFT = 8


class Layout(NamedTuple):
    """All tables of one family; indexes are into the arrays named.

    `directory` int32[n, 16] has a row for each table, at slot `slots_of(chunks, table)`: kind, first and last + 1 of
    its AddressRows, of its SubjectRows, whether it has pages below regions, 2 unused; from number 8 on, region tree
    (line, depth), first region, first node, dense service tree (line, depth), service classes (0: not dense), first
    dense cell; or, where the kind is PAGE, a copy of its page's 8 numbers. In other rows are two pages each, 8 numbers
    a page: address tree (line, depth), first address mask, service tree (line, depth), first service mask, number of
    the page, first row in `page_rules`. For IPv6 an address "tree" is (first key, keys) in `keys_hi`, `keys_lo`. Masks
    are counted in 8 bytes from the beginning of `lines`: what belongs to one page stands together, so that few memory
    pages are touched.

    `regions` int32[regions, 2]: page, counted in 8 numbers from the beginning of `directory`, or -1; node of the table
    or -1.

    `nodes` int32[nodes, 8]: parent (node of the table, -1 for none), service tree (line, depth), first part, first
    and last + 1 row in `node_rows`. `covered` bool: whether any rule of the node holds the part of the services.

    `page_rules` uint64[n, 2]: order and rule of each page's rules, ascending. `node_rows` int32: rows of AddressRows,
    ascending. `cells`: how many cells all dense tables have.
    """

    chunks: npt.NDArray[np.int32]
    directory: npt.NDArray[np.int32]
    regions: npt.NDArray[np.int32]
    nodes: npt.NDArray[np.int32]
    lines: npt.NDArray[np.uint32]
    covered: npt.NDArray[np.bool_]
    page_rules: npt.NDArray[np.uint64]
    node_rows: npt.NDArray[np.int32]
    keys_hi: npt.NDArray[np.uint64]
    keys_lo: npt.NDArray[np.uint64]
    cells: int
