"""How long from a change to the first verdict under it, with a million interfaces and with one?

    pytest benchmarks/test_update.py --benchmark-only -s      (--benchmark-json FILE keeps all figures)

A change is `Engine.apply`, the verdict `evaluate` of one row, and the verdict must be the new one. Both engines take
turns, so that a machine that is busy is so for both; times are of the wall clock and of the thread's CPU. What is
compiled when the first change comes, and once for each engine, is told apart.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from sgsim.engine import Engine, Snapshot, evaluate
from sgsim.flows import FlowBlock, FlowTable
from sgsim.model import (
    TCP,
    Address,
    Cidr,
    CidrPeer,
    Direction,
    Environment,
    GroupPeer,
    NetworkInterface,
    Peer,
    PortRange,
    PrefixList,
    PrefixListPeer,
    SecurityGroup,
    SecurityGroupRule,
    Vpc,
    parse_cidr,
)
from sgsim.model.changes import (
    AddInterface,
    Authorize,
    Change,
    CreateGroup,
    DeleteGroup,
    RemoveInterface,
    Revoke,
    SetEntries,
    SetGroups,
)

SMALL = os.environ.get("SGSIM_BENCH_SCALE") == "small"
INTERFACES = 20_000 if SMALL else 1_000_000
CHANGES = 40 if SMALL else 1000
REFERRING = 1000  #: rules that refer to one group
VPC = Cidr(4, 0x0A000000, 8)
SPOKE, FLEET = "eni-spoke", "eni-00000000"
PLACES = {SPOKE: 0, FLEET: 2}  #: their indexes, which stay
ROAMING = Address(4, 0x0AFFFF01)  #: the address of the interface that comes, goes and changes groups
OFFICE = parse_cidr("192.0.2.0/24")


def rule(group_id: str, number: int, peer: Peer, port: int) -> SecurityGroupRule:
    rule_id = f"sgr-{group_id[3:]}{number:08x}"
    return SecurityGroupRule(rule_id, group_id, Direction.INGRESS, TCP, peer, PortRange(port, port))


def group(group_id: str, *rules: SecurityGroupRule) -> SecurityGroup:
    return SecurityGroup(group_id, rules, vpc_id="vpc-1")


def environment(interfaces: int) -> Environment:
    """So many interfaces with one group of 50 rules; 1 000 rules in 20 groups that refer to `sg-hub`."""
    fleet = [rule("sg-fleet", n, CidrPeer(Cidr(4, 0x0B000000 + (n << 16), 16)), 443) for n in range(49)]
    groups = [group("sg-fleet", *fleet, rule("sg-fleet", 49, PrefixListPeer("pl-office"), 22)), group("sg-hub")]
    for number in range(20):
        name = f"sg-spoke{number:02d}"
        groups.append(group(name, *(rule(name, n, GroupPeer("sg-hub"), 1000 + n) for n in range(REFERRING // 20))))
    cards = [
        NetworkInterface(SPOKE, (Address(4, 0x0AFFFF02),), ("sg-spoke00",), vpc_id="vpc-1"),
        NetworkInterface("eni-other", (Address(4, 0x0AFFFF03),), ("sg-fleet",), vpc_id="vpc-1"),
    ]
    cards += [
        NetworkInterface(f"eni-{n:08x}", (Address(4, 0x0A000001 + n),), ("sg-fleet",), vpc_id="vpc-1")
        for n in range(interfaces)
    ]
    return Environment(
        {each.group_id: each for each in groups},
        {each.interface_id: each for each in cards},
        prefix_lists={"pl-office": PrefixList("pl-office", (parse_cidr("198.51.100.0/24"),), family=4)},
        vpcs={"vpc-1": Vpc("vpc-1", (VPC,))},
        closed=frozenset({(None, None)}),
        peerings_described=True,
        gateways_described=True,
    )


class Kind(NamedTuple):
    """A change, what undoes it, and the flow (interface, remote address, port) that is accepted between the two."""

    change: Change
    undo: Change
    flow: tuple[str, int, int] | None


ADDED = rule("sg-fleet", 50, CidrPeer(OFFICE), 8443)
ROAMER = NetworkInterface("eni-roaming", (ROAMING,), ("sg-hub",), vpc_id="vpc-1")
KINDS = {
    "rule": Kind(Authorize("sg-fleet", (ADDED,)), Revoke("sg-fleet", (ADDED.rule_id,)), (FLEET, OFFICE.network, 8443)),
    "membership": Kind(
        SetGroups("eni-other", ("sg-hub",)), SetGroups("eni-other", ("sg-fleet",)), (SPOKE, 0x0AFFFF03, 1007)
    ),
    "interface": Kind(AddInterface(ROAMER), RemoveInterface("eni-roaming"), (SPOKE, ROAMING.value, 1007)),
    "prefix list": Kind(
        SetEntries("pl-office", add=(OFFICE,)), SetEntries("pl-office", remove=(OFFICE,)), (FLEET, OFFICE.network, 22)
    ),
    "group": Kind(
        CreateGroup(SecurityGroup("sg-new", (rule("sg-new", 0, CidrPeer(OFFICE), 1),), "new", "made", vpc_id="vpc-1")),
        DeleteGroup("sg-new"),
        None,
    ),
}

#: Kind, interfaces → lines printed at the end.
LINES: list[str] = []


class Bench:
    """An engine, and the wall and CPU seconds that its changes took, to the verdict."""

    def __init__(self, interfaces: int) -> None:
        self.engine = Engine(Snapshot.of(environment(interfaces)))
        self.seconds: list[tuple[float, float]] = []

    def make(self, kind: Kind, *, undo: bool) -> None:
        """Make a change or undo it, and judge a row by what comes of it."""
        interface, remote, port = kind.flow or (FLEET, OFFICE.network, 1)
        columns = {"protocol": [TCP], "dstport": [port], "interface": [PLACES[interface]], "direction": [0]}
        flow = FlowTable.of(FlowBlock.from_columns(4, [remote], [0x0A000001], **columns))
        begin, begin_cpu = time.perf_counter(), time.thread_time()
        snapshot = self.engine.apply(kind.undo if undo else kind.change)
        verdicts = evaluate(snapshot, flow, scan_only=False)
        self.seconds.append((time.perf_counter() - begin, time.thread_time() - begin_cpu))
        assert verdicts.action[0] == (kind.flow is not None and not undo), (kind, undo)


@pytest.fixture(scope="module")
def benches() -> list[Bench]:
    made = [Bench(interfaces) for interfaces in (1, INTERFACES)]
    for bench in made:
        for kind in KINDS.values():
            for undo in (False, True):
                bench.make(kind, undo=undo)
        first = bench.seconds[0][0]
        LINES.append(f"{len(bench.engine.snapshot.environment.interfaces):>9,} first change {first * 1e3:9.1f} ms")
    gc.collect()
    return made


@pytest.mark.parametrize("name", KINDS)
def test_update(benchmark: Any, benches: list[Bench], name: str) -> None:
    for bench in benches:
        bench.seconds.clear()

    def pair() -> None:
        for undo in (False, True):
            for bench in benches:
                bench.make(KINDS[name], undo=undo)

    benchmark.pedantic(pair, rounds=CHANGES // 2)
    for column, clock in enumerate(("wall", "cpu")):
        found = [np.array([each[column] for each in bench.seconds]) * 1e6 for bench in benches]
        medians, tails = ([float(np.quantile(times, q)) for times in found] for q in (0.5, 0.99))
        for label, values in (("median", medians), ("p99", tails)):
            benchmark.extra_info |= {f"{clock} {label} µs": values, f"{clock} {label} ratio": values[1] / values[0]}
            LINES.append(
                f"{name:>12} {clock:>4} {label:>6}: {values[0]:8.0f} µs with 1 interface, {values[1]:8.0f} µs with "
                f"{INTERFACES:,}: {values[1] / values[0]:.2f} ×"
            )


@pytest.fixture(scope="module", autouse=True)
def summary(request: pytest.FixtureRequest) -> Iterator[None]:
    """Print the figures when all is done."""
    yield
    capture: Callable[..., Any] = request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled
    with capture():
        print("", *LINES, sep="\n")
