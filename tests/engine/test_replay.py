"""Aggregation, filters, what is counted, and what is forgotten (docs/semantics.md §9.4, §9.8, §9.14, §9.16)."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from importlib import import_module
from types import FunctionType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgsim.engine import Snapshot, Tracker, replay
from sgsim.engine.replay import Replay, ReplayOptions
from sgsim.errors import ModelError
from sgsim.flows import NO_INTERFACE
from sgsim.model import ICMPV6, TCP, UDP, Direction, Environment, parse_address
from sgsim.packets import PacketBatch
from sgsim.reference import Packet
from sgsim.verdicts import Reason, Verdict, Verdicts, conjunction
from tests.engine.networks import small_network
from tests.generators.packets import SECOND, START
from tests.strategies import packet_batch, random_environment, random_packets, random_semantics, seeds

INTERVALS = (600, 60, None)
SINGLE_VALUES = [field.name for field in fields(Verdicts) if field.name not in ("sets", "match_set", "possible_set")]


def generated(seed: int, n: int = 400) -> tuple[Snapshot, PacketBatch]:
    """An environment and traffic to it; ends are found by address."""
    environment = random_environment(seed)
    batch = packet_batch([step.packet for step in random_packets(environment, seed, n)])
    batch.length[:] = np.random.default_rng(seed).integers(20, 1500, len(batch))
    return Snapshot.of(environment, random_semantics(seed)), batch


def pieces(batch: PacketBatch, bounds: Sequence[int]) -> Iterator[PacketBatch]:
    """The batch cut at the bounds."""
    for start, stop in zip([0, *bounds], [*bounds, len(batch)], strict=True):
        quotes = batch.quotes
        mine = np.flatnonzero((quotes.packet >= start) & (quotes.packet < stop))
        moved = replace(quotes, **{field.name: getattr(quotes, field.name)[mine] for field in fields(quotes)})
        moved.packet[:] -= start
        columns = {
            field.name: getattr(batch, field.name)[start:stop] for field in fields(batch) if field.name != "quotes"
        }
        yield PacketBatch(**columns, quotes=moved)


def rows(replayed: Replay) -> list[dict[str, Any]]:
    """Every record as a dictionary, match sets as tuples of rule indexes."""
    listed = []
    for verdicts in replayed:
        columns = {name: getattr(verdicts, name).tolist() for name in SINGLE_VALUES}
        for n in range(len(verdicts)):
            row = {name: values[n] for name, values in columns.items()}
            row["match_set"] = verdicts.sets[verdicts.match_set[n]]
            row["possible_set"] = verdicts.sets[verdicts.possible_set[n]]
            listed.append(row)
    return listed


def plain_records(snapshot: Snapshot, batch: PacketBatch, aggregation: int | None) -> list[dict[str, Any]]:
    """The records of a batch by a dictionary loop over the answers of its packets."""
    tracker = Tracker(snapshot)
    tracked = tracker.step(batch)
    answers = tracker.answers(tracked.words)
    interfaces = [tracker.store.interfaces(tracked.flow, end) for end in (0, 1)]
    records: dict[tuple[Any, ...], dict[str, Any]] = {}
    flow_ids: dict[tuple[Any, ...], int] = {}
    for n in range(len(batch)):
        judged = [end for end in (0, 1) if answers.judged[n, end]]
        if not judged:
            continue
        head = tuple(
            int(getattr(batch, name)[n])
            for name in (
                "family", "src_hi", "src_lo", "dst_hi", "dst_lo", "srcport", "dstport", "protocol", "icmp_type",
                "icmp_code",
            )
        )  # fmt: skip
        flow_id = flow_ids.setdefault((*head, *(int(column[n]) for column in interfaces)), len(flow_ids))
        path = Verdict.ACCEPT
        for end in judged:
            path = conjunction(path, Verdict(answers.action[n, end]))
        seconds = int(batch.time[n]) // SECOND
        interval = 0 if aggregation is None else seconds // aggregation
        for end in judged:
            action = int(answers.action[n, end])
            record = records.setdefault(
                (interval, int(interfaces[end][n]), end, *head, action),
                {
                    **dict(
                        zip(
                            (
                                "family", "src_hi", "src_lo", "dst_hi", "dst_lo", "srcport", "dstport", "protocol",
                                "icmp_type", "icmp_code",
                            ),
                            head,
                            strict=True,
                        )
                    ),
                    "order": (interval, flow_id, end),
                    "interface": int(interfaces[end][n]),
                    "direction": 1 - end,
                    "fragment": bool(batch.fragment[n] == 2),
                    "packets": 0,
                    "bytes": 0,
                    "start": seconds,
                    "end": seconds,
                    "tcp_flags": 0,
                    "action": action,
                    "reason": int(answers.reason[n, end]),
                    "deciding_rule": int(answers.deciding_rule[n, end]),
                    "initiating": bool(answers.initiating[n, end]),
                    "flow_id": flow_id,
                    "path_action": int(path),
                    "match_set": answers.sets[answers.match_set[n, end]],
                    "possible_set": answers.sets[answers.possible_set[n, end]],
                },
            )  # fmt: skip
            record["packets"] += 1
            record["bytes"] += int(batch.length[n])
            record["end"] = seconds
            flags = int(batch.tcp_flags[n])
            record["tcp_flags"] |= (flags & 7) | (16 if flags & 18 == 18 else 0)
    return [
        {name: value for name, value in record.items() if name != "order"}
        for record in sorted(records.values(), key=lambda record: record["order"])
    ]


@pytest.mark.parametrize("aggregation", INTERVALS)
def test_records_equal_dictionary_loop(aggregation: int | None) -> None:
    """§9.4: one record per interface, direction, five-tuple, ICMP type and code, action and interval."""
    for seed in range(12):
        snapshot, batch = generated(seed)
        got = rows(replay(snapshot, [batch], ReplayOptions(aggregation=aggregation)))
        assert got == plain_records(snapshot, batch, aggregation), seed


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seeds, st.lists(st.integers(0, 300), max_size=6).map(sorted), st.sampled_from(INTERVALS))
def test_batch_splits_are_irrelevant(seed: int, bounds: list[int], aggregation: int | None) -> None:
    snapshot, batch = generated(seed % 50, 300)
    options = ReplayOptions(aggregation=aggregation)
    whole, split = replay(snapshot, [batch], options), replay(snapshot, pieces(batch, bounds), options)
    assert rows(whole) == rows(split)
    assert whole.summary.answers == split.summary.answers
    assert whole.summary.backwards == split.summary.backwards


def test_records_apart_agree_with_each_packet() -> None:
    """With `apart`, reason, rules and initiative of a record are those of all its packets (§9.4)."""
    for seed in range(6):
        snapshot, batch = generated(seed)
        tracker = Tracker(snapshot)
        tracked = tracker.step(batch)
        answers = tracker.answers(tracked.words)
        kinds: dict[tuple[object, ...], int] = {}
        for n in range(len(batch)):
            for end in (0, 1):
                if answers.judged[n, end]:
                    kind = (
                        *(int(column[n, end]) for column in (answers.action, answers.reason)),
                        answers.sets[answers.match_set[n, end]],
                        bool(answers.initiating[n, end]),
                    )
                    kinds[kind] = kinds.get(kind, 0) + 1
        found: dict[tuple[object, ...], int] = {}
        for row in rows(replay(snapshot, [batch], ReplayOptions(apart=True))):
            kind = row["action"], row["reason"], row["match_set"], row["initiating"]
            found[kind] = found.get(kind, 0) + row["packets"]
        assert found == kinds, seed


@pytest.mark.parametrize("aggregation", INTERVALS)
def test_forgetting_all_the_time_changes_no_record(aggregation: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is dropped has no open record and no live connection; only flow ids of those that come back differ."""
    module = sys.modules["sgsim.engine.replay"]
    monkeypatch.setattr(module, "_WINDOW", 16)
    monkeypatch.setattr(module, "_REMEMBERED", 1)
    monkeypatch.setattr(module, "_GROWTH", 0)

    def comparable(records: list[dict[str, Any]]) -> list[Any]:
        return sorted(tuple(sorted((k, v) for k, v in row.items() if k != "flow_id")) for row in records)

    for seed in range(8):
        snapshot, batch = generated(seed)
        run = replay(snapshot, [batch], ReplayOptions(aggregation=aggregation))
        assert comparable(rows(run)) == comparable(plain_records(snapshot, batch, aggregation)), seed
        if aggregation is not None:
            assert run._tracker.store.flows.count < len(batch) / 4


