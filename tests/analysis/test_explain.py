"""`explain`: both ends, every group, every rule, the nearest misses; and it tells what the twin says."""

import json
from dataclasses import replace

import msgspec
import pytest

from sgsim.analysis.explain import as_packet, explain
from sgsim.analysis.notation import Flow, parse_flow
from sgsim.errors import NotationError
from sgsim.model import Direction, NetworkInterface, Semantics
from sgsim.reference import judge
from tests.reference.scenes import Scene
from tests.strategies import random_environment, random_packets

SHOP = Scene(
    {
        "sg-web": "w1 in tcp 443 from 0.0.0.0/0; w2 out tcp 8080 to sg-app; w3 out all to 203.0.113.0/24",
        "sg-app": "a1 in tcp 8080 from sg-web; a2 in tcp 22 from 10.0.9.0/24; a3 in udp 443 from 0.0.0.0/0",
        "sg-ops": "p1 in tcp 443-444 from 10.0.0.0/25; p2 in icmp 8 from 0.0.0.0/0; p3 in tcp 1-90 from pl-hidden",
    },
    {
        "eni-web": "10.0.0.5 2001:db8::5 sg-web public=54.1.1.1 instance=i-web",
        "eni-app": "10.0.0.7 10.0.0.64/28 sg-app sg-ops instance=i-app",
        "eni-app2": "10.0.0.8 sg-app instance=i-two",
        "eni-app3": "10.0.0.9 sg-app instance=i-two",
        "eni-gone": "10.0.0.10 sg-undefined",
        "eni-nat": "10.0.0.11 type=natGateway",
        "eni-far": "10.0.0.5 sg-app vpc=vpc-2",
    },
)


def ask(text, vpc_id="vpc-1", **options):
    return explain(SHOP.environment, Semantics(), parse_flow(text), vpc_id=vpc_id, **options)


def test_accepted_at_both_ends():
    told = ask("tcp 10.0.0.5:4000 > 10.0.0.7:8080")
    assert (told.path_action, told.flow) == ("ACCEPT", "tcp 10.0.0.5:4000 > 10.0.0.7:8080")
    for end, interface_id, rule_id in ((told.egress, "eni-web", "w2"), (told.ingress, "eni-app", "a1")):
        assert (end.interface_id, end.found_by) == (interface_id, "address")
        assert (end.action, end.reason, end.deciding_rule_id, end.tracking) == ("ACCEPT", "RULE", rule_id, "tracked")
        assert [rule.rule_id for rule in end.rules] == [rule_id]
        assert end.reached and not end.near_misses
    assert [(group.group_id, group.rules) for group in told.ingress.groups] == [("sg-app", 3), ("sg-ops", 3)]


@pytest.mark.parametrize(
    ("flow", "noted"),
    [
        ("udp 10.0.0.8:4000 > 10.0.0.2:53", True),
        ("tcp 10.0.0.8:4000 > 10.0.1.130:53", True),  # a /28 may begin at .128
        ("udp 10.0.0.2:53 > 10.0.0.8:4000", True),
        ("udp 10.0.0.8:4000 > 10.0.0.3:53", False),
        ("udp 10.0.0.8:4000 > 10.0.0.2:54", False),
        ("udp 10.0.0.11:4000 > 10.0.0.2:53", False),  # accepted anyway
    ],
)
def test_a_resolver_that_the_input_does_not_tell_is_noted(flow, noted):
    """Semantics §3: DNS at the VPC's second address is exempt; without `describe-vpcs` nobody knows that address."""
    unknown = replace(SHOP.environment, vpcs={})
    told = explain(unknown, Semantics(), parse_flow(flow), vpc_id="vpc-1")
    assert ["describe-vpcs" in note for note in told.notes] == [True] * noted
    assert not explain(unknown, Semantics.linux(), parse_flow(flow), vpc_id="vpc-1").notes
    assert not ask(flow).notes


