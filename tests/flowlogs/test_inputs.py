"""Where flow logs come from: files, directories, globs, pipes, gzip, Parquet, S3 (docs/semantics.md §5.6, Files)."""

from __future__ import annotations

import gzip
import os
import random
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sgsim.errors import TrafficInputError
from sgsim.traffic.flowlogs import FIELD_VERSIONS, scan_flow_logs
from sgsim.traffic.flowlogs.blocks import line_blocks
from sgsim.traffic.flowlogs.generate import random_records
from sgsim.traffic.flowlogs.inflate import inflate
from sgsim.traffic.flowlogs.write import log_path, to_text, write_log, write_parquet

from .support import classes, give_stdin, rows, scan, silences
from .test_twin import TOKEN_TEXT

FIELDS = tuple(name for name, version in FIELD_VERSIONS.items() if version <= 8)
BEGIN = 1_700_000_400


def test_aws_layout(tmp_path: Path) -> None:
    """With Hive partitions or without; files of one interval follow each other, other services are left out."""
    for account in ("123456789010", "123456789011"):
        for interval in range(3):
            for hive in (False, True):
                records = random_records(interval, 20, FIELDS, begin=BEGIN + 300 * interval)
                path = log_path(tmp_path, account=account, begin=BEGIN + 300 * interval, hive=hive, hourly=hive)
                write_log(records, path)
    other = tmp_path / "AWSLogs/123456789010/CloudTrail/eu-central-1/2023/11/14/x.json.gz"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"no flow log")
    (tmp_path / "_SUCCESS").write_bytes(b"")
    (tmp_path / "aws-logs-write-test").write_bytes(b"Permission Check Successful.")
    batches, reader = scan(tmp_path)
    assert [counts.ok + counts.nodata + counts.skipdata for counts in reader.counts] == [20] * 12
    stamps = [Path(counts.source).name.split("_")[4] for counts in reader.counts]
    assert stamps == sorted(stamps)
    assert reader.notes == [f"{tmp_path}: 3 files left out that are no flow logs by their name"]
    assert reader.bytes_read == reader.bytes_total
    found = rows(batches)
    assert len(found) == sum(counts.ok for counts in reader.counts)
    assert [row["source"] for row in found] == sorted(row["source"] for row in found)


def test_globs_and_duplicates(tmp_path: Path) -> None:
    """A pattern is expanded, a file given twice is read once, a name with brackets is a name."""
    for name in ("a.log", "b.log", "sub/c.log", "x[1].log"):
        write_log(random_records(1, 5), tmp_path / name)
    assert len(scan(str(tmp_path / "?.log"), tmp_path / "a.log")[1].counts) == 2
    assert len(scan(str(tmp_path / "**/*.log"))[1].counts) == 4
    assert len(scan(tmp_path / "x[1].log")[1].counts) == 1
    for path, problem in (("*.txt", "the pattern matches no file"), ("none.log", "no such file")):
        with pytest.raises(TrafficInputError, match=problem):
            scan(tmp_path / path)


def test_empty_inputs(tmp_path: Path) -> None:
    """An empty file is a log without lines; an empty directory is a mistake."""
    (tmp_path / "empty.log").write_bytes(b"")
    write_log(random_records(1, 0), tmp_path / "none.log.gz")
    _, reader = scan(tmp_path)
    assert [classes(counts) for counts in reader.counts] == [{}, {"header": 1}]
    (tmp_path / "directory").mkdir()
    with pytest.raises(TrafficInputError, match="no flow log in this directory"):
        scan(tmp_path / "directory")


@pytest.mark.parametrize("kind", ["text", "gzip", "parquet"])
def test_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """`-` is standard input, in whatever form."""
    records = random_records(3, 500, FIELDS)
    path = tmp_path / {"text": "a.log", "gzip": "a.log.gz", "parquet": "a.parquet"}[kind]
    write_parquet(records, path) if kind == "parquet" else write_log(records, path)
    give_stdin(monkeypatch, path.read_bytes())
    batches, reader = scan("-")
    assert reader.counts[0].source == "<stdin>"
    assert rows(batches) == rows(scan(path)[0])


