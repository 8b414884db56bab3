"""Use of rules by flow logs: what a log of a capture leads to, held against the packets (docs/usage.md)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sgsim.analysis.usage import Status, Usage, removal, without_rules
from sgsim.analysis.usage_logs import LogUse
from sgsim.cli.main import run
from sgsim.engine import Snapshot
from sgsim.engine.logs import LogOptions, replay_logs
from sgsim.model import (
    Address,
    Cidr,
    CidrPeer,
    Direction,
    Environment,
    NetworkInterface,
    PortRange,
    SecurityGroup,
    SecurityGroupRule,
)
from sgsim.reference.flowlog import LogRecord
from sgsim.verdicts import Verdict
from tests.logs.support import batch_of, logged
from tests.usage.support import Case, allowed, answers, generated, plain_use
from tests.usage.test_formats import document
from tests.usage.test_golden import ROOT, SHOP

SEEDS = 220
UNUSED = (Status.UNUSED, Status.UNOBSERVED, Status.UNATTACHED)


@pytest.fixture(autouse=True)
def _at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def used(case: Case, *, flags: bool = True, likely: bool = False, interval: int = 5) -> tuple[Usage, LogUse]:
    """Use of rules by the log that a replay of the packets would write."""
    snapshot = Snapshot.of(case.environment, case.semantics)
    use = LogUse(snapshot, likely=likely)
    records = logged(case.environment, case.semantics, case.packets, interval=interval, flags=flags)
    batch = batch_of([one.record for one in records], [int(one.action) for one in records])
    for verdicts in replay_logs(snapshot, [batch], LogOptions(likely=likely)):
        use.add(verdicts)
    return Usage.of(snapshot, use.use()), use


def lost(case: Case, gone: Sequence[str]) -> list[tuple[int, int]]:
    """Packets (and ends) that are accepted with all rules and not without some, by the twin.

    A packet with an UNKNOWN end does not count, nor what comes after it between the two addresses: the log lacks it.
    """
    before = answers(case, case.environment)
    after = answers(case, without_rules(case.environment, gone))
    found, hidden = [], set()
    for n, (packet, here, there) in enumerate(zip(case.packets, before, after)):
        pair = frozenset((packet.source, packet.destination))
        if any(answer.action is Verdict.UNKNOWN for answer in here):
            hidden.add(pair)
        if pair not in hidden:
            found += [
                (n, end)
                for end, answer in enumerate(here)
                if answer.action is Verdict.ACCEPT and (end >= len(there) or there[end].action is not Verdict.ACCEPT)
            ]
    return found


@pytest.mark.parametrize(("flags", "interval"), [(True, 5), (False, 600)])
def test_unused_rules_let_nothing_in(flags: bool, interval: int) -> None:
    """With rules gone that the log says are unused, every packet that was accepted still is."""
    gone = 0
    for seed in range(SEEDS):
        case = generated(seed, 150)
        usage, _ = used(case, flags=flags, interval=interval)
        unused = [rule.rule_id for rule, status in zip(usage.rules, usage.status) if status in UNUSED]
        assert not lost(case, unused), seed
        gone += len(unused)
    assert gone > 1000


@pytest.mark.parametrize("interval", [5, 600])
def test_what_can_go_together_by_a_log_can(interval: int) -> None:
    gone = 0
    for seed in range(SEEDS):
        case = generated(seed, 150)
        usage, _ = used(case, interval=interval)
        answer = removal(usage)
        assert not lost(case, answer.removed), seed
        gone += len(answer.removed)
    assert gone > 500


def test_needed_rules_are_needed_and_redundant_ones_are_not() -> None:
    """Taking a rule away loses at least the flows that the log shows to be allowed by it alone; none, if there are
    others for all of them."""
    needed = redundant = 0
    for seed in range(SEEDS):
        case = generated(seed, 150)
        usage, _ = used(case, interval=600)
        _, openers = plain_use(case, answers(case, case.environment))
        for rule, status, sole in zip(usage.rules, usage.status, usage.use.sole.tolist()):
            if status is Status.NEEDED:
                without = without_rules(case.environment, [rule.rule_id])
                gone = [end for end, packet in openers.items() if not allowed(case, without, end, packet)]
                assert len(gone) >= sole > 0, (seed, rule)
                needed += 1
            elif status is Status.REDUNDANT:
                assert not lost(case, [rule.rule_id]), (seed, rule)
                redundant += 1
    assert needed > 500 and redundant > 300


# -- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The flow log that the example's capture makes, default format: no TCP flags."""
    path = tmp_path_factory.mktemp("log") / "shop.log"
    replay = ["replay", str(ROOT / "pcaps/shop"), str(ROOT / "pcaps/shop.pcap"), "--format", "flowlog", "-o", str(path)]
    assert run(replay) == 0
    return path


def by_rule(made: Any) -> dict[str, Any]:
    return {row["rule_id"]: row for row in made["rules"]}


def of_log(path: Path, log: Path, *more: str) -> Any:
    assert run(["usage", "pcaps/shop", str(log), "--format", "json", *more, "-o", str(path)]) == 0
    return json.loads(path.read_text())


def test_a_log_says_what_its_capture_says(tmp_path: Path, log: Path) -> None:
    """TCP and UDP rules have the same use; what a log cannot tell is possible, never unused."""
    capture, made = by_rule(document(tmp_path / "a", "--format", "json")), by_rule(of_log(tmp_path / "b", log))
    for rule_id, row in made.items():
        mine = capture[rule_id]
        assert row["flows"] <= mine["flows"] and row["sole_flows"] <= mine["sole_flows"]
        assert row["status"] in (mine["status"], "possible") or mine["status"] == "possible"
    same = [rule_id for rule_id, row in made.items() if row["flows"] and row["flows"] == capture[rule_id]["flows"]]
    assert len(same) >= 15


