"""IpProtocol, FromPort, ToPort and the four kinds of peer (docs/semantics.md §1.2, §1.3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgsim.errors import EnvironmentInputError
from sgsim.importers import read_environment
from sgsim.model import GroupPeer, SecurityGroupRule
from tests.importers.exports import group, groups_file, permission, rule, write

V4 = {"v4": ["10.0.0.0/8"]}

# docs/semantics.md §1.2: input (IpProtocol, FromPort, ToPort) | service in words
SERVICES = [
    # `-1`: ports ignored, whatever they say
    ("-1", None, None, "all"),
    ("-1", -1, -1, "all"),
    ("-1", 0, 0, "all"),
    ("-1", 22, 22, "all"),
    ("-1", 0, 65535, "all"),
    # tcp and udp, by name and by number
    ("tcp", 443, 443, "tcp 443"),
    ("6", 443, 443, "tcp 443"),
    ("udp", 0, 65535, "udp all ports"),
    ("17", 53, 54, "udp 53-54"),
    ("tcp", 0, 0, "tcp 0"),
    ("tcp", -1, 50, "tcp 0-50"),
    ("tcp", -1, -1, "tcp all ports"),
    # icmp: type and code, not a range
    ("icmp", -1, -1, "icmp"),
    ("icmp", 8, -1, "icmp 8/*"),
    ("icmp", 3, 4, "icmp 3/4"),
    ("1", 8, 0, "icmp 8/0"),
    # icmpv6: both may be absent
    ("icmpv6", None, None, "icmpv6"),
    ("icmpv6", -1, -1, "icmpv6"),
    ("58", 128, 0, "icmpv6 128/0"),
    # any other number: ports ignored
    ("50", None, None, "50"),
    ("47", 0, 0, "47"),
    ("132", 5000, 5000, "132"),
    ("0", -1, -1, "0"),
    ("255", -1, -1, "255"),
]


@pytest.mark.parametrize(("protocol", "first", "last", "expected"), SERVICES)
@pytest.mark.parametrize("shape", ["groups", "rules"])
def test_services(tmp_path: Path, protocol: str, first: int, last: int, expected: str, shape: str) -> None:
    """§1.2: every spelling of protocol and ports means the same in both describe shapes."""
    ports = None if first is None else (first, last)
    if shape == "groups":
        write(tmp_path, a=groups_file(group(ingress=[permission(protocol, ports, **V4)])))
    else:
        more = {} if ports is None else {"FromPort": first, "ToPort": last}
        one = {key: value for key, value in rule("sgr-1").items() if key not in ("FromPort", "ToPort")}
        write(tmp_path, a={"SecurityGroupRules": [{**one, "IpProtocol": protocol, **more}]})
    (found,) = read_environment(tmp_path).groups["sg-web"].rules
    assert found.service == expected


# what cannot be | where | words that the message must hold
BROKEN = [
    (permission("tcp", (0, 70000), **V4), "ToPort", "70000"),
    (permission("tcp", (-2, 5), **V4), "FromPort", "-2"),
    (permission("tcp", (443, 80), **V4), "FromPort", "443 is above ToPort 80"),
    (permission("tcp", None, **V4), "FromPort", "needs FromPort and ToPort"),
    (permission("udp", (10**30, 10**30), **V4), "FromPort", "outside 0 to 65535"),
    (permission("foo", (1, 1), **V4), "IpProtocol", "'foo' is not a protocol"),
    (permission("all", None, **V4), "IpProtocol", "'all' is not a protocol"),
    (permission("", None, **V4), "IpProtocol", "not a protocol"),
    (permission("256", None, **V4), "IpProtocol", "outside 0 to 255"),
    (permission("٦", None, **V4), "IpProtocol", "not a protocol"),
    (permission("icmp", (256, -1), **V4), "FromPort", "256"),
    (permission("icmp", (8, 65535), **V4), "ToPort", "65535"),
    (permission("icmp", None, **V4), "FromPort", "type"),
    (permission(v4=["10.0.0.0/33"]), "IpRanges[0].CidrIp", "at most 32 bits"),
    (permission(v4=["10.0.0.0"]), "IpRanges[0].CidrIp", "prefix length is missing"),
    (permission(v4=["10.0.0.0/8", "300.0.0.0/8"]), "IpRanges[1].CidrIp", "300.0.0.0"),
    (permission(v4=["::/0"]), "IpRanges[0].CidrIp", "not an IPv4 CIDR block"),
    (permission(v6=["::/129"]), "Ipv6Ranges[0].CidrIpv6", "at most 128 bits"),
    (permission(v6=["0.0.0.0/0"]), "Ipv6Ranges[0].CidrIpv6", "not an IPv6 CIDR block"),
    (permission(v4=["1.2.3.4/" + "9" * 5000]), "IpRanges[0].CidrIp", "CIDR block"),
    (permission(lists=[""]), "PrefixListIds[0].PrefixListId", "not an identifier"),
    (permission(groups=["sg 1"]), "UserIdGroupPairs[0].GroupId", "not an identifier"),
    ({**permission(), "UserIdGroupPairs": [{"GroupName": "web"}]}, "UserIdGroupPairs[0]", "no GroupId"),
    (permission(), "", "names no peer"),
    ({**permission(**V4), "FromPort": "443"}, "FromPort", "expected a whole number, got a string"),
    ({**permission(**V4), "FromPort": 1.5}, "FromPort", "expected a whole number"),
    ({**permission(**V4), "IpProtocol": 6}, "IpProtocol", "expected a string, got a whole number"),
    ({**permission(**V4), "IpRanges": "10.0.0.0/8"}, "IpRanges", "expected a list, got a string"),
    ({**permission(**V4), "IpRanges": ["10.0.0.0/8"]}, "IpRanges[0]", "expected an object, got a string"),
    ({**permission(**V4), "IpRanges": [{}]}, "IpRanges[0]", "CidrIp"),
]


@pytest.mark.parametrize(("broken", "where", "words"), BROKEN)
def test_bad_permissions(tmp_path: Path, broken: dict, where: str, words: str) -> None:
    """One line: the file, the path inside it, what is wrong, what to do."""
    write(tmp_path, a=groups_file(group("sg-0"), group(ingress=[permission(**V4)], egress=[broken])))
    with pytest.raises(EnvironmentInputError) as caught:
        read_environment(tmp_path)
    path = "SecurityGroups[1].IpPermissionsEgress[0]" + (f".{where}" if where else "")
    assert caught.value.where == path
    assert words in caught.value.problem
    text = str(caught.value)
    assert text.startswith(f"{tmp_path}/a.json, {path}: ") and "\n" not in text and caught.value.advice in text
    assert len(text) < 400


def test_single_rules_have_one_peer(tmp_path: Path) -> None:
    """Exactly one of CidrIpv4, CidrIpv6, PrefixListId, ReferencedGroupInfo."""
    none = {key: value for key, value in rule("sgr-1").items() if key != "CidrIpv4"}
    two = rule("sgr-1", CidrIpv4="10.0.0.0/8", CidrIpv6="::/0")
    for wrong, words in ((none, "names no peer"), (two, "more than one peer")):
        write(tmp_path, a={"SecurityGroupRules": [rule("sgr-0"), wrong]})
        with pytest.raises(EnvironmentInputError, match=words) as caught:
            read_environment(tmp_path)
        assert caught.value.where == "SecurityGroupRules[1]"


def test_all_icmp_types_with_one_code_matches_nothing(tmp_path: Path) -> None:
    """§1.2: type -1 implies code -1, and AWS holds no other; such a rule is left out and counted."""
    write(tmp_path, a=groups_file(group(ingress=[permission("icmp", (-1, 9), **V4), permission(**V4)])))
    environment = read_environment(tmp_path)
    assert [rule.service for rule in environment.groups["sg-web"].rules] == ["tcp 443"]
    assert any("1 rules name an ICMP code" in warning for warning in environment.warnings)


def test_host_bits_are_masked(tmp_path: Path) -> None:
    """§1.3: 100.68.0.18/18 is 100.68.0.0/18; both spellings are one rule."""
    write(tmp_path, a=groups_file(group(ingress=[permission(v4=["100.68.0.18/18", "100.68.0.0/18"])])))
    (found,) = read_environment(tmp_path).groups["sg-web"].rules
    assert str(found.peer) == "100.68.0.0/18"


def test_one_permission_with_many_peers_is_many_rules(tmp_path: Path) -> None:
    """§1.1: one rule has one peer."""
    one = permission(v4=["10.0.0.0/8", "0.0.0.0/0"], v6=["::/0"], lists=["pl-1"], groups=["sg-web", "sg-b"])
    write(tmp_path, a=groups_file(group(ingress=[one])))
    rules = read_environment(tmp_path).groups["sg-web"].rules
    assert sorted(str(rule.peer) for rule in rules) == ["0.0.0.0/0", "10.0.0.0/8", "::/0", "pl-1", "sg-b", "sg-web"]


def test_derived_ids_are_stable_and_unlike_real_ones(tmp_path: Path) -> None:
    """describe-security-groups has no rule ids: the id is the content, and can't be taken for an `sgr-` one."""
    one = permission("tcp", (80, 90), v4=["10.1.2.3/8"], groups=["sg-b"])
    write(tmp_path, a=groups_file(group(ingress=[one, permission("icmp", (8, -1), v6=["::/0"])], egress=[one])))
    assert [rule.rule_id for rule in read_environment(tmp_path).groups["sg-web"].rules] == [
        "sg-web/egress/tcp/80-90/10.0.0.0/8",
        "sg-web/egress/tcp/80-90/sg-b",
        "sg-web/ingress/icmp/8/any/::/0",
        "sg-web/ingress/tcp/80-90/10.0.0.0/8",
        "sg-web/ingress/tcp/80-90/sg-b",
    ]


def test_a_stale_reference_keeps_what_it_says(tmp_path: Path) -> None:
    """§1.5: the pair of a deleted group lacks UserId and shows the state of the peering."""
    pair = {
        "GroupId": "sg-gone",
        "VpcId": "vpc-2",
        "VpcPeeringConnectionId": "pcx-1",
        "PeeringStatus": "deleted",
    }
    write(tmp_path, a=groups_file(group(ingress=[{**permission(), "UserIdGroupPairs": [pair]}])))
    (found,) = read_environment(tmp_path).groups["sg-web"].rules
    assert found.peer == GroupPeer("sg-gone", None, "vpc-2", "pcx-1", "deleted")


def test_descriptions_come_along(tmp_path: Path) -> None:
    one = {**permission(), "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "office"}]}
    write(tmp_path, a=groups_file(group(ingress=[one])))
    (found,) = read_environment(tmp_path).groups["sg-web"].rules
    assert isinstance(found, SecurityGroupRule) and found.description == "office"
