"""Two views of one thing: joined, merged or refused (docs/environment.md, docs/semantics.md §1.8, §1.9)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgsim.errors import EnvironmentInputError
from sgsim.importers import read_environment
from sgsim.model import GroupPeer, parse_address
from tests.importers.exports import ACCOUNT, group, groups_file, interface, permission, rule, write

ANY = {"v4": ["0.0.0.0/0"]}


def rules_file(*rules: dict) -> dict:
    return {"SecurityGroupRules": list(rules)}


def refused(folder: Path) -> EnvironmentInputError:
    with pytest.raises(EnvironmentInputError) as caught:
        read_environment(folder)
    assert "\n" not in str(caught.value)
    return caught.value


def test_rules_take_their_ids_from_the_rules_listing(tmp_path: Path) -> None:
    """The content of a rule joins the two views; each tells what the other lacks."""
    pair = {"GroupId": "sg-db", "UserId": ACCOUNT, "VpcId": "vpc-9", "Description": "from the database"}
    write(
        tmp_path,
        groups=groups_file(group(ingress=[permission(**ANY), {**permission(), "UserIdGroupPairs": [pair]}])),
        rules=rules_file(
            rule("sgr-2", ReferencedGroupInfo={"GroupId": "sg-db", "PeeringStatus": "active"}),
            rule("sgr-1", Description="the world"),
        ),
    )
    first, second = read_environment(tmp_path).groups["sg-web"].rules
    assert (first.rule_id, first.description) == ("sgr-1", "the world")
    assert (second.rule_id, second.description) == ("sgr-2", "from the database")
    assert second.peer == GroupPeer("sg-db", ACCOUNT, "vpc-9", None, "active")


def test_spelling_does_not_matter_in_the_join(tmp_path: Path) -> None:
    """§1.2: -1/-1 in one view is no ports in the other; 6 is tcp; host bits are masked; IPv6 text is parsed."""
    described = [permission("-1", None, **ANY), permission("58", None, v6=["2001:DB8:0::/32"])]
    write(
        tmp_path,
        groups=groups_file(group(ingress=described, egress=[permission("tcp", v4=["10.9.9.9/8"])])),
        rules=rules_file(
            rule("sgr-1", IpProtocol="-1", FromPort=-1, ToPort=-1),
            rule("sgr-2", IpProtocol="icmpv6", FromPort=-1, ToPort=-1, CidrIpv6="2001:db8::/32"),
            rule("sgr-3", IpProtocol="6", CidrIpv4="10.0.0.0/8", egress=True),
        ),
    )
    rules = read_environment(tmp_path).groups["sg-web"].rules
    assert [str(one) for one in rules] == [
        "sgr-1 all from 0.0.0.0/0",
        "sgr-2 icmpv6 from 2001:db8::/32",
        "sgr-3 tcp 443 to 10.0.0.0/8",
    ]


@pytest.mark.parametrize(
    "rules",
    [
        [rule("sgr-1", FromPort=80, ToPort=80)],
        [rule("sgr-1"), rule("sgr-2", CidrIpv4="10.0.0.0/8")],
        [rule("sgr-1", egress=True)],
    ],
    ids=["other", "more", "direction"],
)
def test_views_that_differ_are_refused(tmp_path: Path, rules: list[dict]) -> None:
    """The rules changed between the two calls: an error that names both files."""
    write(tmp_path, groups=groups_file(group(ingress=[permission(**ANY)])), rules=rules_file(*rules))
    error = refused(tmp_path)
    assert "sg-web is described twice with different content (rules)" in error.problem
    assert "groups.json" in str(error) and "rules.json" in str(error)


def test_a_rule_missing_in_one_view_is_refused(tmp_path: Path) -> None:
    described = [permission(**ANY), permission("udp", **ANY)]
    write(tmp_path, groups=groups_file(group(ingress=described)), rules=rules_file(rule("sgr-1")))
    assert "described twice" in refused(tmp_path).problem


def test_a_rules_listing_cut_short_or_filtered_is_no_contradiction(tmp_path: Path) -> None:
    """What the rules listing does not hold keeps its derived id."""
    described = [permission(**ANY), permission("udp", **ANY)]
    write(
        tmp_path,
        groups=groups_file(group(ingress=described), group("sg-b", ingress=described)),
        rules={**rules_file(rule("sgr-1")), "NextToken": "more"},
    )
    environment = read_environment(tmp_path)
    assert [one.rule_id for one in environment.groups["sg-web"].rules] == ["sg-web/ingress/udp/443/0.0.0.0/0", "sgr-1"]
    assert all(one.rule_id.startswith("sg-b/") for one in environment.groups["sg-b"].rules)


def test_rules_alone_make_undefined_groups(tmp_path: Path) -> None:
    """§9.6: the group's rules are known, its name and VPC are not; the advice is describe-security-groups."""
    write(tmp_path, rules=rules_file(rule("sgr-1"), rule("sgr-2", egress=True)))
    environment = read_environment(tmp_path)
    found = environment.groups["sg-web"]
    assert not found.defined and not found.classic and found.account_id == ACCOUNT
    assert [one.rule_id for one in found.rules] == ["sgr-1", "sgr-2"]
    assert any("describe-security-groups" in warning for warning in environment.warnings)


