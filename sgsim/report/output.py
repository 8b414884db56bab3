"""Where results go: stdout, or a file that appears whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from sgsim.errors import OutputError

__all__ = ["open_output"]


@contextmanager
def open_output(path: Path | None) -> Iterator[BinaryIO]:
    """A binary file to write a result to: stdout for None or `-`, else the path.

    A regular file appears under its name only when the block ends without an exception: it is written beside its
    place, synced and renamed, with the mode of the file that it replaces. Devices and pipes are written to directly.
    Raises OutputError where the result cannot be written; a reader that went away is BrokenPipeError.
    """
    if path is None or str(path) == "-":
        output = _Output(sys.stdout.buffer, "<stdout>")
        yield output  # type: ignore[misc]
        output.flush()
    elif _is_special(path):
        with _explained(str(path)):
            file = path.open("wb", buffering=0)
        try:
            yield _Output(file, str(path))  # type: ignore[misc]
        finally:
            file.close()
    else:
        with _replacing(path) as output:
            yield output  # type: ignore[misc]


def _is_special(path: Path) -> bool:
    """Whether the path is something that must not be replaced by a file: a device, a pipe, a directory."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


@contextmanager
def _replacing(path: Path) -> Iterator[_Output]:
    target = Path(os.path.realpath(path))  # a symbolic link stays one: what it points to is replaced
    temporary = f".{target.name[:200]}.{secrets.token_hex(6)}.tmp"
    with _explained(str(path)):  # by descriptor, so that what was begun is found again even if the directory moves
        directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with _explained(str(path)):
            file = os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=directory), "wb")
        try:
            with suppress(OSError):
                os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
            yield _Output(file, str(path))
            with _explained(str(path)):
                file.flush()
                os.fsync(file.fileno())
                file.close()
                os.replace(temporary, target.name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=directory)
            with suppress(OSError):
                file.close()
            raise
        with suppress(OSError):  # makes the new name durable, where the file system can
            os.fsync(directory)
    finally:
        os.close(directory)


class _Output(io.RawIOBase):
    """Hands everything to `file`, and says in one line what went wrong where that fails.

    Only the output's own failures are explained here: a reader's OSError in the same block stays what it is.
    """

    def __init__(self, file: BinaryIO | io.RawIOBase, name: str) -> None:
        self._file, self._name = file, name

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        with _explained(self._name):
            done = 0
            while done < len(view):  # unbuffered files may take a part
                done += self._file.write(view[done:]) or 0
        return done

    def flush(self) -> None:
        with _explained(self._name):
            self._file.flush()


_ADVICE = {
    errno.ENOSPC: "make room or choose another place with -o",
    errno.EDQUOT: "make room or choose another place with -o",
    errno.EFBIG: "the limit on file sizes is reached (ulimit -f)",
    errno.ENOENT: "does its directory exist?",
    errno.ENOTDIR: "is its directory one?",
    errno.EISDIR: "give the name of a file",
    errno.EACCES: "choose another place with -o",
    errno.EPERM: "choose another place with -o",
    errno.EROFS: "choose another place with -o",
}


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what the system says about the output into one line for people."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0)
        text = f"{name}: cannot write: {error.strerror or error}"
        raise OutputError(f"{text}; {advice}" if advice else text) from error
