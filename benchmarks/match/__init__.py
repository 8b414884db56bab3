"""How fast are flows matched against rules? Columns in; every matching rule and the deciding one out.

librte_acl finds one rule, the deciding one, and takes keys packed beforehand; sgsim takes columns and also finds the
set of all rules that match.
"""

from __future__ import annotations

from benchmarks.contest import Question
from benchmarks.match import (
    ipaddress_loop,
    librte_acl,
    numba_linear,
    numpy_broadcast,
    py_radix,
    pytricia_tries,
    sgsim,
    sgsim_avx2,
)
from benchmarks.match.cases import cases
from benchmarks.match.check import check

__all__ = ["QUESTION"]

QUESTION = Question(
    name="match",
    title="Flows matched against rules",
    unit="flows",
    ours=sgsim.NAME,
    cases=cases,
    contenders=(
        sgsim.CONTENDER,
        sgsim_avx2.CONTENDER,
        librte_acl.CONTENDER,
        numba_linear.CONTENDER,
        numpy_broadcast.CONTENDER,
        pytricia_tries.CONTENDER,
        py_radix.CONTENDER,
        ipaddress_loop.CONTENDER,
    ),
    check=check,
)
