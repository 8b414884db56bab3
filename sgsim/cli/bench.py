"""`sgsim bench`: what an environment and its traffic cost."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sgsim.cli.generate import count, shape_given, shape_options, traffic_given, traffic_options
from sgsim.cli.manners import Manners, manners_options, note

if TYPE_CHECKING:
    from sgsim.bench.baseline import Change
    from sgsim.bench.results import Results, Sweep
    from sgsim.bench.subject import Subject
    from sgsim.generate import Shape, Traffic
    from sgsim.model import Environment

__all__ = ["bench_command"]

TOO_SLOW = 2  #: exit code: a figure is worse than --fail-slower allows
_DIMENSIONS = ("rules", "groups", "interfaces", "flows")


def _sweeps(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> list[tuple[str, list[int]]]:
    """`rules=100,1k` texts as (what, sizes)."""
    sweeps = []
    for text in texts:
        by, equals, sizes = text.partition("=")
        if not equals or by not in _DIMENSIONS:
            raise click.BadParameter(f"{text!r} is not {', '.join(_DIMENSIONS)}=SIZE,SIZE…")
        sweeps.append((by, [count(size) for size in sizes.split(",")]))
    return sweeps


def _percent(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """`10%` as 0.1."""
    if text is None:
        return None
    try:
        value = float(text.removesuffix("%")) / 100
        if 0 <= value < 100:
            return value
    except ValueError:
        pass
    raise click.BadParameter(f"{text!r} is not a percentage such as 10%")


@click.command("bench", short_help="Measure what an environment and its traffic cost.")
@click.argument("environment", metavar="[ENV]", required=False, type=click.Path(path_type=Path))
@click.argument("traffic", metavar="[TRAFFIC...]", nargs=-1)
@shape_options
@traffic_options
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of what is generated.")
@click.option("--runs", type=click.IntRange(3, 1000), default=7, show_default=True, help="Runs a figure.")
@click.option(
    "--sweep",
    "sweeps",
    multiple=True,
    metavar="WHAT=SIZES",
    callback=_sweeps,
    help="Measure by rules, groups, interfaces or flows: rules=100,1k,10k (repeatable).",
)
@click.option("--format", "format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write there instead of stdout.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw the sweeps as SVG; needs --sweep.")
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Compare with the JSON of an earlier run; the change goes to the text, or to stderr.",
)
@click.option(
    "--fail-slower",
    metavar="PERCENT",
    callback=_percent,
    help="Exit with 2 if a figure is worse than the baseline's by more, by the yardstick.",
)
@manners_options
@click.pass_obj
def bench_command(manners: Manners, /, **arguments: Any) -> int:
    """Measure compile time, memory, matching, updates and reading.

    Of the environment in ENV and its TRAFFIC (captures or flow logs), of ENV with generated traffic, or of a generated
    environment; without TRAFFIC the options below say what is generated. Answers are compared before anything is
    timed. Every figure is the median of several runs, and comes with the speed of a plain numba loop over 100 rules
    that ran between them: compare figures of different machines and hours by that.
    """
    return _Run(manners, **arguments).run()


class _Run:
    """One run of the benchmark, from options to output."""

    def __init__(self, manners: Manners, **arguments: Any) -> None:
        self.manners, self.asked = manners, arguments
        self.path: Path | None = arguments["environment"]
        self.seed: int = arguments["seed"]
        self.runs: int = arguments["runs"]
        if arguments["fail_slower"] is not None and arguments["baseline"] is None:
            raise click.UsageError("--fail-slower needs --baseline FILE")
        if arguments["plot"] is not None and not arguments["sweeps"]:
            raise click.UsageError("--plot needs --sweep, such as --sweep rules=100,1k,10k")
        self._check_sizes()

    def _check_sizes(self) -> None:
        """Refuse options about what is not generated."""
        from dataclasses import fields

        from sgsim.generate import Shape, Traffic

        shape, traffic = ([one.name for one in fields(kind)] for kind in (Shape, Traffic))
        refused = (shape if self.path is not None else []) + (traffic if self.asked["traffic"] else [])
        for name in refused:
            if self.asked.get(name) is not None:
                given = "TRAFFIC" if name in traffic else "ENV"
                raise click.UsageError(f"--{name.replace('_', '-')} is for what is generated; {given} is given")
        if "-" in self.asked["traffic"]:
            raise click.UsageError("TRAFFIC is read several times; name files, not -")
        for by, _ in self.asked["sweeps"]:
            if self.asked["traffic"] or (self.path is not None and by != "flows"):
                raise click.UsageError(f"--sweep {by}: ENV and TRAFFIC have the {by} that they have")

    def run(self) -> int:
        """The exit code. Raises SgsimError."""
        from sgsim.bench.baseline import compare, read_baseline, slower
        from sgsim.bench.plot import plot_svg
        from sgsim.bench.text import results_json, results_text
        from sgsim.report.output import open_output
        from sgsim.report.style import Style

        baseline = None if self.asked["baseline"] is None else read_baseline(self.asked["baseline"])
        results = self.results()
        changes = None if baseline is None else compare(baseline, results, str(self.asked["baseline"]))
        with open_output(self.asked["output"]) as output:
            if self.asked["format"] == "json":
                output.write(results_json(results))
            else:
                style = Style(self.manners.colored_output(self.asked["output"]))
                output.write(results_text(results, style, changes).encode("utf-8", "backslashreplace"))
        if self.asked["plot"] is not None:
            with open_output(self.asked["plot"]) as output:
                output.write(plot_svg(results).encode())
        limit = self.asked["fail_slower"]
        worse = [] if changes is None or limit is None else slower(changes, limit)
        if (changes and self.asked["format"] == "json") or worse:
            self.say(worse if limit is not None else changes or [])
        return TOO_SLOW if worse else 0

    def say(self, changes: list[Change]) -> None:
        """What changed, on stderr."""
        for change in changes:
            word = "worse" if change.worse > 0 else "better"
            note(f"{change.name}: {abs(change.worse):.0%} {word} than the baseline")

    def results(self) -> Results:
        """Measure. Raises SgsimError."""
        from sgsim.bench.measure import core_figures, machine, quota_lines, reading_figures
        from sgsim.bench.results import Results

        self.check_sweeps()
        self.progress("making the environment and its traffic")
        world, subject = self.subject()
        self.progress("comparing answers, then measuring")
        size, figures = core_figures(subject, self.runs)
        figures += reading_figures(subject, self.runs)
        quotas = quota_lines(subject)
        sweeps = tuple(self.swept(by, sizes, world) for by, sizes in self.asked["sweeps"])
        return Results(machine=machine(), size=size, figures=figures, quotas=quotas, sweeps=sweeps)

    def check_sweeps(self) -> None:
        """Raise ModelError for sizes that cannot be, before anything is measured."""
        from sgsim.bench.sweep import shaped

        for by, sizes in self.asked["sweeps"]:
            for size in sizes:
                shaped(by, size, self.shape, self.traffic)

    def subject(self) -> tuple[Environment | None, Subject]:
        """What is measured; the environment, if it is the user's."""
        from sgsim.bench.subject import generated, of_environment, of_traffic
        from sgsim.importers import read_environment

        if self.path is None:
            return None, generated(self.shape, self.traffic, self.seed)
        world = read_environment(self.path)
        if self.asked["traffic"]:
            return world, of_traffic(world, self.asked["traffic"], str(self.path))
        return world, of_environment(world, self.traffic, self.seed, str(self.path))

    @property
    def shape(self) -> Shape:
        return shape_given(self.asked)

    @property
    def traffic(self) -> Traffic:
        return traffic_given(self.asked)

    def swept(self, by: str, sizes: list[int], world: Environment | None) -> Sweep:
        from sgsim.bench.sweep import sweep_environment, sweep_shape

        self.progress(f"measuring by {by}")
        if world is None:
            return sweep_shape(by, sizes, self.shape, self.traffic, self.seed, self.runs)
        return sweep_environment(sizes, world, self.traffic, self.seed, self.runs, str(self.path))

    def progress(self, message: str) -> None:
        """What is being done, where somebody watches."""
        if sys.stderr.isatty():
            note(message)
