"""Rules with CIDR peers → their tables laid out for look-ups, all at once where tables are small."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.compiler.pages import PAGE_ROWS, Cuts, cut, interval_masks, side_by_side
from sgsim.compiler.regions import Partition, blocks_of, partition
from sgsim.compiler.rules import GroupRules
from sgsim.compiler.trees import KEYS, Trees, build_trees, sizes_of
from sgsim.tables.columns import SERVICE_BITS, AddressRows
from sgsim.tables.layout import EMPTY, PAGE, REGIONS
from sgsim.tables.lookup import address_keys, split_addresses

__all__ = ["ALL_CELLS", "Parts", "build_parts"]

#: Dense tables in cells of 4 bytes: at most 4 MB a group and 64 MB in all, of which IPv6 may take an eighth.
GROUP_CELLS = {4: 7 << 17, 6: 1 << 17}
ALL_CELLS = {4: 7 << 21, 6: 1 << 21}

_LAST_SERVICE = (256 << SERVICE_BITS) - 1


class Parts(NamedTuple):
    """Tables laid out, as arrays of a `Layout` that counts from 0 everywhere; pages are counted as pages."""

    headers: npt.NDArray[np.int32]
    pages: npt.NDArray[np.int32]
    regions: npt.NDArray[np.int32]
    nodes: npt.NDArray[np.int32]
    lines: npt.NDArray[np.uint32]
    covered: npt.NDArray[np.bool_]
    page_rules: npt.NDArray[np.uint64]
    node_rows: npt.NDArray[np.int32]
    keys_hi: npt.NDArray[np.uint64]
    keys_lo: npt.NDArray[np.uint64]
    cells: int


class _Blocks(NamedTuple):
    """Rows' blocks as sortable keys: the first address, the one before it, the last."""

    first: npt.NDArray[Any]
    before: npt.NDArray[Any]
    last: npt.NDArray[Any]
    from_start: npt.NDArray[np.bool_]
    to_end: npt.NDArray[np.bool_]


@dataclass(slots=True)
class _Large:
    """A table that is cut into regions: its number, its rows in order of (first, length), and how it is cut."""

    table: int
    order: npt.NDArray[np.int64]
    parts: Partition
    dense: bool
    first_region: int = 0
    first_node: int = 0
    first_page: int = 0
    first_cell: int = 0
    services: int = 0


@dataclass(slots=True)
class _Budget:
    """Cells still to be had by dense tables."""

    family: int
    left: int
    by_group: dict[int, int] = field(default_factory=dict)
    used: int = 0

    def take(self, table: int, cells: int) -> bool:
        """Take cells for a table if its group and the whole may still have so many."""
        group = self.by_group.get(table >> 1, 0) + cells
        if group > GROUP_CELLS[self.family] or self.used + cells > self.left:
            return False
        self.by_group[table >> 1] = group
        self.used += cells
        return True


def build_parts(family: int, rules: GroupRules, cells: int) -> Parts:
    """Lay out every table; linear in rules but for the dense tables, which get at most so many cells."""
    return _Builder(family, rules, cells).parts()


