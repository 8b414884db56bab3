"""Every rule in turn, in deciding order, until one matches: the yardstick that tells one machine from another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.contest import Bench, Call, Contender
from benchmarks.match.cases import Case
from benchmarks.match.rules import Answers, Flows, Rules
from sgsim.kernels.yardstick import scan_in_turn

__all__ = ["CONTENDER", "first_matches", "linear_columns"]

_COMPARISONS = 300_000_000  #: about a tenth of a second


def linear_columns(rules: Rules) -> tuple[npt.NDArray[np.int64], tuple[npt.NDArray[Any], ...]]:
    """(the rules in deciding order, their columns in the narrowest types), IPv4 only."""
    order = np.argsort(rules.place)
    return order, (
        rules.lo[order].astype(np.uint32),
        (0xFFFFFFFF << (32 - rules.length[order]) & 0xFFFFFFFF).astype(np.uint32),
        rules.protocol[order].astype(np.int16),
        rules.first[order].astype(np.uint16),
        rules.last[order].astype(np.uint16),
    )


def first_matches(flows: Flows, columns: tuple[npt.NDArray[Any], ...]) -> npt.NDArray[np.int32]:
    """The place of the rule that decides each flow, plus one; 0 for none."""
    out = np.empty(len(flows.port), np.int32)
    scan_in_turn(*flows, *columns, out)
    return out


def _enter(case: Case, bench: Bench) -> Iterator[Call]:
    if case.rules is None or case.rules.family != 4:
        return
    n = case.share(_COMPARISONS)
    flows, (order, columns) = Flows.of(case.block, n), linear_columns(case.rules)
    numbers = np.insert(order, 0, -1)
    yield Call(
        "numba, every rule in turn",
        n,
        lambda: first_matches(flows, columns),
        lambda: Answers(deciding=numbers[first_matches(flows, columns)]),
    )


CONTENDER = Contender("numba, every rule in turn", _enter)
