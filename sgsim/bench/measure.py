"""The figures of one subject."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np

from sgsim.analysis.usage_quotas import QuotaUse, quota_use
from sgsim.bench.check import WrongAnswerError, check_matches
from sgsim.bench.results import Figure, QuotaLine, Size
from sgsim.bench.subject import Subject
from sgsim.bench.timing import constant, rate, seconds_of, wall_seconds
from sgsim.engine import Engine, Snapshot, evaluate
from sgsim.generate.flowlog import write_text
from sgsim.generate.pcap import write_pcap
from sgsim.generate.records import log_records
from sgsim.model import TCP, CidrPeer, Direction, PortRange, SecurityGroupRule, parse_cidr
from sgsim.model.changes import Authorize, ChangeSet, Revoke
from sgsim.traffic import scan_packets
from sgsim.traffic.flowlogs import scan_flow_logs
from sgsim.traffic.kinds import TrafficKind
from sgsim.verdicts import RuleVerdicts, Verdict

__all__ = ["core_figures", "machine", "quota_lines", "reading_figures", "size_of"]


def machine() -> dict[str, str | int]:
    """Where this was measured."""
    return {
        "sgsim": version("sgsim"),
        "python": platform.python_version(),
        "numba": version("numba"),
        "numpy": version("numpy"),
        "cores": _cores(),
        "processor": _processor(),
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def size_of(subject: Subject, verdicts: RuleVerdicts) -> Size:
    """How much of everything the subject has."""
    environment = subject.environment
    accepted = verdicts.action == Verdict.ACCEPT
    sizes = np.diff(verdicts.sets.offsets)[verdicts.match_set[accepted]]
    return Size(
        rules=len(subject.snapshot.tables.rule_ids),
        groups=len(environment.groups),
        interfaces=len(environment.interfaces),
        flows=len(subject.table),
        accepted=float(accepted.mean()),
        mean_matches=float(sizes.mean()) if len(sizes) else 0.0,
        source=subject.source,
        traffic=subject.kind.value if subject.kind else "generated",
        seed=subject.seed,
    )


def core_figures(subject: Subject, runs: int) -> tuple[Size, tuple[Figure, ...]]:
    """Compile time, memory, matching and updates; answers are compared first. Raises WrongAnswerError."""
    snapshot, table = subject.snapshot, subject.table
    verdicts = evaluate(snapshot, table, scan_only=False)
    check_matches(subject, verdicts)
    environment, semantics = subject.environment, snapshot.semantics
    rules = max(len(snapshot.tables.rule_ids), 1)
    sets = verdicts.sets.offsets.nbytes + verdicts.sets.members.nbytes
    figures = [
        seconds_of("compile", lambda: Snapshot.of(environment, semantics), runs),
        constant("tables", snapshot.tables.nbytes / 1e6, "MB"),
        constant("tables a rule", snapshot.tables.nbytes / rules, "bytes"),
        rate(
            "match, one core",
            lambda: evaluate(snapshot, table, threads=1, scan_only=False),
            len(table),
            runs,
            unit="M flows/s",
        ),
    ]
    if _cores() > 1:
        work: Callable[[], RuleVerdicts] = lambda: evaluate(snapshot, table, scan_only=False)  # noqa: E731
        name = f"match, {_cores()} cores"
        figures.append(rate(name, work, len(table), runs, unit="M flows/s", clock=wall_seconds))
    figures.append(constant("match sets", sets / 1e6, "MB"))
    figures.append(seconds_of("update of a rule", _updates(snapshot), runs, unit="ms", each=2))
    return size_of(subject, verdicts), tuple(figures)


def _updates(snapshot: Snapshot) -> Callable[[], None]:
    """Add a rule to the group that most interfaces carry, and take it away again. Checks that both are seen."""
    environment = snapshot.environment
    carried: dict[str, int] = dict.fromkeys(environment.groups, 0)
    for interface in environment.interfaces.values():
        for group_id in interface.group_ids:
            if group_id in carried:
                carried[group_id] += 1
    group_id = max(carried, key=lambda one: (carried[one], one))
    peer = CidrPeer(parse_cidr("198.51.100.7/32"))
    rule = SecurityGroupRule("", group_id, Direction.INGRESS, TCP, peer, PortRange(54_321, 54_321))
    # As AWS would tell of it: whatever quota the group has outgrown, the change is made.
    add, remove = (
        ChangeSet((change,), accepted=True)
        for change in (Authorize(group_id, (rule,)), Revoke(group_id, rules=(rule,)))
    )
    engine, before = Engine(snapshot), len(environment.groups[group_id].rules)

    def rules_now() -> int:
        return len(engine.snapshot.environment.groups[group_id].rules)

    def work() -> None:
        engine.apply(add)
        added = rules_now()
        engine.apply(remove)
        if (added, rules_now()) != (before + 1, before):
            raise WrongAnswerError(f"{group_id}: an added rule is not there, or not gone again; nothing was timed")

    return work


def reading_figures(subject: Subject, runs: int) -> tuple[Figure, ...]:
    """How fast traffic is read: the user's files, or a capture and a flow log of the generated traffic."""
    if subject.kind is TrafficKind.CAPTURES:
        return _capture_figures(subject.paths, runs, None)
    if subject.kind is TrafficKind.FLOW_LOGS:
        return _log_figures(subject.paths, runs, None)
    with _files(subject) as (capture, packets, log, records):
        return *_capture_figures((capture,), runs, packets), *_log_figures((log,), runs, records)


