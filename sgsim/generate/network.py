"""Groups, rules, prefix lists and interfaces as columns, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sgsim.flows import EGRESS, INGRESS
from sgsim.generate.bits import Halves, fill, masks
from sgsim.generate.shape import (
    COMMON_PORTS,
    GROUPS_OF_INTERFACE,
    LENGTHS_V4,
    LENGTHS_V6,
    PROTOCOL_ODDS,
    RANGES_V4,
    RANGES_V6,
    SERVICE_ODDS,
    Shape,
)
from sgsim.model import TCP, UDP

__all__ = ["CIDR", "GROUP", "LIST", "Blocks", "Further", "Network", "Rules", "random_addresses", "random_network"]

CIDR, LIST, GROUP = 0, 1, 2  #: `Rules.kind`: what a rule's peer is

_INTERFACE_V4, _FIRST_HOST = 0x64400000, 16  # 100.64.0.0/10 is no rule's site; a VPC's first addresses are AWS's
_INTERFACE_V6 = 0x26001F1840000000


class Rules(NamedTuple):
    """Rules as columns; n rows, those of one group together.

    `direction` uint8; `kind` uint8; `target` int32: the number of the prefix list or group, else -1. `family` uint8
    (of CIDR peers and lists; 4 for groups), `hi`, `lo` uint64 and `length` int64: the block of CIDR peers. `protocol`
    int64, -1 for all; `first`, `last` int64: ports, 0 to 65535 where they mean nothing.
    """

    direction: npt.NDArray[np.uint8]
    kind: npt.NDArray[np.uint8]
    target: npt.NDArray[np.int32]
    family: npt.NDArray[np.uint8]
    hi: npt.NDArray[np.uint64]
    lo: npt.NDArray[np.uint64]
    length: npt.NDArray[np.int64]
    protocol: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]


class Blocks(NamedTuple):
    """Prefix lists: list i has the blocks `offsets[i]:offsets[i + 1]`, all of the family `family[i]`."""

    family: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    hi: npt.NDArray[np.uint64]
    lo: npt.NDArray[np.uint64]
    length: npt.NDArray[np.int64]


class Further(NamedTuple):
    """Addresses of interfaces beside the first one of each family: `interface` int64, the others as in Rules."""

    interface: npt.NDArray[np.int64]
    family: npt.NDArray[np.uint8]
    hi: npt.NDArray[np.uint64]
    lo: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, addresses: list[tuple[int, int, int]]) -> Further:
        """From (interface, family, address)."""
        return cls(
            np.array([interface for interface, _, _ in addresses], np.int64),
            np.array([family for _, family, _ in addresses], np.uint8),
            np.array([value >> 64 for _, _, value in addresses], np.uint64),
            np.array([value & 0xFFFFFFFFFFFFFFFF for _, _, value in addresses], np.uint64),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """What groups and interfaces there are, by number.

    Group g has the rules `offsets[g]:offsets[g + 1]`; interface i carries the groups
    `carried[carried_offsets[i]:carried_offsets[i + 1]]`. `v4`, `v6_hi` and `v6_lo` are the interfaces' first addresses,
    with `has_v4` and `has_v6`; `further` the others; `macs` their Ethernet addresses, 0 for none. Two interfaces share
    an address only if the network was made from an environment where they do.
    """

    rules: Rules
    offsets: npt.NDArray[np.int64]
    lists: Blocks
    carried: npt.NDArray[np.int64]
    carried_offsets: npt.NDArray[np.int64]
    v4: npt.NDArray[np.uint64]
    v6_hi: npt.NDArray[np.uint64]
    v6_lo: npt.NDArray[np.uint64]
    has_v4: npt.NDArray[np.bool_]
    has_v6: npt.NDArray[np.bool_]
    macs: npt.NDArray[np.uint64]
    further: Further

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return len(self.offsets) - 1

    @property
    def interfaces(self) -> int:
        """How many interfaces there are."""
        return len(self.carried_offsets) - 1


def random_network(shape: Shape, seed: int = 1) -> Network:
    """Draw a network; the same shape and seed give the same one."""
    rng = np.random.default_rng([seed, 1])
    sizes = _group_sizes(rng, shape)
    open_egress = (rng.random(shape.groups) >= shape.locked) & shape.default_egress
    lists = _prefix_lists(rng, shape)
    rules, offsets = _rules(rng, shape, sizes, open_egress, lists)
    carried, carried_offsets = _carried(rng, shape)
    number = np.arange(shape.interfaces, dtype=np.uint64) + np.uint64(_FIRST_HOST)
    everywhere = np.ones(shape.interfaces, np.bool_)
    return Network(
        rules=rules,
        offsets=offsets,
        lists=lists,
        carried=carried,
        carried_offsets=carried_offsets,
        v4=np.uint64(_INTERFACE_V4) + number,
        v6_hi=np.full(shape.interfaces, _INTERFACE_V6, np.uint64),
        v6_lo=np.uint64(1 << 32) + number,
        has_v4=everywhere,
        has_v6=everywhere & (shape.ipv6 > 0),
        macs=np.uint64(0x02_00_00_00_00_00) + number,
        further=Further.of([]),
    )


def random_addresses(rng: np.random.Generator, family: npt.NDArray[np.uint8]) -> Halves:
    """Addresses clustered as those of rules are: 300 sites in each range but the last."""
    n = len(family)
    hi, lo = np.zeros(n, np.uint64), np.zeros(n, np.uint64)
    for version, ranges, width, site_bits in ((4, RANGES_V4, 32, 16), (6, RANGES_V6, 64, 16)):
        rows = np.flatnonzero(family == version)
        which = rng.choice(len(ranges), len(rows), p=[odds for *_, odds in ranges])
        whole = rng.integers(0, 1 << width, len(rows), np.uint64)
        for number, (first, length, _) in enumerate(ranges):
            chosen = np.flatnonzero(which == number)
            free = width - length
            bits = whole[chosen] & np.uint64((1 << free) - 1)
            if number < len(ranges) - 1:
                site = rng.integers(0, 300, len(chosen), np.uint64) * np.uint64(0x9E3779B1)
                site = (site & np.uint64((1 << max(free - site_bits, 0)) - 1)) << np.uint64(site_bits)
                bits = site | (bits & np.uint64((1 << min(site_bits, free)) - 1))
            whole[chosen] = np.uint64(first) | bits
        if version == 4:
            lo[rows] = whole
        else:
            hi[rows], lo[rows] = whole, rng.integers(0, 1 << 16, len(rows), np.uint64)
    return hi, lo


def _group_sizes(rng: np.random.Generator, shape: Shape) -> npt.NDArray[np.int64]:
    """Configured rules of each group, at least one: log-normal, `rules` in all."""
    weight = np.exp(shape.spread * rng.standard_normal(shape.groups))
    ends = np.floor(np.cumsum(weight) / weight.sum() * (shape.rules - shape.groups) + 0.5).astype(np.int64)
    ends[-1] = shape.rules - shape.groups
    sizes: npt.NDArray[np.int64] = 1 + np.diff(ends, prepend=0)
    return sizes


def _popular(rng: np.random.Generator, groups: int, n: int) -> npt.NDArray[np.int64]:
    """Groups, a few of them often: the most popular tenth is drawn in almost half of the cases."""
    return rng.permutation(groups)[(groups * rng.random(n) ** 3).astype(np.int64)]


def _drawn(rng: np.random.Generator, odds: dict[int, float], n: int) -> npt.NDArray[np.int64]:
    weights = np.array(list(odds.values()))
    drawn: npt.NDArray[np.int64] = rng.choice(np.array(list(odds)), n, p=weights / weights.sum())
    return drawn


def _blocks(rng: np.random.Generator, family: npt.NDArray[np.uint8]) -> tuple[Halves, npt.NDArray[np.int64]]:
    """CIDR blocks: (networks, lengths)."""
    n = len(family)
    length = np.where(family == 4, _drawn(rng, LENGTHS_V4, n), _drawn(rng, LENGTHS_V6, n))
    hi, lo = random_addresses(rng, family)
    mask_hi, mask_lo = masks(family, length)
    return (hi & mask_hi, lo & mask_lo), length


def _prefix_lists(rng: np.random.Generator, shape: Shape) -> Blocks:
    """One list for every fifty groups, of 5 to 60 different blocks, none of them /0."""
    count = 0 if shape.prefix_lists == 0 else max(2 if shape.ipv6 else 1, min(shape.groups // 50, 1000))
    family = np.where(np.arange(count) < round(count * min(shape.ipv6 * 2, 1)), 6, 4).astype(np.uint8)
    sizes = rng.integers(5, 61, count)
    of_list = np.repeat(np.arange(count), sizes)
    (hi, lo), length = _blocks(rng, family[of_list])
    keep = length > 0
    key = np.stack([of_list.astype(np.uint64), hi, lo, length.astype(np.uint64)], axis=1)
    distinct = np.zeros(len(keep), np.bool_)
    distinct[np.unique(key, axis=0, return_index=True)[1]] = True
    keep &= distinct
    offsets = np.concatenate([[0], np.cumsum(np.bincount(of_list[keep], minlength=count))]).astype(np.int64)
    return Blocks(family, offsets, hi[keep], lo[keep], length[keep])


def _rules(
    rng: np.random.Generator,
    shape: Shape,
    sizes: npt.NDArray[np.int64],
    open_egress: npt.NDArray[np.bool_],
    lists: Blocks,
) -> tuple[Rules, npt.NDArray[np.int64]]:
    """The rules of all groups and where each group's begin; default egress rules stand last in their group."""
    extra = np.where(open_egress, 2 if shape.ipv6 > 0 else 1, 0)
    offsets = np.concatenate([[0], np.cumsum(sizes + extra)]).astype(np.int64)
    n = int(offsets[-1])
    group = np.repeat(np.arange(shape.groups), sizes + extra)
    number = np.arange(n) - offsets[group]
    rules = _independent(rng, shape, group, lists)
    _nest(rng, shape, rules, number, sizes[group], offsets[group])
    locked = ~open_egress if shape.default_egress else np.zeros(shape.groups, np.bool_)
    rules.direction[:] = np.where(locked[group] & (number % 3 == 2), EGRESS, INGRESS)
    default = np.flatnonzero(number >= sizes[group])
    columns: tuple[npt.NDArray[Any], ...] = rules
    for column, value in zip(columns, (EGRESS, CIDR, -1, 4, 0, 0, 0, -1, 0, 65535)):
        column[default] = value
    rules.family[default[number[default] > sizes[group[default]]]] = 6
    _tell_apart(rng, rules, group, default)
    return rules, offsets


