"""Prefix lists, VPCs, peerings, gateways, mirror sessions (docs/environment.md, docs/semantics.md §1.4, §9.7)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgsim.errors import EnvironmentInputError
from sgsim.importers import read_environment
from sgsim.importers.network import region_of_arn, region_of_zone
from sgsim.model import Environment, MirrorSession, VpcPeering
from tests.importers.exports import ACCOUNT, group, groups_file, permission, write

GROUPS = groups_file(group(ingress=[permission(lists=["pl-1"])]))


def read(folder: Path, **documents: object) -> Environment:
    return read_environment(write(folder, groups=GROUPS, **documents))


def managed(list_id: str = "pl-1", **more: object) -> dict:
    return {"PrefixListId": list_id, "PrefixListName": "office", "AddressFamily": "IPv4", "OwnerId": ACCOUNT, **more}


def entries(*cidrs: str, **more: object) -> dict:
    return {"Entries": [{"Cidr": cidr, "Description": "x"} for cidr in cidrs], **more}


def test_managed_lists_take_entries_by_file_name(tmp_path: Path) -> None:
    """get-managed-prefix-list-entries does not print the id."""
    environment = read(tmp_path, lists={"PrefixLists": [managed(MaxEntries=10)]}, **{"pl-1": entries("10.1.0.0/16")})
    (found,) = environment.prefix_lists.values()
    assert [str(cidr) for cidr in found.entries or ()] == ["10.1.0.0/16"]
    assert (found.name, found.family, found.max_entries, found.account_id) == ("office", 4, 10, ACCOUNT)
    assert environment.warnings == tuple(one for one in environment.warnings if "prefix list" not in one)


@pytest.mark.parametrize(
    ("name", "list_id"),
    [
        ("pl-0123456789abcdef0", "pl-0123456789abcdef0"),
        ("pl-0123456789abcdef0.us-east-1", "pl-0123456789abcdef0"),
        ("entries of pl-63a5400a", "pl-63a5400a"),
        ("pl-office", "pl-office"),
    ],
)
def test_file_names_that_hold_an_id(tmp_path: Path, name: str, list_id: str) -> None:
    assert read(tmp_path, **{name: entries("10.0.0.0/8")}).prefix_lists.keys() == {list_id}


def test_entries_may_carry_the_id_beside_them(tmp_path: Path) -> None:
    """§9.7"""
    found = read(tmp_path, x=entries("10.0.0.0/8", "::/0", PrefixListId="pl-1")).prefix_lists["pl-1"]
    assert [str(cidr) for cidr in found.entries or ()] == ["10.0.0.0/8", "::/0"] and found.family is None
    assert read(tmp_path, x=entries("2001:db8::/32", PrefixListId="pl-1")).prefix_lists["pl-1"].family == 6


def test_entries_without_id_are_reported(tmp_path: Path) -> None:
    environment = read(tmp_path, x=entries("10.0.0.0/8"))
    assert not environment.prefix_lists
    assert any("unnamed prefix list" in warning for warning in environment.warnings)


def test_lists_without_entries(tmp_path: Path) -> None:
    """§9.7: entries that the input lacks are not known, which is not the same as none."""
    environment = read(tmp_path, lists={"PrefixLists": [managed()]})
    assert environment.prefix_lists["pl-1"].entries is None and environment.prefix_lists["pl-1"].family == 4
    assert any("1 prefix list (pl-1) is used by rules" in warning for warning in environment.warnings)
    empty = read(tmp_path, **{"pl-1": entries()}).prefix_lists["pl-1"]
    assert empty.entries == () and empty.family == 4


def test_the_older_shape_has_its_cidrs(tmp_path: Path) -> None:
    """describe-prefix-lists; both shapes of one list merge if they agree."""
    old = {"PrefixListId": "pl-1", "PrefixListName": "s3", "Cidrs": ["52.216.0.0/15", "3.5.0.0/19"]}
    found = read(tmp_path, old={"PrefixLists": [old]}).prefix_lists["pl-1"]
    assert [str(cidr) for cidr in found.entries or ()] == ["3.5.0.0/19", "52.216.0.0/15"]
    both = read(tmp_path, **{"pl-1": entries("3.5.0.0/19", "52.216.0.0/15")}).prefix_lists["pl-1"]
    assert both.entries == found.entries
    with pytest.raises(EnvironmentInputError, match="prefix list pl-1 is described twice"):
        read(tmp_path, **{"pl-1": entries("3.5.0.0/19")})


def test_pages_of_entries_are_not_all_of_them(tmp_path: Path) -> None:
    """A leftover NextToken: which page is missing cannot be known, so the entries are not."""
    environment = read(
        tmp_path, a__pl_1={}, **{"a__pl-1": entries("10.0.0.0/8", NextToken="x"), "b__pl-1": entries("11.0.0.0/8")}
    )
    assert environment.prefix_lists["pl-1"].entries is None and environment.prefix_lists["pl-1"].family == 4
    assert any("incomplete" in warning for warning in environment.warnings)
    with pytest.raises(EnvironmentInputError, match="prefix list pl-1 is described twice"):
        read(tmp_path, **{"a__pl-1": entries("10.0.0.0/8")})


@pytest.mark.parametrize(
    ("documents", "where", "words"),
    [
        ({"pl-1": entries("10.0.0.0/33")}, "Entries[0].Cidr", "at most 32 bits"),
        ({"x": {"PrefixLists": [managed(AddressFamily="IPv5")]}}, "PrefixLists[0].AddressFamily", "neither"),
        ({"x": {"PrefixLists": [{"PrefixListId": "pl-1", "Cidrs": ["x"]}]}}, "PrefixLists[0].Cidrs[0]", "CIDR"),
        ({"x": {"Vpcs": [{"VpcId": "vpc-1", "CidrBlock": "::/0"}]}}, "Vpcs[0].CidrBlock", "IPv4"),
        ({"x": {"Subnets": [{"SubnetId": "s", "CidrBlock": "1.2.3.4"}]}}, "Subnets[0].CidrBlock", "prefix length"),
        (
            {
                "x": {
                    "TrafficMirrorSessions": [
                        {"TrafficMirrorSessionId": "tms-1", "NetworkInterfaceId": "eni-1", "VirtualNetworkId": 1 << 24}
                    ]
                }
            },
            "TrafficMirrorSessions[0].VirtualNetworkId",
            "16777215",
        ),
        (
            {
                "x": {
                    "TransitGateways": [
                        {"TransitGatewayId": "tgw-1", "Options": {"SecurityGroupReferencingSupport": "maybe"}}
                    ]
                }
            },
            "TransitGateways[0].Options.SecurityGroupReferencingSupport",
            "neither",
        ),
    ],
)
def test_bad_networks(tmp_path: Path, documents: dict, where: str, words: str) -> None:
    with pytest.raises(EnvironmentInputError, match=words) as caught:
        read(tmp_path, **documents)
    assert caught.value.where == where


def test_vpcs_and_subnets(tmp_path: Path) -> None:
    """§3 needs the primary range and the subnets' own; blocks that are gone do not count."""

    def block(text: str, state: str, version: str = "") -> dict:
        return {f"{version}CidrBlock": text, f"{version}CidrBlockState": {"State": state}}

    vpc = {
        "VpcId": "vpc-1",
        "CidrBlock": "10.1.0.0/16",
        "OwnerId": ACCOUNT,
        "CidrBlockAssociationSet": [
            block("10.2.0.0/16", "associated"),
            block("10.1.0.0/16", "associated"),
            block("10.3.0.0/16", "disassociated"),
        ],
        "Ipv6CidrBlockAssociationSet": [
            block("2001:db8::/56", "associated", "Ipv6"),
            block("2001:db8:1::/56", "failed", "Ipv6"),
        ],
    }
    subnet = {
        "SubnetId": "subnet-1",
        "VpcId": "vpc-1",
        "CidrBlock": "10.1.1.0/24",
        "AvailabilityZone": "eu-west-1b",
        "Ipv6CidrBlockAssociationSet": [block("2001:db8:0:1::/64", "associated", "Ipv6")],
    }
    environment = read(tmp_path, vpcs={"Vpcs": [vpc]}, subnets={"Subnets": [subnet]})
    found = environment.vpcs["vpc-1"]
    assert [str(cidr) for cidr in found.cidrs] == ["10.1.0.0/16", "10.2.0.0/16", "2001:db8::/56"]
    assert (found.account_id, found.region) == (ACCOUNT, "eu-west-1")
    inner = environment.subnets["subnet-1"]
    assert [str(cidr) for cidr in inner.cidrs] == ["10.1.1.0/24", "2001:db8:0:1::/64"]
    assert (inner.vpc_id, inner.region) == ("vpc-1", "eu-west-1")