def test_unreadable(tmp_path: Path) -> None:
    """What the operating system refuses is one line, not a traceback."""
    (tmp_path / "loop.log").symlink_to(tmp_path / "loop.log")
    for path in ("loop.log", "a\0b"):
        with pytest.raises(TrafficInputError):
            scan(f"{tmp_path}/{path}")


def test_gzip_members(tmp_path: Path) -> None:
    """Members follow each other, as `cat` makes them; each may bring its header line."""
    records = random_records(5, 300, FIELDS)
    path = tmp_path / "a.log.gz"
    path.write_bytes(gzip.compress(to_text(records)) + gzip.compress(b"") + gzip.compress(to_text(records)))
    batches, reader = scan(path)
    assert reader.counts[0].header == 2 and not reader.counts[0].notes
    found = rows(batches)
    assert [{**row, "line": 0} for row in found[: len(found) // 2]] == [
        {**row, "line": 0} for row in found[len(found) // 2 :]
    ]


def test_gzip_header_parts(tmp_path: Path) -> None:
    """RFC 1952: a member's header may hold extra fields, a name, a comment and a checksum."""
    plain = gzip.compress(to_text(random_records(5, 10)), mtime=0)
    path = tmp_path / "a.gz"
    parts = b"\x03\x00abc" + b"name\0" + b"comment\0" + b"\x00\x00"
    path.write_bytes(plain[:3] + bytes([4 | 8 | 16 | 2]) + plain[4:10] + parts + plain[10:] + b"\0" * 512)
    _, reader = scan(path)
    assert (reader.counts[0].lines, reader.counts[0].notes) == (11, [])


def test_truncated_gzip(tmp_path: Path) -> None:
    """What came before the cut is true; the line that was cut is counted, never read as a shorter number."""
    fields = (*(name for name in FIELDS if name != "bytes"), "bytes")
    whole = write_log(random_records(5, 2000, fields, silent=0), tmp_path / "whole.gz")
    wanted = rows(scan(whole)[0])
    data = whole.read_bytes()
    for size in (len(data) - 1, len(data) - 9, len(data) // 2, 1000, 30, 5, 2):
        path = tmp_path / "cut.gz"
        path.write_bytes(data[:size])
        batches, reader = scan(path)
        found, counts = rows(batches), reader.counts[0]
        assert found == wanted[: len(found)]
        assert set(counts.causes) <= {"cut off"}
        assert len(counts.notes) == 1 and "the gzip data ends early" in counts.notes[0]
        assert len(found) > 2000 * size // len(data) - 300


def test_damaged_gzip(tmp_path: Path) -> None:
    """A wrong checksum and broken data are told, and take nothing away from what came before."""
    text = to_text(random_records(5, 2000))
    whole = gzip.compress(text)
    packer = zlib.compressobj(wbits=31)
    half = packer.compress(text) + packer.flush(zlib.Z_FULL_FLUSH)
    for data, note in (
        (whole[:-6] + b"\x55\xaa" + whole[-4:], "a gzip checksum does not match"),
        (half + b"\xff" * 100, "the gzip data is damaged"),  # a block type that does not exist
        (half + b"\xff" * (1 << 20), "the gzip data is damaged"),
        (whole + b"more", "bytes that are no gzip data follow"),
    ):
        (tmp_path / "broken.gz").write_bytes(data)
        _, reader = scan(tmp_path / "broken.gz")
        assert note in reader.counts[0].notes[0]
        assert reader.counts[0].lines == 2001
    (tmp_path / "broken.gz").write_bytes(whole[:10] + b"\xff" + whole[11:])
    _, reader = scan(tmp_path / "broken.gz")
    assert (reader.counts[0].lines, len(reader.counts[0].notes)) == (0, 1)


def test_unterminated_and_long_lines(tmp_path: Path) -> None:
    """A whole file may lack its last line end, which is noted; a line above 1 MiB is counted and not read."""
    text = to_text(random_records(5, 3, silent=0), header=False)
    (tmp_path / "a.log").write_bytes(text[:-1])
    _, reader = scan(tmp_path / "a.log")
    assert (reader.counts[0].ok, reader.counts[0].notes) == (3, ["the last line has no line end: it may be cut off"])
    (tmp_path / "b.log").write_bytes(text + b"x" * (6 << 20) + b"\n" + text)
    _, reader = scan(tmp_path / "b.log")
    assert classes(reader.counts[0]) == {"ok": 6, "line too long": 1}


def test_well_compressed(tmp_path: Path) -> None:
    """Text that grows a thousandfold is decompressed in portions."""
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"\n" * (40 << 20)))
    sizes = [block.stop for block in line_blocks(inflate(iter([(tmp_path / "a.gz").read_bytes()]), []), [])]
    assert sum(sizes) == 40 << 20 and max(sizes) <= 8 << 20
    _, reader = scan(tmp_path / "a.gz")
    assert classes(reader.counts[0]) == {"blank": 40 << 20}


def parquet_like_text(tmp_path: Path, records: pa.Table, parquet: Path) -> None:
    text = write_log(records, tmp_path / "same.log")
    (wanted, _), (found, reader) = scan(text), scan(parquet)
    header = [{**row, "line": row["line"] - 1} for row in rows(wanted)]  # rows have no header before them
    assert rows(found) == header
    assert silences(found) == silences(wanted)
    assert reader.counts[0].lines == records.num_rows


@pytest.mark.parametrize("underscores", [True, False])
def test_parquet_names(tmp_path: Path, underscores: bool) -> None:
    """Columns = field names with `-` → `_`, or as they are; accessed by name."""
    records = random_records(8, 3000, FIELDS[::-1], silent=0.05)
    path = write_parquet(records, tmp_path / "a.parquet", underscores=underscores, rows=700)
    parquet_like_text(tmp_path, records, path)


@pytest.mark.parametrize("numbers", ["int64", "int32", "uint64", "string", "dictionary", "large_string"])
def test_parquet_types(tmp_path: Path, numbers: str) -> None:
    """32 or 64 bit (Athena types `protocol` bigint): coerced; null and `-` mean the same."""
    records = random_records(9, 500, FIELDS, silent=0.05)
    columns = []
    for column in records.columns:
        if pa.types.is_integer(column.type):
            narrow = numbers == "int32" and column.type == pa.int32()
            kind = {"int64": pa.int64(), "int32": pa.int32() if narrow else pa.int64(), "uint64": pa.uint64()}
            column = column.cast(kind.get(numbers, pa.string()))
        else:
            column = column.fill_null("-")
        if numbers == "dictionary":
            column = column.combine_chunks().dictionary_encode()
        if numbers == "large_string" and pa.types.is_string(column.type):
            column = column.cast(pa.large_string())
        columns.append(column)
    path = write_parquet(pa.table(columns, names=records.column_names), tmp_path / "a.parquet", compression="snappy")
    parquet_like_text(tmp_path, records, path)


def test_parquet_account_as_number(tmp_path: Path) -> None:
    """A crawler may type account-id as a number, which loses leading zeros: twelve digits are twelve digits."""
    records = random_records(9, 5, silent=0)
    accounts = pa.array([12345678901, 123456789012, None, 1, 2])
    records = records.set_column(1, "account-id", accounts)
    batches, _ = scan(write_parquet(records, tmp_path / "a.parquet"))
    texts = [row["account-id"] for row in rows(batches)]
    assert texts == ["012345678901", "123456789012", None, "000000000001", "000000000002"]


def test_parquet_bad_rows(tmp_path: Path) -> None:
    """Rows fall into the same classes as lines."""
    records = random_records(9, 8, silent=0, ipv6=0)
    start = records["start"].to_pylist()

    def put(name: str, values: list[Any]) -> None:
        nonlocal records
        position = records.column_names.index(name)
        records = records.set_column(position, name, pa.array(values))

    put("srcport", [65536, -5, 1, 1, 1, 1, 1, 1])
    put("srcaddr", ["10.0.0.1"] * 2 + ["nonsense", "::1", None, "10.0.0.1", "10.0.0.1", "10.0.0.1"])
    put("end", [*start[:5], start[5] - 1, *start[6:]])
    put("action", ["ACCEPT"] * 6 + ["allow", "REJECT"])
    _, reader = scan(write_parquet(records, tmp_path / "a.parquet"))
    assert classes(reader.counts[0]) == {
        "port above 65535": 1, "not a number": 1, "not an address": 1, "address families differ": 1, "incomplete": 1,
        "end before start": 1, "unknown action": 1, "ok": 1,
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_parquet_odd_values_like_text(tmp_path: Path, seed: int) -> None:
    """The same odd values in text columns and in lines fall into the same classes, row by row."""
    rng = random.Random(seed)
    columns = {name: column.to_pylist() for name, column in zip(FIELDS, random_records(seed, 400, FIELDS).columns)}
    odd = [token for token in TOKEN_TEXT.split() if not token.startswith(("Transit", "2024"))]  # of lines only
    fields = list(FIELDS)
    rng.shuffle(fields)
    rows_of_text = []
    for i in range(400):
        row = {name: "-" if columns[name][i] is None else str(columns[name][i]) for name in fields}
        for name in rng.sample(fields, rng.choice((0, 0, 1, 2))):
            row[name] = rng.choice(odd)
        rows_of_text.append(row)
    text = "".join(" ".join(values) + "\n" for values in [fields, *(row.values() for row in rows_of_text)])
    (tmp_path / "a.log").write_text(text)
    table = pa.table({name: [row[name] for row in rows_of_text] for name in fields})
    write_parquet(table, tmp_path / "a.parquet", rows=150)
    (wanted, lines), (found, parquet) = scan(tmp_path / "a.log"), scan(tmp_path / "a.parquet")
    assert classes(lines.counts[0]) == {"header": 1} | classes(parquet.counts[0])
    assert rows(found) == [{**row, "line": row["line"] - 1} for row in rows(wanted)]
    assert silences(found) == silences(wanted)
    first = {cause: line - 1 for cause, line in lines.counts[0].first_line.items()}
    assert parquet.counts[0].first_line == first


def test_parquet_shapes(tmp_path: Path) -> None:
    """Without rows, with nothing but silences, as bytes, with narrow indices and nulls."""
    empty = write_parquet(random_records(1, 0), tmp_path / "empty.parquet")
    assert (scan(empty)[0], scan(empty)[1].counts[0].lines) == ([], 0)
    quiet = random_records(1, 20, silent=1)
    parquet_like_text(tmp_path, quiet, write_parquet(quiet, tmp_path / "quiet.parquet"))
    records = random_records(2, 20, silent=0.3)
    for name in ("srcaddr", "action", "interface-id"):
        values = records[name].to_pylist()
        distinct = [value for value in dict.fromkeys(values) if value is not None]
        indices = pa.array([None if value is None else distinct.index(value) for value in values], pa.int8())
        column = pa.DictionaryArray.from_arrays(indices, pa.array(distinct))
        records = records.set_column(records.column_names.index(name), name, column)
    position = records.column_names.index("dstaddr")
    records = records.set_column(position, "dstaddr", records["dstaddr"].cast(pa.binary()))
    path = write_parquet(records, tmp_path / "odd.parquet")
    parquet_like_text(tmp_path, random_records(2, 20, silent=0.3), path)


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"a": [1]}, "the log format lacks srcaddr or pkt-srcaddr"),
        ({"srcport": [1.5]}, "column 'srcport' has the type double"),
        ({"srcaddr": [1]}, "column 'srcaddr' has the type int64"),
        ({"end": [[1]]}, "column 'end' has the type list"),
    ],
)
def test_parquet_with_another_schema(tmp_path: Path, columns: dict[str, Any], problem: str) -> None:
    """Another schema is an error that names the column; not strict, its rows are counted."""
    table = pa.table(columns) if "a" in columns else random_records(1, 1, silent=0)
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    path = write_parquet(table, tmp_path / "a.parquet")
    with pytest.raises(TrafficInputError, match=problem):
        scan(path)
    _, reader = scan(path, strict=False)
    assert classes(reader.counts[0]) == {"file not usable": 1}


