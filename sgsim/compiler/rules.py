"""Rules → columns: one pass over the rules, numpy for the rest (1 M rules in about 3 s)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.compiler.trees import sizes_of
from sgsim.model import (
    ALL_PORTS,
    ICMP,
    ICMPV6,
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
from sgsim.tables.layout import HAS_SUBJECTS, REFERS, UNDEFINED, WIDE_SHIFT

__all__ = ["GroupRules", "Subjects", "group_rules", "listed", "ranks"]

_LOW = (1 << 64) - 1
_NEITHER = (-1, -1)
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


class GroupRules(NamedTuple):
    """The rules of some groups, numbered in the order in which they were given; tables are numbered by group.

    `rows` and `offsets` by family: table t has the rows `offsets[family][t]:offsets[family][t + 1]`, and so it is with
    `subjects`. `flags` int32: by family, those of each table (see `tables.layout`).
    """

    rows: dict[int, AddressRows]
    offsets: dict[int, npt.NDArray[np.int64]]
    subjects: SubjectRows
    subject_offsets: npt.NDArray[np.int64]
    flags: dict[int, npt.NDArray[np.int32]]

    def sizes(self) -> npt.NDArray[np.int64]:
        """How many rules each group has in its busier direction."""
        sizes = sum(sizes_of(offsets) for offsets in (self.offsets[4], self.offsets[6], self.subject_offsets))
        busier: npt.NDArray[np.int64] = np.asarray(sizes, np.int64).reshape(-1, 2).max(axis=1, initial=0)
        return busier


def group_rules(
    groups: Sequence[SecurityGroup | None], rules: Sequence[Sequence[SecurityGroupRule]], subjects: Subjects
) -> GroupRules:
    """Compile the rules of each group, which stand in the order of their tables.

    None stands for a group that is not described. What rules name is numbered in `subjects`.
    """
    columns = _rule_columns(rules)
    rows, offsets = {}, {}
    for family in (4, 6):
        rows[family], offsets[family] = _address_rows(columns, family)
    by_subject, subject_offsets = _subject_rows(columns, subjects, groups)
    flags = np.repeat(np.array([0 if group is not None else UNDEFINED for group in groups], np.int32), 2)
    flags |= np.where(sizes_of(subject_offsets) > 0, HAS_SUBJECTS, 0).astype(np.int32)
    table = np.repeat(np.arange(2 * len(groups)), sizes_of(subject_offsets))
    flags[table[by_subject.subject >= 0]] |= REFERS
    every = {family: flags | _wide(rows[family], offsets[family]) for family in (4, 6)}
    return GroupRules(rows, offsets, by_subject, subject_offsets, every)


def _wide(rows: AddressRows, offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """The flags from WIDE_SHIFT on, of both tables of each group."""
    bits = np.zeros((len(offsets) - 1) // 2, np.int32)
    every = np.flatnonzero(rows.length == 0)
    if not len(every):
        return np.repeat(bits, 2)
    table = np.repeat(np.arange(len(offsets) - 1), sizes_of(offsets))[every]
    for udp, protocol in enumerate((TCP, UDP)):
        base = protocol << SERVICE_BITS
        wide = table[(rows.first[every] <= base) & (rows.last[every] >= base + PORT_UNKNOWN)]
        np.bitwise_or.at(bits, wide >> 1, (1 << (WIDE_SHIFT + ((wide & 1) << 1 | udp))).astype(np.int32))
    return np.repeat(bits, 2)


@dataclass(frozen=True, slots=True, eq=False)
class _RuleColumns:
    """Rules in the order in which they were given.

    `table` int64: see `sgsim.tables.columns`. `first`, `last` uint32: services. `order` uint64 without its prefix bits.
    `peers` are the rules' peers as they are.
    """

    table: npt.NDArray[np.int64]
    first: npt.NDArray[np.uint32]
    last: npt.NDArray[np.uint32]
    order: npt.NDArray[np.uint64]
    peers: list[Any]
    tables: int


def listed(group: SecurityGroup | None) -> list[SecurityGroupRule]:
    """A group's rules in the order in which they are compiled at first: ingress, egress, ascending id."""
    return [] if group is None else sorted(group.rules, key=_by_direction_and_id)


