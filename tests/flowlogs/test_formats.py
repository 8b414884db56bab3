"""Single lines and formats: each block under the sentence of docs/semantics.md §5.6 that it checks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sgsim.errors import TrafficInputError
from sgsim.traffic.flowlogs import DEFAULT_FIELDS, FIELD_VERSIONS, parse_log_format, scan_flow_logs
from sgsim.traffic.flowlogs.fields import header_fields

from .support import classes, rows, scan, silences

GOOD = "2 123456789010 eni-1 10.0.0.1 10.0.0.2 49152 443 6 20 4249 1418530010 1418530070 ACCEPT OK"


def read(tmp_path: Path, *lines: str, **options: object) -> tuple[dict[str, int], list[dict[str, object]]]:
    path = tmp_path / "a.log"
    path.write_text("".join(f"{line}\n" for line in lines))
    batches, reader = scan(path, **options)
    return classes(reader.counts[0]), rows(batches)


def changed(**fields: str) -> str:
    """The good line with some fields exchanged."""
    values = dict(zip(DEFAULT_FIELDS, GOOD.split()))
    values.update({name.replace("_", "-"): text for name, text in fields.items()})
    return " ".join(values.values())


def test_a_record(tmp_path: Path) -> None:
    """Default (v2) order: version account-id interface-id srcaddr …"""
    found, [row] = read(tmp_path, GOOD)
    assert found == {"ok": 1}
    assert {name: str(value) for name, value in row.items() if value is not None} == {
        "source": "0", "line": "1", "srcaddr": "10.0.0.1", "dstaddr": "10.0.0.2", "srcport": "49152",
        "dstport": "443", "protocol": "6", "packets": "20", "bytes": "4249", "start": "1418530010",
        "end": "1418530070", "action": "ACCEPT", "log-status": "OK", "account-id": "123456789010",
        "interface-id": "eni-1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        # "`-` = not applicable/unknown, any field. `account-id` may be `unknown`."
        (changed(account_id="unknown"), "ok"),
        (changed(interface_id="-"), "ok"),
        (changed(packets="-", bytes="-"), "ok"),  # BPA records carry no bytes
        (changed(action="-"), "ok"),
        (changed(log_status="-"), "ok"),
        (changed(srcaddr="-"), "incomplete"),
        (changed(dstport="-"), "incomplete"),
        (changed(protocol="1", srcport="-", dstport="-"), "ok"),  # ICMP has no ports
        (changed(protocol="-"), "incomplete"),
        (changed(start="-"), "incomplete"),
        # "log-status OK / NODATA / SKIPDATA. NODATA & SKIPDATA lines: all packet fields `-`, only start/end present"
        ("2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 - NODATA", "nodata"),
        ("2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 - SKIPDATA", "skipdata"),
        ("2 123456789010 eni-1 - - - - - - - 1431280934 1431280876 - NODATA", "end before start"),
        ("2 123456789010 eni-1 - - - - - - - - - - NODATA", "not a number"),
        # "ICMP records have srcport=dstport=0"
        (changed(protocol="1", srcport="0", dstport="0"), "ok"),
        # what no flow log says
        (changed(srcport="65536"), "port above 65535"),
        (changed(dstport="99999999999999999999"), "number too large"),
        (changed(protocol="256"), "protocol above 255"),
        (changed(protocol="tcp"), "not a number"),
        (changed(bytes="-1"), "not a number"),
        (changed(srcaddr="10.0.0.256"), "not an address"),
        (changed(srcaddr="2001:db8::1"), "address families differ"),
        (changed(end="1418530009"), "end before start"),
        (changed(end="1418530070000"), "time out of range"),  # milliseconds
        (changed(action="accept"), "unknown action"),
        (changed(log_status="OKAY"), "unknown log status"),
        (changed(version="3"), "not the default format's version"),
        (GOOD[:-3], "wrong number of fields"),
        (GOOD + " extra", "wrong number of fields"),
        (GOOD.replace("eni-1", "eni-\x01"), "control character"),
        (changed(interface_id="eni-é"), "text that is too long or not ASCII"),
        (changed(interface_id="e" * 1025), "text that is too long or not ASCII"),
        ("", "blank"),
        # "version 6: Transit Gateway flow logs"
        ("6 TransitGateway 123456789010 tgw-1 tgw-attach-1 10.0.0.1", "transit_gateway"),
    ],
)
def test_line(tmp_path: Path, line: str, kind: str) -> None:
    """Every line falls into one class."""
    found, _ = read(tmp_path, GOOD, line)
    assert found == ({"ok": 2} if kind == "ok" else {"ok": 1, kind: 1})


def test_silences_are_kept(tmp_path: Path) -> None:
    """SKIPDATA = records lost: never conclude "no traffic"; so the interval and the interface are told."""
    path = tmp_path / "a.log"
    path.write_text(f"{GOOD}\n2 123456789010 eni-7 - - - - - - - 1431280876 1431280934 - SKIPDATA\n")
    batches, _ = scan(path)
    assert silences(batches) == [("eni-7", 1431280876, 1431280934, "SKIPDATA")]


def test_pkt_addresses_stand_beside(tmp_path: Path) -> None:
    """`dstaddr` is rewritten to the interface's primary address; the real ones are in pkt-srcaddr and pkt-dstaddr."""
    header = " ".join((*DEFAULT_FIELDS, "pkt-srcaddr", "pkt-dstaddr"))
    found, both = read(tmp_path, header, f"{GOOD} 10.9.9.9 10.0.0.2", f"{GOOD} - 10.8.8.8", f"{GOOD} ::1 10.8.8.8")
    assert found == {"header": 1, "ok": 2, "address families differ": 1}
    assert [(str(row["srcaddr"]), str(row["pkt-srcaddr"]), str(row["pkt-dstaddr"])) for row in both] == [
        ("10.0.0.1", "10.9.9.9", "10.0.0.2"),
        ("10.0.0.1", "None", "10.8.8.8"),
    ]


