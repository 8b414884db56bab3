"""What an interface opens to the internet, decided on the union of its rules.

The internet is the global unicast address space less the ranges of the environment's own VPCs. A service is open to it
when a threshold's worth of its addresses is accepted: a /8 of IPv4, a /16 of IPv6. Two hundred /15s in place of
0.0.0.0/0 are open all the same. Whether a route leads there is not asked: groups are a filter.
"""

from __future__ import annotations

from typing import NamedTuple

from sgsim.analysis.space_algebra import Part, Space
from sgsim.intervals import EMPTY, Intervals, union_of
from sgsim.model import Environment, parse_cidr

__all__ = ["Exposure", "Threshold", "exposure", "internet"]


def _blocks(*texts: str) -> Intervals:
    cidrs = [parse_cidr(text) for text in texts]
    return Intervals.of([(cidr.network, cidr.last) for cidr in cidrs])


#: IPv4 that is not global unicast (IANA's special-purpose registry, multicast and class E).
_SPECIAL_V4 = _blocks(
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/3",
)  # fmt: skip
#: IPv6 global unicast, and the documentation blocks in it.
_GLOBAL_V6, _SPECIAL_V6 = _blocks("2000::/3"), _blocks("2001:db8::/32", "3fff::/20")


class Threshold(NamedTuple):
    """How much of the internet counts: the worth of a block of this prefix length, for each family."""

    v4: int = 8
    v6: int = 16

    def size(self, family: int) -> int:
        """In addresses."""
        return 1 << (32 - self.v4 if family == 4 else 128 - self.v6)


class Exposure(NamedTuple):
    """The services that are open to the internet, over IPv4 and over IPv6.

    Each of them, alone, is accepted from (or to) a threshold's worth of addresses. `addresses` counts for
    (IPv4, IPv6) the addresses of the internet for which anything at all is accepted; `open` is decided on these, so
    that neither blocks nor services can be split to hide it.
    """

    v4: Intervals
    v6: Intervals
    addresses: tuple[int, int]
    open: bool


def internet(environment: Environment) -> tuple[Intervals, Intervals]:
    """The internet's addresses, (IPv4, IPv6)."""
    own = {
        family: Intervals.of(
            [(c.network, c.last) for vpc in environment.vpcs.values() for c in vpc.cidrs if c.family == family]
        )
        for family in (4, 6)
    }
    return _SPECIAL_V4.complement(1 << 32) - own[4], _GLOBAL_V6 - _SPECIAL_V6 - own[6]


def exposure(space: Space, addresses: tuple[Intervals, Intervals], threshold: Threshold | None = None) -> Exposure:
    """What of a space is open to the internet (`addresses`, as `internet` gives them)."""
    limit = Threshold() if threshold is None else threshold
    services, sizes = [], []
    for family, outside in zip((4, 6), addresses):
        inside = space & Space.of([Part(family, outside, _any_service(space, family))])
        wide = [p.services for p in inside.by_service(family) if p.addresses.size >= limit.size(family)]
        services.append(union_of(wide))
        sizes.append(inside.addresses(family).size)
    is_open = any(size >= limit.size(family) for size, family in zip(sizes, (4, 6)))
    return Exposure(services[0], services[1], (sizes[0], sizes[1]), is_open)


def _any_service(space: Space, family: int) -> Intervals:
    steps = space.steps(family)
    return union_of(services for _, services in steps) if steps else EMPTY
