"""AddressRows of one interface → Cross, where that fits (see `tables.cross`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
_LINE_KEYS = KEYS - 1  # a class of more keys has a tree of two levels
_TREE_KEYS = KEYS * KEYS - 1
_KEY_BITS = 25  # of a service
#: Where not all rules are wide: blocks longer than so many bits are narrow if they have at most so many keys. The first
#: that fits is taken: rows that narrow rules and wide ones match cost most.
_NARROW = ((16, _LINE_KEYS), (16, _TREE_KEYS), (12, _TREE_KEYS), (8, _TREE_KEYS))
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
    for longest, most_keys in _NARROW:
        if made is None and _cells([part.chosen(part.length <= longest) for part in rules]) <= _MOST_CELLS:
            made = _build(rules, [_wide(part, longest, most_keys) for part in rules])
    return made


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


def _wide(rules: _Rules, longest: int, most_keys: int) -> npt.NDArray[np.bool_]:
    """Which rules are wide: those of blocks up to a length, and of blocks with too many keys.

    Where blocks with too many keys lie in one another, the outer one is wide, and those inside go without its keys.
    """
    classes = _classes(rules)
    parents = np.array(classes.parent, np.int64)
    narrow = np.array(classes.length, np.int64) > longest
    while (many := np.bincount(_keys(rules, classes, narrow)[0], minlength=len(narrow)) > most_keys).any():
        inside = np.zeros(len(narrow), np.bool_)
        for number, above in _chains(parents):
            inside[number] |= many[above] & (number != above)
        narrow[many & ~inside] = False
    return ~np.repeat(narrow, _sizes(classes))


def _cells(rules: Sequence[_Rules]) -> int:
    """How many cells the rules need if they are wide."""
    return sum((len(_classes(part).address) + 1) * int(_service_columns(part)[1].max() + 1) for part in rules)


def _sizes(classes: _Classes) -> _Numbers:
    """How many rules each class has."""
    return np.array(classes.stop, np.int64) - np.array(classes.begin, np.int64)


def _chains(parents: _Numbers) -> Iterator[tuple[_Numbers, _Numbers]]:
    """Pairs of classes: each with itself, then all that have one with the class around it, and so on."""
    number = above = np.arange(len(parents))
    while len(number):
        yield number, above
        nested = parents[above] >= 0
        number, above = number[nested], parents[above][nested]


def _keys(rules: _Rules, classes: _Classes, narrow: npt.NDArray[np.bool_]) -> tuple[_Numbers, _Numbers]:
    """(class, key) of every key of a narrow class, ascending: where services of its rules begin or end.

    Its rules are its own and those of narrow classes around it.
    """
    begins, sizes = np.array(classes.begin, np.int64), _sizes(classes)
    found = [np.zeros(0, np.int64)]
    for number, above in _chains(np.array(classes.parent, np.int64)):
        kept = narrow[number] & narrow[above]
        owner, place = ragged(sizes[above[kept]])
        rule = begins[above[kept]][owner] + place
        base = number[kept][owner] << _KEY_BITS
        first = rules.first[rule]
        found += [base | rules.last[rule], (base | (first - 1))[first > 0]]
    pairs = np.sort(np.concatenate(found))
    pairs = pairs[np.diff(pairs, prepend=-1) != 0]
    return pairs >> _KEY_BITS, pairs & ((1 << _KEY_BITS) - 1)


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
    pairs = np.unique(rules.first << 32 | rules.last + 1)
    ranges = np.stack((pairs >> 32, pairs & 0xFFFFFFFF), axis=1)
    starts = np.unique(np.append(ranges, 0))
    ends = (starts[1:] - 1).astype(np.uint32)
    begun, ended = np.searchsorted(starts, ranges).T
    if len(starts) * len(ranges) <= _MOST_BITS:
        number = np.arange(len(starts))[:, None]
        holds = np.zeros((len(starts) + 1, -(-len(ranges) // 64) * 8), np.uint8)  # in row 0, no rule
        holds[1:, : -(-len(ranges) // 8)] = np.packbits((begun <= number) & (number < ended), axis=1)
        if (columns := _alike(holds.view(np.uint64))) is not None:
            return ends, columns[1:]
    held = np.cumsum(np.bincount(begun, minlength=len(starts)) - np.bincount(ended, minlength=len(starts))) > 0
    return ends, np.where(held, np.cumsum(held), 0).astype(np.int32)


def _alike(rows: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32] | None:
    """A number for each row, the same for equal ones and 0 for zeros; None if different rows have the same code."""
    weights = np.random.default_rng(0).integers(1 << 63, 1 << 64, (2, rows.shape[1]), np.uint64) | np.uint64(1)
    codes = rows * weights[0]
    codes = (codes ^ codes >> np.uint64(32)) * weights[1]
    _, first, numbers = np.unique(codes.sum(axis=1), return_index=True, return_inverse=True)
    return numbers.astype(np.int32) if (rows[first[numbers]] == rows).all() else None


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
        made = _class_lines(part, found)
        entries = ((first_line + made.first) << 1 | made.deep).tolist()
        begun, ended = (np.searchsorted(starts, column).tolist() for column in (found.address, found.end))
        line_of[direction] = first_line << 1
        for one, other, entry in zip(begun, ended, entries):  # outer blocks come first
            line_of[direction, one:other] = entry
        lines.append(made.lines)
        cells.append(_known_narrow(part, found, made))
        nodes.append(_line_nodes(found, made, first_rule[direction], first_line))
        first_line += len(made.lines)
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


class _ClassLines(NamedTuple):
    """The lines of narrow classes: `lines[0]` for addresses outside, then from `first` on those of each class.

    One line of keys or, where `deep`, one of every 16th key and then those of the 15 keys before each and of the rest.
    """

    lines: npt.NDArray[np.uint32]
    first: _Numbers
    deep: npt.NDArray[np.bool_]


def _class_lines(rules: _Rules, classes: _Classes) -> _ClassLines:
    owner, key = _keys(rules, classes, np.ones(len(classes.address), np.bool_))
    counts = np.bincount(owner, minlength=len(classes.address))
    deep = counts > _LINE_KEYS
    sizes = np.where(deep, 2 + counts // KEYS, 1)
    first = np.cumsum(sizes) - sizes + 1
    lines = np.full((int(sizes.sum()) + 1, KEYS), 0xFFFFFFFF, np.uint32)
    number = np.arange(len(key)) - (np.cumsum(counts) - counts)[owner]
    line, place = number // KEYS, number % KEYS
    separates = deep[owner] & (place == KEYS - 1)
    below = np.where(deep[owner] & ~separates, 1 + line, 0)
    lines[first[owner] + below, np.where(separates, line, place)] = key
    return _ClassLines(lines, first, deep)


def _line_nodes(classes: _Classes, made: _ClassLines, first_rule: int, first_line: int) -> npt.NDArray[np.int32]:
    """`Cross.line_nodes` of one direction: every line of a class says the same."""
    nodes = _nodes(classes, first_rule, 0)
    inside = nodes[:, 0] > 0
    nodes[inside, 0] = first_line + made.first[nodes[inside, 0] - 1]
    line_class = np.searchsorted(made.first, np.arange(len(made.lines)), side="right")
    return nodes[line_class]


def _known_narrow(rules: _Rules, classes: _Classes, made: _ClassLines) -> npt.NDArray[np.int32]:
    """The narrow cells of one direction: 1, no rule, or 0, some rule or a deep class: to be found out."""
    edges = np.zeros(len(made.lines) * (KEYS + 1), np.int64)  # where rules' cells begin, less where they end
    begins, sizes = np.array(classes.begin, np.int64), _sizes(classes)
    for number, above in _chains(np.array(classes.parent, np.int64)):
        kept = ~made.deep[number]
        owner, place = ragged(sizes[above[kept]])
        rule = begins[above[kept]][owner] + place
        line = made.first[number[kept]][owner]
        for column, step, behind in ((rules.first, 1, 0), (rules.last, -1, 1)):
            at = (made.lines[line] < column[rule][:, None]).sum(axis=1) + behind
            edges += step * np.bincount((KEYS + 1) * line + at, minlength=len(edges))
    held = np.cumsum(edges.reshape(-1, KEYS + 1), axis=1)[:, :KEYS] > 0
    held[1:] |= np.repeat(made.deep, np.diff([*made.first, len(made.lines)]))[:, None]
    return (~held).astype(np.int32).ravel()


def _aligned(values: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """The same values where every 16th begins a cache line."""
    room = np.empty(len(values) + KEYS, np.uint32)
    skip = -(room.ctypes.data // 4) % KEYS
    aligned = room[skip : skip + len(values)]
    aligned[:] = values
    return aligned
