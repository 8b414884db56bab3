"""The example in pcaps/ is what its script writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PCAPS = Path(__file__).parents[2] / "pcaps"


def test_script_reproduces_the_example_byte_for_byte(tmp_path: Path) -> None:
    subprocess.run([sys.executable, PCAPS / "make_shop.py", tmp_path], check=True, timeout=120)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    kept = {
        path.relative_to(PCAPS): path.read_bytes()
        for path in [PCAPS / "shop.pcap", PCAPS / "app-1.pcapng", *(PCAPS / "shop").iterdir()]
    }
    assert made.keys() == kept.keys()
    assert [str(name) for name in made if made[name] != kept[name]] == []


def test_script_reproduces_the_trail_byte_for_byte(tmp_path: Path) -> None:
    subprocess.run([sys.executable, PCAPS / "make_changes.py", tmp_path], check=True, timeout=120)
    assert (tmp_path / "trail.json").read_bytes() == (PCAPS / "shop-changes" / "trail.json").read_bytes()
