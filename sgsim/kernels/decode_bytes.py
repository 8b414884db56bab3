"""Big-endian loads from a byte array at any alignment, as one machine load each.

Shifting single bytes together costs four to eight times as much: numba's wrap-around of negative indexes keeps LLVM
from seeing one load. Nothing here checks bounds: whoever calls has compared the last byte with the end of the
captured part, and a test decodes every packet amid different garbage to prove it.
"""

from __future__ import annotations

import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["be16", "be32", "be64", "byte", "load16", "load32", "load64"]


def _loader(bits: int, swapped: bool, result: Any) -> Any:
    """An intrinsic `(uint8[::1] array, int64 position) -> result` that loads `bits` bits, byte-swapped if asked."""

    @intrinsic  # type: ignore[untyped-decorator]
    def load(typing_context: Any, array: Any, position: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
            word = ir.IntType(bits)
            address = builder.bitcast(builder.gep(data, [arguments[1]]), word.as_pointer())
            value = builder.load(address)
            value.align = 1
            if swapped:
                swap = builder.module.declare_intrinsic("llvm.bswap", [word])
                value = builder.call(swap, [value])
            return value if bits == 64 else builder.zext(value, ir.IntType(64))

        return result(array, types.int64), generate

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
load64 = _loader(64, False, types.uint64)
