"""How many different addresses, and which: exact while they are few, a sketch and coarser blocks beyond.

    1 … EXACT addresses     all of them, counted exactly
    more                    a HyperLogLog sketch of 4096 registers (standard error 1.04/√4096 = 1.6 %), and at most
                            EXACT blocks that hold them all, one prefix bit shorter whenever there are more

so that one rule takes 20 kB a family, however many addresses use it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.model import Cidr

__all__ = ["EXACT", "Peers", "distinct", "estimate", "sketch"]

EXACT = 1024
REGISTERS = 1 << 12
_WIDTH = {4: 32, 6: 128}
_ALPHA = 0.7213 / (1 + 1.079 / REGISTERS)

Words = npt.NDArray[np.uint64]


class Peers:
    """The different addresses of one rule's other ends."""

    __slots__ = ("_blocks", "_registers")

    def __init__(self) -> None:
        self._blocks: dict[int, _Blocks] = {}
        self._registers: npt.NDArray[np.uint8] | None = None

    def add(self, family: int, hi: Words, lo: Words) -> None:
        """Add addresses (two 64-bit halves, IPv4 in the low one); repeated ones do no harm."""
        blocks = self._blocks.setdefault(family, _Blocks(family))
        if self._registers is None and not blocks.exact_with(hi, lo):
            self._registers = np.zeros(REGISTERS, np.uint8)
            for each in self._blocks.values():
                sketch(self._registers, each.family, each.hi, each.lo)
        if self._registers is not None:
            sketch(self._registers, family, hi, lo)
        blocks.add(hi, lo)

    @property
    def exact(self) -> bool:
        """Whether `count` is exact and `cidrs` are the addresses themselves."""
        return self._registers is None

    @property
    def count(self) -> int:
        """How many different addresses there are, or an estimate."""
        if self._registers is not None:
            return estimate(self._registers)
        return sum(len(blocks.lo) for blocks in self._blocks.values())

    def cidrs(self) -> list[Cidr]:
        """Blocks that hold all addresses, ascending and disjoint; the addresses themselves where `exact`."""
        return [cidr for family in sorted(self._blocks) for cidr in self._blocks[family].cidrs()]


class _Blocks:
    """At most EXACT blocks of one size: addresses without their last `shift` bits, sorted."""

    __slots__ = ("family", "hi", "lo", "shift")

    def __init__(self, family: int) -> None:
        self.family, self.shift = family, 0
        self.hi: Words = np.empty(0, np.uint64)
        self.lo: Words = np.empty(0, np.uint64)

    def exact_with(self, hi: Words, lo: Words) -> bool:
        """Whether the addresses so far and these can all be kept as they are."""
        if len(self.lo) + len(lo) <= EXACT:
            return True
        return len(_distinct(np.concatenate([self.hi, hi]), np.concatenate([self.lo, lo]))[1]) <= EXACT

    def add(self, hi: Words, lo: Words) -> None:
        hi, lo = _shifted(hi, lo, self.shift)
        self.hi, self.lo = _distinct(np.concatenate([self.hi, hi]), np.concatenate([self.lo, lo]))
        while len(self.lo) > EXACT:
            self.shift += 1
            self.hi, self.lo = _distinct(*_shifted(self.hi, self.lo, 1))

    def cidrs(self) -> list[Cidr]:
        length = _WIDTH[self.family] - self.shift
        values = zip(self.hi.tolist(), self.lo.tolist())
        return [Cidr(self.family, (hi << 64 | lo) << self.shift, length) for hi, lo in values]


def _shifted(hi: Words, lo: Words, bits: int) -> tuple[Words, Words]:
    """128-bit numbers without their last bits."""
    if bits == 0:
        return hi, lo
    if bits >= 64:
        return np.zeros_like(hi), hi >> np.uint64(bits - 64) if bits < 128 else np.zeros_like(hi)
    return hi >> np.uint64(bits), lo >> np.uint64(bits) | hi << np.uint64(64 - bits)


def distinct(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The different numbers, sorted. numpy.unique looks them up in a hash table, six times slower when many differ."""
    ordered = np.sort(values)
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def _distinct(hi: Words, lo: Words) -> tuple[Words, Words]:
    """128-bit numbers, sorted, each once."""
    if not hi.any():
        lo = distinct(lo)
        return np.zeros_like(lo), lo
    order = np.lexsort((lo, hi))
    hi, lo = hi[order], lo[order]
    first = np.ones(len(lo), np.bool_)
    first[1:] = (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1])
    return hi[first], lo[first]


def sketch(registers: npt.NDArray[np.uint8], family: int, hi: Words, lo: Words) -> None:
    """Enter addresses: the first 12 bits of the hash choose a register, which keeps the most zeros seen after them."""
    hashed = _mixed(_mixed(hi + np.uint64(family)) ^ lo)
    # 52 bits fit into a float without rounding, and its exponent is their length
    length = np.frexp((hashed & np.uint64((1 << 52) - 1)).astype(np.float64))[1]
    np.maximum.at(registers, (hashed >> np.uint64(52)).astype(np.int64), (53 - length).astype(np.uint8))


def estimate(registers: npt.NDArray[np.uint8]) -> int:
    """How many different addresses were entered (Flajolet and others, 2007)."""
    size = len(registers)
    raw = _ALPHA * size * size / float(np.sum(np.exp2(-registers.astype(np.float64))))
    empty = int(np.count_nonzero(registers == 0))
    return round(size * np.log(size / empty) if raw <= 2.5 * size and empty else raw)


def _mixed(values: Words) -> Words:
    """SplitMix64's finisher: every bit of the result depends on every bit of the value."""
    values = (values ^ values >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ values >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return values ^ values >> np.uint64(31)
