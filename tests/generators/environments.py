"""Small, nasty environments: overlapping VPCs, holes in the input, everything that makes a verdict hard."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import msgspec

from sgsim.model import (
    ALL_PORTS,
    ICMP,
    ICMPV6,
    TCP,
    UDP,
    Address,
    Cidr,
    CidrPeer,
    ConnectionTrackingTimeouts,
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
    Semantics,
    Subnet,
    TransitGatewayAttachment,
    Vpc,
    VpcPeering,
    check_rule,
    parse_address,
    parse_cidr,
)

ACCOUNTS = ("111111111111", "222222222222", "333333333333")

#: Four VPCs: the first two have the same IPv4 range, the last one lies outside RFC 1918.
RANGES = {
    "vpc-a": ("10.0.0.0/16", "2001:db8:a::/56"),
    "vpc-b": ("10.0.0.0/16",),
    "vpc-c": ("10.1.0.0/16", "2001:db8:c::/56"),
    "vpc-d": ("100.64.0.0/16", "10.2.0.0/16"),
}
#: Remote hosts that are in no VPC: public ones, private ones that nobody described, IPv6.
OUTSIDERS = tuple(
    parse_address(text)
    for text in (
        *("203.0.113.5", "203.0.113.80", "198.51.100.7", "8.8.8.8", "130.0.0.1"),
        *("10.0.200.9", "10.9.9.9", "172.16.5.5", "192.168.1.1", "100.64.200.1"),
        *("2001:db8:ffff::1", "2001:db8:a::9999", "fd00:5::5", "2600::1"),
    )
)
WIDE = tuple(parse_cidr(text) for text in ("0.0.0.0/0", "::/0"))
HALVES = tuple(parse_cidr(text) for text in ("0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"))
PORTS = (22, 53, 80, 123, 443, 5432, 8080, 40000)
OTHER_PROTOCOLS = (47, 50, 51, 132)
REGIONS = ("eu-west-1", "us-east-1")
INTERFACE_TYPES = ("natGateway", "network_load_balancer", "vpc_endpoint", "lambda", "efa", "load_balancer")
INSTANCE_TYPES = (None, "m5.large", "m8i.large", "c8i-flex.xlarge", "p6e-gb200.36xlarge")


def random_environment(seed: int) -> Environment:
    """An environment of about a dozen interfaces and groups; the same for the same seed."""
    rng = Random(seed)
    group_ids = [f"sg-{n}" for n in range(rng.randint(4, 9))]
    vpcs = {
        vpc_id: Vpc(vpc_id, tuple(map(parse_cidr, ranges)), account_id=ACCOUNTS[0])
        for vpc_id, ranges in RANGES.items()
        if rng.random() < 0.9
    }
    subnets = {subnet.subnet_id: subnet for vpc_id in RANGES for subnet in subnets_of(vpc_id) if rng.random() < 0.9}
    prefix_lists = {prefix_list.prefix_list_id: prefix_list for prefix_list in random_prefix_lists(rng)}
    interfaces = random_interfaces(rng, group_ids)
    hosts = [*(address for interface in interfaces for address in interface.addresses), *OUTSIDERS]
    groups = {
        group_id: random_group(rng, group_id, group_ids, hosts, seed) for group_id in group_ids if rng.random() < 0.93
    }
    peerings_described, gateways_described = rng.random() < 0.7, rng.random() < 0.5
    closed = [(account, None) for account in ACCOUNTS[: rng.choice((1, 2))]]
    if rng.random() < 0.3:  # several Regions, told of some groups only
        closed = [(rng.choice((account, None)), rng.choice((*REGIONS, None))) for account, _ in closed]
        groups = {
            name: msgspec.structs.replace(group, region=rng.choice((*REGIONS, None))) for name, group in groups.items()
        }
    return Environment(
        groups=groups,
        interfaces={interface.interface_id: interface for interface in interfaces},
        prefix_lists=prefix_lists,
        vpcs=vpcs,
        subnets=subnets,
        peerings={p.peering_id: p for p in random_peerings(rng)} if peerings_described else {},
        gateway_attachments={a.attachment_id: a for a in random_attachments(rng)} if gateways_described else {},
        closed=frozenset(closed) if rng.random() < 0.9 else frozenset(),
        peerings_described=peerings_described,
        gateways_described=gateways_described,
        warnings=(f"generated from seed {seed}",),
    )


def random_semantics(seed: int) -> Semantics:
    """Semantics with some options moved away from their defaults; limits stay at theirs half of the time."""
    rng = Random(seed)
    limits = {}
    if rng.random() < 0.5:
        limits = {
            "tcp_established_timeout": rng.choice((60, 350, 432_000)),
            "udp_timeout": rng.choice((30, 45)),
            "udp_stream_timeout": rng.choice((60, 180)),
            "icmp_timeout": rng.choice((10, 30)),
            "fragment_timeout": rng.choice((5, 30)),
        }
    return Semantics(
        exempt=rng.random() < 0.8,
        untracked_flows=rng.random() < 0.8,
        icmp_errors="related" if rng.random() < 0.5 else "rules",
        tcp_midstream="reject" if rng.random() < 0.3 else "rules",
        fragments="rules" if rng.random() < 0.2 else "first",
        delegated_prefixes_are_members=rng.random() < 0.7,
        behind_middlebox=(parse_cidr("10.0.1.0/28"),) if rng.random() < 0.2 else (),
        other_protocol_refresh=rng.random() < 0.7,
        **limits,
    )


def random_change(environment: Environment, seed: int) -> Environment:
    """The same environment after one or two edits: rules added or removed, an interface's groups replaced."""
    rng = Random(seed)
    groups, interfaces = dict(environment.groups), dict(environment.interfaces)
    hosts = [*(address for interface in interfaces.values() for address in interface.addresses), *OUTSIDERS]
    for n in range(rng.randint(1, 2)):
        if groups and rng.random() < 0.75:
            group = groups[rng.choice(sorted(groups))]
            rules = list(group.rules)
            if rules and rng.random() < 0.5:
                rules.pop(rng.randrange(len(rules)))
            else:
                rules.append(random_rule(rng, f"sgr-f{seed:x}{n}", group.group_id, sorted(groups), hosts))
            groups[group.group_id] = msgspec.structs.replace(group, rules=tuple(rules))
        else:
            interface = interfaces[rng.choice(sorted(interfaces))]
            carried = tuple(rng.sample(sorted(groups), min(len(groups), rng.randint(0, 3))))
            interfaces[interface.interface_id] = msgspec.structs.replace(interface, group_ids=carried)
    return Environment(
        **{name: getattr(environment, name) for name in Environment.__slots__ if name not in ("groups", "interfaces")},
        groups=groups,
        interfaces=interfaces,
    )


