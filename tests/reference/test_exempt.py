"""Traffic that groups never see (§3, §9.8): no group here has any rule."""

import pytest

from sgsim.model import Semantics
from sgsim.packets import FRAGMENT_LATER
from tests.reference.scenes import Scene

HOSTS = {"eni-a": "10.0.0.5 10.0.0.6 10.0.0.64/28 2001:db8::5 fe80::5 sg-a", "eni-c": "10.0.0.7 sg-classic"}
GROUPS = {"sg-a": "", "sg-classic": "classic"}

EXEMPT = """
    udp 10.0.0.5:4000 > 10.0.0.2:53            tcp 10.0.0.5:4000 > 10.0.0.2:53
    udp 10.0.0.2:53 > 10.0.0.5:4000            udp 10.0.0.5:4000 > 169.254.169.253:53
    udp [2001:db8::5]:4000 > [fd00:ec2::253]:53
    tcp 10.0.0.5:4000 > 169.254.169.254:80     tcp 169.254.169.254:80 > 10.0.0.5:4000
    tcp [2001:db8::5]:4000 > [fd00:ec2::254]:80
    udp 10.0.0.5:4000 > 169.254.169.123:123    udp [2001:db8::5]:4000 > [fd00:ec2::123]:123
    tcp 10.0.0.5:4000 > 169.254.170.2:80
    tcp 10.0.0.5:4000 > 169.254.169.250:1688   tcp 10.0.0.5:4000 > 169.254.169.251:1688
    tcp 10.0.0.5:4000 > 10.0.0.1:22            icmp 10.0.0.1 > 10.0.0.5 8/0
    icmpv6 2001:db8::5 > 2001:db8::1 128/0     icmpv6 2001:db8::5 > fe80:ec2::1 128/0
    udp 10.0.0.5:68 > 255.255.255.255:67       udp 10.0.0.1:67 > 10.0.0.5:68
    udp 10.0.0.5:68 > 169.254.0.1:67           udp [fe80::5]:546 > [ff02::1:2]:547
    udp [fe80::9]:547 > [2001:db8::5]:546
    udp 10.0.0.7:4000 > 172.16.0.23:53
"""

FILTERED = """
    udp 10.0.0.5:4000 > 10.0.0.2:54            icmp 10.0.0.5 > 10.0.0.2 8/0
    udp 10.0.0.5:53 > 10.0.0.2:4000            udp 10.0.0.2:4000 > 10.0.0.5:53
    udp 10.0.0.5:4000 > 10.0.1.2:53            udp 10.0.0.5:4000 > 10.0.0.3:53
    tcp 10.0.0.5:4000 > 10.0.1.1:22            tcp 10.0.0.5:4000 > 10.0.0.9:22
    udp 10.0.0.5:4000 > 172.16.0.23:53         udp 10.0.0.5:4000 > 169.254.169.254:80
    tcp 10.0.0.5:4000 > 169.254.169.254:443    tcp 10.0.0.5:4000 > 169.254.169.123:123
    tcp 10.0.0.5:4000 > 169.254.170.23:80      tcp 10.0.0.5:4000 > 169.254.169.249:1688
    tcp 10.0.0.5:4000 > 169.254.9.9:80         tcp [2001:db8::5]:4000 > [fd00:ec2::23]:80
    udp 10.0.0.5:68 > 10.0.0.9:67              udp 10.0.0.5:68 > 255.255.255.255:68
    tcp 10.0.0.5:68 > 255.255.255.255:67       udp 10.0.0.5:4000 > 255.255.255.255:67
    udp [2001:db8::5]:546 > [ff02::1:2]:547    udp [2001:db8::5]:67 > [fe80::9]:68
"""


def lines(text):
    """The flows of a block of text, two or more spaces apart."""
    return [part.strip() for line in text.strip().splitlines() for part in line.strip().split("   ") if part.strip()]


@pytest.mark.parametrize("line", lines(EXEMPT))
def test_exempt(line):
    (answer,) = Scene(GROUPS, HOSTS).says(line)
    assert answer in ("in ACCEPT EXEMPT", "out ACCEPT EXEMPT")


@pytest.mark.parametrize("line", lines(EXEMPT))
def test_nothing_is_exempt_where_that_is_switched_off(line):
    """§9.8: `Semantics.linux()`; egress of EC2-Classic is closed then as well (§9.17)."""
    (answer,) = Scene(GROUPS, HOSTS, semantics=Semantics(exempt=False)).says(line)
    assert answer in ("in REJECT NO_RULE", "out REJECT NO_RULE")


@pytest.mark.parametrize("line", lines(FILTERED))
def test_not_exempt(line):
    (answer, *_) = Scene(GROUPS, HOSTS).says(line)
    assert answer in ("in REJECT NO_RULE", "out REJECT NO_RULE")


@pytest.mark.parametrize(
    "line", ["tcp 10.0.0.5:1 > 10.0.0.6:2", "tcp 10.0.0.5:1 > 10.0.0.5:2", "tcp 10.0.0.6:1 > 10.0.0.70:2"]
)
def test_own_addresses(line):
    """§9.8: two records, both exempt; delegated prefixes are own addresses too."""
    assert Scene(GROUPS, HOSTS).says(line) == ["out ACCEPT EXEMPT", "in ACCEPT EXEMPT"]


def test_own_public_address_is_filtered():
    """§3: that traffic leaves the host."""
    scene = Scene({"sg-a": ""}, {"eni-a": "10.0.0.5 sg-a public=54.1.1.1"})
    assert scene.says("tcp 10.0.0.5:1 > 54.1.1.1:80") == ["out REJECT NO_RULE"]


def test_exempt_traffic_opens_no_connection():
    """§9.3: what answers from another port than the service's is judged by rules."""
    scene = Scene(GROUPS, HOSTS)
    scene.plays(
        "0 udp 10.0.0.5:4000 > 169.254.169.254:80 => out REJECT NO_RULE",
        "0 udp 10.0.0.5:4000 > 169.254.169.123:123 => out ACCEPT EXEMPT",
        "1 udp 169.254.169.123:124 > 10.0.0.5:4000 => in REJECT NO_RULE",
    )


def test_later_fragments_have_no_port_to_be_exempt_by():
    """§9.8: only addresses count for them."""
    scene = Scene(GROUPS, HOSTS)
    fields = {"fragment": FRAGMENT_LATER, "ip_id": 3}
    assert scene.says("udp 10.0.0.2:0 > 10.0.0.5:0", **fields) == ["in REJECT NO_RULE"]
    assert scene.says("udp 10.0.0.1:0 > 10.0.0.5:0", **fields) == ["in ACCEPT EXEMPT"]


def test_undescribed_networks_have_no_router_and_resolver():
    """§9.8: +1 and +2 are known only where the subnet and the VPC are described."""
    scene = Scene({"sg-a": ""}, {"eni-a": "10.5.0.5 sg-a vpc=vpc-9 subnet=subnet-9"})
    assert scene.says("udp 10.5.0.5:4000 > 10.5.0.2:53") == ["out REJECT NO_RULE"]
    assert scene.says("udp 10.5.0.5:4000 > 10.5.0.1:53") == ["out REJECT NO_RULE"]
