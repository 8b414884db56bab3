"""Write the flow logs of the example: `python pcaps/make_flowlogs.py [DIRECTORY]` (by default `pcaps/shop-flowlogs`).

They are what AWS would have logged of the traffic in shop.pcap, as sgsim replays it, in AWS's layout and with fields
of version 5; and a few things on top that a log of a real account shows and the rules do not explain, `extras`.
The output is the same byte for byte on every run.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shop_account import ACCOUNT, HOSTS, REGION, SUBNETS, VPC, Host, identifier

from sgsim.cli.main import run

HERE = Path(__file__).parent
FLOW_LOG = identifier("fl", "shop")
PUBLISHED = 300  # seconds of an object in S3
FIELDS = (
    *("version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets"),
    *("bytes", "start", "end", "action", "log-status", "vpc-id", "subnet-id", "instance-id", "tcp-flags", "type"),
    *("pkt-srcaddr", "pkt-dstaddr", "flow-direction"),
)
NINE = 1772442000  # 2026-03-02 09:00:00 UTC, when the capture begins


@dataclass(frozen=True)
class Record:
    """One line of traffic: an interval of one direction of a flow at one interface."""

    interface_id: str
    srcaddr: str
    dstaddr: str
    srcport: int
    dstport: int
    protocol: int
    packets: int
    bytes: int
    start: int
    end: int
    action: str
    tcp_flags: int
    flow_direction: str


def call(to: str, source: str, port: int, at: int, action: str, *, flags: int = 2, packets: int = 3) -> Record:
    """A caller's packets at the interface of the host that is called."""
    host = HOSTS[to]
    return Record(
        host.interface_id, source, host.ipv4, 50_000 + at % 10_000, port, 6, packets, 60 * packets, NINE + at,
        NINE + at + packets, action, flags, "ingress",
    )  # fmt: skip


def extras(replayed: list[Record]) -> Iterator[Record]:
    """What the log shows and the capture does not."""
    # The network ACL of the public subnets denies 192.0.2.0/24; the groups of the load balancer would not.
    yield from (call("alb-a", f"192.0.2.{20 + n}", 443, 40 + 37 * n, "REJECT") for n in range(6))
    # A packet of the load balancer that came after both sides had closed the connection.
    closed = next(r for r in replayed if r.dstport == 8080 and r.tcp_flags == 3 and r.flow_direction == "ingress")
    late = {"start": closed.end + 47, "end": closed.end + 47, "packets": 1, "bytes": 52}
    yield replace(closed, action="REJECT", tcp_flags=0, **late)
    # The office's old network could reach the bastion until its rule was revoked; the capture shows it rejected later.
    yield call("bastion", "198.51.100.9", 22, 95, "ACCEPT", flags=3, packets=24)
    yield call("bastion", "198.51.100.9", 22, 171, "ACCEPT", flags=3, packets=31)
    # An instance that was launched after the account was exported.
    new = replace(call("web-1", HOSTS["alb-a"].ipv4, 8080, 610, "ACCEPT", flags=3), dstaddr="10.20.10.13")
    yield from (replace(new, interface_id=identifier("eni", "web-3"), srcport=50_000 + n) for n in range(4))
    # And one thing that nothing explains.
    yield call("app-2", HOSTS["web-1"].ipv4, 8443, 633, "REJECT")