def subnets_of(vpc_id: str) -> list[Subnet]:
    """Two subnets of a VPC, the first with its IPv6 range if there is one."""
    v4, *v6 = (parse_cidr(text) for text in RANGES[vpc_id])
    first = (Cidr(4, v4.network, 24), *(Cidr(6, cidr.network, 64) for cidr in v6 if cidr.family == 6))
    return [
        Subnet(f"subnet-{vpc_id[-1]}1", vpc_id, first),
        Subnet(f"subnet-{vpc_id[-1]}2", vpc_id, (Cidr(4, v4.network + 256, 24),)),
    ]


def random_interfaces(rng: Random, group_ids: Sequence[str]) -> list[NetworkInterface]:
    """Interfaces with addresses that are unique in their VPC, but for a rare slip; VPCs share addresses."""
    interfaces: list[NetworkInterface] = []
    taken: set[tuple[str, Address]] = set()
    for n in range(rng.randint(6, 14)):
        vpc_id = rng.choice(sorted(RANGES))
        subnet = rng.choice(subnets_of(vpc_id))
        addresses = []
        for cidr in sorted(subnet.cidrs):
            for _ in range(rng.choice((1, 1, 2, 3)) if cidr.family == 4 else rng.choice((0, 1, 2))):
                address = Address(cidr.family, cidr.network + rng.randint(4, 20))
                if (vpc_id, address) not in taken or rng.random() < 0.02:
                    addresses.append(address)
                    taken.add((vpc_id, address))
        carried = rng.sample(group_ids, min(len(group_ids), rng.choice((0, 1, 1, 1, 1, 2, 2, 2, 3, 4))))
        plain = bool(carried) and rng.random() < 0.85
        interfaces.append(
            NetworkInterface(
                interface_id=f"eni-{n:02}",
                addresses=tuple(dict.fromkeys(addresses)),
                group_ids=tuple(carried + (["sg-undefined"] if rng.random() < 0.06 else [])),
                prefixes=(random_prefix(rng, subnet),) if rng.random() < 0.2 else (),
                public_addresses=(Address(4, parse_address("54.0.0.0").value + n),) if rng.random() < 0.3 else (),
                mac=(0x02_00_00_00_00_00 + n) if rng.random() < 0.9 else None,
                vpc_id=vpc_id if rng.random() < 0.97 else None,
                subnet_id=subnet.subnet_id if rng.random() < 0.95 else None,
                account_id=rng.choice(ACCOUNTS[:2]),
                interface_type="interface" if plain else rng.choice(("interface", *INTERFACE_TYPES)),
                instance_type=rng.choice(INSTANCE_TYPES),
                timeouts=random_timeouts(rng),
            )
        )
    return interfaces


