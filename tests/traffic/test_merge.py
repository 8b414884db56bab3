"""Several captures as one: in the order of time, each packet once (the same IP header but for TTL and checksum, and the
same next 64 bytes, in another file or at another interface, within a second)."""

from __future__ import annotations

import gzip
import itertools
import os
import random
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgsim.traffic import PacketScan, scan_packets
from tests.traffic.captures import enhanced, interface, pcap, rows_of, section, udp_frame

SECOND = 10**9


def write(path: Path, packets: list[tuple[int, int]], **options: Any) -> Path:
    """A capture of (time, number): the number is the source port and so tells packets apart."""
    path.write_bytes(pcap([(time, udp_frame(sport=number, **options)) for time, number in packets], nanoseconds=True))
    return path


def scanned(paths: list[Path]) -> tuple[list[tuple[int, int, int]], PacketScan]:
    scan = scan_packets(paths, background=False)
    rows = [(row["time"], row["source"], row["srcport"]) for row in rows_of(scan)]
    for counts in scan.counts:
        assert counts.total - counts.decoded == sum(counts.causes.values())
    assert sum(counts.decoded for counts in scan.counts) == len(rows)
    return rows, scan


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.lists(st.integers(0, 40), max_size=30), min_size=1, max_size=5), st.data())
def test_merging_is_a_stable_sort_by_the_latest_time_so_far(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[int]], data: st.DataObject
) -> None:
    """Law: time order between files, file order inside each, the file named first where times are equal."""
    folder = tmp_path_factory.mktemp("merge")
    numbers = itertools.count(1)
    expected = []
    paths = []
    for source, times in enumerate(files):
        if data.draw(st.booleans()):
            times = sorted(times)
        packets = [(time, next(numbers)) for time in times]
        paths.append(write(folder / str(source), packets))
        latest = np.maximum.accumulate([time for time, _ in packets]).tolist() if packets else []
        expected += [(key, source, time, number) for key, (time, number) in zip(latest, packets)]
    expected.sort(key=lambda row: row[:2])
    rows, _ = scanned(paths)
    assert rows == [(time, source, number) for _, source, time, number in expected]


def test_large_files_that_interleave(tmp_path: Path) -> None:
    """Many batches of each, random times: still one sequence in order, with nothing lost and quotes in place."""
    rng = random.Random(3)
    frames = [udp_frame(sport=number) for number in range(1000)]
    quoting = bytes.fromhex(
        "0a0000000002 0a0000000001 0800 4500003800000000 4001 0000 0a000003 0a000001 0301 0000 00000000"
    )
    paths = []
    for source in range(3):
        packets = []
        for time in sorted(rng.sample(range(10**9), 20_000)):
            number = rng.randrange(1000)
            data = quoting + frames[number][14:42] if number < 20 else frames[number]
            packets.append((time, data[:26] + bytes([source]) + time.to_bytes(4, "big")[1:] + data[30:]))
        paths.append(tmp_path / str(source))
        paths[-1].write_bytes(pcap(packets, nanoseconds=True))
    last = -1
    seen = 0
    for row in rows_of(scan_packets(paths)):
        assert row["time"] >= last
        last = row["time"]
        seen += 1
        assert (row["quote"] is not None) == (row["protocol"] == 1)
        if row["quote"]:
            assert row["quote"]["srcport"] < 20 and row["quote"]["dstport"] == 53
    assert seen == 60_000


def test_only_the_files_of_the_moment_are_open(tmp_path: Path) -> None:
    """A rotated capture of 200 files: open are the one in use and those that overlap it."""
    paths = [write(tmp_path / f"{n:03}", [(2 * n * SECOND + k, k) for k in range(50)]) for n in range(200)]
    random.Random(1).shuffle(paths)
    most = 0
    times: list[int] = []
    for batch in scan_packets(paths, background=False):
        files = [os.readlink(fd) for fd in Path("/proc/self/fd").iterdir() if fd.exists()]  # noqa: PTH115 (of a link)
        most = max(most, sum(tmp_path.name in file for file in files))
        times += batch.time.tolist()
    assert len(times) == 10_000 and times == sorted(times)
    assert most <= 3


def test_the_same_packet_in_two_files(tmp_path: Path) -> None:
    """TTL and checksum may differ; the first sighting stays and the other is counted where it was seen."""
    first = write(tmp_path / "a", [(100, 1), (200, 2), (300, 3)])
    second = write(tmp_path / "b", [(150, 1), (250, 2), (280, 4), (350, 3)], ttl=63)
    rows, scan = scanned([first, second])
    assert rows == [(100, 0, 1), (200, 0, 2), (280, 1, 4), (300, 0, 3)]
    assert scan.counts[0].duplicate == 0 and scan.counts[1].duplicate == 3
    assert scan.counts[1].total == 4 and scan.counts[1].causes == {
        "seen before in another file or at another interface": 3
    }


