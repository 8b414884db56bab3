"""The machine's yardstick: every rule in turn for every flow, as plainly as numba is written by hand."""

from __future__ import annotations

from typing import Any

from sgsim.kernels._jit import kernel

__all__ = ["scan_in_turn"]


@kernel
def scan_in_turn(
    src: Any, port: Any, protocol: Any, network: Any, mask: Any, of_protocol: Any, first: Any, last: Any, out: Any
) -> None:
    """The first rule that matches each flow, plus one; 0 for none. Flows: uint32, uint16, uint8; out: int32."""
    for i in range(len(src)):
        found = 0
        for rule in range(len(network)):
            if (src[i] ^ network[rule]) & mask[rule] != 0:
                continue
            if of_protocol[rule] < 0 or (protocol[i] == of_protocol[rule] and first[rule] <= port[i] <= last[rule]):
                found = rule + 1
                break
        out[i] = found
