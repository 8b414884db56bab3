"""Decoder = tshark on captures that nobody here made: the outermost IP header of every packet, and every count.

$SGSIM_TEST_DATA/pcap holds the captures, …/pcap-decoded-by-tshark what tshark says of each packet.
"""

from __future__ import annotations

import csv
import ipaddress
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sgsim.packets import FRAGMENT_LATER
from sgsim.traffic.capture import Capture
from tests.traffic.captures import rows_of

DATA = os.environ.get("SGSIM_TEST_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="SGSIM_TEST_DATA does not name the folder of foreign captures")

#: Wireshark's numbers (wiretap/wtap.h) of the link types that the decoder itself knows.
SUPPORTED = {"1": "Ethernet", "7": "raw IP", "129": "IPv4", "130": "IPv6", "15": "BSD loopback", "25": "Linux cooked",
             "210": "Linux cooked 2"}  # fmt: skip
EXTENSIONS = {"0", "43", "44", "60", "135", "139", "140"}

#: Captures whose number of packets differs from tshark's, and why.
OTHER_TOTAL = {
    "small/tcpdump__frf16_magic_ie-oobr.pcap": "link type 182: tshark does not open the file, sgsim counts its packet",
    "small/tcpdump__juniper_es_oobr.pcap": "link type 132, the same",
}
#: Packets of which tshark tells something that sgsim does not, and why: (capture, packet).
OTHER_ANSWER = {
    (
        "small/zeek__trunc__mpls-6in6-broken.pcap.gz",
        packet,
    ): "total length below the header length: damaged, every host drops it; tshark shows the addresses all the same"
    for packet in (217, 342, 535, 685, 948, 1220, 1501, 1660, 1722)
}


def tables() -> list[Path]:
    return sorted((Path(DATA) / "pcap-decoded-by-tshark").glob("*.tsv")) if DATA else []


def first(cell: str) -> str:
    return cell.split(",")[0]


def expected(row: dict[str, str]) -> dict[str, Any] | None:
    """What tshark says of the outermost IP header; None where it sees none. A missing key: it does not say."""
    v4, v6 = first(row["ip.dst"]), first(row["ipv6.dst"])
    if not v4 and not v6:
        return None
    answer: dict[str, Any] = {}
    protocols, headers = row["ip.proto"].split(","), row["ipv6.nxt"].split(",")
    outer_is_v4 = bool(v4) and (not v6 or protocols[0] == "41" or headers[0] != "4")
    pair = ("ip.src", "ip.dst") if outer_is_v4 else ("ipv6.src", "ipv6.dst")
    answer["src"], answer["dst"] = (int(ipaddress.ip_address(first(row[name]))) for name in pair)
    protocol = protocols[0] if outer_is_v4 else headers[0]
    if not outer_is_v4 and protocol in EXTENSIONS:
        # tshark's table has no column for it: told by what was dissected, unless that may lie in a tunnel.
        known = {"tcp.srcport": "6", "udp.srcport": "17", "icmpv6.type": "58"}
        protocol = next(
            (number for column, number in known.items() if row[column] and len(headers) == 1 and not v4), ""
        )
    if protocol:
        answer["protocol"] = int(protocol)
    for number, name in (("6", "tcp"), ("17", "udp")):
        if protocol == number and row[f"{name}.srcport"]:
            answer["srcport"] = int(first(row[f"{name}.srcport"]))
            answer["dstport"] = int(first(row[f"{name}.dstport"]))
    if protocol == "6" and row["tcp.flags"]:
        answer["tcp_flags"] = int(first(row["tcp.flags"]), 16) & 0xFF
    for number, name in (("1", "icmp"), ("58", "icmpv6")):
        if protocol == number and row[f"{name}.type"]:
            answer["icmp_type"] = int(first(row[f"{name}.type"]))
            answer["icmp_code"] = int(first(row[f"{name}.code"]))
    if row["frame.time_epoch"]:
        answer["time"] = int(Decimal(row["frame.time_epoch"]) * 10**9)
    return answer


def is_complete(answer: dict[str, Any] | None, row: dict[str, str]) -> bool:
    """Whether tshark's answer holds everything that a decoded packet must have."""
    if answer is None:
        return False
    needed = {6: "tcp_flags", 17: "srcport", 1: "icmp_type", 58: "icmp_type"}.get(answer.get("protocol", -1))
    later = first(row["ip.frag_offset"]) not in ("", "0")
    return needed is None or needed in answer or later


@needs_data
def test_every_packet_as_tshark_says(capsys: pytest.CaptureFixture[str]) -> None:
    compared = files = undecoded = 0
    differences: list[str] = []
    for table in tables():
        name = table.name.removesuffix(".tsv").replace("~", "__").replace("__", "/", 1)
        lines = table.read_text().splitlines()
        # Records without link type are blocks of pcapng that hold no packet.
        rows = [row for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE) if row["frame.encap_type"]]
        capture = Capture(Path(DATA or "") / "pcap" / name)  # not a scan, which drops duplicates
        ours = {packet["record"]: packet for packet in rows_of(batch.packets for batch in capture)}
        counts = capture.counts
        if counts.total != len(rows) and name not in OTHER_TOTAL:
            differences.append(f"{name}: {counts.total} packets, tshark has {len(rows)}: {counts}")
        assert sum(counts.causes.values()) == counts.total - counts.decoded
        if not any(row["frame.encap_type"] in SUPPORTED for row in rows):
            continue
        files += 1
        for number, row in enumerate(rows, 1):
            if row["frame.encap_type"] not in SUPPORTED or (name, number) in OTHER_ANSWER:
                continue
            packet, answer = ours.get(number), expected(row)
            if packet is None:
                undecoded += 1
                if is_complete(answer, row):
                    differences.append(f"{name} packet {number}: not decoded, tshark says {answer}")
                continue
            compared += 1
            if answer is None:
                differences.append(f"{name} packet {number}: {packet}, tshark sees no IP header")
                continue
            if packet["fragment"] == FRAGMENT_LATER:
                for key in ("srcport", "dstport", "tcp_flags", "icmp_type", "icmp_code"):
                    answer.pop(key, None)
            for key, value in answer.items():
                if packet[key] != value:
                    differences.append(f"{name} packet {number}: {key} {packet[key]}, tshark says {value}")
    with capsys.disabled():
        print(f"\n{compared} packets of {files} captures compared with tshark, {undecoded} more rightly not decoded")
    assert not differences, "\n".join(differences[:60])
    assert compared > 5_000
