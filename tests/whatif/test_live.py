"""Connections open at a moment, and what they meet with under other rules, against the slow twin's swap (§2.2)."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from random import Random
from typing import Any

import msgspec
import numpy as np

from sgsim.engine import Snapshot, Tracker
from sgsim.engine.live import OpenConnections, open_connections
from sgsim.model import ICMP, ICMPV6, TCP, UDP, Direction
from sgsim.packets import FRAGMENT_NONE
from sgsim.reference import Packet, judge
from sgsim.reference import Tracker as Twin
from sgsim.reference.connections import QUERY_PAIRS, is_alive
from sgsim.reference.tracking import EndAnswer
from sgsim.verdicts import Verdict
from tests.changes.test_laws import possible_changes
from tests.engine.tracking_cases import EndsFromMac, batch_of
from tests.generators.packets import Step
from tests.strategies import random_change, random_environment, random_packets, random_semantics

ACK = 16


def opened(seed: int, n: int = 300, *, closed: bool = False) -> tuple[Snapshot, Snapshot, list[Step], OpenConnections]:
    """Two snapshots, traffic, and the connections that are open at its end; `closed`: no rule is left."""
    environment, semantics, rng = random_environment(seed), random_semantics(seed), Random(seed)
    # No interface goes: at an end that is not there any more nothing is judged, which the twin does not know.
    changed = random_change(environment, seed) if seed % 2 else possible_changes(environment, rng, 3)[1]
    if changed.interfaces.keys() != environment.interfaces.keys():
        changed = random_change(environment, seed + 1)
    if closed:
        empty = {name: msgspec.structs.replace(each, rules=()) for name, each in environment.groups.items()}
        changed = replace(environment, groups=empty)
    before, after = Snapshot.of(environment, semantics), Snapshot.of(changed, semantics)
    steps = list(random_packets(environment, seed, n))
    batch = batch_of(steps, before.tables.interface_ids)
    old, new = Tracker(before, resolver=EndsFromMac()), Tracker(after, resolver=EndsFromMac())
    new.store.share_flows(old.store)
    flow = old.step(batch).flow
    traffic = np.zeros((old.store.flows.count, 2), np.int64)
    np.add.at(traffic, flow, np.stack([np.ones(len(batch), np.int64), batch.length], axis=1))
    return before, after, steps, open_connections(old, new, traffic, steps[-1].packet.time_ns)


def next_packet(found: OpenConnections, n: int, icmp_id: int | None, *, back: bool) -> Packet:
    """The next packet of a connection, from its initiator or to it."""
    family, protocol = int(found.family[n]), int(found.protocol[n])
    here = int(found.src_hi[n]) << 64 | int(found.src_lo[n])
    there = int(found.dst_hi[n]) << 64 | int(found.dst_lo[n])
    ports = int(found.srcport[n]), int(found.dstport[n])
    icmp = protocol in (ICMP, ICMPV6)
    packet = Packet(
        family,
        here,
        there,
        protocol,
        *ports,
        icmp_type=int(found.icmp_type[n]) if icmp else None,
        icmp_code=int(found.icmp_code[n]) if icmp and found.icmp_code[n] >= 0 else None,
        icmp_id=icmp_id,
        tcp_flags=ACK if protocol == TCP else 0,
        fragment=FRAGMENT_NONE,
        time_ns=found.now,
    )
    if not back:
        return packet
    packet = replace(packet, srcaddr=there, dstaddr=here, srcport=ports[1], dstport=ports[0])
    return replace(packet, icmp_type=QUERY_PAIRS[protocol][packet.icmp_type]) if icmp else packet


def ends_of(found: OpenConnections, n: int, ids: list[str], *, back: bool) -> list[str | None]:
    names = [ids[index] if index >= 0 else None for index in found.interface[n].tolist()]
    return names[::-1] if back else names


def answers(given: list[EndAnswer], direction_of_initiator: Direction) -> dict[int, Verdict]:
    """Verdicts by end, 0 for the initiator's."""
    return {
        (0 if answer.direction is direction_of_initiator else 1): answer.action
        for answer in given
        if answer.interface_id is not None
    }


