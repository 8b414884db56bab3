"""Flows as columns.

A row is one (flow, interface, direction), as in a VPC flow log: a flow between two known interfaces has two rows
that share `flow_id`, the sender's egress and the receiver's ingress. The two address families are separate blocks
of columns, joined by `row`, the position in the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "AMBIGUOUS",
    "EGRESS",
    "INGRESS",
    "NO_INTERFACE",
    "FlowBlock",
    "FlowTable",
]

INGRESS = 0
EGRESS = 1

NO_INTERFACE = -1  #: `FlowBlock.interface`: no known interface
AMBIGUOUS = -2  #: `FlowBlock.interface`: several interfaces could be meant


@dataclass(frozen=True, slots=True)
class FlowBlock:
    """The rows of one address family; n rows, all arrays C-contiguous.

    `family` is 4 or 6. `srcaddr`, `dstaddr`: uint32[n] for IPv4, uint64[n, 2] (high half first) for IPv6.
    `srcport`, `dstport`: uint16. `protocol`: uint8. `icmp_type`, `icmp_code`: int16, -1 where not ICMP or not
    known. `later_fragment`: bool, a fragment that carries no ports. `interface`: int32, index into
    `RuleTables.interface_ids`, or NO_INTERFACE, AMBIGUOUS. `direction`: uint8, INGRESS or EGRESS of that interface.
    `flow_id`: int64. `row`: int64, position in the table.
    """

    family: int
    srcaddr: npt.NDArray[Any]
    dstaddr: npt.NDArray[Any]
    srcport: npt.NDArray[np.uint16]
    dstport: npt.NDArray[np.uint16]
    protocol: npt.NDArray[np.uint8]
    icmp_type: npt.NDArray[np.int16]
    icmp_code: npt.NDArray[np.int16]
    later_fragment: npt.NDArray[np.bool_]
    interface: npt.NDArray[np.int32]
    direction: npt.NDArray[np.uint8]
    flow_id: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.protocol)

    @classmethod
    def from_columns(
        cls,
        family: int,
        srcaddr: npt.ArrayLike,
        dstaddr: npt.ArrayLike,
        *,
        protocol: npt.ArrayLike,
        interface: npt.ArrayLike,
        direction: npt.ArrayLike,
        srcport: npt.ArrayLike | None = None,
        dstport: npt.ArrayLike | None = None,
        icmp_type: npt.ArrayLike | None = None,
        icmp_code: npt.ArrayLike | None = None,
        later_fragment: npt.ArrayLike | None = None,
        flow_id: npt.ArrayLike | None = None,
        row: npt.ArrayLike | None = None,
    ) -> FlowBlock:
        """Build a block from array-likes, filling what is absent: ports 0, ICMP -1, ids and rows 0 … n-1."""
        n = len(np.asarray(protocol))
        address = np.dtype(np.uint32) if family == 4 else np.dtype(np.uint64)

        def column(values: npt.ArrayLike | None, dtype: npt.DTypeLike, fill: int) -> npt.NDArray[Any]:
            return np.full(n, fill, dtype) if values is None else np.ascontiguousarray(values, dtype)

        def count(values: npt.ArrayLike | None) -> npt.NDArray[np.int64]:
            return np.arange(n, dtype=np.int64) if values is None else np.ascontiguousarray(values, np.int64)

        return cls(
            family=family,
            srcaddr=np.ascontiguousarray(srcaddr, address),
            dstaddr=np.ascontiguousarray(dstaddr, address),
            srcport=column(srcport, np.uint16, 0),
            dstport=column(dstport, np.uint16, 0),
            protocol=np.ascontiguousarray(protocol, np.uint8),
            icmp_type=column(icmp_type, np.int16, -1),
            icmp_code=column(icmp_code, np.int16, -1),
            later_fragment=column(later_fragment, np.bool_, 0),
            interface=np.ascontiguousarray(interface, np.int32),
            direction=np.ascontiguousarray(direction, np.uint8),
            flow_id=count(flow_id),
            row=count(row),
        )

    @classmethod
    def empty(cls, family: int) -> FlowBlock:
        """A block without rows."""
        address = np.empty((0,) if family == 4 else (0, 2))
        return cls.from_columns(family, address, address, protocol=[], interface=[], direction=[])


@dataclass(frozen=True, slots=True)
class FlowTable:
    """Flows of both families. The `row` columns of the two blocks together are a permutation of 0 … n-1."""

    v4: FlowBlock
    v6: FlowBlock

    def __len__(self) -> int:
        return len(self.v4) + len(self.v6)

    @classmethod
    def of(cls, *blocks: FlowBlock) -> FlowTable:
        """A table of at most one block per family."""
        by_family = {block.family: block for block in blocks}
        return cls(by_family.get(4) or FlowBlock.empty(4), by_family.get(6) or FlowBlock.empty(6))
