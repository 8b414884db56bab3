"""Rows of packet batches: cut, joined, put in another order, with the quotes following their packets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.packets import PacketBatch, Quotes
from sgsim.traffic.columns import Decoded

__all__ = ["cut", "joined", "picked"]

_COLUMNS = [field.name for field in fields(PacketBatch) if field.name != "quotes"]
_QUOTE_COLUMNS = [field.name for field in fields(Quotes)]


def _built(columns: dict[str, Any], quotes: dict[str, Any], fingerprint: Any, seen_at: Any) -> Decoded:
    return Decoded(PacketBatch(**columns, quotes=Quotes(**quotes)), fingerprint, seen_at)


def _optional(column: npt.NDArray[Any] | None, rows: Any) -> Any:
    return None if column is None else column[rows]


def cut(batch: Decoded, start: int, stop: int) -> Decoded:
    """Rows start … stop - 1, as views."""
    packets, rows = batch.packets, slice(start, stop)
    if start == 0 and stop == len(packets):
        return batch
    quoting = packets.quotes.packet
    quotes = {name: getattr(packets.quotes, name)[(quoting >= start) & (quoting < stop)] for name in _QUOTE_COLUMNS}
    quotes["packet"] = quotes["packet"] - start
    columns = {name: getattr(packets, name)[rows] for name in _COLUMNS}
    return _built(columns, quotes, _optional(batch.fingerprint, rows), _optional(batch.seen_at, rows))


def joined(batches: Sequence[Decoded]) -> Decoded:
    """All rows of several batches, one after the other. All have fingerprints or none has."""
    if len(batches) == 1:
        return batches[0]
    parts = [batch.packets for batch in batches]
    starts = np.cumsum([0, *(len(part) for part in parts)])
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
    quotes = {name: np.concatenate([getattr(part.quotes, name) for part in parts]) for name in _QUOTE_COLUMNS}
    quotes["packet"] = np.concatenate([part.quotes.packet + start for part, start in zip(parts, starts)])
    fingerprints = [batch.fingerprint for batch in batches if batch.fingerprint is not None]
    if len(fingerprints) < len(batches):
        return _built(columns, quotes, None, None)
    seen_at = np.concatenate([batch.seen_at for batch in batches if batch.seen_at is not None])
    return _built(columns, quotes, np.concatenate(fingerprints), seen_at)


def picked(batch: Decoded, rows: npt.NDArray[np.int64]) -> Decoded:
    """The given rows in the given order; none twice."""
    packets = batch.packets
    columns = {name: getattr(packets, name)[rows] for name in _COLUMNS}
    place = np.full(len(packets), -1, np.int64)
    place[rows] = np.arange(len(rows))
    new = place[packets.quotes.packet]
    order = np.argsort(new, kind="stable")
    order = order[new[order] >= 0]
    quotes = {name: getattr(packets.quotes, name)[order] for name in _QUOTE_COLUMNS}
    quotes["packet"] = new[order]
    return _built(columns, quotes, _optional(batch.fingerprint, rows), _optional(batch.seen_at, rows))
