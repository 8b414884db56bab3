"""`sgsim whatif`: formats, stable ids, exit codes, and input that cannot be used."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from sgsim.analysis.whatif import KINDS
from sgsim.cli.main import run
from sgsim.cli.whatif import FAIL_ON
from sgsim.report.whatif_markdown import _cell
from tests.usage.test_formats import check_sarif

ROOT = Path(__file__).parents[2]
SHOP, CHANGE, CAPTURE = "pcaps/shop", "pcaps/shop-change.json", "pcaps/shop.pcap"
WITH_TRAFFIC = ["whatif", SHOP, CHANGE, "--traffic", CAPTURE, "--at", "2026-03-02T09:09:08Z"]
BASTION, DATABASE, ALB = "sg-02f34b462d271e725", "sg-05d94fc19dda3f898", "sg-05f12f21c3e0d0935"
BASTION_CARD = "eni-06075f2cf27bc21db"


@pytest.fixture(autouse=True)
def _at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def document(path: Path, *arguments: str, code: int = 0) -> Any:
    assert run([*arguments, "--format", "json", "-o", str(path)]) == code
    return json.loads(path.read_text())


def changes(path: Path, *requests: dict[str, Any]) -> str:
    file = path / "changes.json"
    file.write_text(json.dumps(requests))
    return str(file)


def permission(cidr: str, first: int = 22, last: int | None = None, protocol: str = "tcp") -> list[dict[str, Any]]:
    ports = {"FromPort": first, "ToPort": first if last is None else last}
    return [{"IpProtocol": protocol, **ports, "IpRanges": [{"CidrIp": cidr}]}]


# -- what it says ------------------------------------------------------------------------------------------------------


def test_all_four_parts(tmp_path: Path) -> None:
    """The example: the database closed to its clients, HTTPS closed, SSH opened to all of IPv4 by two halves."""
    found = document(tmp_path / "out", *WITH_TRAFFIC)
    kinds = found["traffic"]["kinds"]
    assert kinds["newly-rejected"]["connections"] == {"connections": 13, "packets": 176, "bytes": 69111}
    assert kinds["newly-accepted"]["flows"]["flows"] == 2
    assert found["traffic"]["by_group"][0] == {
        "kind": "newly-rejected", "id": ALB, "flows": 11, "packets": 11, "bytes": 484
    }  # fmt: skip
    assert found["connections"]["fates"] == {
        "cut": 0, "undetermined": 1, "survives": 2, "fails-on-reconnect": 0, "goes-on": 1
    }  # fmt: skip
    (undetermined, survives) = found["connections"]["changes"]
    assert undetermined["depends_on_path"] and survives["times_out_in"]["first"] < 432_000
    (opened,) = [row for row in found["packet_space"] if row["opens_to_internet"]["interface_ids"]]
    assert opened["opens_to_internet"] == {"interface_ids": [BASTION_CARD], "ipv4": ["tcp 22"], "ipv6": []}
    assert {"subject": BASTION, "bucket": "ingress/ipv4", "before": 10, "after": 12, "limit": 60, "over": False} in (
        found["quota"]
    )


def test_without_traffic(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Packet space and quotas need none."""
    found = document(tmp_path / "out", "whatif", SHOP, CHANGE)
    assert found["traffic"] is found["connections"] is None
    assert found["kinds"] == ["opens-internet", "opened", "closed"]
    assert run(["whatif", SHOP, CHANGE]) == 0
    assert "none given" in capsys.readouterr().out


