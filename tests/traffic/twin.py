"""The decoder again, slow and plain: one frame of bytes in, a dictionary or the name of a count out. No code shared."""

from __future__ import annotations

from typing import Any

EXTENSIONS = {0, 43, 60, 135, 139, 140}
TAGS = {0x8100, 0x88A8, 0x9100, 0x9200}


class Skipped(Exception):  # noqa: N818 (an outcome, not an error)
    """The packet gives no row: `count` is not_ip or damaged, or short where bytes end too early."""

    def __init__(self, count: str, limit: int = 0) -> None:
        self.count, self.limit = count, limit


def number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")


def decode(frame: bytes, wire: int, link: int, *, decapsulate: bool = False) -> dict[str, Any] | str:
    """What becomes of a frame of which `wire` bytes were sent and these were captured."""
    wire = max(wire, len(frame))
    try:
        at, version, macs = link_layer(frame, link)
        return packet(frame, at, version, wire, macs, -1, {4789, 6081} if decapsulate else set())
    except Skipped as skipped:
        if skipped.count == "short":
            return "truncated" if len(frame) < min(wire, skipped.limit or wire) else "damaged"
        return skipped.count


def need(data: bytes, until: int, limit: int = 0) -> None:
    if until > len(data):
        raise Skipped("short", limit)


def link_layer(frame: bytes, link: int, at: int = 0) -> tuple[int, int, tuple[int, int]]:
    """(position of the IP header, its announced version or 0, (source, destination MAC))."""
    if link == 1:
        need(frame, at + 14)
        macs = number(frame, at + 6, 6), number(frame, at, 6)
        return *payload(frame, at + 14, number(frame, at + 12, 2)), macs
    if link in (12, 14, 101, 228):
        return at, 0, (0, 0)
    if link == 229:
        return at, 6, (0, 0)
    if link in (0, 108):
        need(frame, 4)
        family = min(int.from_bytes(frame[:4], "little"), int.from_bytes(frame[:4], "big"))
        if family in (2, 10, 24, 28, 30):
            return 4, 4 if family == 2 else 6, (0, 0)
        raise Skipped("not_ip")
    size, length_at, mac_at, type_at = (16, 5, 6, 14) if link == 113 else (20, 11, 12, 0)
    need(frame, size)
    mac = number(frame, mac_at, 6) if frame[length_at] == 6 and (link == 276 or frame[4] == 0) else 0
    return *payload(frame, size, number(frame, type_at, 2)), (mac, 0)


def payload(frame: bytes, at: int, ethertype: int) -> tuple[int, int]:
    if ethertype in (0x0800, 0x86DD):
        return at, 4 if ethertype == 0x0800 else 6
    if ethertype in TAGS:
        need(frame, at + 4)
        return payload(frame, at + 4, number(frame, at + 2, 2))
    if ethertype in (0x8847, 0x8848):
        return labels(frame, at)
    if ethertype == 0x8864:
        at += 6
        need(frame, at + 1)
        size = 1 if frame[at] & 1 else 2
        need(frame, at + size)
        protocol = number(frame, at, size)
        if protocol in (0x0281, 0x0283):
            return labels(frame, at + size)
        if protocol not in (0x21, 0x57):
            raise Skipped("not_ip")
        return at + size, 4 if protocol == 0x21 else 6
    if ethertype > 1500:
        raise Skipped("not_ip")
    need(frame, at + 3)
    if frame[at : at + 2] == b"\x06\x06":
        return at + 3, 4
    if frame[at : at + 3] != b"\xaa\xaa\x03":
        raise Skipped("not_ip")
    need(frame, at + 8)
    if frame[at + 3 : at + 6] != b"\0\0\0" or number(frame, at + 6, 2) <= 1500:
        raise Skipped("not_ip")
    return payload(frame, at + 8, number(frame, at + 6, 2))


def labels(frame: bytes, at: int) -> tuple[int, int]:
    bottom = False
    while not bottom:
        need(frame, at + 4)
        bottom = bool(frame[at + 2] & 1)
        at += 4
    need(frame, at + 1)
    if frame[at] >> 4 not in (4, 6):
        raise Skipped("not_ip")
    return at, 0


def packet(
    frame: bytes, at: int, announced: int, wire: int, macs: tuple[int, int], vni: int, tunnels: set[int]
) -> dict[str, Any]:
    row = header(frame, at, announced, wire)
    row |= {"src_mac": macs[0], "dst_mac": macs[1], "vni": vni, "quote": None}
    limit = min(wire, at + row["length"])
    data, after = frame[: at + row["length"]], row.pop("after")
    row |= {"srcport": 0, "dstport": 0, "icmp_type": -1, "icmp_code": -1, "icmp_id": -1, "tcp_flags": 0}
    if row["fragment"] == 2:
        return row
    if row["protocol"] in (6, 17):
        need(data, after + (14 if row["protocol"] == 6 else 4), limit)
        row["srcport"], row["dstport"] = number(data, after, 2), number(data, after + 2, 2)
        if row["protocol"] == 6:
            row["tcp_flags"] = data[after + 13]
        elif row["fragment"] == 0 and row["dstport"] in tunnels:
            return unwrapped(data, after + 8, limit, row, tunnels) or row
    if row["protocol"] in (1, 58):
        need(data, after + 2, limit)
        row["icmp_type"], row["icmp_code"] = data[after], data[after + 1]
        queries = {0, 8, *range(13, 19)} if row["protocol"] == 1 else {128, 129}
        if row["icmp_type"] in queries and len(data) >= after + 6:
            row["icmp_id"] = number(data, after + 4, 2)
        if row["icmp_type"] in ({3, 4, 5, 11, 12} if row["protocol"] == 1 else {1, 2, 3, 4}):
            row["quote"] = quote(data, after + 8, row["family"])
    return row


