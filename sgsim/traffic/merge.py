"""Several captures as one, in the order of time, each packet once.

Every open capture holds one batch. Rows up to the *horizon*, the earliest end of these batches, can be put in order
at once, since no capture has earlier rows to come; that uses up at least one batch, so that the cost is one sort per
batch, not one decision per packet, however finely the captures interleave. A capture is opened when the horizon
reaches its first packet: a thousand files of a rotated capture are open one at a time.

Where time runs backwards inside one file, its order is kept: rows are compared by the latest time so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from sgsim.kernels import decode_codes as c
from sgsim.traffic.columns import Decoded
from sgsim.traffic.counts import PacketCounts
from sgsim.traffic.rows import cut, joined, picked

__all__ = ["Waiting", "merged", "without_duplicates"]

_BEGINNING = -(2**63)


class Waiting:
    """A capture that does not run yet: when its first packet was captured (None: not known), how to get its batches."""

    def __init__(self, source: int, first_time: int | None, open_capture: Callable[[], Iterator[Decoded]]) -> None:
        self.source = source
        self.first_time = _BEGINNING if first_time is None else first_time
        self.open = open_capture


class _Running:
    """An open capture with the batch it stands at and the sort keys of its rows."""

    def __init__(self, source: int, batches: Iterator[Decoded]) -> None:
        self.source = source
        self._batches = batches
        self._latest = _BEGINNING
        self.batch: Decoded | None = None
        self.keys: npt.NDArray[np.int64] = np.empty(0, np.int64)

    def advance(self) -> bool:
        """Go on to the next batch; False at the end."""
        self.batch = next(self._batches, None)
        if self.batch is None:
            return False
        self.keys = np.maximum.accumulate(np.maximum(self.batch.packets.time, self._latest))
        self._latest = int(self.keys[-1])
        return True

    def take(self, horizon: int) -> tuple[Decoded, npt.NDArray[np.int64]]:
        """Rows up to the horizon and their keys."""
        assert self.batch is not None
        n = int(np.searchsorted(self.keys, horizon, side="right"))
        batch, keys = cut(self.batch, 0, n), self.keys[:n]
        self.batch, self.keys = cut(self.batch, n, len(self.keys)), self.keys[n:]
        return batch, keys


def merged(waiting: Sequence[Waiting]) -> Iterator[Decoded]:
    """Batches of at most BATCH rows of all captures in time order."""
    pending = sorted(waiting, key=lambda capture: (capture.first_time, capture.source), reverse=True)
    running: list[_Running] = []
    while pending or running:
        horizon = min((int(one.keys[-1]) for one in running), default=None)
        while pending and (horizon is None or pending[-1].first_time <= horizon):
            next_one = pending.pop()
            started = _Running(next_one.source, next_one.open())
            if started.advance():
                running.append(started)
                running.sort(key=lambda one: one.source)  # of packets of one time the file named first has the first
                last = int(started.keys[-1])
                horizon = last if horizon is None else min(horizon, last)
        if horizon is None:
            continue
        parts = [part for part in (one.take(horizon) for one in running) if len(part[1])]
        running = [one for one in running if len(one.keys) or one.advance()]
        if len(parts) == 1:
            yield parts[0][0]
            continue
        whole = joined([batch for batch, _ in parts])
        order = np.argsort(np.concatenate([keys for _, keys in parts]), kind="stable")
        for start in range(0, len(order), c.BATCH):
            yield picked(whole, order[start : start + c.BATCH])


def without_duplicates(batches: Iterator[Decoded], counts: Sequence[PacketCounts]) -> Iterator[Decoded]:
    """Only the first sighting of each packet; the others are counted where they were seen."""
    from sgsim.kernels.duplicates import Sightings

    sightings = Sightings()
    dropped = np.zeros(len(counts), np.int64)
    for batch in batches:
        if batch.fingerprint is None or batch.seen_at is None:
            yield batch
            continue
        source = batch.packets.source
        where = (source.astype(np.uint64) << np.uint64(32)) | batch.seen_at
        keep = sightings.first_seen(batch.fingerprint, where, batch.packets.time)
        if keep.all():
            yield batch
        else:
            dropped += np.bincount(source[~keep], minlength=len(counts))
            yield picked(batch, np.flatnonzero(keep))
    for of_file, packets in zip(counts, dropped.tolist()):
        of_file.add_duplicates(packets)
    if sightings.forgotten:
        counts[0].notes.append(
            f"{sightings.forgotten} packets were forgotten before a second had passed: some duplicates may be left"
        )
