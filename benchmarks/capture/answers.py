"""What readers of captures answer, and how answers are compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.capture.cases import Case
from benchmarks.contest import WrongAnswerError
from sgsim.packets import PacketBatch
from sgsim.traffic import scan_packets

__all__ = ["Answer", "check", "checksum", "sum_of", "tuples_of"]

_MASK = 2**64 - 1


class Answer(NamedTuple):
    """What was read from a file: its packets; a sum over their five-tuples, or the number of flows, if it tells."""

    path: Path
    packets: int
    checksum: int | None = None
    flows: int | None = None


def sum_of(src: int, dst: int, srcport: int, dstport: int, protocol: int) -> int:
    """One packet's part of the sum, as `libpcap_loop.c` defines it; ports 0 but for TCP and UDP."""
    low = (1 << 64) - 1
    addresses = (src & low) + 3 * (dst & low) + 5 * (src >> 64) + 7 * (dst >> 64)
    return addresses + 11 * srcport + 13 * dstport + 17 * protocol


def checksum(batches: Iterable[PacketBatch]) -> tuple[int, int]:
    """(packets, sum over their five-tuples)."""
    packets = total = 0
    for batch in batches:
        ports = 11 * batch.srcport.astype(np.uint64) + 13 * batch.dstport.astype(np.uint64)
        sums = batch.src_lo + 3 * batch.dst_lo + 5 * batch.src_hi + 7 * batch.dst_hi
        total += int((sums + ports + 17 * batch.protocol.astype(np.uint64)).sum())
        packets += len(batch)
    return packets, total & _MASK


def tuples_of(path: Path) -> Answer:
    """sgsim's answer."""
    return Answer(path, *checksum(scan_packets([path], background=False)))


def check(case: Case, answers: Sequence[tuple[str, Any]]) -> None:
    """Raise WrongAnswerError unless all who read a file found the same in it."""
    known: dict[tuple[Path, str], tuple[str, Any]] = {}
    for name, given in answers:
        for answer in given if isinstance(given, list) else [given]:
            for field, value in answer._asdict().items():
                if field == "path" or value is None:
                    continue
                first, expected = known.setdefault((answer.path, field), (name, value))
                if expected != value:
                    raise WrongAnswerError(
                        f"{case.name}: {name} finds {value} {field} in {answer.path.name}, {first} {expected}"
                    )
