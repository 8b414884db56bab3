"""Columns that are being filled → batches."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sgsim.kernels import flowlog_codes as codes
from sgsim.traffic.flowlogs.batch import ABSENT, NODATA, SKIPDATA, FlowLogBatch, Ids, Silences
from sgsim.traffic.flowlogs.fields import LogFormat
from sgsim.traffic.flowlogs.pieces import ParsedPiece, Span

if TYPE_CHECKING:
    from sgsim.kernels.flowlog import Columns
    from sgsim.kernels.flowlog_tokens import Names

__all__ = ["CAPACITY", "BatchBuilder", "to_batch"]

CAPACITY = 1 << 16  #: rows of a batch, at most


class BatchBuilder:
    """Holds the columns that the kernel fills, and closes a batch when they are full or the format changes."""

    def __init__(self, wanted: Collection[str]) -> None:
        self.batches: list[FlowLogBatch] = []
        self.roles = np.empty(0, np.int8)
        self.row = self.silence = 0
        self.columns: Columns
        self.names: Names
        self._wanted = wanted
        self._format: LogFormat | None = None
        self._source = -1
        self._piece: ParsedPiece | None = None
        self._row = self._silence = 0
        self._sources: list[tuple[int, int, int]] = []
        self._new()

    def begin(self, source: int, log_format: LogFormat, piece: ParsedPiece) -> None:
        """What follows is from this piece, in this format."""
        self.end()
        if self._format is not None and self._format.names != log_format.names:
            self.flush()
            self.columns.families[:] = 0  # malformed lines of the format before may have left some
        if self._format is None or self._format != log_format:
            self._format = log_format
            self.roles = log_format.roles(self._wanted)
        self._source, self._piece = source, piece

    def end(self) -> None:
        """Note which rows came from the piece at hand."""
        if self._piece is not None and (self.row > self._row or self.silence > self._silence):
            if self.row > self._row:
                self._piece.spans.append(Span(len(self.batches), self._row, self.row))
            self._sources.append((self._source, self.row - self._row, self.silence - self._silence))
        self._row, self._silence = self.row, self.silence
        self._piece = None

    def flush(self) -> None:
        """Close the batch, if it has rows, and start another."""
        self.end()
        if self.row or self.silence:
            self.batches.append(self._batch())
            self._new()

    def _new(self) -> None:
        from sgsim.kernels.flowlog import Columns
        from sgsim.kernels.flowlog_tokens import Names

        self.columns, self.names = Columns.empty(CAPACITY), Names.empty()
        self.row = self.silence = self._row = self._silence = 0
        self._sources = []

    def _batch(self) -> FlowLogBatch:
        assert self._format is not None
        sources = np.array(self._sources, np.int32).reshape(-1, 3)
        return to_batch(
            self.columns,
            self._format.read(self._wanted),
            self.roles,
            self.names.texts,
            np.repeat(sources[:, 0], sources[:, 1]),
            np.repeat(sources[:, 0], sources[:, 2]),
        )


def to_batch(
    columns: Columns,
    fields: frozenset[str],
    roles: npt.NDArray[np.int8],
    texts: Callable[[int], list[str]],
    source: npt.NDArray[np.int32],
    silence_source: npt.NDArray[np.int32],
) -> FlowLogBatch:
    """The first rows of columns as a batch, as many as `source` has; what no role filled becomes "unknown".

    `texts` gives the ids of an id column. The batch shares memory with the columns.
    """
    n = len(source)
    read = frozenset(roles.tolist())

    def filled(role: int, column: npt.NDArray[Any], unknown: int) -> npt.NDArray[Any]:
        return column[:n] if role in read else np.full(n, unknown, column.dtype)

    def ids(role: int, names: list[str]) -> Ids:
        return Ids(filled(role, columns.ids[role - codes.FIRST_ID], -1), names)

    def named(role: int) -> list[str]:
        return texts(role - codes.FIRST_ID) if role in read else []

    accounts, interfaces = named(codes.ACCOUNT_ID), named(codes.INTERFACE_ID)
    addresses, families, numbers = columns.addresses, columns.families, columns.numbers
    return FlowLogBatch(
        fields=fields,
        src_family=families[0, :n], src_hi=addresses[0, :n], src_lo=addresses[1, :n],
        dst_family=families[1, :n], dst_hi=addresses[2, :n], dst_lo=addresses[3, :n],
        pkt_src_family=families[2, :n], pkt_src_hi=addresses[4, :n], pkt_src_lo=addresses[5, :n],
        pkt_dst_family=families[3, :n], pkt_dst_hi=addresses[6, :n], pkt_dst_lo=addresses[7, :n],
        srcport=columns.ports[0, :n], dstport=columns.ports[1, :n], protocol=columns.octets[0, :n],
        packets=filled(codes.PACKETS, numbers[0], -1), bytes=filled(codes.BYTES, numbers[1], -1),
        start=numbers[2, :n], end=numbers[3, :n],
        tcp_flags=filled(codes.TCP_FLAGS, columns.tcp_flags, -1),
        action=filled(codes.ACTION, columns.octets[1], ABSENT),
        log_status=columns.octets[2, :n],
        flow_direction=filled(codes.FLOW_DIRECTION, columns.direction, -1),
        account_id=ids(codes.ACCOUNT_ID, accounts),
        interface_id=ids(codes.INTERFACE_ID, interfaces),
        vpc_id=ids(codes.VPC_ID, named(codes.VPC_ID)),
        subnet_id=ids(codes.SUBNET_ID, named(codes.SUBNET_ID)),
        instance_id=ids(codes.INSTANCE_ID, named(codes.INSTANCE_ID)),
        reject_reason=ids(codes.REJECT_REASON, named(codes.REJECT_REASON)),
        source=source, line=numbers[4, :n],
        silences=_silences(columns, read, accounts, interfaces, silence_source),
    )  # fmt: skip


def _silences(
    columns: Columns, read: frozenset[int], accounts: list[str], interfaces: list[str], source: npt.NDArray[np.int32]
) -> Silences:
    n = len(source)
    silent = columns.silent[:, :n]

    def ids(role: int, names: list[str]) -> Ids:
        known = silent[role - codes.FIRST_ID].astype(np.int32)
        return Ids(known if role in read else np.full(n, -1, np.int32), names)

    return Silences(
        account_id=ids(codes.ACCOUNT_ID, accounts),
        interface_id=ids(codes.INTERFACE_ID, interfaces),
        start=silent[2].copy(),
        end=silent[3].copy(),
        status=np.where(silent[4] == codes.NODATA, NODATA, SKIPDATA).astype(np.uint8),
        source=source,
    )
