"""Keys of eight 64-bit words to dense rows; what is forgotten makes room in place."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sgsim.engine.interner import grown
from sgsim.kernels.tracking_layout import KEY_WORDS

__all__ = ["KeyTable"]

_LEAST = 1 << 12


class KeyTable:
    """Rows in order of first appearance; `keys[:count]` are the keys.

    Unlike the interner of packets this one keeps its memory when rows are forgotten: a log's flows are mostly new, so
    that forgetting happens all the time, and memory that the system has to hand out costs more than the work.
    """

    def __init__(self, room: int = 1 << 16) -> None:
        self.count = 0
        self.keys: npt.NDArray[np.uint64] = np.empty((room, KEY_WORDS), np.uint64)
        self._slots: npt.NDArray[np.uint64] = np.zeros(2 * _LEAST, np.uint64)

    def rows(self, wanted: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        """The row of each key, new rows for new keys."""
        from sgsim.kernels.grouping import intern_keys

        rows = np.empty(len(wanted), np.int32)
        if len(wanted):
            needed = self.count + len(wanted)
            self.keys = grown(self.keys, needed)
            if 2 * needed > len(self._slots):
                self._slots = np.empty(1 << (2 * needed - 1).bit_length(), np.uint64)
                self._place()
            self.count = intern_keys(wanted, self._slots, self.keys, self.count, rows)
        return rows

    def keep(self, kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
        """Forget the rows that are not marked; returns where each went, -1 for the forgotten. The order stays."""
        from sgsim.kernels.joining_flows import keep_rows

        moved = np.empty(len(kept), np.int32)
        self.count = keep_rows(self.keys, kept, moved)
        self._place()
        return moved

    def clear(self) -> None:
        """Forget everything."""
        self.count = 0
        self._slots[:] = 0

    def _place(self) -> None:
        """Every key goes back to its own row."""
        from sgsim.kernels.grouping import intern_keys

        self._slots[:] = 0
        intern_keys(self.keys[: self.count], self._slots, self.keys, 0, np.empty(self.count, np.int32))