def test_parquet_of_a_transit_gateway(tmp_path: Path) -> None:
    """Counted without being read."""
    table = pa.table({"version": [6, 6], "tgw_id": ["tgw-1"] * 2, "srcaddr": ["10.0.0.1"] * 2})
    _, reader = scan(write_parquet(table, tmp_path / "a.parquet"))
    assert classes(reader.counts[0]) == {"transit_gateway": 2}


def test_iteration_can_stop_and_begin_again(tmp_path: Path) -> None:
    """A scan that is left early leaves no thread behind, and reads the same the second time."""
    for i in range(12):
        write_log(random_records(i, 3000), tmp_path / f"{i}.log.gz", level=1)
    reader = scan_flow_logs([tmp_path])
    for _ in reader:
        break
    first = [len(batch) for batch in reader]
    assert first == [len(batch) for batch in reader] and sum(first) == sum(counts.ok for counts in reader.counts)


SAMPLES = {
    "otel/valid_vpc_flow_log.log": {"header": 1, "nodata": 1},
    "otel/valid_vpc_flow_log_multi.log": {"header": 1, "ok": 2},
    # its events have four fields: version interface-id srcaddr dstaddr
    "otel/valid_vpc_flow_cw_custom.json": {"file not usable": 2},
    "vpcflowreporter/acceptRaw.dat": {"ok": 19},
    "vpcflowreporter/sample.dat": {"ok": 54, "nodata": 3, "skipdata": 3},
    "vpcflowreporter/acceptNorm.dat": {"JSON without log events": 1},  # a report, not a log
}


