"""Rules that the others of their group make superfluous, by their union and not one by one; without any traffic.

The packet space of a group falls into cells: maximal sets of packets that the same rules match best (surely, or, where
none does, perhaps). A rule is needed if it is alone in some cell, else redundant; a set of rules can go together if
every cell keeps one that stays. Two questions are asked:

* *always*: whatever the members of groups and the entries of lists are. A reference is then covered only by references
  to the same group, or by blocks that hold every address of both families; a list likewise; a block only by blocks.
* *now*: with the members and entries that the environment describes, in every VPC where the group is in use.

Redundant always implies redundant now. Both are exact in these terms. Removing a redundant rule changes no verdict of
the rules; it may change which flows are tracked (docs/semantics.md §2.1), which is said of the rules for /0.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import msgspec

from sgsim.analysis.space_algebra import ADDRESSES_END
from sgsim.analysis.space_services import SERVICES_END, service_range
from sgsim.analysis.space_views import MAYBE, SURE, Box, ViewKey, Views, view_key
from sgsim.intervals import Intervals
from sgsim.model import (
    ALL_PORTS,
    TCP,
    UDP,
    CidrPeer,
    Direction,
    Environment,
    PrefixListPeer,
    SecurityGroup,
    SecurityGroupRule,
    Semantics,
)

__all__ = ["Cells", "RedundantRule", "cells_of", "redundant_rules"]


class Cells(NamedTuple):
    """The cells of some rules, told by the ids of the rules.

    `best`: for each cell the rules that match it best. `under`: for each cell where some rules match surely and others
    only perhaps, these others and all that match.
    """

    best: frozenset[frozenset[str]] = frozenset()
    under: frozenset[tuple[frozenset[str], frozenset[str]]] = frozenset()

    def __or__(self, other: Cells) -> Cells:  # type: ignore[override]
        return Cells(self.best | other.best, self.under | other.under)

    @property
    def needed(self) -> frozenset[str]:
        """The rules that are alone in some cell."""
        return frozenset(rule_id for cell in self.best if len(cell) == 1 for rule_id in cell)

    @property
    def matching(self) -> frozenset[str]:
        """The rules that match anything at all."""
        return frozenset().union(*self.best, *(lesser for lesser, _ in self.under))


_TRACKED = Intervals.of([(TCP << 16, (TCP << 16) + 65535), (UDP << 16, (UDP << 16) + 65535)])


class RedundantRule(msgspec.Struct, frozen=True):
    """A rule that others make superfluous, in some sense.

    `always`, `now`: by the other rules of its group, see this module. `covered_by`: rules of the group that suffice
    for it (always, if it is so, else now). `together`: all rules of the group marked so can go at once now; those of
    them that are so always can go at once always. `matches_nothing`: no packet at all matches it now, such as a
    reference to a group without members.

    `interfaces` counts those that carry the group, `covered_interfaces` those of them where the rules of all their
    groups cover it. `may_change_tracking`: removing it may make flows tracked that are untracked now (§2.1).
    """

    rule_id: str
    group_id: str
    always: bool
    now: bool
    together: bool
    matches_nothing: bool
    interfaces: int
    covered_interfaces: int
    may_change_tracking: bool
    covered_by: tuple[str, ...] = ()


def redundant_rules(
    environment: Environment,
    semantics: Semantics | None = None,
    *,
    group_ids: Collection[str] | None = None,
    views: Views | None = None,
) -> list[RedundantRule]:
    """Every rule that is redundant within its group, or on some interface by all groups there; by group and rule id.

    `group_ids` restricts the groups whose rules are asked about; `views` shares what was worked out of the same
    environment and semantics before.
    """
    if views is None:
        views = Views(environment, semantics)
    on_interfaces = _Interfaces(views)
    found: list[RedundantRule] = []
    for group_id in sorted(environment.groups):
        if group_ids is None or group_id in group_ids:
            group = environment.groups[group_id]
            for direction in Direction:
                rules = {rule.rule_id: rule for rule in group.rules if rule.direction == direction}
                if rules:
                    found += _of_group(views, group, direction, rules, on_interfaces)
    return sorted(found, key=lambda each: (each.group_id, each.rule_id))


def cells_of(boxes: Iterable[tuple[Box, str]]) -> Cells:
    """The cells of rectangles of one family, each with the id of its rule ("" for what is no rule)."""
    events: list[tuple[int, int, tuple[tuple[int, int], int, str]]] = []
    for (first, end, service, truth), rule_id in boxes:
        events.append((first, 1, (service, truth, rule_id)))
        events.append((end, -1, (service, truth, rule_id)))
    events.sort()
    states = set()
    open_here: set[tuple[tuple[int, int], int, str]] = set()
    last = len(events) - 1
    for index, (start, step, key) in enumerate(events):
        if step < 0:
            open_here.discard(key)
        else:
            open_here.add(key)
        if index == last or events[index + 1][0] != start:
            states.add(frozenset(open_here))
    best: set[frozenset[str]] = set()
    under: set[tuple[frozenset[str], frozenset[str]]] = set()
    for state in states:
        _along_services(state, best, under)
    return Cells(frozenset(best), frozenset(under))


def _along_services(
    state: Iterable[tuple[tuple[int, int], int, str]],
    best: set[frozenset[str]],
    under: set[tuple[frozenset[str], frozenset[str]]],
) -> None:
    """Add the cells of one stretch of addresses, between the bounds of its services."""
    events: list[tuple[int, int, int, str]] = []
    for (first, end), truth, rule_id in state:
        events.append((first, 1, truth, rule_id))
        events.append((end, 0, truth, rule_id))
    events.sort()
    sure: set[str] = set()
    perhaps: set[str] = set()
    last = len(events) - 1
    for index, (start, opens, truth, rule_id) in enumerate(events):
        mine = sure if truth == SURE else perhaps
        if opens:
            mine.add(rule_id)
        else:
            mine.discard(rule_id)
        if index != last and events[index + 1][0] == start:
            continue
        if sure and perhaps:
            under.add((frozenset(perhaps), frozenset(sure | perhaps)))
        if sure or perhaps:
            best.add(frozenset(sure or perhaps))


# -- one group ---------------------------------------------------------------------------------------------------------


def _of_group(
    views: Views,
    group: SecurityGroup,
    direction: Direction,
    rules: dict[str, SecurityGroupRule],
    on_interfaces: _Interfaces,
) -> list[RedundantRule]:
    places = on_interfaces.vpcs_of(group)
    always = _cells_always(rules.values(), views.environment)
    now = Cells()
    for vpc_id in places:
        now |= _cells_now(views, group, rules.values(), vpc_id)
    needed = {"always": always.needed, "now": now.needed}
    matching = now.matching
    removable = _removable(always, rules.keys() - needed["always"])
    removable |= _removable(now, needed["always"] - needed["now"], gone=removable)
    found = []
    for rule_id, rule in rules.items():
        holds = {kind: rule_id not in needed[kind] for kind in needed}
        carrying, covered = on_interfaces.count(group.group_id, rule_id, direction)
        if not any(holds.values()) and not covered:
            continue
        found.append(
            RedundantRule(
                rule_id,
                group.group_id,
                always=holds["always"],
                now=holds["now"],
                together=rule_id in removable,
                matches_nothing=rule_id not in matching,
                interfaces=carrying,
                covered_interfaces=covered,
                may_change_tracking=views.semantics.untracked_flows and _tracks(rule, rules.values()),
                covered_by=_cover(rule_id, always if holds["always"] else now) if any(holds.values()) else (),
            )
        )
    return found


def _cells_now(views: Views, group: SecurityGroup, rules: Iterable[SecurityGroupRule], vpc_id: str | None) -> Cells:
    """The cells at interfaces of a VPC, with the members and entries of the environment."""
    cells = Cells()
    for family in (4, 6):
        boxes = [(box, rule.rule_id) for rule in rules for box in views.rule_boxes(rule, group, vpc_id, family)]
        cells |= cells_of(boxes)
    return cells


def _cells_always(rules: Iterable[SecurityGroupRule], environment: Environment) -> Cells:
    """The cells whatever the members and entries.

    A reference stands for unknown addresses, each of which may be any: a rule's packets from an unknown address at
    address A are matched by the references to the same group and by the blocks that hold A. So each set of references
    to one group is laid over every stretch of both families, one of which may be free of blocks.
    """
    blocks: dict[int, list[tuple[Box, str]]] = {4: [], 6: []}
    unknown: dict[tuple[Any, ...], list[tuple[tuple[int, int], str]]] = defaultdict(list)
    for rule in rules:
        if isinstance(rule.peer, CidrPeer):
            cidr = rule.peer.cidr
            box = Box(cidr.network, cidr.last + 1, service_range(rule), SURE)
            blocks[cidr.family].append((box, rule.rule_id))
        else:
            unknown[_symbol(rule)].append((service_range(rule), rule.rule_id))
    cells = cells_of(blocks[4]) | cells_of(blocks[6])
    for symbol, ranges in unknown.items():
        for family in _families(symbol, environment):
            end = ADDRESSES_END[family]
            anywhere = [(Box(0, end, service, SURE), rule_id) for service, rule_id in ranges]
            # Where some address is in no block the references are by themselves, and nothing else matters.
            cells |= cells_of(anywhere + (blocks[family] if _holds_everything(blocks[family], end) else []))
    return cells


def _symbol(rule: SecurityGroupRule) -> tuple[Any, ...]:
    """What two rules share whose unknown addresses are surely the same."""
    peer = rule.peer
    if isinstance(peer, PrefixListPeer):
        return ("list", peer.prefix_list_id)
    assert not isinstance(peer, CidrPeer)
    return ("group", peer.group_id, peer.account_id, peer.vpc_id, peer.peering_status)


def _families(symbol: tuple[Any, ...], environment: Environment) -> tuple[int, ...]:
    """The families that unknown addresses may be of: a list's own, if it is told."""
    if symbol[0] == "list":
        prefix_list = environment.prefix_lists.get(symbol[1])
        if prefix_list is not None and prefix_list.family is not None:
            return (prefix_list.family,)
    return (4, 6)


