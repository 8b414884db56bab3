"""File formats: every way that pcap and pcapng have to write the same packets gives the same packets and times."""

from __future__ import annotations

import gzip
import io
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard

from sgsim.traffic import scan_packets
from tests.traffic.captures import block, enhanced, interface, obsolete, pcap, rows_of, section, simple, udp_frame

FRAMES = [udp_frame(sport=1000 + number, payload=b"x" * (number % 7)) for number in range(50)]
TIMES = [1_700_000_000_123_456_000 + 1_000_000 * number for number in range(50)]
TIMED = list(zip(TIMES, FRAMES))


def read(tmp_path: Path, data: bytes, name: str = "capture") -> tuple[list[dict[str, Any]], Any]:
    path = tmp_path / name
    path.write_bytes(data)
    scan = scan_packets([path])
    rows = list(rows_of(scan))
    counts = scan.counts[0]
    assert counts.decoded == len(rows)
    assert counts.total - counts.decoded == sum(counts.causes.values())
    assert scan.bytes_total == len(data)
    return rows, counts


def check(rows: list[dict[str, Any]], times: list[int] | None = None) -> None:
    assert [row["srcport"] for row in rows] == [1000 + number for number in range(len(rows))]
    assert [row["record"] for row in rows] == list(range(1, len(rows) + 1))
    assert [row["time"] for row in rows] == (TIMES if times is None else times)[: len(rows)]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_pcap_in_both_byte_orders_and_resolutions(tmp_path: Path, order: str, nanoseconds: bool) -> None:
    rows, counts = read(tmp_path, pcap(TIMED, order=order, nanoseconds=nanoseconds))
    assert len(rows) == 50 and not counts.notes
    check(rows)


