"""Which rows are traffic that security groups never see (docs/semantics.md §3, §9.8)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel

__all__ = ["Flows", "exempt", "is_exempt"]

_OWN, _ROUTER, _RESOLVER = 1, 2, 4
_TCP, _UDP, _DNS = 6, 17, 53
_INGRESS = 0


class Flows(NamedTuple):
    """The columns of a FlowBlock; the addresses of the other family are empty. `row` int64: where answers go."""

    family: int
    src4: npt.NDArray[np.uint32]
    dst4: npt.NDArray[np.uint32]
    src6: npt.NDArray[np.uint64]
    dst6: npt.NDArray[np.uint64]
    srcport: npt.NDArray[np.uint16]
    dstport: npt.NDArray[np.uint16]
    protocol: npt.NDArray[np.uint8]
    icmp_type: npt.NDArray[np.int16]
    icmp_code: npt.NDArray[np.int16]
    later_fragment: npt.NDArray[np.bool_]
    interface: npt.NDArray[np.int32]
    direction: npt.NDArray[np.uint8]
    row: npt.NDArray[np.int64]


@helper
def kinds(specials: Any, interface: int, hi: Any, lo: Any) -> int:
    """What an address is to an interface: the disjunction of the kinds of the ranges that have it."""
    found = 0
    for i in range(specials.offsets[interface], specials.offsets[interface + 1]):
        after_first = hi > specials.hi[i] or (hi == specials.hi[i] and lo >= specials.lo[i])
        before_last = hi < specials.last_hi[i] or (hi == specials.last_hi[i] and lo <= specials.last_lo[i])
        if after_first and before_last:
            found |= specials.kind[i]
    return found


@helper
def is_local(family: int, services: Any, hi: Any, lo: Any) -> bool:
    """Broadcast (IPv4) or link-local."""
    key = lo if family == 4 else hi
    return bool((family == 4 and lo == 0xFFFFFFFF) or services.link_local[0] <= key <= services.link_local[1])


@helper
def is_exempt(flows: Any, row: int, interface: int, specials: Any, services: Any) -> bool:
    """Whether a row is traffic that security groups never see at its interface."""
    family, protocol = flows.family, flows.protocol[row]
    srcport, dstport = flows.srcport[row], flows.dstport[row]
    if family == 4:
        src_hi, src_lo = np.uint64(0), np.uint64(flows.src4[row])
        dst_hi, dst_lo = np.uint64(0), np.uint64(flows.dst4[row])
    else:
        src_hi, src_lo = flows.src6[row, 0], flows.src6[row, 1]
        dst_hi, dst_lo = flows.dst6[row, 0], flows.dst6[row, 1]
    src_kinds = kinds(specials, interface, src_hi, src_lo)
    dst_kinds = kinds(specials, interface, dst_hi, dst_lo)
    if src_kinds & dst_kinds & _OWN != 0:
        return True
    ingress = flows.direction[row] == _INGRESS
    remote_kinds, port = (src_kinds, srcport) if ingress else (dst_kinds, dstport)
    hi, lo = (src_hi, src_lo) if ingress else (dst_hi, dst_lo)
    if remote_kinds & _ROUTER != 0:
        return True
    if remote_kinds & _RESOLVER != 0 and port == _DNS and protocol in (_TCP, _UDP):
        return True
    for i in range(len(services.port)):
        same_service = services.port[i] == port and services.protocol[i] == protocol
        if same_service and services.hi[i] == hi and services.lo[i] == lo:
            return True
    one, other = services.dhcp[0], services.dhcp[1]
    if protocol != _UDP or not ((srcport == one and dstport == other) or (srcport == other and dstport == one)):
        return False
    to_router = (src_kinds | dst_kinds) & _ROUTER != 0
    return bool(to_router or is_local(family, services, src_hi, src_lo) or is_local(family, services, dst_hi, dst_lo))


@kernel
def exempt(rows: npt.NDArray[np.int64], flows: Any, specials: Any, services: Any, out: npt.NDArray[np.bool_]) -> None:
    """Set `out[row]` for each of `rows` that is exempt at its interface."""
    for row in rows:
        out[row] = is_exempt(flows, row, flows.interface[row], specials, services)
