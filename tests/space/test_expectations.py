"""Expectations against brute force: every packet of a small set, judged at both ends by the twin."""

from __future__ import annotations

from collections import Counter
from itertools import product
from random import Random

import pytest

from sgsim.analysis.expectations import Outcome, decide, parse_expectation, parse_expectations
from sgsim.analysis.notation import parse_flow
from sgsim.analysis.space import service_point
from sgsim.errors import InputError
from sgsim.model import (
    ICMP,
    ICMPV6,
    TCP,
    UDP,
    UNFILTERED_INTERFACE_TYPES,
    Address,
    Cidr,
    Direction,
    Environment,
    NetworkInterface,
    Semantics,
)
from sgsim.reference import Packet, judge
from sgsim.verdicts import Reason, Verdict
from tests.generators.environments import OUTSIDERS
from tests.strategies import random_environment, random_semantics

Host = tuple[str | None, Address]
SERVICES = {
    ":443": [(TCP, 443, 0), (UDP, 443, 0)],
    ":22,53": [(TCP, 22, 0), (UDP, 22, 0), (TCP, 53, 0), (UDP, 53, 0)],
    "tcp :443,5432-5433": [(TCP, 443, 0), (TCP, 5432, 0), (TCP, 5433, 0)],
    "udp :53": [(UDP, 53, 0)],
    "50,47 ": [(50, 0, 0), (47, 0, 0)],
    "icmp  8/0,3/4": [(ICMP, 8, 0), (ICMP, 3, 4)],
    "icmpv6  128/0": [(ICMPV6, 128, 0)],
}


def filtered(interface: NetworkInterface) -> bool:
    return bool(interface.group_ids) or interface.interface_type not in UNFILTERED_INTERFACE_TYPES


def holders(environment: Environment, address: Address) -> list[Host]:
    """Everyone who has an address: interfaces with groups, else someone outside."""
    found: list[Host] = [
        (name, address)
        for name, one in environment.interfaces.items()
        if filtered(one) and (address in one.addresses or any(prefix.contains(address) for prefix in one.prefixes))
    ]
    return found or [(None, address)]


def addresses_of(interface: NetworkInterface) -> list[Address]:
    """Own addresses and delegated ones; of a wide prefix the ends alone."""
    found = list(interface.addresses)
    for prefix in interface.prefixes:
        if prefix.family == 4:
            found += [Address(4, prefix.network + n) for n in range(16)]
        else:
            found += [Address(6, prefix.network), Address(6, prefix.last)]
    return found


def random_side(rng: Random, environment: Environment) -> tuple[str, list[Host]]:
    """A few terms and everyone whom they mean."""
    terms, hosts = [], []
    for _ in range(rng.choice((1, 1, 2))):
        kind = rng.random()
        interface = rng.choice(list(environment.interfaces.values()))
        if kind < 0.3:
            terms.append(interface.interface_id)
            hosts += [(interface.interface_id, address) for address in addresses_of(interface)]
        elif kind < 0.55:
            group_id = rng.choice(sorted(environment.groups))
            name = environment.groups[group_id].name
            terms.append(rng.choice((group_id, f'"{name}"')))
            for one in environment.interfaces.values():
                if group_id in one.group_ids:
                    hosts += [(one.interface_id, address) for address in addresses_of(one)]
        else:
            known = [address for one in environment.interfaces.values() for address in one.addresses]
            address = rng.choice((rng.choice(known), rng.choice(OUTSIDERS)))
            width = 32 if address.family == 4 else 128
            length = rng.choice((width, width, width - 2))
            block = Cidr(address.family, address.value >> (width - length) << (width - length), length)
            terms.append(f"[{block}]" if address.family == 6 else str(block if length < width else address))
            for value in range(block.network, block.last + 1):
                hosts += holders(environment, Address(block.family, value))
    return ",".join(terms), hosts


