"""Which known interface is at the other end, as group references see it (docs/semantics.md §1.4, §9.5).

A remote address is looked up in the judged interface's VPC, then over active peerings, then over transit gateways
(inbound rules only), then in VPCs to which the input does not tell the way; the first of these places where some
interface has the address answers. What one interface's groups cannot answer becomes an entry of TRUTHS, made
once for all rows that share VPC, direction and address.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from sgsim.flows import NO_INTERFACE
from sgsim.tables import RuleTables
from sgsim.tables.lookup import address_keys
from sgsim.tables.references import Way

__all__ = ["NOT_MEMBER", "PeerEntries", "find_peers"]

NOT_MEMBER = -1

#: References that may or surely do match, by number; all others do not.
Truths = dict[int, int]

_MAYBE, _SURE = 1, 2


class PeerEntries:
    """The answers for remote addresses that one interface's groups cannot answer, numbered from 0."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._entries: list[Truths] = []

    def number(self, key: tuple[Any, ...], make: Callable[[], Truths]) -> int:
        """The number of the entry for a key, made if it is new."""
        if key not in self._numbers:
            self._numbers[key] = len(self._entries)
            self._entries.append(make())
        return self._numbers[key]

    def columns(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
        """(offsets, references, truths), see TRUTHS in `kernels.match_context`."""
        offsets = np.zeros(len(self._entries) + 1, np.int64)
        np.cumsum([len(entry) for entry in self._entries], out=offsets[1:])
        pairs = [pair for entry in self._entries for pair in sorted(entry.items())]
        return (
            offsets,
            np.array([reference for reference, _ in pairs], np.int32),
            np.array([truth for _, truth in pairs], np.uint8),
        )


def find_peers(
    tables: RuleTables,
    family: int,
    direction: int,
    interface: npt.NDArray[np.int32],
    hi: npt.NDArray[np.uint64],
    lo: npt.NDArray[np.uint64],
    entries: PeerEntries,
) -> npt.NDArray[np.int32]:
    """The other end of each row judged at `interface` in one direction, as PEER has it (see `match_context`)."""
    references, index = tables.references, tables.family(family).addresses
    keys = address_keys(family, hi, lo)
    networks = tables.interfaces.vpcs(interface)
    peer = index.find(keys, networks)
    if not references.delegated_prefixes_are_members:
        by_prefix = (peer >= 0) & (index.find(keys, networks, prefixes=False) != peer)
        peer[by_prefix] = NOT_MEMBER - 1  # decided below, from who has the address by which right
    elsewhere = np.flatnonzero(peer == NO_INTERFACE)
    absent = elsewhere[index.find(keys[elsewhere]) == NO_INTERFACE]
    private = references.private.contain(keys[absent]) if family == 4 else np.ones(len(absent), np.bool_)
    unseen, public = absent[private], absent[~private]
    resolver = _Resolver(tables, family, direction, entries)
    special = peer < 0
    special[absent] = False
    rows = np.flatnonzero(special)
    if len(rows):
        peer[rows] = resolver.known(keys[rows], networks[rows])
    if len(unseen):
        peer[unseen] = resolver.unseen(networks[unseen])
    peer[public] = NOT_MEMBER
    lost = references.behind_middlebox[family == 6].contain(keys)
    peer[lost] = NOT_MEMBER
    return peer


class _Resolver:
    """Makes entries for one family and direction."""

    def __init__(self, tables: RuleTables, family: int, direction: int, entries: PeerEntries) -> None:
        self._index = tables.family(family).addresses
        self._tables = tables
        self._references = tables.references
        self._family, self._direction = family, direction
        self._entries = entries

    @cached_property
    def _by_target(self) -> dict[int, list[int]]:
        """The references that name each group."""
        naming: dict[int, list[int]] = {}
        for reference, target in enumerate(self._references.target.tolist()):
            naming.setdefault(target, []).append(reference)
        return naming

    def unseen(self, networks: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Addresses that no known interface has and that could be one's private address."""
        codes = np.zeros(len(self._tables.vpc_ids), np.int32)
        for vpc in np.flatnonzero(np.bincount(networks, minlength=len(codes))).tolist():
            codes[vpc] = -2 - self._entries.number((self._direction, vpc), partial(self._unseen_truths, vpc))
        return codes[networks]

    def known(self, keys: npt.NDArray[Any], networks: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Addresses that several interfaces have, or one outside this VPC, or one by a delegated prefix."""
        codes: dict[tuple[Any, int], int] = {}
        result = np.empty(len(keys), np.int32)
        for row, pair in enumerate(zip(keys.tolist(), networks.tolist())):
            code = codes.get(pair)
            if code is None:
                make = partial(self._known_truths, keys[row : row + 1], pair[1])
                number = self._entries.number((self._family, self._direction, *pair), make)
                code = codes[pair] = -2 - number
            result[row] = code
        return result

    def _unseen_truths(self, own: int) -> Truths:
        references = self._references
        return {
            reference: _MAYBE
            for reference in np.flatnonzero(references.open).tolist()
            if references.may_reach_unseen(own, self._direction, reference)
        }

    def _known_truths(self, key: npt.NDArray[Any], own: int) -> Truths:
        addressed, delegated = self._index.all_of(key)
        having = sorted({*addressed, *delegated})
        holders = list(zip(having, self._tables.interfaces.vpcs(np.array(having, np.int64)).tolist()))
        members: dict[int, set[int]] = {}
        for holder, _ in holders:
            if holder in addressed or self._references.delegated_prefixes_are_members:
                for target in self._tables.groups_of(holder):
                    members.setdefault(target, set()).add(holder)
        # Only references to a group that some holder carries, or that may have unseen members, can match.
        candidates = {reference for target in members for reference in self._by_target.get(target, ())}
        if not any(vpc == own for _, vpc in holders):
            candidates.update(np.flatnonzero(self._references.open).tolist())
        could_be_unseen = self._family == 6 or bool(self._references.private.contain(key)[0])
        truths: Truths = {}
        for reference in candidates:
            carriers = members.get(int(self._references.target[reference]), set())
            truth = self._truth(reference, own, holders, carriers)
            if truth is None:
                unseen = could_be_unseen and self._references.may_reach_unseen(own, self._direction, reference)
                truth = _MAYBE if unseen else 0
            if truth:
                truths[reference] = truth
        return truths

    def _truth(self, reference: int, own: int, holders: list[tuple[int, int]], carriers: set[int]) -> int | None:
        """Whether a reference matches, by the interfaces that have the address; None where none is within reach."""
        references, direction = self._references, self._direction
        ways: tuple[Callable[[int], Way], ...] = (
            lambda vpc: Way.SURE if vpc == own else Way.NONE,
            lambda vpc: references.peering(own, vpc, reference) if vpc != own else Way.NONE,
            lambda vpc: references.gateway(own, vpc, direction) if vpc != own else Way.NONE,
            lambda vpc: references.unlisted(reference) if vpc != own else Way.NONE,
        )
        for way in ways:
            reached = [(holder, reach) for holder, vpc in holders if (reach := way(vpc)) is not Way.NONE]
            if reached:
                inside = [reach for holder, reach in reached if holder in carriers]
                if not inside:
                    return 0
                return _SURE if len(inside) == len(reached) and Way.MAYBE not in inside else _MAYBE
        return None
