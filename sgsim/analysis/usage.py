"""Which rules does this traffic need? Use of every rule, findings, and what can go together.

counter = UseCounter(len(tables.rule_ids), len(tables.interface_ids))
for verdicts in replay(snapshot, scan, ReplayOptions(apart=True)):
    counter.add(verdicts)
usage = Usage.of(snapshot, counter.use())
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import Enum

import msgspec
import numpy as np

from sgsim.analysis.findings import KINDS, Finding, Redundant, RedundantHere, Unused
from sgsim.analysis.minimal import minimal
from sgsim.analysis.redundancy import redundant_rules
from sgsim.analysis.usage_counts import RuleUse
from sgsim.analysis.usage_quotas import QuotaUse, over_quota, quota_use
from sgsim.analysis.usage_references import refers_to_nothing
from sgsim.analysis.usage_wider import wider
from sgsim.engine import Snapshot
from sgsim.model import CidrPeer, Environment, SecurityGroupRule

__all__ = ["Removal", "Status", "Usage", "removal", "without_rules"]


class Status(Enum):
    """What this traffic says of a rule; the first that fits."""

    NEEDED = "needed"  #: some flow is allowed by no other rule
    POSSIBLE = "possible"  #: it may be what lets in traffic of which that is not known
    REDUNDANT = "redundant"  #: it is used, and every flow is allowed by another rule too
    UNUSED = "unused"  #: interfaces of its group were seen, and nothing used it
    UNOBSERVED = "unobserved"  #: no record at any interface of its group: nothing can be said
    UNATTACHED = "unattached"  #: no interface has its group


@dataclass(frozen=True, slots=True)
class Usage:
    """Use of the rules of a snapshot; `rules`, `status` and the columns of `use` are indexed like its rule ids.

    `attached[group_id]` are the interfaces that have the group, `seen` those of them with records.
    """

    snapshot: Snapshot
    use: RuleUse
    rules: tuple[SecurityGroupRule, ...]
    status: tuple[Status, ...]
    findings: tuple[Finding, ...]
    quotas: tuple[QuotaUse, ...]

    @classmethod
    def of(cls, snapshot: Snapshot, use: RuleUse) -> Usage:
        """Classify every rule and collect the findings, ordered by kind and then by subject."""
        environment, tables = snapshot.environment, snapshot.tables
        by_id = {rule.rule_id: rule for group in environment.groups.values() for rule in group.rules}
        rules = tuple(by_id[rule_id] for rule_id in tables.rule_ids)
        attached = interfaces_of_groups(environment)
        seen_ids = {tables.interface_ids[n] for n in np.flatnonzero(use.seen).tolist()}
        seen = {group_id: sum(name in seen_ids for name in names) for group_id, names in attached.items()}
        status = tuple(
            _status(use, n, bool(attached.get(rule.group_id)), bool(seen.get(rule.group_id)))
            for n, rule in enumerate(rules)
        )
        partners = _partners(use, status)
        findings: list[Finding] = [
            Unused(
                subject=rule.rule_id,
                group_id=rule.group_id,
                interfaces=len(attached[rule.group_id]),
                seen=seen[rule.group_id],
            )
            for rule, what in zip(rules, status)
            if what is Status.UNUSED
        ]
        findings += [
            RedundantHere(
                subject=rules[n].rule_id,
                group_id=rules[n].group_id,
                flows=int(use.flows[n]),
                with_rules=tuple(sorted(rules[other].rule_id for other in others)),
            )
            for n, others in partners.items()
        ]
        findings += redundant(snapshot)
        findings += wider(environment, rules, use)
        findings += refers_to_nothing(environment, snapshot.semantics, attached)
        quotas = quota_use(environment)
        findings += over_quota(quotas)
        return cls(snapshot, use, rules, status, tuple(in_order(findings)), quotas)


def redundant(snapshot: Snapshot) -> list[Redundant]:
    """Rules that others of their group cover, or, on every interface that has it, those of all its groups."""
    return [
        Redundant(
            subject=each.rule_id,
            group_id=each.group_id,
            covered_by=each.covered_by,
            always=each.always,
            may_change_tracking=each.may_change_tracking,
        )
        for each in redundant_rules(snapshot.environment, snapshot.semantics)
        if not each.matches_nothing and (each.always or each.now or 0 < each.interfaces == each.covered_interfaces)
    ]


def in_order(findings: list[Finding]) -> list[Finding]:
    """By kind, in the order of reports, then by subject."""
    place = {kind: n for n, kind in enumerate(KINDS)}
    return sorted(findings, key=lambda finding: (place[finding.kind], finding.subject))


def interfaces_of_groups(environment: Environment) -> dict[str, list[str]]:
    """Group id → the interfaces that have it."""
    attached: dict[str, list[str]] = defaultdict(list)
    for interface in environment.interfaces.values():
        for group_id in dict.fromkeys(interface.group_ids):
            attached[group_id].append(interface.interface_id)
    return dict(attached)


def _status(use: RuleUse, rule: int, attached: bool, seen: bool) -> Status:
    if use.sole[rule]:
        return Status.NEEDED
    if use.possible[rule]:
        return Status.POSSIBLE
    if use.flows[rule]:
        return Status.REDUNDANT
    if use.doubtful[rule]:
        return Status.POSSIBLE
    if seen:
        return Status.UNUSED
    return Status.UNOBSERVED if attached else Status.UNATTACHED


def _partners(use: RuleUse, status: Collection[Status]) -> dict[int, set[int]]:
    """For each rule that is redundant in this traffic, the rules that share a flow with it."""
    partners: dict[int, set[int]] = {n: set() for n, what in enumerate(status) if what is Status.REDUNDANT}
    for members in use.sets:
        for rule in members:
            if rule in partners:
                partners[rule].update(members)
    for rule, others in partners.items():
        others.discard(rule)
    return partners


# -- what can go together ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Removal:
    """An answer to "can all of these rules go together?"; rule ids, sorted.

    `asked` may go, as far as the user is concerned; of these, `removed` can go together and leave every flow of the
    traffic allowed. `needed` are those that some flow has no other rule for, `maybe` those that UNKNOWN traffic may
    need; `chosen` were kept as one of several that do. `smallest`: no larger part of `asked` can go; otherwise only
    that no single further rule can.
    """

    asked: tuple[str, ...]
    removed: tuple[str, ...]
    needed: tuple[str, ...]
    maybe: tuple[str, ...]
    chosen: tuple[str, ...]
    smallest: bool

    @property
    def all_can_go(self) -> bool:
        return self.asked == self.removed


def removal(usage: Usage, asked: Collection[str] | None = None) -> Removal:
    """Which of the rules can go together; by default of all whose group's interfaces were seen."""
    rule_ids, use = usage.snapshot.tables.rule_ids, usage.use
    if asked is None:
        silent = (Status.UNOBSERVED, Status.UNATTACHED)
        candidates = {n for n, what in enumerate(usage.status) if what not in silent}
    else:
        wanted = set(asked)
        candidates = {n for n, rule_id in enumerate(rule_ids) if rule_id in wanted}
    maybe = {n for n in candidates if use.possible[n]}
    free = candidates - maybe
    kept = minimal([*use.sets, *use.doubtful_sets], free, [_width(rule) for rule in usage.rules])
    needed = {members[0] for members in use.sets if len(members) == 1} & candidates

    def ids(rules: Collection[int]) -> tuple[str, ...]:
        return tuple(sorted(rule_ids[n] for n in rules))

    return Removal(
        ids(candidates), ids(free - kept.kept), ids(needed), ids(maybe - needed), ids(kept.kept - needed), kept.exact
    )


def _width(rule: SecurityGroupRule) -> int:
    """How much a rule lets in, in bits: of addresses and of services. A group counts like 16 addresses."""
    peer = rule.peer
    if isinstance(peer, CidrPeer):
        addresses = (32 if peer.cidr.family == 4 else 128) - peer.cidr.prefix_length
    else:
        addresses = 4
    if rule.protocol is None:
        return addresses + 24
    if rule.ports is not None:
        return addresses + (rule.ports.last - rule.ports.first).bit_length()
    return addresses + (0 if rule.icmp is not None and rule.icmp.type is not None else 16)


def without_rules(environment: Environment, rule_ids: Collection[str]) -> Environment:
    """The environment without some rules; groups stay, if need be without any."""
    gone = frozenset(rule_ids)
    groups = {
        group_id: msgspec.structs.replace(group, rules=tuple(rule for rule in group.rules if rule.rule_id not in gone))
        for group_id, group in environment.groups.items()
        if not gone.isdisjoint(rule.rule_id for rule in group.rules)
    }
    return replace(environment, groups={**environment.groups, **groups})