def random_prefix(rng: Random, subnet: Subnet) -> Cidr:
    """A delegated prefix of a subnet: /28 or /80."""
    cidr = rng.choice(subnet.cidrs)
    if cidr.family == 4:
        return Cidr(4, cidr.network + 64 + 16 * rng.randint(0, 7), 28)
    return Cidr(6, cidr.network + (rng.randint(1, 5) << 48), 80)


def random_timeouts(rng: Random) -> ConnectionTrackingTimeouts:
    """Timeouts of an interface, mostly AWS's defaults."""
    if rng.random() < 0.7:
        return ConnectionTrackingTimeouts()
    return ConnectionTrackingTimeouts(
        tcp_established=rng.choice((None, 60, 600)), udp=rng.choice((None, 45)), udp_stream=rng.choice((None, 60, 90))
    )


def random_prefix_lists(rng: Random) -> list[PrefixList]:
    """Lists with entries (overlapping ones, a /0), an empty one, and two whose entries the input lacks."""
    entries = ("10.0.0.0/16", "10.0.0.0/24", "203.0.113.0/24", "203.0.113.5/32", "0.0.0.0/0", "192.168.0.0/16")
    entries6 = ("2001:db8::/32", "2001:db8:a::/64", "::/0", "2600::/16", "2001:db8:ffff::1/128")
    return [
        PrefixList("pl-4", tuple(map(parse_cidr, rng.sample(entries, rng.randint(1, 4)))), family=4),
        PrefixList("pl-6", tuple(map(parse_cidr, rng.sample(entries6, rng.randint(1, 3)))), family=6),
        PrefixList("pl-empty", (), family=4),
        PrefixList("pl-hidden", None, family=rng.choice((4, 6, None))),
    ]


def random_peerings(rng: Random) -> list[VpcPeering]:
    """Peerings in all states, one of them across Regions now and then."""
    vpc_ids = [*RANGES, "vpc-far"]
    peerings = []
    for n in range(rng.randint(0, 4)):
        requester, accepter = rng.sample(vpc_ids, 2)
        status = rng.choice(("active", "active", "deleted", "pending-acceptance"))
        regions = rng.choice(((None, None), ("eu-west-1", "eu-west-1"), ("eu-west-1", "us-east-1")))
        peerings.append(VpcPeering(f"pcx-{n}", requester, accepter, status, *regions))
    return peerings


def random_attachments(rng: Random) -> list[TransitGatewayAttachment]:
    """Attachments of some VPCs to two transit gateways; references allowed, refused or not told."""
    return [
        TransitGatewayAttachment(
            f"tgw-attach-{n}", rng.choice(("tgw-1", "tgw-2")), vpc_id, rng.choice((True, True, None, False))
        )
        for n, vpc_id in enumerate(rng.choices([*RANGES, "vpc-far"], k=rng.randint(0, 5)))
    ]


