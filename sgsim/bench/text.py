"""Results for people, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sgsim.bench.baseline import Change
from sgsim.bench.results import Figure, QuotaLine, Results, Size, Sweep
from sgsim.report.style import Style, clean, columns, counted, number

__all__ = ["results_json", "results_text"]


def results_json(results: Results) -> bytes:
    """The document, indented; ends with a line feed."""
    return msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n"


def results_text(results: Results, style: Style, changes: list[Change] | None = None) -> str:
    """The table; `changes` against a baseline follow it."""
    lines = [*_subject(results, style), "", *_figures(results.figures, style), ""]
    for sweep in results.sweeps:
        lines += [*_sweep(sweep, style), ""]
    lines += [*_quotas(results.quotas, style)]
    if changes is not None:
        lines += ["", *_changes(changes, style)]
    return "\n".join(lines) + "\n"


def _subject(results: Results, style: Style) -> Iterator[str]:
    size, machine = results.size, results.machine
    seed = f", seed {size.seed}" if size.seed is not None else ""
    yield style.heading("Measured")
    yield f"  {clean(size.source)}: {_sizes(size)}"
    yield (
        f"  {counted(size.flows, 'flow')} ({size.traffic}{seed}), {size.accepted:.0%} accepted, "
        f"by {size.mean_matches:.1f} rules on average"
    )
    yield f"  {machine['processor']}, {counted(int(machine['cores']), 'core')}; numba {machine['numba']}"
    yield "  answers equal those of a scan of all rules, and of the slow twin for a sample"


def _sizes(size: Size) -> str:
    return f"{counted(size.rules, 'rule')} in {counted(size.groups, 'group')}, {counted(size.interfaces, 'interface')}"


def figure_text(value: float) -> str:
    """Three digits that count."""
    if value >= 1000:
        return number(round(value))
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _spread(figure: Figure) -> str:
    return "" if figure.runs == 1 else f"{figure_text(figure.low)} to {figure_text(figure.high)}"


def _figures(figures: tuple[Figure, ...], style: Style) -> Iterator[str]:
    yield style.heading("Cost") + "  medians; yardstick: a plain numba loop over 100 rules, run in between"
    rows = [("", "median", "", "spread", "runs", "yardstick")]
    for figure in figures:
        stick = "" if figure.yardstick is None else f"{figure.yardstick:.0f} M flows/s"
        runs = "" if figure.runs == 1 else str(figure.runs)
        rows.append((figure.name, figure_text(figure.value), figure.unit, _spread(figure), runs, stick))
    yield from columns(rows, "<><<>>")


def _sweep(sweep: Sweep, style: Style) -> Iterator[str]:
    yield style.heading(f"By {sweep.by}")
    names = [figure.name for figure in sweep.points[0].figures]
    units = [figure.unit for figure in sweep.points[0].figures]
    rows = [(sweep.by, *names, "yardstick"), ("", *units, "M flows/s")]
    for point in sweep.points:
        sticks = [figure.yardstick for figure in point.figures if figure.yardstick is not None]
        values = [figure_text(figure.value) for figure in point.figures]
        rows.append((number(point.at), *values, f"{sum(sticks) / len(sticks):.0f}"))
    yield from columns(rows, ">" * len(rows[0]))


def _quotas(lines: tuple[QuotaLine, ...], style: Style) -> Iterator[str]:
    yield style.heading("Quotas") + "  AWS's defaults; they can be raised"
    rows = [("of one", "", "median", "highest", "quota", "over it", "fullest")]
    for line in lines:
        over = number(line.over) if line.over else "-"
        rows.append(
            (
                line.of,
                line.bucket,
                f"{line.median:g}",
                number(line.highest),
                number(line.limit),
                over,
                clean(line.subject),
            )
        )
    yield from columns(rows, "<<>>>><")


def _changes(changes: list[Change], style: Style) -> Iterator[str]:
    yield style.heading("Against the baseline") + "  speeds by the yardstick of each run"
    rows = [("", "before", "now", "unit", "")]
    for change in changes:
        word = "worse" if change.worse > 0 else "better"
        what = "same" if abs(change.worse) < 0.005 else f"{abs(change.worse):.0%} {word}"
        before, after = figure_text(change.before.value), figure_text(change.after.value)
        rows.append((change.name, before, after, change.after.unit, what))
    yield from columns(rows, "<>><<")
