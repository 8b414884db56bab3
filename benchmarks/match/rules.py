"""One group's rules and flows as plain columns: what contenders take."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.flows import FlowBlock
from sgsim.model import CidrPeer, Direction, Environment

__all__ = ["Answers", "Flows", "Rules", "rules_of"]

_LOW = 0xFFFFFFFFFFFFFFFF


class Rules(NamedTuple):
    """Inbound rules of one group and family with CIDR peers; one row a rule.

    `hi`, `lo` uint64: the block's first address, IPv4 in `lo`. `length`, `protocol` (-1 for all), `first`, `last`
    (ports) int64. `place` int64: 0 for the rule that decides before all others (docs/semantics.md §9.9).
    """

    family: int
    ids: list[str]
    hi: npt.NDArray[np.uint64]
    lo: npt.NDArray[np.uint64]
    length: npt.NDArray[np.int64]
    protocol: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    place: npt.NDArray[np.int64]

    @property
    def bits(self) -> int:
        """Of an address."""
        return 32 if self.family == 4 else 128

    def services(self) -> list[tuple[int, int, int]]:
        """(protocol, first, last) of every rule."""
        return list(zip(self.protocol.tolist(), self.first.tolist(), self.last.tolist()))

    def networks(self) -> list[int]:
        """First addresses as integers."""
        return [hi << 64 | lo for hi, lo in zip(self.hi.tolist(), self.lo.tolist())]


class Flows(NamedTuple):
    """Remote address (uint32[n], or uint64[n, 2]), port and protocol of inbound flows."""

    address: npt.NDArray[Any]
    port: npt.NDArray[np.uint16]
    protocol: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, block: FlowBlock, n: int) -> Flows:
        """The first n rows of a block whose flows are all inbound."""
        return cls(block.srcaddr[:n], block.dstport[:n], block.protocol[:n])

    def addresses(self) -> list[int]:
        """Remote addresses as integers."""
        if self.address.ndim == 1:
            return self.address.tolist()
        return [hi << 64 | lo for hi, lo in self.address.tolist()]

    def rows(self) -> zip[tuple[int, int, int]]:
        """(address, port, protocol) of every row."""
        return zip(self.addresses(), self.port.tolist(), self.protocol.tolist())


class Answers(NamedTuple):
    """What a contender says of the first rows of a case; None for what it does not tell.

    `deciding`: int64, position of the deciding rule in `Rules`, -1 for none. `counts`: how many rules match.
    `sets`: their positions, ascending.
    """

    deciding: npt.NDArray[np.int64] | None = None
    counts: npt.NDArray[np.int64] | None = None
    sets: list[tuple[int, ...]] | None = None


def rules_of(environment: Environment, group_id: str, family: int = 4) -> Rules:
    """The inbound rules of a group, in the order in which it lists them; all of them must have CIDR peers."""
    rules = [rule for rule in environment.groups[group_id].rules if rule.direction is Direction.INGRESS]
    cidrs = [rule.peer.cidr for rule in rules if isinstance(rule.peer, CidrPeer) and rule.peer.cidr.family == family]
    assert len(cidrs) == len(rules), "contenders know blocks of one family"
    protocol = np.array([-1 if rule.protocol is None else rule.protocol for rule in rules], np.int64)
    first = np.array([0 if rule.ports is None else rule.ports.first for rule in rules], np.int64)
    last = np.array([65535 if rule.ports is None else rule.ports.last for rule in rules], np.int64)
    length = np.array([cidr.prefix_length for cidr in cidrs], np.int64)
    ids = [rule.rule_id for rule in rules]
    width = np.where(protocol < 0, 1 << 32, last - first)
    place = np.empty(len(rules), np.int64)
    place[np.lexsort((np.array(ids), width, -length))] = np.arange(len(rules))
    hi = np.array([cidr.network >> 64 for cidr in cidrs], np.uint64)
    lo = np.array([cidr.network & _LOW for cidr in cidrs], np.uint64)
    return Rules(family, ids, hi, lo, length, protocol, first, last, place)