def test_every_rule_that_matches_is_told_the_deciding_one_first():
    told = ask("tcp 10.0.0.9:4000 > 10.0.0.7:22")
    assert told.egress.action == "REJECT"
    assert not told.ingress.reached
    assert (told.ingress.action, told.path_action) == ("UNKNOWN", "REJECT")
    assert [rule.rule_id for rule in told.ingress.possible] == ["p3"]
    assert told.ingress.possible[0].but_for == ("source",)
    assert "pl-hidden" in told.ingress.possible[0].note


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        # nearest first: one field missed before two; the address, then the port, then the protocol; a sure address
        # before a possible one; then by bits, by ports, by rule id
        ("tcp 10.0.0.200:1 > 10.0.0.7:443", [("p1", ("source",)), ("p3", ("port",)), ("a3", ("protocol",))]),
        ("tcp 10.0.0.100:1 > 10.0.0.7:500", [("p1", ("port",)), ("p3", ("port",)), ("a2", ("port", "source"))]),
        ("tcp 10.0.0.8:1 > 10.0.0.7:8080", [("a1", ("source",)), ("p1", ("port",)), ("p3", ("port",))]),
        ("tcp 10.0.0.5:1 > 10.0.0.7:8081", [("a1", ("port",)), ("p1", ("port",))]),
        ("icmp 203.0.113.9 > 10.0.0.7 13/0", [("p2", ("type",))]),
        ("47 203.0.113.9 > 10.0.0.7", [("a3", ("protocol", "port")), ("p2", ("protocol", "type"))]),
    ],
)
def test_nearest_misses(flow, expected):
    told = ask(flow).ingress
    found = [(rule.rule_id, rule.but_for) for rule in told.near_misses]
    assert found[: len(expected)] == expected
    assert all(rule.matches == "no" for rule in told.near_misses)


def test_near_misses_are_limited():
    assert len(ask("47 203.0.113.9 > 10.0.0.7", misses=2).ingress.near_misses) == 2
    assert len(ask("47 203.0.113.9 > 10.0.0.7").ingress.near_misses) == 5


def test_a_miss_of_a_reference_says_whose_address_it_is():
    (first, *_) = ask("tcp 10.0.0.8:1 > 10.0.0.7:8080").ingress.near_misses
    assert (first.rule_id, first.but_for) == ("a1", ("source",))
    assert "eni-app2" in first.note and "sg-web" in first.note


@pytest.mark.parametrize(
    ("flow", "found_by", "interface_id"),
    [
        ("tcp 10.0.0.70:1 > 10.0.0.8:80", "prefix", "eni-app"),
        ("tcp eni-app:1 > 10.0.0.8:80", "interface id", "eni-app"),
        ("tcp i-app:1 > 10.0.0.8:80", "instance id", "eni-app"),
        ("tcp 8.8.8.8:1 > 10.0.0.8:80", "none", None),
        ("tcp i-two:1 > 10.0.0.5:80", "ambiguous", None),
    ],
)
def test_how_the_interface_was_found(flow, found_by, interface_id):
    end = ask(flow).egress
    assert (end.found_by, end.interface_id) == (found_by, interface_id)


def test_ids_stand_for_addresses():
    assert ask("tcp eni-web:1 > i-app:8080").flow == "tcp 10.0.0.5:1 > 10.0.0.7:8080"
    assert ask("tcp eni-web > [2600::1]:443").flow == "tcp 2001:db8::5 > [2600::1]:443"


@pytest.mark.parametrize(
    "flow", ["tcp eni-none:1 > 10.0.0.7:80", "tcp 10.0.0.7:1 > i-none:80", "tcp eni-app > [2600::1]:1"]
)
def test_names_that_the_environment_does_not_hold(flow):
    with pytest.raises(NotationError):
        ask(flow)


def test_several_interfaces_of_one_address():
    told = ask("tcp 10.0.0.5:4000 > 10.0.0.7:8080", vpc_id=None)
    assert (told.egress.found_by, told.egress.action) == ("ambiguous", "UNKNOWN")
    assert told.egress.reason == "AMBIGUOUS_INTERFACE"
    assert told.egress.candidates == ("eni-far", "eni-web")
    assert told.path_action == "UNKNOWN"
    assert "vpc-2" in told.egress.notes[0]


def test_a_public_address_is_named_and_identifies_nobody():
    told = ask("tcp 10.0.0.7:1 > 54.1.1.1:443").ingress
    assert (told.found_by, told.public_of, told.action) == ("none", "eni-web", "")
    assert "eni-web" in told.notes[0]