def test_every_packet_is_in_the_totals() -> None:
    """Paths, neighbour discovery: every packet is in exactly one count."""
    for seed in range(5):
        snapshot, batch = generated(seed)
        replayed = replay(snapshot, [batch])
        records = rows(replayed)
        summary = replayed.summary
        assert summary.packets == len(batch) == sum(summary.paths.values()) + summary.neighbour_discovery
        assert sum(summary.answers.values()) == sum(record["packets"] for record in records)
        assert summary.flows == 1 + max(record["flow_id"] for record in records)


def tcp(src: str, dst: str, *, at: float = 0, flags: int = 2, ports: tuple[int, int] = (40000, 443)) -> Packet:
    """A TCP packet, `at` seconds after the start."""
    source, destination = parse_address(src), parse_address(dst)
    time_ns = START + int(at * SECOND)
    return Packet(source.family, source.value, destination.value, TCP, *ports, tcp_flags=flags, time_ns=time_ns)


def replayed(
    environment: Environment, packets: Sequence[Packet], **options: Any
) -> tuple[list[dict[str, Any]], Replay]:
    """The records of packets, and the replay that they came from."""
    replayed = replay(Snapshot.of(environment), [packet_batch(packets)], ReplayOptions(**options))
    return rows(replayed), replayed


