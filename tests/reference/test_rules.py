"""Tables for §1 and §9.3 to §9.9: which rules match, what is decided, which rule decides."""

import pytest

from sgsim.model import Direction, PrefixList, Semantics, parse_cidr
from sgsim.packets import FRAGMENT_LATER
from sgsim.reference import judge
from sgsim.verdicts import Reason, Verdict
from tests.reference.scenes import Scene, packet

SELF = {"eni-a": "10.0.0.5 2001:db8::5 sg-a"}

#: §1.2, §1.3: rules of the one group, packet, answer.
MATCHES = [
    # destination port, inclusive at both ends
    ("r1 in tcp 80-90 from 0.0.0.0/0", "tcp 8.8.8.8:1 > 10.0.0.5:79", "in REJECT NO_RULE"),
    ("r1 in tcp 80-90 from 0.0.0.0/0", "tcp 8.8.8.8:1 > 10.0.0.5:80", "in ACCEPT RULE r1"),
    ("r1 in tcp 80-90 from 0.0.0.0/0", "tcp 8.8.8.8:1 > 10.0.0.5:90", "in ACCEPT RULE r1"),
    ("r1 in tcp 80-90 from 0.0.0.0/0", "tcp 8.8.8.8:1 > 10.0.0.5:91", "in REJECT NO_RULE"),
    # the source port is never looked at, the destination port is, outbound too
    ("r1 in tcp 80 from 0.0.0.0/0", "tcp 8.8.8.8:80 > 10.0.0.5:4000", "in REJECT NO_RULE"),
    ("r1 out tcp 80 to 0.0.0.0/0", "tcp 10.0.0.5:4000 > 8.8.8.8:80", "out ACCEPT RULE r1"),
    ("r1 out tcp 80 to 0.0.0.0/0", "tcp 10.0.0.5:80 > 8.8.8.8:4000", "out REJECT NO_RULE"),
    # protocol
    ("r1 in udp 80 from 0.0.0.0/0", "tcp 8.8.8.8:1 > 10.0.0.5:80", "in REJECT NO_RULE"),
    ("r1 in tcp from 0.0.0.0/0", "udp 8.8.8.8:1 > 10.0.0.5:80", "in REJECT NO_RULE"),
    ("r1 in tcp from 0.0.0.0/0", "tcp 8.8.8.8:1 > 10.0.0.5:0", "in ACCEPT RULE r1"),
    ("r1 in 50 from 0.0.0.0/0", "51 8.8.8.8 > 10.0.0.5", "in REJECT NO_RULE"),
    ("r1 in all from 0.0.0.0/0", "253 8.8.8.8 > 10.0.0.5", "in ACCEPT RULE r1"),
    # direction
    ("r1 out all to 0.0.0.0/0", "tcp 8.8.8.8:1 > 10.0.0.5:80", "in REJECT NO_RULE"),
    # families
    ("r1 in all from 0.0.0.0/0", "tcp [2600::1]:1 > [2001:db8::5]:80", "in REJECT NO_RULE"),
    ("r1 in all from ::/0", "tcp 8.8.8.8:1 > 10.0.0.5:80", "in REJECT NO_RULE"),
    ("r1 in tcp 80 from 2600::/16", "tcp [2600::1]:1 > [2001:db8::5]:80", "in ACCEPT RULE r1"),
    ("r1 in icmpv6 from ::/0", "icmpv6 2600::1 > 2001:db8::5 129/0", "in ACCEPT RULE r1"),
    ("r1 in icmp from 0.0.0.0/0", "icmp 8.8.8.8 > 10.0.0.5 0/0", "in ACCEPT RULE r1"),
    # ICMP without type, as in a flow log (§9.15)
    ("r1 in icmp 8 from 0.0.0.0/0", "icmp 8.8.8.8 > 10.0.0.5", "in UNKNOWN UNRESOLVED ?r1"),
    ("r1 in icmp 8/0 from 0.0.0.0/0", "icmp 8.8.8.8 > 10.0.0.5 8", "in UNKNOWN UNRESOLVED ?r1"),
    ("r1 in icmp 8/0 from 0.0.0.0/0", "icmp 8.8.8.8 > 10.0.0.5 3", "in REJECT NO_RULE"),
    ("r1 in icmp 8 from 0.0.0.0/0; r2 in icmp from 0.0.0.0/0", "icmp 8.8.8.8 > 10.0.0.5", "in ACCEPT RULE r2"),
    # host bits are dropped, both borders of a block belong to it
    ("r1 in tcp from 8.8.8.9/31", "tcp 8.8.8.8:1 > 10.0.0.5:80", "in ACCEPT RULE r1"),
    ("r1 in tcp from 8.8.8.8/31", "tcp 8.8.8.9:1 > 10.0.0.5:80", "in ACCEPT RULE r1"),
    ("r1 in tcp from 8.8.8.8/31", "tcp 8.8.8.10:1 > 10.0.0.5:80", "in REJECT NO_RULE"),
    # every rule that matches is named (§9.3)
    ("r1 in all from 0.0.0.0/0; r2 in tcp 1-99 from 8.0.0.0/8; r3 in udp from 8.8.8.8/32",
     "tcp 8.8.8.8:1 > 10.0.0.5:80", "in ACCEPT RULE r1,r2"),
    ("", "tcp 8.8.8.8:1 > 10.0.0.5:80", "in REJECT NO_RULE"),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "line", "expected"), MATCHES)
