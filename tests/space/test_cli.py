"""`sgsim test` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sgsim.cli.main import run

SHOP = Path(__file__).parents[2] / "pcaps" / "shop"

GOOD = """\
- reject: internet > any:22
  name: nobody logs in from outside
- accept: tcp internet > shop-alb:443
- accept: tcp shop-web > shop-app:8443
"""
BAD = GOOD + "- reject: tcp internet > shop-alb:443\n- accept: [udp shop-web > shop-app:514]\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)
    return tmp_path


def test_all_hold(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["test", str(SHOP), str(files / "good.yaml")]) == 0
    assert capsys.readouterr().out == "3 expectations: all hold\n"


def test_a_failure_has_a_counterexample(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and one packet with the interface and the rule."""
    assert run(["test", str(SHOP), str(files / "bad.yaml")]) == 2
    out = capsys.readouterr().out
    assert "FAILED  line 5: reject: tcp internet > shop-alb:443" in out
    assert "receiver eni-" in out and "ACCEPT by sgr-" in out
    assert out.endswith("5 expectations: 2 failed\n")


def test_machine_formats(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["test", str(SHOP), str(files / "bad.yaml"), "--format", "json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["expectations"], document["failed"]) == ("sgsim.expectations/1", 5, 2)
    first, failed = document["results"][0], document["results"][3]
    assert (first["name"], first["line"], first["holds"]) == ("nobody logs in from outside", 1, True)
    assert failed["counterexample"]["path_action"] == "ACCEPT"
    assert failed["counterexample"]["egress"] is None and failed["counterexample"]["ingress"]["rule_ids"]
    target = files / "out.xml"
    assert run(["test", str(SHOP), str(files / "bad.yaml"), "--format", "junit", "-o", str(target)]) == 2
    suite = ElementTree.parse(target).getroot().find("testsuite")
    assert suite is not None and (suite.get("tests"), suite.get("failures")) == ("5", "2")
    assert [case.find("failure") is not None for case in suite] == [False, False, False, True, True]


def test_changes_first(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A change that opens SSH makes the expectation fail."""
    alb = json.loads((SHOP / "security-groups.json").read_text())["SecurityGroups"]
    group_id = next(group["GroupId"] for group in alb if group["GroupName"] == "shop-alb")
    permission = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "54.0.0.0/8"}]}
    change = {"Action": "AuthorizeSecurityGroupIngress", "GroupId": group_id, "IpPermissions": [permission]}
    (files / "change.json").write_text(json.dumps(change))
    command = ["test", str(SHOP), str(files / "good.yaml"), "--changes", str(files / "change.json")]
    assert run(command) == 2
    assert "tcp 54.0.0.0 > " in capsys.readouterr().out


def test_mistakes_are_one_line(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = files / "wrong.yaml"
    wrong.write_text("- accept: any > any:22\n- accept: any > sg-nobody\n")
    assert run(["test", str(SHOP), str(wrong)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and f"{wrong}, line 2, column 17: 'sg-nobody' is no interface" in error
    assert run(["test", str(SHOP), str(files / "missing.yaml")]) == 1
    assert "cannot be read" in capsys.readouterr().err