def test_neither_end_known():
    told = ask("tcp 8.8.8.8:1 > 9.9.9.9:2")
    assert (told.path_action, told.egress.action, told.ingress.action) == ("UNKNOWN", "", "")
    assert told.notes


def test_only_one_end_known():
    assert ask("tcp 8.8.8.8:1 > 10.0.0.5:443").path_action == "ACCEPT"
    assert ask("tcp 8.8.8.8:1 > 10.0.0.5:80").path_action == "REJECT"


def test_exempt_unfiltered_undefined():
    dns = ask("udp 10.0.0.7:1 > 10.0.0.2:53").egress
    assert (dns.reason, dns.exempt, dns.rules, dns.tracking) == ("EXEMPT", "Amazon DNS", (), "")
    nat = ask("udp 10.0.0.11:1 > 8.8.8.8:53").egress
    assert (nat.reason, nat.tracking) == ("UNFILTERED", "")
    assert "natGateway" in nat.notes[0]
    gone = ask("udp 10.0.0.10:1 > 8.8.8.8:53").egress
    assert (gone.action, gone.reason) == ("UNKNOWN", "UNRESOLVED")
    assert [(group.group_id, group.described) for group in gone.groups] == [("sg-undefined", False)]
    assert "sg-undefined" in gone.notes[0]


def test_tracked_or_not():
    wide = Scene({"sg-a": "r1 in tcp 80 from 0.0.0.0/0; r2 out all to 0.0.0.0/0"}, {"eni-a": "10.0.0.5 sg-a"})

    def tracking(text):
        return explain(wide.environment, Semantics(), parse_flow(text)).ingress.tracking

    assert tracking("tcp 8.8.8.8:1 > 10.0.0.5:80") == "untracked"
    assert tracking("tcp 8.8.8.8:1 > 10.0.0.5:81") == ""


def test_no_rules_in_the_direction():
    notes = ask("tcp 10.0.0.8:1 > 8.8.8.8:80").egress.notes
    assert any("no group of the interface has a rule for egress" in note for note in notes)


def test_serialises():
    document = json.loads(msgspec.json.encode(ask("tcp 10.0.0.5:4000 > 10.0.0.7:8080")))
    assert document["egress"]["rules"][0]["rule_id"] == "w2"


def test_it_tells_what_the_twin_says():
    """Over generated environments: the same answer as `judge`, on the whole environment."""
    checked = 0
    for seed in range(25):
        environment = random_environment(seed)
        for packet, _, _ in random_packets(environment, seed, 30):
            if packet.later_fragment or packet.quote:
                continue
            ports = (packet.srcport, packet.dstport) if packet.protocol in (6, 17) else (None, None)
            flow = Flow(packet.protocol, packet.source, packet.destination, *ports, packet.icmp_type, packet.icmp_code)
            told = explain(environment, Semantics(), flow)
            for end, direction in ((told.egress, Direction.EGRESS), (told.ingress, Direction.INGRESS)):
                if end.interface_id is None:
                    continue
                answer = judge(environment, Semantics(), end.interface_id, direction, as_packet(flow))
                checked += 1
                assert (end.action, end.reason) == (answer.action.name, answer.reason.name)
                assert {rule.rule_id for rule in end.rules} == answer.rule_ids
                assert end.deciding_rule_id == answer.deciding_rule_id
                if end.action == "UNKNOWN":
                    assert {rule.rule_id for rule in end.possible} == answer.possible_rule_ids
                assert not ({rule.rule_id for rule in end.near_misses} & answer.rule_ids)
    assert checked > 300


def test_large_environments_stay_usable():
    """100 000 interfaces: one pass finds the ends, the rules see only these."""
    interfaces = {f"eni-{n}": f"10.{n >> 16}.{n >> 8 & 255}.{n & 255} sg-a" for n in range(2_000)}
    scene = Scene({"sg-a": "; ".join(f"r{n} in tcp {n} from sg-a" for n in range(1, 60))}, interfaces)
    told = explain(scene.environment, Semantics(), parse_flow("tcp 10.0.1.5:1 > 10.0.2.7:7"))
    assert [rule.rule_id for rule in told.ingress.rules] == ["r7"]
    assert isinstance(scene.environment.interfaces["eni-0"], NetworkInterface)
