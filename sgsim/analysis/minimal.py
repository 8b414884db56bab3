"""Which rules can go together: the fewest rules that still allow every flow that was seen.

Every flow has its match set, the rules that allow it; one of them must stay. So the rules that stay are a *hitting
set* of the match sets that occurred, and the question falls apart into groups of rules that share no set.

Small groups are solved exactly (branch and bound). In others every step takes the rule that the most flows' sets
still need, and afterwards what turned out to be superfluous goes again: no single further rule can go, but a smaller
set may exist. The answer says which it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

__all__ = ["EFFORT", "Minimal", "minimal"]

EFFORT = 20_000  #: nodes of the search in one group of rules before it counts as too large
DEPTH = 200  #: rules that stay in one group, beyond which no search would end in time
_ONE_RULE = 1 << 32  #: fewer rules always beat narrower ones


@dataclass(frozen=True, slots=True)
class Minimal:
    """`kept` rules that allow all flows, given those that are kept in any case; `exact`: no smaller set exists."""

    kept: frozenset[int]
    exact: bool


def minimal(sets: Iterable[Collection[int]], candidates: Collection[int], width: Sequence[int]) -> Minimal:
    """The candidates that must stay, so that each set keeps a rule; rules that are no candidates stay anyway.

    Of equally many rules those stay whose `width` (indexed by rule) adds up to less, then those with lower numbers:
    where a block and the whole internet let the same flows in, the block stays.
    """
    movable = frozenset(candidates)
    open_sets = {frozenset(rules) for rules in sets if movable.issuperset(rules)}
    kept = {next(iter(rules)) for rules in open_sets if len(rules) == 1}
    left = [rules for rules in open_sets if kept.isdisjoint(rules)]
    exact = True
    for group in _apart(left):
        chosen, is_best = _solve(group, width)
        kept |= chosen
        exact &= is_best
    return Minimal(frozenset(kept), exact)


def _apart(sets: list[frozenset[int]]) -> list[list[frozenset[int]]]:
    """Sets in groups that share no rule with another group."""
    leader: dict[int, int] = {}

    def find(rule: int) -> int:
        while leader.setdefault(rule, rule) != rule:
            leader[rule] = leader[leader[rule]]
            rule = leader[rule]
        return rule

    for rules in sets:
        first, *others = rules
        for other in others:
            leader[find(other)] = find(first)
    groups: dict[int, list[frozenset[int]]] = {}
    for rules in sets:
        groups.setdefault(find(next(iter(rules))), []).append(rules)
    return [sorted(groups[key], key=sorted) for key in sorted(groups)]


def _solve(sets: list[frozenset[int]], width: Sequence[int]) -> tuple[frozenset[int], bool]:
    search = _Search(_without_supersets(sets), width)
    best = search.greedy()
    if len(best) > DEPTH:
        return best, False
    found = search.better_than(best)
    # A search that was cut short may end with a set that holds more than it needs.
    return (best if found is None else search.irredundant(found)), search.nodes <= EFFORT


def _without_supersets(sets: list[frozenset[int]]) -> list[frozenset[int]]:
    """Whoever keeps a rule of a set keeps one of every set that holds it. Not tried where it would take long."""
    if len(sets) > 2000:
        return sets
    ordered = sorted(sets, key=lambda rules: (len(rules), sorted(rules)))
    kept: list[frozenset[int]] = []
    for rules in ordered:
        if not any(smaller <= rules for smaller in kept):
            kept.append(rules)
    return kept


class _Search:
    """Sets are bits: `covers[rule]` are the sets that hold the rule."""

    def __init__(self, sets: list[frozenset[int]], width: Sequence[int]) -> None:
        self.sets = sets
        self.all = (1 << len(sets)) - 1
        self.covers: dict[int, int] = {}
        for n, rules in enumerate(sets):
            for rule in sorted(rules):
                self.covers[rule] = self.covers.get(rule, 0) | 1 << n
        self.cost = {rule: _ONE_RULE + width[rule] for rule in self.covers}
        self.nodes = 0
        self._best: frozenset[int] | None = None
        self._limit = 0

    def greedy(self) -> frozenset[int]:
        """Take what the most sets need, then drop what that makes superfluous."""
        chosen: set[int] = set()
        left = self.all
        while left:
            rule = max(self.covers, key=lambda rule: ((self.covers[rule] & left).bit_count(), -self.cost[rule], -rule))
            chosen.add(rule)
            left &= ~self.covers[rule]
        return self.irredundant(chosen)

    def irredundant(self, chosen: Collection[int]) -> frozenset[int]:
        """The hitting set without what it does not need, widest first: no single further rule can go."""
        kept = [rules.intersection(chosen) for rules in self.sets]
        holding: dict[int, list[int]] = {}
        for n, rules in enumerate(kept):
            for rule in rules:
                holding.setdefault(rule, []).append(n)
        left_in = [len(rules) for rules in kept]
        needed = set(chosen)
        for rule in sorted(chosen, key=lambda rule: (-self.cost[rule], -rule)):
            if all(left_in[n] > 1 for n in holding[rule]):
                needed.remove(rule)
                for n in holding[rule]:
                    left_in[n] -= 1
        return frozenset(needed)

    def better_than(self, known: frozenset[int]) -> frozenset[int] | None:
        """A cheaper hitting set than a known one, the cheapest if the search ends in time; None if there is none."""
        self._best, self._limit = None, sum(self.cost[rule] for rule in known)
        self._branch(self.all, 0, (), frozenset())
        return self._best

    def _branch(self, left: int, cost: int, chosen: tuple[int, ...], refused: frozenset[int]) -> None:
        if not left:
            self._best, self._limit = frozenset(chosen), cost
            return
        self.nodes += 1
        if self.nodes > EFFORT:
            return
        bound, narrowest = self._bound(left, refused)
        if narrowest is None or cost + bound >= self._limit:
            return
        order = sorted(narrowest, key=lambda rule: (-(self.covers[rule] & left).bit_count(), self.cost[rule], rule))
        for rule in order:
            if cost + self.cost[rule] < self._limit:
                self._branch(left & ~self.covers[rule], cost + self.cost[rule], (*chosen, rule), refused)
            refused |= {rule}  # whatever holds this rule was tried above

    def _bound(self, left: int, refused: frozenset[int]) -> tuple[int, frozenset[int] | None]:
        """What sets without common rules cost at least, and the set with the fewest choices; None: one has none."""
        bound, taken = 0, set[int]()
        narrowest: frozenset[int] | None = None
        while left:
            low = left & -left
            left ^= low
            rules = self.sets[low.bit_length() - 1] - refused
            if not rules:
                return 0, None
            if narrowest is None or len(rules) < len(narrowest):
                narrowest = rules
            if taken.isdisjoint(rules):
                taken |= rules
                bound += min(self.cost[rule] for rule in rules)
        return bound, narrowest
