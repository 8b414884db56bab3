"""Sets of integers: every operation is that of Python's sets, in one form."""

from __future__ import annotations

import netaddr
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sgsim.intervals import EMPTY, Intervals, union_of

END = 40
ranges = st.lists(st.tuples(st.integers(0, END - 1), st.integers(0, END - 1)), max_size=8)
laws = settings(max_examples=150, derandomize=True, deadline=None)


def members(value: Intervals) -> set[int]:
    return {number for first, last in value for number in range(first, last + 1)}


@laws
@given(ranges, ranges)
def test_algebra_is_that_of_sets(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    a, b = Intervals.of(one), Intervals.of(other)
    x = {number for first, last in one for number in range(first, last + 1)}
    y = {number for first, last in other for number in range(first, last + 1)}
    assert members(a) == x
    for made, expected in ((a | b, x | y), (a & b, x & y), (a - b, x - y), (a.complement(END), set(range(END)) - x)):
        assert members(made) == expected
        assert made.size == len(expected) and bool(made) is bool(expected)
        assert all(low < high for low, high in zip(made.bounds, made.bounds[1:])), "one form"
    assert (a <= b) is (x <= y)
    assert (a == b) is (x == y) and (hash(a) == hash(b) or x != y)
    assert union_of((a, b, EMPTY)) == a | b
    assert all((number in a) is (number in x) for number in range(-1, END + 1))


@laws
@given(ranges, st.integers(0, END), st.integers(0, END))
def test_questions_of_ranges(one: list[tuple[int, int]], first: int, end: int) -> None:
    a = Intervals.of(one)
    x = members(a)
    part = set(range(first, end))
    assert members(a.clip(first, end)) == x & part
    if first < end:
        assert a.overlaps(first, end) is bool(x & part)
    values = np.arange(END + 1)
    assert a.contain(values).tolist() == [number in x for number in values.tolist()]
    if one:
        low, high = (np.array(column) for column in zip(*((min(r), max(r)) for r in one)))
        assert Intervals.of_arrays(low, high) == Intervals.of([(min(r), max(r)) for r in one])


@laws
@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 4000)), max_size=4))
def test_blocks_are_netaddrs(starts: list[tuple[int, int]]) -> None:
    """The fewest blocks, as netaddr merges them."""
    value = Intervals.of([(first, min(first + length, 2**32 - 1)) for first, length in starts])
    merged = netaddr.cidr_merge([netaddr.IPRange(first, last) for first, last in value])
    assert list(value.blocks(32)) == [(block.first, block.prefixlen) for block in merged]


def test_wide_addresses() -> None:
    everything = Intervals((0, 1 << 128))
    assert list(everything.blocks(128)) == [(0, 0)]
    assert everything.size == 1 << 128
    assert next((everything - Intervals.of([(0, 0)])).blocks(128)) == (1, 128)
    assert Intervals.of_arrays(np.array([]), np.array([])) == EMPTY
