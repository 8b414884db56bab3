"""Compile the replay's kernels in a second process, while the first one compiles those that decode packets.

Needed once per installation: the kernels of a replay take some ten seconds of one processor, and numba compiles one
function at a time per process. The two processes share the cache and claim what they compile (kernels/_jit.py), so
that neither does the other's work. Run as a module, this is the second process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["warming"]


@contextmanager
def warming() -> Iterator[None]:
    """While inside, compile kernels in the background if none are cached yet and there is a processor to spare."""
    if not _pays():
        yield
        return
    command = [sys.executable, "-m", "sgsim.engine.warm"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as second:
        try:
            yield
        finally:
            second.terminate()


def _pays() -> bool:
    from sgsim.kernels._jit import cache_directory

    directory = cache_directory()
    return directory is not None and len(os.sched_getaffinity(0)) > 1 and not any(directory.glob("*.nbi"))


def main() -> None:
    """Look one flow up, then track no packets: what the first process needs last."""
    import numpy as np

    from sgsim.engine.evaluate import evaluate
    from sgsim.engine.records import RecordTable
    from sgsim.engine.snapshot import Snapshot
    from sgsim.engine.tracking import Prepared, Tracker
    from sgsim.flows import INGRESS, FlowBlock, FlowTable
    from sgsim.kernels.tracking_layout import Packets
    from sgsim.model import (
        ALL_PORTS,
        TCP,
        CidrPeer,
        Direction,
        Environment,
        NetworkInterface,
        SecurityGroup,
        SecurityGroupRule,
        parse_cidr,
    )

    rule = SecurityGroupRule("rule", "group", Direction.INGRESS, TCP, CidrPeer(parse_cidr("0.0.0.0/0")), ALL_PORTS)
    group = SecurityGroup("group", (rule,))
    interface = NetworkInterface("interface", group_ids=("group",))
    snapshot = Snapshot.of(Environment({"group": group}, {"interface": interface}))
    flow = FlowBlock.from_columns(4, [1], [2], protocol=[TCP], interface=[0], direction=[INGRESS])
    evaluate(snapshot, FlowTable.of(flow))
    columns = (np.empty(0, dtype) for dtype in (np.int32, np.int64, np.int32, np.uint8, np.uint8))
    no_rows = np.empty((0, 2), np.int32)
    table = RecordTable(Tracker(snapshot), None)
    for _ in (*table.add(Prepared(Packets(*columns), no_rows, no_rows)), *table.flush()):
        pass


if __name__ == "__main__":
    main()
