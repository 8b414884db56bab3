"""What is wrong with a log is said in one line, or counted in a class, by the command as its user meets it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sgsim.cli.main import run
from sgsim.traffic.flowlogs import DEFAULT_FIELDS

ROOT = Path(__file__).parents[2]
SHOP = str(ROOT / "pcaps/shop")
Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def records() -> Rows:
    """The first forty records of the example's log."""
    path = min((ROOT / "pcaps/shop-flowlogs").rglob("*.gz"))
    header, *lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    return [dict(zip(header.split(), line.split())) for line in lines[:40]]


def write(path: Path, rows: Rows, *, header: bool = True) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [" ".join(row.values()) for row in rows]
    path.write_text("\n".join([*([" ".join(rows[0])] if header else []), *lines]) + "\n")
    return str(path)


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert run(["replay", SHOP, *arguments, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["replay", SHOP, *arguments]) == 1
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1
    return err


def test_a_header_that_lacks_a_needed_field(capsys: Any, tmp_path: Path, records: Rows) -> None:
    rows = [{name: value for name, value in row.items() if name != "dstport"} for row in records]
    error = refused(capsys, write(tmp_path / "a.log", rows))
    assert "a.log, header: the log format lacks dstport; publish the flow log with these fields" in error


def test_a_custom_format_without_its_string(capsys: Any, tmp_path: Path, records: Rows) -> None:
    """It is told to be a flow log by its addresses, and read once the format is given."""
    path = write(tmp_path / "a.log", records, header=False)
    assert "no header line, and no line is a record of the default format" in refused(capsys, path)
    shown = " ".join(f"${{{name}}}" for name in records[0])
    assert report(capsys, path, "--log-format", shown)["log"]["records"] == len(records)


def test_a_truncated_gzip_member(capsys: Any, tmp_path: Path, records: Rows) -> None:
    whole = gzip.compress(Path(write(tmp_path / "a.log", records)).read_bytes())
    path = tmp_path / "a.log.gz"
    path.write_bytes(whole[: len(whole) // 2])
    assert run(["replay", SHOP, str(path)]) == 0
    out = capsys.readouterr().out
    assert "the gzip data ends early, after byte" in out and "1 cut off" in out


def test_parquet_with_another_schema(capsys: Any, tmp_path: Path) -> None:
    pq.write_table(pa.table({"name": ["x"], "start": [1]}), tmp_path / "a.parquet")
    assert "Parquet schema: the log format lacks srcaddr or pkt-srcaddr" in refused(capsys, str(tmp_path / "a.parquet"))


def test_mixed_versions_in_one_directory(capsys: Any, tmp_path: Path, records: Rows) -> None:
    """Each file by its own header, or by the default format where it has none."""
    write(tmp_path / "logs/a.log", records)
    old = [{name: "2" if name == "version" else row[name] for name in DEFAULT_FIELDS} for row in records]
    write(tmp_path / "logs/b.log", old, header=False)
    made = report(capsys, str(tmp_path / "logs"))
    assert made["log"]["records"] == 2 * len(records)


Change = Callable[[dict[str, str]], dict[str, str]]
STRANGERS: dict[str, Change] = {
    "another account": lambda row: {"account-id": "999999999999", "interface-id": "eni-0ffffffffffffffff"},
    "another Region": lambda row: {"interface-id": "eni-0eeeeeeeeeeeeeeee", "vpc-id": "vpc-0eeeeeeeeeeeeeeee"},
}


@pytest.mark.parametrize("what", STRANGERS)
def test_records_from_elsewhere(capsys: Any, tmp_path: Path, records: Rows, what: str) -> None:
    """They are judged by nobody else's rules: counted, in a class of their own."""
    rows = [row | (STRANGERS[what](row) if n % 2 else {}) for n, row in enumerate(records)]
    agreement = report(capsys, write(tmp_path / "a.log", rows))["agreement"]
    assert agreement["causes"]["NO_INTERFACE"] == len(records) // 2


def test_an_environment_with_none_of_the_interfaces(capsys: Any, tmp_path: Path, records: Rows) -> None:
    path = write(tmp_path / "a.log", [row | {"interface-id": "eni-0ffffffffffffffff"} for row in records])
    for form, stream in (("text", 0), ("jsonl", 1)):
        assert run(["replay", SHOP, path, "--format", form]) == 0
        assert "the environment has none of the log's interfaces" in capsys.readouterr()[stream]
    assert run(["usage", SHOP, path]) == 0
    assert "40 records are of interfaces that the environment does not have" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"end": "1000000000"}, "end before start"),
        ({"dstport": "65536"}, "port above 65535"),
        ({"srcaddr": "10.0.0.256"}, "not an address"),
        ({"action": "MAYBE"}, "unknown action"),
    ],
)
def test_records_that_cannot_be(capsys: Any, tmp_path: Path, records: Rows, change: Any, cause: str) -> None:
    rows = [row | (change if n % 4 == 0 else {}) for n, row in enumerate(records)]
    path = write(tmp_path / "a.log", rows)
    assert run(["replay", SHOP, path]) == 0
    assert f"30 records; 1 header; 10 {cause} (first in line 2)" in capsys.readouterr().out
    assert run(["replay", SHOP, path, "--strict", "--format", "csv"]) == 1
    assert "10 lines could not be read" in capsys.readouterr().err


def test_json_that_is_no_log(capsys: Any, tmp_path: Path) -> None:
    """No capture begins like that: it is the reader of logs that says what is missing."""
    (tmp_path / "a.json").write_text('{\n  "Vpcs": []\n}\n')
    assert "JSON, but not log events of CloudWatch Logs" in refused(capsys, str(tmp_path / "a.json"))
