"""The fate of one connection each (docs/what-if.md), through the whole path from packets to words."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from sgsim.analysis.whatif import quota_changes, space_changes
from sgsim.analysis.whatif_live import Fate, LiveForecast, live_forecast
from sgsim.engine import Snapshot
from sgsim.engine.paired import PairedOptions, PairedReplay
from sgsim.engine.paired_logs import PairedLogs
from sgsim.model import (
    TCP,
    UDP,
    Environment,
    NetworkInterface,
    PrefixList,
    Semantics,
    Subnet,
    parse_address,
    parse_cidr,
)
from sgsim.model.apply import apply
from sgsim.model.changes import Change, ChangeSet, RemoveInterface, Revoke, SetEntries, SetGroups
from sgsim.reference import Packet
from sgsim.verdicts import Verdict
from tests.changes.support import ACCOUNT, account, group
from tests.generators.packets import SECOND, START
from tests.logs.support import batch_of, logged
from tests.strategies import packet_batch

FIN, SYN, ACK = 1, 2, 16


def network(*web: str, kind: str = "interface", near: str = "subnet-1", **more: object) -> Environment:
    """eni-web (10.0.0.1) with rules of its own, eni-app (10.0.1.1) beside or near it, the world outside."""
    groups = {
        "sg-web": group("sg-web", *web),
        "sg-app": group("sg-app", "in all 0.0.0.0/0", "out all 10.0.0.0/8", "out all 203.0.113.0/24"),
    }
    cards = (
        NetworkInterface("eni-web", (parse_address("10.0.0.1"),), ("sg-web",), vpc_id="vpc-1", subnet_id="subnet-1",
                         account_id=ACCOUNT),
        NetworkInterface("eni-app", (parse_address("10.0.1.1"),), ("sg-app",), vpc_id="vpc-1", subnet_id=near,
                         account_id=ACCOUNT, interface_type=kind),
    )  # fmt: skip
    base = account()
    subnets = {name: Subnet(name, "vpc-1") for name in ("subnet-1", near)}
    return replace(base, groups=groups, interfaces={one.interface_id: one for one in cards}, subnets=subnets, **more)  # type: ignore[arg-type]


def talk(
    client: str = "203.0.113.9",
    server: str = "10.0.0.1",
    port: int = 443,
    protocol: int = TCP,
    flags: tuple[int, ...] = (SYN, SYN | ACK, ACK, ACK),
) -> list[Packet]:
    """Packets to and fro, a second apart."""
    here, there = parse_address(client), parse_address(server)
    packets = []
    for n, each in enumerate(flags):
        packet = Packet(4, here.value, there.value, protocol, 40000, port, tcp_flags=each if protocol == TCP else 0,
                        time_ns=START + n * SECOND)  # fmt: skip
        if n % 2:
            packet = replace(packet, srcaddr=there.value, dstaddr=here.value, srcport=port, dstport=40000)
        packets.append(packet)
    return packets


def forecast(
    before: Environment, change: Change, packets: list[Packet], *, at: int | None = None, direct: bool = False
) -> LiveForecast:
    after = apply(before, ChangeSet((change,), accepted=True))
    snapshots = Snapshot.of(before, Semantics()), Snapshot.of(after, Semantics())
    run = PairedReplay(*snapshots, [packet_batch(packets)], PairedOptions(at=at))
    for _ in run:
        pass
    assert run.live is not None
    return live_forecast(run.live, *snapshots, direct=direct)


def fate(found: LiveForecast) -> Fate:
    (only,) = [each for each, count in found.count.items() if count]
    return only


OPEN = ("in tcp 443 0.0.0.0/0", "out all 0.0.0.0/0")
TRACKED = ("in tcp 443 203.0.113.0/24", "out all 0.0.0.0/0")
NO_443, NO_OUT = Revoke("sg-web", ("sgr-web0",)), Revoke("sg-web", ("sgr-web1",))


def test_untracked_from_the_internet_is_undetermined() -> None:
    """§2.1: a path through a load balancer or an accelerator would be tracked; nothing here tells."""
    found = forecast(network(*OPEN), NO_443, talk())
    assert fate(found) is Fate.UNDETERMINED
    assert found.changes[0].by_path and found.changes[0].reconnects is Verdict.REJECT
    assert fate(forecast(network(*OPEN), NO_443, talk(), direct=True)) is Fate.CUT


def test_untracked_inside_a_subnet_is_cut() -> None:
    """What stays in a subnet is not routed; across subnets a firewall endpoint may lie between."""
    packets = talk(client="10.0.1.1")
    assert fate(forecast(network(*OPEN), NO_443, packets)) is Fate.CUT
    assert fate(forecast(network(*OPEN, near="subnet-2"), NO_443, packets)) is Fate.UNDETERMINED


def test_auto_tracked_by_the_type_of_an_end_survives() -> None:
    """§2.1: the type of an interface at either end tells, whatever the rules say."""
    found = forecast(network(*OPEN, kind="network_load_balancer"), NO_443, talk(client="10.0.1.1"))
    assert fate(found) is Fate.SURVIVES


def test_tracked_survives_until_its_timeout() -> None:
    """§2.2, §2.3: five days after its last packet, and a new one is rejected."""
    (change,) = forecast(network(*TRACKED), NO_443, talk()).changes
    assert (change.fate, change.reconnects, change.least, change.most) == (
        Fate.SURVIVES, Verdict.REJECT, 432_000, 432_000
    )  # fmt: skip
    (change,) = forecast(network("in udp 53 203.0.113.0/24"), NO_443, talk(port=53, protocol=UDP)).changes
    assert (change.fate, change.least) == (Fate.SURVIVES, 180)


def test_cut_though_a_new_connection_works() -> None:
    """Without the rule that lets everything out an answer has no rule; opened anew, the connection is tracked."""
    (change,) = forecast(network(*OPEN), NO_OUT, talk(), direct=True).changes
    assert (change.fate, change.reconnects) == (Fate.CUT, Verdict.ACCEPT)


def test_what_has_ended_fails_on_reconnect() -> None:
    flags = (SYN, SYN | ACK, ACK | FIN, ACK | FIN)
    assert fate(forecast(network(*TRACKED), NO_443, talk(flags=flags))) is Fate.FAILS_ON_RECONNECT
    at = START + 20 * SECOND
    found = forecast(network(*TRACKED), NO_443, talk(flags=flags), at=at)
    assert found.total == 0


def test_at_a_moment_before_the_end() -> None:
    """Connections that were opened later, and those that had not ended yet."""
    flags = (SYN, SYN | ACK, ACK | FIN, ACK | FIN)
    found = forecast(network(*TRACKED), NO_443, talk(flags=flags), at=START + SECOND)
    assert fate(found) is Fate.SURVIVES and found.changes[0].least == 60
    assert forecast(network(*TRACKED), NO_443, talk(flags=flags), at=START - 1).total == 0


def test_other_rules_do_not_matter() -> None:
    before = network("in tcp 443 203.0.113.0/24", "in tcp 443 203.0.113.9/32", "out all 0.0.0.0/0")
    found = forecast(before, NO_443, talk())
    assert fate(found) is Fate.GOES_ON and found.changes == ()


def test_an_interface_that_goes_takes_its_connections_along() -> None:
    assert fate(forecast(network(*TRACKED), RemoveInterface("eni-web"), talk())) is Fate.CUT


def test_a_list_that_the_input_lacks_leaves_it_open() -> None:
    """A rule that may match: whether a new connection is let in is not known."""
    before = network(*TRACKED, "in tcp 443 pl-far")
    assert fate(forecast(before, NO_443, talk())) is Fate.UNDETERMINED


@pytest.mark.parametrize("change", [SetGroups("eni-web", ("sg-app",)), SetGroups("eni-web", ())])
def test_other_groups_are_other_rules(change: Change) -> None:
    """§2.2: changing the groups of an interface is treated like changing rules."""
    assert fate(forecast(network(*TRACKED), change, talk())) in (Fate.GOES_ON, Fate.UNDETERMINED)


def test_an_entry_of_a_list() -> None:
    lists = {
        "pl-office": PrefixList("pl-office", family=4, entries=(parse_cidr("203.0.113.0/24"),), account_id=ACCOUNT)
    }
    before = network("in tcp 443 pl-office", prefix_lists=lists)
    change = SetEntries("pl-office", (), (parse_cidr("203.0.113.0/24"),))
    assert fate(forecast(before, change, talk())) is Fate.SURVIVES


def test_the_internet_by_the_union_of_rules() -> None:
    """Two changes of half the threshold each: the second opens, whatever it adds alone; IPv6 has its own."""
    before = network("in tcp 22 16.0.0.0/9", "in tcp 443 0.0.0.0/0", "out all 0.0.0.0/0")
    web = before.groups["sg-web"]
    wider = group("sg-web", "in tcp 22 16.0.0.0/9", "in tcp 443 0.0.0.0/0", "out all 0.0.0.0/0", "in tcp 22 17.0.0.0/9")
    after = replace(before, groups={**before.groups, "sg-web": wider})
    (row,) = space_changes(before, after, Semantics())
    assert row.exposed == ("eni-web",) and row.services[0] and not row.services[1]
    assert space_changes(after, before, Semantics())[0].exposed == ()
    v6 = msgspec.structs.replace(wider, rules=(*web.rules, *group("sg-web", "in tcp 22 2600::/16").rules[:1]))
    (row,) = space_changes(before, replace(before, groups={**before.groups, "sg-web": v6}), Semantics())
    assert row.exposed and row.services[1] and not row.services[0]


def test_counts_that_change() -> None:
    before = network(*OPEN)
    after = apply(before, ChangeSet((NO_443,)))
    found = {(one.subject, one.bucket): (one.before, one.after, one.limit) for one in quota_changes(before, after)}
    assert found == {("sg-web", "ingress/ipv4"): (1, 0, 60), ("eni-web", "ingress/ipv4"): (1, 0, 1000)}


def test_no_packets_no_connections() -> None:
    snapshot = Snapshot.of(network(*OPEN))
    run = PairedReplay(snapshot, snapshot, [])
    assert list(run) == [] and run.live is None and not np.any(run.summary.packets)


# -- the same from flow logs ---------------------------------------------------------------------------------------


def from_log(
    before: Environment, change: Change, packets: list[Packet], *, flags: bool = True, at: int | None = None
) -> LiveForecast:
    """The forecast from the flow log that the packets would have written, a record a second."""
    after = apply(before, ChangeSet((change,), accepted=True))
    snapshots = Snapshot.of(before, Semantics()), Snapshot.of(after, Semantics())
    records = logged(before, Semantics(), packets, interval=1, flags=flags)
    batch = batch_of([one.record for one in records], [int(one.action) for one in records])
    run = PairedLogs(*snapshots, [batch], at=at)
    for _ in run:
        pass
    assert run.live is not None
    return live_forecast(run.live, *snapshots)


def test_flow_logs_forecast_the_same() -> None:
    """What a log with TCP flags shows is enough, to the second."""
    ended = talk(flags=(SYN, SYN | ACK, ACK | FIN, ACK | FIN))
    for before, change, packets, expected in (
        (network(*OPEN), NO_443, talk(), Fate.UNDETERMINED),
        (network(*OPEN), NO_443, talk(client="10.0.1.1"), Fate.CUT),
        (network(*TRACKED), NO_443, talk(), Fate.SURVIVES),
        (network(*TRACKED), NO_443, ended, Fate.FAILS_ON_RECONNECT),
        (network("in udp 53 203.0.113.0/24"), NO_443, talk(port=53, protocol=UDP), Fate.SURVIVES),
        (network("in tcp 443 203.0.113.9/32", *TRACKED), NO_443, talk(), Fate.GOES_ON),
    ):
        found, alike = from_log(before, change, packets), forecast(before, change, packets)
        assert fate(found) is fate(alike) is expected
        assert [one.change_id for one in found.changes] == [one.change_id for one in alike.changes]
        assert [one.least for one in found.changes] == [one.least for one in alike.changes]


def test_a_log_without_flags_leaves_it_open_whether_tcp_has_ended() -> None:
    assert fate(from_log(network(*TRACKED), NO_443, talk(), flags=False)) is Fate.UNDETERMINED


def test_a_moment_of_a_log() -> None:
    """Records that begin later do not count, and what had timed out is not open."""
    begin = START // SECOND
    assert from_log(network(*TRACKED), NO_443, talk(), at=begin - 1).total == 0
    assert from_log(network(*TRACKED), NO_443, talk(), at=begin + 3 + 432_000).total == 1
    assert from_log(network(*TRACKED), NO_443, talk(), at=begin + 4 + 432_000).total == 0


def test_the_end_of_a_log_is_that_of_all_its_records() -> None:
    """A record of what was rejected comes last: what had timed out by then is not open, as in a capture."""
    before = network("in udp 53 203.0.113.0/24")
    later = [replace(packet, time_ns=packet.time_ns + 300 * SECOND) for packet in talk(port=444, flags=(SYN,))]
    packets = [*talk(port=53, protocol=UDP), *later]
    assert from_log(before, NO_443, packets[:-1]).total == 1
    assert from_log(before, NO_443, packets).total == forecast(before, NO_443, packets).total == 0
