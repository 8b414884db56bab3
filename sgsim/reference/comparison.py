"""One rule against one packet, field by field, in three values (docs/semantics.md §1.2, §1.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sgsim.model import (
    ALL_PORTS,
    Address,
    CidrPeer,
    Environment,
    NetworkInterface,
    PrefixListPeer,
    SecurityGroupRule,
    Semantics,
)
from sgsim.packets import FRAGMENT_LATER
from sgsim.reference.group_references import group_truth
from sgsim.reference.truth import Truth, all_of

if TYPE_CHECKING:
    from sgsim.reference.packet import Packet

__all__ = ["Comparison"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a rule compares with a packet, field by field.

    `prefix_length` is that of the block that holds the remote address (the longest one, for a prefix list), None
    where none does. `note` says in words why `remote` is MAYBE, or NO for a reason that the addresses do not show.
    """

    rule: SecurityGroupRule
    protocol: Truth
    service: Truth
    remote: Truth
    prefix_length: int | None = None
    note: str = ""

    @property
    def truth(self) -> Truth:
        """Whether the rule matches the packet."""
        return all_of(self.protocol, self.service, self.remote)

    @classmethod
    def of(
        cls,
        environment: Environment,
        semantics: Semantics,
        interface: NetworkInterface,
        rule: SecurityGroupRule,
        packet: Packet,
        *,
        every_field: bool = False,
    ) -> Comparison:
        """Compare a rule of a group on the interface with a packet there.

        Fields are compared in order and those after the first NO are left NO, unless `every_field` is set.
        """
        protocol = protocol_truth(rule, packet)
        if protocol is Truth.NO and not every_field:
            return cls(rule, protocol, Truth.NO, Truth.NO)
        service = service_truth(rule, packet)
        if service is Truth.NO and not every_field:
            return cls(rule, protocol, service, Truth.NO)
        address = packet.remote(rule.direction)
        remote, prefix_length, note = remote_truth(environment, semantics, interface, rule, address)
        return cls(rule, protocol, service, remote, prefix_length, note)


def protocol_truth(rule: SecurityGroupRule, packet: Packet) -> Truth:
    """All protocols, or the packet's own number (§1.2)."""
    return Truth.YES if rule.protocol is None or rule.protocol == packet.protocol else Truth.NO


def service_truth(rule: SecurityGroupRule, packet: Packet) -> Truth:
    """Destination port, or ICMP type and code (§1.2); MAYBE where the packet lacks what the rule asks for (§9.15)."""
    if rule.ports is not None:
        if rule.ports == ALL_PORTS:
            return Truth.YES
        if packet.fragment == FRAGMENT_LATER:
            return Truth.MAYBE
        return Truth.YES if rule.ports.first <= packet.dstport <= rule.ports.last else Truth.NO
    if rule.icmp is not None and rule.icmp.type is not None:
        if packet.icmp_type is None or packet.fragment == FRAGMENT_LATER:
            return Truth.MAYBE
        if rule.icmp.type != packet.icmp_type:
            return Truth.NO
        if rule.icmp.code is None or rule.icmp.code == packet.icmp_code:
            return Truth.YES
        return Truth.MAYBE if packet.icmp_code is None else Truth.NO
    return Truth.YES


def remote_truth(
    environment: Environment,
    semantics: Semantics,
    interface: NetworkInterface,
    rule: SecurityGroupRule,
    remote: Address,
) -> tuple[Truth, int | None, str]:
    """Whether the rule's peer has the remote address, the prefix length that says so, and a note (§1.3)."""
    peer = rule.peer
    if isinstance(peer, CidrPeer):
        if peer.cidr.contains(remote):
            return Truth.YES, peer.cidr.prefix_length, ""
        return Truth.NO, None, ""
    if isinstance(peer, PrefixListPeer):
        return prefix_list_truth(environment, peer, remote)
    truth, note = group_truth(environment, semantics, interface, rule, peer, remote)
    return truth, None, note


def prefix_list_truth(environment: Environment, peer: PrefixListPeer, remote: Address) -> tuple[Truth, int | None, str]:
    """Whether an entry of the list has the remote address (§1.3, §9.7)."""
    prefix_list = environment.prefix_lists.get(peer.prefix_list_id)
    if prefix_list is None:
        return Truth.MAYBE, None, f"prefix list {peer.prefix_list_id} is not in the input"
    if prefix_list.entries is None:
        if prefix_list.family is not None and prefix_list.family != remote.family:
            return Truth.NO, None, f"prefix list {peer.prefix_list_id} is of IPv{prefix_list.family}"
        return Truth.MAYBE, None, f"the entries of prefix list {peer.prefix_list_id} are not in the input"
    lengths = [entry.prefix_length for entry in prefix_list.entries if entry.contains(remote)]
    return (Truth.YES, max(lengths), "") if lengths else (Truth.NO, None, "")
