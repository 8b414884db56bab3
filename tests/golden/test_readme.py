"""What README.md shows is what the tool prints.

`SGSIM_UPDATE_GOLDEN=1 pytest tests/golden` writes real output into its console blocks.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sgsim.cli.main import run

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
CONSOLE = re.compile(r"^```console\n\$ (sgsim .*)\n((?:.*\n)*?)```$", re.MULTILINE)
PYTHON = re.compile(r"^```python\n((?:.*\n)*?)```$", re.MULTILINE)
COMMANDS = [match[1] for match in CONSOLE.finditer(README.read_text())]


@pytest.fixture(autouse=True)
def _at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def printed(command: str) -> str:
    """What the command prints; what stands behind a `|` is left to a shell."""
    ours, _, rest = command.partition(" | ")
    output = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    with contextlib.redirect_stdout(output):
        assert run(shlex.split(ours)[1:]) == 0
    text = output.buffer.getvalue()  # type: ignore[attr-defined]
    if rest:
        text = subprocess.run(["sh", "-c", rest], input=text, capture_output=True, check=True, timeout=60).stdout
    return text.decode()


@pytest.mark.parametrize("command", COMMANDS)
def test_console_blocks_are_real(command: str) -> None:
    text, real = README.read_text(), printed(command)
    if os.environ.get("SGSIM_UPDATE_GOLDEN"):
        text = CONSOLE.sub(
            lambda block: f"```console\n$ {command}\n{real}```" if block[1] == command else block[0], text
        )
        README.write_text(text)
    (shown,) = [block[2] for block in CONSOLE.finditer(text) if block[1] == command]
    assert shown == real


def test_there_is_an_example_of_each_verb() -> None:
    assert {command.split()[1] for command in COMMANDS} >= {"replay", "explain"}


def test_python_example_runs() -> None:
    (code,) = [block[1] for block in PYTHON.finditer(README.read_text())]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout == "54 of 964 packets rejected\n"


def test_what_it_links_to_exists() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text()):
        assert (ROOT / target).exists(), target
