"""Seeded flow logs that look like AWS's: `random_records`, each by itself, and `random_conversations`, which belong
together.

Both give an Arrow table as `sgsim.traffic.flowlogs.write` takes it, of interfaces, ids and addresses that depend on
their number alone: logs of several seeds and times fit each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sgsim.traffic.flowlogs.fields import DEFAULT_FIELDS, FIELD_VERSIONS

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["random_conversations", "random_records"]

_INTEGERS_32 = frozenset(
    ("version", "srcport", "dstport", "protocol", "tcp-flags", "traffic-path", "encryption-status")
)
_INTEGERS_64 = frozenset(("packets", "bytes", "start", "end"))
_ALWAYS = frozenset(("version", "account-id", "interface-id", "start", "end", "log-status", "region", "az-id"))
_COMMON_PORTS = (443, 80, 22, 53, 5432, 3306, 6379, 8080, 9092, 123)
_EPOCH = 1_700_000_000 - 1_700_000_000 % 600
_INTERVAL = 60  #: seconds of an aggregation interval
_SYN, _FIN, _SYN_ACK = 2, 1, 18


def random_records(
    seed: int,
    n: int,
    fields: Sequence[str] = DEFAULT_FIELDS,
    *,
    interfaces: int = 200,
    begin: int = _EPOCH,
    seconds: int = 600,
    ipv6: float = 0.05,
    rejected: float = 0.08,
    silent: float = 0.01,
) -> pa.Table:
    """n records of one aggregation window after another, within `seconds` from `begin`.

    Interfaces talk to each other, to private and to public peers; each record is one direction of a connection.
    `silent` is the share of NODATA and SKIPDATA lines, whose packet fields are all null.
    """
    wanted, n = n, max(n, 1)
    rng = np.random.default_rng(seed)
    card = rng.integers(0, interfaces, n)
    v6 = rng.random(n) < ipv6
    outbound = rng.random(n) < 0.5
    peer = _peers(rng, n, interfaces)
    protocol = rng.choice([6, 17, 1, 50, 47], n, p=[0.8, 0.15, 0.03, 0.01, 0.01])
    protocol = np.where(v6 & (protocol == 1), 58, protocol)
    has_ports = (protocol == 6) | (protocol == 17)
    service = rng.choice(_COMMON_PORTS, n)
    ephemeral = rng.integers(32768, 61000, n)
    answers = rng.random(n) < 0.5
    flags = np.where(protocol == 6, rng.choice([0, 1, 2, 3, 4, 18, 19], n), 0)
    packets = 1 + rng.geometric(0.08, n)
    window = np.sort(rng.integers(0, max(seconds // 60, 1), n)) * 60
    start = begin + window + rng.integers(0, 30, n)
    return _table(
        fields,
        card=card,
        peer=peer,
        interfaces=interfaces,
        v6=v6,
        outbound=outbound,
        status=np.where(rng.random(n) < silent, np.where(rng.random(n) < 0.8, "NODATA", "SKIPDATA"), "OK"),
        columns={
            "srcport": np.where(has_ports, np.where(answers, service, ephemeral), 0),
            "dstport": np.where(has_ports, np.where(answers, ephemeral, service), 0),
            "protocol": protocol,
            "packets": packets,
            "bytes": packets * rng.integers(40, 1400, n),
            "start": start,
            "end": start + rng.integers(1, 60, n),
            "action": np.where(rng.random(n) < rejected, "REJECT", "ACCEPT"),
            "tcp-flags": flags,
            "traffic-path": np.where(outbound, rng.integers(1, 9, n), -1),
        },
    ).slice(0, wanted)


def random_conversations(
    seed: int,
    n: int,
    fields: Sequence[str] = DEFAULT_FIELDS,
    *,
    interfaces: int = 200,
    begin: int = _EPOCH,
    seconds: int = 600,
    rejected: float = 0.08,
) -> pa.Table:
    """At most n records of conversations that begin within `seconds` from `begin`, by the end of their interval.

    Half of the conversations are among interfaces and show at both ends. A tenth of the interfaces are servers, of one
    service each, and everybody talks to some ten of them. Nine in ten conversations last seconds, some minutes, some
    until the end; each interval has a record of either direction. `rejected` is the share of calls without answer.
    """
    rng = np.random.default_rng(seed)
    k = n // 4 + 8  # conversations; of three and a half records or more each, on average
    began = np.sort(rng.integers(0, seconds, k))
    length, refused = rng.random(k), rng.random(k) < rejected
    lasting = np.where(length < 0.9, rng.exponential(3, k), np.where(length < 0.98, rng.exponential(120, k), seconds))
    ended = np.minimum(began + np.where(refused, 0, lasting).astype(np.int64), seconds + began % _INTERVAL)
    client, server = _participants(rng, k, interfaces)
    port = np.array(_COMMON_PORTS)[server % len(_COMMON_PORTS)]
    protocol = np.where((port == 53) | (port == 123), 17, 6)
    v6, ephemeral = rng.random(k) < 0.05, rng.integers(32768, 61000, k)

    intervals = ended // _INTERVAL - began // _INTERVAL + 1
    talk = np.repeat(np.arange(k), intervals)
    interval = np.arange(len(talk)) - np.repeat(np.cumsum(intervals) - intervals, intervals)
    talk, interval = np.repeat(talk, 4), np.repeat(interval, 4) + np.repeat(began[talk] // _INTERVAL, 4)
    at_server, answers = np.arange(len(talk)) & 1 == 1, np.arange(len(talk)) & 2 == 2
    shown = (np.where(at_server, server[talk], client[talk]) < interfaces) & ~(answers & refused[talk])
    rows = np.flatnonzero(shown)
    rows = rows[np.argsort(interval[rows], kind="stable")][:n]
    talk, interval, at_server, answers = talk[rows], interval[rows], at_server[rows], answers[rows]

    first, last = interval == began[talk] // _INTERVAL, interval == ended[talk] // _INTERVAL
    flags = np.where(first, np.where(answers, _SYN_ACK, _SYN), 0) | np.where(last & ~refused[talk], _FIN, 0)
    start = np.maximum(began[talk] + (answers & (rng.random(len(talk)) < 0.1)), interval * _INTERVAL)
    end = np.maximum(np.minimum(ended[talk], interval * _INTERVAL + _INTERVAL - 1), start)
    packets = 1 + rng.geometric(0.08, len(talk))
    service = port[talk]
    return _table(
        fields,
        card=np.where(at_server, server[talk], client[talk]),
        peer=np.where(at_server, client[talk], server[talk]),
        interfaces=interfaces,
        v6=v6[talk],
        outbound=at_server == answers,
        status=np.full(len(talk), "OK"),
        columns={
            "srcport": np.where(answers, service, ephemeral[talk]),
            "dstport": np.where(answers, ephemeral[talk], service),
            "protocol": protocol[talk],
            "packets": packets,
            "bytes": packets * rng.integers(40, 1400, len(talk)),
            "start": begin + start,
            "end": begin + end,
            "action": np.where(refused[talk] & at_server, "REJECT", "ACCEPT"),
            "tcp-flags": np.where(protocol[talk] == 6, flags, 0),
            "traffic-path": np.where(at_server == answers, 1, -1),
        },
    )


def _participants(
    rng: np.random.Generator, k: int, interfaces: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Client and server of k conversations; from `interfaces` on they are elsewhere."""
    kind, card = rng.random(k), rng.integers(0, interfaces, k)
    servers = max(interfaces // 10, 1)
    few = (card * 7919 + rng.geometric(0.3, k).clip(1, 10) * 104729) % servers
    popular = interfaces + rng.geometric(0.02, k).clip(1, 300)
    anybody = interfaces + 1000 + rng.integers(0, max(k // 4, 1), k)
    server = np.where((kind < 0.25), popular, few)
    return np.where(kind < 0.5, np.where(kind < 0.25, card, anybody), card), server


def _table(
    fields: Sequence[str],
    *,
    card: npt.NDArray[np.int64],
    peer: npt.NDArray[np.int64],
    interfaces: int,
    v6: npt.NDArray[np.bool_],
    outbound: npt.NDArray[np.bool_],
    status: npt.NDArray[np.str_],
    columns: Mapping[str, Any],
) -> pa.Table:
    """Records at the interfaces `card` with the other ends `peer`; fields that are not given follow, or are null."""
    import pyarrow as pa

    n = len(card)
    own4, own6 = _own_addresses(card)
    peer4, peer6 = _peer_addresses(peer, interfaces)
    own, other = np.where(v6, own6, own4), np.where(v6, peer6, peer4)
    source, destination = np.where(outbound, own, other), np.where(outbound, other, own)
    columns = {
        "version": np.full(n, max((FIELD_VERSIONS.get(name, 2) for name in fields), default=2)),
        "account-id": np.char.add("1234567890", np.char.zfill((10 + card % 3).astype(str), 2)),
        "interface-id": np.char.add("eni-0", _hex(card, 0x9E3779B97F4A7C15, 16)),
        "vpc-id": np.char.add("vpc-0", _hex(card % 4, 0xC2B2AE3D27D4EB4F, 16)),
        "subnet-id": np.char.add("subnet-0", _hex(card % 16, 0x165667B19E3779F9, 16)),
        "instance-id": np.char.add("i-0", _hex(card, 0xD6E8FEB86659FD93, 16)),
        "srcaddr": source,
        "dstaddr": destination,
        "pkt-srcaddr": source,
        "pkt-dstaddr": destination,
        "log-status": status,
        "type": np.where(v6, "IPv6", "IPv4"),
        "region": np.full(n, "eu-central-1"),
        "az-id": np.full(n, "euc1-az1"),
        "flow-direction": np.where(outbound, "egress", "ingress"),
        **columns,
    }
    quiet = status != "OK"
    arrays = []
    for name in fields:
        integer = name in _INTEGERS_32 or name in _INTEGERS_64
        values = columns.get(name, np.full(n, -1) if integer else np.full(n, "-"))
        missing = values == (-1 if values.dtype.kind == "i" else "-")
        if name not in _ALWAYS:
            missing |= quiet
        kind = pa.int32() if name in _INTEGERS_32 else pa.int64() if name in _INTEGERS_64 else pa.string()
        arrays.append(pa.array(values, mask=missing, type=kind))
    return pa.table(arrays, names=list(fields))


def _hex(values: npt.NDArray[np.int64], factor: int, digits: int) -> npt.NDArray[np.str_]:
    distinct, back = np.unique(values, return_inverse=True)
    texts = [f"{(int(value) + 1) * factor % (1 << 4 * digits):0{digits}x}" for value in distinct]
    return np.array(texts)[back]


def _peers(rng: np.random.Generator, n: int, interfaces: int) -> npt.NDArray[np.int64]:
    """Mostly few peers, some of a long tail: below `interfaces` they are interfaces themselves."""
    tail = rng.integers(interfaces, interfaces + max(n // 8, 1), n)
    return np.where(rng.random(n) < 0.6, rng.integers(0, interfaces, n), tail)


def _own_addresses(card: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.str_]]:
    distinct, back = np.unique(card, return_inverse=True)
    four = np.array([f"10.{value >> 14 & 255}.{value >> 6 & 255}.{4 + (value & 63)}" for value in distinct.tolist()])
    six = np.array([f"2001:db8:1234:{value >> 8:x}::{value & 255 or 256:x}" for value in distinct.tolist()])
    return four[back], six[back]


def _peer_addresses(peer: npt.NDArray[np.int64], interfaces: int) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.str_]]:
    distinct, back = np.unique(peer, return_inverse=True)
    own4, own6 = _own_addresses(distinct)
    mixed = (distinct * 2654435761) & 0xFFFFFFFF
    octets = (mixed[:, None] >> np.array([0, 8, 16])) & 255
    outside = [f"{52 + c % 8}.{a}.{b}.{1 + c % 250}" for a, b, c in octets.tolist()]
    outside6 = [f"2a05:d014:{value & 0xFFFF:x}::{value >> 16:x}" for value in mixed.tolist()]
    inside = distinct < interfaces
    return np.where(inside, own4, outside)[back], np.where(inside, own6, outside6)[back]
