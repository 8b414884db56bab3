"""Traffic of any length is made in the same memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import resource, sys
from sgsim.cli.main import run
options = ["--traffic", "/dev/null", "--traffic-format", sys.argv[2], "--flows", sys.argv[3]]
assert run(["generate", sys.argv[1], *options]) == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def kilobytes(format_: str, flows: str) -> int:
    account = Path(__file__).parents[2] / "pcaps" / "shop"
    command = [sys.executable, "-c", PROGRAM, str(account), format_, flows]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout)


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["pcap", "flowlog.gz"])
def test_memory_does_not_follow_the_number_of_flows(format_: str) -> None:
    """Four chunks need what two need, and another fifty megabytes at most for what the allocator keeps."""
    assert kilobytes(format_, "1M") < kilobytes(format_, "500k") + 50_000
