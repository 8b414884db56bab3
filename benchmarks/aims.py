"""What sgsim is meant to reach, held against results: one line an aim."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from benchmarks.results import Ratio, number, rate, rates, ratio

__all__ = ["Outcome", "outcomes"]

Cases = dict[str, Any]


class Outcome(NamedTuple):
    """An aim, what is wanted, what was reached."""

    aim: str
    wanted: str
    reached: str
    met: bool


class _MissingError(Exception):
    """The results do not hold what an aim needs."""


def _case(results: dict[str, Any], question: str, name: str) -> dict[str, Any]:
    cases: Cases = results["questions"].get(question, {}).get("cases", {})
    found = next((case for title, case in cases.items() if title.startswith(name)), None)
    if found is None:
        raise _MissingError
    return found


def best_of(case: dict[str, Any], prefix: str) -> str:
    """The fastest entry whose name begins so."""
    entries = [entry for entry in case["entries"] if entry.startswith(prefix)]
    if not entries:
        raise _MissingError
    return max(entries, key=lambda entry: rate(case, entry))


def _times(case: dict[str, Any], theirs: str, ours: str = "sgsim") -> Ratio:
    if ours not in case["entries"]:
        raise _MissingError
    return ratio(case, ours, best_of(case, theirs))


def _at_least(aim: str, wanted: float, value: Ratio | float, unit: str = "×") -> Outcome:
    median = value.median if isinstance(value, Ratio) else value
    text = str(value) if isinstance(value, Ratio) else number(value)
    return Outcome(aim, f"≥ {wanted:g} {unit}", f"{text} {unit}", median >= wanted)


def _at_most(aim: str, wanted: float, value: float, unit: str = "×") -> Outcome:
    return Outcome(aim, f"≤ {wanted:g} {unit}", f"{number(value)} {unit}", value <= wanted)


def _matching(results: dict[str, Any]) -> Iterator[Callable[[], Outcome]]:
    for name, wanted in (
        ("SG-shaped 100", 3.0),
        ("SG-shaped 1,000", 2.5),
        ("SG-shaped 10,000", 2.5),
        ("SG-shaped 100,000", 3.0),
        ("overlapping 100", 3.0),
        ("overlapping 1,000", 2.5),
        ("overlapping 10,000", 2.5),
        ("overlapping 100,000", 3.0),
        ("ClassBench acl1 10k", 3.0),
        ("ClassBench fw1 10k", 1.7),
    ):
        yield lambda name=name, wanted=wanted: _at_least(  # type: ignore[misc]
            f"{name}: times librte_acl's best", wanted, _times(_exactly(results, name), "librte_acl")
        )
    for name in ("SG-shaped 100", "SG-shaped 1,000", "SG-shaped 10,000"):
        yield lambda name=name: _at_least(  # type: ignore[misc]
            f"{name}: without AVX-512, times librte_acl's best",
            1.0,
            _times(_exactly(results, name), "librte_acl", "sgsim without AVX-512"),
        )

    def facts(fact: str) -> float:
        case = _exactly(results, "SG-shaped 100,000")
        theirs = case["entries"][best_of(case, "librte_acl")]["facts"][fact]
        return float(case["entries"]["sgsim"]["facts"][fact] / theirs)

    yield lambda: _at_most("SG-shaped 100,000: memory of tables, of librte_acl's", 0.2, facts("table_bytes"))
    yield lambda: _at_most("SG-shaped 100,000: build time, of librte_acl's", 0.1, facts("build_s"))
    yield lambda: _at_most(
        "IPv6, 1,000 rules: times as slow as IPv4",
        2.0,
        rate(_exactly(results, "SG-shaped 1,000"), "sgsim") / rate(_exactly(results, "IPv6 1,000"), "sgsim"),
    )
    large = "fleet 10,000 × 60"
    yield lambda: _at_least(f"{large}, one core", 15.0, rate(_exactly(results, large), "sgsim") / 1e6, "M flows/s")
    yield lambda: _at_least(
        f"{large}, two cores",
        28.0,
        rate(_exactly(results, f"{large}, both cores"), "sgsim, two threads") / 1e6,
        "M flows/s",
    )
    yield lambda: _at_least(
        f"{large}: two cores, times one",
        1.7,
        ratio(_exactly(results, f"{large}, both cores"), "sgsim, two threads", "sgsim"),
    )
    yield lambda: _at_most(
        "fleet: cost of a flow at 10,000 groups, times that at 100",
        2.0,
        rate(_exactly(results, "fleet 100 × 60"), "sgsim") / rate(_exactly(results, large), "sgsim"),
    )


def _exactly(results: dict[str, Any], name: str) -> dict[str, Any]:
    cases: Cases = results["questions"].get("match", {}).get("cases", {})
    if name not in cases:
        raise _MissingError
    found: dict[str, Any] = cases[name]
    return found


def _capture(results: dict[str, Any]) -> Iterator[Callable[[], Outcome]]:
    def tuples() -> dict[str, Any]:
        return _case(results, "capture", "five-tuples")

    def flows() -> dict[str, Any]:
        return _case(results, "capture", "flows")

    yield lambda: _at_least("five-tuples: times a libpcap loop in C", 3.0, _times(tuples(), "libpcap"))
    yield lambda: _at_least("five-tuples: of the read(2) ceiling", 0.6, ratio(tuples(), "sgsim", "read(2) loop in C"))
    yield lambda: _at_least("capture to verdicts: times softflowd", 5.0, _times(flows(), "softflowd"))
    yield lambda: _at_least("capture to verdicts: times tshark", 50.0, _times(flows(), "tshark"))


def _update(results: dict[str, Any]) -> Iterator[Callable[[], Outcome]]:
    def fact(name: str) -> float:
        entries = _case(results, "update", "20,000 groups")["entries"]
        return float(entries["sgsim, everything compiled again"]["facts"][name])

    yield lambda: _at_most("a million rules in 20,000 groups compiled", 3.0, fact("build_s"), "s")
    yield lambda: _at_most("a million rules in 20,000 groups", 80.0, fact("bytes_a_rule"), "bytes a rule")


def _flowlog(results: dict[str, Any]) -> Iterator[Callable[[], Outcome]]:
    for name in ("version 2", "version 5"):
        yield lambda name=name: _at_least(  # type: ignore[misc]
            f"flow log, {name}: times pyarrow.csv + isal", 0.5, _times(_case(results, "flowlog", name), "pyarrow")
        )


def outcomes(results: dict[str, Any]) -> list[Outcome]:
    """All aims that the results tell about."""
    found = []
    for source in (_matching, _capture, _update, _flowlog):
        for outcome in source(results):
            try:
                found.append(outcome())
            except (_MissingError, KeyError):
                continue
    return found


def yardstick(results: dict[str, Any]) -> float | None:
    """Flows a second of the plain numba scan of 100 rules."""
    try:
        case = _exactly(results, "SG-shaped 100")
        speeds = rates(case, best_of(case, "numba"))
    except _MissingError:
        return None
    return sorted(speeds)[len(speeds) // 2]