@pytest.mark.parametrize("more", [{"ToPort": 444}, {"GroupId": "sg-b"}, {"CidrIpv4": "10.0.0.0/8"}])
def test_one_rule_id_with_two_contents(tmp_path: Path, more: dict) -> None:
    write(tmp_path, a=rules_file(rule("sgr-1")), b=rules_file(rule("sgr-1", **more)))
    error = refused(tmp_path)
    assert "rule sgr-1 is described twice with different content" in error.problem
    assert "a.json" in str(error) and "b.json" in str(error)


def test_equal_descriptions_merge(tmp_path: Path) -> None:
    """Order is not content: permissions, ranges, groups and addresses may come in any."""
    one = permission(v4=["10.0.0.0/8", "0.0.0.0/0"])
    other = permission(v4=["0.0.0.0/0", "10.0.0.0/8"])
    udp = permission("udp", **ANY)
    write(
        tmp_path,
        a={**groups_file(group(ingress=[one, udp])), "NetworkInterfaces": [interface(groups=["sg-web", "sg-b"])]},
        b={**groups_file(group(ingress=[udp, other])), "NetworkInterfaces": [interface(groups=["sg-b", "sg-web"])]},
    )
    environment = read_environment(tmp_path)
    assert len(environment.groups["sg-web"].rules) == 3
    assert environment.interfaces["eni-1"].group_ids == ("sg-web", "sg-b")


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"IpPermissions": [permission("udp", **ANY)]}, "rules"),
        ({"GroupName": "other"}, "name"),
        ({"VpcId": "vpc-2"}, "vpc id"),
        ({"OwnerId": "999"}, "account id"),
    ],
)
def test_one_group_with_two_contents(tmp_path: Path, more: dict, what: str) -> None:
    write(tmp_path, a=groups_file(group()), b=groups_file(group("sg-c"), group(**more)))
    error = refused(tmp_path)
    assert f"different content ({what})" in error.problem and "a.json: SecurityGroups[0]" in error.problem
    assert error.source.endswith("b.json") and error.where == "SecurityGroups[1]"


def test_instances_and_interfaces_merge_by_field(tmp_path: Path) -> None:
    """The instance knows its type, the interface listing the rest; either may lack keys."""
    nested = {
        key: value for key, value in interface().items() if key not in ("InterfaceType", "AvailabilityZone", "OwnerId")
    }
    instance = {
        "InstanceId": "i-1",
        "InstanceType": "m8i.large",
        "Placement": {"AvailabilityZone": "us-east-1a"},
        "State": {"Name": "running"},
        "NetworkInterfaces": [nested],
    }
    full = interface(Description="web", Attachment={"InstanceId": "i-1", "Status": "attached"})
    listings = {"instances": {"Reservations": [{"OwnerId": ACCOUNT, "Instances": [instance]}]}}
    write(tmp_path, groups=groups_file(group()), **listings)
    alone = read_environment(tmp_path).interfaces["eni-1"]
    assert (alone.instance_id, alone.instance_type, alone.region) == ("i-1", "m8i.large", "us-east-1")
    write(tmp_path, enis={"NetworkInterfaces": [full]})
    both = read_environment(tmp_path).interfaces["eni-1"]
    assert (both.instance_type, both.description, both.account_id) == ("m8i.large", "web", ACCOUNT)
    assert both.origin.endswith("enis.json: NetworkInterfaces[0]")
    write(tmp_path, enis={"NetworkInterfaces": [interface(groups=["sg-other"])]})
    error = refused(tmp_path)
    assert "eni-1 is described twice with different content (group ids)" in error.problem
    assert error.where == "Reservations[0].Instances[0].NetworkInterfaces[0]"


