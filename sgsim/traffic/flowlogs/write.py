"""Flow logs that look like AWS's: seeded records, and writers for text, gzip and Parquet in AWS's directory layout.

Records are an Arrow table whose columns are flow-log fields (hyphenated): integers for numeric fields, text for the
others, null for `-`.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sgsim.traffic.flowlogs.fields import DEFAULT_FIELDS, FIELD_VERSIONS

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["log_path", "random_records", "to_text", "write_log", "write_parquet"]

_INTEGERS_32 = frozenset(
    ("version", "srcport", "dstport", "protocol", "tcp-flags", "traffic-path", "encryption-status")
)
_INTEGERS_64 = frozenset(("packets", "bytes", "start", "end"))
_COMMON_PORTS = (443, 80, 22, 53, 5432, 3306, 6379, 8080, 9092, 123)
_EPOCH = 1_700_000_000 - 1_700_000_000 % 600


def random_records(
    seed: int,
    n: int,
    fields: Sequence[str] = DEFAULT_FIELDS,
    *,
    interfaces: int = 200,
    begin: int = _EPOCH,
    seconds: int = 600,
    ipv6: float = 0.05,
    rejected: float = 0.08,
    silent: float = 0.01,
) -> pa.Table:
    """n records of one aggregation window after another, within `seconds` from `begin`.

    Interfaces talk to each other, to private and to public peers; each record is one direction of a connection.
    `silent` is the share of NODATA and SKIPDATA lines, whose packet fields are all null.
    """
    import pyarrow as pa

    wanted, n = n, max(n, 1)
    rng = np.random.default_rng(seed)
    card = rng.integers(0, interfaces, n)
    v6 = rng.random(n) < ipv6
    outbound = rng.random(n) < 0.5
    peer = _peers(rng, n, interfaces)
    protocol = rng.choice([6, 17, 1, 50, 47], n, p=[0.8, 0.15, 0.03, 0.01, 0.01])
    protocol = np.where(v6 & (protocol == 1), 58, protocol)
    has_ports = (protocol == 6) | (protocol == 17)
    service = rng.choice(_COMMON_PORTS, n)
    ephemeral = rng.integers(32768, 61000, n)
    answers = rng.random(n) < 0.5
    flags = np.where(protocol == 6, rng.choice([0, 1, 2, 3, 4, 18, 19], n), 0)
    packets = 1 + rng.geometric(0.08, n)
    window = np.sort(rng.integers(0, max(seconds // 60, 1), n)) * 60
    start = begin + window + rng.integers(0, 30, n)
    own4, own6 = _own_addresses(card)
    peer4, peer6 = _peer_addresses(peer, interfaces)
    own, other = np.where(v6, own6, own4), np.where(v6, peer6, peer4)
    source, destination = np.where(outbound, own, other), np.where(outbound, other, own)
    status = np.where(rng.random(n) < silent, np.where(rng.random(n) < 0.8, "NODATA", "SKIPDATA"), "OK")
    ids = {
        "account-id": np.char.add("1234567890", np.char.zfill((10 + card % 3).astype(str), 2)),
        "interface-id": np.char.add("eni-0", _hex(card, 0x9E3779B97F4A7C15, 16)),
        "vpc-id": np.char.add("vpc-0", _hex(card % 4, 0xC2B2AE3D27D4EB4F, 16)),
        "subnet-id": np.char.add("subnet-0", _hex(card % 16, 0x165667B19E3779F9, 16)),
        "instance-id": np.char.add("i-0", _hex(card, 0xD6E8FEB86659FD93, 16)),
    }
    columns: dict[str, Any] = {
        "version": np.full(n, max((FIELD_VERSIONS.get(name, 2) for name in fields), default=2)),
        **ids,
        "srcaddr": source,
        "dstaddr": destination,
        "srcport": np.where(has_ports, np.where(answers, service, ephemeral), 0),
        "dstport": np.where(has_ports, np.where(answers, ephemeral, service), 0),
        "protocol": protocol,
        "packets": packets,
        "bytes": packets * rng.integers(40, 1400, n),
        "start": start,
        "end": start + rng.integers(1, 60, n),
        "action": np.where(rng.random(n) < rejected, "REJECT", "ACCEPT"),
        "log-status": status,
        "tcp-flags": flags,
        "type": np.where(v6, "IPv6", "IPv4"),
        "pkt-srcaddr": source,
        "pkt-dstaddr": destination,
        "region": np.full(n, "eu-central-1"),
        "az-id": np.full(n, "euc1-az1"),
        "flow-direction": np.where(outbound, "egress", "ingress"),
        "traffic-path": np.where(outbound, rng.integers(1, 9, n), -1),
        "reject-reason": np.full(n, "-"),
    }
    always = {"version", "account-id", "interface-id", "start", "end", "log-status", "region", "az-id"}
    quiet = status != "OK"
    arrays = []
    for name in fields:
        integer = name in _INTEGERS_32 or name in _INTEGERS_64
        values = columns.get(name, np.full(n, -1) if integer else np.full(n, "-"))
        missing = values == (-1 if values.dtype.kind == "i" else "-")
        if name not in always:
            missing |= quiet
        kind = pa.int32() if name in _INTEGERS_32 else pa.int64() if name in _INTEGERS_64 else pa.string()
        arrays.append(pa.array(values, mask=missing, type=kind))
    return pa.table(arrays, names=list(fields)).slice(0, wanted)


def _hex(values: npt.NDArray[np.int64], factor: int, digits: int) -> npt.NDArray[np.str_]:
    distinct, back = np.unique(values, return_inverse=True)
    texts = [f"{(int(value) + 1) * factor % (1 << 4 * digits):0{digits}x}" for value in distinct]
    return np.array(texts)[back]


def _peers(rng: np.random.Generator, n: int, interfaces: int) -> npt.NDArray[np.int64]:
    """Mostly few peers, some of a long tail: below `interfaces` they are interfaces themselves."""
    tail = rng.integers(interfaces, interfaces + max(n // 8, 1), n)
    return np.where(rng.random(n) < 0.6, rng.integers(0, interfaces, n), tail)


def _own_addresses(card: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.str_]]:
    distinct, back = np.unique(card, return_inverse=True)
    four = np.array([f"10.{value >> 14 & 255}.{value >> 6 & 255}.{4 + (value & 63)}" for value in distinct.tolist()])
    six = np.array([f"2001:db8:1234:{value >> 8:x}::{value & 255 or 256:x}" for value in distinct.tolist()])
    return four[back], six[back]


def _peer_addresses(peer: npt.NDArray[np.int64], interfaces: int) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.str_]]:
    distinct, back = np.unique(peer, return_inverse=True)
    own4, own6 = _own_addresses(distinct)
    mixed = (distinct * 2654435761) & 0xFFFFFFFF
    octets = (mixed[:, None] >> np.array([0, 8, 16])) & 255
    outside = [f"{52 + c % 8}.{a}.{b}.{1 + c % 250}" for a, b, c in octets.tolist()]
    outside6 = [f"2a05:d014:{value & 0xFFFF:x}::{value >> 16:x}" for value in mixed.tolist()]
    inside = distinct < interfaces
    return np.where(inside, own4, outside)[back], np.where(inside, own6, outside6)[back]


def to_text(records: pa.Table, *, header: bool = True) -> bytes:
    """The lines of a text log, the header line with the hyphenated names first."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    texts = [pc.fill_null(pc.cast(column, pa.string()), "-") for column in records.columns]
    out = io.BytesIO()
    if header:
        out.write(" ".join(records.column_names).encode() + b"\n")
    options = csv.WriteOptions(include_header=False, delimiter=" ", quoting_style="none")
    csv.write_csv(pa.table(texts, names=records.column_names), out, options)
    return out.getvalue()


