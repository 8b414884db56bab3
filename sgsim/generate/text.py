"""Columns → lines of text, by tables of ready-made bytes: 0.3 µs a record of sixteen fields.

Each field is a matrix of bytes, a row a record, with zeros where the text is shorter; the zeros fall out at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

__all__ = ["Texts", "addresses", "choices", "lines", "numbers", "strings"]

Texts = npt.NDArray[np.uint8]


@cache
def _table(kind: str) -> Texts:
    """Ready-made texts: `digits` of 0 … 99 999, `filled` with zeros in front, `octet`, `hex` of 0 … 65 535."""
    if kind == "filled":
        return choices([f"{n:05d}" for n in range(100_000)])
    counts = {"digits": (100_000, "d"), "octet": (256, "d"), "hex": (65_536, "x")}
    count, style = counts[kind]
    return choices([format(n, style) for n in range(count)])


def choices(texts: Sequence[str]) -> Texts:
    """One row of bytes for each of some texts, to be indexed."""
    encoded = [text.encode() for text in texts]
    width = max((len(text) for text in encoded), default=0) or 1
    return np.array(encoded, f"S{width}").view(np.uint8).reshape(len(encoded), width)


def numbers(values: npt.NDArray[np.int64]) -> Texts:
    """Decimal texts of numbers from 0 to below 10^10."""
    if not (values > 255).any():
        return _table("octet")[values]
    high, low = np.divmod(values, 100_000)
    if not high.any():
        return _table("digits")[low]
    large = high > 0
    first = np.where(large[:, None], _table("digits")[high], 0)
    return np.concatenate([first, np.where(large[:, None], _table("filled")[low], _table("digits")[low])], axis=1)


def addresses(family: npt.NDArray[np.uint8], hi: npt.NDArray[np.uint64], lo: npt.NDArray[np.uint64]) -> Texts:
    """Texts of addresses; IPv6 with all its zeros."""
    six = np.flatnonzero(family == 6)
    four = np.flatnonzero(family == 4)
    made = np.zeros((len(family), 39 if len(six) else 15), np.uint8)
    for place in range(4):
        octet = (lo[four] >> np.uint64(24 - 8 * place) & np.uint64(255)).astype(np.intp)
        made[four, 4 * place : 4 * place + 3] = _table("octet")[octet]
        if place:
            made[four, 4 * place - 1] = ord(".")
    for place in range(8 if len(six) else 0):
        half = hi if place < 4 else lo
        word = (half[six] >> np.uint64(48 - 16 * (place % 4)) & np.uint64(0xFFFF)).astype(np.intp)
        made[six, 5 * place : 5 * place + 4] = _table("hex")[word]
        if place:
            made[six, 5 * place - 1] = ord(":")
    return made


def lines(fields: Sequence[Texts]) -> bytes:
    """The records as lines, fields separated by a space."""
    n = len(fields[0])
    width = sum(field.shape[1] + 1 for field in fields)
    whole = np.empty((n, width), np.uint8)
    at = 0
    for number, field in enumerate(fields):
        whole[:, at : at + field.shape[1]] = field
        at += field.shape[1]
        whole[:, at] = ord("\n" if number == len(fields) - 1 else " ")
        at += 1
    flat = whole.reshape(-1)
    text: bytes = flat[flat != 0].tobytes()
    return text


def strings(texts: Texts) -> tuple[npt.NDArray[np.int32], bytes]:
    """The same texts as Arrow keeps them: (where each begins, with the end of the last; all bytes)."""
    filled = texts != 0
    ends = np.cumsum(filled.sum(axis=1), dtype=np.int32)
    return np.concatenate([np.zeros(1, np.int32), ends]), texts[filled].tobytes()
