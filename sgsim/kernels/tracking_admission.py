"""New micro-flows: their fields, the ends that records are kept by, flow ids, and what their connections are known by.

Plain loops, one pass each: with numpy, whose every operation goes over all columns again, the same took six times as
long, and new flows cost more than all their packets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel
from sgsim.kernels._prefetch import prefetch
from sgsim.kernels.tracking_layout import (
    ABOUT_END,
    ABOUT_FLOW_ID,
    CODE_SHIFT,
    CODE_UNTRACKED_SHIFT,
    DSTPORT_SHIFT,
    END_FLOW_ID,
    END_INTERFACE,
    END_PARTNER,
    HALF_WORDS,
    HOT_CONNECTION,
    HOT_RULES,
    ID_SHIFT,
    IPV6_SHIFT,
    KIND_LATER,
    KIND_OTHER,
    KIND_REPLY,
    KIND_REQUEST,
    KIND_STATELESS,
    KIND_TCP,
    KIND_UDP,
    KIND_UNSEEN,
    LATER_SHIFT,
    NO_PARTNER_YET,
    PROTOCOL_SHIFT,
    REASON_SHIFT,
    VNI_SHIFT,
    Addresses,
    FlowFields,
    Number,
)

_BLOCK = 256
_U = np.uint64
_PORT, _PORTS, _BYTE, _NINE_BITS = _U(0xFFFF), _U(0xFFFFFFFF), _U(0xFF), _U(0x1FF)
_ID_BITS, _VNI_BITS, _RECORD_BITS = _U(0x1FFFF), _U(0x1FFFFFF), _U((1 << ID_SHIFT) - 1)
_ICMP, _TCP, _UDP, _ICMPV6 = 1, 6, 17, 58
_UNFILTERED, _EXEMPT = 3, 4  # Reason
_NOBODY = -1  # NO_INTERFACE


@helper
def _query(protocol: Number, icmp_type: Number) -> Number:
    """The request type of an ICMP query pair that the type belongs to (§9.13), -1 for none."""
    if protocol == _ICMPV6:
        return 128 if 128 <= icmp_type <= 129 else -1
    if icmp_type == 0 or icmp_type == 8:
        return 8
    if 13 <= icmp_type <= 18:
        return icmp_type - (icmp_type - 13) % 2  # 13/14, 15/16, 17/18
    return -1


@helper
def flow_kind(v6: Number, protocol: Number, icmp_type: Number, later: Number) -> Number:
    """How tracking treats a flow: one of KIND_*."""
    if later:
        return KIND_LATER
    if protocol == _TCP:
        return KIND_TCP
    if protocol == _UDP:
        return KIND_UDP
    if protocol != _ICMP and protocol != _ICMPV6:
        return KIND_OTHER
    if v6 and protocol == _ICMPV6 and 133 <= icmp_type <= 137:
        return KIND_UNSEEN
    request = _query(protocol, icmp_type)
    return KIND_STATELESS if request < 0 else KIND_REQUEST if request == icmp_type else KIND_REPLY


@kernel
def unpack_flows(keys: npt.NDArray[np.uint64], fields: FlowFields) -> None:
    """Read the fields of micro-flow keys into columns."""
    for i in range(keys.shape[0]):
        services, rest = keys[i, 4], keys[i, 5]
        v6 = (services >> _U(IPV6_SHIFT)) & _U(1)
        later = (services >> _U(LATER_SHIFT)) & _U(1)
        protocol = (services >> _U(PROTOCOL_SHIFT)) & _BYTE
        icmp_type = np.int64(rest & _NINE_BITS) - 1
        fields.src_hi[i], fields.src_lo[i] = keys[i, 0], keys[i, 1]
        fields.dst_hi[i], fields.dst_lo[i] = keys[i, 2], keys[i, 3]
        fields.srcport[i] = services & _PORT
        fields.dstport[i] = (services >> _U(DSTPORT_SHIFT)) & _PORT
        fields.protocol[i] = protocol
        fields.family[i] = 6 if v6 else 4
        fields.later[i] = later != 0
        fields.icmp_type[i] = icmp_type
        fields.icmp_code[i] = np.int64((rest >> _U(CODE_SHIFT)) & _NINE_BITS) - 1
        fields.vni[i] = np.int64((rest >> _U(VNI_SHIFT)) & _VNI_BITS) - 1
        fields.src_mac[i], fields.dst_mac[i] = keys[i, 6], keys[i, 7]
        fields.kind[i] = flow_kind(v6, np.int64(protocol), icmp_type, later)


@kernel
def end_keys(
    keys: npt.NDArray[np.uint64],
    kind: npt.NDArray[np.uint8],
    egress: npt.NDArray[np.int32],
    ingress: npt.NDArray[np.int32],
    wanted: npt.NDArray[np.uint64],
    place: npt.NDArray[np.int64],
) -> Any:
    """The ends of micro-flows that are judged, as keys: interface, side, five-tuple, ICMP type and code (§9.4).

    A flow between strangers has one, without interface; neighbour discovery none. `place` is twice the flow plus the
    side, 0 for egress. Returns how many of `wanted` and `place` (two for each flow) are filled.
    """
    count = 0
    for i in range(keys.shape[0]):
        if kind[i] == KIND_UNSEEN:
            continue
        for side in range(2):
            interface = egress[i] if side == 0 else ingress[i]
            if interface == _NOBODY and (side == 1 or ingress[i] != _NOBODY):
                continue
            for word in range(4):
                wanted[count, word] = keys[i, word]
            wanted[count, 4] = keys[i, 4] & ~(_U(1) << _U(LATER_SHIFT))
            wanted[count, 5] = keys[i, 5] & _RECORD_BITS
            wanted[count, 6] = _U(np.int64(interface)) & _PORTS
            wanted[count, 7] = side
            place[count] = 2 * i + side
            count += 1
    return count


@kernel
def number_flows(about: npt.NDArray[np.int32], ends: npt.NDArray[np.int32], first: int, next_id: int) -> Any:
    """Give flow ids by first appearance: one for each (five-tuple, ICMP type and code, both ends).

    The first end of a flow remembers the other one and the id. Returns (flow, next id): the first flow, if any, whose
    end was seen with another partner before, for the caller to number.
    """
    for i in range(first, about.shape[0]):
        egress, ingress = about[i, ABOUT_END], about[i, ABOUT_END + 1]
        anchor = egress if egress >= 0 else ingress
        other = ingress if egress >= 0 else -1
        if anchor < 0:
            continue
        if ends[anchor, END_PARTNER] == NO_PARTNER_YET:
            ends[anchor, END_PARTNER] = other
            ends[anchor, END_FLOW_ID] = next_id
            next_id += 1
        elif ends[anchor, END_PARTNER] != other:
            return i, next_id
        about[i, ABOUT_FLOW_ID] = ends[anchor, END_FLOW_ID]
    return about.shape[0], next_id


@helper
def _connection_key(
    keys: npt.NDArray[np.uint64], i: Number, kind: Number, side: Number, interface: Number,
    wanted: npt.NDArray[np.uint64], row: Number,
) -> None:  # fmt: skip
    """What makes packets at one interface one connection (§2.1, §9.10, §9.13), the local end first.

    TCP and UDP: addresses and ports; ICMP queries: addresses, identifier, query pair and the request's direction;
    other protocols: addresses and number.
    """
    local = 2 * side  # at the receiver the destination is local
    wanted[row, 0], wanted[row, 1] = keys[i, local], keys[i, local + 1]
    wanted[row, 2], wanted[row, 3] = keys[i, 2 - local], keys[i, 3 - local]
    services = keys[i, 4]
    source, destination = services & _PORT, (services >> _U(DSTPORT_SHIFT)) & _PORT
    here, there = (source, destination) if side == 0 else (destination, source)
    wanted[row, 4] = (services & ~_PORTS) | here | (there << _U(DSTPORT_SHIFT))
    wanted[row, 5] = 0
    if KIND_REQUEST <= kind <= KIND_REPLY:
        rest = keys[i, 5]
        request = _query(np.int64((services >> _U(PROTOCOL_SHIFT)) & _BYTE), np.int64(rest & _NINE_BITS) - 1)
        by_ingress = (side == 1) != (kind == KIND_REPLY)
        wanted[row, 5] = ((rest >> _U(ID_SHIFT)) & _ID_BITS) | (_U(request) << _U(20)) | (_U(by_ingress) << _U(40))
    wanted[row, 6] = _U(np.int64(interface))
    wanted[row, 7] = 0


@kernel
def connection_keys(
    keys: npt.NDArray[np.uint64],
    kinds: npt.NDArray[np.uint8],
    halves: npt.NDArray[np.int32],
    about: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
    codes: npt.NDArray[np.uint8],
    carries_groups: npt.NDArray[np.bool_],
    wanted: npt.NDArray[np.uint64],
    place: npt.NDArray[np.int64],
    interfaces: npt.NDArray[np.int32],
) -> Any:
    """The connections that micro-flows belong to or may open, as keys; returns how many.

    `place` is the position in the flattened `halves` where the connection's row belongs, `interfaces` where it is.
    """
    count = 0
    for i in range(keys.shape[0]):
        kind = kinds[i]
        if kind >= KIND_STATELESS:
            continue
        for side in range(2):
            if halves[i, HOT_RULES + side] < 0:
                continue
            interface = ends[about[i, ABOUT_END + side], END_INTERFACE]
            if interface < 0:
                continue
            reason = (codes[halves[i, HOT_RULES + side]] & ((1 << CODE_UNTRACKED_SHIFT) - 1)) >> REASON_SHIFT
            if reason == _EXEMPT or (reason == _UNFILTERED and not carries_groups[interface]):
                continue
            _connection_key(keys, i, kind, side, interface, wanted, count)
            place[count] = np.int64(i) * HALF_WORDS + HOT_CONNECTION + side
            interfaces[count] = interface
            count += 1
    return count


@kernel
def quoted_connection_keys(
    keys: npt.NDArray[np.uint64], side: int, interface: npt.NDArray[np.int32], wanted: npt.NDArray[np.uint64]
) -> Any:
    """The connections of packets that ICMP errors quote, at a side of the error; returns which can have one.

    The quoted packet went the other way, so that the error's receiver is its sender. Keys are micro-flow keys.
    """
    possible = np.zeros(keys.shape[0], np.bool_)
    for i in range(keys.shape[0]):
        protocol = np.int64((keys[i, 4] >> _U(PROTOCOL_SHIFT)) & _BYTE)
        v6 = (keys[i, 4] >> _U(IPV6_SHIFT)) & _U(1)
        kind = flow_kind(v6, protocol, np.int64(keys[i, 5] & _NINE_BITS) - 1, 0)
        if interface[i] >= 0 and kind < KIND_STATELESS:
            possible[i] = True
            _connection_key(keys, i, kind, 1 - side, interface[i], wanted, i)
    return possible


@helper
def _address_hash(hi: Number, lo: Number, v6: Number) -> Number:
    h = (lo ^ (v6 << _U(63))) * _U(0x9E3779B97F4A7C15) + hi * _U(0xC2B2AE3D27D4EB4F)
    h ^= h >> _U(32)
    h *= _U(0xD6E8FEB86659FD93)
    return h ^ (h >> _U(29))


@kernel
def index_addresses(addresses: Addresses, slots: npt.NDArray[np.int32]) -> None:
    """Fill a hash table (`len(slots)` a power of two, at least twice the addresses) with rows plus one; 0 is free."""
    mask = _U(slots.shape[0] - 1)
    for i in range(addresses.lo.shape[0]):
        v6 = _U(addresses.family[i] == 6)
        place = _address_hash(addresses.hi[i], addresses.lo[i], v6) & mask
        while slots[np.int64(place)] != 0:
            place = (place + _U(1)) & mask
        slots[np.int64(place)] = i + 1


@kernel
def find_addresses(
    wanted: Addresses, known: Addresses, slots: npt.NDArray[np.int32], rows: npt.NDArray[np.int32]
) -> None:
    """The row of each wanted address among the known ones (of equal ones, the first), -1 for none, into `rows`."""
    mask = _U(slots.shape[0] - 1)
    n = wanted.lo.shape[0]
    places = np.empty(_BLOCK, np.int64)
    for at in range(0, n, _BLOCK):
        m = min(_BLOCK, n - at)
        for j in range(m):
            v6 = _U(wanted.family[at + j] == 6)
            places[j] = np.int64(_address_hash(wanted.hi[at + j], wanted.lo[at + j], v6) & mask)
            prefetch(slots, places[j])
        for j in range(m):
            row = slots[places[j]]
            if row > 0:
                prefetch(known.lo, row - 1)
        for j in range(m):
            i, place = at + j, places[j]
            rows[i] = -1
            while slots[place] != 0:
                row = slots[place] - 1
                same = known.lo[row] == wanted.lo[i] and known.hi[row] == wanted.hi[i]
                if same and known.family[row] == wanted.family[i]:
                    rows[i] = row
                    break
                place = (place + 1) & np.int64(mask)
