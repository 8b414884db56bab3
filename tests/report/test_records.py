"""Records in every format: the same rows, with what each format can say (docs/output.md)."""

from __future__ import annotations

import csv
import io
import json

import pyarrow.parquet as pq
import pytest

from sgsim.report import columns
from sgsim.report.columns import FIELDS
from sgsim.report.records import RECORD_FORMATS, record_writer
from sgsim.verdicts import Reason, Verdict, Verdicts
from tests.report.made import NAMES, batch, nowhere, rejected, row, unknown

HEADER = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"
)
ROWS = batch(
    row(match_set=2, deciding_rule=1),
    rejected(dstport=22, flow_id=2),
    unknown(flow_id=3),
    nowhere(flow_id=4),
    row("2001:db8::7", "2001:db8:1::5", protocol=58, icmp_type=128, icmp_code=0, srcport=0, dstport=0, flow_id=5),
    row("10.0.1.5", "192.0.2.7", direction=1, srcport=443, dstport=40000, initiating=False, reason=Reason.TRACKED),
)


def written(format_: str, *batches: Verdicts) -> tuple[bytes, list[str]]:
    output = io.BytesIO()
    writer = record_writer(format_, output, NAMES)
    for verdicts in batches:
        writer.write(verdicts)
    notes = writer.finish()
    return output.getvalue(), notes


def test_jsonl_has_every_field_and_null_for_what_is_absent() -> None:
    lines = [json.loads(line) for line in written("jsonl", ROWS)[0].splitlines()]
    assert all(tuple(line) == ("schema", *FIELDS) for line in lines)
    assert lines[0] == {
        "schema": "sgsim.replay.record/1",
        "account_id": "111122223333", "vpc_id": "vpc-0a", "interface_id": "eni-0web",
        "srcaddr": "192.0.2.7", "dstaddr": "10.0.1.5", "srcport": 40000, "dstport": 443, "protocol": 6,
        "packets": 10, "bytes": 1000, "start": 1772442000, "end": 1772442060, "action": "ACCEPT", "tcp_flags": 2,
        "flow_direction": "ingress", "icmp_type": None, "icmp_code": None, "fragment": False, "reason": "RULE",
        "deciding_rule_id": "sgr-0wide", "rule_ids": ["sgr-0https", "sgr-0wide"], "possible_rule_ids": [],
        "initiating": True, "flow_id": 1, "path_action": "ACCEPT",
    }  # fmt: skip
    assert (lines[2]["possible_rule_ids"], lines[2]["deciding_rule_id"]) == (["sgr-0db"], None)
    assert [lines[3][name] for name in ("account_id", "vpc_id", "interface_id", "flow_direction")] == [None] * 4
    assert (lines[4]["srcaddr"], lines[4]["icmp_type"], lines[4]["icmp_code"]) == ("2001:db8::7", 128, 0)
    assert (lines[5]["flow_direction"], lines[5]["initiating"]) == ("egress", False)


def test_csv_says_the_same_as_jsonl() -> None:
    table = list(csv.DictReader(io.StringIO(written("csv", ROWS)[0].decode(), newline="")))
    lines = [json.loads(line) for line in written("jsonl", ROWS)[0].splitlines()]

    def text(value: object) -> str:
        if isinstance(value, list):
            return " ".join(value) or "-"
        if isinstance(value, bool):
            return str(value).lower()
        return "-" if value is None else str(value)

    assert table == [{name: text(line[name]) for name in FIELDS} for line in lines]


def test_parquet_says_the_same_as_jsonl() -> None:
    table = pq.read_table(io.BytesIO(written("parquet", ROWS)[0]))
    lines = [json.loads(line) for line in written("jsonl", ROWS)[0].splitlines()]
    assert table.to_pylist() == [{name: line[name] for name in FIELDS} for line in lines]
    assert str(table.schema.field("rule_ids").type) == "list<element: string>"
    assert table.schema.metadata[b"sgsim_schema"] == b"sgsim.replay.record/1"


def test_flow_log_is_strict_version_2_and_counts_what_it_cannot_say() -> None:
    text, notes = written("flowlog", ROWS)
    assert text.decode().splitlines() == [
        HEADER,
        "2 111122223333 eni-0web 192.0.2.7 10.0.1.5 40000 443 6 10 1000 1772442000 1772442060 ACCEPT OK",
        "2 111122223333 eni-0web 203.0.113.66 10.0.1.5 40000 22 6 1 44 1772442000 1772442060 REJECT OK",
        "2 111122223333 eni-0web 2001:db8::7 2001:db8:1::5 0 0 58 10 1000 1772442000 1772442060 ACCEPT OK",
        "2 111122223333 eni-0web 10.0.1.5 192.0.2.7 443 40000 6 10 1000 1772442000 1772442060 ACCEPT OK",
    ]  # fmt: skip
    assert notes == ["2 UNKNOWN records left out: a flow log knows only ACCEPT and REJECT"]


@pytest.mark.parametrize("format_", RECORD_FORMATS)
def test_pieces_do_not_show(format_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: how records are cut into batches and blocks changes nothing that a reader sees."""
    whole = written(format_, ROWS, ROWS)[0]
    monkeypatch.setattr(columns, "BLOCK", 2)
    pieces = written(format_, ROWS, ROWS)[0]
    if format_ == "parquet":
        assert pq.read_table(io.BytesIO(pieces)).equals(pq.read_table(io.BytesIO(whole)))
    else:
        assert pieces == whole


@pytest.mark.parametrize("format_", RECORD_FORMATS)
def test_no_records_is_a_valid_document(format_: str) -> None:
    text, notes = written(format_)
    assert notes == []
    if format_ == "parquet":
        assert pq.read_table(io.BytesIO(text)).num_rows == 0
    else:
        assert len(text.splitlines()) == (0 if format_ == "jsonl" else 1)


def test_odd_ids_cannot_break_a_line() -> None:
    """Ids come from files: quotes, commas, blanks and line feeds in them are escaped as each format wants."""
    from sgsim.model import Environment, NetworkInterface
    from sgsim.report.columns import Names

    odd = 'eni "a",\nb'
    environment = Environment(interfaces={odd: NetworkInterface(odd, account_id="1 2")})
    names = Names(environment, [odd, "eni-0db"], ["sgr-1", "sgr-2", "sgr-3"])

    def lines(format_: str) -> str:
        output = io.BytesIO()
        record_writer(format_, output, names).write(batch(row()))
        return output.getvalue().decode()

    assert json.loads(lines("jsonl"))["interface_id"] == odd
    assert next(csv.DictReader(io.StringIO(lines("csv"), newline="")))["interface_id"] == odd
    assert lines("flowlog").splitlines()[1].split()[:3] == ["2", "1_2", 'eni_"a",_b']


def test_verdicts_are_what_they_say() -> None:
    """The coded names follow the enums, whatever their order."""
    rows = [row(action=verdict, reason=reason) for verdict in Verdict for reason in Reason]
    lines = [json.loads(line) for line in written("jsonl", batch(*rows))[0].splitlines()]
    assert [(line["action"], line["reason"]) for line in lines] == [(v.name, r.name) for v in Verdict for r in Reason]