def test_interfaces_of_a_shared_vpc(tmp_path: Path) -> None:
    """The owner of the VPC sees no InstanceId and other zone names; only groups, addresses and VPC must agree."""
    mine = interface(Attachment={"InstanceId": "i-1"}, Description="mine")
    theirs = interface(AvailabilityZone="us-east-1c", Description="", Attachment={"Status": "attached"})
    write(
        tmp_path,
        a__enis={"NetworkInterfaces": [theirs]},
        b__enis={"NetworkInterfaces": [mine]},
        b__groups=groups_file(group()),
    )
    merged = read_environment(tmp_path).interfaces["eni-1"]
    assert (merged.instance_id, merged.description) == ("i-1", "mine")
    for wrong in (interface(groups=[]), interface(address="10.0.0.6"), interface(VpcId="vpc-2")):
        write(tmp_path, a__enis={"NetworkInterfaces": [wrong]})
        assert "described twice" in refused(tmp_path).problem


def test_addresses_of_an_interface(tmp_path: Path) -> None:
    """Primary first, secondary, IPv6; delegated prefixes and public addresses apart; MAC and timeouts."""
    one = interface(
        PrivateIpAddresses=[
            {"PrivateIpAddress": "10.0.0.9", "Primary": False, "Association": {"PublicIp": "198.51.100.9"}},
            {"PrivateIpAddress": "10.0.0.5", "Primary": True, "Association": {"PublicIp": "198.51.100.5"}},
        ],
        Association={"PublicIp": "198.51.100.5", "CarrierIp": "203.0.113.1"},
        Ipv6Addresses=[{"Ipv6Address": "2001:db8::5", "IsPrimaryIpv6": True}],
        Ipv4Prefixes=[{"Ipv4Prefix": "10.0.0.16/28"}],
        Ipv6Prefixes=[{"Ipv6Prefix": "2001:db8:0:1::/80"}],
        ConnectionTrackingConfiguration={"TcpEstablishedTimeout": 350, "UdpTimeout": 30},
        Groups=[{"GroupId": "sg-b"}, {"GroupId": "sg-web"}, {"GroupId": "sg-b"}],
    )
    write(tmp_path, groups=groups_file(group()), enis={"NetworkInterfaces": [one]})
    found = read_environment(tmp_path).interfaces["eni-1"]
    assert [str(address) for address in found.addresses] == ["10.0.0.5", "10.0.0.9", "2001:db8::5"]
    assert [str(prefix) for prefix in found.prefixes] == ["10.0.0.16/28", "2001:db8:0:1::/80"]
    assert {str(address) for address in found.public_addresses} == {"198.51.100.5", "198.51.100.9", "203.0.113.1"}
    assert found.mac == 0x020000000001 and found.group_ids == ("sg-b", "sg-web")
    assert (found.timeouts.tcp_established, found.timeouts.udp, found.timeouts.udp_stream) == (350, 30, None)


def test_an_interface_without_address_is_kept_and_counted(tmp_path: Path) -> None:
    """It may still be named by MAC or id; a recording without address must not stop the rest."""
    bare = {"NetworkInterfaceId": "eni-2", "Groups": [{"GroupId": "sg-web"}], "PrivateIpAddress": ""}
    write(tmp_path, groups=groups_file(group()), enis={"NetworkInterfaces": [bare, interface()]})
    environment = read_environment(tmp_path)
    assert environment.interfaces["eni-2"].addresses == ()
    assert any("1 network interface (eni-2) has no private address" in warning for warning in environment.warnings)


