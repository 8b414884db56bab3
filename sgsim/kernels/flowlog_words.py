"""Eight bytes of text at a time: loads without bounds, and the arithmetic that finds the end of a token in them.

Plain indexing costs a test for negative positions at every byte; ids and skipped fields are most of a flow log's
bytes. On logs of version 2 words make ids five times faster than byte loops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from sgsim.kernels._jit import helper

__all__ = [
    "byte_at",
    "bytes_below",
    "eight_digits",
    "first_space",
    "is_plain",
    "not_digits",
    "trailing_zeros",
    "uncounted",
    "word_at",
]

F = TypeVar("F", bound=Callable[..., Any])


_ONES = np.uint64(0x0101010101010101)
_TOPS = np.uint64(0x8080808080808080)
_SPACES = np.uint64(0x2121212121212121)  # one above a space, in every byte
_EIGHT = np.uint64(8)


_ZEROS = np.uint64(0x3030303030303030)  # the digit 0, eight times
_PAIR = np.uint64(0x000000FF000000FF)


def uncounted(dispatcher: F) -> F:
    """Compile a kernel or helper without reference counts: its arrays are its caller's, and it makes none.

    Numba counts array arguments up and down, atomically, at each call that it cannot inline: a third of all the time
    on flow logs of version 2.
    """
    dispatcher.targetoptions["_nrt"] = False  # type: ignore[attr-defined]
    return dispatcher


@intrinsic  # type: ignore[misc]
def byte_at(typing_context: Any, text: Any, position: Any) -> Any:
    """`byte_at(text, position)`: one byte of a uint8 array as int64; never checked, negative positions neither."""
    signature = types.int64(text, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.zext(builder.load(builder.gep(data, [arguments[1]])), ir.IntType(64))

    return signature, generate


@intrinsic  # type: ignore[misc]
def word_at(typing_context: Any, text: Any, position: Any) -> Any:
    """`word_at(text, position)`: eight bytes of a uint8 array as uint64, the first in the lowest; never checked."""
    signature = types.uint64(text, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(64).as_pointer())
        word = builder.load(pointer)
        word.align = 1
        return word

    return signature, generate


@intrinsic  # type: ignore[misc]
def trailing_zeros(typing_context: Any, value: Any) -> Any:
    """`trailing_zeros(value)`: of a uint64 that is not zero, as int64."""
    signature = types.int64(types.uint64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return signature, generate


@uncounted
@helper
def not_digits(word: Any) -> Any:
    """(the word with digits as 0 to 9, a bit in each byte that is none; exact up to the lowest such byte)."""
    values = word ^ _ZEROS
    return values, ((values + np.uint64(0x7676767676767676)) | values) & _TOPS


@uncounted
@helper
def eight_digits(values: Any) -> Any:
    """The number of eight digit values, the first one in the lowest byte, as int64.

    Neighbours are joined in three rounds: to pairs, then (by one multiplication each) to fours and to the whole.
    """
    pairs = values * np.uint64(10) + (values >> np.uint64(8))
    first = (pairs & _PAIR) * np.uint64(0x000F424000000064)  # 1000000 << 32 | 100
    second = ((pairs >> np.uint64(16)) & _PAIR) * np.uint64(0x0000271000000001)  # 10000 << 32 | 1
    return np.int64((first + second) >> np.uint64(32))


@uncounted
@helper
def first_space(word: Any) -> Any:
    """A bit in each byte of a word that is 32 or less; exact up to the lowest such byte, which is all that counts."""
    return (word - _SPACES) & ~word & _TOPS


@uncounted
@helper
def bytes_below(word: Any, count: Any) -> Any:
    """The lowest `count` bytes of a word, 0 to 7 of them."""
    return word & ((np.uint64(1) << (np.uint64(count) * _EIGHT)) - np.uint64(1))


@uncounted
@helper
def is_plain(word: Any) -> Any:
    """Whether no byte of a word is above 126."""
    return ((word | (word + _ONES)) & _TOPS) == 0
