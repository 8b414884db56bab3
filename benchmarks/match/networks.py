"""Rule sets and traffic for the matching benchmarks, from a seed.

Shaped as security groups are: peer prefixes of 0, 8, 12, 16 … 32 bits, a third of them /32 and a quarter /24,
clustered in private and cloud ranges; 70 % one of 20 common ports, 15 % another single port, 15 % a range; TCP 75 %,
UDP 20 %, any protocol 5 %. Half of the flows are aimed at a rule of their interface, half come from anywhere to any
port.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.flows import FlowBlock, FlowTable
from sgsim.model import (
    TCP,
    UDP,
    Address,
    Cidr,
    CidrPeer,
    Direction,
    Environment,
    NetworkInterface,
    PortRange,
    SecurityGroup,
    SecurityGroupRule,
    Vpc,
    parse_cidr,
)

COMMON_PORTS = (22, 25, 53, 80, 110, 123, 143, 389, 443, 445, 993, 1433, 1521, 3306, 3389, 5432, 6379, 8080, 8443, 9200)
LENGTHS = np.array([0, 8, 12, 16, 18, 20, 22, 24, 26, 28, 30, 32])
LENGTH_ODDS = np.array([0.005, 0.025, 0.02, 0.09, 0.05, 0.08, 0.04, 0.25, 0.04, 0.05, 0.02, 0.33])
#: (first address, prefix length, odds): private ranges, cloud ranges, anywhere.
RANGES = ((0x0A000000, 8, 0.45), (0xAC100000, 12, 0.1), (0xC0A80000, 16, 0.1), (0x34000000, 8, 0.2), (0, 0, 0.15))


class Rules(NamedTuple):
    """Rules as columns: `network`, `length`, `protocol` (-1 for all), `first`, `last` (ports), all int64."""

    network: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]
    protocol: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]


def addresses(rng: np.random.Generator, n: int) -> npt.NDArray[np.int64]:
    """Addresses clustered as those of rules are: 300 sites of 64 k in each range but the last."""
    which = rng.choice(len(RANGES), n, p=[odds for *_, odds in RANGES])
    result = rng.integers(0, 1 << 32, n)
    for number, (first, length, _) in enumerate(RANGES[:-1]):
        chosen = np.flatnonzero(which == number)
        site = rng.integers(0, 300, len(chosen)) * 0x9E3779B1 % (1 << max(32 - length - 16, 0))
        result[chosen] = first + (site << 16) + rng.integers(0, 1 << 16, len(chosen)) % (1 << (32 - length))
    return result


def random_rules(rng: np.random.Generator, n: int, groups: int = 1) -> Rules:
    """n rules of each group; two thirds repeat an earlier one's service for a part of its block, as people do."""
    group_size, n = n, n * groups
    length = rng.choice(LENGTHS, n, p=LENGTH_ODDS)
    shift = 32 - length
    network = addresses(rng, n) >> shift << shift
    kind = rng.choice(3, n, p=[0.7, 0.15, 0.15])
    single = np.where(kind == 0, rng.choice(COMMON_PORTS, n), rng.integers(1, 65536, n))
    last = np.where(kind == 2, np.minimum(single + rng.integers(1, 3000, n), 65535), single)
    protocol = rng.choice([TCP, UDP, -1], n, p=[0.75, 0.2, 0.05])
    protocol[length < 16] = TCP  # nobody opens everything to half the world, or every flow would match
    every = protocol < 0
    rules = Rules(network, length, protocol, np.where(every, 0, single), np.where(every, 65535, last))
    return narrowed(rng, rules, group_size)


