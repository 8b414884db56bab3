"""Damaged exports and requests: an error of one line or an environment, never anything else."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from sgsim.errors import EnvironmentInputError, SgsimError
from sgsim.importers import read_environment
from sgsim.importers.changes import read_changes
from sgsim.importers.write import write_environment
from sgsim.model.apply import apply
from sgsim.model.difference import difference, inverse
from tests.directory.support import organization
from tests.directory.test_changes import MAKES, REFUSED
from tests.directory.test_sharing import MAKES as SHARING
from tests.importers.test_mutations import ODD_VALUES, places

SHOP = Path(__file__).parents[2] / "pcaps" / "shop"
NAMES = ("account-authorization-details", "access-keys", "password-policy", "images", "snapshots", "ami-", "snap-")


def mutated(document: Any, chance: random.Random) -> Any:
    """A copy with one to three values replaced, removed or moved to where another is."""
    copy = json.loads(json.dumps(document))
    for _ in range(chance.randint(1, 3)):
        found = places(copy)
        if not found:
            return copy
        *outer, last = chance.choice(found)
        holder = copy
        for key in outer:
            holder = holder[key]
        action = chance.random()
        if action < 0.3:
            del holder[last]
        elif action < 0.8:
            holder[last] = chance.choice(ODD_VALUES)
        else:
            other: Any = copy
            for key in chance.choice(found):
                if isinstance(other, (dict, list)):
                    try:
                        other = other[key]
                    except (KeyError, IndexError, TypeError):
                        break
            holder[last] = json.loads(json.dumps(other))
    return copy


@pytest.mark.parametrize("seed", range(8))
def test_damaged_exports(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    sound = {path.name: json.loads(path.read_text()) for path in SHOP.iterdir() if path.name.startswith(NAMES)} | {
        "organization.json": {key: value for one in organization() for key, value in one.items()}
    }
    for name, document in sound.items():
        (tmp_path / name).write_text(json.dumps(document))
    refused = written = 0
    for number in range(120):
        name = chance.choice(sorted(sound))
        (tmp_path / name).write_text(json.dumps(mutated(sound[name], chance)))
        try:
            environment = read_environment(tmp_path)
        except EnvironmentInputError as error:
            refused += 1
            assert "\n" not in str(error) and str(error).isprintable() and str(tmp_path) in str(error)
        else:
            if number % 10 == 0:
                write_environment(environment, tmp_path.parent / f"written-{seed}-{number}")
                written += 1
        (tmp_path / name).write_text(json.dumps(sound[name]))
    assert refused > 20 and written > 0


@pytest.mark.parametrize("seed", range(6))
def test_damaged_requests(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    shop = read_environment(SHOP)
    sound = [one for requests, *_ in (*MAKES, *REFUSED) for one in requests] + [one for one, *_ in SHARING]
    sound = [one for one in sound if "LoginProfile" not in one["Action"]]
    file = tmp_path / "c.json"
    made = 0
    for _ in range(150):
        request = chance.choice(sound)
        file.write_text(json.dumps(mutated(request, chance) if chance.random() < 0.8 else request))
        try:
            changes = read_changes(file, shop)
            after = apply(shop, changes)
        except SgsimError as error:
            assert "\n" not in str(error) and str(error).isprintable()
            continue
        made += 1
        assert difference(apply(after, inverse(shop, changes)), shop).changes == ()
    assert made > 5
