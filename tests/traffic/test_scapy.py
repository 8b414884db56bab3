"""Decoder = scapy on generated packets: link types, IPv4 options, IPv6 extension chains, fragments, ICMP errors."""

from __future__ import annotations

import ipaddress
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sgsim.packets import FRAGMENT_FIRST, FRAGMENT_LATER, FRAGMENT_NONE, NO_VALUE
from sgsim.traffic import scan_packets
from tests.traffic.captures import pcap, rows_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.contrib.mpls import MPLS
    from scapy.layers.all import (
        ICMP,
        IP,
        LLC,
        PPP,
        SNAP,
        TCP,
        UDP,
        CookedLinux,
        CookedLinuxV2,
        Dot1AD,
        Dot1Q,
        Dot3,
        Ether,
        IPOption,
        IPv6,
        PPPoE,
        Raw,
    )  # fmt: skip
    from scapy.layers.inet6 import (
        MIP6MH_BRR,
        ICMPv6DestUnreach,
        ICMPv6EchoReply,
        ICMPv6EchoRequest,
        ICMPv6ND_NS,
        ICMPv6PacketTooBig,
        ICMPv6TimeExceeded,
        IPv6ExtHdrDestOpt,
        IPv6ExtHdrFragment,
        IPv6ExtHdrHopByHop,
        IPv6ExtHdrRouting,
        PadN,
    )  # fmt: skip
    from scapy.layers.ipsec import AH, ESP

EXTENSIONS = (IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, IPv6ExtHdrFragment, IPv6ExtHdrDestOpt, MIP6MH_BRR)

v4 = st.integers(0, 2**32 - 1).map(lambda value: str(ipaddress.IPv4Address(value)))
v6 = st.integers(0, 2**128 - 1).map(lambda value: str(ipaddress.IPv6Address(value)))
port = st.integers(0, 65535)
payload = st.binary(max_size=40).map(lambda data: Raw(data) if data else Raw(b"\0"))
mac = st.integers(0, 2**48 - 1).map(lambda value: ":".join(f"{byte:02x}" for byte in value.to_bytes(6, "big")))


def number(address: str) -> int:
    return int(ipaddress.ip_address(address))


def macs(address: str) -> int:
    return int(address.replace(":", ""), 16)


tcp = st.builds(lambda s, d, f, p: TCP(sport=s, dport=d, flags=f) / p, port, port, st.integers(0, 255), payload)
# 4789 and 6081 are tunnels, and scapy dissects DNS, NTP … behind their ports: only the header counts here.
udp = st.builds(lambda s, d, p: UDP(sport=s, dport=d) / p, port, port, payload)
quotable = st.builds(lambda s, d, t: IP(src=s, dst=d) / t, v4, v4, tcp | udp)
quotable6 = st.builds(lambda s, d, t: IPv6(src=s, dst=d) / t, v6, v6, tcp | udp)
icmp = st.one_of(
    st.builds(lambda t, i: ICMP(type=t, code=0, id=i), st.sampled_from([0, 8, 13, 14, 17, 18]), port),
    st.builds(lambda t, c, q: ICMP(type=t, code=c) / q, st.sampled_from([3, 11]), st.integers(0, 15), quotable),
    st.builds(lambda t, c: ICMP(type=t, code=c), st.sampled_from([9, 10, 40]), st.integers(0, 255)),
)
icmp6 = st.one_of(
    st.builds(lambda kind, i: kind(id=i), st.sampled_from([ICMPv6EchoRequest, ICMPv6EchoReply]), port),
    st.builds(lambda kind, q: kind() / q, st.sampled_from([ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6TimeExceeded]),
              quotable6),
    st.builds(lambda a: ICMPv6ND_NS(tgt=a), v6),
)  # fmt: skip
other = st.builds(lambda data: Raw(data), st.binary(min_size=1, max_size=30))
other_protocol = st.sampled_from([2, 41, 47, 50, 51, 89, 103, 112, 132, 253])


def ip_packet(source: str, target: str, options: int, flags: int, offset: int, name: int, body: Any) -> Any:
    header = IP(src=source, dst=target, id=name, flags=flags, frag=offset, options=[IPOption(b"\x01")] * options)
    return header / body


ipv4 = st.builds(
    ip_packet, v4, v4, st.integers(0, 12), st.sampled_from([0, 0, 0, 2, 1]),
    st.sampled_from([0, 0, 0, 0, 1, 185, 8191]), port, tcp | udp | icmp,
) | st.builds(lambda s, d, p, b: IP(src=s, dst=d, proto=p) / b, v4, v4, other_protocol, other)  # fmt: skip