def write_log(records: pa.Table, path: Path, *, header: bool = True, level: int = 6) -> Path:
    """Write a text log, compressed if the name ends in `.gz`; directories are made. Returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = to_text(records, header=header)
    path.write_bytes(gzip.compress(text, level, mtime=0) if path.suffix == ".gz" else text)
    return path


def write_parquet(
    records: pa.Table, path: Path, *, underscores: bool = True, compression: str = "gzip", rows: int = 1 << 18
) -> Path:
    """Write a Parquet log as AWS does: gzip inside, `-` in names as `_`, row groups of at most `rows`."""
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    names = [name.replace("-", "_") if underscores else name for name in records.column_names]
    parquet.write_table(records.rename_columns(names), path, compression=compression, row_group_size=rows)
    return path


def log_path(
    root: Path, *, account: str = "123456789010", region: str = "eu-central-1", begin: int = _EPOCH,
    hive: bool = False, hourly: bool = False, suffix: str = ".log.gz", serial: int = 0,
) -> Path:  # fmt: skip
    """Where AWS would put the log of the interval from `begin` on (docs/semantics.md §5.6, Files)."""
    at = datetime.fromtimestamp(begin, UTC)
    if hive:
        parts = [f"aws-account-id={account}", "aws-service=vpcflowlogs", f"aws-region={region}"]
        parts += [f"year={at:%Y}", f"month={at:%m}", f"day={at:%d}"] + ([f"hour={at:%H}"] if hourly else [])
    else:
        parts = [account, "vpcflowlogs", region, f"{at:%Y}", f"{at:%m}", f"{at:%d}"] + ([f"{at:%H}"] if hourly else [])
    name = f"{account}_vpcflowlogs_{region}_fl-0123456789abcdef0_{at:%Y%m%dT%H%MZ}_{serial:08x}{suffix}"
    return root.joinpath("AWSLogs", *parts, name)
