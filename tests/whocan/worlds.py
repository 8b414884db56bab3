"""Small accounts at random, and every call that anybody could think of in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from random import Random
from typing import Any

from sgsim.model import (
    Address,
    Cidr,
    CidrPeer,
    Direction,
    Environment,
    GroupPeer,
    NetworkInterface,
    PortRange,
    PrefixList,
    PrefixListPeer,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Vpc,
)
from sgsim.model.changes import (
    AddInterface,
    Authorize,
    Change,
    ChangeOrigin,
    ModifyRule,
    RunInstances,
    SetEntries,
    SetGroups,
)
from sgsim.model.images import EVERYONE, Image, account_permission
from sgsim.model.policies import PolicyKind, parse_policy
from sgsim.model.principals import Directory, InlinePolicy, Role, User

ACCOUNT, OTHER, REGION = "111122223333", "444455556666", "eu-west-1"
NET = 10 << 24
FREE = Address(4, NET + 9)  #: an address that no interface has
PORT = 443
_ACTIONS = (
    "ec2:AuthorizeSecurityGroupIngress",
    "ec2:AuthorizeSecurityGroupEgress",
    "ec2:ModifySecurityGroupRules",
    "ec2:ModifyManagedPrefixList",
    "ec2:ModifyNetworkInterfaceAttribute",
    "ec2:ModifyInstanceAttribute",
    "ec2:CreateNetworkInterface",
    "ec2:RunInstances",
    "ec2:*SecurityGroup*",
    "ec2:*",
)


def address(number: int) -> Address:
    return Address(4, NET + number)


def peers(groups: list[str]) -> list[Any]:
    blocks = [Cidr(4, NET + 8, 30), Cidr(4, NET, 24), Cidr(4, 0, 0), *(Cidr(4, NET + n, 32) for n in (5, 6, 7, 9))]
    named = [GroupPeer(one, ACCOUNT) for one in groups]
    return [*map(CidrPeer, blocks), *named, PrefixListPeer("pl-1"), PrefixListPeer("pl-2")]


def _rule(random: Random, group_id: str, number: int, groups: list[str]) -> SecurityGroupRule:
    direction = random.choice(tuple(Direction))
    peer = random.choice(peers(groups))
    if random.random() < 0.25:
        return SecurityGroupRule(f"sgr-{group_id}-{number}", group_id, direction, None, peer)
    port = random.choice((PORT, PORT, 80))
    return SecurityGroupRule(f"sgr-{group_id}-{number}", group_id, direction, 6, peer, PortRange(port, port))


def _network(random: Random) -> Environment:
    ids = [f"sg-{n}" for n in range(random.randint(2, 3))]
    groups = {}
    for one in ids:
        rules, seen = [], set()
        for number in range(random.randint(0, 2)):
            rule = _rule(random, one, number, ids)
            content = (rule.direction, rule.protocol, rule.ports, rule.peer)
            if content not in seen:
                rules.append(rule)
                seen.add(content)
        groups[one] = SecurityGroup(one, tuple(rules), one, account_id=ACCOUNT, region=REGION, vpc_id="vpc-1")
    interfaces = {}
    for number in range(random.randint(1, 3)):
        carried = tuple(random.sample(ids, random.randint(1, 2)))
        name = f"eni-{number}"
        interfaces[name] = NetworkInterface(
            name,
            (address(5 + number),),
            carried,
            vpc_id="vpc-1",
            subnet_id="subnet-1",
            account_id=ACCOUNT,
            region=REGION,
            instance_id=random.choice((None, f"i-{number}")),
        )
    lists = {
        "pl-1": PrefixList(
            "pl-1", (Cidr(4, NET + 8, 30),), family=4, max_entries=random.choice((1, 5)), account_id=ACCOUNT
        ),
        "pl-2": PrefixList("pl-2", (), family=4, max_entries=3, account_id=ACCOUNT),
    }
    shared = random.choice((frozenset(), frozenset({EVERYONE}), frozenset({account_permission(ACCOUNT)})))
    return Environment(
        groups=groups,
        interfaces=interfaces,
        prefix_lists=lists,
        vpcs={"vpc-1": Vpc("vpc-1", (Cidr(4, NET, 24),), ACCOUNT, REGION)},
        subnets={"subnet-1": Subnet("subnet-1", "vpc-1", (Cidr(4, NET, 24),), REGION)},
        images={
            "ami-1": Image("ami-1", owner_id=random.choice((ACCOUNT, OTHER)), permissions=shared, region=REGION),
        },
        closed=frozenset({(ACCOUNT, REGION)}),
        peerings_described=True,
        gateways_described=True,
    )


def _resources(random: Random, environment: Environment) -> Any:
    ec2 = f"arn:aws:ec2:{REGION}:{ACCOUNT}"
    some = [
        *(f"{ec2}:security-group/{one}" for one in environment.groups),
        f"{ec2}:security-group-rule/*",
        f"{ec2}:network-interface/*",
        f"{ec2}:network-interface/eni-0",
        f"{ec2}:instance/*",
        f"{ec2}:prefix-list/pl-1",
        f"{ec2}:subnet/*",
        f"{ec2}:volume/*",
        f"arn:aws:ec2:{REGION}::image/*",
    ]
    return "*" if random.random() < 0.4 else random.sample(some, random.randint(3, len(some)))


def _policy(random: Random, environment: Environment, roles: list[str]) -> InlinePolicy:
    statements = []
    for _ in range(random.randint(1, 2)):
        statement: dict[str, Any] = {
            "Effect": random.choice(("Allow", "Allow", "Allow", "Deny")),
            "Action": random.sample(_ACTIONS, random.randint(1, 2)),
            "Resource": _resources(random, environment),
        }
        if random.random() < 0.2:
            statement["Condition"] = {"StringEquals": {"ec2:SecurityGroupID": random.choice(list(environment.groups))}}
        statements.append(statement)
    if random.random() < 0.6:
        take = random.choice(("*", random.choice(roles)))
        statements.append({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": take})
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return InlinePolicy("p", parse_policy(text, PolicyKind.IDENTITY))


def _trust(random: Random, names: list[str]) -> Any:
    condition = {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}} if random.random() < 0.15 else {}
    named = random.choice((random.choice(names), f"arn:aws:iam::{ACCOUNT}:root", "*", random.choice(names)))
    statement = {"Effect": "Allow", "Principal": {"AWS": named}, "Action": "sts:AssumeRole", **condition}
    return parse_policy(json.dumps({"Version": "2012-10-17", "Statement": statement}), PolicyKind.TRUST)


def world(seed: int) -> Environment:
    """An account; roles may trust each other in a circle."""
    random = Random(seed)
    environment = _network(random)
    roles = [f"arn:aws:iam::{ACCOUNT}:role/r{n}" for n in range(2)]
    users = [f"arn:aws:iam::{ACCOUNT}:user/u{n}" for n in range(2)]
    directory = Directory(
        users={
            arn: User(arn=arn, inline=(_policy(random, environment, roles),) if random.random() < 0.8 else ())
            for arn in users
        },
        roles={
            arn: Role(arn=arn, trust=_trust(random, [*users, *roles]), inline=(_policy(random, environment, roles),))
            for arn in roles
        },
    )
    return replace(environment, directory=directory)


def question(seed: int, environment: Environment) -> str:
    """A set of packets of which some interface is an end; small enough to look at every one."""
    random = Random(seed + 1_000_000)
    near, *known = random.sample(list(environment.interfaces), len(environment.interfaces))
    far = random.choice(("10.0.0.9", "10.0.0.8/30", "192.0.2.1", *known))
    one, other = (far, near) if random.random() < 0.7 else (near, far)
    return f"tcp {one} > {other}:{PORT}"


def every_call(environment: Environment) -> Iterator[Change]:
    """All calls that are made of the world's own things: rules, bodies, entries, groups and new interfaces."""
    groups = list(environment.groups)
    bodies = [(None, None), (6, PortRange(PORT, PORT))]
    for group in environment.groups.values():
        for protocol, ports in bodies:
            for peer in peers(groups):
                for direction in Direction:
                    yield Authorize(
                        group.group_id, (SecurityGroupRule("", group.group_id, direction, protocol, peer, ports),)
                    )
                for rule in group.rules:
                    body = SecurityGroupRule(rule.rule_id, group.group_id, rule.direction, protocol, peer, ports)
                    yield ModifyRule(group.group_id, rule.rule_id, body)
    for list_id in environment.prefix_lists:
        for peer in peers([]):
            if isinstance(peer, CidrPeer):
                yield SetEntries(list_id, (peer.cidr,))
    subsets = [chosen for size in (1, 2, 3) for chosen in combinations(groups, size)]
    for interface in environment.interfaces.values():
        for chosen in subsets:
            yield SetGroups(interface.interface_id, chosen)
            if interface.instance_id is not None:
                yield SetGroups(interface.interface_id, chosen, origin=ChangeOrigin(event="ModifyInstanceAttribute"))
    for number in range(8, 12):
        for chosen in subsets:
            new = NetworkInterface(
                f"subnet-1/10.0.0.{number}",
                (address(number),),
                chosen,
                vpc_id="vpc-1",
                subnet_id="subnet-1",
                account_id=ACCOUNT,
                region=REGION,
            )
            yield AddInterface(new)
            yield RunInstances(image_id="ami-1", interfaces=(new,), account_id=ACCOUNT)
