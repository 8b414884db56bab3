"""Steps of `match_cross` that LLVM makes vectors and gathers of.

For that a loop goes over arrays of one width, and no index can be negative: one loop over columns of all widths took
2.9 ns a row, a loop for each 0.4 ns. Arrays may be longer than the rows asked for; the first one's length counts.
"""

from __future__ import annotations

import numpy as np

from sgsim.kernels._jit import helper
from sgsim.kernels._memory import Number
from sgsim.kernels.match_verdicts import TCP, UDP

__all__ = ["bits_of", "choose_remote", "dhcp_ports", "find_columns", "gather", "in_order", "look_up_wide", "same"]
__all__ += ["special_addresses", "widen", "write_actions", "write_sets"]

_UDP_PLACE, _OTHER_PLACE, _STRIDE = np.int32(1 << 16), np.int32(2 << 16), np.int32((2 << 16) + 1)  # `tables.cross`
_SERVICE_BITS = 17
_METADATA, _BROADCAST = np.uint32(0xA9FE), np.uint32(0xFFFFFFFF)


@helper(noalias=True)
def same(values: Number) -> Number:
    """Whether all values are equal."""
    different, first = np.int32(0), values[0]
    for i in range(len(values)):
        different |= values[i] ^ first
    return different == 0


@helper(noalias=True)
def in_order(values: Number) -> Number:
    """Whether each value is one more than the one before."""
    different, first = np.int64(0), values[0]
    for i in range(len(values)):
        different |= values[i] - first - i
    return different == 0


@helper(noalias=True)
def bits_of(values: Number) -> Number:
    """All bits that any value has."""
    bits = np.uint8(0)
    for i in range(len(values)):
        bits |= values[i]
    return bits


@helper(noalias=True)
def widen(values: Number, wide: Number) -> None:
    """Copy into a column of another width."""
    for i in range(len(values)):
        wide[i] = values[i]


@helper(noalias=True)
def choose_remote(src: Number, dst: Number, direction: Number, remote: Number) -> None:
    """The source of ingress, the destination of egress."""
    for i in range(len(src)):
        remote[i] = src[i] if direction[i] == 0 else dst[i]


@helper(noalias=True)
def find_columns(
    protocol: Number, port: Number, direction: Number, services: Number, column: Number, service: Number
) -> Number:
    """Service and column of each TCP and UDP row; whether there are other rows."""
    others = np.int32(0)
    for i in range(len(protocol)):
        place = _OTHER_PLACE
        if protocol[i] == np.int32(TCP):
            place = port[i]
        if protocol[i] == np.int32(UDP):
            place = _UDP_PLACE + port[i]
        others |= np.int32(place == _OTHER_PLACE)
        column[i] = services[np.uint32(place + direction[i] * _STRIDE)]
        service[i] = np.uint32(protocol[i] << np.int32(_SERVICE_BITS) | port[i])
    return others != 0


@helper(noalias=True)
def look_up_wide(
    remote: Number, direction: Number, root: Number, chunks: Number, column: Number, cells: Number, first_cell: Number,
    answer: Number,
) -> Number:  # fmt: skip
    """The cells of some rows; whether all are known."""
    least = np.int32(1)
    for i in range(len(remote)):
        address = remote[i]
        at = root[np.uint32(direction[i] << np.int32(16)) | address >> np.uint32(16)]
        if at < 0:
            at = chunks[np.uint32(np.int32(-1) - at) + (address >> np.uint32(8) & np.uint32(255))]
        if at < 0:
            at = chunks[np.uint32(np.int32(-1) - at) + (address & np.uint32(255))]
        found = cells[np.uint32(at + column[i])]
        first_cell[i] = at
        answer[i] = found
        least = min(least, found)
    return least != 0


@helper(noalias=True)
def gather(places: Number, cells: Number, found: Number) -> Number:
    """Some cells; whether all are known."""
    least = np.int32(1)
    for i in range(len(places)):
        cell = cells[np.uint32(places[i])]
        found[i] = cell
        least = min(least, cell)
    return least != 0


@helper(noalias=True)
def write_sets(answer: Number, info: Number, match_set: Number, deciding: Number) -> None:
    """Match set and deciding rule of each row."""
    for i in range(len(match_set)):
        found = answer[i] - np.int32(1)
        match_set[i] = found
        deciding[i] = info[np.uint32(np.int32(4) * found + np.int32(1))]


@helper(noalias=True)
def write_actions(answer: Number, action: Number, reason: Number) -> None:
    """ACCEPT by a rule, or REJECT since none matches."""
    for i in range(len(action)):
        accept = np.uint8(answer[i] > np.int32(1))
        action[i] = accept
        reason[i] = accept


@helper(noalias=True)
def special_addresses(remote: Number, own: Number, distance: Number, resolver: Number, router: Number) -> Number:
    """Whether any address may be one of those whose traffic is exempt; `exempt.is_exempt` tells."""
    special = np.int32(0)
    for i in range(len(remote)):
        address = remote[i]
        special |= np.int32(np.uint32(address - own) <= distance) | np.int32(address == resolver)
        special |= np.int32(address == router) | np.int32(address == _BROADCAST)
        special |= np.int32(address >> np.uint32(16) == _METADATA)
    return special != 0


@helper(noalias=True)
def dhcp_ports(port: Number) -> Number:
    """Whether any port is one of DHCP's."""
    found = np.int32(0)
    for i in range(len(port)):
        found |= np.int32(port[i] == np.int32(67)) | np.int32(port[i] == np.int32(68))
    return found != 0
