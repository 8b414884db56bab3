"""Options of every command that judges traffic, captures or flow logs; the verbs say what else they take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["JOIN_WINDOW", "output_option", "traffic_options"]

Command = TypeVar("Command", bound=Callable[..., Any])

JOIN_WINDOW = 900  #: seconds; AWS delivers what belongs to one interval within some minutes

_TRAFFIC = (
    click.option("--vpc", metavar="VPC", help="The VPC that the traffic's addresses belong to, where VPCs overlap."),
    click.option("--vantage", metavar="ENI", help="The interface at which the capture was taken: only it is judged."),
    click.option("--decapsulate", is_flag=True, help="Judge what VXLAN (traffic mirroring) and Geneve carry."),
    click.option("--log-format", metavar="FORMAT", help="Flow logs without header line: '${version} ${vpc-id} …'."),
    click.option(
        "--join-window",
        type=click.IntRange(0, 86_400),
        metavar="SECONDS",
        help=f"Flow logs: how long a record may come after later ones.  [default: {JOIN_WINDOW}]",
    ),
    click.option(
        "--likely",
        is_flag=True,
        help="Flow logs: say what is likely, instead of UNKNOWN, where the log does not show who opened a connection.",
    ),
)

output_option = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write there instead of stdout; the file appears whole or not at all.",
)


def traffic_options(command: Command) -> Command:
    """How captures and flow logs are read."""
    for option in reversed(_TRAFFIC):
        command = option(command)
    return command
