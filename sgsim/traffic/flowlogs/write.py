"""Flow logs written as AWS does: text, gzip and Parquet, in AWS's directory layout.

Records are an Arrow table whose columns are flow-log fields (hyphenated): integers for numeric fields, text for the
others, null for `-`.
"""

from __future__ import annotations

import gzip
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["log_path", "to_text", "write_log", "write_parquet"]

_BEGIN = 1_700_000_000 - 1_700_000_000 % 600


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
    root: Path, *, account: str = "123456789010", region: str = "eu-central-1", begin: int = _BEGIN,
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