def test_foreign_samples() -> None:
    """Every line of logs that nobody here made is accounted for."""
    if not os.environ.get("SGSIM_TEST_DATA"):
        pytest.skip("SGSIM_TEST_DATA is not set: no foreign flow logs to read")
    directory = Path(os.environ["SGSIM_TEST_DATA"], "flowlogs")
    shown = "${version} ${interface-id} ${srcaddr} ${dstaddr}"
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        name = str(path.relative_to(directory))
        _, reader = scan(path, strict=False, log_format=shown if "custom" in name else None)
        assert classes(reader.counts[0]) == SAMPLES[name], name
        if path.suffix != ".json" and "JSON" not in str(SAMPLES[name]):
            assert reader.counts[0].lines == len(path.read_bytes().splitlines())


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """An S3 bucket of moto's server: (its URI, the query that leads Arrow there)."""
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed: no S3 to test with")
    server = pytest.importorskip("moto.server", reason="moto is not installed: no S3 to test with")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("SGSIM_TEST_ENDPOINT", f"http://{host}:{port}")
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
        name = f"logs-{uuid.uuid4().hex[:8]}"
        client.create_bucket(Bucket=name)
        yield name
        client.close()
    running.stop()


def s3(bucket: str, key: str) -> str:
    endpoint = os.environ["SGSIM_TEST_ENDPOINT"].removeprefix("http://")
    return f"s3://{bucket}/{key}?endpoint_override={endpoint}&scheme=http&region=us-east-1"


