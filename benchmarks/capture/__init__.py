"""How fast are captures read: bytes to five-tuples, and bytes to flows with verdicts by a process of its own?"""

from __future__ import annotations

from benchmarks.capture import c_loops, sgsim, softflowd, tshark, with_dpkt, with_scapy
from benchmarks.capture.answers import check
from benchmarks.capture.cases import cases
from benchmarks.contest import Question

__all__ = ["QUESTION"]

QUESTION = Question(
    name="capture",
    title="Captures read",
    unit="packets",
    ours=sgsim.NAME,
    cases=cases,
    contenders=(
        sgsim.CONTENDER,
        c_loops.READ,
        c_loops.LIBPCAP,
        softflowd.CONTENDER,
        tshark.CONTENDER,
        with_dpkt.CONTENDER,
        with_scapy.CONTENDER,
    ),
    check=check,
)
