"""One capture file, decoded: batches of columns in the order of the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.errors import TrafficInputError
from sgsim.kernels import decode_codes as c
from sgsim.traffic.columns import Decoded, packet_columns, quote_columns
from sgsim.traffic.counts import PacketCounts, Tally
from sgsim.traffic.links import link_type_of
from sgsim.traffic.pcap import PCAP_MAGICS, PcapReader
from sgsim.traffic.pcapng import PCAPNG_MAGIC, PcapngReader
from sgsim.traffic.streams import open_stream
from sgsim.traffic.window import BUFFER_BYTES, RecordReader, Window

__all__ = ["Capture"]


class Capture:
    """One open capture. Raises TrafficInputError at once if the file is no capture that can be read.

    Iterate once. `counts` is complete when that ends. `position` and `size` are in bytes on disk, `size` None if
    unknown. `fingerprints` asks for them even where the file has a single interface.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        source: int = 0,
        *,
        decapsulate: bool = False,
        fingerprints: bool = False,
        buffer_bytes: int = BUFFER_BYTES,
    ) -> None:
        self._stream = open_stream(path)
        self.counts = PacketCounts(self._stream.name)
        self.size = self._stream.size
        self._source, self._fingerprints = source, fingerprints
        self._decapsulate = decapsulate
        try:
            self._reader = _reader(self._stream, buffer_bytes)
        except BaseException:
            self._stream.close()
            raise
        self._tally = Tally()

    @property
    def position(self) -> int:
        """Bytes read from disk so far."""
        return self._stream.position

    def first_time(self) -> int | None:
        """When the first packet was captured, None if there is none. The capture cannot be iterated afterwards."""
        index = np.empty((c.INDEX_ROWS, 1), np.int64)
        return int(index[c.TIME, 0]) if self._reader.walk(index, 1) else None

    def close(self) -> None:
        """Close the file; what was counted so far stays."""
        self._stream.close()

    def __iter__(self) -> Iterator[Decoded]:
        try:
            yield from self._batches()
        finally:
            self._stream.close()
        self._finish()

    def _batches(self) -> Iterator[Decoded]:
        from sgsim.kernels.decode import decode

        reader, tally = self._reader, self._tally.packets
        index = np.empty((c.INDEX_ROWS, c.BATCH), np.int64)
        columns, quotes = np.empty(c.COLUMN_BYTES, np.uint8), np.empty(c.QUOTE_BYTES, np.uint8)
        row = quoted = 0
        marked = False

        def batch() -> Decoded:
            return packet_columns(columns, row, self._source, quote_columns(quotes, quoted), fingerprints=marked)

        while True:
            first = reader.next_record
            n = reader.walk(index, c.BATCH - row)
            if n == 0:
                break
            wanted = self._fingerprints or reader.interfaces > 1
            if row and wanted != marked:  # a second interface: its fingerprints begin with a batch of their own
                yield batch()
                columns, row, quoted = np.empty(c.COLUMN_BYTES, np.uint8), 0, 0
            marked = wanted
            if reader.foreign:
                self._ask_scapy(index, n)
            buffer, before = reader.window.buffer, row
            if self._decapsulate:
                _unwrap(buffer, index, n)
            row, quoted = decode(buffer, index, n, first, self._decapsulate, columns, row, quotes, quoted, tally)
            if marked:
                _fingerprint(buffer, columns, before, row)
            if row == c.BATCH:
                yield batch()
                columns, row, quoted = np.empty(c.COLUMN_BYTES, np.uint8), 0, 0
        if row:
            yield batch()

    def _ask_scapy(self, index: npt.NDArray[np.int64], n: int) -> None:
        """Turn records of links that the decoder does not know into raw IP records, or decide what becomes of them."""
        from sgsim.traffic.other_links import find_ip

        for i in np.flatnonzero(index[c.LINK, :n] < 0).tolist():
            start, size = int(index[c.OFFSET, i]), int(index[c.CAPTURED, i])
            frame = self._reader.window.buffer[start : start + size].tobytes()
            at, words = find_ip(frame, link_type_of(int(index[c.LINK, i])))
            if at < 0:
                index[c.LINK, i] = c.LINK_DECIDED - at
                self._tally.worded[-at, words] += 1
            else:
                index[c.LINK, i] = c.LINK_RAW
                index[c.OFFSET, i] += at
                index[c.CAPTURED, i] -= at
                index[c.WIRE, i] = max(int(index[c.WIRE, i]) - at, 0)

    def _finish(self) -> None:
        counts, reader = self.counts, self._reader
        self._tally.add_to(counts)
        for count, cause in reader.cut:
            counts.add(count, cause)
        counts.notes += reader.notes
        state = reader.state
        if backwards := int(state[c.BACKWARDS]):
            first = int(state[c.FIRST_BACKWARDS])
            counts.notes.append(f"time runs backwards at {_packets(backwards)}, first at record {first}")
        if untimed := int(state[c.UNTIMED]):
            verb = "has no time and is" if untimed == 1 else "have no time and are"
            counts.notes.append(f"{_packets(untimed)} {verb} given that of the one before")
        if overlong := int(state[c.OVERLONG]):
            counts.notes.append(f"{_packets(overlong)} {'is' if overlong == 1 else 'are'} longer than the snap length")


def _packets(n: int) -> str:
    return "1 packet" if n == 1 else f"{n} packets"


def _reader(stream: Any, buffer_bytes: int) -> RecordReader:
    """The reader of the file format that the first bytes name."""
    window = Window(stream, buffer_bytes)
    window.fill(4)
    magic = window.bytes(min(4, window.left))
    if magic == PCAPNG_MAGIC:
        return PcapngReader(window)
    if magic in PCAP_MAGICS:
        return PcapReader(window)
    size, reason = window.left, f"; {stream.note}" if stream.note else ""
    if size < 4:
        problem = f"is no capture: it has {size} bytes" if size else "is no capture: it is empty"
    else:
        problem = f"is no capture: it begins with {magic.hex(' ')}"
    raise TrafficInputError(
        problem + reason, source=stream.name, advice="give a pcap or pcapng file, plain, gzip or zstd"
    )


def _unwrap(buffer: Any, index: Any, n: int) -> None:
    """See decode_tunnels.unwrap, which is compiled when first asked for."""
    from sgsim.kernels.decode_tunnels import unwrap

    unwrap(buffer, index, n)


def _fingerprint(buffer: Any, columns: Any, start: int, stop: int) -> None:
    """See duplicates.fingerprint."""
    from sgsim.kernels.duplicates import fingerprint

    fingerprint(buffer, columns, start, stop)
