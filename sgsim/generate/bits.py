"""Addresses of both families as pairs of 64-bit halves, IPv4 in the low one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Halves", "fill", "masks"]

Halves = tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]

_ONES = (1 << 64) - 1


def _table(width: int, half: int) -> list[int]:
    """The network masks of all lengths up to 128, of one half of an address of `width` bits."""
    whole = (1 << width) - 1
    found = []
    for length in range(129):
        mask = whole >> max(width - length, 0) << max(width - length, 0)
        found.append(mask >> 64 if half == 0 else mask & _ONES)
    return found


_MASKS = np.array([[_table(width, half) for half in (0, 1)] for width in (32, 128)], np.uint64)
_WHOLE = np.array([[0, (1 << 32) - 1], [_ONES, _ONES]], np.uint64)


def masks(family: npt.NDArray[np.uint8], length: npt.NDArray[np.integer]) -> Halves:
    """The network masks of blocks."""
    six = (family == 6).astype(np.intp)
    return _MASKS[six, 0, length], _MASKS[six, 1, length]


def fill(
    rng: np.random.Generator,
    family: npt.NDArray[np.uint8],
    network: Halves,
    length: npt.NDArray[np.integer],
) -> Halves:
    """A random address inside each block."""
    mask_hi, mask_lo = masks(family, length)
    six = (family == 6).astype(np.intp)
    n = len(family)
    hi = rng.integers(0, 1 << 64, n, np.uint64) if six.any() else np.zeros(n, np.uint64)
    lo = rng.integers(0, 1 << 64, n, np.uint64)
    return network[0] | (hi & ~mask_hi & _WHOLE[six, 0]), network[1] | (lo & ~mask_lo & _WHOLE[six, 1])
