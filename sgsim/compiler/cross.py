"""AddressRows of one interface → Cross, where that fits (see `tables.cross`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.compiler.trees import KEYS, build_trees, ragged
from sgsim.tables.columns import ORDER_PREFIX_SHIFT, SERVICE_BITS, AddressRows
from sgsim.tables.cross import OTHER_SERVICES, SERVICE_STRIDE, Cross

__all__ = ["build_cross"]

_MOST_CELLS = 1 << 20  # of wide classes × columns: 4 MB
_MOST_CHUNKS = 1 << 12  # of 256 entries: 4 MB
_MOST_BITS = 1 << 25  # of services × intervals that are compared
_NARROW = 16  # where not all rules are wide, blocks longer than this are narrow if their services fit a line
_LINE_KEYS = KEYS - 1
_TCP, _UDP = 6, 17
_ADDRESSES = 1 << 32
_FOR_ALL = 128  # the prefix part of the order of a rule for all addresses

_Numbers = npt.NDArray[np.int64]


class _Rules(NamedTuple):
    """Rules sorted by block, outer blocks before those inside them. `end` is the address behind the block."""

    address: _Numbers
    end: _Numbers
    length: _Numbers
    first: _Numbers
    last: _Numbers
    rule: npt.NDArray[np.int32]
    order: npt.NDArray[np.uint64]

    def chosen(self, which: npt.NDArray[np.bool_]) -> _Rules:
        columns: list[Any] = [column[which] for column in self]
        return _Rules(*columns)


class _Classes(NamedTuple):
    """Blocks with rules, outer before inner: `parent` is the innermost one around each, -1 for none.

    The rules of class i are `rules[begin[i]:stop[i]]`.
    """

    address: list[int]
    end: list[int]
    length: list[int]
    parent: list[int]
    begin: list[int]
    stop: list[int]


def build_cross(rows: AddressRows, ingress: Sequence[slice], egress: Sequence[slice]) -> Cross | None:
    """The IPv4 rules of some tables of either direction; None where wide classes and their services are too many.

    Tables are given by where their rows are.
    """
    rules = [_rules(rows, tables) for tables in (ingress, egress)]
    made = _build(rules, [np.ones(len(part.rule), np.bool_) for part in rules])
    return _build(rules, [_wide(part) for part in rules]) if made is None else made


def _rules(rows: AddressRows, tables: Sequence[slice]) -> _Rules:
    ranges = [np.arange(table.start, table.stop) for table in tables]
    chosen = np.concatenate([np.zeros(0, np.int64), *ranges])
    length, address = rows.length[chosen].astype(np.int64), rows.lo[chosen].astype(np.int64)
    by_block = np.lexsort((length, address))
    chosen, length, address = chosen[by_block], length[by_block], address[by_block]
    first, last = rows.first[chosen].astype(np.int64), rows.last[chosen].astype(np.int64)
    return _Rules(address, address + (_ADDRESSES >> length), length, first, last, rows.rule[chosen], rows.order[chosen])


def _classes(rules: _Rules) -> _Classes:
    changes = np.diff(rules.address, prepend=-1) | np.diff(rules.length, prepend=-1)
    begin = np.flatnonzero(changes)
    address, end, length = (column[begin].tolist() for column in rules[:3])
    parent: list[int] = []
    around: list[int] = []  # numbers of the blocks around, innermost last
    for number, first in enumerate(address):
        while around and end[around[-1]] <= first:
            around.pop()
        parent.append(around[-1] if around else -1)
        around.append(number)
    return _Classes(address, end, length, parent, begin.tolist(), [*begin[1:].tolist(), len(rules.address)])


def _wide(rules: _Rules) -> npt.NDArray[np.bool_]:
    """Which rules are wide: those of short blocks, and of blocks with too many services for one line."""
    classes = _classes(rules)
    wide = np.ones(len(rules.rule), np.bool_)
    narrow = [length > _NARROW for length in classes.length]
    keys_of = _keys_of(rules, classes, narrow)
    for number, begin in enumerate(classes.begin):
        if narrow[number] and keys_of[number] is not None:
            wide[begin : classes.stop[number]] = False
    return wide


def _keys_of(rules: _Rules, classes: _Classes, narrow: Sequence[bool]) -> list[frozenset[int] | None]:
    """The keys of each class's line, or None where they do not fit: it is wide then, and those inside go without."""
    first, last = rules.first.tolist(), rules.last.tolist()
    fitting: list[frozenset[int] | None] = []
    above: list[frozenset[int]] = []  # of narrow classes that fit, down to this one
    for number, parent in enumerate(classes.parent):
        around = above[parent] if parent >= 0 else frozenset()
        own = around
        if narrow[number]:
            here = range(classes.begin[number], classes.stop[number])
            own = around.union((first[rule] - 1 for rule in here if first[rule] > 0), (last[rule] for rule in here))
        fits = narrow[number] and len(own) <= _LINE_KEYS
        fitting.append(own if fits else None)
        above.append(own if fits else around)
    return fitting


