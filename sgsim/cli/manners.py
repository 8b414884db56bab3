"""How the command behaves towards people: colours, notes on stderr, options that every verb takes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import click

__all__ = ["Manners", "manners_options", "note", "printable"]

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass
class Manners:
    """What the user asked for beside the work itself; one per run, the click context's `obj`."""

    color: str = "auto"
    debug: bool = False

    def colored(self, stream: IO[Any]) -> bool:
        """Whether to colour what goes to the stream: `--color`, then `NO_COLOR`, then whether it is a terminal."""
        if self.color != "auto":
            return self.color == "always"
        return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()

    def colored_output(self, output: Path | None) -> bool:
        """Whether to colour a text report: a file only if that was asked for."""
        return self.color == "always" if output is not None else self.colored(sys.stdout)


def manners_options(command: Command) -> Command:
    """Give a command `--color` and `--debug`; a verb takes them as the group does, so their place does not matter."""
    color = click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        expose_value=False,
        callback=_keep("color"),
        help="Colour text output; auto: on a terminal, unless NO_COLOR is set.",
    )
    debug = click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=_keep("debug"),
        help="Show the traceback of an error.",
    )
    return color(debug(command))


def _keep(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def keep(context: click.Context, _: click.Parameter, value: Any) -> None:
        if value:
            setattr(context.ensure_object(Manners), name, value)

    return keep


def printable(text: str) -> str:
    """The text with control characters escaped, so that a file's content cannot steer the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def note(message: str) -> None:
    """One line on stderr."""
    try:
        sys.stderr.write(f"sgsim: {printable(message)}\n")
        sys.stderr.flush()
    except (OSError, ValueError, UnicodeError):
        pass  # nobody listens; what could be said about it, and where?
