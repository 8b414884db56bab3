"""Services as one axis of integers: protocol × 65 536 + destination port, or ICMP type × 256 + code.

So whatever one rule admits is one range: all protocols [0, 2**24), `tcp 80-90` [6·65536+80, 6·65536+91), `icmp 3/*`
[65536+768, 65536+1024). Protocols without ports hold all of their 65 536 points or none (docs/semantics.md §1.2).
"""

from __future__ import annotations

from collections.abc import Iterator

from sgsim.intervals import Intervals
from sgsim.model import ICMP, ICMPV6, TCP, UDP, SecurityGroupRule, protocol_name

__all__ = ["ALL_SERVICES", "SERVICES_END", "format_services", "service_point", "service_range", "service_words"]

SERVICES_END = 1 << 24
ALL_SERVICES = Intervals((0, SERVICES_END))


def service_range(rule: SecurityGroupRule) -> tuple[int, int]:
    """The services that a rule admits, [first, end) on the axis."""
    if rule.protocol is None:
        return 0, SERVICES_END
    base = rule.protocol << 16
    if rule.ports is not None:
        return base + rule.ports.first, base + rule.ports.last + 1
    if rule.icmp is not None and rule.icmp.type is not None:
        first = base + (rule.icmp.type << 8)
        return (first, first + 256) if rule.icmp.code is None else (first + rule.icmp.code, first + rule.icmp.code + 1)
    return base, base + (1 << 16)


def service_point(protocol: int, dstport: int = 0, icmp_type: int = 0, icmp_code: int = 0) -> int:
    """The point of the axis at which a packet lies."""
    if protocol in (ICMP, ICMPV6):
        return (protocol << 16) + (icmp_type << 8) + icmp_code
    return (protocol << 16) + dstport


def service_words(services: Intervals) -> Iterator[str]:
    """`tcp 22,80-90`, `icmp 8/0`, `50`, `all`: one word for each protocol, or run of whole protocols, ascending."""
    whole: list[int] = []
    parts: list[tuple[int, Intervals]] = []
    for first, last in services:
        for protocol in range(first >> 16, (last >> 16) + 1):
            base = protocol << 16
            if first <= base and base + 65535 <= last:
                whole.append(protocol)
            elif not parts or parts[-1][0] != protocol:
                parts.append((protocol, services.clip(base, base + 65536)))
    words = [(protocol, _part(protocol, inside)) for protocol, inside in parts]
    words += _whole_words(whole)
    return (word for _, word in sorted(words))


def format_services(services: Intervals) -> str:
    """All words of a set of services, `tcp 22,80-90; udp 53`; `nothing` for none.

    Of nearly all services, where that is fewer words, what is missing: `all but tcp 22; udp 53`.
    """
    words = list(service_words(services))
    missing = list(service_words(services.complement(SERVICES_END)))
    if missing and len(missing) < len(words):
        return f"all but {'; '.join(missing)}"
    return "; ".join(words) or "nothing"


def _part(protocol: int, services: Intervals) -> str:
    """Some ports, or types and codes, of one protocol."""
    base = protocol << 16
    if protocol in (ICMP, ICMPV6):
        return f"{protocol_name(protocol)} {','.join(_types(base, services))}"
    ports = (f"{first - base}" if first == last else f"{first - base}-{last - base}" for first, last in services)
    return f"{protocol_name(protocol)} {','.join(ports)}"


def _types(base: int, services: Intervals) -> Iterator[str]:
    for first, last in services:
        for icmp_type in range((first - base) >> 8, ((last - base) >> 8) + 1):
            low, high = max(first - base - icmp_type * 256, 0), min(last - base - icmp_type * 256, 255)
            codes = "*" if (low, high) == (0, 255) else f"{low}" if low == high else f"{low}-{high}"
            yield f"{icmp_type}/{codes}"


def _whole_words(protocols: list[int]) -> list[tuple[int, str]]:
    """Whole protocols: those with a name or alone by themselves, runs of others joined, all of them `all`."""
    if len(protocols) == 256:
        return [(0, "all")]
    words: list[tuple[int, str]] = []
    runs = Intervals.of([(protocol, protocol) for protocol in protocols])
    for first, last in runs:
        if last - first >= 8:
            words.append((first, f"protocols {first}-{last}"))
            continue
        for protocol in range(first, last + 1):
            name = protocol_name(protocol)
            words.append((protocol, f"{name} all ports" if protocol in (TCP, UDP) else name))
    return words