def test_flow_logs(tmp_path: Path) -> None:
    """Records alike; what the log itself rejected is told apart."""
    found = document(tmp_path / "out", "whatif", SHOP, CHANGE, "--traffic", "pcaps/shop-flowlogs")
    rejected = [change for change in found["traffic"]["changes"] if change["kind"] == "newly-rejected"]
    assert {rule for change in rejected if change["opening"] for rule in change["before"]["rule_ids"]} == {
        "sgr-0cc4fce4be4bce4b3", "sgr-020d9829e14fb1232"
    }  # fmt: skip
    assert any(change["rejected_in_log"] for change in rejected)
    assert found["connections"]["open"] == 3 and found["connections"]["fates"]["undetermined"] == 2
    assert not any(one["surely_open"] for one in found["connections"]["changes"])
    assert any("flow log" in note for note in found["notes"])


def test_a_second_environment_that_is_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing changes: nothing is found, and every exit code is 0."""
    found = document(tmp_path / "out", "whatif", SHOP, SHOP, "--traffic", CAPTURE, "--exit-code")
    assert found["findings"] == found["quota"] == found["packet_space"] == found["traffic"]["changes"] == []
    assert run(["whatif", SHOP, SHOP, "--traffic", CAPTURE]) == 0
    assert "no packet has another verdict" in capsys.readouterr().out


def test_a_new_connection_may_work_where_the_old_one_is_cut(tmp_path: Path) -> None:
    """Without the rule that lets everything out, what was untracked is judged packet by packet, and anew tracked."""
    every = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    asked = changes(tmp_path, {"Action": "RevokeSecurityGroupEgress", "GroupId": ALB, "IpPermissions": every})
    arguments = ["whatif", SHOP, asked, "--traffic", CAPTURE, "--at", "1772442548"]
    found = document(tmp_path / "out", *arguments)
    undetermined = [one for one in found["connections"]["changes"] if one["service"] == "tcp 443"]
    assert [one["fate"] for one in undetermined] == ["undetermined"]
    direct = document(tmp_path / "out", *arguments, "--direct")
    (cut,) = [one for one in direct["connections"]["changes"] if one["service"] == "tcp 443"]
    assert (cut["fate"], cut["new_connection"]["action"]) == ("cut", "ACCEPT")


def test_split_blocks_do_not_hide(tmp_path: Path) -> None:
    """A ninth of IPv4 each is under the threshold, both together are not."""
    steps = [
        {"Action": "AuthorizeSecurityGroupIngress", "GroupId": BASTION, "IpPermissions": permission(f"{first}.0.0.0/9")}
        for first in (64, 65)
    ]
    assert "opens-internet" not in document(tmp_path / "out", "whatif", SHOP, changes(tmp_path, steps[0]))["kinds"]
    assert "opens-internet" in document(tmp_path / "out", "whatif", SHOP, changes(tmp_path, *steps))["kinds"]
    one = ["whatif", SHOP, changes(tmp_path, steps[0]), "--internet", "9,16"]
    assert "opens-internet" in document(tmp_path / "out", *one)["kinds"]


# -- formats -----------------------------------------------------------------------------------------------------------


def test_ids_are_stable_and_the_same_in_every_format(tmp_path: Path) -> None:
    found = document(tmp_path / "out", *WITH_TRAFFIC)
    ids = [one["id"] for one in found["findings"]]
    assert len(set(ids)) == len(ids) > 5
    assert "newly-rejected/eni-09fe1a05a38959017/ingress/sgr-020d9829e14fb1232" in ids
    assert f"opens-internet/{BASTION_CARD}/ingress" in ids
    assert run([*WITH_TRAFFIC, "--format", "jsonl", "-o", str(tmp_path / "rows")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()]
    assert [row["id"] for row in rows] == ids
    assert all(row[row["part"]] for row in rows)
    assert run([*WITH_TRAFFIC, "--format", "sarif", "-o", str(tmp_path / "sarif")]) == 0
    results = check_sarif(json.loads((tmp_path / "sarif").read_text()))
    assert [next(iter(result["partialFingerprints"].values())) for result in results] == ids
    assert run([*WITH_TRAFFIC, "--format", "junit", "-o", str(tmp_path / "junit"), "--fail-on", "cut"]) == 0
    suites = ElementTree.parse(tmp_path / "junit").getroot()
    assert [suite.get("name") for suite in suites] == [f"sgsim.whatif.{kind}" for kind in KINDS]
    assert {case.get("name") for suite in suites for case in suite} >= set(ids)
    assert suites.get("failures") == "0"


def test_markdown_cannot_be_misread(capsys: pytest.CaptureFixture[str]) -> None:
    """Names with Markdown and HTML stay text; every table row is one; every fold is closed."""
    assert _cell("a|b <x> [l](u) *b*\x1b") == "a\\|b \\<x\\> \\[l\\](u) \\*b\\*\\\\x1b"
    assert run([*WITH_TRAFFIC, "--format", "markdown"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("### ⚠️") and text.count("<details>") == text.count("</details>") == 6
    assert all(line.endswith("|") for line in text.splitlines() if line.startswith("|"))


# -- exit codes --------------------------------------------------------------------------------------------------------


def test_kinds_are_those_of_the_analysis() -> None:
    assert tuple(KINDS) == FAIL_ON


@pytest.mark.parametrize(
    ("options", "code"),
    [((), 0), (("--exit-code",), 2), (("--fail-on", "newly-accepted,cut"), 2), (("--fail-on", "cut,quota"), 0)],
)
def test_exit_codes(options: tuple[str, ...], code: int) -> None:
    assert run([*WITH_TRAFFIC, *options]) == code


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), 0),
        (("--exit-code",), 2),
        (("--fail-on", "opens-internet"), 2),
        (("--fail-on", "newly-rejected,opens-internet"), 2),
        (("--fail-on", "nonsense"), 64),
        (("--traffic", CAPTURE, "--at", "yesterday"), 64),
        (("--internet", "8"), 0),
        (("--internet", "33,16"), 64),
        (("--traffic", CAPTURE, "--join-window", "5"), 64),
    ],
)
def test_exit_codes_without_traffic(options: tuple[str, ...], code: int) -> None:
    assert run(["whatif", SHOP, CHANGE, *options]) == code


def test_a_quota_that_is_exceeded(tmp_path: Path) -> None:
    """AWS would refuse it; where the account has a higher quota, or has done it already, it is reported."""
    ranges = [{"CidrIp": f"198.51.{n}.0/24"} for n in range(60)]
    asked = {"Action": "AuthorizeSecurityGroupIngress", "GroupId": BASTION}
    many = changes(
        tmp_path, {**asked, "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": ranges}]}
    )
    assert run(["whatif", SHOP, many]) == 1
    assert run(["whatif", SHOP, many, "--quota", "rules_per_group=100", "--fail-on", "quota"]) == 0
    new = tmp_path / "new"
    assert run(["apply", SHOP, many, "--quota", "rules_per_group=100", "-o", str(new)]) == 0
    found = document(tmp_path / "out", "whatif", SHOP, str(new), "--fail-on", "quota", code=2)
    assert [one["id"] for one in found["findings"] if one["kind"] == "quota"] == [f"quota/{BASTION}/ingress/ipv4"]


# -- bad input ---------------------------------------------------------------------------------------------------------

ODD_EVENT = {
    "eventVersion": "1.08", "eventSource": "ec2.amazonaws.com", "eventName": "RevokeSecurityGroupIngress",
    "awsRegion": "eu-west-1", "recipientAccountId": "111122223333", "requestParameters": {"groupId": BASTION},
}  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"Action": "RevokeSecurityGroupIngress", "GroupId": "sg-0123456789abcdef0",
          "IpPermissions": permission("10.0.0.0/8")}, "InvalidGroup.NotFound"),
        ({"Action": "RevokeSecurityGroupIngress", "GroupId": BASTION,
          "SecurityGroupRuleIds": ["sgr-0123456789abcdef0"]}, "InvalidSecurityGroupRuleId.NotFound"),
        ({"Action": "RevokeSecurityGroupIngress", "GroupId": BASTION,
          "IpPermissions": permission("10.9.0.0/16")}, "InvalidPermission.NotFound"),
        ({"Action": "AuthorizeSecurityGroupIngress", "GroupId": ALB,
          "IpPermissions": permission("0.0.0.0/0", 443)}, "InvalidPermission.Duplicate"),
        ({"Action": "DeleteSecurityGroup", "GroupId": ALB}, "DependencyViolation"),
        ({"Action": "Fly", "GroupId": ALB}, "InvalidAction"),
    ],
)  # fmt: skip
def test_refused_as_by_aws(
    request_: dict[str, Any], code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with AWS's code; nothing on stdout, no file, not even of the changes before it."""
    first = {"Action": "AuthorizeSecurityGroupIngress", "GroupId": BASTION, "IpPermissions": permission("10.8.0.0/16")}
    output = tmp_path / "out"
    asked = changes(tmp_path, first, request_)
    assert run(["whatif", SHOP, asked, "--traffic", CAPTURE, "-o", str(output)]) == 1
    told = capsys.readouterr()
    assert not told.out and told.err.count("\n") == 1 and code in told.err
    assert not output.exists()