@contextmanager
def _files(subject: Subject) -> Iterator[tuple[str, int, str, int]]:
    """The subject's traffic as files: (capture, its packets, flow log, its records)."""
    assert subject.stream is not None
    with tempfile.TemporaryDirectory(prefix="sgsim-bench-") as folder:
        capture, log = Path(folder) / "traffic.pcap", Path(folder) / "traffic.log"
        with capture.open("wb") as file:
            packets = write_pcap(subject.stream, file, packets=3, seconds=600, seed=subject.seed or 0)
        with log.open("wb") as file:
            records = write_text(log_records(subject.stream, 600, subject.seed or 0), subject.environment, file)
        yield str(capture), packets, str(log), records


def _capture_figures(paths: tuple[str, ...], runs: int, expected: int | None) -> tuple[Figure, ...]:
    def read() -> int:
        return sum(len(batch) for batch in scan_packets(paths))

    packets = _agreed(read, expected, "packets", paths)
    return (rate("capture reading", read, packets, runs, unit="M packets/s"),)


def _log_figures(paths: tuple[str, ...], runs: int, expected: int | None) -> tuple[Figure, ...]:
    def read() -> int:
        return sum(len(batch) for batch in scan_flow_logs(paths))

    records = _agreed(read, expected, "records", paths)
    return (rate("flow-log reading", read, records, runs, unit="M records/s"),)


def _agreed(read: Callable[[], int], expected: int | None, what: str, paths: tuple[str, ...]) -> int:
    """How many there are; twice the same, and what was written. Raises WrongAnswerError."""
    found = read()
    wanted = read() if expected is None else expected
    if found != wanted:
        raise WrongAnswerError(f"{', '.join(paths)}: {found} {what} were read, not {wanted}; nothing was timed")
    return found


def quota_lines(subject: Subject) -> tuple[QuotaLine, ...]:
    """How full the quotas of groups and interfaces are, by AWS's defaults."""
    groups = subject.environment.groups
    by_line: dict[tuple[str, str], list[QuotaUse]] = {}
    for use in quota_use(subject.environment):
        of = "group" if use.bucket != "groups" and use.subject in groups else "interface"
        by_line.setdefault((of, use.bucket), []).append(use)
    lines = []
    for (of, bucket), uses in sorted(by_line.items()):
        fullest = max(uses, key=lambda use: use.used)
        lines.append(
            QuotaLine(
                of=of,
                bucket=bucket,
                median=float(np.median([use.used for use in uses])),
                highest=fullest.used,
                subject=fullest.subject,
                limit=fullest.limit,
                over=sum(use.used > use.limit for use in uses),
            )
        )
    return tuple(lines)
