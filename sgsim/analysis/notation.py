"""Flows as people write them: `tcp 10.0.1.5:40000 > 10.0.2.7:443`, `icmp 10.0.1.5 > 10.0.2.7 8/0`.

    flow      = protocol  end ">" end  [type ["/" code]]        type and code for icmp and icmpv6 only
    protocol  = tcp | udp | icmp | icmpv6 | 0 … 255
    end       = host [":" port]                                 ports for tcp and udp only
    host      = 10.0.1.5 | 2001:db8::1 | [2001:db8::1] | eni-… | i-…

An IPv6 address that is followed by a port stands in brackets. The source port may be left out, the destination port of
tcp and udp may not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from sgsim.errors import ModelError, NotationError
from sgsim.model import ICMP, ICMPV6, TCP, UDP, Address, parse_address, protocol_name

__all__ = ["Flow", "format_flow", "parse_flow"]

EXAMPLES = {
    TCP: "tcp 10.0.1.5:40000 > 10.0.2.7:443",
    UDP: "udp 10.0.1.5:40000 > 10.0.0.9:53",
    ICMP: "icmp 10.0.1.5 > 10.0.2.7 8/0",
    ICMPV6: "icmpv6 2001:db8::1 > 2001:db8::2 128/0",
}
OTHER_EXAMPLE = "50 10.0.1.5 > 10.0.2.7"
IPV6_EXAMPLE = "tcp [2001:db8::1]:4000 > [2001:db8::2]:443"

PROTOCOLS = {"tcp": TCP, "udp": UDP, "icmp": ICMP, "icmpv6": ICMPV6}
_IDENTIFIER = re.compile(r"(?:eni|i)-[0-9A-Za-z-]+")
_TOKEN = re.compile(r"\s*(>|[^\s>]+)")


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow as asked for.

    `source` and `destination` are addresses, or the id of an interface or instance as text. Ports are None where they
    were left out or the protocol has none; so are ICMP type and code.
    """

    protocol: int
    source: Address | str
    destination: Address | str
    srcport: int | None = None
    dstport: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None

    def __str__(self) -> str:
        return format_flow(self)


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the text and the column (from 1) where it begins."""

    text: str
    column: int


def parse_flow(text: str) -> Flow:
    """Read one flow. Raises NotationError, which names the column and shows the right form."""
    tokens = [Token(match.group(1), match.start(1) + 1) for match in _TOKEN.finditer(text)]
    end = Token("", len(text.rstrip()) + 1)
    if not tokens:
        fail("a flow is missing", end)
    protocol = parse_protocol(tokens[0])
    words = [*tokens[1:4], *(end for _ in range(4 - len(tokens)))]
    source, srcport = parse_end(words[0], protocol, "source")
    if words[1].text != ">":
        fail(f"expected '>' between the two ends, not {words[1].text!r}" if words[1].text else "'>' is missing",
             words[1], protocol)  # fmt: skip
    destination, dstport = parse_end(words[2], protocol, "destination")
    if protocol in (TCP, UDP) and dstport is None:
        fail("the destination port is missing", end if len(tokens) == 4 else tokens[4], protocol)
    icmp_type, icmp_code = parse_icmp(tokens[4:], protocol)
    check_families(protocol, source, destination, words[0], words[2])
    return Flow(protocol, source, destination, srcport, dstport, icmp_type, icmp_code)


def format_flow(flow: Flow) -> str:
    """The canonical text of a flow; `parse_flow(format_flow(flow)) == flow`."""
    ends = (format_end(flow.source, flow.srcport), format_end(flow.destination, flow.dstport))
    text = f"{protocol_name(flow.protocol)} {ends[0]} > {ends[1]}"
    if flow.icmp_type is None:
        return text
    return f"{text} {flow.icmp_type}" + ("" if flow.icmp_code is None else f"/{flow.icmp_code}")


def format_end(host: Address | str, port: int | None) -> str:
    """`10.0.1.5:443`, `[2001:db8::1]:443`, or the host alone."""
    if port is None:
        return str(host)
    return f"[{host}]:{port}" if isinstance(host, Address) and host.family == 6 else f"{host}:{port}"


def parse_protocol(token: Token) -> int:
    """A name or an IANA number."""
    word = token.text.lower()
    if word in PROTOCOLS:
        return PROTOCOLS[word]
    number = parse_number(word)
    if number is None:
        fail(f"{token.text!r} is not a protocol: tcp, udp, icmp, icmpv6 or a number", token)
    if number > 255:
        fail(f"protocol {number} is outside 0 to 255", token)
    return number


def parse_end(token: Token, protocol: int, which: str) -> tuple[Address | str, int | None]:
    """The host and port of one end."""
    if token.text in ("", ">"):
        fail(f"the {which} is missing", token, protocol)
    host_text, port_text, port_column = split_end(token, protocol)
    host: Address | str
    if _IDENTIFIER.fullmatch(host_text):
        host = host_text
    else:
        try:
            host = parse_address(host_text)
        except ModelError as error:
            fail(f"{error} (nor the id of an interface or instance)", token, protocol)
    if port_text is None:
        return host, None
    place = Token(port_text, port_column)
    if protocol not in (TCP, UDP):
        fail(f"{protocol_name(protocol)} has no ports", place, protocol)
    port = parse_number(port_text)
    if port is None or port > 65535:
        fail(f"{port_text!r} is not a port from 0 to 65535", place, protocol)
    return host, port


def split_end(token: Token, protocol: int) -> tuple[str, str | None, int]:
    """Host text, port text (None without one) and the port's column."""
    text = token.text
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            fail(f"{text!r} is not '[address]:port'", token, TCP, example=IPV6_EXAMPLE)
        return host, rest[1:] if rest else None, token.column + len(host) + 3
    if text.count(":") > 1:  # a bare IPv6 address
        return text, None, token.column
    host, colon, port = text.partition(":")
    return host, port if colon else None, token.column + len(host) + 1


