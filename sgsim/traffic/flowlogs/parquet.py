"""Parquet flow logs: columns by name, with `-` or `_`, in whatever integer or string type they were written.

Null, `-` and the empty text all mean "not applicable". Text columns are read as dictionaries, so that only distinct
addresses and ids are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from sgsim.errors import TrafficInputError
from sgsim.kernels import flowlog_codes as codes
from sgsim.traffic.flowlogs.batch import ABSENT, NODATA, SKIPDATA, FlowLogBatch, Ids, Silences
from sgsim.traffic.flowlogs.builder import CAPACITY
from sgsim.traffic.flowlogs.fields import LogFormat
from sgsim.traffic.flowlogs.pieces import ParsedPiece, Span
from sgsim.traffic.flowlogs.sources import STDIN, Source

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ParquetPiece", "parse_rows", "row_pieces"]

Numbers = npt.NDArray[np.int64]
Kinds = npt.NDArray[np.uint8]

_ADDRESSES = ("srcaddr", "dstaddr", "pkt-srcaddr", "pkt-dstaddr")
_NUMBERS = {
    "srcport": (65535, codes.PORT),
    "dstport": (65535, codes.PORT),
    "protocol": (255, codes.PROTOCOL_RANGE),
    "packets": (10**18 - 1, codes.TOO_LARGE),
    "bytes": (10**18 - 1, codes.TOO_LARGE),
    "start": (codes.LIMIT_TIME - 1, codes.TIME_RANGE),
    "end": (codes.LIMIT_TIME - 1, codes.TIME_RANGE),
    "tcp-flags": (255, codes.TOO_LARGE),
}
_WORDS = {
    "action": ({"REJECT": 0, "ACCEPT": 1}, codes.BAD_ACTION),
    "log-status": ({"OK": codes.OK, "NODATA": codes.NODATA, "SKIPDATA": codes.SKIPDATA}, codes.BAD_STATUS),
    "flow-direction": ({"ingress": 0, "egress": 1}, codes.BAD_DIRECTION),
}
_IDS = ("account-id", "interface-id", "vpc-id", "subnet-id", "instance-id", "reject-reason")
_OTHER = -1  # a word that stands for nothing here
_MISSING = ("-", "")
_DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class ParquetPiece:
    """Some rows of a file, projected to the columns that are read; `rows` without `table` are counted only.

    `kind` is the class of rows that are counted only.
    """

    source: int
    name: str
    log_format: LogFormat
    first: bool
    bytes_read: int
    rows: int
    table: pa.RecordBatch | None = None
    kind: int = codes.OK
    stop: int = 0


def row_pieces(
    file: BinaryIO, head: bytes, source: Source, index: int, wanted: Collection[str], notes: list[str], *, strict: bool
) -> Iterator[ParquetPiece]:
    """The rows of a Parquet file. Raises TrafficInputError where it is no flow log, or (unless strict) counts rows."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        opened = pa.BufferReader(head + file.read()) if source.name == STDIN else file
        reader = parquet.ParquetFile(opened)
        schema, total = reader.schema_arrow, reader.metadata.num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(source, error) from error
    log_format = LogFormat(tuple(name.replace("_", "-") for name in schema.names), "schema")
    size = source.size or len(head)
    try:
        _check(log_format, schema, source)
    except TrafficInputError as error:
        if strict:
            raise
        notes.append(str(error))
        yield ParquetPiece(index, source.name, log_format, True, size, total, kind=codes.UNUSABLE)
        return
    if log_format.is_transit_gateway:
        yield ParquetPiece(index, source.name, log_format, True, size, total, kind=codes.TRANSIT_GATEWAY)
        return
    read = log_format.read(wanted)
    chosen = [name for name in schema.names if name.replace("_", "-") in read]
    texts = [name for name in chosen if not pa.types.is_integer(schema.field(name).type)]
    done, first = 0, True
    try:
        reader = parquet.ParquetFile(opened, read_dictionary=texts)
        for table in reader.iter_batches(batch_size=CAPACITY, columns=chosen):
            share = size * table.num_rows // max(total, 1)
            yield ParquetPiece(index, source.name, log_format, first, share, table.num_rows, table)
            done, first = done + table.num_rows, False
    except (pa.ArrowException, OSError, ValueError) as error:
        notes.append(f"rows from {done + 1} on cannot be read: {_one_line(error)}")
        yield ParquetPiece(index, source.name, log_format, first, 0, max(total - done, 1), kind=codes.DAMAGED)


