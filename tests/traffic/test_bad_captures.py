"""Bad captures: one line with file, fault and advice, or a packet that is skipped and counted; never a traceback."""

from __future__ import annotations

import gzip
import os
import random
import struct
import time
from pathlib import Path
from typing import Any

import pytest
import zstandard

from sgsim.errors import TrafficInputError
from sgsim.traffic import PacketCounts, scan_packets
from tests.traffic.captures import block, enhanced, interface, obsolete, pcap, rows_of, section, simple, udp_frame

FRAME = udp_frame(payload=b"0123456789")
GOOD = pcap([FRAME] * 5)
GOOD_NG = section() + interface() + b"".join(enhanced(FRAME, 10**15 + number) for number in range(5))


def refused(path: Path, data: bytes | None = None) -> str:
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(TrafficInputError) as caught:
        list(scan_packets([path]))
    text = str(caught.value)
    assert "\n" not in text and caught.value.source == os.fspath(path) and caught.value.advice
    return caught.value.problem


def scanned(path: Path, data: bytes) -> PacketCounts:
    path.write_bytes(data)
    scan = scan_packets([path], background=False)
    rows = sum(len(batch) for batch in scan)
    counts = scan.counts[0]
    assert rows == counts.decoded
    assert sum(counts.causes.values()) == counts.total - counts.decoded
    return counts


def test_what_is_no_capture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    assert refused(path, b"") == "is no capture: it is empty"
    assert refused(path, b"abc") == "is no capture: it has 3 bytes"
    assert refused(path, b"GIF89a0123456789") == "is no capture: it begins with 47 49 46 38"
    assert refused(path, GOOD[:10]) == "is a capture of 10 bytes, less than its header of 24"
    assert refused(path, GOOD_NG[:10]) == "is a capture of 10 bytes"
    assert "version 3.4" in refused(path, pcap([FRAME], version=(3, 4)))
    assert "byte-order magic" in refused(path, GOOD_NG[:8] + b"\0\0\0\0" + GOOD_NG[12:])
    assert refused(path, gzip.compress(b"hello, world")) == "is no capture: it begins with 68 65 6c 6c"
    assert "damaged" in refused(path, b"\x1f\x8b" + bytes(30))
    assert "damaged" in refused(path, b"\x28\xb5\x2f\xfd" + b"\xff" * 30)
    assert refused(path, b"\xfd7zXZ\0" + bytes(20)) == "is compressed with xz"
    assert refused(path, b"BZh9" + bytes(20)) == "is compressed with bzip2"


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "none")
    assert "directory" in refused(tmp_path)
    with pytest.raises(TrafficInputError):
        scan_packets(["a\0b"])
    with pytest.raises(TrafficInputError):
        scan_packets([])
    with pytest.raises(TrafficInputError):
        scan_packets(["-", "-"])


def test_every_file_is_looked_at_before_the_first_packet(tmp_path: Path) -> None:
    """Hours of work should not end at a typing mistake in the last name."""
    (tmp_path / "good").write_bytes(GOOD)
    with pytest.raises(TrafficInputError):
        scan_packets([tmp_path / "good", tmp_path / "none"])


