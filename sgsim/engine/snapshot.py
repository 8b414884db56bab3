"""One version of an environment, compiled; and the place that holds the current one."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

from sgsim.compiler import compile_changes, compile_environment
from sgsim.model import Environment, NetworkInterface, Semantics
from sgsim.model.apply import apply
from sgsim.model.changes import Change, ChangeSet
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

    def interfaces(self) -> list[NetworkInterface]:
        """Every interface by its index; one without anything where there is none any more."""
        known = self.environment.interfaces
        return [known.get(name) or NetworkInterface(name) for name in self.tables.interface_ids]

    def apply(self, changes: ChangeSet | Change) -> Snapshot:
        """The next version, after all of the changes; this one stays as it is. Raises ChangeError as `model.apply`."""
        after = apply(self.environment, changes)
        listed = changes.changes if isinstance(changes, ChangeSet) else (changes,)
        tables = compile_changes(self.tables, self.environment, after, listed, self.semantics)
        return Snapshot(after, self.semantics, tables, self.version + 1)


class Engine:
    """Holds the current snapshot. Who needs a stable view reads `snapshot` once and keeps it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._writing = Lock()

    @property
    def snapshot(self) -> Snapshot:
        """The current version."""
        return self._snapshot

    def swap(self, new: Snapshot) -> Snapshot:
        """Publish a new version by one reference assignment; returns the one before."""
        with self._writing:
            before, self._snapshot = self._snapshot, new
        return before

    def apply(self, changes: ChangeSet | Change) -> Snapshot:
        """Make changes and publish what comes of them, which is returned: all of them, or none and a ChangeError.

        Readers never wait, and several writers take turns.
        """
        with self._writing:
            self._snapshot = self._snapshot.apply(changes)
            return self._snapshot