def _check(log_format: LogFormat, schema: pa.Schema, source: Source) -> None:
    """Raise TrafficInputError unless the needed columns are there, in types that can be read."""
    import pyarrow as pa

    log_format.check(source=source.name, where="Parquet schema")
    types = pa.types
    for name, field in zip(log_format.names, schema, strict=True):
        if name not in log_format.read() or log_format.is_transit_gateway:
            continue
        kind = field.type.value_type if types.is_dictionary(field.type) else field.type
        text = types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind)
        integer = types.is_integer(kind) and (name in _NUMBERS or name == "account-id")
        if not (text or integer):
            raise TrafficInputError(
                f"column {field.name!r} has the type {field.type}",
                source=source.name,
                where="Parquet schema",
                advice="flow logs have integers and strings there",
            )


def _damaged(source: Source, error: Exception) -> TrafficInputError:
    return TrafficInputError(f"damaged Parquet file: {_one_line(error)}", source=source.name, advice="fetch it again")


def _one_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def parse_rows(piece: ParquetPiece, wanted: Collection[str]) -> tuple[list[FlowLogBatch], list[ParsedPiece]]:
    """The records among the rows of a piece, as one batch, and what became of each row."""
    parsed = ParsedPiece(piece.source, piece.log_format, lines=piece.rows)
    if piece.table is None:
        parsed.tallies[piece.kind], parsed.firsts[piece.kind] = piece.rows, 1
        return [], [parsed]
    rows = _Rows(piece.table)
    kinds = rows.classify()
    parsed.tallies[:] = np.bincount(kinds, minlength=codes.CLASSES)
    for kind in np.flatnonzero(parsed.tallies).tolist():
        parsed.firsts[kind] = int(np.argmax(kinds == kind)) + 1
    batch = rows.batch(kinds, piece.log_format.read(wanted), piece.source)
    if not len(batch) and not len(batch.silences):
        return [], [parsed]
    parsed.spans.append(Span(0, 0, len(batch)))
    return [batch], [parsed]


