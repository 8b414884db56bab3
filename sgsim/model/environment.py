"""Everything at one instant: an immutable description of the networks of one or more accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sgsim.model.acls import NetworkAcl
from sgsim.model.images import Image, VolumeSnapshot
from sgsim.model.network import (
    MirrorSession,
    NetworkInterface,
    PrefixList,
    SecurityGroup,
    Subnet,
    TransitGatewayAttachment,
    Vpc,
    VpcPeering,
)
from sgsim.model.principals import Directory

__all__ = ["Environment"]


@dataclass(frozen=True, slots=True)
class Environment:
    """Groups, interfaces and the networks that they live in, keyed by id; never changed, only replaced.

    `closed` holds the (account_id, region) pairs whose groups and interfaces are completely described, so that what
    is absent does not exist; everything else may exist unseen (docs/semantics.md §9.5). Either part is None where
    the input does not tell. `peerings_described` and `gateways_described` say whether the input held a listing of
    VPC peerings or transit-gateway attachments at all: no listing means "not known", an empty listing "none".
    `directory` holds who may ask for changes, `images` and `volume_snapshots` with whom they are shared; they decide
    no verdict. `warnings` are one-line notes of what was odd in the input, for people.
    """

    groups: Mapping[str, SecurityGroup] = field(default_factory=dict)
    interfaces: Mapping[str, NetworkInterface] = field(default_factory=dict)
    prefix_lists: Mapping[str, PrefixList] = field(default_factory=dict)
    vpcs: Mapping[str, Vpc] = field(default_factory=dict)
    subnets: Mapping[str, Subnet] = field(default_factory=dict)
    peerings: Mapping[str, VpcPeering] = field(default_factory=dict)
    gateway_attachments: Mapping[str, TransitGatewayAttachment] = field(default_factory=dict)
    mirror_sessions: Mapping[str, MirrorSession] = field(default_factory=dict)
    acls: Mapping[str, NetworkAcl] = field(default_factory=dict)
    images: Mapping[str, Image] = field(default_factory=dict)
    volume_snapshots: Mapping[str, VolumeSnapshot] = field(default_factory=dict)
    directory: Directory = field(default_factory=Directory)
    closed: frozenset[tuple[str | None, str | None]] = frozenset()
    peerings_described: bool = False
    gateways_described: bool = False
    collected_at: datetime | None = None
    warnings: tuple[str, ...] = ()

    def is_closed(self, account_id: str | None, region: str | None) -> bool:
        """Whether the account's groups and interfaces in the Region are completely described.

        What is not told matches anything: with one account described, a group without owner is its.
        """
        return any(
            (account_id is None or account is None or account == account_id)
            and (region is None or known_region is None or known_region == region)
            for account, known_region in self.closed
        )
