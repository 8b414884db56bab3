"""What-if by plain loops: two trackers over the same packets, and the slow twin after a swap."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from sgsim.engine.comparison import FlowChanges
from sgsim.engine.snapshot import Snapshot
from sgsim.engine.tracking import Tracker
from sgsim.packets import PacketBatch
from sgsim.verdicts import Verdict, conjunction

HEADER = (
    "family", "src_hi", "src_lo", "dst_hi", "dst_lo", "srcport", "dstport", "protocol", "icmp_type", "icmp_code",
)  # fmt: skip

#: Of one (flow, verdicts and rules on both sides): packets, bytes.
Changes = dict[tuple[Any, ...], tuple[int, int]]


class Separate:
    """One replay of its own: the answers of every packet, with ids."""

    def __init__(self, snapshot: Snapshot, batch: PacketBatch) -> None:
        tracker = Tracker(snapshot)
        tracked = tracker.step(batch)
        self.answers = tracker.answers(tracked.words)
        self.interfaces = [tracker.store.interfaces(tracked.flow, end) for end in (0, 1)]
        self.tables = snapshot.tables

    def path(self, n: int) -> Verdict | None:
        """The verdict of both ends; None where neither is judged."""
        actions = [Verdict(self.answers.action[n, end]) for end in (0, 1) if self.answers.judged[n, end]]
        return conjunction(actions[0], actions[-1]) if actions else None

    def end(self, n: int, end: int) -> tuple[Any, ...] | None:
        """The answer at one end, in words."""
        answers = self.answers
        if not answers.judged[n, end]:
            return None
        rules = self.tables.rule_ids
        return (
            name_of(self.tables.interface_ids, int(self.interfaces[end][n])),
            int(answers.action[n, end]),
            int(answers.reason[n, end]),
            *(
                frozenset(rules[rule] for rule in answers.sets[number[n, end]])
                for number in (answers.match_set, answers.possible_set)
            ),
            name_of(rules, int(answers.deciding_rule[n, end])),
            bool(answers.initiating[n, end]),
        )


def name_of(ids: list[str], index: int) -> str | int:
    return ids[index] if index >= 0 else index


def plain_changes(before: Snapshot, after: Snapshot, batch: PacketBatch) -> tuple[Changes, np.ndarray]:
    """The changes from two separate replays, and packets by verdict before and after."""
    old, new = Separate(before, batch), Separate(after, batch)
    found: Changes = defaultdict(lambda: (0, 0))
    totals = np.zeros((3, 3), np.int64)
    worst = (Verdict.REJECT, Verdict.UNKNOWN, Verdict.ACCEPT)
    for n in range(len(batch)):
        one, other = old.path(n), new.path(n)
        if one is None or other is None:
            continue
        totals[one, other] += 1
        if one == other:
            continue
        side, verdict = min(((old, one), (new, other)), key=lambda each: worst.index(each[1]))
        end = next(e for e in (0, 1) if side.answers.judged[n, e] and side.answers.action[n, e] == verdict)
        flow = tuple(int(getattr(batch, name)[n]) for name in HEADER)
        key = (flow, end, int(one), int(other), old.end(n, end), new.end(n, end))
        packets, size = found[key]
        found[key] = packets + 1, size + int(batch.length[n])
    return dict(found), totals


def changes_of(batches: list[FlowChanges], before: Snapshot, after: Snapshot) -> Changes:
    """The same from what a paired replay gives out."""
    found: Changes = defaultdict(lambda: (0, 0))
    for batch in batches:
        for n in range(len(batch)):
            flow = tuple(int(getattr(batch, name)[n]) for name in HEADER)
            answers = []
            for side, snapshot in ((batch.before, before), (batch.after, after)):
                rules = snapshot.tables.rule_ids
                answers.append(
                    (
                        name_of(snapshot.tables.interface_ids, int(side.interface[n])),
                        int(side.action[n]),
                        int(side.reason[n]),
                        *(
                            frozenset(rules[rule] for rule in side.sets[number[n]])
                            for number in (side.match_set, side.possible_set)
                        ),
                        name_of(rules, int(side.deciding_rule[n])),
                        bool(side.initiating[n]),
                    )
                    if side.judged[n]
                    else None
                )
            key = (flow, 1 - int(batch.direction[n]), int(batch.path_before[n]), int(batch.path_after[n]), *answers)
            packets, size = found[key]
            found[key] = packets + int(batch.packets[n]), size + int(batch.bytes[n])
    return dict(found)
