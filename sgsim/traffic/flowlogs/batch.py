"""Flow-log records as columns, and what became of every line."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["ABSENT", "ACCEPT", "NODATA", "REJECT", "SKIPDATA", "FlowLogBatch", "FlowLogCounts", "Ids", "Silences"]

REJECT, ACCEPT = 0, 1
NODATA, SKIPDATA = 1, 2
ABSENT = 255  #: `action`, `log_status`: the record does not say


@dataclass(frozen=True, slots=True)
class Ids:
    """Ids of n rows: `codes` int32[n] index `names`; -1 where the log has `-` or not the field.

    Codes hold within one batch only. `names` may hold ids that no row uses.
    """

    codes: npt.NDArray[np.int32]
    names: list[str]

    def __len__(self) -> int:
        return len(self.codes)

    def texts(self) -> list[str | None]:
        """The id of each row, None where there is none: for people and tests, slow."""
        return [self.names[code] if code >= 0 else None for code in self.codes.tolist()]


@dataclass(frozen=True, slots=True)
class Silences:
    """The NODATA and SKIPDATA lines of a batch: intervals of an interface without traffic, or with records lost.

    `start`, `end` int64 seconds. `status` uint8: NODATA, SKIPDATA. SKIPDATA never means that there was no traffic.
    """

    account_id: Ids
    interface_id: Ids
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    status: npt.NDArray[np.uint8]
    source: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.start)


@dataclass(frozen=True, slots=True)
class FlowLogBatch:
    """n records of traffic (log status OK, or not said) in the order of the log; all columns have n rows.

    `fields` are the flow-log fields (hyphenated) that the batch's log has and sgsim reads: an optional column whose
    field is not among them holds only its "unknown" value. Addresses are two 64-bit halves, IPv4 in the low one, each
    with a family: 4, 6 or 0 (`-` or no such field; then the halves are meaningless). Source and destination are each
    known by at least one of the plain and the `pkt_` address, and of one family.

    `srcport`, `dstport` uint16, 0 where the protocol has none. `protocol` uint8. `packets`, `bytes` int64, -1 unknown.
    `start`, `end` int64 seconds, 0 <= start <= end < 2**33. `tcp_flags` int16, -1 unknown. `action` uint8: REJECT,
    ACCEPT, ABSENT. `log_status` uint8: 0 for OK, ABSENT. `flow_direction` int8: 0 ingress, 1 egress, -1 unknown.
    `source` int32 is the index of the file in `FlowLogScan.counts`, `line` int64 its 1-based line (Parquet: row,
    CloudWatch JSON: event).
    """

    fields: frozenset[str]
    src_family: npt.NDArray[np.uint8]
    src_hi: npt.NDArray[np.uint64]
    src_lo: npt.NDArray[np.uint64]
    dst_family: npt.NDArray[np.uint8]
    dst_hi: npt.NDArray[np.uint64]
    dst_lo: npt.NDArray[np.uint64]
    pkt_src_family: npt.NDArray[np.uint8]
    pkt_src_hi: npt.NDArray[np.uint64]
    pkt_src_lo: npt.NDArray[np.uint64]
    pkt_dst_family: npt.NDArray[np.uint8]
    pkt_dst_hi: npt.NDArray[np.uint64]
    pkt_dst_lo: npt.NDArray[np.uint64]
    srcport: npt.NDArray[np.uint16]
    dstport: npt.NDArray[np.uint16]
    protocol: npt.NDArray[np.uint8]
    packets: npt.NDArray[np.int64]
    bytes: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    tcp_flags: npt.NDArray[np.int16]
    action: npt.NDArray[np.uint8]
    log_status: npt.NDArray[np.uint8]
    flow_direction: npt.NDArray[np.int8]
    account_id: Ids
    interface_id: Ids
    vpc_id: Ids
    subnet_id: Ids
    instance_id: Ids
    reject_reason: Ids
    source: npt.NDArray[np.int32]
    line: npt.NDArray[np.int64]
    silences: Silences

    def __len__(self) -> int:
        return len(self.protocol)

    def has(self, name: str) -> bool:
        """Whether the log has a field, named as in the log (`flow-direction`) or as a column."""
        return name.replace("_", "-") in self.fields


@dataclass(slots=True)
class FlowLogCounts:
    """What became of every line of one file; complete once iteration ends.

    `lines` is the sum of all the others: records of traffic `ok`, intervals `nodata` and `skipdata`, records of a
    transit gateway, EFA records (no IP traffic), OK records that say `-` in a field that a flow needs (`incomplete`),
    `header` lines, `blank` lines, and malformed ones by cause. `first_line` has the first line of each cause.
    """

    source: str
    lines: int = 0
    ok: int = 0
    nodata: int = 0
    skipdata: int = 0
    transit_gateway: int = 0
    efa: int = 0
    incomplete: int = 0
    blank: int = 0
    header: int = 0
    causes: dict[str, int] = field(default_factory=dict)
    first_line: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def malformed(self) -> int:
        """Lines that are no record of the format."""
        return sum(self.causes.values())

    @property
    def fitting(self) -> int:
        """Lines that are records of the format, of whatever kind."""
        return self.ok + self.nodata + self.skipdata + self.transit_gateway + self.efa + self.incomplete

    @property
    def accounted(self) -> int:
        """The sum of all classes; equal to `lines`."""
        return self.fitting + self.blank + self.header + self.malformed
