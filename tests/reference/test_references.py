"""Group references: members, other VPCs, the open world (§1.4, §1.5, §9.5)."""

from dataclasses import replace

import msgspec
import pytest

from sgsim.model import Semantics, TransitGatewayAttachment, VpcPeering, parse_cidr
from tests.reference.scenes import Scene, group, packet, told

RULES = "r1 in tcp 80 from sg-m; r2 out tcp 80 to sg-m"


@pytest.mark.parametrize(
    ("interfaces", "remote", "expected"),
    [
        ({"eni-m": "10.0.0.9 sg-m"}, "10.0.0.9", "ACCEPT RULE"),
        ({"eni-m": "10.0.0.9 10.0.0.10 sg-m"}, "10.0.0.10", "ACCEPT RULE"),
        ({"eni-m": "10.0.0.9 sg-o"}, "10.0.0.9", "REJECT NO_RULE"),
        ({"eni-m": "10.0.0.9 sg-o sg-m"}, "10.0.0.9", "ACCEPT RULE"),
        ({"eni-m": "10.0.0.9 10.0.0.64/28 sg-m"}, "10.0.0.70", "ACCEPT RULE"),
        ({"eni-m": "10.0.0.9 sg-m public=54.1.1.1"}, "54.1.1.1", "REJECT NO_RULE"),
        ({}, "10.0.0.9", "REJECT NO_RULE"),
        # the same address in an unrelated VPC is somebody else's
        ({"eni-m": "10.0.0.9 sg-m vpc=vpc-2"}, "10.0.0.9", "REJECT NO_RULE"),
        ({"eni-m": "10.0.0.9 sg-m vpc=vpc-2", "eni-o": "10.0.0.9 sg-o"}, "10.0.0.9", "REJECT NO_RULE"),
        ({"eni-m": "10.0.0.9 sg-m", "eni-o": "10.0.0.9 sg-o vpc=vpc-2"}, "10.0.0.9", "ACCEPT RULE"),
        # candidates in one place that disagree
        ({"eni-m": "10.0.0.9 sg-m", "eni-o": "10.0.0.9 sg-o"}, "10.0.0.9", "UNKNOWN UNRESOLVED"),
        ({"eni-m": "10.0.0.9 sg-m", "eni-o": "10.0.0.9 sg-m"}, "10.0.0.9", "ACCEPT RULE"),
    ],
)
def test_members(interfaces, remote, expected):
    scene = Scene(
        {"sg-a": RULES, "sg-m": "", "sg-o": ""}, {"eni-a": "10.0.0.5 sg-a", **interfaces}, peerings_described=True
    )
    assert_both_ways(scene, remote, expected)


def assert_both_ways(scene, remote, expected, outbound=None):
    """The answer of eni-a's inbound rule r1, and of its outbound rule r2, for a remote address."""
    mark = "?" if expected.startswith("UNKNOWN") else ""
    inbound = f"in {expected}" + ("" if expected.startswith("REJECT") else f" {mark}r1")
    assert told_alone(scene, f"tcp {remote}:1 > 10.0.0.5:80", "in") == inbound
    outbound = expected if outbound is None else outbound
    mark = "?" if outbound.startswith("UNKNOWN") else ""
    outward = f"out {outbound}" + ("" if outbound.startswith("REJECT") else f" {mark}r2")
    assert told_alone(scene, f"tcp 10.0.0.5:1 > {remote}:80", "out") == outward


def told_alone(scene, line, way):
    """The answer at eni-a, the other end left out."""
    ends = (None, "eni-a") if way == "in" else ("eni-a", None)
    return told(scene.tracker.step(packet(line), *ends)[0])


def test_ipv6_members():
    """§1.4: IPv6 addresses count as members too."""
    scene = Scene({"sg-a": RULES, "sg-m": ""}, {"eni-a": "2001:db8::5 sg-a", "eni-m": "2001:db8::9 sg-m"})
    assert told_alone(scene, "tcp [2001:db8::9]:1 > [2001:db8::5]:80", "in") == "in ACCEPT RULE r1"


def test_a_group_does_not_let_its_own_members_in():
    """§1.4: only a rule that names the group does."""
    members = {"eni-a": "10.0.0.5 sg-a", "eni-b": "10.0.0.6 sg-a"}
    assert (
        Scene({"sg-a": "o1 out all to 0.0.0.0/0"}, members).says("tcp 10.0.0.6:1 > 10.0.0.5:80")[1]
        == "in REJECT NO_RULE"
    )
    within = Scene({"sg-a": "o1 out all to 0.0.0.0/0; r1 in all from sg-a"}, members)
    assert within.says("tcp 10.0.0.6:1 > 10.0.0.5:80")[1] == "in ACCEPT RULE r1"


def test_membership_needs_no_definition_of_the_group():
    """§9.5: an interface that lists the group is a member, whether the group is described or not."""
    scene = Scene({"sg-a": RULES}, {"eni-a": "10.0.0.5 sg-a", "eni-m": "10.0.0.9 sg-m"})
    assert_both_ways(scene, "10.0.0.9", "ACCEPT RULE")


