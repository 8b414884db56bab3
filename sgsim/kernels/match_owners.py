"""Who is at the other end, for the many rows where one interface in the same VPC has the address, or nobody does.

An IPv4 address is looked for in an open-addressed table: uint64 words, address << 32 | interface + 3, 0 where empty.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel
from sgsim.kernels._memory import Number
from sgsim.kernels._prefetch import prefetch

__all__ = ["find_owners", "index_owners"]

_BLOCK = 512  #: rows that take each step together
_SHIFT, _MASK = 5, 31  # of `tables.slots`
_OWNER, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_ABOVE = 3  # added to an interface, so that AMBIGUOUS (-2) and NO_INTERFACE (-1) are above 0
_ABSENT, _NOT_MEMBER = -1, -1


@helper(inline=True)
def place_of(address: Number, bits: Number) -> Number:
    """Where the search for an address begins in a table of 2**bits words."""
    return np.int64((np.uint64(address) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - bits))


@kernel
def index_owners(
    addresses: npt.NDArray[np.uint64], owners: npt.NDArray[np.int32], words: npt.NDArray[np.uint64], bits: int
) -> None:
    """Fill an empty table, at most half."""
    last = len(words) - 1
    for i in range(len(addresses)):
        place = place_of(addresses[i], bits)
        while words[place] != 0:
            place = (place + 1) & last
        words[place] = addresses[i] << _HALF | np.uint64(owners[i] + _ABOVE)


@kernel
def find_owners(
    interface: npt.NDArray[np.int32],
    direction: npt.NDArray[np.uint8],
    src: npt.NDArray[np.uint32],
    dst: npt.NDArray[np.uint32],
    words: npt.NDArray[np.uint64],
    bits: int,
    chunks: npt.NDArray[np.int32],
    vpc: npt.NDArray[np.int32],
    closed: bool,
    peer: npt.NDArray[np.int32],
    rest: npt.NDArray[np.int64],
) -> int:
    """Set `peer`, which holds NOT_MEMBER, where it is plain; puts all other rows into `rest`, returns how many.

    `closed`: no reference can mean an interface that is not known, so that an address nobody has is no member's.
    """
    last, left = len(words) - 1, 0
    places, owners = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.int64)
    own_slots, slots = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.int64)
    for start in range(0, len(interface), _BLOCK):
        rows = min(_BLOCK, len(interface) - start)
        for i in range(rows):
            row = start + i
            places[i] = place_of(src[row] if direction[row] == 0 else dst[row], bits)
            prefetch(words, places[i])
            number: Number = max(np.int64(0), np.int64(interface[row]))
            own_slots[i] = chunks[number >> _SHIFT] + (number & _MASK)
            prefetch(vpc, own_slots[i])
        for i in range(rows):
            address = np.uint64(src[start + i] if direction[start + i] == 0 else dst[start + i])
            place = places[i]
            while words[place] != 0 and words[place] >> _HALF != address:
                place = (place + 1) & last
            owner: Number = np.int64(words[place] & _OWNER) - _ABOVE if words[place] != 0 else _ABSENT
            owners[i] = owner
            number = max(np.int64(0), owner)
            slots[i] = chunks[number >> _SHIFT] + (number & _MASK)
            prefetch(vpc, slots[i])
        for i in range(rows):
            row, owner = start + i, owners[i]
            if interface[row] < 0 or (owner == _ABSENT and closed):
                peer[row] = _NOT_MEMBER
            elif owner >= 0 and vpc[slots[i]] == vpc[own_slots[i]]:
                peer[row] = owner
            else:
                rest[left] = row
                left += 1
    return left
