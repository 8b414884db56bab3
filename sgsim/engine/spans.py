"""Parts of packet batches, cut where the whole input says, not where its batches happen to end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sgsim.packets import PacketBatch

__all__ = ["Span", "windows"]


class Span(NamedTuple):
    """Packets `start` … `stop` of a batch."""

    batch: PacketBatch
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def windows(batches: Iterable[PacketBatch], size: int, span: int) -> Iterator[list[Span]]:
    """Consecutive packets in windows of `size` packets (the last one smaller), each in spans of at most `span`.

    The bounds of windows are multiples of `size` in the whole input: how it is split into batches cannot matter.
    """
    window: list[Span] = []
    room = size
    for batch in batches:
        start = 0
        while start < len(batch):
            stop = min(len(batch), start + min(span, room))
            window.append(Span(batch, start, stop))
            room -= stop - start
            start = stop
            if not room:
                yield window
                window, room = [], size
    if window:
        yield window
