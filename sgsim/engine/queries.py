"""FlowBlock → what kernels ask the rules: remote address, service, the interface at the other end."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.engine.peers import PeerEntries, find_peers
from sgsim.flows import EGRESS, INGRESS, FlowBlock
from sgsim.kernels.exempt import Flows
from sgsim.kernels.match_scan import NOT_MEMBER, Queries
from sgsim.model import ICMP, ICMPV6, TCP, UDP
from sgsim.tables import RuleTables
from sgsim.tables.columns import ICMP_CODES, ICMP_UNKNOWN, PORT_UNKNOWN, SERVICE_BITS

__all__ = ["flows_of", "peers_of", "queries", "remotes"]


def flows_of(block: FlowBlock) -> Flows:
    """A block as kernels take it."""
    none4, none6 = np.empty(0, np.uint32), np.empty((0, 2), np.uint64)
    four = block.family == 4
    return Flows(
        block.family,
        block.srcaddr if four else none4,
        block.dstaddr if four else none4,
        none6 if four else block.srcaddr,
        none6 if four else block.dstaddr,
        block.srcport,
        block.dstport,
        block.protocol,
        block.icmp_type,
        block.icmp_code,
        block.later_fragment,
        block.interface,
        block.direction,
        block.row,
    )


def remotes(block: FlowBlock, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """The remote addresses of some rows as (high, low) halves: source of ingress, destination of egress."""
    inward = block.direction[rows] == INGRESS
    if block.family == 4:
        return np.zeros(len(rows), np.uint64), np.where(inward, block.srcaddr[rows], block.dstaddr[rows]).astype(
            np.uint64
        )
    chosen = np.where(inward[:, None], block.srcaddr[rows], block.dstaddr[rows])
    return np.ascontiguousarray(chosen[:, 0]), np.ascontiguousarray(chosen[:, 1])


def peers_of(tables: RuleTables, block: FlowBlock, entries: PeerEntries) -> npt.NDArray[np.int32]:
    """Who is at the other end of every row whose interface has rules that refer to groups; empty if none has."""
    if not tables.interfaces.references.any():
        return np.empty(0, np.int32)
    known = np.flatnonzero(block.interface >= 0)
    refers = tables.interfaces.references[block.interface[known]]
    peer = np.empty(0, np.int32)
    for direction in (INGRESS, EGRESS):
        rows = known[(block.direction[known] == direction) & (refers >> direction & 1 != 0)]
        if len(rows):
            if not len(peer):
                peer = np.full(len(block), NOT_MEMBER, np.int32)
            hi, lo = remotes(block, rows)
            peer[rows] = find_peers(tables, block.family, direction, block.interface[rows], hi, lo, entries)
    return peer


def queries(block: FlowBlock, rows: npt.NDArray[np.int64], peer: npt.NDArray[np.int32]) -> Queries:
    """The queries of some rows; `peer` as from `peers_of`."""
    first, last = _services(block, rows)
    peers = peer[rows] if len(peer) else np.full(len(rows), NOT_MEMBER, np.int32)
    return Queries(block.interface[rows], block.direction[rows], *remotes(block, rows), first, last, peers)


def _services(block: FlowBlock, rows: npt.NDArray[Any]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """First and last service that each row may have; they differ where the row lacks port, type or code."""
    protocol = block.protocol[rows].astype(np.int64)
    later = block.later_fragment[rows]
    has_port = (protocol == TCP) | (protocol == UDP)
    has_type = (protocol == ICMP) | (protocol == ICMPV6)
    no_type = later | (block.icmp_type[rows] < 0)
    no_code = no_type | (block.icmp_code[rows] < 0)
    port = block.dstport[rows].astype(np.int64)
    icmp = block.icmp_type[rows].astype(np.int64) * ICMP_CODES
    code = block.icmp_code[rows].astype(np.int64)
    low = np.select(
        [has_port & ~later, has_type & ~no_code, has_type & ~no_type],
        [port, icmp + code, icmp],
        0,
    )
    high = np.select(
        [has_port & later, has_type & no_type, has_type & no_code],
        [PORT_UNKNOWN, ICMP_UNKNOWN, icmp + ICMP_CODES - 1],
        low,
    )
    base = protocol << SERVICE_BITS
    return (base + low).astype(np.uint32), (base + high).astype(np.uint32)
