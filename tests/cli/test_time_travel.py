"""`sgsim replay --changes`: the configuration that held at each packet's time, in every format, and bad input."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sgsim.cli.main import run

ROOT = Path(__file__).parents[2]
SHOP, CAPTURE, TRAIL = (str(ROOT / "pcaps" / name) for name in ("shop", "shop.pcap", "shop-changes/trail.json"))
AT = ("--env-time", "2026-03-02T09:07:00Z")
DATABASE, BASTION = "eni-09fe1a05a38959017", "eni-06075f2cf27bc21db"


def printed(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert run(["replay", SHOP, CAPTURE, "--changes", TRAIL, *options]) == 0
    return capsys.readouterr().out


def jsonl(capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in printed(capsys, "--format", "jsonl", *options).splitlines()]


def refused(capsys: pytest.CaptureFixture[str], trail: Any, tmp_path: Path, *options: str, code: int = 1) -> str:
    path = tmp_path / "trail.json"
    path.write_text(trail if isinstance(trail, str) else json.dumps(trail))
    assert run(["replay", SHOP, CAPTURE, "--changes", str(path), *options]) == code
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines()[-1].startswith("sgsim: ")
    return err.splitlines()[-1]


def changed(**more: Any) -> list[dict[str, Any]]:
    """The trail's records, the first one with other members."""
    first, *rest = json.loads(Path(TRAIL).read_text())["Records"]
    return [{**first, **more}, *rest]


def test_each_record_has_its_snapshot(capsys: pytest.CaptureFixture[str]) -> None:
    """And the change that decided what the rules say, with what they said before."""
    records = jsonl(capsys, *AT)
    assert {record["snapshot"] for record in records} == {0, 1, 2, 3, 4}
    to_exporter = [
        (one["snapshot"], one["action"], one["changed_by"], one["rules_before"])
        for one in records
        if one["interface_id"] == DATABASE and one["dstport"] == 9100
    ]
    revoked = "RevokeSecurityGroupIngress 003840bfa5226da0e"
    assert to_exporter == [
        (0, "ACCEPT", None, None),
        (1, "REJECT", revoked, "ACCEPT"),
        (4, "REJECT", revoked, "ACCEPT"),
    ]


def test_a_tracked_connection_outlives_its_rule(capsys: pytest.CaptureFixture[str]) -> None:
    found = [one for one in jsonl(capsys, *AT) if one["srcaddr"] == "2001:db8:ff1c:1::20"]
    assert {(one["snapshot"], one["action"], one["reason"]) for one in found} == {
        (2, "ACCEPT", "RULE"),
        (3, "ACCEPT", "RULE"),
        (4, "ACCEPT", "TRACKED"),
    }


def test_what_is_not_known_of_the_past_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    """Before ModifySecurityGroupRules, whatever the rule may have let in."""
    found = [one for one in jsonl(capsys, *AT) if one["dstport"] == 22 and one["srcaddr"] == "10.20.0.10"]
    ingress = [one for one in found if one["flow_direction"] == "ingress"]
    assert {(one["snapshot"], one["action"]) for one in ingress} == {(0, "UNKNOWN")}
    assert {tuple(one["possible_rule_ids"]) for one in ingress} == {("sgr-05242747ea745169e",)}


