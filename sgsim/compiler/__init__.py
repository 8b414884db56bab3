"""Environment → RuleTables: every group compiled once, shared by all interfaces that carry it."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sgsim.compiler.addresses import Holder, address_index, holdings, mirrored, prefix_lists
from sgsim.compiler.changing import changed_tables
from sgsim.compiler.growth import Growth
from sgsim.compiler.interfaces import GONE, Cards, compile_interfaces, services
from sgsim.compiler.layout import ALL_CELLS, build_parts
from sgsim.compiler.placing import first_layout
from sgsim.compiler.ranks import first_ranks
from sgsim.compiler.references import references, vpc_ids
from sgsim.compiler.rules import GroupRules, Subjects, group_rules, listed
from sgsim.model import Environment, Semantics
from sgsim.model.changes import Change
from sgsim.tables import FamilyTables, Interfaces, RuleTables
from sgsim.tables.layers import AddressLayers
from sgsim.tables.slots import first_chunks, padded

__all__ = ["compile_changes", "compile_environment"]

Column = npt.NDArray[np.int64]


def compile_environment(environment: Environment, semantics: Semantics) -> RuleTables:
    """Compile everything that evaluation looks up; linear in rules, entries, interfaces and addresses.

    Cyclic garbage collection pauses meanwhile: nothing here makes cycles, and going through a million rules each
    time some lists have grown took half of the time.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _compile(environment, semantics)
    finally:
        if collecting:
            gc.enable()


def compile_changes(
    tables: RuleTables, before: Environment, after: Environment, changes: Sequence[Change], semantics: Semantics
) -> RuleTables:
    """The tables of `after`, to which the changes lead from `before`, whose tables are given and stay as they are.

    What the changes do not touch is shared. All is compiled where that is not possible: where the tables come from
    another process, where more is garbage than not, where a change touches what is not compiled piece by piece.
    """
    made = changed_tables(tables, before, after, changes, semantics)
    return made if made is not None else compile_environment(after, semantics)


def _compile(environment: Environment, semantics: Semantics) -> RuleTables:
    interfaces = list(environment.interfaces.values())
    group_numbers = _group_numbers(environment)
    groups = [environment.groups.get(group_id) for group_id in group_numbers]
    rules = [listed(group) for group in groups]
    subjects = Subjects()
    compiled = group_rules(groups, rules, subjects)
    for peer, _, _ in subjects.references:
        group_numbers.setdefault(peer.group_id, len(group_numbers))
    vpcs = vpc_ids(environment, subjects)
    vpc_numbers = {vpc_id or None: number for number, vpc_id in enumerate(vpcs)}
    classic = {group_id for group_id, group in environment.groups.items() if group.classic}
    cards = compile_interfaces(interfaces, environment, group_numbers, vpc_numbers, classic, semantics)
    rule_ids = [rule.rule_id for listing in rules for rule in listing]
    sizes = compiled.sizes()
    unions = _unions(sizes, cards)
    indexes = _indexes(environment, cards)
    tables = 2 * len(group_numbers)
    families = {
        family: _family(family, tables, compiled, cards, environment, list(subjects.prefix_lists), indexes)
        for family in (4, 6)
    }
    return RuleTables(
        rule_ids=rule_ids,
        interface_ids=list(environment.interfaces),
        group_ids=list(group_numbers),
        vpc_ids=vpcs,
        rank=first_ranks(rule_ids),
        v4=families[4],
        v6=families[6],
        subject_rows=compiled.subjects,
        interfaces=Interfaces(
            first_chunks(len(interfaces)), cards.groups, padded(cards.vpc), padded(cards.tracked, value=False)
        ),
        references=references(environment, semantics, subjects, group_numbers, vpc_numbers),
        exempt=semantics.exempt,
        untracked_flows=semantics.untracked_flows,
        macs=indexes["macs", 4],
        vnis=indexes["vnis", 4],
        largest_union=max(1, int(unions.max(initial=0))),
        mean_union=int(unions.mean()) if len(unions) else 0,
        growth=Growth(group_numbers, vpc_numbers, subjects, sizes, list(map(len, rules))),
    )


def _unions(sizes: Column, cards: Cards) -> Column:
    """How many rules each interface has, in its groups' busier directions."""
    first, flags = cards.records[4][:, 0].astype(np.int64), cards.records[4][:, 1].astype(np.int64)
    totals = np.concatenate(([0], np.cumsum(sizes[cards.groups])))
    unions: Column = totals[first + (flags & 0xFFFF)] - totals[first]
    return unions


def _indexes(environment: Environment, cards: Cards) -> dict[tuple[str, int], AddressLayers]:
    """Who has which address and number, by name and family."""
    vnis, networks = mirrored(environment), cards.vpc.tolist()
    held: dict[str, list[Holder]] = {}
    for position, interface in enumerate(environment.interfaces.values()):
        for name, (addresses, prefixes) in holdings(interface, vnis.get(interface.interface_id, ())).items():
            held.setdefault(name, []).append(Holder(position, networks[position], addresses, prefixes))
    return {
        (name, family): AddressLayers.of(address_index(family, held.get(name, ())))
        for name in ("addresses", "public_addresses", "auto_tracked", "macs", "vnis")
        for family in ((4,) if name in ("macs", "vnis") else (4, 6))
    }


def _family(
    family: int,
    tables: int,
    rules: GroupRules,
    cards: Cards,
    environment: Environment,
    prefix_list_ids: Sequence[str],
    indexes: Mapping[tuple[str, int], AddressLayers],
) -> FamilyTables:
    return FamilyTables(
        rows=rules.rows[family],
        prefix_lists=prefix_lists(family, prefix_list_ids, environment.prefix_lists),
        addresses=indexes["addresses", family],
        public_addresses=indexes["public_addresses", family],
        auto_tracked=indexes["auto_tracked", family],
        specials=cards.specials[family],
        services=services(family),
        layout=first_layout(build_parts(family, rules, ALL_CELLS[family]), tables),
        records=padded(cards.records[family], GONE),
    )


def _group_numbers(environment: Environment) -> dict[str, int]:
    """Described groups first, then those that interfaces carry undescribed."""
    named = dict.fromkeys(environment.groups)
    for interface in environment.interfaces.values():
        named.update(dict.fromkeys(interface.group_ids))
    return {group_id: number for number, group_id in enumerate(named)}
