"""Snapshots, rule verdicts of flows, connection tracking: where batches of traffic meet compiled rules.

Names are imported on first use, so that numba (0.3 s) waits until something is evaluated.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sgsim.engine.evaluate import evaluate
    from sgsim.engine.snapshot import Engine, Snapshot

__all__ = ["Engine", "Snapshot", "evaluate"]

_HOMES = {
    "Engine": "sgsim.engine.snapshot",
    "Snapshot": "sgsim.engine.snapshot",
    "evaluate": "sgsim.engine.evaluate",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value
