"""A quarter of an hour of the shop's traffic, as scapy packets.

The captures are taken where frames leave their sender: the source MAC address is the sender's, the destination MAC
address the receiver's if both share a subnet, else the subnet's router. What the groups reject gets no answer.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.ntp import NTP
from scapy.packet import Packet, Raw
from shop_account import HOSTS

SECOND = 1_000_000_000
START = 1_772_442_000 * SECOND  # 2026-03-02 09:00:00 UTC, the start of a 600-second interval
RESOLVER, LINK_LOCAL_RESOLVER, TIME_SERVER, METADATA = (
    "10.20.0.2",
    "169.254.169.253",
    "169.254.169.123",
    "169.254.169.254",
)
CLIENTS = ("203.0.113.131", "203.0.113.145", "198.51.100.201", "198.51.100.222")
CLIENTS_V6 = ("2001:db8:c11e:7::5", "2001:db8:c11e:9::12")
OFFICE, OFFICE_V6, SCANNER, STRANGER = "203.0.113.20", "2001:db8:ff1c:1::20", "203.0.113.66", "198.51.100.9"
CARDS, INVOICES, TRACKER, IMAGES = "198.51.100.40", "198.51.100.66", "198.51.100.250", "198.51.100.130"
BILLING = "172.31.5.20"
PUBLIC_SHOP = "203.0.113.80"


@dataclass(frozen=True)
class Frame:
    """One captured packet: time in nanoseconds, bytes on the wire, bytes kept."""

    time: int
    wire: bytes
    kept: int


def subnet(address: str) -> str:
    """The subnet of an address of the VPC, as text that two addresses of one subnet share; else the address."""
    if address.startswith("10.20."):
        return address.rsplit(".", 1)[0]
    return address.rsplit("::", 1)[0] if address.startswith("2001:db8:20:") else address


def router_mac(address: str) -> str:
    """The MAC address of the router of an address's subnet."""
    number = {"10.20.0": 0, "2001:db8:20": 0, "10.20.1": 1, "2001:db8:20:1": 1, "10.20.20": 20}.get(subnet(address), 10)
    return f"02:00:5e:00:00:{number:02x}"


