"""A small account for tests of changes, and rules in one line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from sgsim.model import (
    ICMP,
    TCP,
    UDP,
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
    Subnet,
    Vpc,
    VpcPeering,
    parse_address,
    parse_cidr,
)
from tests.generators.environments import random_environment

ACCOUNT = "111122223333"
_PROTOCOLS = {"tcp": TCP, "udp": UDP, "icmp": ICMP, "all": None}


def rule(text: str, group_id: str = "", rule_id: str = "", description: str = "") -> SecurityGroupRule:
    """`in tcp 443 10.0.0.0/8`, `out all sg-db`, `in icmp 8/0 pl-1`, `in 50 10.0.0.0/8`."""
    way, protocol_text, *service, peer_text = text.split()
    protocol = _PROTOCOLS[protocol_text] if protocol_text in _PROTOCOLS else int(protocol_text)
    ports = icmp = None
    if protocol == ICMP:
        type_, _, code = service[0].partition("/") if service else ("", "", "")
        icmp = IcmpType(int(type_) if type_ else None, int(code) if code else None)
    elif service:
        first, _, last = service[0].partition("-")
        ports = PortRange(int(first), int(last or first))
    peer: Peer = (
        GroupPeer(peer_text)
        if peer_text.startswith("sg-")
        else PrefixListPeer(peer_text)
        if peer_text.startswith("pl-")
        else CidrPeer(parse_cidr(peer_text))
    )
    direction = Direction.INGRESS if way == "in" else Direction.EGRESS
    return SecurityGroupRule(rule_id, group_id, direction, protocol, peer, ports, icmp, description)


def group(group_id: str, *texts: str, **more: Any) -> SecurityGroup:
    """A group in vpc-1 whose rules have the ids sgr-<group>0, sgr-<group>1 …"""
    stem = group_id.removeprefix("sg-")
    rules = tuple(rule(text, group_id, f"sgr-{stem}{number}") for number, text in enumerate(texts))
    told = {"name": stem, "description": "for tests", "account_id": ACCOUNT, "vpc_id": "vpc-1", **more}
    return SecurityGroup(group_id, rules, **told)


def interface(interface_id: str, *group_ids: str, **more: Any) -> NetworkInterface:
    told = {"vpc_id": "vpc-1", "subnet_id": "subnet-1", "account_id": ACCOUNT, **more}
    return NetworkInterface(interface_id, (parse_address("10.0.0.9"),), group_ids, **told)


def account(**more: Any) -> Environment:
    """web, db (which refers to web), idle; default groups; vpc-1, the default VPC vpc-0, vpc-2 peered, vpc-3 not."""
    groups = [
        group("sg-web", "in tcp 443 0.0.0.0/0", "in tcp 80 10.0.0.0/8", "out all 0.0.0.0/0"),
        group("sg-db", "in tcp 5432 sg-web", "in tcp 5432 pl-office"),
        group("sg-idle", "in tcp 22 sg-idle"),
        group("sg-default", "in all sg-default", "out all 0.0.0.0/0", name="default"),
        group("sg-home", "in tcp 22 192.0.2.0/24", vpc_id="vpc-0"),
        group("sg-peer", vpc_id="vpc-2"),
        group("sg-stranger", vpc_id="vpc-3"),
        group("sg-visitor", vpc_id="vpc-3", associated_vpc_ids=("vpc-1",)),
    ]
    interfaces = [interface("eni-web", "sg-web"), interface("eni-db", "sg-db", "sg-default")]
    lists = [
        PrefixList("pl-office", (parse_cidr("192.0.2.0/24"),), "office", 4, 2, ACCOUNT),
        PrefixList("pl-large", (), "large", 4, 58, ACCOUNT),
        PrefixList("pl-s3", (parse_cidr("198.51.100.0/24"),), "com.amazonaws.eu-west-1.s3", 4, None, "AWS"),
        PrefixList("pl-edge", None, "com.amazonaws.global.cloudfront.origin-facing", 4, None, "AWS"),
    ]
    vpcs = [Vpc(f"vpc-{n}", (parse_cidr(f"10.{n}.0.0/16"),), ACCOUNT, None, "", n == 0) for n in range(4)]
    plain: dict[str, Any] = {
        "groups": {one.group_id: one for one in groups},
        "interfaces": {one.interface_id: one for one in interfaces},
        "prefix_lists": {one.prefix_list_id: one for one in lists},
        "vpcs": {one.vpc_id: one for one in vpcs},
        "subnets": {"subnet-1": Subnet("subnet-1", "vpc-1", (parse_cidr("10.0.0.0/24"),))},
        "peerings": {"pcx-1": VpcPeering("pcx-1", "vpc-1", "vpc-2", "active")},
        "closed": frozenset({(ACCOUNT, None)}),
        "peerings_described": True,
        "gateways_described": True,
    }
    return Environment(**{**plain, **more})


def distinct(seed: int) -> Environment:
    """A random environment as imports have it: no rule twice in a group, rules and entries sorted."""
    environment = random_environment(seed)
    groups = {}
    for group_id, one in environment.groups.items():
        unique = {(each.direction, each.service, str(each.peer)): each for each in one.rules}
        ordered = tuple(sorted(unique.values(), key=lambda each: each.rule_id))
        groups[group_id] = msgspec.structs.replace(one, rules=ordered)
    lists = {
        key: msgspec.structs.replace(one, entries=None if one.entries is None else tuple(sorted(one.entries)))
        for key, one in environment.prefix_lists.items()
    }
    return replace(environment, groups=groups, prefix_lists=lists)


def bare(environment: Environment) -> dict[str, Any]:
    """What an environment says, without ids of rules and the order of things: equal for equal meaning."""
    return {
        "groups": {
            key: (
                msgspec.structs.replace(one, rules=(), origin=""),
                frozenset(msgspec.structs.replace(each, rule_id="") for each in one.rules),
            )
            for key, one in environment.groups.items()
        },
        "interfaces": {
            key: (msgspec.structs.replace(one, group_ids=(), origin=""), frozenset(one.group_ids))
            for key, one in environment.interfaces.items()
        },
        "prefix_lists": {
            key: (
                msgspec.structs.replace(one, entries=None, origin=""),
                None if one.entries is None else frozenset(one.entries),
            )
            for key, one in environment.prefix_lists.items()
        },
    }