extension = st.one_of(
    st.integers(0, 20).map(lambda n: IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(n))])),
    st.integers(0, 20).map(lambda n: IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(n))])),
    st.lists(v6, max_size=3).map(lambda hops: IPv6ExtHdrRouting(addresses=hops)),
    st.builds(
        lambda offset, more, name: IPv6ExtHdrFragment(offset=offset, m=more, id=name),
        st.sampled_from([0, 0, 0, 1, 100, 8191]), st.integers(0, 1), st.integers(0, 2**32 - 1),
    ),
)  # fmt: skip


def ipv6_packet(source: str, target: str, chain: list[Any], body: Any) -> Any:
    packet = IPv6(src=source, dst=target)
    for header in chain:
        packet = packet / header.copy()
    return packet / body


ipv6 = st.builds(ipv6_packet, v6, v6, st.lists(extension, max_size=4), tcp | udp | icmp6) | st.builds(
    lambda s, d, p, b: IPv6(src=s, dst=d, nh=p) / b, v6, v6, other_protocol, other
)
mobility = st.builds(lambda s, d: IPv6(src=s, dst=d) / MIP6MH_BRR(), v6, v6)
ip = ipv4 | ipv6 | mobility

tags = st.lists(
    st.builds(lambda kind, v: kind(vlan=v), st.sampled_from([Dot1Q, Dot1AD]), st.integers(0, 4095)), max_size=3
)


def ethernet(source: str, target: str, tagged: list[Any], between: str, labels: list[int], packet: Any) -> Any:
    """An Ethernet frame; what lies between it and the IP packet is one of BETWEEN."""
    frame = Ether(src=source, dst=target)
    for tag in tagged:
        frame = frame / tag.copy()
    version = 4 if isinstance(packet, IP) else 6
    if between == "mpls" and labels:
        for position, label in enumerate(labels):
            frame = frame / MPLS(label=label, s=int(position == len(labels) - 1))
    elif between == "pppoe":
        frame = frame / PPPoE(sessionid=7) / PPP(proto=0x21 if version == 4 else 0x57)
    elif between == "snap" and not tagged:
        frame = Dot3(src=source, dst=target) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3)
        frame = frame / SNAP(OUI=0, code=0x0800 if version == 4 else 0x86DD)
    return frame / packet


LINKS = {
    1: st.builds(
        ethernet, mac, mac, tags, st.sampled_from(["", "", "mpls", "pppoe", "snap"]),
        st.lists(st.integers(16, 2**20 - 1), max_size=3), ip,
    ),
    12: ip,
    14: ip,
    101: ip,
    228: ipv4,
    229: ipv6,
    113: st.builds(lambda a, p: CookedLinux(src=bytes.fromhex(a.replace(":", "")), lladdrlen=6) / p, mac, ip),
    276: st.builds(lambda a, p: CookedLinuxV2(src=bytes.fromhex(a.replace(":", "")), lladdrlen=6) / p, mac, ip),
}  # fmt: skip


def expected(packet: Any, wire: int) -> dict[str, Any]:
    """What the columns must hold, by scapy's dissection."""
    layer = packet
    while not isinstance(layer, IP | IPv6):
        layer = layer.payload
    before = wire - len(layer.original)
    answer: dict[str, Any] = {
        "src": number(layer.src), "dst": number(layer.dst), "srcport": 0, "dstport": 0, "icmp_type": NO_VALUE,
        "icmp_code": NO_VALUE, "icmp_id": NO_VALUE, "tcp_flags": 0, "fragment": FRAGMENT_NONE, "quote": None, "vni": -1,
    }  # fmt: skip
    if isinstance(layer, IP):
        answer |= {"family": 4, "protocol": layer.proto, "ip_id": layer.id, "length": layer.len}
        answer["fragment"] = FRAGMENT_LATER if layer.frag else FRAGMENT_FIRST if layer.flags.MF else FRAGMENT_NONE
        inner = layer.payload
    else:
        answer |= {"family": 6, "ip_id": 0, "length": layer.plen + 40}
        protocol, inner = layer.nh, layer.payload
        while isinstance(inner, EXTENSIONS) and answer["fragment"] != FRAGMENT_LATER:
            protocol = inner.nh
            if isinstance(inner, IPv6ExtHdrFragment):
                answer["ip_id"] = inner.id
                if inner.offset:
                    answer["fragment"] = FRAGMENT_LATER
                elif inner.m:
                    answer["fragment"] = FRAGMENT_FIRST
            inner = inner.payload
        answer["protocol"] = protocol
    assert before >= 0
    if answer["fragment"] == FRAGMENT_LATER:
        return answer
    if answer["protocol"] in (6, 17):
        answer["srcport"], answer["dstport"] = inner.sport, inner.dport
        answer["tcp_flags"] = int(inner.flags) & 0xFF if answer["protocol"] == 6 else 0
    if answer["protocol"] in (1, 58):
        answer["icmp_type"], answer["icmp_code"] = inner.type, getattr(inner, "code", 0)
        if inner.type in ((0, 8, 13, 14, 17, 18) if answer["protocol"] == 1 else (128, 129)):
            answer["icmp_id"] = inner.id
        elif inner.type in ((3, 11) if answer["protocol"] == 1 else (1, 2, 3)):
            quoted = inner.payload
            end = quoted.payload
            answer["quote"] = {
                "src": number(quoted.src), "dst": number(quoted.dst), "srcport": end.sport, "dstport": end.dport,
                "protocol": quoted.proto if isinstance(quoted, IP) else quoted.nh, "icmp_type": -1, "icmp_id": -1,
            }  # fmt: skip
    return answer