def brute_force(environment: Environment, semantics: Semantics, expected: Verdict, sources: list[Host],
                destinations: list[Host], services: list[tuple[int, int, int]]) -> bool | None:  # fmt: skip
    """Whether the expectation holds; None where no packet is judged at all."""
    packets = judged = 0
    answers: dict[tuple[str, Direction, Address, Address, tuple[int, int, int]], tuple[Verdict, Reason]] = {}

    def ask(name: str, direction: Direction, packet: Packet, key: tuple[int, int, int]) -> tuple[Verdict, Reason]:
        at = (name, direction, packet.source, packet.destination, key)
        if at not in answers:
            answer = judge(environment, semantics, name, direction, packet)
            answers[at] = answer.action, answer.reason
        return answers[at]

    holds = True
    for (sender, source), (receiver, destination), service in product(sources, destinations, services):
        protocol, low, code = service
        foreign = ICMPV6 if source.family == 4 else ICMP
        if source.family != destination.family or protocol == foreign or sender is receiver is None:
            continue
        packets += 1
        packet = Packet(source.family, source.value, destination.value, protocol, 40000, low)
        if protocol in (ICMP, ICMPV6):
            packet = Packet(source.family, source.value, destination.value, protocol, icmp_type=low, icmp_code=code)
        ends = []
        if sender is not None:
            ends.append(ask(sender, Direction.EGRESS, packet, service))
        if receiver is not None:
            ends.append(ask(receiver, Direction.INGRESS, packet, service))
        if expected is Verdict.ACCEPT:
            holds &= all(action is Verdict.ACCEPT for action, _ in ends)
        elif all(reason is not Reason.EXEMPT for _, reason in ends):
            judged += 1
            holds &= any(action is Verdict.REJECT for action, _ in ends)
    if not packets:
        return None
    return holds and (expected is Verdict.ACCEPT or judged > 0)


def test_every_packet_of_the_set() -> None:
    """Both kinds of expectation, on sets of every sort; and a failure's packet does go against it."""
    met: Counter[tuple[str, bool]] = Counter()
    for seed in range(110):
        environment, semantics, rng = random_environment(seed), random_semantics(seed), Random(seed)
        for _ in range(6):
            (source, sources), (destination, destinations) = (random_side(rng, environment) for _ in range(2))
            if len(sources) * len(destinations) > 3000:
                continue
            service = rng.choice(sorted(SERVICES))
            protocols, _, rest = service.partition(" ") if " " in service else ("", "", service)
            text = f"{protocols} {source} > {destination}{rest}".strip()
            expected = rng.choice((Verdict.ACCEPT, Verdict.REJECT, Verdict.REJECT))
            truth = brute_force(environment, semantics, expected, sources, destinations, SERVICES[service])
            expectation = parse_expectation(expected, text)
            try:
                (outcome,) = decide(environment, [expectation], semantics)
            except InputError as error:
                assert "no group decides" in str(error) and truth is None, f"seed {seed}: {text}"
                continue
            if truth is None:
                assert outcome.note and outcome.holds is (expected is Verdict.REJECT), f"seed {seed}: {text}"
                continue
            assert outcome.holds is truth, f"seed {seed}: {expected.name} {text} {outcome}"
            met[expected.name, truth] += 1
            if not truth:
                check_example(outcome)
    assert len(met) == 4 and min(met.values()) > 20, met


def check_example(outcome: Outcome) -> None:
    """A counterexample is a flow in notation that goes against the expectation."""
    found, expected = outcome.counterexample, outcome.expectation.expected
    if found is None:
        assert "never see" in outcome.note
        return
    flow = parse_flow(found.flow)
    point = service_point(flow.protocol, flow.dstport or 0, flow.icmp_type or 0, flow.icmp_code or 0)
    assert point in outcome.expectation.services
    ends = [end for end in (found.egress, found.ingress) if end is not None]
    assert ends
    if expected is Verdict.ACCEPT:
        assert found.action != "ACCEPT" and any(action != "ACCEPT" for _, action, _ in ends)
    else:
        assert found.action != "REJECT" and all(action != "REJECT" for _, action, _ in ends)


