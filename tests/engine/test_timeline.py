"""Packets judged by the configuration that held at their time (docs/changes.md, "Time travel")."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
import numpy as np
from hypothesis import given, settings

from sgsim.engine import Snapshot
from sgsim.engine.replay import ReplayOptions, replay
from sgsim.engine.resolve import Headers, Resolver
from sgsim.engine.timeline import NOT_THERE, Timeline
from sgsim.flows import AMBIGUOUS, EGRESS
from sgsim.model import Direction, Environment, Semantics
from sgsim.model.changes import ChangeOrigin, ChangeSet
from sgsim.model.history import History
from sgsim.packets import PacketBatch
from sgsim.reference import Tracker as Twin
from sgsim.reference.packet import judge
from sgsim.report.columns import address_texts
from sgsim.verdicts import Reason, TimedVerdicts, Verdict
from tests.changes.support import distinct
from tests.changes.test_laws import possible_changes
from tests.strategies import Step, packet_batch, random_packets, random_semantics, seeds

SECOND = 1_000_000_000
laws = settings(max_examples=8, deadline=None, derandomize=True)


def case(seed: int, changes: int, packets: int = 300, wild: float = 0.0) -> tuple[Timeline, list[Step], PacketBatch]:
    """A history and packets over its whole length; `wild`: the share of packets whose time is any other's."""
    rng, environment = Random(seed), distinct(seed)
    steps = list(random_packets(environment, seed, packets))
    times = [step.packet.time_ns for step in steps]
    if wild:
        times = [rng.choice(times) if rng.random() < wild else time for time in times]
    steps = [step._replace(packet=replace(step.packet, time_ns=time)) for step, time in zip(steps, times)]
    made = possible_changes(environment, rng, changes)[0].changes if changes else ()
    moments = sorted(rng.choice(times) // SECOND for _ in made)
    timed = [
        msgspec.structs.replace(change, origin=ChangeOrigin(datetime.fromtimestamp(moment, UTC), place="trail.json"))
        for change, moment in zip(made, moments)
    ]
    first = datetime.fromtimestamp(times[0] // SECOND, UTC) - timedelta(days=1)
    history = History.of(environment, ChangeSet(tuple(timed), accepted=True), first)
    return Timeline(history, random_semantics(seed)), steps, packet_batch([step.packet for step in steps])


def ends_in(timeline: Timeline, batch: PacketBatch) -> list[tuple[str | int | None, str | int | None]]:
    """The ends of each packet, as the resolver finds them in the version of its time."""
    found: list[tuple[str | int | None, str | int | None]] = [(None, None)] * len(batch)
    versions = timeline.at(batch.time)
    headers = Headers(*(getattr(batch, name) for name in Headers._fields))
    for version in np.unique(versions).tolist():
        snapshot, rows = timeline.snapshot(version), np.flatnonzero(versions == version)
        ends = Resolver(snapshot).resolve(headers.at(rows))
        names = [*snapshot.tables.interface_ids, AMBIGUOUS, None]  # by index: -2 and -1 stand at the end
        for row, egress, ingress in zip(rows.tolist(), ends.egress.tolist(), ends.ingress.tolist()):
            found[row] = (names[egress], names[ingress])
    return found


@laws
@given(seeds)
def test_equals_the_twin_that_is_swapped_at_the_same_times(seed: int) -> None:
    """Each packet by the twin under the environment of its time, whatever the order of times is."""
    timeline, steps, batch = case(seed, Random(seed).randint(1, 8), wild=0.02 if seed % 2 else 0.0)
    twin = Twin(timeline.history.versions[0].environment, timeline.present.semantics)
    answers: Counter[tuple[Reason, Verdict]] = Counter()
    records: Counter[tuple[object, ...]] = Counter()
    versions = timeline.at(batch.time).tolist()
    for step, (egress, ingress), version in zip(steps, ends_in(timeline, batch), versions):
        if 133 <= (step.packet.icmp_type or 0) <= 137 and step.packet.protocol == 58 and step.packet.family == 6:
            continue
        twin.swap(timeline.history.versions[version].environment)
        for end in twin.step(step.packet, egress, ingress):
            answers[end.reason, end.action] += 1
            if end.interface_id is not None:
                assert end.direction is not None
                key = (
                    version,
                    end.interface_id,
                    int(end.direction),
                    str(step.packet.source),
                    str(step.packet.destination),
                )
                records[(*key, step.packet.protocol, step.packet.srcport, step.packet.dstport, int(end.action))] += 1
    replayed = replay(timeline.present, [batch], ReplayOptions(aggregation=None), timeline=timeline)
    got: Counter[tuple[object, ...]] = Counter()
    for verdicts in replayed:
        assert isinstance(verdicts, TimedVerdicts)
        sources = [
            address_texts(verdicts.family[n : n + 1], verdicts.src_hi[n : n + 1], verdicts.src_lo[n : n + 1])[0]
            for n in range(len(verdicts))
        ]
        targets = [
            address_texts(verdicts.family[n : n + 1], verdicts.dst_hi[n : n + 1], verdicts.dst_lo[n : n + 1])[0]
            for n in range(len(verdicts))
        ]
        for n in range(len(verdicts)):
            if verdicts.interface[n] < 0:
                continue
            key = (
                int(verdicts.snapshot[n]),
                replayed.interface_ids[verdicts.interface[n]],
                int(verdicts.direction[n]),
                sources[n],
                targets[n],
            )
            ports = int(verdicts.protocol[n]), int(verdicts.srcport[n]), int(verdicts.dstport[n])
            got[(*key, *ports, int(verdicts.action[n]))] += int(verdicts.packets[n])
    assert replayed.summary.answers == answers
    assert got == records


@laws
@given(seeds)
def test_no_changes_no_difference(seed: int) -> None:
    """Replay with an empty change list = replay."""
    timeline, _, batch = case(seed, 0)
    plain = list(replay(timeline.present, [batch]))
    timed = list(replay(timeline.present, [batch], timeline=timeline))
    assert len(plain) == len(timed)
    for one, other in zip(plain, timed):
        assert isinstance(other, TimedVerdicts)
        for name in ("interface", "action", "reason", "start", "end", "packets", "flow_id", "deciding_rule"):
            assert getattr(one, name).tolist() == getattr(other, name).tolist()
        assert not other.snapshot.any() and not other.change.any()


@laws
@given(seeds)
def test_batches_and_threads_are_irrelevant(seed: int) -> None:
    timeline, _, batch = case(seed, 5)
    whole = list(replay(timeline.present, [batch], timeline=timeline))
    alone = list(replay(timeline.present, [batch], ReplayOptions(threads=1), timeline=timeline))
    for one, other in zip(whole, alone, strict=True):
        for name in ("interface", "action", "packets", "flow_id", "snapshot", "change", "before"):
            assert getattr(one, name).tolist() == getattr(other, name).tolist()


def rules_say(environment: Environment, semantics: Semantics, end: str, direction: Direction, step: Step) -> int:
    if end not in environment.interfaces:
        return NOT_THERE
    return int(judge(environment, semantics, end, direction, step.packet).action)


def test_the_change_that_decided() -> None:
    """The last change before which the rules said something else of the flow, by trying every version."""
    decided = 0
    for seed in range(10):
        timeline, steps, batch = case(seed, 25, packets=150)
        semantics, versions = timeline.present.semantics, timeline.history.versions
        expected: dict[tuple[object, ...], set[tuple[int, int]]] = {}
        at = timeline.at(batch.time).tolist()
        for step, ends, version in zip(steps, ends_in(timeline, batch), at):
            for end, direction in zip(ends, (Direction.EGRESS, Direction.INGRESS)):
                if not isinstance(end, str):
                    continue
                said = [rules_say(one.environment, semantics, end, direction, step) for one in versions[: version + 1]]
                change = max((n for n in range(1, version + 1) if said[n - 1] != said[version]), default=0)
                packet = step.packet
                key = (
                    version,
                    end,
                    int(direction),
                    packet.srcaddr,
                    packet.dstaddr,
                    packet.protocol,
                    packet.srcport,
                    packet.dstport,
                    packet.icmp_type,
                    packet.icmp_code,
                )
                expected.setdefault(key, set()).add((change, said[change - 1] if change else 0))
        replayed = replay(timeline.present, [batch], ReplayOptions(aggregation=None), timeline=timeline)
        for verdicts in replayed:
            assert isinstance(verdicts, TimedVerdicts)
            for n in range(len(verdicts)):
                reply = verdicts.reason[n] == Reason.TRACKED and not verdicts.initiating[n]
                if verdicts.interface[n] < 0 or reply:
                    assert verdicts.change[n] == 0
                    continue
                source = int(verdicts.src_hi[n]) << 64 | int(verdicts.src_lo[n])
                target = int(verdicts.dst_hi[n]) << 64 | int(verdicts.dst_lo[n])
                direction = Direction.EGRESS if verdicts.direction[n] == EGRESS else Direction.INGRESS
                icmp = [None if value < 0 else int(value) for value in (verdicts.icmp_type[n], verdicts.icmp_code[n])]
                name = replayed.interface_ids[verdicts.interface[n]]
                key = (
                    int(verdicts.snapshot[n]),
                    name,
                    int(direction),
                    source,
                    target,
                    int(verdicts.protocol[n]),
                    int(verdicts.srcport[n]),
                    int(verdicts.dstport[n]),
                    *icmp,
                )
                found = (int(verdicts.change[n]), int(verdicts.before[n]))
                assert found in expected[key], (seed, key, found, expected[key])
                decided += verdicts.change[n] > 0
    assert decided > 50


def test_one_snapshot_is_the_given_one() -> None:
    timeline, _, _ = case(3, 4)
    assert timeline.present is timeline.snapshot(0) and isinstance(timeline.present, Snapshot)