def same(row: dict[str, Any], answer: dict[str, Any]) -> None:
    quote, row_quote = answer.pop("quote"), row["quote"]
    assert {key: row[key] for key in answer} == answer
    assert (quote is None) == (row_quote is None)
    if quote:
        assert {key: row_quote[key] for key in quote} == quote


@pytest.mark.parametrize("link_type", LINKS)
def test_every_link_type(tmp_path_factory: pytest.TempPathFactory, link_type: int) -> None:
    path: Path = tmp_path_factory.mktemp("links") / "capture"

    @settings(max_examples=60 if link_type == 1 else 25, deadline=None, derandomize=True,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(st.lists(LINKS[link_type], min_size=1, max_size=12))
    def check(packets: list[Any]) -> None:
        frames = [bytes(packet) for packet in packets]
        path.write_bytes(pcap(frames, link_type=link_type))
        scan = scan_packets([path], background=False)
        rows = list(rows_of(scan))
        assert len(rows) == len(frames), scan.counts
        for row, frame, packet in zip(rows, frames, packets):
            dissected = type(packet)(frame)
            same(row, expected(dissected, len(frame)))
            if link_type == 1:
                assert (row["src_mac"], row["dst_mac"]) == (macs(packet.src), macs(packet.dst))

    check()


@pytest.mark.parametrize("link_type", [0, 108])
@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("family", [2, 10, 24, 28, 30])
def test_loopback(tmp_path: Path, link_type: int, order: Any, family: int) -> None:
    """The address family in the byte order of whoever captured; IPv6 has a different number on each system."""
    packet = IP(src="10.0.0.1", dst="10.0.0.2") if family == 2 else IPv6(src="::1", dst="::2")
    packet = packet / TCP(sport=1, dport=2)
    (tmp_path / "capture").write_bytes(pcap([family.to_bytes(4, order) + bytes(packet)], link_type=link_type))
    (row,) = rows_of(scan_packets([tmp_path / "capture"]))
    same(row, expected(type(packet)(bytes(packet)), len(packet)))


def test_ah_and_esp_are_protocols(tmp_path: Path) -> None:
    """semantics.md 9.15: no header to skip, in both families."""
    frames = [
        Ether() / IPv6(src="::1", dst="::2") / AH(nh=6, icv=b"") / TCP(),
        Ether() / IPv6(src="::1", dst="::2") / IPv6ExtHdrDestOpt() / ESP(data=b"12345678"),
        Ether() / IP(src="1.1.1.1", dst="2.2.2.2") / AH(nh=6, icv=b"") / TCP(),
    ]
    (tmp_path / "capture").write_bytes(pcap([bytes(frame) for frame in frames]))
    rows = list(rows_of(scan_packets([tmp_path / "capture"])))
    assert [(row["protocol"], row["srcport"]) for row in rows] == [(51, 0), (50, 0), (51, 0)]


def test_link_types_that_only_scapy_knows(tmp_path: Path) -> None:
    """Its dissection finds the IP header, which then takes the usual way; what has none is not IP."""
    packet = IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=5, dport=6) / Raw(b"abc")
    frames = [bytes(PPP(proto=0x21) / packet), bytes(PPP(proto=0xC021) / Raw(b"\1\1\0\4")), b"\xff"]
    (tmp_path / "capture").write_bytes(pcap(frames, link_type=9))
    scan = scan_packets([tmp_path / "capture"])
    (row,) = rows_of(scan)
    same(row, expected(IP(bytes(packet)), len(packet)))
    counts = scan.counts[0]
    assert counts.decoded == 1 and counts.total == 3 and sum(counts.causes.values()) == 2


def test_link_types_that_nobody_knows(tmp_path: Path) -> None:
    (tmp_path / "capture").write_bytes(pcap([b"1", b"2"], link_type=150))
    scan = scan_packets([tmp_path / "capture"])
    assert not list(scan)
    assert scan.counts[0].unsupported == 2 and scan.counts[0].causes == {"link type 150": 2}
