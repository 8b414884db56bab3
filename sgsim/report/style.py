"""Text for people: alignment, colours, counts, times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sgsim.verdicts import Verdict

__all__ = ["Style", "clean", "columns", "counted", "listed", "moment", "number", "span"]

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
_VERDICT_COLORS = {Verdict.ACCEPT: "green", Verdict.REJECT: "red", Verdict.UNKNOWN: "yellow"}


class Style:
    """Colours text, or leaves it alone."""

    def __init__(self, color: bool) -> None:
        self._color = color

    def __call__(self, text: str, *looks: str) -> str:
        if not self._color or not looks:
            return text
        return f"\x1b[{';'.join(_CODES[look] for look in looks)}m{text}\x1b[0m"

    def heading(self, text: str) -> str:
        return self(text, "bold")

    def verdict(self, verdict: Verdict, text: str | None = None) -> str:
        """The verdict's name, or another text in its colour."""
        return self(verdict.name if text is None else text, _VERDICT_COLORS[verdict])


def clean(text: str) -> str:
    """The text with control characters escaped: what a file contains must not steer a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def number(value: int) -> str:
    """With commas every three digits."""
    return f"{value:,}"


def counted(value: int, noun: str) -> str:
    """`1 record`, `2 records`."""
    return f"{number(value)} {noun}{'' if value == 1 else 's'}"


def listed(items: Sequence[str], most: int = 3) -> str:
    """The first few, and how many more there are."""
    if len(items) <= most + 1:
        return ", ".join(items)
    return f"{', '.join(items[:most])} and {number(len(items) - most)} more"


def columns(rows: Sequence[Sequence[str]], align: str, indent: str = "  ") -> list[str]:
    """Rows as aligned columns; `align` has `<` or `>` for each column. The last column is not padded."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [f"{cell:{side}{width}}" for cell, side, width in zip(row, align, widths)]
        lines.append(indent + "  ".join(cells).rstrip())
    return lines


def moment(seconds: int) -> str:
    """`2026-03-02 09:00:05 UTC`."""
    return f"{_utc(seconds)} UTC"


def span(start: int, end: int) -> str:
    """`2026-03-02 09:00:05 to 09:11:41 UTC`; the date is not repeated."""
    first, last = _utc(start), _utc(end)
    if first == last:
        return f"{first} UTC"
    return f"{first} to {last[11:] if first[:10] == last[:10] else last} UTC"


def _utc(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, OSError, ValueError):
        return str(seconds)
