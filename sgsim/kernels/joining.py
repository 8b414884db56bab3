"""Flow-log records to log flows, and log flows in time: who opened a connection, and what is surely said of a record.

`sgsim.reference.flowlog` says the same in plain Python; the two are tested against each other record by record.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel
from sgsim.kernels.joining_layout import (
    AFTER_CLOSE,
    BIT_FRAGMENT,
    BIT_KIND,
    BIT_MAY_CLOSE,
    BIT_OPENS,
    BIT_PASSES,
    BIT_PORTS,
    BIT_POSSIBLE,
    BIT_REVERSE_OPENS,
    BY_NOTHING,
    BY_ORDER,
    BY_PORTS,
    BY_RULES,
    BY_SYN,
    BY_SYN_ACK,
    DIRECTION_SHIFT,
    FLOW_BITS,
    FLOW_CONNECTION,
    FLOW_DIRECTION,
    FLOW_LIMITS,
    FLOW_REVERSE,
    FLOW_RULES,
    JOIN_CLOSE_FROM,
    JOIN_CLOSE_TO,
    JOIN_CLOSED,
    JOIN_ENDED,
    JOIN_ESTABLISHED,
    JOIN_EVIDENCE,
    JOIN_LAST,
    JOIN_LIMITS,
    JOIN_MURKY,
    JOIN_OPENER,
    JOIN_OPENER_OPENS,
    JOIN_OPENER_RULES,
    KIND_ICMP,
    KIND_TCP,
    LARGEST_HEADERS,
    LIMIT_CLOSING,
    LIMIT_HALF_OPEN,
    LIMIT_LEAST,
    LIMIT_MOST,
    NEVER,
    OPEN_QUESTION,
    OPTION_LIKELY,
    OPTION_MIDSTREAM,
    OPTION_RELATED,
    PLAIN,
    SIDE_DATA,
    SIDE_END,
    SIDE_FIN,
    SIDE_FIRST,
    SIDE_OPENED,
    SIDE_START,
    SIDE_WORDS,
    TIE_COUNT,
    TIE_FLAGS,
    TIE_FLOW,
    TIE_TIME,
    TIE_UNTOLD,
    VPC_SHIFT,
    JoinState,
    RecordColumns,
    Records,
)
from sgsim.kernels.tracking_layout import (
    DSTPORT_SHIFT,
    INITIATING_SHIFT,
    IPV6_SHIFT,
    PROTOCOL_SHIFT,
    REASON_SHIFT,
    RULES_SHIFT,
    Number,
)

_U = np.uint64
_FIN, _SYN, _RST, _SYN_ACK = 1, 2, 4, 18
_REJECT, _ACCEPT, _UNKNOWN = 0, 1, 2
_RULE, _TRACKED, _UNRESOLVED = 1, 2, 7
_DEAD, _UNSURE, _ALIVE = 0, 1, 2
_TCP, _UDP = 6, 17
_NOT_TOLD, _NO_FLAGS = -1, -2  # flags that the log does not tell; of a protocol that has none
_ANSWER_BITS = 63  # action and reason of a rule answer's code


@kernel
def record_keys(
    columns: RecordColumns,
    name: npt.NDArray[np.int64],
    vpc: npt.NDArray[np.int64],
    keys: npt.NDArray[np.uint64],
) -> None:
    """The key of each record's flow; `name` and `vpc` number the interface and VPC ids, -1 where there is none."""
    for i in range(keys.shape[0]):
        own_src, own_dst = columns.pkt_src_family[i] != 0, columns.pkt_dst_family[i] != 0
        src_hi = columns.pkt_src_hi[i] if own_src else columns.src_hi[i]
        src_lo = columns.pkt_src_lo[i] if own_src else columns.src_lo[i]
        dst_hi = columns.pkt_dst_hi[i] if own_dst else columns.dst_hi[i]
        dst_lo = columns.pkt_dst_lo[i] if own_dst else columns.dst_lo[i]
        family = columns.pkt_src_family[i] if own_src else columns.src_family[i]
        keys[i, 0], keys[i, 1], keys[i, 2], keys[i, 3] = src_hi, src_lo, dst_hi, dst_lo
        keys[i, 4] = (
            _U(columns.srcport[i])
            | (_U(columns.dstport[i]) << _U(DSTPORT_SHIFT))
            | (_U(columns.protocol[i]) << _U(PROTOCOL_SHIFT))
            | (_U(family == 6) << _U(IPV6_SHIFT))
        )
        direction = columns.flow_direction[i]
        keys[i, 5] = _U(name[i] + 1) | (_U(direction + 1) << _U(DIRECTION_SHIFT))
        if name[i] < 0:
            keys[i, 5] |= _U(vpc[i] + 1) << _U(VPC_SHIFT)
        keys[i, 6] = keys[i, 7] = 0
        if family == 4 and (direction < 0 or name[i] < 0):
            plain_src, plain_dst = columns.src_family[i] != 0, columns.dst_family[i] != 0
            if (plain_src and columns.src_lo[i] != src_lo) or (plain_dst and columns.dst_lo[i] != dst_lo):
                keys[i, 6] = columns.src_lo[i] | _U(PLAIN) if plain_src else _U(0)
                keys[i, 7] = columns.dst_lo[i] | _U(PLAIN) if plain_dst else _U(0)