def test_a_second_is_the_limit(tmp_path: Path) -> None:
    first = write(tmp_path / "a", [(0, 1), (0, 2)])
    rows, _ = scanned([first, write(tmp_path / "b", [(SECOND, 1), (SECOND + 1, 2)])])
    assert rows == [(0, 0, 1), (0, 0, 2), (SECOND + 1, 1, 2)]


def test_what_makes_a_different_packet(tmp_path: Path) -> None:
    """One bit of the header or of the next 64 bytes; what lies beyond does not count."""
    body = bytes(range(100))
    frame = udp_frame(payload=body)
    variants = {position: bytearray(frame) for position in (15, 19, 20, 26, 33, 35, 42, 34 + 63, 34 + 64, 22, 24)}
    for position, variant in variants.items():
        variant[position] ^= 1
    ignored = {34 + 64, 22, 24}  # the 65th byte, the TTL, the checksum
    (tmp_path / "a").write_bytes(pcap([(0, frame)]))
    for position, variant in variants.items():
        (tmp_path / "b").write_bytes(pcap([(1, bytes(variant))]))
        rows, _ = scanned([tmp_path / "a", tmp_path / "b"])
        assert len(rows) == (1 if position in ignored else 2), position


def test_packets_sent_again_are_not_duplicates(tmp_path: Path) -> None:
    """In one file nothing is a duplicate; a packet sent twice and seen twice at two places stays twice."""
    rows, _ = scanned([write(tmp_path / "a", [(1, 1), (2, 1), (3, 1)])])
    assert len(rows) == 3
    rows, _ = scanned([tmp_path / "a", write(tmp_path / "b", [(5, 1), (6, 1), (7, 1)])])
    assert rows == [(1, 0, 1), (2, 0, 1), (3, 0, 1)]
    rows, _ = scanned([write(tmp_path / "a", [(10, 1), (30, 1)]), write(tmp_path / "b", [(20, 1), (40, 1)])])
    assert rows == [(10, 0, 1), (30, 0, 1)]


def test_interfaces_of_one_pcapng_file(tmp_path: Path) -> None:
    """Seen at two interfaces it is a duplicate, twice at one it is not."""
    data = section() + interface() + interface()
    for number in range(20):
        data += enhanced(udp_frame(sport=number), number, at=0) + enhanced(udp_frame(sport=number, ttl=9), number, at=1)
        data += enhanced(udp_frame(sport=100 + number), number, at=1) * 2
    (tmp_path / "a").write_bytes(data)
    rows, scan = scanned([tmp_path / "a"])
    assert len(rows) == 60 and scan.counts[0].duplicate == 20


def test_duplicates_among_many_packets(tmp_path: Path) -> None:
    """More than fit the table of a second ago: what is old is forgotten, what is young is not."""
    count, step = 150_000, SECOND // 20_000
    frames = [udp_frame(sport=number & 0xFFFF, dport=number >> 16) for number in range(count)]
    (tmp_path / "a").write_bytes(
        pcap([(number * step, frame) for number, frame in enumerate(frames)], nanoseconds=True)
    )
    (tmp_path / "b").write_bytes(
        pcap([(number * step + SECOND // 2, frame) for number, frame in enumerate(frames)], nanoseconds=True)
    )
    rows = 0
    scan = scan_packets([tmp_path / "a", tmp_path / "b"])
    for batch in scan:
        rows += len(batch)
        assert (batch.source == 0).all()
    assert rows == count and scan.counts[1].duplicate == count


def test_an_ipv6_packet_and_its_hop_limit(tmp_path: Path) -> None:
    frame = bytes(12) + bytes.fromhex("86dd 6000000000081140") + bytes(31) + b"\1" + bytes.fromhex("0001000200080000")
    other = bytearray(frame)
    other[14 + 7] = 9
    (tmp_path / "a").write_bytes(pcap([frame]))
    (tmp_path / "b").write_bytes(pcap([bytes(other)]))
    assert len(scanned([tmp_path / "a", tmp_path / "b"])[0]) == 1


def test_pipes_and_files_together(tmp_path: Path) -> None:
    """What cannot be read twice is merged too."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    file = write(tmp_path / "a", [(number * 10, number) for number in range(1000)])
    data = gzip.compress(
        write(tmp_path / "b", [(number * 10 + 5, 2000 + number) for number in range(1000)]).read_bytes()
    )
    thread = threading.Thread(target=lambda: pipe.write_bytes(data))
    thread.start()
    rows, scan = scanned([pipe, file])
    thread.join()
    assert [time for time, _, _ in rows] == sorted([*range(0, 10_000, 10), *range(5, 10_005, 10)])
    assert scan.bytes_total is None and scan.bytes_read == len(data) + file.stat().st_size
