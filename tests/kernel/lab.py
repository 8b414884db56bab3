"""Network namespaces that play the network interfaces of an account.

Each *host* namespace stands for one interface (ENI): a router between its instance side (`inst`) and its network
side (`net`), with nftables and its own conntrack table in between. The test plays the instances and the wire: it
holds the other ends of both links, in one more namespace, as raw sockets.

    raw socket ── i0 ─── inst [ h0: nftables, conntrack ] net ─── n0 ── raw socket

A packet leaves an interface when it comes out at `n…` and reaches an instance when it comes out at `i…`. Its DSCP
then says why it was accepted (see `nftables.Mark`). Nothing but these namespaces is touched; no address of the
machine is used.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import shutil
import socket
import struct
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sgsim.model import ICMP, ICMPV6, TCP, UDP
from sgsim.reference import Packet
from tests.kernel.frames import GRE, ip_packet

T = TypeVar("T")

CLONE_NEWNET = 0x40000000
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
ETH_P_ALL = 3
NETLINK_NETFILTER = 12
PATIENCE = struct.pack("ll", 5, 0)  #: how long to wait for what must come, as a timeval

INSIDE_MAC, OUTSIDE_MAC = bytes.fromhex("020000000001"), bytes.fromhex("0200000000fe")
SENTINEL_PROTOCOL, SENTINEL_ADDRESS = 253, 0xC00002FF  # 192.0.2.255

SYSCTLS = {
    "ipv4/ip_forward": 1,
    "ipv4/conf/all/rp_filter": 0,
    "ipv4/conf/default/rp_filter": 0,
    "ipv4/conf/inst/rp_filter": 0,
    "ipv4/conf/net/rp_filter": 0,
    "ipv4/conf/all/send_redirects": 0,
    "ipv6/conf/all/forwarding": 1,
    "ipv6/conf/inst/addr_gen_mode": 1,
    "ipv6/conf/net/addr_gen_mode": 1,
    "netfilter/nf_conntrack_checksum": 0,
    "netfilter/nf_conntrack_tcp_loose": 1,
    "netfilter/nf_conntrack_tcp_be_liberal": 1,
}


class LabError(RuntimeError):
    """The kernel did something that the lab does not understand."""


def why_not() -> str | None:
    """What this machine lacks for the lab, None if nothing."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    for tool in ("nft", "ip"):
        if shutil.which(tool) is None:
            return f"needs the command {tool}"
    name = f"sgsim-{secrets.token_hex(4)}"
    probe = "table inet t { chain c { type filter hook forward priority 0; ct state established accept; }; }"
    try:
        _run("ip", "netns", "add", name)
    except LabError as error:
        return f"cannot make network namespaces: {error}"
    try:
        _run("ip", "link", "add", "i", "netns", name, "type", "veth", "peer", "name", "n", "netns", name)
        _run("ip", "netns", "exec", name, "nft", "-f", "-", text=probe)
    except LabError as error:
        return f"cannot use veth, nftables or conntrack in a network namespace: {error}"
    finally:
        _run("ip", "netns", "del", name)
    return None


