"""How long does one more rule take, until verdicts follow it?"""

from __future__ import annotations

from benchmarks.contest import Question
from benchmarks.update import nft, sgsim
from benchmarks.update.cases import cases, check

__all__ = ["QUESTION"]

QUESTION = Question(
    name="update",
    title="One rule added",
    unit="changes",
    ours=sgsim.NAME,
    cases=cases,
    contenders=(sgsim.APPLY, sgsim.RECOMPILE, nft.CONTENDER),
    check=check,
)
