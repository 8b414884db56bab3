"""Rules that allow more than they were used for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from sgsim.analysis.findings import Wider
from sgsim.analysis.usage_counts import RuleUse, service_of
from sgsim.analysis.usage_cover import cover_cidrs, cover_ports
from sgsim.model import (
    ALL_PORTS,
    ICMP,
    ICMPV6,
    TCP,
    UDP,
    Cidr,
    CidrPeer,
    Environment,
    PortRange,
    PrefixListPeer,
    SecurityGroupRule,
    protocol_name,
)

__all__ = ["MOST_BLOCKS", "MOST_RANGES", "wider"]

MOST_BLOCKS = 8  #: blocks of one family that a rule's traffic is described by
MOST_RANGES = 8  #: ranges of ports of one protocol
_WIDTH = {4: 32, 6: 128}


def wider(environment: Environment, rules: Sequence[SecurityGroupRule], use: RuleUse) -> Iterator[Wider]:
    """One finding for each used rule whose addresses or services exceed those seen."""
    for n, rule in enumerate(rules):
        if not use.flows[n]:
            continue
        allowed = _allowed_cidrs(environment, rule)
        cidrs: tuple[Cidr, ...] = ()
        if allowed and n in use.peers:
            cidrs = cover_cidrs(use.peers[n].cidrs(), MOST_BLOCKS)
            if _size(cidrs) >= _size(allowed):
                cidrs = ()
        services = _seen_services(rule, use.services.get(n, np.empty(0, np.int64)))
        if cidrs or services:
            yield Wider(
                subject=rule.rule_id,
                group_id=rule.group_id,
                cidrs=cidrs,
                services=services,
                addresses=_size(allowed),
                seen_addresses=_size(cidrs),
            )


def _allowed_cidrs(environment: Environment, rule: SecurityGroupRule) -> tuple[Cidr, ...]:
    """The blocks of the rule's peer; none for a group, whose members are what they are, and for an unknown list."""
    if isinstance(rule.peer, CidrPeer):
        return (rule.peer.cidr,)
    if isinstance(rule.peer, PrefixListPeer):
        listed = environment.prefix_lists.get(rule.peer.prefix_list_id)
        return () if listed is None or not listed.entries else cover_cidrs(listed.entries, len(listed.entries))
    return ()


def _size(cidrs: Sequence[Cidr]) -> int:
    return sum(1 << (_WIDTH[cidr.family] - cidr.prefix_length) for cidr in cidrs)


def _seen_services(rule: SecurityGroupRule, codes: npt.NDArray[np.int64]) -> tuple[str, ...]:
    """The services seen, in words, if the rule allows more; none where a record does not tell port or type."""
    seen: dict[int, list[int]] = {}
    unclear = set[int]()
    for protocol, number in map(service_of, codes.tolist()):
        if number is None:
            unclear.add(protocol)
        seen.setdefault(protocol, []).extend([] if number is None else [number])
    if rule.protocol is not None and rule.protocol in unclear:
        return ()
    if rule.ports is not None:
        ranges = cover_ports(seen.get(rule.protocol or 0, ()), MOST_RANGES)
        return () if _count(ranges) >= _count((rule.ports,)) else _in_words(rule.protocol or 0, ranges)
    if rule.icmp is not None:
        if rule.icmp.code is not None:
            return ()
        return _icmp_in_words(rule.protocol or 0, seen.get(rule.protocol or 0, ()))
    if rule.protocol is not None:
        return ()
    words: list[str] = []
    for protocol in sorted(seen):
        if protocol in (TCP, UDP):
            ranges = (ALL_PORTS,) if protocol in unclear else cover_ports(seen[protocol], MOST_RANGES)
            words += _in_words(protocol, ranges)
        elif protocol in (ICMP, ICMPV6) and protocol not in unclear:
            words += _icmp_in_words(protocol, seen[protocol])
        else:
            words.append(protocol_name(protocol))
    return tuple(words)


def _count(ranges: Sequence[PortRange]) -> int:
    return sum(last - first + 1 for first, last in ranges)


def _in_words(protocol: int, ranges: Sequence[PortRange]) -> tuple[str, ...]:
    name = protocol_name(protocol)
    if ranges == (ALL_PORTS,):
        return (f"{name} all ports",)
    return tuple(f"{name} {first}" if first == last else f"{name} {first}-{last}" for first, last in ranges)


def _icmp_in_words(protocol: int, numbers: Sequence[int]) -> tuple[str, ...]:
    return tuple(f"{protocol_name(protocol)} {number >> 8}/{number & 0xFF}" for number in sorted(set(numbers)))