def _holds_everything(blocks: Iterable[tuple[Box, str]], end: int) -> bool:
    return Intervals.half_open([(box.first, box.end) for box, _ in blocks]) == Intervals((0, end))


def _removable(cells: Cells, candidates: Collection[str], gone: Collection[str] = ()) -> set[str]:
    """As many of the candidates as can go together, taken in the order of their ids; `gone` are gone already."""
    by_rule: dict[str, list[set[str]]] = defaultdict(list)
    for cell in cells.best:
        left = set(cell).difference(gone)
        for rule_id in left:
            by_rule[rule_id].append(left)
    removed: set[str] = set()
    for rule_id in sorted(candidates):
        if all(len(left) > 1 for left in by_rule[rule_id]):
            removed.add(rule_id)
            for left in by_rule[rule_id]:
                left.discard(rule_id)
    return removed


def _cover(rule_id: str, cells: Cells) -> tuple[str, ...]:
    """A few rules that match at least as surely wherever this one does, largest share first."""
    todo = [cell - {rule_id} for cell in cells.best if rule_id in cell]
    todo += [matching - {rule_id} for lesser, matching in cells.under if rule_id in lesser]
    chosen = []
    while todo:
        shares: dict[str, int] = defaultdict(int)
        for cell in todo:
            for other in cell:
                shares[other] += 1
        best = min(shares, key=lambda other: (-shares[other], other))
        chosen.append(best)
        todo = [cell for cell in todo if best not in cell]
    return tuple(sorted(chosen))


