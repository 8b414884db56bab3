"""The vectors that a replay must get right, each a network, the packets in time and what is said of them.

Quotas, flow logs and Terraform are other modules' matters.
"""

import pytest

from tests.reference.scenes import Scene

OUT = "o4 out all to 0.0.0.0/0; o6 out all to ::/0"

VECTORS = {
    "a group reference matches private addresses, secondary ones too, never an Elastic one (§1.4)": (
        Scene(
            {"sg-a": "", "sg-b": "r1 in tcp 443 from sg-a"},
            {"eni-a": "10.0.0.5 10.0.0.6 sg-a public=198.51.100.5", "eni-b": "10.0.0.9 sg-b"},
        ),
        "tcp 198.51.100.5:4000 > 10.0.0.9:443 => in REJECT NO_RULE",
        "tcp 10.0.0.6:4000 > 10.0.0.9:443 => out REJECT NO_RULE",
    ),
    "the same where the sender may send": (
        Scene(
            {"sg-a": OUT, "sg-b": "r1 in tcp 443 from sg-a"},
            {"eni-a": "10.0.0.5 10.0.0.6 sg-a public=198.51.100.5", "eni-b": "10.0.0.9 sg-b"},
        ),
        "tcp 198.51.100.5:4000 > 10.0.0.9:443 => in REJECT NO_RULE",
        "tcp 10.0.0.6:4000 > 10.0.0.9:443 => out ACCEPT RULE o4; in ACCEPT RULE r1",
    ),
    "all protocols means all ports, whatever ports stood beside it (§1.2)": (
        Scene({"sg-a": "r1 in all from 0.0.0.0/0"}, {"eni-a": "10.0.0.5 sg-a"}),
        "udp 203.0.113.5:4000 > 10.0.0.5:53 => in ACCEPT RULE r1",
    ),
    "other protocols match by number alone (§1.2)": (
        Scene({"sg-a": "r1 in 47 from 0.0.0.0/0; r2 in 132 from 0.0.0.0/0"}, {"eni-a": "10.0.0.5 sg-a"}),
        "47 203.0.113.5 > 10.0.0.5 => in ACCEPT RULE r1",
        "132 203.0.113.5 > 10.0.0.5 => in ACCEPT RULE r2",
        "tcp 203.0.113.5:4000 > 10.0.0.5:5000 => in REJECT NO_RULE",
    ),
    "ICMP 3 and 4 is type 3 code 4 (§1.2)": (
        Scene({"sg-a": "r1 in icmp 3/4 from 0.0.0.0/0"}, {"eni-a": "10.0.0.5 sg-a"}),
        "icmp 203.0.113.5 > 10.0.0.5 3/4 => in ACCEPT RULE r1",
        "icmp 203.0.113.5 > 10.0.0.5 4/0 => in REJECT NO_RULE",
        "icmp 203.0.113.5 > 10.0.0.5 3/3 => in REJECT NO_RULE",
    ),
    "echo request with any code; the reply by state only (§1.2, §9.13)": (
        Scene({"sg-a": "r1 in icmp 8 from 0.0.0.0/0"}, {"eni-a": "10.0.0.5 sg-a"}),
        "icmp 203.0.113.5 > 10.0.0.5 8/7 id=1 => in ACCEPT RULE r1",
        "icmp 10.0.0.5 > 203.0.113.5 0/0 id=1 => out ACCEPT TRACKED r1 reply",
        "icmp 203.0.113.5 > 10.0.0.5 0/0 id=2 => in REJECT NO_RULE",
    ),
    "ICMP from ::/0 is not ICMPv6 (§1.2)": (
        Scene({"sg-a": "r1 in icmp from ::/0"}, {"eni-a": "2001:db8::5 sg-a"}),
        "icmpv6 2001:db8:ffff::1 > 2001:db8::5 128/0 id=1 => in REJECT NO_RULE",
    ),
    "ICMPv6 without ports is all of ICMPv6 (§1.2)": (
        Scene({"sg-a": "r1 in icmpv6 from ::/0"}, {"eni-a": "2001:db8::5 sg-a"}),
        "icmpv6 2001:db8:ffff::1 > 2001:db8::5 128/0 id=1 => in ACCEPT RULE r1",
    ),
    "without outbound rules: Amazon's DNS and time, no other (§3)": (
        Scene({"sg-a": ""}, {"eni-a": "10.0.0.5 sg-a"}),
        "udp 10.0.0.5:4000 > 10.0.0.2:53 => out ACCEPT EXEMPT",
        "udp 10.0.0.5:4000 > 169.254.169.123:123 => out ACCEPT EXEMPT",
        "udp 10.0.0.5:4000 > 8.8.8.8:53 => out REJECT NO_RULE",
    ),
    "a group whose home is another VPC holds where it is carried (§1.9)": (
        Scene({"sg-a": "r1 in tcp 443 from 0.0.0.0/0"}, {"eni-b": "10.5.0.5 sg-a vpc=vpc-b"}),
        "tcp 203.0.113.5:4000 > 10.5.0.5:443 => in ACCEPT RULE r1",
    ),
    "ESP lets ESP back in for 600 s, not longer (§2.1, §9.10)": (
        Scene({"sg-a": OUT}, {"eni-a": "10.0.0.5 sg-a"}),
        "0 50 10.0.0.5 > 203.0.113.5 => out ACCEPT RULE o4",
        "599 50 203.0.113.5 > 10.0.0.5 => in ACCEPT TRACKED o4 reply",
        "1199 50 203.0.113.5 > 10.0.0.5 => in ACCEPT TRACKED o4 reply",
        "1800 50 203.0.113.5 > 10.0.0.5 => in REJECT NO_RULE",
    ),
    "a group of an account without data may have any private member (§1.4, §9.5)": (
        Scene({"sg-a": "r1 in tcp 443 from sg-far account=9"}, {"eni-a": "10.0.0.5 sg-a"}),
        "tcp 10.0.7.7:4000 > 10.0.0.5:443 => in UNKNOWN UNRESOLVED ?r1",
        "tcp 203.0.113.5:4000 > 10.0.0.5:443 => in REJECT NO_RULE",
    ),
}


