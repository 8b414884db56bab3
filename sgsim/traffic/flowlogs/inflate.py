"""gzip in chunks: what was decompressed before a defect is kept, and the defect is told.

Members are read as raw deflate streams with their own header and trailer, so that a wrong checksum at the end of a
member does not take the text before it away.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Generator, Iterator

from isal import isal_zlib

__all__ = ["MAGIC", "inflate"]

MAGIC = b"\x1f\x8b"
_HEADER = 10  # bytes before the optional parts
_EXTRA, _NAME, _COMMENT, _HEADER_CRC = 4, 8, 16, 2
_LIMIT_TEXT = 4 << 20  #: bytes that are decompressed in one go, however well they were compressed
_LIMIT_HEADER = 1 << 20


def inflate(chunks: Iterator[bytes], notes: list[str]) -> Iterator[bytes]:
    """The decompressed bytes of gzip members, one after the other; a note and an end where they are damaged.

    A note that begins with "the gzip data ends early" means that the last line may be cut.
    """
    source = _Bytes(chunks)
    first = True
    while source.fill(1):
        problem = _skip_header(source)
        if problem:
            # Zeros pad the last member on tapes and block devices.
            if not (first or source.is_padding()):
                notes.append("bytes that are no gzip data follow the last member")
            elif first:
                notes.append(problem)
            return
        if not (yield from _member(source, notes)):
            return
        first = False


def _member(source: _Bytes, notes: list[str]) -> Generator[bytes, None, bool]:
    """The text of one member; a note if it is damaged, cut or does not match its checksum. Whether more may follow."""
    decompressor = isal_zlib.decompressobj(wbits=-15)
    checksum, length, first = 0, 0, True
    while not decompressor.eof:
        chunk = decompressor.unconsumed_tail or source.take()
        if not chunk:
            notes.append(f"the gzip data ends early, after byte {source.position}")
            return False
        try:
            text = decompressor.decompress(chunk, _LIMIT_TEXT)
        except Exception:  # isal's error is a plain Exception subclass of a private module
            if first:
                yield from _until_defect(chunk)
            notes.append(f"the gzip data is damaged before byte {source.position}; the rest of the file is lost")
            return False
        first = False
        checksum, length = isal_zlib.crc32(text, checksum), length + len(text)
        if text:
            yield text
    source.give_back(decompressor.unused_data)
    if not source.fill(8):
        notes.append(f"the gzip data ends early, after byte {source.position}")
        return False
    trailer = source.take(8)
    if trailer != checksum.to_bytes(4, "little") + (length & 0xFFFFFFFF).to_bytes(4, "little"):
        notes.append("a gzip checksum does not match: some lines may be wrong")
    return True


def _until_defect(chunk: bytes) -> Iterator[bytes]:
    """What a raw deflate stream holds before its defect: byte by byte, at most a chunk, once a file."""
    decompressor = zlib.decompressobj(wbits=-15)
    text = bytearray()
    with contextlib.suppress(zlib.error):
        for at in range(len(chunk)):
            text += decompressor.decompress(chunk[at : at + 1])
    yield bytes(text)


def _skip_header(source: _Bytes) -> str:
    """Step over a member's header (RFC 1952 §2.3); why not, if there is none."""
    if not source.fill(_HEADER) or source.buffer[:3] != MAGIC + b"\x08":
        return "the gzip data ends early, inside a header" if source.buffer[:2] == MAGIC else "not gzip data"
    flags = source.take(_HEADER)[3]
    if flags & _EXTRA:
        if not source.fill(2) or not source.fill(size := 2 + int.from_bytes(source.buffer[:2], "little")):
            return "the gzip data ends early, inside a header"
        source.take(size)
    for flag in (_NAME, _COMMENT):
        if flags & flag and not source.skip_text():
            return "the gzip data ends early, inside a header"
    if flags & _HEADER_CRC:
        if not source.fill(2):
            return "the gzip data ends early, inside a header"
        source.take(2)
    return ""


class _Bytes:
    """Chunks with a buffer at the front: what a member did not need is given back."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.buffer = b""
        self.position = 0

    def fill(self, size: int) -> bool:
        """Whether at least `size` bytes are left; they are then in the buffer."""
        while len(self.buffer) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                return False
            self.buffer += chunk
        return True

    def take(self, size: int | None = None) -> bytes:
        """The next `size` bytes of the buffer, or a whole chunk."""
        if size is None:
            self.fill(1)
            size = len(self.buffer)
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        self.position += len(taken)
        return taken

    def give_back(self, data: bytes) -> None:
        """Put back what was taken too much."""
        self.buffer = data + self.buffer
        self.position -= len(data)

    def skip_text(self) -> bool:
        """Step over a text that ends with a zero."""
        while (end := self.buffer.find(b"\0")) < 0:
            if len(self.buffer) > _LIMIT_HEADER or not self.fill(len(self.buffer) + 1):
                return False
        self.take(end + 1)
        return True

    def is_padding(self) -> bool:
        """Whether nothing but zeros is left."""
        while self.fill(1):
            if self.take().strip(b"\0"):
                return False
        return True
