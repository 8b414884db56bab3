"""Flow-log records that are columns already (Parquet) → the columns and classes that text has.

Blocks of rows go field by field, in loops without choices that become vector code; then each row gets its class, and
the rows that are records close ranks. Choosing the field's kind at each row instead took twice as long.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sgsim.kernels import flowlog_codes as codes
from sgsim.kernels._jit import helper, kernel
from sgsim.kernels.flowlog_rules import is_told_of_silence, number_limit, number_problem, record_class
from sgsim.kernels.flowlog_words import uncounted

__all__ = ["fold_rows", "scratch"]

_BLOCK = 256
# Rows of the scratch array: what a block's rows say until their class is known.
_SOURCE_PORT, _DESTINATION_PORT, _PROTOCOL, _START, _END, _STATUS, _EFA, _CAUSE, _SILENT_CAUSE, _STATUS_CAUSE = range(
    10
)
_INITIAL = (0, 0, 0, -1, -1, codes.ABSENT, 0, 0, 0, 0)


def scratch() -> Any:
    """Memory that `fold_rows` works in."""
    return np.empty((len(_INITIAL), _BLOCK), np.int64)


@uncounted
@helper
def _note(role: int, problem: int, i: int, work: Any) -> None:
    if problem != 0:
        if work[_CAUSE, i] == 0:
            work[_CAUSE, i] = problem
        if work[_SILENT_CAUSE, i] == 0 and is_told_of_silence(role):
            work[_SILENT_CAUSE, i] = problem
        if role == codes.LOG_STATUS:
            work[_STATUS_CAUSE, i] = problem


@uncounted
@helper
def _take(numbers: Any, out: Any, place: int, at: int, limit: int) -> bool:
    """Copy numbers to out[place, at:]; whether one is neither MISSING nor 0 to `limit`."""
    wrong = False
    for i in range(numbers.shape[0]):
        value = numbers[i]
        out[place, at + i] = value
        wrong |= (value > limit) | (value < codes.MISSING)
    return wrong


@uncounted
@helper
def _fold_numbers(role: int, numbers: Any, base: int, work: Any, columns_numbers: Any, tcp_flags: Any) -> None:
    limit = number_limit(role)
    if role == codes.PACKETS or role == codes.BYTES:
        wrong = _take(numbers, columns_numbers, role - codes.PACKETS, base, limit)
    elif role == codes.START or role == codes.END:
        wrong = _take(numbers, work, role - codes.START + _START, 0, limit)
    elif role == codes.TCP_FLAGS:
        wrong = False
        for i in range(numbers.shape[0]):
            tcp_flags[base + i] = numbers[i]
            wrong |= (numbers[i] > limit) | (numbers[i] < codes.MISSING)
    else:
        wrong = _take(numbers, work, role - codes.SRCPORT + _SOURCE_PORT, 0, limit)
    if wrong:
        for i in range(numbers.shape[0]):
            _note(role, number_problem(role, numbers[i]), i, work)


@uncounted
@helper
def _fold_addresses(
    role: int, entries: Any, first: int, base: int, work: Any, table_families: Any, table_high: Any, table_low: Any,
    families: Any, addresses: Any,
) -> None:  # fmt: skip
    index = role - codes.SRCADDR
    wrong = False
    for i in range(entries.shape[0]):
        entry = first + entries[i]
        families[index, base + i] = table_families[entry]
        addresses[2 * index, base + i] = table_high[entry]
        addresses[2 * index + 1, base + i] = table_low[entry]
        wrong |= table_families[entry] == codes.NO_FAMILY
    if wrong:
        for i in range(entries.shape[0]):
            if families[index, base + i] == codes.NO_FAMILY:
                _note(role, codes.ADDRESS, i, work)


@uncounted
@helper
def _fold_words(
    role: int, entries: Any, first: int, base: int, work: Any, table_codes: Any, ids: Any, octets: Any, direction: Any
) -> None:
    wrong = False
    problem = codes.BAD_TEXT
    if role >= codes.FIRST_ID:
        for i in range(entries.shape[0]):
            code = table_codes[first + entries[i]]
            ids[role - codes.FIRST_ID, base + i] = code
            wrong |= code == codes.NOT_ONE
    elif role == codes.ACTION:
        problem = codes.BAD_ACTION
        for i in range(entries.shape[0]):
            code = table_codes[first + entries[i]]
            octets[1, base + i] = codes.ABSENT if code < 0 else code
            wrong |= code == codes.NOT_ONE
    elif role == codes.LOG_STATUS:
        problem = codes.BAD_STATUS
        for i in range(entries.shape[0]):
            code = table_codes[first + entries[i]]
            work[_STATUS, i] = codes.ABSENT if code < 0 else code
            wrong |= code == codes.NOT_ONE
    elif role == codes.FLOW_DIRECTION:
        problem = codes.BAD_DIRECTION
        for i in range(entries.shape[0]):
            code = table_codes[first + entries[i]]
            direction[base + i] = code
            wrong |= code == codes.NOT_ONE
    elif role == codes.TYPE:
        for i in range(entries.shape[0]):
            work[_EFA, i] = table_codes[first + entries[i]] == 1
    if wrong:
        for i in range(entries.shape[0]):
            if table_codes[first + entries[i]] == codes.NOT_ONE:
                _note(role, problem, i, work)


@uncounted
@kernel(noalias=True)
def fold_rows(
    n: int, line: int, roles: Any, places: Any, bases: Any, values: Any, indices: Any, table_families: Any,
    table_high: Any, table_low: Any, table_codes: Any, columns: Any, work: Any, tallies: Any, firsts: Any,
) -> Any:  # fmt: skip
    """Take n rows into columns; the columns' capacity is at least n.

    Field f of the log is read as roles[f] (int8). Numbers are values[places[f]] (int64[·, n]: MISSING, NOT_ONE, LARGE
    or the number). Everything else is a dictionary: entry bases[f] + indices[places[f], row] (int32, -1 for null) of
    the tables, so that the entry before a dictionary's first is that of null: for addresses family (or NO_FAMILY)
    and halves, else a code (int32: MISSING, NOT_ONE, or what it stands for). `work` is scratch(). `line`, `tallies`,
    `firsts` as in `parse_lines`. Returns (rows, silences).
    """
    addresses, families, ports = columns.addresses, columns.families, columns.ports
    numbers, octets, ids = columns.numbers, columns.octets, columns.ids
    tcp_flags, direction, silent = columns.tcp_flags, columns.direction, columns.silent
    row = 0
    silence = 0
    for begin in range(0, n, _BLOCK):
        size = min(_BLOCK, n - begin)
        end = begin + size
        base = row  # the block's rows are written from here on, and close ranks below
        for k in range(len(_INITIAL)):
            work[k, :size] = _INITIAL[k]
        for f in range(roles.shape[0]):
            role = roles[f]
            if role < codes.SRCPORT:
                entries = indices[places[f], begin:end]
                _fold_addresses(
                    role, entries, bases[f], base, work, table_families, table_high, table_low, families, addresses
                )
            elif role <= codes.TCP_FLAGS:
                _fold_numbers(role, values[places[f], begin:end], base, work, numbers, tcp_flags)
            else:
                entries = indices[places[f], begin:end]
                _fold_words(role, entries, bases[f], base, work, table_codes, ids, octets, direction)
        for i in range(size):
            at = base + i
            start, finish, status = work[_START, i], work[_END, i], work[_STATUS, i]
            result = record_class(
                status, work[_STATUS_CAUSE, i], work[_SILENT_CAUSE, i], work[_CAUSE, i], work[_EFA, i] != 0, families,
                at, work[_SOURCE_PORT, i], work[_DESTINATION_PORT, i], work[_PROTOCOL, i], start, finish,
            )  # fmt: skip
            line += 1
            tallies[result] += 1
            if tallies[result] == 1:
                firsts[result] = line
            if result == codes.OK:
                if row != at:
                    for k in range(8):
                        addresses[k, row] = addresses[k, at]
                    for k in range(4):
                        families[k, row] = families[k, at]
                    for k in range(codes.IDS):
                        ids[k, row] = ids[k, at]
                    numbers[0, row], numbers[1, row] = numbers[0, at], numbers[1, at]
                    octets[1, row], tcp_flags[row], direction[row] = octets[1, at], tcp_flags[at], direction[at]
                ports[0, row] = max(work[_SOURCE_PORT, i], 0)
                ports[1, row] = max(work[_DESTINATION_PORT, i], 0)
                octets[0, row] = work[_PROTOCOL, i]
                octets[2, row] = status
                numbers[2, row] = start
                numbers[3, row] = finish
                numbers[4, row] = line
                row += 1
            elif result == codes.NODATA or result == codes.SKIPDATA:
                silent[0, silence] = ids[0, at]
                silent[1, silence] = ids[1, at]
                silent[2, silence] = start
                silent[3, silence] = finish
                silent[4, silence] = result
                silence += 1
    return row, silence
