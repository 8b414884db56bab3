"""Findings by hand-made networks: what is said, of what, and when nothing may be said (docs/usage.md)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from sgsim.analysis.findings import KINDS, Redundant, RefersToNothing, Unused, Wider
from sgsim.analysis.suppressions import Suppression, judge_findings, read_suppressions
from sgsim.analysis.usage import Status, Usage, interfaces_of_groups, removal
from sgsim.analysis.usage_counts import UseCounter
from sgsim.analysis.usage_quotas import over_quota, quota_use
from sgsim.analysis.usage_references import refers_to_nothing
from sgsim.engine import Snapshot, replay
from sgsim.engine.replay import ReplayOptions
from sgsim.errors import InputError
from sgsim.model import (
    TCP,
    CidrPeer,
    Direction,
    Environment,
    GroupPeer,
    NetworkInterface,
    Peer,
    PortRange,
    PrefixList,
    PrefixListPeer,
    SecurityGroup,
    SecurityGroupRule,
    Semantics,
    VpcPeering,
    parse_address,
    parse_cidr,
)
from sgsim.reference import Packet
from tests.generators.packets import START
from tests.generators.tables import packet_batch

ACCOUNT = "111111111111"
IN, OUT = Direction.INGRESS, Direction.EGRESS


def rule(rule_id: str, peer: str | Peer, ports: tuple[int, int] | None = None, group_id: str = "sg-1",
         direction: Direction = IN) -> SecurityGroupRule:  # fmt: skip
    """A rule for TCP ports, or for everything."""
    chosen = CidrPeer(parse_cidr(peer)) if isinstance(peer, str) else peer
    return SecurityGroupRule(rule_id, group_id, direction, TCP if ports else None, chosen, ports and PortRange(*ports))


def network(*rules: SecurityGroupRule, **more: Any) -> Environment:
    """eni-1 10.0.0.1 with sg-1, which has the rules; eni-2 10.0.0.2 with sg-2, which has none; sg-3 is on nothing."""
    groups = {
        name: SecurityGroup(
            name, tuple(one for one in rules if one.group_id == name), name, account_id=ACCOUNT, vpc_id="vpc-1"
        )
        for name in ("sg-1", "sg-2", "sg-3")
    }
    interfaces = {
        f"eni-{n}": NetworkInterface(
            f"eni-{n}", (parse_address(f"10.0.0.{n}"),), (f"sg-{n}",), vpc_id="vpc-1", account_id=ACCOUNT
        )
        for n in (1, 2)
    }
    return replace(
        Environment(groups=groups, interfaces=interfaces, closed=frozenset({(ACCOUNT, None)}), peerings_described=True),
        **more,
    )


def syn(source: str, port: int, target: str = "10.0.0.1") -> Packet:
    src, dst = parse_address(source), parse_address(target)
    return Packet(src.family, src.value, dst.value, TCP, 40000, port, tcp_flags=2, time_ns=START)


def used(environment: Environment, *packets: Packet) -> Usage:
    snapshot = Snapshot.of(environment)
    counter = UseCounter(len(snapshot.tables.rule_ids), len(snapshot.tables.interface_ids))
    for verdicts in replay(snapshot, [packet_batch(packets)], ReplayOptions(apart=True)):
        counter.add(verdicts)
    return Usage.of(snapshot, counter.use())


def found(usage: Usage, kind: type) -> list[Any]:
    return [finding for finding in usage.findings if isinstance(finding, kind)]


# -- unused, unobserved ------------------------------------------------------------------------------------------------


def test_what_was_not_seen_is_not_called_unused() -> None:
    rules = rule("sgr-1", "10.0.0.0/8", (443, 443)), rule("sgr-2", "10.0.0.0/8", (22, 22), "sg-2")
    usage = used(network(*rules, rule("sgr-3", "10.0.0.0/8", (22, 22), "sg-3")), syn("10.9.9.9", 80))
    assert dict(zip(usage.snapshot.tables.rule_ids, usage.status)) == {
        "sgr-1": Status.UNUSED,
        "sgr-2": Status.UNOBSERVED,
        "sgr-3": Status.UNATTACHED,
    }
    assert [finding.finding_id for finding in found(usage, Unused)] == ["unused/sgr-1"]


def test_a_rule_that_may_have_let_traffic_in_is_kept() -> None:
    """A reference into an account that nobody described: the flow is UNKNOWN, and the rule is not unused."""
    usage = used(network(rule("sgr-1", GroupPeer("sg-far", "999999999999"), (443, 443))), syn("10.9.9.9", 443))
    assert usage.status == (Status.POSSIBLE,) and not found(usage, Unused)
    answer = removal(usage)
    assert (answer.maybe, answer.removed) == (("sgr-1",), ())


def test_no_traffic_says_nothing() -> None:
    usage = used(network(rule("sgr-1", "10.0.0.0/8", (443, 443))))
    assert usage.status == (Status.UNOBSERVED,) and usage.use.window.start is None


# -- together ----------------------------------------------------------------------------------------------------------


def test_the_narrower_of_two_rules_stays() -> None:
    rules = rule("sgr-1", "0.0.0.0/0", (443, 443)), rule("sgr-2", "10.0.0.0/8", (443, 443))
    answer = removal(used(network(*rules), syn("10.9.9.9", 443)))
    assert (answer.removed, answer.chosen, answer.smallest) == (("sgr-1",), ("sgr-2",), True)


def test_both_of_two_rules_cannot_go() -> None:
    rules = rule("sgr-1", "0.0.0.0/0", (443, 443)), rule("sgr-2", "10.0.0.0/8", (443, 443))
    usage = used(network(*rules), syn("10.9.9.9", 443))
    both, one = removal(usage, ["sgr-1", "sgr-2"]), removal(usage, ["sgr-2"])
    assert not both.all_can_go and both.removed == ("sgr-1",)
    assert one.all_can_go and one.removed == ("sgr-2",)


# -- redundant ---------------------------------------------------------------------------------------------------------


def test_redundant_by_the_union_of_others() -> None:
    """Two halves of a block cover it, though neither does; no traffic is needed to say so."""
    halves = rule("sgr-1", "10.0.0.0/9", (443, 443)), rule("sgr-2", "10.128.0.0/9", (400, 500))
    environment = network(*halves, rule("sgr-3", "10.0.0.0/8", (443, 443)))
    half, finding = found(used(environment), Redundant)
    assert (finding.finding_id, finding.covered_by, finding.always) == ("redundant/sgr-3", ("sgr-1", "sgr-2"), True)
    assert (half.finding_id, half.covered_by) == ("redundant/sgr-1", ("sgr-3",))


def test_redundant_as_members_are_now() -> None:
    environment = network(rule("sgr-1", GroupPeer("sg-2"), (443, 443)), rule("sgr-2", "10.0.0.0/24", (443, 443)))
    (finding,) = found(used(environment), Redundant)
    assert (finding.subject, finding.covered_by, finding.always) == ("sgr-1", ("sgr-2",), False)


def test_what_matches_nothing_is_said_once() -> None:
    environment = network(rule("sgr-1", GroupPeer("sg-gone"), (443, 443)), rule("sgr-2", "10.0.0.0/8", (443, 443)))
    assert [finding.finding_id for finding in used(environment).findings] == ["refers-to-nothing/sgr-1"]


# -- wider -------------------------------------------------------------------------------------------------------------


def test_wider_than_its_traffic() -> None:
    usage = used(network(rule("sgr-1", "0.0.0.0/0")), *(syn(f"203.0.113.{n}", 443 + n % 2) for n in (4, 5, 6, 7)))
    (finding,) = found(usage, Wider)
    assert list(map(str, finding.cidrs)) == ["203.0.113.4/30"] and finding.services == ("tcp 443-444",)
    assert (finding.addresses, finding.seen_addresses) == (1 << 32, 4)


def test_as_wide_as_its_traffic() -> None:
    usage = used(network(rule("sgr-1", "203.0.113.4/31", (443, 443))), syn("203.0.113.4", 443), syn("203.0.113.5", 443))
    assert not found(usage, Wider)


def test_members_of_a_group_are_what_they_are() -> None:
    usage = used(network(rule("sgr-1", GroupPeer("sg-2"), (1, 65535)),
                         rule("sgr-2", "0.0.0.0/0", (443, 443), "sg-2", OUT)), syn("10.0.0.2", 443))  # fmt: skip
    (first, second) = found(usage, Wider)
    assert (first.subject, first.cidrs, first.services) == ("sgr-1", (), ("tcp 443",))
    assert (second.subject, list(map(str, second.cidrs)), second.services) == ("sgr-2", ["10.0.0.1/32"], ())


# -- refers to nothing -------------------------------------------------------------------------------------------------

NOTHING = {
    "a member in the same VPC": (network(rule("sgr-1", GroupPeer("sg-2"))), ""),
    "no interface has the group": (network(rule("sgr-1", GroupPeer("sg-3"))), "no member"),
    "a group that is not there": (network(rule("sgr-1", GroupPeer("sg-gone"))), "no such group"),
    "a group of an account that is not described": (network(rule("sgr-1", GroupPeer("sg-x", "999999999999"))), ""),
    "the same, its peering is deleted": (
        network(rule("sgr-1", GroupPeer("sg-x", "999999999999", peering_status="deleted"))),
        "no way",
    ),
    "the same, over a peering that is active": (
        network(
            rule("sgr-1", GroupPeer("sg-x", "999999999999", vpc_id="vpc-9")),
            peerings={"pcx-1": VpcPeering("pcx-1", "vpc-1", "vpc-9", "active")},
        ),
        "",
    ),
    "the same, without a peering": (network(rule("sgr-1", GroupPeer("sg-x", "999999999999", "vpc-9"))), "no way"),
    "a prefix list without entries": (
        network(rule("sgr-1", PrefixListPeer("pl-1")), prefix_lists={"pl-1": PrefixList("pl-1", (), family=4)}),
        "no entry",
    ),
    "a prefix list whose entries are not in the input": (
        network(rule("sgr-1", PrefixListPeer("pl-1")), prefix_lists={"pl-1": PrefixList("pl-1", None, family=4)}),
        "",
    ),
    "a prefix list that is not described": (network(rule("sgr-1", PrefixListPeer("pl-1"))), ""),
}


@pytest.mark.parametrize("case", NOTHING)
def test_refers_to_nothing(case: str) -> None:
    """docs/semantics.md §1.5, §9.5, §9.7"""
    environment, cause = NOTHING[case]
    listed = list(refers_to_nothing(environment, Semantics(), interfaces_of_groups(environment)))
    assert [finding.cause for finding in listed] == ([cause] if cause else [])
    assert all(isinstance(finding, RefersToNothing) and finding.subject == "sgr-1" for finding in listed)


# -- quotas ------------------------------------------------------------------------------------------------------------


def test_a_prefix_list_counts_with_its_size() -> None:
    """3 entries of at most 50 and 11 blocks: 61 of 60."""
    entries = tuple(map(parse_cidr, ("10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16")))
    lists = {"pl-1": PrefixList("pl-1", entries, family=4, max_entries=50)}
    rules = [rule(f"sgr-{n}", f"10.{n}.0.0/16", (443, 443)) for n in range(11)]
    fine, over = (
        over_quota(quota_use(network(rule("sgr-l", PrefixListPeer("pl-1")), *rules[:count], prefix_lists=lists)))
        for count in (10, 11)
    )
    assert not fine
    (finding,) = over
    assert (finding.finding_id, finding.used, finding.limit) == ("over-quota/sg-1/ingress/ipv4", 61, 60)
    assert finding.what == "ingress rules for IPv4 of sg-1"


def test_families_have_quotas_of_their_own_and_a_group_counts_in_both() -> None:
    """60 blocks of each family are within the quota; one reference more is over both."""
    v4 = [rule(f"sgr-4-{n}", f"10.{n}.0.0/16", (443, 443)) for n in range(60)]
    v6 = [rule(f"sgr-6-{n}", f"2001:db8:{n:x}::/48", (443, 443)) for n in range(60)]
    assert not over_quota(quota_use(network(*v4, *v6)))
    over = over_quota(quota_use(network(*v4, *v6, rule("sgr-g", GroupPeer("sg-2")))))
    assert [finding.subject for finding in over] == ["sg-1/ingress/ipv4", "sg-1/ingress/ipv6"]


def test_groups_of_an_interface() -> None:
    environment = network()
    carried = NetworkInterface("eni-9", (), tuple(f"sg-{n}" for n in range(6)))
    (finding,) = over_quota(quota_use(replace(environment, interfaces={"eni-9": carried})))
    assert (finding.finding_id, finding.used, finding.limit) == ("over-quota/eni-9/groups", 6, 5)


# -- suppressions ------------------------------------------------------------------------------------------------------

TODAY = date(2026, 6, 15)
FINDINGS = (Unused(subject="sgr-1", interfaces=1, seen=1), Unused(subject="sgr-2", interfaces=1, seen=1))


def test_suppressions_hold_up_to_their_last_day() -> None:
    for until, open_ in ((TODAY, 1), (date(2026, 6, 14), 2)):
        entry = Suppression("audit", until, finding="unused/sgr-1")
        judged = judge_findings(FINDINGS, [entry], TODAY)
        assert len(judged.open) == open_
        assert judged.suppressed == (((FINDINGS[0], entry),) if open_ == 1 else ())
        assert judged.expired == (() if open_ == 1 else (entry,))


def test_suppressions_by_rule_and_those_that_fit_nothing() -> None:
    entries = [Suppression("known", TODAY, rule="sgr-2"), Suppression("old", TODAY, finding="wider/sgr-1")]
    judged = judge_findings(FINDINGS, entries, TODAY)
    assert judged.open == FINDINGS[:1] and judged.unknown == (entries[1],) and not judged.expired


def test_suppressions_are_read(tmp_path: Path) -> None:
    file = tmp_path / "accepted.toml"
    file.write_text('[[suppress]]\nrule = "sgr-1"\nreason = "yearly"\nuntil = 2027-01-31\n')
    assert read_suppressions(file) == [Suppression("yearly", date(2027, 1, 31), rule="sgr-1")]


WRONG = {
    "not = [toml": "is not TOML",
    '[[suppres]]\nrule = "sgr-1"': "'suppres' is not understood",
    "[suppress]\nrule = 1": "'suppress' is not understood",
    "suppress = [1]": "suppress[0]: is not a table",
    '[[suppress]]\nrule = "sgr-1"\nreason = "x"': "suppress[0]: until is missing",
    '[[suppress]]\nrule = "sgr-1"\nreason = "x"\nuntil = "soon"': "until is not a date",
    '[[suppress]]\nrule = "sgr-1"\nreason = "x"\nuntil = 2027-01-31T00:00:00Z': "until is not a date",
    '[[suppress]]\nrule = "sgr-1"\nuntil = 2027-01-31': "reason is missing",
    '[[suppress]]\nrule = "sgr-1"\nreason = " "\nuntil = 2027-01-31': "reason is not a text",
    '[[suppress]]\nreason = "x"\nuntil = 2027-01-31': "names neither finding nor rule",
    '[[suppress]]\nrule = "a"\nfinding = "b"\nreason = "x"\nuntil = 2027-01-31': "or both",
    '[[suppress]]\nrule = "a"\nbecause = "b"\nreason = "x"\nuntil = 2027-01-31': "'because' is not understood",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_with_suppressions_is_said(text: str, tmp_path: Path) -> None:
    file = tmp_path / "accepted.toml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        read_suppressions(file)
    assert str(file) in str(caught.value) and WRONG[text] in str(caught.value)


def test_ids_are_made_of_kind_and_subject() -> None:
    """Nothing of an id depends on the traffic; kinds are words that a command line can take."""
    assert [finding.finding_id for finding in FINDINGS] == ["unused/sgr-1", "unused/sgr-2"]
    assert all(kind == each.kind and kind.replace("-", "").isalpha() for kind, each in KINDS.items())
