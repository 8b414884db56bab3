"""Groups, prefix lists, interfaces and the network around them: frozen values, AWS's nouns.

`origin` says where a thing was described (file and path inside it), for error messages and reports.
"""

from __future__ import annotations

import msgspec

from sgsim.model.addresses import Address, Cidr
from sgsim.model.rules import SecurityGroupRule

__all__ = [
    "UNFILTERED_INTERFACE_TYPES",
    "ConnectionTrackingTimeouts",
    "MirrorSession",
    "NetworkInterface",
    "PrefixList",
    "SecurityGroup",
    "Subnet",
    "TransitGatewayAttachment",
    "Vpc",
    "VpcPeering",
]


class SecurityGroup(msgspec.Struct, frozen=True):
    """A security group and its rules, in no particular order.

    `defined` is False where only rules of the group were seen (`describe-security-group-rules` alone), so that its
    name and VPC are unknown. `classic` marks an EC2-Classic group, whose egress is open (docs/semantics.md §1.8).
    `tags` decide no verdict, but who may change the group (docs/iam.md A3.1).
    """

    group_id: str
    rules: tuple[SecurityGroupRule, ...] = ()
    name: str = ""
    description: str = ""
    account_id: str | None = None
    region: str | None = None
    vpc_id: str | None = None
    associated_vpc_ids: tuple[str, ...] = ()
    defined: bool = True
    classic: bool = False
    origin: str = ""
    tags: tuple[tuple[str, str], ...] = ()


class PrefixList(msgspec.Struct, frozen=True):
    """A prefix list. `entries` is None where the input lacks them; `family` (4 or 6) None where it is not told."""

    prefix_list_id: str
    entries: tuple[Cidr, ...] | None
    name: str = ""
    family: int | None = None
    max_entries: int | None = None
    account_id: str | None = None
    origin: str = ""


class ConnectionTrackingTimeouts(msgspec.Struct, frozen=True):
    """Idle timeouts configured on an interface, in seconds; None where AWS's default holds (docs/semantics.md §2.3)."""

    tcp_established: int | None = None
    udp: int | None = None
    udp_stream: int | None = None


#: Interfaces of these types without groups are not filtered at all (docs/semantics.md §5.3); a plain interface
#: without groups is not expected, so its verdict is UNKNOWN. Both spellings of NAT gateways are met in exports.
UNFILTERED_INTERFACE_TYPES = frozenset(
    {
        "natGateway",
        "nat_gateway",
        "load_balancer",
        "network_load_balancer",
        "gateway_load_balancer",
        "gateway_load_balancer_endpoint",
        "vpc_endpoint",
        "transit_gateway",
        "global_accelerator_managed",
        "api_gateway_managed",
    }
)


class NetworkInterface(msgspec.Struct, frozen=True):
    """A network interface (ENI).

    `addresses` are private: the primary IPv4 address first, then secondary ones, then IPv6. `prefixes` are delegated.
    `name` is the tag `Name` of the interface, else of its instance.
    `public_addresses` identify no interface; they are kept for reports (docs/semantics.md §9.14).
    """

    interface_id: str
    addresses: tuple[Address, ...] = ()
    group_ids: tuple[str, ...] = ()
    prefixes: tuple[Cidr, ...] = ()
    public_addresses: tuple[Address, ...] = ()
    mac: int | None = None
    vpc_id: str | None = None
    subnet_id: str | None = None
    account_id: str | None = None
    region: str | None = None
    interface_type: str = "interface"
    instance_id: str | None = None
    instance_type: str | None = None
    description: str = ""
    name: str = ""
    timeouts: ConnectionTrackingTimeouts = ConnectionTrackingTimeouts()
    origin: str = ""


class Vpc(msgspec.Struct, frozen=True):
    """A VPC; `cidrs` starts with the primary IPv4 range, IPv6 ranges follow. `is_default` is None if not told."""

    vpc_id: str
    cidrs: tuple[Cidr, ...] = ()
    account_id: str | None = None
    region: str | None = None
    origin: str = ""
    is_default: bool | None = None


class Subnet(msgspec.Struct, frozen=True):
    """A subnet and its ranges of both families."""

    subnet_id: str
    vpc_id: str | None = None
    cidrs: tuple[Cidr, ...] = ()
    region: str | None = None
    origin: str = ""


class VpcPeering(msgspec.Struct, frozen=True):
    """A VPC peering connection; `status` is the code, `active` for one that carries traffic.

    Group references work over it only within one Region (docs/semantics.md §1.4).
    """

    peering_id: str
    requester_vpc_id: str
    accepter_vpc_id: str
    status: str
    requester_region: str | None = None
    accepter_region: str | None = None
    origin: str = ""


class TransitGatewayAttachment(msgspec.Struct, frozen=True):
    """A VPC's attachment to a transit gateway.

    `references` is True where the gateway and the attachment both support security-group referencing, False where
    one says no, None where the input does not tell.
    """

    attachment_id: str
    transit_gateway_id: str
    vpc_id: str
    references: bool | None = None
    origin: str = ""


class MirrorSession(msgspec.Struct, frozen=True):
    """A traffic-mirror session: packets of `interface_id` arrive in VXLAN with this network identifier."""

    session_id: str
    interface_id: str
    vni: int
    origin: str = ""
