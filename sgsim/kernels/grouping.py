"""Packets to micro-flows, and keys to dense numbers: one persistent open-addressing hash table each.

A slot is 0 when free, else the upper half of the key's hash with the row of the key plus one in the lower half, so
that a probe rarely touches the wrong key. Keys lie in rows of their own, in order of first appearance; equal hashes
are told apart by comparing the whole key. Work goes in phases over blocks with explicit prefetch: on 200 000 flows
hit at random 45 ns a packet, against 75 with blocks of 32 and 110 in one fused loop.
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

_BLOCK = 256
_LOW = np.uint64(0xFFFFFFFF)
_HIGH = np.uint64(0xFFFFFFFF00000000)
_U = np.uint64


@helper
def _hash(block: npt.NDArray[np.uint64], row: int) -> Number:
    """Independent multiplications (no chain of latencies), then an avalanche of all bits into the low ones."""
    h = block[row, 0] * _U(0x9E3779B97F4A7C15) + block[row, 1] * _U(0xC2B2AE3D27D4EB4F)
    h += block[row, 2] * _U(0x165667B19E3779F9) + block[row, 3] * _U(0xD6E8FEB86659FD93)
    h += block[row, 4] * _U(0xA0761D6478BD642F) + block[row, 5] * _U(0xE7037ED1A0B428DB)
    h += block[row, 6] * _U(0x8EBC6AF09C88C6E3) + block[row, 7] * _U(0x589965CC75374CC3)
    h ^= h >> _U(32)
    h *= _U(0xD6E8FEB86659FD93)
    h ^= h >> _U(29)
    h *= _U(0x9E3779B97F4A7C15)
    return h ^ (h >> _U(32))


@helper
def _find_or_add(
    slots: npt.NDArray[np.uint64],
    keys: npt.NDArray[np.uint64],
    count: int,
    block: npt.NDArray[np.uint64],
    m: int,
    hashes: npt.NDArray[np.uint64],
    out: npt.NDArray[np.int32],
    at: int,
) -> int:
    """Look up the first `m` keys of `block`, add those that are new; their rows go to `out[at:]`."""
    mask = _U(slots.shape[0] - 1)
    for j in range(m):
        h = _hash(block, j)
        hashes[j] = h
        prefetch(slots, np.int64(h & mask))
    for j in range(m):
        slot = slots[np.int64(hashes[j] & mask)]
        if slot != 0:
            prefetch(keys, (np.int64(slot & _LOW) - 1) * KEY_WORDS)
    for j in range(m):
        h = hashes[j]
        place = h & mask
        while True:
            slot = slots[np.int64(place)]
            if slot == 0:
                for word in range(KEY_WORDS):
                    keys[count, word] = block[j, word]
                count += 1
                slots[np.int64(place)] = (h & _HIGH) | _U(count)
                out[at + j] = count - 1
                break
            if (slot & _HIGH) == (h & _HIGH):
                row = np.int64(slot & _LOW) - 1
                same = True
                for word in range(KEY_WORDS):
                    same &= keys[row, word] == block[j, word]
                if same:
                    out[at + j] = row
                    break
            place = (place + _U(1)) & mask
    return count


@kernel
def group_packets(
    columns: PacketColumns,
    slots: npt.NDArray[np.uint64],
    keys: npt.NDArray[np.uint64],
    count: int,
    out: npt.NDArray[np.int32],
) -> Any:
    """Number the micro-flow of every packet into `out`; returns how many micro-flows there are now.

    The table has room for all of them: `len(slots)`, a power of two, is at least twice `count` plus the packets.
    """
    n = columns.family.shape[0]
    block = np.empty((_BLOCK, KEY_WORDS), np.uint64)
    hashes = np.empty(_BLOCK, np.uint64)
    for at in range(0, n, _BLOCK):
        m = min(_BLOCK, n - at)
        for j in range(m):
            i = at + j
            block[j, 0] = columns.src_hi[i]
            block[j, 1] = columns.src_lo[i]
            block[j, 2] = columns.dst_hi[i]
            block[j, 3] = columns.dst_lo[i]
            block[j, 4] = (
                _U(columns.srcport[i])
                | (_U(columns.dstport[i]) << _U(DSTPORT_SHIFT))
                | (_U(columns.protocol[i]) << _U(PROTOCOL_SHIFT))
                | (_U(columns.family[i] == 6) << _U(IPV6_SHIFT))
                | (_U(columns.fragment[i] == 2) << _U(LATER_SHIFT))
            )
            block[j, 5] = (
                _U(columns.icmp_type[i] + 1)
                | (_U(columns.icmp_code[i] + 1) << _U(CODE_SHIFT))
                | (_U(columns.icmp_id[i] + 1) << _U(ID_SHIFT))
                | (_U(columns.vni[i] + 1) << _U(VNI_SHIFT))
            )
            block[j, 6] = columns.src_mac[i]
            block[j, 7] = columns.dst_mac[i]
        count = _find_or_add(slots, keys, count, block, m, hashes, out, at)
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
    hashes = np.empty(_BLOCK, np.uint64)
    for at in range(0, n, _BLOCK):
        m = min(_BLOCK, n - at)
        count = _find_or_add(slots, keys, count, wanted[at : at + m], m, hashes, out, at)
    return count