def parse_icmp(tokens: list[Token], protocol: int) -> tuple[int | None, int | None]:
    """Type and code after the ends; None for what is left out."""
    if not tokens:
        return None, None
    token = tokens[0]
    if protocol not in (ICMP, ICMPV6):
        fail(f"{token.text!r} is too much", token, protocol)
    parts = [parse_number(part) for part in token.text.split("/")]
    if len(parts) > 2 or any(part is None or part > 255 for part in parts):
        fail(f"{token.text!r} is not an ICMP type and code, each 0 to 255", token, protocol)
    if len(tokens) > 1:
        fail(f"{tokens[1].text!r} is too much", tokens[1], protocol)
    return parts[0], parts[1] if len(parts) == 2 else None


def check_families(
    protocol: int, source: Address | str, destination: Address | str, first: Token, second: Token
) -> None:
    """Both ends are of one family, and ICMP of its own."""
    families = [host.family for host in (source, destination) if isinstance(host, Address)]
    if len(set(families)) > 1:
        fail("the two ends are of different address families", second, protocol)
    if protocol == ICMP and 6 in families:
        fail("over IPv6 it is icmpv6", first, ICMPV6)
    if protocol == ICMPV6 and 4 in families:
        fail("over IPv4 it is icmp", first, ICMP)


def parse_number(text: str) -> int | None:
    """A decimal number of plain digits, else None."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else None


def fail(problem: str, token: Token, protocol: int | None = None, *, example: str | None = None) -> NoReturn:
    """Raise the error for something wrong at a token."""
    if example is None:
        example = EXAMPLES[TCP] if protocol is None else EXAMPLES.get(protocol, OTHER_EXAMPLE)
    raise NotationError(problem, source="flow", where=f"column {token.column}", advice=f"write it like '{example}'")
