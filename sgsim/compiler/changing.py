"""Tables of the next version: only what changes touch is compiled, everything else is shared (decision 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.compiler.addresses import Holder, Holding, address_index, holdings, prefix_lists
from sgsim.compiler.growth import Growth, NoRoomError
from sgsim.compiler.interfaces import GONE, compile_interfaces
from sgsim.compiler.layout import ALL_CELLS, build_parts
from sgsim.compiler.placing import NO_TABLE
from sgsim.compiler.references import reference_columns
from sgsim.compiler.rules import group_rules, listed
from sgsim.model import Environment, NetworkInterface, SecurityGroup, SecurityGroupRule, Semantics
from sgsim.model.changes import (
    AddInterface,
    Authorize,
    Change,
    CreateGroup,
    DeleteGroup,
    DescribeRule,
    ModifyRule,
    RemoveInterface,
    Revoke,
    RunInstances,
    SetEntries,
    SetGroups,
)
from sgsim.tables import AddressRows, Interfaces, PrefixLists, RuleTables, SubjectRows
from sgsim.tables.exempt import Specials
from sgsim.tables.layers import AddressLayers
from sgsim.tables.layout import Layout
from sgsim.tables.lookup import address_keys, split_addresses
from sgsim.tables.slots import CHUNK, Names, Pool

__all__ = ["changed_tables"]

#: So many interfaces or groups are touched piece by piece, or an eighth of all.
_FEW = 256

_COMPILED = ("vpcs", "subnets", "peerings", "gateway_attachments", "mirror_sessions", "closed", "peerings_described")


class _Touched(NamedTuple):
    groups: list[str]
    interfaces: list[str]
    lists: list[str]

    @classmethod
    def by(cls, changes: Iterable[Change], before: Environment, after: Environment) -> _Touched | None:
        """What changes name and what is not as it was; None if some changes do not tell."""
        names: tuple[dict[str, None], ...] = ({}, {}, {})
        told = True
        for change in changes:
            match change:
                case CreateGroup(group):
                    names[0][group.group_id] = None
                case AddInterface(interface):
                    names[1][interface.interface_id] = None
                case RunInstances(interfaces=launched):
                    names[1].update((interface.interface_id, None) for interface in launched)
                case SetGroups(interface_id) | RemoveInterface(interface_id):
                    names[1][interface_id] = None
                case SetEntries(prefix_list_id):
                    names[2][prefix_list_id] = None
                case Authorize() | Revoke() | ModifyRule() | DescribeRule() | DeleteGroup():
                    names[0][change.group_id] = None
                case _:
                    told = False
        kinds = ("groups", "interfaces", "prefix_lists")
        if not told and any(getattr(before, kind) is not getattr(after, kind) for kind in kinds):
            return None
        return cls(
            *(_differing(named, getattr(before, kind), getattr(after, kind)) for named, kind in zip(names, kinds))
        )

    def is_much(self, environment: Environment) -> bool:
        """Whether it is better to compile everything."""
        most = _FEW + (len(environment.groups) + len(environment.interfaces)) // 8
        return len(self.groups) + len(self.interfaces) + len(self.lists) > most


def _differing(names: Iterable[str], before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [name for name in names if before.get(name) is not after.get(name)]


def changed_tables(
    tables: RuleTables, before: Environment, after: Environment, changes: Iterable[Change], semantics: Semantics
) -> RuleTables | None:
    """The tables after changes; None if everything has to be compiled."""
    growth: Growth | None = tables.growth
    touched = _Touched.by(changes, before, after)
    if growth is None or growth.is_wasteful() or touched is None or touched.is_much(after):
        return None
    if any(getattr(before, name) is not getattr(after, name) for name in _COMPILED):
        return None
    groups = [environment.groups.get(name) for environment in (before, after) for name in touched.groups]
    if any(group is not None and group.classic for group in groups):
        return None  # the exempt traffic of interfaces depends on it
    with growth.lock:
        growth.started(tables)
        try:
            return _Next(growth, tables, before, after, semantics).made(touched)
        except NoRoomError:
            return None


class _Next:
    """The next version in the making."""

    def __init__(
        self, growth: Growth, tables: RuleTables, before: Environment, after: Environment, semantics: Semantics
    ) -> None:
        assert growth.pools is not None
        self.growth, self.pools, self.tables = growth, growth.pools, tables
        self.before, self.after, self.semantics = before, after, semantics
        self.new: dict[str, Any] = {}
        self.parts: dict[int, dict[str, Any]] = {4: {}, 6: {}}

    def made(self, touched: _Touched) -> RuleTables:
        """The tables."""
        for group_id in touched.groups:
            self._group(group_id)
        if touched.interfaces:
            self._interfaces(touched.interfaces)
        if touched.lists or len(self.growth.subjects.prefix_lists) > len(self.tables.v4.prefix_lists.bounds):
            self._lists(touched.lists)
        if touched.groups or touched.interfaces:
            self._names()
        for family, parts in self.parts.items():
            if parts:
                self.new[f"v{family}"] = replace(self.tables.family(family), **parts)
        return replace(self.tables, **self.new)

    def _group(self, group_id: str) -> None:
        """Compile a group; what it was stays where it is."""
        growth, group = self.growth, self.after.groups.get(group_id)
        number = growth.groups[group_id]
        ordered = _ordered(group, growth, number)
        compiled = group_rules([group], [[rule for _, rule in ordered]], growth.subjects)
        growth.resize(number, int(compiled.sizes()[0]))
        self._references()
        index = np.array([index for index, _ in ordered], np.int32)
        subjects_at = _add(self.pools.subjects, compiled.subjects._replace(rule=index[compiled.subjects.rule]))
        tables = np.array([2 * number, 2 * number + 1])
        for family in (4, 6):
            rows = compiled.rows[family]._replace(rule=index[compiled.rows[family].rule])
            pools = self.pools.layouts[family]
            free = max(0, 2 * ALL_CELLS[family] - pools.cells)
            parts = build_parts(family, compiled._replace(rows={family: rows}), free)
            cells = growth.place_cells(family, number, parts.cells)
            headers = pools.add(parts, _add(self.pools.rows[family], rows), subjects_at, cells)
            chunks = self._layout(family).chunks
            chunks = _with_slots(chunks, 2 * len(growth.groups), [pools.directory], [NO_TABLE], tables, [headers])
            self.parts[family]["layout"] = pools.layout(chunks)
            self.parts[family]["rows"] = AddressRows(*(pool.rows for pool in self.pools.rows[family]))
        self.new["subject_rows"] = SubjectRows(*(pool.rows for pool in self.pools.subjects))

    def _layout(self, family: int) -> Layout:
        layout: Layout = self.parts[family].get("layout", self.tables.family(family).layout)
        return layout

    def _references(self) -> None:
        """Give references that rules make for the first time their columns."""
        growth, pools = self.growth, self.pools.references
        named = list(islice(growth.subjects.references, pools[0].used, None))
        if named:
            columns = reference_columns(self.after, named, growth.groups, growth.vpcs)
            _add(pools, columns)
        if pools[0].used > len(self.tables.references.target):
            target, vpc, status, may_have_unseen = (pool.rows for pool in pools)
            self.new["references"] = replace(
                self.tables.references, target=target, vpc=vpc, status=status, open=may_have_unseen
            )

    def _lists(self, touched: Sequence[str]) -> None:
        """Compile the entries of prefix lists: of those touched, and of those that rules name for the first time."""
        numbers = self.growth.subjects.prefix_lists
        for family in (4, 6):
            lists, pools = self.tables.family(family).prefix_lists, self.pools.lists[family]
            known = len(lists.bounds)
            new = list(islice(numbers, known, None))
            changed = [name for name in touched if numbers.get(name, known) < known]
            made = prefix_lists(family, [*changed, *new], self.after.prefix_lists)
            bounds = made.bounds + _add(pools, made[1:4])
            all_bounds, unresolved = np.concatenate((lists.bounds, bounds[len(changed) :])), lists.unresolved
            all_bounds[[numbers[name] for name in changed]] = bounds[: len(changed)]
            unresolved = np.concatenate((unresolved, made.unresolved[len(changed) :]))
            hi, lo, length = (pool.rows for pool in pools)
            self.parts[family]["prefix_lists"] = PrefixLists(all_bounds, hi, lo, length, unresolved)

    def _interfaces(self, interface_ids: Sequence[str]) -> None:
        """Compile interfaces, and find them under their addresses."""
        growth, tables, pools = self.growth, self.tables, self.pools
        numbers = np.array([growth.interfaces[interface_id] for interface_id in interface_ids])
        present = [interface for name in interface_ids if (interface := self.after.interfaces.get(name)) is not None]
        there = np.array([name in self.after.interfaces for name in interface_ids], np.bool_)
        classic = {
            group_id
            for interface in present
            for group_id in interface.group_ids
            if (group := self.after.groups.get(group_id)) is not None and group.classic
        }
        cards = compile_interfaces(
            present,
            self.after,
            growth.groups,
            growth.vpcs,
            classic,
            self.semantics,
        )
        carried = pools.carried.add(cards.groups)
        for interface in present:
            growth.carry([growth.groups[group_id] for group_id in set(interface.group_ids)])
        rows: list[npt.NDArray[Any]] = [np.zeros(len(numbers), np.int32), np.zeros(len(numbers), np.bool_)]
        rows[0][there], rows[1][there] = cards.vpc, cards.tracked
        for family in (4, 6):
            records = np.tile(GONE, (len(numbers), 1))
            records[there] = cards.records[family]
            records[there, 0] += np.uint32(carried)
            records[there, 6:] += np.uint32(_add(pools.specials[family], cards.specials[family]))
            rows.append(records)
        blanks = [np.int32(0), np.bool_(False), GONE, GONE]
        chunks = _with_slots(tables.interfaces.chunks, len(growth.interfaces), pools.cards, blanks, numbers, rows)
        vpc, tracked, *both = (pool.rows for pool in pools.cards)
        self.new["interfaces"] = Interfaces(chunks, pools.carried.rows, vpc, tracked)
        for family, records in zip((4, 6), both):
            self.parts[family]["records"] = records
            self.parts[family]["specials"] = Specials(*(pool.rows for pool in pools.specials[family]))
        self._cover_tables()
        for number, name in zip(numbers.tolist(), interface_ids):
            self._addresses(number, self.before.interfaces.get(name), self.after.interfaces.get(name))

    def _cover_tables(self) -> None:
        """Groups that are met for the first time have tables, of groups that are not described."""
        for family in (4, 6):
            layout = self._layout(family)
            wanted, pools = 2 * len(self.growth.groups), self.pools.layouts[family]
            if wanted > CHUNK * len(layout.chunks):
                none = np.zeros(0, np.int64)
                chunks = _with_slots(layout.chunks, wanted, [pools.directory], [NO_TABLE], none, [NO_TABLE[:0]])
                self.parts[family]["layout"] = pools.layout(chunks)

    def _addresses(self, number: int, old: NetworkInterface | None, new: NetworkInterface | None) -> None:
        """Take an interface out of the indexes of what it had, and put it into those of what it has."""
        had, has = (
            {} if each is None else holdings(each, self.growth.vnis(self.after).get(each.interface_id, ()))
            for each in (old, new)
        )
        same_network = old is not None and new is not None and old.vpc_id == new.vpc_id
        for name in {**had, **has}:
            if not (same_network and had.get(name) == has.get(name)):
                for family in (4,) if name in ("macs", "vnis") else (4, 6):
                    self._index(name, family, number, had.get(name), has.get(name), new)

    def _index(
        self,
        name: str,
        family: int,
        number: int,
        had: Holding | None,
        has: Holding | None,
        interface: NetworkInterface | None,
    ) -> None:
        part = self.new if name in ("macs", "vnis") else self.parts[family]
        source: Any = self.tables if part is self.new else self.tables.family(family)
        index: AddressLayers = part.get(name, getattr(source, name))
        if had is not None and _in_family(had, family):
            values = [address.value for address in had[0] if address.family == family]
            keys = address_keys(family, *split_addresses(values))
            index = index.without(number, keys, prefixes=any(cidr.family == family for cidr in had[1]))
        if has is not None and interface is not None and _in_family(has, family):
            holder = Holder(number, self.growth.vpcs[interface.vpc_id], *has)
            index = index.having(number, holder, lambda holders: address_index(family, holders.values()))
        part[name] = index

    def _names(self) -> None:
        """Lists of names as long as they are now, and what belongs to all."""
        growth = self.growth
        self.new["rule_ids"] = Names(growth.rule_ids)
        self.new["rank"] = self.pools.rank.rows
        self.new["group_ids"] = Names(growth.groups.names)
        self.new["vpc_ids"] = Names(growth.vpcs.names)
        self.new["largest_union"] = growth.largest_union
        if "interfaces" in self.new:
            self.new["interface_ids"] = Names(growth.interfaces.names)


def _ordered(group: SecurityGroup | None, growth: Growth, number: int) -> list[tuple[int, SecurityGroupRule]]:
    """A group's rules with their indexes: ingress, egress, ascending index."""
    rules = listed(group)
    pairs = list(zip(growth.number_rules(number, rules), rules))
    return sorted(pairs, key=lambda pair: (pair[1].direction, pair[0]))


