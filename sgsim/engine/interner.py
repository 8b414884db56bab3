"""Keys of eight 64-bit words to dense rows, remembered from batch to batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.kernels.tracking_layout import KEY_WORDS, PacketColumns

__all__ = ["Interner", "grown"]

_ROWS = 1 << 18  #: of keys at first: memory that is not touched costs nothing, growing costs a copy
_SLOTS = 1 << 14


class Interner:
    """Rows in order of first appearance; `keys[:count]` are the keys."""

    def __init__(self) -> None:
        self.count = 0
        self.keys: npt.NDArray[np.uint64] = np.empty((_ROWS, KEY_WORDS), np.uint64)
        self._slots: npt.NDArray[np.uint64] = np.zeros(_SLOTS, np.uint64)

    def intern(self, wanted: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        """The row of each key, new rows for new keys."""
        from sgsim.kernels.grouping import intern_keys

        rows = np.empty(len(wanted), np.int32)
        if len(wanted):
            self._reserve(len(wanted))
            self.count = intern_keys(wanted, self._slots, self.keys, self.count, rows)
        return rows

    def group(self, columns: PacketColumns) -> npt.NDArray[np.int32]:
        """The micro-flow of each packet, new rows for new ones."""
        from sgsim.kernels.grouping import group_packets

        rows = np.empty(len(columns.family), np.int32)
        self._reserve(len(rows))
        self.count = group_packets(columns, self._slots, self.keys, self.count, rows)
        return rows

    def keep(self, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
        """Forget every row that is not marked; returns each old row's new number, -1 for the forgotten.

        Memory shrinks with the rows, the order of rows stays.
        """
        moved = np.where(rows, np.cumsum(rows) - 1, -1).astype(np.int32)
        kept = self.keys[: self.count][rows]
        self.count = 0
        self.keys = np.empty((_ROWS, KEY_WORDS), np.uint64)
        self._slots = np.zeros(_SLOTS, np.uint64)
        self.intern(kept)
        return moved

    def _reserve(self, extra: int) -> None:
        """Make room for so many more keys; the table stays at most half full."""
        from sgsim.kernels.grouping import intern_keys

        needed = self.count + extra
        self.keys = grown(self.keys, needed)
        if 2 * needed > len(self._slots):
            self._slots = np.zeros(1 << (4 * needed - 1).bit_length(), np.uint64)
            # Every key goes back to its own row, so that reading and writing the same array is safe.
            intern_keys(self.keys[: self.count], self._slots, self.keys, 0, np.empty(self.count, np.int32))


def grown(array: npt.NDArray[Any], rows: int) -> npt.NDArray[Any]:
    """The array itself if it has so many rows, else a larger copy (at least doubled)."""
    if len(array) >= rows:
        return array
    larger = np.empty((max(rows, 2 * len(array), _ROWS), *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger
