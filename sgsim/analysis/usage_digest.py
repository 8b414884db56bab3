"""Whether two runs gave every packet the same verdict: sums that do not depend on order or on how records are cut.

For each record a hash of where it was, what it was and what became of it, times its packets, is added up (and
another one times its bytes). Two runs over the same traffic whose sums agree gave the same verdicts, but for a chance
of 2**-64 for each of the two.
"""

from __future__ import annotations

import numpy as np

from sgsim.verdicts import Verdicts

__all__ = ["VerdictDigest"]

_COLUMNS = (
    "interface", "direction", "family", "src_hi", "src_lo", "dst_hi", "dst_lo", "srcport", "dstport", "protocol",
    "icmp_type", "icmp_code", "fragment", "action",
)  # fmt: skip
_SEEDS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03))


class VerdictDigest:
    """Adds up batches; equal to another digest if every flow had the same packets and bytes of each verdict."""

    def __init__(self) -> None:
        self._sums = [0, 0]
        self.records = 0

    def add(self, verdicts: Verdicts) -> None:
        """Add a batch of records."""
        self.records += len(verdicts)
        for n, (seed, weights) in enumerate(zip(_SEEDS, (verdicts.packets, verdicts.bytes))):
            hashed = np.full(len(verdicts), seed)
            for name in _COLUMNS:
                column = getattr(verdicts, name)
                hashed = (
                    hashed ^ (column if column.dtype == np.uint64 else column.astype(np.int64).view(np.uint64))
                ) * np.uint64(0xBF58476D1CE4E5B9)
                hashed ^= hashed >> np.uint64(29)
            hashed = (hashed ^ hashed >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
            hashed ^= hashed >> np.uint64(31)
            total = int(np.sum(hashed * weights.astype(np.uint64), dtype=np.uint64))
            self._sums[n] = (self._sums[n] + total) & 0xFFFFFFFFFFFFFFFF

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VerdictDigest) and self._sums == other._sums

    __hash__ = None  # type: ignore[assignment]
