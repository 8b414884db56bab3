"""Rules whose peer stands for no address: the group, its members, the way to them, or the list's entries are gone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sgsim.analysis.findings import RefersToNothing
from sgsim.model import Environment, GroupPeer, NetworkInterface, PrefixListPeer, SecurityGroupRule, Semantics
from sgsim.reference.group_references import gateway_truth, peering_truth, unlisted_way_truth
from sgsim.reference.truth import Truth

__all__ = ["refers_to_nothing"]


def refers_to_nothing(
    environment: Environment, semantics: Semantics, attached: Mapping[str, Sequence[str]]
) -> Iterator[RefersToNothing]:
    """Rules that can match nothing as things are (docs/semantics.md §1.5, §9.5, §9.7).

    Where what a rule names could exist outside the input, nothing is said. `attached`: group id → its interfaces.
    """
    for group in environment.groups.values():
        for rule in group.rules:
            cause = ""
            if isinstance(rule.peer, PrefixListPeer):
                listed = environment.prefix_lists.get(rule.peer.prefix_list_id)
                cause = "no entry" if listed is not None and listed.entries == () else ""
            elif isinstance(rule.peer, GroupPeer):
                cause = _of_group(environment, rule, rule.peer, attached)
            if cause:
                yield RefersToNothing(subject=rule.rule_id, group_id=rule.group_id, cause=cause, peer=str(rule.peer))


def _of_group(
    environment: Environment, rule: SecurityGroupRule, peer: GroupPeer, attached: Mapping[str, Sequence[str]]
) -> str:
    """Why a reference matches nothing at any interface of the rule's group; "" where it does or may."""
    home = environment.groups[rule.group_id]
    account_id = peer.account_id if peer.account_id is not None else home.account_id
    closed = environment.is_closed(account_id, home.region)
    here = [environment.interfaces[name] for name in attached.get(rule.group_id, ())]
    members = [environment.interfaces[name] for name in attached.get(peer.group_id, ())]
    own = sorted({interface.vpc_id for interface in here}, key=str) or [home.vpc_id]
    if any(_reaches(environment, rule, peer, vpc_id, member) for vpc_id in own for member in members):
        return ""
    if not closed and any(_may_reach_unseen(environment, rule, peer, vpc_id) for vpc_id in own):
        return ""
    if members or not closed:
        return "no way"
    if not here:
        return ""
    return "no member" if peer.group_id in environment.groups else "no such group"


def _reaches(
    environment: Environment, rule: SecurityGroupRule, peer: GroupPeer, own: str | None, member: NetworkInterface
) -> bool:
    if member.vpc_id == own:
        return True
    return _way(environment, rule, peer, own, member.vpc_id) is not Truth.NO


def _may_reach_unseen(environment: Environment, rule: SecurityGroupRule, peer: GroupPeer, own: str | None) -> bool:
    """§9.5, 3: whether a member that the input does not show may be matched."""
    if peer.vpc_id is None:
        return peer.peering_status in (None, "active")
    return peer.vpc_id == own or _way(environment, rule, peer, own, peer.vpc_id) is not Truth.NO


def _way(
    environment: Environment, rule: SecurityGroupRule, peer: GroupPeer, own: str | None, other: str | None
) -> Truth:
    return max(
        peering_truth(environment, own, other, peer),
        gateway_truth(environment, own, other, rule.direction),
        unlisted_way_truth(environment, peer),
    )
