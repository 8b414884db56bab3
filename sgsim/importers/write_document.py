"""One file of a written environment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Document"]


@dataclass(frozen=True, slots=True)
class Document:
    """A listing under its key, and what stands beside it; "" and no items for objects alone.

    A `private` file can be read by nobody but its owner.
    """

    path: str
    key: str
    items: Iterable[dict[str, Any]]
    more: dict[str, Any] = field(default_factory=dict)
    private: bool = False
