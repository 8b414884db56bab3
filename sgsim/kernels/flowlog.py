# ruff: noqa: SIM109, SIM110 (loops and comparisons in the form that compiles to the fastest code)
"""Flow-log text → columns: one pass over the bytes, every line ends in exactly one class.

A line is parsed token by token into the next row of the columns; the row is kept only if the whole line proves to be
a record. Addresses and numbers are read in place; ids (interface, account …) are numbered as they first occur.
`sgsim.traffic.flowlogs` owns the meaning of the formats; here is only what `roles` says about each position.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.kernels import flowlog_codes as codes
from sgsim.kernels._jit import helper, kernel
from sgsim.kernels.flowlog_rules import is_told_of_silence, number_problem, record_class
from sgsim.kernels.flowlog_tokens import (
    COLON,
    DASH,
    DOT,
    NEWLINE,
    RETURN,
    SPACE,
    TAB,
    intern,
    read_address,
    read_number,
    short_word,
    token_end,
)
from sgsim.kernels.flowlog_words import byte_at, bytes_below, uncounted, word_at

__all__ = ["Columns", "parse_lines"]


def _word(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text, "little"))


_ACCEPT, _REJECT, _DASH = _word(b"ACCEPT"), _word(b"REJECT"), _word(b"-")
_OK, _NODATA, _SKIPDATA = _word(b"OK"), _word(b"NODATA"), _word(b"SKIPDATA")
_INGRESS, _EGRESS, _EFA = _word(b"ingress"), _word(b"egress"), _word(b"EFA")
_TRANSIT, _GATEWAY = _word(b"TransitG"), _word(b"ateway")


class Columns(NamedTuple):
    """The rows of a batch, written in place; capacity c.

    `addresses` uint64[8, c]: halves (high, low) of srcaddr, dstaddr, pkt-srcaddr, pkt-dstaddr; `families` uint8[4, c]
    likewise, 0 where there is none. `ports` uint16[2, c]. `numbers` int64[5, c]: packets, bytes, start, end, line.
    `octets` uint8[3, c]: protocol, action, log status. `tcp_flags` int16[c]. `direction` int8[c]. `ids` int32[IDS, c].
    `silent` int64[5, c]: account and interface code, start, end, class of NODATA and SKIPDATA lines.
    What the format lacks is left as it was.
    """

    addresses: npt.NDArray[np.uint64]
    families: npt.NDArray[np.uint8]
    ports: npt.NDArray[np.uint16]
    numbers: npt.NDArray[np.int64]
    octets: npt.NDArray[np.uint8]
    tcp_flags: npt.NDArray[np.int16]
    direction: npt.NDArray[np.int8]
    ids: npt.NDArray[np.int32]
    silent: npt.NDArray[np.int64]

    @classmethod
    def empty(cls, capacity: int) -> Columns:
        """Columns to be filled, uninitialised."""
        return cls(
            addresses=np.empty((8, capacity), np.uint64),
            families=np.zeros((4, capacity), np.uint8),
            ports=np.empty((2, capacity), np.uint16),
            numbers=np.empty((5, capacity), np.int64),
            octets=np.empty((3, capacity), np.uint8),
            tcp_flags=np.empty(capacity, np.int16),
            direction=np.empty(capacity, np.int8),
            ids=np.empty((codes.IDS, capacity), np.int32),
            silent=np.empty((5, capacity), np.int64),
        )


@uncounted
@helper
def _digits(text: Any, p: int, n: int) -> bool:
    for i in range(n):
        if byte_at(text, p + i) < 48 or byte_at(text, p + i) > 57:
            return False
    return True


@uncounted
@helper
def _timestamp_end(text: Any, p: int, end: int) -> int:
    """The end of a leading ISO timestamp such as 2024-05-01T12:00:00.000Z, or p if there is none.

    No field can look like it: colons are percent-encoded in tags, and an address has neither `T` nor `Z`.
    """
    if end - p < 20 or byte_at(text, p + 4) != DASH or byte_at(text, p + 7) != DASH or byte_at(text, p + 10) != 84:
        return p
    if byte_at(text, p + 13) != COLON or byte_at(text, p + 16) != COLON:
        return p
    for offset in (0, 2, 5, 8, 11, 14, 17):
        if not _digits(text, p + offset, 2):
            return p
    at = p + 19
    if byte_at(text, at) == DOT:
        at += 1
        if not _digits(text, at, 1):
            return p
        while _digits(text, at, 1):
            at += 1
    if byte_at(text, at) == 90 and byte_at(text, at + 1) <= SPACE:
        return at + 1
    return p


@uncounted
@helper
def _is_candidate(text: Any, p: int, refused: int) -> bool:
    """Whether a line begins with a letter and has nothing but what names and the spaces between them consist of."""
    if byte_at(text, p) < 97 or byte_at(text, p) > 122 or p == refused or refused == codes.REFUSE_ALL:
        return False
    while byte_at(text, p) != NEWLINE:
        c = byte_at(text, p)
        name = 97 <= c <= 122 or 48 <= c <= 57 or c == DASH or c == 95
        if not (name or c == SPACE or c == TAB or c == RETURN):
            return False
        p += 1
    return True


@uncounted
@kernel(noalias=True)
def parse_lines(
    text: Any, p: int, stop: int, line: int, row: int, silence: int, refused: int,
    mode: int, roles: Any, columns: Any, names: Any, tallies: Any, firsts: Any,
) -> Any:  # fmt: skip
    """Read lines of text[p:stop] (uint8, `\\n` at stop - 1) into columns from `row` and `silence` on.

    `line` is the number of the lines before. `tallies` int64[CLASSES] counts lines by class, `firsts` int64[CLASSES]
    holds the first line of each. A malformed line that may be a header stops the run (CANDIDATE, at its begin) unless
    it is at `refused`. Returns (why it stopped: DONE, FULL, CANDIDATE; position, line, row, silence).
    """
    capacity = columns.tcp_flags.shape[0]
    positions = roles.shape[0]
    addresses, families, ports = columns.addresses, columns.families, columns.ports
    numbers, octets, ids = columns.numbers, columns.octets, columns.ids
    tcp_flags, direction, silent = columns.tcp_flags, columns.direction, columns.silent
    slots, ends, arena, counts = names.slots, names.ends, names.arena, names.counts
    while p < stop:
        if row >= capacity or silence >= capacity:
            return codes.FULL, p, line, row, silence
        begin = p
        control = False
        if 48 <= byte_at(text, p) <= 57 and p + 20 < stop and byte_at(text, p + 4) == DASH:
            p = _timestamp_end(text, p, stop)
        source_port = np.int64(0)
        destination_port = np.int64(0)
        protocol = np.int64(0)
        start = np.int64(-1)
        finish = np.int64(-1)
        cause = 0
        silent_cause = 0
        status_cause = 0
        status = codes.ABSENT
        is_efa = False
        is_transit = False
        field = 0
        while True:
            c = byte_at(text, p)
            while c == SPACE or c == TAB:
                p += 1
                c = byte_at(text, p)
            if c <= SPACE:
                if c == NEWLINE:
                    break
                if c == RETURN and byte_at(text, p + 1) == NEWLINE:
                    p += 1
                    break
                control = True
                p += 1
                continue
            role = codes.SKIP
            if field < positions:
                role = roles[field]
            at = p
            problem = 0
            if role == codes.SKIP:
                p = token_end(text, p)
            elif role < codes.SRCPORT:
                family, high, low, p = read_address(text, p)
                index = role - codes.SRCADDR
                if family < 0:
                    problem = codes.ADDRESS
                else:
                    families[index, row] = family
                    addresses[2 * index, row] = high
                    addresses[2 * index + 1, row] = low
            elif role <= codes.TCP_FLAGS or role == codes.VERSION:
                value, p = read_number(text, p)
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
            elif role >= codes.FIRST_ID:
                code, p = intern(text, p, role - codes.FIRST_ID, slots, ends, arena, counts)
                if code == -3:
                    return codes.FULL, begin, line, row, silence
                if code == -2:
                    problem = codes.BAD_TEXT
                else:
                    ids[role - codes.FIRST_ID, row] = code
            else:
                word, p = short_word(text, p)
                dash = word == _DASH
                if role == codes.ACTION:
                    octets[1, row] = codes.ABSENT
                    if word == _ACCEPT:
                        octets[1, row] = 1
                    elif word == _REJECT:
                        octets[1, row] = 0
                    elif not dash:
                        problem = codes.BAD_ACTION
                elif role == codes.LOG_STATUS:
                    if word == _OK:
                        status = codes.OK
                    elif word == _NODATA:
                        status = codes.NODATA
                    elif word == _SKIPDATA:
                        status = codes.SKIPDATA
                    elif not dash:
                        problem = codes.BAD_STATUS
                        status_cause = codes.BAD_STATUS
                elif role == codes.FLOW_DIRECTION:
                    direction[row] = -1
                    if word == _INGRESS:
                        direction[row] = 0
                    elif word == _EGRESS:
                        direction[row] = 1
                    elif not dash:
                        problem = codes.BAD_DIRECTION
                elif role == codes.TYPE:
                    is_efa = word == _EFA
            if problem != 0:
                if cause == 0:
                    cause = problem
                if silent_cause == 0 and is_told_of_silence(role):
                    silent_cause = problem
            if field == 1 and p - at == 14 and word_at(text, at) == _TRANSIT:
                is_transit = bytes_below(word_at(text, at + 8), 6) == _GATEWAY
            field += 1

        # One class per line, in this order.
        if control:
            result = codes.CONTROL
        elif field == 0:
            result = codes.BLANK
        elif mode != codes.MODE_RECORDS:
            result = codes.UNUSABLE
            if mode == codes.MODE_TRANSIT_GATEWAY:
                result = codes.TRANSIT_GATEWAY if field == positions else codes.FIELD_COUNT
            if _is_candidate(text, begin, refused):
                return codes.CANDIDATE, begin, line, row, silence
        elif is_transit:
            result = codes.TRANSIT_GATEWAY
        elif field != positions:
            result = codes.FIELD_COUNT
        else:
            result = record_class(
                status, status_cause, silent_cause, cause, is_efa, families, row, source_port, destination_port,
                protocol, start, finish,
            )  # fmt: skip

        if result > codes.HEADER and _is_candidate(text, begin, refused):
            return codes.CANDIDATE, begin, line, row, silence
        p += 1
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
    return codes.DONE, p, line, row, silence
