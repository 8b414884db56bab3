"""A progress bar on stderr, for work that lasts longer than a second, if stderr is a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Protocol, TypeVar

__all__ = ["followed"]

Batch = TypeVar("Batch", covariant=True)

PATIENCE = 1.0  #: seconds of silence before a bar appears


class Measured(Protocol[Batch]):
    """What is read: batches, and how far reading has come."""

    @property
    def bytes_read(self) -> int: ...

    @property
    def bytes_total(self) -> int | None: ...

    def __iter__(self) -> Iterator[Batch]: ...


def followed(scan: Measured[Batch], *, color: bool, things: str | None = None) -> Iterable[Batch]:
    """The same batches; a bar follows them. `things`: what is counted, if it is not bytes."""
    return _followed(scan, color, things) if sys.stderr.isatty() else scan


def _followed(scan: Measured[Batch], color: bool, things: str | None) -> Iterator[Batch]:
    begin, bar = time.monotonic(), None
    try:
        for batch in scan:
            if bar is None and time.monotonic() - begin > PATIENCE:
                bar = _Bar(scan.bytes_total, color, things)
            if bar is not None:
                bar.show(scan.bytes_read)
            yield batch
    finally:
        if bar is not None:
            bar.close()


class _Bar:
    def __init__(self, total: int | None, color: bool, things: str | None) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            Progress,
            ProgressColumn,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        parts: tuple[ProgressColumn, ...] = (MofNCompleteColumn(),)
        if things is None:
            parts = (DownloadColumn(), TransferSpeedColumn())
        console = Console(stderr=True, no_color=not color)
        self._progress = Progress(
            TextColumn(things or "replay"), BarColumn(), *parts, TimeRemainingColumn(), console=console, transient=True
        )
        self._task = self._progress.add_task(things or "replay", total=total)
        self._progress.start()

    def show(self, done: int) -> None:
        self._progress.update(self._task, completed=done)

    def close(self) -> None:
        with suppress(OSError):  # the terminal went away
            self._progress.stop()