@helper
def ports_say(protocol: Number, srcport: Number, dstport: Number) -> Number:
    """1 if the ports look like a client's packet, -1 like a server's, 0 if they do not tell."""
    if protocol != _TCP and protocol != _UDP:
        return 0
    src = 0 if srcport < 1024 else 1 if srcport < 32768 else 2
    dst = 0 if dstport < 1024 else 1 if dstport < 32768 else 2
    return np.int64(src > dst) - np.int64(src < dst)


@helper
def _first(here: Number, there: Number) -> Number:
    """1 if the packets with the flags `here` came first, -1 those with `there`, 0 if flags (< 0: none) do not say."""
    if here < 0 or there < 0:
        return 0
    here_syn, there_syn = here & _SYN_ACK == _SYN, there & _SYN_ACK == _SYN
    if here_syn and (there & _SYN_ACK == _SYN_ACK or (there & _RST and not there & _SYN)):
        return 1
    if there_syn and (here & _SYN_ACK == _SYN_ACK or (here & _RST and not here & _SYN)):
        return -1
    return 0


@helper
def clear_connection(connection: Number) -> None:
    """A connection of which nothing is known."""
    for side in range(2):
        at = side * SIDE_WORDS
        connection[at + SIDE_OPENED] = 0
        connection[at + SIDE_FIRST] = connection[at + SIDE_START] = -1
        connection[at + SIDE_END] = connection[at + SIDE_FIN] = -1
        connection[at + SIDE_DATA] = 0
    connection[JOIN_CLOSE_FROM], connection[JOIN_CLOSE_TO] = NEVER, -1
    connection[JOIN_CLOSED] = connection[JOIN_ESTABLISHED] = 0
    connection[JOIN_OPENER] = connection[JOIN_OPENER_RULES] = -1
    connection[JOIN_OPENER_OPENS] = connection[JOIN_EVIDENCE] = 0
    connection[JOIN_MURKY] = 0


@helper
def _kind(bits: Number) -> Number:
    return bits >> BIT_KIND & 3


@helper
def quiet_since(connection: Number) -> Number:
    """The end of a connection's last record, -1 if there is none."""
    return max(connection[SIDE_END], connection[SIDE_WORDS + SIDE_END])


@helper
def is_gone(connection: Number, limits: Number, now: Number) -> Number:
    """Whether nothing that came before can matter."""
    quiet = quiet_since(connection)
    if quiet < 0:
        return connection[JOIN_MURKY] == 0
    if now > quiet + 1 + limits[LIMIT_MOST]:
        return True
    return connection[JOIN_CLOSED] != 0 and now > quiet + 1 + limits[LIMIT_CLOSING]


