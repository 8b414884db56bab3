"""Whether a call makes packets of a question pass: it is made to a copy of the environment, and the engine is asked."""

from __future__ import annotations

from typing import NamedTuple

from sgsim.analysis.helpful_calls import Call, launched_by
from sgsim.analysis.passing import Passing, Question, Witness
from sgsim.engine import Snapshot, evaluate
from sgsim.errors import ChangeError
from sgsim.flows import FlowBlock, FlowTable
from sgsim.model import ICMP, ICMPV6, Direction, Environment, Semantics
from sgsim.model.apply import apply
from sgsim.model.changes import Change, ChangeSet
from sgsim.model.quotas import Quotas
from sgsim.verdicts import Verdict

__all__ = ["Effect", "Trial", "engine_passes"]

_LOW = (1 << 64) - 1


class Effect(NamedTuple):
    """What changes do: a packet that passes after them and did not before, and whether all of the question passes."""

    changes: tuple[Change, ...]
    witness: Witness
    whole: bool


class Trial:
    """Makes calls to copies of one environment. Every answer is found once; `tried` counts the copies."""

    def __init__(self, environment: Environment, semantics: Semantics, question: Question, quotas: Quotas) -> None:
        self.environment, self.question = environment, question
        self.semantics, self._quotas = semantics, quotas
        self.before = Passing(environment, semantics, question)
        self._effects: dict[tuple[Call, ...], Effect | None] = {}
        self._partial: dict[Call, dict[Direction, tuple[Change, ...]]] = {}
        self._snapshot: Snapshot | None = None
        self.tried = 0

    def effect(self, call: Call) -> Effect | None:
        """What the call does, in the first spelling that helps; None if none does."""
        if (call,) not in self._effects:
            self._effects[call,] = next((found for one in call.changes if (found := self._try((one,)))), None)
        return self._effects[call,]

    def together(self, one: Call, other: Call) -> Effect | None:
        """What two calls do, one after the other, of which neither helps alone."""
        if (one, other) not in self._effects:
            firsts = self.parts(one)[Direction.EGRESS]
            seconds = self.parts(other)[Direction.INGRESS]
            pairs = ((first, second) for first in firsts for second in seconds)
            self._effects[one, other] = next((found for pair in pairs if (found := self._try(pair))), None)
        return self._effects[one, other]

    def parts(self, call: Call) -> dict[Direction, tuple[Change, ...]]:
        """The spellings that make more pass at one end, by end."""
        if call not in self._partial:
            found: dict[Direction, list[Change]] = {direction: [] for direction in Direction}
            for change in call.changes:
                after = self._after((change,))
                for direction in Direction if after is not None else ():
                    assert after is not None
                    if after.gains(self.before, direction):
                        found[direction].append(change)
            self._partial[call] = {direction: tuple(changes) for direction, changes in found.items()}
        return self._partial[call]

    def _after(self, changes: tuple[Change, ...]) -> Passing | None:
        """The question after changes; None if AWS would refuse one of them."""
        self.tried += 1
        try:
            after = apply(self.environment, ChangeSet(changes), quotas=self._quotas)
        except ChangeError:
            return None
        launched = [interface for change in changes for interface in launched_by(change)]
        return Passing(after, self.semantics, self.question, launched)

    def _try(self, changes: tuple[Change, ...]) -> Effect | None:
        after = self._after(changes)
        witness = None if after is None else after.newly(self.before)
        if after is None or witness is None or not self._confirmed(changes, witness):
            return None
        return Effect(changes, witness, after.whole())

    def _confirmed(self, changes: tuple[Change, ...], witness: Witness) -> bool:
        """The engine's word: the packet does not pass before, and does after."""
        if self._snapshot is None:
            self._snapshot = Snapshot.of(self.environment, self.semantics)
        after = self._snapshot.apply(ChangeSet(changes, accepted=True))
        return engine_passes(after, witness) and not engine_passes(self._snapshot, witness)


def engine_passes(snapshot: Snapshot, witness: Witness) -> bool:
    """Whether the engine accepts a packet at every end that the snapshot knows."""
    index = {name: number for number, name in enumerate(snapshot.tables.interface_ids)}
    ends = [
        (index[name], direction)
        for name, direction in ((witness.sender, Direction.EGRESS), (witness.receiver, Direction.INGRESS))
        if name in snapshot.environment.interfaces
    ]
    protocol, low = witness.service >> 16, witness.service & 65535
    icmp = protocol in (ICMP, ICMPV6)
    n = len(ends)
    block = FlowBlock.from_columns(
        witness.family,
        _column(witness.family, witness.source, n),
        _column(witness.family, witness.destination, n),
        protocol=[protocol] * n,
        interface=[number for number, _ in ends],
        direction=[direction.value for _, direction in ends],
        srcport=[0 if icmp else 40000] * n,
        dstport=[0 if icmp else low] * n,
        icmp_type=[low >> 8 if icmp else -1] * n,
        icmp_code=[low & 255 if icmp else -1] * n,
    )
    verdicts = evaluate(snapshot, FlowTable.of(block))
    return bool((verdicts.action == Verdict.ACCEPT).all())


def _column(family: int, address: int, n: int) -> list[int] | list[tuple[int, int]]:
    return [address] * n if family == 4 else [(address >> 64, address & _LOW)] * n
