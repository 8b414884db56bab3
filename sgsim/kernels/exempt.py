"""Which rows are traffic that security groups never see (docs/semantics.md §3, §9.8)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel

__all__ = ["Endpoints", "exempt"]

_OWN, _ROUTER, _RESOLVER = 1, 2, 4
_TCP, _UDP, _DNS = 6, 17, 53
_INGRESS = 0


class Endpoints(NamedTuple):
    """Both ends of each row, n rows: addresses as uint64 halves, ports uint16, and where it is judged."""

    interface: npt.NDArray[np.int32]
    direction: npt.NDArray[np.uint8]
    src_hi: npt.NDArray[np.uint64]
    src_lo: npt.NDArray[np.uint64]
    dst_hi: npt.NDArray[np.uint64]
    dst_lo: npt.NDArray[np.uint64]
    srcport: npt.NDArray[np.uint16]
    dstport: npt.NDArray[np.uint16]
    protocol: npt.NDArray[np.uint8]


@helper
def kinds(specials: Any, interface: int, hi: int, lo: int) -> int:
    """What an address is to an interface: the disjunction of the kinds of the ranges that have it."""
    found = 0
    for i in range(specials.offsets[interface], specials.offsets[interface + 1]):
        after_first = hi > specials.hi[i] or (hi == specials.hi[i] and lo >= specials.lo[i])
        before_last = hi < specials.last_hi[i] or (hi == specials.last_hi[i] and lo <= specials.last_lo[i])
        if after_first and before_last:
            found |= specials.kind[i]
    return found


@helper
def is_local(family: int, services: Any, hi: int, lo: int) -> bool:
    """Broadcast (IPv4) or link-local."""
    key = lo if family == 4 else hi
    return (family == 4 and lo == 0xFFFFFFFF) or services.link_local[0] <= key <= services.link_local[1]


@kernel
def exempt(
    family: int,
    rows: npt.NDArray[np.int64],
    ends: Any,
    specials: Any,
    services: Any,
    out: npt.NDArray[np.bool_],
) -> None:
    """Set `out[row]` for each of `rows` that is exempt at its interface."""
    for row in rows:
        interface, protocol = ends.interface[row], ends.protocol[row]
        srcport, dstport = ends.srcport[row], ends.dstport[row]
        src_kinds = kinds(specials, interface, ends.src_hi[row], ends.src_lo[row])
        dst_kinds = kinds(specials, interface, ends.dst_hi[row], ends.dst_lo[row])
        if ends.direction[row] == _INGRESS:
            remote_kinds, port = src_kinds, srcport
            hi, lo = ends.src_hi[row], ends.src_lo[row]
        else:
            remote_kinds, port = dst_kinds, dstport
            hi, lo = ends.dst_hi[row], ends.dst_lo[row]
        answer = (src_kinds & dst_kinds & _OWN) != 0 or (remote_kinds & _ROUTER) != 0
        if remote_kinds & _RESOLVER and port == _DNS and protocol in (_TCP, _UDP):
            answer = True
        for i in range(len(services.port)):
            same_service = services.port[i] == port and services.protocol[i] == protocol
            if same_service and services.hi[i] == hi and services.lo[i] == lo:
                answer = True
        one, other = services.dhcp[0], services.dhcp[1]
        if protocol == _UDP and ((srcport == one and dstport == other) or (srcport == other and dstport == one)):
            answer = (
                answer
                or ((src_kinds | dst_kinds) & _ROUTER) != 0
                or is_local(family, services, ends.src_hi[row], ends.src_lo[row])
                or is_local(family, services, ends.dst_hi[row], ends.dst_lo[row])
            )
        out[row] = answer
