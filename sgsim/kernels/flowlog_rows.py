"""Flow-log records that are columns already (Parquet) → the columns and classes that text has: one pass over rows."""

from __future__ import annotations

from typing import Any

from sgsim.kernels import flowlog_codes as codes
from sgsim.kernels._jit import kernel
from sgsim.kernels.flowlog_rules import is_told_of_silence, number_problem, record_class
from sgsim.kernels.flowlog_words import uncounted

__all__ = ["fold_rows"]


@uncounted
@kernel(noalias=True)
def fold_rows(
    n: int, line: int, roles: Any, places: Any, bases: Any, values: Any, indices: Any, table_families: Any,
    table_high: Any, table_low: Any, table_codes: Any, columns: Any, tallies: Any, firsts: Any,
) -> Any:  # fmt: skip
    """Take n rows into columns; the columns' capacity is at least n.

    Field f of the log is read as roles[f] (int8). Numbers are values[places[f]] (int64[·, n]: MISSING, NOT_ONE, LARGE
    or the number). Everything else is a dictionary: entry bases[f] + indices[places[f], row] (int32, -1 for null) of
    the tables, so that the entry before a dictionary's first is that of null: for addresses family (255: no address)
    and halves, else a code (int32: MISSING, NOT_ONE, or what it stands for). `line`, `tallies`, `firsts` as in
    `parse_lines`. Returns (rows, silences).
    """
    addresses, families, ports = columns.addresses, columns.families, columns.ports
    numbers, octets, ids = columns.numbers, columns.octets, columns.ids
    tcp_flags, direction, silent = columns.tcp_flags, columns.direction, columns.silent
    row = 0
    silence = 0
    for i in range(n):
        source_port = 0
        destination_port = 0
        protocol = 0
        start = -1
        finish = -1
        cause = 0
        silent_cause = 0
        status_cause = 0
        status = codes.ABSENT
        is_efa = False
        for f in range(roles.shape[0]):
            role = roles[f]
            place = places[f]
            problem = 0
            if role < codes.SRCPORT:
                entry = bases[f] + indices[place, i]
                family = table_families[entry]
                index = role - codes.SRCADDR
                if family == 255:
                    problem = codes.ADDRESS
                families[index, row] = family
                addresses[2 * index, row] = table_high[entry]
                addresses[2 * index + 1, row] = table_low[entry]
            elif role <= codes.TCP_FLAGS:
                value = values[place, i]
                problem = number_problem(role, value)
                if problem == 0:
                    if role == codes.SRCPORT:
                        source_port = value
                    elif role == codes.DSTPORT:
                        destination_port = value
                    elif role == codes.PROTOCOL:
                        protocol = value
                    elif role <= codes.BYTES:
                        numbers[role - codes.PACKETS, row] = value
                    elif role == codes.START:
                        start = value
                    elif role == codes.END:
                        finish = value
                    elif role == codes.TCP_FLAGS:
                        tcp_flags[row] = value
            else:
                code = table_codes[bases[f] + indices[place, i]]
                if role >= codes.FIRST_ID:
                    if code == codes.NOT_ONE:
                        problem = codes.BAD_TEXT
                    ids[role - codes.FIRST_ID, row] = code
                elif role == codes.ACTION:
                    if code == codes.NOT_ONE:
                        problem = codes.BAD_ACTION
                    octets[1, row] = codes.ABSENT if code < 0 else code
                elif role == codes.LOG_STATUS:
                    if code == codes.NOT_ONE:
                        problem = codes.BAD_STATUS
                        status_cause = problem
                    elif code >= 0:
                        status = code
                elif role == codes.FLOW_DIRECTION:
                    if code == codes.NOT_ONE:
                        problem = codes.BAD_DIRECTION
                    direction[row] = code
                elif role == codes.TYPE:
                    is_efa = code == 1
            if problem != 0:
                if cause == 0:
                    cause = problem
                if silent_cause == 0 and is_told_of_silence(role):
                    silent_cause = problem
        result = record_class(
            status, status_cause, silent_cause, cause, is_efa, families, row, source_port, destination_port,
            protocol, start, finish,
        )  # fmt: skip
        line += 1
        tallies[result] += 1
        if tallies[result] == 1:
            firsts[result] = line
        if result == codes.OK:
            ports[0, row] = max(source_port, 0)
            ports[1, row] = max(destination_port, 0)
            octets[0, row] = protocol
            octets[2, row] = status
            numbers[2, row] = start
            numbers[3, row] = finish
            numbers[4, row] = line
            row += 1
        elif result == codes.NODATA or result == codes.SKIPDATA:
            silent[0, silence] = ids[0, row]
            silent[1, silence] = ids[1, row]
            silent[2, silence] = start
            silent[3, silence] = finish
            silent[4, silence] = result
            silence += 1
    return row, silence
