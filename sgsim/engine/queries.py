"""FlowBlock → what kernels ask the rules: remote address, service, the interface at the other end."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.engine.peers import PeerEntries, find_peers
from sgsim.flows import EGRESS, INGRESS, FlowBlock
from sgsim.kernels.exempt import Endpoints
from sgsim.kernels.match_scan import NOT_MEMBER, Queries
from sgsim.model import ICMP, ICMPV6, TCP, UDP
from sgsim.tables import RuleTables
from sgsim.tables.columns import ICMP_CODES, ICMP_UNKNOWN, PORT_UNKNOWN, SERVICE_BITS

__all__ = ["endpoints", "halves", "queries", "services"]


def halves(family: int, addresses: npt.NDArray[Any]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """An address column of a FlowBlock as (high, low) 64-bit halves."""
    if family == 4:
        return np.zeros(len(addresses), np.uint64), addresses.astype(np.uint64)
    return np.ascontiguousarray(addresses[:, 0]), np.ascontiguousarray(addresses[:, 1])


def services(block: FlowBlock) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """First and last service that each row may have; they differ where the row lacks port, type or code."""
    protocol = block.protocol.astype(np.int64)
    later = block.later_fragment
    has_port = (protocol == TCP) | (protocol == UDP)
    has_type = (protocol == ICMP) | (protocol == ICMPV6)
    no_type = later | (block.icmp_type < 0)
    no_code = no_type | (block.icmp_code < 0)
    port = block.dstport.astype(np.int64)
    icmp = block.icmp_type.astype(np.int64) * ICMP_CODES
    code = block.icmp_code.astype(np.int64)
    low = np.where(has_port & ~later, port, 0) + np.where(has_type & ~no_type, icmp + np.where(no_code, 0, code), 0)
    high = np.select(
        [has_port & later, has_port, has_type & no_type, has_type & no_code],
        [PORT_UNKNOWN, port, ICMP_UNKNOWN, icmp + ICMP_CODES - 1],
        low,
    )
    base = protocol << SERVICE_BITS
    return (base + low).astype(np.uint32), (base + high).astype(np.uint32)


def endpoints(block: FlowBlock) -> Endpoints:
    """Both ends of every row."""
    return Endpoints(
        block.interface,
        block.direction,
        *halves(block.family, block.srcaddr),
        *halves(block.family, block.dstaddr),
        block.srcport,
        block.dstport,
        block.protocol,
    )


def queries(
    tables: RuleTables, block: FlowBlock, ends: Endpoints, rows: npt.NDArray[np.int64], entries: PeerEntries
) -> Queries:
    """The queries of every row; `peer` is filled for `rows` only, all of which have an interface."""
    ingress = block.direction == INGRESS
    hi, lo = np.where(ingress, ends.src_hi, ends.dst_hi), np.where(ingress, ends.src_lo, ends.dst_lo)
    first, last = services(block)
    peer = np.full(len(block), NOT_MEMBER, np.int32)
    refers = tables.interfaces.references[block.interface[rows]]
    for direction in (INGRESS, EGRESS):
        concerned = rows[(block.direction[rows] == direction) & (refers >> direction & 1 != 0)]
        if len(concerned):
            peer[concerned] = find_peers(
                tables, block.family, direction, block.interface[concerned], hi[concerned], lo[concerned], entries
            )
    return Queries(block.interface, block.direction, hi, lo, first, last, peer)
