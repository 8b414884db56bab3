"""Traffic that meets the rules of a generated environment often, in conversations with awkward pauses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import NamedTuple

from sgsim.flows import AMBIGUOUS
from sgsim.model import (
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
    NetworkInterface,
    Peer,
    PrefixListPeer,
    parse_address,
)
from sgsim.packets import FRAGMENT_FIRST, FRAGMENT_LATER
from sgsim.reference import Packet
from tests.generators.environments import OTHER_PROTOCOLS, OUTSIDERS, PORTS

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND

FIN, SYN, RST, ACK = 1, 2, 4, 16
LINK_LOCAL = tuple(
    parse_address(text)
    for text in (
        *("169.254.169.253", "169.254.169.254", "169.254.169.123", "169.254.170.2", "169.254.169.250"),
        *("169.254.9.9", "172.16.0.23", "fd00:ec2::253", "fd00:ec2::254", "fe80:ec2::1", "fe80::7"),
    )
)
#: Pauses in seconds that timeouts are made of; a packet comes at the limit, a nanosecond before or after it.
PAUSES = (5, 10, 10, 30, 30, 30, 45, 60, 60, 90, 180, 180, 350, 600, 600, 432_000)

End = str | int | None


class Step(NamedTuple):
    """A packet and the interfaces at its two ends: an id, None (not known) or AMBIGUOUS."""

    packet: Packet
    egress: End
    ingress: End


@dataclass
class Conversation:
    """Packets between two hosts; `first` goes from `near` to `far`, both (address, end)."""

    near: tuple[Address, End]
    far: tuple[Address, End]
    first: Packet
    sent: int = 0
    last_ns: int = START


def random_packets(environment: Environment, seed: int, n: int) -> Iterator[Step]:
    """n packets in time order, from interleaved conversations, for `Tracker.step(*step)`."""
    rng = Random(seed)
    now = START
    conversations: list[Conversation] = []
    recent: list[Step] = []
    for _ in range(n):
        if len(conversations) < 6 or rng.random() < 0.06:
            conversations.append(random_conversation(rng, environment))
            if len(conversations) > 10:
                conversations.pop(rng.randrange(len(conversations)))
        conversation = rng.choice(conversations)
        now = later(rng, now, conversation.last_ns)
        if recent and rng.random() < 0.08:
            step = icmp_error(rng, rng.choice(recent), now)
        elif recent and rng.random() < 0.08:
            step = later_fragment(rng, rng.choice(recent), now)
        else:
            step = next_packet(rng, conversation, now)
        now = step.packet.time_ns
        recent = [*recent[-8:], step]
        yield step


def random_rows(environment: Environment, seed: int, n: int) -> Iterator[tuple[Packet, End, Direction]]:
    """n packets each with one end and a direction, without time: for `judge` and `evaluate`."""
    rng = Random(~seed)
    while n:
        for packet, egress, ingress in random_packets(environment, rng.getrandbits(32), 200):
            end, direction = rng.choice(((egress, Direction.EGRESS), (ingress, Direction.INGRESS)))
            yield packet, end, direction
            n -= 1
            if not n:
                return


def later(rng: Random, now: int, last: int) -> int:
    """When the next packet comes: soon, or around a timeout of its own conversation."""
    if rng.random() < 0.2:
        return max(now, last + rng.choice(PAUSES) * SECOND + rng.choice((-1, 0, 0, 0, 1)))
    return now + rng.choice((0, 1, 1_000, 1_000_000, 50_000_000, SECOND))


def random_conversation(rng: Random, environment: Environment) -> Conversation:
    """Two hosts and a first packet; the near one is nearly always a known interface."""
    if rng.random() < 0.6 and (guided := conversation_by_rule(rng, environment)):
        return guided
    near = random_host(rng, environment, known=0.95)
    if rng.random() < 0.03:
        near = (near[0], rng.choice((None, AMBIGUOUS)))
    far = partner(rng, environment, near)
    if rng.random() < 0.5:
        near, far = far, near
    protocol = rng.choice((TCP, TCP, TCP, TCP, UDP, UDP, UDP, ICMP, ICMP, rng.choice(OTHER_PROTOCOLS)))
    if protocol == ICMP and near[0].family == 6:
        protocol = ICMPV6
    if protocol in (ICMP, ICMPV6) and rng.random() < 0.05:  # the other family's
        protocol = ICMP + ICMPV6 - protocol
    first = Packet(near[0].family, near[0].value, far[0].value, protocol, ip_id=rng.randint(0, 3))
    if protocol in (TCP, UDP):
        dstport = rng.choice(PORTS) if rng.random() < 0.8 else random_port(rng)
        srcport = rng.choice((1024, 40000, 40001)) if rng.random() < 0.9 else rng.choice(PORTS)
        if rng.random() < 0.1:
            srcport, dstport = rng.choice(((68, 67), (546, 547), (67, 68), (1688, 40000), (53, 53)))
        first = replace(first, srcport=srcport, dstport=dstport)
    return Conversation(near, far, first)


def conversation_by_rule(rng: Random, environment: Environment) -> Conversation | None:
    """A conversation that some rule of some interface was written for; None where that one has no rules."""
    here = random_host(rng, environment, known=1.0)
    interface = environment.interfaces.get(here[1]) if isinstance(here[1], str) else None
    carried = interface.group_ids if interface is not None else ()
    rules = [rule for name in carried if name in environment.groups for rule in environment.groups[name].rules]
    if not rules:
        return None
    rule = rng.choice(rules)
    there = addressed_by(rng, environment, rule.peer, here)
    if there is None:
        return None
    near, far = (here, there) if rule.direction is Direction.EGRESS else (there, here)
    family = here[0].family
    protocol = rule.protocol if rule.protocol is not None else rng.choice((TCP, UDP, ICMP if family == 4 else ICMPV6))
    first = Packet(family, near[0].value, far[0].value, protocol, ip_id=rng.randint(0, 3))
    if protocol in (TCP, UDP):
        hit = [port for port in PORTS if rule.ports is None or rule.ports.first <= port <= rule.ports.last]
        first = replace(first, srcport=rng.choice((1024, 40000, 40001)), dstport=rng.choice(hit))
    return Conversation(near, far, first)


def addressed_by(
    rng: Random, environment: Environment, peer: Peer, here: tuple[Address, End]
) -> tuple[Address, End] | None:
    """A host that a rule's peer is for, of the family of `here`; interfaces first, None where there is none."""
    blocks: tuple[Cidr, ...] = ()
    if isinstance(peer, CidrPeer):
        blocks = (peer.cidr,)
    elif isinstance(peer, PrefixListPeer) and peer.prefix_list_id in environment.prefix_lists:
        blocks = environment.prefix_lists[peer.prefix_list_id].entries or ()
    vpc_id = vpc_of(environment, here[1])
    hosts: list[tuple[Address, End]] = [
        (address, other.interface_id)
        for other in environment.interfaces.values()
        for address in other.addresses
        if (isinstance(peer, GroupPeer) and peer.group_id in other.group_ids)
        or (other.vpc_id == vpc_id and any(block.contains(address) for block in blocks))
    ]
    if not hosts or rng.random() < 0.4:
        hosts += [(address, None) for address in OUTSIDERS if any(block.contains(address) for block in blocks)]
    hosts = [host for host in hosts if host[0].family == here[0].family and host[0] != here[0]]
    return rng.choice(hosts) if hosts else None


