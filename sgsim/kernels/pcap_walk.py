"""Where the records of a capture lie: one pass over the bytes in a buffer, before any of them is decoded.

Walking and decoding are two loops, 5 ns a packet apart in cost: the walk is one chain of dependent loads, the decoder
has independent iterations, is compiled once for both file formats, and serves records that scapy unwrapped.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sgsim.kernels import decode_codes as c
from sgsim.kernels._jit import helper, kernel
from sgsim.kernels.decode_bytes import address_of, load16, load32

__all__ = ["walk_pcap", "walk_pcapng"]

_BILLION = 1_000_000_000
_MAX = 2**63 - 1
_DESCRIPTION, _OBSOLETE, _SIMPLE, _ENHANCED = 1, 2, 3, 6  # pcapng block types


@helper
def _u16(at: int, swapped: int) -> Any:
    value = load16(at)
    return ((value >> 8) | (value << 8)) & 0xFFFF if swapped else value


@helper
def _u32(at: int, swapped: int) -> Any:
    value = load32(at)
    if swapped:
        value = ((value & 0xFF00FF00) >> 8) | ((value & 0x00FF00FF) << 8)
        value = ((value >> 16) | (value << 16)) & 0xFFFFFFFF
    return value


@helper
def _went_back(state: Any) -> None:
    """Count a packet that is older than its predecessor."""
    if state[c.BACKWARDS] == 0:
        state[c.FIRST_BACKWARDS] = state[c.RECORDS]
    state[c.BACKWARDS] += 1


@kernel
def walk_pcap(buffer: Any, end: int, index: Any, room: int, layout: Any, state: Any) -> int:
    """Index the whole records in buffer[state[AT]:end], at most `room`; returns how many.

    `buffer` uint8, `index` int64[INDEX_ROWS, ≥ room], `layout` int64[LAYOUT], `state` int64[STATE]: AT moves past
    them, STATUS says why the walk stopped (NEED_MORE, FULL, BAD_LENGTH).
    """
    swapped, header, fraction, limit = layout[c.L_SWAPPED], layout[c.L_HEADER], layout[c.L_FRACTION], layout[c.L_LIMIT]
    snaplen = layout[c.L_SNAPLEN]
    memory, latest = address_of(buffer), state[c.LAST_TIME]
    at, n = state[c.AT], 0
    status = c.FULL
    while n < room:
        if end - at < header:
            status, state[c.NEEDED] = c.NEED_MORE, header
            break
        captured, wire = _u32(memory + at + 8, swapped), _u32(memory + at + 12, swapped)
        lengths = layout[c.L_LENGTHS]
        if lengths != c.LENGTHS_NORMAL and (lengths == c.LENGTHS_SWAPPED or captured > wire):
            captured, wire = wire, captured
        if captured > limit:
            status, state[c.NEEDED] = c.BAD_LENGTH, captured
            break
        if end - at - header < captured:
            status, state[c.NEEDED] = c.NEED_MORE, header + captured
            break
        state[c.RECORDS] += 1
        time = _u32(memory + at, swapped) * _BILLION + _u32(memory + at + 4, swapped) * fraction
        if time < latest:
            _went_back(state)
        latest = time
        if captured > snaplen:
            state[c.OVERLONG] += 1
        index[c.OFFSET, n], index[c.CAPTURED, n], index[c.WIRE, n] = at + header, captured, wire
        index[c.TIME, n], index[c.LINK, n], index[c.INTERFACE, n] = time, layout[c.L_LINK], 0
        at += header + captured
        n += 1
    state[c.AT], state[c.STATUS], state[c.LAST_TIME] = at, status, latest
    return n


@helper
def _nanoseconds(high: int, low: int, units: int, scale: int, offset: int) -> Any:
    """A 64-bit time stamp in nanoseconds since the epoch, -1 where it lies outside 1970 … 2262."""
    stamp = (np.uint64(high) << np.uint64(32)) | np.uint64(low)
    if units == c.MULTIPLY:
        if stamp > np.uint64(_MAX // scale):
            return -1
        time = np.int64(stamp) * scale
    elif units == c.DIVIDE:
        time = np.int64(stamp // np.uint64(scale))
    else:  # 2^-scale seconds; the fraction keeps 34 bits, the most that nanoseconds leave room for
        seconds = np.int64(stamp >> np.uint64(scale))
        if seconds > _MAX // _BILLION - 1 or seconds < 0:
            return -1
        rest = stamp - (np.uint64(seconds) << np.uint64(scale))
        dropped = np.uint64(max(scale - 34, 0))
        fraction = (rest >> dropped) * np.uint64(_BILLION) >> (np.uint64(scale) - dropped)
        time = seconds * _BILLION + np.int64(fraction)
    if (offset > 0 and time > _MAX - offset) or time + offset < 0:
        return -1
    return time + offset


@helper
def _block(block: int, left: int, swapped: int, limit: int) -> tuple[int, int, int]:
    """What lies at an address with `left` bytes to go: (PACKET, OTHER_BLOCK or why to stop, block type, length)."""
    if left < 12:
        return c.NEED_MORE, 0, 12
    kind = _u32(block, swapped)
    if kind == 0x0A0D0D0A:  # in its own byte order, which is not known yet
        return c.SECTION, kind, 12
    length = _u32(block + 4, swapped)
    is_packet = kind in (_ENHANCED, _SIMPLE, _OBSOLETE)
    shortest = 32 if is_packet and kind != _SIMPLE else 16 if is_packet else 12
    if length < shortest or length & 3:
        return c.BAD_LENGTH, kind, length
    if not is_packet and kind != _DESCRIPTION:
        return c.OTHER_BLOCK if left >= length else c.SKIP, kind, length
    if length > limit:
        return c.BAD_LENGTH, kind, length
    if left < length:
        return c.NEED_MORE, kind, length
    if _u32(block + length - 4, swapped) != length:
        return c.BAD_TRAILER, kind, length
    return c.PACKET if is_packet else c.DESCRIPTION, kind, length


@kernel
def walk_pcapng(
    buffer: Any, end: int, index: Any, room: int, interfaces: Any, swapped: int, limit: int, state: Any
) -> int:
    """Index the packets of the whole blocks in buffer[state[AT]:end], at most `room`; returns how many.

    `interfaces` int64[k, DESCRIPTION_COLUMNS]. Stops at a section header or an interface description (SECTION,
    DESCRIPTION: AT is its first byte and all of it is there, but for SECTION only its first 12 bytes), at a block to
    skip that is longer than the buffer (SKIP) and at a block that lies about its length (BAD_LENGTH, BAD_TRAILER).
    """
    memory, latest = address_of(buffer), state[c.LAST_TIME]
    at, n = state[c.AT], 0
    status = c.FULL
    while n < room:
        block = memory + at
        status, kind, length = _block(block, end - at, swapped, limit)
        if status == c.OTHER_BLOCK:
            at, status = at + length, c.FULL
            continue
        if status != c.PACKET:
            state[c.NEEDED] = length
            break
        status = c.FULL
        state[c.RECORDS] += 1
        time = latest
        link, number = np.int64(c.LINK_DECIDED + c.BAD_INTERFACE), np.int64(0)
        if kind == _SIMPLE:
            wire, head = _u32(block + 8, swapped), 12
            captured = min(wire, length - 16)
            if len(interfaces) > 0:
                if interfaces[0, c.D_SNAPLEN] > 0:
                    captured = min(captured, interfaces[0, c.D_SNAPLEN])
                link, number = interfaces[0, c.D_LINK], interfaces[0, c.D_NUMBER]
            state[c.UNTIMED] += 1
        else:
            interface = _u32(block + 8, swapped) if kind == _ENHANCED else _u16(block + 8, swapped)
            captured, wire, head = _u32(block + 20, swapped), _u32(block + 24, swapped), 28
            if interface < len(interfaces) and interfaces[interface, c.D_UNITS] != c.UNUSABLE:
                number, link = interfaces[interface, c.D_NUMBER], interfaces[interface, c.D_LINK]
                stamp = _nanoseconds(
                    _u32(block + 12, swapped),
                    _u32(block + 16, swapped),
                    interfaces[interface, c.D_UNITS],
                    interfaces[interface, c.D_SCALE],
                    interfaces[interface, c.D_OFFSET],
                )
                if stamp < 0:
                    link = np.int64(c.LINK_DECIDED + c.BAD_TIME)
                else:
                    time = stamp
                    if time < latest:
                        _went_back(state)
                    latest = time
                if interfaces[interface, c.D_SNAPLEN] > 0 and captured > interfaces[interface, c.D_SNAPLEN]:
                    state[c.OVERLONG] += 1
            if captured > length - 32:
                link, captured = np.int64(c.LINK_DECIDED + c.BAD_BLOCK), np.int64(0)
        index[c.OFFSET, n], index[c.CAPTURED, n], index[c.WIRE, n] = at + head, captured, wire
        index[c.TIME, n], index[c.LINK, n], index[c.INTERFACE, n] = time, link, number
        at += length
        n += 1
    state[c.AT], state[c.STATUS], state[c.LAST_TIME] = at, status, latest
    return n