def _tracks(rule: SecurityGroupRule, rules: Iterable[SecurityGroupRule]) -> bool:
    """Whether the rule is for everyone, and no others for everyone do its part in leaving flows untracked (§2.1)."""
    if not _is_for_everyone(rule) or rule.protocol not in (None, TCP, UDP):
        return False
    assert isinstance(rule.peer, CidrPeer)
    others = [other for other in rules if other is not rule and other.peer == rule.peer]
    mine = Intervals(service_range(rule)) & _TRACKED
    theirs = Intervals.half_open([service_range(other) for other in others])
    if mine - theirs:
        return True
    return any(
        _is_for_all_ports(rule, protocol) and not any(_is_for_all_ports(other, protocol) for other in others)
        for protocol in (TCP, UDP)
    )


def _is_for_everyone(rule: SecurityGroupRule) -> bool:
    return isinstance(rule.peer, CidrPeer) and rule.peer.cidr.prefix_length == 0


def _is_for_all_ports(rule: SecurityGroupRule, protocol: int) -> bool:
    return rule.protocol is None or (rule.protocol == protocol and rule.ports == ALL_PORTS)


# -- all groups of an interface ----------------------------------------------------------------------------------------


class _Interfaces:
    """Which interfaces carry a group, and on how many of them all their groups together cover a rule of it."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._keys: dict[ViewKey, int] = defaultdict(int)
        for interface in views.environment.interfaces.values():
            self._keys[view_key(interface)] += 1
        self._by_group: dict[str, list[ViewKey]] = defaultdict(list)
        for key in self._keys:
            for group_id in key.group_ids:
                self._by_group[group_id].append(key)
        self._needed: dict[tuple[ViewKey, Direction], frozenset[str]] = {}

    def vpcs_of(self, group: SecurityGroup) -> list[str | None]:
        """The VPCs where interfaces carry the group; its own where none does."""
        found = {key.vpc_id: None for key in self._by_group.get(group.group_id, ())}
        return list(found) or [group.vpc_id]

    def count(self, group_id: str, rule_id: str, direction: Direction) -> tuple[int, int]:
        """(interfaces that carry the group, those where other rules cover this one)."""
        keys = self._by_group.get(group_id, ())
        carrying = sum(self._keys[key] for key in keys)
        return carrying, sum(self._keys[key] for key in keys if rule_id not in self._needed_at(key, direction))

    def _needed_at(self, key: ViewKey, direction: Direction) -> frozenset[str]:
        found = self._needed.get((key, direction))
        if found is None:
            cells = Cells()
            if self._views.fixed(key, direction) is None:
                for family in (4, 6):
                    cells |= cells_of(self._boxes(key, direction, family))
            found = self._needed[key, direction] = cells.needed
        return found

    def _boxes(self, key: ViewKey, direction: Direction, family: int) -> list[tuple[Box, str]]:
        found: list[tuple[Box, str]] = []
        for group_id in key.group_ids:
            group = self._views.environment.groups.get(group_id)
            if group is None:
                found.append((Box(0, ADDRESSES_END[family], (0, SERVICES_END), MAYBE), ""))
                continue
            for rule in group.rules:
                if rule.direction == direction:
                    found += ((box, rule.rule_id) for box in self._views.rule_boxes(rule, group, key.vpc_id, family))
        return found