def _independent(rng: np.random.Generator, shape: Shape, group: npt.NDArray[np.int64], lists: Blocks) -> Rules:
    """Rules of which none knows another."""
    n = len(group)
    drawn = rng.random(n)
    kind = np.where(
        drawn < shape.references, GROUP, np.where(drawn < shape.references + shape.prefix_lists, LIST, CIDR)
    )
    target = np.where(rng.random(n) < 0.2, group, _popular(rng, shape.groups, n))
    target = np.where(kind == GROUP, target, rng.integers(0, max(len(lists.family), 1), n))
    target = np.where(kind == CIDR, -1, target)
    family = np.where(rng.random(n) < shape.ipv6, 6, 4).astype(np.uint8)
    (hi, lo), length = _blocks(rng, family)
    listed = kind == LIST
    family[listed] = lists.family[target[listed]]
    family[kind == GROUP] = 4
    for column in (hi, lo, length):
        column[kind != CIDR] = 0
    style = rng.choice(3, n, p=SERVICE_ODDS)
    first = np.where(style == 0, rng.choice(COMMON_PORTS, n), rng.integers(1, 65536, n))
    last = np.where(style == 2, np.minimum(first + rng.integers(1, 3000, n), 65535), first)
    protocol = rng.choice([TCP, UDP, -1], n, p=PROTOCOL_ODDS)
    # nobody opens everything to half the world, or every flow would match
    protocol[(kind == CIDR) & (length < np.where(family == 4, 16, 44))] = TCP
    every = protocol < 0
    return Rules(
        np.zeros(n, np.uint8),
        kind.astype(np.uint8),
        target.astype(np.int32),
        family,
        hi,
        lo,
        length,
        protocol,
        np.where(every, 0, first),
        np.where(every, 65535, last),
    )