def test_a_file_that_vanishes(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(GOOD)
    scan = scan_packets([tmp_path / "a", tmp_path / "b"])
    (tmp_path / "b").unlink()
    with pytest.raises(TrafficInputError, match="b: cannot be opened"):
        list(scan)


@pytest.mark.parametrize("cut", range(1, 16 + len(FRAME), 7))
def test_a_file_that_ends_inside_a_record(tmp_path: Path, cut: int) -> None:
    """What came before is still true; the cut packet counts if its header was there."""
    counts = scanned(tmp_path / "capture", GOOD[:-cut])
    assert counts.decoded == 4
    inside_header = cut > len(FRAME)
    assert counts.truncated == (0 if inside_header else 1)
    assert counts.notes == [f"the file ends inside {'the header of ' * inside_header}record 5"]
    counts = scanned(tmp_path / "capture", GOOD_NG[:-cut])
    assert (counts.decoded, counts.truncated) == (4, 1)
    assert counts.notes == ["the file ends inside record 5"]


def test_a_file_that_ends_inside_another_block(tmp_path: Path) -> None:
    counts = scanned(tmp_path / "capture", GOOD_NG + block(0x0BAD, bytes(100_000))[:-9])
    assert (counts.decoded, counts.total) == (5, 5)
    assert counts.notes == ["the file ends inside a block after record 5"]
    counts = scanned(tmp_path / "capture", GOOD_NG + section()[:20])
    assert counts.notes == ["the file ends inside a section header after record 5"]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_compressed_data_that_is_cut(tmp_path: Path, pack: Any) -> None:
    random.seed(1)
    frames = [udp_frame(payload=random.randbytes(900)) for _ in range(1000)]
    data = pack(pcap(frames))
    counts = scanned(tmp_path / "capture", data[: len(data) // 2])
    assert 300 < counts.decoded < 600 and counts.truncated == 1
    assert counts.notes[0].startswith("the file ends inside record")
    middle = len(data) // 2
    counts = scanned(tmp_path / "capture", data[:middle] + b"\xff" * 64 + data[middle + 64 :])
    assert counts.total > 300 and counts.notes
    if pack is gzip.compress:
        counts = scanned(tmp_path / "capture", data[:-8] + bytes(4) + data[-4:])  # another checksum
        assert counts.total > 300 and "the compressed data is damaged" in counts.notes[0]


def test_bytes_after_a_gzip_stream(tmp_path: Path) -> None:
    assert scanned(tmp_path / "capture", gzip.compress(GOOD) + bytes(512)).notes == []
    counts = scanned(tmp_path / "capture", gzip.compress(GOOD) + b"some garbage there")
    assert counts.decoded == 5 and counts.notes == ["the compressed data is damaged"]


def test_a_record_longer_than_any_packet(tmp_path: Path) -> None:
    """Nothing after it can be found: one damaged packet and a note."""
    data = GOOD + struct.pack("<IIII", 0, 0, 2_000_000_000, 60) + FRAME
    counts = scanned(tmp_path / "capture", data)
    assert (counts.decoded, counts.damaged) == (5, 1)
    assert counts.notes == ["record 6 claims 2000000000 bytes, more than 262144: the rest of the file is not read"]
    data = GOOD_NG + struct.pack("<III", 6, 2_000_000_000, 0) + bytes(100)
    counts = scanned(tmp_path / "capture", data)
    assert (counts.decoded, counts.damaged) == (5, 1) and "impossible length" in counts.notes[0]
    for length in (4, 12, 30, 33):
        counts = scanned(tmp_path / "capture", GOOD_NG + struct.pack("<III", 6, length, 0) + bytes(100))
        assert (counts.decoded, counts.damaged) == (5, 1)


def test_a_block_whose_two_lengths_differ(tmp_path: Path) -> None:
    counts = scanned(tmp_path / "capture", GOOD_NG[:-4] + struct.pack("<I", 8) + GOOD_NG)
    assert (counts.decoded, counts.damaged) == (4, 1)


def test_a_record_longer_than_the_snap_length(tmp_path: Path) -> None:
    """All of it is there, so it is used, and a note says so."""
    counts = scanned(tmp_path / "capture", pcap([FRAME] * 3, snaplen=20))
    assert counts.decoded == 3 and counts.notes == ["3 packets are longer than the snap length"]
    counts = scanned(tmp_path / "capture", section() + interface(snaplen=20) + enhanced(FRAME))
    assert counts.decoded == 1 and counts.notes == ["1 packet is longer than the snap length"]


def test_time_running_backwards_is_kept_and_noted(tmp_path: Path) -> None:
    times = [100, 200, 150, 300, 250]
    path = tmp_path / "capture"
    path.write_bytes(pcap([(value * 10**9, FRAME) for value in times]))
    scan = scan_packets([path])
    assert [row["time"] // 10**9 for row in rows_of(scan)] == times
    assert scan.counts[0].notes == ["time runs backwards at 2 packets, first at record 3"]


HEADERS = {
    "no bytes": (b"", "the packet ends inside the link-layer header"),
    "half an Ethernet header": (FRAME[:9], "the packet ends inside the link-layer header"),
    "half an IP header": (FRAME[:30], "the packet ends inside the IP header"),
    "half a UDP header": (FRAME[:36], "the packet ends inside the transport header"),
    "version 5": (FRAME[:14] + b"\x55" + FRAME[15:], "IP version that is not the announced one"),
    "version 6 as IPv4": (FRAME[:14] + b"\x65" + FRAME[15:], "IP version that is not the announced one"),
    "header of 16 bytes": (FRAME[:14] + b"\x44" + FRAME[15:], "IPv4 header length below 20"),
    "header of 60 bytes": (FRAME[:14] + b"\x4f" + FRAME[15:], "IPv4 total length below the header length"),
    "total length 19": (FRAME[:16] + b"\0\x13" + FRAME[18:], "IPv4 total length below the header length"),
    "total length 22": (FRAME[:16] + b"\0\x16" + FRAME[18:], "the packet ends inside the transport header"),
    "ARP": (FRAME[:12] + b"\x08\x06" + FRAME[14:], "ARP"),
    "LLDP": (FRAME[:12] + b"\x88\xcc" + FRAME[14:], "LLDP"),
    "an unknown ethertype": (FRAME[:12] + b"\x12\x34" + FRAME[14:], "ethertype 0x1234"),
    "spanning tree": (FRAME[:12] + b"\x00\x26\x42\x42\x03" + FRAME[14:], "LLC frame"),
    "half a VLAN tag": (FRAME[:12] + b"\x81\x00\x01", "the packet ends inside the link-layer header"),
    "PPPoE control": (FRAME[:12] + b"\x88\x64" + bytes(6) + b"\xc0\x21", "PPP control or other protocol"),
    "MPLS pseudowire": (FRAME[:12] + b"\x88\x47\0\0\x11\x40\0\0\0\0", "MPLS payload that is not IP"),
    "half an IPv6 header": (FRAME[:12] + b"\x86\xdd\x60" + bytes(20), "the packet ends inside the IP header"),
    "an endless extension header": (
        FRAME[:12] + b"\x86\xdd\x60\0\0\0\0\x08\0\x40" + bytes(32) + b"\x06\xff" + bytes(6),
        "the packet ends inside the IPv6 extension headers",
    ),
    "an endless chain": (
        FRAME[:12] + b"\x86\xdd\x60\0\0\0\x04\0\0\x40" + bytes(32) + bytes(8) * 128,
        "endless chain of IPv6 extension headers",
    ),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_cannot_be_used(tmp_path: Path, name: str) -> None:
    """Counted with a cause; cut by the snap length it is truncated, whole it is damaged."""
    frame, cause = HEADERS[name]
    counts = scanned(tmp_path / "capture", pcap([FRAME, frame, FRAME]))
    assert counts.decoded == 2 and counts.causes == {cause: 1}
    counts = scanned(tmp_path / "capture", pcap([(0, frame, 1500)]))
    words = cause.replace("the packet ends inside", "captured only up to")
    cut = cause != words and name != "total length 22" and "endless" not in name
    assert counts.causes == {words if cut else cause: 1}
    assert counts.truncated == int(cut)


SEEDS = [
    GOOD,
    pcap([udp_frame(dport=4789, payload=b"\x08" + bytes(7) + FRAME), FRAME[:12] + b"\x81\x00\0\1\x86\xdd" + bytes(60)]),
    pcap([struct.pack("!HHIHBB8s", 0x0800, 0, 1, 1, 0, 6, bytes(8)) + FRAME[14:]] * 4, link_type=276, order=">"),
    GOOD_NG,
    pcap([b"\xff\x03\x00\x21" + FRAME[14:]] * 3, link_type=9),  # PPP, which scapy dissects
    section(">") + interface(101, resolution=0x8A, offset=-5, order=">") + interface(113, order=">")
    + obsolete(FRAME[14:], 5, order=">") + simple(FRAME[14:], order=">") + block(0x0BAD, bytes(33), ">")
    + enhanced(bytes(14) + b"\x08\0" + FRAME[14:], 77, at=1, order=">"),
]  # fmt: skip


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Bytes flipped, cut out, doubled or put to telling values."""
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 3, 8])):
        at = rng.randrange(len(out)) if out else 0
        kind = rng.randrange(6)
        if kind == 0:
            del out[at:]
        elif kind == 1:
            del out[at : at + rng.randrange(1, 40)]
        elif kind == 2:
            out[at:at] = out[at : at + rng.randrange(1, 60)]
        elif kind == 3 and out:
            out[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == 4:
            out[at & ~3 : (at & ~3) + 4] = rng.choice(
                [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x80", rng.randbytes(4)]
            )
        elif out:
            out[at] ^= 1 << rng.randrange(8)
    return bytes(out)


@pytest.mark.slow
@pytest.mark.parametrize("decapsulate", [False, True])
def test_five_thousand_damaged_captures(tmp_path: Path, decapsulate: bool) -> None:
    """Either a TrafficInputError or counts that add up, each in less than a second."""
    rng = random.Random(5)
    path = tmp_path / "capture"
    refusals = packets = 0
    slowest = 0.0
    for seed in SEEDS:  # compiles what is not compiled yet
        path.write_bytes(seed)
        list(scan_packets([path], decapsulate=decapsulate, background=False))
    for number in range(2500):
        data = mutated(rng, SEEDS[number % len(SEEDS)])
        if number % 5 == 4:
            data = gzip.compress(data, 1)
            if number % 2:
                data = mutated(rng, data)
        path.write_bytes(data)
        begin = time.process_time()
        try:
            scan = scan_packets([path], decapsulate=decapsulate, background=number % 50 == 0)
            rows = sum(len(batch) for batch in scan)
        except TrafficInputError as error:
            refusals += 1
            assert "\n" not in str(error)
            continue
        finally:
            slowest = max(slowest, time.process_time() - begin)
        counts = scan.counts[0]
        assert counts.decoded == rows and min(counts.decoded, counts.duplicate, *counts.causes.values(), 0) == 0
        assert sum(counts.causes.values()) == counts.total - counts.decoded
        packets += counts.total
    assert packets > 2500 and 100 < refusals < 1500
    assert slowest < 1  # CPU seconds