def test_equals_twin_with_swap() -> None:
    """Which connections are open, and the verdict of the next packet each way, before and after the swap."""
    compared = changed = 0
    for seed in range(64):
        before, after, steps, found = opened(seed, closed=seed % 4 == 0)
        twin = Twin(before.environment, before.semantics)
        for step in steps:
            twin.step(*step)
        ids = before.tables.interface_ids
        live = {
            key: connection
            for key, connection in twin._connections.items()
            if is_alive(connection, found.now, before.semantics, before.environment.interfaces[str(key[0])])
        }
        told = {key for n in range(len(found)) for key in connections_of(found, n, ids, live)}
        assert told == live.keys(), seed
        for n in range(len(found)):
            mine = connections_of(found, n, ids, live)
            assert len(mine) == int(found.live[n].sum()), seed
            icmp_id = next((key[5] for key in mine if len(key) == 8), None)
            for side, environment in (("before", before.environment), ("after", after.environment)):
                for back in (False, True):
                    other = deepcopy(twin)
                    other.swap(environment)
                    packet = next_packet(found, n, icmp_id, back=back)
                    given = other.step(packet, *ends_of(found, n, ids, back=back))
                    expected = answers(given, Direction.INGRESS if back else Direction.EGRESS)
                    got = getattr(getattr(found, side), "back" if back else "onward")[n]
                    order = (1, 0) if back else (0, 1)
                    for end in order:
                        if end in expected:
                            assert got[end] == expected[end], (seed, n, side, back, packet)
                            compared += 1
            packet = next_packet(found, n, icmp_id, back=False)
            for end, name in enumerate(ends_of(found, n, ids, back=False)):
                if name is not None:
                    direction = Direction.EGRESS if end == 0 else Direction.INGRESS
                    asked = judge(after.environment, after.semantics, name, direction, packet)
                    assert found.after.anew[n, end] == asked.action
                    changed += int(found.after.anew[n, end] != found.before.anew[n, end])
    assert compared > 800
    assert changed > 20


def connections_of(
    found: OpenConnections, n: int, ids: list[str], live: dict[tuple[Any, ...], Any]
) -> list[tuple[Any, ...]]:
    """The twin's connections that a row stands for."""
    here = int(found.src_hi[n]) << 64 | int(found.src_lo[n])
    there = int(found.dst_hi[n]) << 64 | int(found.dst_lo[n])
    ports = int(found.srcport[n]), int(found.dstport[n])
    mine = []
    for end, (local, remote, near, far) in enumerate(((here, there, *ports), (there, here, *ports[::-1]))):
        if not found.live[n, end]:
            continue
        head = (ids[found.interface[n, end]], int(found.family[n]), int(found.protocol[n]), local, remote)
        for key in live:
            same = key[: len(head)] == head
            if same and found.protocol[n] in (TCP, UDP):
                same = key[5:] == (near, far)
            if same and found.protocol[n] in QUERY_PAIRS:
                direction = Direction.EGRESS if end == 0 else Direction.INGRESS
                same = key[6:] == (int(found.icmp_type[n]), direction)
            if same:
                mine.append(key)
    return mine


def test_survives_until_its_deadline() -> None:
    """A tracked packet passes up to the deadline and not a nanosecond later, whatever the rules are by then."""
    asked = 0
    for seed in range(40):
        before, after, steps, found = opened(seed, closed=True)
        twin = Twin(before.environment, before.semantics)
        for step in steps:
            twin.step(*step)
        twin.swap(after.environment)
        ids = before.tables.interface_ids
        for n in range(len(found)):
            if found.protocol[n] not in (TCP, UDP):
                continue
            for end, name in enumerate(ends_of(found, n, ids, back=False)):
                lets = found.after.onward[n, end] == Verdict.ACCEPT and found.after.anew[n, end] == Verdict.REJECT
                if not (found.live[n, end] and lets):
                    continue
                for late in (0, 1):
                    packet = replace(
                        next_packet(found, n, None, back=False), time_ns=int(found.deadline[n, end]) + late
                    )
                    ends = [name if at == end else None for at in (0, 1)]
                    (answer,) = deepcopy(twin).step(packet, *ends)
                    assert answer.action == (Verdict.REJECT if late else Verdict.ACCEPT), (seed, n)
                asked += 1
    assert asked > 20
