"""Traffic that security groups never see (docs/semantics.md §3, §9.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgsim.model import (
    TCP,
    UDP,
    Address,
    Cidr,
    Direction,
    Environment,
    NetworkInterface,
    parse_address,
    parse_cidr,
)

if TYPE_CHECKING:
    from sgsim.reference.packet import Packet

__all__ = ["exemption", "holds"]

DNS, TIME, METADATA, TASKS, LICENCES = (
    "Amazon DNS",
    "Amazon Time Sync",
    "instance metadata",
    "ECS task metadata",
    "licence activation",
)
ROUTER, DHCP, OWN = "the VPC router", "DHCP", "the interface's own addresses"

#: Services at fixed addresses: (address, protocol, the service's port) → what it is.
SERVICES: dict[tuple[Address, int, int], str] = {
    (parse_address(address), protocol, port): name
    for name, protocols, port, addresses in (
        (DNS, (TCP, UDP), 53, ("169.254.169.253", "fd00:ec2::253")),
        (TIME, (UDP,), 123, ("169.254.169.123", "fd00:ec2::123")),
        (METADATA, (TCP,), 80, ("169.254.169.254", "fd00:ec2::254")),
        (TASKS, (TCP,), 80, ("169.254.170.2",)),
        (LICENCES, (TCP,), 1688, ("169.254.169.250", "169.254.169.251")),
    )
    for protocol in protocols
    for address in addresses
}

CLASSIC_DNS = parse_address("172.16.0.23")
IPV6_ROUTER = parse_address("fe80:ec2::1")
BROADCAST = parse_address("255.255.255.255")
LINK_LOCAL: dict[int, Cidr] = {4: parse_cidr("169.254.0.0/16"), 6: parse_cidr("fe80::/10")}
DHCP_PORTS: dict[int, frozenset[int]] = {4: frozenset({67, 68}), 6: frozenset({546, 547})}


def exemption(
    environment: Environment, interface: NetworkInterface, direction: Direction, packet: Packet
) -> str | None:
    """Why security groups never see this packet at this interface, in words; None where they do see it."""
    if holds(interface, packet.source) and holds(interface, packet.destination):
        return OWN
    remote = packet.remote(direction)
    remote_port = packet.srcport if direction is Direction.INGRESS else packet.dstport
    if remote in routers(environment, interface):
        return ROUTER
    service = SERVICES.get((remote, packet.protocol, remote_port))
    if service is not None:
        return service
    if packet.protocol in (TCP, UDP) and remote_port == 53 and remote in resolvers(environment, interface):
        return DNS
    return DHCP if is_dhcp(environment, interface, packet) else None


def holds(interface: NetworkInterface, address: Address) -> bool:
    """Whether a private address or a delegated prefix of the interface has the address."""
    return address in interface.addresses or any(prefix.contains(address) for prefix in interface.prefixes)


def routers(environment: Environment, interface: NetworkInterface) -> list[Address]:
    """The VPC router as this interface sees it: +1 of each range of its own subnet, and fe80:ec2::1."""
    subnet = environment.subnets.get(interface.subnet_id) if interface.subnet_id is not None else None
    ranges = subnet.cidrs if subnet is not None else ()
    return [IPV6_ROUTER, *(Address(cidr.family, cidr.network + 1) for cidr in ranges)]


def resolvers(environment: Environment, interface: NetworkInterface) -> list[Address]:
    """Amazon's DNS server in this interface's network: +2 of the VPC's primary IPv4 range; EC2-Classic has its own."""
    found = []
    vpc = environment.vpcs.get(interface.vpc_id) if interface.vpc_id is not None else None
    if vpc is not None and vpc.cidrs and vpc.cidrs[0].family == 4:
        found.append(Address(4, vpc.cidrs[0].network + 2))
    for group_id in interface.group_ids:
        group = environment.groups.get(group_id)
        if group is not None and group.classic:
            found.append(CLASSIC_DNS)
    return found


def is_dhcp(environment: Environment, interface: NetworkInterface, packet: Packet) -> bool:
    """DHCP to or from the subnet's router, broadcast or a link-local address."""
    if packet.protocol != UDP or {packet.srcport, packet.dstport} != DHCP_PORTS[packet.family]:
        return False
    return any(
        address == BROADCAST
        or LINK_LOCAL[packet.family].contains(address)
        or address in routers(environment, interface)
        for address in (packet.source, packet.destination)
    )
