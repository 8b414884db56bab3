"""describe-network-acls → NetworkAcl (docs/semantics.md §5.5)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sgsim.errors import EnvironmentInputError
from sgsim.importers import read_environment
from sgsim.model import Direction, IcmpType, PortRange, parse_cidr
from sgsim.model.acls import NetworkAclEntry

IN, OUT = Direction.INGRESS, Direction.EGRESS
GROUPS = {"SecurityGroups": [{"GroupId": "sg-1", "GroupName": "one", "VpcId": "vpc-1"}]}


def acl(*entries: dict[str, Any], **fields: Any) -> dict[str, Any]:
    association = {"NetworkAclAssociationId": "aclassoc-1", "NetworkAclId": "acl-1", "SubnetId": "subnet-1"}
    described = {"NetworkAclId": "acl-1", "VpcId": "vpc-1", "IsDefault": False, "Associations": [association]}
    return {**described, "Entries": list(entries), **fields}


def entry(number: int, *, egress: bool = False, protocol: str = "-1", action: str = "allow", **fields: Any) -> Any:
    block = {} if "Ipv6CidrBlock" in fields else {"CidrBlock": "0.0.0.0/0"}
    named = {"RuleNumber": number, "Egress": egress, "Protocol": protocol, "RuleAction": action}
    return {**named, **block, **fields}


def read(tmp_path: Path, *acls: dict[str, Any]) -> Any:
    (tmp_path / "groups.json").write_text(json.dumps(GROUPS))
    (tmp_path / "acls.json").write_text(json.dumps({"NetworkAcls": list(acls)}))
    return read_environment(tmp_path).acls


def test_entries_of_every_kind(tmp_path: Path) -> None:
    """Protocols are numbers as text, ports and ICMP are nested; both are ignored for other protocols."""
    found = read(
        tmp_path,
        acl(
            entry(200, protocol="1", IcmpTypeCode={"Type": 8, "Code": -1}),
            entry(100, protocol="6", action="deny", PortRange={"From": 22, "To": 22}, CidrBlock="198.51.100.7/24"),
            entry(32767, action="deny"),
            entry(110, egress=True, protocol="50", PortRange={"From": 1, "To": 2}),
            entry(120, protocol="58", Ipv6CidrBlock="2001:db8::/32", IcmpTypeCode={"Type": -1, "Code": -1}),
        ),
    )["acl-1"]
    anywhere, docs = parse_cidr("0.0.0.0/0"), parse_cidr("2001:db8::/32")
    assert found.entries == (
        NetworkAclEntry(100, IN, False, 6, parse_cidr("198.51.100.0/24"), PortRange(22, 22)),
        NetworkAclEntry(120, IN, True, 58, docs),
        NetworkAclEntry(200, IN, True, 1, anywhere, None, IcmpType(8, None)),
        NetworkAclEntry(32767, IN, False, None, anywhere),
        NetworkAclEntry(110, OUT, True, 50, anywhere),
    )
    assert (found.subnet_ids, found.vpc_id, found.is_default) == (("subnet-1",), "vpc-1", False)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (entry(1, protocol="tcp"), "'tcp' is not a protocol number"),
        (entry(1, action="permit"), "'permit' is neither allow nor deny"),
        (entry(1, CidrBlock="10.0.0.0"), "prefix length is missing"),
        (entry(1, CidrBlock=None), "neither CidrBlock nor Ipv6CidrBlock"),
        (entry(1, protocol="6", PortRange={"From": 5, "To": 4}), "are not a range"),
    ],
)
def test_what_cannot_be(tmp_path: Path, wrong: Any, problem: str) -> None:
    with pytest.raises(EnvironmentInputError, match=r"acls\.json") as raised:
        read(tmp_path, acl(entry(9), wrong))
    assert problem in str(raised.value)
    assert "NetworkAcls[0].Entries[1]" in str(raised.value)


def test_one_acl_described_twice_must_agree(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentInputError, match="network ACL acl-1 is described twice"):
        read(tmp_path, acl(entry(1)), acl(entry(2)))
