"""Network ACLs: ordered, stateless rules at the border of a subnet (docs/semantics.md §4).

They are no part of any verdict on security groups; they explain records that a flow log rejects.
"""

from __future__ import annotations

import msgspec

from sgsim.model.addresses import Cidr
from sgsim.model.rules import Direction, IcmpType, PortRange

__all__ = ["NetworkAcl", "NetworkAclEntry"]


class NetworkAclEntry(msgspec.Struct, frozen=True):
    """One entry. `direction` INGRESS is what enters the subnet.

    `protocol` is the IANA number, None for all. `ports` None means all ports, `icmp` None all types; AWS ignores
    both for other protocols.
    """

    number: int
    direction: Direction
    allow: bool
    protocol: int | None
    cidr: Cidr
    ports: PortRange | None = None
    icmp: IcmpType | None = None

    def __str__(self) -> str:
        return f"entry {'*' if self.number > 32766 else self.number}"


class NetworkAcl(msgspec.Struct, frozen=True):
    """A network ACL. `entries` ascend by number within a direction; `subnet_ids` are the subnets that it guards.

    `is_default`: it also guards the VPC's subnets that no ACL names.
    """

    network_acl_id: str
    entries: tuple[NetworkAclEntry, ...] = ()
    subnet_ids: tuple[str, ...] = ()
    vpc_id: str | None = None
    is_default: bool = False
    origin: str = ""
