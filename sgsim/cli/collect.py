"""`sgsim collect`: export an account with read-only calls."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sgsim.cli.manners import Manners, manners_options, note

__all__ = ["collect_command"]


@click.command("collect", short_help="Export an account with read-only calls (extra: sgsim[aws]).")
@click.option("--profile", metavar="NAME", help="Profile of the AWS configuration.")
@click.option(
    "--region",
    "regions",
    multiple=True,
    metavar="REGION",
    help="Region to export (repeatable); by default the profile's.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="New directory for the export; it appears whole or not at all.",
)
@click.option("--policy", is_flag=True, help="Print the IAM policy that collecting needs, and do nothing else.")
@click.option("--endpoint-url", metavar="URL", help="Ask this endpoint instead of AWS's own.")
@manners_options
@click.pass_obj
def collect_command(
    _: Manners,
    /,
    profile: str | None,
    regions: tuple[str, ...],
    output: Path | None,
    policy: bool,
    endpoint_url: str | None,
) -> None:
    """Write what the describe calls of EC2 say of an account into a directory that every other verb takes as ENV.

    Read-only. A listing that may not be read is reported and noted in the export, and what it would have told is
    taken as unknown.
    """
    from sgsim.importers.collect import collect, iam_policy

    if policy:
        click.echo(json.dumps(iam_policy(), indent=2))
        return
    if output is None:
        raise click.UsageError("name the directory to write with -o DIR")
    for collected in collect(output, regions=regions, profile=profile, endpoint_url=endpoint_url, report=note):
        groups, interfaces = (
            collected.counts.get(name, 0) for name in ("describe-security-groups", "describe-network-interfaces")
        )
        note(f"{collected.region}: {groups} security groups and {interfaces} network interfaces in {output}")