def test_delegated_prefixes_can_be_no_members():
    """§1.4: an option; the address is then known to be nobody's that the reference means."""
    interfaces = {"eni-a": "10.0.0.5 sg-a", "eni-m": "10.0.0.9 10.0.0.64/28 sg-m"}
    semantics = Semantics(delegated_prefixes_are_members=False)
    scene = Scene({"sg-a": RULES.replace("sg-m", "sg-m account=9")}, interfaces, semantics=semantics)
    assert_both_ways(scene, "10.0.0.70", "REJECT NO_RULE")
    assert_both_ways(scene, "10.0.0.9", "ACCEPT RULE")


def test_behind_a_middlebox_references_are_lost():
    """§1.4."""
    semantics = Semantics(behind_middlebox=(parse_cidr("10.0.0.8/29"),))
    interfaces = {"eni-a": "10.0.0.5 sg-a", "eni-m": "10.0.0.9 10.0.0.16 sg-m"}
    scene = Scene({"sg-a": RULES, "sg-m": ""}, interfaces, semantics=semantics)
    assert_both_ways(scene, "10.0.0.9", "REJECT NO_RULE")
    assert_both_ways(scene, "10.0.0.16", "ACCEPT RULE")


ACTIVE = VpcPeering("pcx-1", "vpc-2", "vpc-1", "active")
PEERINGS = {
    "active": [ACTIVE],
    "pending": [VpcPeering("pcx-1", "vpc-1", "vpc-2", "pending-acceptance")],
    "one Region": [VpcPeering("pcx-1", "vpc-1", "vpc-2", "active", "eu-west-1", "eu-west-1")],
    "two Regions": [VpcPeering("pcx-1", "vpc-1", "vpc-2", "active", "eu-west-1", "us-east-1")],
    "others": [VpcPeering("pcx-1", "vpc-1", "vpc-3", "active")],
    "none": [],
    "not described": None,
}


@pytest.mark.parametrize(
    ("listed", "pair", "expected"),
    [
        ("active", "", "ACCEPT RULE"),
        ("pending", "", "REJECT NO_RULE"),
        ("one Region", "", "ACCEPT RULE"),
        ("two Regions", "", "REJECT NO_RULE"),
        ("others", "", "REJECT NO_RULE"),
        ("none", "", "REJECT NO_RULE"),
        ("not described", "", "UNKNOWN UNRESOLVED"),
        # what the rule's pair says
        ("not described", "status=active", "ACCEPT RULE"),
        ("not described", "status=active vpc=vpc-2", "ACCEPT RULE"),
        ("not described", "status=active vpc=vpc-3", "REJECT NO_RULE"),
        ("not described", "status=deleted", "REJECT NO_RULE"),
        ("none", "status=active vpc=vpc-2", "ACCEPT RULE"),
        # a new peering revives a stale rule (§1.5)
        ("active", "status=deleted vpc=vpc-2", "ACCEPT RULE"),
    ],
)
def test_known_member_in_another_vpc(listed, pair, expected):
    peerings = PEERINGS[listed]
    scene = Scene(
        {"sg-a": f"r1 in tcp 80 from sg-m {pair}; r2 out tcp 80 to sg-m {pair}", "sg-m": ""},
        {"eni-a": "10.0.0.5 sg-a", "eni-m": "10.1.0.9 sg-m vpc=vpc-2"},
        peerings={peering.peering_id: peering for peering in peerings or ()},
        peerings_described=peerings is not None,
    )
    assert_both_ways(scene, "10.1.0.9", expected)


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        (("tgw-1", True), ("tgw-1", True), "ACCEPT RULE"),
        (("tgw-1", True), ("tgw-1", None), "UNKNOWN UNRESOLVED"),
        (("tgw-1", True), ("tgw-1", False), "REJECT NO_RULE"),
        (("tgw-1", True), ("tgw-2", True), "REJECT NO_RULE"),
    ],
)
def test_transit_gateways_carry_inbound_references_only(here, there, expected):
    """§1.4, §9.5."""
    attachments = {
        "a-1": TransitGatewayAttachment("a-1", here[0], "vpc-1", here[1]),
        "a-2": TransitGatewayAttachment("a-2", there[0], "vpc-2", there[1]),
    }
    scene = Scene(
        {"sg-a": RULES, "sg-m": ""},
        {"eni-a": "10.0.0.5 sg-a", "eni-m": "10.1.0.9 sg-m vpc=vpc-2"},
        gateway_attachments=attachments,
        gateways_described=True,
        peerings_described=True,
    )
    assert_both_ways(scene, "10.1.0.9", expected, outbound="REJECT NO_RULE")


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        # the own VPC answers before a peering does, a peering before a gateway
        ({"eni-o": "10.1.0.9 sg-o"}, "REJECT NO_RULE"),
        ({"eni-o": "10.1.0.9 sg-o vpc=vpc-3"}, "ACCEPT RULE"),
        ({"eni-o": "10.1.0.9 sg-o vpc=vpc-4"}, "UNKNOWN UNRESOLVED"),
    ],
)
def test_places_answer_in_turn(first, expected):
    scene = Scene(
        {"sg-a": RULES, "sg-m": "", "sg-o": ""},
        {"eni-a": "10.0.0.5 sg-a", "eni-m": "10.1.0.9 sg-m vpc=vpc-2", **first},
        peerings={"pcx-1": ACTIVE, "pcx-4": VpcPeering("pcx-4", "vpc-1", "vpc-4", "active")},
        peerings_described=True,
        gateway_attachments={
            "a-1": TransitGatewayAttachment("a-1", "tgw-1", "vpc-1", True),
            "a-3": TransitGatewayAttachment("a-3", "tgw-1", "vpc-3", True),
        },
    )
    assert_both_ways(scene, "10.1.0.9", expected)


