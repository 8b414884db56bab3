"""Snapshots, rule verdicts of flows, connection tracking: where batches of traffic meet compiled rules.

Names are imported on first use, so that numba (0.3 s) waits until something is evaluated.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sgsim.engine.evaluate import evaluate
    from sgsim.engine.replay import Replay, ReplayOptions, ReplaySummary, replay
    from sgsim.engine.snapshot import Engine, Snapshot
    from sgsim.engine.tracking import Tracker

__all__ = [
    "Engine",
    "Replay",
    "ReplayOptions",
    "ReplaySummary",
    "Snapshot",
    "Tracker",
    "evaluate",
    "replay",
]

_HOMES = {
    "Engine": "sgsim.engine.snapshot",
    "Replay": "sgsim.engine.replay",
    "ReplayOptions": "sgsim.engine.replay",
    "ReplaySummary": "sgsim.engine.replay",
    "Snapshot": "sgsim.engine.snapshot",
    "Tracker": "sgsim.engine.tracking",
    "evaluate": "sgsim.engine.evaluate",
    "replay": "sgsim.engine.replay",
}


class _Package(ModuleType):
    """`evaluate` and `replay` name functions, and the modules that hold them: here the function wins.

    Importing a submodule sets it as an attribute of its package, which would hide the function from then on.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and name in _HOMES):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value