@pytest.mark.parametrize(
    ("more", "where", "words"),
    [
        ({"PrivateIpAddress": "10.0.0.256"}, "PrivateIpAddress", "not an IP address"),
        ({"PrivateIpAddress": "::1"}, "PrivateIpAddress", "not an IPv4 address"),
        ({"MacAddress": "02:00"}, "MacAddress", "not a MAC address"),
        ({"Ipv6Addresses": [{"Ipv6Address": "10.0.0.1"}]}, "Ipv6Addresses[0].Ipv6Address", "not an IPv6 address"),
        ({"Ipv4Prefixes": [{"Ipv4Prefix": "10.0.0.0/33"}]}, "Ipv4Prefixes[0].Ipv4Prefix", "at most 32 bits"),
        ({"Groups": ["sg-web"]}, "Groups[0]", "expected an object, got a string"),
        ({"Groups": [{"GroupId": ""}]}, "Groups[0].GroupId", "not an identifier"),
        ({"NetworkInterfaceId": "a\nb"}, "NetworkInterfaceId", "not an identifier"),
        (
            {"ConnectionTrackingConfiguration": {"UdpTimeout": -1}},
            "ConnectionTrackingConfiguration.UdpTimeout",
            "not within 1 to 432000",
        ),
    ],
)
def test_bad_interfaces(tmp_path: Path, more: dict, where: str, words: str) -> None:
    write(tmp_path, a=groups_file(group()), b={"NetworkInterfaces": [interface(**more)]})
    error = refused(tmp_path)
    assert error.where == f"NetworkInterfaces[0].{where}" and words in error.problem


def test_classic_groups_are_open_to_leave(tmp_path: Path) -> None:
    """§1.8, §9.17: no VpcId and no egress; a group with egress rules but no VpcId is only badly described."""
    no_vpc = {key: value for key, value in group("sg-old").items() if key != "VpcId"}
    no_keys = {key: value for key, value in no_vpc.items() if not key.startswith("IpPermissionsEgress")}
    open_out = {**no_vpc, "GroupId": "sg-out", "IpPermissionsEgress": [permission(**ANY)]}
    write(tmp_path, a=groups_file(group(), no_vpc, {**no_keys, "GroupId": "sg-older"}, open_out))
    environment = read_environment(tmp_path)
    classic = {group_id for group_id, one in environment.groups.items() if one.classic}
    assert classic == {"sg-old", "sg-older"}
    assert any("EC2-Classic" in warning for warning in environment.warnings)


def test_vpc_associations(tmp_path: Path) -> None:
    """§1.9: a group may serve further VPCs; only associations in force count."""
    states = ["associated", "associating", "disassociating", "disassociated", "disassociation-failed"]
    listing = [{"GroupId": "sg-web", "VpcId": f"vpc-{state}", "State": state} for state in states]
    write(tmp_path, a=groups_file(group()), b={"SecurityGroupVpcAssociations": listing})
    found = read_environment(tmp_path).groups["sg-web"].associated_vpc_ids
    assert found == ("vpc-associated", "vpc-disassociating", "vpc-disassociation-failed")


def test_origin_says_where(tmp_path: Path) -> None:
    write(tmp_path, a=groups_file(group("sg-0"), group()))
    assert read_environment(tmp_path).groups["sg-web"].origin == f"{tmp_path}/a.json: SecurityGroups[1]"


def test_unknown_keys_are_ignored(tmp_path: Path) -> None:
    more = {"Tags": [{"Key": "a"}], "Future": {"FromPort": "x"}}
    write(tmp_path, a={**groups_file(group(**more)), "ResponseMetadata": {"RetryAttempts": 0}})
    assert read_environment(tmp_path).groups.keys() == {"sg-web"}


def test_parsed_addresses_are_the_model_s(tmp_path: Path) -> None:
    write(tmp_path, a={**groups_file(group()), "NetworkInterfaces": [interface()]})
    assert read_environment(tmp_path).interfaces["eni-1"].addresses == (parse_address("10.0.0.5"),)
