"""Packets inside packets: VXLAN of traffic mirroring, Geneve of gateway load balancers."""

from __future__ import annotations

from typing import Any

from sgsim.kernels import decode_codes as c
from sgsim.kernels._jit import kernel
from sgsim.kernels.decode_bytes import address_of, be16, be32, byte
from sgsim.kernels.decode_ip import IPV4, IPV6, ip_header
from sgsim.kernels.decode_link import link_layer, payload_of

__all__ = ["unwrap"]

_VXLAN_PORT, _GENEVE_PORT = 4789, 6081
_VXLAN, _GENEVE = 1, 2


@kernel
def unwrap(buffer: Any, index: Any, n: int) -> None:
    """Let each record of the index that holds a tunnel packet be the packet inside; TUNNEL its VXLAN's VNI or NO_VALUE.

    `buffer` uint8, `index` int64[INDEX_ROWS, ≥ n]. A mirror's VXLAN may hold a load balancer's Geneve; what is in that,
    or in a VXLAN inside it, is a user's own and stays whole, as do fragments. What cannot be unwrapped is left to the
    decoder, which finds the same fault, or is LINK_DECIDED.
    """
    memory = address_of(buffer)
    for i in range(n):
        index[c.TUNNEL, i] = -1
        tunnels = _VXLAN | _GENEVE
        while tunnels:
            link = index[c.LINK, i]
            if link < 0 or link >= c.LINK_DECIDED:
                break
            start = memory + index[c.OFFSET, i]
            end = start + index[c.CAPTURED, i]
            wire_end = max(end, start + index[c.WIRE, i])
            at, cause, _, _ = link_layer(start, end, link)
            if cause >= 0:
                break
            cause, _, protocol, fragment, _, _, udp, limit = ip_header(at, end, wire_end, cause)
            stop, wire_end = min(end, limit), min(wire_end, limit)
            if cause != c.DECODED or protocol != 17 or fragment != 0 or udp + 16 > stop:
                break
            port, head = be16(udp + 2), udp + 8
            if port == _VXLAN_PORT and tunnels & _VXLAN and byte(head) & 8:
                index[c.TUNNEL, i] = be32(head + 4) >> 8
                inner, link, tunnels = head + 8, c.LINK_ETHERNET, _GENEVE
            elif port == _GENEVE_PORT and byte(head) >> 6 == 0:
                inner, protocol, tunnels = head + 8 + (byte(head) & 63) * 4, be16(head + 2), 0
                if inner > stop:
                    inner, cause = stop, c.SHORT_LINK
                elif protocol == 0x6558:
                    cause = c.DECODED
                elif protocol <= 1500:
                    cause = c.NOT_IP_INNER
                else:
                    inner, cause = payload_of(inner, stop, protocol)
                if cause == c.DECODED:
                    link = c.LINK_ETHERNET
                elif cause < 0:
                    link = c.LINK_IPV4 if cause == IPV4 else c.LINK_IPV6 if cause == IPV6 else c.LINK_RAW
                else:
                    link = c.LINK_DECIDED + cause
            else:
                break
            index[c.LINK, i], index[c.OFFSET, i] = link, inner - memory
            index[c.CAPTURED, i], index[c.WIRE, i] = max(stop - inner, 0), max(wire_end - inner, 0)
