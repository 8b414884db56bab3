"""ClassBench filter sets → one security group: what such a group can hold, and how much it cannot.

A line is `@source/length destination/length first : last first : last protocol/mask flags/mask`; the last field may be
missing. Kept are source prefix, destination ports and protocol, as an ingress rule. Order and priorities mean nothing
to a group, whose rules all allow.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from sgsim.errors import EnvironmentInputError, ModelError
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
    IcmpType,
    NetworkInterface,
    PortRange,
    SecurityGroup,
    SecurityGroupRule,
    Vpc,
    parse_cidr,
)
from sgsim.model.identity import rule_content

__all__ = ["ClassBench", "read_classbench"]

_LINE = re.compile(
    r"@(?P<source>\S+)\s+(?P<destination>\S+)\s+(?P<s1>\d{1,5})\s*:\s*(?P<s2>\d{1,5})\s+"
    r"(?P<d1>\d{1,5})\s*:\s*(?P<d2>\d{1,5})\s+0x(?P<protocol>[0-9a-f]{1,2})/0x(?P<mask>[0-9a-f]{1,2})"
    r"(?:\s+0x[0-9a-f]{1,8}/0x(?P<flags>[0-9a-f]{1,8}))?",
    re.IGNORECASE,
)
_SHAPE = "'@source/length destination/length first : last first : last 0xprotocol/0xmask 0xflags/0xmask'"
_GROUP, _VPC, _ACCOUNT, _REGION = "sg-00000000000000000", "vpc-00000000000000001", "123456789012", "eu-central-1"
_OWN = Cidr(4, 0x64400000, 16)

Service = tuple[int | None, PortRange | None]


@dataclass(frozen=True, slots=True)
class ClassBench:
    """One group on one interface; `lines` of the file with a rule, and `dropped`: what → in how many lines."""

    environment: Environment
    lines: int
    rules: int
    dropped: dict[str, int] = field(default_factory=dict)


def read_classbench(path: str | os.PathLike[str]) -> ClassBench:
    """Read a filter set. Raises EnvironmentInputError with the file and line that cannot be used."""
    source = os.fspath(path)
    dropped: Counter[str] = Counter()
    rules: dict[object, SecurityGroupRule] = {}
    lines = 0
    try:
        text = Path(source).read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise EnvironmentInputError(f"cannot be read: {error.strerror}", source=source) from None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        lines += 1
        try:
            cidr, services = _rule(line, dropped)
        except ModelError as error:
            raise EnvironmentInputError(str(error), source=source, where=f"line {number}") from None
        for protocol, ports in services:
            icmp = IcmpType(None, None) if protocol in (ICMP, ICMPV6) else None
            rule_id = f"sgr-{len(rules):017x}"
            rule = SecurityGroupRule(rule_id, _GROUP, Direction.INGRESS, protocol, CidrPeer(cidr), ports, icmp)
            if rules.setdefault(rule_content(rule), rule) is not rule:
                dropped["rules that repeat another, once the rest is dropped"] += 1
    if not lines:
        raise EnvironmentInputError("holds no rules", source=source, advice=f"each line is {_SHAPE}")
    return ClassBench(_environment(tuple(rules.values()), Path(source).name), lines, len(rules), dict(dropped))


def _rule(line: str, dropped: Counter[str]) -> tuple[Cidr, list[Service]]:
    """The source and the services of a line; what cannot be kept is counted. Raises ModelError."""
    found = _LINE.fullmatch(line.strip())
    if found is None:
        raise ModelError(f"{line.strip()[:60]!r} is not {_SHAPE}")
    cidr, destination = parse_cidr(found["source"]), parse_cidr(found["destination"])
    came, ports = _ports(found["s1"], found["s2"]), _ports(found["d1"], found["d2"])
    protocol, mask = int(found["protocol"], 16), int(found["mask"], 16)
    if mask not in (0, 255):
        raise ModelError(f"protocol 0x{found['protocol']}/0x{found['mask']} is neither one protocol nor all of them")
    if destination.prefix_length:
        dropped["destination prefixes"] += 1
    if came != ALL_PORTS:
        dropped["source ports"] += 1
    if int(found["flags"] or "0", 16):
        dropped["TCP flags"] += 1
    if mask == 0:
        return cidr, [(None, None)] if ports == ALL_PORTS else [(TCP, ports), (UDP, ports)]
    if protocol in (TCP, UDP):
        return cidr, [(protocol, ports)]
    if ports != ALL_PORTS:
        dropped["ports of protocols without ports"] += 1
    return cidr, [(protocol, None)]


def _ports(first: str, last: str) -> PortRange:
    ports = PortRange(int(first), int(last))
    if not 0 <= ports.first <= ports.last <= 65535:
        raise ModelError(f"ports {first} : {last} are not a range within 0 to 65535")
    return ports


def _environment(rules: tuple[SecurityGroupRule, ...], name: str) -> Environment:
    group = SecurityGroup(
        _GROUP,
        rules,
        name=name,
        description="from a ClassBench filter set",
        account_id=_ACCOUNT,
        region=_REGION,
        vpc_id=_VPC,
    )
    interface = NetworkInterface(
        "eni-00000000000000000",
        (Address(4, _OWN.network + 16),),
        (_GROUP,),
        vpc_id=_VPC,
        account_id=_ACCOUNT,
        region=_REGION,
    )
    return Environment(
        groups={_GROUP: group},
        interfaces={interface.interface_id: interface},
        vpcs={_VPC: Vpc(_VPC, (_OWN,), account_id=_ACCOUNT, region=_REGION)},
        closed=frozenset({(_ACCOUNT, _REGION)}),
        peerings_described=True,
        gateways_described=True,
    )
