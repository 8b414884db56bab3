"""How the rules of one interface are laid out when a large job asks for no others.

Blocks of CIDR rules are nested or disjoint, so the *class* of an address is the innermost block around it, and the
rules that hold the address are those of this block and of the blocks above it. Rules of *wide* blocks and rules of
*narrow* ones have classes of their own; what a row matches is the union of both.

    wide     root[direction, address >> 16] ──▶ class, or ──▶ chunks[… + (address >> 8 & 255)] ──▶ class, or one more
             services[direction, protocol and port] ──▶ column           cells[class + column] ──▶ answer

    narrow   rank of the address among the ends of classes (a static search tree, see `compiler.trees`)
             ──▶ line_of[direction, rank] ──▶ line of 15 keys: how many are below the service?
                                                                         cells[16 * line + count] ──▶ answer
                 a class of 16 to 255 keys: line of every 16th key ──▶ one of the lines behind it, of the 15 between

All rules are wide while (classes × columns) fit 4 MB; else rules of blocks longer than /16, or of shorter ones, are
narrow. Answers are put into cells when traffic meets them, in copies
that belong to a call; everything here stays as it is compiled. Figures are in docs/decisions/0001-table-layout.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["OTHER_SERVICES", "SERVICE_STRIDE", "Cross"]

#: Where `services` has the protocols: TCP from 0 on, UDP from 65536 on, then one entry for all others.
OTHER_SERVICES = 2 << 16
SERVICE_STRIDE = OTHER_SERVICES + 1


class Cross(NamedTuple):
    """IPv4 rules of one interface, all its groups together, both directions.

    `root` int32[2 * 65536], ingress first, `chunks` int32: the first cell of a class or, negative, -1 - (position in
    `chunks`). `services` int32[2 * 131073]: the column of TCP and UDP ports, 0 where no wide rule is. For other
    protocols `service_keys` uint32, the last services of intervals, with `service_columns` int32, one more.
    `nodes` int32[classes, 3]: class above or -1, its rules `nodes[i, 1]:nodes[i, 2]`. `shape` int64[2, 6] by
    direction: first wide cell, columns, first node, first service key, their number, first service column.
    `wide` int32: what is known of each cell before any traffic, 1 where no rule matches and 0 elsewhere.

    `tree` uint32, lines of a search tree of `depth` levels (0: no narrow rules); `line_of` int32[2 * ranks]: 2 * line,
    one more where its keys lead to other lines; `lines` uint32, 16 a line, ascending and filled up with 2**32 - 1;
    `line_nodes` int32[lines, 3] as `nodes`.

    Rules, those of one class together: `rule` int32, `first`, `last` uint32 (services), `order` uint64 as in
    `tables.columns`. `for_all`: whether some rule is for all addresses.
    """

    root: npt.NDArray[np.int32]
    chunks: npt.NDArray[np.int32]
    services: npt.NDArray[np.int32]
    service_keys: npt.NDArray[np.uint32]
    service_columns: npt.NDArray[np.int32]
    nodes: npt.NDArray[np.int32]
    shape: npt.NDArray[np.int64]
    wide: npt.NDArray[np.int32]
    tree: npt.NDArray[np.uint32]
    depth: int
    line_of: npt.NDArray[np.int32]
    lines: npt.NDArray[np.uint32]
    line_nodes: npt.NDArray[np.int32]
    narrow: npt.NDArray[np.int32]
    rule: npt.NDArray[np.int32]
    first: npt.NDArray[np.uint32]
    last: npt.NDArray[np.uint32]
    order: npt.NDArray[np.uint64]
    for_all: bool
