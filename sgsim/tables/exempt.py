"""Addresses whose traffic security groups never see (docs/semantics.md §3, §9.8)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["OWN", "RESOLVER", "ROUTER", "Services", "Specials"]

OWN, ROUTER, RESOLVER = 1, 2, 4


class Specials(NamedTuple):
    """Address ranges that are special to one interface; its record says which (`FamilyTables.records`).

    From `hi`, `lo` to `last_hi`, `last_lo`, inclusive. `kind` uint8: OWN addresses and delegated prefixes, the VPC
    ROUTER in the interface's subnet, Amazon's RESOLVER in its VPC.
    """

    hi: npt.NDArray[np.uint64]
    lo: npt.NDArray[np.uint64]
    last_hi: npt.NDArray[np.uint64]
    last_lo: npt.NDArray[np.uint64]
    kind: npt.NDArray[np.uint8]


class Services(NamedTuple):
    """Exempt services at fixed addresses of one family: address, protocol and the service's own port.

    `link_local` are the first and last high half (IPv6) or address (IPv4) of the link-local block; `dhcp` the two
    ports, of which one end has the one and the other the other.
    """

    hi: npt.NDArray[np.uint64]
    lo: npt.NDArray[np.uint64]
    protocol: npt.NDArray[np.uint8]
    port: npt.NDArray[np.uint16]
    link_local: npt.NDArray[np.uint64]
    dhcp: npt.NDArray[np.uint16]
