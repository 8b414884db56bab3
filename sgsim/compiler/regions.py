"""Cuts tables that are too large for a page into regions, each with a page of its own and a node above it.

The blocks of a table are nested or disjoint. A block with more rules in and below it than a page holds becomes a node;
what is left hangs in small subtrees below nodes, and neighbours among these share a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Block", "Partition", "blocks_of", "partition"]


class Block(NamedTuple):
    """A distinct block of a table: addresses `first` to `last`; its own rules are rows `row` to `own`, and those in
    it and in blocks inside it rows `row` to `end`, in order of (first, length).
    """

    first: int
    last: int
    row: int
    own: int
    end: int


class Partition(NamedTuple):
    """Regions as (last address, page or -1, node or -1); pages as (first row, last row + 1); nodes as (parent,
    first row, last row + 1). Numbers count from 0 in this table.
    """

    regions: list[tuple[int, int, int]]
    pages: list[tuple[int, int]]
    nodes: list[tuple[int, int, int]]


def partition(blocks: Sequence[Block], highest: int, largest_page: int) -> Partition:
    """Cut a table; `blocks` in order of (first, length), `highest` the last address of the family.

    A page holds at most `largest_page` rules; with 0 every block becomes a node.
    """
    regions: list[tuple[int, int, int]] = []
    pages: list[tuple[int, int]] = []
    nodes: list[tuple[int, int, int]] = []
    around: list[tuple[int, int]] = [(highest, -1)]  # (last address, node), innermost last
    done = -1  # the last address that is in a region

    def close(before: int) -> None:
        nonlocal done
        while around and around[-1][0] < before:
            last, node = around.pop()
            if done < last:
                regions.append((last, -1, node))
                done = last

    def fill(until: int) -> None:
        nonlocal done
        if done < until:
            regions.append((until, -1, around[-1][1]))
            done = until

    index = 0
    while index < len(blocks):
        block = blocks[index]
        close(block.first)
        fill(block.first - 1)
        if block.end - block.row > largest_page:
            nodes.append((around[-1][1], block.row, block.own))
            around.append((block.last, len(nodes) - 1))
            index += 1
            continue
        first_row, inside, last, end = block.row, around[-1][0], block.last, block.end
        while index < len(blocks):
            following = blocks[index]
            if following.first > inside or following.end - first_row > largest_page:
                break
            if following.row >= end:  # a neighbour, not a block inside the last one
                last, end = following.last, following.end
            index += 1
        regions.append((last, len(pages), around[-1][1]))
        pages.append((first_row, end))
        done = last
    close(highest + 1)
    return Partition(regions, pages, nodes)


def blocks_of(
    first: Sequence[int], last: Sequence[int], length: npt.NDArray[np.uint8], ends: Sequence[int]
) -> list[Block]:
    """The distinct blocks of rows in order of (first, length); `ends` is where each row's subtree ends."""
    blocks = []
    row = 0
    while row < len(first):
        own = row + 1
        while own < len(first) and first[own] == first[row] and length[own] == length[row]:
            own += 1
        blocks.append(Block(first[row], last[row], row, own, ends[row]))
        row = own
    return blocks
