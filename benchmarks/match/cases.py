"""Rule sets and traffic that matchers are asked about.

* *SG-shaped*: one group of 100 to 100 000 rules as `sgsim generate` draws them, at one interface; headers inside random
  rules.
* *overlapping*: groups whose rules lie eight deep in one another, at 64 interfaces; headers inside the innermost ones.
* *ClassBench*: acl1 and fw1 with about 10 000 rules where SGSIM_TEST_DATA has them: source, destination port, protocol.
* *IPv6*, 1 000 rules.
* *fleet*: groups × 60 rules, interfaces that carry one to five of them, references and prefix lists; in arrival order.

Flows are inbound, and no two are the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.contest import Bench
from benchmarks.match.rules import Rules, rules_of
from sgsim.flows import FlowBlock, FlowTable
from sgsim.generate import (
    Network,
    Shape,
    Traffic,
    TrafficStream,
    environment_of,
    flow_table,
    network_of,
    random_network,
)
from sgsim.generate.bits import fill
from sgsim.generate.classbench import read_classbench
from sgsim.model import TCP, UDP, Environment

__all__ = ["Case", "cases", "fleet", "one_group", "one_group_case", "traffic"]

_SG_SHAPED, _FLEET = "SG-shaped {:,}", "fleet {:,} × 60"
_TEST_DATA = "SGSIM_TEST_DATA"
_RULE_SETS = Path("rules", "neurocuts")


@dataclass
class Case:
    """`rules`: those of the only group; None where interfaces carry several. `table` has flows of one family."""

    name: str
    environment: Environment
    table: FlowTable
    group_id: str | None = None
    clock: str = "cpu"
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.facts = {**self.facts}
        self.facts["rules"] = sum(len(group.rules) for group in self.environment.groups.values())
        self.facts["flows"] = len(self.table)

    @property
    def block(self) -> FlowBlock:
        """The flows."""
        return self.table.v4 if len(self.table.v4) else self.table.v6

    @cached_property
    def rules(self) -> Rules | None:
        """The rules of the only group."""
        return rules_of(self.environment, self.group_id, self.block.family) if self.group_id else None

    def share(self, comparisons: int) -> int:
        """How many flows a contender gets that looks at every rule, for about so many comparisons."""
        return max(20, min(len(self.table) // 2, comparisons // max(1, self.facts["rules"])))


def one_group(rules: int, *, interfaces: int = 1, family: int = 4, depth: int = 1, seed: int = 1) -> Network:
    """One inbound group on all interfaces."""
    shape = Shape(
        rules=rules,
        groups=1,
        interfaces=interfaces,
        spread=0,
        references=0,
        prefix_lists=0,
        ipv6=0 if family == 4 else 1,
        nested=1 - 1 / depth if depth > 1 else 2 / 3,
        depth=depth,
        locked=0,
        default_egress=False,
    )
    return random_network(shape, seed)


def traffic(network: Network, n: int, *, innermost: float = 1.0, family: int = 4, seed: int = 5) -> FlowTable:
    """Up to n different flows inside random rules of the only group, which all interfaces carry.

    Fewer where rules for one address and port leave no more at so few interfaces.

    `innermost`: the share of the rules that are aimed at, the last ones, which lie inside the others.
    """
    rng = np.random.default_rng(seed)
    rules = network.rules
    fits = np.flatnonzero(np.isin(rules.protocol, (-1, TCP, UDP)))
    aim = rng.choice(fits[int(len(fits) * (1 - innermost)) :], n + n // 5 + 64)
    drawn = len(aim)
    families = np.full(drawn, family, np.uint8)
    hi, lo = fill(rng, families, (rules.hi[aim], rules.lo[aim]), rules.length[aim])
    port = rules.first[aim] + rng.integers(0, 1 << 16, drawn) % (rules.last[aim] - rules.first[aim] + 1)
    protocol = np.where(rules.protocol[aim] < 0, rng.choice([TCP, TCP, TCP, UDP], drawn), rules.protocol[aim])
    interface = rng.integers(0, network.interfaces, drawn)
    srcport = rng.integers(1024, 65536, drawn)
    chosen = _distinct(hi, lo, port, protocol, interface, srcport)[:n]
    dst = network.v4 if family == 4 else np.stack((network.v6_hi, network.v6_lo), axis=1)
    src = lo if family == 4 else np.stack((hi, lo), axis=1)
    block = FlowBlock.from_columns(
        family,
        src[chosen],
        dst[interface[chosen]],
        protocol=protocol[chosen],
        interface=interface[chosen],
        direction=np.zeros(len(chosen)),
        srcport=srcport[chosen],
        dstport=port[chosen],
    )
    return FlowTable.of(block)


def _distinct(*columns: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Positions of rows of which no two are alike, in order."""
    key = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        key = (key ^ column.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    return np.sort(np.unique(key, return_index=True)[1])


def cases(bench: Bench) -> Iterator[Case]:
    """All cases of a scale."""
    flows = bench.choose(100_000, 10_000_000)
    for case in _planned(bench, flows):
        if bench.wants(case.name):
            yield case.make()


class _Planned(NamedTuple):
    """A case that may never be made."""

    name: str
    make: Callable[[], Case]


def _planned(bench: Bench, flows: int) -> Iterator[_Planned]:
    sizes = (100, 1_000) if bench.scale == "small" else (100, 1_000, 10_000, 100_000)
    for size in sizes:
        yield _Planned(_SG_SHAPED.format(size), partial(one_group_case, size, flows))
    for size in sizes:
        name = f"overlapping {size:,}"
        yield _Planned(name, partial(_overlapping, name, size, flows))
    yield _Planned("IPv6 1,000", partial(_six, "IPv6 1,000", flows))
    size_name = "1k" if bench.scale == "small" else "10k"
    for name in ("acl1", "fw1"):
        path = Path(os.environ.get(_TEST_DATA, "/nonexistent")) / _RULE_SETS / f"{name}_{size_name}"
        if path.exists():
            yield _Planned(f"ClassBench {name} {size_name}", partial(_classbench, name, size_name, path, flows))
        else:
            bench.say(f"  ClassBench {name} is left out: {_TEST_DATA} names no directory with {_RULE_SETS / path.name}")
    interfaces = bench.choose(1_000, 100_000)
    for groups in (10, 100) if bench.scale == "small" else (100, 10_000):
        yield _Planned(_FLEET.format(groups), partial(fleet, groups, interfaces, flows))
    both = _FLEET.format(groups) + ", both cores"
    yield _Planned(both, lambda: replace(fleet(groups, interfaces, flows), name=both, clock="wall"))


def _overlapping(name: str, rules: int, flows: int) -> Case:
    return _grouped(name, one_group(rules, interfaces=64, depth=10), flows, innermost=0.1)


def _six(name: str, flows: int) -> Case:
    return _grouped(name, one_group(1_000, family=6), flows, family=6)


def one_group_case(rules: int, flows: int) -> Case:
    """SG-shaped rules at one interface."""
    return _grouped(_SG_SHAPED.format(rules), one_group(rules), flows)


def _grouped(name: str, network: Network, flows: int, *, innermost: float = 1.0, family: int = 4) -> Case:
    environment = environment_of(network)
    table = traffic(network, flows, innermost=innermost, family=family)
    return Case(name, environment, table, next(iter(environment.groups)))


def _classbench(name: str, size: str, path: Path, flows: int) -> Case:
    """A filter set that nobody here made."""
    environment = read_classbench(path).environment
    table = traffic(network_of(environment), flows)
    return Case(f"ClassBench {name} {size}", environment, table, next(iter(environment.groups)))


def fleet(groups: int, interfaces: int, flows: int) -> Case:
    """Groups of 60 rules, references and prefix lists among them; half of the flows are accepted."""
    shape = Shape(rules=60 * groups, groups=groups, interfaces=interfaces, spread=0, ipv6=0, locked=0)
    network = random_network(shape)
    stream = TrafficStream(network, Traffic(flows=flows, egress=0, skew=0))
    tables = [flow_table(chunk).v4 for chunk in stream]
    columns = {
        name: np.concatenate([getattr(table, name) for table in tables])
        for name in ("srcaddr", "dstaddr", "protocol", "interface", "direction", "srcport", "dstport")
    }
    table = FlowTable.of(FlowBlock.from_columns(4, columns.pop("srcaddr"), columns.pop("dstaddr"), **columns))
    return Case(_FLEET.format(groups), environment_of(network), table)