def test_pcap_of_kuznetzov(tmp_path: Path) -> None:
    """The modified format has 8 more bytes in each record header."""
    data = struct.pack("<IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 65535, 1)
    for time, frame in TIMED:
        seconds, rest = divmod(time, 10**9)
        data += struct.pack("<IIIIIHBB", seconds, rest // 1000, len(frame), len(frame), 2, 0x0800, 0, 0) + frame
    check(read(tmp_path, data)[0])


@pytest.mark.parametrize("minor", [2, 3])
def test_pcap_of_old_versions_swaps_the_lengths(tmp_path: Path, minor: int) -> None:
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, minor, 0, 0, 65535, 1)
    for time, frame in TIMED:
        seconds, rest = divmod(time, 10**9)
        data += struct.pack("<IIII", seconds, rest // 1000, len(frame) + 9, len(frame)) + frame
    check(read(tmp_path, data)[0])


def test_link_type_is_the_low_26_bits(tmp_path: Path) -> None:
    """Above lies the length of the frame check sequence."""
    check(read(tmp_path, pcap(TIMED, link_type=1 | 0x3000_0000))[0])


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("writer", [enhanced, obsolete])
def test_pcapng_packet_blocks(tmp_path: Path, order: str, writer: Any) -> None:
    data = section(order) + interface(order=order)
    data += b"".join(writer(frame, time // 1000, order=order) for time, frame in TIMED)
    rows, counts = read(tmp_path, data)
    assert len(rows) == 50 and not counts.notes
    check(rows)


def test_pcapng_simple_packets_have_no_time(tmp_path: Path) -> None:
    """They take that of the packet before, and a note says so; the snap length bounds what was captured."""
    data = section() + interface(snaplen=60) + enhanced(FRAMES[0], TIMES[0] // 1000)
    data += b"".join(simple(frame[:60], wire=len(frame) + 100) for frame in FRAMES[1:])
    rows, counts = read(tmp_path, data)
    check(rows, [TIMES[0]] * 50)
    assert counts.notes == ["49 packets have no time and are given that of the one before"]


@pytest.mark.parametrize(
    ("resolution", "units"),
    [(None, 10**6), (0, 1), (3, 10**3), (6, 10**6), (9, 10**9), (12, 10**12), (0x80, 1), (0x8A, 2**10), (0xA8, 2**40)],
)
@pytest.mark.parametrize("offset", [None, 0, 3600, -3600])
def test_pcapng_resolutions_and_offsets(tmp_path: Path, resolution: int | None, units: int, offset: int | None) -> None:
    """A time stamp of s units is s / units seconds after 1970 plus the offset, here rounded down to nanoseconds."""
    if units > 10**10:  # 64 bits hold 200 days of these
        offset = 1_699_000_000 + (offset or 0)
    shift = offset or 0
    stamps = [(time - shift * 10**9) * units // 10**9 for time in TIMES]
    data = section() + interface(resolution=resolution, offset=offset)
    data += b"".join(enhanced(frame, stamp) for frame, stamp in zip(FRAMES, stamps))
    exact = [stamp * 10**9 // units + shift * 10**9 for stamp in stamps]
    check(read(tmp_path, data)[0], exact)


def test_pcapng_skips_other_blocks_whatever_their_length(tmp_path: Path) -> None:
    """Custom blocks, name resolution, statistics, decryption secrets and blocks of kinds not yet invented."""
    data = section() + interface()
    for number, (time, frame) in enumerate(TIMED):
        kind = (0x0BAD, 0x4000_0BAD, 4, 5, 10, 0x1234_5678)[number % 6]
        data += block(kind, bytes(number * 40_000)) + enhanced(frame, time // 1000)
    check(read(tmp_path, data)[0])


def test_pcapng_sections_have_their_own_byte_order_and_interfaces(tmp_path: Path) -> None:
    data = b""
    for number, (time, frame) in enumerate(TIMED):
        order = "<>"[number % 2]
        data += section(order) + interface(147, order=order) + interface(101, resolution=9, order=order)
        data += enhanced(frame[14:], time, at=1, order=order)
    rows, counts = read(tmp_path, data)
    check(rows)
    assert not counts.notes


def test_pcapng_interfaces_of_several_link_types(tmp_path: Path) -> None:
    data = section() + interface(1) + interface(101) + interface(113) + interface(0)
    cooked = struct.pack("!HHH8sH", 0, 1, 6, bytes.fromhex("0a0b0c0d0e0f0000"), 0x0800)
    heads = [FRAMES[0][:14], b"", cooked, struct.pack("=I", 2)]
    for number, (time, frame) in enumerate(TIMED):
        data += enhanced(heads[number % 4] + frame[14:], time // 1000, at=number % 4)
    rows, _ = read(tmp_path, data)
    check(rows)
    assert rows[2]["src_mac"] == 0x0A0B0C0D0E0F and rows[2]["dst_mac"] == 0
    assert rows[0]["src_mac"] == 0x0A0000000001 and rows[0]["dst_mac"] == 0x0A0000000002


def test_pcapng_packets_that_cannot_be_placed(tmp_path: Path) -> None:
    """No such interface, a resolution beyond use, more bytes than the block has, a time in 2600: damaged, and the
    rest stays true."""
    good = enhanced(FRAMES[0], TIMES[0] // 1000)
    overlong = bytearray(good)
    overlong[20:24] = struct.pack("<I", 5000)
    data = section() + interface() + interface(resolution=127)
    data += enhanced(FRAMES[0], 1, at=7) + enhanced(FRAMES[0], 1, at=1) + overlong + enhanced(FRAMES[0], 2 * 10**16)
    data += enhanced(FRAMES[0], 2**63) + good
    rows, counts = read(tmp_path, data)
    assert [row["record"] for row in rows] == [6]
    assert counts.damaged == 5 and sorted(counts.causes.values()) == [1, 2, 2]


@pytest.mark.parametrize("writer", [pcap, lambda timed: section() + interface(resolution=9) + b"".join(
    enhanced(frame, time) for time, frame in timed)], ids=["pcap", "pcapng"])  # fmt: skip
@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
        zstandard.compress,
        lambda data: zstandard.compress(data[:1000]) + zstandard.compress(data[1000:]),
    ],
    ids=["gzip", "gzip of two members", "zstd", "zstd of two frames"],
)
def test_compressed(tmp_path: Path, writer: Any, pack: Any) -> None:
    rows, counts = read(tmp_path, pack(writer(TIMED)))
    assert len(rows) == 50 and not counts.notes
    check(rows)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_standard_input(monkeypatch: pytest.MonkeyPatch, pack: Any) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pack(pcap(TIMED)))))
    scan = scan_packets(["-"])
    check(list(rows_of(scan)))
    assert scan.bytes_total is None and scan.counts[0].source == "<stdin>"


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_reads_of_any_size_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """A pipe hands over what it has."""
    from sgsim.traffic import streams

    whole = streams._Raw.readinto
    monkeypatch.setattr(streams._Raw, "readinto", lambda self, view: whole(self, view[:size]))
    check(read(tmp_path, pcap(TIMED))[0])
    data = section() + interface() + block(0x0BAD, bytes(5000))
    check(read(tmp_path, data + b"".join(enhanced(frame, time // 1000) for time, frame in TIMED))[0])


def test_records_longer_than_the_buffer(tmp_path: Path) -> None:
    """The buffer grows to what a record needs."""
    long = udp_frame(sport=1000, payload=bytes(250_000))
    data = pcap([(TIMES[0], long[:200_000]), *TIMED[1:]])
    path = tmp_path / "long"
    path.write_bytes(data)
    from sgsim.traffic.capture import Capture

    rows = list(rows_of(batch.packets for batch in Capture(path, buffer_bytes=8192)))
    check(rows)
    assert len(rows) == 50


def test_batches_are_small_and_the_callers_own(tmp_path: Path) -> None:
    """At most 8 192 rows; a batch that is kept is not written to again."""
    path = tmp_path / "many"
    path.write_bytes(pcap((FRAMES * 400)[:20_000]))
    batches = list(scan_packets([path]))
    assert [len(batch) for batch in batches] == [8192, 8192, 3616]
    assert [int(record) for batch in batches for record in batch.record] == list(range(1, 20_001))


@pytest.mark.parametrize("background", [False, True])
def test_decoding_ahead_changes_nothing(tmp_path: Path, background: bool) -> None:
    path = tmp_path / "many"
    path.write_bytes(pcap((FRAMES * 400)[:20_000]))
    scan = scan_packets([path], background=background)
    assert sum(len(batch) for batch in scan) == 20_000 == scan.counts[0].decoded
    assert scan.bytes_read == scan.bytes_total == path.stat().st_size
    stopped = scan_packets([path], background=background)
    for batch in stopped:
        assert len(batch) == 8192
        break