def test_filters_judge_all_and_show_some() -> None:
    """--interface and --direction choose records; the receiver's verdict still rests on the sender's."""
    network = small_network()
    packets = [tcp("10.0.0.1", "10.0.0.2"), tcp("10.0.0.2", "10.0.0.1", flags=18, ports=(443, 40000), at=1)]
    everything, _ = replayed(network, packets)
    ingress, _ = replayed(network, packets, direction=Direction.INGRESS)
    second, _ = replayed(network, packets, interfaces=frozenset({"eni-b"}))
    assert len(everything) == 4
    assert ingress == [row for row in everything if row["direction"] == Direction.INGRESS]
    assert second == [row for row in everything if row["interface"] == 1]


def test_no_interface_is_no_direction() -> None:
    """§9.16: traffic between strangers is one record without interface; a direction filter leaves it out."""
    packets = [tcp("203.0.113.1", "203.0.113.2")]
    records, _ = replayed(small_network(), packets)
    assert [(row["interface"], row["action"], row["reason"]) for row in records] == [
        (NO_INTERFACE, Verdict.UNKNOWN, Reason.NO_INTERFACE)
    ]
    assert replayed(small_network(), packets, direction=Direction.EGRESS)[0] == []


def test_vantage_judges_one_interface_and_counts_disagreements() -> None:
    """A capture at an interface shows only what its groups let in: a simulated ingress REJECT disagrees."""
    network = small_network()
    packets = [
        tcp("10.0.0.1", "10.0.0.2"),
        tcp("10.0.0.1", "10.0.0.2", ports=(40000, 22)),
        tcp("10.0.0.1", "203.0.113.1"),
    ]
    records, run = replayed(network, packets, vantage="eni-b")
    assert [(row["interface"], row["direction"], row["action"]) for row in records] == [
        (1, Direction.INGRESS, Verdict.ACCEPT),
        (1, Direction.INGRESS, Verdict.REJECT),
        (NO_INTERFACE, Direction.EGRESS, Verdict.UNKNOWN),
    ]
    assert run.summary.disagreements == 1
    assert replayed(network, packets)[1].summary.disagreements == 0


