"""Every rule for every flow, with the standard library's addresses."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from benchmarks.contest import Bench, Call, Contender
from benchmarks.match.cases import Case
from benchmarks.match.rules import Answers, Flows, Rules

__all__ = ["CONTENDER", "ipaddress_loop"]

_COMPARISONS = 1_000_000


def ipaddress_loop(flows: Flows, rules: Rules) -> list[tuple[int, ...]]:
    """All rules that match each flow."""
    network_of, address_of = (IPv4Network, IPv4Address) if rules.family == 4 else (IPv6Network, IPv6Address)
    networks = [network_of(pair) for pair in zip(rules.networks(), rules.length.tolist())]
    listed = list(enumerate(zip(networks, rules.services())))
    answers = []
    for number, port, protocol in flows.rows():
        address = address_of(number)
        found = []
        for rule, (network, (of_protocol, first, last)) in listed:
            if (of_protocol < 0 or (of_protocol == protocol and first <= port <= last)) and address in network:
                found.append(rule)
        answers.append(tuple(found))
    return answers


def _enter(case: Case, bench: Bench) -> Iterator[Call]:
    if case.rules is None:
        return
    n, rules = case.share(_COMPARISONS), case.rules
    flows = Flows.of(case.block, n)
    yield Call(
        "ipaddress loop",
        n,
        lambda: ipaddress_loop(flows, rules),
        lambda: Answers(sets=ipaddress_loop(flows, rules)),
    )


CONTENDER = Contender("ipaddress loop", _enter)
