"""Large jobs at one interface: the tables made for it, built when they pay (see `tables.cross`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from sgsim.compiler.cross import build_cross
from sgsim.flows import EGRESS, INGRESS, FlowBlock
from sgsim.kernels.match_context import Context
from sgsim.tables import RuleTables
from sgsim.tables.cross import Cross
from sgsim.tables.layout import HAS_SUBJECTS, UNDEFINED, WIDE_SHIFT
from sgsim.tables.slots import slots_of

if TYPE_CHECKING:
    from sgsim.engine.stores import Store

__all__ = ["Crossing", "crossing_of"]

LEAST_ROWS = 1 << 21  #: fewer do not pay for the tables, and for cells filled anew in every call


class Crossing:
    """The tables of one interface with the cells of one thread."""

    def __init__(self, tables: RuleTables, interface: int, cross: Cross) -> None:
        from sgsim.kernels.match_cross import CROSS_BLOCK, CROSS_SCRATCH

        self._wide, self._narrow = cross.wide.copy(), cross.narrow.copy()
        numbers = np.empty((CROSS_SCRATCH, CROSS_BLOCK), np.int32)
        remote, service = np.empty(CROSS_BLOCK, np.uint32), np.empty(CROSS_BLOCK, np.uint32)
        self._tables = (cross.root, cross.chunks, cross.services, _places(tables, interface), self._wide, self._narrow)
        self._scratch = (numbers, remote, service)
        self._fields: dict[str, npt.NDArray[Any] | int] = {
            "CROSS_KEYS": cross.service_keys,
            "CROSS_KEY_COLUMNS": cross.service_columns,
            "CROSS_SHAPE": cross.shape,
            "CROSS_NODES": cross.nodes,
            "CROSS_LINE_NODES": cross.line_nodes,
            "CROSS_TREE": cross.tree,
            "CROSS_DEPTH": cross.depth,
            "CROSS_LINE_OF": cross.line_of,
            "CROSS_RANKS": len(cross.line_of) // 2,
            "CROSS_LINES": cross.lines,
            "CROSS_RULE": cross.rule,
            "CROSS_FIRST": cross.first,
            "CROSS_LAST": cross.last,
            "CROSS_ORDER": cross.order,
            "CROSS_FOR_ALL": int(cross.for_all and tables.untracked_flows and _may_be_wide(tables, interface)),
            "CROSS_WIDE": self._wide,
            "CROSS_NARROW": self._narrow,
            "CROSS_NUMBERS": numbers,
            "CROSS_SERVICE": service,
        }

    def judge(
        self,
        context: Context,
        store: Store,
        block: FlowBlock,
        rows: slice,
        results: dict[str, npt.NDArray[Any]],
    ) -> bool:
        """Judge some rows of a context whose REST is set; False, with nothing done, if they are not all alike."""
        from sgsim.kernels.match_cross import is_alike, match_cross

        if not is_alike(block.interface[rows], block.row[rows], block.direction[rows]):
            return False
        at = int(block.row[rows.start])
        to = slice(at, at + rows.stop - rows.start)
        if at < 0 or to.stop > len(results["ACTION"]):
            return False
        for name, value in self._fields.items():
            context.set(name, value)
        judge_rows: Callable[..., int] = match_cross
        columns = (block.srcaddr, block.dstaddr, block.dstport, block.protocol, block.later_fragment, block.direction)
        asked = [column[rows].view(np.uint8) if column.dtype == bool else column[rows] for column in columns]
        answers = [results[name][to] for name in ("ACTION", "REASON", "MATCH_SET", "DECIDING")]
        done = 0

        def work() -> bool:
            nonlocal done
            done = judge_rows(
                context.numbers, *self._tables, store.info, *self._scratch, *asked, *answers, rows.start, done
            )
            return bool(done == rows.stop - rows.start)

        store.run(context, work)
        return True


def crossing_of(tables: RuleTables, block: FlowBlock) -> Crossing | None:
    """Tables for the interface of a large job, if there is one and they fit."""
    if block.family != 4 or len(block) < LEAST_ROWS:
        return None
    interface = int(block.interface[0])
    if interface < 0 or (block.interface[:: 1 + len(block) // 256] != interface).any():
        return None
    built = _built.setdefault(tables, {})
    if interface not in built:
        built[interface] = _build(tables, interface)
    cross = built[interface]
    return None if cross is None else Crossing(tables, interface, cross)


def _build(tables: RuleTables, interface: int) -> Cross | None:
    """The tables of an interface whose rows ask for nothing but CIDR rules."""
    groups = np.array(tables.groups_of(interface), np.int64)
    if not len(groups) or int(tables.record(4, interface)[1]) >> 16:
        return None
    layout = tables.v4.layout
    ingress, egress = (
        layout.directory[slots_of(layout.chunks, 2 * groups + direction)] for direction in (INGRESS, EGRESS)
    )
    for headers in (ingress, egress):
        if (headers[:, 0] & (HAS_SUBJECTS | UNDEFINED)).any():
            return None
    return build_cross(tables.v4.rows, *([slice(*row) for row in part[:, 1:3].tolist()] for part in (ingress, egress)))


def _places(tables: RuleTables, interface: int) -> npt.NDArray[np.uint32]:
    return tables.record(4, interface)[2:6]


def _may_be_wide(tables: RuleTables, interface: int) -> bool:
    """Whether some direction has a rule for all IPv4 addresses and ports (see `tables.layout`)."""
    layout = tables.v4.layout
    slots = slots_of(layout.chunks, 2 * np.array(tables.groups_of(interface), np.int64))
    return bool((layout.directory[slots, 0] >> WIDE_SHIFT).any())


#: Built tables by what they were built from; they go when it goes.
_built: WeakKeyDictionary[RuleTables, dict[int, Cross | None]] = WeakKeyDictionary()