def _nest(
    rng: np.random.Generator,
    shape: Shape,
    rules: Rules,
    number: npt.NDArray[np.int64],
    size: npt.NDArray[np.int64],
    start: npt.NDArray[np.int64],
) -> None:
    """Move the later rules of each group into blocks of earlier ones, with their services, as people do.

    The first rules of a group stay; the others form `depth` levels, each inside the level before.
    """
    base = np.maximum(1, np.ceil(size * (1 - shape.nested)).astype(np.int64))
    rest = np.maximum(size - base, 1)
    if shape.depth > 1:
        _make_room(rules, np.flatnonzero((number < base) & (rules.kind == CIDR)), shape.depth)
    for level in range(shape.depth):
        begins, ends, before = (base - (-rest * step // shape.depth) for step in (level, level + 1, level - 1))
        rows = np.flatnonzero((number >= begins) & (number < np.minimum(ends, size)) & (rules.kind == CIDR))
        lowest = np.where((level > 0) & (before < begins), before, 0)[rows]
        highest = np.where(level > 0, begins, base)[rows]
        parent = start[rows] + lowest + (rng.random(len(rows)) * (highest - lowest)).astype(np.int64)
        inside = rules.kind[parent] == CIDR
        rows, parent = rows[inside], parent[inside]
        _narrow(rng, rules, rows, parent, rules.length[rows] if level == shape.depth - 1 else None)


def _make_room(rules: Rules, rows: npt.NDArray[np.int64], levels: int) -> None:
    """Shorten prefixes, so that blocks of so many levels fit into them."""
    family = rules.family[rows]
    length = np.minimum(rules.length[rows], np.maximum(np.where(family == 4, 31, 127) - levels, 0))
    mask_hi, mask_lo = masks(family, length)
    rules.length[rows] = length
    rules.hi[rows] &= mask_hi
    rules.lo[rows] &= mask_lo


def _narrow(
    rng: np.random.Generator,
    rules: Rules,
    rows: npt.NDArray[np.int64],
    parent: npt.NDArray[np.int64],
    length: npt.NDArray[np.int64] | None,
) -> None:
    """Make `rows` parts of their parents' blocks, at least two bits longer (one, where more levels follow)."""
    family = rules.family[parent]
    longest = np.where(family == 4, 32, 128)
    least = np.minimum(rules.length[parent] + (1 if length is None else 2), longest)
    made = least if length is None else np.clip(length, least, longest)
    hi, lo = fill(rng, family, (rules.hi[parent], rules.lo[parent]), rules.length[parent])
    mask_hi, mask_lo = masks(family, made)
    rules.family[rows], rules.length[rows] = family, made
    rules.hi[rows], rules.lo[rows] = hi & mask_hi, lo & mask_lo
    for column in (rules.protocol, rules.first, rules.last):
        column[rows] = column[parent]


def _tell_apart(
    rng: np.random.Generator, rules: Rules, group: npt.NDArray[np.int64], default: npt.NDArray[np.int64]
) -> None:
    """Give rules that say what another one of their group says another port: AWS refuses duplicates."""
    changeable = np.ones(len(group), np.bool_)
    changeable[default] = False
    while True:
        key = group.astype(np.uint64)
        for column in rules:
            key = (key ^ column.astype(np.int64).view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
            key ^= key >> np.uint64(29)
        again = np.ones(len(key), np.bool_)
        again[np.unique(key, return_index=True)[1]] = False
        rows = np.flatnonzero(again & changeable)
        if not len(rows):
            return
        rules.protocol[rows] = rng.choice([TCP, UDP], len(rows))
        rules.first[rows] = rules.last[rows] = rng.integers(1, 65536, len(rows))


def _carried(rng: np.random.Generator, shape: Shape) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The groups of each interface: its own, one of the less used, and popular ones beside it."""
    n, most = shape.interfaces, min(shape.most_groups, shape.groups)
    count = _drawn(rng, {size: odds for size, odds in GROUPS_OF_INTERFACE.items() if size <= most}, n)
    interface = np.repeat(np.arange(n), count)
    own = rng.permutation(n) % shape.groups
    group = _popular(rng, shape.groups, len(interface))
    group[np.cumsum(count) - count] = own
    pairs = np.unique(interface * shape.groups + group)
    sizes: Any = np.bincount(pairs // shape.groups, minlength=n)
    return pairs % shape.groups, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
