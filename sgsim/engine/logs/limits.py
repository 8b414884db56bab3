"""Idle times of connections, as joining flow-log records needs them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sgsim.engine.snapshot import Snapshot
from sgsim.model import NetworkInterface, Semantics
from sgsim.model.facts import is_nitro_v6

__all__ = ["connection_limits"]


def connection_limits(snapshot: Snapshot) -> npt.NDArray[np.int64]:
    """int64[interfaces, 4, 4] in seconds: KIND_* by half-open, least, most and closing time (§2.3)."""
    interfaces = snapshot.interfaces()
    return np.array([_limits(one, snapshot.semantics) for one in interfaces or [NetworkInterface("")]], np.int64)


def _limits(interface: NetworkInterface, semantics: Semantics) -> tuple[tuple[int, ...], ...]:
    timeouts = interface.timeouts
    nitro_v6 = is_nitro_v6(interface.instance_type)
    default = semantics.tcp_established_timeout_nitro_v6 if nitro_v6 else semantics.tcp_established_timeout
    tcp = default if timeouts.tcp_established is None else timeouts.tcp_established
    half_open = semantics.tcp_half_open_timeout
    udp = semantics.udp_timeout if timeouts.udp is None else timeouts.udp
    stream = semantics.udp_stream_timeout if timeouts.udp_stream is None else timeouts.udp_stream
    icmp, other = semantics.icmp_timeout, semantics.other_protocol_timeout
    return (
        (min(half_open, tcp), tcp, max(half_open, tcp), semantics.tcp_closing_timeout),
        (min(udp, stream), min(udp, stream), max(udp, stream), 0),
        (icmp, icmp, icmp, 0),
        (other, other, other, other),
    )
