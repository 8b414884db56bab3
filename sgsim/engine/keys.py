"""Keys of what is remembered, built from packets (words as in `sgsim.kernels.tracking_layout`), and back to columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.kernels.tracking_layout import (
    DSTPORT_SHIFT,
    ID_SHIFT,
    IPV6_SHIFT,
    KEY_WORDS,
    PROTOCOL_SHIFT,
    FlowFields,
)
from sgsim.model import ICMP, ICMPV6
from sgsim.packets import PacketBatch

__all__ = ["flow_fields", "fragment_keys", "quoted_keys", "quotes_of_errors"]

_ERRORS = {ICMP: (3, 4, 5, 11, 12), ICMPV6: (1, 2, 3, 4)}  #: types of ICMP errors
_ADDRESSES = ("src_hi", "src_lo", "dst_hi", "dst_lo")
_FIELD_TYPES = {
    "family": np.uint8,
    "protocol": np.uint8,
    "srcport": np.uint16,
    "dstport": np.uint16,
    "icmp_type": np.int16,
    "icmp_code": np.int16,
    "later": np.bool_,
    "vni": np.int32,
    "kind": np.uint8,
}


def flow_fields(keys: npt.NDArray[np.uint64]) -> FlowFields:
    """The fields of micro-flow keys."""
    from sgsim.kernels.tracking_admission import unpack_flows

    fields = FlowFields(*(np.empty(len(keys), _FIELD_TYPES.get(name, np.uint64)) for name in FlowFields._fields))
    unpack_flows(keys, fields)
    return fields


def fragment_keys(
    batch: PacketBatch, packet: npt.NDArray[Any], end: int, interface: npt.NDArray[Any]
) -> npt.NDArray[np.uint64]:
    """What fragments of one packet share at one end: addresses, protocol, IP identification (§9.15)."""
    made = np.zeros((len(packet), KEY_WORDS), np.uint64)
    for word, name in enumerate(_ADDRESSES):
        made[:, word] = getattr(batch, name)[packet]
    made[:, 4] = _services(batch.family[packet], batch.protocol[packet])
    made[:, 5] = batch.ip_id[packet]
    made[:, 6] = interface
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


def quoted_keys(batch: PacketBatch, of: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Micro-flow keys of the packets that errors quote."""
    quotes, family = batch.quotes, batch.family[batch.quotes.packet[of]]
    keys = np.zeros((len(of), KEY_WORDS), np.uint64)
    for word, name in enumerate(_ADDRESSES):
        keys[:, word] = getattr(quotes, name)[of]
    ports = quotes.srcport[of].astype(np.uint64) | quotes.dstport[of].astype(np.uint64) << np.uint64(DSTPORT_SHIFT)
    keys[:, 4] = ports | _services(family, quotes.protocol[of])
    identifier = (quotes.icmp_id[of] + 1).astype(np.uint64) << np.uint64(ID_SHIFT)
    keys[:, 5] = identifier | (quotes.icmp_type[of] + 1).astype(np.uint64)
    return keys


def _services(family: npt.NDArray[Any], protocol: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """Word 4 of a key, without ports."""
    v6 = (family == 6).astype(np.uint64) << np.uint64(IPV6_SHIFT)
    words: npt.NDArray[np.uint64] = v6 | protocol.astype(np.uint64) << np.uint64(PROTOCOL_SHIFT)
    return words