def _in_family(holding: Holding, family: int) -> bool:
    return any(each.family == family for part in holding for each in part)


def _add(pools: Sequence[Pool], arrays: Iterable[npt.NDArray[Any]]) -> int:
    """Put rows into arrays that grow together; returns where they begin."""
    start = pools[0].used
    for pool, rows in zip(pools, arrays):
        if len(rows):
            pool.add(rows)
    return start


def _with_slots(
    chunks: npt.NDArray[np.int32],
    numbers: int,
    pools: Sequence[Pool],
    blanks: Sequence[Any],
    changed: npt.NDArray[np.int64],
    rows: Sequence[npt.NDArray[Any]],
) -> npt.NDArray[np.int32]:
    """Chunks for so many numbers, of which some have new rows in arrays that grow together.

    Rows of numbers that had none are `blanks`.
    """
    missing = -(-numbers // CHUNK) - len(chunks)
    if missing > 0:
        start = pools[0].used
        for pool, blank in zip(pools, blanks):
            pool.add(np.full((CHUNK, *pool.rows.shape[1:]), blank, pool.rows.dtype))
        chunks = np.concatenate((chunks, np.full(missing, start, np.int32)))
    else:
        chunks = chunks.copy()
    where = changed // CHUNK
    for chunk in sorted(set(where.tolist())):
        mine, first, start = where == chunk, chunks[chunk], pools[0].used
        for pool, new in zip(pools, rows):
            moved = pool.rows[first : first + CHUNK].copy()
            moved[changed[mine] % CHUNK] = new[mine]
            pool.add(moved)
        chunks[chunk] = start
    return chunks