def header(data: bytes, at: int, announced: int, wire: int) -> dict[str, Any]:
    need(data, at + 1, wire)
    version = data[at] >> 4
    if version not in (4, 6) or announced not in (0, version):
        raise Skipped("damaged")
    if version == 4:
        need(data, at + 20, wire)
        size, length = (data[at] & 15) * 4, number(data, at + 2, 2) or wire - at
        if size < 20 or length < size:
            raise Skipped("damaged")
        need(data, at + size, wire)
        flags = number(data, at + 6, 2)
        return {
            "family": 4, "src": number(data, at + 12, 4), "dst": number(data, at + 16, 4), "protocol": data[at + 9],
            "fragment": 2 if flags & 0x1FFF else 1 if flags & 0x2000 else 0, "ip_id": number(data, at + 4, 2),
            "length": length, "after": at + size,
        }  # fmt: skip
    need(data, at + 40, wire)
    length = number(data, at + 4, 2) + 40
    if length == 40 and data[at + 6] != 59:
        length = wire - at
    row = {"family": 6, "src": number(data, at + 8, 16), "dst": number(data, at + 24, 16), "length": length}
    return row | chain(data[: at + length], at + 40, data[at + 6], min(wire, at + length))


def chain(data: bytes, at: int, protocol: int, limit: int) -> dict[str, Any]:
    fragment = name = 0
    for _ in range(64):
        if protocol == 44:
            need(data, at + 8, limit)
            protocol, offset, name = data[at], number(data, at + 2, 2), number(data, at + 4, 4)
            at += 8
            if offset >> 3:
                return {"protocol": protocol, "fragment": 2, "ip_id": name, "after": at}
            fragment |= offset & 1
        elif protocol in EXTENSIONS:
            need(data, at + 8, limit)
            need(data, at + 8 + 8 * data[at + 1], limit)
            protocol, at = data[at], at + 8 + 8 * data[at + 1]
        else:
            return {"protocol": protocol, "fragment": fragment, "ip_id": name, "after": at}
    raise Skipped("damaged")


def unwrapped(data: bytes, at: int, limit: int, outer: dict[str, Any], tunnels: set[int]) -> dict[str, Any] | None:
    if len(data) < at + 8:
        return None
    if outer["dstport"] == 4789:
        if not data[at] & 8:
            return None
        position, version, macs = link_layer_within(data, at + 8, limit)
        return packet(data, position, version, limit, macs, number(data, at + 4, 3), {6081})
    if data[at] >> 6:
        return None
    start, kind = at + 8 + 4 * (data[at] & 63), number(data, at + 2, 2)
    need(data, start, limit)
    if kind == 0x6558:
        position, version, macs = link_layer_within(data, start, limit)
        return packet(data, position, version, limit, macs, outer["vni"], set())
    if kind <= 1500:
        raise Skipped("not_ip")
    return packet(data, *within(lambda: payload(data, start, kind), limit), limit, (0, 0), outer["vni"], set())


def link_layer_within(data: bytes, at: int, limit: int) -> tuple[int, int, tuple[int, int]]:
    return within(lambda: link_layer(data, 1, at), limit)  # type: ignore[no-any-return]


def within(step: Any, limit: int) -> Any:
    """Bytes that end too early inside a tunnel end at the tunnel's limit."""
    try:
        return step()
    except Skipped as skipped:
        raise Skipped(skipped.count, skipped.limit or limit) from None


def quote(data: bytes, at: int, family: int) -> dict[str, Any] | None:
    try:
        row = header(data, at, family, len(data))
    except Skipped:
        return None
    after = row["after"]
    row |= {"srcport": 0, "dstport": 0, "icmp_type": -1, "icmp_id": -1}
    if row["fragment"] != 2:
        if row["protocol"] in (6, 17) and len(data) >= after + 4:
            row["srcport"], row["dstport"] = number(data, after, 2), number(data, after + 2, 2)
        elif row["protocol"] in (1, 58) and len(data) > after:
            row["icmp_type"] = data[after]
            queries = {0, 8, *range(13, 19)} if row["protocol"] == 1 else {128, 129}
            if row["icmp_type"] in queries and len(data) >= after + 6:
                row["icmp_id"] = number(data, after + 4, 2)
    keys = ("src", "dst", "protocol", "srcport", "dstport", "icmp_type", "icmp_id")
    return {key: row[key] for key in keys}