@pytest.mark.parametrize("title", VECTORS)
def test_vector(title):
    scene, *lines = VECTORS[title]
    scene.plays(*lines)


OPEN = f"r1 in tcp 80 from 0.0.0.0/0; {OUT}"
NARROW = f"r1 in tcp 80 from 203.0.113.0/24; {OUT}"
SHUT = OUT
NAT = {"eni-n": "10.0.0.99 type=natGateway"}
NLB = {"eni-n": "10.0.0.99 type=network_load_balancer"}

#: Rule changes and live flows (§2.2): group before, group after, the client, whether the flow goes on.
CUTS = {
    "an untracked flow is cut": (OPEN, SHUT, "203.0.113.5", {}, False),
    "a tracked flow survives": (NARROW, SHUT, "203.0.113.5", {}, True),
    "untracked by its rules, but through a NAT gateway": (OPEN, SHUT, "10.0.0.99", NAT, True),
    "the same through a load balancer": (OPEN, SHUT, "10.0.0.99", NLB, True),
    "IPv6 without an outbound ::/0 rule is tracked": (
        "r1 in tcp 80 from ::/0; o4 out all to 0.0.0.0/0", "o4 out all to 0.0.0.0/0", "2001:db8:ffff::1", {}, True,
    ),
    "IPv6 with one is untracked": (f"r1 in tcp 80 from ::/0; {OUT}", SHUT, "2001:db8:ffff::1", {}, False),
}  # fmt: skip


@pytest.mark.parametrize("title", CUTS)
def test_rule_change_cuts_untracked_flows_only(title):
    before, after, client, others, survives = CUTS[title]
    server = "2001:db8::5" if ":" in client else "10.0.0.5"
    scene = Scene({"sg-a": before}, {"eni-a": f"{server} sg-a", **others})
    there = f"tcp [{client}]:4000 > [{server}]:80" if ":" in client else f"tcp {client}:4000 > {server}:80"
    back = f"tcp [{server}]:80 > [{client}]:4000" if ":" in client else f"tcp {server}:80 > {client}:4000"
    assert scene.says(f"0 {there} S")[-1] == "in ACCEPT RULE r1"
    assert scene.says(f"1 {back} SA")[0].startswith("out ACCEPT")
    assert scene.says(f"2 {there} A")[-1] == "in ACCEPT RULE r1"
    scene.swap(sg_a=after)
    said = scene.says(f"3 {there} A")[-1]
    assert said == ("in ACCEPT TRACKED r1" if survives else "in REJECT NO_RULE")


def test_association_needs_no_common_vpc():
    """§1.9: nothing compares a group's VPC with the interface's."""
    scene = Scene(
        {"sg-a": "r1 in tcp 443 from sg-a"},
        {"eni-1": "10.5.0.5 sg-a vpc=vpc-b", "eni-2": "10.5.0.6 vpc=vpc-b sg-a"},
    )
    assert scene.says("tcp 10.5.0.6:1 > 10.5.0.5:443") == ["out REJECT NO_RULE"]
    scene.swap(sg_a="r1 in tcp 443 from sg-a; r2 out tcp 443 to sg-a")
    assert scene.says("tcp 10.5.0.6:1 > 10.5.0.5:443") == ["out ACCEPT RULE r2", "in ACCEPT RULE r1"]
