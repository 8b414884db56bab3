"""Ports and addresses that nothing in an environment tells apart.

Rules look at a packet's destination port and at its addresses only by ranges, and so does everything else that a
verdict without time depends on. Between two neighbouring bounds of all these ranges every value is the same to them:
a *class*. The world's clients of a public server are one question then, not a million.

What is listed here must hold every bound that the slow twin (`sgsim.reference`) compares with.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from sgsim.kernels.joining_layout import Classes
from sgsim.model import Cidr, CidrPeer, Environment, Semantics, parse_address, parse_cidr

__all__ = ["classes_of"]

_DENSE = 16  #: bounds in a block that are worth a block of 257 finer ones: 130 bytes a bound
#: Ports of traffic that groups never see (docs/semantics.md §3).
_SERVICE_PORTS = (53, 67, 68, 80, 123, 546, 547, 1688)
_SERVICE_ADDRESSES = tuple(
    parse_address(text).value
    for text in (
        *("169.254.169.253", "169.254.169.254", "169.254.169.123", "169.254.170.2"),
        *("169.254.169.250", "169.254.169.251", "169.254.169.249", "172.16.0.23", "255.255.255.255"),
    )
)
#: Private addresses (§9.5) and link-local ones (§3).
_RANGES = tuple(parse_cidr(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"))


def classes_of(environment: Environment, semantics: Semantics) -> Classes:
    """The classes of source ports, of destination ports and of IPv4 addresses."""
    services = {bound for port in _SERVICE_PORTS for bound in (port, port + 1)}
    ranges = {rule.ports for group in environment.groups.values() for rule in group.rules if rule.ports is not None}
    targets = services | {bound for first, last in ranges for bound in (first, last + 1)}
    bounds = _address_bounds(environment, semantics)
    first, finer = _blocks(bounds)
    return Classes(_port_classes(services), _port_classes(targets), bounds, first, finer)


def _port_classes(bounds: Iterable[int]) -> npt.NDArray[np.uint16]:
    starts = np.zeros(65536, np.int64)
    starts[sorted(bound for bound in bounds if 0 < bound < 65536)] = 1
    return np.cumsum(starts).astype(np.uint16)


def _address_bounds(environment: Environment, semantics: Semantics) -> npt.NDArray[np.int64]:
    """Where the classes of IPv4 addresses begin, ascending; int64."""
    singles = set(_SERVICE_ADDRESSES)
    blocks: set[Cidr] = {*_RANGES, *semantics.behind_middlebox}
    for group in environment.groups.values():
        blocks.update(rule.peer.cidr for rule in group.rules if isinstance(rule.peer, CidrPeer))
    for prefix_list in environment.prefix_lists.values():
        blocks.update(prefix_list.entries or ())
    for interface in environment.interfaces.values():
        singles.update(address.value for address in interface.addresses if address.family == 4)
        blocks.update(interface.prefixes)
    networks = {cidr for vpc in environment.vpcs.values() for cidr in vpc.cidrs}
    networks |= {cidr for subnet in environment.subnets.values() for cidr in subnet.cidrs}
    blocks |= networks
    singles.update(cidr.network + n for cidr in networks if cidr.family == 4 for n in (1, 2))
    pairs = [(cidr.network, cidr.last + 1) for cidr in blocks if cidr.family == 4]
    pairs += [(value, value + 1) for value in singles]
    return np.unique(np.array(pairs, np.int64))


def _blocks(bounds: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """`first` and `finer` of Classes. What has fewer bounds than _DENSE is bisected, in four steps at most."""
    firsts, finers, size = [], [], 0
    starts = (np.arange(65537, dtype=np.int64) << 16)[None]
    for shift in (8, 0, None):
        first = np.searchsorted(bounds, starts)
        finer = np.zeros(first.shape, np.int64)
        size += first.size
        firsts.append(first.ravel())
        finers.append(finer)
        if shift is not None:
            dense = np.diff(first) >= _DENSE
            finer[:, :-1][dense] = size + 257 * np.arange(dense.sum())
            starts = starts[:, :-1][dense][:, None] + (np.arange(257, dtype=np.int64) << shift)
    return np.concatenate(firsts).astype(np.int32), np.concatenate([one.ravel() for one in finers]).astype(np.int32)