def test_the_formats_agree(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lines = jsonl(capsys, *AT)
    rows = list(csv.DictReader(io.StringIO(printed(capsys, "--format", "csv", *AT))))
    printed(capsys, "--format", "parquet", "-o", str(tmp_path / "out.parquet"), *AT)
    table = pq.read_table(tmp_path / "out.parquet").to_pylist()
    for name in ("snapshot", "changed_by", "rules_before", "action"):
        expected = [one[name] for one in lines]
        assert [row[name] for row in table] == expected
        assert [row[name] for row in rows] == ["-" if value is None else str(value) for value in expected]


def test_summary(capsys: pytest.CaptureFixture[str]) -> None:
    timeline = json.loads(printed(capsys, "--format", "json", *AT))["timeline"]
    assert (timeline["present"], timeline["environment_time"]) == (3, "2026-03-02T09:07:00+00:00")
    assert [one["snapshot"] for one in timeline["snapshots"]] == [0, 1, 2, 3, 4]
    first = timeline["snapshots"][1]
    assert first["since"] == "2026-03-02T09:03:00+00:00"
    (event,) = first["events"]
    assert event["principal"] == "arn:aws:iam::111122223333:user/maja" and event["source"] == "203.0.113.20"
    (turn,) = first["turns"]
    assert (turn["rules_before"], turn["action"], turn["port"], turn["records"]) == ("ACCEPT", "REJECT", 9100, 2)
    (line,) = timeline["unresolved"]
    assert "sgr-05242747ea745169e" in line and "ModifySecurityGroupRules" in line


def test_without_changes_that_matter(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """An empty trail gives the records of a replay without one."""
    path = tmp_path / "trail.json"
    path.write_text('{"Records": []}')
    assert run(["replay", SHOP, CAPTURE, "--format", "jsonl"]) == 0
    plain = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert run(["replay", SHOP, CAPTURE, "--format", "jsonl", "--changes", str(path)]) == 0
    timed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {(one.pop("snapshot"), one.pop("changed_by"), one.pop("rules_before")) for one in timed} == {(0, None, None)}
    assert timed == plain


def test_the_time_that_collect_noted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    for path in (ROOT / "pcaps/shop").iterdir():
        (shop / path.name).write_bytes(path.read_bytes())
    notes = {"CollectedAt": "2026-03-02T09:07:00+00:00", "Account": "111122223333", "Region": "eu-west-1"}
    (shop / "collection.json").write_text(json.dumps({"SgsimCollection": notes}))
    assert run(["replay", str(shop), CAPTURE, "--changes", TRAIL, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["timeline"]["present"] == 3


def test_interfaces_and_vantage(capsys: pytest.CaptureFixture[str]) -> None:
    assert {one["interface_id"] for one in jsonl(capsys, *AT, "--interface", BASTION)} == {BASTION}
    assert {one["interface_id"] for one in jsonl(capsys, *AT, "--vantage", BASTION)} <= {BASTION, None}


def test_a_trail_that_does_not_fit(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The file, the record, the event, what does not fit."""
    error = refused(capsys, {"Records": changed()}, tmp_path)  # the environment is not of after 09:08
    assert f"{tmp_path}/trail.json, Records[5], event 0cd1b9489f66695e0: " in error
    assert "RevokeSecurityGroupIngress 0cd1b9489f66695e0 does not fit the environment: " in error
    assert "sgr-0278572550c7c7345 is still in sg-02f34b462d271e725 afterwards" in error and "--env-time" in error
    error = refused(capsys, {"Records": changed()}, tmp_path, "--env-time", "2026-03-02T09:01:00Z")
    assert "Records[0]" in error and "InvalidPermission.NotFound" in error


def test_events_that_miss_fields(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What is not understood is named on stderr, and the others count."""
    path = tmp_path / "trail.json"
    strange = [{"eventName": "RevokeSecurityGroupIngress", "eventSource": "ec2.amazonaws.com"}, {"eventName": 3}]
    others = [{"eventName": "PutObject", "eventSource": "s3.amazonaws.com", "eventTime": "2026-03-02T09:00:00Z"}]
    path.write_text(json.dumps({"Records": [*changed(), *strange, *others]}))
    assert run(["replay", SHOP, CAPTURE, "--changes", str(path), *AT, "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert len(json.loads(out)["timeline"]["snapshots"]) == 5
    assert "Records[6]: RevokeSecurityGroupIngress is not understood and left out (eventTime" in err
    assert "Records[7]: an event is not understood" in err and "1 event left out: of other services" in err


@pytest.mark.parametrize(
    ("trail", "problem"),
    [
        ("{", "the document stops"),
        ({"Action": "DeleteSecurityGroup", "GroupId": "sg-0d4466124e1efec04"}, "do not tell when they were made"),
        ({"strange": 1}, "neither a request"),
    ],
)
def test_what_is_no_trail(capsys: pytest.CaptureFixture[str], tmp_path: Path, trail: Any, problem: str) -> None:
    error = refused(capsys, trail, tmp_path)
    assert f"{tmp_path}/trail.json" in error and problem in error


def test_wrong_usage(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["replay", SHOP, CAPTURE, *AT]) == 64
    assert "--env-time needs --changes" in capsys.readouterr().err
    assert run(["replay", SHOP, CAPTURE, "--changes", TRAIL, "--env-time", "yesterday"]) == 64
    assert "'yesterday' is no date and time" in capsys.readouterr().err


LOGS = str(ROOT / "pcaps/shop-flowlogs")


def test_flow_logs(capsys: pytest.CaptureFixture[str]) -> None:
    """Each record by the version of its beginning; one during which the rules changed is UNKNOWN where they differ."""
    assert run(["replay", SHOP, LOGS, "--changes", TRAIL, *AT, "--format", "jsonl"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {one["snapshot"] for one in records} == {0, 1, 2, 3, 4}
    to_exporter = [
        (one["snapshot"], one["action"], one["recorded_action"], one["rules_before"])
        for one in records
        if one["interface_id"] == DATABASE and one["dstport"] == 9100
    ]
    assert to_exporter == [
        (0, "ACCEPT", "REJECT", None), (1, "REJECT", "REJECT", "ACCEPT"), (4, "REJECT", "REJECT", "ACCEPT")
    ]  # fmt: skip
    session = [one for one in records if one["srcaddr"] == "2001:db8:ff1c:1::20" and one["snapshot"] == 4]
    assert {one["action"] for one in session} == {"UNKNOWN"}
    assert run(["replay", SHOP, LOGS, "--changes", TRAIL, *AT, "--format", "json"]) == 0
    timeline = json.loads(capsys.readouterr().out)["timeline"]
    assert timeline["spanning_records"] == 1 and len(timeline["snapshots"][1]["turns"]) == 1
