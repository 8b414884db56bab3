"""Columns of Arrow, as Parquet has them → batches, by the kernel that shares its rules with text.

Integers go to the kernel as they are. Everything else goes as a dictionary: each distinct address, id or word is
looked at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sgsim.kernels import flowlog_codes as codes
from sgsim.traffic.flowlogs.batch import FlowLogBatch
from sgsim.traffic.flowlogs.builder import CAPACITY, to_batch
from sgsim.traffic.flowlogs.fields import LogFormat
from sgsim.traffic.flowlogs.pieces import ParsedPiece, Span

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["NUMBERS", "parse_rows"]

NUMBERS = frozenset(("srcport", "dstport", "protocol", "packets", "bytes", "start", "end", "tcp-flags"))
_ADDRESSES = frozenset(("srcaddr", "dstaddr", "pkt-srcaddr", "pkt-dstaddr"))
_WORDS = {
    "action": {"REJECT": 0, "ACCEPT": 1},
    "log-status": {"OK": codes.OK, "NODATA": codes.NODATA, "SKIPDATA": codes.SKIPDATA},
    "flow-direction": {"ingress": 0, "egress": 1},
}
_MISSING = ("-", "")
_PLAIN = re.compile(r"[!-~]*")
_DIGITS = re.compile(r"[0-9]+")


def parse_rows(
    table: pa.RecordBatch, source: int, log_format: LogFormat, wanted: Collection[str]
) -> tuple[list[FlowLogBatch], list[ParsedPiece]]:
    """The records among rows, as batches, and what became of each row."""
    from sgsim.kernels.flowlog import Columns
    from sgsim.kernels.flowlog_rows import fold_rows, scratch

    names = tuple(name.replace("_", "-") for name in table.schema.names)
    roles = LogFormat(names, log_format.origin).roles(wanted)
    inputs = _Inputs()
    for name, role, column in zip(names, roles.tolist(), table.columns, strict=True):
        inputs.add(name, role, column)
    places, bases = np.array(inputs.places, np.int64), np.array(inputs.bases, np.int64)
    families, high, low, known = (np.concatenate(parts) for parts in zip(_entries(0), *inputs.tables))
    work, values, indices = scratch(), np.empty((0, 0), np.int64), np.empty((0, 0), np.int32)
    parsed = ParsedPiece(source, log_format, lines=table.num_rows)
    batches: list[FlowLogBatch] = []
    for begin in range(0, table.num_rows, CAPACITY):
        end = min(begin + CAPACITY, table.num_rows)
        n = end - begin
        columns = Columns.empty(n)
        if n != values.shape[1]:
            values, indices = np.empty((len(inputs.values), n), np.int64), np.empty((len(inputs.indices), n), np.int32)
        _stack(inputs.values, begin, end, values)
        _stack(inputs.indices, begin, end, indices)
        rows, silences = fold_rows(
            n, begin, roles, places, bases, values, indices, families, high, low, known, columns, work,
            parsed.tallies, parsed.firsts,
        )  # fmt: skip
        if rows or silences:
            parsed.spans.append(Span(len(batches), 0, rows))
            sources = np.full(max(rows, silences), source, np.int32)
            texts = inputs.texts.__getitem__
            fields = log_format.read(wanted)
            batches.append(to_batch(columns, fields, roles, texts, sources[:rows], sources[:silences].copy()))
    return batches, [parsed]


def _stack(arrays: list[npt.NDArray[Any]], begin: int, end: int, stacked: npt.NDArray[Any]) -> None:
    """Put part of some arrays one under the other."""
    for row, array in zip(stacked, arrays, strict=True):
        row[:] = array[begin:end]


Tables = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint64], npt.NDArray[np.uint64], npt.NDArray[np.int32]]


def _entries(n: int) -> Tables:
    """n entries of the tables that `fold_rows` looks into: family, halves, code."""
    return np.zeros(n, np.uint8), np.zeros(n, np.uint64), np.zeros(n, np.uint64), np.full(n, codes.MISSING, np.int32)


@dataclass
class _Inputs:
    """What `fold_rows` takes, column by column; `texts` are the ids by id column."""

    places: list[int] = field(default_factory=list)
    bases: list[int] = field(default_factory=list)
    values: list[npt.NDArray[Any]] = field(default_factory=list)
    indices: list[npt.NDArray[np.int32]] = field(default_factory=list)
    tables: list[Tables] = field(default_factory=list)
    texts: dict[int, list[str]] = field(default_factory=dict)
    _entries: int = 0

    def add(self, name: str, role: int, column: pa.Array) -> None:
        """Take one more column."""
        if name in NUMBERS:
            self.places.append(len(self.values))
            self.bases.append(0)
            self.values.append(_numbers(column))
            return
        indices, dictionary = _distinct(column)
        self.places.append(len(self.indices))
        self.bases.append(self._entries + 1)  # the entry before is that of null
        self.indices.append(indices)
        tables = _entries(len(dictionary) + 1)
        if name in _ADDRESSES:
            _fill_addresses(dictionary, tables)
        elif role >= codes.FIRST_ID:
            self.texts[role - codes.FIRST_ID] = _fill_ids(dictionary, tables, 12 if name == "account-id" else 0)
        else:
            tables[3][1:] = [_code(text, _WORDS.get(name)) for text in _texts(dictionary)]
        self.tables.append(tables)
        self._entries += len(dictionary) + 1


def _fill_addresses(dictionary: pa.Array, tables: Tables) -> None:
    from sgsim.kernels.flowlog_tokens import parse_addresses

    data, offsets = _bytes_of(dictionary)
    parse_addresses(data, offsets, tables[0][1:], tables[1][1:], tables[2][1:])


def _fill_ids(dictionary: pa.Array, tables: Tables, width: int) -> list[str]:
    """Codes of ids; their texts. Numbers (account ids that a crawler typed so) get their leading zeros back."""
    texts = [text if isinstance(text, str) else str(text).zfill(width) for text in _texts(dictionary)]
    known = tables[3][1:]
    known[:] = np.arange(len(texts), dtype=np.int32)
    for i, text in enumerate(texts):
        if text in _MISSING:
            known[i] = codes.MISSING
        elif len(text) > codes.LIMIT_TEXT or not _PLAIN.fullmatch(text):
            known[i] = codes.NOT_ONE
    return texts


def _code(text: str, words: dict[str, int] | None) -> int:
    """What a word stands for; of the field `type` only whether it is EFA."""
    if words is None:
        return int(text == "EFA")
    return codes.MISSING if text in _MISSING else words.get(text, codes.NOT_ONE)


def _numbers(column: pa.Array) -> npt.NDArray[Any]:
    """An integer or text column as integers: MISSING, NOT_ONE, LARGE, or the number."""
    import pyarrow as pa

    if not pa.types.is_integer(column.type):
        return _translated(column, _number)
    missing = column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None
    values: npt.NDArray[Any] = (column if missing is None else column.fill_null(0)).to_numpy()
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    if missing is None and low >= 0 and high <= codes.LARGEST:
        return values
    large, negative = values > codes.LARGEST, values < 0
    values = values.astype(np.int64)
    values[large], values[negative] = codes.LARGE, codes.NOT_ONE
    if missing is not None:
        values[missing] = codes.MISSING
    return values


def _number(text: str) -> int:
    if text in _MISSING:
        return codes.MISSING
    if not _DIGITS.fullmatch(text):
        return codes.NOT_ONE
    return int(text) if len(text) <= 18 else codes.LARGE


def _translated(column: pa.Array, meaning: Callable[[str], int]) -> npt.NDArray[np.int64]:
    """Each row's text → its meaning, worked out once per distinct text; null means the same as `-`."""
    indices, dictionary = _distinct(column)
    return np.array([*map(meaning, _texts(dictionary)), meaning("-")], np.int64)[indices]


