"""Law: a change that breaks off in the middle, out of memory for one, harms neither that version nor those after it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from sgsim.compiler import changing
from sgsim.engine import Engine, Snapshot
from sgsim.errors import ChangeError
from sgsim.model.changes import ChangeSet
from tests.changes.support import distinct
from tests.changes.test_laws import random_change
from tests.engine.test_changes import compare, compare_finding, moving
from tests.strategies import random_semantics

STEPS = (
    "group_rules",
    "build_parts",
    "reference_columns",
    "prefix_lists",
    "compile_interfaces",
    "holdings",
    "_with_slots",
)


def failing(rng: Random, step: Callable[..., Any]) -> Callable[..., Any]:
    def now_and_then(*given: Any, **named: Any) -> Any:
        if rng.random() < 0.12:
            raise MemoryError
        return step(*given, **named)

    return now_and_then


def test_out_of_memory() -> None:
    luck, failures, made = Random(5), 0, 0
    for seed in range(200, 225):
        rng, engine = Random(seed), Engine(Snapshot.of(distinct(seed), random_semantics(seed)))
        first = engine.snapshot.environment
        for step in range(14):
            before = engine.snapshot
            one = moving(first, before.environment, rng) if rng.random() < 0.4 else (random_change(first, rng),)
            with pytest.MonkeyPatch.context() as patch:
                for name in STEPS:
                    patch.setattr(changing, name, failing(luck, getattr(changing, name)))
                try:
                    engine.apply(ChangeSet(one, accepted=True))
                    made += 1
                except ChangeError:
                    assert engine.snapshot is before
                except MemoryError:
                    assert engine.snapshot is before
                    failures += 1
            compare(engine.snapshot, seed + step, 20, scan_only=False)
            compare_finding(engine.snapshot, Snapshot.of(engine.snapshot.environment, engine.snapshot.semantics))
    assert failures > 50 and made > 100
