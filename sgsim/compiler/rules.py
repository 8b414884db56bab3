"""Rules → columns: one pass over the rules, numpy for the rest (1 M rules in about 3 s)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.model import (
    ALL_PORTS,
    TCP,
    UDP,
    CidrPeer,
    GroupPeer,
    PrefixListPeer,
    SecurityGroup,
    SecurityGroupRule,
)
from sgsim.tables.columns import (
    ICMP_CODES,
    ICMP_UNKNOWN,
    ORDER_PREFIX_SHIFT,
    ORDER_REFERENCE,
    ORDER_WIDTH_SHIFT,
    PORT_UNKNOWN,
    SERVICE_BITS,
    AddressRows,
    SubjectRows,
)

__all__ = ["RuleColumns", "Subjects", "address_rows", "rule_columns", "subject_rows"]

_LOW = (1 << 64) - 1
_PORTS, _ICMP, _NEITHER = (TCP, UDP), (1, 58), (-1, -1)
_UNSORTED_IDS = 1 << 10


class Subjects:
    """Numbers the groups and prefix lists that rules name.

    A reference is a group as one rule's group names it: what the rule says of the group's account, VPC and peering
    decides how far the reference reaches, so each spelling has its own number.
    """

    def __init__(self) -> None:
        self.references: dict[tuple[GroupPeer, str | None, str | None], int] = {}
        self.prefix_lists: dict[str, int] = {}

    def number(self, peer: Any, group: SecurityGroup) -> int:
        """The reference's number, or -1 - the prefix list's number (see SubjectRows)."""
        if isinstance(peer, GroupPeer):
            account_id = peer.account_id if peer.account_id is not None else group.account_id
            key = (peer, account_id, group.region)
            return self.references.setdefault(key, len(self.references))
        assert isinstance(peer, PrefixListPeer)
        return -1 - self.prefix_lists.setdefault(peer.prefix_list_id, len(self.prefix_lists))


@dataclass(frozen=True, slots=True, eq=False)
class RuleColumns:
    """All rules of an environment, by group in the order of `groups`, ascending id inside a group and direction.

    `table` int64: see `sgsim.tables.columns`. `first`, `last` uint32: services. `order` uint64 without its prefix bits.
    `peers` are the rules' peers as they are. `rule_ids` are the ids; the position in it is the rule's index.
    """

    rule_ids: list[str]
    table: npt.NDArray[np.int64]
    first: npt.NDArray[np.uint32]
    last: npt.NDArray[np.uint32]
    order: npt.NDArray[np.uint64]
    peers: list[Any]
    tables: int

    def __len__(self) -> int:
        return len(self.rule_ids)


def rule_columns(groups: Sequence[SecurityGroup | None]) -> RuleColumns:
    """The rules of the groups; None stands for a group that is not described."""
    rules: list[SecurityGroupRule] = []
    group_sizes = np.zeros(len(groups), np.int64)
    for position, group in enumerate(groups):
        if group is not None:
            rules.extend(sorted(group.rules, key=_by_direction_and_id))
            group_sizes[position] = len(group.rules)
    rule_ids = [rule.rule_id for rule in rules]
    direction = np.array([rule.direction for rule in rules], np.int64)
    protocol = np.array([-1 if rule.protocol is None else rule.protocol for rule in rules], np.int64)
    ports = [rule.ports or _NEITHER for rule in rules]
    icmp = [_icmp(rule) for rule in rules]
    first, last = service_intervals(protocol, _pairs(ports), _pairs(icmp))
    order = (last - first).astype(np.uint64) << np.uint64(ORDER_WIDTH_SHIFT) | ranks(rule_ids)
    table = np.repeat(np.arange(len(groups), dtype=np.int64) * 2, group_sizes) + direction
    return RuleColumns(
        rule_ids,
        table,
        first.astype(np.uint32),
        last.astype(np.uint32),
        order,
        [rule.peer for rule in rules],
        2 * len(groups),
    )


def _icmp(rule: SecurityGroupRule) -> tuple[int, int]:
    """Type and code, -1 for all of them (and for rules that have neither)."""
    if rule.icmp is None or rule.icmp.type is None:
        return _NEITHER
    return rule.icmp.type, -1 if rule.icmp.code is None else rule.icmp.code


def _pairs(values: Sequence[tuple[int, int]]) -> npt.NDArray[np.int64]:
    """Pairs as an array of two columns; numpy takes six times as long for tuples as for plain integers."""
    return np.fromiter(chain.from_iterable(values), np.int64, 2 * len(values)).reshape(-1, 2)


def _by_direction_and_id(rule: SecurityGroupRule) -> tuple[int, str]:
    return rule.direction, rule.rule_id


def service_intervals(
    protocol: npt.NDArray[np.int64], ports: npt.NDArray[np.int64], icmp: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First and last service of each rule; -1 stands for all protocols, no ports, all types, all codes."""
    base = protocol << SERVICE_BITS
    has_ports, has_types = np.isin(protocol, _PORTS), np.isin(protocol, _ICMP)
    all_ports = (ports[:, 0] == ALL_PORTS.first) & (ports[:, 1] == ALL_PORTS.last)
    icmp_type, code = icmp[:, 0], icmp[:, 1]
    low = np.where(icmp_type < 0, 0, icmp_type * ICMP_CODES + np.maximum(code, 0))
    high = np.where(icmp_type < 0, ICMP_UNKNOWN, np.where(code < 0, (icmp_type + 1) * ICMP_CODES - 1, low))
    first = base + np.select([has_ports, has_types], [ports[:, 0], low], 0)
    last = base + np.select([has_ports, has_types], [np.where(all_ports, PORT_UNKNOWN, ports[:, 1]), high], 0)
    every = protocol < 0
    return np.where(every, 0, first), np.where(every, (256 << SERVICE_BITS) - 1, last)


