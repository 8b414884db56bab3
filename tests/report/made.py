"""Hand-made records, environments and names for the tests of reports."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from sgsim.flows import EGRESS, INGRESS, NO_INTERFACE
from sgsim.model import (
    CidrPeer,
    Direction,
    Environment,
    GroupPeer,
    NetworkInterface,
    Peer,
    PortRange,
    SecurityGroup,
    SecurityGroupRule,
    Vpc,
    parse_address,
    parse_cidr,
)
from sgsim.report.columns import Names
from sgsim.report.labels import Labels
from sgsim.verdicts import MatchSets, Reason, Verdict, Verdicts

WEB, DB = "eni-0web", "eni-0db"
INTERFACE_IDS = [WEB, DB]


def _tcp(rule_id: str, group_id: str, peer: Peer, first: int, last: int) -> SecurityGroupRule:
    return SecurityGroupRule(rule_id, group_id, Direction.INGRESS, 6, peer, PortRange(first, last))


RULES = [
    _tcp("sgr-0https", "sg-0web", CidrPeer(parse_cidr("0.0.0.0/0")), 443, 443),
    _tcp("sgr-0wide", "sg-0web", CidrPeer(parse_cidr("192.0.2.0/24")), 0, 65535),
    _tcp("sgr-0db", "sg-0db", GroupPeer("sg-0far", "444455556666"), 5432, 5432),
]
RULE_IDS = [rule.rule_id for rule in RULES]
SETS = MatchSets.of([[], [0], [0, 1], [2]])

OWNED = {"account_id": "111122223333", "vpc_id": "vpc-0a"}
ENVIRONMENT = Environment(
    groups={
        "sg-0web": SecurityGroup("sg-0web", tuple(RULES[:2]), name="web"),
        "sg-0db": SecurityGroup("sg-0db", tuple(RULES[2:]), name="db"),
    },
    interfaces={
        WEB: NetworkInterface(WEB, group_ids=("sg-0web",), instance_id="i-0web", **OWNED),
        DB: NetworkInterface(DB, group_ids=("sg-0db",), description="rds", **OWNED),
    },
    vpcs={"vpc-0a": Vpc("vpc-0a", (parse_cidr("10.0.0.0/16"),))},
)
NAMES = Names(ENVIRONMENT, INTERFACE_IDS, RULE_IDS)
LABELS = Labels(ENVIRONMENT, INTERFACE_IDS, RULE_IDS)

_DTYPES = {
    "interface": np.int32, "match_set": np.int32, "possible_set": np.int32, "deciding_rule": np.int32,
    "src_hi": np.uint64, "src_lo": np.uint64, "dst_hi": np.uint64, "dst_lo": np.uint64,
    "srcport": np.uint16, "dstport": np.uint16, "icmp_type": np.int16, "icmp_code": np.int16,
    "packets": np.int64, "bytes": np.int64, "start": np.int64, "end": np.int64, "flow_id": np.int64,
    "fragment": np.bool_, "initiating": np.bool_,
}  # fmt: skip


def row(src: str = "192.0.2.7", dst: str = "10.0.1.5", **given: Any) -> dict[str, Any]:
    """One record: an accepted HTTPS request to the web server, but for what is given."""
    source, target = parse_address(src), parse_address(dst)
    return {
        "interface": 0, "direction": INGRESS, "family": source.family,
        "src_hi": source.value >> 64, "src_lo": source.value & (1 << 64) - 1,
        "dst_hi": target.value >> 64, "dst_lo": target.value & (1 << 64) - 1,
        "srcport": 40000, "dstport": 443, "protocol": 6, "icmp_type": -1, "icmp_code": -1, "fragment": False,
        "packets": 10, "bytes": 1000, "start": 1_772_442_000, "end": 1_772_442_060, "tcp_flags": 2,
        "action": Verdict.ACCEPT, "reason": Reason.RULE, "match_set": 1, "possible_set": 0, "deciding_rule": 0,
        "initiating": True, "flow_id": 1, "path_action": Verdict.ACCEPT, **given,
    }  # fmt: skip


def rejected(src: str = "203.0.113.66", dst: str = "10.0.1.5", **given: Any) -> dict[str, Any]:
    """A SYN that no rule lets in."""
    closed = {"action": Verdict.REJECT, "reason": Reason.NO_RULE, "match_set": 0, "deciding_rule": -1, "packets": 1}
    return row(src, dst, **{**closed, "bytes": 44, "path_action": Verdict.REJECT, **given})


def unknown(**given: Any) -> dict[str, Any]:
    """A request to the database that only the rule with the unresolved reference may allow."""
    maybe = {"action": Verdict.UNKNOWN, "reason": Reason.UNRESOLVED, "match_set": 0, "possible_set": 3, "dstport": 5432}
    return row(
        **{**maybe, "interface": 1, "deciding_rule": -1, "path_action": Verdict.UNKNOWN, "src": "172.31.5.20", **given}
    )


def nowhere(**given: Any) -> dict[str, Any]:
    """Traffic between two addresses that no known interface has."""
    return unknown(
        **{"interface": NO_INTERFACE, "reason": Reason.NO_INTERFACE, "possible_set": 0, "direction": EGRESS, **given}
    )


def batch(*rows: dict[str, Any]) -> Verdicts:
    """The rows as one batch."""
    names = [field.name for field in fields(Verdicts) if field.name != "sets"]
    return Verdicts(
        **{name: np.array([line[name] for line in rows], _DTYPES.get(name, np.uint8)) for name in names}, sets=SETS
    )
