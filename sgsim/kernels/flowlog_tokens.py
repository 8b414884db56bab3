"""Tokens of flow-log text: numbers, addresses and ids, read in place.

Every text that comes here ends with a newline and `codes.SLACK` more bytes: no loop looks for the end of the array.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.kernels import flowlog_codes as codes
from sgsim.kernels._jit import helper, kernel
from sgsim.kernels.flowlog_words import (
    byte_at,
    bytes_below,
    eight_digits,
    first_space,
    is_plain,
    not_digits,
    trailing_zeros,
    uncounted,
    word_at,
)

__all__ = [
    "COLON",
    "DASH",
    "DOT",
    "NEWLINE",
    "RETURN",
    "SPACE",
    "TAB",
    "Names",
    "intern",
    "parse_addresses",
    "read_address",
    "read_number",
    "short_word",
    "token_end",
]

SPACE, TAB, NEWLINE, RETURN, DASH, COLON, DOT = 32, 9, 10, 13, 45, 58, 46

_SLOTS = 1 << 14  #: of the hash table of one id column; half are used at most
_ARENA = 1 << 15  #: words of the ids of one column
_BYTE = np.uint64(0xFF)
_POWERS = np.array([10**digits for digits in range(8)], np.int64)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class Names(NamedTuple):
    """The distinct ids of each id column: `slots` is an open hash table of codes, `arena` holds the text.

    Texts lie in the arena as words, padded with zeros, so that comparing is comparing words; `ends[column, code + 1]`
    is where the words of a code end. `counts` is per column.
    """

    slots: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    arena: npt.NDArray[np.uint64]
    counts: npt.NDArray[np.int32]

    @classmethod
    def empty(cls) -> Names:
        """Tables without ids."""
        return cls(
            slots=np.full((codes.IDS, _SLOTS), -1, np.int32),
            ends=np.zeros((codes.IDS, _SLOTS // 2 + 1), np.int32),
            arena=np.empty((codes.IDS, _ARENA), np.uint64),
            counts=np.zeros(codes.IDS, np.int32),
        )

    def texts(self, column: int) -> list[str]:
        """The ids of a column in the order of their codes."""
        ends = (self.ends[column, : self.counts[column] + 1] * 8).tolist()
        text = self.arena[column, : ends[-1] // 8].astype("<u8").tobytes().decode("ascii")
        return [text[begin:end].rstrip("\0") for begin, end in pairwise(ends)]


@uncounted
@helper
def token_end(text: Any, p: int) -> Any:
    """The position of the first byte from p on that is a space or less."""
    found = first_space(word_at(text, p))
    while found == 0:
        p += 8
        found = first_space(word_at(text, p))
    return p + (trailing_zeros(found) >> 3)


@uncounted
@helper
def read_number(text: Any, p: int) -> Any:
    """A number of at most 18 digits that ends with its token: (value or MISSING, NOT_ONE, LARGE, end of token)."""
    begin = p
    value = np.int64(0)
    values, others = not_digits(word_at(text, p))
    while others == 0:
        value = value * 100_000_000 + eight_digits(values)  # of more than 18 digits it is nonsense, and not used
        p += 8
        values, others = not_digits(word_at(text, p))
    digits = trailing_zeros(others) >> 3
    if digits > 0:
        value = value * _POWERS[digits] + eight_digits(values << np.uint64(64 - 8 * digits))
        p += digits
    if p > begin and byte_at(text, p) <= SPACE:
        if p - begin > 18:
            return np.int64(codes.LARGE), p
        return value, p
    if byte_at(text, begin) == DASH and byte_at(text, begin + 1) <= SPACE:
        return np.int64(codes.MISSING), begin + 1
    return np.int64(codes.NOT_ONE), token_end(text, p)


@uncounted
@helper
def _octet(text: Any, p: int) -> Any:
    """Up to three digits: (value, or more than 255 if they are no octet; how many digits)."""
    values, others = not_digits(word_at(text, p))
    digits = trailing_zeros(others | np.uint64(0x80000000)) >> 3
    shifted = (values << np.uint64(24 - 8 * digits)) & np.uint64(0xFFFFFF)
    hundreds, tens, ones = shifted & _BYTE, (shifted >> np.uint64(8)) & _BYTE, shifted >> np.uint64(16)
    value = np.int64(hundreds * np.uint64(100) + tens * np.uint64(10) + ones)
    leading_zero = digits > 1 and values & _BYTE == 0
    return value + 256 * (digits == 0) + 256 * leading_zero, digits


@uncounted
@helper
def _dotted(text: Any, p: int) -> Any:
    """Four octets, without leading zeros: (value or -1, position after them). Free of branches but for the answer."""
    a, digits = _octet(text, p)
    p += digits
    wrong = byte_at(text, p) ^ DOT
    b, digits = _octet(text, p + 1)
    p += 1 + digits
    wrong |= byte_at(text, p) ^ DOT
    c, digits = _octet(text, p + 1)
    p += 1 + digits
    wrong |= byte_at(text, p) ^ DOT
    d, digits = _octet(text, p + 1)
    p += 1 + digits
    if wrong | ((a | b | c | d) >> 8):
        return np.int64(-1), p
    return (a << 24) | (b << 16) | (c << 8) | d, p


@uncounted
@helper
def short_word(text: Any, p: int) -> Any:
    """A token of at most eight bytes, as a word, 0 if it is longer; and its end."""
    word = word_at(text, p)
    found = first_space(word)
    if found != 0:
        length = trailing_zeros(found) >> 3
        return bytes_below(word, length), p + length
    end = token_end(text, p)
    return (word if end == p + 8 else np.uint64(0)), end


@uncounted
@helper
def _hex_digit(c: Any) -> Any:
    if 48 <= c <= 57:
        return c - 48
    lower = c | 32
    if 97 <= lower <= 102:
        return lower - 87
    return -1


@uncounted
@helper
def _colons(text: Any, p: int) -> Any:
    """An IPv6 address (RFC 4291 §2.2, all three forms) up to the end of its token: (valid, high, low).

    Groups are shifted into 128 bits; where `::` stood, the groups before it are moved up at the end.
    """
    high, low = np.uint64(0), np.uint64(0)
    wrong = (False, high, low)
    sixteen, forty_eight = np.uint64(16), np.uint64(48)
    groups, gap = 0, -1
    if byte_at(text, p) == COLON:
        if byte_at(text, p + 1) != COLON:
            return wrong
        gap = 0
        p += 2
    while byte_at(text, p) > SPACE:
        begin = p
        group = np.int64(0)
        digit = _hex_digit(byte_at(text, p))
        while digit >= 0 and p - begin < 4:
            group = group * 16 + digit
            p += 1
            digit = _hex_digit(byte_at(text, p))
        if p == begin or groups == 8:
            return wrong
        if byte_at(text, p) == DOT:
            value, p = _dotted(text, begin)
            if value < 0 or byte_at(text, p) > SPACE or groups > 6:
                return wrong
            high = (high << np.uint64(32)) | (low >> np.uint64(32))
            low = (low << np.uint64(32)) | np.uint64(value)
            groups += 2
            break
        high = (high << sixteen) | (low >> forty_eight)
        low = (low << sixteen) | np.uint64(group)
        groups += 1
        if byte_at(text, p) <= SPACE:
            break
        if byte_at(text, p) != COLON:
            return wrong
        p += 1
        if byte_at(text, p) == COLON:
            if gap >= 0:
                return wrong
            gap = groups
            p += 1
        elif byte_at(text, p) <= SPACE:
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


@uncounted
@helper
def read_address(text: Any, p: int) -> Any:
    """An address or `-`: (family 4, 6, 0 for `-`, -1 for neither, high, low, end of token)."""
    zero = np.uint64(0)
    value, end = _dotted(text, p)
    if value >= 0 and byte_at(text, end) <= SPACE:
        return 4, zero, np.uint64(value), end
    end = token_end(text, p)
    if byte_at(text, p) == DASH and end == p + 1:
        return 0, zero, zero, end
    valid, high, low = _colons(text, p)
    if valid:
        return 6, high, low, end
    return -1, zero, zero, end


@uncounted
@helper
def _mixed(hashed: Any, word: Any) -> Any:
    hashed = (hashed ^ word) * _FACTOR
    return hashed ^ (hashed >> np.uint64(32))


@uncounted
@helper
def _is_kept(text: Any, p: int, words: int, tail: Any, arena: Any, column: int, at: int) -> Any:
    """Whether the arena has, at `at`, the full `words` of the text at p and then its tail (0: none)."""
    for i in range(words):
        if arena[column, at + i] != word_at(text, p + 8 * i):
            return False
    return tail == 0 or arena[column, at + words] == tail


@uncounted
@helper
def intern(text: Any, p: int, column: int, slots: Any, ends: Any, arena: Any, counts: Any) -> Any:
    """The code of an id: (code, or -1 for `-`, -2 for what is no id, -3 if the tables are full; end of token).

    The last four are those of Names, apart: a tuple of arrays costs reference counts at every call.
    """
    begin = p
    hashed = np.uint64(0)
    plain = True
    word = word_at(text, p)
    found = first_space(word)
    while found == 0:
        plain = plain and is_plain(word)
        hashed = _mixed(hashed, word)
        p += 8
        word = word_at(text, p)
        found = first_space(word)
    rest = trailing_zeros(found) >> 3
    words = (p - begin) >> 3
    p += rest
    tail = bytes_below(word, rest)
    if words == 0 and tail == DASH:
        return np.int32(-1), p
    if not (plain and is_plain(tail)) or p - begin > codes.LIMIT_TEXT:
        return np.int32(-2), p
    hashed = _mixed(hashed, tail)
    size = words + (1 if rest > 0 else 0)
    slot = np.int64(hashed >> np.uint64(50))  # the table has 2**14 slots
    code = slots[column, slot]
    while code >= 0:
        at = ends[column, code]
        if ends[column, code + 1] - at == size and _is_kept(text, begin, words, tail, arena, column, at):
            return code, p
        slot = (slot + 1) & (_SLOTS - 1)
        code = slots[column, slot]
    code = counts[column]
    at = ends[column, code]
    if code >= _SLOTS // 2 or at + size > _ARENA:
        return np.int32(-3), p
    for i in range(words):
        arena[column, at + i] = word_at(text, begin + 8 * i)
    if rest > 0:
        arena[column, at + words] = tail
    ends[column, code + 1] = at + size
    slots[column, slot] = code
    counts[column] = code + 1
    return code, p


@kernel(noalias=True)
def parse_addresses(data: Any, offsets: Any, families: Any, high: Any, low: Any) -> None:
    """Addresses of an Arrow string column: data uint8, offsets int64[n + 1].

    Writes the family (0 for `-` and the empty text, 255 for what is no address) and the halves of each.
    """
    token = np.full(64 + codes.SLACK, NEWLINE, np.uint8)  # a longer text is no address
    for i in range(offsets.shape[0] - 1):
        begin = offsets[i]
        length = offsets[i + 1] - begin
        families[i], high[i], low[i] = 0, 0, 0
        if length == 0:
            continue
        if length > 60:
            families[i] = codes.NO_FAMILY
            continue
        for j in range(length):
            token[j] = data[begin + j]
        token[length] = NEWLINE
        family, high[i], low[i], end = read_address(token, 0)
        families[i] = family if family >= 0 and end == length else codes.NO_FAMILY