class _Rows:
    """The columns of a record batch as numpy arrays, each beside the rows where it is malformed."""

    def __init__(self, table: pa.RecordBatch) -> None:
        self.n = table.num_rows
        self.problems: list[Kinds] = []
        self.families: dict[str, Kinds] = {}
        self.halves: dict[str, tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]] = {}
        self.numbers: dict[str, Numbers] = {}
        self.silence_problems: list[Kinds] = []
        self.words: dict[str, Numbers] = {}
        self.status_problem: Kinds | None = None
        self.efa: npt.NDArray[np.bool_] | None = None
        self.ids: dict[str, Ids] = {}
        for name, column in zip(table.schema.names, table.columns, strict=True):
            self._read(name.replace("_", "-"), column)

    def _read(self, name: str, column: pa.Array) -> None:
        if name in _ADDRESSES:
            self._read_address(name, column)
        elif name in _NUMBERS:
            limit, cause = _NUMBERS[name]
            self.numbers[name], problem = _numbers(column, limit, cause)
            self._note(problem)
            if problem is not None and name in ("start", "end"):
                self.silence_problems.append(problem)
        elif name in _WORDS:
            meanings, cause = _WORDS[name]
            values = _translate(column, lambda text: -1 if text in _MISSING else meanings.get(text, -2))
            problem = np.where(values == -2, np.uint8(cause), np.uint8(0)) if values.min(initial=0) < -1 else None
            self._note(problem)
            self.words[name] = values
            if name == "log-status":
                self.status_problem = problem
        elif name == "type":
            self.efa = _translate(column, lambda text: int(text == "EFA")).astype(bool)
        elif name in _IDS:
            self._read_ids(name, column)

    def _note(self, problem: Kinds | None) -> None:
        if problem is not None:
            self.problems.append(problem)

    def _read_address(self, name: str, column: pa.Array) -> None:
        from sgsim.kernels.flowlog_tokens import parse_addresses

        indices, dictionary = _distinct(column)
        data, offsets = _bytes_of(dictionary)
        n = len(dictionary)
        families, high, low = np.zeros(n + 1, np.uint8), np.zeros(n + 1, np.uint64), np.zeros(n + 1, np.uint64)
        parse_addresses(data, offsets, families[:n], high[:n], low[:n])
        self.families[name] = families[indices]
        self.halves[name] = high[indices], low[indices]
        if (families == 255).any():
            self._note(np.where(self.families[name] == 255, np.uint8(codes.ADDRESS), np.uint8(0)))

    def _read_ids(self, name: str, column: pa.Array) -> None:
        indices, dictionary = _distinct(column)
        width = 12 if name == "account-id" else 0
        names = [text if isinstance(text, str) else str(text).zfill(width) for text in _texts(dictionary)]
        remap = np.arange(len(names) + 1, dtype=np.int32)
        remap[-1] = -1
        bad = [i for i, text in enumerate(names) if len(text) > codes.LIMIT_TEXT or not _is_plain(text)]
        for i, text in enumerate(names):
            if text in _MISSING:
                remap[i] = -1
        self.ids[name] = Ids(remap[indices], names)
        if bad:
            problem = np.where(np.isin(indices, bad), np.uint8(codes.BAD_TEXT), np.uint8(0))
            self._note(problem)
            if name in ("account-id", "interface-id"):
                self.silence_problems.append(problem)

    def classify(self) -> Kinds:
        """The class of every row, in the same order of precedence as for text."""
        kinds = np.zeros(self.n, np.uint8)
        self._judge(kinds)
        for problem in reversed(self.problems):
            np.copyto(kinds, problem, where=problem != 0)
        if self.efa is not None:
            kinds[self.efa] = codes.EFA
        status = self.words.get("log-status")
        if status is not None and status.max(initial=0) > codes.OK:
            self._judge_silences(kinds, status)
        if self.status_problem is not None:
            np.copyto(kinds, self.status_problem, where=self.status_problem != 0)
        return kinds

    def _judge(self, kinds: Kinds) -> None:
        """Records whose fields are well-formed: incomplete, contradictory, or OK."""
        numbers, none = self.numbers, np.zeros(self.n, np.uint8)
        source, destination, packet_source, packet_destination = (self.families.get(name, none) for name in _ADDRESSES)
        best_source = np.where(packet_source != 0, packet_source, source)
        best_destination = np.where(packet_destination != 0, packet_destination, destination)
        kinds[numbers["end"] < numbers["start"]] = codes.END_FIRST
        differ = (best_source != best_destination) | ((source != destination) & (source != 0) & (destination != 0))
        kinds[differ] = codes.FAMILIES
        protocol = numbers["protocol"]
        ports = np.minimum(numbers["srcport"], numbers["dstport"])
        missing = (best_source == 0) | (best_destination == 0) | (protocol < 0)
        missing |= (numbers["start"] < 0) | (numbers["end"] < 0)
        missing |= (ports < 0) & ((protocol == 6) | (protocol == 17))
        kinds[missing] = codes.INCOMPLETE

    def _judge_silences(self, kinds: Kinds, status: Numbers) -> None:
        silent = (status == codes.NODATA) | (status == codes.SKIPDATA)
        start, end = self.numbers["start"], self.numbers["end"]
        judged = status.astype(np.uint8)
        judged[end < start] = codes.END_FIRST
        judged[(start < 0) | (end < 0)] = codes.NOT_A_NUMBER
        for problem in reversed(self.silence_problems):
            np.copyto(judged, problem, where=problem != 0)
        np.copyto(kinds, judged, where=silent)

    def batch(self, kinds: Kinds, fields: frozenset[str], source: int) -> FlowLogBatch:
        """The rows of class OK as columns, and those of NODATA and SKIPDATA."""
        keep: Any = slice(None) if not kinds.any() else np.flatnonzero(kinds == codes.OK)
        n = self.n if isinstance(keep, slice) else len(keep)
        silent = np.flatnonzero((kinds == codes.NODATA) | (kinds == codes.SKIPDATA))

        def number(name: str, dtype: npt.DTypeLike, unknown: int) -> npt.NDArray[Any]:
            return np.full(n, unknown, dtype) if name not in self.numbers else self.numbers[name][keep].astype(dtype)

        def port(name: str) -> npt.NDArray[np.uint16]:
            known: Numbers = np.maximum(self.numbers[name][keep], 0)
            return known.astype(np.uint16)

        def word(name: str, dtype: npt.DTypeLike, unknown: int) -> npt.NDArray[Any]:
            if name not in self.words:
                return np.full(n, unknown, dtype)
            values = self.words[name][keep]
            return np.where(values < 0, unknown, values).astype(dtype)

        def ids(name: str, rows: Any, size: int) -> Ids:
            if name not in self.ids:
                return Ids(np.full(size, -1, np.int32), [])
            return Ids(np.ascontiguousarray(self.ids[name].codes[rows]), self.ids[name].names)

        columns: dict[str, Any] = {name.replace("-", "_"): ids(name, keep, n) for name in _IDS}
        for prefix, name in zip(("src", "dst", "pkt_src", "pkt_dst"), _ADDRESSES):
            for part, values in zip(("family", "hi", "lo"), self._address(name, keep, n)):
                columns[f"{prefix}_{part}"] = values
        return FlowLogBatch(
            fields=fields,
            **columns,
            srcport=port("srcport"),
            dstport=port("dstport"),
            protocol=number("protocol", np.uint8, 0),
            packets=number("packets", np.int64, -1),
            bytes=number("bytes", np.int64, -1),
            start=number("start", np.int64, 0),
            end=number("end", np.int64, 0),
            tcp_flags=number("tcp-flags", np.int16, -1),
            action=word("action", np.uint8, ABSENT),
            log_status=word("log-status", np.uint8, ABSENT),
            flow_direction=word("flow-direction", np.int8, -1),
            source=np.full(n, source, np.int32),
            line=np.arange(1, self.n + 1, dtype=np.int64)[keep],
            silences=Silences(
                account_id=ids("account-id", silent, len(silent)),
                interface_id=ids("interface-id", silent, len(silent)),
                start=self.numbers["start"][silent],
                end=self.numbers["end"][silent],
                status=np.where(kinds[silent] == codes.NODATA, NODATA, SKIPDATA).astype(np.uint8),
                source=np.full(len(silent), source, np.int32),
            ),
        )

    def _address(self, name: str, keep: Any, n: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
        if name not in self.families:
            return np.zeros(n, np.uint8), np.zeros(n, np.uint64), np.zeros(n, np.uint64)
        high, low = self.halves[name]
        return self.families[name][keep], high[keep], low[keep]


def _numbers(column: pa.Array, limit: int, cause: int) -> tuple[Numbers, Kinds | None]:
    """An integer or text column as int64, -1 where missing; where it is malformed, or None if nowhere."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_integer(column.type):
        if column.null_count:
            missing = column.is_null().to_numpy(zero_copy_only=False)
            values = pc.cast(column.fill_null(0), pa.int64(), safe=False).to_numpy().copy()
            negative = values < 0
            values[missing] = -1
            wrong = negative if negative.any() else None
        else:
            values = pc.cast(column, pa.int64(), safe=False).to_numpy()
            wrong = values < 0 if len(values) and values.min() < 0 else None
    else:
        values = _translate(column, _number)
        wrong = values == -2 if values.min(initial=0) < -1 else None
    large = values.max(initial=0) > limit
    if wrong is None and not large:
        return values, None
    problem = np.zeros(len(values), np.uint8)
    if large:
        problem[values > limit] = cause
        problem[values > 10**18 - 1] = codes.TOO_LARGE
    if wrong is not None:
        problem[wrong] = codes.NOT_A_NUMBER
    return values, problem


def _number(text: str) -> int:
    """A number in text: -1 missing, -2 malformed; what has more than 18 digits becomes too large for anything."""
    if text in _MISSING:
        return -1
    if not _DIGITS.fullmatch(text):
        return -2
    return int(text) if len(text) <= 18 else 10**18


def _translate(column: pa.Array, meaning: Callable[[str], int]) -> Numbers:
    """Each row's text → its meaning, worked out once per distinct text; null means the same as `-`."""
    indices, dictionary = _distinct(column)
    return np.array([*map(meaning, _texts(dictionary)), meaning("-")], np.int64)[indices]


def _distinct(column: pa.Array) -> tuple[npt.NDArray[np.int64], pa.Array]:
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


def _is_plain(text: str) -> bool:
    return all(32 < ord(c) < 127 for c in text)
