"""One rule is added to one group, again and again: groups × 50 rules, a million at last, five interfaces a group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from benchmarks.contest import Bench, WrongAnswerError
from sgsim.generate import Network, Shape, environment_of, random_network
from sgsim.model import TCP, CidrPeer, Direction, Environment, PortRange, SecurityGroupRule, parse_cidr
from sgsim.model.changes import Authorize

__all__ = ["PROBE", "Case", "cases", "check"]

RULES = 50  #: a group; AWS allows 60, and some are to be added
#: Who is let in by the rules that are added: nobody else's block (TEST-NET-3).
PROBE = parse_cidr("203.0.113.7/32")


@dataclass
class Case:
    """Changes are numbered: change n opens port 10 000 + n of group n, modulo their number, to PROBE."""

    name: str
    network: Network
    environment: Environment
    clock: str = "wall"
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.numbers = count()
        self.groups = list(self.environment.groups)
        self.facts.update(groups=len(self.groups), rules=len(self.network.rules.lo))

    def group(self, number: int) -> int:
        """The group that a change is made to; all have the same number of rules."""
        return number % len(self.groups)

    def change(self, number: int) -> Authorize:
        """A change as sgsim takes it."""
        group_id, port = self.groups[self.group(number)], 10_000 + number
        rule_id = f"sgr-{0xF0000000 + number:017x}"
        rule = SecurityGroupRule(rule_id, group_id, Direction.INGRESS, TCP, CidrPeer(PROBE), PortRange(port, port))
        return Authorize(group_id=group_id, rules=(rule,))


def cases(bench: Bench) -> Iterator[Case]:
    """Environments by their number of groups."""
    for groups in (10, 100) if bench.scale == "small" else (100, 1_000, 20_000):
        name = f"{groups:,} groups × {RULES} rules"
        if not bench.wants(name):
            continue
        shape = Shape(
            rules=RULES * groups,
            groups=groups,
            interfaces=5 * groups,
            spread=0,
            references=0,
            prefix_lists=0,
            ipv6=0,
            locked=0,
            default_egress=False,
        )
        network = random_network(shape)
        yield Case(name, network, environment_of(network))


def check(case: Case, answers: Sequence[tuple[str, tuple[bool, bool]]]) -> None:
    """Raise WrongAnswerError unless each lets the probe in after its change, and not before."""
    for name, answer in answers:
        if answer != (False, True):
            raise WrongAnswerError(f"{case.name}: {name} lets the probe in (before, after) {answer}")