# -- texts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tcp 10.0.0.1 eni-00:22", "line 1, column 12: '>' is missing"),
        ("a > b > c", "column 18: there is more than one '>'"),
        ("> any:22", "column 12: the source is missing"),
        ("any >", "column 16: the destination is missing"),
        ("tpc any > any:22", "column 12: 'tpc' is not a protocol"),
        ("300 any > any", "column 12: '300' is not a protocol"),
        ("tcp any:80 > any:22", "column 20: rules never look at the source port"),
        ("tcp any > any:99999", "column 26: '99999' is not a port"),
        ("tcp any > any:90-80", "column 26: '90-80' is not a port"),
        ("tcp any > any:", "'' is not a port"),
        ("tcp any > any:22,sg-x", "column 29: 'sg-x' is not a port"),
        ("icmp any > any:22", "ports belong to tcp and udp alone"),
        ("tcp any > any 8/0", "types belong to icmp"),
        ("icmp any > any 8/300", "column 27: '8/300' is not an ICMP type and code"),
        ("tcp any > any:22 now", "'now' is too much"),
        ("tcp very any > any", "'any' is too much"),
        ("any,,any > any", "something is missing"),
        ("any > [2001:db8::1:22", "has no end"),
        ("any > [2001:db8::1]22", "'22' does not belong here"),
        ("any > sg-nobody", "column 18: 'sg-nobody' is no interface, instance, group"),
        ("any > 10.0.0.300", "column 18: '10.0.0.300' is not an IP address"),
        ("any > 10.0.0.0/33", "IPv4 has at most 32 bits"),
        ("any > vpc-none", "is not a VPC"),
        ("any > pl-none", "is no prefix list"),
        ("any > pl-hidden", "has no entries"),
        ("any > nowhere.example", "no interface, instance, group"),
        ("any > \"group sg-0\"x", "'x' does not belong here"),
        ("8.8.8.8 > 9.9.9.9", "no group decides"),
    ],
)  # fmt: skip
def test_wrong_texts(text: str, problem: str) -> None:
    """Every mistake has its place: line, and column inside the line."""
    environment = random_environment(0)
    with pytest.raises(InputError) as caught:
        list(decide(environment, parse_expectations(f"- accept: '{text}'", "expectations.yaml")))
    message = str(caught.value)
    assert message.startswith("expectations.yaml, line 1, column ") and problem in message, message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1, column 1: holds no expectations"),
        ("[]", "holds no expectations"),
        ("accept: any > any", "this is not a list of expectations"),
        ("- any > any", "line 1, column 3: an entry is not of the form"),
        ("- accept: any > any\n  reject: any > any", "an entry has one of accept and reject"),
        ("- name: x", "an entry has one of accept and reject"),
        ("- accept: any > any\n  why: x", "line 2, column 3: 'why' is not one of"),
        ("- accept: any > any\n- accept: {}", "line 2, column 11: text is expected here"),
        ("- accept: any > any\n  accept: any > any", "line 2, column 3: 'accept' stands here twice"),
        ("- accept: [2001:db8::1] > any", "is not YAML"),
        ("- accept: any > any\n bad", "is not YAML"),
        ("- accept: any > any\n\n- reject:\n    - any > any\n    - any any", "line 5, column 7: '>' is missing"),
        ("[" * 5000, "is not YAML"),
        ("- accept: any > \x01", "is not YAML"),
    ],
)
def test_wrong_files(text: str, problem: str) -> None:
    """What is wrong with the YAML, by line and column."""
    with pytest.raises(InputError) as caught:
        parse_expectations(text)
    assert problem in str(caught.value), str(caught.value)


def test_files() -> None:
    """Lists and single lines, names, places inside quotes, the list under a key."""
    text = "expectations:\n- accept: [any > any, 'tcp any > any:22']\n  name: both\n- reject: \"any > any\"\n"
    found = parse_expectations(text, "f")
    assert [(each.expected.name, each.name) for each in found] == [("ACCEPT", "both")] * 2 + [("REJECT", "")]
    assert [(each.place.line, each.place.column) for each in found] == [(2, 12), (2, 24), (4, 12)]


def test_same_name_twice() -> None:
    """A name that several groups have says which ids it could mean."""
    environment = random_environment(0)
    import msgspec

    from tests.space.test_redundancy import replaced

    groups = {name: msgspec.structs.replace(group, name="twin") for name, group in environment.groups.items()}
    with pytest.raises(InputError, match="groups have the name 'twin'"):
        list(decide(replaced(environment, groups=groups), [parse_expectation(Verdict.ACCEPT, "any > twin")]))
