"""Flow-log records to connections and their two directions, and back to columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel
from sgsim.kernels._memory import address_of, get_i32, get_i64, get_u64, prefetch
from sgsim.kernels.joining import new_connection
from sgsim.kernels.joining_layout import (
    ANSWER_CODE,
    ANSWER_OPENS,
    ANSWER_PASSES,
    ANSWER_POSSIBLE,
    ANSWER_SHARED,
    BIT_CODE,
    BIT_DIRECTION,
    BIT_FRAGMENT,
    BIT_KIND,
    BIT_MAY_CLOSE,
    BIT_OPENS,
    BIT_PASSES,
    BIT_PORTS,
    BIT_POSSIBLE,
    BIT_REVERSE_OPENS,
    BY_HAND,
    DIRECTION_SHIFT,
    FLOW_BITS,
    FLOW_ID,
    FLOW_REVERSE,
    FLOW_RULES,
    FLOW_WORDS,
    JOIN_INTERFACE,
    JOIN_KIND,
    JOIN_WORDS,
    KIND_ICMP,
    KIND_OTHER,
    KIND_TCP,
    KIND_UDP,
    PLAIN,
    UNPLACED,
    VPC_SHIFT,
    Classes,
    LogFields,
    Owners,
    RecordColumns,
)
from sgsim.kernels.tracking_layout import DSTPORT_SHIFT, IPV6_SHIFT, PROTOCOL_SHIFT, Number

_U = np.uint64
_PORT, _BYTE = _U(0xFFFF), _U(0xFF)
_INGRESS, _EGRESS = 0, 1
_ACCEPT = 1
_AHEAD = 16  #: rows that are fetched before they are needed
_ICMP, _TCP, _UDP, _ICMPV6 = 1, 6, 17, 58


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
def log_flows(
    rows: npt.NDArray[np.int32],
    side: npt.NDArray[np.uint8],
    flows: npt.NDArray[np.int32],
    out: npt.NDArray[np.int32],
    new: npt.NDArray[np.int32],
) -> Any:
    """The log flow of each record into `out`, those that nobody asked about yet into `new`; returns how many."""
    count = 0
    for i in range(len(rows)):
        flow = 2 * rows[i] + side[i]
        out[i] = flow
        if flows[flow, FLOW_RULES] == -1:
            flows[flow, FLOW_RULES] = -2
            new[count] = flow
            count += 1
    return count


@helper
def kind_of(protocol: Number) -> Number:
    """Which limits hold for a protocol."""
    if protocol == _TCP:
        return KIND_TCP
    if protocol == _UDP:
        return KIND_UDP
    return KIND_ICMP if protocol in (_ICMP, _ICMPV6) else KIND_OTHER


@kernel
def introduce(
    keys: npt.NDArray[np.uint64],
    connections: npt.NDArray[np.int32],
    flows: npt.NDArray[np.int32],
    start: int,
    stop: int,
    named: npt.NDArray[np.int32],
) -> None:
    """Make the connections `start` … `stop` and their log flows such that nothing is known but interface and kind.

    `named` has the interface of those that are UNPLACED, by number.
    """
    base = address_of(connections)
    for row in range(start, stop):
        new_connection(base + 4 * JOIN_WORDS * row)
        for flow in range(2 * row, 2 * row + 2):
            flows[flow, FLOW_RULES] = flows[flow, FLOW_REVERSE] = flows[flow, FLOW_ID] = -1
            flows[flow, FLOW_BITS] = 0
        word = keys[row, 5]
        if word & _U(UNPLACED):
            connections[row, JOIN_INTERFACE] = named[np.int64(word & ~_U(UNPLACED))]
        else:
            connections[row, JOIN_INTERFACE] = np.int64(word)
        connections[row, JOIN_KIND] = kind_of((keys[row, 4] >> _U(PROTOCOL_SHIFT)) & _BYTE)


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


@helper
def _class_of(address: Number, bounds: Number, first: Number, finer: Number) -> Number:
    """How many bounds are at most an IPv4 address; `bounds`, `first` and `finer` are addresses."""
    at = address >> 16
    for shift in (8, 0):
        inside = get_i32(finer, at)
        if inside == 0:
            break
        at = inside + (address >> shift & 255)
    low, high = get_i32(first, at), get_i32(first, at + 1)
    while low < high:
        middle = (low + high) >> 1
        if get_i64(bounds, middle) <= address:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def question_keys(
    keys: npt.NDArray[np.uint64],
    flow: npt.NDArray[np.int32],
    swapped: bool,
    classes: Classes,
    out: npt.NDArray[np.uint64],
) -> None:
    """What of log flows (or, `swapped`, of their other direction) can make rules answer otherwise.

    Words as in the keys of connections, with classes in place of IPv4 addresses and ports. The direction is bit 32 of
    word 5; TCP and UDP without ports have bit 41 of word 4.
    """
    bounds, first, finer = address_of(classes.bounds), address_of(classes.first), address_of(classes.finer)
    source_port, target_port = classes.source_port, classes.target_port
    ahead = address_of(keys)
    for i in range(len(flow)):
        if i + _AHEAD < len(flow):
            prefetch(ahead + 64 * np.int64(flow[i + _AHEAD] >> 1))
        row, outward = flow[i] >> 1, (flow[i] & 1 == _EGRESS) != swapped
        services = keys[row, 4]
        near, far = services & _PORT, (services >> _U(DSTPORT_SHIFT)) & _PORT
        portless = near == 0 and far == 0
        if outward:
            near, far = _U(source_port[near]), _U(target_port[far])
        else:
            near, far = _U(target_port[near]), _U(source_port[far])
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = keys[row, 0], keys[row, 1], keys[row, 2], keys[row, 3]
        if not (services >> _U(IPV6_SHIFT)) & _U(1):
            out[i, 1] = _U(_class_of(np.int64(keys[row, 1]), bounds, first, finer))
            out[i, 3] = _U(_class_of(np.int64(keys[row, 3]), bounds, first, finer))
        out[i, 4] = (
            (services >> _U(PROTOCOL_SHIFT)) << _U(PROTOCOL_SHIFT)
            | near
            | (far << _U(DSTPORT_SHIFT))
            | (_U(portless) << _U(IPV6_SHIFT + 1))
        )
        out[i, 5] = keys[row, 5] | (_U(outward) << _U(DIRECTION_SHIFT))
        out[i, 6] = out[i, 7] = 0


@helper
def _ports_say(protocol: Number, srcport: Number, dstport: Number) -> Number:
    """1 if the ports look like a client's packet, -1 like a server's, 0 if they do not tell."""
    if protocol not in (_TCP, _UDP):
        return 0
    src = 0 if srcport < 1024 else 1 if srcport < 32768 else 2
    dst = 0 if dstport < 1024 else 1 if dstport < 32768 else 2
    return (1 if src > dst else 0) - (1 if src < dst else 0)


@kernel
def describe_flows(
    keys: npt.NDArray[np.uint64],
    flow: npt.NDArray[np.int32],
    asked: npt.NDArray[np.int32],
    rows: npt.NDArray[np.int32],
    answers: npt.NDArray[np.uint8],
    other_closes: bool,
    flows: npt.NDArray[np.int32],
    open_: npt.NDArray[np.int32],
    shared: npt.NDArray[np.int32],
) -> Any:
    """Write what rules say into new log flows. `rows`, `answers`: of the questions that `asked` numbers.

    Flows that the rules of their own direction do not accept go to `open_`, those whose other end may be a known
    interface to `shared`; returns how many of both.
    """
    opens, both = 0, 0
    ahead, ahead_flows = address_of(keys), address_of(flows)
    for i in range(len(flow)):
        if i + _AHEAD < len(flow):
            prefetch(ahead + 64 * np.int64(flow[i + _AHEAD] >> 1))
            prefetch(ahead_flows + 4 * FLOW_WORDS * np.int64(flow[i + _AHEAD]))
        number, question = flow[i], asked[i]
        services, outward = keys[number >> 1, 4], number & 1 == _EGRESS
        near, far = np.int64(services & _PORT), np.int64((services >> _U(DSTPORT_SHIFT)) & _PORT)
        protocol = np.int64((services >> _U(PROTOCOL_SHIFT)) & _BYTE)
        kind = kind_of(protocol)
        ports = _ports_say(protocol, near if outward else far, far if outward else near)
        fragment = near == 0 and far == 0 and protocol in (_TCP, _UDP)
        code = np.int64(answers[question, ANSWER_CODE])
        flows[number, FLOW_RULES] = rows[question]
        flows[number, FLOW_BITS] = (
            np.int64(answers[question, ANSWER_PASSES]) << BIT_PASSES
            | np.int64(answers[question, ANSWER_OPENS]) << BIT_OPENS
            | (1 if fragment else 0) << BIT_FRAGMENT
            | kind << BIT_KIND
            | (1 if other_closes and kind == KIND_OTHER else 0) << BIT_MAY_CLOSE
            | (ports + 1) << BIT_PORTS
            | np.int64(answers[question, ANSWER_POSSIBLE]) << BIT_POSSIBLE
            | code << BIT_CODE
            | np.int64(number & 1) << BIT_DIRECTION
        )
        if code & 3 != _ACCEPT:
            open_[opens] = number
            opens += 1
        if answers[question, ANSWER_SHARED]:
            shared[both] = number
            both += 1
    return opens, both


@kernel
def describe_reverse(
    flow: npt.NDArray[np.int32],
    asked: npt.NDArray[np.int32],
    rows: npt.NDArray[np.int32],
    answers: npt.NDArray[np.uint8],
    flows: npt.NDArray[np.int32],
) -> None:
    """Write what rules say of the other direction into log flows."""
    for i in range(len(flow)):
        flows[flow[i], FLOW_REVERSE] = rows[asked[i]]
        flows[flow[i], FLOW_BITS] |= np.int64(answers[asked[i], ANSWER_OPENS]) << BIT_REVERSE_OPENS


@kernel
def number_flows(flow: npt.NDArray[np.int32], flows: npt.NDArray[np.int32], next_id: int) -> Any:
    """Give flows without a number the next ones; returns the one after."""
    for i in range(len(flow)):
        if flows[flow[i], FLOW_ID] < 0:
            flows[flow[i], FLOW_ID] = next_id
            next_id += 1
    return next_id


@kernel
def first_rows(rows: npt.NDArray[np.int32], before: int, first: npt.NDArray[np.int64]) -> None:
    """Where each row from `before` on occurs first."""
    for at in range(len(rows) - 1, -1, -1):
        if rows[at] >= before:
            first[rows[at] - before] = at


@kernel
def keep_rows(keys: npt.NDArray[np.uint64], kept: npt.NDArray[np.bool_], moved: npt.NDArray[np.int32]) -> Any:
    """Move the keys that are kept to the front; `moved` says where each went, -1 for the others."""
    count = 0
    for row in range(len(kept)):
        moved[row] = -1
        if kept[row]:
            for word in range(keys.shape[1]):
                keys[count, word] = keys[row, word]
            moved[row] = count
            count += 1
    return count


@kernel
def keep_connections(
    flows: npt.NDArray[np.int32], connections: npt.NDArray[np.int32], moved: npt.NDArray[np.int32]
) -> None:
    """Move what is known of connections to where their keys went, which is never further back."""
    for row in range(len(moved)):
        to = moved[row]
        if to >= 0:
            for word in range(JOIN_WORDS):
                connections[to, word] = connections[row, word]
            for side in range(2):
                for word in range(FLOW_WORDS):
                    flows[2 * to + side, word] = flows[2 * row + side, word]