def test_rejected_records_are_no_use(tmp_path: Path, log: Path) -> None:
    """The log's own REJECT, of a network ACL for one: the rule let nothing in."""
    changed = tmp_path / "rejected.log"
    changed.write_text(
        "\n".join(
            line.replace("ACCEPT", "REJECT") if " 5432 " in line else line for line in log.read_text().splitlines()
        )
    )
    text = by_rule(of_log(tmp_path / "a", changed)), by_rule(of_log(tmp_path / "b", log))
    assert [made["sgr-020d9829e14fb1232"]["flows"] for made in text] == [0, 2]
    assert any("rejected by something else" in note for note in of_log(tmp_path / "c", changed)["notes"])


def test_nodata_is_an_observation(tmp_path: Path, log: Path) -> None:
    lines = log.read_text().splitlines()
    end = int(lines[-1].split()[11])
    later = end + 5 * 3600
    last = lines[-1].split()
    last[10:12] = [str(later), str(later)]
    quiet = [
        f"2 111122223333 eni-008176d70e8653827 - - - - - - - {at} {at + 59} - NODATA" for at in range(end, later, 600)
    ]
    lost = [quiet[0].replace("NODATA", "SKIPDATA")]
    file = tmp_path / "more.log"
    file.write_text("\n".join([*lines, " ".join(last)]) + "\n")
    assert len(of_log(tmp_path / "a", file)["window"]["gaps"]) == 1
    file.write_text("\n".join([*lines, *quiet, *lost, " ".join(last)]) + "\n")
    made = of_log(tmp_path / "b", file)
    assert made["window"]["gaps"] == []
    assert any(note.startswith("1 interval with records that AWS lost") for note in made["notes"])


def test_likely_trusts_port_numbers(tmp_path: Path, log: Path) -> None:
    plain, likely = of_log(tmp_path / "a", log), of_log(tmp_path / "b", log, "--likely")
    assert likely["options"] == {"likely": True}
    doubts = [
        sum(row["possible_records"] + row["doubtful_records"] for row in made["rules"]) for made in (plain, likely)
    ]
    assert doubts[1] < doubts[0]


def test_likely_keeps_rules_of_connections_of_which_only_replies_are_there(tmp_path: Path, log: Path) -> None:
    """What lets in a connection whose begin is on no record is not called unused, and does not go."""
    lines = log.read_text().splitlines()
    replies = tmp_path / "replies.log"
    replies.write_text("\n".join([lines[0], *(line for line in lines[1:] if line.split()[5] == "5432")]) + "\n")
    made = of_log(tmp_path / "a", replies, "--likely")
    rule = by_rule(made)["sgr-020d9829e14fb1232"]
    assert (rule["flows"], rule["status"]) == (0, "possible")
    assert "every record has the same verdict" in made["together"]["verified"]


def test_syn_ack_without_its_syn_keeps_the_rule_that_let_it_in() -> None:
    """Untracked: the answer passes by the rules of its own direction, whatever rule let the request in."""
    rules = [
        SecurityGroupRule("sgr-in", "sg-1", Direction.INGRESS, 6, CidrPeer(Cidr(4, 0, 0)), PortRange(80, 80)),
        SecurityGroupRule("sgr-out", "sg-1", Direction.EGRESS, None, CidrPeer(Cidr(4, 0, 0))),
    ]
    environment = Environment(
        {"sg-1": SecurityGroup("sg-1", tuple(rules), vpc_id="vpc-1")},
        {"eni-1": NetworkInterface("eni-1", (Address(4, 10 << 24),), ("sg-1",), vpc_id="vpc-1")},
    )
    snapshot = Snapshot.of(environment)
    use = LogUse(snapshot)
    record = LogRecord(4, 10 << 24, 8 << 24, 6, 80, 40000, 100, 105, "eni-1", Direction.EGRESS, 18)
    for verdicts in replay_logs(snapshot, [batch_of([record], [int(Verdict.ACCEPT)])], LogOptions()):
        use.add(verdicts)
    assert list(Usage.of(snapshot, use.use()).status) == [Status.POSSIBLE, Status.POSSIBLE]


def test_logs_from_stdin_and_from_a_directory(tmp_path: Path, log: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_bytes(log.read_bytes())
    command = [sys.executable, "-m", "sgsim.cli", "usage", "pcaps/shop", "-", "--format", "json"]
    with log.open("rb") as file:
        piped = json.loads(subprocess.run(command, stdin=file, capture_output=True, check=True, timeout=300).stdout)
    whole, listed = of_log(tmp_path / "a", log), of_log(tmp_path / "b", tmp_path / "logs")
    assert piped["rules"] == whole["rules"] == listed["rules"]
    assert "evaluated again" in piped["together"]["verified"]


def test_captures_and_logs_do_not_mix(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SHOP, str(log)]) == 1
    assert "this is a capture, and " in capsys.readouterr().err


def test_options_of_the_other_kind_are_refused(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["usage", "pcaps/shop", str(log), "--decapsulate"]) == 64
    assert "--decapsulate is for captures; these are flow logs" in capsys.readouterr().err
    assert run([*SHOP, "--likely"]) == 64
    assert "--likely is for flow logs; these are captures" in capsys.readouterr().err
