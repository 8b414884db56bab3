# ruff: noqa: SIM110 (loops and comparisons in the form that compiles to the fastest code)
"""Tokens of flow-log text: numbers, addresses and ids, read in place.

Every text that comes here ends with a newline, so that no loop needs to look for the end of the array.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.kernels import flowlog_codes as codes
from sgsim.kernels._jit import helper, kernel

__all__ = [
    "COLON",
    "DASH",
    "DOT",
    "LARGE",
    "MISSING",
    "NEWLINE",
    "NOT_ONE",
    "RETURN",
    "SPACE",
    "TAB",
    "Names",
    "intern",
    "parse_addresses",
    "read_address",
    "read_number",
    "token_end",
]

SPACE, TAB, NEWLINE, RETURN, DASH, COLON, DOT = 32, 9, 10, 13, 45, 58, 46

# Outcomes of a number that is not one.
MISSING, NOT_ONE, LARGE = -1, -2, -3

_SLOTS = 1 << 14  #: of the hash table of one id column; half are used at most
_ARENA = 1 << 18  #: bytes of the ids of one column


class Names(NamedTuple):
    """The distinct ids of each id column: `slots` is an open hash table of codes, `arena` holds the text.

    `ends[column, code + 1]` is where the text of a code ends in the arena; `counts` and `last` (the code met last,
    which is very often the next one too) are per column.
    """

    slots: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    arena: npt.NDArray[np.uint8]
    counts: npt.NDArray[np.int32]
    last: npt.NDArray[np.int32]

    @classmethod
    def empty(cls) -> Names:
        """Tables without ids."""
        return cls(
            slots=np.full((codes.IDS, _SLOTS), -1, np.int32),
            ends=np.zeros((codes.IDS, _SLOTS // 2 + 1), np.int32),
            arena=np.empty((codes.IDS, _ARENA), np.uint8),
            counts=np.zeros(codes.IDS, np.int32),
            last=np.full(codes.IDS, -1, np.int32),
        )

    def texts(self, column: int) -> list[str]:
        """The ids of a column in the order of their codes."""
        ends = self.ends[column, : self.counts[column] + 1].tolist()
        text = self.arena[column, : ends[-1]].tobytes().decode("ascii")
        return [text[begin:end] for begin, end in pairwise(ends)]


@helper
def token_end(text: Any, p: int) -> int:
    while text[p] > SPACE:
        p += 1
    return p


@helper
def read_number(text: Any, p: int) -> Any:
    """A number of at most 18 digits that ends with its token: (value or MISSING, NOT_ONE, LARGE, end of token)."""
    begin = p
    value = np.int64(0)
    digit = np.int64(text[p]) - 48
    while 0 <= digit <= 9:
        value = value * 10 + digit
        p += 1
        digit = np.int64(text[p]) - 48
    if text[p] <= SPACE:
        if p - begin > 18:
            return np.int64(LARGE), p
        return value, p
    if text[begin] == DASH and text[begin + 1] <= SPACE:
        return np.int64(MISSING), begin + 1
    return np.int64(NOT_ONE), token_end(text, p)


@helper
def _dotted(text: Any, p: int) -> Any:
    """Four octets, without leading zeros: (value or -1, position after them)."""
    value = np.int64(0)
    for octet in range(4):
        first = np.int64(text[p]) - 48
        if first < 0 or first > 9:
            return np.int64(-1), p
        p += 1
        part = first
        digit = np.int64(text[p]) - 48
        if 0 <= digit <= 9:
            if first == 0:
                return np.int64(-1), p
            part = part * 10 + digit
            p += 1
            digit = np.int64(text[p]) - 48
            if 0 <= digit <= 9:
                part = part * 10 + digit
                p += 1
        if part > 255:
            return np.int64(-1), p
        value = value * 256 + part
        if octet < 3:
            if text[p] != DOT:
                return np.int64(-1), p
            p += 1
    return value, p


@helper
def _hex_digit(c: Any) -> Any:
    if 48 <= c <= 57:
        return c - 48
    lower = c | 32
    if 97 <= lower <= 102:
        return lower - 87
    return -1


@helper
def _colons(text: Any, p: int) -> Any:
    """An IPv6 address (RFC 4291 §2.2, all three forms) up to the end of its token: (valid, high, low).

    Groups are shifted into 128 bits; where `::` stood, the groups before it are moved up at the end.
    """
    high, low = np.uint64(0), np.uint64(0)
    wrong = (False, high, low)
    sixteen, forty_eight = np.uint64(16), np.uint64(48)
    groups, gap = 0, -1
    if text[p] == COLON:
        if text[p + 1] != COLON:
            return wrong
        gap = 0
        p += 2
    while text[p] > SPACE:
        begin = p
        group = np.int64(0)
        digit = _hex_digit(np.int64(text[p]))
        while digit >= 0 and p - begin < 4:
            group = group * 16 + digit
            p += 1
            digit = _hex_digit(np.int64(text[p]))
        if p == begin or groups == 8:
            return wrong
        if text[p] == DOT:
            value, p = _dotted(text, begin)
            if value < 0 or text[p] > SPACE or groups > 6:
                return wrong
            high = (high << np.uint64(32)) | (low >> np.uint64(32))
            low = (low << np.uint64(32)) | np.uint64(value)
            groups += 2
            break
        high = (high << sixteen) | (low >> forty_eight)
        low = (low << sixteen) | np.uint64(group)
        groups += 1
        if text[p] <= SPACE:
            break
        if text[p] != COLON:
            return wrong
        p += 1
        if text[p] == COLON:
            if gap >= 0:
                return wrong
            gap = groups
            p += 1
        elif text[p] <= SPACE:
            return wrong
    if gap < 0:
        return groups == 8, high, low
    if groups > 7:
        return wrong
    tail = np.uint64(16 * (groups - gap))  # bits after the `::`, at most 112
    shift = np.uint64(16 * (8 - groups))  # zeros that it stands for, at least 16
    ones = np.uint64(0xFFFFFFFFFFFFFFFF)
    zero, sixty_four = np.uint64(0), np.uint64(64)
    if tail >= sixty_four:
        mask_high = (np.uint64(1) << (tail - sixty_four)) - np.uint64(1)
        mask_low = ones
    else:
        mask_high = zero
        mask_low = (np.uint64(1) << tail) - np.uint64(1)
    head_high, head_low = high & ~mask_high, low & ~mask_low
    if shift >= np.uint64(128):
        head_high, head_low = zero, zero
    elif shift >= sixty_four:
        head_high, head_low = head_low << (shift - sixty_four), zero
    else:
        head_high = (head_high << shift) | (head_low >> (sixty_four - shift))
        head_low = head_low << shift
    return True, head_high | (high & mask_high), head_low | (low & mask_low)


@helper
def read_address(text: Any, p: int) -> Any:
    """An address or `-`: (family 4, 6, 0 for `-`, -1 for neither, high, low, end of token)."""
    zero = np.uint64(0)
    value, end = _dotted(text, p)
    if value >= 0 and text[end] <= SPACE:
        return 4, zero, np.uint64(value), end
    end = token_end(text, p)
    if text[p] == DASH and end == p + 1:
        return 0, zero, zero, end
    valid, high, low = _colons(text, p)
    if valid:
        return 6, high, low, end
    return -1, zero, zero, end


@helper
def _same(text: Any, p: int, length: int, arena: Any, at: int) -> bool:
    for i in range(length):
        if text[p + i] != arena[at + i]:
            return False
    return True


@helper
def intern(text: Any, p: int, column: int, names: Any) -> Any:
    """The code of an id: (code, or -1 for `-`, -2 for what is no id, -3 if the tables are full; end of token)."""
    arena = names.arena[column]
    ends = names.ends[column]
    last = names.last[column]
    if last >= 0:
        at = ends[last]
        length = ends[last + 1] - at
        if _same(text, p, length, arena, at) and text[p + length] <= SPACE:
            return last, p + length
    begin = p
    hashed = np.uint64(14695981039346656037)
    while text[p] > SPACE:
        c = text[p]
        if c > 126:
            return np.int32(-2), token_end(text, p)
        hashed = ((hashed << np.uint64(5)) | (hashed >> np.uint64(59))) ^ np.uint64(c)
        p += 1
    length = p - begin
    if length == 1 and text[begin] == DASH:
        return np.int32(-1), p
    if length > codes.LIMIT_TEXT:
        return np.int32(-2), p
    hashed = hashed * np.uint64(0x9E3779B97F4A7C15)
    slots = names.slots[column]
    slot = np.int64(hashed >> np.uint64(50))  # the table has 2**14 slots
    code = slots[slot]
    while code >= 0:
        at = ends[code]
        if ends[code + 1] - at == length and _same(text, begin, length, arena, at):
            names.last[column] = code
            return code, p
        slot = (slot + 1) & (_SLOTS - 1)
        code = slots[slot]
    code = names.counts[column]
    at = ends[code]
    if code >= _SLOTS // 2 or at + length > _ARENA:
        return np.int32(-3), p
    for i in range(length):
        arena[at + i] = text[begin + i]
    ends[code + 1] = at + length
    slots[slot] = code
    names.counts[column] = code + 1
    names.last[column] = code
    return code, p


@kernel(noalias=True)
def parse_addresses(data: Any, offsets: Any, families: Any, high: Any, low: Any) -> None:
    """Addresses of an Arrow string column: data uint8, offsets int64[n + 1].

    Writes the family (0 for `-` and the empty text, 255 for what is no address) and the halves of each.
    """
    token = np.empty(64, np.uint8)  # a longer text is no address
    for i in range(families.shape[0]):
        begin = offsets[i]
        length = offsets[i + 1] - begin
        families[i], high[i], low[i] = 0, 0, 0
        if length == 0:
            continue
        if length > 60:
            families[i] = 255
            continue
        for j in range(length):
            token[j] = data[begin + j]
        token[length] = NEWLINE
        family, high[i], low[i], end = read_address(token, 0)
        families[i] = family if family >= 0 and end == length else 255
