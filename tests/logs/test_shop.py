"""The example's flow logs: what their script writes, and what a replay of them must show."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sgsim.cli.main import run

ROOT = Path(__file__).parents[2]
PCAPS = ROOT / "pcaps"
SHOP, CAPTURE, LOGS = "pcaps/shop", "pcaps/shop.pcap", "pcaps/shop-flowlogs"


@pytest.fixture(autouse=True)
def _at_root(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(ROOT)
    yield


def replayed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert run(["replay", SHOP, *arguments]) == code
    return capsys.readouterr().out


def records(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in replayed(capsys, *arguments, "--format", "jsonl").splitlines()]


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(replayed(capsys, *arguments, "--format", "json"))
    return document


def test_script_reproduces_the_logs(tmp_path: Path) -> None:
    """The lines are the same wherever it runs; zlib may squeeze them otherwise elsewhere."""
    subprocess.run([sys.executable, PCAPS / "make_flowlogs.py", tmp_path], check=True, timeout=120)
    made = {path.relative_to(tmp_path): gzip.decompress(path.read_bytes()) for path in tmp_path.rglob("*.gz")}
    kept = {path.relative_to(ROOT / LOGS): gzip.decompress(path.read_bytes()) for path in (ROOT / LOGS).rglob("*.gz")}
    assert made == kept
    assert len(kept) == 3


def test_agreement_of_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    """Every oddity that the script put in is found, in its class."""
    agreement = report(capsys, LOGS)["agreement"]
    causes = {name: count for name, count in agreement["causes"].items() if count}
    decided = {name: causes[name] for name in ("NETWORK_ACL", "AFTER_CLOSE", "RULE_CHANGED", "UNEXPLAINED")}
    assert decided == {"NETWORK_ACL": 6, "AFTER_CLOSE": 1, "RULE_CHANGED": 2, "UNEXPLAINED": 1}
    assert agreement["contrary"] == 10
    assert causes["NO_INTERFACE"] == 4
    groups = {group["cause"]: group for group in agreement["disagreements"]}
    assert groups["NETWORK_ACL"]["network_acl_entry"] == 90
    assert groups["RULE_CHANGED"]["agreed_since"] >= 1
    assert groups["NO_INTERFACE"]["logged_interface_id"].startswith("eni-")
    assert agreement["agreeing"] + sum(causes.values()) == agreement["compared"]


def test_every_record_of_the_capture_gets_its_verdict_or_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    """The log of version 5 shows TCP's flags: connections that it shows from their SYN on get the same verdicts."""

    def key(record: dict[str, Any]) -> tuple[Any, ...]:
        names = ("interface_id", "flow_direction", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "start")
        return tuple(record[name] for name in names)

    capture = {key(record): record for record in records(capsys, CAPTURE, "--aggregation", "60")}
    outcomes: Counter[str] = Counter()
    for record in records(capsys, LOGS):
        there = capture.get(key(record))
        if there is None or there["action"] == "UNKNOWN":
            continue
        if record["action"] == "UNKNOWN":
            outcomes["unknown"] += 1
            assert record["protocol"] != 6 or record["evidence"] in ("NONE", "RULES")
            continue
        assert record["action"] == there["action"], record
        outcomes["same"] += 1
        if record["evidence"] == "SYN":
            assert (record["reason"], record["rule_ids"]) == (there["reason"], there["rule_ids"]), record
            assert record["initiating"] == there["initiating"]
    assert outcomes["same"] > 280
    assert outcomes["unknown"] < 45


