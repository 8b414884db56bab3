"""What `explain` answers: frozen values of text and numbers, ready for JSON (`msgspec.to_builtins`)."""

from __future__ import annotations

import msgspec

__all__ = ["EndExplanation", "Explanation", "GroupExplanation", "RuleExplanation"]


class RuleExplanation(msgspec.Struct, frozen=True):
    """One rule and how it compares with the flow.

    `direction` is `ingress` or `egress`; `service` and `peer` as rules print them. `matches` is `yes`, `maybe` or `no`.
    `but_for` names the fields that keep it from matching (or, for `maybe`, that cannot be decided): `protocol`,
    `port`, `type`, `source`, `destination`. `note` says why, where the rule itself does not show it.
    """

    rule_id: str
    group_id: str
    direction: str
    service: str
    peer: str
    matches: str
    but_for: tuple[str, ...] = ()
    note: str = ""
    description: str = ""


class GroupExplanation(msgspec.Struct, frozen=True):
    """One group on an interface. `rules` counts those of the judged direction; `described` is False for a group of
    which the input holds neither a definition nor a rule (docs/semantics.md §9.6)."""

    group_id: str
    name: str
    described: bool
    classic: bool
    rules: int


class EndExplanation(msgspec.Struct, frozen=True):
    """One end of the flow: the interface, its groups and what they say.

    `direction` is `egress` for the sender and `ingress` for the receiver. `found_by` says how the interface was found:
    `address`, `prefix` (a delegated one), `interface id`, `instance id`; or `ambiguous` (see `candidates`), or `none`.
    `public_of` names the interface whose public or Elastic address this is; that identifies no interface (§9.14).

    `action` and `reason` are what the rules alone say here, as for the first packet of a connection; empty where no
    interface is known. `reached` is False at a receiver whose sender rejects: the answer is then hypothetical.
    `exempt` says in words what exempts the flow. `tracking` is `tracked` or `untracked`, or empty where nothing is
    remembered. `rules` match surely, `possible` may match, `near_misses` (nearest first) do not.
    """

    direction: str
    address: str
    found_by: str
    interface_id: str | None = None
    candidates: tuple[str, ...] = ()
    public_of: str | None = None
    vpc_id: str | None = None
    subnet_id: str | None = None
    instance_id: str | None = None
    name: str = ""
    interface_type: str | None = None
    description: str = ""
    reached: bool = True
    action: str = ""
    reason: str = ""
    exempt: str = ""
    tracking: str = ""
    deciding_rule_id: str | None = None
    groups: tuple[GroupExplanation, ...] = ()
    rules: tuple[RuleExplanation, ...] = ()
    possible: tuple[RuleExplanation, ...] = ()
    near_misses: tuple[RuleExplanation, ...] = ()
    notes: tuple[str, ...] = ()


class Explanation(msgspec.Struct, frozen=True):
    """Why a flow is accepted or rejected, at both ends.

    `flow` is its canonical text, with addresses in place of ids. `path_action` is the conjunction of the two ends:
    REJECT beats UNKNOWN beats ACCEPT; an end that is not known does not count, unless neither is (UNKNOWN).
    """

    flow: str
    path_action: str
    egress: EndExplanation
    ingress: EndExplanation
    notes: tuple[str, ...] = ()
