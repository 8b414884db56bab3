"""What does a what-if cost, in replays? `pytest benchmarks/test_whatif.py --benchmark-only -s`

The same packets, made in memory, through a replay and through a what-if, in turns; only the ratio within a run counts.
SGSIM_BENCHMARK_FLOWS flows (10 million by default), two a connection, of one packet each, to the fleet of
`test_replay`; the change revokes a rule in every tenth group. Before anything is timed, what the what-if says of
either side must be what a replay of that side says.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from benchmarks.capture.cases import INTERFACES, PORTS
from benchmarks.capture.cases import servers as fleet
from sgsim.analysis.whatif_traffic import FlowTally
from sgsim.engine import Snapshot, replay
from sgsim.engine.paired import PairedReplay
from sgsim.model import TCP, Environment
from sgsim.model.apply import apply
from sgsim.model.changes import ChangeSet, Revoke
from sgsim.packets import PacketBatch
from sgsim.reference import Packet
from sgsim.verdicts import Verdict
from tests.strategies import packet_batch

SMALL = os.environ.get("SGSIM_BENCH_SCALE") == "small"
FLOWS = int(os.environ.get("SGSIM_BENCHMARK_FLOWS", "200000" if SMALL else "10000000"))
BATCH = 1 << 16  #: flows in one batch
STEP = 360_000  #: ns from packet to packet: ten million in an hour
PAIRS = 1 if SMALL else 3


def changed(environment: Environment) -> Environment:
    """A rule less in every tenth group."""
    groups = list(environment.groups.values())[::10]
    return apply(environment, ChangeSet(tuple(Revoke(one.group_id, (one.rules[0].rule_id,)) for one in groups)))


def traffic(flows: int) -> Iterator[PacketBatch]:
    """Connections from anywhere to the fleet, a request and its answer each."""
    rng = np.random.default_rng(1)
    for start in range(0, flows, BATCH):
        n = min(BATCH, flows - start) // 2
        client, port = rng.integers(0x0B000000, 0xDF000000, n), rng.integers(1024, 65536, n)
        server, service = 0x0A000000 + rng.integers(0, INTERFACES, n), rng.choice(PORTS, n)
        yield exchange(client, port, server, service, 1_700_000_000_000_000_000 + start * STEP)


def exchange(client: Any, port: Any, server: Any, service: Any, start: int) -> PacketBatch:
    """SYN and SYN-ACK of connections, one after the other."""
    n = 2 * len(client)
    there = np.arange(n) % 2 == 0

    def turned(one: Any, other: Any) -> Any:
        return np.where(there, np.repeat(one, 2), np.repeat(other, 2))

    template = packet_batch([Packet(4, 0, 0, TCP)])
    columns = {one.name: np.repeat(getattr(template, one.name), n) for one in fields(template) if one.name != "quotes"}
    columns["time"] = start + np.arange(n) * STEP
    columns["src_lo"], columns["dst_lo"] = (
        turned(*pair).astype(np.uint64) for pair in ((client, server), (server, client))
    )
    columns["srcport"], columns["dstport"] = (
        turned(*pair).astype(np.uint16) for pair in ((port, service), (service, port))
    )
    columns["tcp_flags"] = np.where(there, 2, 18).astype(np.uint8)
    return PacketBatch(**columns, quotes=template.quotes)


@pytest.fixture(scope="module")
def snapshots() -> tuple[Snapshot, Snapshot]:
    before = fleet()
    return Snapshot.of(before), Snapshot.of(changed(before))


def paths(snapshot: Snapshot, flows: int) -> dict[Verdict, int]:
    """Packets by their verdict at both ends."""
    run = replay(snapshot, traffic(flows))
    for _ in run:
        pass
    return run.summary.paths


def compared(before: Snapshot, after: Snapshot, flows: int) -> PairedReplay:
    """A what-if that has run to its end, with its flows grouped by cause."""
    run, tally = PairedReplay(before, after, traffic(flows)), FlowTally()
    for changes in run:
        tally.add(changes)
    ids = [(one.tables.interface_ids, one.tables.rule_ids) for one in (before, after)]
    assert tally.changes(ids[0], ids[1])
    return run


def test_in_replays(benchmark: Any, snapshots: tuple[Snapshot, Snapshot], capsys: pytest.CaptureFixture[str]) -> None:
    before, after = snapshots
    some = min(FLOWS, 200_000)
    totals = compared(before, after, some).summary.packets
    for axis, snapshot in ((1, before), (0, after)):
        assert {verdict: int(totals.sum(axis=axis)[verdict]) for verdict in Verdict} == paths(snapshot, some)
    by_clock, by_cpu = [], []

    def pair() -> None:
        clock, cpu = time.perf_counter(), time.process_time()
        paths(before, FLOWS)
        once = time.perf_counter() - clock, time.process_time() - cpu
        clock, cpu = time.perf_counter(), time.process_time()
        compared(before, after, FLOWS)
        by_clock.append((time.perf_counter() - clock) / once[0])
        by_cpu.append((time.process_time() - cpu) / once[1])

    benchmark.pedantic(pair, rounds=PAIRS)
    benchmark.extra_info["replays, clock"] = statistics.median(by_clock)
    benchmark.extra_info["replays, CPU"] = statistics.median(by_cpu)
    with capsys.disabled():
        print(f"\nwhat-if over {FLOWS:,} flows: {statistics.median(by_clock):.2f} replays on the clock,", end=" ")
        print(f"{statistics.median(by_cpu):.2f} in CPU time")
    if not SMALL:
        assert statistics.median(by_clock) < 3
