"""The use of the example's rules, in every format, is what is kept in tests/golden."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sgsim.cli.main import run

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
FORMATS = {
    "usage.txt": "text",
    "usage.json": "json",
    "usage.jsonl": "jsonl",
    "usage.csv": "csv",
    "usage.sarif": "sarif",
    "usage.xml": "junit",
}
SHOP = ["usage", "pcaps/shop", "pcaps/shop.pcap"]


@pytest.fixture(autouse=True)
def _at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("name", FORMATS)
def test_output_is_what_is_kept(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, kept = tmp_path / name, GOLDEN / name
    assert run([*SHOP, "--format", FORMATS[name], "-o", str(made)]) == 0
    if os.environ.get("SGSIM_UPDATE_GOLDEN"):
        kept.write_bytes(made.read_bytes())
    assert made.read_text() == kept.read_text()
    assert capsys.readouterr() == ("", "")


def test_rows_are_the_same_in_every_format(tmp_path: Path) -> None:
    made = tmp_path / "usage.parquet"
    assert run([*SHOP, "--format", "parquet", "-o", str(made)]) == 0
    rows = [json.loads(line) for line in (GOLDEN / "usage.jsonl").read_text().splitlines()]
    assert {row.pop("schema") for row in rows} == {"sgsim.usage.rule/1"}
    assert pq.read_table(made).to_pylist() == rows == document()["rules"]
    with (GOLDEN / "usage.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["rule_id"], row["flows"], row["start"]) for row in table] == [
        (row["rule_id"], str(row["flows"]), "-" if row["start"] is None else str(row["start"])) for row in rows
    ]


def test_hits_are_those_of_replay() -> None:
    """Flows and sole flows of a rule are the hits that `sgsim replay` reports."""
    replayed = json.loads((GOLDEN / "shop.json").read_text())["rules"]
    assert [(row["rule_id"], row["hits"], row["sole_hits"]) for row in replayed] == [
        (row["rule_id"], row["flows"], row["sole_flows"]) for row in document()["rules"]
    ]


def document() -> Any:
    return json.loads((GOLDEN / "usage.json").read_text())
