"""Arrays that grow without disturbing their readers, and numbers that keep their meaning while what they name moves.

    numbers   0 … 31 | 32 … 63 | 64 … 95          interfaces, or tables of groups
    chunks    [0,       320,      64]              where the chunk of 32 slots is in which a number's slot is
    slots     0 … 95, 96 …, 320 … 351, …           rows of the arrays; numbers 32 to 63 have been moved

A change copies the chunk of what it changes to the end of the arrays and makes a new list of chunks; whoever still
reads the old list finds everything as it was. The list costs 4 bytes for 32 numbers, so that copying it costs
microseconds for a million.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from operator import eq
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["CHUNK", "Names", "Pool", "first_chunks", "on_a_line", "padded", "slots_of"]

CHUNK = 32
_SHIFT, _MASK = 5, 31
_LINE = 64


def first_chunks(numbers: int) -> npt.NDArray[np.int32]:
    """Chunks where nothing has been moved; there is at least one."""
    return np.arange(max(1, -(-numbers // CHUNK)), dtype=np.int32) * np.int32(CHUNK)


def padded(rows: npt.NDArray[Any], value: Any = 0) -> npt.NDArray[Any]:
    """The rows, and so many rows of a value that the last chunk is full."""
    missing = len(first_chunks(len(rows))) * CHUNK - len(rows)
    return on_a_line(np.concatenate((rows, np.full((missing, *rows.shape[1:]), value, rows.dtype))))


def on_a_line(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same rows where the first begins a cache line, so that those of 32 or 64 bytes are in one each."""
    room = _on_a_line(rows.shape, rows.dtype)
    room[:] = rows
    return room


def slots_of(chunks: npt.NDArray[np.int32], numbers: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The slot of each number."""
    slots: npt.NDArray[np.int64] = chunks[numbers >> _SHIFT].astype(np.int64) + (numbers & _MASK)
    return slots


class Pool:
    """Rows of an array that only grows: what is in use is never written again, and `rows` is a view of it."""

    def __init__(self, rows: npt.NDArray[Any]) -> None:
        self._room = rows
        self._row_bytes = rows.itemsize * int(np.prod(rows.shape[1:], dtype=np.int64))
        self.used = len(rows)

    def add(self, rows: npt.NDArray[Any]) -> int:
        """Put rows behind the last one; returns where they begin."""
        start, self.used = self.used, self.used + len(rows)
        if self.used > len(self._room):
            room = _on_a_line((self.used + self.used // 2 + 64, *self._room.shape[1:]), self._room.dtype)
            room[:start] = self._room[:start]
            self._room = room
        self._room[start : self.used] = rows
        return start

    @property
    def rows(self) -> npt.NDArray[Any]:
        """All rows so far."""
        return self._room[: self.used]

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return self.used * self._row_bytes


def _on_a_line(shape: tuple[int, ...], dtype: Any) -> npt.NDArray[Any]:
    """An array that begins at a cache line."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    room = np.empty(size + _LINE, np.uint8)
    skip = -room.ctypes.data % _LINE
    aligned: npt.NDArray[Any] = room[skip : skip + size].view(dtype).reshape(shape)
    return aligned


class Names(Sequence[str]):
    """The first names of a list that is made longer; to its readers it is a list."""

    __slots__ = ("_length", "_names")

    def __init__(self, names: list[str]) -> None:
        self._names, self._length = names, len(names)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._names[: self._length][index]
        if not -self._length <= index < self._length:
            raise IndexError("there is no such number")
        return self._names[index % self._length]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Names) and other._names is self._names:
            return other._length == self._length
        return isinstance(other, Sequence) and len(other) == self._length and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[str]:
        return islice(self._names, self._length)

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (self[:],)
