"""The slow twins: plain loops that a reviewer can hold against docs/semantics.md line by line.

They are the oracle of every kernel test and the machinery of `explain`. They share no code with compiler, kernels
and engine: only the model, the words and the tables of AWS facts.
"""

from sgsim.reference.packet import Packet, RuleAnswer, judge
from sgsim.reference.tracking import EndAnswer, Tracker

__all__ = ["EndAnswer", "Packet", "RuleAnswer", "Tracker", "judge"]
