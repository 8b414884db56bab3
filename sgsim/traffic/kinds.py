"""Captures or flow logs? What the files hold decides, not what they are called."""

from __future__ import annotations

import os
import stat
import sys
import zlib
from collections.abc import Sequence
from enum import Enum
from itertools import islice
from pathlib import Path

from sgsim.errors import ModelError, TrafficInputError
from sgsim.model import parse_address

__all__ = ["TrafficKind", "kind_of_traffic"]

_HEAD = 1 << 16
_CAPTURES = tuple(
    bytes.fromhex(text) for text in ("a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1", "a1b2cd34", "34cdb2a1", "0a0d0d0a")
)
_GZIP, _ZSTD, _PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
_MOST_LINES = 20  #: of a file
_MOST_LOOKED_AT = 50  #: files of a directory


class TrafficKind(Enum):
    """What traffic is given as."""

    CAPTURES = "captures"
    FLOW_LOGS = "flow logs"


def kind_of_traffic(paths: Sequence[str | os.PathLike[str]]) -> TrafficKind:
    """What the given paths hold; what cannot be told counts as captures, whose reader then says what is wrong.

    Raises TrafficInputError if both kinds are among them.
    """
    kinds = {os.fspath(path): _kind(os.fspath(path)) for path in paths}
    logs = [name for name, kind in kinds.items() if kind is TrafficKind.FLOW_LOGS]
    captures = [name for name, kind in kinds.items() if kind is TrafficKind.CAPTURES]
    if logs and captures:
        raise TrafficInputError(
            f"this is a capture, and {logs[0]} a flow log", source=captures[0], advice="replay them one after the other"
        )
    return TrafficKind.FLOW_LOGS if logs else TrafficKind.CAPTURES


def _kind(path: str) -> TrafficKind | None:
    """What one path holds, None if that cannot be told."""
    if path.startswith("s3://"):
        return TrafficKind.FLOW_LOGS
    if path == "-":
        return _kind_of_head(_peeked())
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return TrafficKind.FLOW_LOGS if set(path) & set("*?[") else None
    if stat.S_ISDIR(mode):
        return _kind_of_directory(Path(path))
    return _kind_of_file(Path(path)) if stat.S_ISREG(mode) else None


def _kind_of_directory(path: Path) -> TrafficKind | None:
    """Only flow logs come in directories; one that holds captures is for the capture reader to refuse."""
    files = (file for file in sorted(path.rglob("*")) if file.is_file() and not file.name.startswith("."))
    kinds = [_kind_of_file(file) for file in islice(files, _MOST_LOOKED_AT)]
    return TrafficKind.CAPTURES if TrafficKind.CAPTURES in kinds else TrafficKind.FLOW_LOGS


def _kind_of_file(path: Path) -> TrafficKind | None:
    try:
        with path.open("rb") as file:
            return _kind_of_head(file.read(_HEAD))
    except OSError:
        return None


def _peeked() -> bytes:
    """The first bytes of standard input, left to be read again."""
    peek = getattr(sys.stdin.buffer, "peek", None)
    try:
        return peek(4096) if peek else b""
    except (OSError, ValueError):
        return b""


def _kind_of_head(head: bytes) -> TrafficKind | None:
    if head.startswith(_GZIP):
        try:
            head = zlib.decompressobj(31).decompress(head, _HEAD)
        except zlib.error:
            return None
    if head.startswith(_CAPTURES) or head.startswith(_ZSTD):
        return TrafficKind.CAPTURES
    if head.startswith(_PARQUET) or _is_log_text(head.removeprefix(b"\xef\xbb\xbf")):
        return TrafficKind.FLOW_LOGS
    return None


def _is_log_text(head: bytes) -> bool:
    """A header line, records (of the default format, or of any that shows addresses), or JSON, which no capture is."""
    from sgsim.traffic.flowlogs.fields import header_fields

    if head[:1] in (b"{", b"["):
        return True
    lines = head.split(b"\n", _MOST_LINES)[:_MOST_LINES]
    if header_fields(lines[0]) is not None:
        return True
    return any(_is_record(line.split()) for line in lines)


def _is_record(words: list[bytes]) -> bool:
    """Whether a line is one of the default format, with or without a time stamp before it, or names two addresses."""
    silent = any(rest[:1] == [b"2"] and rest[13:] in ([b"NODATA"], [b"SKIPDATA"]) for rest in (words, words[1:]))
    return silent or sum(_is_address(word) for word in words) >= 2


def _is_address(word: bytes) -> bool:
    try:
        parse_address(word.decode("ascii"))
    except (ModelError, ValueError):
        return False
    return True
