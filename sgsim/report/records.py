"""One record a row: JSONL, CSV, VPC flow log, Parquet; written batch by batch.

Text is joined by pyarrow's column kernels, never row by row: a million records take seconds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any, BinaryIO, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sgsim.report.columns import Coded, Column, Names, Numbers
from sgsim.report.schemas import RECORD_SCHEMA
from sgsim.verdicts import Verdict

__all__ = ["RECORD_FORMATS", "RecordWriter", "record_writer"]


class RecordWriter(Protocol):
    """Takes batches of records; `finish` completes the document and returns notes for people about what it lacks."""

    def write(self, verdicts: Any) -> None: ...

    def finish(self) -> list[str]: ...


def record_writer(format_: str, output: BinaryIO, names: Names) -> RecordWriter:
    """The writer of one of RECORD_FORMATS."""
    return _WRITERS[format_](output, names)


class _Lines:
    """Writes lines whose pieces are joined column by column. Nothing is written before there is a batch or the end."""

    header = ""

    def __init__(self, output: BinaryIO, names: Names) -> None:
        self.output, self.names = output, names
        self.begun = False

    def begin(self) -> None:
        if not self.begun:
            self.output.write(self.header.encode())
            self.begun = True

    def pieces(self, columns: dict[str, Column]) -> list[Any]:
        """What a line is made of, in order: constants and columns of text."""
        raise NotImplementedError

    def write(self, verdicts: Any) -> None:
        for block in self.names.blocks(verdicts):
            self.write_columns(self.names.columns(block))

    def finish(self) -> list[str]:
        self.begin()
        return []

    def write_columns(self, columns: dict[str, Column]) -> None:
        self.begin()
        lines = pc.binary_join_element_wise(*self.pieces(columns), "")
        self.output.write(_content(lines))


class JsonlWriter(_Lines):
    """One JSON object a line; null for what a record does not have."""

    def pieces(self, columns: dict[str, Column]) -> list[Any]:
        parts: list[Any] = []
        for name, column in columns.items():
            key = f',"{name}":'
            if isinstance(column, Coded):  # the key goes into the distinct values: one piece less to join
                parts.append(_texts(column, partial(_json_member, key), key + "null"))
            else:
                parts += [key, _texts(column, _json_text, "null")]
        return ["{" + f'"schema":"{RECORD_SCHEMA}"', *parts, "}\n"]


class CsvWriter(_Lines):
    """RFC 4180 with a header line; `-` for what a record does not have, rule ids separated by blanks."""

    def __init__(self, output: BinaryIO, names: Names) -> None:
        super().__init__(output, names)
        self.header = ",".join(names.fields) + "\n"

    def pieces(self, columns: dict[str, Column]) -> list[Any]:
        return _separated([_texts(column, _csv_text, "-") for column in columns.values()], ",")


class FlowLogWriter(_Lines):
    """VPC flow log, version 2, default fields. What that cannot say is left out and counted."""

    FIELDS = (
        "account_id", "interface_id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes",
        "start", "end", "action",
    )  # fmt: skip

    def __init__(self, output: BinaryIO, names: Names) -> None:
        super().__init__(output, names)
        self.unknown = 0
        self.header = " ".join(["version", *(name.replace("_", "-") for name in self.FIELDS), "log-status\n"])

    def write(self, verdicts: Any) -> None:
        for block in self.names.blocks(verdicts):
            judged = self.names.verdicts_of(block)
            sayable = (judged.action != Verdict.UNKNOWN) & (judged.interface >= 0)
            self.unknown += int(np.count_nonzero(~sayable))
            columns = self.names.columns(block)
            self.write_columns({name: _filtered(columns[name], sayable) for name in self.FIELDS})

    def pieces(self, columns: dict[str, Column]) -> list[Any]:
        texts = [_texts(column, _flow_log_text, "-") for column in columns.values()]
        return ["2 ", *_separated(texts, " ")[:-1], " OK\n"]

    def finish(self) -> list[str]:
        super().finish()
        if not self.unknown:
            return []
        return [f"{self.unknown} UNKNOWN records left out: a flow log knows only ACCEPT and REJECT"]


class ParquetWriter:
    """Apache Parquet (zstd); null for what a record does not have."""

    ROW_GROUP = 1 << 20

    def __init__(self, output: BinaryIO, names: Names) -> None:
        self.output, self.names = output, names
        fields = [(name, _TYPES.get(name, pa.string())) for name in names.fields]
        self.schema = pa.schema(fields).with_metadata({"sgsim_schema": RECORD_SCHEMA})
        self.waiting: list[Any] = []

    @cached_property
    def writer(self) -> Any:
        """Opened with the first row group or at the end."""
        import pyarrow.parquet as pq

        return pq.ParquetWriter(self.output, self.schema, compression="zstd")

    def write(self, verdicts: Any) -> None:
        for block in self.names.blocks(verdicts):
            columns = self.names.columns(block).values()
            arrays = [_array(column, field.type) for column, field in zip(columns, self.schema)]
            self.waiting.append(pa.RecordBatch.from_arrays(arrays, schema=self.schema))
            if sum(len(batch) for batch in self.waiting) >= self.ROW_GROUP:
                self._flush()

    def _flush(self) -> None:
        if self.waiting:
            self.writer.write_table(pa.Table.from_batches(self.waiting), row_group_size=self.ROW_GROUP)
            self.waiting = []

    def finish(self) -> list[str]:
        self._flush()
        self.writer.close()
        return []


_WRITERS: dict[str, Callable[[BinaryIO, Names], RecordWriter]] = {
    "flowlog": FlowLogWriter,
    "jsonl": JsonlWriter,
    "csv": CsvWriter,
    "parquet": ParquetWriter,
}
RECORD_FORMATS = tuple(_WRITERS)

_TYPES: dict[str, Any] = {
    **dict.fromkeys(("srcport", "dstport", "protocol", "tcp_flags", "icmp_type", "icmp_code", "snapshot"), pa.int32()),
    **dict.fromkeys(("packets", "bytes", "start", "end", "flow_id"), pa.int64()),
    **dict.fromkeys(("fragment", "initiating"), pa.bool_()),
    **dict.fromkeys(("rule_ids", "possible_rule_ids"), pa.list_(pa.string())),
}


def _array(column: Column, type_: Any) -> Any:
    """The column as an Arrow array of the given type."""
    if isinstance(column, Numbers):
        absent = None if column.absent is None else column.values == column.absent
        return pa.array(column.values, type_, mask=absent, from_pandas=False)
    return pa.array(column.values, type_).take(pa.array(column.codes))


def _texts(column: Column, text: Callable[[Any], str], absent: str) -> Any:
    """The column as an Arrow array of text: one text per distinct value where the column is coded."""
    if isinstance(column, Coded):
        used, codes = (
            np.unique(column.codes, return_inverse=True) if len(column.values) > 1024 else (None, column.codes)
        )
        values = column.values if used is None else [column.values[code] for code in used.tolist()]
        made = pa.array([absent if value is None else text(value) for value in values], pa.string())
        return made.take(pa.array(codes))
    if column.values.dtype == np.bool_:
        return pa.array(["false", "true"], pa.string()).take(pa.array(column.values.astype(np.int8)))
    numbers = pa.array(column.values).cast(pa.string())
    if column.absent is None:
        return numbers
    return pc.if_else(pa.array(column.values == column.absent), absent, numbers)


def _json_text(value: str | tuple[str, ...]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _json_member(key: str, value: str | tuple[str, ...]) -> str:
    return key + _json_text(value)


def _csv_text(value: str | tuple[str, ...]) -> str:
    text = value if isinstance(value, str) else " ".join(value) or "-"
    return '"' + text.replace('"', '""') + '"' if re.search(r'[",\r\n]', text) else text


def _flow_log_text(value: str) -> str:
    return re.sub(r"\s", "_", value) or "-"  # a blank would shift the fields behind it


def _separated(texts: Sequence[Any], separator: str) -> list[Any]:
    parts: list[Any] = []
    for text in texts:
        parts += [text, separator]
    return [*parts[:-1], "\n"]


def _filtered(column: Column, keep: Any) -> Column:
    if isinstance(column, Numbers):
        return Numbers(column.values[keep], column.absent)
    return Coded(column.codes[keep], column.values)


def _content(lines: Any) -> memoryview:
    """The bytes of all strings of an array, one after the other, without copying."""
    _, offsets, data = lines.buffers()
    bounds = np.frombuffer(offsets, np.int32)[lines.offset : lines.offset + len(lines) + 1]
    return memoryview(data)[int(bounds[0]) : int(bounds[-1])]
