"""What the network ACL of an interface's subnet says of a record: an explanation, never part of a verdict.

ACLs are ordered (the first entry that matches decides), stateless, and see only what crosses the border of the
subnet (docs/semantics.md §4). Whatever no entry matches is denied.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.flows import NO_INTERFACE
from sgsim.model import ICMP, ICMPV6, TCP, UDP, Cidr, Direction, Environment
from sgsim.model.acls import NetworkAcl, NetworkAclEntry
from sgsim.verdicts import Verdicts

__all__ = ["AclAnswer", "AclAnswers", "NetworkAcls"]

_LAST = 32767  #: the number of the entry that denies what no other entry matches


class AclAnswer(IntEnum):
    """What an ACL says of a record."""

    NONE = 0  #: no ACL is described for the subnet, or the record does not cross its border
    ALLOWS = 1
    DENIES = 2
    UNKNOWN = 3  #: it depends on what the record does not tell, or where the other end is


class AclAnswers(NamedTuple):
    """n records: AclAnswer (uint8), the ACL (index of `NetworkAcls.acls`, -1), the number of the deciding entry."""

    answer: npt.NDArray[np.uint8]
    acl: npt.NDArray[np.int32]
    entry: npt.NDArray[np.int32]


class NetworkAcls:
    """The ACLs of an environment, by the interfaces behind them. `acls` is sorted by id."""

    def __init__(self, environment: Environment, interface_ids: Sequence[str]) -> None:
        self.acls: list[NetworkAcl] = [environment.acls[name] for name in sorted(environment.acls)]
        by_subnet = {subnet: n for n, acl in enumerate(self.acls) for subnet in acl.subnet_ids}
        by_vpc = {acl.vpc_id: n for n, acl in enumerate(self.acls) if acl.is_default and acl.vpc_id is not None}
        self._acl_of = np.full(len(interface_ids) + 1, -1, np.int32)  # the last one is for no interface
        self._subnet_of = np.full(len(interface_ids) + 1, -1, np.int32)
        self._ranges: list[tuple[Cidr, ...]] = []
        known: dict[str, int] = {}
        for n, name in enumerate(interface_ids):
            interface = environment.interfaces[name]
            if interface.subnet_id is None:
                continue
            self._acl_of[n] = by_subnet.get(interface.subnet_id, by_vpc.get(interface.vpc_id or "", -1))
            if interface.subnet_id not in known:
                known[interface.subnet_id] = len(self._ranges)
                subnet = environment.subnets.get(interface.subnet_id)
                self._ranges.append(subnet.cidrs if subnet is not None else ())
            self._subnet_of[n] = known[interface.subnet_id]

    def ask(self, verdicts: Verdicts, rows: npt.NDArray[np.int64]) -> AclAnswers:
        """What the ACL at each record's own interface says, in the record's direction."""
        answers = AclAnswers(
            np.zeros(len(rows), np.uint8), np.full(len(rows), -1, np.int32), np.full(len(rows), -1, np.int32)
        )
        if not self.acls:
            return answers
        interface, direction = verdicts.interface[rows], verdicts.direction[rows]
        placed = (interface > NO_INTERFACE) & (direction < len(Direction))
        acl = np.where(placed, self._acl_of[np.where(placed, interface, -1)], -1)
        answers.acl[:] = acl
        for number in np.unique(acl[acl >= 0]).tolist():
            for way in Direction:
                which = np.flatnonzero((acl == number) & (direction == int(way)))
                if len(which):
                    self._ask_one(self.acls[number], way, verdicts, rows, which, answers)
        return answers

    def _ask_one(
        self,
        acl: NetworkAcl,
        way: Direction,
        verdicts: Verdicts,
        rows: npt.NDArray[np.int64],
        which: npt.NDArray[np.int64],
        answers: AclAnswers,
    ) -> None:
        of = rows[which]
        ingress = way is Direction.INGRESS
        remote = _Flows(
            verdicts.family[of],
            verdicts.src_hi[of] if ingress else verdicts.dst_hi[of],
            verdicts.src_lo[of] if ingress else verdicts.dst_lo[of],
            verdicts.protocol[of],
            verdicts.dstport[of],
            (verdicts.srcport[of] == 0) & (verdicts.dstport[of] == 0),
        )
        crosses = self._crosses(verdicts.interface[of], remote)
        answer, entry = _decide([one for one in acl.entries if one.direction is way], remote)
        answer = np.where((crosses == _MAYBE) & (answer == AclAnswer.DENIES), AclAnswer.UNKNOWN, answer)
        answers.answer[which] = np.where(crosses == _NO, AclAnswer.NONE, answer)
        answers.entry[which] = entry

    def _crosses(self, interface: npt.NDArray[np.int32], remote: _Flows) -> npt.NDArray[np.uint8]:
        """Whether the other end is outside the interface's subnet."""
        crosses = np.full(len(interface), _YES, np.uint8)
        subnet = self._subnet_of[interface]
        for number in np.unique(subnet).tolist():
            here = subnet == number
            ranges = self._ranges[number]
            if not ranges:
                crosses[here] = _MAYBE
            for cidr in ranges:
                crosses[here & remote.inside(cidr)] = _NO
        return crosses