def test_s3(tmp_path: Path, bucket: str) -> None:
    """`s3://`: one object, a prefix, a pattern; text, gzip and Parquet."""
    import boto3

    client = boto3.client("s3", endpoint_url=os.environ["SGSIM_TEST_ENDPOINT"], region_name="us-east-1")
    records = random_records(4, 800, FIELDS)
    paths = [log_path(tmp_path, begin=BEGIN + 300 * i, suffix=s) for i, s in enumerate((".log.gz", ".log.parquet"))]
    write_log(records, paths[0])
    write_parquet(records, paths[1])
    keys = [str(path.relative_to(tmp_path)) for path in paths]
    for key, path in zip(keys, paths):
        client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
    client.close()
    wanted = [rows(scan(path)[0]) for path in paths]
    assert rows(scan(s3(bucket, keys[0]))[0]) == wanted[0]
    assert rows(scan(s3(bucket, "AWSLogs/*/vpcflowlogs/**/*.parquet"))[0]) == wanted[1]
    batches, reader = scan(s3(bucket, "AWSLogs/"))
    assert [counts.lines for counts in reader.counts] == [801, 800]
    assert rows(batches) == [*wanted[0], *({**row, "source": 1} for row in wanted[1])]
    assert reader.bytes_read == reader.bytes_total == sum(path.stat().st_size for path in paths)
    assert len(scan(s3(bucket, "AWSLogs/123456789010/vpcflowlogs/eu-central-?/**"))[1].counts) == 2
    for key in ("none/", "AWSLogs/*/none*"):
        with pytest.raises(TrafficInputError, match="no flow log there"):
            scan(s3(bucket, key))
    with pytest.raises(TrafficInputError, match="no flow log there"):
        scan(s3("no-such-bucket", "x/"))
