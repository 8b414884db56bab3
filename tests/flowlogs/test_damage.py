"""Damaged logs by the thousand: a typed error or counted lines, never a traceback, a hang or a count that is off.

Text is also held against the twin, which reads the damaged text too.
"""

from __future__ import annotations

import gzip
import json
import random
from functools import cache
from pathlib import Path

import pytest

from sgsim.errors import TrafficInputError
from sgsim.traffic.flowlogs import DEFAULT_FIELDS, scan_flow_logs
from sgsim.traffic.flowlogs.generate import random_records
from sgsim.traffic.flowlogs.write import to_text, write_parquet

from .damage import mutated
from .support import assert_like_twin, classes, scan
from .twin import Twin

FIELDS = (*DEFAULT_FIELDS, "tcp-flags", "pkt-srcaddr", "pkt-dstaddr", "flow-direction")
SOME = 25  # lines of a log


@pytest.mark.parametrize("header", [True, False])
def test_text(tmp_path: Path, header: bool) -> None:
    """2 000 damaged texts: each line in the class that the twin says, unless a needed name was lost."""
    path = tmp_path / "a.log"
    for seed in range(1000):
        rng = random.Random(f"{header}{seed}")
        text = mutated(whole_text(seed % 50, header), rng)
        path.write_bytes(text)
        given = None if header else " ".join(f"${{{name}}}" for name in FIELDS)
        twin = Twin() if header else Twin(list(FIELDS), False)
        assert_like_twin(path, twin, text.removeprefix(b"\xef\xbb\xbf"), strict=False, log_format=given)


@cache
def whole_text(seed: int, header: bool) -> bytes:
    return to_text(random_records(seed, SOME, FIELDS, silent=0.1), header=header)


@cache
def whole_file(kind: str, seed: int, directory: Path) -> bytes:
    if kind == "gzip":
        return gzip.compress(whole_text(seed, header=True))
    if kind == "json":
        lines = whole_text(seed, header=False).decode().splitlines()
        events = [{"id": "1", "message": line} for line in lines]
        return json.dumps({"messageType": "DATA_MESSAGE", "logEvents": events}).encode()
    records = random_records(seed, SOME, FIELDS, silent=0.1)
    return write_parquet(records, directory / "whole", compression=("gzip", "none")[seed % 2]).read_bytes()


@pytest.mark.parametrize("kind", ["gzip", "json", "parquet"])
def test_other_forms(tmp_path: Path, kind: str) -> None:
    """3 000 damaged files: an error of one line, or counts that add up (which `scan` checks)."""
    path = tmp_path / "a.log"
    refused = 0
    for seed in range(1000):
        rng = random.Random(f"{kind}{seed}")
        data = whole_file(kind, seed % 50, tmp_path)
        if kind == "gzip" and seed % 4 == 0:
            data = gzip.compress(mutated(gzip.decompress(data), rng))
        path.write_bytes(mutated(data, rng))
        try:
            _, reader = scan(path, strict=False)
        except TrafficInputError as error:
            assert "\n" not in str(error)
            refused += 1
            continue
        assert sum(classes(reader.counts[0]).values()) == reader.counts[0].lines
    assert refused < 1000


def test_strict_errors_are_typed(tmp_path: Path) -> None:
    """500 damaged headers: what cannot be used is refused with one line that names the file."""
    path = tmp_path / "a.log"
    for seed in range(500):
        rng = random.Random(seed)
        header, _, rest = whole_text(seed % 50, header=True).partition(b"\n")
        path.write_bytes(mutated(header, rng) + b"\n" + rest)
        try:
            for batch in scan_flow_logs([path]):
                assert len(batch) <= SOME
        except TrafficInputError as error:
            assert str(path) in str(error) and "\n" not in str(error)


def test_a_million_lines_of_prose(tmp_path: Path) -> None:
    """Text whose every line might be a header costs no more than other text."""
    path = tmp_path / "a.log"
    path.write_bytes(b"all work and no play\n" * 200_000)
    with pytest.raises(TrafficInputError, match="no header line"):
        scan(path)
