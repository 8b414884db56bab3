"""A FlowBlock and its tables as kernels take them; who is at the other end of each row."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.engine.owners import set_plain_peers
from sgsim.engine.peers import NOT_MEMBER, PeerEntries, find_peers
from sgsim.flows import EGRESS, INGRESS, FlowBlock
from sgsim.kernels.match_context import Context
from sgsim.tables import RuleTables

__all__ = ["context_of", "peers_of", "remotes"]


#: Bytes of an element of each column of a FlowBlock.
_WIDTHS = {
    **dict.fromkeys(("PROTOCOL", "LATER", "DIRECTION"), 1),
    **dict.fromkeys(("SRCPORT", "DSTPORT", "ICMP_TYPE", "ICMP_CODE"), 2),
    "INTERFACE": 4,
    "ROW": 8,
}


def context_of(tables: RuleTables, block: FlowBlock) -> Context:
    """A block and the tables of its family as the `match` and `exempt` kernels take them."""
    context = Context()
    address = np.uint32 if block.family == 4 else np.uint64
    assert block.srcaddr.dtype == block.dstaddr.dtype == address, "kernels read columns as FlowBlock describes them"
    context.set("INTERFACES", len(tables.interface_ids))
    for name, value in {**_flows(block), **_tables(tables, block.family)}.items():
        assert not isinstance(value, np.ndarray) or name not in _WIDTHS or value.dtype.itemsize == _WIDTHS[name], name
        context.set(name, value)
    return context


def _flows(block: FlowBlock) -> dict[str, Any]:
    return {
        "FAMILY": block.family,
        "SRC": block.srcaddr,
        "DST": block.dstaddr,
        "SRCPORT": block.srcport,
        "DSTPORT": block.dstport,
        "PROTOCOL": block.protocol,
        "ICMP_TYPE": block.icmp_type,
        "ICMP_CODE": block.icmp_code,
        "LATER": block.later_fragment,
        "INTERFACE": block.interface,
        "DIRECTION": block.direction,
        "ROW": block.row,
    }


def _tables(tables: RuleTables, family: int) -> dict[str, Any]:
    part = tables.family(family)
    layout, rows, by_subject, lists = part.layout, part.rows, tables.subject_rows, part.prefix_lists
    return {
        "RECORDS": part.records,
        "INTERFACE_CHUNKS": tables.interfaces.chunks,
        "GROUPS": tables.interfaces.groups,
        "EXEMPT": int(tables.exempt),
        "UNTRACKED": int(tables.untracked_flows),
        "TABLE_CHUNKS": layout.chunks,
        "DIRECTORY": layout.directory,
        "REGIONS": layout.regions,
        "NODES": layout.nodes,
        "LINES": layout.lines,
        "COVERED": layout.covered,
        "PAGE_RULES": layout.page_rules,
        "NODE_ROWS": layout.node_rows,
        "KEYS_HI": layout.keys_hi,
        "KEYS_LO": layout.keys_lo,
        "RULE_HI": rows.hi,
        "RULE_LO": rows.lo,
        "RULE_LENGTH": rows.length,
        "RULE_FIRST": rows.first,
        "RULE_LAST": rows.last,
        "RULE": rows.rule,
        "RULE_ORDER": rows.order,
        "RANK": tables.rank,
        "SUBJECT": by_subject.subject,
        "SUBJECT_FIRST": by_subject.first,
        "SUBJECT_LAST": by_subject.last,
        "SUBJECT_RULE": by_subject.rule,
        "SUBJECT_ORDER": by_subject.order,
        "LIST_BOUNDS": lists.bounds,
        "LIST_HI": lists.hi,
        "LIST_LO": lists.lo,
        "LIST_LENGTH": lists.length,
        "LIST_UNRESOLVED": lists.unresolved,
        "TARGET": tables.references.target,
        "SPECIAL_HI": part.specials.hi,
        "SPECIAL_LO": part.specials.lo,
        "SPECIAL_LAST_HI": part.specials.last_hi,
        "SPECIAL_LAST_LO": part.specials.last_lo,
        "SPECIAL_KIND": part.specials.kind,
        "SERVICES_USED": len(part.services.port),
        "SERVICES_HI": part.services.hi,
        "SERVICES_LO": part.services.lo,
        "SERVICES_PROTOCOL": part.services.protocol,
        "SERVICES_PORT": part.services.port,
        "LINK_LOCAL": part.services.link_local,
        "DHCP": part.services.dhcp,
    }


def remotes(block: FlowBlock, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """The remote addresses of some rows as (high, low) halves: source of ingress, destination of egress."""
    inward = block.direction[rows] == INGRESS
    if block.family == 4:
        return np.zeros(len(rows), np.uint64), np.where(inward, block.srcaddr[rows], block.dstaddr[rows]).astype(
            np.uint64
        )
    chosen = np.where(inward[:, None], block.srcaddr[rows], block.dstaddr[rows])
    return np.ascontiguousarray(chosen[:, 0]), np.ascontiguousarray(chosen[:, 1])


def peers_of(tables: RuleTables, block: FlowBlock) -> dict[str, npt.NDArray[Any]]:
    """PEER of every row and the TRUTH… arrays (see `match_context`)."""
    entries = PeerEntries()
    peer = _peers(tables, block, entries)
    return {"PEER": peer, **dict(zip(("TRUTH_OFFSETS", "TRUTH_REFERENCES", "TRUTHS"), entries.columns()))}


def _peers(tables: RuleTables, block: FlowBlock, entries: PeerEntries) -> npt.NDArray[np.int32]:
    """Who is at the other end of the rows whose interface has rules that refer to groups; empty if no rule does."""
    if not len(tables.references.target) or not len(block):
        return np.empty(0, np.int32)
    lowest, highest = int(block.interface.min()), int(block.interface.max())
    if highest >= len(tables.interface_ids) or int(block.direction.max()) > 1:
        raise ValueError("a row of the flow table has an interface or direction that does not exist")
    both = np.array([INGRESS, EGRESS], np.uint8)
    if lowest == highest and not _referring(tables, block.family, np.full(2, lowest, np.int32), both).any():
        return np.empty(0, np.int32)
    peer = np.full(len(block), NOT_MEMBER, np.int32)
    asked = set_plain_peers(tables, block, peer)
    asked = asked[_referring(tables, block.family, block.interface[asked], block.direction[asked])]
    for direction in (INGRESS, EGRESS):
        rows = asked[block.direction[asked] == direction]
        if len(rows):
            hi, lo = remotes(block, rows)
            peer[rows] = find_peers(tables, block.family, direction, block.interface[rows], hi, lo, entries)
    return peer


def _referring(
    tables: RuleTables, family: int, interface: npt.NDArray[np.int32], direction: npt.NDArray[np.uint8]
) -> npt.NDArray[np.bool_]:
    """Whether rules that refer to groups are asked about rows of such interfaces and directions."""
    from sgsim.kernels.match_slots import mark_referring

    refers = np.zeros(len(interface), np.bool_)
    part, carriers = tables.family(family), tables.interfaces
    layout = part.layout
    mark_referring(
        *(interface, direction, carriers.chunks, part.records, carriers.groups),
        *(layout.chunks, layout.directory, refers),
    )
    return refers
