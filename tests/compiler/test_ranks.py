"""Ranks order ids however they come, until there is no room; ids that come in order have room for long."""

from __future__ import annotations

from random import Random

import pytest

from sgsim.compiler.ranks import Ranks, first_ranks

FIRST = [f"sgr-{number:04d}" for number in range(500)]


def ranked(ids: list[str]) -> tuple[list[str], int]:
    """The ids in the order of their ranks, and how many of the new ones had room."""
    first = first_ranks(FIRST)
    ranks, numbers = Ranks(FIRST, first), dict(zip(FIRST, first.tolist()))
    for count, name in enumerate(ids):
        rank = ranks.add(name)
        if rank is None:
            return sorted(numbers, key=numbers.__getitem__), count
        assert rank not in numbers.values() or len(numbers) > 2000
        numbers[name] = rank
    assert len(set(numbers.values())) == len(numbers)
    return sorted(numbers, key=numbers.__getitem__), len(ids)


@pytest.mark.parametrize("place", ["sgr-0250", "sgr-9", "a"])
@pytest.mark.parametrize("order", ["ascending", "descending", "random"])
def test_between_two_before_all_and_after_all(place: str, order: str) -> None:
    ids = [f"{place}-{number:05d}" for number in range(3000)]
    if order == "descending":
        ids.reverse()
    if order == "random":
        Random(1).shuffle(ids)
    found, room = ranked(ids)
    assert room == len(ids) and found == sorted([*FIRST, *ids])


def test_no_room_is_said() -> None:
    """Always between the last two."""
    low, high, ids = "m", "n", []
    for number in range(200):
        middle = low + ("a" if number % 2 else "z")
        ids.append(middle)
        low, high = (middle, high) if number % 2 else (low, middle)
    found, room = ranked(ids)
    assert found == sorted([*FIRST, *ids[:room]]) and 20 < room < len(ids)
