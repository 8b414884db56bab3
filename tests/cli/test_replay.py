"""`sgsim replay`: options, and what becomes of bad input (one line, exit code 1, nothing partial left)."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sgsim.cli import progress
from sgsim.cli.main import run

ROOT = Path(__file__).parents[2]
SHOP, CAPTURE = str(ROOT / "pcaps/shop"), str(ROOT / "pcaps/shop.pcap")
BASTION = next(
    interface["NetworkInterfaceId"]
    for interface in json.loads((ROOT / "pcaps/shop/network-interfaces.json").read_text())["NetworkInterfaces"]
    if interface["PrivateIpAddress"] == "10.20.0.10"
)


def records(capsys: pytest.CaptureFixture[str], *options: str, traffic: str = CAPTURE) -> list[dict[str, Any]]:
    assert run(["replay", SHOP, traffic, "--format", "jsonl", *options]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def failed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 1) -> str:
    assert run(["replay", *arguments]) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("sgsim: ")
    return err


def test_direction(capsys: pytest.CaptureFixture[str]) -> None:
    found = records(capsys, "--direction", "egress")
    assert {record["flow_direction"] for record in found} == {"egress"}


def test_interfaces(capsys: pytest.CaptureFixture[str]) -> None:
    found = records(capsys, "--interface", BASTION)
    assert {record["interface_id"] for record in found} == {BASTION}


def test_vantage_judges_one_interface(capsys: pytest.CaptureFixture[str]) -> None:
    found = records(capsys, "--vantage", BASTION)
    assert {record["interface_id"] for record in found} <= {BASTION, None}


def test_vpc(capsys: pytest.CaptureFixture[str]) -> None:
    assert records(capsys, "--vpc", "vpc-0a1f6c2d9e8b73450") == records(capsys)


@pytest.mark.parametrize("seconds", [60, 600])
def test_aggregation_is_aligned_to_the_epoch(capsys: pytest.CaptureFixture[str], seconds: int) -> None:
    found = records(capsys, "--aggregation", str(seconds))
    assert all(record["start"] // seconds == record["end"] // seconds for record in found)


def test_without_aggregation_a_flow_is_one_record(capsys: pytest.CaptureFixture[str]) -> None:
    found = records(capsys, "--aggregation", "none")
    keys = [(record["flow_id"], record["interface_id"], record["flow_direction"], record["action"]) for record in found]
    assert len(keys) == len(set(keys))
    assert len(found) < len(records(capsys))
    assert sum(record["packets"] for record in found) == sum(record["packets"] for record in records(capsys))


def test_semantics(capsys: pytest.CaptureFixture[str]) -> None:
    assert not [r for r in records(capsys, "--semantics", "exempt=false") if r["reason"] == "EXEMPT"]
    dark = records(capsys, "--semantics", "behind_middlebox=10.20.10.0/24,10.20.20.0/24", "--semantics", "exempt=no")
    app_to_db = {r["action"] for r in dark if (r["srcaddr"], r["dstport"]) == ("10.20.10.21", 5432)}
    assert app_to_db == {"REJECT"}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("nonsense=1", "'nonsense=1' is not name=value with one of the names exempt, untracked_flows"),
        ("exempt", "'exempt' is not name=value"),
        ("exempt=perhaps", "exempt is true or false, not 'perhaps'"),
        ("udp_timeout=-1", "udp_timeout is a number of seconds, not '-1'"),
        ("udp_timeout=1e3", "udp_timeout is a number of seconds, not '1e3'"),
        ("icmp_errors=maybe", "icmp_errors is rules or related, not 'maybe'"),
        ("behind_middlebox=10.0.0.0/33", "'10.0.0.0/33' is not a CIDR block: IPv4 has at most 32 bits"),
    ],
)
def test_semantics_that_do_not_exist(capsys: pytest.CaptureFixture[str], given: str, problem: str) -> None:
    assert problem in failed(capsys, SHOP, CAPTURE, "--semantics", given, code=64)


@pytest.mark.parametrize("option", ["--interface", "--vantage"])
def test_unknown_interface(capsys: pytest.CaptureFixture[str], option: str) -> None:
    message = failed(capsys, SHOP, CAPTURE, option, "eni-0nope")
    assert message.startswith(f"sgsim: {option}: eni-0nope is not an interface of the environment; its interfaces are")


def test_unknown_vpc(capsys: pytest.CaptureFixture[str]) -> None:
    message = failed(capsys, SHOP, CAPTURE, "--vpc", "vpc-0nope")
    expected = "--vpc: vpc-0nope is not a VPC of the environment; its VPCs are vpc-0a1f6c2d9e8b73450\n"
    assert message == f"sgsim: {expected}"


def test_strict_fails_after_the_output(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    output = tmp_path / "out.json"
    message = failed(capsys, SHOP, CAPTURE, "--strict", "--format", "json", "-o", str(output))
    expected = "--strict: 5 records are UNKNOWN and 1 packet could not be decoded; the text report says why\n"
    assert message == f"sgsim: {expected}"
    assert json.loads(output.read_text())["flows"] > 0


def test_strict_is_content_where_all_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    app_1 = str(ROOT / "pcaps/app-1.pcapng")
    assert records(capsys, "--strict", traffic=app_1) == records(capsys, traffic=app_1)


def test_machine_formats_tell_the_rest_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", SHOP, CAPTURE, "--format", "csv"]) == 0
    err = capsys.readouterr().err
    assert err == f"sgsim: {CAPTURE}: 5 of 969 packets not used: 4 ARP; 1 captured only up to the IP header\n"


def test_missing_inputs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    assert f"{gone}: " in failed(capsys, gone, CAPTURE)
    assert f"{gone}: " in failed(capsys, SHOP, gone)


def test_bad_inputs_leave_no_output(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    short, empty = tmp_path / "short.pcap", tmp_path / "empty"
    short.write_bytes(b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00")
    empty.mkdir()
    output = tmp_path / "out"
    assert f"{short}: " in failed(capsys, SHOP, str(short), "-o", str(output))
    assert f"{empty}: " in failed(capsys, str(empty), CAPTURE, "-o", str(output))
    assert not output.exists()


def test_output_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "out"
    assert f"{missing}: cannot write: No such file" in failed(capsys, SHOP, CAPTURE, "-o", str(missing))
    for format_ in ("text", "json", "jsonl", "csv", "flowlog", "parquet"):
        assert run(["replay", SHOP, CAPTURE, "--format", format_, "-o", "/dev/full"]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.splitlines()[-1].startswith("sgsim: /dev/full: cannot write: No space left on device")
        assert "Traceback" not in err


def test_standard_input(capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sgsim.cli", "replay", SHOP, "-", "--format", "jsonl"],
        input=Path(CAPTURE).read_bytes(), capture_output=True, check=True, timeout=300,
    )  # fmt: skip
    assert [json.loads(line) for line in done.stdout.splitlines()] == records(capsys)
    assert done.stderr.startswith(b"sgsim: <stdin>: 5 of 969 packets not used")


def test_a_reader_that_goes_away_is_quiet() -> None:
    command = [sys.executable, "-m", "sgsim.cli", "replay", SHOP, CAPTURE, "--format", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_colours_on_request_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", SHOP, CAPTURE]) == 0
    plain = capsys.readouterr().out
    assert run(["replay", SHOP, CAPTURE, "--color", "always"]) == 0
    colored = capsys.readouterr().out
    assert "\x1b[" not in plain
    assert "\x1b[31m" in colored
    for code in (0, 1, 2, 31, 32, 33):
        colored = colored.replace(f"\x1b[{code}m", "")
    assert colored == plain


class Scan:
    """Three batches of a file of 30 bytes."""

    bytes_read = 0
    bytes_total = 30

    def __iter__(self) -> Iterator[int]:
        for batch in range(3):
            self.bytes_read += 10
            yield batch


def test_progress_is_shown_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress.followed(Scan(), color=False)) == [0, 1, 2]
    assert terminal.getvalue() == ""
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    assert list(progress.followed(Scan(), color=False)) == [0, 1, 2]
    assert terminal.getvalue() == ""  # it was done within a second
    monkeypatch.setattr(progress, "PATIENCE", 0)
    assert list(progress.followed(Scan(), color=False)) == [0, 1, 2]
    assert "30/30 bytes" in terminal.getvalue()
