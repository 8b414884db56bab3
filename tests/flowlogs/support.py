"""Helpers of the flow-log tests: batches as plain values, and counts that add up."""

from __future__ import annotations

import io
import ipaddress
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sgsim.traffic.flowlogs import FlowLogBatch, FlowLogCounts, FlowLogScan, scan_flow_logs

from .twin import Twin

ADDRESSES = {"src": "srcaddr", "dst": "dstaddr", "pkt_src": "pkt-srcaddr", "pkt_dst": "pkt-dstaddr"}
IDS = ("account_id", "interface_id", "vpc_id", "subnet_id", "instance_id", "reject_reason")
WORDS = {
    "action": {0: "REJECT", 1: "ACCEPT", 255: None},
    "log_status": {0: "OK", 255: None},
    "flow_direction": {0: "ingress", 1: "egress", -1: None},
}


def rows(batches: Iterable[FlowLogBatch]) -> list[dict[str, Any]]:
    """Every record as a dict of plain values, None where not known."""
    found = []
    for batch in batches:
        check_batch(batch)
        columns: dict[str, list[Any]] = {"source": batch.source.tolist(), "line": batch.line.tolist()}
        for prefix, name in ADDRESSES.items():
            parts = [getattr(batch, f"{prefix}_{part}").tolist() for part in ("family", "hi", "lo")]
            columns[name] = [plain_address(*part) for part in zip(*parts)]
        for name in ("srcport", "dstport", "protocol", "start", "end"):
            columns[name] = getattr(batch, name).tolist()
        for name in ("packets", "bytes", "tcp_flags"):
            columns[name] = [None if value < 0 else value for value in getattr(batch, name).tolist()]
        for name, words in WORDS.items():
            columns[name] = [words[value] for value in getattr(batch, name).tolist()]
        for name in IDS:
            columns[name] = getattr(batch, name).texts()
        found += [dict(zip(columns, values)) for values in zip(*columns.values())]
    return [{name.replace("_", "-"): value for name, value in row.items()} for row in found]


def plain_address(family: int, high: int, low: int) -> Any:
    if family == 0:
        return None
    kind = {4: ipaddress.IPv4Address, 6: ipaddress.IPv6Address}[family]
    return kind(high << 64 | low)


def silences(batches: Iterable[FlowLogBatch]) -> list[tuple[str | None, int, int, str]]:
    found = []
    for batch in batches:
        quiet = batch.silences
        names = [{1: "NODATA", 2: "SKIPDATA"}[status] for status in quiet.status.tolist()]
        found += list(zip(quiet.interface_id.texts(), quiet.start.tolist(), quiet.end.tolist(), names))
    return found


def check_batch(batch: FlowLogBatch) -> None:
    """All columns have the types and lengths that the class promises."""
    types = {
        **{f"{p}_family": np.uint8 for p in ADDRESSES},
        **{f"{p}_{half}": np.uint64 for p in ADDRESSES for half in ("hi", "lo")},
        "srcport": np.uint16, "dstport": np.uint16, "protocol": np.uint8, "packets": np.int64, "bytes": np.int64,
        "start": np.int64, "end": np.int64, "tcp_flags": np.int16, "action": np.uint8, "log_status": np.uint8,
        "flow_direction": np.int8, "source": np.int32, "line": np.int64,
    }  # fmt: skip
    for name, dtype in types.items():
        column = getattr(batch, name)
        assert column.dtype == dtype, name
        assert column.shape == (len(batch),), name
        assert column.flags.c_contiguous, name
    for name in IDS:
        ids = getattr(batch, name)
        assert ids.codes.dtype == np.int32 and len(ids) == len(batch), name
        assert ids.codes.min(initial=0) >= -1 and ids.codes.max(initial=-1) < len(ids.names), name


def scan(*paths: Path | str, **options: Any) -> tuple[list[FlowLogBatch], FlowLogScan]:
    """All batches of some files, their counts being checked."""
    reader = scan_flow_logs([str(path) for path in paths], **options)
    batches = list(reader)
    for index, counts in enumerate(reader.counts):
        assert counts.accounted == counts.lines, counts
        assert counts.ok == sum(int((batch.source == index).sum()) for batch in batches)
        quiet = sum(int((batch.silences.source == index).sum()) for batch in batches)
        assert counts.nodata + counts.skipdata == quiet
    return batches, reader


def classes(counts: FlowLogCounts) -> dict[str, int]:
    """Lines by class, as the twin names them, without zeros."""
    names = ("ok", "nodata", "skipdata", "transit_gateway", "efa", "incomplete", "blank", "header")
    found = {name: getattr(counts, name) for name in names} | counts.causes
    return {name: count for name, count in found.items() if count}


def assert_like_twin(path: Path, twin: Twin, text: bytes, **options: Any) -> None:
    """The reader and the twin, which reads the text, say the same of every line, if the file is usable."""
    batches, reader = scan(path, **options)
    counts = reader.counts[0]
    if "file not usable" in counts.causes:
        assert not options.get("strict", True)
        return
    twin.read(text)
    assert classes(counts) == dict(twin.classes)
    assert counts.lines == twin.lines
    assert silences(batches) == twin.silences
    found = rows(batches)
    assert len(found) == len(twin.records)
    for row, record in zip(found, twin.records):
        wanted = {name: record.get(name) for name in row if name != "source"}
        for port in ("srcport", "dstport"):
            wanted[port] = wanted[port] or 0
        assert {name: row[name] for name in wanted} == wanted


def give_stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Let standard input be a pipe that holds some bytes."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: Any) -> int:
            raise io.UnsupportedOperation("seek")

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Pipe(data))))  # type: ignore[type-var]
