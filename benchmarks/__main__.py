"""Compare sgsim with its contenders: `python -m benchmarks [QUESTION…] [--scale small|full] [-o results.json]`.

Questions: match, capture, update, flowlog; all without any. Contenders that are not there, or do not build, are named
and skipped; `--install` gets them. A wrong answer ends the run, with exit code 1, before anything of its case is timed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.contest import Bench, Question, UnavailableError, WrongAnswerError, hold
from benchmarks.document import write_documents
from benchmarks.install import install
from benchmarks.results import FORMAT, changes, keep, kept, machine, number, rate, ratio

QUESTIONS = ("match", "capture", "update", "flowlog")
HERE = Path(__file__).parent
BASELINE, DOCUMENTS = HERE / "baseline.json", HERE.parent / "docs"


def say(line: str) -> None:
    """Progress goes to stderr."""
    print(line, file=sys.stderr, flush=True)


def show(results: dict[str, Any]) -> None:
    """Speeds and ratios, case by case."""
    for question in results["questions"].values():
        print(f"\n{question['title']}, {question['unit']} a second; times: sgsim against that contender")
        for name, case in question["cases"].items():
            print(f"  {name} ({case['clock']} time)")
            for entry in case["entries"]:
                times = "" if entry == question["ours"] else f"  × {ratio(case, question['ours'], entry)}"
                print(f"    {entry:36} {number(rate(case, entry)):>14}{times}")
        for who, why in question["absent"].items():
            print(f"  not there: {who}: {why}")


def show_changes(results: dict[str, Any], gate: float | None) -> bool:
    """The change against the results that are kept; False if the gate is missed."""
    before = kept(BASELINE, results["scale"])
    if before is None:
        print(f"\nno results of scale {results['scale']} are kept in {BASELINE.name}")
        return True
    print(f"\nchange against {BASELINE.name} of {before['machine']['taken']}: speed; against the same contenders")
    passed = True
    for row in changes(results, before):
        relative = row.against_others if row.against_others is not None else row.speed
        lost = gate is not None and relative < 1 - gate / 100
        passed &= not lost
        others = "" if row.against_others is None else f"{row.against_others - 1:+8.0%}"
        print(f"  {row.question}: {row.case:34}{row.speed - 1:+8.0%}{others}{'  LOST' if lost else ''}")
    return passed


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("question", nargs="*", help=f"of {', '.join(QUESTIONS)}")
    parser.add_argument("--scale", choices=("small", "full"), default="small", help="small: seconds; full: minutes")
    parser.add_argument("--rounds", type=int, help="runs of every contender, in turn (3 small, 7 full)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases whose name holds TEXT")
    parser.add_argument("-o", "--output", type=Path, help="write the results as JSON")
    parser.add_argument("--install", action="store_true", help="install what contenders need first")
    parser.add_argument(
        "--directory", type=Path, help="where captures and programs go (full: 6 GB; default: a new one)"
    )
    parser.add_argument("--keep", action="store_true", help=f"keep the results in {BASELINE.name}")
    parser.add_argument("--gate", type=float, metavar="PERCENT", help="exit with 2 if a case lost more than that")
    parser.add_argument(
        "--write-docs", action="store_true", help="write docs/performance.md and its plots from what is kept"
    )
    arguments = parser.parse_args()
    for name in arguments.question:
        if name not in QUESTIONS:
            parser.error(f"no question {name!r}: {', '.join(QUESTIONS)}")
    return arguments


def run(arguments: argparse.Namespace, questions: list[Question], directory: Path) -> dict[str, Any]:
    """All questions, as results."""
    bench = Bench(arguments.scale, directory, arguments.only, say)
    rounds = arguments.rounds or bench.choose(3, 7)
    found = {question.name: hold(question, bench, rounds) for question in questions}
    return {"format": FORMAT, "scale": arguments.scale, "machine": machine(), "questions": found}


def main() -> int:
    arguments = parse()
    questions: list[Question] = [
        importlib.import_module(f"benchmarks.{name}").QUESTION for name in arguments.question or QUESTIONS
    ]
    if arguments.install:
        install((contender for question in questions for contender in question.contenders), say)
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        try:
            results = run(arguments, questions, Path(directory))
        except (WrongAnswerError, UnavailableError) as problem:
            say(f"the run ends: {problem}")
            return 1
    show(results)
    passed = show_changes(results, arguments.gate)
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=1) + "\n")
    if arguments.keep:
        keep(BASELINE, results)
    if arguments.write_docs:
        found = kept(BASELINE, "full") or kept(BASELINE, "small") or results
        write_documents(found, DOCUMENTS)
    return 0 if passed else 2


if __name__ == "__main__":
    sys.exit(main())
