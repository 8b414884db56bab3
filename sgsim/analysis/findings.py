"""What there is to say of rules and groups, as typed values with stable ids.

A finding's id is made of its kind and of what it is about, and of nothing that changes with the traffic, so that a
suppression, a ticket or a code-scanning alert stays attached to it:

    unused/sgr-0123456789abcdef0        over-quota/sg-0a1b2c/ingress/ipv4
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sgsim.model import Cidr

__all__ = [
    "KINDS",
    "Finding",
    "OverQuota",
    "Redundant",
    "RedundantHere",
    "RefersToNothing",
    "Unused",
    "Wider",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something to look at. `subject` is a rule's, a group's or an interface's id, `group_id` the group it is in."""

    kind: ClassVar[str]
    meaning: ClassVar[str]

    subject: str
    group_id: str | None = None

    @property
    def finding_id(self) -> str:
        return f"{self.kind}/{self.subject}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unused(Finding):
    """No flow of this traffic was allowed by the rule, though interfaces of its group were seen.

    `interfaces` have the group, `seen` of them have records.
    """

    kind: ClassVar[str] = "unused"
    meaning: ClassVar[str] = "no flow in this traffic needed or used the rule"

    interfaces: int
    seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Redundant(Finding):
    """Whatever the rule allows, other rules allow together, for every packet that there can be.

    `covered_by` (rule ids) are rules of its group that suffice; there are none where it takes the other groups of its
    interfaces. `always`: whatever members and entries groups and lists will have; otherwise with those they have now.
    `may_change_tracking`: without the rule, flows may be tracked that are not now (docs/semantics.md §2.1).
    """

    kind: ClassVar[str] = "redundant"
    meaning: ClassVar[str] = "other rules together allow everything that the rule allows"

    covered_by: tuple[str, ...]
    always: bool
    may_change_tracking: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RedundantHere(Finding):
    """Every flow that used the rule is allowed by another one too; `with_rules` (rule ids) are all of those."""

    kind: ClassVar[str] = "redundant-here"
    meaning: ClassVar[str] = "every flow in this traffic that used the rule is allowed by another one too"

    flows: int
    with_rules: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wider(Finding):
    """The rule allows more than it was used for.

    `cidrs` is the tightest cover of the other ends seen, empty where the rule's peer is a group or already as tight;
    `services` the services seen, in words, empty where the rule's service is already as tight. `addresses` are how
    many the rule's peer holds, `seen_addresses` how many `cidrs` do.
    """

    kind: ClassVar[str] = "wider"
    meaning: ClassVar[str] = "the rule allows more addresses or services than this traffic used"

    cidrs: tuple[Cidr, ...] = ()
    services: tuple[str, ...] = ()
    addresses: int = 0
    seen_addresses: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RefersToNothing(Finding):
    """The rule's peer stands for no address; `cause` says why, `peer` is its id.

    Causes: `no such group`, `no way` (the peering or gateway that the reference needs is not there), `no member`
    (no interface has the group), `no entry` (the prefix list is empty).
    """

    kind: ClassVar[str] = "refers-to-nothing"
    meaning: ClassVar[str] = "the group or prefix list that the rule names stands for no address"

    cause: str
    peer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OverQuota(Finding):
    """More than AWS's default quota; `what` in words. Quotas can be raised, so that this may be in order."""

    kind: ClassVar[str] = "over-quota"
    meaning: ClassVar[str] = "more than AWS's default quota"

    what: str
    used: int
    limit: int


#: All kinds, in the order of reports.
KINDS: dict[str, type[Finding]] = {
    each.kind: each for each in (Unused, RedundantHere, Redundant, Wider, RefersToNothing, OverQuota)
}