def random_port(rng: Random) -> int:
    """A port at the edge of a rule's range, or a fixed service, or any."""
    edge = rng.choice(PORTS) + rng.choice((-1, 1))
    return rng.choice((edge, edge, 1688, 67, 547, 0, 65535, rng.randint(0, 65535)))


def random_host(rng: Random, environment: Environment, known: float) -> tuple[Address, End]:
    """An address and the interface at it: one of the environment, or an outsider (None)."""
    interfaces = [interface for interface in environment.interfaces.values() if interface.addresses]
    if interfaces and rng.random() < known:
        interface = rng.choice(interfaces)
        return random_address(rng, interface), interface.interface_id
    return rng.choice(OUTSIDERS), None


def random_address(rng: Random, interface: NetworkInterface) -> Address:
    """One of the interface's addresses, or one inside its delegated prefix."""
    if interface.prefixes and rng.random() < 0.5:
        prefix = rng.choice(interface.prefixes)
        return Address(prefix.family, rng.randint(prefix.network, min(prefix.last, prefix.network + 15)))
    return rng.choice(interface.addresses)


def partner(rng: Random, environment: Environment, host: tuple[Address, End]) -> tuple[Address, End]:
    """Whom a host talks to: another interface, an outsider, a service of AWS, itself, a public address."""
    family = host[0].family
    kind = rng.random()
    if kind < 0.5:
        candidates = [random_host(rng, environment, known=1.0) for _ in range(8)]
        if rng.random() < 0.7:  # the same VPC, mostly
            vpc_id = vpc_of(environment, host[1])
            candidates.sort(key=lambda other: vpc_of(environment, other[1]) != vpc_id)
    elif kind < 0.75:
        candidates = [(address, None) for address in OUTSIDERS]
        rng.shuffle(candidates)
    elif kind < 0.88:
        candidates = [(address, None) for address in (*LINK_LOCAL, *infrastructure(environment))]
        rng.shuffle(candidates)
    elif kind < 0.96:
        public = [address for other in environment.interfaces.values() for address in other.public_addresses]
        candidates = [(address, None) for address in public]
    else:
        candidates = [(parse_address("255.255.255.255"), None)]
        interface = environment.interfaces.get(host[1]) if isinstance(host[1], str) else None
        if interface is not None:
            candidates = [(address, host[1]) for address in interface.addresses]
            rng.shuffle(candidates)
    fitting = [other for other in candidates if other[0].family == family and other[0] != host[0]]
    if fitting:
        return fitting[0]
    return next((address, None) for address in OUTSIDERS if address.family == family)


def vpc_of(environment: Environment, end: End) -> str | None:
    """The VPC of an end, None where it has none."""
    interface = environment.interfaces.get(end) if isinstance(end, str) else None
    return None if interface is None else interface.vpc_id


