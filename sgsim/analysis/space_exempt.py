"""What groups never see at an interface (docs/semantics.md §3, §9.8), as packet space.

Left out are the interface's own addresses, which depend on both ends, and what depends on the source port: DHCP, and
answers of AWS's services.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sgsim.analysis.space_algebra import Part, Space
from sgsim.analysis.space_services import ALL_SERVICES
from sgsim.intervals import Intervals
from sgsim.model import TCP, UDP, Address, Environment, parse_address

__all__ = ["exempt_egress", "exempt_ingress"]

_DNS, _TIME, _HTTP, _LICENCES = ((TCP, 53), (UDP, 53)), ((UDP, 123),), ((TCP, 80),), ((TCP, 1688),)
_SERVICES = tuple(
    (parse_address(text), services)
    for services, texts in (
        (_DNS, ("169.254.169.253", "fd00:ec2::253")),
        (_TIME, ("169.254.169.123", "fd00:ec2::123")),
        (_HTTP, ("169.254.169.254", "fd00:ec2::254", "169.254.170.2")),
        (_LICENCES, ("169.254.169.250", "169.254.169.251")),
    )
    for text in texts
)
_CLASSIC_DNS, _ROUTER = parse_address("172.16.0.23"), parse_address("fe80:ec2::1")


def exempt_egress(
    environment: Environment, vpc_id: str | None, subnet_id: str | None, group_ids: Iterable[str]
) -> Space:
    """What an interface of a VPC and subnet that carries these groups sends without its groups seeing it."""
    parts = [_part(address, services) for address, services in _SERVICES]
    vpc = environment.vpcs.get(vpc_id) if vpc_id is not None else None
    if vpc is not None and vpc.cidrs and vpc.cidrs[0].family == 4:
        parts.append(_part(Address(4, vpc.cidrs[0].network + 2), _DNS))
    groups = (environment.groups.get(group_id) for group_id in group_ids)
    if any(group is not None and group.classic for group in groups):
        parts.append(_part(_CLASSIC_DNS, _DNS))
    return Space.of(parts) | Space.of(_routers(environment, subnet_id))


def exempt_ingress(
    environment: Environment, vpc_id: str | None, subnet_id: str | None, group_ids: Iterable[str]
) -> Space:
    """What such an interface receives without its groups seeing it, whatever the source port: from its router."""
    return Space.of(_routers(environment, subnet_id))


def _routers(environment: Environment, subnet_id: str | None) -> Iterator[Part]:
    subnet = environment.subnets.get(subnet_id) if subnet_id is not None else None
    own = [Address(cidr.family, cidr.network + 1) for cidr in subnet.cidrs] if subnet is not None else []
    for address in (_ROUTER, *own):
        yield Part(address.family, Intervals((address.value, address.value + 1)), ALL_SERVICES)


def _part(address: Address, services: Iterable[tuple[int, int]]) -> Part:
    ranges = [((protocol << 16) + port, (protocol << 16) + port) for protocol, port in services]
    return Part(address.family, Intervals((address.value, address.value + 1)), Intervals.of(ranges))