class Host:
    """One namespace that plays one interface."""

    def __init__(self, name: str, inst: socket.socket, net: socket.socket, netlink: socket.socket) -> None:
        self.name, self._inst, self._net, self._netlink = name, inst, net, netlink
        self._marker = 0

    def load(self, ruleset: str) -> None:
        """Replace the rules; connections stay."""
        _run("ip", "netns", "exec", self.name, "nft", "-f", "-", text="flush ruleset\n" + ruleset)

    def set(self, sysctl: str, value: int) -> None:
        """Write one of the namespace's settings under /proc/sys/net."""
        _inside(self.name, lambda: _write_sysctl(sysctl, value))

    def counters(self) -> Counter[str]:
        """Packets that each rule matched so far, by the rule's comment."""
        listing = json.loads(_run("ip", "netns", "exec", self.name, "nft", "-j", "list", "ruleset"))
        counts: Counter[str] = Counter()
        for item in listing["nftables"]:
            rule = item.get("rule", {})
            if "comment" in rule:
                counts[rule["comment"]] += sum(e["counter"]["packets"] for e in rule["expr"] if "counter" in e)
        return +counts

    def forget(self, packet: Packet | None = None) -> None:
        """Drop the connection that the packet opened, or all connections."""
        body = struct.pack("!BBH", 0 if packet is None else _AF[packet.family], 0, 0)
        if packet is not None:
            body += _attribute(1 | _NESTED, _tuple(packet))  # CTA_TUPLE_ORIG
        # kind: subsystem ctnetlink (1), message delete (2); flags: request (1), acknowledge (4)
        self._netlink.send(struct.pack("=IHHII", 16 + len(body), 0x0102, 5, 0, 0) + body)
        answer = self._netlink.recv(4096)
        code = -struct.unpack_from("=i", answer, 16)[0]
        if code:
            raise LabError(f"{self.name}: cannot delete a connection: {os.strerror(code)}: {packet}")

    def leave(self, packet: Packet) -> int | None:
        """Send as the instance; the DSCP with which it reaches the wire, None if dropped."""
        return self._cross(self._inst, self._net, packet)

    def arrive(self, packet: Packet) -> int | None:
        """Deliver from the wire; the DSCP with which it reaches the instance, None if dropped."""
        return self._cross(self._net, self._inst, packet)

    def _cross(self, entrance: socket.socket, leaving: socket.socket, packet: Packet) -> int | None:
        """One packet at a time. What does not come out is followed by a sentinel, which cannot overtake it."""
        self._marker = marker = self._marker % 0xFFFF + 1
        ethertype = b"\x08\x00" if packet.family == 4 else b"\x86\xdd"
        entrance.send(INSIDE_MAC + OUTSIDE_MAC + ethertype + ip_packet(packet, marker))
        try:
            while True:
                frame = leaving.recv(2048, socket.MSG_DONTWAIT)
                if _marker(frame) == marker:
                    return _dscp(frame)
        except BlockingIOError:
            entrance.send(_SENTINEL)
        seen = None
        while True:
            try:
                frame = leaving.recv(2048)
            except BlockingIOError:
                raise LabError(f"{self.name}: neither packet nor sentinel came out: {packet}") from None
            if frame[12:14] == b"\x08\x00" and frame[23] == SENTINEL_PROTOCOL:
                return seen
            if _marker(frame) == marker:
                seen = _dscp(frame)

    def close(self) -> None:
        for sock in (self._inst, self._net, self._netlink):
            sock.close()


@contextmanager
def lab(size: int) -> Iterator[list[Host]]:
    """Make `size` hosts with no rules; every namespace is gone afterwards, whatever happens."""
    prefix = f"sgsim-{os.getpid()}-{secrets.token_hex(3)}"
    outside, names = f"{prefix}-lab", [f"{prefix}-h{index}" for index in range(size)]
    made: list[str] = []
    hosts: list[Host] = []
    try:
        for name in (outside, *names):
            _run("ip", "netns", "add", name)
            made.append(name)
        _inside(outside, lambda: _write_sysctl("ipv6/conf/default/disable_ipv6", 1))
        for index, name in enumerate(names):
            _wire(outside, name, index)
            inst, net = _inside(outside, lambda i=index: (_raw_socket(f"i{i}"), _raw_socket(f"n{i}")))
            hosts.append(Host(name, inst, net, _inside(name, _netlink_socket)))
        yield hosts
    finally:
        for host in hosts:
            host.close()
        for name in made:
            subprocess.run(["ip", "netns", "del", name], check=False)


