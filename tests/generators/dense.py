"""Environments of a few groups with very many rules: nested blocks, port ranges of all shapes, long prefix lists."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from sgsim.model import (
    ALL_PORTS,
    ICMP,
    ICMPV6,
    TCP,
    UDP,
    Address,
    Cidr,
    CidrPeer,
    Direction,
    Environment,
    GroupPeer,
    IcmpType,
    NetworkInterface,
    Peer,
    PortRange,
    PrefixList,
    PrefixListPeer,
    SecurityGroup,
    SecurityGroupRule,
    check_rule,
    parse_address,
)
from sgsim.packets import FRAGMENT_LATER
from sgsim.reference import Packet
from tests.generators.environments import ACCOUNTS

WIDTH = {4: 32, 6: 128}
SEEDS = {
    4: tuple(parse_address(text).value for text in ("10.0.0.5", "10.0.1.7", "203.0.113.9", "130.5.0.1")),
    6: tuple(parse_address(text).value for text in ("2001:db8::5", "2001:db8:a:b::7", "2600::1")),
}


def random_dense_environment(seed: int, rules: int) -> Environment:
    """Four groups of about `rules` rules each on six interfaces of one VPC, and two prefix lists of 300 entries."""
    rng = Random(seed)
    group_ids = [f"sg-{n}" for n in range(4)]
    interfaces = [
        NetworkInterface(
            f"eni-{n}",
            (Address(4, SEEDS[4][0] + n), Address(6, SEEDS[6][0] + n)),
            tuple(rng.sample(group_ids, rng.choice((1, 1, 2, 3)))),
            vpc_id="vpc-a",
            account_id=ACCOUNTS[0],
        )
        for n in range(6)
    ]
    return Environment(
        groups={
            group_id: SecurityGroup(
                group_id,
                tuple(dense_rule(rng, f"sgr-{rng.getrandbits(48):x}-{n}", group_id) for n in range(rules)),
                account_id=ACCOUNTS[0],
                vpc_id="vpc-a",
            )
            for group_id in group_ids
        },
        interfaces={interface.interface_id: interface for interface in interfaces},
        prefix_lists={
            name: PrefixList(name, tuple({near_block(rng, family) for _ in range(300)}), family=family)
            for name, family in (("pl-4", 4), ("pl-6", 6))
        }
        | {"pl-hidden": PrefixList("pl-hidden", None, family=4)},
        closed=frozenset({(ACCOUNTS[0], None)}),
        peerings_described=True,
    )


def dense_rule(rng: Random, rule_id: str, group_id: str) -> SecurityGroupRule:
    """A rule near a few addresses and ports, so that rules overlap and nest."""
    protocol = rng.choice((TCP, TCP, TCP, TCP, UDP, UDP, ICMP, ICMPV6, 50, None))
    ports = icmp = None
    if protocol in (TCP, UDP):
        first = rng.choice((0, 80, 443, 1024, rng.randint(0, 65535)))
        last = rng.choice((first, first, first + rng.randint(0, 50), rng.randint(first, 65535), 65535))
        ports = PortRange(first, min(last, 65535)) if rng.random() < 0.95 else ALL_PORTS
    elif protocol in (ICMP, ICMPV6):
        icmp_type = rng.choice((None, 0, 3, 8, 128, rng.randint(0, 255)))
        icmp = IcmpType(icmp_type, None if icmp_type is None else rng.choice((None, 0, 4)))
    direction = Direction.INGRESS if rng.random() < 0.7 else Direction.EGRESS
    return check_rule(SecurityGroupRule(rule_id, group_id, direction, protocol, dense_peer(rng), ports, icmp))


def dense_peer(rng: Random) -> Peer:
    """Blocks mostly; a few lists and groups."""
    kind = rng.random()
    if kind < 0.02:
        return PrefixListPeer(rng.choice(("pl-4", "pl-6")))
    if kind < 0.025:
        return PrefixListPeer("pl-hidden")
    if kind < 0.06:
        return GroupPeer(f"sg-{rng.randrange(5)}")
    return CidrPeer(near_block(rng, 4 if rng.random() < 0.7 else 6))


def near_block(rng: Random, family: int) -> Cidr:
    """A block of any length around an address near one of a few; long ones more often, /0 seldom."""
    width = WIDTH[family]
    value = near_address(rng, family)
    length = rng.choice((width, width - 1, width - rng.randint(0, 9), rng.randint(1, width)))
    if rng.random() < 0.002:
        length = 0
    return Cidr(family, value >> (width - length) << (width - length), length)


def near_address(rng: Random, family: int) -> int:
    """One of a few addresses, with a low bit or two flipped, or any bit."""
    value = rng.choice(SEEDS[family])
    if rng.random() < 0.6:
        value ^= 1 << rng.randrange(rng.choice((3, 10, WIDTH[family])))
    if rng.random() < 0.2:
        value ^= 1 << rng.randrange(WIDTH[family])
    return value


def random_dense_rows(environment: Environment, seed: int, n: int) -> Iterator[tuple[Packet, str, Direction]]:
    """n packets, each at one end of an interface of the environment."""
    rng = Random(~seed)
    names = sorted(environment.interfaces)
    edges = [
        port + step
        for group in environment.groups.values()
        for rule in group.rules[:200]
        if rule.ports is not None
        for port in rule.ports
        for step in (-1, 0, 1)
        if 0 <= port + step <= 65535
    ]
    for _ in range(n):
        name, family = rng.choice(names), 4 if rng.random() < 0.7 else 6
        local = next(a.value for a in environment.interfaces[name].addresses if a.family == family)
        direction = rng.choice((Direction.INGRESS, Direction.INGRESS, Direction.EGRESS))
        remote = near_address(rng, family)
        source, destination = (remote, local) if direction is Direction.INGRESS else (local, remote)
        protocol = rng.choice((TCP, TCP, TCP, UDP, UDP, ICMP if family == 4 else ICMPV6, 50, 51))
        packet = Packet(family, source, destination, protocol)
        if protocol in (TCP, UDP) and rng.random() < 0.03:
            packet = Packet(family, source, destination, protocol, fragment=FRAGMENT_LATER)
        elif protocol in (TCP, UDP):
            packet = Packet(family, source, destination, protocol, rng.randint(0, 65535), rng.choice(edges))
        elif protocol in (ICMP, ICMPV6) and rng.random() < 0.9:
            icmp_type = rng.choice((0, 3, 8, 128, rng.randint(0, 255)))
            packet = Packet(family, source, destination, protocol, icmp_type=icmp_type, icmp_code=rng.choice((0, 1, 4)))
        yield packet, name, direction
