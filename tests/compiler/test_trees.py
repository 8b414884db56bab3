"""Static search trees: the rank of a value is the number of keys below it, whatever the size and depth."""

from __future__ import annotations

import numpy as np
import pytest

from sgsim.compiler.trees import KEYS, build_trees, inner_nodes
from sgsim.kernels._jit import kernel
from sgsim.kernels._memory import address_of
from sgsim.kernels.match_tables import rank


@kernel
def ranks(lines, base, depth, values, out):
    for i in range(len(values)):
        out[i] = rank(address_of(lines), base, depth, np.int64(values[i]))


@pytest.mark.parametrize(
    "sizes",
    [
        [0, 1, 15, 16, 17, 32, 33, 271, 272, 273, 288, 289, 300],
        [4623, 4624, 4625, 5000, 80_000],
        [16, 16, 0, 16],
    ],
)
def test_rank_counts_keys_below(sizes: list[int]) -> None:
    rng = np.random.default_rng(7)
    runs = [np.unique(rng.integers(0, 2**32 - 1, size, dtype=np.uint64).astype(np.uint32)) for size in sizes]
    offsets = np.concatenate(([0], np.cumsum([len(run) for run in runs])))
    trees = build_trees(np.concatenate(runs), offsets)
    for run, base, depth in zip(runs, trees.base, trees.depth):
        edges = np.concatenate((run[:40], run[-40:], run[-40:] + np.uint32(1), np.array([0, 2**32 - 1], np.uint32)))
        values = np.concatenate((edges, rng.integers(0, 2**32, 500, dtype=np.uint64).astype(np.uint32)))
        found = np.empty(len(values), np.int64)
        ranks(trees.lines, base, depth, values, found)
        assert (found == np.searchsorted(run, values)).all()


def test_trees_are_linear_in_keys() -> None:
    """At most a leaf begun, and the complete inner levels: a seventeenth of the leaves of a full tree."""
    trees = build_trees(np.arange(1, 10_001, dtype=np.uint32), np.array([0, 10_000]))
    assert len(trees.lines) == KEYS * (10_000 // KEYS + inner_nodes(4))
