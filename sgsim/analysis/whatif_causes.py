"""Why a rule that let traffic pass on one side does not on the other."""

from __future__ import annotations

from typing import NamedTuple

from sgsim.model import Environment, GroupPeer, PrefixListPeer, SecurityGroupRule
from sgsim.model.identity import same_content

__all__ = ["RuleCause", "rule_causes"]


class RuleCause(NamedTuple):
    """What became of a rule, seen from where it passes traffic to where it does not.

    `what`: `interface` (which is not there), `group` (which is not there), `detached` (the interface does not carry the
    group), `gone` (the group has no such rule), `changed` (it has `other` under this id), `list` (the entries of its
    prefix list are others), `members` (the interfaces behind its group reference are others), `same` (the rule is there
    and stands for the same: the traffic rests on something else).
    """

    rule_id: str
    group_id: str
    what: str
    other: SecurityGroupRule | None = None


def rule_causes(rule_ids: tuple[str, ...], interface_id: str | None, here: Side, there: Side) -> list[RuleCause]:
    """What became of rules that pass traffic at an interface `here`, in the order of their ids."""
    causes = []
    for rule_id in rule_ids:
        rule = here.rules.get(rule_id)
        if rule is not None:
            what, other = _cause(rule, interface_id, here.environment, there.environment)
            causes.append(RuleCause(rule_id, rule.group_id, what, other))
    return causes


class Side:
    """An environment with its rules by id."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.rules = {rule.rule_id: rule for group in environment.groups.values() for rule in group.rules}


def _cause(
    rule: SecurityGroupRule, interface_id: str | None, here: Environment, there: Environment
) -> tuple[str, SecurityGroupRule | None]:
    if interface_id is not None and interface_id not in there.interfaces:
        return "interface", None
    group = there.groups.get(rule.group_id)
    if group is None:
        return "group", None
    if interface_id is not None and rule.group_id not in there.interfaces[interface_id].group_ids:
        return "detached", None
    if not any(same_content(rule, each) for each in group.rules):
        changed = next((each for each in group.rules if each.rule_id == rule.rule_id), None)
        return ("gone", None) if changed is None else ("changed", changed)
    peer = rule.peer
    if isinstance(peer, PrefixListPeer):
        lists = (each.prefix_lists.get(peer.prefix_list_id) for each in (here, there))
        entries = [None if one is None else one.entries for one in lists]
        return ("same" if entries[0] == entries[1] else "list"), None
    if isinstance(peer, GroupPeer) and here.interfaces is not there.interfaces:
        members = [
            {name: each.addresses for name, each in side.interfaces.items() if peer.group_id in each.group_ids}
            for side in (here, there)
        ]
        return ("same" if members[0] == members[1] else "members"), None
    return "same", None