def _build(rules: Sequence[_Rules], wide: Sequence[npt.NDArray[np.bool_]]) -> Cross | None:
    broad = [part.chosen(chosen) for part, chosen in zip(rules, wide)]
    narrow = [part.chosen(~chosen) for part, chosen in zip(rules, wide)]
    classes = [_classes(part) for part in broad]
    services = [_service_columns(part) for part in broad]
    shape = np.zeros((2, 6), np.int64)
    shape[:, 1] = [columns.max() + 1 for _, columns in services]
    cells = shape[:, 1] * [len(part.address) + 1 for part in classes]
    if cells.sum() > _MOST_CELLS:
        return None
    shape[1, 0], shape[1, 2] = cells[0], len(classes[0].address) + 1
    shape[:, 4] = [len(keys) for keys, _ in services]
    shape[1, 3], shape[1, 5] = shape[0, 4], shape[0, 4] + 1
    trie = _trie(classes, shape)
    if trie is None:
        return None
    every = [*broad, *narrow]
    starts = np.cumsum([0, *(len(part.rule) for part in every)]).tolist()
    tree, depth, line_of, lines, line_nodes, narrow_cells = _lines(narrow, starts[2:4])
    order = np.concatenate([part.order for part in every])
    return Cross(
        root=trie[0],
        chunks=trie[1],
        services=np.concatenate([_port_columns(*part) for part in services]),
        service_keys=np.concatenate([keys for keys, _ in services]),
        service_columns=np.concatenate([columns for _, columns in services]),
        nodes=np.concatenate(
            [_nodes(part, start, int(node)) for part, start, node in zip(classes, starts, shape[:, 2])]
        ),
        shape=shape,
        wide=np.concatenate([_known(*each) for each in zip(broad, classes, services)]),
        tree=tree,
        depth=depth,
        line_of=line_of,
        lines=lines,
        line_nodes=line_nodes,
        narrow=narrow_cells,
        rule=np.concatenate([part.rule for part in every]),
        first=np.concatenate([part.first for part in every]).astype(np.uint32),
        last=np.concatenate([part.last for part in every]).astype(np.uint32),
        order=order,
        for_all=bool((order >> np.uint64(ORDER_PREFIX_SHIFT) == _FOR_ALL).any()),
    )


def _nodes(classes: _Classes, first_rule: int, first_node: int) -> npt.NDArray[np.int32]:
    """`Cross.nodes` of one direction: a class without rules, then all others. Parents count from `first_node`."""
    nodes = [(-1, 0, 0)]
    for parent, begin, stop in zip(classes.parent, classes.begin, classes.stop):
        nodes.append((first_node + parent + 1 if parent >= 0 else -1, first_rule + begin, first_rule + stop))
    return np.array(nodes, np.int32)


def _known(
    rules: _Rules, classes: _Classes, services: tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32]]
) -> npt.NDArray[np.int32]:
    """The wide cells of one direction: 1, no rule, or 0, some rule: to be found out."""
    keys, column_of = services
    cells = np.ones((len(classes.address) + 1, int(column_of.max()) + 1), np.int32)
    begun, ended = np.searchsorted(keys, rules.first), np.searchsorted(keys, rules.last) + 1
    inside = np.searchsorted(np.array(classes.address, np.int64), np.array(classes.end, np.int64))
    for number, (begin, stop) in enumerate(zip(classes.begin, classes.stop)):
        held = [column_of[one:other] for one, other in zip(begun[begin:stop], ended[begin:stop])]
        cells[number + 1 : inside[number] + 1, np.concatenate(held)] = 0
    return cells.ravel()


def _service_columns(rules: _Rules) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32]]:
    """(last services of intervals, the column of each interval and of what follows them): 0 where no rule is.

    Intervals in the same rules' services share a column, if finding out is not too long.
    """
    ranges = np.unique(np.stack((rules.first, rules.last + 1), axis=1), axis=0)
    starts = np.unique(np.append(ranges, 0))
    begun, ended = np.searchsorted(starts, ranges).T
    if len(starts) * len(ranges) > _MOST_BITS:
        held = np.cumsum(np.bincount(begun, minlength=len(starts)) - np.bincount(ended, minlength=len(starts))) > 0
        return (starts[1:] - 1).astype(np.uint32), np.where(held, np.cumsum(held), 0).astype(np.int32)
    number = np.arange(len(starts))[:, None]
    holds = np.packbits((begun <= number) & (number < ended), axis=1)
    _, columns = np.unique(np.vstack((np.zeros_like(holds[:1]), holds)), axis=0, return_inverse=True)
    return (starts[1:] - 1).astype(np.uint32), columns.ravel()[1:].astype(np.int32)


