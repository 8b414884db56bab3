"""What became of the packets of a file: six counts that add up, and the causes behind five of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sgsim.kernels import decode_codes as c

__all__ = ["DUPLICATE_CAUSE", "PacketCounts"]

_LINK, _NETWORK = "the link-layer header", "the IP header"
_EXTENSION, _TRANSPORT = "the IPv6 extension headers", "the transport header"

#: cause -> (the count that it belongs to, words for people)
_CAUSES = {
    c.NOT_IP_LLC: ("not_ip", "LLC frame"),
    c.NOT_IP_MPLS: ("not_ip", "MPLS payload that is not IP"),
    c.NOT_IP_PPP: ("not_ip", "PPP control or other protocol"),
    c.NOT_IP_LOOPBACK: ("not_ip", "loopback address family that is not IP"),
    c.NOT_IP_INNER: ("not_ip", "tunnel payload that is neither Ethernet nor IP"),
    c.SHORT_LINK: ("damaged", f"the packet ends inside {_LINK}"),
    c.SHORT_NETWORK: ("damaged", f"the packet ends inside {_NETWORK}"),
    c.SHORT_EXTENSION: ("damaged", f"the packet ends inside {_EXTENSION}"),
    c.SHORT_TRANSPORT: ("damaged", f"the packet ends inside {_TRANSPORT}"),
    c.CUT_LINK: ("truncated", f"captured only up to {_LINK}"),
    c.CUT_NETWORK: ("truncated", f"captured only up to {_NETWORK}"),
    c.CUT_EXTENSION: ("truncated", f"captured only up to {_EXTENSION}"),
    c.CUT_TRANSPORT: ("truncated", f"captured only up to {_TRANSPORT}"),
    c.BAD_VERSION: ("damaged", "IP version that is not the announced one"),
    c.BAD_HEADER_LENGTH: ("damaged", "IPv4 header length below 20"),
    c.BAD_TOTAL_LENGTH: ("damaged", "IPv4 total length below the header length"),
    c.BAD_EXTENSIONS: ("damaged", "endless chain of IPv6 extension headers"),
    c.BAD_INTERFACE: ("damaged", "capture interface that is not described, or whose times cannot be used"),
    c.BAD_BLOCK: ("damaged", "more bytes than the block holds"),
    c.BAD_TIME: ("damaged", "time stamp outside 1970 to 2262"),
}

#: What scapy decided: the words come with the packet.
_WORDED = {
    c.NOT_IP_OTHER_LINK: "not_ip",
    c.BAD_OTHER_LINK: "damaged",
    c.UNSUPPORTED_LINK: "unsupported",
}

_ETHERTYPES = {
    0x0806: "ARP",
    0x8035: "RARP",
    0x88CC: "LLDP",
    0x8863: "PPPoE discovery",
    0x888E: "802.1X",
    0x8809: "slow protocols (LACP)",
    0x88F7: "PTP",
    0x9000: "loopback test",
    0x88E5: "MACsec",
    0x88E7: "provider backbone bridging",
}

DUPLICATE_CAUSE = "seen before in another file or at another interface"


@dataclass(slots=True)
class PacketCounts:
    """The packets of one file; every one is in exactly one of the six counts.

    `source` the file. `not_ip` no IP header; `truncated` the capture kept, or the file holds, too little of it;
    `damaged` it contradicts itself; `unsupported` a link type that nothing here knows; `duplicate` the same packet
    was seen elsewhere. `causes` words for people -> packets; its values add up to what is not decoded.
    `notes` what else a person should know, such as a file that ends inside a record.
    """

    source: str
    decoded: int = 0
    not_ip: int = 0
    truncated: int = 0
    damaged: int = 0
    unsupported: int = 0
    duplicate: int = 0
    causes: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Packets in the file, as far as it could be read."""
        return self.decoded + self.not_ip + self.truncated + self.damaged + self.unsupported + self.duplicate

    def add(self, count: str, cause: str, packets: int = 1) -> None:
        """Add packets to a count under a cause."""
        if packets:
            setattr(self, count, getattr(self, count) + packets)
            self.causes[cause] = self.causes.get(cause, 0) + packets

    def take(self, other: PacketCounts) -> None:
        """Add the counts, causes and notes of another."""
        self.decoded += other.decoded
        for count in ("not_ip", "truncated", "damaged", "unsupported", "duplicate"):
            setattr(self, count, getattr(self, count) + getattr(other, count))
        for cause, packets in other.causes.items():
            self.causes[cause] = self.causes.get(cause, 0) + packets
        self.notes += other.notes

    def add_duplicates(self, packets: int) -> None:
        """Move packets that were decoded to the duplicates."""
        self.decoded -= packets
        self.add("duplicate", DUPLICATE_CAUSE, packets)


@dataclass(slots=True)
class Tally:
    """What the decoder counts into while it runs: by cause, by ethertype, by the words that came with a packet."""

    packets: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(c.TALLY, np.int64))
    worded: Counter[tuple[int, str]] = field(default_factory=Counter)

    def add_to(self, counts: PacketCounts) -> None:
        """Put what was tallied into the counts of a file."""
        counts.decoded += int(self.packets[c.DECODED])
        for cause, (count, words) in _CAUSES.items():
            counts.add(count, words, int(self.packets[cause]))
        ethertypes = self.packets[c.CAUSES :]
        for ethertype in np.flatnonzero(ethertypes).tolist():
            words = _ETHERTYPES.get(ethertype, f"ethertype 0x{ethertype:04x}")
            counts.add("not_ip", words, int(ethertypes[ethertype]))
        for (cause, words), packets in self.worded.items():
            counts.add(_WORDED[cause], words, packets)
