"""Results as JSON, what is derived from them, and the change against those that are kept.

{"format": 1, "scale": …, "machine": {…}, "questions": {question: {"title", "unit", "ours", "absent": {who: why},
    "cases": {case: {"clock": "cpu" | "wall", "facts": {…},
        "entries": {entry: {"items": n, "cpu": [seconds of each round], "wall": […], "facts": {…}}}}}}}}
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["FORMAT", "Change", "Ratio", "changes", "keep", "kept", "machine", "number", "rate", "rates", "ratio"]

FORMAT = 1


class Ratio(NamedTuple):
    """How many times faster: median, lowest and highest of the rounds."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{number(self.median)} ({number(self.low)}–{number(self.high)})"


def number(value: float) -> str:
    """Three digits, without an exponent."""
    if value == 0 or not math.isfinite(value):
        return str(value)
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 6)}f}"


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "avx512": any("avx512f" in line for line in _lines("/proc/cpuinfo")),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "numba": version("numba"),
        "numpy": version("numpy"),
        "load": round(os.getloadavg()[0], 2),
        "taken": time.strftime("%Y-%m-%d"),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def rates(case: dict[str, Any], entry: str) -> list[float]:
    """Items a second, round by round."""
    found = case["entries"][entry]
    return [found["items"] / max(seconds, 1e-9) for seconds in found[case["clock"]]]


def rate(case: dict[str, Any], entry: str) -> float:
    """Items a second, the median of the rounds."""
    return statistics.median(rates(case, entry))


def ratio(case: dict[str, Any], ours: str, theirs: str) -> Ratio:
    """How many times as fast as theirs ours is, round by round."""
    pairs = [mine / other for mine, other in zip(rates(case, ours), rates(case, theirs))]
    return Ratio(statistics.median(pairs), min(pairs), max(pairs))


class Change(NamedTuple):
    """Ours in one case: items a second, that against what was kept, and how the ratios to contenders changed."""

    question: str
    case: str
    rate: float
    speed: float
    against_others: float | None


def changes(results: dict[str, Any], before: dict[str, Any]) -> Iterator[Change]:
    """Every case that both have. Speeds swing with the machine, ratios to contenders less."""
    for name, question in results["questions"].items():
        known = before["questions"].get(name, {}).get("cases", {})
        ours = question["ours"]
        for case_name, case in question["cases"].items():
            earlier = known.get(case_name)
            if not earlier or ours not in earlier["entries"]:
                continue
            others = [entry for entry in case["entries"] if entry != ours and entry in earlier["entries"]]
            ratios = [ratio(case, ours, other).median / ratio(earlier, ours, other).median for other in others]
            yield Change(
                name,
                case_name,
                rate(case, ours),
                rate(case, ours) / rate(earlier, ours),
                statistics.geometric_mean(ratios) if ratios else None,
            )


def kept(path: Path, scale: str) -> dict[str, Any] | None:
    """The results that are kept for a scale."""
    if not path.exists():
        return None
    found: dict[str, Any] | None = json.loads(path.read_text()).get(scale)
    return found


def keep(path: Path, results: dict[str, Any]) -> None:
    """Keep results beside those of the other scale; questions that were not asked stay as they were."""
    every = json.loads(path.read_text()) if path.exists() else {}
    scale = results["scale"]
    questions = {**every.get(scale, {}).get("questions", {}), **results["questions"]}
    every[scale] = {**results, "questions": questions}
    path.write_text(json.dumps(every, indent=1, sort_keys=True) + "\n")