def test_rule_matches(rules, line, expected):
    assert Scene({"sg-a": rules}, SELF).says(line) == [expected]


LISTS = {
    "pl-full": PrefixList("pl-full", (parse_cidr("8.8.0.0/16"), parse_cidr("8.8.8.0/24")), family=4),
    "pl-empty": PrefixList("pl-empty", (), family=4),
    "pl-hidden4": PrefixList("pl-hidden4", None, family=4),
    "pl-hidden": PrefixList("pl-hidden", None),
}
V4, V6 = "tcp 8.8.8.8:1 > 10.0.0.5:80", "tcp [2600::1]:1 > [2001:db8::5]:80"


@pytest.mark.parametrize(
    ("name", "line", "expected"),
    [
        ("pl-full", V4, "in ACCEPT RULE r1"),
        ("pl-full", "tcp 8.9.8.8:1 > 10.0.0.5:80", "in REJECT NO_RULE"),
        ("pl-empty", V4, "in REJECT NO_RULE"),
        ("pl-hidden4", V4, "in UNKNOWN UNRESOLVED ?r1"),
        ("pl-hidden4", V6, "in REJECT NO_RULE"),
        ("pl-hidden", V6, "in UNKNOWN UNRESOLVED ?r1"),
        ("pl-unknown", V4, "in UNKNOWN UNRESOLVED ?r1"),
        ("pl-unknown", V6, "in UNKNOWN UNRESOLVED ?r1"),
    ],
)
def test_prefix_lists(name, line, expected):
    """§1.3, §9.7."""
    assert Scene({"sg-a": f"r1 in tcp from {name}"}, SELF, prefix_lists=LISTS).says(line) == [expected]


@pytest.mark.parametrize(
    ("interface", "line", "expected"),
    [
        # several groups are a union; their order does not count (§1.1)
        ("10.0.0.5 sg-a sg-b", V4, "in ACCEPT RULE r1,r2"),
        ("10.0.0.5 sg-b sg-a", V4, "in ACCEPT RULE r1,r2"),
        # without groups (§5.3)
        ("10.0.0.5", V4, "in UNKNOWN UNRESOLVED"),
        ("10.0.0.5 type=lambda", V4, "in UNKNOWN UNRESOLVED"),
        ("10.0.0.5 type=natGateway", V4, "in ACCEPT UNFILTERED"),
        ("10.0.0.5 type=network_load_balancer", V4, "in ACCEPT UNFILTERED"),
        ("10.0.0.5 type=network_load_balancer sg-none", V4, "in REJECT NO_RULE"),
        # an undefined group may allow anything that the others do not (§9.6)
        ("10.0.0.5 sg-undefined", V4, "in UNKNOWN UNRESOLVED"),
        ("10.0.0.5 sg-undefined sg-a", V4, "in ACCEPT RULE r1"),
        ("10.0.0.5 sg-undefined sg-none", V4, "in UNKNOWN UNRESOLVED"),
        ("10.0.0.5 sg-undefined sg-far", "tcp 10.9.9.9:1 > 10.0.0.5:80", "in UNKNOWN UNRESOLVED ?r4"),
        # EC2-Classic: egress is open, ingress by rules (§9.17)
        ("10.0.0.5 sg-classic", "tcp 10.0.0.5:1 > 8.8.8.8:80", "out ACCEPT UNFILTERED"),
        ("10.0.0.5 sg-classic", V4, "in ACCEPT RULE r3"),
        ("10.0.0.5 sg-classic", "udp 8.8.8.8:1 > 10.0.0.5:80", "in REJECT NO_RULE"),
    ],
)
def test_what_an_interface_carries(interface, line, expected):
    groups = {
        "sg-a": "r1 in tcp 80 from 0.0.0.0/0",
        "sg-b": "r2 in tcp 80-81 from 8.0.0.0/8",
        "sg-none": "",
        "sg-classic": "classic r3 in tcp 80 from 0.0.0.0/0",
        "sg-far": "r4 in tcp 80 from sg-elsewhere account=9",
    }
    assert Scene(groups, {"eni-a": interface}).says(line) == [expected]


