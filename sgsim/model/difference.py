"""Changes worked out from environments: between two of them, and back to where one came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import msgspec

from sgsim.model.apply import apply, named_rules, revoked_rules
from sgsim.model.changes import (
    AddInterface,
    Authorize,
    Change,
    ChangeSet,
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
from sgsim.model.directory_difference import directory_changes, plain_organization
from sgsim.model.environment import Environment
from sgsim.model.identity import content_id, rule_content, same_content
from sgsim.model.network import NetworkInterface, SecurityGroup
from sgsim.model.overlay import changed_keys
from sgsim.model.rules import SecurityGroupRule

__all__ = ["difference", "inverse"]

#: Where a thing was described is not part of it.
_PLACE = {"origin": ""}

_DIRECTORY = frozenset({"directory", "images", "volume_snapshots"})


def difference(before: Environment, after: Environment) -> ChangeSet:
    """The changes that make `before` into `after`, up to the ids of rules.

    Rules are told apart by content and description, not by id: two exports that name the same rules differently do
    not differ. What no change can express (VPCs, peerings …) is in `notes`. The order of the changes is one in which
    they can be made: groups are created before they are used and deleted last.
    """
    created: list[Change] = []
    rules: list[Change] = []
    deleted: list[Change] = []
    for group_id in changed_keys(before.groups, after.groups):
        old, new = before.groups.get(group_id), after.groups.get(group_id)
        if old is not None and new is not None and _same_but_rules(old, new):
            rules.extend(_rule_changes(old, new))
            continue
        if old is not None:
            (deleted if new is None else created).append(DeleteGroup(group_id))
        if new is not None:
            created.append(CreateGroup(msgspec.structs.replace(new, rules=())))
            if new.rules:
                rules.append(Authorize(group_id, new.rules))
    interfaces = [
        change
        for name in changed_keys(before.interfaces, after.interfaces)
        for change in _interface_changes(before.interfaces.get(name), after.interfaces.get(name))
    ]
    entries, notes = _entry_changes(before, after)
    notes += _other_differences(before, after)
    changes = (*created, *rules, *interfaces, *entries, *deleted, *directory_changes(before, after))
    return ChangeSet(changes, tuple(notes), accepted=True)


def _same_but_rules(old: SecurityGroup, new: SecurityGroup) -> bool:
    plain = [msgspec.structs.replace(group, rules=(), tags=(), **_PLACE) for group in (old, new)]
    return plain[0] == plain[1]


def _rule_changes(old: SecurityGroup, new: SecurityGroup) -> Iterator[Change]:
    """Revoke what is gone, describe what is described differently, authorize what is new.

    A group that a rule tells other things of, such as the state of the peering, is another peer.
    """
    group_id = old.group_id
    wanted = {rule_content(rule): rule for rule in new.rules}
    kept: dict[tuple[object, ...], SecurityGroupRule] = {}
    gone = []
    for rule in old.rules:
        content = rule_content(rule)
        if content in wanted and content not in kept and rule.peer == wanted[content].peer:
            kept[content] = rule
        else:
            gone.append(rule)
    if gone:
        yield Revoke(group_id, tuple(rule.rule_id for rule in gone))
    for content, rule in kept.items():
        if rule.description != wanted[content].description:
            yield DescribeRule(group_id, wanted[content].description, rule.rule_id)
    taken = {rule.rule_id for rule in kept.values()}
    added = []
    for content, rule in wanted.items():
        if content not in kept:
            free = rule.rule_id not in taken
            added.append(rule if free else msgspec.structs.replace(rule, rule_id=content_id(rule)))
    if added:
        yield Authorize(group_id, tuple(added))


def _interface_changes(old: NetworkInterface | None, new: NetworkInterface | None) -> Iterator[Change]:
    if old is not None and new is not None:
        same, groups = _PLACE, {"group_ids": ()}
        plain = [msgspec.structs.replace(one, **same) for one in (old, new)]
        if plain[0] == plain[1]:
            return
        if msgspec.structs.replace(plain[0], **groups) == msgspec.structs.replace(plain[1], **groups):
            if set(old.group_ids) != set(new.group_ids):
                yield SetGroups(new.interface_id, new.group_ids)
            return
    if old is not None:
        yield RemoveInterface(old.interface_id)
    if new is not None:
        yield AddInterface(new)


def _entry_changes(before: Environment, after: Environment) -> tuple[list[Change], list[str]]:
    changes: list[Change] = []
    notes: list[str] = []
    for list_id in changed_keys(before.prefix_lists, after.prefix_lists):
        old, new = before.prefix_lists.get(list_id), after.prefix_lists.get(list_id)
        if old is None or new is None:
            notes.append(f"prefix list {list_id} is only in the {'second' if old is None else 'first'} environment")
            continue
        plain = [msgspec.structs.replace(one, entries=None, **_PLACE) for one in (old, new)]
        if plain[0] != plain[1] or (old.entries is None) != (new.entries is None):
            notes.append(f"prefix list {list_id} differs in more than its entries")
        if old.entries is not None and new.entries is not None and set(old.entries) != set(new.entries):
            add, remove = (
                set(one) - set(other) for one, other in ((new.entries, old.entries), (old.entries, new.entries))
            )
            changes.append(SetEntries(list_id, tuple(sorted(add)), tuple(sorted(remove))))
    return changes, notes


def _other_differences(before: Environment, after: Environment) -> list[str]:
    """Kinds of things that differ and that no change expresses."""
    changed = {"groups", "interfaces", "prefix_lists", "warnings", "collected_at", *_DIRECTORY}
    names = [
        field.name.replace("_", " ")
        for field in fields(Environment)
        if field.name not in changed and _differs(getattr(before, field.name), getattr(after, field.name))
    ]
    if plain_organization(before) != plain_organization(after):
        names.append("the organization")
    both = (one for one in changed_keys(before.groups, after.groups) if one in before.groups and one in after.groups)
    if any(before.groups[one].tags != after.groups[one].tags for one in both):
        names.append("tags of groups")
    return [f"the environments also differ in {', '.join(names)}, which no change expresses"] if names else []


def _differs(old: Any, new: Any) -> bool:
    if not hasattr(old, "keys"):
        return bool(old != new)
    return old.keys() != new.keys() or any(
        msgspec.structs.replace(old[key], **_PLACE) != msgspec.structs.replace(new[key], **_PLACE) for key in old
    )


def inverse(environment: Environment, changes: ChangeSet) -> ChangeSet:
    """The changes that lead from `apply(environment, changes)` back to `environment`. Raises ChangeError as `apply`.

    The result counts as accepted: going back is not refused for a quota that was exceeded before, too.
    """
    undo: list[Change] = []
    for change in changes.changes:
        after = apply(environment, ChangeSet((change,), accepted=True))
        undo_change = _INVERSES.get(type(change))
        undo.extend(directory_changes(after, environment) if undo_change is None else undo_change(environment, change))
        environment = after
    return ChangeSet(tuple(reversed(undo)), accepted=True)


def _undo_authorize(_: Environment, change: Authorize) -> list[Change]:
    return [Revoke(change.group_id, tuple(rule.rule_id for rule in named_rules(change.group_id, change.rules)))]


def _undo_revoke(environment: Environment, change: Revoke) -> list[Change]:
    rules = revoked_rules(environment, change)
    return [Authorize(change.group_id, rules)] if rules else []


def _undo_modify(environment: Environment, change: ModifyRule) -> list[Change]:
    group = environment.groups.get(change.group_id)
    rules = group.rules if group else ()
    return [ModifyRule(change.group_id, one.rule_id, one) for one in rules if one.rule_id == change.rule_id]


def _undo_describe(environment: Environment, change: DescribeRule) -> list[Change]:
    group = environment.groups.get(change.group_id)
    for rule in group.rules if group else ():
        if rule.rule_id == change.rule_id or (
            not change.rule_id and change.rule is not None and same_content(rule, change.rule)
        ):
            return [DescribeRule(change.group_id, rule.description, rule.rule_id)]
    return []


def _undo_delete(environment: Environment, change: DeleteGroup) -> list[Change]:
    group = environment.groups.get(change.group_id)
    return [] if group is None else [CreateGroup(group)]


def _undo_set_groups(environment: Environment, change: SetGroups) -> list[Change]:
    interface = environment.interfaces.get(change.interface_id)
    return [] if interface is None else [SetGroups(change.interface_id, interface.group_ids)]


def _undo_remove(environment: Environment, change: RemoveInterface) -> list[Change]:
    interface = environment.interfaces.get(change.interface_id)
    return [] if interface is None else [AddInterface(interface)]


def _undo_entries(environment: Environment, change: SetEntries) -> list[Change]:
    prefix_list = environment.prefix_lists.get(change.prefix_list_id)
    if prefix_list is None or prefix_list.entries is None:
        return []
    known = frozenset(prefix_list.entries)
    after = known.difference(change.remove).union(change.add)
    return [SetEntries(change.prefix_list_id, tuple(sorted(known - after)), tuple(sorted(after - known)))]


_INVERSES: dict[type, Callable[[Environment, Any], list[Change]]] = {
    Authorize: _undo_authorize,
    Revoke: _undo_revoke,
    ModifyRule: _undo_modify,
    DescribeRule: _undo_describe,
    CreateGroup: lambda _, change: [DeleteGroup(change.group.group_id)],
    DeleteGroup: _undo_delete,
    SetGroups: _undo_set_groups,
    AddInterface: lambda _, change: [RemoveInterface(change.interface.interface_id)],
    RemoveInterface: _undo_remove,
    RunInstances: lambda _, change: [RemoveInterface(one.interface_id) for one in change.interfaces],
    SetEntries: _undo_entries,
}
