"""Sweeps as one SVG: a row of small plots for each thing that was varied, both axes logarithmic."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from sgsim.bench.results import Figure, Results, Sweep
from sgsim.bench.text import figure_text

__all__ = ["plot_svg"]

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP, _HEAD = 200, 130, 52, 46, 62, 34
_STYLE = """\
  text { font: 11px sans-serif; fill: #333 }
  .title { font-weight: bold }
  .value { font-size: 10px }
  .axis { stroke: #999; fill: none }
  .grid { stroke: #e4e4e4 }
  .line { stroke: #1f6fb2; fill: none; stroke-width: 1.5 }
  .spread { stroke: #1f6fb2; stroke-width: 1; opacity: 0.5 }
  .point { fill: #1f6fb2 }
"""


def plot_svg(results: Results) -> str:
    """The plots of all sweeps."""
    rows = len(results.sweeps)
    shown = max(len(_shown(sweep)) for sweep in results.sweeps)
    width = _LEFT + shown * (_WIDTH + _GAP)
    height = _HEAD + rows * (_HEIGHT + _TOP + 26) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f"<style>\n{_STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="8" y="18">{escape(_caption(results))}</text>',
    ]
    for row, sweep in enumerate(results.sweeps):
        for place, name in enumerate(_shown(sweep)):
            x, y = _LEFT + place * (_WIDTH + _GAP), _HEAD + _TOP + row * (_HEIGHT + _TOP + 26)
            parts += _plot(sweep, name, x, y)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _caption(results: Results) -> str:
    size = results.size
    sticks = [figure.yardstick for figure in results.figures if figure.yardstick is not None]
    stick = f"; yardstick {sum(sticks) / len(sticks):.0f} M flows/s" if sticks else ""
    return (
        f"sgsim bench, {size.source}: {size.rules:,} rules, {size.groups:,} groups, {size.interfaces:,} interfaces, "
        f"{size.flows:,} flows unless varied; {results.machine['processor']}{stick}"
    )


def _shown(sweep: Sweep) -> list[str]:
    """The figures that are plotted: all but those that follow from another."""
    return [figure.name for figure in sweep.points[0].figures if figure.name != "tables a rule" and figure.value > 0]


class _Axis:
    """Values → pixels, logarithmic, from `low` to `high` and a little more."""

    def __init__(self, values: list[float], start: float, length: float) -> None:
        low, high = math.log10(min(values)), math.log10(max(values))
        margin = max((high - low) * 0.08, 0.15)
        self._low, self._span = low - margin, high - low + 2 * margin
        self._start, self._length = start, length

    def at(self, value: float) -> float:
        return self._start + (math.log10(value) - self._low) / self._span * self._length

    def ticks(self) -> list[float]:
        """Powers of ten on the axis; 2 and 5 times them where there would be fewer than two."""
        first, last = math.floor(self._low), math.ceil(self._low + self._span)
        for steps in ((1,), (1, 2, 5), (1, 2, 3, 4, 5, 6, 7, 8, 9)):
            marks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
            inside = [mark for mark in marks if self._low <= math.log10(mark) <= self._low + self._span]
            if len(inside) >= 2:
                return inside
        return inside


def _plot(sweep: Sweep, name: str, x: float, y: float) -> Iterator[str]:
    """One figure by the size that was varied."""
    figures: list[tuple[int, Figure]] = [
        (point.at, figure)
        for point in sweep.points
        for figure in point.figures
        if figure.name == name and figure.low > 0
    ]
    across = _Axis([float(at) for at, _ in figures], x, _WIDTH)
    up = _Axis([value for _, figure in figures for value in (figure.low, figure.high)], y + _HEIGHT, -_HEIGHT)
    yield f'<text class="title" x="{x}" y="{y - 8}">{escape(name)}, {escape(figures[0][1].unit)}</text>'
    for tick in up.ticks():
        at = up.at(tick)
        yield f'<path class="grid" d="M{x} {at:.1f}h{_WIDTH}"/>'
        yield f'<text class="value" x="{x - 4}" y="{at + 4:.1f}" text-anchor="end">{_short(tick)}</text>'
    for tick in across.ticks():
        at = across.at(tick)
        yield f'<path class="axis" d="M{at:.1f} {y + _HEIGHT}v4"/>'
        yield f'<text class="value" x="{at:.1f}" y="{y + _HEIGHT + 15}" text-anchor="middle">{_short(tick)}</text>'
    yield f'<path class="axis" d="M{x} {y}v{_HEIGHT}h{_WIDTH}"/>'
    yield f'<text class="value" x="{x + _WIDTH}" y="{y + _HEIGHT + 27}" text-anchor="end">{escape(sweep.by)}</text>'
    corners = " ".join(f"{across.at(at):.1f},{up.at(figure.value):.1f}" for at, figure in figures)
    yield f'<polyline class="line" points="{corners}"/>'
    for at, figure in figures:
        px, py = across.at(at), up.at(figure.value)
        yield f'<path class="spread" d="M{px:.1f} {up.at(figure.low):.1f}V{up.at(figure.high):.1f}"/>'
        yield f'<circle class="point" cx="{px:.1f}" cy="{py:.1f}" r="2.5"><title>{at:,} {escape(sweep.by)}: '
        yield f"{figure_text(figure.value)} {escape(figure.unit)}</title></circle>"
        value = figure_text(figure.value)
        anchor = "start" if px < x + 20 else "middle"  # the first one's text stays off the axis
        yield f'<text class="value" x="{px:.1f}" y="{py - 6:.1f}" text-anchor="{anchor}">{value}</text>'


def _short(value: float) -> str:
    """1k, 10M, 0.01."""
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:g}{letter}"
    return f"{value:g}"
