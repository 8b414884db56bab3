"""Packets to micro-flows, and keys to dense numbers: one persistent open-addressing hash table each.

A slot is 0 when free, else the upper half of the key's hash with the row of the key plus one in the lower half, so
that a probe rarely touches the wrong key. Keys lie in rows of their own, in order of first appearance; equal hashes
are told apart by comparing the whole key. Work goes in phases over blocks with explicit prefetch: on 200 000 flows
hit at random 45 ns a packet, against 75 with blocks of 32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel
from sgsim.kernels._prefetch import prefetch
from sgsim.kernels.tracking_layout import (
    CODE_SHIFT,
    DSTPORT_SHIFT,
    ID_SHIFT,
    IPV6_SHIFT,
    KEY_WORDS,
    LATER_SHIFT,
    PROTOCOL_SHIFT,
    VNI_SHIFT,
    Number,
    PacketColumns,
)

_BLOCK = 512
_LOW = np.uint64(0xFFFFFFFF)
_HIGH = np.uint64(0xFFFFFFFF00000000)
_U = np.uint64


@helper
def _hash(w0: Number, w1: Number, w2: Number, w3: Number, w4: Number, w5: Number, w6: Number, w7: Number) -> Number:
    """Independent multiplications (no chain of latencies), then an avalanche of all bits into the low ones."""
    h = w0 * _U(0x9E3779B97F4A7C15) + w1 * _U(0xC2B2AE3D27D4EB4F)
    h += w2 * _U(0x165667B19E3779F9) + w3 * _U(0xD6E8FEB86659FD93)
    h += w4 * _U(0xA0761D6478BD642F) + w5 * _U(0xE7037ED1A0B428DB)
    h += w6 * _U(0x8EBC6AF09C88C6E3) + w7 * _U(0x589965CC75374CC3)
    h ^= h >> _U(32)
    h *= _U(0xD6E8FEB86659FD93)
    h ^= h >> _U(29)
    h *= _U(0x9E3779B97F4A7C15)
    return h ^ (h >> _U(32))


@kernel(noalias=True)
def group_packets(
    columns: PacketColumns,
    slots: npt.NDArray[np.uint64],
    keys: npt.NDArray[np.uint64],
    count: int,
    out: npt.NDArray[np.int32],
) -> Any:
    """Number the micro-flow of every packet into `out`; returns how many micro-flows there are now.

    The table has room for all of them: `len(slots)`, a power of two, is at least twice `count` plus the packets.
    Keys are compared with the columns themselves: to write them out first cost a quarter more.
    """
    src_hi, src_lo, dst_hi, dst_lo = columns.src_hi, columns.src_lo, columns.dst_hi, columns.dst_lo
    src_mac, dst_mac = columns.src_mac, columns.dst_mac
    n = src_lo.shape[0]
    mask = _U(slots.shape[0] - 1)
    hashes, services, rests = np.empty(_BLOCK, np.uint64), np.empty(_BLOCK, np.uint64), np.empty(_BLOCK, np.uint64)
    for at in range(0, n, _BLOCK):
        m = min(_BLOCK, n - at)
        for j in range(m):
            i = at + j
            services[j] = (
                _U(columns.srcport[i])
                | (_U(columns.dstport[i]) << _U(DSTPORT_SHIFT))
                | (_U(columns.protocol[i]) << _U(PROTOCOL_SHIFT))
                | (_U(columns.family[i] == 6) << _U(IPV6_SHIFT))
                | (_U(columns.fragment[i] == 2) << _U(LATER_SHIFT))
            )
            rests[j] = (
                _U(columns.icmp_type[i] + 1)
                | (_U(columns.icmp_code[i] + 1) << _U(CODE_SHIFT))
                | (_U(columns.icmp_id[i] + 1) << _U(ID_SHIFT))
                | (_U(columns.vni[i] + 1) << _U(VNI_SHIFT))
            )
            h = _hash(src_hi[i], src_lo[i], dst_hi[i], dst_lo[i], services[j], rests[j], src_mac[i], dst_mac[i])
            hashes[j] = h
            prefetch(slots, np.int64(h & mask))
        for j in range(m):
            slot = slots[np.int64(hashes[j] & mask)]
            if slot != 0:
                prefetch(keys, (np.int64(slot & _LOW) - 1) * KEY_WORDS)
        for j in range(m):
            i, h = at + j, hashes[j]
            place = h & mask
            while True:
                slot = slots[np.int64(place)]
                if slot == 0:
                    row = np.int64(count)
                    keys[row, 0], keys[row, 1] = src_hi[i], src_lo[i]
                    keys[row, 2], keys[row, 3] = dst_hi[i], dst_lo[i]
                    keys[row, 4], keys[row, 5] = services[j], rests[j]
                    keys[row, 6], keys[row, 7] = src_mac[i], dst_mac[i]
                    count += 1
                    slots[np.int64(place)] = (h & _HIGH) | _U(count)
                    out[i] = row
                    break
                if (slot & _HIGH) == (h & _HIGH):
                    row = np.int64(slot & _LOW) - 1
                    same = (keys[row, 0] == src_hi[i]) & (keys[row, 1] == src_lo[i])
                    same &= (keys[row, 2] == dst_hi[i]) & (keys[row, 3] == dst_lo[i])
                    same &= (keys[row, 4] == services[j]) & (keys[row, 5] == rests[j])
                    same &= (keys[row, 6] == src_mac[i]) & (keys[row, 7] == dst_mac[i])
                    if same:
                        out[i] = row
                        break
                place = (place + _U(1)) & mask
    return count


@kernel
def intern_keys(
    wanted: npt.NDArray[np.uint64],
    slots: npt.NDArray[np.uint64],
    keys: npt.NDArray[np.uint64],
    count: int,
    out: npt.NDArray[np.int32],
) -> Any:
    """Number every row of `wanted` into `out`; returns how many keys there are now. Room as in `group_packets`."""
    n = wanted.shape[0]
    mask = _U(slots.shape[0] - 1)
    hashes = np.empty(_BLOCK, np.uint64)
    for at in range(0, n, _BLOCK):
        stop = min(at + _BLOCK, n)
        for i in range(at, stop):
            h = _hash(
                wanted[i, 0], wanted[i, 1], wanted[i, 2], wanted[i, 3],
                wanted[i, 4], wanted[i, 5], wanted[i, 6], wanted[i, 7],
            )  # fmt: skip
            hashes[i - at] = h
            prefetch(slots, np.int64(h & mask))
        for i in range(at, stop):
            slot = slots[np.int64(hashes[i - at] & mask)]
            if slot != 0:
                prefetch(keys, (np.int64(slot & _LOW) - 1) * KEY_WORDS)
        for i in range(at, stop):
            h = hashes[i - at]
            place = h & mask
            while True:
                slot = slots[np.int64(place)]
                if slot == 0:
                    for word in range(KEY_WORDS):
                        keys[count, word] = wanted[i, word]
                    count += 1
                    slots[np.int64(place)] = (h & _HIGH) | _U(count)
                    out[i] = count - 1
                    break
                if (slot & _HIGH) == (h & _HIGH):
                    row = np.int64(slot & _LOW) - 1
                    same = True
                    for word in range(KEY_WORDS):
                        same &= keys[row, word] == wanted[i, word]
                    if same:
                        out[i] = row
                        break
                place = (place + _U(1)) & mask
    return count