#: §9.9: rules, deciding rule for a TCP packet from 10.0.0.9 (a member of sg-m) to port 80.
DECISIONS = [
    ("r1 in all from 0.0.0.0/0; r2 in tcp 80 from 10.0.0.0/8", "r2"),
    ("r1 in all from 10.0.0.9/32; r2 in tcp 80 from 10.0.0.0/8", "r1"),
    ("r1 in all from 0.0.0.0/0; r2 in tcp 80 from sg-m", "r1"),
    ("r1 in all from pl-full; r2 in tcp 80 from 10.0.0.0/24", "r1"),
    ("r1 in tcp from 10.0.0.0/8; r2 in tcp 80-81 from 10.0.0.0/8", "r2"),
    ("r1 in all from 10.0.0.0/8; r2 in tcp from 10.0.0.0/8", "r2"),
    ("r9 in tcp 80 from 10.0.0.0/8; r10 in tcp 80 from 10.0.0.0/8", "r10"),
    ("r1 in all from sg-m; r2 in tcp from sg-m", "r2"),
    ("r1 in tcp 81 from 10.0.0.9/32", None),
    ("r1 in tcp 80 from pl-unknown", None),
]


@pytest.mark.parametrize(("rules", "deciding"), DECISIONS)
def test_deciding_rule(rules, deciding):
    lists = {"pl-full": PrefixList("pl-full", (parse_cidr("10.0.0.0/8"), parse_cidr("10.0.0.8/29")))}
    scene = Scene(
        {"sg-a": rules, "sg-m": "m1 out all to 0.0.0.0/0"},
        {"eni-a": "10.0.0.5 sg-a", "eni-m": "10.0.0.9 sg-m"},
        prefix_lists=lists,
    )
    answer = scene.step("tcp 10.0.0.9:1 > 10.0.0.5:80")[1]
    assert answer.deciding_rule_id == deciding


@pytest.mark.parametrize(
    ("rules", "narrowest"),
    [
        ("r1 in icmp from 0.0.0.0/0; r2 in icmp 8 from 0.0.0.0/0; r3 in icmp 8/0 from 0.0.0.0/0", "r3"),
        ("r1 in icmp from 0.0.0.0/0; r2 in icmp 8 from 0.0.0.0/0; r3 in all from 0.0.0.0/0", "r2"),
        ("r1 in all from 0.0.0.0/0; r2 in icmp from 0.0.0.0/0", "r2"),
    ],
)
def test_deciding_rule_of_icmp(rules, narrowest):
    """§9.9."""
    answer = Scene({"sg-a": rules}, SELF).step("icmp 8.8.8.8 > 10.0.0.5 8/0 id=1")[0]
    assert answer.deciding_rule_id == narrowest


ALL_OUT = "o1 out all to 0.0.0.0/0"

