"""Any number of captures as one stream of batches."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from sgsim.errors import TrafficInputError
from sgsim.packets import PacketBatch
from sgsim.traffic.ahead import ahead
from sgsim.traffic.capture import Capture
from sgsim.traffic.columns import Decoded
from sgsim.traffic.counts import PacketCounts
from sgsim.traffic.merge import Waiting, merged, without_duplicates

__all__ = ["PacketScan", "scan_packets"]

_PEEK_BYTES = 1 << 14


class PacketScan:
    """The packets of several captures, decoded, in time order, in batches of at most 8 192 rows. Iterate once.

    `counts` has one entry per file, in the order given, complete once iteration has ended. `bytes_read` and
    `bytes_total` are bytes on disk, the latter None where a file's size is not known. Batches are the caller's to
    keep: nothing writes to them again. Raises TrafficInputError, at once or on the way, if a file cannot be read.
    """

    counts: list[PacketCounts]
    bytes_total: int | None

    def __init__(
        self, paths: Sequence[str | os.PathLike[str]], *, decapsulate: bool = False, background: bool | None = None
    ) -> None:
        if not paths:
            raise TrafficInputError("no capture is named", advice="name a pcap or pcapng file, or - for standard input")
        if sum(os.fspath(path) == "-" for path in paths) > 1:
            raise TrafficInputError("is named twice", source="<stdin>", advice="give standard input once")
        self._paths = list(paths)
        self._decapsulate = decapsulate
        self._background = _cores() > 1 if background is None else background
        self._read = [0] * len(paths)
        self.counts = []
        self.bytes_total = 0
        self._waiting = [self._look_at(source) for source in range(len(paths))]

    @property
    def bytes_read(self) -> int:
        """Bytes on disk that have been read."""
        return sum(self._read)

    def __iter__(self) -> Iterator[PacketBatch]:
        waiting, self._waiting = self._waiting, []
        batches = merged(waiting) if len(waiting) != 1 else waiting[0].open()
        distinct = without_duplicates(batches, self.counts)
        for decoded in ahead(distinct) if self._background else distinct:
            yield decoded.packets

    def _capture(self, source: int, **options: int) -> Capture:
        return Capture(
            self._paths[source],
            source,
            decapsulate=self._decapsulate,
            fingerprints=len(self._paths) > 1,
            **options,
        )

    def _look_at(self, source: int) -> Waiting:
        """Check that a file is a capture and see when it begins; one that cannot be read twice stays open."""
        path = self._paths[source]
        if os.fspath(path) == "-" or not Path(path).is_file():
            capture = self._capture(source)
            waiting = Waiting(source, None, partial(self._batches, source, capture))
        else:
            capture = self._capture(source, buffer_bytes=_PEEK_BYTES)
            with closing(capture):
                begins = capture.first_time() if len(self._paths) > 1 else None
            waiting = Waiting(source, begins, partial(self._batches, source, None))
        self.counts.append(PacketCounts(capture.counts.source))
        total, size = self.bytes_total, capture.size
        self.bytes_total = None if total is None or size is None else total + size
        return waiting

    def _batches(self, source: int, capture: Capture | None) -> Iterator[Decoded]:
        """The batches of one file, opened now unless it is open already."""
        capture = capture or self._capture(source)
        for batch in capture:
            self._read[source] = capture.position
            yield batch
        self._read[source] = capture.position
        self.counts[source].take(capture.counts)


def scan_packets(
    paths: Sequence[str | os.PathLike[str]], *, decapsulate: bool = False, background: bool | None = None
) -> PacketScan:
    """Scan captures (pcap, pcapng; plain, gzip or zstd; `-` is standard input) in batches, in bounded memory.

    `decapsulate` looks into VXLAN and Geneve; the packets are then those inside. `background` decodes in a thread,
    one batch ahead of the caller; by default where there is more than one core.
    """
    return PacketScan(paths, decapsulate=decapsulate, background=background)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
