"""Generated flows: the asked share is accepted, all are different, and the same each time."""

from __future__ import annotations

import random
from dataclasses import replace

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from sgsim.engine import Snapshot, evaluate
from sgsim.errors import ModelError
from sgsim.flows import FlowTable
from sgsim.generate import Flows, Shape, Traffic, TrafficStream, environment_of, flow_table, network_of, random_network
from sgsim.generate.targets import AddressBook
from sgsim.model import Direction, Semantics, parse_address
from sgsim.reference import Packet, judge
from sgsim.verdicts import Verdict

NETWORK = random_network(Shape(rules=2_000, groups=50, interfaces=300), seed=2)
SNAPSHOT = Snapshot.of(environment_of(NETWORK))


def verdicts(table: FlowTable) -> npt.NDArray[np.uint8]:
    return evaluate(SNAPSHOT, table).action


def together(stream: TrafficStream) -> Flows:
    return Flows(*(np.concatenate(columns) for columns in zip(*(chunk.columns() for chunk in stream))))


def distinct(flows: Flows) -> int:
    columns = (flows.src_hi, flows.src_lo, flows.dst_hi, flows.dst_lo, flows.srcport, flows.dstport, flows.protocol)
    return len(np.unique(np.rec.fromarrays(columns)))  # type: ignore[arg-type]


@pytest.mark.parametrize("hits", [0.0, 0.3, 1.0])
def test_the_share_of_hits_is_exact_and_all_flows_differ(hits: float) -> None:
    flows = together(stream := TrafficStream(NETWORK, Traffic(flows=400_000, hits=hits), 5, verdicts))
    assert len(flows) == len(stream) == distinct(flows) == 400_000 and stream.unmet == 0
    assert (flows.hit.mean(), flows.hit.sum()) == (hits, round(400_000 * hits))
    table = flow_table(flows, both_ends=True)
    action = verdicts(table)
    accepted = action[: len(flows)] == Verdict.ACCEPT
    accepted[flows.remote >= 0] &= action[len(flows) :] == Verdict.ACCEPT
    assert (accepted == flows.hit).all()
    assert 0.1 < (flows.family == 6).mean() < 0.3 and (hits == 0 or (flows.remote >= 0).sum() > 1000)


def test_every_address_of_an_interface_is_known() -> None:
    """A flow from a second address is judged at that interface too, so that replays find the asked share."""
    world = SNAPSHOT.environment
    number, interface = 3, list(world.interfaces.values())[3]
    more = (parse_address("100.64.200.1"), *interface.addresses, parse_address("2600:1f18:4000:9::1"))
    more += (parse_address("2600:1f18:4000:8::1"),)
    changed = {**world.interfaces, interface.interface_id: msgspec.structs.replace(interface, addresses=more)}
    book = AddressBook(network_of(replace(world, interfaces=changed)))
    wanted = [*more, parse_address("100.64.200.2"), parse_address("2600:1f18:4000:7::1")]
    found = book.find(
        np.array([one.family for one in wanted], np.uint8),
        np.array([one.value >> 64 for one in wanted], np.uint64),
        np.array([one.value & 0xFFFFFFFFFFFFFFFF for one in wanted], np.uint64),
    )
    assert found.tolist() == [number] * len(more) + [-1, -1]


def test_the_slow_twin_says_the_same() -> None:
    flows = together(TrafficStream(NETWORK, Traffic(flows=3_000), 7, verdicts))
    environment, ids = SNAPSHOT.environment, SNAPSHOT.tables.interface_ids
    for row in random.Random(1).sample(range(3_000), 200):
        packet = Packet(
            family=int(flows.family[row]),
            srcaddr=int(flows.src_hi[row]) << 64 | int(flows.src_lo[row]),
            dstaddr=int(flows.dst_hi[row]) << 64 | int(flows.dst_lo[row]),
            protocol=int(flows.protocol[row]),
            srcport=int(flows.srcport[row]),
            dstport=int(flows.dstport[row]),
        )
        direction = Direction(int(flows.direction[row]))
        answer = judge(environment, Semantics(), ids[int(flows.interface[row])], direction, packet)
        assert answer.action == flows.local[row]


def test_without_a_judge_what_should_hit_does() -> None:
    flows = together(TrafficStream(NETWORK, Traffic(flows=100_000)))
    assert (verdicts(flow_table(flows))[flows.hit] == Verdict.ACCEPT).all()
    assert distinct(flows) == 100_000


def test_a_stream_is_the_same_each_time_and_for_its_environment() -> None:
    stream = TrafficStream(NETWORK, Traffic(flows=600_000), 9)
    other = TrafficStream(network_of(SNAPSHOT.environment), Traffic(flows=600_000), 9)
    for first, second, third in zip(stream, stream, other, strict=True):
        for a, b, c in zip(first.columns(), second.columns(), third.columns()):
            assert (a == b).all() and (a == c).all()


def test_skew() -> None:
    """By Zipf's law with exponent 1, the first of 300 interfaces has 1 / H(300) = 16 % of the flows."""
    even, skewed = (
        np.bincount(together(TrafficStream(NETWORK, Traffic(flows=300_000, skew=skew))).interface, minlength=300)
        for skew in (0.0, 1.0)
    )
    assert even.max() < 1.3 * even.mean()
    assert 0.1 < skewed.max() / 300_000 < 0.2


def test_many_flows_of_one_interface() -> None:
    """Ports run out, addresses go on: only rules that overlap are ever met by one five-tuple twice."""
    shape = Shape(
        rules=100, groups=1, interfaces=1, references=0, prefix_lists=0, ipv6=0, locked=0, default_egress=False
    )
    flows = together(TrafficStream(random_network(shape), Traffic(flows=1_000_000, egress=0)))
    assert distinct(flows) > 0.99 * len(flows)


def test_what_cannot_be_made_is_refused() -> None:
    shape = Shape(rules=1, groups=1, interfaces=1, references=0, prefix_lists=0, default_egress=False)
    narrow = random_network(shape, seed=12)
    narrow.rules.length[:], narrow.rules.protocol[:], narrow.rules.first[:], narrow.rules.last[:] = 32, 6, 443, 443
    narrow.rules.family[:], narrow.rules.hi[:], narrow.rules.lo[:] = 4, 0, 0x0A000001
    with pytest.raises(ModelError, match=r"80000 different flows that hit rules cannot be made; .* give 64499"):
        TrafficStream(narrow, Traffic(flows=80_000, hits=1.0))
    assert distinct(together(TrafficStream(narrow, Traffic(flows=64_499, hits=1.0)))) == 64_499
    with pytest.raises(ModelError, match="share of hits cannot be met"):
        together(TrafficStream(narrow, Traffic(flows=1_000), 1, lambda table: np.ones(len(table), np.uint8)))
    with pytest.raises(ModelError, match="0 flows are not between"):
        Traffic(flows=0)
    with pytest.raises(ModelError, match=r"hits: 1.2 is not a share"):
        Traffic(hits=1.2)
