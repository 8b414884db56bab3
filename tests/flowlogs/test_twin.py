"""The reader says of every line what the plain twin says: docs/semantics.md §5.6, on generated logs."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sgsim.traffic.flowlogs import DEFAULT_FIELDS, FIELD_VERSIONS
from sgsim.traffic.flowlogs import blocks as blocks_module
from sgsim.traffic.flowlogs import builder as builder_module
from sgsim.traffic.flowlogs import scan as scan_module
from sgsim.traffic.flowlogs.generate import random_records
from sgsim.traffic.flowlogs.write import to_text

from .support import assert_like_twin
from .twin import Twin

NEEDED = ("srcaddr", "dstaddr", "srcport", "dstport", "protocol", "start", "end")
ALL = tuple(FIELD_VERSIONS)


def placeholders(names: Any) -> str:
    return " ".join(f"${{{name}}}" for name in names)


@pytest.mark.parametrize("version", sorted({*FIELD_VERSIONS.values()}))
def test_every_version_with_header(tmp_path: Path, version: int) -> None:
    """Versions 2 to 11, all fields up to that version, in AWS's order."""
    fields = [name for name in ALL if FIELD_VERSIONS[name] <= version]
    text = to_text(random_records(version, 400, fields, silent=0.05))
    path = tmp_path / "a.log"
    path.write_bytes(text)
    assert_like_twin(path, Twin(), text)


@pytest.mark.parametrize("seed", range(12))
def test_any_order_and_subset(tmp_path: Path, seed: int) -> None:
    """Any fields in any order, with a header, or without one and with the log format that AWS shows."""
    rng = random.Random(seed)
    optional = [name for name in ALL if name not in NEEDED]
    fields = [*NEEDED, *rng.sample(optional, rng.randrange(len(optional)))]
    if seed % 3 == 0:
        fields = ["pkt-srcaddr" if f == "srcaddr" else "pkt-dstaddr" if f == "dstaddr" else f for f in fields]
        fields = list(dict.fromkeys(fields))
    rng.shuffle(fields)
    records = random_records(seed, 300, fields, silent=0.1, ipv6=0.3)
    (tmp_path / "with.log").write_bytes(text := to_text(records))
    assert_like_twin(tmp_path / "with.log", Twin(), text)
    (tmp_path / "without.log").write_bytes(text := to_text(records, header=False))
    assert_like_twin(tmp_path / "without.log", Twin(fields, False), text, log_format=placeholders(fields))


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("stamp", ["", "2024-05-01T12:00:00Z ", "2024-05-01T12:00:00.123Z\t"])
def test_default_format_without_header(tmp_path: Path, ending: str, stamp: str) -> None:
    """CloudWatch has no header; its exports put a timestamp before each line; editors change line ends."""
    lines = to_text(random_records(7, 200, silent=0.1), header=False).decode().splitlines()
    text = "".join(f"{stamp}{line}{ending}" for line in lines).encode()
    path = tmp_path / "a.log"
    path.write_bytes(text)
    assert_like_twin(path, Twin(), text)


def test_small_blocks_and_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither where blocks are cut nor where batches end changes a record; headers may stand anywhere."""
    texts = [to_text(random_records(seed, 150, fields, silent=0.1)) for seed, fields in enumerate(
        [DEFAULT_FIELDS, (*DEFAULT_FIELDS, "tcp-flags", "flow-direction"), DEFAULT_FIELDS[::-1]])]  # fmt: skip
    text = b"".join([*texts, b"\n  \n", *texts[::-1]])
    path = tmp_path / "a.log"
    path.write_bytes(text)
    for block, capacity in ((1 << 22, 1 << 16), (700, 1 << 16), (4000, 7), (1, 1)):
        for module in (blocks_module, scan_module):
            monkeypatch.setattr(module, "BLOCK", block)
        monkeypatch.setattr(builder_module, "CAPACITY", capacity)
        assert_like_twin(path, Twin(), text)


GOOD = b"2 123456789010 eni-1 10.0.0.1 10.0.0.2 49152 443 6 20 4249 1418530010 1418530070 ACCEPT OK\n"
TOKEN_TEXT = (
    "- 0 1 2 6 17 58 255 256 65535 65536 443 1418530010 1418530070 8589934591 8589934592 999999999999999999 "
    "1000000000000000000 00 +1 1.5 -1 10.0.0.1 10.0.0.256 10.0.0 010.0.0.1 0.0.0.0 255.255.255.255 1.2.3.4.5 :: "
    "::1 1:: 2001:db8::1 2001:DB8::A 1:2:3:4:5:6:7:8 1:2:3:4:5:6:7:8:9 1:2:3:4:5:6:7:: ::2:3:4:5:6:7:8 "
    "1::3:4:5:6:7:8 1:2:3:4::5:6:7:8 ::ffff:1.2.3.4 ::1.2.3.4:5 1:2:3:4:5:6:1.2.3.4 1:2:3:4:5:6:7:1.2.3.4 12345:: "
    "::g fe80::1%eth0 : ::: 1:::2 1::2::3 :1 1: ACCEPT REJECT accept OK NODATA SKIPDATA ok ingress egress EFA IPv4 "
    "TransitGateway eni-0123 eni-é srcaddr version 2024-05-01T12:00:00Z 2024-05-01T12:00:00.Z"
)
TOKENS = st.sampled_from(TOKEN_TEXT.split())
SEPARATORS = st.sampled_from([" "] * 12 + ["  ", "\t", "\r", "\x00", "\x0b"])


@st.composite
def odd_lines(draw: st.DrawFn) -> bytes:
    """A proper line of the default format with some tokens exchanged, dropped or added."""
    tokens = GOOD.decode().split()
    for position in draw(st.lists(st.integers(0, 13), max_size=4)):
        tokens[position] = draw(TOKENS)
    if draw(st.integers(0, 9)) == 0:
        tokens = draw(st.lists(TOKENS, max_size=16))
    first = draw(st.sampled_from([""] * 8 + [" ", "2024-05-01T12:00:00Z ", "2024-05-01T12:00:00.5Z  ", "\t"]))
    text = first + "".join(token + draw(SEPARATORS) for token in tokens)
    return text.rstrip(" ").encode() + draw(st.sampled_from([b"", b" ", b"\r"]))


@settings(
    max_examples=400, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lines=st.lists(odd_lines(), max_size=12))
def test_odd_lines(tmp_path: Path, lines: list[bytes]) -> None:
    """Whatever stands in a line, it falls into the class that the twin gives it, or is the same record."""
    text = GOOD + b"".join(line + b"\n" for line in lines)
    path = tmp_path / "a.log"
    path.write_bytes(text)
    assert_like_twin(path, Twin(), text)


@settings(
    max_examples=300, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(alphabet="0123456789abcdefABCDEF:.-%", max_size=46))
def test_addresses_like_the_standard_library(tmp_path: Path, text: str) -> None:
    """An address is what `ipaddress` takes for one."""
    line = GOOD.replace(b"10.0.0.1", text.encode() or b"::").replace(b"10.0.0.2", b"::ffff:10.0.0.2")
    path = tmp_path / "a.log"
    path.write_bytes(GOOD + line)
    assert_like_twin(path, Twin(), GOOD + line)
