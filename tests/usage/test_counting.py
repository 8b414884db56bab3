"""Peers, windows, covers and minimal sets, each against something slower and plainer (docs/usage.md)."""

from __future__ import annotations

from itertools import combinations
from random import Random

import netaddr
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgsim.analysis.minimal import minimal
from sgsim.analysis.usage_cover import cover_cidrs, cover_ports
from sgsim.analysis.usage_peers import EXACT, REGISTERS, Peers, estimate, sketch
from sgsim.analysis.usage_window import Coverage, Gap
from sgsim.model import Cidr, parse_cidr

LOW = (1 << 64) - 1
HOUR, DAY = 3600, 86_400


def added(peers: Peers, family: int, values: list[int], pieces: int = 3) -> Peers:
    """The peers after addresses were added in some pieces."""
    for part in np.array_split(np.arange(len(values)), pieces):
        chosen = [values[n] for n in part.tolist()]
        peers.add(
            family,
            np.array([value >> 64 for value in chosen], np.uint64),
            np.array([value & LOW for value in chosen], np.uint64),
        )
    return peers


# -- peers -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [4, 6])
def test_few_peers_are_exact(family: int) -> None:
    rng = Random(family)
    values = [rng.getrandbits(32 if family == 4 else 128) for _ in range(EXACT)]
    peers = added(Peers(), family, values * 2, 7)
    assert peers.exact and peers.count == len(set(values))
    assert [cidr.network for cidr in peers.cidrs()] == sorted(set(values))


@pytest.mark.parametrize(("family", "n"), [(4, 1025), (4, 5_000), (4, 20_000), (6, 50_000), (4, 1_000_000)])
def test_many_peers_are_estimated(family: int, n: int) -> None:
    """Within four standard errors of 1.6 %, however the addresses are distributed, in few blocks that hold them all."""
    rng = np.random.default_rng(n)
    for values in (np.arange(n, dtype=np.uint64), rng.integers(0, 1 << 32, n, np.uint64)):
        lo = values + np.uint64(0x0A000000) if family == 4 else values << np.uint64(20)
        lo = lo & np.uint64(0xFFFFFFFF) if family == 4 else lo
        hi = np.zeros_like(lo) if family == 4 else lo * np.uint64(977)
        peers = Peers()
        for part in np.array_split(np.arange(n), 5):
            peers.add(family, hi[part], lo[part])
        exact = len(np.unique(lo if family == 4 else hi ^ lo))
        assert not peers.exact
        assert abs(peers.count / exact - 1) < 4 * 1.04 / REGISTERS**0.5
        blocks = peers.cidrs()
        assert len(blocks) <= EXACT and blocks == sorted(blocks)
        firsts = [block.network for block in blocks]
        for n_ in rng.integers(0, n, 200).tolist():
            value = int(hi[n_]) << 64 | int(lo[n_])
            at = int(np.searchsorted(np.array(firsts, object), value, side="right")) - 1
            assert firsts[at] <= value <= blocks[at].last


def test_both_families_share_one_count() -> None:
    values = list(range(900))
    peers = added(added(Peers(), 4, values), 6, values)
    assert not peers.exact or peers.count == 1800
    assert abs(peers.count / 1800 - 1) < 0.07


def test_sketches_do_not_depend_on_order() -> None:
    values = np.arange(3000, dtype=np.uint64)
    first, second = np.zeros(REGISTERS, np.uint8), np.zeros(REGISTERS, np.uint8)
    sketch(first, 4, np.zeros_like(values), values)
    for value in values[::-1]:
        sketch(second, 4, np.zeros(1, np.uint64), np.array([value]))
    assert (first == second).all() and estimate(np.zeros(REGISTERS, np.uint8)) == 0


# -- covers ------------------------------------------------------------------------------------------------------------

NETWORK = 0x0A000000


def best_cover(values: set[int], most: int, bits: int = 4) -> int:
    """The fewest addresses of a /28 that at most so many blocks hold, by trying all sets of blocks."""
    blocks = [range(start, start + (1 << size)) for size in range(bits + 1) for start in range(0, 1 << bits, 1 << size)]
    useful = [set(block) for block in blocks if values & set(block)]
    return min(
        len(set().union(*chosen))
        for count in range(1, most + 1)
        for chosen in combinations(useful, count)
        if values <= set().union(*chosen)
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sets(st.integers(0, 15), min_size=1, max_size=9), st.integers(1, 3))
def test_cover_is_the_tightest(values: set[int], most: int) -> None:
    cover = cover_cidrs([Cidr(4, NETWORK + value, 32) for value in values], most)
    held = [value for cidr in cover for value in range(cidr.network, cidr.last + 1)]
    assert len(cover) <= most and {NETWORK + value for value in values} <= set(held)
    assert len(held) == len(set(held)) == best_cover(values, most)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, (1 << 32) - 1), st.integers(8, 32)), min_size=1, max_size=12))
