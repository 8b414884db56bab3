"""`sgsim explain`: options, and what becomes of bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sgsim.cli.main import run

ROOT = Path(__file__).parents[2]
SHOP = str(ROOT / "pcaps/shop")
SSH = "tcp 203.0.113.66:40000 > 10.20.0.10:22"


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", SHOP, SSH]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{SSH}  REJECT\n")
    assert err == ""


def test_colours_only_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", SHOP, SSH, "--color", "always"]) == 0
    assert "\x1b[31mREJECT\x1b[0m" in capsys.readouterr().out


def test_json_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", SHOP, SSH, "--format", "json", "-o", str(tmp_path / "out")]) == 0
    assert capsys.readouterr() == ("", "")
    document = json.loads((tmp_path / "out").read_text())
    assert (document["path_action"], document["ingress"]["reason"]) == ("REJECT", "NO_RULE")


def test_semantics_and_vpc(capsys: pytest.CaptureFixture[str]) -> None:
    dns = "udp 10.20.10.11:5000 > 10.20.0.2:53"
    assert run(["explain", SHOP, dns, "--vpc", "vpc-0a1f6c2d9e8b73450"]) == 0
    assert "ACCEPT, Amazon DNS" in capsys.readouterr().out
    assert run(["explain", SHOP, dns, "--semantics", "exempt=false"]) == 0
    assert "REJECT, no rule matches" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        ([SHOP, "tcp 10.20.0.10 > nonsense:22"], 64, "'nonsense' is not an IP address"),
        ([SHOP, "tcp eni-0gone > 10.20.0.10:22"], 64, "no interface or instance eni-0gone in the environment"),
        ([SHOP, SSH, "--vpc", "vpc-0gone"], 1, "vpc-0gone is not a VPC of the environment"),
        (["/nonexistent", SSH], 1, "/nonexistent"),
        ([SHOP], 64, "Missing argument 'FLOW'"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], code: int, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", *arguments]) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert problem in err
