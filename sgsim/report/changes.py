"""What changes do to an environment, as text: a short difference of rules, groups, interfaces, lists and principals."""

from __future__ import annotations

from collections.abc import Iterator

from sgsim.model import Environment, PrefixListPeer, SecurityGroup, SecurityGroupRule
from sgsim.model.changes import (
    AddInterface,
    Authorize,
    Change,
    CreateGroup,
    DeleteGroup,
    DescribeRule,
    RemoveInterface,
    Revoke,
    SetEntries,
    SetGroups,
)
from sgsim.model.difference import difference
from sgsim.model.directory_changes import SetEntry, SetPasswordPolicy
from sgsim.model.history import is_stand_in
from sgsim.report.directory_changes import entry_lines, password_policy_line
from sgsim.report.style import Style, clean

__all__ = ["change_lines", "changes_text"]

_COLORS = {"-": "red", "+": "green", "~": "yellow"}


def changes_text(before: Environment, after: Environment, style: Style) -> str:
    """The net difference under the name of each thing: what goes (`-`), comes (`+`) or is altered (`~`)."""
    text = []
    for thing, lines in change_lines(before, after).items():
        text.append(style.heading(clean(thing)))
        text += [f"  {style(clean(line), _COLORS[line[0]])}" for line in lines]
    return "\n".join([*text, ""]) if text else "nothing changes\n"


def change_lines(before: Environment, after: Environment) -> dict[str, list[str]]:
    """The lines of the difference, each with its sign in front, by thing."""
    things: dict[str, list[str]] = {}
    for change in difference(before, after).changes:
        for thing, line in _lines(change, before, after):
            things.setdefault(thing, []).append(line)
    return things


def _lines(change: Change, before: Environment, after: Environment) -> Iterator[tuple[str, str]]:
    """(thing, line) pairs; rules stand under their group."""
    match change:
        case Revoke(group_id, rule_ids):
            known = {rule.rule_id: rule for rule in before.groups[group_id].rules}
            gone = [rule_id for rule_id in rule_ids if not is_stand_in(rule_id)]
            yield from ((_group(group_id, before), f"- {_rule(known[rule_id])}") for rule_id in gone)
        case Authorize(group_id, added):
            yield from ((_group(group_id, after), f"+ {_rule(rule)}") for rule in added)
        case DescribeRule(group_id, description, rule_id):
            (old,) = (rule for rule in before.groups[group_id].rules if rule.rule_id == rule_id)
            yield _group(group_id, after), f"~ {_rule(old)} → {_quoted(description) or 'no description'}"
        case CreateGroup(group):
            yield _group(group.group_id, after), f"+ the group, in {group.vpc_id or 'no VPC'}"
        case DeleteGroup(group_id):
            yield _group(group_id, before), "- the group and its rules"
        case SetGroups(interface_id, group_ids):
            old_ids = before.interfaces[interface_id].group_ids
            yield from ((interface_id, f"- {_group(one, before)}") for one in old_ids if one not in group_ids)
            yield from ((interface_id, f"+ {_group(one, after)}") for one in group_ids if one not in old_ids)
        case AddInterface(interface):
            addresses = ", ".join(map(str, interface.addresses)) or "no address"
            carried = ", ".join(_group(one, after) for one in interface.group_ids) or "no groups"
            yield interface.interface_id, f"+ the interface, {addresses}, with {carried}"
        case RemoveInterface(interface_id):
            yield interface_id, "- the interface"
        case SetEntry():
            yield from entry_lines(change, before)
        case SetPasswordPolicy():
            yield password_policy_line(change, before)
        case SetEntries(list_id, add, remove):
            yield from ((list_id, f"- {cidr}") for cidr in remove)
            yield from ((list_id, f"+ {cidr}") for cidr in add)


def _group(group_id: str, environment: Environment) -> str:
    if is_stand_in(group_id):
        return "groups that are not known"
    group: SecurityGroup | None = environment.groups.get(group_id)
    return f"{group_id} ({group.name})" if group is not None and group.name else group_id


def _rule(rule: SecurityGroupRule) -> str:
    way, preposition = ("out", "to") if rule.direction else ("in", "from")
    if isinstance(rule.peer, PrefixListPeer) and is_stand_in(rule.peer.prefix_list_id):
        return f"{way} something that is not known"
    service = "all traffic" if rule.protocol is None else rule.service
    return " ".join(f"{way}  {service} {preposition} {rule.peer}  {_quoted(rule.description)}".split())


def _quoted(description: str) -> str:
    return f'"{description}"' if description else ""