@helper
def _life(connection: Number, limits: Number, opener: Number, now: Number, flags: Number) -> Number:
    """Whether what `opener` opened lets replies in at the second `now`; `flags`: TCP's, _NO_FLAGS for others."""
    at = opener * SIDE_WORDS
    opened = connection[at + SIDE_OPENED]
    if opened == 0:
        return _UNSURE if connection[JOIN_MURKY] else _DEAD
    seen = connection[at + SIDE_END] if connection[at + SIDE_END] < now else connection[at + SIDE_START]
    answered = connection[(1 - opener) * SIDE_WORDS + SIDE_FIRST]
    established = connection[JOIN_ESTABLISHED] or -1 < answered < seen
    established = established or (connection[at + SIDE_DATA] and -1 < answered <= seen)
    least = limits[LIMIT_LEAST] if established else limits[LIMIT_HALF_OPEN]
    # A SYN on a connection that is closing asks for a new one, and where flags are not told any packet may be one.
    closing = 0 if flags == _NOT_TOLD or (flags >= 0 and flags & _SYN) else limits[LIMIT_CLOSING]
    if opened == 2 and now + 1 <= connection[JOIN_CLOSE_FROM] + closing and now + 1 - seen <= least:
        return _ALIVE
    return _UNSURE


@helper
def _opener(connection: Number, flows: Number) -> Number:
    """Who opened a connection whose first records come in this second: (side or -1, evidence, log flow or -1)."""
    here, there = connection[TIE_COUNT], connection[TIE_COUNT + 1]
    if here == 0 and there == 0:
        return -1, BY_NOTHING, -1
    side = 0 if here else 1
    flow = connection[TIE_FLOW + side]
    bits = flows[flow, FLOW_BITS]
    told = connection[TIE_UNTOLD] + connection[TIE_UNTOLD + 1] == 0
    if here and there:
        first = 0
        if told:
            first = _first(connection[TIE_FLAGS], connection[TIE_FLAGS + 1])
        evidence = BY_SYN if first else BY_PORTS
        if first == 0:
            first = (bits >> BIT_PORTS & 3) - 1
        if first == 0:
            return -1, BY_NOTHING, -1
        side = 0 if first == 1 else 1
        return side, evidence, connection[TIE_FLOW + side]
    flags = connection[TIE_FLAGS + side]
    if told and flags & _SYN_ACK == _SYN_ACK:
        return 1 - side, BY_SYN_ACK, -1
    return side, BY_SYN if told and flags & _SYN_ACK == _SYN else BY_ORDER, flow


@helper
def _own(codes: Number, row: Number, initiating: Number) -> Number:
    """The answer of a record's own rules."""
    return np.int64(codes[row] & _ANSWER_BITS) | initiating << INITIATING_SHIFT | row << RULES_SHIFT


@helper
def _reply(row: Number) -> Number:
    return _ACCEPT | _TRACKED << REASON_SHIFT | row << RULES_SHIFT


@helper
def _open_question(flow: Number) -> Number:
    """UNKNOWN; the rules that may match are its own, or those that may have let the other direction in."""
    bits = flow[FLOW_BITS]
    row = flow[FLOW_RULES] if bits >> BIT_POSSIBLE & 1 else flow[FLOW_REVERSE]
    return _unknown(max(np.int64(row), 0), bits)


@helper
def _unknown(row: Number, bits: Number) -> Number:
    """UNKNOWN with rules that may match; it does not open a connection if its ports look like a server's."""
    initiating = np.int64((bits >> BIT_PORTS & 3) != 0)
    return _UNKNOWN | _UNRESOLVED << REASON_SHIFT | initiating << INITIATING_SHIFT | row << RULES_SHIFT