_NO, _MAYBE, _YES = 0, 1, 2


class _Flows(NamedTuple):
    """What ACLs look at. `portless`: neither port is known, as of later fragments."""

    family: npt.NDArray[np.uint8]
    hi: npt.NDArray[np.uint64]
    lo: npt.NDArray[np.uint64]
    protocol: npt.NDArray[np.uint8]
    dstport: npt.NDArray[np.uint16]
    portless: npt.NDArray[np.bool_]

    def inside(self, cidr: Cidr) -> npt.NDArray[np.bool_]:
        """Whether each remote address lies in a block."""
        low = (1 << 64) - 1
        mask = ((1 << 128) - 1) ^ ((1 << ((32 if cidr.family == 4 else 128) - cidr.prefix_length)) - 1)
        same_hi = (self.hi & np.uint64(mask >> 64)) == np.uint64(cidr.network >> 64)
        same_lo = (self.lo & np.uint64(mask & low)) == np.uint64(cidr.network & low)
        result: npt.NDArray[np.bool_] = (self.family == cidr.family) & same_hi & same_lo
        return result


def _decide(entries: list[NetworkAclEntry], flows: _Flows) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """The first entry that matches decides; one that may match leaves open what differs from those behind it."""
    n = len(flows.family)
    answer, entry = np.zeros(n, np.uint8), np.full(n, _LAST, np.int32)
    may_allow, may_deny = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    open_ = np.ones(n, np.bool_)
    for one in [*entries, None]:
        sure, maybe = (open_, np.zeros(n, np.bool_)) if one is None else _matches(one, flows)
        allows = one is not None and one.allow
        decided = open_ & sure
        conflict = may_deny if allows else may_allow
        said = AclAnswer.ALLOWS if allows else AclAnswer.DENIES
        answer[decided] = np.where(conflict[decided], AclAnswer.UNKNOWN, said)
        entry[decided] = _LAST if one is None else one.number
        open_ = open_ & ~decided
        if allows:
            may_allow |= open_ & maybe
        else:
            may_deny |= open_ & maybe
    return answer, entry


def _matches(one: NetworkAclEntry, flows: _Flows) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which flows an entry surely matches, and which it may match."""
    fits = flows.inside(one.cidr)
    if one.protocol is not None:
        fits = fits & (flows.protocol == one.protocol)
    if one.protocol in (ICMP, ICMPV6) and one.icmp is not None:
        return np.zeros_like(fits), fits  # a log does not tell the type
    if one.protocol in (TCP, UDP) and one.ports is not None and one.ports != (0, 65535):
        within = (flows.dstport >= one.ports.first) & (flows.dstport <= one.ports.last)
        return fits & within & ~flows.portless, fits & flows.portless
    return fits, np.zeros_like(fits)
