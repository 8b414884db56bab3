"""Law: whoever is at the other end is found by the kernel for large jobs as the twin finds it."""

from __future__ import annotations

from typing import Any

import pytest

from sgsim.engine import owners, queries
from tests.engine.test_evaluate_twin import compare


def test_plain_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known members, nobody's addresses; what is not plain is left to the way for small jobs."""
    rows, left = [], []

    def counted(tables: Any, block: Any, peer: Any) -> Any:
        rest = original(tables, block, peer)
        rows.append(len(block))
        left.append(len(rest))
        return rest

    original = owners.set_plain_peers
    monkeypatch.setattr(queries, "set_plain_peers", counted)
    monkeypatch.setattr(owners, "_LEAST_ROWS", 1)
    monkeypatch.setattr(owners, "_POINTS_A_ROW", 1 << 30)
    for seed in range(4000, 4120):
        compare(seed, 200, scan_only=seed % 4 == 0)
    assert sum(1 for n, rest in zip(rows, left) if rest < n) > 10
    assert sum(1 for rest in left if rest) > 10
