"""What is measured: an environment with flows for it, generated or the user's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sgsim.engine import Snapshot, evaluate
from sgsim.engine.resolve import Headers, Resolver
from sgsim.errors import InputError
from sgsim.flows import EGRESS, INGRESS, FlowBlock, FlowTable
from sgsim.generate import (
    Network,
    Shape,
    Traffic,
    TrafficStream,
    environment_of,
    flow_table,
    network_of,
    random_network,
)
from sgsim.model import Environment
from sgsim.packets import FRAGMENT_LATER, PacketBatch
from sgsim.traffic import scan_packets
from sgsim.traffic.flowlogs import FlowLogBatch, scan_flow_logs
from sgsim.traffic.kinds import TrafficKind, kind_of_traffic

__all__ = ["Subject", "generated", "of_environment", "of_traffic"]

#: Flows of a recording that are matched: the first different ones.
_MOST_FLOWS = 4_000_000
_MERGED = 1 << 20  # rows between two times that repeated ones are dropped


@dataclass(frozen=True, slots=True)
class Subject:
    """An environment compiled, and flows at its interfaces. `stream` makes the traffic again, None for a recording.

    `kind` says what the recording in `paths` is.
    """

    snapshot: Snapshot
    table: FlowTable
    source: str
    stream: TrafficStream | None = None
    paths: tuple[str, ...] = ()
    kind: TrafficKind | None = None
    seed: int | None = None

    @property
    def environment(self) -> Environment:
        """What the snapshot was compiled from."""
        return self.snapshot.environment


def generated(shape: Shape, traffic: Traffic, seed: int) -> Subject:
    """A random environment and traffic for it. Raises ModelError."""
    network = random_network(shape, seed)
    return _with_traffic(environment_of(network), network, traffic, seed, "generated")


def of_environment(environment: Environment, traffic: Traffic, seed: int, source: str) -> Subject:
    """The user's environment with generated traffic. Raises ModelError."""
    return _with_traffic(environment, network_of(environment), traffic, seed, source)


def _with_traffic(environment: Environment, network: Network, traffic: Traffic, seed: int, source: str) -> Subject:
    snapshot = Snapshot.of(environment)
    stream = TrafficStream(network, traffic, seed, lambda table: evaluate(snapshot, table).action)
    tables = [flow_table(chunk) for chunk in stream]
    return Subject(snapshot, _joined(tables), source, stream=stream, seed=seed)


def of_traffic(environment: Environment, paths: Sequence[str], source: str) -> Subject:
    """The user's environment and a recording of traffic. Raises InputError."""
    snapshot = Snapshot.of(environment)
    kind = kind_of_traffic(paths)
    columns: Iterator[npt.NDArray[np.uint64]]
    if kind is TrafficKind.CAPTURES:
        columns = map(_packet_columns, scan_packets(paths))
    else:
        columns = map(_record_columns, scan_flow_logs(paths))
    table = _at_interfaces(snapshot, _distinct(columns))
    if not len(table):
        raise InputError(
            "no packet or record is from or to an interface of the environment",
            source=", ".join(paths),
            advice="is it the traffic of this account?",
        )
    return Subject(snapshot, table, source, paths=tuple(paths), kind=kind)


def _joined(tables: list[FlowTable]) -> FlowTable:
    """Tables one after the other."""
    blocks, before = [], np.concatenate([[0], np.cumsum([len(table) for table in tables])])
    for family in (4, 6):
        parts = [table.v4 if family == 4 else table.v6 for table in tables]
        names = FlowBlock.__slots__[1:]
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        shift = np.repeat(before[:-1], [len(part) for part in parts])
        blocks.append(FlowBlock(family, **columns | {name: columns[name] + shift for name in ("flow_id", "row")}))
    return FlowTable.of(*blocks)


# A flow of a recording is a row of words: family, four halves of addresses, ports and protocol, ICMP and fragment,
# Ethernet addresses, VXLAN identifier. Rows that differ are different flows.
_WORDS = 10


