"""The groups of one interface as an nftables ruleset: plain text from the rule model, sharing nothing with sgsim.

Both chains have the same form. A reply, or an ICMP error about a live connection, is accepted by state. Everything
else meets every rule, each of which counts and none of which ends the walk, so that the counters show complete
match sets; then it is accepted if any rule matched.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from sgsim.model import (
    ALL_PORTS,
    ICMP,
    TCP,
    Address,
    Cidr,
    CidrPeer,
    Direction,
    Environment,
    GroupPeer,
    PrefixListPeer,
    SecurityGroupRule,
)


class Mark(IntEnum):
    """The DSCP by which a host says why it let a packet through."""

    OPENS = 1  #: by rules, and conntrack has no connection for it yet
    AGAIN = 2  #: by rules, on a live connection, in the direction that opened it
    REPLY = 3  #: by state: the other direction of a live connection
    RELATED = 4  #: by state: an ICMP error that quotes a live connection
    UNTRACKABLE = 5  #: by rules, and conntrack will make no connection of it
    OUTLIVES = 6  #: by state: the direction that opened a live connection, though no rule matches any more


PREAMBLE = """
table inet groups {{
{sets}
  chain forward {{
    type filter hook forward priority 0; policy drop;
    ip daddr 192.0.2.255 ip protocol 253 accept
    iifname "inst" goto egress
    iifname "net" goto ingress
  }}
  chain egress {{
{egress}
  }}
  chain ingress {{
{ingress}
  }}
}}
"""

BEFORE = ["ct state established ct direction reply goto reply", "ct state related goto related"]
AFTER = [
    "meta mark 1 ct state invalid,untracked goto untrackable",
    "meta mark 1 ct status & confirmed == confirmed goto again",
    "meta mark 1 goto opens",
    "ct status & confirmed == confirmed goto outlives",
    "drop",
]


def ruleset(environment: Environment, interface_id: str) -> str:
    """nftables text for the namespace of one interface; every rule's comment is its rule id."""
    interface = environment.interfaces[interface_id]
    sets: dict[str, str] = {}
    chains = {direction: list(BEFORE) for direction in Direction}
    for group_id in interface.group_ids:
        for rule in environment.groups[group_id].rules:
            chains[rule.direction] += _lines(environment, interface.vpc_id, rule, sets)
    egress, ingress = (
        "\n".join(f"    {line}" for line in (*chains[direction], *AFTER))
        for direction in (Direction.EGRESS, Direction.INGRESS)
    )
    text = PREAMBLE.format(sets="\n".join(sets.values()), egress=egress, ingress=ingress)
    marks = "\n".join(
        f"  chain {mark.name.lower()} {{\n"
        f"    meta nfproto ipv4 ip dscp set {mark:#x} accept\n    ip6 dscp set {mark:#x} accept\n  }}"
        for mark in Mark
    )
    # Chains must exist before a rule goes to them.
    return "table inet groups {\n" + marks + "\n}\n" + text


def members(environment: Environment, vpc_id: str | None, group_id: str) -> list[Cidr]:
    """Private addresses of the interfaces that carry a group, seen from a VPC (docs/semantics.md §1.4).

    Interfaces of another VPC count only over an active peering.
    """
    peered = {vpc_id} | {
        other
        for peering in environment.peerings.values()
        if peering.status == "active" and vpc_id in (ends := (peering.requester_vpc_id, peering.accepter_vpc_id))
        for other in ends
    }
    return [
        block
        for interface in environment.interfaces.values()
        if group_id in interface.group_ids and interface.vpc_id in peered
        for block in (*map(single, interface.addresses), *interface.prefixes)
    ]


def single(address: Address) -> Cidr:
    """The block of one address."""
    return Cidr(address.family, address.value, 32 if address.family == 4 else 128)


def _lines(
    environment: Environment, vpc_id: str | None, rule: SecurityGroupRule, sets: dict[str, str]
) -> Iterable[str]:
    """One nftables rule per address family that the rule can match; `sets` gains the address sets it needs."""
    for family in (4, 6):
        match rule.peer:
            case CidrPeer(cidr):
                blocks = [cidr]
            case PrefixListPeer(prefix_list_id):
                blocks = list(environment.prefix_lists[prefix_list_id].entries or ())
            case GroupPeer(group_id):
                blocks = members(environment, vpc_id, group_id)
        blocks = [block for block in blocks if block.family == family]
        if not blocks:
            continue
        remote = _remote(rule.direction, family, blocks, sets)
        yield f'{remote} {_service(rule)} counter meta mark set 1 comment "{rule.rule_id}"'


def _remote(direction: Direction, family: int, blocks: list[Cidr], sets: dict[str, str]) -> str:
    word, kind = ("ip", "ipv4_addr") if family == 4 else ("ip6", "ipv6_addr")
    if any(block.prefix_length == 0 for block in blocks):
        return f"meta nfproto ipv{family}"
    side = "saddr" if direction is Direction.INGRESS else "daddr"
    if len(blocks) == 1:
        return f"{word} {side} {blocks[0]}"
    elements = ", ".join(sorted(map(str, blocks)))
    if elements not in sets:
        sets[elements] = (
            f"  set blocks{len(sets)} {{ type {kind}; flags interval; auto-merge; elements = {{ {elements} }}; }}"
        )
    return f"{word} {side} @blocks{list(sets).index(elements)}"


def _service(rule: SecurityGroupRule) -> str:
    if rule.protocol is None:
        return ""
    if rule.ports is not None:
        name = "tcp" if rule.protocol == TCP else "udp"
        first, last = rule.ports
        if rule.ports == ALL_PORTS:
            return f"meta l4proto {name}"
        return f"{name} dport {first}" if first == last else f"{name} dport {first}-{last}"
    if rule.icmp is not None and rule.icmp.type is not None:
        name = "icmp" if rule.protocol == ICMP else "icmpv6"
        code = "" if rule.icmp.code is None else f" {name} code {rule.icmp.code}"
        return f"{name} type {rule.icmp.type}{code}"
    return f"meta l4proto {rule.protocol}"