def _wire(outside: str, name: str, index: int) -> None:
    """Link one host to the outside, and let it forward from either side to the other."""
    links = [("inst", f"i{index}"), ("net", f"n{index}")]
    for inner, outer in links:
        _run(
            *("ip", "link", "add", outer, "netns", outside, "address", OUTSIDE_MAC.hex(":")),
            *("type", "veth", "peer", "name", inner, "netns", name, "address", INSIDE_MAC.hex(":")),
        )
        _run("ip", "-n", outside, "link", "set", outer, "up")
    _inside(name, lambda: [_write_sysctl(key, value) for key, value in SYSCTLS.items()])
    batch = ["link set lo up", "link set inst up", "link set net up"]
    for table, entrance, leaving in ((100, "inst", "net"), (101, "net", "inst")):
        for option, gateway in (("-4", "192.0.2.1"), ("-6", "fe80::1")):
            batch.append(f"{option} rule add iif {entrance} lookup {table}")
            batch.append(f"{option} route add default via {gateway} dev {leaving} onlink table {table}")
            batch.append(f"neigh add {gateway} lladdr {OUTSIDE_MAC.hex(':')} dev {leaving} nud permanent")
    for line in batch:
        _run("ip", "-n", name, *line.split())


def _run(*command: str, text: str | None = None) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def _inside(name: str, work: Callable[[], T]) -> T:
    """Do something inside a namespace. A thread enters it and ends there, so that this one never moves."""
    results: list[T] = []
    errors: list[BaseException] = []

    def enter() -> None:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            with Path(f"/run/netns/{name}").open() as namespace:
                if libc.setns(namespace.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"setns {name}")
            results.append(work())
        except BaseException as error:  # handed to the caller below
            errors.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _write_sysctl(key: str, value: int) -> None:
    Path(f"/proc/sys/net/{key}").write_text(str(value))


def _raw_socket(link: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    sock.bind((link, ETH_P_ALL))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, PATIENCE)
    return sock


def _netlink_socket() -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    sock.settimeout(5)
    return sock


def _marker(frame: bytes) -> int | None:
    if frame[12:14] == b"\x08\x00":
        return int.from_bytes(frame[18:20])
    if frame[12:14] == b"\x86\xdd":
        return int.from_bytes(frame[16:18])  # the low 16 bits of the flow label
    return None


def _dscp(frame: bytes) -> int:
    if frame[12:14] == b"\x08\x00":
        return frame[15] >> 2
    return (frame[14] & 0xF) << 2 | frame[15] >> 6


_SENTINEL = (
    INSIDE_MAC
    + OUTSIDE_MAC
    + b"\x08\x00"
    + ip_packet(Packet(family=4, srcaddr=SENTINEL_ADDRESS - 1, dstaddr=SENTINEL_ADDRESS, protocol=SENTINEL_PROTOCOL), 0)
)

_AF = {4: socket.AF_INET, 6: socket.AF_INET6}
_NESTED = 0x8000


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _tuple(packet: Packet) -> bytes:
    """A packet's connection as nested ctnetlink attributes (linux/netfilter/nfnetlink_conntrack.h)."""
    size, first = (4, 1) if packet.family == 4 else (16, 3)
    addresses = _attribute(first, packet.srcaddr.to_bytes(size)) + _attribute(first + 1, packet.dstaddr.to_bytes(size))
    transport = _attribute(1, packet.protocol.to_bytes(1))
    if packet.protocol in (TCP, UDP, GRE):  # ctnetlink has GRE's keys in the place of ports
        transport += _attribute(2, packet.srcport.to_bytes(2)) + _attribute(3, packet.dstport.to_bytes(2))
    elif packet.protocol in (ICMP, ICMPV6):
        first = 4 if packet.protocol == ICMP else 7
        transport += _attribute(first, (packet.icmp_id or 0).to_bytes(2))
        transport += _attribute(first + 1, packet.icmp_type.to_bytes(1))
        transport += _attribute(first + 2, packet.icmp_code.to_bytes(1))
    return _attribute(1 | _NESTED, addresses) + _attribute(2 | _NESTED, transport)
