"""`decapsulate`: VXLAN (traffic mirroring) and Geneve (gateway load balancer) give the packet inside."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from sgsim.traffic import PacketCounts, scan_packets
from tests.traffic.captures import pcap, rows_of, udp_frame

INNER = udp_frame(sport=1111, dport=2222, payload=b"inside")


def vxlan(vni: int, frame: bytes, flags: int = 8) -> bytes:
    return udp_frame(dport=4789, payload=struct.pack("!II", flags << 24, vni << 8) + frame)


def geneve(payload: bytes, protocol: int, options: bytes = b"", vni: int = 0) -> bytes:
    head = struct.pack("!BBHI", len(options) // 4, 0, protocol, vni << 8)
    return udp_frame(dport=6081, payload=head + options + payload)


def scanned(tmp_path: Path, frames: list[Any], decapsulate: bool = True) -> tuple[list[dict[str, Any]], PacketCounts]:
    (tmp_path / "capture").write_bytes(pcap(frames))
    scan = scan_packets([tmp_path / "capture"], decapsulate=decapsulate)
    rows = list(rows_of(scan))
    assert scan.counts[0].total == len(frames)
    return rows, scan.counts[0]


def is_inner(row: dict[str, Any], vni: int, *, macs: bool = True) -> None:
    assert (row["srcport"], row["dstport"], row["vni"]) == (1111, 2222, vni)
    assert (row["src_mac"], row["dst_mac"]) == ((0x0A0000000001, 0x0A0000000002) if macs else (0, 0))
    assert row["length"] == len(INNER) - 14


def test_only_on_request(tmp_path: Path) -> None:
    rows, _ = scanned(tmp_path, [vxlan(5, INNER), geneve(INNER, 0x6558)], decapsulate=False)
    assert [(row["srcport"], row["dstport"], row["vni"]) for row in rows] == [(1000, 4789, -1), (1000, 6081, -1)]


def test_vxlan(tmp_path: Path) -> None:
    rows, _ = scanned(tmp_path, [vxlan(5, INNER), vxlan(0xFFFFFF, INNER), vxlan(0, INNER)])
    for row, vni in zip(rows, (5, 0xFFFFFF, 0), strict=True):
        is_inner(row, vni)


def test_geneve_of_a_gateway_load_balancer(tmp_path: Path) -> None:
    """An IP packet behind options; the tunnel's own VNI is 0 and means nothing."""
    options = struct.pack("!HBB", 0x0108, 1, 2) + bytes(8)
    rows, _ = scanned(tmp_path, [geneve(INNER[14:], 0x0800, options), geneve(INNER, 0x6558, options * 5)])
    is_inner(rows[0], -1, macs=False)
    is_inner(rows[1], -1)


def test_tunnels_in_tunnels(tmp_path: Path) -> None:
    """A mirror sees a load balancer's Geneve; anything deeper is a user's own and stays whole."""
    mirrored = vxlan(5, geneve(INNER[14:], 0x0800))
    own = vxlan(5, vxlan(9, INNER))
    inspected = geneve(vxlan(9, INNER)[14:], 0x0800)
    rows, _ = scanned(tmp_path, [mirrored, own, inspected])
    is_inner(rows[0], 5, macs=False)
    assert [(row["dstport"], row["vni"]) for row in rows[1:]] == [(4789, 5), (4789, -1)]


@pytest.mark.parametrize(
    "frame",
    [
        vxlan(5, INNER, flags=0),  # no VNI: something else on that port
        udp_frame(dport=4789, payload=b"1234"),
        udp_frame(sport=4789),
        geneve(INNER, 0x6558)[:42] + b"\x80" + geneve(INNER, 0x6558)[43:],  # version 2
        geneve(INNER, 0x6558)[:20] + b"\x20" + geneve(INNER, 0x6558)[21:],  # the first fragment of a tunnel packet
    ],
)
def test_what_is_no_tunnel_stays_as_it_is(tmp_path: Path, frame: bytes) -> None:
    rows, _ = scanned(tmp_path, [frame])
    assert rows[0]["dstport"] in (4789, 6081, 53) and rows[0]["vni"] == -1


def test_each_packet_still_has_one_count(tmp_path: Path) -> None:
    """Inside may be ARP, a cut packet, a damaged one, or nothing that is known."""
    arp = INNER[:12] + b"\x08\x06" + bytes(28)
    bad = INNER[:14] + b"\x44" + INNER[15:]
    cut = vxlan(5, INNER)[:-12]
    frames = [vxlan(5, arp), vxlan(5, bad), (0, cut, len(cut) + 12), vxlan(5, INNER[:20]), geneve(b"12345678", 0x0026)]
    rows, counts = scanned(tmp_path, frames)
    assert not rows
    assert counts.causes == {
        "ARP": 1,
        "IPv4 header length below 20": 1,
        "captured only up to the transport header": 1,
        "the packet ends inside the IP header": 1,
        "tunnel payload that is neither Ethernet nor IP": 1,
    }
    assert (counts.not_ip, counts.truncated, counts.damaged) == (2, 1, 2)


def test_a_mirrored_packet_that_aws_cut(tmp_path: Path) -> None:
    """Mirroring may keep the head of a packet only: the length is still the header's."""
    long = udp_frame(sport=1111, dport=2222, payload=bytes(1000))
    (row,), _ = scanned(tmp_path, [vxlan(5, long[:100])])
    assert (row["srcport"], row["length"], row["vni"]) == (1111, 1028, 5)


def test_offloaded_packets_have_length_zero(tmp_path: Path) -> None:
    """A total length of 0 is what segmentation offload leaves: the packet ends with the frame, inside tunnels too."""
    zero = INNER[:16] + b"\0\0" + INNER[18:]
    rows, _ = scanned(tmp_path, [zero, vxlan(5, zero)])
    assert [row["length"] for row in rows] == [len(INNER) - 14] * 2
