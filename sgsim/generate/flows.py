"""Flows for a network: aimed at its rules or past them, in chunks of constant size, from a seed.

Each flow belongs to one end, the *aimed* interface and direction. Flows of an interface take their source ports in
turn from 64 499 (a prime), its rules in turn as well: flows are different as long as an interface has no more, and
beyond that flows for one rule are, until its addresses and ports are used up. Then only rules that overlap can be met
by the same five-tuple; hashing decides, so that it is rare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from sgsim.errors import ModelError
from sgsim.flows import EGRESS, INGRESS, FlowBlock, FlowTable
from sgsim.generate.network import Network
from sgsim.generate.propose import HIGHEST, PORTS, Flows, Proposals
from sgsim.generate.targets import Aims, aims, members, open_egress, usable
from sgsim.verdicts import Verdict

__all__ = ["FlowSource", "Flows", "Judge", "Traffic", "TrafficStream", "flow_table"]

Ints = npt.NDArray[np.int64]

#: A function that tells what the rules say of every row of a table (Verdict, uint8), such as `evaluate` behind a name.
Judge = Callable[[FlowTable], npt.NDArray[np.uint8]]

CHUNK = 1 << 18
_TRIES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """How much traffic, and of what kind.

    `flows` different ones; `hits` the share whose path is accepted; `egress` the share that is aimed at the sender's
    end (its rules are met), the others at the receiver's; `skew` the exponent of Zipf's law by which flows go to
    interfaces, 0 for all alike. Raises ModelError.
    """

    flows: int = 1_000_000
    hits: float = 0.5
    egress: float = 0.2
    skew: float = 0.8

    def __post_init__(self) -> None:
        if not 1 <= self.flows <= HIGHEST:
            raise ModelError(f"{self.flows} flows are not between 1 and {HIGHEST}")
        for name in ("hits", "egress"):
            if not 0 <= getattr(self, name) <= 1:
                raise ModelError(f"{name}: {getattr(self, name):g} is not a share between 0 and 1")
        if not 0 <= self.skew <= 4:
            raise ModelError(f"skew: {self.skew:g} is not between 0 and 4")


class _Stream(NamedTuple):
    """Flows of one kind: `counts[i]` are for interface i."""

    hit: bool
    direction: int
    counts: Ints


class FlowSource(Protocol):
    """Chunks of flows for a network: a TrafficStream, or what looks on while one is iterated."""

    @property
    def network(self) -> Network:
        """What the flows are for."""
        ...

    def __len__(self) -> int:
        """How many flows there are in all."""
        ...

    def __iter__(self) -> Iterator[Flows]:
        """The chunks."""
        ...


class TrafficStream:
    """Chunks of Flows; every iteration gives the same ones, in memory of constant size.

    `judge` (see Judge) sees every flow and has those drawn anew that are not as wanted; without one, flows that should
    hit a rule do, but those that should miss all may hit one by chance. `unmet` counts, once iteration has ended, the
    flows that are not as wanted. Raises ModelError, at once or on the way, if the traffic cannot be made.
    """

    def __init__(self, network: Network, traffic: Traffic, seed: int = 1, judge: Judge | None = None) -> None:
        self.network, self.traffic, self.unmet = network, traffic, 0
        self._seed, self._judge = seed, judge
        able = usable(network)
        if not able.any():
            raise ModelError("no interface has groups and a private IPv4 address of its own: nothing to aim flows at")
        free = open_egress(network, 4)
        reachable = members(network, able & free)
        self._aims = (aims(network, INGRESS, reachable), aims(network, EGRESS, reachable))
        self._proposals = Proposals(network, reachable, seed)
        self._streams = _streams(traffic, self._aims, able, free, np.random.default_rng([seed, 2]))
        self._chunks = -(-traffic.flows // CHUNK)
        self._phase = np.random.default_rng([seed, 3]).random((len(self._streams), network.interfaces))

    def __len__(self) -> int:
        """How many flows there are in all."""
        return self.traffic.flows

    def __iter__(self) -> Iterator[Flows]:
        self.unmet = 0
        for number in range(self._chunks):
            chunk = self._chunk(number)
            if len(chunk):
                yield chunk

    def _chunk(self, number: int) -> Flows:
        """One chunk; every interface has its share of each, so that all are alike."""
        rng = np.random.default_rng([self._seed, 4, number])
        parts = []
        for stream, phase in zip(self._streams, self._phase):
            begin = np.floor(stream.counts * (number / self._chunks) + phase).astype(np.int64)
            end = np.floor(stream.counts * ((number + 1) / self._chunks) + phase).astype(np.int64)
            sizes = end - begin
            interface = np.repeat(np.arange(len(sizes)), sizes)
            serial = np.arange(len(interface)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + begin[interface]
            if len(interface):
                parts.append(self._made(rng, stream, interface, serial))
        if not parts:
            return Flows.room(0)
        together = Flows(*(np.concatenate(columns) for columns in zip(*(part.columns() for part in parts))))
        return together.at(rng.permutation(len(together)))

    def _made(self, rng: np.random.Generator, stream: _Stream, interface: Ints, serial: Ints) -> Flows:
        """Flows of one kind, those that are not as wanted drawn again."""
        made = Flows.room(len(interface))
        left = np.arange(len(interface))
        aim = self._aims[stream.direction]
        for attempt in range(_TRIES):
            proposed, good = self._proposals.draw(
                rng, aim, stream.hit, stream.direction, interface[left], serial[left], attempt
            )
            proposed = self._judged(proposed)
            if self._judge is not None:
                good &= proposed.hit == stream.hit
            made.put(left, proposed)
            left = left[~good]
            if not len(left):
                return made
        self._settle(made, left, stream)
        return made

    def _settle(self, made: Flows, left: Ints, stream: _Stream) -> None:
        """Count what could not be made as wanted; if that is much, it is impossible."""
        self.unmet += len(left)
        if len(left) > max(20, 0.01 * len(made)):
            done, word = 1 - len(left) / len(made), "accept" if stream.hit else "reject"
            raise ModelError(
                f"the share of hits cannot be met: of the flows that the groups should {word}, "
                f"{_TRIES} tries made {done:.0%}"
            )

    def _judged(self, flows: Flows) -> Flows:
        """The same flows with what the judge says of both ends."""
        if self._judge is None:
            return flows
        rows = np.flatnonzero(flows.remote >= 0)
        verdicts = self._judge(flow_table(flows, both_ends=True))
        local, far = verdicts[: len(flows)], np.full(len(flows), Verdict.ACCEPT, np.uint8)
        far[rows] = verdicts[len(flows) :]
        return replace(flows, local=local, far=far, hit=(local == Verdict.ACCEPT) & (far == Verdict.ACCEPT))


def _streams(
    traffic: Traffic,
    aimed: tuple[Aims, Aims],
    able: npt.NDArray[np.bool_],
    free: npt.NDArray[np.bool_],
    rng: np.random.Generator,
) -> list[_Stream]:
    """How many flows of each kind each interface gets."""
    rank = 1.0 + rng.permutation(len(able))
    weight: npt.NDArray[np.float64] = np.power(rank, -traffic.skew)
    endless = np.full(len(able), float(PORTS) * (1 << 20))
    hits = round(traffic.flows * traffic.hits)
    streams = []
    for hit, total in ((True, hits), (False, traffic.flows - hits)):
        if hit:
            capacity = [np.where(able & (aim.sizes > 0), aim.rooms * PORTS, 0) for aim in aimed]
        else:
            capacity = [np.where(able, endless, 0), np.where(able & ~free, endless, 0)]
        out, into = (weight[part > 0].sum() for part in (capacity[EGRESS], capacity[INGRESS]))
        # What few interfaces can send is not piled on those few.
        outward = round(total * traffic.egress * min(out / into, 1)) if into else total
        for direction, n in ((INGRESS, total - outward), (EGRESS, outward)):
            if n:
                streams.append(_Stream(hit, direction, _allocated(n, weight, capacity[direction], hit)))
    return streams


def _allocated(n: int, weight: npt.NDArray[np.float64], capacity: npt.NDArray[np.float64], hit: bool) -> Ints:
    """n flows shared out by weight, to nobody more than they can have."""
    most = capacity.sum()
    if most < n:
        kind = "that hit rules" if hit else "that no rule accepts"
        raise ModelError(f"{n} different flows {kind} cannot be made; these rules and interfaces give {int(most)}")
    wanted = np.zeros(len(weight))
    open_ = capacity > 0
    while True:
        missing = n - wanted.sum()
        wanted[open_] += missing * weight[open_] / weight[open_].sum()
        over = wanted > capacity
        if not over.any():
            break
        wanted[over] = capacity[over]
        open_ &= ~over
        if not open_.any():
            break
    ends = np.floor(np.cumsum(wanted) + 0.5).astype(np.int64)
    ends[-1] = n
    shares: Ints = np.diff(np.minimum(ends, n), prepend=0)
    return shares


def flow_table(flows: Flows, *, both_ends: bool = False) -> FlowTable:
    """The flows at their aimed ends as a FlowTable, in order; then, if asked for, at the other ends that are known."""
    rows = np.arange(len(flows))
    interface, direction = flows.interface, flows.direction
    if both_ends:
        second = np.flatnonzero(flows.remote >= 0)
        rows = np.concatenate([rows, second])
        interface = np.concatenate([interface, flows.remote[second]])
        direction = np.concatenate([direction, INGRESS + EGRESS - direction[second]])
    blocks = []
    for family in (4, 6):
        place = np.flatnonzero(flows.family[rows] == family)
        at = rows[place]
        src, dst = (
            lo[at] if family == 4 else np.stack([hi[at], lo[at]], axis=1)
            for hi, lo in ((flows.src_hi, flows.src_lo), (flows.dst_hi, flows.dst_lo))
        )
        blocks.append(
            FlowBlock.from_columns(
                family,
                src,
                dst,
                protocol=flows.protocol[at],
                interface=interface[place],
                direction=direction[place],
                srcport=flows.srcport[at],
                dstport=flows.dstport[at],
                flow_id=at,
                row=place,
            )
        )
    return FlowTable.of(*blocks)
