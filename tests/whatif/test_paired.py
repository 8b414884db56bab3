"""What-if over captures equals two separate replays (docs/what-if.md)."""

from __future__ import annotations

import sys
from random import Random

import numpy as np
import pytest

from sgsim.analysis.whatif_traffic import TRAFFIC_KINDS, FlowTally
from sgsim.engine import Snapshot, replay
from sgsim.engine.paired import PairedOptions, PairedReplay
from sgsim.verdicts import Verdict
from tests.changes.test_laws import possible_changes
from tests.engine.test_replay import pieces
from tests.strategies import packet_batch, random_change, random_environment, random_packets, random_semantics
from tests.whatif.support import changes_of, plain_changes

SEEDS = range(30)


def case(seed: int, n: int = 400):  # type: ignore[no-untyped-def]
    """Two snapshots, one a change away from the other, and traffic."""
    before = random_environment(seed)
    after = random_change(before, seed) if seed % 2 else possible_changes(before, Random(seed), 4)[1]
    batch = packet_batch([step.packet for step in random_packets(before, seed, n)])
    batch.length[:] = np.random.default_rng(seed).integers(20, 1500, len(batch))
    semantics = random_semantics(seed)
    return Snapshot.of(before, semantics), Snapshot.of(after, semantics), batch


def test_equals_two_separate_replays() -> None:
    """Every flow, verdict, rule and count; and the totals are those of either replay."""
    changed = 0
    for seed in SEEDS:
        before, after, batch = case(seed)
        run = PairedReplay(before, after, pieces(batch, sorted(Random(seed).sample(range(len(batch)), 5))))
        got = changes_of(list(run), before, after)
        expected, totals = plain_changes(before, after, batch)
        assert got == expected, seed
        assert np.array_equal(run.summary.packets, totals), seed
        changed += len(expected)
        for snapshot, axis in ((before, 1), (after, 0)):
            alone = replay(snapshot, [batch])
            for _ in alone:
                pass
            assert {verdict: int(totals.sum(axis=axis)[verdict]) for verdict in Verdict} == alone.summary.paths
    assert changed > 300


def test_nothing_changes_where_nothing_changed() -> None:
    for seed in range(5):
        before, _, batch = case(seed)
        run = PairedReplay(before, before, [batch])
        assert list(run) == []
        assert np.array_equal(run.summary.packets, np.diag(np.diag(run.summary.packets)))


def test_forgetting_all_the_time_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is dropped has no live connection on either side; what differs of it has been given out."""
    module = sys.modules["sgsim.engine.paired"]
    monkeypatch.setattr(module, "_WINDOW", 16)
    monkeypatch.setattr(module, "_REMEMBERED", 1)
    monkeypatch.setattr(module, "_GROWTH", 0)
    monkeypatch.setattr(module, "_OUTPUT", 2)
    for seed in range(12):
        before, after, batch = case(seed)
        run = PairedReplay(before, after, [batch], PairedOptions(threads=seed % 2 or None))
        batches = list(run)
        assert changes_of(batches, before, after) == plain_changes(before, after, batch)[0], seed


def test_a_flow_is_in_one_batch_and_knows_its_connection() -> None:
    """Both directions of a connection count for each of them."""
    for seed in SEEDS[:10]:
        before, after, batch = case(seed)
        ids: set[int] = set()
        for changes in PairedReplay(before, after, [batch]):
            assert ids.isdisjoint(changes.flow_id.tolist())
            ids |= set(changes.flow_id.tolist())
            assert (changes.connection_packets >= changes.packets).all()
            assert (changes.connection_bytes >= changes.bytes).all()


def test_causes_have_ids_of_their_own_and_lose_nothing() -> None:
    """Flows put together by cause: every packet is in one, and no two causes share an id."""
    for seed in SEEDS:
        before, after, batch = case(seed)
        run, tally = PairedReplay(before, after, [batch]), FlowTally()
        for changes in run:
            tally.add(changes)
        ids = [(one.tables.interface_ids, one.tables.rule_ids) for one in (before, after)]
        found = tally.changes(*ids)
        assert len({change.change_id for change in found}) == len(found), seed
        for (old, new), kind in TRAFFIC_KINDS.items():
            mine = [change for change in found if change.kind == kind]
            assert sum(change.count.packets for change in mine) == run.summary.packets[old, new]
            assert sum(change.count.bytes for change in mine) == run.summary.bytes[old, new]
            for change in mine:
                assert sum(count.packets for _, count in change.services) == change.count.packets
                assert sum(count.packets for _, count in change.peers) == change.count.packets
            totals = tally.flows.get(kind), tally.answers.get(kind)
            assert sum(total.packets for total in totals if total) == run.summary.packets[old, new]
