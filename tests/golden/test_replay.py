"""The replay of the example, in every format, is what is kept here.

After a change that is meant: `SGSIM_UPDATE_GOLDEN=1 pytest tests/golden`, and read the difference.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sgsim.cli.main import run

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent
CASES = {
    "shop.txt": ["pcaps/shop", "pcaps/shop.pcap"],
    "shop.log": ["pcaps/shop", "pcaps/shop.pcap", "--format", "flowlog"],
    "shop.json": ["pcaps/shop", "pcaps/shop.pcap", "--format", "json"],
    "shop.jsonl": ["pcaps/shop", "pcaps/shop.pcap", "--format", "jsonl"],
    "shop.csv": ["pcaps/shop", "pcaps/shop.pcap", "--format", "csv"],
    "both-60.jsonl": [
        "pcaps/shop",
        "pcaps/app-1.pcapng",
        "pcaps/shop.pcap",
        "--format",
        "jsonl",
        "--aggregation",
        "60",
    ],
    "vantage.txt": ["pcaps/shop", "pcaps/app-1.pcapng", "--vantage", "APP-1"],
}


def _account() -> Any:
    spec = importlib.util.spec_from_file_location("shop_account", ROOT / "pcaps" / "shop_account.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["shop_account"] = module
    spec.loader.exec_module(module)
    return module


ACCOUNT = _account()
ENI = {name: host.interface_id for name, host in ACCOUNT.HOSTS.items()}


@pytest.fixture(autouse=True)
def _at_root(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(ROOT)
    yield


@pytest.mark.parametrize("name", CASES)
def test_output_is_what_is_kept(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, kept = tmp_path / name, GOLDEN / name
    arguments = [ENI["app-1"] if argument == "APP-1" else argument for argument in CASES[name]]
    assert run(["replay", *arguments, "-o", str(made)]) == 0
    if os.environ.get("SGSIM_UPDATE_GOLDEN"):
        kept.write_bytes(made.read_bytes())
    assert made.read_text() == kept.read_text()
    if name.endswith((".txt", ".json")):
        assert capsys.readouterr() == ("", "")


def test_parquet_has_the_same_records(tmp_path: Path) -> None:
    made = tmp_path / "shop.parquet"
    assert run(["replay", "pcaps/shop", "pcaps/shop.pcap", "--format", "parquet", "-o", str(made)]) == 0
    assert pq.read_table(made).to_pylist() == _records("shop.jsonl")


def test_csv_and_jsonl_have_the_same_records() -> None:
    with (GOLDEN / "shop.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["interface_id"], row["flow_id"], row["action"]) for row in table] == [
        (line["interface_id"] or "-", str(line["flow_id"]), line["action"]) for line in _records("shop.jsonl")
    ]


def test_what_the_flow_log_leaves_out_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", "pcaps/shop", "pcaps/shop.pcap", "--format", "flowlog"]) == 0
    out, err = capsys.readouterr()
    unknown = sum(line["action"] == "UNKNOWN" for line in _records("shop.jsonl"))
    assert len(out.splitlines()) == 1 + len(_records("shop.jsonl")) - unknown
    assert f"sgsim: {unknown} UNKNOWN records left out: a flow log knows only ACCEPT and REJECT\n" in err


def _records(name: str) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in (GOLDEN / name).read_text().splitlines()]
    return [{key: value for key, value in record.items() if key != "schema"} for record in records]


#: What must be in the example, by hand: (host, direction, protocol, other end, called port) → verdict, reason.
FACTS = {
    "anyone reaches the load balancer": ("alb-a", "ingress", 6, "203.0.113.131", 443, "ACCEPT", "RULE"),
    "untracked: it answers by its egress rule": ("alb-a", "egress", 6, "203.0.113.131", 443, "ACCEPT", "RULE"),
    "IPv6 is tracked: no egress rule for ::/0": ("alb-b", "egress", 6, "2001:db8:c11e:7::5", 443, "ACCEPT", "TRACKED"),
    "the load balancer reaches the web tier": ("web-1", "ingress", 6, "10.20.0.80", 8080, "ACCEPT", "RULE"),
    "the web tier's answer is tracked": ("web-1", "egress", 6, "10.20.0.80", 8080, "ACCEPT", "TRACKED"),
    "web to app": ("web-1", "egress", 6, "10.20.10.21", 8443, "ACCEPT", "RULE"),
    "app to database": ("db", "ingress", 6, "10.20.10.21", 5432, "ACCEPT", "RULE"),
    "the web tier must not reach the database": ("web-2", "egress", 6, "10.20.20.30", 5432, "REJECT", "NO_RULE"),
    "nor must the bastion": ("bastion", "egress", 6, "10.20.20.30", 5432, "REJECT", "NO_RULE"),
    "SSH from the office, by prefix list": ("bastion", "ingress", 6, "203.0.113.20", 22, "ACCEPT", "RULE"),
    "SSH from the office, IPv6": ("bastion", "ingress", 6, "2001:db8:ff1c:1::20", 22, "ACCEPT", "RULE"),
    "SSH from a scanner": ("bastion", "ingress", 6, "203.0.113.66", 22, "REJECT", "NO_RULE"),
    "SSH from a stranger": ("bastion", "ingress", 6, "198.51.100.9", 22, "REJECT", "NO_RULE"),
    "images, by AWS's prefix list": ("web-1", "egress", 6, "198.51.100.130", 443, "ACCEPT", "RULE"),
    "payments, by prefix list": ("app-1", "egress", 6, "198.51.100.40", 443, "ACCEPT", "RULE"),
    "the NAT gateway has no groups": ("nat", "egress", 6, "198.51.100.40", 443, "ACCEPT", "UNFILTERED"),
    "a tracker is on no list": ("app-1", "egress", 6, "198.51.100.250", 443, "REJECT", "NO_RULE"),
    "DNS at VPC+2": ("web-1", "egress", 17, "10.20.0.2", 53, "ACCEPT", "EXEMPT"),
    "DNS at the link-local address": ("app-1", "egress", 17, "169.254.169.253", 53, "ACCEPT", "EXEMPT"),
    "DNS elsewhere": ("web-2", "egress", 17, "198.51.100.53", 53, "REJECT", "NO_RULE"),
    "time": ("bastion", "egress", 17, "169.254.169.123", 123, "ACCEPT", "EXEMPT"),
    "instance metadata": ("app-1", "egress", 6, "169.254.169.254", 80, "ACCEPT", "EXEMPT"),
    "ping": ("web-1", "ingress", 1, "10.20.10.90", 0, "ACCEPT", "RULE"),
    "its reply": ("web-1", "egress", 1, "10.20.10.90", 0, "ACCEPT", "TRACKED"),
    "the database does not answer pings": ("db", "ingress", 1, "10.20.10.90", 0, "REJECT", "NO_RULE"),
    "path MTU messages are not let in": ("web-1", "ingress", 1, "10.20.0.1", 0, "REJECT", "NO_RULE"),
    "IPv6 ping": ("web-1", "egress", 58, "2001:db8:20:10::12", 0, "REJECT", "NO_RULE"),
    "billing may be let in: unresolved": ("db", "ingress", 6, "172.31.5.20", 5432, "UNKNOWN", "UNRESOLVED"),
    "and so may the answers": ("db", "egress", 6, "172.31.5.20", 5432, "UNKNOWN", "UNRESOLVED"),
    "syslog": ("monitoring", "ingress", 17, "10.20.10.21", 514, "ACCEPT", "RULE"),
    "later fragments take the first one's answer": ("monitoring", "ingress", 17, "10.20.10.21", 0, "ACCEPT", "RULE"),
    "without a first one they are unknown": ("monitoring", "ingress", 17, "10.20.10.22", 0, "UNKNOWN", "UNRESOLVED"),
    "the shop's public address is a remote": ("monitoring", "egress", 6, "203.0.113.80", 443, "ACCEPT", "RULE"),
}  # fmt: skip


@pytest.mark.parametrize("fact", FACTS)
def test_the_example_shows(fact: str) -> None:
    host, direction, protocol, other, port, action, reason = FACTS[fact]
    far = "srcaddr" if direction == "ingress" else "dstaddr"
    found = {
        (record["action"], record["reason"])
        for record in _records("shop.jsonl")
        if (record["interface_id"], record["flow_direction"]) == (ENI[host], direction)
        and (record["protocol"], record[far]) == (protocol, other)
        and port in (record["srcport"], record["dstport"])
    }
    assert (action, reason) in found


def test_traffic_between_strangers_is_unknown() -> None:
    (record,) = [record for record in _records("shop.jsonl") if record["interface_id"] is None]
    assert (record["srcaddr"], record["dstaddr"]) == ("10.99.0.5", "10.99.0.7")
    assert (record["action"], record["reason"], record["flow_direction"]) == ("UNKNOWN", "NO_INTERFACE", None)


def test_the_old_rule_of_the_app_tier_is_redundant() -> None:
    """Two rules let the web tier in; the narrower address block decides (docs/semantics.md §9.9)."""
    by_group = ACCOUNT.GROUPS["app"][1]
    rules = [ACCOUNT.rule_id("app", rule) for rule in by_group if (rule.first, rule.egress) == (8443, False)]
    records = [
        record
        for record in _records("shop.jsonl")
        if record["interface_id"] == ENI["app-1"] and record["dstport"] == 8443 and record["reason"] == "RULE"
    ]
    assert records
    cidr = next(ACCOUNT.rule_id("app", rule) for rule in by_group if rule.peer == "10.20.10.0/24")
    for record in records:
        assert (record["rule_ids"], record["deciding_rule_id"]) == (sorted(rules), cidr)


def test_every_packet_is_accounted_for() -> None:
    summary = json.loads((GOLDEN / "shop.json").read_text())
    (file,) = summary["traffic"]
    judged = summary["packets"]["judged"]
    assert file["decoded"] == judged + summary["packets"]["neighbour_discovery"]
    assert judged == sum(summary["packets"]["paths"].values())
    assert (file["total"], file["causes"]) == (969, {"ARP": 4, "captured only up to the IP header": 1})