class _Builder:
    def __init__(self, family: int, rules: GroupRules, cells: int) -> None:
        self.family, self.rules, self.rows, self.offsets = family, rules, rules.rows[family], rules.offsets[family]
        self.tables = len(self.offsets) - 1
        self.counts = sizes_of(self.offsets)
        self.budget = _Budget(family, cells)
        self.page = np.full(len(self.rows.rule), -1, np.int64)
        self.node = np.full(len(self.rows.rule), -1, np.int64)
        self.lines: list[npt.NDArray[np.uint32]] = []
        self.line_count = 0

    def parts(self) -> Parts:
        headers = np.zeros((self.tables, 16), np.int32)
        headers[:, 0] = np.where(self.counts == 0, EMPTY, PAGE) | self.rules.flags[self.family]
        for column, offsets in ((1, self.offsets), (3, self.rules.subject_offsets)):
            headers[:, column], headers[:, column + 1] = offsets[:-1], offsets[1:]
        if not len(self.rows.rule):
            return _nothing()._replace(headers=headers)
        self.blocks = _blocks(self.family, self.rows)
        small = np.flatnonzero((self.counts > 0) & (self.counts <= PAGE_ROWS))
        page_of_table = np.full(self.tables, -1, np.int64)
        page_of_table[small] = np.arange(len(small))
        self.page = page_of_table[np.repeat(np.arange(self.tables), self.counts)]
        large = self._cut_large(len(small))
        pages, page_rules, keys = self._pages(len(small) + sum(len(table.parts.pages) for table in large))
        headers[small, 8:] = pages[: len(small)]
        parts = _nothing()._replace(headers=headers, pages=pages, page_rules=page_rules)
        if large:
            regions, region_keys = self._regions(large, headers, len(keys[0]))
            nodes, node_rows, covered = self._nodes(large)
            self._dense(large, headers)
            parts = parts._replace(
                regions=regions, nodes=nodes, covered=covered, node_rows=node_rows, cells=self.budget.used
            )
            keys = (np.concatenate((keys[0], region_keys[0])), np.concatenate((keys[1], region_keys[1])))
        lines = _aligned(np.concatenate([*self.lines, np.zeros(KEYS, np.uint32)]))
        return parts._replace(lines=lines, keys_hi=keys[0], keys_lo=keys[1])

    def _add(self, trees: Trees) -> npt.NDArray[np.int64]:
        """Put trees into the lines; returns where each begins."""
        base = trees.base + self.line_count
        self.lines.append(trees.lines)
        self.line_count += len(trees.lines) // KEYS
        return base

    def _cut_large(self, pages: int) -> list[_Large]:
        """Cut large tables, the largest first: they gain most from being dense."""
        numbers = np.flatnonzero(self.counts > PAGE_ROWS)
        large = []
        regions = nodes = cells = 0
        for table in numbers[np.argsort(-self.counts[numbers], kind="stable")].tolist():
            cut_table = self._cut(table)
            cut_table.first_region, cut_table.first_node, cut_table.first_page = regions, nodes, pages
            cut_table.first_cell = cells
            parts = cut_table.parts
            for number, (first, last) in enumerate(parts.pages):
                self.page[cut_table.order[first:last]] = pages + number
            for number, (_, first, last) in enumerate(parts.nodes):
                self.node[cut_table.order[first:last]] = nodes + number
            regions, nodes, pages = regions + len(parts.regions), nodes + len(parts.nodes), pages + len(parts.pages)
            cells += (len(parts.nodes) + 1) * cut_table.services if cut_table.dense else 0
            large.append(cut_table)
        return large

    def _cut(self, table: int) -> _Large:
        rows = self.rows
        here = slice(int(self.offsets[table]), int(self.offsets[table + 1]))
        first, length = self.blocks.first[here], rows.length[here]
        order = np.lexsort((length, first))
        first, last, length = first[order], self.blocks.last[here][order], length[order]
        ends = np.searchsorted(first, last, side="right").tolist()
        blocks = blocks_of(_integers(first), _integers(last), length, ends)
        services = _classes(rows.first[here], rows.last[here])
        highest = (1 << (32 if self.family == 4 else 128)) - 1
        order += here.start
        if self.budget.take(table, (len(blocks) + 1) * services):
            return _Large(table, order, partition(blocks, highest, 0), True, services=services)
        parts = partition(blocks, highest, PAGE_ROWS)
        upper = np.concatenate([order[first:last] for _, first, last in parts.nodes] or [order[:0]])
        services = _classes(rows.first[upper], rows.last[upper])
        dense = self.budget.take(table, (len(parts.nodes) + 1) * services)
        return _Large(table, order, parts, dense, services=services)

    def _service_cuts(self, owners: int, owner: npt.NDArray[np.int64], chosen: npt.NDArray[np.int64]) -> Cuts:
        first, last = self.rows.first[chosen], self.rows.last[chosen]
        return cut(
            owners, owner, first, first - np.uint32(1), last, from_start=first == 0, to_end=last == _LAST_SERVICE
        )

    def _pages(
        self, count: int
    ) -> tuple[
        npt.NDArray[np.int32],
        npt.NDArray[np.uint64],
        tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]],
    ]:
        """(pages, page rules, IPv6 keys)."""
        chosen = np.flatnonzero(self.page >= 0)
        chosen = chosen[np.argsort(self.page[chosen], kind="stable")]
        owner = self.page[chosen]
        sizes = np.bincount(owner, minlength=count)
        first_row = np.cumsum(sizes) - sizes
        bit = np.uint64(1) << (np.arange(len(chosen)) - first_row[owner]).astype(np.uint64)
        blocks = _Blocks(*(column[chosen] for column in self.blocks))
        addresses = cut(
            count, owner, blocks.first, blocks.before, blocks.last, from_start=blocks.from_start, to_end=blocks.to_end
        )
        services = self._service_cuts(count, owner, chosen)
        trees = [build_trees(services.keys.astype(np.uint32), services.offsets)]
        pages = np.zeros((count, 8), np.int32)
        keys = (np.zeros(0, np.uint64), np.zeros(0, np.uint64))
        if self.family == 4:
            trees.insert(0, build_trees(addresses.keys.astype(np.uint32), addresses.offsets))
        else:
            pages[:, 0], pages[:, 1] = addresses.offsets[:-1], sizes_of(addresses.offsets)
            keys = _halves(addresses.keys)
        masks = [interval_masks(cuts, owner, bit) for cuts in (addresses, services)]
        lines, tree_base, mask_base = side_by_side(trees, masks, (addresses, services))
        for column, tree, base in zip((3, 0), reversed(trees), reversed(tree_base)):
            pages[:, column], pages[:, column + 1] = base + self.line_count, tree.depth
        pages[:, 2], pages[:, 5] = (base + self.line_count * KEYS // 2 for base in mask_base)
        pages[:, 6], pages[:, 7] = np.arange(count), first_row
        self.lines.append(lines)
        self.line_count += len(lines) // KEYS
        rules = np.stack((self.rows.order[chosen], self.rows.rule[chosen].astype(np.uint64)), axis=1)
        return pages, np.ascontiguousarray(rules), keys

    def _regions(
        self, large: list[_Large], headers: npt.NDArray[np.int32], keys_before: int
    ) -> tuple[npt.NDArray[np.int32], tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]]:
        """(regions, IPv6 keys); fills the headers' region columns."""
        regions: list[tuple[int, int]] = []
        keys: list[int] = []
        offsets = [0]
        for table in large:
            listed = table.parts.regions
            keys.extend(last for last, _, _ in listed[:-1])
            offsets.append(len(keys))
            regions.extend((page + table.first_page if page >= 0 else -1, node) for _, page, node in listed)
        number = np.array([table.table for table in large], np.int64)
        headers[number, 0] += REGIONS - PAGE
        headers[number, 10] = [table.first_region for table in large]
        headers[number, 11] = [table.first_node for table in large]
        headers[number, 5] = [len(table.parts.pages) > 0 for table in large]
        bounds = np.array(offsets, np.int64)
        if self.family == 4:
            trees = build_trees(np.array(keys, np.uint32), bounds)
            headers[number, 8], headers[number, 9] = self._add(trees), trees.depth
            keys = []
        else:
            headers[number, 8], headers[number, 9] = keys_before + bounds[:-1], sizes_of(bounds)
        return np.array(regions, np.int32).reshape(-1, 2), split_addresses(keys)

    def _nodes(self, large: list[_Large]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
        """(nodes, node rows, covered)."""
        parents = [parent for table in large for parent, _, _ in table.parts.nodes]
        count = len(parents)
        chosen = np.flatnonzero(self.node >= 0)
        chosen = chosen[np.argsort(self.node[chosen], kind="stable")]
        owner = self.node[chosen]
        last_row = np.cumsum(np.bincount(owner, minlength=count))
        services = self._service_cuts(count, owner, chosen)
        held, base = interval_masks(services, owner, np.ones(len(chosen), np.uint64))
        trees = build_trees(services.keys.astype(np.uint32), services.offsets)
        nodes = np.zeros((count, 8), np.int32)
        nodes[:, 0] = parents
        nodes[:, 1], nodes[:, 2], nodes[:, 3] = self._add(trees), trees.depth, base
        nodes[:, 4], nodes[:, 5] = last_row - np.bincount(owner, minlength=count), last_row
        return nodes, chosen.astype(np.int32), held > 0

    def _dense(self, large: list[_Large], headers: npt.NDArray[np.int32]) -> None:
        """Service trees of the dense tables, over all rules of their nodes."""
        dense = [table for table in large if table.dense]
        if not dense:
            return
        number_of_node = np.full(sum(len(table.parts.nodes) for table in large), -1, np.int64)
        for number, table in enumerate(dense):
            number_of_node[table.first_node : table.first_node + len(table.parts.nodes)] = number
        chosen = np.flatnonzero(self.node >= 0)
        owner = number_of_node[self.node[chosen]]
        chosen, owner = chosen[owner >= 0], owner[owner >= 0]
        services = self._service_cuts(len(dense), owner, chosen)
        trees = build_trees(services.keys.astype(np.uint32), services.offsets)
        tables = np.array([table.table for table in dense], np.int64)
        headers[tables, 12], headers[tables, 13] = self._add(trees), trees.depth
        headers[tables, 14] = sizes_of(services.offsets) + 1
        headers[tables, 15] = [table.first_cell for table in dense]


@cache
def _nothing() -> Parts:
    """Parts without any rule."""
    none, no_keys = np.zeros(0, np.int32), np.zeros(0, np.uint64)
    return Parts(
        headers=none.reshape(0, 16),
        pages=none.reshape(0, 8),
        regions=none.reshape(0, 2),
        nodes=none.reshape(0, 8),
        lines=np.zeros(KEYS, np.uint32),
        covered=np.zeros(0, np.bool_),
        page_rules=no_keys.reshape(0, 2),
        node_rows=none,
        keys_hi=no_keys,
        keys_lo=no_keys,
        cells=0,
    )


def _blocks(family: int, rows: AddressRows) -> _Blocks:
    bits = np.uint64(32 if family == 4 else 128) - rows.length.astype(np.uint64)
    full = np.uint64(0xFFFFFFFFFFFFFFFF)
    low_bits = np.minimum(bits, np.uint64(63))
    host_lo = np.where(bits >= 64, full, (np.uint64(1) << low_bits) - np.uint64(1))
    high_bits = np.minimum(np.maximum(bits, np.uint64(64)) - np.uint64(64), np.uint64(63))
    host_hi = np.where(bits >= 128, full, (np.uint64(1) << high_bits) - np.uint64(1))
    last_hi, last_lo = rows.hi | host_hi, rows.lo | host_lo
    before_hi, before_lo = rows.hi - (rows.lo == 0).astype(np.uint64), rows.lo - np.uint64(1)
    to_end = (last_lo == 0xFFFFFFFF) if family == 4 else (last_lo == full) & (last_hi == full)
    return _Blocks(
        address_keys(family, rows.hi, rows.lo),
        address_keys(family, before_hi, before_lo),
        address_keys(family, last_hi, last_lo),
        (rows.hi == 0) & (rows.lo == 0),
        to_end,
    )


def _classes(first: npt.NDArray[np.uint32], last: npt.NDArray[np.uint32]) -> int:
    """How many classes of services some ranges make."""
    cuts = np.unique(np.concatenate((first[first > 0] - np.uint32(1), last[last != _LAST_SERVICE])))
    return len(cuts) + 1


def _integers(keys: npt.NDArray[Any]) -> list[int]:
    """Keys as from `address_keys`, as integers."""
    if keys.dtype.kind == "S":
        return [int.from_bytes(key.ljust(16, b"\0")) for key in keys.tolist()]
    integers: list[int] = keys.tolist()
    return integers


def _halves(keys: npt.NDArray[Any]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """IPv6 keys as two halves."""
    pairs = np.ascontiguousarray(keys).view(">u8").reshape(-1, 2)
    return pairs[:, 0].astype(np.uint64), pairs[:, 1].astype(np.uint64)


def _aligned(values: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """The same values where every 16th begins a cache line."""
    room = np.empty(len(values) + KEYS, np.uint32)
    skip = -(room.ctypes.data // 4) % KEYS
    aligned = room[skip : skip + len(values)]
    aligned[:] = values
    return aligned