def test_header_after_malformed_lines(tmp_path: Path) -> None:
    """A header makes a new beginning: nothing of a malformed line before it shows in a field that is then lacking."""
    header = GOOD_HEADER.replace("srcaddr", "pkt-srcaddr")
    found, [row] = read(tmp_path, changed(end="1"), header, GOOD, strict=False)
    assert found == {"end before start": 1, "header": 1, "ok": 1}
    assert (row["srcaddr"], str(row["pkt-srcaddr"])) == (None, "10.0.0.1")


def test_efa_is_no_ip_traffic(tmp_path: Path) -> None:
    """type: IPv4, IPv6 or EFA."""
    header = " ".join((*DEFAULT_FIELDS, "type"))
    assert read(tmp_path, header, f"{GOOD} EFA", f"{GOOD} IPv4")[0] == {"header": 1, "efa": 1, "ok": 1}


def test_transit_gateway_header(tmp_path: Path) -> None:
    """A transit gateway's log is counted, never read as a VPC's."""
    header = "version resource-type account-id tgw-id srcaddr dstaddr srcport dstport protocol packets bytes start end"
    line = "6 TransitGateway 123456789010 tgw-1 10.0.0.1 10.0.0.2 1 2 6 1 40 1418530010 1418530070"
    found, records = read(tmp_path, header, line, line, "6 TransitGateway")
    assert (found, records) == ({"header": 1, "transit_gateway": 2, "wrong number of fields": 1}, [])


def test_unknown_fields_are_left_alone(tmp_path: Path) -> None:
    """Fields of versions to come stand beside the known ones."""
    header = " ".join(("moon-phase", *DEFAULT_FIELDS))
    found, [row] = read(tmp_path, header, f"full {GOOD}")
    assert (found, row["dstport"]) == ({"header": 1, "ok": 1}, 443)


def test_presence(tmp_path: Path) -> None:
    """A column whose field the log lacks says so: unknown is not zero."""
    (tmp_path / "a.log").write_text(f"{GOOD}\n")
    [batch], _ = scan(tmp_path / "a.log")
    assert batch.has("action") and batch.has("log_status") and batch.has("interface-id")
    assert not batch.has("flow_direction") and not batch.has("pkt_srcaddr") and not batch.has("vpc-id")
    assert (batch.flow_direction.tolist(), batch.tcp_flags.tolist(), batch.vpc_id.texts()) == ([-1], [-1], [None])
    [batch], _ = scan(tmp_path / "a.log", columns=["action"])
    assert batch.has("action") and not batch.has("packets")
    assert (batch.action.tolist(), batch.packets.tolist(), batch.interface_id.texts()) == ([1], [-1], [None])


def test_versions_of_fields() -> None:
    """The table of fields: 14 of version 2, none of version 6, up to version 11."""
    assert tuple(GOOD_HEADER.split()) == DEFAULT_FIELDS
    assert {v: sum(x == v for x in FIELD_VERSIONS.values()) for v in range(2, 12)} == {
        2: 14, 3: 7, 4: 4, 5: 4, 6: 0, 7: 10, 8: 1, 9: 1, 10: 1, 11: 12,
    }  # fmt: skip


GOOD_HEADER = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"
)


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (b"version account-id", ("version", "account-id")),
        (b"  srcaddr\tdst_addr dstaddr ", ("srcaddr", "dst-addr", "dstaddr")),
        (b"version", None),
        (b"hello world", None),
        (b"version Account-Id srcaddr", None),
        (GOOD.encode(), None),
        (b"", None),
    ],
)
def test_header(line: bytes, fields: tuple[str, ...] | None) -> None:
    """S3 files begin with a header line of the hyphenated field names."""
    assert header_fields(line) == fields


