"""A tracker whose rules are replaced under live connections, against its slow twin (docs/semantics.md §2.2)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

import msgspec
import numpy as np
from hypothesis import given, settings

from sgsim.engine.flowstore import Arrivals
from sgsim.engine.resolve import Ends, Headers
from sgsim.engine.snapshot import Snapshot
from sgsim.engine.spans import Span
from sgsim.engine.tracking import Tracker
from sgsim.flows import AMBIGUOUS, NO_INTERFACE
from sgsim.model import ConnectionTrackingTimeouts, Environment, NetworkInterface, Semantics
from sgsim.packets import PacketBatch
from sgsim.reference import Tracker as Twin
from tests.changes.support import distinct
from tests.changes.test_laws import possible_changes
from tests.engine.tracking_cases import Answer, first_difference, readable, splits
from tests.strategies import Step, packet_batch, random_packets, random_semantics, seeds


@dataclass
class Scene:
    """Environments one after the other, and the packets that come under each."""

    semantics: Semantics
    acts: list[tuple[Environment, list[Step]]] = field(default_factory=list)

    @property
    def steps(self) -> list[Step]:
        return [step for _, steps in self.acts for step in steps]


def random_scene(seed: int, acts: int, packets: int) -> Scene:
    """Conversations that go on while the environment changes, and some that begin under each of them."""
    rng, environment = Random(seed), distinct(seed)
    scene = Scene(random_semantics(seed))
    talk = list(random_packets(environment, seed, acts * packets))
    shift = 0
    for act in range(acts):
        part = talk[act * packets : (act + 1) * packets]
        steps = [_moved(step, shift, environment) for step in part]
        if rng.random() < 0.3:
            begun = steps[-1].packet.time_ns - part[0].packet.time_ns
            more = list(random_packets(environment, rng.getrandbits(32), packets // 2))
            ahead = begun + part[0].packet.time_ns - more[0].packet.time_ns
            steps += [_moved(step, ahead, environment) for step in more]
            shift += more[-1].packet.time_ns - more[0].packet.time_ns
        scene.acts.append((environment, steps))
        environment = edited(environment, rng)
    return scene


def _moved(step: Step, shift: int, environment: Environment) -> Step:
    """The step so much later; an interface that is gone is not known any more."""
    ends = (end if not isinstance(end, str) or end in environment.interfaces else None for end in step[1:])
    return Step(replace(step.packet, time_ns=step.packet.time_ns + shift), *ends)


def edited(environment: Environment, rng: Random) -> Environment:
    """Another environment: changes of every kind, other timeouts, other positions of everything."""
    if rng.random() < 0.1:
        return environment
    environment = possible_changes(environment, rng, rng.randint(1, 4))[1]
    interfaces: dict[str, NetworkInterface] = dict(environment.interfaces)
    if rng.random() < 0.3:
        name = rng.choice(sorted(interfaces))
        timeouts = ConnectionTrackingTimeouts(rng.choice((None, 60, 350)), rng.choice((30, 60)), rng.choice((60, 180)))
        interfaces[name] = msgspec.structs.replace(interfaces[name], timeouts=timeouts)
    groups = dict(environment.groups)
    if rng.random() < 0.5:
        order = rng.sample(sorted(interfaces), len(interfaces))
        interfaces = {name: interfaces[name] for name in order}
        groups = {name: groups[name] for name in rng.sample(sorted(groups), len(groups))}
    return replace(environment, interfaces=interfaces, groups=groups)


@dataclass
class EndsByNumber:
    """Reads the ends out of the Ethernet addresses: numbers of `ids`, whatever their indexes in the snapshot are."""

    ids: list[str]
    snapshot: Snapshot

    def resolve(self, headers: Headers) -> Ends:
        index = {name: n for n, name in enumerate(self.snapshot.tables.interface_ids)}
        known = np.array([AMBIGUOUS, NO_INTERFACE, *(index.get(name, NO_INTERFACE) for name in self.ids)], np.int32)
        nobody = np.full(len(headers.family), NO_INTERFACE, np.int32)
        egress, ingress = (known[mac.astype(np.int64)] for mac in (headers.src_mac, headers.dst_mac))
        return Ends(egress, ingress, np.zeros(len(nobody), np.bool_), nobody, nobody)


def batch_of(steps: list[Step], ids: list[str]) -> PacketBatch:
    number = {name: n + 2 for n, name in enumerate(ids)} | {None: 1, AMBIGUOUS: 0}
    batch = packet_batch([step.packet for step in steps])
    batch.src_mac[:] = [number[step.egress] for step in steps]
    batch.dst_mac[:] = [number[step.ingress] for step in steps]
    return batch


def by_kernel(scene: Scene, rng: Random, *, forget: bool = False, ahead: bool = False) -> list[Answer]:
    """What the tracker says of each packet; `ahead`: each act is grouped before the one before it is tracked."""
    ids = sorted({name for environment, _ in scene.acts for name in environment.interfaces})
    first = Snapshot.of(scene.acts[0][0], scene.semantics)
    tracker = Tracker(first, resolver=EndsByNumber(ids, first))
    answers: list[Answer] = []
    waiting: list[Arrivals] = []
    for environment, steps in scene.acts:
        snapshot = Snapshot.of(environment, scene.semantics)
        tracker.swap(snapshot, resolver=EndsByNumber(ids, snapshot))
        batch = batch_of(steps, ids)
        waiting += [tracker.group([Span(batch, *part)]) for part in splits(len(steps), rng, 200)]
        kept = len(waiting) // 2 if ahead else 0
        while len(waiting) > kept:
            answers += _tracked(tracker, waiting.pop(0))
        if forget:
            tracker.forget(int(batch.time[-1]))
    while waiting:
        answers += _tracked(tracker, waiting.pop(0))
    return answers


def _tracked(tracker: Tracker, arrivals: Arrivals) -> list[Answer]:
    return [answer for tracked in tracker.answered(arrivals) for answer in readable(tracker, tracked.words)]


def by_twin(scene: Scene) -> list[Answer]:
    twin = Twin(scene.acts[0][0], scene.semantics)
    answers: list[Answer] = []
    for environment, steps in scene.acts:
        twin.swap(environment)
        answers += [[(int(end.action), int(end.reason), *end[4:]) for end in twin.step(*step)] for step in steps]
    return answers


def check(seed: int, acts: int, packets: int, **how: bool) -> int:
    scene = random_scene(seed, acts, packets)
    got, expected = by_kernel(scene, Random(seed), **how), by_twin(scene)
    difference = first_difference(scene.steps, got, expected, seed)
    assert not difference, difference
    return len(got)


def test_equals_twin() -> None:
    """§2.2: more than 20 000 packets under 240 environments, in all parts of all answers."""
    assert sum(check(seed, acts=8, packets=80) for seed in range(30)) >= 20_000


@settings(max_examples=12, deadline=None, derandomize=True)
@given(seeds)
def test_equals_twin_anywhere(seed: int) -> None:
    """Many changes, few packets between them."""
    check(seed, acts=25, packets=12)


def test_packets_that_were_grouped_before_a_swap() -> None:
    """They are judged by the rules that held then, however late they are tracked."""
    for seed in range(100, 106):
        check(seed, acts=8, packets=60, ahead=True)


def test_forgetting_changes_no_answer() -> None:
    for seed in range(200, 206):
        check(seed, acts=8, packets=60, forget=True)


def test_snapshots_that_changes_were_applied_to() -> None:
    """Versions that share what a change leaves alone, with gaps where something was."""
    for seed in range(300, 312):
        rng, before = Random(seed), distinct(seed)
        talk, semantics = list(random_packets(before, seed, 300)), random_semantics(seed)
        snapshot = Snapshot.of(before, semantics)
        twin, steps, got, expected = Twin(before, semantics), [], [], []
        names = list(before.interfaces)
        tracker = Tracker(snapshot, resolver=EndsByNumber(names, snapshot))
        for start in range(0, len(talk), 50):
            if start:
                snapshot = snapshot.apply(possible_changes(snapshot.environment, rng, rng.randint(1, 4))[0])
                tracker.swap(snapshot, resolver=EndsByNumber(names, snapshot))
                twin.swap(snapshot.environment)
            part = [_moved(step, 0, snapshot.environment) for step in talk[start : start + 50]]
            steps += part
            got += readable(tracker, tracker.step(batch_of(part, names)).words)
            expected += [[(int(end.action), int(end.reason), *end[4:]) for end in twin.step(*step)] for step in part]
        difference = first_difference(steps, got, expected, seed)
        assert not difference, difference
