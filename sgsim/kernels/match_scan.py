"""Rules against rows by looking at every rule of every group on the interface, in three values.

Slow (a microsecond per thousand rules) and complete: it also judges rows that lack a field, and finds rules that
*may* match.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.kernels._jit import helper, kernel
from sgsim.kernels.match_sets import has_room, intern

__all__ = ["NOT_MEMBER", "Answers", "PeerTruths", "Queries", "scan"]

NO, MAYBE, SURE = 0, 1, 2

NOT_MEMBER = -1  #: `Queries.peer`: no group reference matches


class Queries(NamedTuple):
    """What the rules are asked, one a row.

    `interface` int32, `direction` uint8. `hi`, `lo` uint64: the remote address. `first`, `last` uint32: the
    service; an interval where the row lacks a field. `peer` int32: the known interface that has the remote address,
    or NOT_MEMBER, or -2 - k for entry k of PeerTruths.
    """

    interface: npt.NDArray[np.int32]
    direction: npt.NDArray[np.uint8]
    hi: npt.NDArray[np.uint64]
    lo: npt.NDArray[np.uint64]
    first: npt.NDArray[np.uint32]
    last: npt.NDArray[np.uint32]
    peer: npt.NDArray[np.int32]


class PeerTruths(NamedTuple):
    """Remote addresses whose membership takes more than one interface to tell.

    Entry k: the references `references[offsets[k]:offsets[k + 1]]` (int32, ascending) with `truths` (uint8, 1 may
    match, 2 surely matches); all others do not match.
    """

    offsets: npt.NDArray[np.int64]
    references: npt.NDArray[np.int32]
    truths: npt.NDArray[np.uint8]


class Answers(NamedTuple):
    """Per row: `truth` uint8 (0 no rule matches, 1 some may, 2 some do), `match_set` int32 (the rules of that truth),
    `deciding` int32 (-1 unless some do), `everyone` bool (a rule for all addresses is among those that do).
    """

    truth: npt.NDArray[np.uint8]
    match_set: npt.NDArray[np.int32]
    deciding: npt.NDArray[np.int32]
    everyone: npt.NDArray[np.bool_]


@helper
def service_truth(first: int, last: int, rule_first: int, rule_last: int) -> int:
    """A rule surely matches if it holds all services that the row may have, and may match if it holds some."""
    if rule_last < first or last < rule_first:
        return NO
    return SURE if rule_first <= first and last <= rule_last else MAYBE


@helper
def in_block(hi: int, lo: int, block_hi: int, block_lo: int, length: int) -> bool:
    """Whether a block of `length` leading bits (of 128) has the address."""
    if length == 0:
        return True
    if length <= 64:
        return bool((hi ^ block_hi) >> np.uint64(64 - length) == 0)
    return bool(hi == block_hi and (lo ^ block_lo) >> np.uint64(128 - length) == 0)


@helper
def longest_entry(lists: Any, number: int, hi: int, lo: int) -> int:
    """The prefix length of the longest entry of a list that has the address, -1 if none."""
    low, high = lists.offsets[number], lists.offsets[number + 1]
    while high - low > 1:
        middle = (low + high) // 2
        if lists.hi[middle] < hi or (lists.hi[middle] == hi and lists.lo[middle] <= lo):
            low = middle
        else:
            high = middle
    return int(lists.length[low])


@helper
def reference_truth(reference: int, peer: int, target: Any, interfaces: Any, truths: Any) -> int:
    """Whether the remote address is a member of the group that a reference names."""
    if peer == -1:
        return NO
    if peer >= 0:
        for i in range(interfaces.offsets[peer], interfaces.offsets[peer + 1]):
            if interfaces.groups[i] == target[reference]:
                return SURE
        return NO
    entry = -2 - peer
    for i in range(truths.offsets[entry], truths.offsets[entry + 1]):
        if truths.references[i] == reference:
            return int(truths.truths[i])
    return NO


@kernel
def scan(
    start: int,
    queries: Any,
    extra_bits: int,
    interfaces: Any,
    by_address: Any,
    by_subject: Any,
    prefix_lists: Any,
    target: npt.NDArray[np.int32],
    truths: Any,
    sure: npt.NDArray[np.int32],
    maybe: npt.NDArray[np.int32],
    store: Any,
    answers: Any,
) -> int:
    """Answer the queries from `start` on; returns how far it came, short of the end if `store` is full.

    `extra_bits` are the leading bits that block lengths do not count: 96 for IPv4. `sure` and `maybe` are scratch
    for the rules of one interface.
    """
    for row in range(start, len(queries.interface)):
        if not has_room(store, len(sure)):
            return row
        interface, direction, peer = queries.interface[row], queries.direction[row], queries.peer[row]
        hi, lo, first, last = queries.hi[row], queries.lo[row], queries.first[row], queries.last[row]
        sures, maybes, best, decides, everyone = 0, 0, np.uint64(0), -1, False
        for i in range(interfaces.offsets[interface], interfaces.offsets[interface + 1]):
            table = 2 * np.int64(interfaces.groups[i]) + direction
            by_address_from, by_address_to = by_address.offsets[table], by_address.offsets[table + 1]
            by_subject_from, by_subject_to = by_subject.offsets[table], by_subject.offsets[table + 1]
            a, s = by_address_from, by_subject_from
            while a < by_address_to or s < by_subject_to:  # both in ascending order of rules
                if s == by_subject_to or (a < by_address_to and by_address.rule[a] < by_subject.rule[s]):
                    rule, order = by_address.rule[a], by_address.order[a]
                    length = by_address.length[a]
                    truth = service_truth(first, last, by_address.first[a], by_address.last[a])
                    wide = length == 0
                    if truth != NO and not in_block(
                        hi, lo, by_address.hi[a], by_address.lo[a], 0 if wide else length + extra_bits
                    ):
                        truth = NO
                    a += 1
                else:
                    rule, order, subject = by_subject.rule[s], by_subject.order[s], by_subject.subject[s]
                    truth = service_truth(first, last, by_subject.first[s], by_subject.last[s])
                    wide = False
                    if truth != NO and subject >= 0:
                        truth = min(truth, reference_truth(subject, peer, target, interfaces, truths))
                    elif truth != NO and prefix_lists.unresolved[-1 - subject]:
                        truth = MAYBE
                    elif truth != NO:
                        matched = longest_entry(prefix_lists, -1 - subject, hi, lo)
                        if matched < 0:
                            truth = NO
                        order |= np.uint64(128 - matched) << np.uint64(56)
                    s += 1
                if truth == SURE:
                    sure[sures] = rule
                    sures += 1
                    everyone = everyone or wide
                    if decides < 0 or order < best:
                        best, decides = order, rule
                elif truth == MAYBE:
                    maybe[maybes] = rule
                    maybes += 1
        answers.truth[row] = SURE if sures > 0 else MAYBE if maybes > 0 else NO
        answers.match_set[row] = intern(store, sure, sures) if sures > 0 else intern(store, maybe, maybes)
        answers.deciding[row] = decides
        answers.everyone[row] = everyone
    return len(queries.interface)
