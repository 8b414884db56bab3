"""Parts → Layout: at first, and behind what is laid out already."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.compiler.layout import Parts
from sgsim.compiler.trees import KEYS
from sgsim.tables.layout import PAGE, REGIONS, UNDEFINED, Layout
from sgsim.tables.slots import Pool, first_chunks, on_a_line, padded

__all__ = ["NO_TABLE", "LayoutPools", "first_layout"]

_KIND = 3
_POOLED = ("directory", "regions", "nodes", "lines", "covered", "page_rules", "node_rows", "keys_hi", "keys_lo")

#: The header of a table whose group is not described.
NO_TABLE = np.array([UNDEFINED, *[0] * 15], np.int32)


def first_layout(parts: Parts, tables: int) -> Layout:
    """A layout of these parts alone, with room for so many tables."""
    missing = np.tile(NO_TABLE, (max(0, tables - len(parts.headers)), 1))
    headers = padded(np.concatenate((parts.headers, missing)), NO_TABLE)
    return Layout(
        chunks=first_chunks(tables),
        directory=on_a_line(np.concatenate((headers, _in_rows(parts.pages)))),
        regions=_moved(parts.regions, (0, 2 * len(headers), parts.regions[:, 0] >= 0)),
        nodes=parts.nodes,
        lines=parts.lines,
        covered=parts.covered,
        page_rules=parts.page_rules,
        node_rows=parts.node_rows,
        keys_hi=parts.keys_hi,
        keys_lo=parts.keys_lo,
        cells=parts.cells,
    )


class LayoutPools:
    """The arrays of a family's layouts, which grow."""

    def __init__(self, family: int, layout: Layout) -> None:
        self._family = family
        self._pools = {name: Pool(getattr(layout, name)) for name in _POOLED}
        self.directory = self._pools["directory"]
        self.cells = layout.cells  #: how many dense tables have taken

    def add(self, parts: Parts, rows: int, subjects: int, cells: int) -> npt.NDArray[np.int32]:
        """Put parts behind what is there; returns the headers of their tables, which have no slots yet.

        Their rows of AddressRows and SubjectRows begin at `rows` and `subjects`, their dense cells at `cells`.
        """
        if not len(parts.pages) and not len(parts.nodes):
            return _moved(parts.headers, (3, subjects), (4, subjects))
        at = {name: pool.used for name, pool in self._pools.items()}
        line, page = at["lines"] // KEYS, 2 * at["directory"]
        tree = line if self._family == 4 else at["keys_lo"]
        mask = line * KEYS // 2
        pages = _moved(parts.pages, (0, tree), (2, mask), (3, line), (5, mask), (6, page), (7, at["page_rules"]))
        headers = _moved(parts.headers, (1, rows), (2, rows), (3, subjects), (4, subjects))
        paged, cut = parts.headers[:, 0] & _KIND == PAGE, parts.headers[:, 0] & _KIND == REGIONS
        headers[paged, 8:] = pages[parts.headers[paged, 14]]
        regions = ((0, tree), (2, at["regions"]), (3, at["nodes"]), (4, line), (7, cells))
        headers[cut, 8:] = _moved(headers[cut, 8:], *regions)
        nodes = ((1, line), (3, at["covered"]), (4, at["node_rows"]), (5, at["node_rows"]))
        added: dict[str, npt.NDArray[Any]] = {
            "directory": _in_rows(pages),
            "regions": _moved(parts.regions, (0, page, parts.regions[:, 0] >= 0)),
            "nodes": _moved(parts.nodes, *nodes),
            "node_rows": parts.node_rows + np.int32(rows),
        }
        for name, pool in self._pools.items():
            rows_of = added[name] if name in added else getattr(parts, name)
            if len(rows_of):
                pool.add(rows_of)
        return headers

    def layout(self, chunks: npt.NDArray[np.int32]) -> Layout:
        """The layout with the chunks of tables given."""
        return Layout(chunks, **{name: pool.rows for name, pool in self._pools.items()}, cells=self.cells)

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return sum(pool.nbytes for pool in self._pools.values())


def _moved(
    rows: npt.NDArray[np.int32], *columns: tuple[int, int] | tuple[int, int, npt.NDArray[np.bool_]]
) -> npt.NDArray[np.int32]:
    """A copy with a number added to some columns, in chosen rows or in all."""
    result = rows.copy()
    for column, by, *chosen in columns:
        if chosen:
            result[chosen[0], column] += by
        else:
            result[:, column] += by
    return result


def _in_rows(pages: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Pages, two in a row of the directory."""
    return np.concatenate((pages, np.zeros((len(pages) % 2, 8), np.int32))).reshape(-1, 16)
