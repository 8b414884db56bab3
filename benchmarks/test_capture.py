"""How fast are captures read? Bytes of a generated capture of 1 GB in, five-tuples out, on one core.

    pytest benchmarks/test_capture.py --benchmark-only      (SGSIM_BENCHMARK_MEGABYTES sets the size)

Contenders: scan_packets (which decodes every column), a libpcap loop in C, scapy without and with dissection (on a
prefix). Before anything is timed all must agree on the packets and on a sum over their five-tuples.
"""

from __future__ import annotations

import os
import shutil
import statistics
import struct
import subprocess
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.capture.generate import generate
from sgsim.packets import PacketBatch
from sgsim.traffic import scan_packets

MEGABYTES = int(os.environ.get("SGSIM_BENCHMARK_MEGABYTES", "1000"))
PREFIX = 20_000  #: packets that scapy gets
MASK = 2**64 - 1


def checksum(batches: Iterable[PacketBatch]) -> tuple[int, int]:
    """(packets, sum over their five-tuples), as libpcap_loop.c defines it."""
    packets = total = 0
    for batch in batches:
        ports = 11 * batch.srcport.astype(np.uint64) + 13 * batch.dstport.astype(np.uint64)
        sums = batch.src_lo + 3 * batch.dst_lo + 5 * batch.src_hi + 7 * batch.dst_hi
        total += int((sums + ports + 17 * batch.protocol.astype(np.uint64)).sum())
        packets += len(batch)
    return packets, total & MASK


def count(path: Path) -> int:
    return sum(len(batch) for batch in scan_packets([path], background=False))


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("capture") / "large.pcap"
    generate(path, megabytes=MEGABYTES, flows=100 * MEGABYTES)
    return path


@pytest.fixture(scope="module")
def prefix(capture: Path) -> Path:
    path = capture.with_name("prefix.pcap")
    with capture.open("rb") as file:
        data = file.read(PREFIX * 1600)
    at = 24
    for _ in range(PREFIX):
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
    path.write_bytes(data[:at])
    return path


@pytest.fixture(scope="module")
def libpcap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler")
    program = tmp_path_factory.mktemp("libpcap") / "loop"
    source = Path(__file__).parent / "capture" / "libpcap_loop.c"
    built = subprocess.run(
        [compiler, "-O3", "-march=native", source, "-lpcap", "-o", program], capture_output=True, check=False
    )
    if built.returncode:
        pytest.skip("libpcap's development files are not installed")
    return program


def run_libpcap(program: Path, path: Path) -> tuple[int, int, float]:
    """(packets, sum, CPU seconds of the loop)."""
    words = subprocess.run([program, path], capture_output=True, text=True, check=True).stdout.split()
    return int(words[0]), int(words[1]), float(words[2])


def run_raw_reader(path: Path) -> tuple[int, int]:
    """scapy's reader of raw records with a struct loop over their headers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from scapy.utils import RawPcapReader
    packets = total = 0
    with RawPcapReader(str(path)) as reader:
        for frame, _ in reader:
            ethertype = frame[12] << 8 | frame[13]
            if ethertype == 0x0800:
                protocol, at = frame[23], 14 + (frame[14] & 15) * 4
                source, target = struct.unpack_from("!II", frame, 26)
                total += source + 3 * target
            else:
                protocol, at = frame[20], 54
                source_hi, source_lo, target_hi, target_lo = struct.unpack_from("!QQQQ", frame, 22)
                total += source_lo + 3 * target_lo + 5 * source_hi + 7 * target_hi
            if protocol in (6, 17):
                ports = struct.unpack_from("!HH", frame, at)
                total += 11 * ports[0] + 13 * ports[1]
            total += 17 * protocol
            packets += 1
    return packets, total & MASK


def run_dissection(path: Path, limit: int) -> tuple[int, int]:
    """scapy's packets."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from scapy.layers.all import IP, TCP, UDP, Ether, IPv6
        from scapy.utils import RawPcapReader
    packets = total = 0
    with RawPcapReader(str(path)) as reader:
        for frame, _ in reader:
            packet = Ether(frame)
            if IP in packet:
                ip = packet[IP]
                halves = [0, int.from_bytes(bytes(map(int, ip.src.split("."))), "big")]
                halves += [0, int.from_bytes(bytes(map(int, ip.dst.split("."))), "big")]
                protocol = ip.proto
            else:
                ip = packet[IPv6]
                halves = list(struct.unpack_from("!QQQQ", frame, 22))
                protocol = ip.nh
            total += halves[1] + 3 * halves[3] + 5 * halves[0] + 7 * halves[2] + 17 * protocol
            if TCP in ip or UDP in ip:
                total += 11 * ip.payload.sport + 13 * ip.payload.dport
            packets += 1
            if packets == limit:
                break
    return packets, total & MASK


def test_scan_packets(benchmark: Any, capture: Path) -> None:
    packets = count(capture)
    benchmark.pedantic(count, (capture,), rounds=5, warmup_rounds=1)
    benchmark.extra_info["packets per second"] = packets / benchmark.stats.stats.min


def test_libpcap_loop_in_c(benchmark: Any, capture: Path, libpcap: Path) -> None:
    assert run_libpcap(libpcap, capture)[:2] == checksum(scan_packets([capture]))
    packets = benchmark.pedantic(run_libpcap, (libpcap, capture), rounds=5, warmup_rounds=1)[0]
    benchmark.extra_info["packets per second"] = packets / benchmark.stats.stats.min


def test_against_libpcap(benchmark: Any, capture: Path, libpcap: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The ratio of CPU times in alternating pairs, which noise from neighbours moves least."""
    packets = count(capture)
    ratios, rates = [], []

    def pair() -> None:
        begin = time.process_time()
        count(capture)
        ours = time.process_time() - begin
        ratios.append(run_libpcap(libpcap, capture)[2] / ours)
        rates.append(packets / ours)

    benchmark.pedantic(pair, rounds=9)
    benchmark.extra_info["times libpcap"] = statistics.median(ratios)
    with capsys.disabled():
        print(f"\nscan_packets: {statistics.median(rates) / 1e6:.1f} M packets/s,", end=" ")
        print(f"{statistics.median(ratios):.2f} times a libpcap loop in C ({min(ratios):.2f} to {max(ratios):.2f})")


def test_scapy_raw_reader(benchmark: Any, prefix: Path) -> None:
    assert run_raw_reader(prefix) == checksum(scan_packets([prefix]))
    benchmark.pedantic(run_raw_reader, (prefix,), rounds=3)
    benchmark.extra_info["packets per second"] = PREFIX / benchmark.stats.stats.min


def test_scapy_dissection(benchmark: Any, prefix: Path) -> None:
    limit = PREFIX // 10
    ours = next(iter(scan_packets([prefix], background=False)))
    first = {name: getattr(ours, name)[:limit] for name in ("src_lo", "dst_lo", "src_hi", "dst_hi", "protocol")}
    total = int((first["src_lo"] + 3 * first["dst_lo"] + 5 * first["src_hi"] + 7 * first["dst_hi"]).sum())
    total += 17 * int(first["protocol"].sum(dtype=np.int64))
    total += 11 * int(ours.srcport[:limit].sum(dtype=np.int64)) + 13 * int(ours.dstport[:limit].sum(dtype=np.int64))
    assert run_dissection(prefix, limit) == (limit, total & MASK)
    benchmark.pedantic(run_dissection, (prefix, limit), rounds=3)
    benchmark.extra_info["packets per second"] = limit / benchmark.stats.stats.min
