"""Whether a remote address belongs to a member of a group that a rule names (docs/semantics.md §1.4, §9.5)."""

from __future__ import annotations

from collections.abc import Callable

from sgsim.model import (
    Address,
    Direction,
    Environment,
    GroupPeer,
    NetworkInterface,
    SecurityGroupRule,
    Semantics,
    parse_cidr,
)
from sgsim.reference.truth import Truth

__all__ = ["group_truth"]

RFC1918 = tuple(parse_cidr(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))

#: An interface that has the address, and whether a reference reaches its VPC.
Candidate = tuple[NetworkInterface, Truth]


def group_truth(
    environment: Environment,
    semantics: Semantics,
    interface: NetworkInterface,
    rule: SecurityGroupRule,
    peer: GroupPeer,
    remote: Address,
) -> tuple[Truth, str]:
    """Whether the remote address is a member's, as this interface sees it; and why not, or why not surely.

    The address is looked up in the interface's own VPC, then over peerings, then over transit gateways, then in VPCs
    to which the way is not known; the first of these places where some interface has the address answers.
    """
    if any(block.contains(remote) for block in semantics.behind_middlebox):
        return Truth.NO, f"{remote} is behind a middlebox, where group references are lost"
    own_vpc = interface.vpc_id
    holders = [
        other
        for other in environment.interfaces.values()
        if remote in other.addresses or any(prefix.contains(remote) for prefix in other.prefixes)
    ]

    def reached(way: Callable[[str | None], Truth]) -> list[Candidate]:
        elsewhere = ((holder, way(holder.vpc_id)) for holder in holders if holder.vpc_id != own_vpc)
        return [(holder, truth) for holder, truth in elsewhere if truth is not Truth.NO]

    for candidates in (
        [(holder, Truth.YES) for holder in holders if holder.vpc_id == own_vpc],
        reached(lambda vpc_id: peering_truth(environment, own_vpc, vpc_id, peer)),
        reached(lambda vpc_id: gateway_truth(environment, own_vpc, vpc_id, rule.direction)),
        reached(lambda vpc_id: unlisted_way_truth(environment, peer)),
    ):
        if candidates:
            return membership(semantics, peer.group_id, remote, candidates)
    return unseen_member_truth(environment, interface, rule, peer, remote)


def membership(semantics: Semantics, group_id: str, remote: Address, candidates: list[Candidate]) -> tuple[Truth, str]:
    """Whether the interfaces that have the address carry the group; those that disagree make it a MAYBE."""
    members = [
        (holder, way)
        for holder, way in candidates
        if group_id in holder.group_ids and (remote in holder.addresses or semantics.delegated_prefixes_are_members)
    ]
    if not members:
        names = ", ".join(sorted(holder.interface_id for holder, _ in candidates))
        return Truth.NO, f"{remote} is {names}, which does not carry {group_id}"
    if len(members) < len(candidates):
        return Truth.MAYBE, f"several interfaces have {remote}, and not all of them carry {group_id}"
    if any(way is Truth.MAYBE for _, way in members):
        return Truth.MAYBE, f"the input does not tell whether references reach the VPC of {remote}"
    return Truth.YES, ""


def peering_truth(environment: Environment, own_vpc: str | None, other_vpc: str | None, peer: GroupPeer) -> Truth:
    """Whether an active peering within one Region joins the VPCs, by the rule's own word or by the listing."""
    if peer.peering_status == "active" and peer.vpc_id in (None, other_vpc):
        return Truth.YES
    for peering in environment.peerings.values():
        joins = {peering.requester_vpc_id, peering.accepter_vpc_id} == {own_vpc, other_vpc}
        regions = {peering.requester_region, peering.accepter_region} - {None}
        if joins and peering.status == "active" and len(regions) <= 1:
            return Truth.YES
    return Truth.NO


def gateway_truth(environment: Environment, own_vpc: str | None, other_vpc: str | None, direction: Direction) -> Truth:
    """Whether one transit gateway carries references between the VPCs: inbound rules only (§1.4)."""
    if direction is Direction.EGRESS:
        return Truth.NO
    best = Truth.NO
    attachments = environment.gateway_attachments.values()
    for here in attachments:
        for there in attachments:
            if (here.vpc_id, there.vpc_id) != (own_vpc, other_vpc):
                continue
            if here.transit_gateway_id != there.transit_gateway_id or False in (here.references, there.references):
                continue
            best = max(best, Truth.MAYBE if None in (here.references, there.references) else Truth.YES)
    return best


def unlisted_way_truth(environment: Environment, peer: GroupPeer) -> Truth:
    """MAYBE where the input says nothing at all of peerings, neither in a listing nor on the rule."""
    return Truth.NO if environment.peerings_described or peer.peering_status is not None else Truth.MAYBE


def unseen_member_truth(
    environment: Environment,
    interface: NetworkInterface,
    rule: SecurityGroupRule,
    peer: GroupPeer,
    remote: Address,
) -> tuple[Truth, str]:
    """Whether an interface that the input does not show may carry the group and have the address (§9.5)."""
    referrer = environment.groups[rule.group_id]
    account_id = peer.account_id if peer.account_id is not None else referrer.account_id
    if environment.is_closed(account_id, referrer.region):
        return Truth.NO, f"no interface within reach has {remote}"
    if not may_be_private(environment, remote):
        return Truth.NO, f"{remote} is no private address, and group references match no others"
    if peer.vpc_id is None:
        way = Truth.NO if peer.peering_status not in (None, "active") else Truth.MAYBE
    elif peer.vpc_id == interface.vpc_id:
        way = Truth.MAYBE
    else:
        way = max(
            peering_truth(environment, interface.vpc_id, peer.vpc_id, peer),
            gateway_truth(environment, interface.vpc_id, peer.vpc_id, rule.direction),
            unlisted_way_truth(environment, peer),
        )
    if way is Truth.NO:
        return Truth.NO, f"the reference to {peer.group_id} is stale: no peering or transit gateway carries it"
    owner = f"account {account_id}" if account_id is not None else "another account"
    return Truth.MAYBE, f"the interfaces that carry {peer.group_id} ({owner}) are not in the input"


def may_be_private(environment: Environment, address: Address) -> bool:
    """Whether an interface could have the address as a private one: RFC 1918, a VPC's own range, any IPv6."""
    if address.family == 6:
        return True
    return any(block.contains(address) for block in RFC1918) or any(
        cidr.contains(address) for vpc in environment.vpcs.values() for cidr in vpc.cidrs
    )
