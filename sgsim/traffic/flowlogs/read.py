"""One file → its pieces: what it is (gzip, Parquet, JSON, text) is told by its bytes, never by its name."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from itertools import chain

from sgsim.traffic.flowlogs.blocks import line_blocks
from sgsim.traffic.flowlogs.cloudwatch import event_blocks, is_json
from sgsim.traffic.flowlogs.fields import LogFormat, header_fields
from sgsim.traffic.flowlogs.inflate import MAGIC, inflate
from sgsim.traffic.flowlogs.parquet import ParquetPiece, row_pieces
from sgsim.traffic.flowlogs.pieces import TextPiece
from sgsim.traffic.flowlogs.sources import STDIN, Source, chunks

__all__ = ["pieces_of"]

_PARQUET = b"PAR1"


def pieces_of(
    source: Source, index: int, given: LogFormat, wanted: Collection[str], notes: list[str], *, strict: bool
) -> Generator[TextPiece | ParquetPiece, None, None]:
    """The pieces of a file in order; `given` is the format of text without a header. Raises TrafficInputError."""
    file = source.open()
    try:
        meter = _Meter(chunks(file, source))
        first = next(meter, b"")
        if first.startswith(_PARQUET):
            yield from row_pieces(file, first, source, index, wanted, notes, strict=strict)
        else:
            yield from _text_pieces(meter, first, source, index, given, notes)
    finally:
        if source.name != STDIN:
            file.close()


def _text_pieces(
    meter: _Meter, first: bytes, source: Source, index: int, given: LogFormat, notes: list[str]
) -> Iterator[TextPiece]:
    data: Iterator[bytes] = chain((first,) if first else (), meter)
    if first.startswith(MAGIC):
        data = inflate(data, notes)
        first = next(data, b"")
        data = chain((first,), data)
    blocks = event_blocks(data, notes) if is_json(first) else line_blocks(data, notes)
    log_format = given
    begins = True
    for block in blocks:
        if begins:
            names = header_fields(_first_line(block.text))
            log_format = LogFormat(names, "header") if names else given
        yield TextPiece(
            index, source.name, block.text, block.stop, log_format, begins, meter.taken(), block.unread
        )  # fmt: skip
        begins = False


def _first_line(text: bytes) -> bytes:
    """The first line with something on it, of the first few."""
    for line in text[:65536].splitlines()[:10]:
        if line.strip():
            return line
    return b""


class _Meter(Iterator[bytes]):
    """Passes chunks on and counts their bytes."""

    def __init__(self, items: Iterator[bytes]) -> None:
        self._items, self._bytes = items, 0

    def __next__(self) -> bytes:
        chunk = next(self._items)
        self._bytes += len(chunk)
        return chunk

    def taken(self) -> int:
        """Bytes since the last call."""
        taken, self._bytes = self._bytes, 0
        return taken