def infrastructure(environment: Environment) -> Iterator[Address]:
    """Routers and DNS servers: +1 and +2 of every subnet and VPC range."""
    for holder in (*environment.vpcs.values(), *environment.subnets.values()):
        for cidr in holder.cidrs:
            yield Address(cidr.family, cidr.network + 1)
            yield Address(cidr.family, cidr.network + 2)


def next_packet(rng: Random, conversation: Conversation, now: int) -> Step:
    """The next packet of a conversation: mostly sensible, sometimes a reply first, a late RST, a fragment."""
    forward = conversation.sent == 0 or rng.random() < 0.5
    if conversation.sent == 0 and rng.random() < 0.1:
        forward = False
    packet = replace(conversation.first, time_ns=now)
    if packet.protocol in (ICMP, ICMPV6):
        packet = icmp_query(rng, packet, forward)
    elif packet.protocol == TCP:
        packet = replace(packet, tcp_flags=tcp_flags(rng, conversation.sent, forward))
    if rng.random() < 0.08:
        packet = replace(packet, fragment=FRAGMENT_FIRST)
    conversation.sent += 1
    conversation.last_ns = now
    near, far = conversation.near, conversation.far
    if not forward:
        near, far = far, near
        packet = replace(
            packet,
            srcaddr=packet.dstaddr,
            dstaddr=packet.srcaddr,
            srcport=packet.dstport,
            dstport=packet.srcport,
        )
    egress, ingress = near[1], far[1]
    if rng.random() < 0.02:
        egress, ingress = rng.choice(((egress, AMBIGUOUS), (AMBIGUOUS, ingress), (egress, None), (None, ingress)))
    return Step(packet, egress, ingress)


def tcp_flags(rng: Random, sent: int, forward: bool) -> int:
    """Flags that follow a connection's life, with surprises."""
    if rng.random() < 0.15:
        return rng.choice((SYN, SYN, SYN | ACK, RST, RST | ACK, FIN | ACK, FIN, 0, SYN | FIN, SYN | RST))
    if sent == 0:
        return SYN if rng.random() < 0.85 else ACK
    if sent == 1 and not forward:
        return SYN | ACK
    return rng.choice((ACK, ACK, ACK, ACK | 8, FIN | ACK))


def icmp_query(rng: Random, packet: Packet, forward: bool) -> Packet:
    """A request one way, its reply the other; sometimes a request or a reply where none is expected."""
    pairs = ((8, 0), (8, 0), (8, 0), (13, 14), (17, 18)) if packet.protocol == ICMP else ((128, 129),)
    request, reply = pairs[packet.ip_id % len(pairs)]
    if rng.random() < 0.1:
        forward = not forward
    icmp_type = request if forward else reply
    code = 0
    if rng.random() < 0.08:
        icmp_type, code = rng.choice(((3, 4), (3, 1), (11, 0)) if packet.protocol == ICMP else ((2, 0), (1, 4)))
    if rng.random() < 0.04:  # cut off before the code, or before the type
        return replace(packet, icmp_type=rng.choice((icmp_type, None)))
    identifier = packet.ip_id if icmp_type in (request, reply) else None
    return replace(packet, icmp_type=icmp_type, icmp_code=code, icmp_id=identifier)


def icmp_error(rng: Random, about: Step, now: int) -> Step:
    """An error about an earlier packet, from its receiver or a router on the way, to its sender."""
    quoted = about.packet
    protocol = ICMP if quoted.family == 4 else ICMPV6
    icmp_type, code = rng.choice(((3, 1), (3, 4), (11, 0), (4, 0)) if protocol == ICMP else ((1, 4), (2, 0), (3, 0)))
    sender: tuple[Address, End] = (quoted.destination, about.ingress)
    if rng.random() < 0.4:
        sender = (rng.choice([host for host in OUTSIDERS if host.family == quoted.family]), None)
    quote = replace(quoted, quote=None, icmp_code=None, time_ns=0, tcp_flags=0, fragment=0, ip_id=0)
    if rng.random() < 0.1:
        quote = replace(quote, srcport=0, dstport=0, icmp_id=None)
    if rng.random() < 0.05:
        quote = replace(quote, srcaddr=quote.dstaddr, dstaddr=quote.srcaddr)
    packet = Packet(
        quoted.family,
        sender[0].value,
        quoted.srcaddr,
        protocol,
        icmp_type=icmp_type,
        icmp_code=code,
        time_ns=now,
        quote=quote,
    )
    return Step(packet, sender[1], about.egress)


def later_fragment(rng: Random, about: Step, now: int) -> Step:
    """The rest of an earlier packet, seldom of one that was whole; around the time that first ones are remembered."""
    packet = replace(
        about.packet,
        srcport=0,
        dstport=0,
        icmp_type=None,
        icmp_code=None,
        icmp_id=None,
        tcp_flags=0,
        quote=None,
        fragment=FRAGMENT_LATER,
        time_ns=max(now, about.packet.time_ns + 30 * SECOND + rng.choice((-1, 0, 1))) if rng.random() < 0.1 else now,
    )
    return Step(packet, about.egress, about.ingress)
