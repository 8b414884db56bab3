"""A block of flows against all rules at once, in numpy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from benchmarks.contest import Bench, Call, Contender
from benchmarks.match.cases import Case
from benchmarks.match.rules import Answers, Flows, Rules

__all__ = ["CONTENDER", "numpy_broadcast"]

_COMPARISONS, _ROWS = 20_000_000, 2048


def numpy_broadcast(flows: Flows, rules: Rules) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """(deciding rule or -1, how many match) of every flow; IPv4."""
    order = np.argsort(rules.place)
    network = rules.lo[order].astype(np.uint32)
    shift = (32 - rules.length[order]).astype(np.uint64)
    of_protocol, first, last = (column[order] for column in (rules.protocol, rules.first, rules.last))
    deciding = np.empty(len(flows.port), np.int64)
    counts = np.empty(len(flows.port), np.int64)
    for start in range(0, len(counts), _ROWS):
        address, port, protocol = (column[start : start + _ROWS, None] for column in flows)
        near = (address ^ network).astype(np.uint64) >> shift == 0
        matches = near & ((of_protocol < 0) | ((protocol == of_protocol) & (first <= port) & (port <= last)))
        found = matches.sum(axis=1)
        counts[start : start + _ROWS] = found
        deciding[start : start + _ROWS] = np.where(found > 0, order[matches.argmax(axis=1)], -1)
    return deciding, counts


def _enter(case: Case, bench: Bench) -> Iterator[Call]:
    if case.rules is None or case.rules.family != 4:
        return
    n, rules = case.share(_COMPARISONS), case.rules
    flows = Flows.of(case.block, n)
    yield Call(
        "numpy broadcast",
        n,
        lambda: numpy_broadcast(flows, rules),
        lambda: Answers(*numpy_broadcast(flows, rules)),
    )


CONTENDER = Contender("numpy broadcast", _enter)
