"""docs/environment.md says what the importer knows."""

from __future__ import annotations

import re
from pathlib import Path

from sgsim.importers.aws_json import COLLECTION_KEY, LIST_KEYS
from sgsim.importers.collect import CALLS, ENTRIES
from sgsim.importers.directory_json import DIRECTORY_KEYS

PAGE = Path(__file__).parents[2] / "docs/environment.md"


def test_every_recognised_key_is_in_the_table() -> None:
    table = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert {key for cell in table for key in re.findall(r"`(\w+)`", cell)} == {
        *LIST_KEYS,
        *DIRECTORY_KEYS,
        "Entries",
        COLLECTION_KEY,
    }


def test_the_shell_commands_ask_what_collect_asks() -> None:
    text = PAGE.read_text()
    loop = re.search(r"for call in (.*?); do", text, re.DOTALL)
    assert loop is not None
    assert [f"describe-{name}" for name in loop[1].replace("\\", " ").split()] == [call.name for call in CALLS]
    assert f"aws ec2 {ENTRIES.name} --prefix-list-id $id" in text