@helper
def _accepted(flow: Number, flags: Number, now: Number, connection: Number, state: Number, options: Number) -> Number:
    """The answer where the rules accept the record whoever began."""
    codes, row, bits = state.codes, np.int64(flow[FLOW_RULES]), flow[FLOW_BITS]
    fragment = bits >> BIT_FRAGMENT & 1
    midstream = options & OPTION_MIDSTREAM and _kind(bits) == KIND_TCP and (flags < 0 or flags & _SYN_ACK != _SYN)
    if (codes[row] >> REASON_SHIFT) & 15 != _RULE or (fragment and not midstream):
        return _own(codes, row, 1), BY_RULES
    opener, evidence = connection[JOIN_OPENER], connection[JOIN_EVIDENCE]
    rules, opens = connection[JOIN_OPENER_RULES], connection[JOIN_OPENER_OPENS]
    if opener < 0 and connection[TIE_TIME] == now:
        opener, evidence, first = _opener(connection, state.flows)
        rules = opens = -1
        if first >= 0:
            rules, opens = state.flows[first, FLOW_RULES], state.flows[first, FLOW_BITS] >> BIT_OPENS & 3
    direction = flow[FLOW_DIRECTION]
    if midstream:
        limits = state.limits[flow[FLOW_LIMITS], KIND_TCP]
        if (
            fragment
            or now < 0
            or (
                _life(connection, limits, 1 - direction, now, flags) != _ALIVE
                and _life(connection, limits, direction, now, flags) != _ALIVE
            )
        ):
            return _unknown(row, bits), BY_NOTHING | OPEN_QUESTION
    if opener < 0 or opener == direction:
        return _own(codes, row, 1), evidence
    if opens == 2 and rules >= 0:
        return _reply(rules), evidence
    return _own(codes, row, 0), evidence


@helper
def _tied(flow: Number, flags: Number, life: Number, connection: Number, codes: Number, options: Number) -> Number:
    """The answer where both directions begin in the same second."""
    back, bits = 1 - flow[FLOW_DIRECTION], flow[FLOW_BITS]
    there = connection[TIE_FLAGS + back] if connection[TIE_UNTOLD + back] == 0 else -1
    first, surely = _first(flags, there), (bits >> BIT_REVERSE_OPENS & 3) == 2
    if first == -1 and surely:
        return _reply(np.int64(flow[FLOW_REVERSE])), BY_SYN
    if first == 1 and life == _DEAD:
        return _own(codes, np.int64(flow[FLOW_RULES]), 1), BY_SYN
    if options & OPTION_LIKELY and first == 0:
        ports = (bits >> BIT_PORTS & 3) - 1
        if ports == 1 and life == _DEAD:
            return _own(codes, np.int64(flow[FLOW_RULES]), 1), BY_PORTS
        if surely:
            return _reply(np.int64(flow[FLOW_REVERSE])), BY_PORTS if ports else BY_NOTHING
    return _open_question(flow), BY_NOTHING | OPEN_QUESTION


@helper
def _alone(flow: Number, flags: Number, life: Number, codes: Number, options: Number) -> Number:
    """The answer where nothing surely lets the record in and the other direction does not begin in its second."""
    bits, rules = flow[FLOW_BITS], np.int64(flow[FLOW_RULES])
    ports = (bits >> BIT_PORTS & 3) - 1
    if life == _DEAD:
        if flags >= 0 and flags & _SYN_ACK == _SYN:
            return _own(codes, rules, 1), BY_SYN
        if flags < 0 and ports == 1:
            return _own(codes, rules, 1), BY_PORTS
    if options & OPTION_LIKELY:
        answers = flags >= 0 and flags & _SYN_ACK == _SYN_ACK
        if (bits >> BIT_REVERSE_OPENS & 3) == 2 and (life == _UNSURE or answers or ports == -1):
            return _reply(np.int64(flow[FLOW_REVERSE])), BY_SYN_ACK if answers else BY_PORTS
        if _kind(bits) != KIND_ICMP:
            return _own(codes, rules, 1), BY_NOTHING
    return _open_question(flow), BY_NOTHING | OPEN_QUESTION