@pytest.mark.parametrize(
    ("pair", "remote", "expected"),
    [
        # whose interfaces are all described: who is not there does not exist
        ("", "10.1.0.9", "REJECT NO_RULE"),
        ("account=1", "10.1.0.9", "REJECT NO_RULE"),
        # an account that is not described
        ("account=9", "10.1.0.9", "UNKNOWN UNRESOLVED"),
        ("account=9", "172.31.255.1", "UNKNOWN UNRESOLVED"),
        ("account=9", "172.32.0.1", "REJECT NO_RULE"),
        ("account=9", "203.0.113.9", "REJECT NO_RULE"),
        ("account=9", "100.64.0.9", "REJECT NO_RULE"),
        # a known interface is who it is
        ("account=9", "10.0.0.7", "REJECT NO_RULE"),
        # the way to another VPC that the pair names
        ("account=9 vpc=vpc-1", "10.0.0.9", "UNKNOWN UNRESOLVED"),
        ("account=9 vpc=vpc-9", "10.1.0.9", "UNKNOWN UNRESOLVED"),
        ("account=9 vpc=vpc-9 status=active", "10.1.0.9", "UNKNOWN UNRESOLVED"),
        ("account=9 vpc=vpc-9 status=deleted", "10.1.0.9", "REJECT NO_RULE"),
        ("account=9 status=deleted", "10.1.0.9", "REJECT NO_RULE"),
    ],
)
def test_members_that_the_input_does_not_show(pair, remote, expected):
    scene = Scene(
        {"sg-a": f"r1 in tcp 80 from sg-far {pair}; r2 out tcp 80 to sg-far {pair}"},
        {"eni-a": "10.0.0.5 sg-a", "eni-o": "10.0.0.7"},
    )
    assert_both_ways(scene, remote, expected)


@pytest.mark.parametrize(
    ("peerings", "expected"),
    [([], "REJECT NO_RULE"), ([VpcPeering("pcx-1", "vpc-1", "vpc-9", "active")], "UNKNOWN UNRESOLVED")],
)
def test_listed_peerings_decide_whether_unseen_members_are_in_reach(peerings, expected):
    """§9.5."""
    scene = Scene(
        {"sg-a": "r1 in tcp 80 from sg-far account=9 vpc=vpc-9; r2 out tcp 80 to sg-far account=9 vpc=vpc-9"},
        {"eni-a": "10.0.0.5 sg-a"},
        peerings={peering.peering_id: peering for peering in peerings},
        peerings_described=True,
    )
    assert_both_ways(scene, "10.1.0.9", expected)


def test_any_ipv6_address_may_be_an_unseen_member():
    """§9.5."""
    scene = Scene({"sg-a": "r1 in tcp 80 from sg-far account=9"}, {"eni-a": "2001:db8::5 sg-a"})
    assert told_alone(scene, "tcp [2600::1]:1 > [2001:db8::5]:80", "in") == "in UNKNOWN UNRESOLVED ?r1"


@pytest.mark.parametrize(
    ("pair", "region", "expected"),
    [
        # a reference that names no account is to the account of its own group, which is open here
        ("", None, "UNKNOWN UNRESOLVED"),
        ("account=1", None, "REJECT NO_RULE"),
        # the Region is that of the rule's group; only eu-west-1 is described
        ("account=1", "eu-west-1", "REJECT NO_RULE"),
        ("account=1", "us-east-1", "UNKNOWN UNRESOLVED"),
    ],
)
def test_whose_reference_it_is(pair, region, expected):
    """§9.5."""
    scene = Scene({}, {"eni-a": "10.0.0.5 sg-a"})
    rules = f"r1 in tcp 80 from sg-far {pair}; r2 out tcp 80 to sg-far {pair}"
    owned = msgspec.structs.replace(group("sg-a", rules, account_id="2"), region=region)
    scene.tracker.swap(
        replace(scene.environment, groups={"sg-a": owned}, closed=frozenset({("1", "eu-west-1" if region else None)}))
    )
    assert_both_ways(scene, "10.0.0.9", expected)


def test_nothing_described_is_an_open_world():
    """§9.5: without any complete account every reference may have members that are not shown."""
    scene = Scene({"sg-a": RULES}, {"eni-a": "10.0.0.5 sg-a"}, closed=())
    assert_both_ways(scene, "10.0.0.9", "UNKNOWN UNRESOLVED")