def random_group(
    rng: Random, group_id: str, group_ids: Sequence[str], hosts: Sequence[Address], seed: int
) -> SecurityGroup:
    """A group of up to ten rules; EC2-Classic or known by its rules alone now and then."""
    rules = [
        random_rule(rng, f"sgr-{rng.getrandbits(40):010x}{n:x}", group_id, group_ids, hosts)
        for n in range(rng.choice((0, 1, 2, 3, 5, 8, 10)))
    ]
    if rng.random() < 0.6:  # what AWS gives to new groups
        rules += [
            SecurityGroupRule(f"sgr-{rng.getrandbits(40):010x}d{n}", group_id, Direction.EGRESS, None, CidrPeer(cidr))
            for n, cidr in enumerate(WIDE[: rng.randint(1, 2)])
        ]
    classic = rng.random() < 0.04
    if classic:
        rules = [rule for rule in rules if rule.direction is Direction.INGRESS]
    return SecurityGroup(
        group_id,
        tuple(rules),
        name=f"group {group_id}",
        account_id=rng.choice((ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[1], None)),
        vpc_id=None if classic else rng.choice(sorted(RANGES)),
        defined=rng.random() < 0.9,
        classic=classic,
    )


def random_rule(
    rng: Random, rule_id: str, group_id: str, group_ids: Sequence[str], hosts: Sequence[Address]
) -> SecurityGroupRule:
    """A rule that small traffic hits often: few ports, wide-open and single-host peers, references of all kinds."""
    protocol = rng.choice((None, TCP, TCP, TCP, TCP, UDP, UDP, ICMP, ICMPV6, rng.choice(OTHER_PROTOCOLS)))
    return check_rule(
        SecurityGroupRule(
            rule_id=rule_id,
            group_id=group_id,
            direction=rng.choice((Direction.INGRESS, Direction.EGRESS)),
            protocol=protocol,
            peer=random_peer(rng, group_ids, hosts),
            ports=random_ports(rng) if protocol in (TCP, UDP) else None,
            icmp=random_icmp(rng, protocol) if protocol in (ICMP, ICMPV6) else None,
        )
    )


def random_ports(rng: Random) -> PortRange:
    """All ports, one of a few, or a range between two of them."""
    if rng.random() < 0.25:
        return ALL_PORTS
    first, last = sorted((rng.choice(PORTS), rng.choice(PORTS)))
    return PortRange(first, last) if rng.random() < 0.5 else PortRange(first, first)


def random_icmp(rng: Random, protocol: int) -> IcmpType:
    """All types, all codes of one, or one type and code."""
    if rng.random() < 0.3:
        return IcmpType(None, None)
    icmp_type = rng.choice((0, 3, 8, 11, 13) if protocol == ICMP else (1, 2, 128, 129))
    return IcmpType(icmp_type, rng.choice((None, 0, 4)))


def random_peer(rng: Random, group_ids: Sequence[str], hosts: Sequence[Address]) -> Peer:
    """A block, a prefix list or a group, described or not."""
    kind = rng.random()
    if kind < 0.25:
        return CidrPeer(rng.choice(WIDE) if rng.random() < 0.85 else rng.choice(HALVES))
    if kind < 0.55:
        host = rng.choice(hosts)
        width = 32 if host.family == 4 else 128
        length = rng.choice((width, width, width - 4, width * 3 // 4, width // 2, width // 4))
        return CidrPeer(Cidr(host.family, host.value >> (width - length) << (width - length), length))
    if kind < 0.7:
        return PrefixListPeer(rng.choice(("pl-4", "pl-4", "pl-6", "pl-empty", "pl-hidden", "pl-undescribed")))
    plain = rng.random() < 0.6
    return GroupPeer(
        rng.choice([*group_ids, *group_ids, "sg-undefined", "sg-far"]),
        account_id=None if plain else rng.choice((None, *ACCOUNTS)),
        vpc_id=None if plain else rng.choice((None, "vpc-far", *RANGES)),
        peering_status=None if plain else rng.choice((None, None, "active", "deleted")),
    )