@helper
def _answer(flow: Number, flags: Number, now: Number, state: Number, options: Number, late: Number) -> Number:
    """The answer of one record whose interface and direction are known: word and evidence."""
    codes, bits, row = state.codes, flow[FLOW_BITS], np.int64(flow[FLOW_RULES])
    connection = state.connections[flow[FLOW_CONNECTION]]
    if codes[row] & 3 == _ACCEPT:
        return _accepted(flow, flags, -1 if late else now, connection, state, options)
    if bits >> BIT_FRAGMENT & 1:
        return _unknown(row, bits), BY_NOTHING
    if _kind(bits) == KIND_ICMP and options & OPTION_RELATED:
        return _open_question(flow), BY_NOTHING | OPEN_QUESTION
    if bits >> BIT_REVERSE_OPENS & 3 == 0:
        return _own(codes, row, 1), BY_RULES
    if late:
        return _open_question(flow), BY_NOTHING | OPEN_QUESTION
    limits, back = state.limits[flow[FLOW_LIMITS], _kind(bits)], 1 - flow[FLOW_DIRECTION]
    told = flags if _kind(bits) == KIND_TCP else _NO_FLAGS
    life = _life(connection, limits, back, now, told)
    if life == _ALIVE:
        return _reply(np.int64(flow[FLOW_REVERSE])), connection[JOIN_EVIDENCE]
    if connection[TIE_TIME] == now and connection[TIE_COUNT + back] > 0:
        return _tied(flow, told, life, connection, codes, options)
    return _alone(flow, told, life, codes, options)


@helper
def _note_tie(connection: Number, number: Number, direction: Number, flags: Number, now: Number) -> None:
    """A record that is not rejected begins in this second."""
    if connection[TIE_TIME] != now:
        connection[TIE_TIME] = now
        for side in range(2):
            connection[TIE_COUNT + side] = connection[TIE_FLAGS + side] = connection[TIE_UNTOLD + side] = 0
    if connection[TIE_COUNT + direction] == 0:
        connection[TIE_FLOW + direction] = number
    connection[TIE_COUNT + direction] += 1
    if flags < 0:
        connection[TIE_UNTOLD + direction] += 1
    else:
        connection[TIE_FLAGS + direction] |= flags


@helper
def _renew(connection: Number, flow: Number, flags: Number, start: Number, limits: Number) -> None:
    """A record that opens connections: what was known of one that may have ended before holds no more."""
    tcp = _kind(flow[FLOW_BITS]) == KIND_TCP
    if -1 < connection[JOIN_CLOSE_TO] < start - limits[LIMIT_CLOSING] - 1:
        connection[JOIN_CLOSE_FROM], connection[JOIN_CLOSE_TO], connection[JOIN_CLOSED] = NEVER, -1, 0
        connection[SIDE_FIN] = connection[SIDE_WORDS + SIDE_FIN] = -1
    if _life(connection, limits, flow[FLOW_DIRECTION], start, flags if tcp else _NO_FLAGS) != _ALIVE:
        connection[JOIN_ESTABLISHED] = 0
        connection[SIDE_FIRST] = connection[SIDE_WORDS + SIDE_FIRST] = -1
        connection[SIDE_DATA] = connection[SIDE_WORDS + SIDE_DATA] = 0
    if tcp and flags >= 0 and not flags & _SYN and quiet_since(connection) < 0:
        connection[JOIN_ESTABLISHED] = 1