def _port_columns(keys: npt.NDArray[np.uint32], columns: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    table = np.zeros(SERVICE_STRIDE, np.int32)
    services = np.concatenate([np.arange(1 << 16) | protocol << SERVICE_BITS for protocol in (_TCP, _UDP)])
    table[:OTHER_SERVICES] = columns[np.searchsorted(keys, services)]
    return table


def _trie(
    classes: Sequence[_Classes], shape: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]] | None:
    """(root, chunks): painted from short blocks to long ones, so that inner blocks come last."""
    chunks: list[npt.NDArray[np.int32]] = []

    def below(level: npt.NDArray[np.int32], place: int) -> npt.NDArray[np.int32]:
        """The chunk that an entry leads to, made of what stood there if there is none yet."""
        if (entry := int(level[place])) < 0:
            return chunks[(-1 - entry) >> 8]
        level[place] = -1 - (len(chunks) << 8)
        chunks.append(np.full(256, entry, np.int32))
        return chunks[-1]

    roots = []
    for part, (first_cell, columns) in zip(classes, shape[:, :2].tolist()):
        root = np.full(1 << 16, first_cell, np.int32)
        roots.append(root)
        for number in np.argsort(np.array(part.length, np.int64), kind="stable").tolist():
            first, end, length = part.address[number], part.end[number], part.length[number]
            level, shift = root, 16
            if length > 16:
                level, shift = below(root, first >> 16), 8
            if length > 24:
                level, shift = below(level, first >> 8 & 255), 0
            place = first >> shift & (255 if shift < 16 else 65535)
            level[place : place + (end - first >> shift)] = first_cell + columns * (number + 1)
            if len(chunks) > _MOST_CHUNKS:
                return None
    return np.concatenate(roots), np.concatenate(chunks) if chunks else np.zeros(1, np.int32)


def _lines(
    rules: Sequence[_Rules], first_rule: Sequence[int]
) -> tuple[
    npt.NDArray[np.uint32],
    int,
    npt.NDArray[np.int32],
    npt.NDArray[np.uint32],
    npt.NDArray[np.int32],
    npt.NDArray[np.int32],
]:
    """(search tree over the last addresses of intervals, its depth, `line_of`, `lines`, `line_nodes`, `narrow`)."""
    classes = [_classes(part) for part in rules]
    if not any(part.address for part in classes):
        none = np.zeros(0, np.int32)
        return np.zeros(0, np.uint32), 0, none, np.zeros(0, np.uint32), none.reshape(0, 3), none
    bounds = [bound for part in classes for bound in (part.address, part.end)]
    starts = np.unique(np.concatenate([[0], *bounds]))
    starts = starts[starts < _ADDRESSES]
    line_of = np.zeros((2, len(starts)), np.int32)
    lines, nodes, cells = [], [], []
    first_line = 0
    for direction, (part, found) in enumerate(zip(rules, classes)):
        first, end = np.searchsorted(starts, found.address), np.searchsorted(starts, found.end)
        line_of[direction] = first_line
        for number, (one, other) in enumerate(zip(first.tolist(), end.tolist())):  # outer blocks come first
            line_of[direction, one:other] = first_line + number + 1
        filled = np.full((len(found.address) + 1, KEYS), 0xFFFFFFFF, np.uint32)
        for number, keys in enumerate(_keys_of(part, found, [True] * len(found.address))):
            assert keys is not None, "they fitted when these rules were chosen"
            filled[number + 1, : len(keys)] = sorted(keys)
        lines.append(filled)
        cells.append(_known_narrow(part, found, filled))
        nodes.append(_nodes(found, first_rule[direction], first_line))
        first_line += len(filled)
    ends = (starts[1:] - 1).astype(np.uint32)
    trees = build_trees(ends, np.array([0, len(ends)], np.int64))
    return (
        _aligned(trees.lines),
        int(trees.depth[0]),
        line_of.ravel(),
        _aligned(np.concatenate(lines).ravel()),
        np.concatenate(nodes),
        np.concatenate(cells),
    )


def _known_narrow(rules: _Rules, classes: _Classes, lines: npt.NDArray[np.uint32]) -> npt.NDArray[np.int32]:
    """The narrow cells of one direction: 1, no rule, or 0, some rule: to be found out."""
    cells = np.ones((len(lines), KEYS), np.int32)
    begins, sizes = np.array(classes.begin, np.int64), np.diff([*classes.begin, len(rules.address)])
    parents, place = np.array(classes.parent, np.int64), np.arange(KEYS)
    line = above = np.arange(len(parents))
    while len(line):  # the rules of each class, then those of the classes around it
        owner, number = ragged(sizes[above])
        rule = begins[above][owner] + number
        keys = lines[1 + line[owner]]
        begun, ended = ((keys < column[rule][:, None]).sum(axis=1) for column in (rules.first, rules.last))
        outside = (place < begun[:, None]) | (place > ended[:, None])
        np.minimum.at(cells, 1 + line[owner], outside.astype(np.int32))
        nested = parents[above] >= 0
        line, above = line[nested], parents[above][nested]
    return cells.ravel()


def _aligned(values: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """The same values where every 16th begins a cache line."""
    room = np.empty(len(values) + KEYS, np.uint32)
    skip = -(room.ctypes.data // 4) % KEYS
    aligned = room[skip : skip + len(values)]
    aligned[:] = values
    return aligned
