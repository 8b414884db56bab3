"""One version of an environment, compiled; and the place that holds the current one."""

from __future__ import annotations

from dataclasses import dataclass

from sgsim.compiler import compile_environment
from sgsim.model import Environment, Semantics
from sgsim.tables import RuleTables

__all__ = ["Engine", "Snapshot"]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """An environment with its tables; never changed, only replaced. It can be pickled."""

    environment: Environment
    semantics: Semantics
    tables: RuleTables
    version: int = 0

    @classmethod
    def of(cls, environment: Environment, semantics: Semantics | None = None, version: int = 0) -> Snapshot:
        """Compile an environment."""
        chosen = Semantics() if semantics is None else semantics
        return cls(environment, chosen, compile_environment(environment, chosen), version)


class Engine:
    """Holds the current snapshot. Who needs a stable view reads `snapshot` once and keeps it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    @property
    def snapshot(self) -> Snapshot:
        """The current version."""
        return self._snapshot

    def swap(self, new: Snapshot) -> Snapshot:
        """Publish a new version by one reference assignment; returns the one before."""
        before, self._snapshot = self._snapshot, new
        return before
