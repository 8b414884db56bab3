"""sgsim under `Semantics.linux()` against nftables and conntrack, packet by packet (docs/semantics.md §2, §9).

Each network interface of a random account is a namespace whose nftables chains hold the account's groups, written by
a translator that shares nothing with sgsim (`nftables.py`), with the kernel's own conntrack beside them. Compared are,
for every packet and both of its ends: the verdict, whether rules or state gave it, whether the packet is a reply, and,
through nftables' counters, how many packets each single rule matched. Rules change while connections live (§2.2).

What is kept out of the traffic, because the two cannot agree on it or one of them cannot say it:

Not in Linux
 *  Exempt traffic (§3), untracked flows (§2.1), interfaces without groups: switched off or not generated.
 *  Unknown verdicts: the accounts are closed worlds, no address is ambiguous.
 *  Fragments (§9.15): conntrack puts them together before it looks. sgsim judges each as it comes.
 *  Rejection by the receiver as the sender's business: sgsim counts a packet that either end rejects at neither end.
    Linux at the sender cannot know; so the wire tells it to forget a connection whose first packet was rejected there.

Time
 *  Traffic is faster than every timer here (`test_timers.py` compares one common limit). The limits differ by design:
    conntrack has ten for TCP, turns UDP into a stream after two seconds, and never ends what is still used.

TCP (§9.12). Conntrack calls a packet *invalid* where its state machine has no place for it; sgsim has no such notion
 *  Opening a connection: only by SYN, or by ACK without SYN, FIN and RST. What else opens one in sgsim is judged by the
    rules here, and nothing more is sent on these ports if it was let through.
 *  Flags that no TCP sends (none, SYN-FIN, FIN without ACK): only as such a first packet.
 *  FIN in answer to a SYN that has no other answer yet.
 *  SYN against the direction of a connection that has seen SYN-ACK or ACK, the time after its end included.
 *  After a RST that is the first answer (conntrack forgets at once, sgsim after 10 s): all but the opener's packets,
    and these only while the rules stay the same.
 *  Under other rules than those that let the opener in: its SYN after the end (conntrack deletes the connection
    whether or not the rules then accept, and not after every end; sgsim keeps it if they reject), and those of its
    packets that conntrack finds invalid. A FIN sent twice by one side is an end to conntrack, not to sgsim.
 *  Sequence numbers stand still, so that no RST is out of conntrack's window.

ICMP (§9.13)
 *  Queries with another code than 0: the code is part of conntrack's key.
 *  ICMPv6 node information, neighbour and multicast listener discovery. ICMP in IPv6, ICMPv6 in IPv4.
 *  Errors that quote a fragment, a connection in one of the states above, or an ICMP error.

Other protocols (§9.10)
 *  SCTP, UDP-Lite, GRE version 1 (PPTP): conntrack follows their ports, verification tags and call ids.
 *  In IPv6, AH and the extension headers' numbers: Linux looks behind them.

Traffic between two addresses of one interface, multicast, loopback and link-local addresses (not forwarded by Linux).
"""

from __future__ import annotations

from collections import Counter
from itertools import chain
from pathlib import Path
from random import Random

import pytest
from msgspec import structs

from sgsim.model import ICMP, ICMPV6, TCP, UDP, Direction, Semantics
from tests.kernel.accounts import random_account
from tests.kernel.actors import perform
from tests.kernel.comparison import by_kernels, by_twin, differences
from tests.kernel.lab import Host
from tests.kernel.nftables import Mark
from tests.kernel.wire import Scene, Wire

pytestmark = pytest.mark.kernel

#: (scenes, acts, packets an act): accounts whose rules never change, and accounts whose rules change twice.
STEADY, CHANGING = (34, 1, 1200), (24, 3, 400)
SEED = 1


@pytest.fixture(scope="module")
def scenes(hosts: list[Host]) -> list[Scene]:
    """What Linux did with 69 600 packets between the interfaces of 58 accounts."""
    seen: list[Scene] = []
    for count, acts, packets in (STEADY, CHANGING):
        for _ in range(count):
            random = Random(SEED * 1000 + len(seen))
            wire = Wire(random_account(random, random.randint(2, len(hosts))), hosts)
            seen.append(perform(random, wire, acts, packets))
    return seen


def test_traffic_reaches_every_corner(scenes: list[Scene]) -> None:
    """At least 50 000 packets; at each end, in each family and for each protocol, by rule, by state and dropped."""
    crossings = [crossing for scene in scenes for act in scene for crossing in act.crossings]
    assert len(crossings) >= 50_000
    corners = Counter(
        (end.direction, crossing.packet.family, _kind(crossing.packet.protocol), end.mark)
        for crossing in crossings
        for end in crossing.answers
    )
    marks = {kind: {None, Mark.OPENS, Mark.AGAIN, Mark.REPLY, Mark.OUTLIVES} for kind in (TCP, UDP, ICMP, None)}
    marks[TCP] |= {Mark.UNTRACKABLE}
    marks[ICMP] |= {Mark.UNTRACKABLE, Mark.RELATED}
    expected = {
        (direction, family, kind, mark)
        for kind, wanted in marks.items()
        for direction in Direction
        for family in (4, 6)
        for mark in wanted
    }
    assert sorted(map(str, expected - {corner for corner, count in corners.items() if count >= 3})) == []


def test_twin_answers_as_linux(scenes: list[Scene]) -> None:
    """§2.2, §9.2, §9.3, §9.10, §9.12, §9.13: verdict, reason, direction and matched rules of every packet."""
    found = list(chain.from_iterable(differences(scene, by_twin(scene, Semantics.linux())) for scene in scenes))
    assert not found, f"{len(found)} differences, the first three:\n" + "\n".join(found[:3])


def test_kernels_answer_as_linux(scenes: list[Scene], tmp_path: Path) -> None:
    """§2, §9, from the bytes on: the same of reader, compiled rules and tracking kernel, under changing rules too."""
    assert sum(len(act.crossings) for scene in scenes for act in scene) >= 50_000
    said = (by_kernels(scene, Semantics.linux(), tmp_path / "act.pcap") for scene in scenes)
    found = list(chain.from_iterable(differences(scene, answers) for scene, answers in zip(scenes, said, strict=True)))
    assert not found, f"{len(found)} differences, the first three:\n" + "\n".join(found[:3])


@pytest.mark.parametrize(
    "change",
    [{"icmp_errors": "rules"}, {"tcp_midstream": "reject"}, {"delegated_prefixes_are_members": False}],
    ids=lambda change: next(iter(change)),
)
def test_other_semantics_differ(scenes: list[Scene], change: dict[str, object]) -> None:
    """The comparison can fail: under another option, Linux and sgsim differ."""
    semantics = structs.replace(Semantics.linux(), **change)
    assert any(differences(scene, by_twin(scene, semantics)) for scene in scenes)


def _kind(protocol: int) -> int | None:
    if protocol in (ICMP, ICMPV6):
        return ICMP
    return protocol if protocol in (TCP, UDP) else None