#: §2.1, §9.3: rules, packet into 10.0.0.5 (or out of it), whether what it opens is untracked.
UNTRACKED = [
    (f"r1 in tcp 80 from 0.0.0.0/0; {ALL_OUT}", "in", "tcp 8.8.8.8:1 > 10.0.0.5:80", True),
    (f"r1 in tcp 80 from 8.8.8.8/32; {ALL_OUT}", "in", "tcp 8.8.8.8:1 > 10.0.0.5:80", False),
    ("r1 in tcp 80 from 0.0.0.0/0; o1 out tcp to 0.0.0.0/0", "in", "tcp 8.8.8.8:1 > 10.0.0.5:80", True),
    ("r1 in tcp 80 from 0.0.0.0/0; o1 out udp to 0.0.0.0/0", "in", "tcp 8.8.8.8:1 > 10.0.0.5:80", False),
    ("r1 in tcp 80 from 0.0.0.0/0; o1 out tcp 1-65535 to 0.0.0.0/0", "in", "tcp 8.8.8.8:1 > 10.0.0.5:80", False),
    ("r1 in tcp 80 from 0.0.0.0/0", "in", "tcp 8.8.8.8:1 > 10.0.0.5:80", False),
    # narrower rules beside the wide one do not matter
    (f"r1 in tcp 80 from 0.0.0.0/0; r2 in tcp from 8.0.0.0/8; {ALL_OUT}", "in", "tcp 8.8.8.8:1 > 10.0.0.5:80", True),
    # two halves, or a prefix list that holds /0, are not the literal block
    (f"r1 in tcp from 0.0.0.0/1; r2 in tcp from 128.0.0.0/1; {ALL_OUT}", "in", "tcp 8.8.8.8:1 > 10.0.0.5:80", False),
    (f"r1 in tcp 80 from pl-all; {ALL_OUT}", "in", "tcp 8.8.8.8:1 > 10.0.0.5:80", False),
    ("r1 in tcp 80 from 0.0.0.0/0; o1 out all to pl-all", "in", "tcp 8.8.8.8:1 > 10.0.0.5:80", False),
    # each family counts for itself
    (f"r1 in tcp 80 from ::/0; {ALL_OUT}", "in", "tcp [2600::1]:1 > [2001:db8::5]:80", False),
    ("r1 in tcp 80 from ::/0; o1 out all to ::/0", "in", "tcp [2600::1]:1 > [2001:db8::5]:80", True),
    # outbound flows need an all-ports rule inbound
    (f"r1 in tcp 80 from 0.0.0.0/0; {ALL_OUT}", "out", "tcp 10.0.0.5:1 > 8.8.8.8:80", False),
    (f"r1 in all from 0.0.0.0/0; {ALL_OUT}", "out", "tcp 10.0.0.5:1 > 8.8.8.8:80", True),
    # TCP and UDP only
    (f"r1 in udp 80 from 0.0.0.0/0; {ALL_OUT}", "in", "udp 8.8.8.8:1 > 10.0.0.5:80", True),
    (f"r1 in icmp from 0.0.0.0/0; {ALL_OUT}", "in", "icmp 8.8.8.8 > 10.0.0.5 8/0", False),
    (f"r1 in 50 from 0.0.0.0/0; {ALL_OUT}", "in", "50 8.8.8.8 > 10.0.0.5", False),
    # an end of an always-tracked type, on either side
    (f"r1 in tcp 80 from 0.0.0.0/0; {ALL_OUT}", "in", "tcp 10.0.0.77:1 > 10.0.0.5:80", False),
    (f"r1 in tcp 80 from 0.0.0.0/0; {ALL_OUT}", "in", "tcp 10.0.0.78:1 > 10.0.0.5:80", True),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "direction", "line", "untracked"), UNTRACKED)
def test_untracked(rules, direction, line, untracked):
    scene = Scene(
        {"sg-a": rules},
        {**SELF, "eni-n": "10.0.0.77 type=natGateway", "eni-far": "10.0.0.78 type=natGateway vpc=vpc-2"},
        prefix_lists={"pl-all": PrefixList("pl-all", (parse_cidr("0.0.0.0/0"),))},
    )
    way = Direction.INGRESS if direction == "in" else Direction.EGRESS
    answer = judge(scene.environment, Semantics(), "eni-a", way, packet(line))
    assert (answer.action, answer.reason, answer.untracked) == (Verdict.ACCEPT, Reason.RULE, untracked)
    never = judge(scene.environment, Semantics(untracked_flows=False), "eni-a", way, packet(line))
    assert never == answer._replace(untracked=False)


@pytest.mark.parametrize("kind", ["lambda", "vpc_endpoint", "global_accelerator_managed", "nat_gateway"])
def test_own_type_can_track_everything(kind):
    """§2.1: the judged interface's own type counts too."""
    scene = Scene({"sg-a": f"r1 in tcp 80 from 0.0.0.0/0; {ALL_OUT}"}, {"eni-a": f"10.0.0.5 sg-a type={kind}"})
    assert not judge(scene.environment, Semantics(), "eni-a", Direction.INGRESS, packet(V4)).untracked


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("r1 in tcp 80 from 0.0.0.0/0", "in UNKNOWN UNRESOLVED ?r1"),
        ("r1 in tcp from 0.0.0.0/0", "in ACCEPT RULE r1"),
        ("r1 in all from 0.0.0.0/0", "in ACCEPT RULE r1"),
        ("r1 in tcp 80 from 9.0.0.0/8", "in REJECT NO_RULE"),
        ("r1 in udp from 0.0.0.0/0", "in REJECT NO_RULE"),
    ],
)
def test_later_fragment_without_its_first(rule, expected):
    """§9.15: rules for all ports match, those for some may."""
    scene = Scene({"sg-a": rule}, SELF)
    assert scene.says("tcp 8.8.8.8:0 > 10.0.0.5:0", fragment=FRAGMENT_LATER, ip_id=7) == [expected]


def test_possible_rules_only_where_unknown():
    """§9.3: a sure match makes the possible ones irrelevant."""
    scene = Scene({"sg-a": "r1 in tcp 80 from 0.0.0.0/0; r2 in tcp 80 from pl-unknown"}, SELF)
    assert scene.says(V4) == ["in ACCEPT RULE r1"]