def test_interface_that_is_not_there() -> None:
    with pytest.raises(ModelError, match="eni-x is not in the environment"):
        replay(Snapshot.of(small_network()), [], ReplayOptions(vantage="eni-x"))


def test_public_addresses_are_counted_not_judged() -> None:
    """§9.14: a public address of a known interface is a remote; the interface is named."""
    _, run = replayed(small_network(), [tcp("10.0.0.1", "198.51.100.2"), tcp("198.51.100.2", "10.0.0.1", at=1)])
    assert run.summary.public_addresses == {"eni-b": 2}


def test_neighbour_discovery_is_counted_and_gives_no_record() -> None:
    """§9.8."""
    packet = Packet(6, 1, 2, ICMPV6, icmp_type=135, icmp_code=0, time_ns=START)
    records, run = replayed(small_network(), [packet])
    assert (records, run.summary.neighbour_discovery, run.summary.packets) == ([], 1, 1)


def test_hits_count_each_flow_once() -> None:
    """A flow over several intervals is one hit at each end; replies are none."""
    packets = [tcp("10.0.0.1", "10.0.0.2", at=700 * n, flags=16 if n else 2) for n in range(4)]
    packets.append(tcp("10.0.0.2", "10.0.0.1", at=2200, flags=16, ports=(443, 40000)))
    _, run = replayed(small_network(), packets)
    assert run.summary.hits.sum() == 2
    sets = [run.summary.sets[n] for n in np.flatnonzero(run.summary.hits)]
    assert all(sets)


def test_late_packets_open_their_interval_again() -> None:
    """Time that runs backwards over a boundary makes records of its own and breaks nothing."""
    base = -(START // SECOND) % 600  # the next boundary
    packets = [tcp("10.0.0.1", "203.0.113.1", at=base + second, flags=16) for second in (-1, 1, -1, 2, 3)]
    records, run = replayed(small_network(), packets)
    assert [row["packets"] for row in records] == [1, 1, 1, 2]
    assert run.summary.backwards == 1


def test_tcp_flags_as_flow_logs_have_them() -> None:
    """§5.6: FIN 1, SYN 2, RST 4, SYN-ACK 18, OR-ed; ACK alone is 0."""
    flags = {16: 0, 2: 2, 18: 18, 17: 1, 20: 4, 24: 0}
    for given_flags, logged in flags.items():
        records, _ = replayed(small_network(), [tcp("10.0.0.1", "203.0.113.1", flags=given_flags)])
        assert records[0]["tcp_flags"] == logged


def many_flows(n: int, seconds: int) -> PacketBatch:
    """n flows of one UDP packet each, evenly over so many seconds."""
    one = packet_batch([tcp("10.0.0.1", "203.0.113.1")])
    columns = {field.name: np.repeat(getattr(one, field.name), n) for field in fields(one) if field.name != "quotes"}
    columns["time"] = START + np.linspace(0, seconds * SECOND, n).astype(np.int64)
    columns["protocol"][:] = UDP
    columns["dst_lo"] += np.arange(n, dtype=np.uint64)
    return PacketBatch(**columns, quotes=one.quotes)


def test_memory_follows_the_interval_not_the_input() -> None:
    """A million short flows over ten hours: what is remembered stays below what six hours bring."""
    n = 1_000_000
    run = replay(Snapshot.of(small_network()), [many_flows(n, 36_000)], ReplayOptions(aggregation=600))
    records = sum(len(verdicts) for verdicts in run)
    store = run._tracker.store
    assert records == n == run.summary.flows
    for remembered in (store.flows, store.end_keys, store.connection_keys):
        assert remembered.count < 600_000
        assert len(remembered.keys) <= 1_200_000


def test_functions_are_not_hidden_by_their_modules() -> None:
    """`sgsim.engine.replay` is the function, also after the module of that name was imported."""
    import_module("sgsim.engine.replay")
    import_module("sgsim.engine.evaluate")
    engine = import_module("sgsim.engine")
    assert isinstance(engine.replay, FunctionType)
    assert isinstance(engine.evaluate, FunctionType)