def test_peerings(tmp_path: Path) -> None:
    """§1.4: status and Regions decide whether references work over it. No listing is not an empty listing."""
    peering = {
        "VpcPeeringConnectionId": "pcx-1",
        "RequesterVpcInfo": {"VpcId": "vpc-1", "Region": "us-east-1", "CidrBlock": "10.0.0.0/16"},
        "AccepterVpcInfo": {"VpcId": "vpc-2", "Region": "us-west-2"},
        "Status": {"Code": "active", "Message": "Active"},
    }
    assert not read(tmp_path).peerings_described
    assert read(tmp_path, p={"VpcPeeringConnections": []}).peerings_described
    environment = read(tmp_path, p={"VpcPeeringConnections": [peering]})
    origin = f"{tmp_path}/p.json: VpcPeeringConnections[0]"
    assert environment.peerings == {
        "pcx-1": VpcPeering("pcx-1", "vpc-1", "vpc-2", "active", "us-east-1", "us-west-2", origin)
    }
    assert environment.groups["sg-web"].region == "us-east-1"
    assert not read(tmp_path, p={"VpcPeeringConnections": [peering], "NextToken": "x"}).peerings_described
    failed = {"VpcPeeringConnectionId": "pcx-2", "Status": {"Code": "failed"}}
    assert read(tmp_path, p={"VpcPeeringConnections": [failed]}).peerings["pcx-2"].accepter_vpc_id == ""


