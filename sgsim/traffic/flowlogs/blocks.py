"""Bytes of a text log → blocks that end with a line end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sgsim.kernels import flowlog_codes as codes

__all__ = ["BLOCK", "SLACK", "Block", "line_blocks"]

BLOCK = 4 << 20  #: bytes of text that are parsed in one go
SLACK = bytes(codes.SLACK)
_LIMIT_LINE = 1 << 20
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Block:
    """`text[:stop]` are whole lines, at least SLACK follows; `unread` counts lines that are in no block, by class."""

    text: bytes
    stop: int
    unread: dict[int, int] = field(default_factory=dict)


def line_blocks(chunks: Iterator[bytes], notes: list[str]) -> Iterator[Block]:
    """Cut chunks at line ends. A line without an end is read if the file is whole, and counted if it is cut off.

    Lines above 1 MiB are counted, not read: memory stays bounded whatever the input.
    """
    parts: list[bytes] = []
    size = 0
    first, skipping, too_long = True, False, 0
    for chunk in chunks:
        if first:
            chunk, first = chunk.removeprefix(_BOM), False
        if skipping:
            end = chunk.find(b"\n")
            if end < 0:
                continue
            chunk, skipping = chunk[end + 1 :], False
        parts.append(chunk)
        size += len(chunk)
        if size < BLOCK:
            continue
        text = b"".join((*parts, SLACK))
        stop = text.rfind(b"\n") + 1
        rest = text[stop : -len(SLACK)]
        if len(rest) > _LIMIT_LINE:
            rest, skipping, too_long = b"", True, too_long + 1
        if stop:
            yield Block(text, stop, {codes.LONG_LINE: too_long} if too_long else {})
            too_long = 0
        parts, size = [rest], len(rest)
    text = b"".join(parts)
    unread = {codes.LONG_LINE: too_long} if too_long else {}
    stop = text.rfind(b"\n") + 1
    if stop < len(text):
        if any(note.startswith("the gzip data") for note in notes):
            unread[codes.CUT_OFF] = 1
        else:
            notes.append("the last line has no line end: it may be cut off")
            text += b"\n"
            stop = len(text)
    if stop or unread:
        yield Block(text + SLACK, stop, unread)
