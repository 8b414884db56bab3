"""SARIF and JUnit, exit codes, suppressions on the command line, and input that cannot be used."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sgsim.analysis.findings import KINDS
from sgsim.cli.main import run

ROOT = Path(__file__).parents[2]
SHOP = ["usage", "pcaps/shop", "pcaps/shop.pcap"]


@pytest.fixture(autouse=True)
def _at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def document(path: Path, *more: str, code: int = 0) -> Any:
    assert run([*SHOP, *more, "-o", str(path)]) == code
    return json.loads(path.read_text())


def suppressing(path: Path, *entries: Sequence[str]) -> str:
    """A file of (rule or finding, target, until)."""
    lines = [f'[[suppress]]\n{key} = "{of}"\nreason = "because"\nuntil = {until}\n' for key, of, until in entries]
    path.write_text("".join(lines))
    return str(path)


# -- SARIF -------------------------------------------------------------------------------------------------------------


def check_sarif(log: Any) -> list[Any]:
    """What SARIF 2.1.0 asks of a log, where sgsim uses it (§3.13, §3.14, §3.18, §3.27, §3.49); its results."""
    assert set(log) == {"$schema", "version", "runs"} and log["version"] == "2.1.0"
    (the_run,) = log["runs"]
    driver = the_run["tool"]["driver"]
    assert driver["name"] == "sgsim" and driver["semanticVersion"].count(".") == 2
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids)
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"]
        assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")
    prints = set()
    for result in the_run["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error") and result["message"]["text"]
        (fingerprint,) = result["partialFingerprints"].values()
        assert fingerprint not in prints
        prints.add(fingerprint)
        for location in result["locations"]:
            uri = location["physicalLocation"]["artifactLocation"]["uri"]
            assert uri and " " not in uri and not uri.startswith("/")
            assert location["physicalLocation"]["region"]["startLine"] >= 1
            for logical in location["logicalLocations"]:
                assert logical["fullyQualifiedName"].endswith(logical["name"])
        for suppression in result.get("suppressions", []):
            assert suppression["kind"] in ("inSource", "external") and suppression["justification"]
    return list(the_run["results"])


def test_sarif_is_sarif(tmp_path: Path) -> None:
    results = check_sarif(document(tmp_path / "log", "--format", "sarif"))
    findings = document(tmp_path / "json", "--format", "json")["findings"]
    assert [result["partialFingerprints"]["sgsimFindingId/v1"] for result in results] == [
        finding["id"] for finding in findings
    ]
    assert [result["message"]["text"] for result in results] == [finding["message"] for finding in findings]


def test_sarif_marks_what_is_suppressed(tmp_path: Path) -> None:
    file = suppressing(tmp_path / "s.toml", ("finding", "unused/sgr-00e9494e8c4507d84", "2999-01-01"))
    results = check_sarif(document(tmp_path / "log", "--format", "sarif", "--suppressions", file))
    marked = [result["partialFingerprints"]["sgsimFindingId/v1"] for result in results if "suppressions" in result]
    assert marked == ["unused/sgr-00e9494e8c4507d84"]


# -- JUnit -------------------------------------------------------------------------------------------------------------


def test_junit_counts_add_up(tmp_path: Path) -> None:
    file = suppressing(tmp_path / "s.toml", ("rule", "sgr-00e9494e8c4507d84", "2999-01-01"))
    made = tmp_path / "junit.xml"
    arguments = ["--format", "junit", "--suppressions", file, "--fail-on", "unused"]
    assert run([*SHOP, *arguments, "-o", str(made)]) == 2
    suites = ElementTree.parse(made).getroot()
    assert [suite.get("name") for suite in suites] == [f"sgsim.usage.{kind}" for kind in KINDS]
    for element in (suites, *suites):
        cases = element.findall(".//testcase")
        assert int(element.get("tests", "")) == len(cases) > 0
        assert int(element.get("failures", "")) == len(element.findall(".//failure"))
        assert int(element.get("skipped", "")) == len(element.findall(".//skipped"))
        assert element.get("errors") == "0"
    assert suites.get("failures") == "3" and suites.get("skipped") == "1"
    names = [case.get("name") for case in suites.iter("testcase")]
    assert len(set(names)) == len(names) and "unused/sgr-03cd18f4701a846c9" in names


# -- exit codes and suppressions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 0),
        (["--exit-code"], 2),
        (["--fail-on", "unused"], 2),
        (["--fail-on", "over-quota"], 0),
        (["--fail-on", "over-quota,wider"], 2),
        (["--exit-code", "--fail-on", "over-quota"], 0),
    ],
)
def test_exit_code(arguments: list[str], code: int, tmp_path: Path) -> None:
    assert run([*SHOP, *arguments, "-o", str(tmp_path / "out")]) == code


def test_what_is_suppressed_does_not_fail(tmp_path: Path) -> None:
    subjects = [each["subject"] for each in document(tmp_path / "a", "--format", "json")["findings"]]
    entries = [("rule", subject, "2999-01-01") for subject in dict.fromkeys(subjects)]
    arguments = ["--exit-code", "--format", "json", "--suppressions", suppressing(tmp_path / "s.toml", *entries)]
    made = document(tmp_path / "b", *arguments)
    assert made["findings"] == [] and len(made["suppressed"]) == len(subjects)
    assert made["suppressed"][0]["suppression"] == {"rule": subjects[0], "reason": "because", "until": "2999-01-01"}


def test_expired_and_unknown_suppressions_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = suppressing(
        tmp_path / "s.toml", ("rule", "sgr-00e9494e8c4507d84", "2020-01-01"), ("rule", "x", "2999-01-01")
    )
    assert run([*SHOP, "--suppressions", file]) == 0
    text = capsys.readouterr().out
    assert "suppression of sgr-00e9494e8c4507d84 expired on 2020-01-01: because" in text
    assert "suppression of x fits no finding" in text
    assert run([*SHOP, "--suppressions", file, "--format", "csv"]) == 0
    assert "sgsim: suppression of x fits no finding" in capsys.readouterr().err
    made = document(tmp_path / "json", "--suppressions", file, "--format", "json")["suppressions"]
    assert [entry["rule"] for entry in made["expired"] + made["unknown"]] == ["sgr-00e9494e8c4507d84", "x"]


# -- together ----------------------------------------------------------------------------------------------------------


def test_together_asks_about_given_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = ["--together", "sgr-0b79ef774c5bdb6f7", "--together", "sgr-0e6b552c65f64d10e"]
    made = document(tmp_path / "a", "--format", "json", *both)["together"]
    assert (made["removed"], made["chosen"]) == (["sgr-0b79ef774c5bdb6f7"], ["sgr-0e6b552c65f64d10e"])
    assert made["verified"]
    assert run([*SHOP, *both[:2]]) == 0
    assert "the rule can go, and every flow" in capsys.readouterr().out
    assert run([*SHOP, "--together", "sgr-0ee51edb196f19a8c"]) == 0
    assert "the rule cannot go without" in capsys.readouterr().out


# -- input that cannot be used -----------------------------------------------------------------------------------------

REFUSED = {
    ("--together", "sgr-x"): (1, "--together: sgr-x is not a rule of the environment"),
    ("--vantage", "eni-x"): (1, "--vantage: eni-x is not an interface of the environment"),
    ("--vpc", "vpc-x"): (1, "--vpc: vpc-x is not a VPC of the environment"),
    ("--fail-on", "everything"): (64, "'everything' is none of unused, "),
    ("--suppressions", "nowhere.toml"): (1, "nowhere.toml: No such file or directory"),
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_refused(arguments: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    code, message = REFUSED[arguments]
    assert run([*SHOP, *arguments]) == code
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1


def test_stdin_is_verified_by_flows(tmp_path: Path) -> None:
    """What can be read only once is checked by flows of every match set."""
    with Path("pcaps/shop.pcap").open("rb") as capture:
        command = [sys.executable, "-m", "sgsim.cli", "usage", "pcaps/shop", "-", "--format", "json"]
        made = json.loads(subprocess.run(command, stdin=capture, capture_output=True, check=True, timeout=300).stdout)
    whole = document(tmp_path / "b", "--format", "json")
    assert "evaluated again" in made["together"].pop("verified")
    assert whole["together"].pop("verified").startswith("the same traffic again")
    assert made["together"] == whole["together"] and made["rules"] == whole["rules"]
