"""How much of AWS's default quotas groups and interfaces use (docs/semantics.md §1.7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sgsim.analysis.findings import OverQuota
from sgsim.model import Direction, Environment
from sgsim.model.quotas import BUCKETS, Quotas, rule_counts

__all__ = ["QuotaUse", "over_quota", "quota_use"]

#: An interface's groups may together have so many rules of a bucket: quota of rules times quota of groups.
RULES_PER_INTERFACE = 1000


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """`used` of `limit`. `subject` is a group or an interface; `bucket` such as `ingress/ipv4`, or `groups`."""

    subject: str
    bucket: str
    used: int
    limit: int

    @property
    def share(self) -> float:
        return self.used / self.limit


def quota_use(environment: Environment, quotas: Quotas | None = None) -> tuple[QuotaUse, ...]:
    """Of every group each bucket that is used, of every interface its groups and the rules of all of them."""
    limits = Quotas() if quotas is None else quotas
    counts = {
        group_id: rule_counts(group.rules, environment.prefix_lists) for group_id, group in environment.groups.items()
    }
    return (*_of_groups(counts, limits), *_of_interfaces(environment, counts, limits))


def _of_groups(counts: dict[str, tuple[int, int, int, int]], limits: Quotas) -> Iterator[QuotaUse]:
    for group_id in sorted(counts):
        for bucket, used in zip(_NAMES, counts[group_id]):
            if used:
                yield QuotaUse(group_id, bucket, used, limits.rules_per_group)


def _of_interfaces(
    environment: Environment, counts: dict[str, tuple[int, int, int, int]], limits: Quotas
) -> Iterator[QuotaUse]:
    for interface_id in sorted(environment.interfaces):
        carried = dict.fromkeys(environment.interfaces[interface_id].group_ids)
        if not carried:
            continue
        yield QuotaUse(interface_id, "groups", len(carried), limits.groups_per_interface)
        known = [counts[group_id] for group_id in carried if group_id in counts]
        for n, bucket in enumerate(_NAMES):
            if used := sum(count[n] for count in known):
                yield QuotaUse(interface_id, bucket, used, RULES_PER_INTERFACE)


def over_quota(uses: Iterable[QuotaUse]) -> list[OverQuota]:
    """The uses that exceed a limit."""
    return [
        OverQuota(
            subject=f"{use.subject}/{use.bucket}",
            group_id=use.subject if use.limit != RULES_PER_INTERFACE and use.bucket != "groups" else None,
            what=in_words(use),
            used=use.used,
            limit=use.limit,
        )
        for use in uses
        if use.used > use.limit
    ]


def in_words(use: QuotaUse) -> str:
    """`ingress rules for IPv4 of sg-…`, `groups of eni-…`."""
    if use.bucket == "groups":
        return f"groups of {use.subject}"
    direction, _, family = use.bucket.partition("/")
    return f"{direction} rules for {family.replace('ip', 'IP')} of {use.subject}"


_NAMES = tuple(f"{Direction(direction).name.lower()}/ipv{family}" for direction, family in BUCKETS)
