"""Damaged files of changes: a typed error of one line or a change set that applies or is refused, nothing else."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from sgsim.errors import ChangeError, ChangeInputError, EnvironmentInputError
from sgsim.importers.changes import read_changes
from sgsim.model.apply import apply
from tests.changes.support import account
from tests.changes.test_cloudtrail import BROKEN, NEW_RULE, OPENED, PERMISSIONS, event
from tests.changes.test_requests import READ
from tests.importers.test_mutations import damaged, places, swapped

REQUESTS: list[Any] = [document for document, _ in READ]
TRAIL: Any = {
    "Records": [
        OPENED,
        *(broken for broken, _ in BROKEN[:4]),
        event("RevokeSecurityGroupIngress", {"groupId": "sg-web"},
              {"revokedSecurityGroupRuleSet": {"items": [NEW_RULE]}}),
        event("AuthorizeSecurityGroupEgress", {"groupId": "sg-db", "ipPermissions": PERMISSIONS}, None, 3),
        event("ModifyNetworkInterfaceAttribute", {"networkInterfaceId": "eni-web", "groupSet": {"items": []}}, None, 4),
        event("RunInstances", {}, {"instancesSet": {"items": [{"instanceId": "i", "networkInterfaceSet": {"items": [
            {"networkInterfaceId": "eni-0", "groupSet": {"items": [{"groupId": "sg-web"}]}}]}}]}}, 5),
    ]
}  # fmt: skip


def run(path: Path, data: bytes) -> bool:
    """Whether the file gave changes; any error must be one printable line with a place."""
    path.write_bytes(data)
    try:
        changes = read_changes(path, account())
        assert all("\n" not in note and note.isprintable() for note in changes.notes)
        apply(account(), changes)
    except (ChangeInputError, ChangeError, EnvironmentInputError) as error:
        text = str(error)
        assert "\n" not in text and "\x1b" not in text and len(text) < 1500
        text.encode()
        return False
    return True


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("document", [REQUESTS, TRAIL], ids=["requests", "trail"])
def test_damaged_changes(tmp_path: Path, seed: int, document: Any) -> None:
    """Eight times 250 files, half with values swapped, half with bytes damaged."""
    chance = random.Random(seed)
    outcomes = []
    for number in range(250):
        if number % 2:
            spoiled = [chance.choice(REQUESTS)] if document is REQUESTS else document
            for _ in range(chance.randrange(1, 4)):
                if places(spoiled):
                    spoiled = swapped(spoiled, chance)
            data = json.dumps(spoiled).encode()
        else:
            data = damaged(json.dumps([chance.choice(REQUESTS)] if document is REQUESTS else document).encode(), chance)
        outcomes.append(run(tmp_path / "changes.json", data or b"{"))
    assert 0 < sum(outcomes) < 250
