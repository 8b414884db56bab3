"""Bytes of a file, of standard input, of a gzip or zstd stream: read into a caller's buffer."""

from __future__ import annotations

import os
import stat
import sys
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from sgsim.errors import TrafficInputError

__all__ = ["ByteStream", "open_stream"]

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_CHUNK = 1 << 18
_OTHERS = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x04\x22\x4d\x18": "lz4", b"PK\x03\x04": "zip"}


class ByteStream(Protocol):
    """What a capture is read from.

    `name` for messages; `size` in bytes on disk, None if unknown; `position` bytes taken from disk so far; `note` is
    empty, or says why the stream ended before its time.
    """

    name: str
    size: int | None
    note: str

    @property
    def position(self) -> int: ...

    def readinto(self, view: memoryview) -> int:
        """Fill some of `view`; returns how many bytes, 0 at the end. Raises TrafficInputError if reading fails."""
        ...

    def close(self) -> None: ...


class _Raw:
    """An open file, read by read(2) straight into the caller's buffer: mapping it costs 3 to 5 times as much."""

    def __init__(self, file: Any, name: str, size: int | None, owned: bool) -> None:
        self._file, self.name, self.size, self._owned = file, name, size, owned
        self.position, self.note, self._head = 0, "", b""

    def readinto(self, view: memoryview) -> int:
        if self._head:
            n = min(len(view), len(self._head))
            view[:n], self._head = self._head[:n], self._head[n:]
            return n
        try:
            n = self._file.readinto(view) or 0
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise TrafficInputError(f"cannot be read: {reason}", source=self.name) from error
        self.position += n
        return n

    def put_back(self, head: bytes) -> None:
        """Bytes that somebody took from the file to see what it is; they are read first."""
        self._head = head + self._head

    def peek(self, n: int) -> bytes:
        """The first n bytes (fewer at the end of the file), left to be read again."""
        while len(self._head) < n:
            more = bytearray(n - len(self._head))
            head, self._head = self._head, b""
            got = self.readinto(memoryview(more))
            self._head = head + bytes(more[:got])
            if got == 0:
                break
        return self._head[:n]

    def read(self, n: int = -1) -> bytes:
        """At most n bytes; what the decompressors ask for."""
        data = bytearray(_CHUNK if n < 0 else n)
        return bytes(data[: self.readinto(memoryview(data))])

    def close(self) -> None:
        if self._owned:
            self._file.close()


class _Compressed:
    """What the two compressed streams share: the raw one below them."""

    def __init__(self, raw: _Raw) -> None:
        self._raw = raw
        self.name, self.size, self.note = raw.name, raw.size, ""

    @property
    def position(self) -> int:
        return self._raw.position

    def close(self) -> None:
        self._raw.close()


class _Gzip(_Compressed):
    """gzip, also of several members. A cut or damaged stream ends early, with a note."""

    def __init__(self, raw: _Raw) -> None:
        super().__init__(raw)
        from isal import igzip_lib

        self._errors: Any = (igzip_lib.IsalError, EOFError, ValueError)
        self._new_member: Any = partial(igzip_lib.IgzipDecompressor, flag=igzip_lib.DECOMP_GZIP)
        self._member = self._new_member()

    def readinto(self, view: memoryview) -> int:
        while not self.note:
            data = b""
            if self._member.eof:
                data = (self._member.unused_data or self._raw.read(_CHUNK)).lstrip(b"\0")
                if not data:
                    return 0
                self._member = self._new_member()
            elif self._member.needs_input:
                data = self._raw.read(_CHUNK)
                if not data:
                    self.note = "the compressed data is cut short"
                    return 0
            try:
                out = self._member.decompress(data, len(view))
            except self._errors:
                self.note = "the compressed data is damaged"
                return 0
            if out:
                view[: len(out)] = out
                return len(out)
        return 0


class _Zstd(_Compressed):
    """Zstandard, also of several frames. A damaged stream ends early, with a note."""

    def __init__(self, raw: _Raw) -> None:
        super().__init__(raw)
        import zstandard

        self._error: Any = zstandard.ZstdError
        decompressor: Any = zstandard.ZstdDecompressor()
        self._reader = decompressor.stream_reader(raw, read_size=_CHUNK, read_across_frames=True)

    def readinto(self, view: memoryview) -> int:
        if self.note:
            return 0
        try:
            return int(self._reader.readinto(view))
        except self._error:
            self.note = "the compressed data is damaged"
            return 0


def _looked_at(buffered: Any) -> bytes:
    """What Python has buffered of standard input: whoever looked at it to tell its kind left it there."""
    peek = getattr(buffered, "peek", None)
    try:
        return bytes(buffered.read1(len(peek()))) if peek else b""
    except (OSError, ValueError):
        return b""  # reading will say what is wrong


def open_stream(path: str | os.PathLike[str]) -> ByteStream:
    """Open a capture for reading, `-` being standard input; compression is told by its magic number.

    Raises TrafficInputError if there is no such file, it may not be read, or it is compressed in another way.
    """
    if os.fspath(path) == "-":
        buffered = sys.stdin.buffer
        raw = _Raw(getattr(buffered, "raw", buffered), "<stdin>", None, owned=False)
        raw.put_back(_looked_at(buffered))
    else:
        name = os.fspath(path)
        try:
            file = Path(path).open("rb", buffering=0)  # noqa: SIM115 (closed by its stream)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise TrafficInputError(
                f"cannot be opened: {reason}", source=name, advice="name a pcap or pcapng file, or - for standard input"
            ) from error
        status = os.fstat(file.fileno())
        raw = _Raw(file, name, status.st_size if stat.S_ISREG(status.st_mode) else None, owned=True)
    try:
        magic = raw.peek(6)
        for prefix, method in _OTHERS.items():
            if magic.startswith(prefix):
                raise TrafficInputError(
                    f"is compressed with {method}", source=raw.name, advice="decompress it, or use gzip or zstd"
                )
        if magic.startswith(_GZIP):
            return _Gzip(raw)
        return _Zstd(raw) if magic.startswith(_ZSTD) else raw
    except BaseException:
        raw.close()
        raise
