"""Environment → RuleTables: every group compiled once, shared by all interfaces that carry it."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Sequence

from sgsim.compiler.addresses import Holder, address_index, prefix_lists
from sgsim.compiler.interfaces import interface_columns, interface_records, services, specials, wide_groups
from sgsim.compiler.layout import build_layout
from sgsim.compiler.references import references, vpc_ids
from sgsim.compiler.rules import Subjects, address_rows, rule_columns, subject_rows
from sgsim.model import Environment, NetworkInterface, Semantics
from sgsim.model.facts import AUTO_TRACKED_INTERFACE_TYPES
from sgsim.tables import AddressRows, FamilyTables, Interfaces, RuleTables, SubjectRows
from sgsim.tables.exempt import Specials
from sgsim.tables.lookup import NumberIndex

__all__ = ["compile_environment"]


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


def _compile(environment: Environment, semantics: Semantics) -> RuleTables:
    interfaces = list(environment.interfaces.values())
    group_numbers = _group_numbers(environment)
    groups = [environment.groups.get(group_id) for group_id in group_numbers]
    columns = rule_columns(groups)
    subjects = Subjects()
    by_subject = subject_rows(columns, subjects, groups)
    for peer, _, _ in subjects.references:
        group_numbers.setdefault(peer.group_id, len(group_numbers))
    vpcs = vpc_ids(environment, subjects)
    vpc_numbers = {vpc_id or None: number for number, vpc_id in enumerate(vpcs)}
    rows = {family: address_rows(columns, family) for family in (4, 6)}

    wide = wide_groups(rows, len(groups))
    carriers = interface_columns(interfaces, groups, group_numbers, vpc_numbers, wide, by_subject, semantics)
    special = specials(interfaces, environment)
    families = {
        family: _family(
            family,
            rows[family],
            by_subject,
            carriers,
            special[family],
            environment,
            interfaces,
            list(subjects.prefix_lists),
        )
        for family in (4, 6)
    }
    return RuleTables(
        rule_ids=columns.rule_ids,
        interface_ids=list(environment.interfaces),
        group_ids=list(group_numbers),
        vpc_ids=vpcs,
        v4=families[4],
        v6=families[6],
        subject_rows=by_subject,
        interfaces=carriers,
        references=references(environment, semantics, subjects, group_numbers, vpc_numbers),
        exempt=semantics.exempt,
        untracked_flows=semantics.untracked_flows,
        macs=_numbers((interface.mac, position) for position, interface in enumerate(interfaces)),
        vnis=_sessions(environment),
    )


def _family(
    family: int,
    rows: AddressRows,
    by_subject: SubjectRows,
    carriers: Interfaces,
    special: Specials,
    environment: Environment,
    interfaces: Sequence[NetworkInterface],
    prefix_list_ids: Sequence[str],
) -> FamilyTables:
    networks = carriers.vpc.tolist()
    private = [
        Holder(position, networks[position], interface.addresses, interface.prefixes)
        for position, interface in enumerate(interfaces)
    ]
    public = [
        Holder(position, networks[position], interface.public_addresses, ())
        for position, interface in enumerate(interfaces)
        if interface.public_addresses
    ]
    tracked = [
        holder
        for holder, interface in zip(private, interfaces)
        if interface.interface_type in AUTO_TRACKED_INTERFACE_TYPES
    ]
    return FamilyTables(
        rows=rows,
        prefix_lists=prefix_lists(family, prefix_list_ids, environment.prefix_lists),
        addresses=address_index(family, private),
        public_addresses=address_index(family, public),
        auto_tracked=address_index(family, tracked),
        specials=special,
        services=services(family),
        layout=build_layout(family, rows, by_subject),
        records=interface_records(carriers, special),
    )


def _numbers(pairs: Iterable[tuple[int | None, int]]) -> NumberIndex:
    known = [(number, interface) for number, interface in pairs if number is not None]
    return NumberIndex.of([number for number, _ in known], [interface for _, interface in known])


def _sessions(environment: Environment) -> NumberIndex:
    """Mirror sessions of known interfaces."""
    numbers = {interface_id: position for position, interface_id in enumerate(environment.interfaces)}
    return _numbers(
        (session.vni, numbers[session.interface_id])
        for session in environment.mirror_sessions.values()
        if session.interface_id in numbers
    )


def _group_numbers(environment: Environment) -> dict[str, int]:
    """Described groups first, then those that interfaces carry undescribed."""
    named = dict.fromkeys(environment.groups)
    for interface in environment.interfaces.values():
        named.update(dict.fromkeys(interface.group_ids))
    return {group_id: number for number, group_id in enumerate(named)}