def ranks(texts: Sequence[str]) -> npt.NDArray[np.uint64]:
    """The position of each text in sorted order."""
    n = len(texts)
    order: npt.NDArray[np.int64]
    if n > _UNSORTED_IDS and max(map(len, texts)) <= 64 and all(map(str.isascii, texts)):
        order = np.argsort(np.array(texts, "S"), kind="stable")
    else:
        order = np.array(sorted(range(n), key=texts.__getitem__), np.int64)
    rank = np.empty(n, np.uint64)
    rank[order] = np.arange(n, dtype=np.uint64)
    return rank


def table_offsets(table: npt.NDArray[np.int64], tables: int) -> npt.NDArray[np.int64]:
    """Where each table's rows begin and end, for rows sorted by table."""
    offsets = np.zeros(tables + 1, np.int64)
    np.cumsum(np.bincount(table, minlength=tables), out=offsets[1:])
    return offsets


def address_rows(columns: RuleColumns, family: int) -> AddressRows:
    """The rules of one family whose peer is a CIDR block."""
    peers = columns.peers
    where = [position for position, peer in enumerate(peers) if type(peer) is CidrPeer and peer.cidr.family == family]
    rows = np.array(where, np.int64)
    cidrs = [peers[position].cidr for position in where]
    if family == 4:
        hi = np.zeros(len(cidrs), np.uint64)
        lo = np.array([cidr.network for cidr in cidrs], np.uint64)
    else:
        hi = np.array([cidr.network >> 64 for cidr in cidrs], np.uint64)
        lo = np.array([cidr.network & _LOW for cidr in cidrs], np.uint64)
    length = np.array([cidr.prefix_length for cidr in cidrs], np.uint8)
    prefix_order = (128 - length.astype(np.uint64)) << np.uint64(ORDER_PREFIX_SHIFT)
    return AddressRows(
        table_offsets(columns.table[rows], columns.tables),
        hi,
        lo,
        length,
        columns.first[rows],
        columns.last[rows],
        rows.astype(np.int32),
        columns.order[rows] | prefix_order,
    )


def subject_rows(columns: RuleColumns, subjects: Subjects, groups: Sequence[SecurityGroup | None]) -> SubjectRows:
    """The rules whose peer is a group or a prefix list; numbers what they name in `subjects`."""
    where, numbers = [], []
    for position, peer in enumerate(columns.peers):
        if type(peer) is not CidrPeer:
            group = groups[int(columns.table[position]) >> 1]
            assert group is not None
            where.append(position)
            numbers.append(subjects.number(peer, group))
    rows, subject = np.array(where, np.int64), np.array(numbers, np.int32)
    reference = np.uint64(ORDER_REFERENCE << ORDER_PREFIX_SHIFT)
    return SubjectRows(
        table_offsets(columns.table[rows], columns.tables),
        subject,
        columns.first[rows],
        columns.last[rows],
        rows.astype(np.int32),
        columns.order[rows] | np.where(subject >= 0, reference, np.uint64(0)),
    )


def listed(mapping: Mapping[str, SecurityGroup], ids: Iterable[str]) -> list[SecurityGroup | None]:
    """Groups in the order of their ids, None where not described."""
    return [mapping.get(group_id) for group_id in ids]
