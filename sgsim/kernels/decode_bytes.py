"""Loads from and stores to raw memory, as one machine instruction each.

Why addresses and not arrays: numba counts references, atomically, to every array handed to a helper that LLVM inlines
late; that was two thirds of the decoder's time (42 ns a packet, 14 without). And shifting single bytes together
costs four to eight times one load: numba's wrap-around of negative indexes keeps LLVM from seeing it.

Nothing here checks bounds: whoever calls has compared the last byte with the end of the captured part, and a test
decodes every packet amid different garbage to prove it. The array behind an address must outlive its use, which the
arguments of a kernel do.
"""

from __future__ import annotations

import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = [
    "address_of",
    "be16",
    "be32",
    "be64",
    "byte",
    "load16",
    "load32",
    "load64",
    "put8",
    "put16",
    "put32",
    "put64",
]


@intrinsic  # type: ignore[untyped-decorator]
def address_of(typing_context: Any, array: Any) -> Any:
    """The address of an array's first element, as int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return types.int64(array), generate


def _loader(bits: int, swapped: bool, result: Any) -> Any:
    """An intrinsic `(int64 address) -> result` that loads `bits` bits, byte-swapped if asked."""

    @intrinsic  # type: ignore[untyped-decorator]
    def load(typing_context: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            word = ir.IntType(bits)
            value = builder.load(builder.inttoptr(arguments[0], word.as_pointer()))
            value.align = 1
            if swapped:
                swap = builder.module.declare_intrinsic("llvm.bswap", [word])
                value = builder.call(swap, [value])
            return value if bits == 64 else builder.zext(value, ir.IntType(64))

        return result(types.int64), generate

    return load


_BIG_HOST = sys.byteorder == "big"

#: Values of 8 to 32 bits come as int64, so that arithmetic on them stays signed and never turns into float.
byte = _loader(8, False, types.int64)
be16 = _loader(16, not _BIG_HOST, types.int64)
be32 = _loader(32, not _BIG_HOST, types.int64)
be64 = _loader(64, not _BIG_HOST, types.uint64)

#: In the machine's own order: file formats that state their order are compared with it.
load16 = _loader(16, False, types.int64)
load32 = _loader(32, False, types.int64)
load64 = _loader(64, False, types.int64)


def _storer(bits: int) -> Any:
    """An intrinsic `(int64 address, integer) -> None` that stores the low `bits` bits."""

    @intrinsic  # type: ignore[untyped-decorator]
    def store(typing_context: Any, address: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            word = ir.IntType(bits)
            low = arguments[1] if bits == 64 else builder.trunc(arguments[1], word)
            builder.store(low, builder.inttoptr(arguments[0], word.as_pointer()))
            return context.get_dummy_value()

        return types.none(types.int64, types.uint64 if value == types.uint64 else types.int64), generate

    return store


#: In the machine's own order, at aligned addresses.
put8, put16, put32, put64 = _storer(8), _storer(16), _storer(32), _storer(64)
