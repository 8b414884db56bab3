"""What-if over flow logs equals two separate replays, record by record."""

from __future__ import annotations

from collections import defaultdict
from random import Random
from typing import Any

import numpy as np

from sgsim.engine import Snapshot
from sgsim.engine.logs import LogOptions, replay_logs
from sgsim.engine.paired_logs import PairedLogs
from sgsim.traffic.flowlogs import FlowLogBatch
from sgsim.verdicts import Verdicts
from tests.changes.test_laws import possible_changes
from tests.logs.support import batch_of, logged
from tests.strategies import random_change, random_environment, random_packets, random_semantics
from tests.whatif.support import HEADER, Changes, changes_of, name_of


def case(seed: int) -> tuple[Snapshot, Snapshot, list[FlowLogBatch]]:
    before, semantics = random_environment(seed), random_semantics(seed)
    after = random_change(before, seed) if seed % 2 else possible_changes(before, Random(seed), 4)[1]
    packets = [step.packet for step in random_packets(before, seed, 400)]
    records = logged(before, semantics, packets, flags=bool(seed % 3))
    half = len(records) // 2
    batches = [
        batch_of([one.record for one in part], [int(one.action) for one in part])
        for part in (records[:half], records[half:])
        if part
    ]
    return Snapshot.of(before, semantics), Snapshot.of(after, semantics), batches


def answers(snapshot: Snapshot, batches: list[FlowLogBatch], options: LogOptions) -> dict[int, tuple[Any, ...]]:
    """Of every record, by number: flow, end, packets, bytes and answer."""
    found = {}
    for batch in replay_logs(snapshot, batches, options):
        verdicts = batch.verdicts
        for n, order in enumerate(batch.order.tolist()):
            flow = tuple(int(getattr(verdicts, name)[n]) for name in HEADER)
            counts = int(verdicts.packets[n]), int(verdicts.bytes[n])
            found[order] = (flow, 1 - int(verdicts.direction[n]), counts, answer(snapshot, verdicts, n))
    return found


def answer(snapshot: Snapshot, verdicts: Verdicts, n: int) -> tuple[Any, ...]:
    rules = snapshot.tables.rule_ids
    return (
        name_of(snapshot.tables.interface_ids, int(verdicts.interface[n])),
        int(verdicts.action[n]),
        int(verdicts.reason[n]),
        frozenset(rules[rule] for rule in verdicts.sets[verdicts.match_set[n]]),
        frozenset(rules[rule] for rule in verdicts.sets[verdicts.possible_set[n]]),
        name_of(rules, int(verdicts.deciding_rule[n])),
        bool(verdicts.initiating[n]),
    )


def test_equals_two_separate_replays() -> None:
    """Every record whose verdict differs, with the rules on both sides; and how many there are of each verdict."""
    changed = 0
    for seed in range(24):
        before, after, batches = case(seed)
        options = LogOptions(likely=bool(seed % 2))
        old, new = (answers(snapshot, batches, options) for snapshot in (before, after))
        expected: Changes = defaultdict(lambda: (0, 0))
        totals = np.zeros((3, 3), np.int64)
        for order, (flow, end, counts, one) in old.items():
            other = new[order][3]
            totals[one[1], other[1]] += 1
            if one[1] != other[1]:
                key = (flow, end, one[1], other[1], one, other)
                packets, size = expected[key]
                expected[key] = packets + counts[0], size + counts[1]
        run = PairedLogs(before, after, batches, options)
        assert changes_of(list(run), before, after) == expected, seed
        assert np.array_equal(run.summary.records, totals)
        changed += len(expected)
    assert changed > 100
