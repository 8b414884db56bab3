"""Keys of what is remembered, built from packets and from one another (words as in `sgsim.kernels.tracking_layout`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.engine.resolve import Headers
from sgsim.kernels.tracking_layout import (
    CODE_SHIFT,
    DSTPORT_SHIFT,
    ID_SHIFT,
    IPV6_SHIFT,
    KEY_WORDS,
    KIND_LATER,
    KIND_OTHER,
    KIND_REPLY,
    KIND_REQUEST,
    KIND_STATELESS,
    KIND_TCP,
    KIND_UDP,
    KIND_UNSEEN,
    LATER_SHIFT,
    PROTOCOL_SHIFT,
    VNI_SHIFT,
)
from sgsim.model import ICMP, ICMPV6, TCP, UDP
from sgsim.packets import PacketBatch

__all__ = [
    "FlowColumns",
    "connection_keys",
    "flow_kinds",
    "fragment_keys",
    "quoted_keys",
    "quotes_of_errors",
    "record_keys",
    "unsigned",
]

#: ICMP query messages, request → reply (docs/semantics.md §9.13).
_QUERIES = {ICMP: {8: 0, 13: 14, 15: 16, 17: 18}, ICMPV6: {128: 129}}
_ERRORS = {ICMP: (3, 4, 5, 11, 12), ICMPV6: (1, 2, 3, 4)}  #: types of ICMP errors
_NEIGHBOUR_DISCOVERY = (133, 137)  #: ICMPv6 types, both included
_ADDRESSES = ("src_hi", "src_lo", "dst_hi", "dst_lo")


class FlowColumns:
    """The fields of micro-flow keys, as columns."""

    def __init__(self, keys: npt.NDArray[np.uint64]) -> None:
        services, rest = keys[:, 4], keys[:, 5]
        self.src_hi, self.src_lo, self.dst_hi, self.dst_lo = (np.ascontiguousarray(keys[:, word]) for word in range(4))
        self.srcport = services.astype(np.uint16)
        self.dstport = (services >> np.uint64(DSTPORT_SHIFT)).astype(np.uint16)
        self.protocol = (services >> np.uint64(PROTOCOL_SHIFT)).astype(np.uint8)
        self.family = np.where(services >> np.uint64(IPV6_SHIFT) & np.uint64(1), 6, 4).astype(np.uint8)
        self.later = (services >> np.uint64(LATER_SHIFT) & np.uint64(1)).astype(np.bool_)
        self.icmp_type = _less_one(rest, 0, 9).astype(np.int16)
        self.icmp_code = _less_one(rest, CODE_SHIFT, 9).astype(np.int16)
        self.icmp_id = _less_one(rest, ID_SHIFT, 17).astype(np.int32)
        self.vni = _less_one(rest, VNI_SHIFT, 25).astype(np.int32)
        self.src_mac, self.dst_mac = np.ascontiguousarray(keys[:, 6]), np.ascontiguousarray(keys[:, 7])

    @property
    def headers(self) -> Headers:
        """What identifies the ends."""
        return Headers(
            self.family, self.src_hi, self.src_lo, self.dst_hi, self.dst_lo, self.src_mac, self.dst_mac, self.vni
        )


def connection_keys(
    keys: npt.NDArray[np.uint64],
    icmp_type: npt.NDArray[Any],
    kind: npt.NDArray[Any],
    end: npt.NDArray[Any],
    interface: npt.NDArray[Any],
) -> npt.NDArray[np.uint64]:
    """What makes packets at one interface one connection (§2.1, §9.10, §9.13), from micro-flow keys.

    Addresses and ports are turned so that the local end comes first. TCP and UDP: addresses and ports; ICMP queries:
    addresses, identifier, query pair and the request's direction; other protocols: addresses and number.
    """
    made = np.zeros((len(keys), KEY_WORDS), np.uint64)
    incoming = end == 1
    for word, other in ((0, 2), (1, 3), (2, 0), (3, 1)):
        made[:, word] = np.where(incoming, keys[:, other], keys[:, word])
    services = keys[:, 4]
    src, dst = services & np.uint64(0xFFFF), services >> np.uint64(DSTPORT_SHIFT) & np.uint64(0xFFFF)
    local, remote = np.where(incoming, dst, src), np.where(incoming, src, dst)
    made[:, 4] = services & ~np.uint64(0xFFFFFFFF) | local | remote << np.uint64(DSTPORT_SHIFT)
    query = (kind == KIND_REQUEST) | (kind == KIND_REPLY)
    request = np.array(icmp_type, np.int64)
    for pairs in _QUERIES.values():
        for asked, answered in pairs.items():
            request[(kind == KIND_REPLY) & (icmp_type == answered)] = asked
    by_ingress = incoming ^ (kind == KIND_REPLY)
    identifier = keys[:, 5] >> np.uint64(ID_SHIFT) & np.uint64(0x1FFFF)
    pair = unsigned(request) << np.uint64(20) | unsigned(by_ingress) << np.uint64(40)
    made[:, 5] = np.where(query, identifier | pair, 0)
    made[:, 6] = unsigned(interface)
    return made


def flow_kinds(
    family: npt.NDArray[Any], protocol: npt.NDArray[Any], icmp_type: npt.NDArray[Any], later: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int32]:
    """How tracking treats each flow: one of KIND_*."""
    kind = np.full(len(protocol), KIND_OTHER, np.int32)
    kind[protocol == TCP], kind[protocol == UDP] = KIND_TCP, KIND_UDP
    for icmp, pairs in _QUERIES.items():
        kind[protocol == icmp] = KIND_STATELESS
        kind[(protocol == icmp) & np.isin(icmp_type, list(pairs))] = KIND_REQUEST
        kind[(protocol == icmp) & np.isin(icmp_type, list(pairs.values()))] = KIND_REPLY
    kind[later] = KIND_LATER
    first, last = _NEIGHBOUR_DISCOVERY
    kind[(family == 6) & (protocol == ICMPV6) & (first <= icmp_type) & (icmp_type <= last)] = KIND_UNSEEN
    return kind


def fragment_keys(
    batch: PacketBatch, packet: npt.NDArray[Any], end: int, interface: npt.NDArray[Any]
) -> npt.NDArray[np.uint64]:
    """What fragments of one packet share at one end: addresses, protocol, IP identification (§9.15)."""
    made = np.zeros((len(packet), KEY_WORDS), np.uint64)
    for word, name in enumerate(_ADDRESSES):
        made[:, word] = getattr(batch, name)[packet]
    made[:, 4] = _services(batch.family[packet], batch.protocol[packet])
    made[:, 5] = batch.ip_id[packet]
    made[:, 6] = unsigned(interface)
    made[:, 7] = end
    return made


def quotes_of_errors(batch: PacketBatch, start: int, stop: int) -> npt.NDArray[np.int64]:
    """Rows of `batch.quotes` that belong to ICMP errors among packets `start` … `stop`, sent to the quoted sender."""
    quotes = batch.quotes
    of = np.flatnonzero((quotes.packet >= start) & (quotes.packet < stop))
    packet = quotes.packet[of]
    is_error = np.zeros(len(of), np.bool_)
    for protocol, types in _ERRORS.items():
        is_error |= (batch.protocol[packet] == protocol) & np.isin(batch.icmp_type[packet], types)
    to_sender = (quotes.src_hi[of] == batch.dst_hi[packet]) & (quotes.src_lo[of] == batch.dst_lo[packet])
    wanted: npt.NDArray[np.int64] = of[is_error & to_sender]
    return wanted


def quoted_keys(
    batch: PacketBatch, of: npt.NDArray[np.int64], end: npt.NDArray[Any], interface: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint64]]:
    """Keys of the connections that errors quote, seen at an end of the error, and which rows can have one.

    The quoted packet went the other way, so that the error's receiver is the quoted packet's sender.
    """
    quotes, family = batch.quotes, batch.family[batch.quotes.packet[of]]
    keys = np.zeros((len(of), KEY_WORDS), np.uint64)
    for word, name in enumerate(_ADDRESSES):
        keys[:, word] = getattr(quotes, name)[of]
    ports = quotes.srcport[of].astype(np.uint64) | quotes.dstport[of].astype(np.uint64) << np.uint64(DSTPORT_SHIFT)
    keys[:, 4] = ports | _services(family, quotes.protocol[of])
    keys[:, 5] = (quotes.icmp_id[of] + 1).astype(np.uint64) << np.uint64(ID_SHIFT)
    icmp_type = quotes.icmp_type[of]
    kind = flow_kinds(family, quotes.protocol[of], icmp_type, np.zeros(len(of), np.bool_))
    stateful = (kind != KIND_STATELESS) & (kind != KIND_UNSEEN)
    return stateful, connection_keys(keys, icmp_type, kind, 1 - end, interface)


def _services(family: npt.NDArray[Any], protocol: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """Word 4 of a key, without ports."""
    v6 = (family == 6).astype(np.uint64) << np.uint64(IPV6_SHIFT)
    words: npt.NDArray[np.uint64] = v6 | protocol.astype(np.uint64) << np.uint64(PROTOCOL_SHIFT)
    return words


def record_keys(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The part of a micro-flow key that records know: five-tuple, ICMP type and code; words 6 and 7 are zero."""
    wanted = keys.copy()
    wanted[:, 4] &= ~np.uint64(1 << LATER_SHIFT)
    wanted[:, 5] &= np.uint64((1 << ID_SHIFT) - 1)
    wanted[:, 6:] = 0
    return wanted


def _less_one(words: npt.NDArray[np.uint64], shift: int, bits: int) -> npt.NDArray[np.int64]:
    """A field that is stored plus one, so that -1 is 0."""
    return (words >> np.uint64(shift) & np.uint64((1 << bits) - 1)).astype(np.int64) - 1


def unsigned(values: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """Small integers, negative ones included, as the 32-bit pattern in 64-bit words."""
    return values.astype(np.int64).astype(np.uint64) & np.uint64(0xFFFFFFFF)
