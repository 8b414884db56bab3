"""`--changes` and `--env-time`: traffic judged by the configuration that held at its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sgsim.cli.manners import note
from sgsim.errors import ChangeInputError

if TYPE_CHECKING:
    from sgsim.engine.logs.timed import LogTime
    from sgsim.engine.timeline import Timeline
    from sgsim.model import Environment, Semantics
    from sgsim.report.columns import Names
    from sgsim.report.labels import Labels
    from sgsim.report.situations import Line, Situation
    from sgsim.report.timeline import TimePart, Turns

__all__ = ["TimeTravel", "time_travel_options"]

Command = TypeVar("Command", bound=Callable[..., Any])


def _moment(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    """A date and time; UTC where it names no zone."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no date and time such as 2026-03-02T09:00:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def time_travel_options(command: Command) -> Command:
    """Both options, for a command."""
    changes = click.option(
        "--changes",
        type=click.Path(path_type=Path),
        metavar="TRAIL",
        help="CloudTrail's records (file or directory): judge all by the configuration that held at its time.",
    )
    at = click.option(
        "--env-time",
        metavar="TIME",
        callback=_moment,
        help="When ENV was so, with --changes.  [default: what sgsim collect noted; else after the last change]",
    )
    return changes(at(command))


class TimeTravel:
    """The history around an environment, from a recording of changes."""

    def __init__(self, environment: Environment, trail: Path, at: datetime | None, semantics: Semantics) -> None:
        """Raises ChangeInputError for changes that cannot be read, have no time or do not fit; ChangeError likewise."""
        from sgsim.engine.timeline import Timeline
        from sgsim.importers.changes import read_changes
        from sgsim.model.history import History

        self._source = str(trail)
        self._at = at or environment.collected_at
        changes = read_changes(trail, environment)
        if not changes.accepted or any(change.origin is None for change in changes.changes):
            raise ChangeInputError(
                "these changes do not tell when they were made",
                source=self._source,
                advice="give CloudTrail's records; sgsim whatif and sgsim apply take other changes",
            )
        for remark in changes.notes:
            note(remark)
        self.timeline: Timeline = Timeline(History.of(environment, changes, self._at), semantics)
        if self._at is None and len(self.timeline) > 1:
            note("the environment does not tell its time: taken as of after the last change; --env-time says otherwise")

    def part(self, turns: Turns, spanning: int | None = None) -> TimePart:
        """The part of the report that is about changes."""
        from sgsim.report.timeline import TimePart

        return TimePart(self.timeline.history, turns, self._source, self._at, spanning)

    def log_time(self) -> LogTime:
        """The versions for records of flow logs."""
        from sgsim.engine.logs.timed import LogTime

        return LogTime(self.timeline)

    def names(self, others: Names) -> Names:
        """The names of records, with those that tell of time."""
        from sgsim.report.timeline import TimedNames

        return TimedNames(others, self.timeline.history)

    def lacks(self) -> list[str]:
        """What machine formats cannot say."""
        count = len(self.timeline.history.unresolved)
        one = "thing" if count == 1 else "things"
        return [f"{count} {one} of the past not known; --format text or json says which"] if count else []

    def nearest(self, semantics: Semantics, labels: Labels) -> Callable[[Situation, Line], Sequence[str]]:
        """Words about the rules that came nearest, of those that held when a line of a situation was seen last."""
        import numpy as np

        from sgsim.cli.nearest import NearestRules

        known: dict[int, NearestRules] = {}

        def words(situation: Situation, line: Line) -> Sequence[str]:
            version = int(self.timeline.at(np.array([line.end * 1_000_000_000]))[0])
            environment = self.timeline.history.versions[version].environment
            if situation.interface < 0 or labels.interface_ids[situation.interface] not in environment.interfaces:
                return ()
            if version not in known:
                known[version] = NearestRules(environment, semantics, labels)
            return known[version](situation, line)

        return words