def _distinct(column: pa.Array) -> tuple[npt.NDArray[np.int32], pa.Array]:
    """(index of each row's value in the distinct values, the distinct values); the index -1 stands for null."""
    import pyarrow as pa

    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    indices = encoded.indices
    if indices.null_count:
        indices = indices.fill_null(-1)
    return indices.to_numpy(), encoded.dictionary


def _texts(dictionary: pa.Array) -> list[Any]:
    """Distinct values as texts (integers stay integers), null as `-`; bytes that are no UTF-8 as U+FFFD."""
    import pyarrow as pa

    if pa.types.is_integer(dictionary.type):
        return ["-" if value is None else value for value in dictionary.to_pylist()]
    raw = dictionary.cast(pa.large_binary()).to_pylist()
    return ["-" if value is None else value.decode("utf-8", "replace") for value in raw]


def _bytes_of(dictionary: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes of an Arrow text array and where each value begins and ends."""
    import pyarrow as pa

    plain = dictionary.cast(pa.large_binary()).fill_null(b"-")
    n = len(plain)
    _, offsets, data = plain.buffers()
    if offsets is None or n == 0:
        return np.zeros(0, np.uint8), np.zeros(n + 1, np.int64)
    begins = np.frombuffer(offsets, np.int64)[plain.offset : plain.offset + n + 1]
    return np.frombuffer(data if data is not None else b"", np.uint8), begins
