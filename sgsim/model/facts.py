"""Tables of AWS facts about connection tracking that several modules need; the sources are in docs/semantics.md."""

from __future__ import annotations

__all__ = ["AUTO_TRACKED_INTERFACE_TYPES", "NITRO_V6_FAMILIES", "is_nitro_v6"]

#: Connections with an end of one of these interface types are tracked whatever the rules say (docs/semantics.md §2.1).
#: Network Firewall endpoints are of the Gateway Load Balancer endpoint type. Both spellings of NAT gateways are met.
AUTO_TRACKED_INTERFACE_TYPES = frozenset(
    {
        "natGateway",
        "nat_gateway",
        "network_load_balancer",
        "vpc_endpoint",
        "gateway_load_balancer_endpoint",
        "global_accelerator_managed",
        "lambda",
    }
)

#: Instance families on Nitro version 6 (docs/semantics.md §2.3), whose default for idle TCP is 350 s. P6e-GB200 is not
#: one of them.
NITRO_V6_FAMILIES = frozenset(
    # general purpose, compute, memory, storage, accelerated and high-performance computing
    """
    m8a m8azn m8gb m8gn m8i m8ib m8id m8idb m8idn m8i-flex m8in m8ine m9g m9gd t8i
    c8a c8gb c8gn c8i c8ib c8id c8i-flex c8in c8ine c9g c9gd
    r8a r8gb r8gn r8i r8ib r8id r8idb r8idn r8i-flex r8in r9g r9gd x8aedz x8i
    i8ge
    g7 g7e p6-b200 p6-b300
    hpc8a
    """.split()  # noqa: SIM905
)


def is_nitro_v6(instance_type: str | None) -> bool:
    """Whether an instance type such as `m8i.large` is of a Nitro v6 family; False where the type is not known."""
    return instance_type is not None and instance_type.partition(".")[0].lower() in NITRO_V6_FAMILIES
