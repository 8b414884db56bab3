"""Generated records → VPC flow logs: text, gzip or Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, Any

import numpy as np

from sgsim.generate import text
from sgsim.generate.records import LogRecords
from sgsim.model import Environment

__all__ = ["FIELDS", "write_parquet", "write_text"]

FIELDS = (
    "version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes",
    "start", "end", "action", "log-status", "tcp-flags", "flow-direction",
)  # fmt: skip
_SLICE = 1 << 15  # records whose text is made in one go: its bytes stay in the cache


class _Names:
    """What records say of interfaces, as rows of bytes."""

    def __init__(self, environment: Environment) -> None:
        interfaces = environment.interfaces
        self.interface = text.choices(list(interfaces))
        self.account = text.choices([one.account_id or "-" for one in interfaces.values()])
        self.action = text.choices(["REJECT", "ACCEPT"])
        self.direction = text.choices(["ingress", "egress"])


def write_text(records: Iterable[LogRecords], environment: Environment, output: IO[bytes]) -> int:
    """Write a log of version 5 with a header line; returns how many records it has."""
    names, count = _Names(environment), 0
    output.write(" ".join(FIELDS).encode() + b"\n")
    for chunk in records:
        count += len(chunk)
        for rows in _slices(len(chunk)):
            output.write(text.lines(_texts(chunk, rows, names)))
    return count


def _slices(n: int) -> Iterator[slice]:
    for begin in range(0, n, _SLICE):
        yield slice(begin, min(begin + _SLICE, n))


def _texts(chunk: LogRecords, rows: slice, names: _Names) -> list[text.Texts]:
    """The texts of the fields, in order."""
    flows, flow, reply = chunk.flows, chunk.flow[rows], chunk.reply[rows]
    n = len(flow)
    family = flows.family[flow]
    source = text.addresses(family, *(_either(reply, *pair, flow) for pair in _halves(flows, reply=False)))
    target = text.addresses(family, *(_either(reply, *pair, flow) for pair in _halves(flows, reply=True)))
    srcport = _either(reply, flows.srcport, flows.dstport, flow).astype(np.int64)
    dstport = _either(reply, flows.dstport, flows.srcport, flow).astype(np.int64)
    interface = chunk.interface[rows]
    return [
        np.broadcast_to(text.choices(["5"]), (n, 1)),
        names.account[interface],
        names.interface[interface],
        source,
        target,
        *(text.numbers(column) for column in (srcport, dstport, flows.protocol[flow].astype(np.int64))),
        *(text.numbers(column[rows]) for column in (chunk.packets, chunk.bytes, chunk.start, chunk.end)),
        names.action[chunk.accepted[rows].astype(np.intp)],
        np.broadcast_to(text.choices(["OK"]), (n, 2)),
        text.numbers(chunk.tcp_flags[rows].astype(np.int64)),
        names.direction[chunk.direction[rows]],
    ]


def _halves(flows: Any, *, reply: bool) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """(high, low) pairs of columns: what a record's source is, of a request and of a reply; or its destination."""
    pairs = (flows.src_hi, flows.dst_hi), (flows.src_lo, flows.dst_lo)
    return (pairs[0][::-1], pairs[1][::-1]) if reply else pairs


def _either(reply: Any, asked: Any, answered: Any, flow: Any) -> Any:
    return np.where(reply, answered[flow], asked[flow])


def write_parquet(records: Iterable[LogRecords], environment: Environment, output: IO[bytes]) -> int:
    """Write Parquet as AWS does: gzip inside, names with underscores; returns how many records it has."""
    import pyarrow as pa
    from pyarrow import parquet

    names, count = _Names(environment), 0
    narrow, wide = {"version", "srcport", "dstport", "protocol", "tcp-flags"}, {"packets", "bytes", "start", "end"}
    kinds = {name: pa.int32() if name in narrow else pa.int64() if name in wide else pa.string() for name in FIELDS}
    schema = pa.schema([(name.replace("-", "_"), kind) for name, kind in kinds.items()])
    with parquet.ParquetWriter(output, schema, compression="gzip") as writer:
        for chunk in records:
            count += len(chunk)
            texts = _texts(chunk, slice(0, len(chunk)), names)
            arrays = [_strings(texts[place]) for place in range(len(FIELDS))]
            columns = [array.cast(kind) for array, kind in zip(arrays, kinds.values())]
            writer.write_table(pa.table(columns, schema=schema))
    return count


def _strings(texts: text.Texts) -> Any:
    import pyarrow as pa

    offsets, data = text.strings(np.ascontiguousarray(texts))
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(data))
