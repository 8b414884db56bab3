"""Who may ask for a change: IAM's decisions over values of `sgsim.model`. Pure; the data plane knows nothing of it."""

from sgsim.access.decide import decide
from sgsim.access.requests import (
    AccessRequest,
    AttachedPolicy,
    DecidingStatement,
    Decision,
    Layer,
    Outcome,
    PolicySet,
)

__all__ = [
    "AccessRequest",
    "AttachedPolicy",
    "DecidingStatement",
    "Decision",
    "Layer",
    "Outcome",
    "PolicySet",
    "decide",
]
