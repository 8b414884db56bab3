"""Three values: whether something surely is, may be, or is not so."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Truth", "all_of"]


class Truth(IntEnum):
    """Three values; the conjunction is the smallest, the disjunction the greatest."""

    NO = 0
    MAYBE = 1
    YES = 2


def all_of(*values: Truth) -> Truth:
    """Conjunction: NO beats MAYBE beats YES."""
    return min(values)
