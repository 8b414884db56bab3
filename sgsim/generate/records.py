"""Generated flows → flow-log records: what AWS would log of each at the ends that are interfaces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sgsim.flows import EGRESS, INGRESS
from sgsim.generate.flows import Flows, FlowSource
from sgsim.model import TCP
from sgsim.verdicts import Verdict

__all__ = ["BEGIN", "LogRecords", "log_records"]

BEGIN = 1_700_000_000 - 1_700_000_000 % 600  #: when generated traffic begins, in seconds since the epoch

_SYN, _SYN_ACK, _FIN = 2, 18, 1
_LONGEST = 60  #: seconds of a flow


@dataclass(frozen=True, slots=True)
class LogRecords:
    """n records by start. `flow` (int64) is the row in `flows`; `reply`: from the called end back.

    `interface` int64, `direction` uint8, `accepted` bool; `packets`, `bytes`, `start`, `end` (seconds) int64;
    `tcp_flags` uint8 as flow logs have them.
    """

    flows: Flows
    flow: npt.NDArray[np.int64]
    reply: npt.NDArray[np.bool_]
    interface: npt.NDArray[np.int64]
    direction: npt.NDArray[np.uint8]
    accepted: npt.NDArray[np.bool_]
    packets: npt.NDArray[np.int64]
    bytes: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    tcp_flags: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.flow)


def log_records(stream: FlowSource, seconds: int, seed: int) -> Iterator[LogRecords]:
    """The records of a stream, a chunk of flows at a time, each chunk after the other within `seconds` from BEGIN.

    An accepted flow has its answers on record as well, a third of UDP's excepted.
    """
    done = 0
    for number, flows in enumerate(stream):
        rng = np.random.default_rng([seed, 5, number])
        window = np.array([done, done + len(flows)]) * seconds // len(stream)
        done += len(flows)
        yield _of_chunk(rng, flows, BEGIN + int(window[0]), BEGIN + max(int(window[1]), int(window[0]) + 1))


def _of_chunk(rng: np.random.Generator, flows: Flows, begin: int, until: int) -> LogRecords:
    n = len(flows)
    start = rng.integers(begin, until, n)
    duration = np.minimum(rng.exponential(8, n).astype(np.int64), _LONGEST - 1)
    packets = np.where(flows.hit, np.minimum(1 + rng.pareto(1.2, n) * 4, 1e6), rng.integers(1, 4, n)).astype(np.int64)
    size = rng.integers(52, 1400, n)
    tcp = flows.protocol == TCP
    answered = np.flatnonzero(flows.hit & (tcp | (rng.random(n) < 2 / 3)))
    inward = flows.direction == INGRESS
    sender = np.where(inward, flows.remote, flows.interface)
    receiver = np.where(inward, flows.interface, flows.remote)
    lets_out = np.where(inward, flows.far, flows.local) == Verdict.ACCEPT
    lets_in = np.where(inward, flows.local, flows.far) == Verdict.ACCEPT
    everyone = np.arange(n)
    parts = [
        _part(everyone[sender >= 0], False, sender, EGRESS, lets_out),
        _part(everyone[(receiver >= 0) & lets_out], False, receiver, INGRESS, lets_in),
        _part(answered[receiver[answered] >= 0], True, receiver, EGRESS, lets_in),
        _part(answered[sender[answered] >= 0], True, sender, INGRESS, lets_out),
    ]
    flow, reply, interface, direction, accepted = (np.concatenate(columns) for columns in zip(*parts))
    order = np.argsort(start[flow], kind="stable")
    flow, reply, interface, direction, accepted = (c[order] for c in (flow, reply, interface, direction, accepted))
    opening = np.where(reply, _SYN_ACK, _SYN)
    flags = np.where(tcp[flow], np.where(accepted & flows.hit[flow], opening | _FIN, opening), 0)
    sent = np.where(reply, packets[flow], np.where(accepted, packets[flow], np.minimum(packets[flow], 3)))
    return LogRecords(
        flows, flow, reply, interface, direction, accepted, sent, sent * np.where(accepted, size[flow], 60),
        start[flow], start[flow] + duration[flow] + 1, flags.astype(np.uint8),
    )  # fmt: skip


def _part(
    flow: npt.NDArray[np.int64],
    reply: bool,
    interface: npt.NDArray[np.int32],
    direction: int,
    accepts: npt.NDArray[np.bool_],
) -> tuple[
    npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.int64], npt.NDArray[np.uint8], npt.NDArray[np.bool_]
]:
    """Columns of the records that one kind of end gives."""
    n = len(flow)
    return (
        flow,
        np.full(n, reply),
        interface[flow].astype(np.int64),
        np.full(n, direction, np.uint8),
        accepts[flow],
    )