def _rule_columns(groups: Sequence[Sequence[SecurityGroupRule]]) -> _RuleColumns:
    rules = list(chain.from_iterable(groups))
    direction = np.array([rule.direction for rule in rules], np.int64)
    protocol = np.array([-1 if rule.protocol is None else rule.protocol for rule in rules], np.int64)
    ports = [rule.ports or _NEITHER for rule in rules]
    icmp = [_icmp(rule) for rule in rules]
    first, last = service_intervals(protocol, _pairs(ports), _pairs(icmp))
    sizes = np.fromiter(map(len, groups), np.int64, len(groups))
    return _RuleColumns(
        np.repeat(np.arange(len(groups), dtype=np.int64) * 2, sizes) + direction,
        first.astype(np.uint32),
        last.astype(np.uint32),
        (last - first).astype(np.uint64) << np.uint64(ORDER_WIDTH_SHIFT),
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
    has_ports = (protocol == TCP) | (protocol == UDP)
    has_types = (protocol == ICMP) | (protocol == ICMPV6)
    all_ports = (ports[:, 0] == ALL_PORTS.first) & (ports[:, 1] == ALL_PORTS.last)
    icmp_type, code = icmp[:, 0], icmp[:, 1]
    low = np.where(icmp_type < 0, 0, icmp_type * ICMP_CODES + np.maximum(code, 0))
    high = np.where(icmp_type < 0, ICMP_UNKNOWN, np.where(code < 0, (icmp_type + 1) * ICMP_CODES - 1, low))
    last_port = np.where(all_ports, PORT_UNKNOWN, ports[:, 1])
    first = base + np.where(has_ports, ports[:, 0], np.where(has_types, low, 0))
    last = base + np.where(has_ports, last_port, np.where(has_types, high, 0))
    every = protocol < 0
    return np.where(every, 0, first), np.where(every, (256 << SERVICE_BITS) - 1, last)


def ranks(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """The position of each text in sorted order."""
    n = len(texts)
    order: npt.NDArray[np.int64]
    if n > _UNSORTED_IDS and max(map(len, texts)) <= 64 and all(map(str.isascii, texts)):
        order = np.argsort(np.array(texts, "S"), kind="stable")
    else:
        order = np.array(sorted(range(n), key=texts.__getitem__), np.int64)
    rank = np.empty(n, np.int64)
    rank[order] = np.arange(n)
    return rank


def _table_offsets(table: npt.NDArray[np.int64], tables: int) -> npt.NDArray[np.int64]:
    """Where each table's rows begin and end, for rows sorted by table."""
    offsets = np.zeros(tables + 1, np.int64)
    np.cumsum(np.bincount(table, minlength=tables), out=offsets[1:])
    return offsets


def _address_rows(columns: _RuleColumns, family: int) -> tuple[AddressRows, npt.NDArray[np.int64]]:
    """The rules of one family whose peer is a CIDR block, and where those of each table are."""
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
    made = AddressRows(
        hi,
        lo,
        length,
        columns.first[rows],
        columns.last[rows],
        rows.astype(np.int32),
        columns.order[rows] | prefix_order,
    )
    return made, _table_offsets(columns.table[rows], columns.tables)


def _subject_rows(
    columns: _RuleColumns, subjects: Subjects, groups: Sequence[SecurityGroup | None]
) -> tuple[SubjectRows, npt.NDArray[np.int64]]:
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
    made = SubjectRows(
        subject,
        columns.first[rows],
        columns.last[rows],
        rows.astype(np.int32),
        columns.order[rows] | np.where(subject >= 0, reference, np.uint64(0)),
    )
    return made, _table_offsets(columns.table[rows], columns.tables)
