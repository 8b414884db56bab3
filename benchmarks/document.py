"""docs/performance.md and its plots, from results: never edited by hand."""

from __future__ import annotations

import importlib
import re
import shutil
from pathlib import Path
from typing import Any

from benchmarks.aims import outcomes, yardstick
from benchmarks.plots import Bar, Line, bars, lines
from benchmarks.results import number, rate, rates, ratio

__all__ = ["write_documents"]

_PAGE, _PLOTS = "performance.md", "performance"
_FACTS = {
    "build_s": ("build", lambda value: f"{number(value)} s"),
    "table_bytes": ("tables", lambda value: _bytes(value)),
    "build_peak_bytes": ("peak while building", lambda value: _bytes(value)),
    "bytes_a_rule": ("bytes a rule", str),
    "sets": ("sets of a run", lambda value: f"{value:,}"),
    "set_bytes": ("their bytes", lambda value: _bytes(value)),
}


def write_documents(results: dict[str, Any], directory: Path) -> None:
    """Write the page and its plots, in place of those that are there."""
    plots = directory / _PLOTS
    shutil.rmtree(plots, ignore_errors=True)
    plots.mkdir(parents=True)
    parts = [_head(results), _aims(results)]
    for name, question in results["questions"].items():
        parts.append(_question(name, question, plots))
    (directory / _PAGE).write_text("\n\n".join(part.strip() for part in parts if part) + "\n")


def _head(results: dict[str, Any]) -> str:
    machine, stick = results["machine"], yardstick(results)
    speed = f" The yardstick, a plain numba scan of 100 rules, made {stick / 1e6:.1f} M flows/s." if stick else ""
    vectors = "with" if machine["avx512"] else "without"
    return f"""# Performance

Written by `python -m benchmarks --scale {results["scale"]} --keep --write-docs`; not to be edited by hand.

{machine["cpu"]}, {machine["cores"]} cores, {vectors} AVX-512; Linux {machine["kernel"]}, Python {machine["python"]},
numba {machine["numba"]}, numpy {machine["numpy"]}; {machine["taken"]}, load {machine["load"]} at the end.{speed}

Only ratios of one run count: contenders take turns, and a ratio is the median over the rounds of ours to theirs, with
the lowest and the highest in brackets. Answers are compared before anything is timed; every run begins from nothing."""


def _aims(results: dict[str, Any]) -> str:
    found = outcomes(results)
    if not found:
        return ""
    rows = [f"| {each.aim} | {each.wanted} | {each.reached} | {'yes' if each.met else '**no**'} |" for each in found]
    return "\n".join(["## Aims", "", "| | wanted | reached | met |", "|---|---|---|---|", *rows])


def _families(cases: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Cases that belong into one table: their names begin alike, or with a number."""
    found: dict[str, dict[str, Any]] = {}
    for name, case in sorted(cases.items(), key=lambda case: _size(case[0]) or 0):  # kept results are in no order
        first = re.split(r"[ ,]", name)[0]
        found.setdefault("" if first[0].isdigit() else first, {})[name] = case
    return found


def _question(name: str, question: dict[str, Any], plots: Path) -> str:
    module = importlib.import_module(f"benchmarks.{name}")
    about = importlib.import_module(f"benchmarks.{name}.cases").__doc__ or ""
    parts = [f"## {question['title']}", module.__doc__ or "", about]
    for family, cases in _families(question["cases"]).items():
        parts.append(_table(question, cases))
        parts.append(_facts(cases))
        file = f"{name}-{family.lower() or 'sizes'}.svg"
        (plots / file).write_text(_plot(question, family, cases))
        parts.append(f"![{question['title']}: {family or 'sizes'}]({_PLOTS}/{file})")
    if question["absent"]:
        parts.append("Not there:\n")
        parts.append("\n".join(f"* {who}: {why}" for who, why in question["absent"].items()))
    return "\n\n".join(part.strip() for part in parts if part)


def _table(question: dict[str, Any], cases: dict[str, Any]) -> str:
    """A row a contender, the fastest first: its speed, and how many times as fast sgsim is."""
    ours = question["ours"]
    speeds = {entry: rate(case, entry) for case in cases.values() for entry in case["entries"]}
    entries = sorted(speeds, key=lambda entry: (entry != ours, -speeds[entry]))
    header = "".join(f" {name} | sgsim × |" for name in cases)
    rows = [f"| {question['unit']} a second |{header}", "|---|" + "---:|---:|" * len(cases)]
    for entry in entries:
        cells = []
        for case in cases.values():
            if entry not in case["entries"]:
                cells += ["", ""]
            else:
                cells += [_speed(rate(case, entry)), "" if entry == ours else str(ratio(case, ours, entry))]
        rows.append(f"| {entry} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _facts(cases: dict[str, Any]) -> str:
    """What is known of cases and entries beside speed."""
    found = []
    for name, case in cases.items():
        facts = ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in case["facts"].items())
        found.append(f"* {name} ({'CPU time' if case['clock'] == 'cpu' else 'time on the clock'}): {facts}")
        told: set[str] = set()
        for entry, each in case["entries"].items():
            listed = [
                f"{_FACTS[key][0]} {_FACTS[key][1](value)}" for key, value in each["facts"].items() if key in _FACTS
            ]
            text = ", ".join(listed)
            if text and text not in told:
                told.add(text)
                found.append(f"  * {entry}: {text}")
    return "\n".join(found)


def _value(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _bytes(value: float) -> str:
    return f"{number(value / 1e6)} MB"


def _speed(value: float) -> str:
    for factor, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= factor:
            return number(value / factor) + unit
    return number(value)


def _size(name: str) -> float | None:
    found = re.search(r"\d[\d,]*", name)
    return float(found[0].replace(",", "")) if found else None


def _plot(question: dict[str, Any], family: str, cases: dict[str, Any]) -> str:
    sizes = [_size(name) for name in cases]
    if question["ours"] and len(set(sizes)) > 2 and None not in sizes:
        entries = list(dict.fromkeys(entry for case in cases.values() for entry in case["entries"]))
        drawn = [
            Line(
                entry,
                [
                    (size or 1, rate(case, entry))
                    for size, case in zip(sizes, cases.values())
                    if entry in case["entries"]
                ],
            )
            for entry in entries
        ]
        along = "groups" if not family else "rules"
        return lines(f"{question['title']}, {family}" if family else question["title"], along, question["unit"], drawn)
    panels = [
        (
            name,
            [
                Bar(entry, rate(case, entry), min(speeds), max(speeds), entry == question["ours"])
                for entry in case["entries"]
                if (speeds := rates(case, entry))
            ],
        )
        for name, case in cases.items()
    ]
    return bars(panels, question["unit"])
