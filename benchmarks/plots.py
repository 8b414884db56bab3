"""Plots as SVG, without any library: bars for one case, lines where cases differ by size. Axes are logarithmic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

__all__ = ["Bar", "Line", "bars", "lines"]

_STYLE = "text{font:12px sans-serif;fill:#333}.title{font-weight:bold}.grid{stroke:#ddd}.spread{stroke:#333}"
_COLOURS = (
    "#1f6fb2",
    "#d9772b",
    "#3a9648",
    "#b83b3b",
    "#7b5fa8",
    "#7a5a45",
    "#c765a8",
    "#6f7378",
    "#a5a22b",
    "#2ba3b0",
)
_OURS, _OTHERS = "#1f6fb2", "#b9c4cf"


class Bar(NamedTuple):
    """Items a second: median, lowest, highest."""

    name: str
    value: float
    low: float
    high: float
    ours: bool


class Line(NamedTuple):
    """Items a second by size."""

    name: str
    points: Sequence[tuple[float, float]]


class _Axis:
    """Values → pixels from `start` on, whole powers of ten at both ends."""

    def __init__(self, values: Sequence[float], start: float, length: float) -> None:
        self.first = math.floor(math.log10(min(values)) + 1e-9)
        self.last = max(self.first + 1, math.ceil(math.log10(max(values)) - 1e-9))
        self._start, self._length = start, length

    def at(self, value: float) -> float:
        """The pixel of a value."""
        share = (math.log10(value) - self.first) / (self.last - self.first)
        return round(self._start + self._length * share, 1)

    def ticks(self) -> list[float]:
        """Powers of ten."""
        return [10.0**power for power in range(self.first, self.last + 1)]


def short(value: float) -> str:
    """1k, 10M, 0.01."""
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g}{letter}"
    return f"{value:.3g}"


def _document(width: float, height: float, parts: list[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
    head += f'viewBox="0 0 {width:g} {height:g}"><style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>'
    return "\n".join([head, *parts, "</svg>"]) + "\n"


def bars(panels: Sequence[tuple[str, Sequence[Bar]]], unit: str) -> str:
    """One panel under the other, each with a bar a contender, fastest first."""
    parts, top, left, wide = [], 10, 240, 420
    for title, listed in panels:
        ordered = sorted(listed, key=lambda bar: -bar.value)
        axis = _Axis([value for bar in ordered for value in (bar.low, bar.high)], left, wide)
        bottom = top + 26 + 20 * len(ordered)
        parts.append(f'<text class="title" x="10" y="{top + 14}">{escape(title)}, {escape(unit)} a second</text>')
        for tick in axis.ticks():
            parts.append(f'<path class="grid" d="M{axis.at(tick)} {top + 22}V{bottom}"/>')
            parts.append(f'<text x="{axis.at(tick)}" y="{bottom + 14}" text-anchor="middle">{short(tick)}</text>')
        for row, bar in enumerate(ordered):
            y = top + 26 + 20 * row
            end = axis.at(bar.value)
            parts.append(f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{escape(bar.name)}</text>')
            colour = _OURS if bar.ours else _OTHERS
            parts.append(f'<rect x="{left}" y="{y}" width="{max(1, end - left):.1f}" height="15" fill="{colour}"/>')
            parts.append(f'<path class="spread" d="M{axis.at(bar.low)} {y + 7.5}H{axis.at(bar.high)}"/>')
            parts.append(f'<text x="{max(end, axis.at(bar.high)) + 6:.1f}" y="{y + 12}">{short(bar.value)}</text>')
        top = bottom + 34
    return _document(left + wide + 80, top, parts)


def lines(title: str, along: str, unit: str, listed: Sequence[Line]) -> str:
    """Speed by size, a line a contender."""
    left, top, wide, high = 60, 40, 460, 320
    across = _Axis([x for line in listed for x, _ in line.points], left, wide)
    up = _Axis([y for line in listed for _, y in line.points], top + high, -high)
    parts = [f'<text class="title" x="10" y="20">{escape(title)}: {escape(unit)} a second by {escape(along)}</text>']
    for tick in up.ticks():
        parts.append(f'<path class="grid" d="M{left} {up.at(tick)}H{left + wide}"/>')
        parts.append(f'<text x="{left - 6}" y="{up.at(tick) + 4:.1f}" text-anchor="end">{short(tick)}</text>')
    for tick in across.ticks():
        parts.append(f'<path class="grid" d="M{across.at(tick)} {top}V{top + high}"/>')
        parts.append(f'<text x="{across.at(tick)}" y="{top + high + 18}" text-anchor="middle">{short(tick)}</text>')
    # Names stand at the right end of their lines, pushed apart where these end close together.
    below = math.inf
    for number, line in sorted(enumerate(listed), key=lambda pair: pair[1].points[-1][1]):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(f"{across.at(x)},{up.at(y)}" for x, y in line.points)
        below = min(up.at(line.points[-1][1]), below - 14)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(
            f'<text x="{left + wide + 8}" y="{below + 4:.1f}" style="fill:{colour}">{escape(line.name)}</text>'
        )
    return _document(left + wide + 230, top + high + 34, parts)
