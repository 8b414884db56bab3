"""Where records of interfaces and headers of tables are, and whether rows' groups refer to groups.

Interfaces and tables keep their numbers; a change moves what it changes, with its neighbours in a chunk, to the end of
an array, and the next version has another list of chunks (see `sgsim.tables.slots`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel
from sgsim.kernels._memory import Number, get_i32, get_i64
from sgsim.kernels.match_context import DIRECTORY, INTERFACE_CHUNKS, RECORDS, TABLE_CHUNKS

__all__ = ["header_of", "mark_referring", "record_of", "slot_of", "table_slot"]

_SHIFT, _MASK = 5, 31
_REFERS = 4  # the bit of a header's kind


@helper(inline=True)
def slot_of(chunks: Number, number: Number) -> Number:
    """The slot of a number: `chunks` says where the chunk of 32 numbers that it is in begins."""
    return get_i32(chunks, number >> _SHIFT) + (number & _MASK)


@helper(inline=True)
def record_of(c: Number, interface: Number) -> Number:
    """The address of an interface's record."""
    return get_i64(c, RECORDS) + 32 * slot_of(get_i64(c, INTERFACE_CHUNKS), interface)


@helper(inline=True)
def table_slot(c: Number, table: Number) -> Number:
    """The slot of a table's header."""
    return slot_of(get_i64(c, TABLE_CHUNKS), table)


@helper(inline=True)
def header_of(c: Number, table: Number) -> Number:
    """The address of a table's header."""
    return get_i64(c, DIRECTORY) + 64 * table_slot(c, table)


@kernel
def mark_referring(
    interface: npt.NDArray[np.int32],
    direction: npt.NDArray[np.uint8],
    interface_chunks: npt.NDArray[np.int32],
    records: npt.NDArray[np.uint32],
    groups: npt.NDArray[np.int32],
    table_chunks: npt.NDArray[np.int32],
    directory: npt.NDArray[np.int32],
    refers: npt.NDArray[np.bool_],
) -> None:
    """Set `refers` where a rule that refers to a group is among those of each row's interface and direction."""
    for row in range(len(interface)):
        number = interface[row]
        if number < 0:
            continue
        record = interface_chunks[number >> _SHIFT] + (number & _MASK)
        first = np.int64(records[record, 0])
        for group in range(first, first + np.int64(records[record, 1] & 0xFFFF)):
            table = 2 * groups[group] + np.int64(direction[row])
            header = table_chunks[table >> _SHIFT] + (table & _MASK)
            if directory[header, 0] >> _REFERS & 1:
                refers[row] = True
