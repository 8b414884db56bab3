"""The generators are worth their name: every verdict and reason occurs, and columns say what packets say."""

from collections import Counter

from sgsim.flows import AMBIGUOUS
from sgsim.reference import Tracker
from sgsim.verdicts import Reason, Verdict
from tests.strategies import (
    flow_table,
    packet_batch,
    random_change,
    random_environment,
    random_packets,
    random_rows,
    random_semantics,
)


def test_generated_traffic_meets_every_verdict_and_reason():
    actions, reasons, sizes, replies = Counter(), Counter(), Counter(), 0
    for seed in range(40):
        environment = random_environment(seed)
        tracker = Tracker(environment, random_semantics(seed) if seed % 2 else None)
        for number, step in enumerate(random_packets(environment, seed, 150)):
            if number == 100:
                tracker.swap(random_change(environment, seed))
            for answer in tracker.step(*step):
                actions[answer.action] += 1
                reasons[answer.reason] += 1
                sizes[len(answer.rule_ids)] += 1
                replies += not answer.initiating
    total = sum(actions.values())
    assert all(actions[verdict] > total / 20 for verdict in Verdict), actions
    assert all(reasons[reason] > 20 for reason in Reason if reason is not Reason.UNDECODABLE), reasons
    assert sum(count for size, count in sizes.items() if size > 1) > total / 50, sizes
    assert replies > total / 20


def test_generators_follow_from_their_seed():
    first, second = random_environment(3), random_environment(3)
    assert first == second
    assert list(random_packets(first, 5, 50)) == list(random_packets(second, 5, 50))
    times = [step.packet.time_ns for step in random_packets(first, 5, 300)]
    assert times == sorted(times)


def test_columns_hold_what_packets_hold():
    environment = random_environment(1)
    packets = [step.packet for step in random_packets(environment, 1, 200)]
    batch = packet_batch(packets)
    assert len(batch) == 200
    assert [(hi << 64) | lo for hi, lo in zip(batch.dst_hi.tolist(), batch.dst_lo.tolist())] == [
        packet.dstaddr for packet in packets
    ]
    assert batch.quotes.packet.tolist() == [row for row, packet in enumerate(packets) if packet.quote]

    rows, interface_ids = list(random_rows(environment, 1, 200)), list(environment.interfaces)
    table = flow_table(rows, interface_ids)
    assert sorted([*table.v4.row.tolist(), *table.v6.row.tolist()]) == list(range(200))
    for row, interface in zip(table.v6.row.tolist(), table.v6.interface.tolist()):
        end = rows[row][1]
        assert interface == (interface_ids.index(end) if isinstance(end, str) else AMBIGUOUS if end else -1)