def _rows(n: int, *columns: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    made = np.empty((n, _WORDS), np.uint64)
    for place, column in enumerate(columns):
        made[:, place] = np.asarray(column).astype(np.int64, copy=False).view(np.uint64) if np.ndim(column) else column
    return made


def _packet_columns(batch: PacketBatch) -> npt.NDArray[np.uint64]:
    ports = (batch.srcport.astype(np.int64) << 24) | (batch.dstport.astype(np.int64) << 8) | batch.protocol
    later = batch.fragment == FRAGMENT_LATER
    icmp = (batch.icmp_type.astype(np.int64) + 1 << 16) | (batch.icmp_code.astype(np.int64) + 1 << 1) | later
    halves = (column.view(np.int64) for column in (batch.src_hi, batch.src_lo, batch.dst_hi, batch.dst_lo))
    macs = (batch.src_mac.view(np.int64), batch.dst_mac.view(np.int64))
    return _rows(len(batch), batch.family, *halves, ports, icmp, *macs, batch.vni)


def _record_columns(batch: FlowLogBatch) -> npt.NDArray[np.uint64]:
    known = np.flatnonzero((batch.src_family == batch.dst_family) & (batch.src_family > 0))
    ports = (batch.srcport.astype(np.int64) << 24) | (batch.dstport.astype(np.int64) << 8) | batch.protocol
    halves = (column.view(np.int64) for column in (batch.src_hi, batch.src_lo, batch.dst_hi, batch.dst_lo))
    n = len(batch)
    zeros = np.zeros(n, np.int64)
    return _rows(n, batch.src_family, *halves, ports, zeros, zeros, zeros, zeros - 1)[known]


def _distinct(batches: Iterable[npt.NDArray[np.uint64]]) -> npt.NDArray[np.uint64]:
    """Different rows, of the first ones; the whole recording is not read if there are many."""
    kept, waiting, rows = np.empty((0, _WORDS), np.uint64), [], 0
    for batch in batches:
        waiting.append(batch)
        rows += len(batch)
        if rows >= _MERGED:
            kept, waiting, rows = _unique([kept, *waiting]), [], 0
            if len(kept) >= _MOST_FLOWS:
                break
    return _unique([kept, *waiting])[:_MOST_FLOWS]


def _unique(parts: list[npt.NDArray[np.uint64]]) -> npt.NDArray[np.uint64]:
    rows = np.ascontiguousarray(np.concatenate(parts))
    keys = rows.view(np.dtype((np.void, rows.itemsize * _WORDS))).reshape(-1)
    return rows[np.sort(np.unique(keys, return_index=True)[1])]


def _at_interfaces(snapshot: Snapshot, rows: npt.NDArray[np.uint64]) -> FlowTable:
    """Each flow at every end that is an interface."""
    family = rows[:, 0].astype(np.uint8)
    columns = [np.ascontiguousarray(rows[:, place]) for place in range(_WORDS)]
    vni = columns[9].view(np.int64).astype(np.int32)
    headers = Headers(
        family=family,
        src_hi=columns[1],
        src_lo=columns[2],
        dst_hi=columns[3],
        dst_lo=columns[4],
        src_mac=columns[7],
        dst_mac=columns[8],
        vni=vni,
    )
    ends = Resolver(snapshot).resolve(headers)
    flow = np.concatenate([np.flatnonzero(ends.egress >= 0), np.flatnonzero(ends.ingress >= 0)])
    sent = int(np.count_nonzero(ends.egress >= 0))
    direction = np.where(np.arange(len(flow)) < sent, EGRESS, INGRESS)
    interface = np.concatenate([ends.egress[ends.egress >= 0], ends.ingress[ends.ingress >= 0]])
    blocks = []
    for version in (4, 6):
        place = np.flatnonzero(family[flow] == version)
        at = flow[place]
        ports, icmp = columns[5][at].astype(np.int64), columns[6][at].astype(np.int64)
        src, dst = (columns[lo][at] if version == 4 else rows[at, hi : lo + 1] for hi, lo in ((1, 2), (3, 4)))
        blocks.append(
            FlowBlock.from_columns(
                version,
                src,
                dst,
                protocol=ports & 255,
                interface=interface[place],
                direction=direction[place],
                srcport=ports >> 24,
                dstport=ports >> 8 & 0xFFFF,
                icmp_type=(icmp >> 16) - 1,
                icmp_code=(icmp >> 1 & 0x7FFF) - 1,
                later_fragment=icmp & 1,
                flow_id=at,
                row=place,
            )
        )
    return FlowTable.of(*blocks)