def narrowed(rng: np.random.Generator, rules: Rules, group_size: int) -> Rules:
    """Two thirds of each group's rules moved into the block of one from its first third, with that one's service."""
    number = np.arange(len(rules.length)) % group_size
    first = max(1, group_size // 3)
    inside = np.flatnonzero(number >= first)
    around = inside - number[inside] + rng.integers(0, first, len(inside))
    length = np.maximum(rules.length[inside], np.minimum(rules.length[around] + 2, 32))
    size = 1 << (32 - rules.length[around])
    network = rules.network[around] + rng.integers(0, 1 << 32, len(inside)) % size
    shift = 32 - length
    for column, values in zip(
        rules,
        (network >> shift << shift, length, rules.protocol[around], rules.first[around], rules.last[around]),
    ):
        column[inside] = values
    return rules


def security_group(group_id: str, rules: Rules) -> SecurityGroup:
    """An ingress group."""
    listed = []
    for number, (network, length, protocol, first, last) in enumerate(zip(*(column.tolist() for column in rules))):
        listed.append(
            SecurityGroupRule(
                f"sgr-{group_id[3:]}{number:06x}",
                group_id,
                Direction.INGRESS,
                None if protocol < 0 else protocol,
                CidrPeer(Cidr(4, network, length)),
                None if protocol < 0 else PortRange(first, last),
            )
        )
    return SecurityGroup(group_id, tuple(listed), vpc_id="vpc-1")


def environment(groups: list[SecurityGroup], carried: list[list[int]]) -> Environment:
    """One interface for each list of group numbers."""
    interfaces = {
        f"eni-{number:06x}": NetworkInterface(
            f"eni-{number:06x}",
            (Address(4, 0x64400000 + number),),  # 100.64.0.0/10: no rule's site
            tuple(groups[group].group_id for group in numbers),
            vpc_id="vpc-1",
        )
        for number, numbers in enumerate(carried)
    }
    return Environment(
        groups={group.group_id: group for group in groups},
        interfaces=interfaces,
        vpcs={"vpc-1": Vpc("vpc-1", (parse_cidr("100.64.0.0/10"),))},
        peerings_described=True,
    )


def one_group(rules: int, seed: int = 1) -> tuple[Environment, Rules]:
    """One interface with one group."""
    made = random_rules(np.random.default_rng(seed), rules)
    return environment([security_group("sg-00000000", made)], [[0]]), made


def fleet(groups: int = 10_000, rules: int = 60, interfaces: int = 100_000, seed: int = 1) -> tuple[Any, ...]:
    """(environment, the rules of all groups as columns, CSR of the groups that interfaces carry)."""
    rng = np.random.default_rng(seed)
    every = random_rules(rng, rules, groups)
    made = [
        security_group(f"sg-{number:08x}", Rules(*(column[number * rules : (number + 1) * rules] for column in every)))
        for number in range(groups)
    ]
    sizes = rng.integers(1, 6, interfaces)
    carried = [sorted(set(rng.integers(0, groups, size).tolist())) for size in sizes.tolist()]
    return environment(made, carried), every, carried


def flows(
    rng: np.random.Generator,
    n: int,
    rules: Rules,
    aimed_at: npt.NDArray[np.int64],
    interface: npt.NDArray[np.int64],
) -> FlowTable:
    """n ingress flows; half inside the rule `aimed_at[i]`, half from clustered addresses to any port."""
    aimed = rng.random(n) < 0.5
    chosen = Rules(*(column[aimed_at] for column in rules))
    host = rng.integers(0, 1 << 32, n) & ((1 << (32 - chosen.length)) - 1)
    src = np.where(aimed, chosen.network + host, addresses(rng, n))
    inside = chosen.first + rng.integers(0, 1 << 16, n) % (chosen.last - chosen.first + 1)
    port = np.where(aimed, inside, rng.integers(0, 65536, n))
    protocol = np.where(aimed & (chosen.protocol > 0), chosen.protocol, rng.choice([TCP, TCP, TCP, UDP], n))
    block = FlowBlock.from_columns(
        4,
        src,
        0x64400000 + interface,
        protocol=protocol,
        interface=interface,
        direction=np.zeros(n),
        srcport=rng.integers(1024, 65536, n),
        dstport=port,
    )
    return FlowTable.of(block)
