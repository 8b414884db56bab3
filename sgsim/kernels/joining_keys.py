"""Flow-log records to connections and their two directions, and back to columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel
from sgsim.kernels._memory import address_of, get_i32, get_i64, get_u64, prefetch
from sgsim.kernels.joining_layout import BY_HAND, DIRECTION_SHIFT, PLAIN, VPC_SHIFT, LogFields, Owners, RecordColumns
from sgsim.kernels.tracking_layout import DSTPORT_SHIFT, IPV6_SHIFT, PROTOCOL_SHIFT, Number

_U = np.uint64
_PORT, _BYTE = _U(0xFFFF), _U(0xFF)
_INGRESS, _EGRESS = 0, 1
_AHEAD = 16  #: rows that are fetched before they are needed


@helper
def _owner_hash(interface: Number, hi: Number, lo: Number, v6: Number) -> Number:
    h = _U(interface) * _U(0x9E3779B97F4A7C15) + hi * _U(0xC2B2AE3D27D4EB4F) + lo * _U(0x165667B19E3779F9) + _U(v6)
    h ^= h >> _U(29)
    h *= _U(0xD6E8FEB86659FD93)
    return h ^ (h >> _U(32))


@kernel
def place_owners(owners: Owners) -> None:
    """Put all rows into the slots, a power of two and at least twice as many."""
    mask = _U(owners.slots.shape[0] - 1)
    for row in range(owners.rows.shape[0]):
        interface, hi, lo, v6 = owners.rows[row]
        at = _owner_hash(interface, _U(hi), _U(lo), v6) & mask
        while owners.slots[np.int64(at)] != 0:
            at = (at + _U(1)) & mask
        owners.slots[np.int64(at)] = row + 1


@helper
def _holds(slots: Number, mask: Number, rows: Number, interface: Number, hi: Number, lo: Number, v6: Number) -> Number:
    """Whether the interface has exactly this address. `slots` and `rows` are addresses, of int32 and of four int64."""
    at = np.int64(_owner_hash(interface, hi, lo, v6) & mask)
    while True:
        row = get_i32(slots, at) - 1
        if row < 0:
            return False
        same = get_i64(rows, 4 * row) == interface and get_i64(rows, 4 * row + 3) == v6
        if same and get_u64(rows, 4 * row + 1) == hi and get_u64(rows, 4 * row + 2) == lo:
            return True
        at = np.int64(_U(at + 1) & mask)


@kernel
def connection_keys(
    columns: RecordColumns,
    interface: npt.NDArray[np.int32],
    owners: Owners,
    keys: npt.NDArray[np.uint64],
    side: npt.NDArray[np.uint8],
) -> Any:
    """The connection of each record and its direction (`side`); returns how many are to be placed BY_HAND.

    The direction is what the log says, else it is told by whose addresses the interface has: those that the log shows
    in place of the packets' own, then these. `interface` is that which the log names, negative where it names none or
    one that is not known.
    """
    src_family, src_hi, src_lo = columns.src_family, columns.src_hi, columns.src_lo
    dst_family, dst_hi, dst_lo = columns.dst_family, columns.dst_hi, columns.dst_lo
    own_src_family, own_src_hi, own_src_lo = columns.pkt_src_family, columns.pkt_src_hi, columns.pkt_src_lo
    own_dst_family, own_dst_hi, own_dst_lo = columns.pkt_dst_family, columns.pkt_dst_hi, columns.pkt_dst_lo
    srcport, dstport, protocol, direction = columns.srcport, columns.dstport, columns.protocol, columns.flow_direction
    slots, rows, mask = address_of(owners.slots), address_of(owners.rows), _U(owners.slots.shape[0] - 1)
    by_hand = 0
    for i in range(keys.shape[0]):
        own_src, own_dst = own_src_family[i] != 0, own_dst_family[i] != 0
        a_hi = own_src_hi[i] if own_src else src_hi[i]
        a_lo = own_src_lo[i] if own_src else src_lo[i]
        b_hi = own_dst_hi[i] if own_dst else dst_hi[i]
        b_lo = own_dst_lo[i] if own_dst else dst_lo[i]
        v6 = 1 if (own_src_family[i] if own_src else src_family[i]) == 6 else 0
        here: Number = np.int64(interface[i])
        way: Number = np.int64(direction[i])
        if here < 0:
            way = BY_HAND
        elif way < 0:
            way = BY_HAND
            if not owners.delegated[here]:
                itself = False
                if not v6:
                    sent = src_family[i] != 0 and _holds(slots, mask, rows, here, _U(0), src_lo[i], 0)
                    received = dst_family[i] != 0 and _holds(slots, mask, rows, here, _U(0), dst_lo[i], 0)
                    itself = sent and received
                    if sent != received:
                        way = _EGRESS if sent else _INGRESS
                if way == BY_HAND and not (v6 == 0 and not own_src and not own_dst):
                    sent = _holds(slots, mask, rows, here, a_hi, a_lo, v6)
                    received = _holds(slots, mask, rows, here, b_hi, b_lo, v6)
                    itself |= sent and received
                    if sent != received:
                        way = _EGRESS if sent else _INGRESS
                if way == BY_HAND and itself:
                    way = _EGRESS
        side[i] = way
        by_hand += way == BY_HAND
        outward = way == _EGRESS
        keys[i, 0], keys[i, 1] = (a_hi, a_lo) if outward else (b_hi, b_lo)
        keys[i, 2], keys[i, 3] = (b_hi, b_lo) if outward else (a_hi, a_lo)
        near, far = (srcport[i], dstport[i]) if outward else (dstport[i], srcport[i])
        keys[i, 4] = (
            _U(near)
            | (_U(far) << _U(DSTPORT_SHIFT))
            | (_U(protocol[i]) << _U(PROTOCOL_SHIFT))
            | (_U(v6) << _U(IPV6_SHIFT))
        )
        keys[i, 5] = _U(here)
        keys[i, 6] = keys[i, 7] = 0
    return by_hand


@helper
def _ends(columns: RecordColumns, i: Number) -> Number:
    """Source and destination of the packets: `pkt-…` where the log has them."""
    own_src, own_dst = columns.pkt_src_family[i] != 0, columns.pkt_dst_family[i] != 0
    return (
        columns.pkt_src_hi[i] if own_src else columns.src_hi[i],
        columns.pkt_src_lo[i] if own_src else columns.src_lo[i],
        columns.pkt_dst_hi[i] if own_dst else columns.dst_hi[i],
        columns.pkt_dst_lo[i] if own_dst else columns.dst_lo[i],
    )


@helper
def _services(columns: RecordColumns, i: Number, v6: Number) -> Number:
    return (
        _U(columns.srcport[i])
        | (_U(columns.dstport[i]) << _U(DSTPORT_SHIFT))
        | (_U(columns.protocol[i]) << _U(PROTOCOL_SHIFT))
        | (_U(v6) << _U(IPV6_SHIFT))
    )


@kernel
def hand_keys(
    columns: RecordColumns,
    rows: npt.NDArray[np.int64],
    name: npt.NDArray[np.int32],
    vpc: npt.NDArray[np.int32],
    keys: npt.NDArray[np.uint64],
) -> None:
    """The keys by which records are placed by hand; `name` and `vpc` number ids, -1 where there is none."""
    for at in range(len(rows)):
        i = rows[at]
        family = columns.pkt_src_family[i] if columns.pkt_src_family[i] != 0 else columns.src_family[i]
        v6 = family == 6
        ends = _ends(columns, i)
        keys[at, 0], keys[at, 1], keys[at, 2], keys[at, 3] = ends
        keys[at, 4] = _services(columns, i, v6)
        keys[at, 6] = keys[at, 7] = 0
        keys[at, 5] = _U(name[i] + 1) | (_U(columns.flow_direction[i] + 1) << _U(DIRECTION_SHIFT))
        if name[i] < 0:
            keys[at, 5] |= _U(vpc[i] + 1) << _U(VPC_SHIFT)
        if not v6:
            plain_src, plain_dst = columns.src_family[i] != 0, columns.dst_family[i] != 0
            if (plain_src and columns.src_lo[i] != ends[1]) or (plain_dst and columns.dst_lo[i] != ends[3]):
                keys[at, 6] = columns.src_lo[i] | _U(PLAIN) if plain_src else _U(0)
                keys[at, 7] = columns.dst_lo[i] | _U(PLAIN) if plain_dst else _U(0)


@kernel
def turn_keys(keys: npt.NDArray[np.uint64], interface: npt.NDArray[np.int32], side: npt.NDArray[np.uint8]) -> None:
    """Keys as `hand_keys` makes them to those of connections, for records that have a place now."""
    for i in range(keys.shape[0]):
        if side[i] != _EGRESS:
            services = keys[i, 4]
            for here, there in ((0, 2), (1, 3)):
                keys[i, here], keys[i, there] = keys[i, there], keys[i, here]
            swapped = (services & _PORT) << _U(DSTPORT_SHIFT) | ((services >> _U(DSTPORT_SHIFT)) & _PORT)
            keys[i, 4] = (services >> _U(PROTOCOL_SHIFT)) << _U(PROTOCOL_SHIFT) | swapped
        keys[i, 5] = _U(interface[i])
        keys[i, 6] = keys[i, 7] = 0


@kernel
def log_fields(keys: npt.NDArray[np.uint64], flow: npt.NDArray[np.int32], fields: LogFields) -> None:
    """Read the fields of log flows out of the keys of their connections."""
    ahead = address_of(keys)
    for i in range(len(flow)):
        if i + _AHEAD < len(flow):
            prefetch(ahead + 64 * np.int64(flow[i + _AHEAD] >> 1))
        row, outward = flow[i] >> 1, flow[i] & 1 == _EGRESS
        services = keys[row, 4]
        here, there = services & _PORT, (services >> _U(DSTPORT_SHIFT)) & _PORT
        fields.protocol[i] = (services >> _U(PROTOCOL_SHIFT)) & _BYTE
        fields.family[i] = 6 if (services >> _U(IPV6_SHIFT)) & _U(1) else 4
        if outward:
            fields.src_hi[i], fields.src_lo[i] = keys[row, 0], keys[row, 1]
            fields.dst_hi[i], fields.dst_lo[i] = keys[row, 2], keys[row, 3]
            fields.srcport[i], fields.dstport[i] = here, there
        else:
            fields.src_hi[i], fields.src_lo[i] = keys[row, 2], keys[row, 3]
            fields.dst_hi[i], fields.dst_lo[i] = keys[row, 0], keys[row, 1]
            fields.srcport[i], fields.dstport[i] = there, here


@kernel
def pair_keys(keys: npt.NDArray[np.uint64], flow: npt.NDArray[np.int32], out: npt.NDArray[np.uint64]) -> None:
    """What both ends of each flow have in common: the five-tuple."""
    for i in range(len(flow)):
        row, outward = flow[i] >> 1, flow[i] & 1 == _EGRESS
        services, near, far = keys[row, 4], 0, 2
        if not outward:
            near, far = 2, 0
            swapped = (services & _PORT) << _U(DSTPORT_SHIFT) | ((services >> _U(DSTPORT_SHIFT)) & _PORT)
            services = (services >> _U(PROTOCOL_SHIFT)) << _U(PROTOCOL_SHIFT) | swapped
        out[i, 0], out[i, 1] = keys[row, near], keys[row, near + 1]
        out[i, 2], out[i, 3] = keys[row, far], keys[row, far + 1]
        out[i, 4] = services
        out[i, 5] = out[i, 6] = out[i, 7] = 0
