"""Small random accounts that Linux can play: every rule feature, closed world, no traffic that rules cannot see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

from msgspec import structs

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
    Vpc,
    VpcPeering,
    check_rule,
    parse_address,
    parse_cidr,
)

ACCOUNT, REGION = "111122223333", "eu-central-1"
SERVICES = (0, 22, 53, 80, 443, 500, 5432, 8080, 65535)
OTHER_PROTOCOLS = {4: (2, 4, 41, 47, 50, 51, 88, 89, 112, 255), 6: (4, 41, 47, 50, 88, 89, 112, 255)}
ICMP_TYPES = {ICMP: (0, 3, 8, 11, 13), ICMPV6: (1, 2, 3, 128, 129)}
_OUTSIDERS = {
    4: ("198.51.100.7", "198.51.100.200", "8.8.8.8", "10.200.0.9", "172.16.5.5", "10.1.0.250"),
    6: ("2600::1", "2600:0:0:1::5", "2a05:d014::77", "2001:db8:1:0:ffff::9"),
}
OUTSIDERS = {family: tuple(map(parse_address, texts)) for family, texts in _OUTSIDERS.items()}
BLOCK_LENGTHS = {32: (0, 8, 16, 24, 25, 28, 30, 31, 32), 128: (0, 16, 32, 48, 64, 80, 112, 124, 127, 128)}


@dataclass(frozen=True)
class Account:
    """An environment, and who has which address in it."""

    environment: Environment
    owners: Mapping[Address, str]

    def owner(self, address: Address) -> str | None:
        """The interface that has the address, None if none has."""
        return self.owners.get(address)


def random_account(random: Random, size: int) -> Account:
    """An account of `size` interfaces in one or two VPCs."""
    vpc_ids = ["vpc-1"] if random.random() < 0.6 else ["vpc-1", "vpc-2"]
    interfaces, owners = {}, {}
    for index in range(size):
        interface, own = _interface(random, index, random.choice(vpc_ids))
        interfaces[interface.interface_id] = interface
        owners |= dict.fromkeys(own, interface.interface_id)
    prefix_lists = {f"pl-{n}": _prefix_list(random, f"pl-{n}", list(owners)) for n in range(3)}
    names = [f"sg-{n}" for n in range(random.randint(2, 6))]
    writer = _Writer(random, names, list(prefix_lists), list(owners))
    groups = {
        name: SecurityGroup(name, writer.rules(name), vpc_id="vpc-1", account_id=ACCOUNT, region=REGION)
        for name in names
    }
    environment = Environment(
        groups=groups,
        interfaces={
            name: structs.replace(interface, group_ids=_some(random, names)) for name, interface in interfaces.items()
        },
        prefix_lists=prefix_lists,
        vpcs={
            vpc_id: Vpc(vpc_id, (parse_cidr(f"10.{n}.0.0/16"), parse_cidr(f"2001:db8:{n}::/48")), ACCOUNT, REGION)
            for n, vpc_id in enumerate(vpc_ids, 1)
        },
        peerings={"pcx-1": VpcPeering("pcx-1", "vpc-2", "vpc-1", "active")} if random.random() < 0.5 else {},
        closed=frozenset({(ACCOUNT, REGION)}),
        peerings_described=True,
        gateways_described=True,
    )
    return Account(environment, owners)


def changed(random: Random, account: Account) -> Account:
    """The same account with other rules: of each group some go and some come; one prefix list is written anew."""
    before = account.environment
    seen = max((int(rule.rule_id[4:]) for group in before.groups.values() for rule in group.rules), default=0)
    writer = _Writer(random, list(before.groups), list(before.prefix_lists), list(account.owners), seen)
    groups = {}
    for name, group in before.groups.items():
        kept = [rule for rule in group.rules if random.random() < 0.5]
        groups[name] = structs.replace(group, rules=(*kept, *writer.rules(name)[: random.choice((0, 0, 1, 3))]))
    lists = {**before.prefix_lists, "pl-0": _prefix_list(random, "pl-0", list(account.owners))}
    return Account(replace(before, groups=groups, prefix_lists=lists), account.owners)


def _interface(random: Random, index: int, vpc_id: str) -> tuple[NetworkInterface, list[Address]]:
    """An interface, and all addresses of it that traffic may use (some of the delegated ones)."""
    number = vpc_id[-1]
    host = 16 * (index + 1)
    subnet = f"10.{number}.{random.choice((0, 0, 1))}"
    addresses = [parse_address(f"{subnet}.{host + n}") for n in range(random.randint(1, 3))]
    addresses += [parse_address(f"2001:db8:{number}::{host + n:x}") for n in range(random.randint(0, 2))]
    prefixes = []
    if random.random() < 0.4:
        prefixes = [parse_cidr(f"10.{number}.2.{host}/28"), parse_cidr(f"2001:db8:{number}:0:{host:x}::/80")]
    interface = NetworkInterface(
        f"eni-{index}", tuple(addresses), prefixes=tuple(prefixes), vpc_id=vpc_id, account_id=ACCOUNT, region=REGION
    )
    return interface, addresses + [Address(block.family, block.network + random.randint(0, 15)) for block in prefixes]


def _some(random: Random, names: list[str]) -> tuple[str, ...]:
    return tuple(random.sample(names, random.randint(1, min(3, len(names)))))


def _prefix_list(random: Random, name: str, addresses: list[Address]) -> PrefixList:
    family = random.choice((4, 4, 6))
    near = [address for address in (*addresses, *OUTSIDERS[family]) if address.family == family]
    entries = tuple(_block(random, random.choice(near)) for _ in range(random.choice((0, 1, 2, 4))))
    return PrefixList(name, entries, family=family, account_id=ACCOUNT)


def _block(random: Random, address: Address) -> Cidr:
    """A block of any size around an address, sometimes beside it."""
    width = 32 if address.family == 4 else 128
    length = random.choice(BLOCK_LENGTHS[width])
    shift = width - length
    value = address.value ^ (1 << shift if length and random.random() < 0.2 else 0)
    return Cidr(address.family, value >> shift << shift, length)


@dataclass
class _Writer:
    """Writes random rules for the groups of one account; every rule gets an id of its own."""

    random: Random
    group_ids: list[str]
    prefix_list_ids: list[str]
    addresses: list[Address]
    written: int = 0

    def rules(self, group_id: str) -> tuple[SecurityGroupRule, ...]:
        """A few rules for a group."""
        random = self.random
        directions = [Direction.INGRESS] * random.choice((0, 2, 4, 8))
        directions += [Direction.EGRESS] * random.choice((0, 1, 3, 6))
        return tuple(self._rule(group_id, direction) for direction in directions)

    def _rule(self, group_id: str, direction: Direction) -> SecurityGroupRule:
        random = self.random
        self.written += 1
        kind = random.random()
        protocol, ports, icmp = None, None, None
        if kind < 0.5:
            protocol = random.choice((TCP, TCP, UDP))
            first, last = sorted(random.choices(SERVICES, k=2))
            ports = random.choice((PortRange(first, last), PortRange(first, first), ALL_PORTS))
        elif kind < 0.7:
            protocol = random.choice((ICMP, ICMPV6))
            code = random.choice((None, 0, 1, 4))
            icmp = random.choice((IcmpType(None, None), IcmpType(random.choice(ICMP_TYPES[protocol]), code)))
        elif kind < 0.8:
            protocol = random.choice((*OTHER_PROTOCOLS[4], 132))
        rule_id = f"sgr-{self.written:04d}"
        return check_rule(SecurityGroupRule(rule_id, group_id, direction, protocol, self._peer(), ports, icmp))

    def _peer(self) -> Peer:
        kind = self.random.random()
        if kind < 0.35:
            return GroupPeer(self.random.choice(self.group_ids))
        if kind < 0.45:
            return PrefixListPeer(self.random.choice(self.prefix_list_ids))
        return CidrPeer(_block(self.random, self.random.choice([*self.addresses, *OUTSIDERS[4], *OUTSIDERS[6]])))