def test_cloudtrail_with_missing_fields(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be understood is said, and changes nothing."""
    file = tmp_path / "events.json"
    file.write_text(json.dumps({"Records": [ODD_EVENT]}))
    found = document(tmp_path / "out", "whatif", SHOP, str(file))
    assert found["findings"] == [] and "RevokeSecurityGroupIngress" in " ".join(found["notes"])
    assert capsys.readouterr() == ("", "")


def test_environments_of_different_accounts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    other.mkdir()
    group = {"GroupId": "sg-0aaaaaaaaaaaaaaa0", "OwnerId": "999988887777", "VpcId": "vpc-0aaaaaaaaaaaaaaa0"}
    empty = {"GroupName": "x", "Description": "x", "IpPermissions": [], "IpPermissionsEgress": []}
    (other / "groups.json").write_text(json.dumps({"SecurityGroups": [{**group, **empty}]}))
    assert run(["whatif", SHOP, str(other)]) == 1
    told = capsys.readouterr()
    assert "999988887777" in told.err and told.err.count("\n") == 1 and not told.out


def test_what_needs_traffic_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--at=5", "--direct", "--likely", "--vpc=vpc-1", "--vantage=eni-1", "--decapsulate"):
        assert run(["whatif", SHOP, CHANGE, option]) == 64
        assert "needs --traffic" in capsys.readouterr().err
    assert run(["whatif", SHOP, CHANGE, "--fail-on", "newly-rejected,cut"]) == 64
    assert "can never fail without --traffic" in capsys.readouterr().err
    assert run(["whatif", SHOP, CHANGE, "--traffic", "pcaps/shop-flowlogs", "--decapsulate"]) == 64
    assert run(["whatif", SHOP, CHANGE, "--traffic", "no-such-file"]) == 1
    assert run(["whatif", SHOP, CHANGE, "--traffic", CAPTURE, "--vantage", "eni-0"]) == 1
    assert run(["whatif", SHOP, "no-such-file"]) == 1


def test_words_for_none_and_for_one(capsys: pytest.CaptureFixture[str]) -> None:
    """No connection is open before the capture begins; at its end some are."""
    assert run(["whatif", SHOP, CHANGE, "--traffic", CAPTURE, "--at", "2026-03-02T08:00:00Z"]) == 0
    text = capsys.readouterr().out
    assert "none open at 2026-03-02 08:00:00 UTC" in text and "matter to any of them" not in text
    for moment in (60, 300, 545):
        assert run(["whatif", SHOP, CHANGE, "--traffic", CAPTURE, "--at", str(1_772_442_003 + moment)]) == 0
        (line,) = (one for one in capsys.readouterr().out.split("\n") if one.startswith("  connections"))
        assert " 1 survive " not in line
