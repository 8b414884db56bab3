"""The tightest cover of addresses by a few blocks, and of ports by a few ranges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import netaddr

from sgsim.model import Cidr, PortRange

__all__ = ["cover_cidrs", "cover_ports"]

_WIDTH = {4: 32, 6: 128}

#: For 1, 2, … blocks: how many addresses they hold, and the blocks; never more blocks than make a difference.
Covers = list[tuple[int, tuple[Cidr, ...]]]


def cover_cidrs(cidrs: Iterable[Cidr], most: int) -> tuple[Cidr, ...]:
    """At most `most` blocks of each family that hold all the given ones, with as few other addresses as possible.

    The blocks of a family are leaves of a binary tree; the best *k* blocks below a node are the best *i* on its left
    and *k - i* on its right, or the node itself.
    """
    given, found = list(cidrs), list[Cidr]()
    for family in (4, 6):
        merged = netaddr.cidr_merge(
            [
                netaddr.IPNetwork((cidr.network, cidr.prefix_length), version=family)
                for cidr in given
                if cidr.family == family
            ]
        )
        blocks = [Cidr(family, int(network.first), int(network.prefixlen)) for network in merged]
        if blocks:
            found += _best(blocks, most)[-1][1] if len(blocks) > most else blocks
    return tuple(found)


def _best(blocks: Sequence[Cidr], most: int) -> Covers:
    """The best covers of sorted disjoint blocks by 1 … `most` blocks."""
    node = _spanning(blocks[0], blocks[-1])
    if len(blocks) == 1:
        return [(_size(node), (node,))]
    middle = node.network + (1 << (_WIDTH[node.family] - node.prefix_length - 1))
    cut = next(n for n, block in enumerate(blocks) if block.network >= middle)
    left, right = _best(blocks[:cut], most), _best(blocks[cut:], most)
    covers: Covers = [(_size(node), (node,))]
    for count in range(2, min(most, len(left) + len(right)) + 1):
        choices = range(max(1, count - len(right)), min(len(left), count - 1) + 1)
        i = min(choices, key=lambda i: left[i - 1][0] + right[count - i - 1][0])
        (a, on_left), (b, on_right) = left[i - 1], right[count - i - 1]
        covers.append((a + b, on_left + on_right))
    return covers


def _spanning(first: Cidr, last: Cidr) -> Cidr:
    """The smallest block that holds both."""
    width = _WIDTH[first.family]
    length = min(width - (first.network ^ last.network).bit_length(), first.prefix_length, last.prefix_length)
    shift = width - length
    return Cidr(first.family, first.network >> shift << shift, length)


def _size(block: Cidr) -> int:
    return 1 << (_WIDTH[block.family] - block.prefix_length)


def cover_ports(ports: Iterable[int], most: int) -> tuple[PortRange, ...]:
    """At most `most` ranges that hold all ports, with as few others as possible: the widest gaps stay open."""
    ordered = sorted(set(ports))
    if not ordered:
        return ()
    gaps = sorted(range(1, len(ordered)), key=lambda n: (ordered[n - 1] - ordered[n] + 1, n))[: most - 1]
    starts = [0, *sorted(n for n in gaps if ordered[n] - ordered[n - 1] > 1)]
    return tuple(
        PortRange(ordered[start], ordered[stop - 1]) for start, stop in zip(starts, [*starts[1:], len(ordered)])
    )