def test_log_written_for_the_capture_never_says_the_contrary(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`--format flowlog` (version 2, without flags) replayed: what is not UNKNOWN is what the capture said."""
    path = tmp_path / "shop.log"
    path.write_text(replayed(capsys, CAPTURE, "--format", "flowlog"))
    agreement = report(capsys, str(path))["agreement"]
    assert agreement["contrary"] == 0
    assert agreement["agreeing"] > 190
    likely = report(capsys, str(path), "--likely")["agreement"]
    assert likely["contrary"] == 0
    assert likely["agreeing"] > 290


def test_formats_hold_the_same_records(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lines = records(capsys, LOGS)
    assert {line["recorded_action"] for line in lines} == {"ACCEPT", "REJECT"}
    table = list(csv.DictReader(io.StringIO(replayed(capsys, LOGS, "--format", "csv"))))
    assert [row["recorded_action"] for row in table] == [line["recorded_action"] for line in lines]
    assert [row["evidence"] for row in table] == [line["evidence"] for line in lines]
    path = tmp_path / "records.parquet"
    replayed(capsys, LOGS, "--format", "parquet", "-o", str(path))
    assert pq.read_table(path).to_pylist() == [{k: v for k, v in line.items() if k != "schema"} for line in lines]
    log = replayed(capsys, LOGS, "--format", "flowlog").splitlines()
    assert len(log) - 1 == sum(line["action"] != "UNKNOWN" for line in lines)


def test_exit_code_follows_agreement(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", SHOP, LOGS, "--exit-code", "--format", "json"]) == 2
    assert "--min-agreement is 100 %" in capsys.readouterr().err
    assert run(["replay", SHOP, LOGS, "--exit-code", "--min-agreement", "96", "--format", "json"]) == 0
    capsys.readouterr()


def test_nothing_to_compare_is_no_agreement(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    header = "interface-id srcaddr dstaddr srcport dstport protocol start end\n"
    (tmp_path / "log.txt").write_text(header + "eni-1 10.0.0.1 10.0.0.2 1 2 6 5 6\n")
    assert run(["replay", SHOP, str(tmp_path / "log.txt"), "--exit-code"]) == 2
    assert "nothing could be compared" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([LOGS, "--vantage", "eni-1"], "--vantage is for captures"),
        ([LOGS, "--decapsulate"], "--decapsulate is for captures"),
        ([LOGS, "--aggregation", "60"], "--aggregation is for captures"),
        ([LOGS, "--min-agreement", "90"], "--min-agreement needs --exit-code"),
        ([CAPTURE, "--likely"], "--likely is for flow logs"),
        ([CAPTURE, "--exit-code"], "--exit-code is for flow logs"),
        ([CAPTURE, "--join-window", "60"], "--join-window is for flow logs"),
    ],
)
def test_options_that_do_not_fit(capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str) -> None:
    assert run(["replay", SHOP, *arguments]) == 64
    assert problem in capsys.readouterr().err


def test_captures_and_logs_do_not_mix(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", SHOP, CAPTURE, LOGS]) == 1
    assert "one after the other" in capsys.readouterr().err


def test_strict_counts_what_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", SHOP, LOGS, "--strict", "--format", "json"]) == 1
    assert "UNKNOWN" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["log.gz", "log", "whatever.dat", "capture.pcap"])
def test_kind_is_told_by_content(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str) -> None:
    source = next((ROOT / LOGS).rglob("*.gz"))
    path = tmp_path / name
    if name.endswith("gz"):
        shutil.copy(source, path)
    else:
        path.write_bytes(gzip.decompress(source.read_bytes()))
    assert report(capsys, str(path))["log"]["records"] > 0


def test_interface_and_direction(capsys: pytest.CaptureFixture[str]) -> None:
    whole = records(capsys, LOGS)
    some = records(capsys, LOGS, "--direction", "ingress", "--interface", whole[0]["interface_id"])
    assert some == [
        r for r in whole if (r["interface_id"], r["flow_direction"]) == (whole[0]["interface_id"], "ingress")
    ]


def test_standard_input_is_looked_at_and_left_whole() -> None:
    for path, count in ((PCAPS / "shop.pcap", None), (min((ROOT / LOGS).rglob("*.gz")), 228)):
        done = subprocess.run(
            [sys.executable, "-m", "sgsim.cli", "replay", SHOP, "-", "--format", "jsonl"],
            input=path.read_bytes(), capture_output=True, check=True, timeout=300,
        )  # fmt: skip
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines
        assert ("recorded_action" in lines[0]) == (count is not None)
        assert count in (None, len(lines))