def replayed_records() -> list[Record]:
    """The capture's records as AWS logs them: each minute by itself, without traffic that is never logged (§3).

    Where sgsim cannot know, AWS did: billing's interface carries the group that the rule names.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "records.jsonl")
        arguments = [str(HERE / "shop"), str(HERE / "shop.pcap"), "--aggregation", "60", "--format", "jsonl"]
        assert run(["replay", *arguments, "-o", str(path)]) == 0
        lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        Record(**{**{name: line[name] for name in Record.__dataclass_fields__}, "action": decided(line["action"])})
        for line in lines
        if line["interface_id"] and line["reason"] != "EXEMPT"
    ]


def decided(action: str) -> str:
    return "ACCEPT" if action == "UNKNOWN" else action


def line(record: Record) -> str:
    """A record as text. The log shows an interface's primary IPv4 address whichever of its addresses was meant."""
    host = BY_INTERFACE.get(record.interface_id)
    shown = {"srcaddr": record.srcaddr, "dstaddr": record.dstaddr}
    own = "dstaddr" if record.flow_direction == "ingress" else "srcaddr"
    if host is not None and shown[own] == host.secondary:
        shown[own] = host.ipv4
    values: dict[str, Any] = {
        "version": 5,
        "account-id": ACCOUNT,
        "interface-id": record.interface_id,
        **shown,
        **{name: getattr(record, name) for name in ("srcport", "dstport", "protocol", "packets", "bytes", "action")},
        "start": record.start,
        "end": record.end,
        "log-status": "OK",
        "vpc-id": VPC,
        **placed(host),
        "tcp-flags": record.tcp_flags,
        "type": "IPv6" if ":" in record.srcaddr else "IPv4",
        "pkt-srcaddr": record.srcaddr,
        "pkt-dstaddr": record.dstaddr,
        "flow-direction": record.flow_direction,
    }
    return " ".join(str(values[name]) for name in FIELDS)


def placed(host: Host | None) -> dict[str, str]:
    """Subnet and instance; an interface of AWS's own has none."""
    if host is None:
        return {"subnet-id": SUBNETS["app-a"][0], "instance-id": identifier("i", "web-3")}
    instance = "-" if host.service or host.interface_type != "interface" else identifier("i", host.name)
    return {"subnet-id": SUBNETS[host.subnet][0], "instance-id": instance}


def silence(host: Host, minute: int) -> str:
    """A minute in which an interface had no traffic."""
    told = {
        "version": 5, "account-id": ACCOUNT, "interface-id": host.interface_id, "start": minute, "end": minute + 58,
        "log-status": "NODATA", "vpc-id": VPC, **placed(host),
    }  # fmt: skip
    return " ".join(str(told.get(name, "-")) for name in FIELDS)


BY_INTERFACE = {host.interface_id: host for host in HOSTS.values()}


def published(records: Iterable[Record]) -> dict[str, bytes]:
    """Objects by key: five minutes each, by the end of the intervals, interface by interface."""
    lines: dict[int, list[tuple[str, int, str]]] = {}
    busy = set()
    for record in records:
        minute = record.start // 60 * 60
        busy.add((record.interface_id, minute))
        lines.setdefault(record.end // PUBLISHED * PUBLISHED, []).append((record.interface_id, minute, line(record)))
    for begin in lines:
        for host in HOSTS.values():
            for minute in range(begin, begin + PUBLISHED, 60):
                if (host.interface_id, minute) not in busy and minute % 600 == 0:
                    lines[begin].append((host.interface_id, minute, silence(host, minute)))
    objects = {}
    for begin, found in sorted(lines.items()):
        at = datetime.fromtimestamp(begin, UTC)
        unique = hashlib.sha256(f"{FLOW_LOG}{begin}".encode()).hexdigest()[:8]
        name = f"{ACCOUNT}_vpcflowlogs_{REGION}_{FLOW_LOG}_{at:%Y%m%dT%H%MZ}_{unique}.log.gz"
        text = "\n".join([" ".join(FIELDS), *(text for *_, text in sorted(found)), ""])
        objects[f"AWSLogs/{ACCOUNT}/vpcflowlogs/{REGION}/{at:%Y/%m/%d}/{name}"] = gzipped(text.encode())
    return objects


def gzipped(data: bytes) -> bytes:
    """gzip without a time or a name in its header."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = squeeze.compress(data) + squeeze.flush()
    return b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + body + struct.pack("<II", zlib.crc32(data), len(data))


def main() -> None:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "shop-flowlogs"
    records = replayed_records()
    for key, content in published([*records, *extras(records)]).items():
        path = directory / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


if __name__ == "__main__":
    main()
