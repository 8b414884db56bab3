"""Keys of what can make rules answer otherwise (`sgsim.engine.logs.questions`)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel
from sgsim.kernels._memory import address_of, get_i32, get_i64, prefetch
from sgsim.kernels.joining_layout import DIRECTION_SHIFT, Classes
from sgsim.kernels.tracking_layout import DSTPORT_SHIFT, IPV6_SHIFT, PROTOCOL_SHIFT, Number

_U = np.uint64
_PORT = _U(65535)
_EGRESS = 1
_AHEAD = 16  #: rows that are fetched before they are needed


@helper
def _class_of(address: Number, bounds: Number, first: Number, finer: Number) -> Number:
    """How many bounds are at most an IPv4 address; `bounds`, `first` and `finer` are addresses."""
    at = address >> 16
    for shift in (8, 0):
        inside = get_i32(finer, at)
        if inside == 0:
            break
        at = inside + (address >> shift & 255)
    low, high = get_i32(first, at), get_i32(first, at + 1)
    while low < high:
        middle = (low + high) >> 1
        if get_i64(bounds, middle) <= address:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def question_keys(
    keys: npt.NDArray[np.uint64],
    flow: npt.NDArray[np.int32],
    swapped: bool,
    classes: Classes,
    out: npt.NDArray[np.uint64],
) -> None:
    """What of log flows (or, `swapped`, of their other direction) can make rules answer otherwise.

    Words as in the keys of connections, with classes in place of IPv4 addresses and ports. The direction is bit 32 of
    word 5; TCP and UDP without ports have bit 41 of word 4.
    """
    bounds, first, finer = address_of(classes.bounds), address_of(classes.first), address_of(classes.finer)
    source_port, target_port = classes.source_port, classes.target_port
    ahead = address_of(keys)
    for i in range(len(flow)):
        if i + _AHEAD < len(flow):
            prefetch(ahead + 64 * np.int64(flow[i + _AHEAD] >> 1))
        row, outward = flow[i] >> 1, (flow[i] & 1 == _EGRESS) != swapped
        services = keys[row, 4]
        near, far = services & _PORT, (services >> _U(DSTPORT_SHIFT)) & _PORT
        portless = near == 0 and far == 0
        if outward:
            near, far = _U(source_port[near]), _U(target_port[far])
        else:
            near, far = _U(target_port[near]), _U(source_port[far])
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = keys[row, 0], keys[row, 1], keys[row, 2], keys[row, 3]
        if not (services >> _U(IPV6_SHIFT)) & _U(1):
            out[i, 1] = _U(_class_of(np.int64(keys[row, 1]), bounds, first, finer))
            out[i, 3] = _U(_class_of(np.int64(keys[row, 3]), bounds, first, finer))
        out[i, 4] = (
            (services >> _U(PROTOCOL_SHIFT)) << _U(PROTOCOL_SHIFT)
            | near
            | (far << _U(DSTPORT_SHIFT))
            | (_U(portless) << _U(IPV6_SHIFT + 1))
        )
        out[i, 5] = keys[row, 5] | (_U(outward) << _U(DIRECTION_SHIFT))
        out[i, 6] = out[i, 7] = 0


@kernel
def first_rows(rows: npt.NDArray[np.int32], before: int, first: npt.NDArray[np.int64]) -> None:
    """Where each row from `before` on occurs first."""
    for at in range(len(rows) - 1, -1, -1):
        if rows[at] >= before:
            first[rows[at] - before] = at
