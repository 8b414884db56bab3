"""sgsim: `Engine.apply`, and as its contender the new environment compiled from nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.contest import Bench, Call, Contender
from benchmarks.update.cases import PROBE, Case
from sgsim.engine import Engine, Snapshot, evaluate
from sgsim.flows import FlowBlock, FlowTable
from sgsim.model import TCP
from sgsim.model.apply import apply
from sgsim.verdicts import Verdict

__all__ = ["APPLY", "NAME", "RECOMPILE"]

NAME = "sgsim"
CHANGES = {True: 1, False: 5}  #: in a run, by whether there are many groups


def _accepts(snapshot: Snapshot, case: Case, number: int) -> bool:
    """Whether the probe reaches the port of a change at some interface that carries its group."""
    group_id = case.groups[case.group(number)]
    interface_id = next(name for name, each in snapshot.environment.interfaces.items() if group_id in each.group_ids)
    flow = FlowBlock.from_columns(
        4,
        [PROBE.network],
        [snapshot.environment.interfaces[interface_id].addresses[0].value],
        protocol=[TCP],
        interface=[snapshot.tables.interface_ids.index(interface_id)],
        direction=[0],
        srcport=[40_000],
        dstport=[10_000 + number],
    )
    return bool(evaluate(snapshot, FlowTable.of(flow)).action[0] == Verdict.ACCEPT)


def _apply(case: Case, bench: Bench) -> Iterator[Call]:
    engine = Engine(Snapshot.of(case.environment))
    changes = CHANGES[len(case.groups) > 1_000]

    def work() -> None:
        for _ in range(changes):
            engine.apply(case.change(next(case.numbers)))

    def answer() -> tuple[bool, bool]:
        number = next(case.numbers)
        before = _accepts(engine.snapshot, case, number)
        engine.apply(case.change(number))
        return before, _accepts(engine.snapshot, case, number)

    yield Call(NAME, changes, work, answer)


def _recompile(case: Case, bench: Bench) -> Iterator[Call]:
    environment = case.environment
    begin = time.process_time()
    tables = Snapshot.of(environment).tables
    facts = {"build_s": time.process_time() - begin, "table_bytes": tables.nbytes}
    facts["bytes_a_rule"] = round(tables.nbytes / case.facts["rules"], 1)

    def answer() -> tuple[bool, bool]:
        number = next(case.numbers)
        before = _accepts(Snapshot.of(environment), case, number)
        return before, _accepts(Snapshot.of(apply(environment, case.change(number))), case, number)

    yield Call(
        "sgsim, everything compiled again",
        1,
        lambda: Snapshot.of(apply(environment, case.change(next(case.numbers)))),
        answer,
        facts,
    )


APPLY = Contender(NAME, _apply)
RECOMPILE = Contender("sgsim, everything compiled again", _recompile)
