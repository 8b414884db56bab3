"""Addresses and ports that nothing tells apart: classes are told apart by the bounds, all of them and no more."""

from __future__ import annotations

from random import Random

import numpy as np

from sgsim.engine.logs.classes import classes_of
from sgsim.kernels.joining_questions import question_keys
from sgsim.kernels.tracking_layout import KEY_WORDS
from sgsim.model import Address, Environment, NetworkInterface, Semantics


def crowded(rng: Random) -> Environment:
    """Interfaces next to each other, some to a /24 and some to a /16, and some alone."""
    near = {10 << 24 | rng.randrange(1 << 8) for _ in range(60)}
    far = {10 << 24 | 1 << 16 | rng.randrange(1 << 16) for _ in range(60)}
    alone = {rng.randrange(1 << 32) for _ in range(60)} | {0, (1 << 32) - 1}
    cards = [NetworkInterface(f"eni-{n}", (Address(4, value),)) for n, value in enumerate(sorted(near | far | alone))]
    return Environment(interfaces={card.interface_id: card for card in cards})


def test_classes_of_addresses_are_the_number_of_bounds_below() -> None:
    for seed in range(5):
        rng = Random(seed)
        classes = classes_of(crowded(rng), Semantics())
        edges = np.clip(np.concatenate([classes.bounds + change for change in (-1, 0, 1)]), 0, (1 << 32) - 1)
        addresses = np.concatenate([edges, [rng.randrange(1 << 32) for _ in range(2000)]]).astype(np.int64)
        keys = np.zeros((len(addresses), KEY_WORDS), np.uint64)
        keys[:, 1] = keys[::-1, 3] = addresses.astype(np.uint64)
        found = np.empty_like(keys)
        question_keys(keys, 2 * np.arange(len(keys), dtype=np.int32), False, classes, found)
        expected = np.searchsorted(classes.bounds, addresses, side="right")
        assert found[:, 1].tolist() == expected.tolist()
        assert found[::-1, 3].tolist() == expected.tolist()
        assert (classes.finer[: 1 << 16] > 0).any() and (classes.finer[(1 << 16) + 1 :] > 0).any()