@pytest.mark.parametrize(
    ("gateway", "attachment", "state", "expected"),
    [
        ("enable", "enable", "available", True),
        ("enable", "disable", "available", False),
        ("disable", "enable", "available", False),
        ("disable", None, "available", False),
        (None, "enable", "available", None),
        ("enable", None, "available", None),
        ("enable", "enable", "deleted", False),
    ],
)
def test_gateway_references(
    tmp_path: Path, gateway: str | None, attachment: str | None, state: str, expected: bool | None
) -> None:
    """§1.4: both the transit gateway and the attachment must support security-group referencing."""

    def options(value: str | None) -> dict:
        return {} if value is None else {"SecurityGroupReferencingSupport": value}

    one = {
        "TransitGatewayAttachmentId": "tgw-attach-1",
        "TransitGatewayId": "tgw-1",
        "VpcId": "vpc-1",
        "State": state,
        "Options": options(attachment),
    }
    environment = read(
        tmp_path,
        a={"TransitGateways": [{"TransitGatewayId": "tgw-1", "Options": options(gateway)}]},
        b={"TransitGatewayVpcAttachments": [one]},
    )
    found = environment.gateway_attachments["tgw-attach-1"]
    assert (found.transit_gateway_id, found.vpc_id, found.references) == ("tgw-1", "vpc-1", expected)
    assert environment.gateways_described


def test_attachments_of_both_listings_merge(tmp_path: Path) -> None:
    """describe-transit-gateway-attachments has no options and also shows VPNs and peerings."""
    ours = {
        "TransitGatewayAttachmentId": "tgw-attach-1",
        "TransitGatewayId": "tgw-1",
        "ResourceType": "vpc",
        "ResourceId": "vpc-1",
    }
    vpn = {**ours, "TransitGatewayAttachmentId": "tgw-attach-2", "ResourceType": "vpn", "ResourceId": "vpn-1"}
    detail = {
        "TransitGatewayAttachmentId": "tgw-attach-1",
        "TransitGatewayId": "tgw-1",
        "VpcId": "vpc-1",
        "Options": {"SecurityGroupReferencingSupport": "disable"},
    }
    environment = read(
        tmp_path, a={"TransitGatewayAttachments": [ours, vpn]}, b={"TransitGatewayVpcAttachments": [detail]}
    )
    assert {key: one.references for key, one in environment.gateway_attachments.items()} == {"tgw-attach-1": False}


def test_mirror_sessions(tmp_path: Path) -> None:
    session = {"TrafficMirrorSessionId": "tms-1", "NetworkInterfaceId": "eni-1", "VirtualNetworkId": 4242}
    environment = read(tmp_path, m={"TrafficMirrorSessions": [session]}, acls={"NetworkAcls": []})
    origin = f"{tmp_path}/m.json: TrafficMirrorSessions[0]"
    assert environment.mirror_sessions == {"tms-1": MirrorSession("tms-1", "eni-1", 4242, origin)}


@pytest.mark.parametrize(
    ("zone", "region"),
    [
        ("us-east-1a", "us-east-1"),
        ("us-gov-west-1b", "us-gov-west-1"),
        ("us-west-2-lax-1a", "us-west-2"),
        ("us-east-1-wl1-bos-wlz-1", "us-east-1"),
        ("eu-central-1a", "eu-central-1"),
        ("use1-az4", None),
        ("", None),
        (None, None),
    ],
)
def test_regions_of_zones(zone: str | None, region: str | None) -> None:
    assert region_of_zone(zone) == region


def test_regions_of_arns() -> None:
    assert region_of_arn("arn:aws-cn:ec2:cn-north-1:1:security-group/sg-1") == "cn-north-1"
    assert region_of_arn("arn:aws:iam::1:role/x") is None and region_of_arn("nonsense") is None