class Shop:
    """Writes conversations down; `frames` are in the order of writing, not of time."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.frames: list[Frame] = []
        self.macs = {a: h.mac for h in HOSTS.values() for a in (h.ipv4, h.ipv6, h.secondary) if a}
        self.ip_ids: dict[str, int] = {}

    def ephemeral(self) -> int:
        return self.random.randrange(32768, 60999)

    def payload(self, size: int) -> bytes:
        """Letters: nothing that a dissector takes for a protocol."""
        return bytes(self.random.choices(b"abcdefghijklmnopqrstuvwxyz", k=size))

    def link(self, src: str, dst: str) -> Ether:
        src_mac = self.macs.get(src) or router_mac(dst)
        dst_mac = self.macs.get(dst) if subnet(src) == subnet(dst) or src not in self.macs else None
        return Ether(src=src_mac, dst=dst_mac or router_mac(src))

    def network(self, src: str, dst: str) -> Packet:
        ttl = 64 if src in self.macs else 52
        if ":" in src:
            return IPv6(src=src, dst=dst, hlim=ttl)
        self.ip_ids[src] = self.ip_ids.get(src, self.random.randrange(65536)) + 1 & 0xFFFF
        return IP(src=src, dst=dst, ttl=ttl, id=self.ip_ids[src])

    def send(self, time: float, src: str, dst: str, transport: Packet) -> None:
        """Write one packet down, `time` seconds after the start."""
        packet = self.network(src, dst) / transport
        if isinstance(packet, IP) and isinstance(transport, TCP):
            packet.flags = "DF"
        self.write(time, self.link(src, dst) / packet)

    def write(self, time: float, frame: Packet, kept: int | None = None) -> None:
        wire = bytes(frame)
        self.frames.append(Frame(START + round(time * 1e6) * 1000, wire, len(wire) if kept is None else kept))

    def tcp(
        self, time: float, client: str, server: str, port: int, exchanges: list[tuple[int, int]],
        *, rtt: float = 0.0006, pause: float = 0.01, close: bool = True, reset: bool = False,
    ) -> float:  # fmt: skip
        """A whole connection: handshake, requests and answers of the given sizes, end. Returns when it ends."""
        sport, here, there = self.ephemeral(), self.random.randrange(2**32), self.random.randrange(2**32)

        def out(flags: str, size: int = 0) -> None:
            nonlocal here
            data = Raw(self.payload(size)) if size else b""
            options = [("MSS", 1460)] if flags == "S" else []
            acknowledged = 0 if flags == "S" else there
            header = TCP(
                sport=sport, dport=port, flags=flags, seq=here, ack=acknowledged, window=64240, options=options
            )
            self.send(time, client, server, header / data if data else header)
            here = here + size + ("S" in flags or "F" in flags) & 0xFFFFFFFF

        def back(flags: str, size: int = 0) -> None:
            nonlocal there
            options = [("MSS", 1460)] if "S" in flags else []
            while True:
                part = min(size, 1400)
                data = Raw(self.payload(part)) if part else b""
                header = TCP(sport=port, dport=sport, flags=flags, seq=there, ack=here, window=65160, options=options)
                self.send(time, server, client, header / data if data else header)
                there = there + part + ("S" in flags or "F" in flags) & 0xFFFFFFFF
                size -= part
                if size <= 0:
                    return

        out("S")
        time += rtt
        back("SA")
        time += rtt
        out("A")
        for request, answer in exchanges:
            time += pause
            out("PA", request)
            time += rtt
            back("PA", answer)
            time += rtt
            out("A")
        time += pause
        if reset:
            out("R")
        elif close:
            out("FA")
            time += rtt
            back("FA")
            time += rtt
            out("A")
        return time

    def knock(self, time: float, client: str, server: str, port: int, tries: int = 3) -> None:
        """A connection that nobody answers: the SYN and its repetitions after 1, 3, 7 … seconds."""
        sport, seq = self.ephemeral(), self.random.randrange(2**32)
        for attempt in range(tries):
            header = TCP(sport=sport, dport=port, flags="S", seq=seq, window=64240, options=[("MSS", 1460)])
            self.send(time + 2**attempt - 1, client, server, header)

    def dns(self, time: float, client: str, server: str, name: str, answer: str | None) -> None:
        sport, number = self.ephemeral(), self.random.randrange(65536)
        question = DNSQR(qname=name, qtype="A")
        self.send(time, client, server, UDP(sport=sport, dport=53) / DNS(id=number, rd=1, qd=question))
        if answer is not None:
            records = DNSRR(rrname=name, type="A", ttl=60, rdata=answer)
            reply = DNS(id=number, qr=1, rd=1, ra=1, qd=question, an=records)
            self.send(time + 0.0004, server, client, UDP(sport=53, dport=sport) / reply)

    def ntp(self, time: float, client: str) -> None:
        stamps = {"ref": 0, "orig": 0, "recv": 0, "sent": 3_981_430_800 + int(time)}
        sport = self.ephemeral()
        self.send(time, client, TIME_SERVER, UDP(sport=sport, dport=123) / NTP(version=4, mode=3, **stamps))
        answer = NTP(version=4, mode=4, stratum=3, **stamps)
        self.send(time + 0.0003, TIME_SERVER, client, UDP(sport=123, dport=sport) / answer)

    def ping(self, time: float, src: str, dst: str, count: int, answered: bool = True) -> None:
        number = self.random.randrange(65536)
        for seq in range(count):
            data = Raw(bytes(range(0x10, 0x38)))
            if ":" in src:
                request, reply = ICMPv6EchoRequest(id=number, seq=seq), ICMPv6EchoReply(id=number, seq=seq)
            else:
                request, reply = ICMP(type=8, id=number, seq=seq), ICMP(type=0, id=number, seq=seq)
            self.send(time + seq, src, dst, request / data)
            if answered:
                self.send(time + seq + 0.0004, dst, src, reply / data)

    def arp(self, time: float, src: str, dst: str) -> None:
        request = ARP(op="who-has", hwsrc=self.macs[src], psrc=src, pdst=dst)
        self.write(time, Ether(src=self.macs[src], dst="ff:ff:ff:ff:ff:ff") / request)
        reply = ARP(op="is-at", hwsrc=self.macs[dst], psrc=dst, hwdst=self.macs[src], pdst=src)
        self.write(time + 0.0001, Ether(src=self.macs[dst], dst=self.macs[src]) / reply)

    def neighbours(self, time: float, src: str, dst: str) -> None:
        self.send(time, src, dst, ICMPv6ND_NS(tgt=dst))
        self.send(time + 0.0001, dst, src, ICMPv6ND_NA(tgt=dst, S=1))

    def syslog(self, time: float, src: str, size: int, *, lose_first: bool = False) -> None:
        """One message; a large one travels in fragments."""
        dst = HOSTS["monitoring"].ipv4
        packet = self.network(src, dst) / UDP(sport=514, dport=514) / Raw(self.payload(size))
        pieces = fragment(packet, fragsize=1480)
        for number, piece in enumerate(pieces):
            if not (lose_first and number == 0):
                self.write(time + number * 0.00002, self.link(src, dst) / piece)


def ip(name: str) -> str:
    """The IPv4 address of a host of the shop."""
    return HOSTS[name].ipv4


def customers(shop: Shop) -> None:
    """Requests through load balancer, web and app tier to the database, over IPv4 and IPv6."""
    for number in range(14):
        time = 5 + number * 41.7 + shop.random.random()
        alb, web, app = (
            ("alb-a", "alb-b")[number % 2],
            ("web-1", "web-2")[number % 2],
            ("app-1", "app-2")[number // 2 % 2],
        )
        client = CLIENTS_V6[number // 4 % 2] if number % 4 == 3 else CLIENTS[number % 4]
        front = HOSTS[alb].ipv6 if ":" in client else ip(alb)
        assert front is not None
        if number % 5 == 0:
            shop.tcp(time - 0.3, client, front, 80, [(210, 320)], rtt=0.018)
        shop.tcp(time, client, front, 443, [(517, 2600), (420, 1800)], rtt=0.018, pause=0.03, reset=number == 6)
        shop.tcp(time + 0.07, ip(alb), ip(web), 8080, [(460, 1750)])
        shop.tcp(time + 0.08, ip(web), ip(app), 8443, [(517, 1400), (380, 900)])
        if number < 2:
            shop.tcp(time + 0.09, ip(app), ip("db"), 5432, [(90, 40), (220, 700), (180, 400)], pause=90, close=False)
        if number % 6 == 2:
            shop.tcp(time + 0.1, ip(web), IMAGES, 443, [(517, 2900)], rtt=0.002)


def payments(shop: Shop) -> None:
    """To a card processor through the NAT gateway; to an address outside the prefix list, which is rejected."""
    for number, app in enumerate(("app-1", "app-2", "app-1")):
        time = 30 + number * 150
        shop.tcp(time, ip(app), CARDS if number < 2 else INVOICES, 443, [(517, 1300), (600, 420)], rtt=0.011)
        shop.tcp(time + 0.0003, ip("nat"), CARDS if number < 2 else INVOICES, 443, [(517, 1300), (600, 420)], rtt=0.011)
    shop.knock(200, ip("app-1"), TRACKER, 443, tries=4)
    shop.knock(420, ip("app-2"), TRACKER, 443, tries=4)


def operations(shop: Shop) -> None:
    """SSH over the bastion, scrapes, pings, an outside probe, syslog."""
    shop.tcp(60, OFFICE, ip("bastion"), 22, [(40, 40), (900, 1000), (60, 120), (60, 300)], rtt=0.02, pause=8)
    shop.tcp(75, ip("bastion"), ip("web-1"), 22, [(40, 40), (900, 1000), (60, 500)], pause=4)
    shop.tcp(300, OFFICE_V6, HOSTS["bastion"].ipv6 or "", 22, [(40, 40), (900, 1000), (60, 90)], rtt=0.02, pause=100)
    shop.knock(120, ip("bastion"), ip("db"), 5432)
    for number, host in enumerate(("web-1", "web-2", "app-1", "app-2")):
        for turn in range(3):
            shop.tcp(10 + number + turn * 240, ip("monitoring"), ip(host), 9100, [(180, 2100)])
        shop.ping(15 + number * 3, ip("monitoring"), ip(host), 2)
    for turn in range(3):
        shop.knock(14 + turn * 240, ip("monitoring"), ip("db"), 9100, tries=2)
    shop.ping(45, ip("monitoring"), ip("db"), 3, answered=False)
    shop.tcp(130, ip("monitoring"), PUBLIC_SHOP, 443, [(517, 2600)], rtt=0.002)
    shop.ping(150, HOSTS["web-1"].ipv6 or "", HOSTS["web-2"].ipv6 or "", 1, answered=False)
    for number, app in enumerate(("app-1", "app-2", "app-1", "app-2")):
        shop.syslog(100 + number * 90, ip(app), 300)
    shop.syslog(233, ip("app-1"), 3600)
    shop.syslog(236, ip("app-2"), 3600, lose_first=True)


def platform(shop: Shop) -> None:
    """What security groups never see: DNS, time, instance metadata, ARP and neighbour discovery."""
    for number, host in enumerate(("web-1", "web-2", "app-1", "app-2", "bastion", "monitoring")):
        shop.dns(3 + number * 7, ip(host), RESOLVER, "db.shop.example.", ip("db"))
        shop.ntp(64 + number, ip(host))
    shop.dns(199.9, ip("app-1"), LINK_LOCAL_RESOLVER, "pixel.tracker.example.", TRACKER)
    shop.tcp(8, ip("app-1"), METADATA, 80, [(120, 300)])
    shop.tcp(9, ip("app-2"), METADATA, 80, [(120, 300)])
    shop.dns(210, ip("web-2"), "198.51.100.53", "updates.example.", None)
    shop.dns(215, ip("web-2"), "198.51.100.53", "updates.example.", None)
    shop.arp(2, ip("web-1"), ip("app-1"))
    shop.arp(2.5, ip("monitoring"), ip("web-2"))
    shop.neighbours(149.9, HOSTS["web-1"].ipv6 or "", HOSTS["web-2"].ipv6 or "")


def visitors(shop: Shop) -> None:
    """Who should not be there: scanners, a web server that goes to the database by itself, and what is unclear."""
    for number, port in enumerate((21, 22, 23, 80, 443, 445, 1433, 3306, 3389, 5432, 6379, 8080, 9200, 27017)):
        shop.knock(250 + number * 0.2, SCANNER, ip("bastion"), port, tries=1)
    for port in (22, 8080, 8443):
        shop.knock(260 + port / 1000, SCANNER, ip("alb-a"), port, tries=2)
    shop.knock(275, "2001:db8:bad::66", HOSTS["web-1"].ipv6 or "", 22, tries=2)
    shop.knock(310, STRANGER, ip("bastion"), 22)
    shop.knock(330, ip("web-2"), ip("db"), 5432)
    shop.ping(340, STRANGER, ip("alb-b"), 2, answered=False)
    too_big = IP(src=ip("web-1"), dst=IMAGES, id=7, flags="DF", len=1500) / TCP(sport=41000, dport=443, seq=1)
    shop.send(350, "10.20.0.1", ip("web-1"), ICMP(type=3, code=4, nexthopmtu=1400) / Raw(bytes(too_big)[:28]))
    shop.tcp(500, BILLING, ip("db"), 5432, [(90, 40), (300, 2400)], rtt=0.001)
    shop.write(
        20,
        Ether(src="02:00:00:00:99:05", dst="02:00:00:00:99:07")
        / IP(src="10.99.0.5", dst="10.99.0.7", id=1)
        / UDP(sport=40123, dport=8125)
        / Raw(b"queue.depth:3|g"),
    )
    cut = shop.link(CLIENTS[0], ip("alb-a")) / shop.network(CLIENTS[0], ip("alb-a")) / TCP(dport=443, flags="A")
    shop.write(400, cut, kept=30)


def main_capture() -> list[Frame]:
    """Frames of the whole shop, in order of time."""
    shop = Shop(seed=20260302)
    for part in (customers, payments, operations, platform, visitors):
        part(shop)
    return sorted(shop.frames, key=lambda frame: frame.time)


def app_capture() -> Iterator[tuple[int, Frame]]:
    """What app-1 itself captured with two tools: (interface of the capture, frame), in order of time.

    Interface 0 is Linux cooked (`tcpdump -i any`), interface 1 a VLAN-tagged mirror of the same card. Port 8444
    is not allowed by the account's export: it was opened after that was taken, so an answered connection is seen.
    """
    shop = Shop(seed=20260303)
    app = ip("app-1")
    shop.tcp(700, ip("web-1"), app, 8443, [(517, 1400), (380, 900)])
    shop.tcp(702, app, ip("db"), 5432, [(90, 40), (220, 700)])
    shop.dns(701, app, RESOLVER, "db.shop.example.", ip("db"))
    shop.tcp(704, ip("web-2"), app, 8444, [(517, 1400)])
    cooked = [(0, cook(frame, HOSTS["app-1"].mac)) for frame in shop.frames]
    shop.frames = []
    shop.tcp(706, ip("monitoring"), app, 9100, [(180, 2100)])
    shop.ping(708, ip("monitoring"), app, 2)
    tagged = [(1, tag(frame)) for frame in shop.frames]
    yield from sorted(cooked + tagged, key=lambda numbered: numbered[1].time)


def cook(frame: Frame, own_mac: str) -> Frame:
    """The same packet under a Linux cooked header (v1): direction, sender's MAC address, EtherType."""
    ether = Ether(frame.wire)
    direction = 4 if ether.src == own_mac else 0
    sender = bytes.fromhex(ether.src.replace(":", ""))
    header = direction.to_bytes(2) + (1).to_bytes(2) + (6).to_bytes(2) + sender + b"\0\0" + ether.type.to_bytes(2)
    wire = header + frame.wire[14:]
    return Frame(frame.time + 137, wire, len(wire))


def tag(frame: Frame) -> Frame:
    """The same frame with a VLAN tag."""
    ether = Ether(frame.wire)
    wire = bytes(Ether(src=ether.src, dst=ether.dst) / Dot1Q(vlan=120) / ether.payload)
    return Frame(frame.time + 251, wire, len(wire))