@helper
def _remember(
    connection: Number, flow: Number, flags: Number, start: Number, end: Number, accepted: Number, opens: Number
) -> None:
    """Take note of a record that was not rejected. The order of those of one second makes no difference."""
    bits, side = flow[FLOW_BITS], flow[FLOW_DIRECTION] * SIDE_WORDS
    # Once it rests on a maybe it stays so: order within a second must not matter.
    if opens == 1 or (opens == 2 and connection[side + SIDE_OPENED] == 0):
        connection[side + SIDE_OPENED] = opens
    connection[side + SIDE_START] = start
    connection[side + SIDE_END] = max(connection[side + SIDE_END], end)
    if connection[side + SIDE_FIRST] < 0:
        connection[side + SIDE_FIRST] = start
    if _kind(bits) == KIND_TCP:
        _note_closing(connection, side, flags, start, end, accepted)
    elif bits >> BIT_MAY_CLOSE & 1:
        _may_close(connection, start, end)


@helper
def _note_closing(
    connection: Number, side: Number, flags: Number, start: Number, end: Number, accepted: Number
) -> None:
    """RST, or FIN of both directions; where nobody tells of flags, any record may have closed it."""
    if flags < 0 or flags & _RST or (flags & _FIN and not accepted):
        _may_close(connection, start, end)
        if flags >= 0 and flags & _RST and accepted:
            connection[JOIN_CLOSED] = 1
    elif flags & _FIN and connection[side + SIDE_FIN] < 0:
        connection[side + SIDE_FIN] = start
    here, there = connection[SIDE_FIN], connection[SIDE_WORDS + SIDE_FIN]
    if here >= 0 and there >= 0:
        _may_close(connection, max(here, there), quiet_since(connection))
        connection[JOIN_CLOSED] = 1


@helper
def _opens(bits: Number, flags: Number, accepted: Number, options: Number) -> Number:
    """Whether a record opens a connection that lets replies in: 0 no, 1 maybe, 2 surely."""
    opens = bits >> BIT_OPENS & 3
    if (
        options & OPTION_MIDSTREAM
        and not accepted
        and _kind(bits) == KIND_TCP
        and (flags < 0 or flags & _SYN_ACK != _SYN)
    ):
        return min(opens, 1)
    return opens


@helper
def _may_close(connection: Number, start: Number, end: Number) -> None:
    connection[JOIN_CLOSE_FROM] = min(connection[JOIN_CLOSE_FROM], start)
    connection[JOIN_CLOSE_TO] = max(connection[JOIN_CLOSE_TO], end)


@helper
def _settle(connection: Number, flows: Number, now: Number) -> None:
    """Note who began, once for a connection."""
    if connection[TIE_TIME] != now or connection[JOIN_OPENER] >= 0:
        return
    opener, evidence, first = _opener(connection, flows)
    connection[JOIN_OPENER], connection[JOIN_EVIDENCE] = opener, evidence
    if first >= 0:
        connection[JOIN_OPENER_RULES] = flows[first, FLOW_RULES]
        connection[JOIN_OPENER_OPENS] = flows[first, FLOW_BITS] >> BIT_OPENS & 3


