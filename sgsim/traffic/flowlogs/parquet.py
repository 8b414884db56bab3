"""Parquet flow logs: columns by name, with `-` or `_`, in whatever integer or string type they were written.

Null, `-` and the empty text all mean "not applicable". Text columns are read as dictionaries, so that only distinct
addresses and ids are looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from sgsim.errors import TrafficInputError
from sgsim.kernels import flowlog_codes as codes
from sgsim.traffic.flowlogs.fields import LogFormat
from sgsim.traffic.flowlogs.pieces import ParsedPiece
from sgsim.traffic.flowlogs.rows import NUMBERS
from sgsim.traffic.flowlogs.sources import Source

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ParquetPiece", "counted", "row_pieces"]

_ROWS = 1 << 17  #: of a piece; Arrow hands out the dictionary of a whole row group with each part of it


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
        opened = file if file.seekable() else pa.BufferReader(head + file.read())
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
        for table in reader.iter_batches(batch_size=_ROWS, columns=chosen):
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
        integer = types.is_integer(kind) and (name in NUMBERS or name == "account-id")
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


def counted(piece: ParquetPiece) -> ParsedPiece:
    """What became of rows that are counted only."""
    parsed = ParsedPiece(piece.source, piece.log_format, lines=piece.rows)
    parsed.tallies[piece.kind], parsed.firsts[piece.kind] = piece.rows, 1
    return parsed
