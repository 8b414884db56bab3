"""A flow-log reader to hold against docs/semantics.md §5.6 line by line: split, compare, count. Slow on purpose."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

DEFAULT = [
    "version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets",
    "bytes", "start", "end", "action", "log-status",
]  # fmt: skip
NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
TIMESTAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z(?=[\x00-\x20]|$)")
KNOWN = {
    *DEFAULT, "vpc-id", "subnet-id", "instance-id", "tcp-flags", "type", "pkt-srcaddr", "pkt-dstaddr", "region",
    "az-id", "flow-direction", "traffic-path", "reject-reason", "resource-id", "encryption-status", "resource-type",
    "tgw-id", "tgw-attachment-id",
}  # fmt: skip
IDS = ("account-id", "interface-id", "vpc-id", "subnet-id", "instance-id", "reject-reason")
LIMITS = {
    "srcport": (65535, "port above 65535"),
    "dstport": (65535, "port above 65535"),
    "protocol": (255, "protocol above 255"),
    "start": (2**33 - 1, "time out of range"),
    "end": (2**33 - 1, "time out of range"),
    "tcp-flags": (255, "number too large"),
    "packets": (10**18, "number too large"),
    "bytes": (10**18, "number too large"),
    "version": (10**18, "number too large"),
}
WORDS = {
    "action": (("ACCEPT", "REJECT"), "unknown action"),
    "log-status": (("OK", "NODATA", "SKIPDATA"), "unknown log status"),
    "flow-direction": (("ingress", "egress"), "unknown flow direction"),
}


class BadLineError(Exception):
    """A cause."""


@dataclass
class Twin:
    """Records as dicts of plain values (None for `-`), silences, and lines by class."""

    names: list[str] = field(default_factory=lambda: list(DEFAULT))
    default: bool = True
    records: list[dict[str, object]] = field(default_factory=list)
    silences: list[tuple[str | None, int, int, str]] = field(default_factory=list)
    classes: Counter[str] = field(default_factory=Counter)
    lines: int = 0

    def read(self, text: bytes) -> Twin:
        """All lines of a text."""
        if not text:
            return self
        for line in text.removesuffix(b"\n").split(b"\n"):
            self.lines += 1
            self.classes[self._line(line)] += 1
        return self

    def _line(self, line: bytes) -> str:
        names = header(line)
        if names:
            self.names, self.default = names, False
            return "header"
        line = line.removesuffix(b"\r")
        if stamp := TIMESTAMP.match(line):
            line = line[stamp.end() :]
        if re.search(rb"[\x00-\x08\x0b-\x1f]", line):
            return "control character"
        tokens = [token.decode("latin-1") for token in re.split(rb"[ \t]+", line) if token]
        if not tokens:
            return "blank"
        if "tgw-id" in self.names:
            return "transit_gateway" if len(tokens) == len(self.names) else "wrong number of fields"
        if tokens[1:2] == ["TransitGateway"]:
            return "transit_gateway"
        if len(tokens) != len(self.names):
            return "wrong number of fields"
        try:
            return self._record(dict(zip(self.names, tokens)))
        except BadLineError as cause:
            return str(cause)

    def _record(self, texts: dict[str, str]) -> str:
        status = word("log-status", texts.get("log-status", "-"))
        if status in ("NODATA", "SKIPDATA"):
            told = ("start", "end", "account-id", "interface-id")
            values: dict[str, Any] = {name: value(name, texts[name]) for name in self.names if name in told}
            start, end = values["start"], values["end"]
            if start is None or end is None:
                raise BadLineError("not a number")
            if end < start:
                raise BadLineError("end before start")
            self.silences.append((values.get("interface-id"), start, end, status))
            return status.lower()
        if texts.get("type") == "EFA":
            return "efa"
        if self.default and number("version", texts["version"]) != 2:
            raise BadLineError("not the default format's version")
        values = {name: value(name, texts[name]) for name in self.names if name != "version"}
        return self._judge(values)

    def _judge(self, values: dict[str, object]) -> str:
        get = values.get
        pairs = [(get("srcaddr"), get("dstaddr")), (get("pkt-srcaddr"), get("pkt-dstaddr"))]
        best = (pairs[1][0] or pairs[0][0], pairs[1][1] or pairs[0][1])
        needed = [*best, get("protocol"), get("start"), get("end")]
        if get("protocol") in (6, 17):
            needed += [get("srcport"), get("dstport")]
        if None in needed:
            return "incomplete"
        for source, destination in (best, pairs[0]):
            if source and destination and source.version != destination.version:  # type: ignore[attr-defined]
                raise BadLineError("address families differ")
        if values["end"] < values["start"]:  # type: ignore[operator]
            raise BadLineError("end before start")
        self.records.append({**values, "line": self.lines})
        return "ok"


def header(line: bytes) -> list[str] | None:
    """The names of a header line."""
    tokens = line.decode("utf-8", "replace").split()
    names = [token.replace("_", "-") for token in tokens]
    good = len(tokens) > 1 and all(NAME.fullmatch(token) for token in tokens) and sum(n in KNOWN for n in names) > 1
    return names if good else None


def value(name: str, text: str) -> object:
    """What a field says, None for `-`."""
    if name in ("srcaddr", "dstaddr", "pkt-srcaddr", "pkt-dstaddr"):
        return address(text)
    if name in LIMITS:
        return number(name, text)
    if name in WORDS:
        return word(name, text)
    return identifier(text) if name in IDS else text


def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address, None for `-`."""
    if text == "-":
        return None
    if "%" in text:
        raise BadLineError("not an address")
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise BadLineError("not an address") from None


def number(name: str, text: str) -> int | None:
    """A number, None for `-`."""
    if text == "-":
        return None
    if not re.fullmatch(r"[0-9]+", text):
        raise BadLineError("not a number")
    limit, cause = LIMITS[name]
    if len(text) > 18:
        raise BadLineError("number too large")
    if int(text) > limit:
        raise BadLineError(cause)
    return int(text)


def word(name: str, text: str) -> str | None:
    """One of a field's words, None for `-`."""
    if text == "-":
        return None
    words, cause = WORDS[name]
    if text not in words:
        raise BadLineError(cause)
    return text


def identifier(text: str) -> str | None:
    """An id, None for `-`."""
    if not all(32 < ord(c) < 127 for c in text) or len(text) > 1024:
        raise BadLineError("text that is too long or not ASCII")
    return None if text == "-" else text