@kernel
def join(
    records: Records,
    state: JoinState,
    options: int,
    words: npt.NDArray[np.int32],
    evidence: npt.NDArray[np.uint8],
) -> Any:
    """Answer records in the order of their start; returns how many were late. `evidence` gets the bits of the layout.

    Records of one second do not tell which came first, so that all are looked at before any is answered, and all are
    answered before any is remembered. A late record begins before one of its connection that was answered earlier: it
    is answered by what holds at any time, and leaves the connection murky.
    """
    n, at, late_records = len(records.flow), 0, 0
    flows, connections = state.flows, state.connections
    while at < n:
        now, stop = records.start[at], at
        while stop < n and records.start[stop] == now:
            number = records.flow[stop]
            flow = flows[number]
            if flow[FLOW_CONNECTION] >= 0:
                connection, bits = connections[flow[FLOW_CONNECTION]], flow[FLOW_BITS]
                if is_gone(connection, state.limits[flow[FLOW_LIMITS], _kind(bits)], now):
                    clear_connection(connection)
                passes = bits >> BIT_PASSES & 3 != _REJECT
                if passes and not bits >> BIT_FRAGMENT & 1 and now >= connection[JOIN_LAST]:
                    flags = np.int64(records.tcp_flags[stop]) if _kind(bits) == KIND_TCP else _NO_FLAGS
                    _note_tie(connection, number, flow[FLOW_DIRECTION], flags, now)
            stop += 1
        for i in range(at, stop):
            flow = flows[records.flow[i]]
            if flow[FLOW_CONNECTION] < 0:
                words[i], evidence[i] = _own(state.codes, np.int64(flow[FLOW_RULES]), 1), BY_NOTHING
                continue
            late = now < connections[flow[FLOW_CONNECTION], JOIN_LAST]
            word, why = _answer(flow, np.int64(records.tcp_flags[i]), now, state, options, late)
            words[i] = word
            if connections[flow[FLOW_CONNECTION], JOIN_ENDED] >= 0 and not records.tcp_flags[i] & _SYN:
                why |= AFTER_CLOSE
            evidence[i] = why
        for i in range(at, stop):
            flow = flows[records.flow[i]]
            if flow[FLOW_CONNECTION] < 0:
                continue
            connection, bits = connections[flow[FLOW_CONNECTION]], flow[FLOW_BITS]
            if now < connection[JOIN_LAST]:
                late_records += 1
                connection[JOIN_MURKY] = 1
                continue
            connection[JOIN_LAST] = now
            if records.tcp_flags[i] >= 0 and _kind(bits) == KIND_TCP:
                if records.tcp_flags[i] & (_FIN | _RST):
                    connection[JOIN_ENDED] = records.end[i]
                elif records.tcp_flags[i] & _SYN:
                    connection[JOIN_ENDED] = -1
            _settle(connection, flows, now)
            flags = np.int64(records.tcp_flags[i])
            if bits >> BIT_OPENS & 3 and words[i] & 3 != _REJECT and not bits >> BIT_FRAGMENT & 1:
                _renew(connection, flow, flags, now, state.limits[flow[FLOW_LIMITS], _kind(bits)])
        for i in range(at, stop):
            flow = flows[records.flow[i]]
            if flow[FLOW_CONNECTION] < 0 or words[i] & 3 == _REJECT or flow[FLOW_BITS] >> BIT_FRAGMENT & 1:
                continue
            connection, flags = connections[flow[FLOW_CONNECTION]], np.int64(records.tcp_flags[i])
            if now < connection[JOIN_LAST]:
                continue
            accepted = words[i] & 3 == _ACCEPT
            opens = _opens(flow[FLOW_BITS], flags, accepted, options)
            _remember(connection, flow, flags, now, records.end[i], accepted, opens)
            told = records.packets[i] >= 0 and _kind(flow[FLOW_BITS]) == KIND_TCP
            if told and records.bytes[i] > LARGEST_HEADERS * records.packets[i]:
                connection[flow[FLOW_DIRECTION] * SIDE_WORDS + SIDE_DATA] = 1
        at = stop
    return late_records


@kernel
def clear_connections(connections: npt.NDArray[np.int64], start: int, stop: int) -> None:
    """Make rows `start` … `stop` connections of which nothing is known."""
    for row in range(start, stop):
        clear_connection(connections[row])
        connections[row, JOIN_LAST], connections[row, TIE_TIME], connections[row, JOIN_ENDED] = -1, -2, -1


@kernel
def gone(
    connections: npt.NDArray[np.int64], limits: npt.NDArray[np.int64], now: int, out: npt.NDArray[np.bool_]
) -> None:
    """Which connections cannot matter any more at the second `now`."""
    for row in range(len(out)):
        at = connections[row, JOIN_LIMITS]
        out[row] = is_gone(connections[row], limits[at >> 2, at & 3], now)
