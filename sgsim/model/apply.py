"""`apply`: the one function through which every change of an environment passes.

The environment that it returns shares everything with the one before but what changed, so that a change costs
microseconds however many groups and interfaces there are; the one before stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from operator import attrgetter
from typing import Any

import msgspec

from sgsim.errors import ChangeError, ModelError
from sgsim.model import refusals
from sgsim.model.apply_credentials import CREDENTIAL_STEPS
from sgsim.model.apply_directory import DIRECTORY_STEPS
from sgsim.model.apply_launch import run_instances
from sgsim.model.apply_permissions import PERMISSION_STEPS
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
from sgsim.model.environment import Environment
from sgsim.model.identity import content_id, described, same_content
from sgsim.model.network import NetworkInterface, PrefixList, SecurityGroup
from sgsim.model.overlay import Overlay
from sgsim.model.quotas import Quotas
from sgsim.model.rules import Direction, SecurityGroupRule, check_rule

__all__ = ["apply", "named_rules", "revoked_rules"]

_rule_id = attrgetter("rule_id")
_AWS_QUOTAS = Quotas()


def apply(environment: Environment, changes: ChangeSet | Change, *, quotas: Quotas = _AWS_QUOTAS) -> Environment:
    """The environment after the changes, in their order: all of them or none.

    Raises ChangeError with AWS's error code where AWS would refuse one. Of a change set that AWS has `accepted`
    already only what cannot be done at all is refused: quotas, names and what depends on a thing are not looked at.
    Rules without an id get one from their content, which looks like `sg-1/ingress/tcp/443/10.0.0.0/8`.
    """
    if not isinstance(changes, ChangeSet):
        changes = ChangeSet((changes,))
    limits = None if changes.accepted else quotas
    after = _shared(environment)
    for position, change in enumerate(changes.changes):
        try:
            after = _STEPS[type(change)](after, change, limits)
        except ChangeError as error:
            place = _place(change, position, len(changes.changes))
            raise ChangeError(error.code, error.message, error.item, error.place or place) from None
    return after


def _shared(environment: Environment) -> Environment:
    """The environment with mappings that can be changed without being copied."""
    names = ("groups", "interfaces", "prefix_lists")
    plain: dict[str, Any] = {
        name: Overlay.of(getattr(environment, name))
        for name in names
        if not isinstance(getattr(environment, name), Overlay)
    }
    return replace(environment, **plain) if plain else environment


def _place(change: Change, position: int, total: int) -> str:
    if change.origin is not None and change.origin.place:
        return change.origin.place
    return f"change {position + 1} of {total}" if total > 1 else ""


def _group(environment: Environment, group_id: str) -> SecurityGroup:
    group = environment.groups.get(group_id)
    if group is None:
        raise refusals.no_group(group_id)
    return group


def _rule(group: SecurityGroup, rule_id: str, direction: Direction | None = None) -> SecurityGroupRule:
    for rule in group.rules:
        if rule.rule_id == rule_id and direction in (None, rule.direction):
            return rule
    raise refusals.no_rule(rule_id)


def _interface(environment: Environment, interface_id: str) -> NetworkInterface:
    interface = environment.interfaces.get(interface_id)
    if interface is None:
        raise ChangeError(
            "InvalidNetworkInterfaceID.NotFound",
            f"The networkInterface ID '{interface_id}' does not exist",
            interface_id,
        )
    return interface


def _with(environment: Environment, kind: str, put: Mapping[str, Any], remove: Iterable[str] = ()) -> Environment:
    entries: Overlay[Any] = getattr(environment, kind)
    return replace(environment, **{kind: entries.changed(put, remove)})  # type: ignore[arg-type]


def _with_rules(
    environment: Environment,
    group: SecurityGroup,
    added: Iterable[SecurityGroupRule],
    removed: tuple[SecurityGroupRule, ...] = (),
) -> Environment:
    """The group without `removed` and with `added`, its rules in the order of their ids."""
    gone = {id(rule) for rule in removed}
    rules = sorted([*(rule for rule in group.rules if id(rule) not in gone), *added], key=_rule_id)
    return _with(environment, "groups", {group.group_id: msgspec.structs.replace(group, rules=tuple(rules))})


def named_rules(group_id: str, rules: Iterable[SecurityGroupRule]) -> tuple[SecurityGroupRule, ...]:
    """The rules as those of a group, with ids made from their content where they have none. Raises ChangeError."""
    named = []
    for rule in rules:
        if rule.group_id != group_id:
            rule = msgspec.structs.replace(rule, group_id=group_id)
        if not rule.rule_id:
            rule = msgspec.structs.replace(rule, rule_id=content_id(rule))
        try:
            named.append(check_rule(rule))
        except ModelError as error:
            raise ChangeError("InvalidParameterValue", str(error), described(rule)) from None
    return tuple(named)


def _authorize(environment: Environment, change: Authorize, quotas: Quotas | None) -> Environment:
    group = _group(environment, change.group_id)
    added = named_rules(group.group_id, change.rules)
    if not added:
        raise ChangeError("MissingParameter", "The request must contain rules", group.group_id)
    _check_added(group, added)
    if quotas is not None:
        if group.classic and any(rule.direction for rule in added):
            raise ChangeError(
                "OperationNotPermitted", "An EC2-Classic group cannot have outbound rules", group.group_id
            )
        refusals.check_references(environment, group, added)
        refusals.check_rule_quota(environment, group, added, (), quotas)
    return _with_rules(environment, group, added)


def _check_added(group: SecurityGroup, added: tuple[SecurityGroupRule, ...]) -> None:
    """No rule twice in the request or in the group, and no id twice."""
    for number, rule in enumerate(added):
        if any(same_content(rule, other) for other in added[:number]):
            raise ChangeError(
                "InvalidParameterValue", "The same permission must not appear multiple times", described(rule)
            )
        refusals.check_duplicate(group, rule)
    ids = {rule.rule_id for rule in group.rules}
    for rule in added:
        if rule.rule_id in ids:
            raise ChangeError("InvalidParameterValue", "The rule ID is in use already", rule.rule_id)
        ids.add(rule.rule_id)


def revoked_rules(environment: Environment, change: Revoke) -> tuple[SecurityGroupRule, ...]:
    """The rules of the group that the change takes away. Raises ChangeError (§1.6).

    Properties that match no rule are an error, but pass unnoticed in a default VPC.
    """
    group = _group(environment, change.group_id)
    if not change.rule_ids and not change.rules:
        raise ChangeError("MissingParameter", "The request must contain rules", group.group_id)
    found = [_rule(group, rule_id, change.direction) for rule_id in change.rule_ids]
    vpc = environment.vpcs.get(group.vpc_id or "")
    for asked in change.rules:
        rule = _matching(group, asked)
        if rule is not None:
            found.append(rule)
        elif vpc is None or not vpc.is_default:
            raise ChangeError(
                "InvalidPermission.NotFound",
                "The specified rule does not exist in this security group.",
                f"{group.group_id} {described(asked)}",
            )
    return tuple({id(rule): rule for rule in found}.values())


def _matching(group: SecurityGroup, asked: SecurityGroupRule) -> SecurityGroupRule | None:
    """The rule with the id of `asked`, else the one with its content and, if it has one, its description."""
    if asked.rule_id:
        for rule in group.rules:
            if rule.rule_id == asked.rule_id:
                return rule
    for rule in group.rules:
        if same_content(rule, asked) and (not asked.description or asked.description == rule.description):
            return rule
    return None


def _revoke(environment: Environment, change: Revoke, _: Quotas | None) -> Environment:
    removed = revoked_rules(environment, change)
    if not removed:
        return environment
    return _with_rules(environment, environment.groups[change.group_id], (), removed)


def _modify_rule(environment: Environment, change: ModifyRule, quotas: Quotas | None) -> Environment:
    group = _group(environment, change.group_id)
    known = _rule(group, change.rule_id)
    asked = msgspec.structs.replace(change.rule, rule_id=change.rule_id, direction=known.direction)
    (rule,) = named_rules(group.group_id, (asked,))
    refusals.check_duplicate(group, rule, known)
    if quotas is not None:
        refusals.check_kind_of_peer(known, rule)
        if known.peer != rule.peer:
            refusals.check_references(environment, group, (rule,))
        refusals.check_rule_quota(environment, group, (rule,), (known,), quotas)
    return _with_rules(environment, group, (rule,), (known,))


def _describe_rule(environment: Environment, change: DescribeRule, _: Quotas | None) -> Environment:
    group = _group(environment, change.group_id)
    if change.rule_id:
        known: SecurityGroupRule | None = _rule(group, change.rule_id, change.direction)
    elif change.rule is not None:
        known = next((rule for rule in group.rules if same_content(rule, change.rule)), None)
    else:
        raise ChangeError("MissingParameter", "The request must name a rule", group.group_id)
    if known is None:
        assert change.rule is not None
        raise ChangeError(
            "InvalidPermission.NotFound",
            "The specified rule does not exist in this security group.",
            f"{group.group_id} {described(change.rule)}",
        )
    rule = msgspec.structs.replace(known, description=change.description)
    return _with_rules(environment, group, (rule,), (known,))


def _create_group(environment: Environment, change: CreateGroup, quotas: Quotas | None) -> Environment:
    group = change.group
    if group.group_id in environment.groups:
        raise ChangeError("InvalidGroup.Duplicate", "The group ID is in use already", group.group_id)
    if quotas is not None:
        refusals.check_creation(environment, group, quotas)
    rules = tuple(sorted(named_rules(group.group_id, group.rules), key=_rule_id))
    if rules != group.rules:
        group = msgspec.structs.replace(group, rules=rules)
    return _with(environment, "groups", {group.group_id: group})


def _delete_group(environment: Environment, change: DeleteGroup, quotas: Quotas | None) -> Environment:
    group = _group(environment, change.group_id)
    if quotas is not None:
        refusals.check_deletion(environment, group)
    return _with(environment, "groups", {}, (change.group_id,))


def _set_groups(environment: Environment, change: SetGroups, quotas: Quotas | None) -> Environment:
    interface = _interface(environment, change.interface_id)
    group_ids = tuple(dict.fromkeys(change.group_ids))
    if quotas is not None:
        if not group_ids and interface.group_ids:
            raise ChangeError("MissingParameter", "The request must contain at least one group", interface.interface_id)
        refusals.check_interface_groups(environment, interface, group_ids, quotas)
    changed = msgspec.structs.replace(interface, group_ids=group_ids)
    return _with(environment, "interfaces", {interface.interface_id: changed})


def _add_interface(environment: Environment, change: AddInterface, quotas: Quotas | None) -> Environment:
    interface = change.interface
    if interface.interface_id in environment.interfaces:
        raise ChangeError("InvalidParameterValue", "The network interface ID is in use already", interface.interface_id)
    if quotas is not None:
        refusals.check_interface(environment, interface)
        refusals.check_new_groups(environment, interface, quotas)
    return _with(environment, "interfaces", {interface.interface_id: interface})


def _remove_interface(environment: Environment, change: RemoveInterface, _: Quotas | None) -> Environment:
    _interface(environment, change.interface_id)
    return _with(environment, "interfaces", {}, (change.interface_id,))


def _set_entries(environment: Environment, change: SetEntries, quotas: Quotas | None) -> Environment:
    """Entries that the input lacks stay unknown."""
    list_id = change.prefix_list_id
    prefix_list: PrefixList | None = environment.prefix_lists.get(list_id)
    if prefix_list is None:
        if not list_id.startswith("pl-"):
            raise ChangeError("InvalidPrefixListId.Malformed", f'Invalid id: "{list_id}"', list_id)
        raise ChangeError("InvalidPrefixListID.NotFound", f"The prefix list ID '{list_id}' does not exist", list_id)
    if quotas is not None:
        refusals.check_entries(environment, list_id, change.add, change.remove)
    if prefix_list.entries is None:
        return environment
    entries = tuple(sorted(frozenset(prefix_list.entries).difference(change.remove).union(change.add)))
    changed = msgspec.structs.replace(prefix_list, entries=entries)
    return _with(environment, "prefix_lists", {list_id: changed})


_STEPS: dict[type, Callable[[Environment, Any, Quotas | None], Environment]] = {
    Authorize: _authorize,
    Revoke: _revoke,
    ModifyRule: _modify_rule,
    DescribeRule: _describe_rule,
    CreateGroup: _create_group,
    DeleteGroup: _delete_group,
    SetGroups: _set_groups,
    AddInterface: _add_interface,
    RemoveInterface: _remove_interface,
    RunInstances: run_instances,
    SetEntries: _set_entries,
    **DIRECTORY_STEPS,
    **CREDENTIAL_STEPS,
    **PERMISSION_STEPS,
}
