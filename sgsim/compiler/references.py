"""Group references and the ways between VPCs → columns (docs/semantics.md §1.4, §9.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from sgsim.compiler.rules import Subjects
from sgsim.model import Cidr, Environment, GroupPeer, Semantics, parse_cidr
from sgsim.tables.lookup import address_keys, split_addresses
from sgsim.tables.references import AddressRanges, PeeringStatus, References

__all__ = ["reference_columns", "references", "vpc_ids"]

_RFC1918 = tuple(parse_cidr(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


def references(
    environment: Environment,
    semantics: Semantics,
    subjects: Subjects,
    group_numbers: Mapping[str, int],
    vpc_numbers: Mapping[str | None, int],
) -> References:
    """Every reference that a rule makes, and which VPCs references reach from which."""
    own_ranges = [cidr for vpc in environment.vpcs.values() for cidr in vpc.cidrs]
    return References(
        *reference_columns(environment, subjects.references, group_numbers, vpc_numbers),
        _peerings(environment, vpc_numbers),
        environment.peerings_described,
        _attachments(environment, vpc_numbers),
        _ranges(4, (*_RFC1918, *own_ranges)),
        (_ranges(4, semantics.behind_middlebox), _ranges(6, semantics.behind_middlebox)),
        semantics.delegated_prefixes_are_members,
    )


def reference_columns(
    environment: Environment,
    named: Iterable[tuple[GroupPeer, str | None, str | None]],
    group_numbers: Mapping[str, int],
    vpc_numbers: Mapping[str | None, int],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """`target`, `vpc`, `status` and `open` of some of `Subjects.references`."""
    target, vpc, status, may_have_unseen = [], [], [], []
    closed: dict[tuple[str | None, str | None], bool] = {}
    for peer, account_id, region in named:
        owner = (account_id, region)
        if owner not in closed:
            closed[owner] = environment.is_closed(account_id, region)
        target.append(group_numbers[peer.group_id])
        vpc.append(-1 if peer.vpc_id is None else vpc_numbers[peer.vpc_id])
        status.append(_status(peer.peering_status))
        may_have_unseen.append(not closed[owner])
    return (
        np.array(target, np.int32),
        np.array(vpc, np.int32),
        np.array(status, np.uint8),
        np.array(may_have_unseen, np.bool_),
    )


def vpc_ids(environment: Environment, subjects: Subjects) -> list[str]:
    """Every VPC that something mentions, in a stable order; "" first, for what names none."""
    named: dict[str | None, None] = {}
    named.update(dict.fromkeys(environment.vpcs))
    named.update(dict.fromkeys(interface.vpc_id for interface in environment.interfaces.values()))
    named.update(dict.fromkeys(peer.vpc_id for peer, _, _ in subjects.references))
    for peering in environment.peerings.values():
        named.update(dict.fromkeys((peering.requester_vpc_id, peering.accepter_vpc_id)))
    named.update(dict.fromkeys(attachment.vpc_id for attachment in environment.gateway_attachments.values()))
    return ["", *(vpc_id for vpc_id in named if vpc_id)]


def _status(peering_status: str | None) -> PeeringStatus:
    if peering_status is None:
        return PeeringStatus.UNTOLD
    return PeeringStatus.ACTIVE if peering_status == "active" else PeeringStatus.OTHER


def _peerings(environment: Environment, vpc_numbers: Mapping[str | None, int]) -> frozenset[tuple[int, int]]:
    joined = set()
    for peering in environment.peerings.values():
        regions = {peering.requester_region, peering.accepter_region} - {None}
        if peering.status == "active" and len(regions) <= 1:
            one, other = vpc_numbers[peering.requester_vpc_id], vpc_numbers[peering.accepter_vpc_id]
            joined |= {(one, other), (other, one)}
    return frozenset(joined)


def _attachments(
    environment: Environment, vpc_numbers: Mapping[str | None, int]
) -> dict[int, list[tuple[str, bool | None]]]:
    attachments: dict[int, list[tuple[str, bool | None]]] = {}
    for attachment in environment.gateway_attachments.values():
        listed = attachments.setdefault(vpc_numbers[attachment.vpc_id], [])
        listed.append((attachment.transit_gateway_id, attachment.references))
    return attachments


def _ranges(family: int, cidrs: Iterable[Cidr]) -> AddressRanges:
    chosen = sorted({cidr for cidr in cidrs if cidr.family == family})
    return AddressRanges(
        address_keys(family, *split_addresses([cidr.network for cidr in chosen])),
        address_keys(family, *split_addresses([cidr.last for cidr in chosen])),
    )
