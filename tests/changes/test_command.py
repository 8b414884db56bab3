"""`sgsim apply`: the difference as text, the new environment as a directory, exit codes and one-line errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sgsim.cli.main import run
from sgsim.importers import read_environment
from sgsim.importers.changes import read_changes
from sgsim.model.apply import apply
from sgsim.model.changes import (
    AddInterface,
    ChangeSet,
    CreateGroup,
    DeleteGroup,
    DescribeRule,
    RemoveInterface,
    SetGroups,
)
from sgsim.report.changes import changes_text
from sgsim.report.style import Style
from tests.changes.support import account, bare, group, interface

PCAPS = Path(__file__).parents[2] / "pcaps"
SHOP = PCAPS / "shop"
BASTION, OFFICE = "sg-02f34b462d271e725", "pl-0ff1ce5a7d3e90b21"


def request(port: int = 22, **more: Any) -> dict[str, Any]:
    ranges = [{"CidrIp": "198.51.100.7/32", "Description": "Oslo"}]
    permission = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": ranges}
    action = {"Action": "AuthorizeSecurityGroupIngress", "GroupId": BASTION}
    return {**action, "IpPermissions": [permission], **more}


@pytest.fixture
def changes(tmp_path: Path) -> Path:
    entries = {"PrefixListId": OFFICE, "RemoveEntries": [{"Cidr": "203.0.113.40/32"}]}
    path = tmp_path / "changes.json"
    path.write_text(json.dumps([request(), {"Action": "ModifyManagedPrefixList", **entries}]))
    return path


def test_the_difference_is_shown(changes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["apply", str(SHOP), str(changes)]) == 0
    assert capsys.readouterr() == (
        f'{BASTION} (shop-bastion)\n  + in tcp 22 from 198.51.100.7/32 "Oslo"\n{OFFICE}\n  - 203.0.113.40/32\n',
        "",
    )
    assert run(["apply", str(SHOP), str(SHOP)]) == 0
    assert capsys.readouterr().out == "nothing changes\n"
    assert run(["apply", str(SHOP), str(changes), "--color", "always"]) == 0
    assert "\x1b[32m" in capsys.readouterr().out


def test_the_new_environment(tmp_path: Path, changes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """read(NEW) is apply(read(ENV)); the way back is the difference to the old one."""
    new = tmp_path / "new"
    assert run(["apply", str(SHOP), str(changes), "-o", str(new)]) == 0
    assert capsys.readouterr() == ("", "")
    shop = read_environment(SHOP)
    assert bare(read_environment(new)) == bare(apply(shop, read_changes(changes, shop)))
    assert run(["apply", str(new), str(SHOP), "-o", str(tmp_path / "back")]) == 0
    assert bare(read_environment(tmp_path / "back")) == bare(shop)


def test_the_example_is_judged_alike_when_written(tmp_path: Path) -> None:
    """Nothing that decides a verdict is lost on the way through apply: the same records, rule ids and all."""
    assert run(["apply", str(SHOP), str(SHOP), "-o", str(tmp_path / "same")]) == 0
    for name, environment in (("a.csv", SHOP), ("b.csv", tmp_path / "same")):
        arguments = [
            "replay",
            str(environment),
            str(PCAPS / "shop.pcap"),
            "--format",
            "csv",
            "-o",
            str(tmp_path / name),
        ]
        assert run(arguments) == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_refused(tmp_path: Path, changes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, one line, AWS's code, and nothing is written."""
    changes.write_text(json.dumps([request(), request()]))
    assert run(["apply", str(SHOP), str(changes), "-o", str(tmp_path / "new")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"sgsim: {changes}, [1]: InvalidPermission.Duplicate: the specified rule")
    assert error.count("\n") == 1 and sorted(tmp_path.iterdir()) == [changes]
    changes.write_text(json.dumps(request(70_000)))
    assert run(["apply", str(SHOP), str(changes)]) == 1
    assert "IpPermissions[0].FromPort: InvalidPermission.Malformed: TCP/UDP port (70000)" in capsys.readouterr().err


def test_quotas(changes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes.write_text(json.dumps([request(port) for port in range(1000, 1100)]))
    assert run(["apply", str(SHOP), str(changes)]) == 1
    assert "RulesPerSecurityGroupLimitExceeded" in capsys.readouterr().err
    assert run(["apply", str(SHOP), str(changes), "--quota", "rules-per-group=200"]) == 0
    for text in ("rules=3", "rules_per_group", "rules_per_group=-1", "rules_per_group=many"):
        assert run(["apply", str(SHOP), str(changes), "--quota", text]) == 64


def test_bad_places(tmp_path: Path, changes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What exists is not touched; the new environment does not go into the old one; missing files."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    for arguments, text in (
        ([str(SHOP), str(changes), "-o", str(tmp_path / "full")], "exists already"),
        ([str(SHOP), str(changes), "-o", str(SHOP / "new")], "lies inside"),
        ([str(SHOP), str(tmp_path / "none.json")], "cannot be read"),
        ([str(tmp_path / "none"), str(changes)], "cannot be read"),
    ):
        assert run(["apply", *arguments]) == 1
        error = capsys.readouterr().err
        assert text in error and error.count("\n") == 1
    assert not (SHOP / "new").exists()


def test_remarks_go_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    event = {"eventName": "DescribeInstances", "eventSource": "ec2.amazonaws.com"}
    (tmp_path / "trail.json").write_text(json.dumps({"Records": [event]}))
    assert run(["apply", str(SHOP), str(tmp_path / "trail.json")]) == 0
    assert capsys.readouterr() == (
        "nothing changes\n",
        "sgsim: 1 event left out: calls that change no verdict\n",
    )


def test_every_kind_of_change_has_its_line() -> None:
    before = account()
    made = (
        DescribeRule("sg-web", "public \x1b[31m", "sgr-web0"),
        CreateGroup(group("sg-new", "out all ::/0")),
        SetGroups("eni-db", ("sg-new", "sg-default")),
        AddInterface(interface("eni-new", "sg-new")),
        RemoveInterface("eni-web"),
        DeleteGroup("sg-idle"),
    )
    assert changes_text(before, apply(before, ChangeSet(made, accepted=True)), Style(False)) == (
        "sg-new (new)\n  + the group, in vpc-1\n  + out all traffic to ::/0\n"
        'sg-web (web)\n  ~ in tcp 443 from 0.0.0.0/0 → "public \\x1b[31m"\n'
        "eni-db\n  - sg-db (db)\n  + sg-new (new)\n"
        "eni-new\n  + the interface, 10.0.0.9, with sg-new (new)\n"
        "eni-web\n  - the interface\n"
        "sg-idle (idle)\n  - the group and its rules\n"
    )


def test_the_documented_example(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """docs/changes.md shows real input and output."""
    text = (Path(__file__).parents[2] / "docs" / "changes.md").read_text()
    shown = text.split("$ sgsim apply pcaps/shop changes.json\n")[1].split("$ sgsim")[0]
    document = text.split("```json\n")[1].split("```")[0]
    (tmp_path / "changes.json").write_text(document)
    assert run(["apply", str(SHOP), str(tmp_path / "changes.json")]) == 0
    assert capsys.readouterr().out == shown
