"""The tracking kernel beside its slow twin, on generated environments and traffic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

import numpy as np

from sgsim.engine.resolve import Ends, Headers
from sgsim.engine.snapshot import Snapshot
from sgsim.engine.spans import Span
from sgsim.engine.tracking import Tracker
from sgsim.flows import AMBIGUOUS, NO_INTERFACE
from sgsim.model import Environment, Semantics
from sgsim.packets import PacketBatch
from sgsim.reference import Tracker as Twin
from tests.strategies import Step, packet_batch

#: Action, reason, rule ids, possible rule ids, deciding rule id, initiating: one for each end that is judged.
Answer = list[tuple[object, ...]]


class EndsFromMac:
    """Reads the ends out of the Ethernet addresses, where `batch_of` wrote them."""

    def resolve(self, headers: Headers) -> Ends:
        nobody = np.full(len(headers.family), NO_INTERFACE, np.int32)
        egress, ingress = ((mac.astype(np.int64) - 3).astype(np.int32) for mac in (headers.src_mac, headers.dst_mac))
        return Ends(egress, ingress, np.zeros(len(nobody), np.bool_), nobody, nobody)


def batch_of(steps: Sequence[Step], interface_ids: Sequence[str]) -> PacketBatch:
    """Packets as columns, their ends as Ethernet addresses."""
    index = {name: n for n, name in enumerate(interface_ids)} | {None: NO_INTERFACE, AMBIGUOUS: AMBIGUOUS}
    batch = packet_batch([step.packet for step in steps])
    batch.src_mac[:] = [index[step.egress] + 3 for step in steps]
    batch.dst_mac[:] = [index[step.ingress] + 3 for step in steps]
    return batch


def splits(n: int, rng: Random, most: int) -> Iterator[tuple[int, int]]:
    """0 … n in pieces of random length."""
    start = 0
    while start < n:
        stop = min(n, start + rng.randint(1, most))
        yield start, stop
        start = stop


def kernel_answers(
    environment: Environment, semantics: Semantics, steps: Sequence[Step], rng: Random, *, forget: bool = False
) -> list[Answer]:
    """What the tracker says of each packet, in batches of random length; `forget` lets it forget after each."""
    snapshot = Snapshot.of(environment, semantics)
    batch = batch_of(steps, snapshot.tables.interface_ids)
    tracker = Tracker(snapshot, resolver=EndsFromMac())
    answers: list[Answer] = []
    for start, stop in splits(len(steps), rng, 200):
        words = next(tracker.steps([Span(batch, start, stop)])).words
        answers += readable(tracker, words)
        if forget:
            tracker.forget(int(batch.time[stop - 1]))
    return answers


def readable(tracker: Tracker, words: np.ndarray) -> list[Answer]:
    """Answers of n packets with rule ids."""
    columns = tracker.answers(words)
    ids = tracker.rule_ids
    names = [frozenset(ids[rule] for rule in columns.sets[number]) for number in range(len(columns.sets))]
    return [
        [
            (
                int(columns.action[row, end]),
                int(columns.reason[row, end]),
                names[columns.match_set[row, end]],
                names[columns.possible_set[row, end]],
                None if columns.deciding_rule[row, end] < 0 else ids[columns.deciding_rule[row, end]],
                bool(columns.initiating[row, end]),
            )
            for end in (0, 1)
            if columns.judged[row, end]
        ]
        for row in range(len(words))
    ]


def twin_answers(environment: Environment, semantics: Semantics, steps: Sequence[Step]) -> list[Answer]:
    """What the plain loops say of each packet."""
    twin = Twin(environment, semantics)
    return [[(int(end.action), int(end.reason), *end[4:]) for end in twin.step(*step)] for step in steps]


def first_difference(steps: Sequence[Step], got: Sequence[Answer], expected: Sequence[Answer], seed: int) -> str | None:
    """The first packet on which two lists of answers differ, in words; None if there is none."""
    for n, (mine, theirs) in enumerate(zip(got, expected, strict=True)):
        if mine != theirs:
            return f"seed {seed}, packet {n}: {steps[n]}\n  tracker {mine}\n  twin    {theirs}"
    return None
