"""What becomes of traffic under other rules: values that both kinds of replay in pairs give out."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from sgsim.verdicts import MatchSets

__all__ = ["FlowChanges", "Side"]


@dataclass(frozen=True, slots=True)
class Side:
    """The answers of n rows on one side, before or after, at the end that decides.

    `interface` int32 indexes that side's interfaces, `deciding_rule` and the members of `sets` its rules. Where
    `judged` is False there was no answer at this end, and the others mean nothing.
    """

    judged: npt.NDArray[np.bool_]
    interface: npt.NDArray[np.int32]
    action: npt.NDArray[np.uint8]
    reason: npt.NDArray[np.uint8]
    match_set: npt.NDArray[np.int32]
    possible_set: npt.NDArray[np.int32]
    deciding_rule: npt.NDArray[np.int32]
    initiating: npt.NDArray[np.bool_]
    sets: MatchSets

    def at(self, rows: npt.NDArray[np.int64]) -> Side:
        """Some of the rows."""
        columns = {field.name: getattr(self, field.name)[rows] for field in fields(self) if field.name != "sets"}
        return Side(**columns, sets=self.sets)


@dataclass(frozen=True, slots=True)
class FlowChanges:
    """Flows whose packets have another verdict than before, n rows: one for each flow and pair of answers.

    `path_before` and `path_after` (uint8) are the verdicts of both ends together, and differ; of one end alone where
    the traffic is a flow log. `direction` (uint8) tells the end that decides: of the two sides the one that is further
    from ACCEPT, there the first end that has the path's verdict; `before` and `after` are the answers at that end.
    `packets` and `bytes` count what has these answers, `first` and `last` are seconds. `flow_id` is the same for all
    rows of a flow, which are in one batch; `connection` tells rows of one batch that belong to one connection, and
    `connection_packets` and `connection_bytes` are all that is known of it, both ways. `refused` (bool): the log itself
    says that this was rejected.
    """

    family: npt.NDArray[np.uint8]
    src_hi: npt.NDArray[np.uint64]
    src_lo: npt.NDArray[np.uint64]
    dst_hi: npt.NDArray[np.uint64]
    dst_lo: npt.NDArray[np.uint64]
    srcport: npt.NDArray[np.uint16]
    dstport: npt.NDArray[np.uint16]
    protocol: npt.NDArray[np.uint8]
    icmp_type: npt.NDArray[np.int16]
    icmp_code: npt.NDArray[np.int16]
    fragment: npt.NDArray[np.bool_]
    direction: npt.NDArray[np.uint8]
    path_before: npt.NDArray[np.uint8]
    path_after: npt.NDArray[np.uint8]
    packets: npt.NDArray[np.int64]
    bytes: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    flow_id: npt.NDArray[np.int64]
    connection: npt.NDArray[np.int64]
    connection_packets: npt.NDArray[np.int64]
    connection_bytes: npt.NDArray[np.int64]
    refused: npt.NDArray[np.bool_]
    before: Side
    after: Side

    def __len__(self) -> int:
        return len(self.packets)
