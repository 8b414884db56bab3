"""An account's past and future: the environment at every moment, from what it is at one and a recording of changes.

What people hold is the environment of one moment, mostly today's. Changes before it are taken back, newest first;
changes after it are made. A record of a change seldom tells what was there before: then the environment before it
holds a stand-in, which makes verdicts UNKNOWN where it may matter (docs/changes.md, "Time travel"). What an earlier
change of the recording tells takes the stand-in's place from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import msgspec

from sgsim.errors import ChangeError, ChangeInputError
from sgsim.model.apply import apply, named_rules
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
    SetEntries,
    SetGroups,
)
from sgsim.model.environment import Environment
from sgsim.model.identity import described, same_content
from sgsim.model.network import NetworkInterface, PrefixList, SecurityGroup
from sgsim.model.overlay import Overlay
from sgsim.model.rules import CidrPeer, Direction, GroupPeer, PrefixListPeer, SecurityGroupRule

__all__ = ["History", "Version", "is_stand_in"]

_STAND_IN = "unresolved/"  #: no id of AWS's begins like that, and none that is made here
_ADVICE = "is the recording complete, and is the environment's time (--env-time) right?"


def is_stand_in(identifier: str) -> bool:
    """Whether the id of a prefix list, group or rule stands for what is not known."""
    return identifier.startswith(_STAND_IN)


@dataclass(frozen=True, slots=True)
class Version:
    """The environment from `since` on (None for the first: ever before), and the changes that led to it."""

    number: int
    since: datetime | None
    environment: Environment
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """Versions in the order of time; the given environment is number `present`.

    `unresolved` are lines for people: what is not known of the past, until when, and which change hides it.
    """

    versions: tuple[Version, ...]
    present: int
    unresolved: tuple[str, ...] = ()

    @classmethod
    def of(cls, environment: Environment, changes: ChangeSet, at: datetime | None = None) -> History:
        """The history around the environment of the moment `at`; None: it is from after the last change.

        A change at that very moment is part of the environment; one of users or policies, which decides no verdict, is
        passed over. Raises ChangeInputError, with the change's place, for a change without time and for one that does
        not fit; ChangeError for a later one that cannot be made.
        """
        ordered = sorted((change for change in changes.changes if type(change) in _UNDO), key=_time)
        moments = [(time, tuple(each)) for time, each in groupby(ordered, _time)]
        present = len(moments) if at is None else sum(time <= at for time, _ in moments)
        past = _Past(replace(environment, groups=Overlay.of(environment.groups)))
        for _, together in reversed(moments[:present]):
            past.take_back(together)
        versions = [Version(0, None, past.environment)]
        for number, (time, together) in enumerate(moments, 1):
            if number == present:
                after = environment
            else:
                after = past.made(versions[-1].environment, together, lenient=number < present)
            versions.append(Version(number, time, after, together))
        if present:
            versions = [past.opened(version) if version.number < present else version for version in versions]
        return cls(tuple(versions), present, tuple(past.unresolved(versions)))

    @property
    def told(self) -> Environment:
        """Everything that any version tells, the latest telling of each: for names in reports, not for verdicts."""
        groups: dict[str, SecurityGroup] = {}
        interfaces: dict[str, NetworkInterface] = {}
        lists: dict[str, PrefixList] = {}
        for version in self.versions:
            interfaces |= version.environment.interfaces
            lists |= version.environment.prefix_lists
            for group_id, group in version.environment.groups.items():
                known = groups.get(group_id)
                if known is None or known is group:
                    groups[group_id] = group
                    continue
                rules = {rule.rule_id: rule for rule in known.rules}
                rules |= {rule.rule_id: rule for rule in group.rules if not _is_stand_in_rule(rule)}
                groups[group_id] = msgspec.structs.replace(group, rules=tuple(rules.values()))
        now = self.versions[self.present].environment
        return replace(now, groups=groups, interfaces=interfaces, prefix_lists=lists)


def _time(change: Change) -> datetime:
    time = change.origin.time if change.origin is not None else None
    if time is None:
        raise ChangeInputError(
            "the change tells no time",
            source=change.origin.place if change.origin is not None else "",
            advice="give CloudTrail's records",
        )
    return time


@dataclass
class _Doubt:
    """Something that is not known before a change; `still` says whether an environment has the stand-in for it."""

    change: Change
    what: str
    still: Callable[[Environment], bool]


@dataclass
class _Past:
    """An environment on its way back in time."""

    environment: Environment
    lost_groups: set[str] = field(default_factory=set)  #: deleted later, not described
    lost_interfaces: set[str] = field(default_factory=set)
    reduced: dict[int, Authorize] = field(default_factory=dict)  #: by id(): what a change adds beside stand-ins
    doubts: list[_Doubt] = field(default_factory=list)
    losses: list[tuple[datetime, str]] = field(default_factory=list)  #: until when each lost interface was there

    def take_back(self, changes: Iterable[Change]) -> None:
        """Undo changes of one moment. Raises ChangeInputError for one that the environment does not show."""
        for change in reversed(tuple(changes)):
            undo = _UNDO.get(type(change))
            if undo is not None:
                undo(self, change)

    def made(self, environment: Environment, changes: Iterable[Change], *, lenient: bool) -> Environment:
        """The environment after changes; leniently, those of what is lost are passed over."""
        for change in changes:
            if lenient:
                if self._is_lost(environment, change):
                    continue
                change = self.reduced.get(id(change), change)
                if isinstance(change, Authorize) and not change.rules:
                    continue
            try:
                environment = apply(environment, ChangeSet((change,), accepted=True))
            except ChangeError:
                if not (lenient and isinstance(change, DescribeRule)):  # a stand-in cannot be found by its content
                    raise
        return environment

    def _is_lost(self, environment: Environment, change: Change) -> bool:
        group_id, interface_id = getattr(change, "group_id", None), getattr(change, "interface_id", None)
        if group_id in self.lost_groups:
            return group_id not in environment.groups
        if interface_id is not None:
            return interface_id not in environment.interfaces
        return isinstance(change, SetEntries) and change.prefix_list_id not in environment.prefix_lists

    def opened(self, version: Version) -> Version:
        """The version, in which references may match where an interface or its groups are not known.

        An interface that is deleted later makes the world an open one (§9.5). Where the groups of one are not known,
        each rule that refers to a group has a stand-in beside it, since that one may have been a member.
        """
        environment = version.environment
        lost = any(
            (version.since is None or version.since < until) and interface_id not in environment.interfaces
            for until, interface_id in self.losses
        )
        if lost:
            environment = replace(environment, closed=frozenset())
        if any(is_stand_in(name) for one in environment.interfaces.values() for name in one.group_ids):
            groups = {group_id: _with_stand_ins(group) for group_id, group in environment.groups.items()}
            environment = replace(environment, groups=groups)
        return replace(version, environment=environment)

    def unresolved(self, versions: list[Version]) -> Iterable[str]:
        """What is in doubt in the version before the change that hides it."""
        before = {id(change): versions[version.number - 1] for version in versions[1:] for change in version.changes}
        for doubt in reversed(self.doubts):
            if doubt.still(before[id(doubt.change)].environment):
                origin = doubt.change.origin
                assert origin is not None and origin.time is not None
                yield f"{doubt.what} before {_text(origin.time)} is not known: {origin.event} does not tell"

    # -- one step back -----------------------------------------------------------------------------------------------

    def group(self, change: Any) -> SecurityGroup | None:
        """The group that the change is about; None if it is deleted later. Raises ChangeInputError."""
        group = self.environment.groups.get(change.group_id)
        if group is None and change.group_id not in self.lost_groups:
            raise _misfit(change, f"{change.group_id} is not in the environment, and no later change deletes it")
        return group

    def put_group(self, group: SecurityGroup, rules: Iterable[SecurityGroupRule]) -> None:
        ordered = tuple(sorted(rules, key=lambda rule: rule.rule_id))
        self._put("groups", {group.group_id: msgspec.structs.replace(group, rules=ordered)})

    def _put(self, kind: str, put: Mapping[str, Any], remove: Iterable[str] = ()) -> None:
        entries: Overlay[Any] = Overlay.of(getattr(self.environment, kind))
        self.environment = replace(self.environment, **{kind: entries.changed(put, remove)})  # type: ignore[arg-type]

    def stand_in(
        self, change: Any, rule_id: str, group_id: str, direction: Direction, family: int | None
    ) -> SecurityGroupRule:
        """A rule that may match anything (of a family): it is for a prefix list that nobody describes."""
        assert change.origin is not None and change.origin.time is not None
        list_id = f"{_STAND_IN}{rule_id}"
        name = f"what is not known before {_text(change.origin.time)}"
        if family is not None:
            self._put("prefix_lists", {list_id: PrefixList(list_id, None, name, family)})

        def still(environment: Environment) -> bool:
            group = environment.groups.get(group_id)
            return group is not None and any(
                rule.rule_id == rule_id and _is_stand_in_rule(rule) for rule in group.rules
            )

        self.doubts.append(_Doubt(change, f"what {rule_id} of {group_id} allowed", still))
        return SecurityGroupRule(rule_id, group_id, direction, None, PrefixListPeer(list_id))

    def undo_authorize(self, change: Authorize) -> None:
        group = self.group(change)
        if group is None:
            return
        rules = list(group.rules)
        hidden = [rule for rule in rules if _is_stand_in_rule(rule)]
        for added in change.rules:
            found = _found(rules, added)
            if found is None and any(rule.direction is added.direction for rule in hidden) and not _is_named(added):
                # It may be one that was modified since, whose stand-in is there already.
                rest = tuple(rule for rule in self.reduced.get(id(change), change).rules if rule is not added)
                self.reduced[id(change)] = msgspec.structs.replace(change, rules=rest)
                continue
            if found is None:
                raise _misfit(change, f"{_named(added)} is not in {group.group_id} afterwards")
            if not _is_stand_in_rule(found) and not same_content(found, added):
                raise _misfit(change, f"{_named(added)} of {group.group_id} is another one afterwards")
            rules.remove(found)
        self.put_group(group, rules)

    def undo_revoke(self, change: Revoke) -> None:
        group = self.group(change)
        if group is None:
            return
        rules = list(group.rules)
        for rule_id in change.rule_ids:
            if any(rule.rule_id == rule_id for rule in rules):
                raise _misfit(change, f"{rule_id} is still in {group.group_id} afterwards")
            rules.append(self.stand_in(change, rule_id, group.group_id, change.direction or Direction.INGRESS, None))
        for gone in change.rules:
            if (known := _found(rules, gone)) is not None:
                raise _misfit(change, f"{_named(known)} is still in {group.group_id} afterwards")
            rules += named_rules(group.group_id, (gone,))
        self.put_group(group, rules)

    def undo_modify(self, change: ModifyRule) -> None:
        group = self.group(change)
        if group is None:
            return
        known = next((rule for rule in group.rules if rule.rule_id == change.rule_id), None)
        if known is None:  # a rule that was revoked by its content later has no id here
            unnamed = [rule for rule in group.rules if not _is_named(rule)]
            known = next((rule for rule in unnamed if _same_but_way(rule, change.rule)), None)
        if known is None:
            raise _misfit(change, f"{change.rule_id} is not in {group.group_id} afterwards")
        asked = msgspec.structs.replace(change.rule, direction=known.direction)
        if not _is_stand_in_rule(known) and not same_content(known, asked):
            raise _misfit(change, f"{change.rule_id} of {group.group_id} is another one afterwards")
        family = asked.peer.cidr.family if isinstance(asked.peer, CidrPeer) else None
        before = self.stand_in(change, change.rule_id, group.group_id, known.direction, family)
        self.put_group(group, [before if rule is known else rule for rule in group.rules])

    def undo_describe(self, change: DescribeRule) -> None:
        """Descriptions decide no verdict."""
        what = change.rule_id or (described(change.rule) if change.rule else "a rule")
        self.doubts.append(_Doubt(change, f"the description of {what} of {change.group_id}", lambda _: True))

    def undo_create(self, change: CreateGroup) -> None:
        group_id = change.group.group_id
        if group_id in self.environment.groups:
            self._put("groups", {}, (group_id,))
        elif group_id not in self.lost_groups:
            raise _misfit(change, f"{group_id} is not in the environment, and no later change deletes it")

    def undo_delete(self, change: DeleteGroup) -> None:
        if change.group_id in self.environment.groups:
            raise _misfit(change, f"{change.group_id} is still in the environment afterwards")
        self.lost_groups.add(change.group_id)
        group_id = change.group_id
        self.doubts.append(_Doubt(change, f"what {group_id} allowed", lambda one: group_id not in one.groups))

    def undo_set_groups(self, change: SetGroups) -> None:
        """Before, the interface carries a group that is not described, which may allow anything (§9.6)."""
        interface = self.environment.interfaces.get(change.interface_id)
        if interface is None:
            if change.interface_id not in self.lost_interfaces:
                raise _misfit(
                    change, f"{change.interface_id} is not in the environment, and no later change deletes it"
                )
            return
        carried = set(interface.group_ids)
        if carried != set(change.group_ids) and not any(map(is_stand_in, carried)):
            raise _misfit(change, f"{interface.interface_id} has other groups afterwards")
        hidden = f"{_STAND_IN}{interface.interface_id}"
        self._put("interfaces", {interface.interface_id: msgspec.structs.replace(interface, group_ids=(hidden,))})
        name = interface.interface_id

        def still(environment: Environment) -> bool:
            return name in environment.interfaces and hidden in environment.interfaces[name].group_ids

        self.doubts.append(_Doubt(change, f"which groups {name} had", still))

    def undo_add(self, change: AddInterface) -> None:
        interface_id = change.interface.interface_id
        if interface_id in self.environment.interfaces:
            self._put("interfaces", {}, (interface_id,))
        elif interface_id not in self.lost_interfaces:
            raise _misfit(change, f"{interface_id} is not in the environment, and no later change deletes it")
        if interface_id in self.lost_interfaces:
            self.lost_interfaces.remove(interface_id)
            self.losses = [loss for loss in self.losses if loss[1] != interface_id]

    def undo_remove(self, change: RemoveInterface) -> None:
        interface_id = change.interface_id
        if interface_id in self.environment.interfaces:
            raise _misfit(change, f"{interface_id} is still in the environment afterwards")
        self.lost_interfaces.add(interface_id)
        self.losses.append((_time(change), interface_id))
        self.doubts.append(
            _Doubt(change, f"what {interface_id} was", lambda environment: interface_id not in environment.interfaces)
        )

    def undo_entries(self, change: SetEntries) -> None:
        prefix_list = self.environment.prefix_lists.get(change.prefix_list_id)
        if prefix_list is None or prefix_list.entries is None:
            return
        entries = frozenset(prefix_list.entries)
        for cidr in change.add:
            if cidr not in entries:
                raise _misfit(change, f"{cidr} is not in {change.prefix_list_id} afterwards")
        for cidr in change.remove:
            if cidr in entries:
                raise _misfit(change, f"{cidr} is still in {change.prefix_list_id} afterwards")
        before = tuple(sorted(entries.difference(change.add).union(change.remove)))
        self._put("prefix_lists", {change.prefix_list_id: msgspec.structs.replace(prefix_list, entries=before)})


_UNDO: dict[type, Callable[[_Past, Any], None]] = {
    Authorize: _Past.undo_authorize,
    Revoke: _Past.undo_revoke,
    ModifyRule: _Past.undo_modify,
    DescribeRule: _Past.undo_describe,
    CreateGroup: _Past.undo_create,
    DeleteGroup: _Past.undo_delete,
    SetGroups: _Past.undo_set_groups,
    AddInterface: _Past.undo_add,
    RemoveInterface: _Past.undo_remove,
    SetEntries: _Past.undo_entries,
}


def _is_stand_in_rule(rule: SecurityGroupRule) -> bool:
    return isinstance(rule.peer, PrefixListPeer) and is_stand_in(rule.peer.prefix_list_id)


def _with_stand_ins(group: SecurityGroup) -> SecurityGroup:
    more = [
        msgspec.structs.replace(
            rule, rule_id=f"{_STAND_IN}{rule.rule_id}", peer=PrefixListPeer(f"{_STAND_IN}{rule.rule_id}")
        )
        for rule in group.rules
        if isinstance(rule.peer, GroupPeer)
    ]
    return msgspec.structs.replace(group, rules=(*group.rules, *more)) if more else group


def _same_but_way(one: SecurityGroupRule, other: SecurityGroupRule) -> bool:
    """`same_content`, of a rule whose direction is not told by the change."""
    return same_content(one, msgspec.structs.replace(other, direction=one.direction))


def _is_named(rule: SecurityGroupRule) -> bool:
    """Whether AWS's id of the rule is known."""
    return rule.rule_id.startswith("sgr-")


def _found(rules: Iterable[SecurityGroupRule], wanted: SecurityGroupRule) -> SecurityGroupRule | None:
    """The rule with the id of another one, else the one with its content."""
    rules = list(rules)
    if wanted.rule_id:
        for rule in rules:
            if rule.rule_id == wanted.rule_id:
                return rule
    return next((rule for rule in rules if same_content(rule, wanted)), None)


def _named(rule: SecurityGroupRule) -> str:
    return rule.rule_id or f'"{described(rule)}"'


def _misfit(change: Change, problem: str) -> ChangeInputError:
    origin = change.origin
    event = origin.event if origin is not None and origin.event else type(change).__name__
    place = origin.place if origin is not None else ""
    return ChangeInputError(f"{event} does not fit the environment: {problem}", source=place, advice=_ADVICE)


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