def test_with_enough_blocks_the_cover_is_exact(pairs: list[tuple[int, int]]) -> None:
    """netaddr merges the same blocks."""
    cidrs = [Cidr(4, value >> (32 - length) << (32 - length), length) for value, length in pairs]
    merged = netaddr.cidr_merge([netaddr.IPNetwork(str(cidr)) for cidr in cidrs])
    assert [str(cidr) for cidr in cover_cidrs(cidrs, 12)] == [str(network) for network in merged]


def test_families_are_covered_apart() -> None:
    texts = ["10.0.0.0/32", "10.0.0.3/32", "2001:db8::/128", "2001:db8::1/128"]
    assert list(map(str, cover_cidrs(map(parse_cidr, texts), 1))) == ["10.0.0.0/30", "2001:db8::/127"]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sets(st.integers(0, 20), min_size=1, max_size=9), st.integers(1, 4))
def test_ranges_are_the_tightest(ports: set[int], most: int) -> None:
    ranges = cover_ports(ports, most)
    held = [port for first, last in ranges for port in range(first, last + 1)]
    assert len(ranges) <= most and ports <= set(held) and len(held) == len(set(held))
    ordered = sorted(ports)
    fewest = min(
        sum(part[-1] - part[0] + 1 for part in (ordered[a:b] for a, b in zip((0, *cuts), (*cuts, len(ordered)))))
        for count in range(min(most, len(ordered)))
        for cuts in combinations(range(1, len(ordered)), count)
    )
    assert len(held) == fewest


# -- what can go together ----------------------------------------------------------------------------------------------


def test_the_smallest_set_is_the_smallest() -> None:
    """Fewest rules, then the narrowest, by trying all: 1500 random problems."""
    rng = Random(1)
    for _ in range(1500):
        n = rng.randint(1, 9)
        sets = [frozenset(rng.sample(range(n), rng.randint(1, min(4, n)))) for _ in range(rng.randint(1, 8))]
        width = [rng.randint(0, 40) for _ in range(n)]
        candidates = {rule for rule in range(n) if rng.random() < 0.8}
        found = minimal(sets, candidates, width)
        asked = [rules for rules in sets if rules <= candidates]
        best = min(
            (count, sum(width[rule] for rule in chosen))
            for count in range(len(candidates) + 1)
            for chosen in combinations(sorted(candidates), count)
            if all(rules.intersection(chosen) for rules in asked)
        )
        assert found.exact and found.kept <= candidates
        assert all(rules & found.kept for rules in asked)
        assert (len(found.kept), sum(width[rule] for rule in found.kept)) == best


def test_where_that_takes_too_long_no_single_rule_can_go() -> None:
    rng = Random(2)
    for rules_, sets_ in ((300, 900), (1500, 2500)):
        sets = {frozenset(rng.sample(range(rules_), rng.randint(2, 6))) for _ in range(sets_)}
        found = minimal(sets, range(rules_), [rng.randint(0, 40) for _ in range(rules_)])
        assert not found.exact and all(rules & found.kept for rules in sets)
        alone = {next(iter(hit)) for hit in (rules & found.kept for rules in sets) if len(hit) == 1}
        assert alone == found.kept


def test_the_choice_does_not_depend_on_order() -> None:
    rng = Random(3)
    sets = [tuple(sorted(rng.sample(range(40), 3))) for _ in range(60)]
    first = minimal(sets, range(40), [1] * 40)
    assert first == minimal(sets[::-1], list(range(40))[::-1], [1] * 40)


# -- when --------------------------------------------------------------------------------------------------------------


def window_of(*seconds: int) -> Coverage:
    coverage = Coverage()
    for second in seconds:
        coverage.add(np.array([second]), np.array([second + 5]))
    return coverage


def test_window_days_and_gaps() -> None:
    start = 20_000 * DAY
    window = window_of(start + 10 * HOUR, start + 9 * HOUR, start + 2 * DAY, start + 2 * DAY + 4000).window()
    assert (window.start, window.end) == (start + 9 * HOUR, start + 2 * DAY + 4005)
    assert (window.days, window.days_seen, window.records) == (3, 2, 4)
    assert window.gaps == (Gap(start + 10 * HOUR + 600, start + 2 * DAY),)


def test_no_record_no_window() -> None:
    window = Coverage().window()
    assert (window.start, window.records, window.days, window.seconds, window.gaps) == (None, 0, 0, 0, ())


def test_steady_traffic_has_no_gap() -> None:
    assert window_of(*range(0, 3 * DAY, 550)).window().gaps == ()


def test_times_from_anywhere_take_bounded_memory() -> None:
    coverage = Coverage()
    times = np.random.default_rng(5).integers(0, 1 << 40, 300_000)
    coverage.add(times, times)
    assert len(coverage._slots) <= 1 << 18 >= len(coverage._days)
    assert coverage.window().records == 300_000