def test_log_format() -> None:
    """CloudWatch has no header: the format string (`${version} ${vpc-id} …`) is needed; bare names do, too."""
    fields = "srcaddr dstaddr srcport dstport protocol start end vpc-id"
    shown = " ".join(f"${{{name}}}" for name in fields.split())
    assert parse_log_format(shown).names == parse_log_format(fields).names == tuple(fields.split())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("${version} ${srcaddr}", "lacks dstaddr or pkt-dstaddr, srcport, dstport, protocol, start, end"),
        ("${version}, ${srcaddr}", "cannot understand ','"),
        ("${Version}", "cannot understand 'Version'"),
        ("   ", "cannot understand ' '"),
        ("srcaddr srcaddr dstaddr", "names srcaddr twice"),
    ],
)
def test_bad_log_format(text: str, problem: str) -> None:
    """A format that cannot be read is refused before anything is."""
    with pytest.raises(TrafficInputError, match=problem.replace("$", r"\$")):
        scan_flow_logs(["nowhere"], log_format=text)


def test_header_without_a_needed_field(tmp_path: Path) -> None:
    """A header that lacks a needed field: an error that names it; counted line by line if not strict."""
    lines = (GOOD_HEADER.replace("dstport", "flow-direction"), GOOD, GOOD)
    with pytest.raises(TrafficInputError, match=r"a\.log, header: the log format lacks dstport;"):
        read(tmp_path, *lines)
    assert read(tmp_path, *lines, strict=False)[0] == {"header": 1, "file not usable": 2}


def test_custom_format_without_its_string(tmp_path: Path) -> None:
    """Without header and format string a custom format is not guessed."""
    with pytest.raises(TrafficInputError, match="no header line, and no line is a record of the default format"):
        read(tmp_path, "10.0.0.1 10.0.0.2 1 2 6 1418530010 1418530070")
    with pytest.raises(TrafficInputError, match="no line has the fields of the given log format"):
        read(tmp_path, GOOD, log_format="srcaddr dstaddr srcport dstport protocol start end")
    found, _ = read(tmp_path, "10.0.0.1 10.0.0.2 1 2 6 1418530010 1418530070", strict=False)
    assert found == {"wrong number of fields": 1}


def test_mixed_versions_in_one_directory(tmp_path: Path) -> None:
    """Every file has its own format; a header beats the given format."""
    (tmp_path / "a.log").write_text(f"{GOOD_HEADER}\n{GOOD}\n")
    (tmp_path / "b.log").write_text(f"vpc-id {GOOD_HEADER}\nvpc-1 {GOOD}\n")
    (tmp_path / "c.log").write_text("10.0.0.1 10.0.0.2 1 2 6 1418530010 1418530070\n")
    batches, reader = scan(tmp_path, log_format="srcaddr dstaddr srcport dstport protocol start end")
    assert [counts.ok for counts in reader.counts] == [1, 1, 1]
    assert [row["vpc-id"] for row in rows(batches)] == [None, "vpc-1", None]
    assert [batch.has("vpc-id") for batch in batches] == [False, True, False]


@pytest.mark.parametrize("shape", ["subscription", "filter-log-events", "lines", "list", "concatenated"])
def test_cloudwatch_json(tmp_path: Path, shape: str) -> None:
    """CloudWatch Logs events: the message is the line."""
    events = [{"id": str(i), "timestamp": 1, "message": changed(dstport=str(i))} for i in range(5)]
    delivery = {"messageType": "DATA_MESSAGE", "owner": "123456789012", "logEvents": events}
    text = {
        "subscription": json.dumps(delivery),
        "filter-log-events": json.dumps({"events": events, "searchedLogStreams": []}, indent=4),
        "lines": "\n".join(map(json.dumps, events)),
        "list": "\ufeff" + json.dumps(events),
        "concatenated": "".join(json.dumps({"logEvents": [event]}) for event in events),
    }[shape]
    found, records = read(tmp_path, text)
    assert found == {"ok": 5}
    assert [(row["line"], row["dstport"]) for row in records] == [(i + 1, i) for i in range(5)]


def test_json_that_is_something_else(tmp_path: Path) -> None:
    """JSON without log events is refused; broken JSON is counted, what came before it is read."""
    with pytest.raises(TrafficInputError, match="JSON, but not log events"):
        read(tmp_path, '{"172.31.9.69": 2}')
    event = json.dumps({"message": GOOD})
    assert read(tmp_path, event, event, '{"message": "2 1')[0] == {"ok": 2, "broken JSON": 1}
    assert read(tmp_path, event, '{"a": 1}', "[" * 100_000)[0] == {
        "ok": 1,
        "broken JSON": 1,
        "JSON without log events": 1,
    }
