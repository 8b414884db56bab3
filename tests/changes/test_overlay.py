"""Overlay: a dict with copies would behave the same, at any moment of a random history."""

from __future__ import annotations

import pickle
from random import Random

import pytest

from sgsim.model import overlay as module
from sgsim.model.overlay import Overlay, changed_keys


def keys_of(value: int) -> frozenset[int]:
    return frozenset({value % 3, value % 5})


def members(mapping: dict[str, int], key: int) -> list[int]:
    return sorted(value for value in mapping.values() if key in keys_of(value))


@pytest.mark.parametrize("seed", range(30))
def test_history_equals_that_of_a_dict(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every version keeps its content, length, index and equality; patches are merged into new bases."""
    monkeypatch.setattr(module, "_SMALL_PATCH", 5)
    monkeypatch.setattr(module, "_FRACTION", 4)
    rng = Random(seed)
    start = {f"k{n}": rng.randrange(100) for n in range(rng.randint(0, 30))}
    versions = [(Overlay(start), dict(start))]
    for _ in range(60):
        overlay, twin = versions[rng.randrange(len(versions))]
        names = [f"k{rng.randrange(40)}" for _ in range(3)]
        put = {name: rng.randrange(100) for name in names[: rng.randint(0, 2)]}
        gone = [name for name in names if name not in put and rng.random() < 0.5]
        if rng.random() < 0.3:
            list(overlay.having(keys_of, 1))
        versions.append((overlay.changed(put, gone), {k: v for k, v in twin.items() if k not in gone} | put))
    for overlay, twin in versions:
        assert overlay == twin and twin == overlay and len(overlay) == len(twin) == len(list(overlay))
        assert all(overlay.get(f"k{n}") == twin.get(f"k{n}") for n in range(40))
        assert all((f"k{n}" in overlay) == (f"k{n}" in twin) for n in range(40))
        for key in range(5):
            assert sorted(overlay.having(keys_of, key)) == members(twin, key)
        assert pickle.loads(pickle.dumps(overlay)) == twin
    for overlay, twin in versions[::7]:
        for other, other_twin in versions[::5]:
            expected = sorted(k for k in {*twin, *other_twin} if twin.get(k) != other_twin.get(k))
            assert changed_keys(overlay, other) == expected


def test_missing_names_are_key_errors() -> None:
    overlay = Overlay({"a": 1}).changed({"b": 2}, ["a"])
    for name in ("a", "c"):
        with pytest.raises(KeyError):
            overlay[name]
    assert overlay["b"] == 2 and overlay.changed({}, ["c"]) == overlay


def test_order() -> None:
    """As in the base, then what was added: an interface that stays keeps its number."""
    overlay = Overlay({"c": 1, "a": 2, "b": 3}).changed({"d": 4, "a": 5}, ["b"])
    assert list(overlay) == ["c", "a", "d"] and list(overlay.values()) == [1, 5, 4]


def test_a_change_shares_the_base() -> None:
    """Nothing is copied: ten thousand versions of a large mapping have one base until the patch outgrows it."""
    base = {f"k{n}": n for n in range(100_000)}
    overlay = Overlay(base)
    for n in range(200):
        overlay = overlay.changed({f"k{n}": -n})
    assert overlay._base.entries is base and overlay["k7"] == -7 and base["k7"] == 7
