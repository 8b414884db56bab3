"""The same packet seen at several places: a hash table of fingerprints over the last second of captured time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.kernels import decode_codes as c
from sgsim.kernels._jit import helper, kernel
from sgsim.kernels.decode_bytes import address_of, be16, be32, be64, byte, load32, load64, put64

__all__ = ["Sightings", "fingerprint"]

WINDOW = 1_000_000_000  #: nanoseconds within which a second sighting is a duplicate
_SMALLEST, _LARGEST = 1 << 16, 1 << 22  #: slots; the largest table takes 96 MB


@helper(inline=True)
def _mix(value: Any, word: Any) -> Any:
    """One step of the fingerprint: the multiply-and-xor-shift of MurmurHash3's finaliser over a running value."""
    value = (value ^ word) * np.uint64(0xFF51AFD7ED558CCD)
    return (value ^ (value >> np.uint64(32))) * np.uint64(0xC4CEB9FE1A85EC53)


@helper
def _fingerprint(at: int, family: int, end: int, vni: int) -> Any:
    """64 bits of the IP header without TTL (hop limit) and checksum, of the next 64 bytes, and of the VNI."""
    header = (byte(at) & 15) * 4 if family == 4 else 40
    value = _mix(np.uint64(family), np.uint64(vni))
    if family == 4:
        value = _mix(value, be64(at))
        value = _mix(value, np.uint64(byte(at + 9)))
        value = _mix(value, be64(at + 12))
        done = at + 20
    else:
        value = _mix(value, np.uint64((be32(at) << 24) | (be16(at + 4) << 8) | byte(at + 6)))
        for word in range(at + 8, at + 40, 8):
            value = _mix(value, be64(word))
        done = at + 40
    last = min(end, at + header + 64)
    value = _mix(value, np.uint64(max(last - done, 0)))
    while done + 8 <= last:
        value = _mix(value, be64(done))
        done += 8
    while done < last:
        value = _mix(value, np.uint64(byte(done)))
        done += 1
    return value ^ (value >> np.uint64(29))


@kernel
def fingerprint(buffer: Any, columns: Any, start: int, stop: int) -> None:
    """Put fingerprints into rows start … stop - 1 of a block of columns, over PLACE, which says where a packet lies.

    `buffer` uint8, as `decode` had it; `columns` uint8[COLUMN_BYTES].
    """
    memory, block = address_of(buffer), address_of(columns)
    for row in range(start, stop):
        place = load64(block + c.PLACE_AT + 8 * row)
        at = memory + (place & 0xFFFFFFFF)
        vni = load32(block + c.VNI_AT + 4 * row)
        put64(block + c.FINGERPRINT_AT + 8 * row, _fingerprint(at, byte(at) >> 4, at + (place >> 32), vni))


@kernel
def _mark(
    fingerprint: Any, where: Any, time: Any, start: int, keep: Any, keys: Any, places: Any, times: Any, room: int
) -> Any:
    """Judge packets from `start` on until `room` new keys are in the table: (next packet, room left).

    `keys` uint64, 0 where a slot is free, `places` uint64 and `times` int64 are parallel; their length is a power
    of two. A packet whose fingerprint was first seen elsewhere within the window is a duplicate and leaves the table
    as it is; any other becomes the first sighting, so that a packet sent again is paired with its own copies.
    """
    mask = np.uint64(len(keys) - 1)
    for i in range(start, len(fingerprint)):
        key = fingerprint[i] if fingerprint[i] != 0 else np.uint64(1)
        slot = (key ^ (key >> np.uint64(32))) & mask
        while keys[slot] != 0 and keys[slot] != key:
            slot = (slot + np.uint64(1)) & mask
        if keys[slot] == key:
            if places[slot] != where[i] and abs(time[i] - times[slot]) <= WINDOW:
                keep[i] = False
                continue
        elif room == 0:
            return i, 0
        else:
            keys[slot] = key
            room -= 1
        keep[i] = True
        places[slot], times[slot] = where[i], time[i]
    return len(fingerprint), room


class Sightings:
    """Remembers packets for a second of captured time, in at most 96 MB; `forgotten` counts what had to go early."""

    def __init__(self) -> None:
        self.forgotten = 0
        self._allocate(_SMALLEST)

    def _allocate(self, slots: int) -> None:
        self._keys, self._places = np.zeros(slots, np.uint64), np.zeros(slots, np.uint64)
        self._times, self._room = np.zeros(slots, np.int64), slots // 2

    def first_seen(
        self, fingerprint: npt.NDArray[np.uint64], where: npt.NDArray[np.uint64], time: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Which of n packets, in time order, are no duplicates; `where` tells the places of capture apart."""
        n = len(fingerprint)
        keep = np.empty(n, np.bool_)
        done = 0
        while done < n:
            done, self._room = _mark(
                fingerprint, where, time, done, keep, self._keys, self._places, self._times, self._room
            )
            if done < n:
                self._rebuild(int(time[done]))
        return keep

    def _rebuild(self, now: int) -> None:
        """Forget what is older than the window; grow if that leaves little room."""
        live = (self._keys != 0) & (np.abs(self._times - now) <= WINDOW)
        keys, places, times = self._keys[live], self._places[live], self._times[live]
        slots = max(_SMALLEST, 1 << int(4 * len(keys)).bit_length())
        if slots > _LARGEST:
            slots = _LARGEST
            if len(keys) > slots // 4:  # more than a million packets in a second: keep the youngest
                order = np.argsort(times, kind="stable")[-slots // 4 :]
                self.forgotten += len(keys) - len(order)
                keys, places, times = keys[order], places[order], times[order]
        self._allocate(slots)
        # Each key occurs once, so judging them again stores them again.
        _, self._room = _mark(
            keys, places, times, 0, np.empty(len(keys), np.bool_), self._keys, self._places, self._times, self._room
        )
